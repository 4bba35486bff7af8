//! A database in trouble: away, full, read-only, slow, or silent about what it has committed. Mail waits for it in
//! the mailbox, and work goes on by itself.

use std::time::Duration;

use anyhow::ensure;
use devstack::{CommitFault, Direction, Durability, Options, Postgres, TcpProxy, Worker, poll};
use postroom::store::Store;
use postroom::{intake, store};
use sqlx::{Connection, PgConnection};
use tokio::time::timeout;

use crate::support::{
    Intake, LIMIT, MESSAGES, MOVE, Site, assert_promise, mails, run, start, wait_for_promise, wait_for_rows,
};

/// Mails of the second half, so that they are not copies of the first.
fn later_mails() -> Vec<Vec<u8>> {
    mails(20).split_off(10)
}

/// A worker that has dealt with ten mails.
async fn settled_worker(site: &Site, sections: &str) -> Worker {
    site.account.deliver_many(mails(10)).unwrap();
    let worker = start(&site.config_file(MOVE, sections), &["run"]);
    wait_for_promise(site, 10).await;
    worker
}

/// Lets the worker connect as a user of its own, whom limits apply to: they do not apply to a superuser.
async fn as_ordinary_user(site: &mut Site) -> String {
    let role = format!("{}_worker", site.database.name());
    let database = site.database.name();
    site.database
        .rows(&format!("CREATE ROLE {role} LOGIN; ALTER DATABASE {database} OWNER TO {role}"))
        .await
        .unwrap();
    site.database_url = site.database_url.replace("user=postroom", &format!("user={role}"));
    role
}

async fn disconnect(site: &Site, role: &str) {
    let all =
        format!("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{role}'");
    site.database.rows(&all).await.unwrap();
}

