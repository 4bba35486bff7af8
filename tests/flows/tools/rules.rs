//! Rules of the configuration, from the mail to the helpdesk.

use crate::support::{Intake, MOVE, Site, mail, run};
use serde_json::Value;

const RULES: &str = r#"
[[rule]]
name = "customer"
from = "*@example.com"
tag = ["vip", "b2b"]
priority = "high"

[[rule]]
name = "spam"
header = "X-Spam-Flag: yes"
tag = "junk"
priority = "low"
status = "closed"
stop = true

[[rule]]
name = "order"
subject = '/about [om]\d/'
webhook = "crm"

[[webhook]]
name = "crm"
url = "http://127.0.0.1:9/"
secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDqZTSDtKRmbM="
"#;

#[tokio::test(flavor = "multi_thread")]
async fn rules_label_the_ticket_choose_the_webhooks_and_are_recorded() {
    let site = Site::new().await;
    let mut intake = Intake::new(site.config(MOVE, RULES)).await;
    intake.store.register_webhooks(&["crm"]).await.unwrap();
    intake.webhooks = vec!["helpdesk", "crm"];
    let reply = String::from_utf8(mail("x1", "In-Reply-To: <s1@example.com>\n")).unwrap();
    let reply = reply.replace("About x1", "Re: About s1");
    site.account.deliver(&mail("s1", "X-Spam-Flag: YES\n")).unwrap();
    site.account.deliver(&mail("o1", "")).unwrap();
    site.account.deliver(reply.as_bytes()).unwrap();

    intake.cycle().await.unwrap();

    let tickets = "SELECT subject, status, array_to_string(tags, ','), priority FROM tickets ORDER BY number";
    assert_eq!(
        site.database.rows(tickets).await.unwrap(),
        [["About s1", "open", "b2b,junk,vip", "high"], ["About o1", "open", "b2b,vip", "high"]],
        "of the last message the last word counts, and a reply opens what a rule closed"
    );
    let rules = "SELECT subject, array_to_string(rules, ',') FROM messages ORDER BY subject";
    assert_eq!(
        site.database.rows(rules).await.unwrap(),
        [["About o1", "customer,order"], ["About s1", "customer,spam"], ["Re: About s1", "customer"]]
    );
    let told = "SELECT m.subject, d.webhook FROM deliveries d
                JOIN messages m ON m.ticket_id = d.ticket_id AND m.sequence = d.sequence ORDER BY 1, 2";
    assert_eq!(
        site.database.rows(told).await.unwrap(),
        [
            ["About o1", "crm"],
            ["About s1", "crm"],
            ["About s1", "helpdesk"],
            ["Re: About s1", "crm"],
            ["Re: About s1", "helpdesk"]
        ]
    );
    let body = site.database.value("SELECT body FROM deliveries WHERE sequence = 2 LIMIT 1").await.unwrap();
    let data = &serde_json::from_str::<Value>(&body).unwrap()["data"];
    assert_eq!(data["ticket"]["tags"], serde_json::json!(["b2b", "junk", "vip"]));
    assert_eq!((&data["ticket"]["priority"], &data["ticket"]["status"]), (&"high".into(), &"open".into()));
    assert_eq!(data["message"]["rules"], serde_json::json!(["customer"]));

    let (_, shown, _) = run(&site.config_file(MOVE, RULES), &["tickets", "show", "1"]).await;
    for line in ["Priority: high", "Tags: b2b, junk, vip", "Rules: customer, spam"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
}

const SUSPENDING: &str = r#"
[filing.actions]
auto_reply = "archive"

[[rule]]
name = "absent"
verdict = "auto_reply"
tag = "absent"
suspend = true

[[rule]]
name = "quarantine"
subject = "about q*"
tag = "seen-by-a-person"
status = "closed"
suspend = true
"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rule_suspends_waits_for_a_person_and_is_labelled_once_it_is_released() {
    let site = Site::new().await;
    let intake = Intake::new(site.config(MOVE, SUSPENDING)).await;
    let config = site.config_file(MOVE, SUSPENDING);
    site.account.deliver(&mail("a", "")).unwrap();
    site.account.deliver(&mail("q1", "In-Reply-To: <a@example.com>\n")).unwrap();
    site.account.deliver(&mail("away", "Auto-Submitted: auto-replied\n")).unwrap();
    intake.cycle().await.unwrap();
    // A file is no other way past it.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("q2.eml");
    std::fs::write(&path, mail("q2", "")).unwrap();
    let words = ["import", "--mailbox", "support", path.to_str().unwrap()];
    let (code, _, complaints) = run(&config, &words).await;
    assert_eq!(code, Some(0), "{complaints}");

    let unfiled = "SELECT m.subject, u.reason, u.uid IS NULL, r.number::text, array_to_string(m.rules, ',')
                   FROM unfiled u JOIN messages m ON m.id = u.message_id
                   LEFT JOIN tickets r ON r.id = m.related_ticket_id ORDER BY 1";
    let unfiled =
        site.database.rows(&unfiled.replace("u.uid IS NULL", "(u.uid IS NULL)::text")).await.unwrap();
    let lines: Vec<String> = unfiled.iter().map(|row| row.join(" ")).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("About away rule false") && lines[0].ends_with("absent"), "{lines:?}");
    assert_eq!(lines[1], "About q1 rule false 1 quarantine");
    assert!(lines[2].starts_with("About q2 rule true"), "{lines:?}");
    assert_eq!(site.number("SELECT count(*) FROM tickets").await, 1);
    let (_, explained, _) = run(&config, &["explain", "q2@example.com"]).await;
    assert!(explained.contains("It is suspended: a rule of the configuration says so."), "{explained}");
    assert!(explained.contains("Rules: quarantine"), "{explained}");

    let (code, output, complaints) = run(&config, &["suspended", "release", "--all"]).await;

    assert_eq!(code, Some(0), "{output}{complaints}");
    let tickets =
        "SELECT t.subject, t.status, (t.closed_at = t.last_message_at)::text, array_to_string(t.tags, ','),
                          t.message_count::text FROM tickets t WHERE t.subject <> 'About away' ORDER BY 1";
    assert_eq!(
        site.database.rows(tickets).await.unwrap(),
        [
            ["About a", "closed", "true", "seen-by-a-person", "2"],
            ["About q2", "closed", "true", "seen-by-a-person", "1"]
        ]
    );
    let body = "SELECT body FROM deliveries WHERE event_type = 'ticket.created' ORDER BY id DESC LIMIT 1";
    let body: Value = serde_json::from_str(&site.database.value(body).await.unwrap()).unwrap();
    assert!(body["data"]["source"]["uid"].is_null(), "{body}");
}
