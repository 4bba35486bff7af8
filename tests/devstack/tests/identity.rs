//! The identity platform, seen by a client that has read Microsoft's documentation.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use devstack::identity::{Access, ClientCertificate, Habits, Kind, Record, Subject};
use devstack::{Identity, IdentityFault, Tokens};
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Signer};
use openssl::x509::X509;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_native_tls::{TlsConnector, TlsStream};

const LIMIT: Duration = Duration::from_secs(20);
const ANNA: &str = "anna@example.com";
const SCOPE: &str = "https://outlook.office.com/IMAP.AccessAsUser.All offline_access openid";
const APP_SCOPE: &str = "https://outlook.office365.com/.default";
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// An answer as it came.
struct Answer {
    head: String,
    body: String,
}

impl Answer {
    fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| self.body.clone())
    }

    /// A text in it.
    fn text(&self, name: &str) -> Result<String> {
        let text = self.json()?.get(name).and_then(Value::as_str).map(str::to_owned);
        text.with_context(|| format!("no {name} in {}", self.body))
    }

    /// `error`, and the one number beside it.
    fn refusal(&self) -> Result<(String, Option<u64>)> {
        let numbers = self.json()?.get("error_codes").and_then(Value::as_array).cloned();
        let number = numbers.context("no error_codes")?.first().and_then(Value::as_u64);
        if let Some(number) = number {
            ensure!(
                self.text("error_description")?.starts_with(&format!("AADSTS{number}: ")),
                "{}",
                self.body
            );
        }
        Ok((self.text("error")?, number))
    }
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    path: &str,
    host: &str,
    body: &str,
) -> Result<Answer> {
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len(),
    );
    stream.write_all(request.as_bytes()).await?;
    stream.shutdown().await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    Ok(Answer { head: head.to_owned(), body: body.to_owned() })
}

fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

async fn connect(identity: &Identity) -> Result<(TlsStream<TcpStream>, String)> {
    let trusted = native_tls::Certificate::from_pem(identity.authority_pem())?;
    let tls = native_tls::TlsConnector::builder().add_root_certificate(trusted).build()?;
    let host = identity.url().strip_prefix("https://").context("no https")?.to_owned();
    let tcp = TcpStream::connect(&host).await?;
    Ok((TlsConnector::from(tls).connect("localhost", tcp).await?, host))
}

/// Posts a form to an endpoint of a tenant.
async fn ask(identity: &Identity, tenant: &str, endpoint: &str, fields: &[(&str, &str)]) -> Result<Answer> {
    let (stream, host) = connect(identity).await?;
    exchange(stream, &format!("/{tenant}/oauth2/v2.0/{endpoint}"), &host, &form(fields)).await
}

async fn device_code(identity: &Identity, tenant: &str) -> Result<Answer> {
    ask(identity, tenant, "devicecode", &[("client_id", identity.client_id()), ("scope", SCOPE)]).await
}

async fn poll(identity: &Identity, tenant: &str, code: &str) -> Result<Answer> {
    let fields = [("grant_type", DEVICE), ("client_id", identity.client_id()), ("device_code", code)];
    ask(identity, tenant, "token", &fields).await
}

async fn refresh(identity: &Identity, tenant: &str, token: &str) -> Result<Answer> {
    let fields =
        [("grant_type", "refresh_token"), ("client_id", identity.client_id()), ("refresh_token", token)];
    ask(identity, tenant, "token", &fields).await
}

async fn by_secret(identity: &Identity, secret: &str) -> Result<Answer> {
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", identity.client_id()),
        ("client_secret", secret),
        ("scope", APP_SCOPE),
    ];
    ask(identity, "example.com", "token", &fields).await
}

