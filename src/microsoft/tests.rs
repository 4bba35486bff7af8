//! Answers as Microsoft gives them, read.

use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::answer::Answer;
use super::*;
use crate::config::{ClientProof, Flow, OAuth2};

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

fn read(status: u16, body: &Value) -> Result<Answer, Error> {
    Answer::read(status, None, body.to_string().as_bytes(), NOW)
}

fn grant(body: &Value) -> Result<Grant, Error> {
    Grant::read(&read(200, body)?.granted()?)
}

fn device_code(body: &Value) -> Result<DeviceCode, Error> {
    DeviceCode::read(&read(200, body)?.granted()?)
}

fn poll(status: u16, body: &Value) -> Result<Poll, Error> {
    Poll::read(read(status, body)?)
}

/// An error body in full, as the token endpoint writes it.
fn refusal(error: &str, number: u32, text: &str) -> Value {
    json!({
        "error": error,
        "error_description": format!(
            "AADSTS{number}: {text}\r\nTrace ID: 69614a63-47ba-4e4d-83ee-9ade62ff1600\r\n\
             Correlation ID: ae66f807-0e16-448b-b0f8-6a5d6e6bd334\r\nTimestamp: 2026-11-20 21:39:20Z"
        ),
        "error_codes": [number],
        "timestamp": "2026-11-20 21:39:20Z",
        "trace_id": "69614a63-47ba-4e4d-83ee-9ade62ff1600",
        "correlation_id": "ae66f807-0e16-448b-b0f8-6a5d6e6bd334",
        "error_uri": format!("https://login.microsoftonline.com/error?code={number}"),
    })
}

#[test]
fn a_device_code_is_read_as_microsoft_writes_it() {
    let mut code = device_code(&json!({
        "user_code": "F7KQ2XRTN",
        "device_code": "FAQABAAEAAAD--canary",
        "verification_uri": "https://microsoft.com/devicelogin",
        "expires_in": 900,
        "interval": 5,
        "message": "To sign in, use a web browser to open the page https://microsoft.com/devicelogin and enter the code F7KQ2XRTN to authenticate.",
    }))
    .unwrap();

    assert_eq!(code.user_code, "F7KQ2XRTN");
    assert_eq!(code.verification_uri.as_str(), "https://microsoft.com/devicelogin");
    assert_eq!((code.expires_in.as_secs(), code.interval.as_secs()), (900, 5));
    code.slow_down();
    assert_eq!(code.interval.as_secs(), 10);
    let printed = format!("{code:?}");
    assert!(!printed.contains("F7KQ2XRTN") && !printed.contains("canary"), "{printed}");
}

