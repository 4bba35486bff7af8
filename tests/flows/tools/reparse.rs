//! Stored sources, read again.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::{Intake, MESSAGES, MOVE, Site, mail, mails, run};
use devstack::samples;
use serde_json::Value;

/// The lines of `reparse --json`, the last apart.
async fn reparse(config: &Path, more: &[&str]) -> (Vec<Value>, Value) {
    let (_, output, complaints) = run(config, &[&["reparse", "--json"], more].concat()).await;
    let mut lines: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = lines.pop().ok_or(complaints).unwrap();
    (lines, summary)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_just_stored_reads_the_same() {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    let config = site.config_file(MOVE, "[intake]\nbatch_messages = 20");
    site.account.deliver_many(samples().iter().map(|sample| sample.bytes.to_vec())).unwrap();
    intake.cycle().await.unwrap();
    let golden: Vec<_> = fs::read_dir("tests/mail").unwrap().map(|entry| entry.unwrap().path()).collect();
    let golden = golden.iter().filter(|path| path.extension().is_some_and(|extension| extension == "eml"));
    let golden: Vec<&str> = golden.map(|path| path.to_str().unwrap()).collect();
    run(&config, &[vec!["import", "--mailbox", "support"], golden].concat()).await;

    let (changed, summary) = reparse(&config, &[]).await;

    assert_eq!(changed, Vec::<Value>::new());
    assert_eq!(summary["read"].as_i64(), Some(site.number(MESSAGES).await));
    assert_eq!((&summary["changed"], &summary["failed"]), (&0.into(), &0.into()));
}

/// Columns of `messages` that do not follow from the source.
const OTHERS: [&str; 15] = [
    "id",
    "mailbox_id",
    "ticket_id",
    "sequence",
    "fingerprint",
    "received_at",
    "filing_rule",
    "filing_evidence",
    "filing_confidence",
    "filing_action",
    "filing_considered",
    "related_ticket_id",
    "rules",
    "recorded_at",
    "degraded",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_column_that_follows_from_the_source_is_compared_and_put_right() {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    let config = site.config_file(MOVE, "");
    let whole = samples().iter().find(|sample| sample.name.contains("two-text-files")).unwrap();
    site.account.deliver(whole.bytes).unwrap();
    intake.cycle().await.unwrap();
    let all = "SELECT md5(string_agg(m::text || coalesce(a::text, '') || t::text, ',' ORDER BY m.id, a.part))
               FROM messages m JOIN tickets t ON t.id = m.ticket_id LEFT JOIN attachments a ON a.message_id = m.id";
    let before = site.database.value(all).await.unwrap();
    let columns = site
        .database
        .rows("SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'messages' AND table_schema = 'public'")
        .await
        .unwrap();
    let derived: Vec<Vec<String>> =
        columns.into_iter().filter(|row| !OTHERS.contains(&row[0].as_str())).collect();
    for row in &derived {
        let other = match row[1].as_str() {
            _ if row[0] == "verdict" => "'own_loop'",
            _ if row[0] == "protection" => "'pgp_signed'",
            "text" => "'x'",
            "jsonb" => r#"'["x"]'"#,
            "ARRAY" => "'{x}'",
            "bigint" => "-1",
            "smallint" => "1",
            "timestamp with time zone" => "'2001-01-01'",
            "boolean" => "NOT coalesce(suppress_auto_response, false)",
            other => panic!("what is another value of a column of type {other}?"),
        };
        site.database.rows(&format!("UPDATE messages SET {} = {other}", row[0])).await.unwrap();
    }
    site.database.rows("UPDATE attachments SET filename = 'x'").await.unwrap();
    site.database.rows("UPDATE messages SET fingerprint = sha256('x')").await.unwrap();
    site.database
        .rows("UPDATE tickets SET subject = 'x', requester_name = 'y', verdict = NULL")
        .await
        .unwrap();

    let (changed, summary) = reparse(&config, &["--apply"]).await;

    let found: BTreeSet<&str> =
        changed[0]["columns"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let expected: BTreeSet<&str> =
        derived.iter().map(|row| row[0].as_str()).chain(["attachments", "fingerprint"]).collect();
    assert_eq!(found, expected);
    assert_eq!(summary["applied"], true);
    assert_eq!(site.database.value(all).await.unwrap(), before, "it reads as it did");
    assert_eq!(reparse(&config, &[]).await.1["changed"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_changes_nothing_and_says_nothing_private() {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    let config = site.config_file(MOVE, "");
    site.account.deliver_many(mails(5)).unwrap();
    intake.cycle().await.unwrap();
    site.database
        .rows("UPDATE messages SET subject = 'garbled' WHERE message_id <> 'm0@example.com'")
        .await
        .unwrap();

    let (code, output, complaints) = run(&config, &["reparse", "--verbose"]).await;

    assert_eq!(code, Some(0), "{complaints}");
    assert!(
        output.contains("5 messages read again, of which 4 would change; --apply writes it down"),
        "{output}"
    );
    assert_eq!(output.matches(": subject\n").count(), 4, "{output}");
    assert!(!output.contains("About") && !output.contains("garbled") && !output.contains('@'), "{output}");
    assert_eq!(site.number("SELECT count(*) FROM messages WHERE subject = 'garbled'").await, 4);
    let deliveries = site.number("SELECT count(*) FROM deliveries").await;
    run(&config, &["reparse", "--apply"]).await;
    assert_eq!(site.number("SELECT count(*) FROM messages WHERE subject = 'garbled'").await, 0);
    assert_eq!(site.number("SELECT count(*) FROM deliveries").await, deliveries, "no event is sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_degraded_message_is_whole_again_once_postgresql_takes_it() {
    const DEGRADED: &str =
        "SELECT count(*) FROM messages WHERE degraded IS NOT NULL AND 'degraded' = ANY (defects)";
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    let config = site.config_file(MOVE, "");
    site.database
        .rows("ALTER TABLE messages ADD CONSTRAINT odd CHECK (text NOT LIKE '%this is a%')")
        .await
        .unwrap();
    site.account.deliver_many([mail("a", ""), mail("b", "")]).unwrap();
    intake.cycle().await.unwrap();
    assert_eq!(site.number(DEGRADED).await, 1);

    let (changed, summary) = reparse(&config, &["--apply"]).await;
    assert_eq!((changed.len(), &summary["failed"]), (0, &0.into()), "it is refused still");
    assert_eq!(site.number(DEGRADED).await, 1);

    site.database.rows("ALTER TABLE messages DROP CONSTRAINT odd").await.unwrap();
    let (changed, summary) = reparse(&config, &["--apply"]).await;

    assert_eq!((changed.len(), &summary["whole_again"]), (1, &1.into()), "{changed:?}");
    assert_eq!(site.number(DEGRADED).await, 0);
    assert_eq!(site.number("SELECT count(*) FROM messages WHERE text LIKE '%this is a%'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fingerprint_is_never_taken_from_another_message() {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    let config = site.config_file(MOVE, "");
    site.account.deliver_many(mails(6)).unwrap();
    intake.cycle().await.unwrap();
    // As if two that had been told apart were one now.
    site.database
        .rows(
            "UPDATE sources SET (size, bytes) = (SELECT s.size, s.bytes FROM sources s JOIN messages m ON m.id = s.message_id
                                                 WHERE m.message_id = 'm2@example.com')
             WHERE message_id = (SELECT id FROM messages WHERE message_id = 'm1@example.com')",
        )
        .await
        .unwrap();

    let (changed, summary) = reparse(&config, &["--apply", "--mailbox", "support"]).await;

    assert_eq!(changed.len(), 1, "{changed:?}");
    assert_eq!((&changed[0]["keeps_fingerprint"], &summary["keep_fingerprint"]), (&true.into(), &1.into()));
    assert_eq!(site.number("SELECT count(DISTINCT fingerprint) FROM messages").await, 6);
    assert_eq!(site.number("SELECT count(*) FROM messages WHERE message_id = 'm2@example.com'").await, 2);
    assert_eq!(
        site.number("SELECT count(DISTINCT ticket_id) FROM messages").await,
        5,
        "each is where it was"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_read_again_stays_and_stops_nothing() {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    let config = site.config_file(MOVE, "[intake]\nbatch_messages = 2");
    site.account.deliver_many(mails(6)).unwrap();
    intake.cycle().await.unwrap();
    let id = site
        .database
        .value("SELECT id::text FROM messages WHERE message_id = 'm2@example.com'")
        .await
        .unwrap();
    site.database
        .rows(&format!("UPDATE sources SET bytes = '\\x00' WHERE message_id = '{id}'"))
        .await
        .unwrap();
    site.database.rows("UPDATE messages SET from_name = 'x'").await.unwrap();

    let (code, output, complaints) = run(&config, &["reparse", "--apply"]).await;

    assert_eq!(code, Some(1));
    assert!(complaints.contains(&format!("message {id}: its stored source is damaged")), "{complaints}");
    assert!(output.contains("6 messages read again, of which 5 were changed"), "{output}");
    assert_eq!(site.number("SELECT count(*) FROM messages WHERE from_name = 'x'").await, 1);

    // Where an earlier run was stopped: the rest, and no more.
    let (changed, summary) = reparse(&config, &["--after", &id]).await;
    assert_eq!((changed.len(), &summary["read"]), (0, &3.into()));
    assert_eq!(reparse(&config, &["--since", "2099-01-01"]).await.1["read"], 0);
    assert_eq!(reparse(&config, &["--since", "2020-01-01"]).await.1["read"], 6);
}