/// The payload of a JWT.
fn payload(token: &str) -> Result<Value> {
    let part = token.split('.').nth(1).context("not a JWT")?;
    let padded = part.replace('-', "+").replace('_', "/") + &"=".repeat(part.len().wrapping_neg() % 4);
    Ok(serde_json::from_slice(&openssl::base64::decode_block(&padded)?)?)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[tokio::test]
async fn a_device_code_waits_for_a_person_and_is_good_for_once() -> Result<()> {
    let habits = Habits { interval: Duration::from_secs(1), ..Habits::default() };
    let identity = Identity::start(habits).await?;
    assert!(identity.approve(ANNA).is_err(), "nobody waits");

    let offer = device_code(&identity, "consumers").await?;
    let code = offer.text("device_code")?;
    assert_eq!(offer.text("user_code")?, identity.wait_for_code(LIMIT).await?);
    assert_eq!(offer.text("verification_uri")?, "https://www.microsoft.com/link");
    assert!(offer.text("message")?.contains(&offer.text("user_code")?));
    assert_eq!(offer.json()?.get("interval"), Some(&json!(1)));
    assert_eq!(offer.json()?.get("expires_in"), Some(&json!(900)));

    identity.slow_down(1);
    for error in ["slow_down", "authorization_pending", "authorization_pending"] {
        let answer = poll(&identity, "consumers", &code).await?;
        assert_eq!((answer.status(), answer.text("error")?.as_str()), ("400", error));
    }
    identity.approve(ANNA)?;
    let granted = poll(&identity, "consumers", &code).await?;

    assert_eq!(granted.status(), "200");
    assert_eq!(granted.text("scope")?, "https://outlook.office.com/IMAP.AccessAsUser.All");
    assert_eq!(text(&payload(&granted.text("id_token")?)?, "preferred_username"), ANNA);
    assert!(!granted.text("refresh_token")?.is_empty());
    let access_token = granted.text("access_token")?;
    assert!(payload(&access_token).is_err(), "those of personal accounts are opaque");
    assert_eq!(identity.tokens().access(&access_token), Some(Access::imap(ANNA)));
    assert_eq!(poll(&identity, "consumers", &code).await?.text("error")?, "bad_verification_code");
    assert_eq!((identity.count(Kind::DeviceCode), identity.count(Kind::Poll)), (1, 5));
    Ok(())
}

#[tokio::test]
async fn a_sign_in_can_be_declined_and_can_run_out_of_time() -> Result<()> {
    let identity = Identity::start(Habits::default()).await?;
    let code = device_code(&identity, "common").await?.text("device_code")?;
    identity.decline()?;
    assert_eq!(poll(&identity, "common", &code).await?.text("error")?, "authorization_declined");

    let code = device_code(&identity, "common").await?.text("device_code")?;
    identity.expire_codes();
    assert_eq!(
        poll(&identity, "common", &code).await?.refusal()?,
        ("expired_token".to_owned(), Some(70_020))
    );
    assert!(identity.approve(ANNA).is_err(), "nobody waits any more");

    identity.adopt(Habits { code_lifetime: Duration::ZERO, ..Habits::default() });
    let code = device_code(&identity, "common").await?.text("device_code")?;
    assert_eq!(poll(&identity, "common", &code).await?.text("error")?, "expired_token");
    assert_eq!(poll(&identity, "common", "none of ours").await?.text("error")?, "bad_verification_code");
    Ok(())
}

#[tokio::test]
async fn a_refresh_token_is_replaced_and_goes_on_working_unless_rotation_is_strict() -> Result<()> {
    let identity = Identity::start(Habits::default()).await?;
    let first = identity.sign_in("consumers", ANNA)?;

    let second = refresh(&identity, "consumers", &first).await?.text("refresh_token")?;
    let third = refresh(&identity, "consumers", &second).await?.text("refresh_token")?;
    assert!(first != second && second != third);
    assert_eq!(refresh(&identity, "consumers", &first).await?.status(), "200");

    identity.adopt(Habits { strict_rotation: true, ..Habits::default() });
    let fourth = refresh(&identity, "consumers", &third).await?;
    let refused = refresh(&identity, "consumers", &third).await?;
    assert_eq!((fourth.status(), refused.status()), ("200", "400"));
    assert_eq!(refused.refusal()?, ("invalid_grant".to_owned(), Some(70_000)));

    assert_eq!(
        refresh(&identity, "example.com", &fourth.text("refresh_token")?).await?.status(),
        "400",
        "another tenant"
    );
    let generations: Vec<_> = identity.records().into_iter().map(|record| record.generation).collect();
    assert_eq!(generations, [Some(0), Some(1), Some(0), Some(2), None, Some(3)]);
    Ok(())
}

#[tokio::test]
async fn access_tokens_expire_by_the_clock_and_by_command() -> Result<()> {
    let habits = Habits { access_lifetime: Duration::from_mins(10), ..Habits::default() };
    let identity = Identity::start(habits).await?;
    let tokens = identity.tokens();
    let refresh_token = identity.sign_in("consumers", ANNA)?;
    let granted = refresh(&identity, "consumers", &refresh_token).await?;
    let access_token = granted.text("access_token")?;
    assert_eq!(granted.json()?.get("expires_in"), Some(&json!(600)));
    assert!(tokens.remaining(&access_token).is_some_and(|left| left <= Duration::from_mins(10)));

    tokens.expire("somebody.else@example.com");
    assert!(tokens.access(&access_token).is_some());
    tokens.expire("Anna@Example.com");
    assert_eq!(tokens.access(&access_token), None);
    let access_token = refresh(&identity, "consumers", &refresh_token).await?.text("access_token")?;
    tokens.expire_all();
    assert_eq!(tokens.access(&access_token), None);

    let lapsed = Tokens::new();
    lapsed.add("a token", Access::imap(ANNA), Duration::ZERO);
    assert_eq!((lapsed.access("a token"), lapsed.access("another")), (None, None));
    Ok(())
}

#[tokio::test]
async fn a_work_accounts_token_says_what_it_is_for() -> Result<()> {
    let identity = Identity::start(Habits::default()).await?;
    let refresh_token = identity.sign_in("organizations", ANNA)?;

    let claims = payload(&refresh(&identity, "organizations", &refresh_token).await?.text("access_token")?)?;

    let told = ["aud", "appid", "upn", "scp"].map(|name| text(&claims, name));
    assert_eq!(told, ["https://outlook.office.com", identity.client_id(), ANNA, "IMAP.AccessAsUser.All"]);
    assert_eq!(text(&claims, "tid").len(), 36);
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    assert!(claims.get("exp").and_then(Value::as_u64).is_some_and(|end| end > now));
    assert_eq!(claims.get("roles"), None);
    Ok(())
}

#[tokio::test]
async fn an_application_proves_itself_by_its_secret() -> Result<()> {
    let identity =
        Identity::start(Habits { roles: vec!["IMAP.AccessAsApp", "Mail.Read"], ..Habits::default() }).await?;

    let granted = by_secret(&identity, identity.client_secret()).await?;
    let token = granted.text("access_token")?;
    let claims = payload(&token)?;
    assert_eq!(claims.get("roles"), Some(&json!(["IMAP.AccessAsApp", "Mail.Read"])));
    assert_eq!((text(&claims, "aud"), text(&claims, "upn")), ("https://outlook.office365.com", ""));
    assert!(granted.text("refresh_token").is_err(), "the secret is asked for again instead");
    let access = identity.tokens().access(&token).context("not good")?;
    assert_eq!(access.subject, Subject::Application(identity.client_id().to_owned()));

    let wrong = by_secret(&identity, "guessed").await?;
    assert_eq!((wrong.status(), wrong.refusal()?.1), ("401", Some(7_000_215)));
    assert_eq!(by_secret(&identity, "").await?.refusal()?.1, Some(7_000_218));
    identity.expire_secret();
    let expired = by_secret(&identity, identity.client_secret()).await?;
    assert_eq!(expired.refusal()?, ("invalid_client".to_owned(), Some(7_000_222)));
    Ok(())
}

/// Makes an assertion, changed by `change`, and signs it.
fn assertion(
    certificate: &ClientCertificate,
    algorithm: &str,
    thumbprint: &str,
    claims: &Value,
) -> Result<String> {
    let base64url = |bytes: &[u8]| {
        openssl::base64::encode_block(bytes).trim_end_matches('=').replace('+', "-").replace('/', "_")
    };
    let digest = if thumbprint == "x5t" { MessageDigest::sha1() } else { MessageDigest::sha256() };
    let digest = X509::from_pem(&certificate.certificate_pem)?.digest(digest)?;
    let header = json!({ "alg": algorithm, "typ": "JWT", thumbprint: base64url(&digest) });
    let message =
        format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(claims.to_string().as_bytes()));
    let key = PKey::private_key_from_pem(&certificate.key_pem)?;
    let mut signer = Signer::new(MessageDigest::sha256(), &key)?;
    if algorithm == "PS256" {
        signer.set_rsa_padding(Padding::PKCS1_PSS)?;
        signer.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
    }
    Ok(format!("{message}.{}", base64url(&signer.sign_oneshot_to_vec(message.as_bytes())?)))
}

