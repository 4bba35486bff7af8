//! Nothing private comes out: not in problems, not in `Debug`, not in the redacted form.

use super::*;

const CANARY: &str = "canary";

#[test]
fn problems_never_show_what_may_be_private() {
    let toml = r#"
        canary = "canary"

        [database]
        url = "canary://u:canary@localhost/canary?canary=canary"
        pasword = "canary"

        [filing]
        token_key = "canary"
        subject_prefix = "canary canary"
        shared_domains = ["canary canary"]
        unlimited_senders = "canary canary"

        [[mailbox]]
        name = "support"
        host = "canary canary"
        username = "canary\n@example.com"
        auth = { kind = "password", password = "", pasword = "canary" }
        addresses = ["canary"]
        trusted_authserv = ["canary canary"]
        folder = ["canary"]
        settle = { kind = "move", to = ["canary"] }

        [[mailbox]]
        name = "returns"
        provider = "outlook.com"
        username = "canary"
        auth = "canary"

        [[webhook]]
        name = "helpdesk"
        url = "http://canary:canary@localhost/canary?token=canary"
        secret = "canary"
        previous_secret_file = "secret"

        [[tracker]]
        name = "jira"
        pattern = "(canary"
        domains = ["canary@canary"]
    "#;
    let setup = Setup::new(toml).with("secret", "whsec_canary!");

    let report = setup.report_under(&[
        ("POSTROOM__DATABASE__PASSWORD", "canary"),
        ("POSTROOM__MAILBOX__SALES__AUTH__PASSWORD", "canary"),
    ]);

    // One key is called so, and keys are shown.
    assert_eq!(report.matches(CANARY).count(), 1, "{report}");
    assert!(report.starts_with("there are 24 problems"), "{report}");
}

#[test]
fn syntax_errors_never_show_the_line() {
    for line in [
        "password = \"canary",
        "password = canary",
        "password = 'canary",
        "password = \"canary\" canary",
        "password = \"\\canary\"",
        "password = \"canary\"\npassword = \"canary\"",
        "password = 1canary",
        "password = 2026-canary",
        "password = { canary",
        "password = 99999999999999999999999999 # canary",
        "password = 1e999 # canary",
        "password \"canary\"",
        "password = \"\"\"canary",
        "password = \"canary\u{1}\"",
        "password.canary = 1\npassword = 1",
    ] {
        let report = Setup::new(line).report();

        assert!(report.contains("its syntax"), "{report}");
        assert!(!report.contains(CANARY), "{report}");
    }
}

#[test]
fn neither_debug_nor_the_redacted_form_holds_a_secret() {
    let key = "whsec_canarycanarycanarycanarycanaryca";
    let toml =
        LEAST.replace("postroom@localhost/postroom", "postroom:canary@localhost/postroom?password=canary");
    let webhook =
        WEBHOOK.replace("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", key).replace("/mail", "/mail?key=canary");
    let toml = format!("{toml}{webhook}previous_secret = \"{key}\"").replace("00123", CANARY);

    let config = load(&toml).unwrap();

    assert!(!format!("{config:?}").contains(CANARY), "{config:?}");
    assert!(!format!("{config:?}").contains("support@outlook.com"), "{config:?}");
    assert!(!config.redacted().contains(CANARY), "{}", config.redacted());
}
