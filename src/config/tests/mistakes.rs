//! What is reported, and that all of it is.

use std::os::unix::ffi::OsStringExt as _;

use proptest::prelude::*;

use super::*;

#[test]
fn every_mistake_of_a_bad_file_is_told_at_once() {
    let setup = Setup::new(
        r#"
        [database]
        url = "mysql://localhost/postroom"
        conect_timeout = "5s"

        [intake]
        batch_messages = 0
        batch_bytes = "3 MiB"
        max_message_bytes = "1 MiB"

        [filing]
        token_key = "too short"
        previous_token_key_file = "missing"
        threshold = 70
        reopen_window = "1 year"
        new_topic = "sometimes"
        subject_prefix = "a b"
        shared_domains = "a b"
        sender_per_hour = -1
        same_mail = 1
        same_mail_window = "2days"
        unlimited_senders = [5]

        [filing.actions]
        human = "tickets"
        own_loop = "ticket"
        spam = "archive"

        [delivery]
        poll_interval = "often"
        concurrency = "many"

        [ops]
        listen = 8025

        [log]
        format = "jsno"
        filter = "inof"

        [[mailbox]]
        name = "Support"
        host = "imap.example.com:993"
        provider = "outlook.com"
        port = 65536
        username = "support"
        auth = { kind = "password", password = "a", password_file = "b" }
        addresses = ["support@example.com", "help"]
        trusted_authserv = ["mx.example.com; spf=pass"]
        settle = { kind = "expunge", to = "Processed" }

        [[mailbox]]
        name = "returns"
        username = ""
        auth = "secret"
        addresses = [1]
        trusted_authserv = true
        settle = { kind = "move", to = "inbox" }

        [[mailbox]]
        name = "returns"
        provider = "outlok.com"
        username = "returns"
        auth = { kind = "oauth", password = "c" }
        ca_file = "missing.pem"
        poll_interval = 60

        [[mailbox]]
        name = "billing"
        provider = "microsoft365"
        username = "agent@contoso.com\\billing"
        auth = { kind = "password", password = "d" }

        [[mailbox]]
        name = "orders"
        provider = "outlook.com"
        username = "orders@outlook.com"
        [mailbox.auth]
        kind = "oauth2"
        flow = "client_credentials"
        clientid = "app"
        client_secret = "3f0b1c1e-6d0f-4c53-8a0f-5ad3c6b0a111"

        [[mailbox]]
        name = "jobs"
        provider = "microsoft365"
        username = "jobs@contoso.com"
        [mailbox.auth]
        kind = "oauth2"
        flow = "device"
        client_id = "app"
        tenant = "https://login.microsoftonline.com/contoso.com"
        scope = "https://outlook.office.com/IMAP.AccessAsUser.All"
        client_secret = "e"

        [[mailbox]]
        name = "press"
        host = "imap.example.com"
        username = "press"
        auth = { kind = "token_command", command = 7, timeout = "1h" }

        [secrets]
        key = "too short"
        previous_key = "too short"

        [[webhook]]
        name = "helpdesk"
        url = "http://helpdesk.internal"
        insecure_http = "yes"
        secret = "guess"
        timeout = "0s"

        [[tracker]]
        name = "jira"
        pattern = "(["
        domains = ["jira@example.com"]

        [[tracker]]
        name = "servicenow"
        pattern = "x*"

        [[rule]]
        name = "Everything"
        from = 7
        subject = "/(/"
        header = ["X-Spam-Flag: YES", "X-Spam"]
        verdict = ["human", "spam"]
        larger = "2 MiB"
        smaller = "1 MiB"
        tag = "V.I.P."
        priority = "hihg"
        status = "solved"
        webhook = ["helpdesk", ""]

        [[rule]]
        name = "nothing"
        suspend = "maybe"

        [[rule]]
        name = "no-effect"
        from = "*"

        [webhooks]
        "#,
    );

    insta::assert_snapshot!(setup.report_under(&[
        ("POSTROOM__MAILBOX__SALES__FOLDER", "INBOX"),
        ("POSTROOM__MAILBOX__RETURNS__FOLDR", "INBOX"),
        ("POSTROOM__OPS__SHUTDOWN_GRACE", "1 fortnight"),
        ("POSTROOM__DATABSE__URL", "postgres://localhost"),
    ]));
}

#[test]
fn without_anything_written_the_report_says_what_to_write() {
    let problems = Config::load(None, []).expect_err("nothing was reported");

    insta::assert_snapshot!(problems);
}

#[test]
fn a_file_that_cannot_be_read_is_the_only_problem() {
    let setup = Setup::new("").with("latin1.toml", b"name = \"B\xfccher\"");

    for name in ["missing.toml", "latin1.toml", "."] {
        let path = setup.0.path().join(name);
        let problems = Config::load(Some(&path), []).expect_err(name);

        let keys: Vec<_> =
            problems.iter().map(|problem| (problem.origin.as_str(), problem.key.as_str())).collect();
        assert_eq!(keys, [(path.to_str().unwrap(), "the file itself")]);
    }
}

#[test]
fn a_syntax_error_is_placed_and_explained() {
    insta::assert_snapshot!(Setup::new("[database]\nurl = \"postgres://localhost/").report());
}