async fn by_assertion(identity: &Identity, assertion: &str) -> Result<Answer> {
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", identity.client_id()),
        ("client_assertion_type", ASSERTION),
        ("client_assertion", assertion),
        ("scope", APP_SCOPE),
    ];
    ask(identity, "example.com", "token", &fields).await
}

#[tokio::test]
async fn an_application_proves_itself_by_an_assertion_that_is_right_in_everything() -> Result<()> {
    let identity = Identity::start(Habits::default()).await?;
    let certificate = identity.new_certificate()?;
    let strange = Identity::start(Habits::default()).await?.new_certificate()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let claims = |id: &str, name: &str, value: Value| {
        let mut claims = json!({
            "aud": format!("{}/example.com/oauth2/v2.0/token", identity.url()),
            "iss": identity.client_id(),
            "sub": identity.client_id(),
            "nbf": now,
            "exp": now + 600,
            "jti": id,
        });
        claims[name] = value;
        claims
    };

    for (algorithm, thumbprint) in [("RS256", "x5t"), ("PS256", "x5t#S256")] {
        let good =
            assertion(&certificate, algorithm, thumbprint, &claims(algorithm, "jti", json!(algorithm)))?;
        assert_eq!(by_assertion(&identity, &good).await?.status(), "200", "{algorithm}");
        assert_eq!(by_assertion(&identity, &good).await?.refusal()?.1, Some(50_027), "it is good for once");
    }
    for (number, name, value) in [
        (700_021, "iss", json!("another")),
        (700_021, "sub", json!("another")),
        (700_023, "aud", json!("https://login.microsoftonline.com/example.com/oauth2/v2.0/token")),
        (700_024, "exp", json!(now - 1)),
        (700_024, "exp", Value::Null),
        (700_024, "nbf", json!(now + 60)),
        (50_027, "jti", Value::Null),
    ] {
        let bad = assertion(&certificate, "RS256", "x5t#S256", &claims("new", name, value))?;
        let answer = by_assertion(&identity, &bad).await?;
        assert_eq!((answer.status(), answer.refusal()?.1), ("401", Some(number)), "{name}");
    }
    let good = claims("new", "jti", json!("new"));
    let other = claims("other", "jti", json!("other"));
    let (good_one, other_one) =
        (assertion(&certificate, "RS256", "x5t", &good)?, assertion(&certificate, "RS256", "x5t", &other)?);
    let (signed, _) = good_one.rsplit_once('.').context("no signature")?;
    let (_, signature) = other_one.rsplit_once('.').context("no signature")?;
    for bad in [
        assertion(&strange, "RS256", "x5t#S256", &good)?,
        assertion(&certificate, "RS256", "kid", &good)?,
        assertion(&certificate, "RS512", "x5t#S256", &good)?,
        format!("{signed}.{signature}"),
    ] {
        assert_eq!(by_assertion(&identity, &bad).await?.refusal()?.1, Some(700_027), "{bad}");
    }
    assert_eq!(by_assertion(&identity, "no JWT").await?.refusal()?.1, Some(50_027));
    assert_eq!((identity.count(Kind::Assertion), identity.count(Kind::Secret)), (16, 0));
    Ok(())
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_as_microsoft_does() -> Result<()> {
    let identity = Identity::start(Habits::default()).await?;
    let id = identity.client_id();
    let cases = [
        ("devicecode", vec![("scope", SCOPE)], "invalid_request", 900_144),
        ("devicecode", vec![("client_id", id)], "invalid_request", 900_144),
        ("devicecode", vec![("client_id", "another"), ("scope", SCOPE)], "unauthorized_client", 700_016),
        ("token", vec![("client_id", id)], "invalid_request", 900_144),
        ("token", vec![("client_id", id), ("grant_type", "password")], "unsupported_grant_type", 70_003),
        (
            "token",
            vec![("client_id", id), ("grant_type", "client_credentials"), ("scope", SCOPE)],
            "invalid_scope",
            1_002_012,
        ),
    ];
    for (endpoint, fields, error, number) in cases {
        let answer = ask(&identity, "common", endpoint, &fields).await?;
        assert_eq!(answer.status(), "400");
        assert_eq!(answer.refusal()?, (error.to_owned(), Some(number)), "{fields:?}");
        assert!(answer.text("error_uri")?.ends_with(&format!("code={number}")));
    }
    Ok(())
}

#[tokio::test]
async fn it_fails_as_often_as_told_and_then_behaves() -> Result<()> {
    use IdentityFault as Fault;
    let identity = Identity::start(Habits::default()).await?;
    let token = identity.sign_in("consumers", ANNA)?;
    let refused = [
        (Fault::TenantNotFound, "invalid_request", 90_002),
        (Fault::ApplicationNotFound, "unauthorized_client", 700_016),
        (Fault::ConsentMissing, "invalid_grant", 65_001),
        (Fault::SecondFactorRequired, "invalid_grant", 50_076),
        (Fault::PasswordChanged, "invalid_grant", 50_173),
        (Fault::RefreshTokenInactive, "invalid_grant", 700_082),
        (Fault::RefreshTokenExpired, "invalid_grant", 70_008),
    ];
    for (fault, ..) in refused {
        identity.fail_next(1, fault);
    }
    for (fault, error, number) in refused {
        let answer = refresh(&identity, "consumers", &token).await?;
        assert_eq!(
            (answer.status(), answer.refusal()?),
            ("400", (error.to_owned(), Some(number))),
            "{fault:?}"
        );
    }

    identity.fail_next(2, Fault::Throttled(Some(7)));
    identity.fail_next(1, Fault::Throttled(None));
    identity.fail_next(1, Fault::Unavailable);
    identity.fail_next(1, Fault::ServerError);
    identity.fail_next(1, Fault::NotJson);
    for (status, retry_after) in
        [("429", true), ("429", true), ("429", false), ("503", false), ("500", false), ("200", false)]
    {
        let answer = refresh(&identity, "consumers", &token).await?;
        assert_eq!((answer.status(), answer.head.contains("Retry-After: 7")), (status, retry_after));
    }

    assert_eq!(refresh(&identity, "consumers", &token).await?.status(), "200");
    identity.fail_next(0, Fault::Unavailable);
    identity.fail_next(u32::MAX, Fault::Unavailable);
    identity.behave();
    assert!(!refresh(&identity, "consumers", &token).await?.text("access_token")?.is_empty());
    Ok(())
}

#[tokio::test]
async fn an_answer_that_is_lost_was_made_nonetheless() -> Result<()> {
    let identity = Identity::start(Habits { strict_rotation: true, ..Habits::default() }).await?;
    let token = identity.sign_in("consumers", ANNA)?;
    identity.fail_next(1, IdentityFault::HangUpBefore);
    identity.fail_next(1, IdentityFault::HangUpAfter);

    for _ in 0..2 {
        assert!(
            refresh(&identity, "consumers", &token).await.is_err(),
            "the connection ends without an answer"
        );
    }

    let refused = refresh(&identity, "consumers", &token).await?;
    assert_eq!(refused.refusal()?.1, Some(70_000), "the token that nobody heard of has replaced it");
    let statuses: Vec<u16> = identity.records().iter().map(|record| record.status).collect();
    assert_eq!(statuses, [0, 200, 400]);
    Ok(())
}

#[tokio::test]
async fn an_answer_can_be_held_and_can_come_slowly_or_without_end() -> Result<()> {
    let identity = Identity::start(Habits::default()).await?;
    let token = identity.sign_in("consumers", ANNA)?;
    identity.fail_next(1, IdentityFault::Held);
    let holding = async {
        identity.wait_for(Kind::Refresh, 1, LIMIT).await?;
        identity.release();
        anyhow::Ok(())
    };
    let (answer, held) = tokio::join!(refresh(&identity, "consumers", &token), holding);
    held?;
    assert_eq!(answer?.status(), "200");

    let request =
        "POST /consumers/oauth2/v2.0/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    identity.fail_next(1, IdentityFault::Trickle);
    let (mut stream, _) = connect(&identity).await?;
    stream.write_all(request.as_bytes()).await?;
    for _ in 0..3 {
        assert_eq!(stream.read(&mut [0; 100]).await?, 1);
    }
    identity.fail_next(1, IdentityFault::Endless);
    let (mut stream, _) = connect(&identity).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut megabyte = vec![0; 1 << 20];
    stream.read_exact(&mut megabyte).await?;
    assert!(megabyte.ends_with(b"xxxx"));
    Ok(())
}

#[tokio::test]
async fn its_records_hold_what_was_asked_and_no_secret() -> Result<()> {
    let mut identity = Identity::start(Habits::default()).await?;
    let began = Instant::now();
    let token = identity.sign_in("consumers", ANNA)?;
    let granted = refresh(&identity, "consumers", &token).await?;
    by_secret(&identity, identity.client_secret()).await?;

    let records = identity.records();
    let [first, second] = records.as_slice() else { bail!("{records:?}") };
    let Record { kind, tenant, client_id, scope, generation, at, status } = second;
    assert_eq!(first.kind, Kind::Refresh);
    assert_eq!(
        (*kind, tenant.as_str(), client_id.as_str()),
        (Kind::Secret, "example.com", identity.client_id())
    );
    assert_eq!((scope.as_deref(), *generation, *status), (Some(APP_SCOPE), None, 200));
    assert!(*at >= began && *at >= first.at);
    let printed =
        format!("{records:?} {identity:?} {:?} {:?}", identity.tokens(), identity.new_certificate()?);
    for secret in [token, granted.text("access_token")?, identity.client_secret().to_owned()] {
        assert!(!printed.contains(&secret), "{printed}");
    }

    identity.stop().await?;
    assert!(device_code(&identity, "common").await.is_err());
    identity.start_again().await?;
    assert_eq!(device_code(&identity, "common").await?.status(), "200");
    Ok(())
}

#[tokio::test]
async fn a_server_in_another_process_can_ask_about_a_token() -> Result<()> {
    let identity = Identity::start(Habits::default()).await?;
    let url = identity.introspection_url();
    let (host, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).context("no URL")?;
    let introspect = async |token: &str| -> Result<Value> {
        let stream = TcpStream::connect(host).await?;
        exchange(stream, &format!("/{path}"), host, &form(&[("token", token)])).await?.json()
    };
    let refresh_token = identity.sign_in("consumers", ANNA)?;
    let token = refresh(&identity, "consumers", &refresh_token).await?.text("access_token")?;

    let known = introspect(&token).await?;
    assert_eq!((known.get("active"), text(&known, "username")), (Some(&json!(true)), ANNA));
    assert_eq!((text(&known, "scope"), known.get("client_id")), ("IMAP.AccessAsUser.All", None));
    assert_eq!(introspect("none of ours").await?, json!({ "active": false }));
    identity.tokens().expire_all();
    assert_eq!(introspect(&token).await?, json!({ "active": false }));
    Ok(())
}
