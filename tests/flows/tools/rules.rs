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
    site.account.deliver(&mail("s1", "X-Spam-Flag: YES\n")).unwrap();
    site.account.deliver(&mail("o1", "")).unwrap();
    site.account.deliver(&mail("x1", "In-Reply-To: <s1@example.com>\n")).unwrap();

    intake.cycle().await.unwrap();

    let tickets = "SELECT subject, status, array_to_string(tags, ','), priority FROM tickets ORDER BY number";
    assert_eq!(
        site.database.rows(tickets).await.unwrap(),
        [["About s1", "closed", "b2b,junk,vip", "high"], ["About o1", "open", "b2b,vip", "high"]],
        "of the last message the last word counts, and what no rule says stays"
    );
    let rules = "SELECT subject, array_to_string(rules, ',') FROM messages ORDER BY subject";
    assert_eq!(
        site.database.rows(rules).await.unwrap(),
        [["About o1", "customer,order"], ["About s1", "customer,spam"], ["About x1", "customer"]]
    );
    let told = "SELECT m.subject, d.webhook FROM deliveries d
                JOIN messages m ON m.ticket_id = d.ticket_id AND m.sequence = d.sequence ORDER BY 1, 2";
    assert_eq!(
        site.database.rows(told).await.unwrap(),
        [
            ["About o1", "crm"],
            ["About s1", "crm"],
            ["About s1", "helpdesk"],
            ["About x1", "crm"],
            ["About x1", "helpdesk"]
        ]
    );
    let body = site.database.value("SELECT body FROM deliveries WHERE sequence = 2 LIMIT 1").await.unwrap();
    let data = &serde_json::from_str::<Value>(&body).unwrap()["data"];
    assert_eq!(data["ticket"]["tags"], serde_json::json!(["b2b", "junk", "vip"]));
    assert_eq!((&data["ticket"]["priority"], &data["ticket"]["status"]), (&"high".into(), &"closed".into()));
    assert_eq!(data["message"]["rules"], serde_json::json!(["customer"]));

    let (_, shown, _) = run(&site.config_file(MOVE, RULES), &["tickets", "show", "1"]).await;
    for line in ["Priority: high", "Tags: b2b, junk, vip", "Rules: customer, spam"] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
}