#[test]
fn files_of_secrets_are_judged_by_what_they_hold() {
    let files: [(&str, Vec<u8>); 6] = [
        ("empty", b"\n".to_vec()),
        ("nul", b"a\0b".to_vec()),
        ("latin1", b"\xfc".to_vec()),
        ("huge", vec![b'x'; (1 << 20) + 1]),
        ("text", b"text".to_vec()),
        ("broken", CERTIFICATE.replace("MIIB", "MIIC").into_bytes()),
    ];
    let with_files =
        |toml: &str| files.iter().fold(Setup::new(toml), |setup, (name, content)| setup.with(name, content));

    let mut reports = Vec::new();
    for name in ["missing", "empty", "nul", "latin1", "huge", "."] {
        let key = format!("password_file = \"{name}\"");
        reports.push(with_files(&LEAST.replace("password = \"00123\"", &key)).report());
    }
    for name in ["text", "broken"] {
        reports.push(with_files(&format!("{LEAST}ca_file = \"{name}\"")).report());
    }

    insta::assert_snapshot!(reports.join("\n\n"));
}

#[test]
fn mailboxes_may_not_take_mail_from_one_another() {
    let pair = |folder: &str, to: &str| {
        let one = r#"settle = { kind = "move", to = "Done" }"#;
        let other = LEAST.split_once("[[mailbox]]").unwrap().1.replace("support\"", "other\"");
        let other = other.replace("support@", "Support@").replace("imap.", "IMAP.");
        load(&format!(
            "{LEAST}{one}\n[[mailbox]]{other}folder = \"{folder}\"\nsettle = {{ kind = \"move\", to = \"{to}\" }}"
        ))
    };

    assert!(pair("Sales", "Done").is_ok());
    for (folder, to) in [("inbox", "Elsewhere"), ("Done", "Elsewhere"), ("Sales", "InBox")] {
        let problems = pair(folder, to).expect_err(folder);
        assert_eq!(problems.iter().count(), 1, "{problems}");
        assert_eq!(problems.iter().next().unwrap().key, "mailbox");
    }
}

#[test]
fn a_rule_names_webhooks_that_there_are() {
    let rule = "[[rule]]\nname = \"one\"\nfrom = \"*\"\nwebhook = \"helpdesk\"";
    assert_eq!(load(&format!("{LEAST}{WEBHOOK}{rule}")).unwrap().rules.len(), 1);

    for (toml, allowed) in [
        (format!("{LEAST}{rule}"), "none: there is no [[webhook]]"),
        (format!("{LEAST}{WEBHOOK}{}", rule.replace("helpdesk", "crm")), r#"one of "helpdesk""#),
    ] {
        let problems = load(&toml).unwrap_err();
        let problem = problems.iter().next().unwrap();
        assert_eq!((problem.key.as_str(), problem.allowed.as_str()), ("rule", allowed), "{problems}");
    }
}

#[test]
fn a_rule_says_something_about_some_mail() {
    for (rule, key) in [
        ("tag = \"x\"", "from"),
        ("from = \"*\"", "tag"),
        ("larger = 2\nsmaller = 3\nstop = true", "smaller"),
    ] {
        let problems = load(&format!("{LEAST}[[rule]]\nname = \"one\"\n{rule}")).unwrap_err();
        let keys: Vec<_> = problems.iter().map(|problem| problem.key.clone()).collect();
        assert_eq!(keys, [format!("rule \"one\": {key}")]);
    }
}

#[test]
fn a_variable_that_is_no_text_is_refused() {
    let name = "POSTROOM__DATABASE__URL".into();
    let value = OsString::from_vec(vec![0xff]);
    let setup = Setup::new(LEAST);

    let problems = Config::load(Some(&setup.0.path().join("postroom.toml")), [(name, value)]).unwrap_err();

    let problem = problems.iter().next().unwrap();
    assert_eq!(problem.origin, "environment POSTROOM__DATABASE__URL");
    assert_eq!(problem.key, "database.url");
}

proptest! {
    #[test]
    fn no_value_is_too_odd_to_be_reported(
        keys in prop::collection::vec(
            prop::sample::select(vec![
                "DATABASE", "DATABASE__URL", "INTAKE__BATCH_BYTES", "OPS__LISTEN", "LOG__FILTER", "MAILBOX",
                "MAILBOX__SUPPORT", "MAILBOX__SUPPORT__HOST", "MAILBOX__SUPPORT__AUTH", "MAILBOX__SUPPORT__SETTLE__TO",
                "MAILBOX[0]", "MAILBOX[9]__HOST", "MAILBOX[-9]__HOST", "WEBHOOK__A__URL", "WEBHOOK", "", "__", ".", "[", "A.B",
            ]),
            1..5,
        ),
        value: String,
    ) {
        let environment = keys.iter().map(|key| (format!("POSTROOM__{key}"), value.clone()));
        let environment: Vec<_> = environment.map(|(name, value)| (name.into(), value.into())).collect();
        let setup = Setup::new(LEAST);
        let _ = Config::load(Some(&setup.0.path().join("postroom.toml")), environment);
    }
}
