//! New mail that is told of, and what is done where it is not.

use devstack::exchange::{Habits, Idle, Reaction};
use devstack::{Signal, identity};

use super::site::Site;
use crate::support::{LIMIT, mail, start};

/// Longer than any test takes, so that only a push can be what brought the mail.
const RARELY: &str = "poll_interval = \"1h\"";

async fn idling(exchange: Habits, mailbox: &str) -> (Site, devstack::Worker) {
    let site = Site::with(identity::Habits::default(), exchange).await;
    let config = site.device_with(mailbox, "");
    site.sign_in(&config).await;
    let worker = start(&config, &["run"]);
    site.exchange.wait_for_idling(1, LIMIT).await.unwrap();
    (site, worker)
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_is_pushed_again_and_again() {
    let (site, mut worker) = idling(Habits::default(), RARELY).await;

    for round in 1..=5 {
        site.exchange.deliver(&mail(&format!("round{round}"), "")).unwrap();
        site.helpdesk.wait_for(round, LIMIT).await.unwrap();
        site.exchange.wait_for_count("INBOX", 0, LIMIT).await.unwrap();
        site.exchange.wait_for_idling(1, LIMIT).await.unwrap();
    }

    worker.signal(Signal::TERM).unwrap();
    assert!(worker.wait(LIMIT).await.unwrap().success(), "a stop ends an IDLE");
    let last = site.exchange.commands().into_iter().last().unwrap();
    assert_eq!(last.name, "LOGOUT", "and in step");
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_comes_just_before_the_idle_is_not_overlooked() {
    for habits in [Habits::default(), Habits { idle: Idle::TellsBeforehand, ..Habits::default() }] {
        let (site, _worker) = idling(habits, RARELY).await;
        // It arrives while the first is being settled, long after the folder was listed.
        site.exchange.script({
            let mut come = false;
            move |command, mailbox| {
                if command.name == "UID MOVE" && !come {
                    come = true;
                    mailbox.folder("INBOX").unwrap().deliver(&mail("second", ""));
                }
                None
            }
        });

        site.exchange.deliver(&mail("first", "")).unwrap();

        site.wait_until_told(&["ticket.created", "ticket.created"]).await;
        site.exchange.wait_for_count("INBOX", 0, LIMIT).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_of_an_idle_counts_as_news() {
    for idle in [Idle::EndsByOk, Idle::EndsByBye] {
        let (site, _worker) = idling(Habits { idle, ..Habits::default() }, RARELY).await;

        site.exchange.deliver(&mail("m", "")).unwrap();

        site.wait_until_told(&["ticket.created"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_tells_nothing_is_looked_into_all_the_same() {
    let quiet = Habits { idle: Idle::Misses, ..Habits::default() };
    let (site, _worker) = idling(quiet, "poll_interval = \"1h\"\nidle_timeout = \"1s\"").await;

    site.exchange.deliver(&mail("m", "")).unwrap();

    site.wait_until_told(&["ticket.created"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_idle_or_where_it_is_refused_the_folder_is_polled() {
    let without = Habits::default().without(&["IDLE"]);
    for (habits, refuses) in [(without, false), (Habits::default(), true)] {
        let site = Site::with(identity::Habits::default(), habits).await;
        if refuses {
            site.exchange.always("IDLE", Reaction::Answer("NO IDLE is switched off.".to_owned()));
        }
        let config = site.device_with("poll_interval = \"1s\"\nidle_timeout = \"9m\"", "");
        site.sign_in(&config).await;
        let mut worker = start(&config, &["run"]);
        worker.wait_for_line("logged in", LIMIT).await.unwrap();

        for round in 1..=2 {
            site.exchange.deliver(&mail(&format!("round{round}"), "")).unwrap();
            site.helpdesk.wait_for(round, LIMIT).await.unwrap();
        }

        let idles = site.exchange.commands().iter().filter(|command| command.name == "IDLE").count();
        assert_eq!(idles, usize::from(refuses), "a refusal is heard once");
    }
}
