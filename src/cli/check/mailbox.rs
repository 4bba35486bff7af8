//! What `check` finds out about a mailbox: credential, token, login, folder.

use std::time::SystemTime;

use chrono::Local;

use crate::cli::check::diagnosis;
use crate::cli::check::{Access, Findings, good, more};
use crate::cli::output;
use crate::config;
use crate::config::{Auth, Settle};
use crate::credentials::NotLoggedIn;
use crate::mailbox;
use crate::mailbox::{Credential, Plan, Remedy, Session};
use crate::microsoft::Claims;
use crate::text;

/// Tries a mailbox, from its credential to its folder. Without `access`, for there is no database, only one with a
/// password can be tried.
pub(super) async fn check(
    config: &config::Mailbox,
    access: Option<&Access>,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let what = format!("mailbox {}", config.name);
    let Some(access) = access else { return check_alone(config, &what, findings).await };
    if let Ok(Some(left)) = access.store.backoff_left(&config.name).await {
        let until = (Local::now() + left).format("%H:%M:%S");
        return findings.bad(
            &what,
            format!("not tried, for the server asked to be left alone until {until}"),
            "Nothing to do: the worker goes on by itself then. If it comes often, see who else uses this account.",
        );
    }
    match access.credentials.log_in(config).await {
        Ok((session, obtained)) => {
            let claims = check_token(config, &obtained.credential, &what, findings)?;
            check_folder(config, claims.as_ref(), session, &what, findings).await
        }
        Err(NotLoggedIn::Credential(error)) => findings.bad(&what, text::chain(&error), error.cure()),
        Err(NotLoggedIn::Mailbox { obtained, error }) => {
            if let Remedy::BackOff(pause) = error.remedy() {
                // For the worker, too.
                drop(access.store.back_off(&config.name, pause).await);
            }
            let claims = check_token(config, &obtained.credential, &what, findings)?;
            explain(config, claims.as_ref(), &error, &what, findings)
        }
    }
}

async fn check_alone(config: &config::Mailbox, what: &str, findings: &mut Findings) -> anyhow::Result<()> {
    let Some(credential) = Credential::configured(&config.auth) else {
        return findings.bad(what, "not tried without the database", "Mend the database first.");
    };
    match mailbox::connect(config, &credential).await {
        Ok(session) => check_folder(config, None, session, what, findings).await,
        Err(error) => explain(config, None, &error, what, findings),
    }
}

/// What a token says of itself, if it is one of Microsoft's that says anything, and what is wrong with that.
fn check_token(
    config: &config::Mailbox,
    credential: &Credential,
    what: &str,
    findings: &mut Findings,
) -> anyhow::Result<Option<Claims>> {
    let (Auth::OAuth2(oauth2), Credential::Token(token)) = (&config.auth, credential) else {
        return Ok(None);
    };
    let Some(claims) = Claims::read(token) else { return Ok(None) };
    good(what, describe(&claims))?;
    for fault in diagnosis::faults(oauth2, &claims) {
        findings.bad(what, fault.cause, fault.cure)?;
    }
    Ok(Some(claims))
}

/// What a token says of itself, for the person who has to mend what is wrong with it.
fn describe(claims: &Claims) -> String {
    let whose = match &claims.user {
        Some(user) => format!("of {}", output::tame(user)),
        None => "of the application itself".to_owned(),
    };
    let rights: Vec<&str> = claims.roles.iter().chain(&claims.scopes).map(String::as_str).collect();
    let left = claims.expires_at.map_or_else(
        || "without an end".to_owned(),
        |end| {
            let left = end.duration_since(SystemTime::now()).unwrap_or_default();
            format!("good for {} more minutes", left.as_secs() / 60)
        },
    );
    format!(
        "has an access token {whose} (application {}, tenant {}, audience {}, rights {}), {left}",
        shown(claims.application_id.as_deref()),
        shown(claims.tenant.as_deref()),
        shown(claims.audience.as_deref()),
        shown(Some(rights.join(" ").as_str()).filter(|rights| !rights.is_empty())),
    )
}

fn shown(claim: Option<&str>) -> String {
    claim.map_or_else(|| "none".to_owned(), output::tame)
}

async fn check_folder(
    config: &config::Mailbox,
    claims: Option<&Claims>,
    mut session: Session,
    what: &str,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    match look_into(config, &mut session).await {
        Ok(text) => good(what, text)?,
        Err(error) => {
            explain(config, claims, &error, what, findings)?;
            if matches!(error, mailbox::Error::NoFolder { .. })
                && let Ok(folders) = session.folders().await
            {
                more(format!("Folders there are: {}", output::tame(&folders.join(", "))))?;
            }
        }
    }
    session.logout().await;
    Ok(())
}

async fn look_into(config: &config::Mailbox, session: &mut Session) -> Result<String, mailbox::Error> {
    let plan = Plan::choose(session.capabilities(), &config.settle);
    let news = if session.pushes() { "by IDLE" } else { "by looking" };
    let family = if session.is_ipv6() { "IPv6" } else { "IPv4" };
    let selected = session.select(&config.folder).await?;
    let (exists, uidvalidity) = (selected.exists(), selected.uidvalidity());
    let mut text = format!(
        "logged in to {}:{} over {family}, folder {:?} holds {exists} messages (UIDVALIDITY {uidvalidity}); new mail is \
         noticed {news}; stored messages {plan}",
        config.host, config.port, config.folder
    );
    if let Settle::Move { to } = &config.settle
        && !session.folders().await?.contains(to)
    {
        text.push_str("; that folder will be created");
    }
    Ok(text)
}

fn explain(
    config: &config::Mailbox,
    claims: Option<&Claims>,
    error: &mailbox::Error,
    what: &str,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    findings.bad(what, text::chain(error), error.cure())?;
    for hint in diagnosis::hints(config, claims, error) {
        more(output::tame(&hint))?;
    }
    Ok(())
}
