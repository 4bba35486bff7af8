//! Mails made to break the worker: each becomes one message or is held, and no other mail suffers.

mod mails;

use std::time::Duration;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use postroom::event::{Event, Found, Received};
use postroom::mail;
use postroom::mail::Facts;
use postroom::message::{Extent, Listed, Message, Uid, UidValidity};
use postroom::rule::{Labels, Ruling};
use postroom::store::{Entry, NewMessage, Source};
use postroom::ticket;
use postroom::ticket::{Clues, Known, Policy, Ticket};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use rustix::process::Signal;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{DELIVERED, Intake, LIMIT, MESSAGES, MOVE, Site, mail, start, wait_for_rows};
use mails::Poison;

/// No event is larger, whatever the mail.
const EVENT_BYTES: usize = 320 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn odd_mails_become_one_message_each_and_stop_nothing() {
    become_one_message_each(mails::odd()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn enormous_mails_become_one_message_each_and_stop_nothing() {
    become_one_message_each(mails::enormous()).await;
}

/// Takes the mails through Dovecot and PostgreSQL, each with an innocent one behind it.
async fn become_one_message_each(poisons: Vec<Poison>) {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    for (i, Poison { source, .. }) in poisons.iter().enumerate() {
        site.account.deliver_many([source, &mail(&format!("innocent{i}"), "")]).unwrap();
    }
    let count = 2 * poisons.len();

    intake.cycle().await.unwrap();

    assert_eq!((site.account.count("INBOX").unwrap(), site.account.count("Processed").unwrap()), (0, count));
    let count = i64::try_from(count).unwrap();
    assert_eq!(site.number(MESSAGES).await, count);
    let joined = "SELECT count(*) FROM messages m JOIN tickets t ON t.id = m.ticket_id JOIN sources s ON s.message_id = m.id
                  WHERE NOT 'parser_failed' = ANY (m.defects)";
    assert_eq!(site.number(joined).await, count);
    let stored: BTreeSet<Vec<u8>> = sources(&site).await.iter().map(|source| on_the_wire(source)).collect();
    for Poison { name, source } in &poisons {
        assert!(stored.contains(&on_the_wire(source)), "{name}");
    }
    assert_sound_events(&site, count).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_mail_is_held_and_stops_nothing() {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    site.account.deliver_many([&b""[..], &mail("innocent", "")]).unwrap();

    intake.cycle().await.unwrap();

    assert_eq!((site.account.count("INBOX").unwrap(), site.account.count("Processed").unwrap()), (1, 1));
    assert_eq!(site.number(MESSAGES).await, 1);
    let held = "SELECT string_agg(reason, ',') FROM ledger WHERE state = 'held'";
    assert_eq!(site.database.value(held).await.unwrap(), "the server does not give it");
}

/// No IMAP server sends NUL in a literal, and none has mail from the year 0. Were one to do it, here is where it went.
#[tokio::test(flavor = "multi_thread")]
async fn nul_in_every_place_and_any_time_of_receipt_are_stored() {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    let (folder, _) =
        intake.store.open_folder(&intake.lease, UidValidity(7), None, Duration::from_hours(1)).await.unwrap();
    let times = ["0000-01-01T00:00:00+23:59", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59"];
    let messages: Vec<Message> = times
        .iter()
        .zip(1..)
        .map(|(time, uid)| {
            let source = [format!("X-Uid: {uid}\n").as_bytes(), &mails::full_of_nul(uid)].concat();
            let internal_date = Some(DateTime::parse_from_rfc3339(time).unwrap());
            let listed = Listed { uid: Uid(uid), size: source.len() as u64, internal_date };
            Message { listed, source, extent: Extent::Whole }
        })
        .collect();
    let listed: Vec<Listed> = messages.iter().map(|message| message.listed).collect();

    intake.store.see(&folder, &listed, Uid(3)).await.unwrap();
    let due = intake.store.to_fetch(&folder, Uid(0), 10).await.unwrap();
    assert_eq!(due.iter().map(|due| due.listed).collect::<Vec<_>>(), listed);
    let mails: Vec<_> = messages.iter().map(|message| mail::read(message, &Facts::default())).collect();
    let packed: Vec<_> = messages.iter().map(|message| Source::compress(&message.source).unwrap()).collect();
    let policy = intake.policy();
    let entries: Vec<Entry<'_>> = (0..messages.len())
        .map(|i| new_message(messages[i].listed, &mails[i], &packed[i], i64::try_from(i).unwrap(), &policy))
        .collect();
    intake.store.record(&folder, &["helpdesk"], &entries, &Known::default()).await.unwrap();

    assert_eq!(
        sources(&site).await,
        messages.into_iter().map(|message| message.source).collect::<BTreeSet<_>>()
    );
    assert_sound_events(&site, 3).await;
    let ids =
        "SELECT count(*) FROM messages WHERE '' = ANY (in_reply_to || reference_ids) OR message_id = ''";
    assert_eq!(site.number(ids).await, 0, "an id of NUL is none");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_text_comes_out_of_the_database_as_it_went_in_but_for_nul() {
    let site = Site::new().await;
    let intake = Intake::of(&site).await;
    let (folder, _) =
        intake.store.open_folder(&intake.lease, UidValidity(7), None, Duration::from_hours(1)).await.unwrap();
    let packed = Source::compress(b"").unwrap();
    let mut runner = TestRunner::deterministic();
    let any_texts =
        proptest::collection::vec(r#"(\PC|[\x00\x01\n\r\t\\"',{}$]|NULL|\\u0000|\\\.){0,12}"#, 12);
    let mails: Vec<mail::Mail> = (1..=60)
        .map(|uid| mail_of(uid, any_texts.new_tree(&mut runner).unwrap().current().try_into().unwrap()))
        .collect();
    let listed = |uid| Listed { uid: Uid(uid), size: 0, internal_date: mails[0].received };
    let policy = intake.policy();
    let entries: Vec<Entry<'_>> = (1..)
        .zip(&mails)
        .map(|(uid, mail)| new_message(listed(uid), mail, &packed, uid.into(), &policy))
        .collect();
    intake.store.see(&folder, &(1..=60).map(listed).collect::<Vec<_>>(), Uid(60)).await.unwrap();

    intake.store.record(&folder, &["helpdesk"], &entries, &Known::default()).await.unwrap();

    let rows = site.database.rows(
        "SELECT json_build_array(m.message_id, in_reply_to, reference_ids, from_name, from_address, sender, reply_to,
                                 recipients_to, recipients_cc, m.subject, text, html, headers, t.subject, filename)
         FROM messages m JOIN tickets t ON t.id = m.ticket_id JOIN attachments a ON a.message_id = m.id ORDER BY t.number",
    );
    let stored: Vec<Value> =
        rows.await.unwrap().iter().map(|row| serde_json::from_str(&row[0]).unwrap()).collect();
    assert_eq!(stored.len(), mails.len());
    for (stored, mail) in stored.iter().zip(&mails) {
        assert_eq!(*stored, columns(mail));
    }
    assert_sound_events(&site, 60).await;
}

/// A mail of these texts.
fn mail_of(uid: u32, texts: [String; 12]) -> mail::Mail {
    let source = b"Content-Type: a/b\n\n".to_vec();
    let received = Some(DateTime::UNIX_EPOCH.fixed_offset());
    let listed = Listed { uid: Uid(uid), size: 0, internal_date: received };
    let [id, replied, referred, from, local, to, copied, subject, text, html, header, filename] = texts;
    let person =
        |name: &String, address: &String| mail::Address { name: name.clone(), address: address.clone() };
    let mut mail = mail::read(&Message { listed, source, extent: Extent::Whole }, &Facts::default());
    mail.fingerprint = mail::Fingerprint([u8::try_from(uid).unwrap(); 32]);
    mail.message_id = Some(id.clone());
    mail.in_reply_to = vec![replied.clone()];
    mail.references = vec![referred, String::new(), replied, id];
    (mail.from, mail.sender) = (Some(person(&from, &local)), Some(person(&local, &from)));
    mail.reply_to = vec![person(&to, &from)];
    mail.to = vec![person(&to, &local), person(&copied, &from)];
    mail.cc = Vec::new();
    mail.headers = vec![(header, text.clone()), ("List-Id".to_owned(), subject.clone())];
    (mail.subject, mail.text, mail.html) = (subject, text, Some(html));
    mail.attachments[0].filename = Some(filename);
    mail
}

/// What the database should say of a mail.
fn columns(mail: &mail::Mail) -> Value {
    let text = |text: &str| text.replace('\0', "");
    let list = |list: &[String]| -> Vec<String> {
        list.iter().map(|item| text(item).replace('\n', " ")).filter(|item| !item.is_empty()).collect()
    };
    let person =
        |person: &mail::Address| json!({"name": text(&person.name), "address": text(&person.address)});
    let people = |people: &[mail::Address]| people.iter().map(person).collect::<Vec<_>>();
    let from = mail.from.as_ref().unwrap();
    json!([
        text(mail.message_id.as_ref().unwrap()),
        list(&mail.in_reply_to),
        list(&mail.references),
        text(&from.name),
        text(&from.address),
        person(mail.sender.as_ref().unwrap()),
        people(&mail.reply_to),
        people(&mail.to),
        people(&mail.cc),
        text(&mail.subject),
        text(&mail.text),
        text(mail.html.as_ref().unwrap()),
        mail.headers.iter().map(|(name, value)| [text(name), text(value)]).collect::<Vec<_>>(),
        text(&mail.subject),
        text(mail.attachments[0].filename.as_ref().unwrap()),
    ])
}

/// A mail that opens a ticket, as intake decides it.
fn new_message<'a>(
    listed: Listed,
    mail: &'a mail::Mail,
    source: &'a Source,
    number: i64,
    policy: &Policy,
) -> Entry<'a> {
    let received_at = mail.received.unwrap().to_utc();
    let filing = ticket::file(&Clues::of(mail, policy), &Known::default(), policy, received_at);
    let (id, subject, status) = (Uuid::now_v7(), mail.subject.clone(), "open".to_owned());
    let ticket = Ticket { id, number, subject, status, message_count: 1, labels: Labels::default() };
    let event = Event::received(&Received {
        at: Utc::now(),
        mailbox: "support",
        found: Some(Found { folder: "INBOX", uidvalidity: UidValidity(7), uid: listed.uid }),
        message_id: id,
        ticket: Some(&ticket),
        filing: &filing,
        policy,
        ruling: &Ruling::default(),
        mail,
    });
    Entry::New(Box::new(NewMessage {
        uid: listed.uid,
        id,
        received_at,
        extent: Extent::Whole,
        mail,
        source,
        filing,
        ruling: Ruling::default(),
        ticket: Some(ticket),
        degraded: None,
        event,
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_mail_is_in_memory_a_few_times_at_most() {
    const MIB: usize = 1024 * 1024;
    let site = Site::new().await;
    let config = site.config_file(MOVE, "[intake]\nmax_message_bytes = \"10 MiB\"");
    // Not compressible, and longer than what the compressor looks back to.
    let line = |i: usize| format!("{:064x}\n", i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let block: String = (0..MIB / 65).map(line).collect();
    let block = block.replace("0000", "").into_bytes();
    let peak = async |size: usize, messages: i64| {
        let large = [mail(&format!("of{size}"), ""), block.repeat(size / block.len())].concat();
        site.account.deliver(&large).unwrap();
        let mut worker = start(&config, &["run"]);
        wait_for_rows(&site, DELIVERED, messages).await;
        let status = std::fs::read_to_string(format!("/proc/{}/status", worker.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
        let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        worker.signal(Signal::TERM).unwrap();
        worker.wait(LIMIT).await.unwrap();
        kib / 1024
    };

    let (small, large, oversized) = (peak(MIB, 1).await, peak(9 * MIB, 2).await, peak(16 * MIB, 3).await);

    assert!(large <= small + 8 * 6, "{small} MiB for a mail of 1 MiB, {large} MiB for 9");
    assert!(
        oversized <= small + 16,
        "{small} MiB for a mail of 1 MiB, {oversized} MiB for one that is not taken"
    );
    assert_eq!((site.account.count("INBOX").unwrap(), site.account.count("Processed").unwrap()), (1, 2));
}

/// The stored sources.
async fn sources(site: &Site) -> BTreeSet<Vec<u8>> {
    let rows = site.database.rows("SELECT size::text, encode(bytes, 'base64') FROM sources").await.unwrap();
    let unpacked = rows.into_iter().map(|row| {
        let [length, base64] = row.try_into().unwrap();
        let packed = from_base64(&base64);
        zstd::bulk::decompress(&packed, length.parse().unwrap()).unwrap()
    });
    unpacked.collect()
}

fn from_base64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text.replace('\n', "")).unwrap()
}

/// On the way lines end in CRLF, and Dovecot gives 0x80 for NUL, which an IMAP literal can't carry.
fn on_the_wire(source: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(source.len());
    let mut from = 0;
    // Not byte by byte, which takes its time unoptimised.
    for at in memchr::memchr2_iter(b'\r', 0, source) {
        wire.extend_from_slice(&source[from..at]);
        wire.extend((source[at] == 0).then_some(0x80));
        from = at + 1;
    }
    wire.extend_from_slice(&source[from..]);
    wire
}

/// Each message has an event of its own, in sound JSON without NUL and not too large.
async fn assert_sound_events(site: &Site, count: i64) {
    let rows = site
        .database
        .rows("SELECT m.id::text, d.body FROM messages m JOIN deliveries d USING (ticket_id, sequence)");
    let events: BTreeMap<String, String> = rows
        .await
        .unwrap()
        .into_iter()
        .map(|row| row.try_into().map(|[id, body]: [_; 2]| (id, body)).unwrap())
        .collect();
    assert_eq!(i64::try_from(events.len()).unwrap(), count);
    for (id, body) in events {
        assert!(body.len() <= EVENT_BYTES, "{} bytes", body.len());
        let event: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(event["data"]["message"]["id"], id);
        assert!(is_without_nul(&event), "{event}");
    }
}

fn is_without_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.contains('\0'),
        Value::Array(items) => items.iter().all(is_without_nul),
        Value::Object(fields) => fields.values().all(is_without_nul),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}
