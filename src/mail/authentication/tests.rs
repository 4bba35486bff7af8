//! Whose word counts, and what it says.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::mail::read;
use crate::message::{Extent, Listed, Message, Uid};

fn of(fields: &str, authserv: Authserv) -> Option<Authentication> {
    let source = format!("{fields}\nFrom: Ann <ann@mail.x.example>\n\nHello.\n").into_bytes();
    let listed = Listed { uid: Uid(1), size: 0, internal_date: None };
    read(&Message { listed, source, extent: Extent::Whole }, &Facts::new([], authserv)).authentication
}

/// What our server says by this value.
fn ours(value: &str) -> Authentication {
    let field = format!("Authentication-Results: mx.example.com; {value}");
    of(&field, Authserv::Named(vec!["MX.example.com".to_owned()])).expect("our server is trusted")
}

#[test]
fn results_are_known_by_their_names_and_old_names() {
    for (result, expected) in [
        ("pass", Some(Outcome::Pass)),
        ("FAIL", Some(Outcome::Fail)),
        ("hardfail", Some(Outcome::Fail)),
        ("softfail", Some(Outcome::SoftFail)),
        ("neutral", Some(Outcome::Neutral)),
        ("policy", Some(Outcome::Neutral)),
        ("none", Some(Outcome::None)),
        ("temperror", Some(Outcome::TempError)),
        ("timeout", Some(Outcome::TempError)),
        ("permerror", Some(Outcome::PermError)),
        ("splendid", None),
    ] {
        assert_eq!(ours(&format!("spf={result}")).spf, expected, "{result}");
        assert_eq!(ours(&format!("dkim = {result} (x)")).dkim, expected, "{result}");
        assert_eq!(ours(&format!("dmarc/1={result}")).dmarc, expected, "{result}");
    }
    assert_eq!(
        ours("none"),
        Authentication { server: Some("mx.example.com".to_owned()), ..Authentication::default() }
    );
}

#[test]
fn the_best_signature_counts() {
    assert_eq!(ours("dkim=fail header.d=a; dkim=pass header.d=b; dkim=none").dkim, Some(Outcome::Pass));
    assert_eq!(ours("dkim=fail header.d=a; dkim=none").dkim, Some(Outcome::Fail));
}

#[test]
fn alignment_is_dmarcs_or_that_of_what_passed() {
    for (value, aligned) in [
        ("dmarc=pass header.from=other.example", true),
        ("dmarc=fail; spf=pass smtp.mailfrom=mail.x.example", false),
        ("dmarc=none; spf=pass smtp.mailfrom=mail.x.example", true),
        ("dmarc=bestguesspass", true),
        ("spf=pass smtp.mailfrom=bounce@MAIL.x.example", true),
        ("spf=pass smtp.mailfrom=x.example.", true),
        ("spf=pass smtp.mailfrom=a.b.mail.x.example", true),
        ("spf=pass smtp.mailfrom=other.x.example", false),
        ("spf=pass smtp.mailfrom=evilmail.x.example", false),
        ("spf=pass smtp.mailfrom=example", false),
        ("spf=pass", false),
        ("spf=softfail smtp.mailfrom=mail.x.example", false),
        ("spf=pass smtp.helo=mail.x.example", true),
        ("spf=pass smtp.mailfrom=other.example smtp.helo=mail.x.example", false),
        ("dkim=pass header.d=x.example header.i=@other.example", true),
        ("dkim=pass header.i=ann@x.example", true),
        ("dkim=pass header.d=relay.example; dkim=fail header.d=x.example", false),
        ("dkim=pass header.d=relay.example; dkim=pass header.d=x.example", true),
        ("dkim=pass header.b=abc= header.d=x.example", true),
    ] {
        assert_eq!(ours(value).aligned, aligned, "{value}");
    }
}

#[test]
fn comments_and_quotes_hide_nothing_and_add_nothing() {
    let authentication = ours(
        "spf=fail (dmarc=pass; spf=pass) reason=\"; dkim=pass\"; x=\"y;\\\";dkim=pass\" (never closed; dmarc=pass",
    );

    assert_eq!(
        (authentication.spf, authentication.dkim, authentication.dmarc),
        (Some(Outcome::Fail), None, None)
    );
}

