//! The identity platform's port against a server that answers as Microsoft does.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed setup step is a failed test")]

use std::time::{Duration, SystemTime};

use devstack::identity::{Access, Habits, Kind, Subject};
use devstack::{Answer, Authority, Helpdesk, Identity, IdentityFault};
use postroom::config::{ClientProof, Flow, OAuth2};
use postroom::microsoft::{Cause, Claims, Client, DeviceCode, Error, Fault, Grant, Poll};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

const ANNA: &str = "anna@example.com";
const SCOPE: &str = "https://outlook.office.com/IMAP.AccessAsUser.All offline_access openid profile";
const APP_SCOPE: &str = "https://outlook.office365.com/.default";

async fn start() -> Identity {
    Identity::start(Habits::default()).await.unwrap()
}

/// For a person's sign-in at `tenant`.
fn device(identity: &Identity, tenant: &str) -> OAuth2 {
    OAuth2 {
        authority: Url::parse(&format!("{}/{tenant}", identity.url())).unwrap(),
        client_id: identity.client_id().to_owned(),
        scope: SCOPE.to_owned(),
        flow: Flow::Device,
        ca_pem: Some(identity.authority_pem().to_owned()),
    }
}

/// For the application's own sign-in.
fn application(identity: &Identity, proof: ClientProof) -> OAuth2 {
    let flow = Flow::ClientCredentials(proof);
    OAuth2 { scope: APP_SCOPE.to_owned(), flow, ..device(identity, "example.com") }
}

fn secret(secret: &str) -> ClientProof {
    ClientProof::Secret(SecretString::from(secret))
}

fn client(config: &OAuth2) -> Client {
    Client::new(config).unwrap()
}

/// Refreshes a sign-in that somebody made.
async fn refresh(identity: &Identity) -> Result<Grant, Error> {
    let token = identity.sign_in("consumers", ANNA).unwrap();
    client(&device(identity, "consumers")).refresh(&token.into()).await
}

async fn code(client: &Client) -> DeviceCode {
    client.device_code().await.unwrap()
}