/// Nothing has been moved that is not committed.
async fn assert_only_committed_mail_left(site: &Site, total: usize) {
    // In this order: a mail that is recorded meanwhile may leave meanwhile.
    let left = site.account.count("Processed").unwrap();
    let committed = usize::try_from(site.number(MESSAGES).await).unwrap();
    assert!(left <= committed, "{left} left the inbox, {committed} are stored");
    assert_eq!(site.account.count("INBOX").unwrap() + left, total);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_database_finds_the_mail_waiting() {
    let mut postgres = Postgres::start(Durability::Processes).await.unwrap();
    let site = Site::on(Options::default(), postgres.database().await.unwrap()).await;
    let mut worker = settled_worker(&site, "").await;

    postgres.stop().await.unwrap();
    site.account.deliver_many(later_mails()).unwrap();
    worker.wait_for_line("starting over after a pause", LIMIT).await.unwrap();
    assert_eq!(site.account.count("INBOX").unwrap(), 10);
    postgres.start_again().await.unwrap();

    wait_for_promise(&site, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_free_connection_mail_waits() {
    let mut site = Site::new().await;
    let proxy = site.database.proxy().await.unwrap();
    site.database_url = site.database.url_through(&proxy);
    let role = as_ordinary_user(&mut site).await;
    let _worker = settled_worker(&site, "").await;

    site.database.rows(&format!("ALTER ROLE {role} CONNECTION LIMIT 0")).await.unwrap();
    disconnect(&site, &role).await;
    site.account.deliver_many(later_mails()).unwrap();
    let tries = proxy.taken();
    poll::until("tries to connect", LIMIT, async || {
        let more = proxy.taken() - tries;
        ensure!(more > 3, "{more}");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(site.account.count("INBOX").unwrap(), 10);
    site.database.rows(&format!("ALTER ROLE {role} CONNECTION LIMIT -1")).await.unwrap();

    wait_for_promise(&site, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_database_leaves_the_mailbox_alone() {
    let mut site = Site::new().await;
    let role = as_ordinary_user(&mut site).await;
    let mut worker = settled_worker(&site, "").await;

    site.database.rows(&format!("ALTER ROLE {role} SET default_transaction_read_only = on")).await.unwrap();
    disconnect(&site, &role).await;
    site.account.deliver_many(later_mails()).unwrap();
    worker.wait_for_line("read-only transaction", LIMIT).await.unwrap();
    assert_eq!(site.account.count("INBOX").unwrap(), 10);
    assert_eq!(site.number(MESSAGES).await, 10);
    site.database.rows(&format!("ALTER ROLE {role} RESET default_transaction_read_only")).await.unwrap();
    disconnect(&site, &role).await;

    wait_for_promise(&site, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stores_nothing_in_part_and_moves_nothing() {
    let site = Site::new().await;
    let config = site.config_file(MOVE, "");
    assert_eq!(run(&config, &["migrate"]).await.0, Some(0));
    // The messages are written before their sources, in the same transaction.
    let full = site.database.fill_disk("sources").await.unwrap();
    site.account.deliver_many(mails(20)).unwrap();

    let mut worker = start(&config, &["run"]);
    worker.wait_for_line("No space left on device", LIMIT).await.unwrap();
    assert_eq!((site.account.count("INBOX").unwrap(), site.account.count("Processed").unwrap()), (20, 0));
    for table in ["tickets", "messages", "deliveries"] {
        assert_eq!(site.number(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
    assert_eq!(site.number("SELECT count(*) FROM ledger WHERE state = 'held'").await, 0);
    full.free().await.unwrap();

    wait_for_promise(&site, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_database_slows_intake_and_breaks_nothing() {
    let mut site = Site::new().await;
    let proxy = site.database.proxy().await.unwrap();
    site.database_url = site.database.url_through(&proxy);
    let _worker = settled_worker(&site, "[intake]\nbatch_messages = 5").await;

    proxy.delay(Duration::from_millis(20));
    site.account.deliver_many(later_mails()).unwrap();

    wait_for_promise(&site, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_commit_hangs_nothing_is_moved() {
    for cut in [false, true] {
        let mut site = Site::new().await;
        let proxy = site.database.proxy().await.unwrap();
        site.database_url = site.database.url_through(&proxy);
        let intake = Intake::of(&site).await;
        site.account.deliver_many(mails(10)).unwrap();
        // The folder is opened, its list written down, the batch recorded.
        proxy.at_commit(3, CommitFault::Stalled);

        let (cycle, ()) = tokio::join!(intake.cycle(), async {
            proxy.wait_for_strikes(1, LIMIT).await.unwrap();
            // Everything is in that transaction, and nothing outside of it.
            let transactions = "SELECT count(*) FROM pg_stat_activity
                                WHERE datname = current_database() AND state = 'idle in transaction'";
            wait_for_rows(&site, transactions, 1).await;
            assert_eq!(site.account.count("INBOX").unwrap(), 10);
            assert_eq!(site.number(MESSAGES).await, 0);
            if cut {
                proxy.reset();
                poll::until("the transaction to end", LIMIT, async || {
                    ensure!(site.number(transactions).await == 0, "it is open");
                    Ok(())
                })
                .await
                .unwrap();
            }
            proxy.pass();
        });

        assert_eq!(cycle.is_err(), cut, "{cycle:?}");
        if cut {
            assert_eq!((site.account.count("INBOX").unwrap(), site.number(MESSAGES).await), (10, 0));
            intake.cycle().await.unwrap();
        }
        assert_eq!((site.account.count("INBOX").unwrap(), site.account.count("Processed").unwrap()), (0, 10));
        assert_eq!(site.number(MESSAGES).await, 10);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_outcome_is_unknown_is_looked_up() {
    let mut site = Site::new().await;
    let proxy = site.database.proxy().await.unwrap();
    site.database_url = site.database.url_through(&proxy);
    let intake = Intake::of(&site).await;
    let mut all = mails(60).into_iter();
    let mut total = 0;

    for fault in [CommitFault::Lost, CommitFault::Unanswered] {
        let mut unknown_records = 0;
        // Each commit of a cycle in turn, until a cycle has no more.
        for nth in 1.. {
            total += 3;
            site.account.deliver_many(all.by_ref().take(3)).unwrap();
            let (before, strikes) = (site.number(MESSAGES).await, proxy.strikes());
            proxy.at_commit(nth, fault);
            let broken = intake.cycle().await;
            proxy.pass();
            if proxy.strikes() == strikes {
                broken.unwrap();
                break;
            }
            assert!(
                matches!(broken, Err(intake::Error::Store(store::Error::Database(_)))),
                "{fault:?} {broken:?}"
            );
            assert_only_committed_mail_left(&site, total).await;
            let stored = site.number(MESSAGES).await - before;
            let unsettled = site.account.count("INBOX").unwrap();
            unknown_records += usize::from(stored == 3 && unsettled == 3);

            intake.cycle().await.unwrap();
            assert_eq!(site.account.count("INBOX").unwrap(), 0);
            assert_eq!(site.account.count("Processed").unwrap(), total);
            assert_eq!(site.number(MESSAGES).await, i64::try_from(total).unwrap());
        }
        assert_eq!(
            unknown_records,
            usize::from(fault == CommitFault::Unanswered),
            "{fault:?}: stored, and nobody told"
        );
    }
    assert_eq!(intake.tally.duplicates.get(), 0);

    intake.store.release_lease(&intake.lease).await.unwrap();
    assert_eq!(run(&site.config_file(MOVE, ""), &["drain"]).await.0, Some(0));
    assert_promise(&site, total).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_with_the_database_may_be_cut_anywhere() {
    let mut site = Site::new().await;
    let proxy = site.database.proxy().await.unwrap();
    site.database_url = site.database.url_through(&proxy);
    let intake = Intake::of(&site).await;
    let mut all = mails(400).into_iter();
    let mut total = 0;
    let mut cuts = 0;

    for (direction, step) in [(Direction::ToServer, 701), (Direction::ToClient, 131)] {
        for bytes in (0..).step_by(step) {
            let before = proxy.strikes();
            total += 2;
            site.account.deliver_many(all.by_ref().take(2)).unwrap();
            proxy.cut_after(direction, bytes);
            // No error if the connection was only being looked at: then another one is made.
            let broken = intake.cycle().await;
            proxy.pass();
            assert!(
                matches!(broken, Ok(_) | Err(intake::Error::Store(store::Error::Database(_)))),
                "{broken:?}"
            );
            assert_only_committed_mail_left(&site, total).await;
            if proxy.strikes() == before {
                break;
            }
            cuts += 1;
            intake.cycle().await.unwrap();
            assert_eq!(
                site.account.count("Processed").unwrap(),
                total,
                "{direction:?} cut after {bytes} bytes"
            );
            assert_eq!(site.number(MESSAGES).await, i64::try_from(total).unwrap(), "{direction:?} {bytes}");
        }
    }
    assert!(cuts > 20, "{cuts} cuts");
    assert_eq!((intake.tally.duplicates.get(), intake.tally.held.get()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_are_lost_and_unanswered_while_the_worker_runs() {
    let mut site = Site::new().await;
    let proxy = site.database.proxy().await.unwrap();
    site.database_url = site.database.url_through(&proxy);
    let _worker = settled_worker(&site, "").await;

    // Whichever transaction it hits, of intake or of delivery.
    for (struck, fault) in [(1, CommitFault::Lost), (2, CommitFault::Unanswered)] {
        proxy.at_commit(3, fault);
        let half = later_mails().into_iter().skip(5 * (struck - 1)).take(5);
        site.account.deliver_many(half).unwrap();
        proxy.wait_for_strikes(struck, LIMIT).await.unwrap();
    }

    wait_for_promise(&site, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_notification_delays_a_delivery_and_loses_none() {
    let mut site = Site::new().await;
    let proxy = site.database.proxy().await.unwrap();
    site.database_url = site.database.url_through(&proxy);
    let _worker = settled_worker(&site, "[delivery]\npoll_interval = \"1s\"").await;
    let listening = "SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    wait_for_rows(&site, listening, 1).await;

    // Killed: another comes in its place.
    let killed = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                  WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    site.database.rows(killed).await.unwrap();
    site.account.deliver_many(later_mails()).unwrap();

    wait_for_promise(&site, 20).await;
    wait_for_rows(&site, listening, 1).await;
}

/// A store with one connection for everything but listening, behind a proxy.
async fn narrow_store() -> (Site, TcpProxy, Store) {
    let mut site = Site::new().await;
    let proxy = site.database.proxy().await.unwrap();
    site.database_url = site.database.url_through(&proxy);
    let mut config = site.config(MOVE, "");
    config.database.max_connections = 2;
    let store = Store::connect(&config.database).await.unwrap();
    store.migrate().await.unwrap();
    store.standing("support").await.unwrap();
    (site, proxy, store)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_that_died_without_a_word_is_replaced() {
    let (_site, proxy, store) = narrow_store().await;

    proxy.forget();

    store.standing("support").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_died_in_the_middle_of_a_statement_is_replaced() {
    let (site, proxy, store) = narrow_store().await;
    let mut lock = PgConnection::connect(site.database.url()).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE ledger").execute(&mut lock).await.unwrap();
    let waiting = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";

    tokio::select! {
        answer = store.standing("support") => panic!("it was to wait: {answer:?}"),
        () = wait_for_rows(&site, waiting, 1) => {}
    }
    proxy.forget();
    lock.close().await.unwrap();

    store.standing("support").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_whose_connection_died_without_a_word_makes_another() {
    let (site, proxy, store) = narrow_store().await;
    let mut listener = store.listen(Duration::from_millis(50));
    listener.wait().await.unwrap();

    proxy.forget();
    let silent = timeout(LIMIT, listener.wait()).await.unwrap();
    assert!(matches!(silent, Err(store::Error::Database(_))), "{silent:?}");
    // What came meanwhile was missed, so a new connection is news in itself.
    timeout(LIMIT, listener.wait()).await.unwrap().unwrap();

    let (heard, _) =
        tokio::join!(timeout(LIMIT, listener.wait()), site.database.rows("NOTIFY postroom_deliveries"));
    heard.unwrap().unwrap();
}

/// Makes PostgreSQL cancel, as its time limit does, each statement that stores as many messages as `when` says.
async fn cancel_inserts(site: &Site, when: &str) {
    let trigger = format!(
        "CREATE FUNCTION cancel() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF (SELECT {when} FROM added) THEN
                 PERFORM pg_cancel_backend(pg_backend_pid());
                 PERFORM pg_sleep_for('1 minute');
             END IF;
             RETURN NULL;
         END $$;
         CREATE TRIGGER cancel AFTER INSERT ON messages REFERENCING NEW TABLE AS added
         FOR EACH STATEMENT EXECUTE FUNCTION cancel()"
    );
    site.database.rows(&trigger).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_takes_too_long_is_halved() {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    cancel_inserts(&site, "count(*) > 3").await;
    site.account.deliver_many(mails(12)).unwrap();

    intake.cycle().await.unwrap();

    assert_eq!((site.number(MESSAGES).await, site.account.count("INBOX").unwrap()), (12, 0));
    assert_eq!(intake.tally.held.get(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_at_which_the_database_fails_is_tried_again_and_then_delays_no_other() {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    cancel_inserts(&site, "bool_or(subject = 'About m5')").await;
    site.account.deliver_many(mails(12)).unwrap();

    let mut failures = 0;
    while let Err(slow) = intake.cycle().await {
        assert!(matches!(slow, intake::Error::Store(store::Error::TooSlow(_))), "{slow:?}");
        failures += 1;
        assert!(failures < 20, "it never ends");
    }
    assert!(failures > 5, "databases fail for many reasons: {failures} tries");
    assert_only_committed_mail_left(&site, 12).await;
    assert_eq!(site.number(MESSAGES).await, 11);
    let held = "SELECT reason FROM ledger WHERE state = 'held'";
    assert_eq!(site.database.value(held).await.unwrap(), "PostgreSQL fails when it is stored");

    site.database.rows("DROP TRIGGER cancel ON messages").await.unwrap();
    site.database.rows("UPDATE ledger SET retry_at = now() WHERE state = 'held'").await.unwrap();
    intake.cycle().await.unwrap();

    assert_eq!((site.number(MESSAGES).await, site.account.count("INBOX").unwrap()), (12, 0));
    assert_eq!(site.number("SELECT count(*) FROM messages WHERE degraded IS NOT NULL").await, 0);
}
