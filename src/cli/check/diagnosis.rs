//! What is behind a failure at Microsoft, as far as the token and the configuration tell.
//!
//! The server's own words are few: the same "AUTHENTICATE failed." stands for a mailbox with IMAP switched off and for a
//! user who may not open it. What can be told apart is told apart here.

use std::time::SystemTime;

use crate::config;
use crate::config::{Auth, Flow, OAuth2, Provider};
use crate::mailbox;
use crate::microsoft::Claims;

/// The id of Exchange Online among Microsoft's services: in its own tenant it stands as the audience in place of a URL.
const EXCHANGE_ONLINE: &str = "00000002-0000-0ff1-ce00-000000000000";

/// What Exchange Online is called in tokens, whichever of the two a scope names.
const AUDIENCES: [&str; 2] = ["https://outlook.office365.com", "https://outlook.office.com"];

/// Something wrong with a token itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) cause: &'static str,
    pub(super) cure: &'static str,
}

/// What is wrong with a token of Microsoft's for IMAP, before it is even shown to the server.
pub(super) fn faults(oauth2: &OAuth2, claims: &Claims) -> Vec<Fault> {
    let mut faults = Vec::new();
    if claims.audience.as_deref().is_some_and(|audience| !is_meant(oauth2, audience)) {
        faults.push(Fault {
            cause: "the token is not for Exchange Online: its audience is another",
            cure: "Leave `scope` out of `auth`, or write it as in docs/outlook.md: a scope of Microsoft Graph does not open \
                   IMAP.",
        });
    }
    let has = |rights: &[String], right: &str| rights.iter().any(|has| has == right);
    match oauth2.flow {
        Flow::ClientCredentials(_) if !has(&claims.roles, "IMAP.AccessAsApp") => faults.push(Fault {
            cause: "the application has not the right to read mailboxes by IMAP (IMAP.AccessAsApp)",
            cure: "In the application's registration add the application permission IMAP.AccessAsApp of Office 365 Exchange \
                   Online, and grant admin consent. A new token is needed after that: restart the worker.",
        }),
        Flow::Device if !has(&claims.scopes, "IMAP.AccessAsUser.All") => faults.push(Fault {
            cause: "who signed in has not consented to IMAP (IMAP.AccessAsUser.All)",
            cure: "In the application's registration add the delegated permission IMAP.AccessAsUser.All, then run `postroom \
                   login` again.",
        }),
        _ => {}
    }
    if claims.expires_at.is_some_and(|end| end <= SystemTime::now()) {
        faults.push(Fault { cause: "the token has expired", cure: "Check this machine's clock." });
    }
    faults
}

/// Whether a token for `audience` is what was asked for: Exchange Online, or in a national cloud whatever the scope names.
fn is_meant(oauth2: &OAuth2, audience: &str) -> bool {
    let audience = audience.trim_end_matches('/');
    audience == EXCHANGE_ONLINE
        || AUDIENCES.contains(&audience)
        || oauth2.scope.split(' ').any(|scope| {
            !scope.contains("graph") && scope.strip_prefix(audience).is_some_and(|rest| rest.starts_with('/'))
        })
}

/// What more can be said about a failure to open the mailbox, likeliest first.
pub(super) fn hints(
    config: &config::Mailbox,
    claims: Option<&Claims>,
    error: &mailbox::Error,
) -> Vec<String> {
    let mut hints = Vec::new();
    let user = &config.username;
    match error {
        mailbox::Error::NotConnected { is_ipv6, .. } => {
            hints.extend(permission(config, claims));
            if *is_ipv6 {
                hints.push(
                    "The connection went over IPv6, behind which Outlook.com fails in just this way: set `ip_family = \"v4\"`."
                        .to_owned(),
                );
            }
            if config.provider == Some(Provider::Microsoft365) {
                hints.push(format!(
                    "The mailbox may have no licence: Get-EXOMailbox -Identity {user} must find it."
                ));
            }
        }
        mailbox::Error::LoginRefused { by_token: true, .. } => {
            hints.push(match config.provider {
                Some(Provider::OutlookCom) => {
                    "IMAP may be switched off: at outlook.com, Settings, Mail, Forwarding and IMAP, let devices and apps use \
                     IMAP."
                        .to_owned()
                }
                _ => format!(
                    "IMAP may be switched off for the mailbox: Get-CASMailbox -Identity {user} | Format-List ImapEnabled; \
                     Set-CASMailbox -Identity {user} -ImapEnabled $true switches it on, within an hour."
                ),
            });
            hints.extend(permission(config, claims));
        }
        _ => {}
    }
    hints
}

