//! The HTTP client alone: what a helpdesk gets to see, and what comes of its answers and silences.

use std::time::{Duration, SystemTime};

use devstack::{Answer, Authority, Helpdesk};
use postroom::config;
use postroom::webhook::{Cause, Outcome, Request, Sender};
use reqwest::header::{HeaderMap, HeaderName};
use secrecy::SecretString;
use standardwebhooks::Webhook;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpListener;

use crate::world::{LIMIT, SECRET, body, webhook};

const NEXT_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

async fn send(webhook: &config::Webhook) -> Outcome {
    let sender = Sender::new(webhook, 64 * 1024).unwrap();
    let request = Request { event_id: "evt_1", body: &body("evt_1"), now: SystemTime::now() };
    tokio::time::timeout(LIMIT, sender.send(request)).await.expect("an attempt ends")
}

fn failed(cause: Cause) -> Outcome {
    Outcome::Retry { cause, retry_after: None }
}

fn headers(request: &devstack::Request) -> HeaderMap {
    let header = |(name, value): &(String, String)| {
        (HeaderName::try_from(name.as_str()).unwrap(), value.parse().unwrap())
    };
    request.headers.iter().map(header).collect()
}

#[tokio::test]
async fn a_receiver_with_either_secret_accepts_the_signature() {
    let helpdesk = Helpdesk::start().await.unwrap();
    let secrets = [NEXT_SECRET, SECRET].map(SecretString::from).to_vec();

    let outcome = send(&config::Webhook { secrets, ..webhook(&helpdesk.url()) }).await;

    assert_eq!(outcome, Outcome::Delivered { status: 200 });
    let request = &helpdesk.requests()[0];
    for secret in [NEXT_SECRET, SECRET] {
        Webhook::new(secret).unwrap().verify(&request.body, &headers(request)).unwrap();
    }
    let stranger = Webhook::new("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").unwrap();
    stranger.verify(&request.body, &headers(request)).unwrap_err();
}

#[tokio::test]
async fn a_request_is_the_event_and_its_headers() {
    let helpdesk = Helpdesk::start().await.unwrap();

    send(&webhook(&helpdesk.url())).await;

    let request = &helpdesk.requests()[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hooks/mail"));
    assert_eq!(request.body, body("evt_1").into_bytes());
    assert_eq!(request.header("webhook-id"), Some("evt_1"));
    assert_eq!(request.header("idempotency-key"), Some("evt_1"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    let version = env!("CARGO_PKG_VERSION").rsplit_once('.').unwrap().0;
    assert_eq!(request.header("user-agent").unwrap(), format!("postroom/{version}"));
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_not_followed() {
    let (helpdesk, elsewhere) = (Helpdesk::start().await.unwrap(), Helpdesk::start().await.unwrap());
    for status in [301, 302, 303, 307, 308] {
        helpdesk.answer(Answer::status(status).header("Location", &elsewhere.url()));

        assert_eq!(send(&webhook(&helpdesk.url())).await, failed(Cause::Status(status)));
    }
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn a_pause_that_is_asked_for_is_understood() {
    let helpdesk = Helpdesk::start().await.unwrap();
    helpdesk.answer(Answer::status(429).retry_after("120"));

    let outcome = send(&webhook(&helpdesk.url())).await;

    let retry_after = Some(Duration::from_secs(120));
    assert_eq!(outcome, Outcome::Retry { cause: Cause::Status(429), retry_after });
}

#[tokio::test]
async fn an_endless_answer_is_cut() {
    let helpdesk = Helpdesk::start().await.unwrap();
    helpdesk.answer(Answer::endless());
    // Were it read to its end, this would fail by its timeout.
    let patient = config::Webhook { timeout: 10 * LIMIT, ..webhook(&helpdesk.url()) };

    assert_eq!(send(&patient).await, Outcome::Delivered { status: 200 });
}

#[tokio::test]
async fn a_connection_is_used_again_after_a_short_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let answers = tokio::spawn(async move {
        // Takes one connection: a second request on another one would find nobody.
        let mut connection = BufStream::new(listener.accept().await.unwrap().0);
        for _ in 0..2 {
            let mut line = String::new();
            while !line.starts_with("{}") {
                line.clear();
                connection.read_line(&mut line).await.unwrap();
            }
            let body = "x".repeat(60 * 1024);
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            connection.write_all(answer.as_bytes()).await.unwrap();
            connection.flush().await.unwrap();
        }
    });
    let sender = Sender::new(&webhook(&url), 64 * 1024).unwrap();

    for event_id in ["evt_1", "evt_2"] {
        let request = Request { event_id, body: "{}\n", now: SystemTime::now() };
        assert_eq!(sender.send(request).await, Outcome::Delivered { status: 200 });
    }
    answers.await.unwrap();
}

#[tokio::test]
async fn silence_ends_by_the_timeout() {
    let helpdesk = Helpdesk::start().await.unwrap();
    helpdesk.answer(Answer::status(200).held());
    let timeout = Duration::from_millis(300);

    let outcome = send(&config::Webhook { timeout, ..webhook(&helpdesk.url()) }).await;

    assert_eq!(outcome, failed(Cause::TooSlow));
}

#[tokio::test]
async fn trouble_on_the_way_is_named() {
    let mut helpdesk = Helpdesk::start().await.unwrap();
    helpdesk.answer(Answer::none());
    assert_eq!(send(&webhook(&helpdesk.url())).await, failed(Cause::Reset));

    let https = helpdesk.url().replace("http:", "https:");
    assert_eq!(send(&webhook(&https)).await, failed(Cause::Tls), "no TLS is spoken there");

    helpdesk.stop().await.unwrap();
    assert_eq!(send(&webhook(&helpdesk.url())).await, failed(Cause::Connect));

    // RFC 6761 §6.4: this name is never found.
    assert_eq!(send(&webhook("http://helpdesk.invalid/")).await, failed(Cause::Dns));
}

#[tokio::test]
async fn a_private_authority_is_trusted_only_where_it_is_configured() {
    let authority = Authority::new().unwrap();
    let helpdesk = Helpdesk::start_tls(&authority).await.unwrap();
    let stranger = Authority::new().unwrap();

    let trusting = config::Webhook { ca_pem: Some(authority.pem().to_vec()), ..webhook(&helpdesk.url()) };
    assert_eq!(send(&trusting).await, Outcome::Delivered { status: 200 });

    assert_eq!(send(&webhook(&helpdesk.url())).await, failed(Cause::Tls));
    let mistaken = config::Webhook { ca_pem: Some(stranger.pem().to_vec()), ..webhook(&helpdesk.url()) };
    assert_eq!(send(&mistaken).await, failed(Cause::Tls));
    let other_name = helpdesk.url().replace("localhost", "127.0.0.1");
    assert_eq!(
        send(&config::Webhook { url: other_name.parse().unwrap(), ..trusting }).await,
        failed(Cause::Tls)
    );
    assert_eq!(helpdesk.requests().len(), 1);
}