#[test]
fn what_a_device_code_leaves_out_has_the_default_of_the_rfc() {
    let code = |more: Value| {
        let mut body = json!({
            "user_code": "A", "device_code": "B", "verification_uri": "https://c.example/", "expires_in": "900",
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        device_code(&body)
    };

    assert_eq!(code(json!({})).unwrap().interval.as_secs(), 5);
    assert_eq!(code(json!({ "interval": 0 })).unwrap().interval.as_millis(), 100);
    assert_eq!(code(json!({ "interval": u64::MAX })).unwrap().interval.as_secs(), 60);
    assert_eq!(code(json!({ "expires_in": u64::MAX })).unwrap().expires_in.as_secs(), 3600);
    for flaw in [
        json!({ "verification_uri": "http://c.example/" }),
        json!({ "verification_uri": "javascript:alert(1)" }),
        json!({ "user_code": "A\u{1b}[2J" }),
        json!({ "user_code": "" }),
        json!({ "device_code": null }),
        json!({ "expires_in": -1 }),
    ] {
        assert!(matches!(code(flaw.clone()), Err(Error::Unreadable { status: 200 })), "{flaw}");
    }
}

#[test]
fn a_sign_in_goes_from_pending_to_granted() {
    let pending = refusal(
        "authorization_pending",
        70016,
        "OAuth 2.0 device flow error. Authorization is pending. Continue polling.",
    );
    assert!(matches!(poll(400, &pending), Ok(Poll::Pending)));
    assert!(matches!(poll(400, &json!({ "error": "slow_down" })), Ok(Poll::SlowDown)));
    let granted =
        json!({ "token_type": "Bearer", "expires_in": 3599, "access_token": "a", "refresh_token": "r" });
    assert!(matches!(poll(200, &granted), Ok(Poll::Granted(_))));
}

#[test]
fn a_sign_in_that_was_declined_is_told_from_one_that_nobody_finished() {
    let fault = |error: &str, number, text| match poll(400, &refusal(error, number, text)) {
        Err(Error::Refused { fault, .. }) => fault,
        other => panic!("{other:?}"),
    };

    assert_eq!(
        fault("authorization_declined", 70018, "The user declined the authorization request."),
        Fault::Declined
    );
    let expired = "The provided value for the input parameter 'device_code' is not valid. This device code has expired.";
    assert_eq!(fault("expired_token", 70020, expired), Fault::CodeExpired);
}

#[test]
fn a_grant_says_who_signed_in() {
    // {"preferred_username":"support@outlook.com"}
    let id_token = "e30.eyJwcmVmZXJyZWRfdXNlcm5hbWUiOiJzdXBwb3J0QG91dGxvb2suY29tIn0.c2ln";

    let grant = grant(&json!({
        "token_type": "Bearer",
        "scope": "https://outlook.office.com/IMAP.AccessAsUser.All",
        "expires_in": 3600,
        "ext_expires_in": 3600,
        "access_token": "EwBwA8l6BAAU-canary/+==",
        "refresh_token": "M.C555_BAY.-canary!*$$",
        "id_token": id_token,
    }))
    .unwrap();

    assert_eq!(grant.access_token.expose_secret(), "EwBwA8l6BAAU-canary/+==");
    assert_eq!(grant.refresh_token.as_ref().unwrap().expose_secret(), "M.C555_BAY.-canary!*$$");
    assert_eq!(grant.expires_in.as_secs(), 3600);
    assert_eq!(grant.username.as_deref(), Some("support@outlook.com"));
    let printed = format!("{grant:?}");
    assert!(!printed.contains("canary") && !printed.contains("support@"), "{printed}");
}

#[test]
fn an_application_gets_neither_refresh_token_nor_name() {
    let grant =
        grant(&json!({ "token_type": "bearer", "expires_in": "3599", "access_token": "e30.e30.c2ln" }))
            .unwrap();

    assert_eq!(grant.expires_in.as_secs(), 3599);
    assert!(grant.refresh_token.is_none() && grant.username.is_none());
}

#[test]
fn a_grant_that_cannot_be_used_is_none() {
    for flawed in [
        json!({ "token_type": "mac", "expires_in": 1, "access_token": "a" }),
        json!({ "token_type": "Bearer", "expires_in": 1 }),
        json!({ "token_type": "Bearer", "access_token": "a" }),
        json!({ "token_type": "Bearer", "expires_in": 1, "access_token": "" }),
        // Would end the line of a SASL response early.
        json!({ "token_type": "Bearer", "expires_in": 1, "access_token": "a\u{1}b" }),
        json!({}),
    ] {
        assert!(matches!(grant(&flawed), Err(Error::Unreadable { status: 200 })), "{flawed}");
    }
}

#[test]
fn a_refusal_is_told_without_what_the_platform_said() {
    let body = refusal(
        "invalid_grant",
        50173,
        "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user canary@contoso.example …",
    );

    let error = grant_refused(400, &body);

    assert_eq!(error.to_string(), "the sign-in was revoked, or the password was changed (AADSTS50173)");
    assert!(error.needs_sign_in() && !error.is_transient());
    assert!(!format!("{error:?} {error} {}", error.cure()).contains("canary"), "{error:?}");
}

#[test]
fn the_number_is_found_where_the_list_of_numbers_is_missing() {
    let mut body =
        refusal("invalid_client", 7_000_222, "The provided client secret keys for app 'x' are expired.");
    body.as_object_mut().unwrap().remove("error_codes");

    let error = grant_refused(401, &body);

    assert!(
        matches!(error, Error::Refused { fault: Fault::ExpiredSecret, aadsts: Some(7_000_222) }),
        "{error:?}"
    );
    for text in ["AADSTS", "AADSTS: x", "AADSTS99999999999: x", "x AADSTS7000222: x", "é"] {
        body["error_description"] = json!(text);
        let error = grant_refused(401, &body);
        assert!(
            matches!(error, Error::Refused { fault: Fault::ProofRefused, aadsts: None }),
            "{text}: {error:?}"
        );
    }
}

#[test]
fn what_passes_by_itself_is_no_refusal() {
    let unavailable = |status, body: &Value| match read(status, body).err().unwrap() {
        Error::Unavailable { status, .. } => status,
        other => panic!("{other:?}"),
    };

    assert_eq!(unavailable(400, &json!({ "error": "temporarily_unavailable" })), 400);
    assert_eq!(unavailable(400, &refusal("invalid_request", 90033, "A transient error has occurred.")), 400);
    assert_eq!(unavailable(500, &refusal("server_error", 50000, "There was an error issuing a token.")), 500);
    assert_eq!(unavailable(503, &json!("<html>")), 503);
    let throttled = read(400, &refusal("invalid_request", 90055, "Too many requests.")).err().unwrap();
    assert!(matches!(throttled, Error::Throttled { .. }) && throttled.is_transient(), "{throttled:?}");
}

#[test]
fn a_pause_is_asked_for_in_seconds_or_as_a_date() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let asked = |status, retry_after| {
        Answer::read(status, Some(retry_after), b"{}", now)
            .err()
            .unwrap()
            .retry_after()
            .map(|it| it.as_secs())
    };

    assert_eq!(asked(429, "17"), Some(17));
    assert_eq!(asked(503, "Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
    assert_eq!(asked(429, "86400"), Some(3600), "an hour at most");
    assert_eq!(asked(429, "soon"), None);
    assert_eq!(asked(302, "17"), None);
}

#[test]
fn what_is_no_answer_of_the_platform_is_unreadable() {
    for (status, body) in [
        (200, "<html>captive portal</html>"),
        (200, ""),
        (200, "[]"),
        (302, "{}"),
        (302, r#"{"error":"invalid_grant"}"#),
        (400, "{}"),
        (404, "not found"),
        (400, r#"{"error":7}"#),
        (100, "{}"),
    ] {
        let error = Answer::read(status, None, body.as_bytes(), NOW).err().unwrap();
        assert!(
            matches!(error, Error::Unreadable { status: s } if s == status),
            "{status} {body}: {error:?}"
        );
    }
}

#[test]
fn every_error_says_what_to_do() {
    let unreachable = |cause| Error::Unreachable { host: "login.example".to_owned(), cause };
    let causes = [Cause::Dns, Cause::Connect, Cause::Untrusted, Cause::Tls, Cause::Timeout, Cause::Reset]
        .map(unreachable);
    let others = [
        Error::Throttled { retry_after: None },
        Error::Unavailable { status: 503, retry_after: None },
        Error::Unreadable { status: 404 },
        Error::Refused { fault: Fault::Policy, aadsts: Some(53_003) },
    ];

    for error in causes.into_iter().chain(others) {
        assert!(error.cure().ends_with('.'), "{error}: {}", error.cure());
    }
}

#[test]
fn nothing_of_the_application_is_printed() {
    let client = Client::new(&OAuth2 {
        authority: Url::parse("https://login.example/contoso").unwrap(),
        client_id: "app".to_owned(),
        scope: "scope".to_owned(),
        flow: Flow::ClientCredentials(ClientProof::Secret(SecretString::from("canary"))),
        ca_pem: None,
    })
    .unwrap();

    assert_eq!(format!("{client:?}"), r#"Client { authority: "https://login.example/contoso", .. }"#);
}

fn grant_refused(status: u16, body: &Value) -> Error {
    read(status, body).and_then(Answer::granted).err().unwrap()
}

proptest! {
    #[test]
    fn no_answer_is_too_odd_to_be_read(
        status: u16,
        retry_after in proptest::option::of(".{0,30}"),
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            r#"\{"error": ?"[a-z_]{0,20}", ?"error_codes": ?\[[0-9,]{0,20}\], "error_description": "AADSTS[0-9]{0,12}:?.{0,9}"\}"#
                .prop_map(String::into_bytes),
            r#"\{"token_type": "Bearer", "access_token": ".{0,9}", "expires_in": -?[0-9]{1,25}\}"#
                .prop_map(String::into_bytes),
        ],
    ) {
        let read = || Answer::read(status, retry_after.as_deref(), &body, NOW);
        let _ = read().and_then(Poll::read);
        let _ = read().and_then(Answer::granted).and_then(|object| DeviceCode::read(&object));
    }
}
