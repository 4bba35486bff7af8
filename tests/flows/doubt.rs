//! What is kept on doubt: mail that kills the worker, mail that PostgreSQL refuses, mail that seemed gone.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{
    Intake, LIMIT, MESSAGES, MOVE, Site, assert_promise, expire_leases, mail, mails, postroom, run,
    wait_for_rows,
};
use devstack::Worker;
use postroom::message::{Listed, Uid, UidSet, UidValidity};
use postroom::store::{Due, Folder, Store, Which};
use sqlx::{Connection, Executor, PgConnection};

const DEADLY: (&str, &str) = ("POSTROOM_TEST_DIE_READING", "X-Deadly");

/// Runs `drain` again and again, each time with a reason to die in its environment, until it does not. How often it did.
async fn drain_dying(config: &Path, (name, value): (&str, &str), site: &Site) -> u32 {
    let mut deaths = 0;
    loop {
        let mut command = postroom(config, &["drain"]);
        command.env(name, value);
        let mut worker = Worker::start(&command).unwrap();
        let status = worker.wait(LIMIT).await.unwrap();
        if status.code().is_some() {
            return deaths;
        }
        deaths += 1;
        assert!(deaths < 20, "it is not found out");
        expire_leases(site).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_kills_the_worker_is_set_aside_and_the_rest_goes_on() {
    let site = Site::new().await;
    let config = site.config_file(MOVE, "");
    let mut all = mails(30);
    let deadly = mail("deadly", "X-Deadly: yes\n");
    all.insert(12, deadly.clone());
    site.account.deliver_many(all).unwrap();

    let deaths = drain_dying(&config, DEADLY, &site).await;

    // 31 together, 31 as one eighth of 400, 6 or fewer, alone, and alone again.
    assert_eq!(deaths, 5);
    assert_eq!(site.number(MESSAGES).await, 30);
    assert_eq!(site.account.count("INBOX").unwrap(), 1, "the original stays");
    assert_eq!(site.account.count("Processed").unwrap(), 30);
    let (_, listed, _) = run(&config, &["held", "list"]).await;
    assert!(listed.contains("workers died") && listed.contains("by hand"), "{listed}");
    let (_, json, _) = run(&config, &["held", "list", "--json"]).await;
    let uid: u32 = json.split("\"uid\": ").nth(1).unwrap().split(',').next().unwrap().parse().unwrap();
    assert!(json.contains("\"set_aside\": true"), "{json}");

    // Its source can be looked at without reading it as mail.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deadly.eml");
    let place = format!("support/{uid}");
    let export = ["held", "export", &place, "--output", file.to_str().unwrap()];
    let (code, _, err) = run(&config, &export).await;
    assert_eq!(code, Some(0), "{err}");
    let crlf = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\n', "\r\n").into_bytes();
    assert_eq!(std::fs::read(&file).unwrap(), crlf(&deadly));
    let (code, _, err) = run(&config, &export).await;
    assert_eq!(code, Some(1), "a file is not overwritten");
    assert!(err.contains("deadly.eml"), "{err}");

    // A later version can read it.
    let (code, out, _) = run(&config, &["held", "retry", "--all"]).await;
    assert_eq!((code, out.as_str()), (Some(0), "1 held messages are taken in at the next cycle.\n"));
    assert_eq!(run(&config, &["drain"]).await.0, Some(0));
    assert_promise(&site, 31).await;
    assert_eq!(site.number("SELECT count(*) FROM set_aside").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_over_which_a_stage_panics_is_set_aside_and_the_rest_goes_on() {
    let site = Site::new().await;
    let config = site.config_file(MOVE, "[intake]\nbatch_messages = 4");
    let mut all = mails(6);
    all.insert(2, mail("deadly", "X-Deadly: yes\n"));
    site.account.deliver_many(all).unwrap();
    let mut command = postroom(&config, &["run"]);
    command.env("POSTROOM_TEST_PANIC_READING", "X-Deadly");
    let mut worker = Worker::start(&command).unwrap();

    wait_for_rows(&site, "SELECT count(*) FROM ledger WHERE state = 'held'", 1).await;
    wait_for_rows(&site, MESSAGES, 6).await;

    assert!(worker.ended().unwrap().is_none(), "the process goes on");
    site.account.wait_for_count("Processed", 6, LIMIT).await.unwrap();
    assert_eq!(site.account.count("INBOX").unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadly_mail_in_one_mailbox_sets_nothing_aside_in_another() {
    let site = Site::new().await;
    let sales = site.dovecot.account("sales").unwrap();
    let config = site.config_file(MOVE, "");
    let text = std::fs::read_to_string(&config).unwrap();
    let (start, end) = (text.find("[[mailbox]]").unwrap(), text.find("[[webhook]]").unwrap());
    let second = text[start..end]
        .replace("name = \"support\"", "name = \"sales\"")
        .replace(site.account.user(), sales.user())
        .replace(site.account.password(), sales.password());
    std::fs::write(&config, format!("{second}\n{text}").replacen("\n            [[", "\n[[", 1)).unwrap();
    site.account.deliver_many([mail("deadly", "X-Deadly: yes\n"), mail("a", ""), mail("b", "")]).unwrap();
    sales.deliver_many(mails(40)).unwrap();

    drain_dying(&config, DEADLY, &site).await;

    let held = "SELECT string_agg(m.name || ' ' || l.uid, ',') FROM ledger l
                JOIN mailboxes m ON m.id = l.mailbox_id WHERE l.state = 'held'";
    assert_eq!(site.database.value(held).await.unwrap(), "support 1");
    assert_eq!(site.number(MESSAGES).await, 42);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_kills_even_the_worker_that_sets_it_aside_is_held_without_its_source() {
    let site = Site::new().await;
    let config = site.config_file(MOVE, "");
    site.account.deliver(&mail("deadly", "")).unwrap();

    let deaths = drain_dying(&config, ("POSTROOM_TEST_DIE_AT", "before_fetch:1"), &site).await;

    // Twice before it is known to be alone at fault, once when it is set aside.
    assert_eq!(deaths, 4);
    let (_, json, _) = run(&config, &["held", "list", "--json"]).await;
    assert!(json.contains("workers died") && json.contains("\"set_aside\": false"), "{json}");
    assert_eq!(site.account.count("INBOX").unwrap(), 1);
    // Then it comes out of the mailbox.
    let (code, source, _) = run(&config, &["held", "export", "support/1"]).await;
    assert_eq!((code, source.contains("Hello, this is deadly.")), (Some(0), true));
}

async fn seen(site: &Site, count: u32) -> (Store, Folder) {
    let intake = Intake::of(site).await;
    let (folder, _) =
        intake.store.open_folder(&intake.lease, UidValidity(7), None, Duration::from_hours(1)).await.unwrap();
    let listed: Vec<Listed> =
        (1..=count).map(|uid| Listed { uid: Uid(uid), size: 1, internal_date: None }).collect();
    intake.store.see(&folder, &listed, Uid(count)).await.unwrap();
    (intake.store, folder)
}

fn uids(uids: impl IntoIterator<Item = u32>) -> UidSet {
    uids.into_iter().map(Uid).collect()
}

fn tries(due: &[Due]) -> Vec<(u32, u32)> {
    due.iter().map(|due| (due.crashes, due.crashes_alone)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_worker_had_in_hand_is_known_to_the_next() {
    let site = Site::new().await;
    let (store, folder) = seen(&site, 4).await;
    let _dead = store.take_in_hand(&folder, &uids([1, 2]), true).await.unwrap();
    let _alone = store.take_in_hand(&folder, &uids([3]), true).await.unwrap();
    let done = store.take_in_hand(&folder, &uids([4]), false).await.unwrap();
    store.put_down(done).await.unwrap();

    // While it lives it may take its lease again.
    assert!(store.acquire_lease("support", &"second".into()).await.unwrap().is_none());
    expire_leases(&site).await;
    let lease = store.acquire_lease("support", &"second".into()).await.unwrap().unwrap();

    let (next, _) = store.open_folder(&lease, UidValidity(7), None, Duration::from_hours(1)).await.unwrap();
    assert_eq!(tries(&store.to_fetch(&next, Uid(0), 10).await.unwrap()), [(1, 0), (1, 0), (1, 1), (0, 0)]);
    let late = store.take_in_hand(&folder, &uids([4]), false).await;
    assert!(matches!(late, Err(postroom::store::Error::LeaseLost)), "{late:?}");
    assert!(store.confirm_lease(&folder.lease).await.is_err() && store.confirm_lease(&lease).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_record_holds_up_a_takeover_and_nothing_else() {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    let (store, lease) = (intake.store.clone(), intake.lease.clone());
    site.account.deliver_many(mails(3)).unwrap();
    let mut lock = PgConnection::connect(site.database.url()).await.unwrap();
    lock.execute("BEGIN; LOCK TABLE sources").await.unwrap();
    let recording = tokio::spawn(async move { intake.cycle().await });
    wait_for_waiting(&site, 1).await;

    // Within the transaction, the worker lists on and renews its lease.
    let folder = Folder { lease: lease.clone(), uidvalidity: UidValidity(7) };
    let listed = [Listed { uid: Uid(1), size: 1, internal_date: None }];
    store.see(&folder, &listed, Uid(1)).await.unwrap();
    store.confirm_lease(&lease).await.unwrap();
    expire_leases(&site).await;
    let taking = tokio::spawn(async move { store.acquire_lease("support", &"second".into()).await });
    wait_for_waiting(&site, 2).await;
    lock.execute("COMMIT").await.unwrap();

    assert!(taking.await.unwrap().unwrap().is_some());
    // What was within the fence is stored, and what came after it is refused.
    drop(recording.await.unwrap());
    assert_eq!(site.number(MESSAGES).await, 3);
}

/// Waits until so many wait for a lock.
async fn wait_for_waiting(site: &Site, count: i64) {
    let waiting = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    wait_for_rows(site, waiting, count).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_lives_has_not_died_over_anything() {
    let site = Site::new().await;
    let (store, folder) = seen(&site, 3).await;

    // It takes its own lease again, after trouble with a server.
    let _first = store.take_in_hand(&folder, &uids([1]), false).await.unwrap();
    let lease = store.acquire_lease("support", &"first".into()).await.unwrap().unwrap();
    let (folder, _) = store.open_folder(&lease, UidValidity(7), None, Duration::from_hours(1)).await.unwrap();
    // It gives it back.
    let _second = store.take_in_hand(&folder, &uids([2]), false).await.unwrap();
    store.release_lease(&lease).await.unwrap();
    // It ends at once, in the middle of something, and says so.
    let holder: Arc<str> = "second".into();
    let lease = store.acquire_lease("support", &holder).await.unwrap().unwrap();
    let (folder, _) = store.open_folder(&lease, UidValidity(7), None, Duration::from_hours(1)).await.unwrap();
    let _third = store.take_in_hand(&folder, &uids([3]), true).await.unwrap();
    store.release_all(&holder).await.unwrap();

    let lease = store.acquire_lease("support", &"third".into()).await.unwrap().unwrap();
    let (folder, _) = store.open_folder(&lease, UidValidity(7), None, Duration::from_hours(1)).await.unwrap();
    assert_eq!(tries(&store.to_fetch(&folder, Uid(0), 10).await.unwrap()), [(0, 0); 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_set_aside_outlives_its_original() {
    let site = Site::new().await;
    let (store, folder) = seen(&site, 2).await;
    let source = postroom::store::Source::compress(b"unread").unwrap();
    store.set_aside(&folder, Uid(1), Some(&source), "no").await.unwrap();
    assert_eq!(store.retry_held(Which::One("support", Uid(1))).await.unwrap(), 1);
    assert_eq!(store.retry_held(Which::Mailbox("support")).await.unwrap(), 0);

    // By then somebody has deleted both.
    store.gone(&folder, &uids([1, 2])).await.unwrap();

    let held = store.list_held(Which::All, 10).await.unwrap();
    assert_eq!(held.iter().map(|line| (line.uid, line.set_aside)).collect::<Vec<_>>(), [(1, true)]);
    let kept = store.source_set_aside("support", Uid(1)).await.unwrap().unwrap();
    assert_eq!(kept.unpack().unwrap(), b"unread");
    assert!(store.source_set_aside("support", Uid(2)).await.unwrap().is_none());
}

/// Makes PostgreSQL refuse what goes into `table` when `condition` holds.
async fn refuse(site: &Site, table: &str, condition: &str) {
    let function = "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                    $$ BEGIN RAISE EXCEPTION 'canary' USING ERRCODE = 'untranslatable_character'; END $$";
    site.database.rows(function).await.unwrap();
    let trigger = format!(
        "CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION refuse()"
    );
    site.database.rows(&trigger).await.unwrap();
}

const DEGRADED: &str = "SELECT subject, text, degraded, array_to_string(defects, ' ') FROM messages
                        WHERE degraded IS NOT NULL";

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_postgresql_refuses_becomes_a_degraded_ticket() {
    let site = Site::new().await;
    let config = site.config_file(MOVE, "");
    assert_eq!(run(&config, &["migrate"]).await.0, Some(0));
    refuse(&site, "messages", "NEW.text LIKE 'Hello, this is m5.%'").await;
    site.account.deliver_many(mails(12)).unwrap();

    let (code, _, err) = run(&config, &["drain"]).await;

    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("SQLSTATE 22P05") && !err.contains("canary"), "{err}");
    assert_promise(&site, 12).await;
    let [subject, text, degraded, defects]: [String; 4] =
        site.database.rows(DEGRADED).await.unwrap().remove(0).try_into().unwrap();
    assert_eq!((subject.as_str(), text.as_str(), defects.as_str()), ("About m5", "", "degraded"));
    assert!(degraded.contains("canary"), "{degraded}");
    let told =
        site.helpdesk.requests().iter().any(|r| String::from_utf8_lossy(&r.body).contains("\"degraded\""));
    assert!(told, "the helpdesk hears of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_with_one_bad_message_is_recorded_without_it() {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    refuse(&site, "messages", "NEW.subject = 'About m5'").await;
    site.account.deliver_many(mails(12)).unwrap();

    // Even its header is refused: what is left is its source.
    intake.cycle().await.unwrap();

    let rows = site.database.rows(DEGRADED).await.unwrap();
    assert_eq!(rows.iter().map(|row| row[0].as_str()).collect::<Vec<_>>(), [""]);
    assert_eq!((site.number(MESSAGES).await, site.account.count("INBOX").unwrap()), (12, 0));
    assert_eq!(site.number("SELECT count(*) FROM sources").await, 12);

    // A copy of it is known for one.
    site.account.deliver(&mails(6)[5]).unwrap();
    intake.cycle().await.unwrap();
    assert_eq!((site.number(MESSAGES).await, site.account.count("INBOX").unwrap()), (12, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_whose_source_is_refused_is_held() {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    refuse(&site, "sources", "NEW.size > 1000").await;
    let mut large = mail("large", "");
    large.extend("A line.\n".repeat(200).into_bytes());
    site.account.deliver_many([mail("a", ""), large, mail("b", "")]).unwrap();

    intake.cycle().await.unwrap();

    assert_eq!(site.number(MESSAGES).await, 2);
    assert_eq!(site.account.count("INBOX").unwrap(), 1);
    let held = "SELECT reason FROM ledger WHERE state = 'held'";
    let reason = site.database.value(held).await.unwrap();
    assert_eq!(reason, "PostgreSQL refuses it, even without its content");

    // Mended, its retry stores it whole.
    site.database.rows("DROP TRIGGER refuse ON sources").await.unwrap();
    assert_eq!(intake.store.retry_held(Which::All).await.unwrap(), 1);
    intake.cycle().await.unwrap();
    assert_eq!((site.number(MESSAGES).await, site.account.count("INBOX").unwrap()), (3, 0));
    assert_eq!(site.number("SELECT count(*) FROM messages WHERE degraded IS NOT NULL").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_folder_and_not_accounted_for_is_looked_for_again() {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    site.account.deliver_many(mails(3)).unwrap();
    intake.cycle().await.unwrap();

    // One seemed gone, one has an UID that a message had that was settled, one never was listed.
    site.account.deliver_many([mail("gone", ""), mail("again", ""), mail("below", "")]).unwrap();
    site.database
        .rows(
            "INSERT INTO ledger (mailbox_id, uidvalidity, uid, size, state, settled_at)
             SELECT id, uidvalidity, 4, 1, 'gone', NULL FROM mailboxes UNION
             SELECT id, uidvalidity, 5, 1, 'settled', now() FROM mailboxes;
             UPDATE mailboxes SET watermark = 6",
        )
        .await
        .unwrap();
    intake.cycle().await.unwrap();
    assert_eq!(site.account.count("INBOX").unwrap(), 3, "an hour has not passed");

    site.database.rows("UPDATE mailboxes SET swept_at = now() - interval '61 minutes'").await.unwrap();
    intake.cycle().await.unwrap();

    assert_eq!((site.number(MESSAGES).await, site.account.count("INBOX").unwrap()), (6, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_for_good_and_taken_out_by_hand_is_held_no_more() {
    let site = Site::new().await;
    let limits = "[intake]\nmax_message_bytes = 2000\nbatch_bytes = 1000";
    let intake = Intake::new(site.config(MOVE, limits)).await;
    let mut large = mail("large", "");
    large.extend("A long line of nothing much.\n".repeat(200).into_bytes());
    site.account.deliver(&large).unwrap();
    intake.cycle().await.unwrap();
    assert_eq!(intake.store.list_held(Which::All, 10).await.unwrap().len(), 1);

    for file in std::fs::read_dir(site.account.maildir().join("cur")).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    site.database.rows("UPDATE mailboxes SET swept_at = NULL").await.unwrap();
    intake.cycle().await.unwrap();

    assert_eq!(intake.store.list_held(Which::All, 10).await.unwrap().len(), 0);
    assert_eq!(site.number(MESSAGES).await, 1, "its header is in its ticket");
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_mail_is_not_settled_by_a_uid_that_may_be_anothers() {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    site.account.deliver_many(mails(3)).unwrap();
    intake.cycle().await.unwrap();
    // A crash left one unsettled. Then the folder had another UIDVALIDITY, and this one came back with other mail.
    site.account.deliver_many([mail("other", "")]).unwrap();
    site.database
        .rows(
            "INSERT INTO ledger (mailbox_id, uidvalidity, uid, size, state, message_id)
             SELECT mailbox_id, uidvalidity, 4, size, 'recorded', message_id FROM ledger WHERE uid = 1;
             UPDATE mailboxes SET uidvalidity = 1, watermark = 4",
        )
        .await
        .unwrap();

    intake.cycle().await.unwrap();

    assert_eq!((site.number(MESSAGES).await, site.account.count("INBOX").unwrap()), (4, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_is_kept_is_accounted_for() {
    let site = Site::new().await;
    let intake = Intake::new(site.config(r#"{ kind = "keep" }"#, "")).await;
    site.account.deliver_many(mails(3)).unwrap();
    intake.cycle().await.unwrap();

    // A later policy does not touch it, not even when it is listed again.
    site.database.rows("UPDATE mailboxes SET swept_at = NULL").await.unwrap();
    let emptied = Intake { config: site.config(MOVE, ""), ..intake };
    emptied.cycle().await.unwrap();

    assert_eq!(site.account.count("INBOX").unwrap(), 3);
    assert_eq!(site.number("SELECT count(*) FROM ledger WHERE state = 'settled'").await, 3);
}
