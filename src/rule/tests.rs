//! Rules, by example and by chance.

use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::mail;
use crate::message::{Extent, Listed, Message, Uid};

fn mail(headers: &str) -> Mail {
    let source = format!("{headers}\r\n\r\nHello\r\n").into_bytes();
    let listed = Listed { uid: Uid(1), size: 0, internal_date: None };
    mail::read(&Message { listed, source, extent: Extent::Whole }, &mail::Facts::default())
}

fn patterns(written: &[&str]) -> Vec<Pattern> {
    written.iter().map(|written| Pattern::read(written).unwrap()).collect()
}

fn named(name: &str, conditions: Conditions, effects: Effects) -> Rule {
    Rule { name: name.to_owned(), conditions, effects, stop: false }
}

fn names(rules: &[Rule], mail: &Mail) -> Vec<String> {
    rule(rules, mail).rules
}

fn holds(conditions: Conditions, mail: &Mail) -> bool {
    !names(&[named("one", conditions, Effects::default())], mail).is_empty()
}

#[test]
fn a_pattern_is_the_whole_of_a_text_and_a_regular_expression_a_part() {
    for (pattern, text, is_like) in [
        ("*@example.com", "Ann@EXAMPLE.com", true),
        ("*@example.com", "ann@example.com.evil.org", false),
        ("*@example.com", "ann@example_com", false),
        ("ann", "anna", false),
        ("inv?ice *", "Invoice 7\nlate", true),
        ("*", "", true),
        ("über*", "ÜBERSICHT", true),
        ("/invoice \\d+/", "Your INVOICE 77 is late", true),
        ("/^invoice/", "An invoice", false),
        ("/a/b/", "xa/b", true),
        ("/", "/", true),
        ("[a].(b)", "[A].(B)", true),
    ] {
        assert_eq!(Pattern::read(pattern).unwrap().matches(text), is_like, "{pattern} {text}");
    }
    for pattern in ["//", "/(/", "/a{1000}{1000}/", "/(?P<x/"] {
        assert!(Pattern::read(pattern).is_none(), "{pattern}");
    }
}

#[test]
fn each_condition_has_to_hold_and_of_a_list_one() {
    let mail = mail(
        "From: Ann <ann@example.com>\r\nTo: support@shop.example\r\nCc: bo@shop.example\r\nSubject: Invoice 7\r\n\
         X-Spam-Flag: NO\r\nX-Spam-Flag: YES",
    );
    let header = |name: &str, value: &str| vec![(name.to_owned(), Pattern::read(value).unwrap())];
    let true_ones = [
        Conditions { from: patterns(&["*@nobody", "*@example.com"]), ..Conditions::default() },
        Conditions { to: patterns(&["bo@*"]), ..Conditions::default() },
        Conditions { subject: patterns(&["invoice*"]), ..Conditions::default() },
        Conditions { header: header("x-spam-flag", "yes"), ..Conditions::default() },
        Conditions { verdict: vec![Verdict::Human], ..Conditions::default() },
        Conditions { larger: Some(10), smaller: Some(10_000), ..Conditions::default() },
        Conditions { has_attachment: Some(false), ..Conditions::default() },
    ];
    let false_ones = [
        Conditions { from: patterns(&["*@nobody"]), ..Conditions::default() },
        Conditions { to: patterns(&["ann@*"]), ..Conditions::default() },
        Conditions { subject: patterns(&["invoice"]), ..Conditions::default() },
        Conditions { header: header("x-spam", "*"), ..Conditions::default() },
        Conditions { verdict: vec![Verdict::Calendar], ..Conditions::default() },
        Conditions { larger: Some(mail.size), ..Conditions::default() },
        Conditions { smaller: Some(mail.size), ..Conditions::default() },
        Conditions { has_attachment: Some(true), ..Conditions::default() },
    ];

    for (number, condition) in true_ones.iter().enumerate() {
        assert!(holds(condition.clone(), &mail), "{number}");
    }
    for (number, condition) in false_ones.into_iter().enumerate() {
        assert!(!holds(condition.clone(), &mail), "{number}");
        let both = Conditions { from: patterns(&["ann@*"]), ..condition.clone() };
        assert!(number == 0 || !holds(both, &mail), "{number}");
    }
}

