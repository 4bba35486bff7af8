//! Several workers on one mailbox: paused ones that come back late, and restarts one after another under load.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::ensure;
use devstack::{Answer, CommitFault, Fault, ImapProxy, Signal, TcpProxy, Worker, poll};

use crate::support::{
    DELIVERED, LIMIT, MESSAGES, MOVE, Site, assert_promise, expire_leases, mail, mails, run, start,
    wait_for_promise, wait_for_rows,
};

const TAKEN_OVER: &str = "another worker has taken over this mailbox";

/// A site whose first worker goes by way of proxies.
async fn behind_proxies() -> (Site, ImapProxy, TcpProxy) {
    let mut site = Site::new().await;
    let imap = ImapProxy::to(&site.dovecot).await.unwrap();
    let database = site.database.proxy().await.unwrap();
    site.imap_port = imap.port();
    site.database_url = site.database.url_through(&database);
    (site, imap, database)
}

/// Lets another worker do all the work, straight.
async fn another_does_the_work(site: &mut Site) {
    expire_leases(site).await;
    site.imap_port = site.dovecot.port();
    site.database.url().clone_into(&mut site.database_url);
    let (code, out, err) = run(&site.config_file(MOVE, ""), &["drain"]).await;
    assert_eq!(code, Some(0), "{out}{err}");
}

/// Suspends a worker, as a machine does that goes to sleep. Transactions that it leaves open are ended, which
/// PostgreSQL does by itself after a minute. How many those were.
async fn pause(site: &Site, worker: &Worker) -> usize {
    worker.signal(Signal::STOP).unwrap();
    let end = "SELECT pid, state, state <> 'active' AND pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'";
    let mut ended = BTreeSet::new();
    poll::until("the transactions of a paused worker to end", LIMIT, async || {
        let open = site.database.rows(end).await?;
        ended.extend(open.iter().filter(|row| row[1] != "active").map(|row| row[0].clone()));
        ensure!(open.is_empty(), "{} are open", open.len());
        Ok(())
    })
    .await
    .unwrap();
    ended.len()
}

/// All that workers write, but for their leases.
async fn written(site: &Site) -> String {
    let all = "SELECT concat_ws(' ', (SELECT string_agg(l::text, ',' ORDER BY uid) FROM ledger l),
        (SELECT string_agg(m::text, ',' ORDER BY id) FROM messages m),
        (SELECT string_agg(d::text, ',' ORDER BY id) FROM deliveries d))";
    site.database.value(all).await.unwrap()
}

