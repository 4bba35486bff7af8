//! Mailboxes that are signed in to: what may be written, what follows from it, and what is refused.

use super::client_proof::{Certified, rsa};
use super::*;

const DATABASE: &str = "[database]\nurl = \"postgres://postroom@localhost/postroom\"\n";

/// The base64 of 32 bytes.
pub(super) const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// A mailbox for each way to log in, and a webhook: everything that can be written, secrets in place.
pub(super) fn of_every_kind() -> Setup {
    let toml = r#"
        [database]
        url = "postgres://postroom:canary@localhost/postroom?password=canary"

        [secrets]
        key = "KEY"
        previous_key = "KEY"

        [filing]
        token_key = "canary of twenty-four characters"
        previous_token_key = "canary of twenty-four characters"
        shared_domains = ["isp.example"]
        unlimited_senders = ["scanner@example.com"]

        [[mailbox]]
        name = "one"
        host = "imap.example.com"
        username = "one@example.com"
        ca_file = "ca.pem"
        auth = { kind = "password", password = "canary" }

        [[mailbox]]
        name = "two"
        provider = "outlook.com"
        username = "two@example.com"
        [mailbox.auth]
        kind = "oauth2"
        flow = "device"
        client_id = "app"
        ca_file = "ca.pem"

        [[mailbox]]
        name = "three"
        provider = "microsoft365"
        username = "three@example.com"
        [mailbox.auth]
        kind = "oauth2"
        flow = "client_credentials"
        client_id = "app"
        tenant = "contoso.com"
        client_secret = "canary"

        [[mailbox]]
        name = "four"
        provider = "microsoft365"
        username = "four@example.com"
        [mailbox.auth]
        kind = "oauth2"
        flow = "client_credentials"
        client_id = "app"
        tenant = "contoso.com"
        certificate_file = "certificate.pem"
        private_key_file = "key.pem"

        [[mailbox]]
        name = "five"
        host = "imap.example.com"
        username = "five@example.com"
        auth = { kind = "token_command", command = ["token", "--password", "canary"] }

        [[webhook]]
        name = "helpdesk"
        url = "https://helpdesk.example.com/hooks?key=canary"
        secret = "whsec_canarycanarycanarycanarycanaryca"
        previous_secret = "whsec_canarycanarycanarycanarycanaryca"
        ca_file = "ca.pem"

        [[tracker]]
        name = "servicenow"
        pattern = '\b(INC\d{7})\b'
        domains = ["service-now.example.com"]

        [[rule]]
        name = "everything"
        from = "canary@*"
        to = ["canary@*"]
        subject = "*canary*"
        header = "X-Canary: canary"
        verdict = "human"
        larger = "1 KiB"
        smaller = "1 MiB"
        has_attachment = true
        tag = "vip"
        priority = "high"
        status = "open"
        webhook = "helpdesk"
        suspend = true
        stop = true
    "#;
    let certified = Certified::new(rsa(), -1, 1);
    let setup = Setup::new(&toml.replace("KEY", KEY)).with("ca.pem", CERTIFICATE);
    setup.with("certificate.pem", &certified.certificate).with("key.pem", certified.key_pem())
}

/// A configuration with one mailbox: where it is, then its `auth`.
fn toml(place: &str, auth: &str) -> String {
    format!(
        "{DATABASE}[secrets]\nkey = \"{KEY}\"\n[[mailbox]]\nname = \"support\"\nusername = \"support@contoso.com\"\n\
         {place}\n[mailbox.auth]\n{auth}"
    )
}

pub(super) fn oauth2(place: &str, more: &str) -> String {
    toml(place, &format!("kind = \"oauth2\"\nclient_id = \"app\"\n{more}"))
}

pub(super) fn signed_in(setup: &Setup) -> OAuth2 {
    match &setup.load().unwrap_or_else(|problems| panic!("{problems}")).mailboxes[0].auth {
        Auth::OAuth2(oauth2) => (**oauth2).clone(),
        other => panic!("{other:?}"),
    }
}

/// The only problem's key, what was found, and what to do.
fn problem(toml: &str) -> (String, String, String) {
    only(&Setup::new(toml))
}

