//! What must hold in the end, whatever happened on the way.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use devstack::Request;

use crate::arrivals::{Key, digest, on_the_wire};
use crate::figures::Figures;
use crate::rig::{MAILBOXES, Rig, WEBHOOKS, event_id};

/// How often the mailboxes are drained until nothing is left.
const DRAINS: usize = 6;

/// So many violations are told.
const TOLD: usize = 40;

/// Lets the last work be done in peace and judges what has come of all. The error tells every violation.
pub(crate) async fn pass(rig: &mut Rig, figures: &mut Figures) -> Result<()> {
    let mut wrong = Vec::new();
    drain(rig, figures, &mut wrong).await?;
    check_messages(rig, figures, &mut wrong).await?;
    check_rows(rig, figures, &mut wrong).await?;
    check_folders(rig, figures, &mut wrong)?;
    check_helpdesks(rig, figures, &mut wrong).await?;
    if wrong.is_empty() {
        return Ok(());
    }
    let more = wrong.len().saturating_sub(TOLD);
    wrong.truncate(TOLD);
    bail!("{}\n({more} more)", wrong.join("\n"))
}

async fn drain(rig: &Rig, figures: &mut Figures, wrong: &mut Vec<String>) -> Result<()> {
    rig.calm();
    let mut said = String::new();
    for _ in 0..DRAINS {
        let held = "SELECT coalesce(reason, ''), count(*)::text FROM ledger WHERE state = 'held' GROUP BY 1";
        for row in rig.database.rows(held).await? {
            let [reason, count] = <[String; 2]>::try_from(row).unwrap();
            if reason.contains("PostgreSQL refuses") {
                wrong.push(format!("{count} mails were held: {reason}"));
            }
            *figures.held.entry(reason).or_default() += count.parse::<u64>()?;
        }
        rig.pass_time().await?;
        rig.release_held().await?;
        let (complete, output) = rig.run_to_end(&["drain"]).await?;
        let [pending] = rig.numbers("SELECT count(*) FROM deliveries WHERE status = 'pending'").await?;
        if complete && pending == 0 {
            return Ok(());
        }
        said = output;
    }
    wrong.push(format!("the mailboxes were not drained in {DRAINS} tries:\n{said}"));
    Ok(())
}

/// Every mail is one message with its very bytes; every copy of it is known as such, and nothing else is there.
async fn check_messages(rig: &Rig, figures: &mut Figures, wrong: &mut Vec<String>) -> Result<()> {
    // By its bytes: how many messages, and how many places in the mailbox.
    let mut stored: BTreeMap<Key, (usize, usize)> = BTreeMap::new();
    for (mailbox, name) in MAILBOXES.iter().enumerate() {
        let mut last = "00000000-0000-0000-0000-000000000000".to_owned();
        loop {
            let rows = rig
                .database
                .rows(&format!(
                    "SELECT m.id::text, s.size::text, encode(s.bytes, 'hex'), s.extent,
                         (SELECT count(*) FROM ledger l WHERE l.mailbox_id = m.mailbox_id AND l.message_id = m.id
                              AND l.uidvalidity = b.uidvalidity)::text
                     FROM messages m JOIN mailboxes b ON b.id = m.mailbox_id JOIN sources s ON s.message_id = m.id
                     WHERE b.name = '{name}' AND m.id > '{last}' ORDER BY m.id LIMIT 200"
                ))
                .await?;
            let Some(row) = rows.last() else { break };
            last.clone_from(&row[0]);
            for row in rows {
                let bytes = zstd::bulk::decompress(&unhex(&row[2])?, row[1].parse()?)?;
                if row[3] != "whole" {
                    wrong.push(format!("{name}: message {} has only its header", row[0]));
                }
                let (messages, places) = stored.entry((mailbox, digest(&bytes))).or_default();
                *messages += 1;
                *places += row[4].parse::<usize>()?;
            }
        }
    }
    for (key, arrival) in rig.arrivals.iter() {
        let (messages, places) = stored.get(key).copied().unwrap_or_default();
        let (mailbox, name) = (MAILBOXES[key.0], &arrival.name);
        if messages != 1 {
            wrong.push(format!("{mailbox}: {name} is {messages} messages"));
        } else if places != arrival.copies {
            wrong.push(format!("{mailbox}: {name} came {} times, the ledger has {places}", arrival.copies));
        }
        figures.copies += arrival.copies as u64 - 1;
    }
    for ((mailbox, _), (messages, _)) in stored.iter().filter(|(key, _)| !rig.arrivals.contains(key)) {
        wrong.push(format!("{}: {messages} messages are none that arrived", MAILBOXES[*mailbox]));
    }
    figures.mails += rig.arrivals.len() as u64;
    Ok(())
}

