//! The Microsoft identity platform, as far as a mail client meets it: device code, refresh, client credentials.
//!
//! Nothing here is Microsoft's but the words: the paths, the fields and the texts of its errors. It behaves
//! ([`Habits`]), until a test makes it fail ([`Fault`]). It knows one application, and every account and tenant.
//!
//! What it gives out is known to [`Tokens`], where a server asks whom to let in, in this process or over HTTP.

mod assertion;
mod device;
mod fault;
mod form;
mod habits;
mod introspection;
mod jwt;
mod platform;
mod record;
mod refusal;
mod sign_in;
mod tokens;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use openssl::x509::X509;

pub use self::fault::Fault;
pub use self::habits::Habits;
pub use self::record::{Kind, Record};
pub use self::tokens::{Access, Subject, Tokens};

use self::device::Verdict;
use self::platform::Platform;
use self::sign_in::SignIn;
use crate::authority::Authority;
use crate::folder::Folder;
use crate::http::Server;
use crate::poll;

/// The application (client) id of the one application that is registered.
const CLIENT_ID: &str = "6b2d1d92-7018-4182-b70e-821127bec509";
const CLIENT_SECRET: &str = "S3c~ret.of-the-application_0123456789";
/// What a mail client asks for, and what it gets who signs in without asking.
const SCOPE: &str = "https://outlook.office.com/IMAP.AccessAsUser.All offline_access";

/// A running platform. It lives in the runtime that started it; dropped, it closes its ports and its connections.
pub struct Identity {
    platform: Arc<Platform>,
    server: Server,
    introspection: Server,
    authority: Authority,
    ca_pem_path: PathBuf,
    _folder: Folder,
}

/// A certificate that the platform knows as the application's, in PEM.
pub struct ClientCertificate {
    /// The certificate.
    pub certificate_pem: Vec<u8>,
    /// Its RSA key, unencrypted.
    pub key_pem: Vec<u8>,
}

impl Identity {
    /// Starts a platform on a free port of loopback. It is certified for `localhost`.
    pub async fn start(habits: Habits) -> Result<Self> {
        let authority = Authority::new()?;
        let folder = Folder::new("identity")?;
        let ca_pem_path = folder.write("ca.pem", authority.pem())?;
        let platform = Arc::new(Platform::new(habits));
        let respond = Arc::clone(&platform);
        let server =
            Server::start(Some(authority.acceptor("localhost")?), move |request| respond.respond(&request))
                .await?;
        let tokens = platform.tokens.clone();
        let introspection =
            Server::start(None, move |request| introspection::respond(&tokens, &request)).await?;
        Ok(Self { platform, server, introspection, authority, ca_pem_path, _folder: folder })
    }

    /// Where it is: `https://localhost:PORT`, in place of `https://login.microsoftonline.com`.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The certificate of the authority to trust, as a file …
    pub fn ca_pem_path(&self) -> &Path {
        &self.ca_pem_path
    }

    /// … and as PEM.
    pub fn authority_pem(&self) -> &[u8] {
        self.authority.pem()
    }