/// Who may be lacking the right to open the mailbox, and how it is given.
fn permission(config: &config::Mailbox, claims: Option<&Claims>) -> Option<String> {
    let user = &config.username;
    let of_application = match claims {
        Some(claims) => claims.user.is_none(),
        None => {
            matches!(&config.auth, Auth::OAuth2(oauth2) if matches!(oauth2.flow, Flow::ClientCredentials(_)))
        }
    };
    if of_application {
        let application =
            claims.and_then(|claims| claims.application_id.as_deref()).unwrap_or("<application id>");
        return Some(format!(
            "The application may have no right to this mailbox. In Exchange Online PowerShell: New-ServicePrincipal -AppId \
             {application} -ObjectId <object id of the enterprise application, not of the registration>; \
             Add-MailboxPermission -Identity {user} -User <the same object id> -AccessRights FullAccess. It takes up to \
             an hour."
        ));
    }
    let signed_in = claims?.user.as_deref()?;
    (!signed_in.eq_ignore_ascii_case(user)).then(|| {
        format!(
            "The token is of {signed_in} and the mailbox is {user}. If that is a shared mailbox: Add-MailboxPermission \
             -Identity {user} -User {signed_in} -AccessRights FullAccess. If not, sign in again as {user}."
        )
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use secrecy::SecretString;

    use super::*;
    use crate::config::ClientProof;

    fn oauth2(scope: &str, flow: Flow) -> OAuth2 {
        OAuth2 {
            authority: "https://login.microsoftonline.us/contoso".parse().unwrap(),
            client_id: String::new(),
            scope: scope.to_owned(),
            flow,
            ca_pem: None,
        }
    }

    fn claims(audience: &str, scopes: &[&str], roles: &[&str]) -> Claims {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Claims {
            audience: Some(audience.to_owned()),
            application_id: None,
            roles: owned(roles),
            scopes: owned(scopes),
            user: None,
            tenant: None,
            expires_at: Some(SystemTime::now() + Duration::from_mins(1)),
        }
    }

    #[test]
    fn a_token_for_what_the_scope_names_is_right_in_every_cloud() {
        let user = ["IMAP.AccessAsUser.All"];
        for (scope, audience) in [
            ("https://outlook.office.com/IMAP.AccessAsUser.All offline_access", "https://outlook.office.com"),
            ("https://outlook.office.com/IMAP.AccessAsUser.All", "https://outlook.office365.com/"),
            ("https://outlook.office.com/IMAP.AccessAsUser.All", EXCHANGE_ONLINE),
            ("https://outlook.office365.us/IMAP.AccessAsUser.All", "https://outlook.office365.us"),
            ("https://partner.outlook.cn/IMAP.AccessAsUser.All", "https://partner.outlook.cn"),
        ] {
            assert_eq!(faults(&oauth2(scope, Flow::Device), &claims(audience, &user, &[])), [], "{audience}");
        }
    }

    #[test]
    fn a_token_that_opens_no_mailbox_is_found_out() {
        let graph = oauth2("https://graph.microsoft.com/IMAP.AccessAsUser.All", Flow::Device);
        let found = faults(&graph, &claims("https://graph.microsoft.com", &["IMAP.AccessAsUser.All"], &[]));
        assert!(found[0].cause.contains("audience") && found.len() == 1, "{found:?}");

        let proof = ClientProof::Secret(SecretString::from("secret"));
        let application = oauth2("https://outlook.office365.com/.default", Flow::ClientCredentials(proof));
        let found = faults(&application, &claims("https://outlook.office365.com", &[], &["Mail.Read"]));
        assert!(found[0].cause.contains("IMAP.AccessAsApp") && found.len() == 1, "{found:?}");

        let expired = Claims { expires_at: Some(SystemTime::UNIX_EPOCH), ..claims(AUDIENCES[0], &[], &[]) };
        let found = faults(&oauth2("", Flow::Device), &expired);
        assert_eq!(found.len(), 2, "{found:?}");
    }
}