#[test]
fn a_mail_of_which_only_the_header_was_taken_is_larger_than_anything() {
    let listed = Listed { uid: Uid(1), size: 100, internal_date: None };
    let message = Message { listed, source: b"Subject: x\r\n\r\n".to_vec(), extent: Extent::Header };
    let mail = mail::read(&message, &mail::Facts::default());

    assert!(holds(Conditions { larger: Some(500 << 20), ..Conditions::default() }, &mail));
    assert!(!holds(Conditions { smaller: Some(500 << 20), ..Conditions::default() }, &mail));
}

#[test]
fn what_follows_adds_up_and_the_last_word_counts_until_a_stop() {
    let all = || Conditions { from: patterns(&["*"]), ..Conditions::default() };
    let tags = |tags: &[&str]| tags.iter().map(|&tag| tag.to_owned()).collect::<Vec<_>>();
    let mut rules = vec![
        named(
            "a",
            all(),
            Effects { tags: tags(&["x"]), priority: Some(Priority::High), ..Effects::default() },
        ),
        named(
            "b",
            Conditions { to: patterns(&["nobody"]), ..all() },
            Effects { suspend: true, ..Effects::default() },
        ),
        named(
            "c",
            all(),
            Effects { tags: tags(&["y", "x"]), webhooks: tags(&["crm"]), ..Effects::default() },
        ),
        named(
            "d",
            all(),
            Effects { priority: Some(Priority::Low), status: Some(Status::Closed), ..Effects::default() },
        ),
    ];
    let mail = mail("From: ann@example.com");

    let ruling = rule(&rules, &mail);
    assert_eq!(ruling.rules, ["a", "c", "d"]);
    assert_eq!(
        ruling.effects,
        Effects {
            tags: tags(&["x", "y"]),
            priority: Some(Priority::Low),
            status: Some(Status::Closed),
            webhooks: tags(&["crm"]),
            suspend: false,
        }
    );
    assert!(ruling.tells("crm") && !ruling.tells("helpdesk") && Ruling::default().tells("helpdesk"));
    let mut labels = Labels { tags: ["old".to_owned()].into(), priority: Some(Priority::Urgent) };
    ruling.label(&mut labels);
    assert_eq!(labels.tags.iter().collect::<Vec<_>>(), ["old", "x", "y"]);
    assert_eq!(labels.priority, Some(Priority::Low));

    rules[0].stop = true;
    assert_eq!(rule(&rules, &mail).rules, ["a"]);
}

#[test]
fn hostile_text_takes_linear_time() {
    let pattern = Pattern::read(&format!("{}b", "*a".repeat(30))).unwrap();
    let regex = Pattern::read("/(a+)+(a|a)*b$/").unwrap();
    let started = Instant::now();

    let text = "a".repeat(1_000_000);

    assert!(!pattern.matches(&text) && !regex.matches(&text));
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

proptest! {
    #[test]
    fn any_text_is_like_itself_and_like_its_parts_with_stars(text: String, cut in 0..20_usize) {
        let literal: String = text.chars().filter(|char| !['*', '?', '/'].contains(char)).collect();
        let head: String = literal.chars().take(cut).collect();
        let tail: String = literal.chars().skip(cut).collect();

        prop_assert!(Pattern::read(&literal).unwrap().matches(&literal));
        let (pattern, longer) = (format!("{head}*{tail}"), format!("{head}{text}{tail}"));
        prop_assert!(Pattern::read(&pattern).unwrap().matches(&longer));
    }

    #[test]
    fn anything_is_a_pattern_or_is_refused(written: String, text: String) {
        if let Some(pattern) = Pattern::read(&written) {
            let _ = pattern.matches(&text);
        }
    }
}
