//! Helpdesks that misbehave: what each misbehaviour comes to, that it costs a bounded time, and that everything
//! else is delivered meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::ensure;
use devstack::{Answer, Authority, Helpdesk, poll};
use postroom::config;
use postroom::delivery;
use postroom::delivery::Job;
use postroom::store::BREAKS_AT;
use postroom::webhook::{Cause, Outcome, Request, Sender};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::world::{HELPDESK, LIMIT, World, body, limits, webhook};

/// Enough for an answer that comes, too little for one that does not.
const HASTY: Duration = Duration::from_millis(500);

/// Longer than any test may take: what ends before it did not end by it.
const PATIENT: Duration = Duration::from_secs(3600);

/// What a helpdesk does to one request.
struct Trouble {
    name: &'static str,
    answer: Answer,
    outcome: Outcome,
    /// Whether only the timeout ends it.
    hangs: bool,
}

fn troubles() -> Vec<Trouble> {
    let delivered = Outcome::Delivered { status: 200 };
    let many_headers =
        (0..100_000).fold(Answer::status(200), |answer, n| answer.header("X-Many", &n.to_string()));
    let long_header = Answer::status(200).header("X-Long", &"x".repeat(8 << 20));
    // A gigabyte of zeros, says the header: 1 MB of blocks that repeat.
    let bomb = Answer::status(200).header("Content-Encoding", "gzip").body(vec![0x1f; 1 << 20]);
    let long_redirect = Answer::redirect(&format!("https://elsewhere.example/{}", "x".repeat(16 << 10)));
    [
        ("hangs", Answer::status(200).held(), failed(Cause::TooSlow), true),
        ("trickles", Answer::trickle(), failed(Cause::TooSlow), true),
        ("announces an answer for ever", Answer::interim(), failed(Cause::TooSlow), true),
        // The status says it all: the rest is not waited for.
        ("trickles its body", Answer::trickling_body(), delivered, false),
        ("closes the connection", Answer::none(), failed(Cause::Reset), false),
        ("resets the connection", Answer::reset(), failed(Cause::Reset), false),
        ("stops in the status", Answer::raw("HTTP/1.1 2"), failed(Cause::Reset), false),
        ("stops in a header", Answer::raw("HTTP/1.1 200 OK\r\nContent-Le"), failed(Cause::Reset), false),
        ("speaks SMTP", Answer::raw("220 mail.example ESMTP\r\n"), failed(Cause::Reset), false),
        ("speaks nothing", Answer::raw([0, 159, 146, 150].repeat(1000)), failed(Cause::Reset), false),
        ("has no such status", Answer::raw("HTTP/1.1 20000 OK\r\n\r\n"), failed(Cause::Reset), false),
        ("sends a head without end", Answer::endless_head(), failed(Cause::Reset), false),
        ("sends 100,000 headers", many_headers, failed(Cause::Reset), false),
        ("sends a header of 8 MB", long_header, failed(Cause::Reset), false),
        ("sends a body without end", Answer::endless(), delivered, false),
        ("sends a bomb", bomb, delivered, false),
        ("stops in the body", Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"), delivered, false),
        ("sends elsewhere", long_redirect, failed(Cause::Status(302)), false),
        ("fails", Answer::status(500), failed(Cause::Status(500)), false),
        (
            "is rate limited by mistake",
            Answer::status(429).retry_after("soon"),
            failed(Cause::Status(429)),
            false,
        ),
        ("refuses", Answer::status(422), Outcome::Rejected { status: 422 }, false),
        ("switches protocols", Answer::status(101), failed(Cause::Status(101)), false),
    ]
    .into_iter()
    .map(|(name, answer, outcome, hangs)| Trouble { name, answer, outcome, hangs })
    .collect()
}

fn failed(cause: Cause) -> Outcome {
    Outcome::Retry { cause, retry_after: None }
}

/// The webhook with this timeout.
fn within(timeout: Duration, webhook: config::Webhook) -> config::Webhook {
    config::Webhook { timeout, ..webhook }
}

fn sender(webhook: &config::Webhook) -> Arc<Sender> {
    Arc::new(Sender::new(webhook, 64 * 1024).unwrap())
}

async fn send(webhook: &config::Webhook, body: &str) -> Outcome {
    let request = Request { event_id: "evt_1", body, now: SystemTime::now() };
    timeout(LIMIT, sender(webhook).send(request)).await.expect("an attempt ends")
}

#[tokio::test]
async fn every_misbehaviour_has_its_outcome_in_bounded_time() {
    let helpdesk = Helpdesk::start().await.unwrap();
    for Trouble { name, answer, outcome, hangs } in troubles() {
        helpdesk.answer(answer);
        // What does not hang ends by itself, however patient we are.
        let limit = if hangs { HASTY } else { PATIENT };

        assert_eq!(send(&within(limit, webhook(&helpdesk.url())), &body("evt_1")).await, outcome, "{name}");
    }
    let requests = helpdesk.requests();
    assert_eq!(requests.len(), troubles().len(), "one request is one attempt, whatever happens to it");
    assert!(
        requests.iter().all(|request| request.header("accept-encoding").is_none()),
        "nothing is unpacked"
    );
}

#[tokio::test]
async fn connections_that_lead_nowhere_end_by_the_timeout() {
    let ignoring = Helpdesk::start().await.unwrap();
    ignoring.ignore_next(2);
    let hasty = within(HASTY, webhook(&ignoring.url()));
    assert_eq!(send(&hasty, &body("evt_1")).await, failed(Cause::TooSlow), "it waits in the socket's buffer");
    let large = "x".repeat(32 << 20);
    assert_eq!(send(&hasty, &large).await, failed(Cause::TooSlow), "it does not fit in there");
    assert!(ignoring.requests().is_empty());

    // A queue that is full of others: the system does not complete our connection.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let overrun = socket.listen(1).unwrap();
    let address = overrun.local_addr().unwrap();
    let mut others = Vec::new();
    while let Ok(connected) = timeout(HASTY, TcpStream::connect(address)).await {
        others.push(connected.unwrap());
    }
    let outcome = send(&within(HASTY, webhook(&format!("http://{address}/"))), "{}").await;
    assert_eq!(outcome, failed(Cause::Timeout));

    // It takes the connection and does not speak TLS, nor anything else.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", silent.local_addr().unwrap());
    assert_eq!(send(&within(HASTY, webhook(&url)), "{}").await, failed(Cause::Timeout));
}

#[tokio::test]
async fn a_redirect_takes_no_secret_and_no_mail_anywhere() {
    let (elsewhere, world) = (Helpdesk::start().await.unwrap(), World::start().await);
    world.store_event(1, "evt_1").await;
    world.helpdesk.answer(Answer::redirect(&elsewhere.url()));

    world.cycle().await;

    assert_eq!(world.delivery("evt_1").await, "pending 1 302 answered 302");
    assert!(elsewhere.requests().is_empty());
}

async fn helpdesk_that_answers(answer: Answer) -> Helpdesk {
    let helpdesk = Helpdesk::start().await.unwrap();
    helpdesk.answer(answer);
    helpdesk
}

/// Two webhooks: the one in trouble, and one that has nothing to do with it.
struct Two {
    world: World,
    other: Arc<Sender>,
    /// Takes what goes to the other one.
    _helpdesk: Helpdesk,
}

impl Two {
    async fn start() -> Self {
        let world = World::start().await;
        world.store.register_webhooks(&["other"]).await.unwrap();
        let helpdesk = Helpdesk::start().await.unwrap();
        let other = sender(&config::Webhook { name: "other".into(), ..webhook(&helpdesk.url()) });
        Self { world, other, _helpdesk: helpdesk }
    }

    /// Stores four tickets for both webhooks; the first of them has two events.
    async fn store_events(&self) {
        let renew = "DELETE FROM deliveries;
                     UPDATE webhooks SET failures = 0, paused_until = NULL, switched_off_at = NULL";
        self.world.database.rows(renew).await.unwrap();
        for (ticket, event_id) in
            [(1, "evt_bad"), (1, "evt_behind"), (2, "evt_2"), (3, "evt_3"), (4, "evt_4")]
        {
            self.world.store_event(ticket, event_id).await;
        }
        let copy = "INSERT INTO deliveries (event_id, webhook, event_type, ticket_id, sequence, body)
                    SELECT event_id, 'other', event_type, ticket_id, sequence, body FROM deliveries";
        self.world.database.rows(copy).await.unwrap();
    }

    /// Delivers to both until `done` succeeds, and then drops everything as it is.
    async fn deliver_until(
        &self,
        troubled: &Arc<Sender>,
        what: &str,
        done: impl AsyncFnMut() -> anyhow::Result<()>,
    ) {
        let two_at_once = config::Delivery { concurrency: 2, ..limits() };
        let stop = CancellationToken::new();
        let deliver = async |sender: &Arc<Sender>| {
            let job = Job { store: &self.world.store, sender, limits: &two_at_once, wake: &Notify::new() };
            delivery::cycle(&job, &Arc::default(), &stop).await.unwrap();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = deliver(troubled) => {}
            () = deliver(&self.other) => {}
            met = poll::until(what, LIMIT, done) => met.unwrap(),
        }
    }
}

#[tokio::test]
async fn other_tickets_and_other_webhooks_go_on_in_every_trouble() {
    let two = Two::start().await;
    let troubled = sender(&within(PATIENT, webhook(&two.world.helpdesk.url())));
    for Trouble { name, answer, outcome, hangs } in troubles() {
        two.store_events().await;
        two.world.helpdesk.answer_with(move |request| {
            if request.header("webhook-id") == Some("evt_bad") { answer.clone() } else { Answer::status(200) }
        });
        // What the two events of the troubled ticket come to, while all others are delivered.
        let expected = match outcome {
            _ if hangs => "evt_bad pending 1 under way, evt_behind pending 0",
            Outcome::Delivered { .. } => "evt_bad delivered 1, evt_behind delivered 1",
            _ => "evt_bad pending 1, evt_behind pending 0",
        };

        two.deliver_until(&troubled, name, async || {
            let others = "webhook = 'other' OR event_id NOT LIKE 'evt_b%'";
            let delivered = two.world.count(&format!("status = 'delivered' AND ({others})")).await;
            ensure!(delivered == 8, "{delivered} of the others");
            let ticket = "SELECT string_agg(concat_ws(' ', event_id, status, attempt,
                                                      CASE WHEN lease_until IS NOT NULL THEN 'under way' END),
                                            ', ' ORDER BY id)
                          FROM deliveries WHERE webhook = 'helpdesk' AND event_id LIKE 'evt_b%'";
            let ticket = two.world.database.value(ticket).await?;
            ensure!(ticket == expected, "{ticket}");
            Ok(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_webhook_that_takes_nothing_delays_no_other() {
    let two = Two::start().await;
    let (authority, mut stopped) = (Authority::new().unwrap(), Helpdesk::start().await.unwrap());
    let secure = Helpdesk::start_tls(&authority).await.unwrap();
    stopped.stop().await.unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}/", silent.local_addr().unwrap());
    let wrong_name = secure.url().replace("localhost", "127.0.0.1");
    let trusting = config::Webhook { ca_pem: Some(authority.pem().to_vec()), ..webhook(&wrong_name) };
    let in_a_day = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(24 * 3600));
    let [gone, busy, busy_until, down] = [
        helpdesk_that_answers(Answer::status(410)).await,
        helpdesk_that_answers(Answer::status(429).retry_after("86400")).await,
        helpdesk_that_answers(Answer::status(503).retry_after(&in_a_day)).await,
        helpdesk_that_answers(Answer::status(503)).await,
    ];
    let refused = "tls: the handshake failed or the certificate was refused";
    for (name, troubled, error) in [
        ("refuses connections", webhook(&stopped.url()), "connect: nothing answers at that host and port"),
        ("is of an unknown authority", webhook(&secure.url()), refused),
        ("has another name", trusting, refused),
        ("never reads", within(HASTY, webhook(&silent)), "too slow: no answer in time"),
        ("is gone", webhook(&gone.url()), "answered 410"),
        ("asks for a day", webhook(&busy.url()), "answered 429"),
        ("asks for a day by date", webhook(&busy_until.url()), "answered 503"),
        ("is down", webhook(&down.url()), "answered 503"),
    ] {
        two.store_events().await;

        two.deliver_until(&sender(&troubled), name, async || {
            let other = two.world.count("status = 'delivered' AND webhook = 'other'").await;
            let told = format!("webhook = 'helpdesk' AND last_error = '{error}'");
            let told = two.world.count(&told).await;
            ensure!(other == 5 && told > 0, "{other} to the other webhook, {told} failed");
            Ok(())
        })
        .await;

        assert_eq!(two.world.count("webhook = 'helpdesk' AND status = 'pending'").await, 5, "{name}");
    }
}

#[tokio::test]
async fn absurd_wishes_for_a_pause_are_bounded() {
    let world = World::start().await;
    let day = Duration::from_secs(24 * 3600);
    // What is asked for, and between which limits the next attempt then lies.
    let (usual, longest) = ((4, 6), (day.as_secs() - 60, day.as_secs()));
    let in_an_hour = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3600));
    let wishes = [
        ("-5", usual),
        ("0", usual),
        ("1.5", usual),
        ("1e9", usual),
        ("NaN", usual),
        ("soon", usual),
        ("", usual),
        ("Sun, 06 Nov 1994 08:49:37 GMT", usual),
        ("Sun, 99 Nov 1994 08:49:37 GMT", usual),
        (&in_an_hour, (3540, 3600)),
        ("86401", longest),
        ("99999999999999999999999", longest),
        ("Fri, 31 Dec 9999 23:59:59 GMT", longest),
    ];
    for (n, (wish, (least, most))) in (0..).zip(wishes) {
        for status in [429, 503] {
            let event_id = format!("evt_{n}_{status}");
            world.store_event(n, &event_id).await;
            world.helpdesk.answer(Answer::status(status).retry_after(wish));
            world.cycle().await;

            let due = format!(
                "SELECT round(extract(epoch FROM next_attempt_at - now())) FROM deliveries WHERE event_id = '{event_id}'"
            );
            let due: u64 = world.database.value(&due).await.unwrap().parse().unwrap();
            assert!((least..=most).contains(&due), "{status} {wish:?}: {due} s");
            let renew = "DELETE FROM deliveries; UPDATE webhooks SET failures = 0, paused_until = NULL";
            world.database.rows(renew).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_webhook_that_fails_for_hours_is_probed_and_then_gets_everything_in_order() {
    let world = World::start().await;
    for n in 0..80 {
        world.store_event(n % 40, &format!("evt_{n}")).await;
    }
    let (sender, limits, stop) = (world.sender(), limits(), CancellationToken::new());
    let job = Job { store: &world.store, sender: &sender, limits: &limits, wake: &Notify::new() };
    let cycle = async || delivery::cycle(&job, &Arc::default(), &stop).await.unwrap();
    world.helpdesk.answer(500);
    let mut passed = Duration::ZERO;
    let outage = Duration::from_secs(2 * 3600);

    while passed < outage {
        cycle().await;
        let due = world.store.next_due(HELPDESK).await.unwrap().unwrap();
        world.advance(due).await;
        passed += due;
    }

    let probes = world.told().len();
    // Once a minute, a fifth more or less, after the first few that took it down.
    assert!((90..=160).contains(&probes), "{probes} requests in two hours");
    assert_eq!(world.count("status = 'pending'").await, 80, "none was given up");
    let failures = world.database.value("SELECT failures FROM webhooks").await.unwrap();
    assert!(failures.parse::<i32>().unwrap() > BREAKS_AT);

    world.helpdesk.answer(200);
    for _ in 0..200 {
        cycle().await;
        let Some(due) = world.store.next_due(HELPDESK).await.unwrap() else { break };
        world.advance(due).await;
    }
    assert_eq!(world.count("status = 'delivered'").await, 80);
    let mut of_ticket: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for event_id in &world.told()[probes..] {
        let n = event_id.trim_start_matches("evt_").parse::<u32>().unwrap();
        of_ticket.entry(n % 40).or_default().push(n);
    }
    for (ticket, told) in of_ticket {
        assert_eq!(told, [ticket, ticket + 40]);
    }
}
