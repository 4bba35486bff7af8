//! `auth = { kind = "oauth2", … }`: how Microsoft's identity platform is asked for access tokens.

use std::fmt;

use url::Url;

use super::client_proof;
use super::client_proof::ClientProof;
use super::layer;
use super::provider::Provider;
use super::redacted::Toml;
use super::section::Section;

/// How Microsoft's identity platform is asked for access tokens.
#[derive(Clone)]
pub struct OAuth2 {
    /// The tenant's authority, without a slash at its end: `https://login.microsoftonline.com/consumers`.
    /// https.
    pub authority: Url,
    /// The application (client) id of the registered application. Not secret.
    pub client_id: String,
    /// What the token is to be good for, scopes separated by spaces.
    pub scope: String,
    /// Who signs in.
    pub flow: Flow,
    /// PEM certificates of a private authority, trusted besides the system's.
    pub ca_pem: Option<Vec<u8>>,
}

/// Who signs in.
#[derive(Debug, Clone)]
pub enum Flow {
    /// A person, once, by device code (RFC 8628): `postroom login`.
    Device,
    /// The application itself (RFC 6749 §4.4), which proves who it is.
    ClientCredentials(ClientProof),
}

/// What need not be said, as TOML. postroom.toml shows the same values.
pub(super) const DEFAULTS: &str = r#"authority = "https://login.microsoftonline.com""#;

/// What a person gives: reading the mailbox, a refresh token, and who it was. As documented for IMAP, the
/// resource is written out: Graph's permissions of that name are others.
const DEVICE_SCOPE: &str = "https://outlook.office.com/IMAP.AccessAsUser.All offline_access openid profile";

/// What an administrator gave: all of the application's permissions on Exchange.
const CLIENT_CREDENTIALS_SCOPE: &str = "https://outlook.office365.com/.default";

/// Names for many tenants, the last being what all personal accounts are in.
const ALIASES: [&str; 4] = ["common", "organizations", "consumers", "9188040d-6c67-4c5b-b112-36a304b66dad"];

const TENANT_ALLOWED: &str =
    "the directory (tenant) id or a domain of the organisation, such as contoso.onmicrosoft.com";

#[derive(Clone, Copy)]
enum Kind {
    Device,
    ClientCredentials,
}

const FLOWS: [(&str, Kind); 2] = [("device", Kind::Device), ("client_credentials", Kind::ClientCredentials)];

impl OAuth2 {
    pub(super) fn read(
        mut section: Section<'_>,
        provider: Option<Provider>,
        host: Option<&str>,
    ) -> Option<Self> {
        section.fill(&layer::parse(DEFAULTS));
        if !section.has("flow") {
            return section.missing("flow", r#""device" or "client_credentials""#);
        }
        let kind = section.choice("flow", &FLOWS)?;
        let client_id = read_client_id(&mut section);
        let authority = read_authority(&mut section);
        let tenant = read_tenant(&mut section, kind, provider, host);
        let scope = read_scope(&mut section, kind);
        let flow = match kind {
            Kind::Device => {
                refuse_proof(&mut section);
                Some(Flow::Device)
            }
            Kind::ClientCredentials => ClientProof::read(&mut section).map(Flow::ClientCredentials),
        };
        let ca_pem = section.certificates("ca_file");
        section.end();
        Some(Self {
            authority: join(authority?, &tenant?),
            client_id: client_id?,
            scope: scope?,
            flow: flow?,
            ca_pem,
        })
    }

    pub(super) fn write(&self, toml: &mut Toml) {
        let (authority, tenant) = self.authority.as_str().rsplit_once('/').unwrap_or_default();
        toml.text(
            "flow",
            match self.flow {
                Flow::Device => "device",
                Flow::ClientCredentials(_) => "client_credentials",
            },
        );
        toml.text("client_id", &self.client_id);
        toml.text("tenant", tenant);
        toml.text("authority", authority);
        toml.text("scope", &self.scope);
        if let Flow::ClientCredentials(proof) = &self.flow {
            proof.write(toml);
        }
        toml.certificates("ca_file", self.ca_pem.as_deref());
    }
}

// By hand: what proves who the application is stays out of logs.
impl fmt::Debug for OAuth2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth2").field("flow", &self.flow).finish_non_exhaustive()
    }
}

