//! What the demo prints about the outcome.

use std::collections::HashSet;

use anyhow::{Context, Result, bail, ensure};
use devstack::{Request, samples};
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use serde_json::Value;

use crate::stage::Stage;

/// How many lines of a long list are shown.
const LINES: usize = 14;
/// How much of a long line is shown, in characters.
const WIDTH: usize = 140;
/// How much of a long text within an event is shown.
const TEXT: usize = 72;

/// How to go on.
pub(crate) const INVITATION: &str = r#"
Send more mail, from another terminal in this folder:

  make demo-send SUBJECT="It does not start" TEXT="Since this morning."

Ctrl-C stops everything and leaves nothing behind. What the helpdesk hears from now on:
"#;

/// Tells of tickets, deliveries, one webhook, and where to look further. Fails if a webhook was not signed rightly or
/// came twice.
pub(crate) async fn outcome(stage: &Stage) -> Result<String> {
    let requests = stage.helpdesk.requests();
    for request in &requests {
        verify(request, &stage.secret)?;
    }
    let ids: HashSet<_> = requests.iter().map(|request| request.header("webhook-id")).collect();
    ensure!(ids.len() == requests.len(), "{} webhooks brought {} events", requests.len(), ids.len());
    let telling = requests.iter().find(|request| contains(&request.body, b".pdf"));
    let request = telling.or(requests.first()).context("the helpdesk got nothing")?;

    Ok(format!(
        r"{mails} mails became {tickets} tickets. The inbox is empty; the helpdesk got {webhooks} webhooks, each with a
valid signature.

$ postroom tickets list
{ticket_list}

$ postroom deliveries list
{delivery_list}

One of the webhooks, abridged:

{webhook}

Look further, while the demo runs:

  database         {psql}
  configuration    {config}
  one ticket       {show_ticket}
  other commands   {program} help
  health, metrics  curl {metrics_url}
  worker's log     {log}
  mailbox          {imap_command}",
        mails = samples().len(),
        tickets = stage.database.value("SELECT count(*) FROM tickets").await?,
        webhooks = requests.len(),
        ticket_list = abridge_lines(&stage.run(&["tickets", "list"]).await?),
        delivery_list = abridge_lines(&stage.run(&["deliveries", "list"]).await?),
        webhook = abridge_request(request)?,
        psql = stage.database.psql(),
        config = stage.config().display(),
        show_ticket = stage.command_line("tickets show 1"),
        program = stage.program().display(),
        metrics_url = stage.metrics_url(),
        log = stage.worker.logs().map(|path| path.display().to_string()).join(" "),
        imap_command = stage.server.imap_command(),
    ))
}

/// One line about an event that reached the helpdesk.
pub(crate) fn line(request: &Request, secret: &str) -> Result<String> {
    verify(request, secret)?;
    let event: Value = serde_json::from_slice(&request.body)?;
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or("-").to_owned();
    let number = event.pointer("/data/ticket/number").map_or("-".to_owned(), Value::to_string);
    let (subject, from) = (text("/data/message/subject"), text("/data/message/from/address"));
    Ok(format!("{:<24} ticket {number:<5} {from}: {}", text("/type"), abridge(&subject, TEXT)))
}

/// Checks the signature as a receiver does (Standard Webhooks 1.0, "Verifying webhook authenticity").
fn verify(request: &Request, secret: &str) -> Result<()> {
    let header = |name: &str| request.header(name).with_context(|| format!("a webhook without {name}"));
    let secret = secret.strip_prefix("whsec_").context("not a signing secret")?;
    let key = PKey::hmac(&openssl::base64::decode_block(secret)?)?;
    let mut signer = Signer::new(MessageDigest::sha256(), &key)?;
    signer.update(format!("{}.{}.", header("webhook-id")?, header("webhook-timestamp")?).as_bytes())?;
    signer.update(&request.body)?;
    let expected = format!("v1,{}", openssl::base64::encode_block(&signer.sign_to_vec()?));
    if !header("webhook-signature")?.split(' ').any(|signature| signature == expected) {
        bail!("webhook {} has a wrong signature", header("webhook-id")?);
    }
    Ok(())
}

fn abridge_request(request: &Request) -> Result<String> {
    let mut lines = vec![format!("  {} {}", request.method, request.path)];
    for name in ["content-type", "webhook-id", "webhook-timestamp", "webhook-signature"] {
        lines.push(format!("  {name}: {}", request.header(name).unwrap_or("-")));
    }
    lines.push(String::new());
    let event = abridge_value(serde_json::from_slice(&request.body)?);
    lines.extend(serde_json::to_string_pretty(&event)?.lines().map(|line| format!("  {line}")));
    Ok(lines.join("\n"))
}

fn abridge_value(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(abridge(&text, TEXT)),
        Value::Array(items) => Value::Array(items.into_iter().take(2).map(abridge_value).collect()),
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, abridge_value(value))).collect(),
        other => other,
    }
}

fn abridge(text: &str, length: usize) -> String {
    let mut short: String = text.chars().take(length).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn abridge_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut shown: Vec<String> = lines.iter().take(LINES).map(|line| abridge(line, WIDTH)).collect();
    if lines.len() > LINES {
        shown.push(format!("… and {} lines more", lines.len() - LINES));
    }
    shown.join("\n")
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
