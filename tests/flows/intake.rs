//! The intake flow against a real Dovecot and a real PostgreSQL.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;

use crate::support::{Intake, MOVE, Site, mail, mails};
use devstack::{Options, samples};
use postroom::intake;
use postroom::intake::Tally;
use postroom::mailbox;
use postroom::store;
use sha2::{Digest, Sha256};

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn texts(sources: Vec<Vec<u8>>) -> BTreeSet<Vec<u8>> {
    sources.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_is_stored_before_it_leaves_the_inbox() {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    site.account.deliver_many(mails(25)).unwrap();

    site.database.rows("ALTER TABLE sources RENAME TO sources_away").await.unwrap();
    let failed = intake.cycle().await;

    // Together or not at all: what could not be stored whole is not there in part.
    assert!(matches!(failed, Err(intake::Error::Store(_))), "{failed:?}");
    assert_eq!(site.account.count("INBOX").unwrap(), 25);
    for table in ["tickets", "messages", "thread_keys", "deliveries"] {
        assert_eq!(site.number(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }

    site.database.rows("ALTER TABLE sources_away RENAME TO sources").await.unwrap();
    intake.cycle().await.unwrap();

    assert_eq!((site.account.count("INBOX").unwrap(), site.account.count("Processed").unwrap()), (0, 25));
    assert_eq!(
        site.number("SELECT count(*) FROM messages m JOIN sources s ON s.message_id = m.id").await,
        25
    );
    assert_eq!(site.number("SELECT count(*) FROM deliveries").await, 25);
    assert_eq!(site.number("SELECT count(*) FROM ledger WHERE state = 'settled'").await, 25);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_is_stored_as_it_was_and_moved() {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    let samples: Vec<Vec<u8>> = samples().iter().map(|sample| sample.bytes.to_vec()).collect();
    site.account.deliver_many(&samples).unwrap();
    let delivered = texts(site.account.sources("INBOX").unwrap());

    intake.cycle().await.unwrap();

    assert_eq!(site.account.count("INBOX").unwrap(), 0);
    assert_eq!(texts(site.account.sources("Processed").unwrap()), delivered);
    assert_eq!(site.number("SELECT count(*) FROM messages").await, i64::try_from(delivered.len()).unwrap());
    let sizes = "SELECT count(*) FROM messages m JOIN sources s ON s.message_id = m.id WHERE s.size = m.size";
    assert_eq!(site.number(sizes).await, i64::try_from(delivered.len()).unwrap());

    let stored = site
        .database
        .rows("SELECT message_id::text, size::text, encode(bytes, 'hex') FROM sources")
        .await
        .unwrap();
    let stored: BTreeMap<String, Vec<u8>> = stored
        .into_iter()
        .map(|row| {
            let [id, length, hex] = row.try_into().unwrap();
            (id, zstd::bulk::decompress(&unhex(&hex), length.parse().unwrap()).unwrap())
        })
        .collect();
    // On the way lines end in CRLF, and Dovecot gives 0x80 for NUL, which an IMAP literal can't carry.
    let on_the_wire = |source: &Vec<u8>| {
        let bytes = source.iter().map(|&byte| if byte == 0 { 0x80 } else { byte });
        bytes.filter(|&byte| byte != b'\r').collect::<Vec<u8>>()
    };
    let stored_sources: BTreeSet<Vec<u8>> = stored.values().map(on_the_wire).collect();
    let differing = delivered.iter().map(on_the_wire).filter(|source| !stored_sources.contains(source));
    let differing: Vec<String> =
        differing.map(|source| String::from_utf8_lossy(&source).into_owned()).collect();
    assert_eq!((differing, stored.len()), (Vec::new(), delivered.len()));

    // Attachments are not stored themselves: their bytes are found again in the source.
    let attachments = "SELECT message_id::text, part::text, encode(sha256, 'hex') FROM attachments";
    let attachments = site.database.rows(attachments).await.unwrap();
    assert!(attachments.len() > 5, "the samples have attachments");
    for row in attachments {
        let [id, part, sha256] = row.try_into().unwrap();
        let bytes = postroom::mail::attached(&stored[&id], part.parse().unwrap()).unwrap();
        assert_eq!(Sha256::digest(bytes).as_slice(), unhex(&sha256), "part {part}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_mail_twice_is_one_message() {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    site.account.deliver_many([mail("a", ""), mail("a", ""), mail("b", "")]).unwrap();
    intake.cycle().await.unwrap();
    site.account.deliver_many([mail("b", ""), mail("c", "")]).unwrap();
    intake.cycle().await.unwrap();

    assert_eq!(site.account.count("INBOX").unwrap(), 0);
    assert_eq!(site.number("SELECT count(*) FROM messages").await, 3);
    assert_eq!(site.number("SELECT count(*) FROM deliveries").await, 3);
    assert_eq!(intake.tally.duplicates.get(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_different_mails_with_one_message_id_are_two_messages() {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    let mut other = mail("a", "");
    other.extend(b"And something else.\n");
    site.account.deliver_many([mail("a", ""), other]).unwrap();

    intake.cycle().await.unwrap();

    assert_eq!(site.number("SELECT count(*) FROM messages").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_join_the_ticket_of_what_they_answer() {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    // In one batch, and over two cycles; by In-Reply-To, and by the newest known reference.
    site.account.deliver_many([mail("a", ""), mail("b", "In-Reply-To: <a@example.com>\n")]).unwrap();
    intake.cycle().await.unwrap();
    let references = "In-Reply-To: <lost@example.com>\nReferences: <a@example.com> <lost@example.com>\n";
    site.account.deliver_many([mail("c", references), mail("d", "Subject: Re: About a\n")]).unwrap();
    intake.cycle().await.unwrap();

    let rows = site
        .database
        .rows(
            "SELECT t.message_count::text, m.message_id, m.sequence::text, m.filing_rule
             FROM messages m JOIN tickets t ON t.id = m.ticket_id ORDER BY t.number, m.sequence",
        )
        .await
        .unwrap();
    let expected = [
        ["3", "a@example.com", "1", "opened"],
        ["3", "b@example.com", "2", "in_reply_to"],
        ["3", "c@example.com", "3", "references"],
        ["1", "d@example.com", "1", "opened"],
    ];
    assert_eq!(rows, expected);
    let kinds = "SELECT string_agg(event_type, ' ' ORDER BY id) FROM deliveries";
    assert_eq!(
        site.database.value(kinds).await.unwrap(),
        "ticket.created ticket.message.received ticket.message.received ticket.created"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reply_is_stored_beside_the_text() {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    let mut reply = mail("b", "In-Reply-To: <a@example.com>\n");
    reply.extend(b"\nOn Mon, 5 Jan 2026 at 10:00, Support wrote:\n> Hello\n> Ann\n");
    site.account.deliver_many([mail("a", ""), reply]).unwrap();

    intake.cycle().await.unwrap();

    let rows = site
        .database
        .rows(
            "SELECT text LIKE '%> Ann%', reply_text, reply_method, reply_confidence > 90
             FROM messages ORDER BY sequence",
        )
        .await
        .unwrap();
    let shown: Vec<Vec<&str>> = rows.iter().map(|row| row.iter().map(String::as_str).collect()).collect();
    assert_eq!(shown, [["f", "", "whole", "t"], ["t", "Hello, this is b.", "text_attribution", "t"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_move_leaves_the_mail_and_intake_goes_on() {
    let site = Site::new().await;
    let intake = Intake::new(site.config(MOVE, "[intake]\nbatch_messages = 5\nsettle_messages = 5")).await;
    site.account.deliver(&mail("first", "")).unwrap();
    intake.cycle().await.unwrap();
    let target = site.account.maildir().join(".Processed");
    let lock = |mode| {
        for part in ["cur", "new", "tmp", ""] {
            std::fs::set_permissions(target.join(part), std::fs::Permissions::from_mode(mode)).unwrap();
        }
    };

    lock(0o500);
    site.account.deliver_many(mails(12)).unwrap();
    let refused = intake.cycle().await;

    assert!(matches!(refused, Err(intake::Error::Mailbox(mailbox::Error::Refused { .. }))), "{refused:?}");
    assert_eq!(site.account.count("INBOX").unwrap(), 12);
    assert_eq!(site.number("SELECT count(*) FROM messages").await, 13);

    lock(0o700);
    intake.cycle().await.unwrap();
    assert_ne!(site.account.count("INBOX").unwrap(), 0, "after a refusal there is a pause");
    site.database.rows("UPDATE ledger SET retry_at = now() WHERE retry_at IS NOT NULL").await.unwrap();
    intake.cycle().await.unwrap();

    assert_eq!((site.account.count("INBOX").unwrap(), site.account.count("Processed").unwrap()), (0, 13));
    assert_eq!(site.number("SELECT count(*) FROM messages").await, 13);
    assert_eq!(intake.tally.duplicates.get(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_share_a_mailbox_without_doubling() {
    let site = Site::new().await;
    let first = Intake::of(&site).await;
    assert!(first.store.acquire_lease("support", &"second".into()).await.unwrap().is_none());
    site.account.deliver_many(mails(10)).unwrap();

    // The first worker was away for longer than its lease.
    site.database.rows("UPDATE mailboxes SET lease_until = now() - interval '1 second'").await.unwrap();
    let lease = first.store.acquire_lease("support", &"second".into()).await.unwrap().unwrap();
    let second = Intake {
        lease,
        tally: Tally::new("support"),
        webhooks: vec!["helpdesk"],
        store: first.store.clone(),
        config: first.config.clone(),
    };
    let late = first.cycle().await;
    second.cycle().await.unwrap();

    assert!(matches!(late, Err(intake::Error::Store(store::Error::LeaseLost))), "{late:?}");
    assert_eq!(site.number("SELECT count(*) FROM messages").await, 10);
    assert_eq!(site.account.count("INBOX").unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_mail_becomes_a_ticket_and_stays() {
    let site = Site::new().await;
    let limits = "[intake]\nmax_message_bytes = 2000\nbatch_bytes = 1000";
    let intake = Intake::new(site.config(MOVE, limits)).await;
    let mut large = mail("large", "");
    large.extend("A long line of nothing much.\n".repeat(200).into_bytes());
    site.account.deliver_many([mail("small", ""), large]).unwrap();

    intake.cycle().await.unwrap();
    intake.cycle().await.unwrap();

    assert_eq!(site.account.count("INBOX").unwrap(), 1);
    assert_eq!(site.number("SELECT count(*) FROM tickets").await, 2);
    let row =
        "SELECT l.state || ', ' || l.reason || ', ' || s.extent || ', ' || array_to_string(m.defects, '+')
               FROM ledger l JOIN messages m ON m.id = l.message_id JOIN sources s ON s.message_id = m.id
               WHERE m.subject = 'About large'";
    assert_eq!(
        site.database.value(row).await.unwrap(),
        "held, larger than max_message_bytes, header, oversized"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_mail_is_stored_once_and_stays() {
    let site = Site::new().await;
    let intake = Intake::new(site.config(r#"{ kind = "keep" }"#, "")).await;
    site.account.deliver_many(mails(8)).unwrap();

    intake.cycle().await.unwrap();
    intake.cycle().await.unwrap();

    assert_eq!(site.account.count("INBOX").unwrap(), 8);
    assert_eq!(site.number("SELECT count(*) FROM messages").await, 8);
    assert_eq!(intake.tally.duplicates.get(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn expunged_mail_is_gone_and_mail_that_others_flagged_is_not() {
    let site = Site::new().await;
    let intake = Intake::new(site.config(r#"{ kind = "expunge" }"#, "")).await;
    site.account.deliver_many(mails(8)).unwrap();

    intake.cycle().await.unwrap();

    assert_eq!(site.account.count("INBOX").unwrap(), 0);
    assert_eq!(site.number("SELECT count(*) FROM ledger WHERE state = 'settled'").await, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_move_and_uidplus_mail_is_copied_and_left_flagged() {
    let site = Site::with(Options { without: &["MOVE", "UIDPLUS"], ..Options::default() }).await;
    let intake = Intake::of(&site).await;
    site.account.deliver_many(mails(8)).unwrap();

    intake.cycle().await.unwrap();
    intake.cycle().await.unwrap();

    assert_eq!((site.account.count("INBOX").unwrap(), site.account.count("Processed").unwrap()), (8, 8));
    assert!(site.account.messages("INBOX").unwrap().iter().all(|mail| mail.flags.contains('T')));
    assert_eq!(site.number("SELECT count(*) FROM messages").await, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_uidvalidity_change_known_mail_is_recognised() {
    let mut site = Site::new().await;
    let intake = Intake::new(site.config(r#"{ kind = "keep" }"#, "")).await;
    site.account.deliver_many(mails(8)).unwrap();
    intake.cycle().await.unwrap();
    let before = site.number("SELECT uidvalidity FROM mailboxes").await;

    site.dovecot.stop().await.unwrap();
    for entry in std::fs::read_dir(site.account.maildir()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("dovecot") && path.is_file() {
            std::fs::remove_file(path).unwrap();
        }
    }
    // Dovecot takes the time for a new UIDVALIDITY; a list that says otherwise makes sure that it is new.
    let list = site.account.maildir().join("dovecot-uidlist");
    std::fs::write(&list, format!("3 V{} N1 G0123456789abcdef0123456789abcdef\n", before + 1)).unwrap();
    std::fs::set_permissions(&list, std::fs::Permissions::from_mode(0o666)).unwrap();
    site.dovecot.start_again().await.unwrap();
    intake.cycle().await.unwrap();

    assert_ne!(site.number("SELECT uidvalidity FROM mailboxes").await, before);
    assert_eq!(site.number("SELECT count(*) FROM messages").await, 8);
    assert_eq!(intake.tally.duplicates.get(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_left_the_inbox_meanwhile_is_written_down_as_gone() {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    site.account.deliver_many(mails(4)).unwrap();
    intake.cycle().await.unwrap();
    // Listed by a cycle that ended there, and taken away by another client since.
    site.database
        .rows(
            "INSERT INTO ledger (mailbox_id, uidvalidity, uid, state, size)
             SELECT id, uidvalidity, watermark, 'seen', 1 FROM mailboxes
             ON CONFLICT (mailbox_id, uidvalidity, uid) DO UPDATE SET state = 'seen'",
        )
        .await
        .unwrap();

    intake.cycle().await.unwrap();

    assert_eq!(site.number("SELECT count(*) FROM ledger WHERE state = 'gone'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_mail_stays_even_when_it_comes_twice() {
    let site = Site::new().await;
    let limits = "[intake]\nmax_message_bytes = 2000\nbatch_bytes = 1000";
    let intake = Intake::new(site.config(r#"{ kind = "expunge" }"#, limits)).await;
    let mut large = mail("large", "");
    large.extend("A long line of nothing much.\n".repeat(200).into_bytes());
    site.account.deliver_many([&large, &large]).unwrap();

    intake.cycle().await.unwrap();
    intake.cycle().await.unwrap();

    assert_eq!(site.account.count("INBOX").unwrap(), 2, "only its header is stored");
    assert_eq!(site.number("SELECT count(*) FROM messages").await, 1);
    assert_eq!(site.number("SELECT count(*) FROM ledger WHERE state = 'held'").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_the_server_cannot_give_is_held_and_the_rest_goes_on() {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    site.account.deliver_many(mails(12)).unwrap();
    // Dovecot takes the sizes from the name, and finds out only when it is to give the message.
    let new = site.account.maildir().join("new");
    let victim = std::fs::read_dir(&new).unwrap().next().unwrap().unwrap().path();
    let name = victim.file_name().unwrap().to_string_lossy().into_owned();
    let unreadable = site.account.maildir().join("cur").join(format!("{name},S=180,W=190:2,"));
    std::fs::rename(&victim, &unreadable).unwrap();
    std::fs::set_permissions(&unreadable, std::fs::Permissions::from_mode(0o000)).unwrap();

    // It closes the connection over it: each time fewer messages are fetched together.
    let mut cycles = 0;
    while let Err(error) = intake.cycle().await {
        cycles += 1;
        assert!(cycles < 8, "{error}");
    }

    assert_eq!(site.number("SELECT count(*) FROM messages").await, 11);
    assert_eq!(site.account.count("INBOX").unwrap(), 1);
    let held = "SELECT string_agg(reason, ',') FROM ledger WHERE state = 'held'";
    assert_eq!(site.database.value(held).await.unwrap(), "the connection broke when it was fetched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_that_points_elsewhere_is_refused() {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    let mut config = intake.config.clone();
    config.mailboxes[0].folder = "Elsewhere".to_owned();

    let refused = intake.store.register_mailboxes(&config.mailboxes).await;

    assert!(matches!(refused, Err(store::Error::OtherMailbox { .. })), "{refused:?}");
    intake.store.register_mailboxes(&intake.config.mailboxes).await.unwrap();
}
