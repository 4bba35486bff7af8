//! Mail out of files.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::support::{Intake, LIMIT, MESSAGES, MOVE, Site, mail, mails, postroom, run, start, wait_for_rows};
use devstack::{Worker, samples};
use rustix::process::Signal;
use serde_json::json;

/// A folder with one mail in an .eml file, two in an mbox and one in a Maildir; and files that are no mail.
fn archive() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("a/one.eml", &mail("one", ""));
    write("a/empty.eml", b"");
    write("a/notes.txt", b"no mail");
    let envelope = b"From ann@example.com Mon Jan  5 10:00:00 2026\n".as_slice();
    write("b.mbox", &[envelope, &mail("two", ""), b"\n", envelope, &mail("three", "")].concat());
    write("m/new/.keep", b"");
    write("m/cur/1767607200.M1.host:2,S", &mail("four", "In-Reply-To: <one@example.com>\n"));
    folder
}

fn words(path: &Path) -> Vec<&str> {
    vec!["import", "--mailbox", "support", path.to_str().unwrap()]
}

async fn migrated(site: &Site) -> PathBuf {
    let config = site.config_file(MOVE, "[intake]\nbatch_messages = 10");
    assert_eq!(run(&config, &["migrate"]).await.0, Some(0));
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_out_of_files_is_filed_like_any_other_and_only_once() {
    let site = Site::new().await;
    let config = migrated(&site).await;
    let archive = archive();

    let (code, output, complaints) = run(&config, &words(archive.path())).await;

    assert_eq!(code, Some(1), "one file is broken: {complaints}");
    assert!(output.contains("support: 4 imported, 0 duplicates, 1 failed"), "{output}");
    assert!(complaints.contains("a/empty.eml: it is empty"), "{complaints}");
    assert_eq!(site.number(MESSAGES).await, 4);
    assert_eq!(site.number("SELECT count(*) FROM tickets").await, 3, "the reply is in its ticket");
    for table in ["ledger", "deliveries"] {
        assert_eq!(site.number(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
    let dated = "SELECT count(*) FROM messages
                 WHERE message_id = 'four@example.com' AND received_at = '2026-01-05T10:00:00Z'";
    assert_eq!(site.number(dated).await, 1, "the Maildir says when it came");

    let (_, output, _) = run(&config, &words(archive.path())).await;
    assert!(output.contains("support: 0 imported, 4 duplicates, 1 failed"), "{output}");
    assert_eq!(site.number(MESSAGES).await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_mail_out_of_a_file_and_out_of_the_mailbox_is_one() {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    let folder = tempfile::tempdir().unwrap();
    for (number, sample) in samples().iter().enumerate() {
        fs::write(folder.path().join(format!("{number}.eml")), sample.bytes).unwrap();
    }
    site.account.deliver_many(samples().iter().map(|sample| sample.bytes.to_vec())).unwrap();
    intake.cycle().await.unwrap();
    let stored = site.number(MESSAGES).await;

    let (_, output, complaints) = run(&site.config_file(MOVE, ""), &words(folder.path())).await;

    // Dovecot gives another byte for NUL.
    assert!(
        output.contains(&format!("support: 1 imported, {} duplicates", stored - 1)),
        "{output}{complaints}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn imported_mail_is_never_settled_and_told_of_only_if_that_is_wanted() {
    let site = Site::new().await;
    let config = migrated(&site).await;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.eml"), mail("quiet", "")).unwrap();
    run(&config, &words(folder.path())).await;
    fs::write(folder.path().join("b.eml"), mail("told", "")).unwrap();

    let (code, ..) = run(&config, &[words(folder.path()), vec!["--announce"]].concat()).await;
    assert_eq!(code, Some(0));
    // The copy of an imported mail in the mailbox is dealt with there, as the copy of any other.
    site.account.deliver(&mail("quiet", "")).unwrap();
    site.account.deliver(&mail("fetched", "")).unwrap();
    let (code, ..) = run(&config, &["drain"]).await;

    assert_eq!(code, Some(0));
    assert_eq!((site.account.count("INBOX").unwrap(), site.account.count("Processed").unwrap()), (0, 2));
    assert_eq!(site.number(MESSAGES).await, 3);
    let told: Vec<serde_json::Value> = site
        .helpdesk
        .requests()
        .iter()
        .map(|request| serde_json::from_slice(&request.body).unwrap())
        .collect();
    let source = |subject: &str| {
        let event = told.iter().find(|event| event["data"]["message"]["subject"] == subject).unwrap();
        event["data"]["source"].clone()
    };
    assert_eq!(told.len(), 2);
    let nowhere = json!({"mailbox": "support", "folder": null, "uidvalidity": null, "uid": null});
    assert_eq!(source("About told"), nowhere);
    assert!(source("About fetched")["uid"].is_number());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_interrupted_or_killed_goes_on_where_it_was() {
    let site = Site::new().await;
    let config = migrated(&site).await;
    let folder = tempfile::tempdir().unwrap();
    let mbox: Vec<u8> = mails(3_000)
        .iter()
        .flat_map(|mail| {
            [b"From ann@example.com Mon Jan  5 10:00:00 2026\n", mail.as_slice(), b"\n"].concat()
        })
        .collect();
    let path = folder.path().join("mbox");
    fs::write(&path, mbox).unwrap();
    let arguments = words(&path);

    let mut worker = start(&config, &arguments);
    wait_for_rows(&site, MESSAGES, 50).await;
    worker.signal(Signal::INT).unwrap();
    let status = worker.wait(LIMIT).await.unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(worker.stdout().unwrap().contains("stopped before the end"), "{}", worker.log_tail());
    let stored = site.number(MESSAGES).await;
    assert!(stored < 3_000);

    let mut command = postroom(&config, &arguments);
    command.env("POSTROOM_TEST_DIE_AT", "before_commit:20");
    assert!(!Worker::start(&command).unwrap().wait(LIMIT).await.unwrap().success());

    let (code, output, complaints) = run(&config, &arguments).await;
    assert_eq!(code, Some(0), "{output}{complaints}");
    assert_eq!(site.number(MESSAGES).await, 3_000);
    assert_eq!(site.number("SELECT count(*) FROM sources").await, 3_000);
    let count = "SELECT count(*) FROM tickets t WHERE message_count
                 <> (SELECT count(*) FROM messages m WHERE m.ticket_id = t.id)";
    assert_eq!(site.number(count).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_beside_a_worker_doubles_nothing() {
    let site = Site::new().await;
    let config = migrated(&site).await;
    let folder = tempfile::tempdir().unwrap();
    let mails = mails(400);
    for (number, mail) in mails.iter().enumerate() {
        fs::write(folder.path().join(format!("{number:04}.eml")), mail).unwrap();
    }
    site.account.deliver_many(mails).unwrap();

    let worker = start(&config, &["run"]);
    let (code, output, complaints) = run(&config, &words(folder.path())).await;
    assert_eq!(code, Some(0), "{output}{complaints}");
    site.account.wait_for_count("INBOX", 0, LIMIT).await.unwrap();
    worker.signal(Signal::TERM).unwrap();

    assert_eq!(site.number(MESSAGES).await, 400);
    assert_eq!(site.account.count("Processed").unwrap(), 400);
    assert_eq!(site.number("SELECT count(*) FROM tickets").await, 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_postgresql_refuses_delays_no_other_of_its_batch() {
    let site = Site::new().await;
    let config = migrated(&site).await;
    let archive = archive();
    site.database
        .rows("ALTER TABLE messages ADD CONSTRAINT odd CHECK (message_id <> 'three@example.com')")
        .await
        .unwrap();

    let (_, output, complaints) = run(&config, &words(archive.path())).await;

    assert!(output.contains("support: 4 imported"), "{output}{complaints}");
    assert_eq!(site.number("SELECT count(*) FROM messages WHERE degraded IS NOT NULL").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_name_of_any_bytes_is_taken() {
    let site = Site::new().await;
    let config = migrated(&site).await;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(std::ffi::OsStr::from_bytes(b"\xff\n.eml")), mail("odd", "")).unwrap();

    let (code, output, complaints) = run(&config, &words(folder.path())).await;

    assert_eq!(code, Some(0), "{output}{complaints}");
}