fn read_client_id(section: &mut Section<'_>) -> Option<String> {
    let allowed = "the application (client) id of the registered application";
    if !section.has("client_id") {
        return section.missing("client_id", allowed);
    }
    section.word("client_id", allowed, |text| text.bytes().all(|byte| byte.is_ascii_graphic()))
}

fn read_authority(section: &mut Section<'_>) -> Option<Url> {
    let allowed = "an https URL such as https://login.microsoftonline.com, without the tenant";
    let authority = Url::parse(&section.text("authority", allowed)?);
    let flaw = match &authority {
        Err(_) => "a string that is not a URL",
        Ok(url) if url.scheme() != "https" => "a URL that does not begin with https://",
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            "a URL with a user name or password in it"
        }
        Ok(url) if url.query().is_some() || url.fragment().is_some() => "a URL with a ? or # in it",
        Ok(_) => return authority.ok(),
    };
    section.refuse("authority", flaw, allowed);
    None
}

fn read_tenant(
    section: &mut Section<'_>,
    kind: Kind,
    provider: Option<Provider>,
    host: Option<&str>,
) -> Option<String> {
    if let (Kind::ClientCredentials, Some(Provider::OutlookCom)) = (kind, provider) {
        let remedy = "personal accounts let no application in by itself: let a person sign in by device code";
        section.note(
            "flow",
            r#""client_credentials""#,
            r#""device" for outlook.com"#,
            Some(remedy.to_owned()),
        );
        section.take("tenant");
        return None;
    }
    if !section.has("tenant") {
        return match (kind, provider) {
            (Kind::Device, Some(provider)) => Some(provider.tenant().to_owned()),
            // It may be that a provider was misspelled, which has been told.
            (Kind::Device, None) if host.is_none() => None,
            (Kind::Device, None) | (Kind::ClientCredentials, _) => section.missing("tenant", TENANT_ALLOWED),
        };
    }
    let tenant = section.word("tenant", TENANT_ALLOWED, is_tenant)?;
    if matches!(kind, Kind::ClientCredentials)
        && ALIASES.iter().any(|alias| alias.eq_ignore_ascii_case(&tenant))
    {
        let remedy = "an application signs in at one tenant: name that of the mailbox";
        section.note(
            "tenant",
            format!("{tenant:?}, which stands for many"),
            TENANT_ALLOWED,
            Some(remedy.to_owned()),
        );
        return None;
    }
    Some(tenant)
}

fn read_scope(section: &mut Section<'_>, kind: Kind) -> Option<String> {
    let default = match kind {
        Kind::Device => DEVICE_SCOPE,
        Kind::ClientCredentials => CLIENT_CREDENTIALS_SCOPE,
    };
    if !section.has("scope") {
        return Some(default.to_owned());
    }
    let allowed = format!("scopes separated by single spaces, such as {default:?}");
    let scope = section.word("scope", &allowed, is_scope)?;
    if matches!(kind, Kind::Device) && !scope.split(' ').any(|scope| scope == "offline_access") {
        let remedy = "add it: without it somebody would have to sign in every hour".to_owned();
        section.note("scope", "no offline_access", &allowed, Some(remedy));
        return None;
    }
    Some(scope)
}

/// Microsoft refuses a public client that proves who it is.
fn refuse_proof(section: &mut Section<'_>) {
    for key in client_proof::KEYS {
        let remedy = "take it out: a person signs in, and the application is a public client";
        section.misplaced(key, "a proof of who the application is", remedy);
    }
}

/// An id, or a domain: one segment of a path.
fn is_tenant(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
}

/// RFC 6749 §3.3.
fn is_scope(text: &str) -> bool {
    text.split(' ').all(|scope| {
        !scope.is_empty()
            && scope.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
    })
}

fn join(mut authority: Url, tenant: &str) -> Url {
    // Fails for URLs that can't be a base, and those of https can.
    if let Ok(mut segments) = authority.path_segments_mut() {
        segments.pop_if_empty().push(tenant);
    }
    authority
}