#[test]
fn nobody_is_believed_unless_named() {
    let field =
        "Authentication-Results: mx.example.com; dmarc=pass\nAuthentication-Results: dmarc=pass; spf=pass";

    assert_eq!(of(field, Authserv::Nobody), None);
    assert_eq!(of(field, Authserv::Named(vec!["other.example.com".to_owned()])), None);
    assert_eq!(of(field, Authserv::Named(vec!["example.com".to_owned()])), None);
    assert!(of(field, Authserv::Named(vec!["a.example".to_owned(), "mx.example.com".to_owned()])).is_some());
}

#[test]
fn only_the_topmost_of_a_trusted_server_counts() {
    let named = || Authserv::Named(vec!["mx.example.com".to_owned()]);
    let above = "Authentication-Results: filter.example.com; x=y\nAuthentication-Results: mx.example.com; dmarc=fail\n";
    let below = "Authentication-Results: mx.example.com; dmarc=pass; spf=pass smtp.mailfrom=mail.x.example";

    let authentication = of(&format!("{above}{below}"), named()).unwrap();

    assert_eq!((authentication.dmarc, authentication.spf), (Some(Outcome::Fail), None));
    assert!(!authentication.aligned);
}

#[test]
fn exchange_online_is_believed_by_the_shape_of_its_field() {
    let field = "Authentication-Results: evil.example; dmarc=pass\n\
                 Authentication-Results: spf=softfail (sender IP is 192.0.2.1)\n smtp.mailfrom=x.example; example.com; \
                 dkim=none (message\n not signed) header.d=none;example.com; dmarc=fail action=quarantine\n \
                 header.from=mail.x.example;compauth=softpass reason=202\n\
                 Authentication-Results: spf=pass; dmarc=pass; compauth=pass reason=100";

    let authentication = of(field, Authserv::Exchange).unwrap();

    let expected = Authentication {
        server: None,
        spf: Some(Outcome::SoftFail),
        dkim: Some(Outcome::None),
        dmarc: Some(Outcome::Fail),
        compauth: Some(Composite::SoftPass),
        compauth_reason: Some(202),
        aligned: false,
    };
    assert!(authentication == expected, "{authentication:?}");
    assert_eq!(of("Authentication-Results: example.com; none", Authserv::Exchange), None);
    assert_eq!(of("Authentication-Results:", Authserv::Exchange), None);
}

#[test]
fn others_fields_never_count() {
    for name in ["ARC-Authentication-Results", "Authentication-Results-Original", "X-Authentication-Results"]
    {
        let field = format!("{name}: i=1; mx.example.com; dmarc=pass");
        assert_eq!(of(&field, Authserv::Named(vec!["mx.example.com".to_owned()])), None, "{name}");
        assert_eq!(of(&field, Authserv::Exchange), None, "{name}");
    }
}

#[test]
fn endless_results_cost_no_more_than_their_length() {
    for piece in ["dkim=pass header.d=x; ", "a=b ", "(", "\"", "=", ";"] {
        let started = Instant::now();

        let authentication = ours(&piece.repeat(400_000 / piece.len()));

        assert_eq!(authentication.server.as_deref(), Some("mx.example.com"));
        // Far more than it takes, even unoptimised on a busy machine; far less than its square.
        assert!(started.elapsed() < Duration::from_secs(20), "{piece}: {:?}", started.elapsed());
    }
}

proptest! {
    #[test]
    fn any_value_is_read_and_none_of_another_server_is_believed(
        pieces in prop::collection::vec(prop::sample::select(&[
            "mx.example.com", "evil.example", ";", "=", " ", "\"", "(", ")", "\\", "spf", "dkim", "dmarc", "pass",
            "fail", "header.d", "smtp.mailfrom", "x.example", "@", "/1", "\n ", "é",
        ][..]), 0..40),
    ) {
        let field = format!("Authentication-Results: {}", pieces.concat());
        let named = Authserv::Named(vec!["mx.example.com".to_owned()]);

        let authentication = of(&field, named);

        prop_assert!(authentication.is_none_or(|found| found.server.as_deref() == Some("mx.example.com")));
    }
}
