//! `postroom login`: what a person sees, and what is stored.

use devstack::identity::{Fault, Habits, Kind};
use devstack::{Signal, exchange};

use super::site::{Site, USER};
use crate::support::{LIMIT, mail, run, start};

const SIGNED_IN: &str = "SELECT count(*) FROM oauth_tokens";

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_and_the_worker_goes_on_from_there() {
    let site = Site::new().await;
    let config = site.device();
    // It was there first, and waits.
    let mut worker = start(&config, &["run"]);
    worker.wait_for_line("nobody has signed in to this mailbox yet", LIMIT).await.unwrap();
    site.exchange.deliver(&mail("first", "")).unwrap();

    let mut login = site.begin_sign_in(&config).await;
    login.wait_for_line("microsoft.com/devicelogin", LIMIT).await.unwrap();
    site.identity.approve(USER).unwrap();
    assert!(login.wait(LIMIT).await.unwrap().success(), "{}", login.log_tail());

    let said = login.stdout().unwrap();
    assert!(said.contains("Signed in") && said.contains("All is well."), "{said}");
    // The poll that brings the mail is also the one by whose end the mailbox has recovered.
    site.wait_until_told(&["mailbox.unhealthy", "ticket.created", "mailbox.recovered"]).await;
    site.exchange.wait_for_count("INBOX", 0, LIMIT).await.unwrap();
    worker.signal(Signal::TERM).unwrap();
    assert!(worker.wait(LIMIT).await.unwrap().success());
    for log in [login.stderr().unwrap(), worker.stderr().unwrap()] {
        for private in [USER, "eyJ", "AQAAAA"] {
            assert!(!log.contains(private), "{private} in {log}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_is_hurried_slows_down() {
    let site = Site::new().await;
    site.identity.slow_down(1);
    let config = site.device();

    let mut login = site.begin_sign_in(&config).await;
    site.identity.wait_for(Kind::Poll, 1, LIMIT).await.unwrap();
    site.identity.approve(USER).unwrap();
    assert!(login.wait(LIMIT).await.unwrap().success(), "{}", login.log_tail());

    assert_eq!(site.number(SIGNED_IN).await, 1);
    let polls = site.identity.records().into_iter().filter(|record| record.kind == Kind::Poll);
    let at: Vec<_> = polls.map(|record| record.at).collect();
    // RFC 8628 §3.5: five seconds more.
    assert!(at[1].duration_since(at[0]).as_secs() >= 5, "{at:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_does_not_come_about_says_why_and_stores_nothing() {
    let site = Site::new().await;
    let config = site.device();

    let mut declined = site.begin_sign_in(&config).await;
    site.identity.decline().unwrap();
    assert_eq!(declined.wait(LIMIT).await.unwrap().code(), Some(1));
    assert!(declined.stderr().unwrap().contains("declined"), "{}", declined.stderr().unwrap());

    let mut late = site.begin_sign_in(&config).await;
    site.identity.expire_codes();
    assert_eq!(late.wait(LIMIT).await.unwrap().code(), Some(1));
    assert!(late.stderr().unwrap().contains("expired"), "{}", late.stderr().unwrap());

    let mut interrupted = site.begin_sign_in(&config).await;
    interrupted.signal(Signal::INT).unwrap();
    assert!(!interrupted.wait(LIMIT).await.unwrap().success());

    site.identity.fail_next(1, Fault::ApplicationNotFound);
    let (code, _, log) = run(&config, &["login", "support"]).await;
    assert_eq!(code, Some(1));
    assert!(log.contains("AADSTS700016") && log.contains("client_id"), "{log}");

    assert_eq!(site.number(SIGNED_IN).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_fails_for_a_moment_does_not_end_a_sign_in() {
    let site = Site::new().await;
    let config = site.device();
    let mut login = site.begin_sign_in(&config).await;

    site.identity.fail_next(2, Fault::HangUpBefore);
    site.identity.fail_next(1, Fault::Unavailable);
    let polls = site.identity.count(Kind::Poll);
    site.identity.wait_for(Kind::Poll, polls + 3, LIMIT).await.unwrap();
    site.identity.approve(USER).unwrap();

    assert!(login.wait(LIMIT).await.unwrap().success(), "{}", login.log_tail());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_mailbox_is_opened_by_whoever_may() {
    let site = Site::new().await;
    let config = site.device();
    site.exchange.deliver(&mail("shared", "")).unwrap();

    let mut login = site.begin_sign_in(&config).await;
    site.identity.approve("ann@example.com").unwrap();
    assert_eq!(login.wait(LIMIT).await.unwrap().code(), Some(1));
    let said = login.stdout().unwrap();
    assert!(
        said.contains("The token is of ann@example.com and the mailbox is support@example.com"),
        "{said}"
    );
    assert!(
        said.contains("Add-MailboxPermission -Identity support@example.com -User ann@example.com"),
        "{said}"
    );

    site.exchange.permit("ann@example.com", USER);
    site.drain(&config).await;
    assert_eq!(site.exchange.count("INBOX"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_mailbox_that_a_person_signs_in_to_is_signed_in_to() {
    let site = Site::new().await;

    let (code, _, log) = run(&site.device(), &["login", "other"]).await;
    assert_eq!(code, Some(1));
    assert!(log.contains("no mailbox is called \"other\"; there are: support"), "{log}");

    let (code, _, log) = run(&site.application(), &["login", "support"]).await;
    assert_eq!(code, Some(1));
    assert!(log.contains("the application itself signs in to mailbox support"), "{log}");
    assert_eq!(site.identity.count(Kind::DeviceCode), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_signs_in_by_secret_and_by_certificate() {
    let site = Site::new().await;
    let client_id = site.identity.client_id();
    site.exchange.permit(client_id, USER);
    site.exchange.deliver(&mail("by-secret", "")).unwrap();
    site.drain(&site.application()).await;
    assert_eq!((site.identity.count(Kind::Secret), site.exchange.count("INBOX")), (1, 0));

    let certificate = site.identity.new_certificate().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let auth = format!(
        "flow = \"client_credentials\"\ntenant = \"contoso.example\"\ncertificate_file = \"{}\"\nprivate_key_file = \"{}\"",
        file("certificate.pem", &certificate.certificate_pem),
        file("key.pem", &certificate.key_pem),
    );
    site.exchange.deliver(&mail("by-certificate", "")).unwrap();
    site.drain(&site.config(&auth, "", "")).await;
    assert_eq!((site.identity.count(Kind::Assertion), site.exchange.count("INBOX")), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_providers_program_gives_the_token() {
    let site = Site::with(Habits::default(), exchange::Habits::default()).await;
    let token = "ya29.a-token-of-another-provider";
    site.identity.tokens().add(token, devstack::identity::Access::imap(USER), LIMIT);
    site.exchange.deliver(&mail("by-program", "")).unwrap();
    let config = site.device();
    let text = std::fs::read_to_string(&config).unwrap();
    let (before, _) = text.split_once("[mailbox.auth]").unwrap();
    let command = r#"["/bin/sh", "-c", "printf %s ya29.a-token-of-another-provider"]"#;
    std::fs::write(
        &config,
        format!("{before}[mailbox.auth]\nkind = \"token_command\"\ncommand = {command}\n"),
    )
    .unwrap();

    site.drain(&config).await;

    assert_eq!(site.exchange.count("INBOX"), 0);
}