pub(super) fn only(setup: &Setup) -> (String, String, String) {
    let problems = setup.load().expect_err("nothing was reported");
    let [problem] = problems.iter().collect::<Vec<_>>()[..] else { panic!("{problems}") };
    let key = problem.key.strip_prefix("mailbox \"support\": ").unwrap_or(&problem.key);
    let found = problem.found.replace(&format!("{}/", setup.0.path().display()), "");
    (key.to_owned(), found, problem.remedy.clone().unwrap_or_default())
}

#[test]
fn authority_and_scope_follow_from_the_provider() {
    for (place, tenant) in
        [(r#"provider = "outlook.com""#, "consumers"), (r#"provider = "microsoft365""#, "organizations")]
    {
        let oauth2 = signed_in(&Setup::new(&oauth2(place, r#"flow = "device""#)));

        assert_eq!(oauth2.authority.as_str(), format!("https://login.microsoftonline.com/{tenant}"));
        assert_eq!(
            oauth2.scope,
            "https://outlook.office.com/IMAP.AccessAsUser.All offline_access openid profile"
        );
        assert_eq!(oauth2.client_id, "app");
        assert!(matches!(oauth2.flow, Flow::Device));
    }
    let more = "flow = \"client_credentials\"\ntenant = \"contoso.onmicrosoft.com\"\nclient_secret = \"s\"";
    let oauth2 = signed_in(&Setup::new(&oauth2(r#"provider = "microsoft365""#, more)));
    assert_eq!(oauth2.authority.as_str(), "https://login.microsoftonline.com/contoso.onmicrosoft.com");
    assert_eq!(oauth2.scope, "https://outlook.office365.com/.default");
    assert!(
        matches!(&oauth2.flow, Flow::ClientCredentials(ClientProof::Secret(secret)) if secret.expose_secret() == "s")
    );
}

#[test]
fn the_provider_says_where_the_mailbox_is() {
    let mailbox = |place: &str| {
        let toml = oauth2(place, "flow = \"device\"\ntenant = \"consumers\"");
        load(&toml).unwrap().mailboxes.remove(0)
    };

    let outlook = mailbox(r#"provider = "outlook.com""#);
    assert_eq!(
        (outlook.provider, outlook.host.as_str()),
        (Some(Provider::OutlookCom), "imap-mail.outlook.com")
    );
    let work = mailbox(r#"provider = "microsoft365""#);
    assert_eq!((work.provider, work.host.as_str()), (Some(Provider::Microsoft365), "outlook.office365.com"));
    let other = mailbox(r#"host = "exchange.contoso.com""#);
    assert_eq!((other.provider, other.host.as_str()), (None, "exchange.contoso.com"));
}

#[test]
fn a_national_cloud_is_written_out() {
    let more = "flow = \"device\"\nauthority = \"https://login.microsoftonline.us/\"\ntenant = \"contoso.us\"\n\
                scope = \"https://outlook.office365.us/IMAP.AccessAsUser.All offline_access\"\nca_file = \"ca.pem\"";
    let setup = Setup::new(&oauth2(r#"host = "outlook.office365.us""#, more)).with("ca.pem", CERTIFICATE);

    let oauth2 = signed_in(&setup);

    assert_eq!(oauth2.authority.as_str(), "https://login.microsoftonline.us/contoso.us");
    assert_eq!(oauth2.scope, "https://outlook.office365.us/IMAP.AccessAsUser.All offline_access");
    assert_eq!(oauth2.ca_pem.as_deref(), Some(CERTIFICATE.as_bytes()));
}

#[test]
fn a_table_and_a_line_are_the_same() {
    let table = oauth2(r#"provider = "outlook.com""#, r#"flow = "device""#);
    let line = table.replace("[mailbox.auth]\n", "auth = { ").replace("\nclient_id", ", client_id");
    let line = line.replace("\nflow = \"device\"", ", flow = \"device\" }");

    assert!(line.contains(r#"auth = { kind = "oauth2", client_id = "app", flow = "device" }"#), "{line}");
    assert_eq!(load(&table).unwrap().redacted(), load(&line).unwrap().redacted());
}

#[test]
fn the_environment_reaches_into_the_table() {
    let setup = Setup::new(&oauth2(
        r#"provider = "microsoft365""#,
        "flow = \"client_credentials\"\ntenant = \"contoso.com\"",
    ));

    let config = setup
        .load_under(&[
            ("POSTROOM__MAILBOX__SUPPORT__AUTH__CLIENT_SECRET", "from outside"),
            ("POSTROOM__MAILBOX__SUPPORT__AUTH__TENANT", "fabrikam.com"),
            ("POSTROOM__SECRETS__PREVIOUS_KEY", &KEY.replace("AQ", "Ag")),
        ])
        .unwrap();

    let Auth::OAuth2(oauth2) = &config.mailboxes[0].auth else { panic!("{config:?}") };
    assert_eq!(oauth2.authority.as_str(), "https://login.microsoftonline.com/fabrikam.com");
    assert!(
        matches!(&oauth2.flow, Flow::ClientCredentials(ClientProof::Secret(secret)) if secret.expose_secret() == "from outside")
    );
    assert_eq!(config.secrets.keys.len(), 2);
}

#[test]
fn a_key_is_needed_where_refresh_tokens_are_kept_and_nowhere_else() {
    let device = oauth2(r#"provider = "outlook.com""#, r#"flow = "device""#);
    let without_key = device.replace(&format!("key = \"{KEY}\"\n"), "");
    let (key, found, remedy) = problem(&without_key);
    assert_eq!((key.as_str(), found.as_str()), ("secrets.key", "nothing"));
    assert!(remedy.contains("key_file"), "{remedy}");

    let (key, ..) = problem(&device.replace(KEY, "c2hvcnQ="));
    assert_eq!(key, "secrets.key", "a broken one is not missing besides");
    let (key, ..) = problem(&device.replace("\nkey = ", "\nprevious_key = "));
    assert_eq!(key, "secrets.previous_key");

    let key_file = without_key.replace("[secrets]", "[secrets]\nkey_file = \"key\"");
    let config = Setup::new(&key_file).with("key", format!("{KEY}\n")).load().unwrap();
    assert_eq!(config.secrets.keys.len(), 1);
}

#[test]
fn providers_take_no_passwords() {
    for place in
        [r#"provider = "outlook.com""#, r#"provider = "microsoft365""#, r#"host = "Outlook.Office365.com""#]
    {
        let (key, found, remedy) = problem(&toml(place, "kind = \"password\"\npassword = \"p\""));

        assert_eq!((key.as_str(), found.as_str()), ("auth.kind", "\"password\""));
        assert!(remedy.contains("OAuth 2.0"), "{remedy}");
    }
}

#[test]
fn a_provider_wants_the_full_address() {
    let device = oauth2(r#"provider = "microsoft365""#, r#"flow = "device""#);
    for (username, word) in [
        ("support", "bare name"),
        ("support@", "bare name"),
        ("support@contoso", "bare name"),
        ("a person@contoso.com", "bare name"),
        (r"agent@contoso.com\\support@contoso.com", "shared mailbox"),
    ] {
        let (key, _, remedy) = problem(&device.replace("support@contoso.com", username));

        assert_eq!(key, "username", "{username}");
        assert!(remedy.contains(word), "{username}: {remedy}");
    }
}

#[test]
fn an_application_signs_in_at_one_tenant_of_an_organisation() {
    let secret = "flow = \"client_credentials\"\nclient_secret = \"s\"";
    let (key, found, _) = problem(&oauth2(r#"provider = "microsoft365""#, secret));
    assert_eq!((key.as_str(), found.as_str()), ("auth.tenant", "nothing"));

    for alias in ["common", "Organizations", "consumers", "9188040d-6c67-4c5b-b112-36a304b66dad"] {
        let more = format!("{secret}\ntenant = \"{alias}\"");
        let (key, found, _) = problem(&oauth2(r#"provider = "microsoft365""#, &more));
        assert_eq!((key.as_str(), found), ("auth.tenant", format!("{alias:?}, which stands for many")));
    }

    for more in [secret.to_owned(), format!("{secret}\ntenant = \"contoso.com\"")] {
        let (key, _, remedy) = problem(&oauth2(r#"provider = "outlook.com""#, &more));
        assert_eq!(key, "auth.flow");
        assert!(remedy.contains("personal accounts"), "{remedy}");
    }
}

#[test]
fn what_cannot_be_asked_for_is_refused() {
    for (more, key) in [
        ("", "auth.flow"),
        ("flow = \"devise\"", "auth.flow"),
        ("flow = \"device\"\ntenant = \"a/b\"", "auth.tenant"),
        ("flow = \"device\"\ntenant = \"..\"", "auth.tenant"),
        ("flow = \"device\"\nauthority = \"http://localhost\"", "auth.authority"),
        ("flow = \"device\"\nauthority = \"https://u:p@localhost\"", "auth.authority"),
        ("flow = \"device\"\nauthority = \"https://localhost/?a\"", "auth.authority"),
        ("flow = \"device\"\nauthority = \"login\"", "auth.authority"),
        ("flow = \"device\"\nscope = \"IMAP.AccessAsUser.All\"", "auth.scope"),
        ("flow = \"device\"\nscope = \"a  offline_access\"", "auth.scope"),
        ("flow = \"device\"\nclient_secret = \"s\"", "auth.client_secret"),
        ("flow = \"client_credentials\"\ntenant = \"contoso.com\"", "auth.client_secret"),
        (
            "flow = \"client_credentials\"\ntenant = \"contoso.com\"\nclient_secret = \"s\"\ncertificate_file = \"c\"",
            "auth.client_secret",
        ),
        (
            "flow = \"client_credentials\"\ntenant = \"contoso.com\"\n\
             client_secret = \"3f0b1c1e-6d0f-4c53-8a0f-5ad3c6b0a111\"",
            "auth.client_secret",
        ),
    ] {
        let (found, ..) = problem(&oauth2(r#"provider = "microsoft365""#, more));
        assert_eq!(found, key, "{more}");
    }
    let (key, ..) = problem(&oauth2(r#"host = "exchange.contoso.com""#, r#"flow = "device""#));
    assert_eq!(key, "auth.tenant");
    let (key, ..) = problem(&oauth2(r#"provider = "outlok.com""#, r#"flow = "device""#));
    assert_eq!(key, "provider", "nothing is asked for that would follow from it");
    let (key, ..) = problem(&toml(r#"provider = "outlook.com""#, "kind = \"oauth2\"\nflow = \"device\""));
    assert_eq!(key, "auth.client_id");
}

#[test]
fn a_token_command_is_a_program_and_its_arguments() {
    let command = |command: &str| {
        let toml = toml(r#"provider = "outlook.com""#, &format!("kind = \"token_command\"\n{command}"));
        let setup = Setup::new(&toml);
        let Auth::TokenCommand(command) = setup.load().unwrap().mailboxes.remove(0).auth else {
            panic!("{toml}")
        };
        let program = command.program.strip_prefix(setup.0.path()).unwrap_or(&command.program).to_owned();
        (program.to_str().unwrap().to_owned(), command.arguments, command.timeout.as_secs())
    };
    let of = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();

    assert_eq!(command(r#"command = "token""#), ("token".to_owned(), vec![], 30));
    assert_eq!(
        command("command = [\"./token\", \"a b\", \"\"]\ntimeout = \"5m\""),
        ("token".to_owned(), of(&["a b", ""]), 300)
    );
    assert_eq!(command(r#"command = ["/bin/token", "x"]"#), ("/bin/token".to_owned(), of(&["x"]), 30));
}

#[test]
fn a_token_command_that_cannot_be_run_is_refused() {
    for (command, key) in [
        ("", "auth.command"),
        ("command = []", "auth.command"),
        ("command = \"\"", "auth.command"),
        ("command = [\" \", \"x\"]", "auth.command"),
        ("command = [\"token\", 7]", "auth.command"),
        ("command = [\"token\", \"a\\u0000b\"]", "auth.command"),
        ("command = 7", "auth.command"),
        ("command = \"token\"\ntimeout = \"6m\"", "auth.timeout"),
        ("command = \"token\"\narguments = [\"x\"]", "auth.arguments"),
    ] {
        let toml = toml(r#"provider = "outlook.com""#, &format!("kind = \"token_command\"\n{command}"));
        assert_eq!(problem(&toml).0, key, "{command}");
    }
}

#[test]
fn two_mailboxes_of_one_account_each_sign_in() {
    let one = oauth2(r#"provider = "outlook.com""#, r#"flow = "device""#);
    let other = one.split_once("[[mailbox]]").unwrap().1.replace("\"support\"", "\"sales\"");
    let other = other.replace("username", "folder = \"Sales\"\nusername");

    let config = load(&format!("{one}\n[[mailbox]]{other}")).unwrap();

    assert_eq!(config.mailboxes.len(), 2);
}