    /// The registered application's client id.
    pub fn client_id(&self) -> &'static str {
        CLIENT_ID
    }

    /// Its client secret.
    pub fn client_secret(&self) -> &'static str {
        CLIENT_SECRET
    }

    /// Makes a certificate and registers it as the application's. Takes about 0.1 s.
    pub fn new_certificate(&self) -> Result<ClientCertificate> {
        let certified = self.authority.certify_client("Postroom")?;
        self.platform.state().proofs.register(X509::from_pem(&certified.certificate)?);
        Ok(ClientCertificate { certificate_pem: certified.certificate, key_pem: certified.key })
    }

    /// The access tokens that are good, for a server that is to take them.
    pub fn tokens(&self) -> Tokens {
        self.platform.tokens.clone()
    }

    /// Where a server in another process asks about a token, by HTTP on loopback (RFC 7662).
    pub fn introspection_url(&self) -> String {
        format!("{}/introspect", self.introspection.url())
    }

    /// Signs in with `account` for every device code that waits. Fails if none does.
    pub fn approve(&self, account: &str) -> Result<()> {
        self.decide(&Verdict::Approved(account.to_owned()))
    }

    /// Declines every sign-in that waits. Fails if none does.
    pub fn decline(&self) -> Result<()> {
        self.decide(&Verdict::Declined)
    }

    /// Lets every device code expire that has been given out so far.
    pub fn expire_codes(&self) {
        for code in &mut self.platform.state().codes {
            code.until = tokio::time::Instant::now();
        }
    }

    /// Tells the next polls, so many of them, to slow down.
    pub fn slow_down(&self, polls: u32) {
        self.platform.state().slow_downs = polls;
    }

    /// Waits until a sign-in waits for a person, and gives the code to type in.
    pub async fn wait_for_code(&self, limit: Duration) -> Result<String> {
        poll::until("a sign-in that waits for a person", limit, async || {
            let state = self.platform.state();
            let waiting = state.codes.iter().rev().find(|code| code.is_pending());
            Ok(waiting.context("none waits")?.user_code.clone())
        })
        .await
    }

    /// Signs in without a device code, and gives the refresh token. For the scope of a mail client.
    pub fn sign_in(&self, tenant: &str, account: &str) -> Result<String> {
        self.platform.state().sign_in(SignIn {
            account: account.to_owned(),
            tenant: tenant.to_owned(),
            scope: SCOPE.to_owned(),
            generation: 0,
        })
    }

    /// Lets the client secret expire.
    pub fn expire_secret(&self) {
        self.platform.state().secret_is_expired = true;
    }

    /// Takes on other habits from now on.
    pub fn adopt(&self, habits: Habits) {
        self.platform.state().habits = habits;
    }

    /// Fails the next requests, so many of them, after those that are to fail already.
    pub fn fail_next(&self, times: u32, fault: Fault) {
        if times > 0 {
            self.platform.state().faults.push_back((times, fault));
        }
    }

    /// Forgets the faults that have not yet befallen anything.
    pub fn behave(&self) {
        self.platform.state().faults.clear();
    }

    /// Lets all [held](Fault::Held) answers go that are waiting now.
    pub fn release(&self) {
        self.server.release();
    }

    /// All requests so far, in the order in which they came.
    pub fn records(&self) -> Vec<Record> {
        self.platform.state().records.clone()
    }

    /// How many requests have been of this kind.
    pub fn count(&self, kind: Kind) -> usize {
        self.platform.state().records.iter().filter(|record| record.kind == kind).count()
    }

    /// Waits until at least `count` requests of this kind have come.
    pub async fn wait_for(&self, kind: Kind, count: usize, limit: Duration) -> Result<()> {
        poll::until(&format!("{count} requests of kind {kind:?}"), limit, async || {
            let come = self.count(kind);
            ensure!(come >= count, "{come} have come");
            Ok(())
        })
        .await
    }

    /// Closes its port and all connections: clients are refused. What has been given out stays good.
    pub async fn stop(&mut self) -> Result<()> {
        self.server.stop().await
    }

    /// Opens it again on the same port.
    pub async fn start_again(&mut self) -> Result<()> {
        self.server.start_again().await
    }

    fn decide(&self, verdict: &Verdict) -> Result<()> {
        let mut state = self.platform.state();
        let mut waiting = state.codes.iter_mut().filter(|code| code.is_pending()).peekable();
        ensure!(waiting.peek().is_some(), "no sign-in waits for a person");
        waiting.for_each(|code| code.verdict = verdict.clone());
        Ok(())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("url", &self.url()).finish_non_exhaustive()
    }
}

// By hand: one of them is a key.
impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").finish_non_exhaustive()
    }
}
