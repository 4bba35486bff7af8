//! `postroom check`: each failure at Microsoft's in words, with its cure.

use devstack::exchange::Reaction;
use devstack::identity::Fault;

use super::site::{Site, USER};
use crate::support::run;

/// What `check` says, which must be that so much is to be mended.
async fn checked(config: &std::path::Path, to_mend: usize) -> String {
    let (code, said, log) = run(config, &["check"]).await;
    let (expected, conclusion) =
        if to_mend == 0 { (0, "All is well.".to_owned()) } else { (1, format!("{to_mend} to mend.")) };
    assert!(said.contains(&conclusion), "{said}\n{log}");
    assert_eq!(code, Some(expected), "{said}\n{log}");
    assert!(!said.contains("eyJ") && !log.contains("eyJ"), "no token is shown: {said}\n{log}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_mailbox_is_described_with_what_its_token_is_good_for() {
    let site = Site::new().await;
    let config = site.device();
    run(&config, &["migrate"]).await;
    let said = checked(&config, 1).await;
    assert!(said.contains("nobody has signed in to this mailbox yet"), "{said}");
    assert!(said.contains("postroom login"), "{said}");

    site.sign_in(&config).await;
    let said = checked(&config, 0).await;

    for part in [USER, "IMAP.AccessAsUser.All", "audience https://outlook.office", "over IPv4", "by IDLE"] {
        assert!(said.contains(part), "{part} in {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_without_permission_for_the_mailbox_is_told_the_commands() {
    let site = Site::new().await;
    let config = site.application();
    run(&config, &["migrate"]).await;

    let said = checked(&config, 1).await;

    assert!(said.contains("of the application itself"), "{said}");
    assert!(said.contains("User is authenticated but not connected"), "{said}");
    let client_id = site.identity.client_id();
    assert!(said.contains(&format!("New-ServicePrincipal -AppId {client_id}")), "{said}");
    assert!(said.contains(&format!("Add-MailboxPermission -Identity {USER}")), "{said}");

    site.exchange.permit(client_id, USER);
    checked(&config, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_without_consent_is_found_out_by_its_token() {
    let habits = devstack::identity::Habits { roles: Vec::new(), ..devstack::identity::Habits::default() };
    let site = Site::with(habits, devstack::exchange::Habits::default()).await;
    let config = site.application();
    run(&config, &["migrate"]).await;

    let said = checked(&config, 2).await;

    assert!(said.contains("IMAP.AccessAsApp") && said.contains("grant admin consent"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_refused_is_explained() {
    let site = Site::new().await;
    let config = site.device();
    site.sign_in(&config).await;
    site.exchange.always("AUTHENTICATE", Reaction::Answer("NO AUTHENTICATE failed.".to_owned()));

    let said = checked(&config, 1).await;

    assert!(said.contains("IMAP may be switched off"), "{said}");
    assert!(said.contains(&format!("Set-CASMailbox -Identity {USER} -ImapEnabled $true")), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_identity_platform_refuses_is_explained() {
    let site = Site::new().await;
    let config = site.application();
    run(&config, &["migrate"]).await;
    for (fault, number, cure) in [
        (Fault::TenantNotFound, "AADSTS90002", "tenant"),
        (Fault::ApplicationNotFound, "AADSTS700016", "client_id"),
        (Fault::ConsentMissing, "AADSTS65001", "consent"),
    ] {
        site.identity.fail_next(1, fault);
        let said = checked(&config, 1).await;
        assert!(said.contains(number) && said.contains(cure), "{said}");
    }
    site.identity.expire_secret();
    let said = checked(&config, 1).await;
    assert!(said.contains("AADSTS7000222") && said.contains("expired"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_missing_is_answered_by_those_there_are() {
    let site = Site::new().await;
    let config = site.device_with("folder = \"Inbox/Kunden\"", "");
    site.sign_in_only(&config).await;
    site.exchange.change(|mailbox| mailbox.create("Kunden"));

    let said = checked(&config, 1).await;

    assert!(said.contains("there is no folder \"Inbox/Kunden\""), "{said}");
    assert!(said.contains("Folders there are: INBOX, Kunden"), "{said}");
}