fn fault(error: &Error) -> Fault {
    match error {
        Error::Refused { fault, .. } => *fault,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_person_signs_in_by_device_code() {
    let identity = start().await;
    let client = client(&device(&identity, "consumers"));

    let mut code = code(&client).await;
    assert_eq!(code.verification_uri.as_str(), "https://www.microsoft.com/link");
    assert_eq!(code.expires_in, Duration::from_mins(15));
    let interval = code.interval;
    identity.slow_down(1);
    assert!(matches!(client.poll(&code).await.unwrap(), Poll::SlowDown));
    code.slow_down();
    assert_eq!(code.interval, interval + Duration::from_secs(5));
    assert!(matches!(client.poll(&code).await.unwrap(), Poll::Pending));
    identity.approve(ANNA).unwrap();
    let Poll::Granted(grant) = client.poll(&code).await.unwrap() else { panic!("not granted") };

    assert_eq!(grant.username.as_deref(), Some(ANNA));
    assert_eq!(grant.expires_in, Duration::from_hours(1));
    assert!(grant.refresh_token.is_some());
    assert_eq!(identity.tokens().access(grant.access_token.expose_secret()), Some(Access::imap(ANNA)));
    assert_eq!(Claims::read(&grant.access_token), None, "those of personal accounts are opaque");
    assert_eq!(fault(&client.poll(&code).await.unwrap_err()), Fault::CodeExpired, "good for once");
    assert!(identity.records().iter().all(|record| record.tenant == "consumers"));
}

#[tokio::test]
async fn a_sign_in_that_is_declined_or_left_ends() {
    let identity = start().await;
    let client = client(&device(&identity, "organizations"));

    let declined = code(&client).await;
    identity.decline().unwrap();
    let error = client.poll(&declined).await.unwrap_err();
    assert_eq!(fault(&error), Fault::Declined);

    let left = code(&client).await;
    identity.expire_codes();
    let error = client.poll(&left).await.unwrap_err();
    assert_eq!(fault(&error), Fault::CodeExpired);
    assert!(error.needs_sign_in() && !error.is_transient());
}

#[tokio::test]
async fn an_outage_in_the_middle_of_a_sign_in_leaves_it_as_it_is() {
    let mut identity = start().await;
    let client = client(&device(&identity, "consumers"));
    let code = code(&client).await;
    identity.approve(ANNA).unwrap();

    identity.stop().await.unwrap();
    let error = client.poll(&code).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    identity.start_again().await.unwrap();
    for fault in [IdentityFault::HangUpBefore, IdentityFault::Unavailable, IdentityFault::Throttled(None)] {
        identity.fail_next(1, fault);
        let error = client.poll(&code).await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
    }

    assert!(matches!(client.poll(&code).await.unwrap(), Poll::Granted(_)));
}

#[tokio::test]
async fn each_refresh_gives_the_token_for_the_next() {
    let identity = Identity::start(Habits { strict_rotation: true, ..Habits::default() }).await.unwrap();
    let client = client(&device(&identity, "consumers"));
    let mut token = SecretString::from(identity.sign_in("consumers", ANNA).unwrap());
    let first = token.clone();

    for _ in 0..3 {
        token = client.refresh(&token).await.unwrap().refresh_token.unwrap();
    }

    let generations: Vec<_> = identity.records().iter().map(|record| record.generation).collect();
    assert_eq!(generations, [Some(0), Some(1), Some(2)]);
    let error = client.refresh(&first).await.unwrap_err();
    assert_eq!(fault(&error), Fault::SignInEnded);
    assert!(error.needs_sign_in());
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_the_old_token_good() {
    let identity = start().await;
    let client = client(&device(&identity, "consumers"));
    let token = SecretString::from(identity.sign_in("consumers", ANNA).unwrap());

    identity.fail_next(1, IdentityFault::HangUpAfter);
    let lost = client.refresh(&token).await.unwrap_err();

    assert!(matches!(lost, Error::Unreachable { cause: Cause::Reset, .. }), "{lost:?}");
    assert!(client.refresh(&token).await.is_ok());
}

#[tokio::test]
async fn an_application_signs_in_by_its_secret() {
    let identity = start().await;

    let grant =
        client(&application(&identity, secret(identity.client_secret()))).client_credentials().await.unwrap();

    assert!(grant.refresh_token.is_none() && grant.username.is_none());
    let access = identity.tokens().access(grant.access_token.expose_secret()).unwrap();
    assert_eq!(access.subject, Subject::Application(identity.client_id().to_owned()));
    let claims = Claims::read(&grant.access_token).unwrap();
    assert_eq!(claims.roles, ["IMAP.AccessAsApp"]);
    assert_eq!(claims.application_id.as_deref(), Some(identity.client_id()));
    assert!(claims.expires_at.unwrap() > SystemTime::now());
    assert_eq!(claims.user, None);
}

#[tokio::test]
async fn a_secret_that_is_wrong_is_told_from_one_that_has_expired() {
    let identity = start().await;

    let wrong = client(&application(&identity, secret("guessed"))).client_credentials().await.unwrap_err();
    let none = OAuth2 { scope: APP_SCOPE.to_owned(), ..device(&identity, "example.com") };
    let none = client(&none).client_credentials().await.unwrap_err();
    identity.expire_secret();
    let expired = client(&application(&identity, secret(identity.client_secret())));
    let expired = expired.client_credentials().await.unwrap_err();

    assert_eq!(
        [&wrong, &none, &expired].map(fault),
        [Fault::WrongSecret, Fault::NoPublicClient, Fault::ExpiredSecret]
    );
    assert!(expired.to_string().ends_with("(AADSTS7000222)"), "{expired}");
    assert!(!expired.needs_sign_in() && !expired.is_transient());
}

#[tokio::test]
async fn an_application_signs_in_by_its_certificate_time_and_again() {
    let identity = start().await;
    let proof = |identity: &Identity| {
        let certified = identity.new_certificate().unwrap();
        let key_pem = String::from_utf8(certified.key_pem).unwrap().into();
        ClientProof::Certificate { certificate_pem: certified.certificate_pem, key_pem }
    };
    let known = client(&application(&identity, proof(&identity)));

    for _ in 0..2 {
        let grant = known.client_credentials().await.unwrap();
        assert!(identity.tokens().access(grant.access_token.expose_secret()).is_some());
    }
    assert_eq!(identity.count(Kind::Assertion), 2);

    let of_another = client(&application(&identity, proof(&start().await)));
    let error = of_another.client_credentials().await.unwrap_err();
    assert_eq!(fault(&error), Fault::WrongCertificate);
}

#[tokio::test]
async fn the_token_of_a_work_account_says_whose_it_is() {
    let identity = start().await;
    let token = identity.sign_in("organizations", ANNA).unwrap();

    let grant = client(&device(&identity, "organizations")).refresh(&token.into()).await.unwrap();

    let claims = Claims::read(&grant.access_token).unwrap();
    assert_eq!(claims.user.as_deref(), Some(ANNA));
    assert_eq!(claims.scopes, ["IMAP.AccessAsUser.All"]);
    assert_eq!(claims.audience.as_deref(), Some("https://outlook.office.com"));
    assert!(claims.tenant.is_some());
}

#[tokio::test]
async fn every_refusal_has_its_meaning() {
    let identity = start().await;
    for (refusal, meaning, needs_sign_in) in [
        (IdentityFault::TenantNotFound, Fault::UnknownTenant, false),
        (IdentityFault::ApplicationNotFound, Fault::UnknownApplication, false),
        (IdentityFault::ConsentMissing, Fault::ConsentMissing, true),
        (IdentityFault::SecondFactorRequired, Fault::SecondFactor, true),
        (IdentityFault::PasswordChanged, Fault::SignInRevoked, true),
        (IdentityFault::RefreshTokenInactive, Fault::SignInUnused, true),
        (IdentityFault::RefreshTokenExpired, Fault::SignInEnded, true),
    ] {
        identity.fail_next(1, refusal);
        let error = refresh(&identity).await.unwrap_err();

        assert_eq!(fault(&error), meaning, "{error}");
        assert_eq!(error.needs_sign_in(), needs_sign_in, "{error}");
        assert!(!error.is_transient(), "{error}");
        assert!(error.to_string().contains("(AADSTS"), "{error}");
        assert!(!format!("{error:?} {error}").contains(identity.client_id()), "{error:?}");
    }
}

#[tokio::test]
async fn a_pause_that_is_asked_for_is_told() {
    let identity = start().await;

    identity.fail_next(1, IdentityFault::Throttled(Some(17)));
    let error = refresh(&identity).await.unwrap_err();
    assert!(matches!(error, Error::Throttled { .. }), "{error:?}");
    assert_eq!((error.is_transient(), error.retry_after()), (true, Some(Duration::from_secs(17))));

    identity.fail_next(1, IdentityFault::Throttled(None));
    assert_eq!(refresh(&identity).await.unwrap_err().retry_after(), None);
}

#[tokio::test]
async fn what_is_no_answer_of_the_platform_is_given_up() {
    let identity = start().await;
    for (misbehaviour, status) in [
        (IdentityFault::NotJson, 200),
        (IdentityFault::Endless, 200),
        (IdentityFault::ServerError, 500),
        (IdentityFault::Unavailable, 503),
    ] {
        identity.fail_next(1, misbehaviour);
        let error = refresh(&identity).await.unwrap_err();

        let (Error::Unreadable { status: s } | Error::Unavailable { status: s, .. }) = error else {
            panic!("{misbehaviour:?}: {error:?}")
        };
        assert_eq!(s, status, "{misbehaviour:?}");
        assert!(error.is_transient());
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_a_secret() {
    let identity = start().await;
    let authority = Authority::new().unwrap();
    let elsewhere = Helpdesk::start_tls(&authority).await.unwrap();
    elsewhere.answer(Answer::redirect(&identity.url()));
    let mut config = application(&identity, secret(identity.client_secret()));
    config.authority = Url::parse(&elsewhere.url()).unwrap();
    config.ca_pem = Some([authority.pem(), identity.authority_pem()].concat());

    let error = client(&config).client_credentials().await.unwrap_err();

    assert!(matches!(error, Error::Unreadable { status: 300..=399 }), "{error:?}");
    assert_eq!((elsewhere.requests().len(), identity.records().len()), (1, 0));
}

#[tokio::test]
async fn why_there_is_no_answer_is_told_apart() {
    let mut identity = start().await;
    let trusted = device(&identity, "consumers");
    let at = |authority: &str| OAuth2 { authority: Url::parse(authority).unwrap(), ..trusted.clone() };
    let untrusted = OAuth2 { ca_pem: None, ..trusted.clone() };
    let misnamed = at(&identity.url().replace("localhost", "127.0.0.1"));
    let unknown = at("https://login.invalid/consumers");
    let without_tls = at(&identity.introspection_url().replace("http:", "https:"));
    let cause = async |config: &OAuth2| match client(config).device_code().await.unwrap_err() {
        Error::Unreachable { cause, .. } => cause,
        other => panic!("{other:?}"),
    };

    assert_eq!(cause(&untrusted).await, Cause::Untrusted);
    assert_eq!(cause(&misnamed).await, Cause::Untrusted);
    assert_eq!(cause(&without_tls).await, Cause::Tls);
    assert_eq!(cause(&unknown).await, Cause::Dns);
    identity.fail_next(1, IdentityFault::HangUpBefore);
    assert_eq!(cause(&trusted).await, Cause::Reset);
    assert_eq!(identity.count(Kind::DeviceCode), 1, "nothing was asked where trust was missing");
    identity.stop().await.unwrap();
    assert_eq!(cause(&trusted).await, Cause::Connect);
}