async fn stop(mut worker: Worker) {
    worker.signal(Signal::TERM).unwrap();
    assert!(worker.wait(LIMIT).await.unwrap().success(), "{}", worker.log_tail());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_worker_changes_nothing_when_it_comes_back() {
    for (before, command, fault) in [
        (0, "SELECT", Fault::StallAnswer),
        // The first FETCH lists, the second one fetches.
        (0, "UID FETCH", Fault::StallAnswer),
        (1, "UID FETCH", Fault::StallAnswer),
        (0, "UID MOVE", Fault::Stall),
        (0, "UID MOVE", Fault::StallAnswer),
    ] {
        let (mut site, imap, _database) = behind_proxies().await;
        site.account.deliver_many(mails(12)).unwrap();
        imap.after(before, command, fault.clone());
        let mut late = start(&site.config_file(MOVE, ""), &["run"]);
        imap.wait_for_strikes(1, LIMIT).await.unwrap();
        if command == "UID MOVE" {
            wait_for_rows(&site, DELIVERED, 12).await;
        }
        pause(&site, &late).await;

        another_does_the_work(&mut site).await;
        assert_promise(&site, 12).await;
        let done = written(&site).await;
        imap.release();
        late.signal(Signal::CONT).unwrap();
        late.wait_for_line(TAKEN_OVER, LIMIT).await.unwrap();

        assert_eq!(written(&site).await, done, "{command} {fault:?}");
        let moves = imap.commands().iter().filter(|said| said.starts_with("UID MOVE")).count();
        assert_eq!(moves, usize::from(command == "UID MOVE"), "{command} {fault:?}: moves it asked for");
        stop(late).await;
        assert_promise(&site, 12).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_overtaken_while_its_connection_stalls_gives_way() {
    for fault in [Fault::Stall, Fault::StallAnswer] {
        let (mut site, imap, _database) = behind_proxies().await;
        site.account.deliver_many(mails(12)).unwrap();
        imap.at("UID MOVE", fault);
        let mut late = start(&site.config_file(MOVE, ""), &["run"]);
        imap.wait_for_strikes(1, LIMIT).await.unwrap();

        another_does_the_work(&mut site).await;
        imap.release();
        late.wait_for_line(TAKEN_OVER, LIMIT).await.unwrap();
        assert_promise(&site, 12).await;

        // And then it is a worker like any other.
        site.account.deliver(&mail("afterwards", "")).unwrap();
        wait_for_promise(&site, 13).await;
        stop(late).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_paused_right_after_its_commit_finds_its_mail_settled() {
    let (mut site, imap, database) = behind_proxies().await;
    site.account.deliver_many(mails(12)).unwrap();
    database.at_commit_of("INSERT INTO messages", CommitFault::AnswerStalled);
    let mut late = start(&site.config_file(MOVE, ""), &["run"]);
    database.wait_for_strikes(1, LIMIT).await.unwrap();
    pause(&site, &late).await;
    assert_eq!((site.number(MESSAGES).await, site.account.count("INBOX").unwrap()), (12, 12));

    another_does_the_work(&mut site).await;
    assert_promise(&site, 12).await;
    let done = written(&site).await;
    database.pass();
    late.signal(Signal::CONT).unwrap();
    late.wait_for_line(TAKEN_OVER, LIMIT).await.unwrap();

    assert_eq!(written(&site).await, done);
    let moves = imap.commands().iter().filter(|said| said.starts_with("UID MOVE")).count();
    assert_eq!(moves, 0, "it asks before it settles");
    stop(late).await;
    assert_promise(&site, 12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_paused_within_its_transaction_has_stored_nothing() {
    let (mut site, imap, database) = behind_proxies().await;
    site.account.deliver_many(mails(12)).unwrap();
    database.at_commit_of("INSERT INTO messages", CommitFault::Stalled);
    let mut late = start(&site.config_file(MOVE, ""), &["run"]);
    database.wait_for_strikes(1, LIMIT).await.unwrap();
    // Its transaction keeps the mailbox to itself as long as it is open.
    assert_eq!(pause(&site, &late).await, 1);

    another_does_the_work(&mut site).await;
    let done = written(&site).await;
    database.pass();
    late.signal(Signal::CONT).unwrap();
    late.wait_for_line("starting over after a pause", LIMIT).await.unwrap();

    assert_eq!(written(&site).await, done);
    assert!(!imap.commands().iter().any(|said| said.starts_with("UID MOVE")));
    stop(late).await;
    assert_promise(&site, 12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_taken_over_is_not_finished_by_the_worker_that_was_paused() {
    let mut site = Site::new().await;
    site.helpdesk.answer(Answer::status(500).held());
    site.account.deliver(&mail("a", "")).unwrap();
    let mut late = start(&site.config_file(MOVE, ""), &["run"]);
    site.helpdesk.wait_for(1, LIMIT).await.unwrap();
    site.account.wait_for_count("INBOX", 0, LIMIT).await.unwrap();
    pause(&site, &late).await;
    site.helpdesk.answer(200);

    another_does_the_work(&mut site).await;
    assert_eq!(site.number(DELIVERED).await, 1);
    let done = written(&site).await;
    site.helpdesk.release();
    late.signal(Signal::CONT).unwrap();
    late.wait_for_line("the lease had ended before the attempt did", LIMIT).await.unwrap();

    assert_eq!(written(&site).await, done);
    stop(late).await;
    assert_promise(&site, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_workers_restarted_one_after_another_lose_and_double_nothing() {
    const TOTAL: usize = 240;
    let site = Site::new().await;
    let config = site.config_file(MOVE, "[intake]\nbatch_messages = 5\nsettle_messages = 10");
    let mut workers = [(); 3].map(|()| start(&config, &["run"]));

    let account = site.account.clone();
    let arriving = tokio::spawn(async move {
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        for mail in mails(TOTAL) {
            pace.tick().await;
            account.deliver(&mail).unwrap();
        }
    });
    // Twice around, each time after some more mail.
    for (turn, goal) in (0..6).zip((15..).step_by(30)) {
        wait_for_rows(&site, MESSAGES, goal).await;
        let worker = &mut workers[turn % 3];
        worker.signal(Signal::TERM).unwrap();
        assert!(worker.wait(LIMIT).await.unwrap().success(), "{}", worker.log_tail());
        *worker = start(&config, &["run"]);
    }
    arriving.await.unwrap();

    wait_for_promise(&site, TOTAL).await;
    assert_eq!(site.helpdesk.requests().len(), TOTAL, "no delivery was made by two");
    let attempts = site.number("SELECT sum(attempt) FROM deliveries").await;
    assert_eq!(attempts, i64::try_from(TOTAL).unwrap());
    for worker in workers {
        stop(worker).await;
    }
}
