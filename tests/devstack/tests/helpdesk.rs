//! The helpdesk, good and bad.

use std::time::Duration;

use anyhow::{Context, Result};
use devstack::{Answer, Authority, Helpdesk};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

const LIMIT: Duration = Duration::from_secs(20);

async fn connect(helpdesk: &Helpdesk) -> Result<TcpStream> {
    let url = helpdesk.url();
    let port = url.split(['/', ':']).find_map(|part| part.parse::<u16>().ok()).context("no port")?;
    Ok(TcpStream::connect(("127.0.0.1", port)).await?)
}

/// Posts `body` over `stream` and returns the whole answer, up to the end of the connection.
async fn post(mut stream: impl AsyncRead + AsyncWrite + Unpin, body: &str) -> Result<String> {
    let request =
        format!("POST /hooks/mail HTTP/1.1\r\nWebhook-Id: 7\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await?;
    stream.shutdown().await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn requests_are_taken_and_recorded() -> Result<()> {
    let helpdesk = Helpdesk::start().await?;

    let answer = post(connect(&helpdesk).await?, "{\"a\":1}").await?;

    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let requests = helpdesk.wait_for(1, LIMIT).await?;
    let request = requests.first().context("none")?;
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hooks/mail"));
    assert_eq!(request.header("webhook-id"), Some("7"));
    assert_eq!(request.body, b"{\"a\":1}");
    Ok(())
}

#[tokio::test]
async fn answers_come_in_turn_and_then_it_is_well_again() -> Result<()> {
    let helpdesk = Helpdesk::start().await?;
    helpdesk.answer_in_turn([
        Answer::status(503).retry_after("7"),
        Answer::redirect("http://127.0.0.1:1/"),
        Answer::status(422).body("no such field"),
    ]);

    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(post(connect(&helpdesk).await?, "{}").await?);
    }

    let expected =
        ["503 -\r\nRetry-After: 7\r\n", "302 -\r\nLocation: http://127.0.0.1:1/", "no such field", "200"];
    for (answer, expected) in answers.iter().zip(expected) {
        assert!(answer.contains(expected), "{answer}");
    }
    Ok(())
}

#[tokio::test]
async fn an_answer_can_depend_on_the_request() -> Result<()> {
    let helpdesk = Helpdesk::start().await?;
    helpdesk.answer_with(|request| if request.body == b"bad" { 500.into() } else { 204.into() });

    for (body, status) in [("good", "204"), ("bad", "500"), ("good", "204")] {
        assert!(post(connect(&helpdesk).await?, body).await?.contains(status));
    }
    Ok(())
}

#[tokio::test]
async fn a_held_answer_waits_for_its_release() -> Result<()> {
    let helpdesk = Helpdesk::start().await?;
    helpdesk.answer(Answer::status(200).held());
    let posting = tokio::spawn(post(connect(&helpdesk).await?, "{}"));

    helpdesk.wait_for(1, LIMIT).await?;
    assert!(!posting.is_finished());
    helpdesk.release();

    assert!(posting.await??.starts_with("HTTP/1.1 200"));
    Ok(())
}

#[tokio::test]
async fn no_answer_closes_the_connection_and_is_recorded() -> Result<()> {
    let helpdesk = Helpdesk::start().await?;
    helpdesk.answer(Answer::none());

    assert_eq!(post(connect(&helpdesk).await?, "{}").await?, "");

    assert_eq!(helpdesk.requests().len(), 1);
    Ok(())
}

#[tokio::test]
async fn an_endless_body_goes_on_until_the_client_leaves() -> Result<()> {
    let helpdesk = Helpdesk::start().await?;
    helpdesk.answer(Answer::endless());
    let mut stream = connect(&helpdesk).await?;
    stream.write_all(b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n").await?;

    let mut megabytes = vec![0; 4 << 20];
    stream.read_exact(&mut megabytes).await?;
    drop(stream);

    assert!(megabytes.ends_with(b"xxxx"));
    Ok(())
}

#[tokio::test]
async fn a_head_and_what_announces_it_can_be_endless() -> Result<()> {
    let helpdesk = Helpdesk::start().await?;
    for (answer, end) in [(Answer::endless_head(), "xxxx"), (Answer::interim(), "\r\n\r\nHTTP/1.1 103 Early")]
    {
        helpdesk.answer(answer);
        let mut stream = connect(&helpdesk).await?;
        stream.write_all(b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n").await?;

        let mut megabyte = vec![0; 1 << 20];
        stream.read_exact(&mut megabyte).await?;

        assert!(String::from_utf8(megabyte)?.contains(end));
    }
    Ok(())
}

#[tokio::test]
async fn an_answer_can_come_byte_by_byte() -> Result<()> {
    let helpdesk = Helpdesk::start().await?;
    for answer in [Answer::trickle(), Answer::trickling_body()] {
        helpdesk.answer(answer.body("ab"));

        let answer = post(connect(&helpdesk).await?, "{}").await?;

        assert_eq!(answer, "HTTP/1.1 200 -\r\nContent-Length: 2\r\n\r\nab");
    }
    Ok(())
}

#[tokio::test]
async fn an_answer_can_be_anything() -> Result<()> {
    let helpdesk = Helpdesk::start().await?;
    helpdesk.answer(Answer::raw("220 mail.example ESMTP\r\n"));

    assert_eq!(post(connect(&helpdesk).await?, "{}").await?, "220 mail.example ESMTP\r\n");
    Ok(())
}

#[tokio::test]
async fn a_connection_can_be_reset_in_the_middle_of_an_answer() -> Result<()> {
    let helpdesk = Helpdesk::start().await?;
    helpdesk.answer(Answer::reset());

    let error = post(connect(&helpdesk).await?, "{}").await.unwrap_err();

    let error = error.downcast_ref::<std::io::Error>().context("not of the socket")?;
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    Ok(())
}

#[tokio::test]
async fn a_connection_that_is_ignored_hangs_and_the_next_does_not() -> Result<()> {
    let helpdesk = Helpdesk::start().await?;
    helpdesk.ignore_next(1);
    let ignored = tokio::spawn(post(connect(&helpdesk).await?, "{}"));

    let answer = post(connect(&helpdesk).await?, "{}").await?;

    assert!(answer.starts_with("HTTP/1.1 200"));
    assert!(!ignored.is_finished());
    assert_eq!(helpdesk.requests().len(), 1);
    Ok(())
}

#[tokio::test]
async fn one_connection_takes_several_requests() -> Result<()> {
    let helpdesk = Helpdesk::start().await?;
    let mut stream = connect(&helpdesk).await?;

    for n in 1..=2 {
        stream.write_all(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}").await?;
        helpdesk.wait_for(n, LIMIT).await?;
    }

    Ok(())
}

#[tokio::test]
async fn a_stopped_helpdesk_refuses_and_comes_back_on_its_port() -> Result<()> {
    let mut helpdesk = Helpdesk::start().await?;
    let url = helpdesk.url();

    helpdesk.stop().await?;
    assert!(connect(&helpdesk).await.is_err());
    helpdesk.start_again().await?;

    assert_eq!(helpdesk.url(), url);
    assert!(post(connect(&helpdesk).await?, "{}").await?.contains("200"));
    Ok(())
}

#[tokio::test]
async fn https_is_certified_by_the_given_authority() -> Result<()> {
    let authority = Authority::new()?;
    let helpdesk = Helpdesk::start_tls(&authority).await?;
    let client = |ca: &Authority| -> Result<_> {
        let trusted = native_tls::Certificate::from_pem(ca.pem())?;
        let tls = native_tls::TlsConnector::builder().add_root_certificate(trusted).build()?;
        Ok(tokio_native_tls::TlsConnector::from(tls))
    };

    let stream = client(&authority)?.connect("localhost", connect(&helpdesk).await?).await?;
    let refused = client(&Authority::new()?)?.connect("localhost", connect(&helpdesk).await?).await;

    assert!(post(stream, "{}").await?.contains("200"));
    assert!(refused.is_err());
    assert!(helpdesk.url().starts_with("https://localhost:"));
    Ok(())
}
