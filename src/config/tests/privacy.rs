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

        [[mailbox]]
        name = "sales"
        provider = "outlook.com"
        username = "canary\\@canary"
        auth = { kind = "oauth2", flow = "client_credentials", client_secret = "", tenant = "x" }

        [[mailbox]]
        name = "orders"
        provider = "microsoft365"
        username = "canary@canary.com"

        [mailbox.auth]
        kind = "oauth2"
        flow = "client_credentials"
        client_id = "app"
        tenant = "contoso.com"
        authority = "https://canary:canary@localhost/?canary"
        certificate_file = "secret"
        private_key_file = "secret"

        [[mailbox]]
        name = "jobs"
        host = "localhost"
        username = "canary"
        auth = { kind = "token_command", command = ["token", 7, "canary"], canari = "canary" }

        [secrets]
        key = "canary"
        previous_key_file = "secret"

        [[webhook]]
        name = "helpdesk"
        url = "http://canary:canary@localhost/canary?token=canary"
        secret = "canary"
        previous_secret_file = "secret"

        [[tracker]]
        name = "jira"
        pattern = "(canary"
        domains = ["canary@canary"]

        [[rule]]
        name = "spam"
        from = "/canary(/"
        subject = ["/canary(/"]
        header = "canary"
        tag = "junk"
    "#;
    let setup = Setup::new(toml).with("secret", "whsec_canary!");

    let report = setup.report_under(&[
        ("POSTROOM__DATABASE__PASSWORD", "canary"),
        ("POSTROOM__MAILBOX__SALES__AUTH__PASSWORD", "canary"),
    ]);

    // One key is called so, and keys are shown.
    assert_eq!(report.matches(CANARY).count(), 1, "{report}");
    assert!(report.starts_with("there are 38 problems"), "{report}");
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
    let setup = sign_in::of_every_kind();
    let private_key = fs::read_to_string(setup.0.path().join("key.pem")).unwrap();
    let private_line = private_key.lines().nth(1).unwrap();

    let config = setup.load().unwrap();

    let (debug, redacted) = (format!("{config:?}"), config.redacted());
    for secret in [CANARY, sign_in::KEY, private_line] {
        assert!(!debug.contains(secret), "{debug}");
        assert!(!redacted.contains(secret), "{redacted}");
    }
    assert!(!debug.contains("@example.com"), "{debug}");
}