/// What the tables must say, as counts of rows that must be none.
async fn check_rows(rig: &Rig, figures: &mut Figures, wrong: &mut Vec<String>) -> Result<()> {
    for (what, sql) in [
        (
            "messages without exactly one source",
            "SELECT count(*) FROM messages m FULL JOIN sources s ON s.message_id = m.id
             WHERE s.message_id IS NULL OR m.id IS NULL",
        ),
        (
            "messages in the ledger that are not settled",
            "SELECT count(*) FROM ledger l JOIN mailboxes m ON m.id = mailbox_id AND m.uidvalidity = l.uidvalidity
             WHERE state <> 'settled'",
        ),
        (
            "settled messages without a stored one",
            "SELECT count(*) FROM ledger l WHERE state = 'settled'
             AND NOT EXISTS (SELECT FROM messages m WHERE m.id = l.message_id)",
        ),
        (
            "tickets that do not count their messages",
            "SELECT count(*) FROM tickets t WHERE (message_count, message_count, 1)
             <> (SELECT count(*), coalesce(max(sequence), 0), min(sequence) FROM messages m
                 WHERE m.ticket_id = t.id)",
        ),
        (
            "messages that are neither in a ticket nor known to be in none",
            "SELECT count(*) FROM messages m FULL JOIN unfiled u ON u.message_id = m.id
             WHERE (m.ticket_id IS NULL) <> (u.message_id IS NOT NULL)",
        ),
        (
            // What is archived is told to nobody, but for a mail that did not arrive.
            "messages without exactly one delivery to each webhook that is to hear of them",
            "SELECT count(*) FROM messages m LEFT JOIN unfiled u ON u.message_id = m.id
             WHERE ARRAY(SELECT webhook FROM deliveries d WHERE d.message_id = m.id ORDER BY webhook)
                 <> CASE WHEN u.state = 'archived' AND m.verdict <> 'bounce_failed' THEN '{}'
                         ELSE '{shaky,steady}'::text[] END",
        ),
        (
            "deliveries that are about another ticket or place than their message is in",
            "SELECT count(*) FROM deliveries d LEFT JOIN messages m ON m.id = d.message_id
             WHERE (d.ticket_id, d.sequence) IS DISTINCT FROM (m.ticket_id, m.sequence)",
        ),
        ("deliveries not made", "SELECT count(*) FROM deliveries WHERE status <> 'delivered'"),
    ] {
        let [count] = rig.numbers(sql).await?;
        if count > 0 {
            wrong.push(format!("{count} {what}"));
        }
    }
    let [deliveries] = rig.numbers("SELECT count(*) FROM deliveries").await?;
    figures.deliveries += deliveries;
    Ok(())
}

/// The inboxes are empty; what was to be moved is in the target folder as often as it came, and what was to be
/// expunged is nowhere.
fn check_folders(rig: &Rig, figures: &mut Figures, wrong: &mut Vec<String>) -> Result<()> {
    for (name, account) in MAILBOXES.iter().zip(&rig.accounts) {
        let left = account.count("INBOX")?;
        if left > 0 {
            wrong.push(format!("{name}: {left} mails are still in the inbox"));
        }
    }
    let mut processed: BTreeMap<[u8; 32], usize> = BTreeMap::new();
    for source in rig.accounts[0].sources("Processed")? {
        *processed.entry(digest(&on_the_wire(&source))).or_default() += 1;
    }
    for ((mailbox, digest), arrival) in rig.arrivals.iter() {
        if *mailbox != 0 {
            continue;
        }
        let copies = processed.remove(digest).unwrap_or(0);
        if copies < arrival.copies || copies > arrival.copies + arrival.half_moved {
            wrong.push(format!("{} came {} times; Processed has {copies}", arrival.name, arrival.copies));
        }
        figures.half_moved += arrival.half_moved as u64;
    }
    if !processed.is_empty() {
        wrong.push(format!("Processed has {} mails that never came", processed.len()));
    }
    Ok(())
}

/// Each helpdesk has heard of each message: one id, one body, and each ticket in its order.
async fn check_helpdesks(rig: &Rig, figures: &mut Figures, wrong: &mut Vec<String>) -> Result<()> {
    for (webhook, desk) in WEBHOOKS.iter().zip(&rig.desks) {
        let requests = desk.requests();
        figures.attempts += requests.len() as u64;
        // By event: what was sent first.
        let mut first: BTreeMap<String, (usize, &Request)> = BTreeMap::new();
        for (place, request) in requests.iter().enumerate() {
            let (_, known) = first.entry(event_id(request)).or_insert((place, request));
            if known.body != request.body {
                wrong.push(format!("{webhook}: {} was sent with two bodies", event_id(request)));
            }
        }
        let rows = rig
            .database
            .rows(&format!(
                "SELECT event_id, coalesce(d.ticket_id, d.message_id)::text, d.message_id::text, body
                 FROM deliveries d
                 WHERE webhook = '{webhook}' ORDER BY d.ticket_id, d.sequence"
            ))
            .await?;
        let mut latest: BTreeMap<String, usize> = BTreeMap::new();
        let mut told = BTreeSet::new();
        for row in rows {
            let [event, ticket, message, body] = <[String; 4]>::try_from(row).unwrap();
            let Some((place, request)) = first.remove(&event) else {
                wrong.push(format!("{webhook} never heard of {event}"));
                continue;
            };
            if request.body != body.as_bytes() || !body.contains(&message) {
                wrong.push(format!("{webhook} heard something else of {event}"));
            }
            if !told.insert(message) {
                wrong.push(format!("{webhook}: {event} is the second about its message"));
            }
            if latest.insert(ticket, place).is_some_and(|before| before > place) {
                wrong.push(format!("{webhook} heard of {event} before it heard of the message before it"));
            }
        }
        if !first.is_empty() {
            wrong.push(format!("{webhook} heard of {} events that nobody knows", first.len()));
        }
    }
    Ok(())
}

fn unhex(text: &str) -> Result<Vec<u8>> {
    text.as_bytes().chunks(2).map(|pair| Ok(u8::from_str_radix(str::from_utf8(pair)?, 16)?)).collect()
}
