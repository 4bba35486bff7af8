//! What is kept of a text, for what no mail in `tests/mail/reply` shows, and that it is always found, soon.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::mail::html;

const REPLY: Facts = Facts { is_reply: true, is_forward: false, is_forward_in_danish: false };
const FIRST: Facts = Facts { is_reply: false, ..REPLY };

fn of_text(text: &str, facts: Facts) -> Reply {
    extract(Texts { text, is_from_html: false, html: None }, facts)
}

fn of_html(html: &str, facts: Facts) -> Reply {
    let outline = html::outline(html);
    extract(Texts { text: &outline.text, is_from_html: true, html: Some(&outline) }, facts)
}

/// The reply in a text, all of it if nothing was left out.
fn words(text: &str) -> String {
    of_text(text, REPLY).text.unwrap_or_else(|| text.to_owned())
}

#[test]
fn the_name_below_a_letter_stays_and_how_to_reach_it_goes() {
    let letter = "It does not work.\n\nKind regards\nAda Example\n";
    assert_eq!(words(letter), letter);
    assert_eq!(
        words(&format!(
            "{letter}\nSales\nExample Ltd, 1 Sample Street\nTel. +44 20 7946 0000\nwww.example.com\n"
        )),
        letter.trim_end()
    );
    assert_eq!(words("Yes.\n_____________\nada@example.com\n+44 20 7946 0000\n"), "Yes.");
}

#[test]
fn what_somebody_was_asked_for_is_no_signature() {
    for text in [
        "Hello,\n\nthanks\nAda\nCustomer number 47110815\nTel. +44 20 7946 0000",
        "Hello,\n\nthanks\nAda\nPS: call me at +44 20 7946 0000",
        "Vielen Dank\nJörg\n\nSie erreichen mich unter +49 30 1234567 oder per Mail.",
        "Points:\n-- first\n-- second\n\nThanks!",
    ] {
        assert_eq!(of_text(text, REPLY).text, None, "{text}");
    }
}

#[test]
fn what_servers_and_lists_and_telephones_add_goes() {
    assert_eq!(
        words(
            "CAUTION: This email originated from outside of the organization.\nDo not click links.\n\nHello"
        ),
        "Hello"
    );
    assert_eq!(
        words("You don't often get email from a@example.org. Learn why this is important\n\nHello"),
        "Hello"
    );
    assert_eq!(words("Hello\n__\nusers mailing list\nusers@lists.example.com"), "Hello");
    assert_eq!(words("Hello\n\nSent from my iPhone\n\nada@example.com wrote:\n\nAn answer"), "Hello");
    assert_eq!(words("Hello\n\nSent from my iPhone\nGet Outlook for iOS\nhttps://aka.ms/o0ukef"), "Hello");
}

#[test]
fn attributions_may_be_broken_anywhere() {
    for attribution in [
        "Am 03.03.2026 09:05 schrieb \"Ihr Kundendienst\" <support@example.com\n>:",
        "Kundendienst <support@example.com> schrieb am Di., 3.\nMärz 2026 um 09:05 Uhr:",
        "2026/3/3 Support at Example <support@example.com>",
        "On Tue, 3 Mar 2026 at 09:05, Support <support@example.com\n> wrote:",
    ] {
        assert_eq!(words(&format!("Hello\n\n{attribution}\n\n> one\n> two\n")), "Hello", "{attribution}");
    }
    assert_eq!(words("Hello\n\n03.03.2026, 9.05, \"Support\" <s@example.com>:\n\nHello"), "Hello");
    assert_eq!(
        words(
            "مرحبا\n\n\u{202b}في ٠٣\u{200f}/٠٣\u{200f}/٢٠٢٦ الساعة ٩:٠٥ ص، كتب Support \u{200f}<s@example.com>:\u{202c}\n\nx"
        ),
        "مرحبا"
    );
}

#[test]
fn a_header_on_the_line_of_its_separator_is_one() {
    assert_eq!(
        words("Ja.\n-------- Ursprüngliche Nachricht --------Von: \"Kundendienst\" Datum: 03.03.26\nx"),
        "Ja."
    );
}

#[test]
fn a_header_that_the_author_shows_stays() {
    let header = "From: a@example.com\nTo: b@example.com\nSubject: x\nDate: Tue, 3 Mar 2026 09:05:07 +0100\n";
    for text in [
        format!("This came back:\n\nReceived: from x by y\nMessage-ID:\n <a@b>\n{header}\nWhy?"),
        format!("This came back:\n\n{header}X-Mailer: x\n\nWhy?"),
    ] {
        assert_eq!(of_text(&text, REPLY).text, None, "{text}");
    }
    assert_eq!(words(&format!("Yes.\n\n{header}\nWhy?")), "Yes.");
}

#[test]
fn a_label_in_a_sentence_begins_no_header() {
    let text =
        "You may send the bill\nto: me\n\n-----Original Message-----\nFrom: A\nSent: 3 March\nTo: B\n\nx";
    assert_eq!(words(text), "You may send the bill\nto: me");
}

#[test]
fn a_short_header_introduces_a_quote_like_a_long_one() {
    let quoted = "----- Original Message -----\nFrom: \"A\" <a@example.com>\n\n> Is it there?\n> Now?\n";
    assert_eq!(words(&format!("No.\n\n{quoted}")), "No.");
    assert_eq!(words(&format!("{quoted}\nNo, it is not.")), "No, it is not.");
}

#[test]
fn a_quote_that_the_author_shows_stays() {
    for text in [
        "The message is:\n> no such file\n> aborting\n> bye",
        "> no such file\nWhat does it mean?",
        "It says\n> no such file",
    ] {
        assert_eq!(of_text(text, REPLY).text, None, "{text}");
    }
}

#[test]
fn quotes_below_answers_that_quote_go_and_the_answers_stay() {
    assert_eq!(
        words(
            "> Is it there now?\n\nNo.\n\nOn Tue, 3 Mar 2026 at 09:05, Support <s@example.com> wrote:\n> Hello\n> Is it there now?"
        ),
        "> Is it there now?\n\nNo."
    );
}

#[test]
fn disclaimers_below_a_quote_are_no_answer() {
    let quoted = "Hello\n\nOn Tue, 3 Mar 2026 at 09:05, Support wrote:\n> Is it there now?\n\n";
    assert_eq!(
        words(&format!("{quoted}This e-mail is confidential and intended only for the addressee.")),
        "Hello"
    );
    assert_eq!(words(&format!("{quoted}Sent from my iPad")), "Hello");
    assert!(of_text(&format!("{quoted}No, it is not."), REPLY).has_inline_answers());
    let below = "On Tue, 3 Mar 2026 at 09:05, Support wrote:\n> Is it there now?\n\nNo.\nhttps://example.com/mailman/listinfo/a";
    assert_eq!(words(below), "No.");
}

#[test]
fn a_first_mail_loses_its_signature_and_no_quote() {
    let text = "Look:\n\nOn Tue, 3 Mar 2026 at 09:05, Partner <p@example.com> wrote:\n> Ask them.\n> Now.\n> Please.\n";
    assert_eq!(of_text(text, FIRST).text, None);
    assert_eq!(of_text("Hello\n-- \nAda", FIRST).text.as_deref(), Some("Hello"));
}

#[test]
fn a_letter_that_vs_stands_for_is_told_by_its_language() {
    let either = Facts { is_forward_in_danish: true, ..REPLY };
    let danish = "Se nedenfor.\n\nFra: A <a@example.com>\nSendt: 3. marts 2026 09:05\nTil: B\nEmne: C\n\nx";
    let finnish =
        "Kiitos.\n\nLähettäjä: A <a@example.com>\nLähetetty: 3.3.2026 9.05\nVastaanottaja: B\nAihe: C\n\nx";
    assert_eq!(of_text(danish, either).method, Method::Forward);
    assert_eq!(of_text(finnish, either).text.as_deref(), Some("Kiitos."));
}

#[test]
fn elements_of_quotes_and_signatures_are_told_from_what_follows_them() {
    for (html, reply) in [
        // Written into what Outlook takes for the signature.
        (
            "<div id=ms-outlook-mobile-signature>Hello</div><div id=divRplyFwdMsg>From: x</div>y",
            Some("Hello"),
        ),
        ("<div><p>Hello<div class=gmail_signature>Ada</div>PS: now</div>", Some("Hello\nPS: now")),
        // Never closed.
        ("Hello<div class=gmail_quote>On Monday x wrote:<blockquote class=gmail_quote>y", Some("Hello")),
        // A paragraph ends without an end tag.
        (
            "Hello<p id=reply-intro>Am 3.3.2026 09:05 schrieb x:<blockquote type=cite>y</blockquote>",
            Some("Hello"),
        ),
        ("Hello<p>x</p><div style='border-top:solid #E1E1E1 1.0pt'>Total: 5</div>", None),
        ("Hello<div class=gmail_quote>It is empty otherwise</div>", None),
        ("<blockquote type=cite>only this</blockquote>", None),
        (
            "Hello<p>Best<p><a name=_MailAutoSig>Ada</a><p>Sales<div id=appendonsend></div><p>x",
            Some("Hello\n\nBest"),
        ),
    ] {
        assert_eq!(of_html(html, REPLY).text.as_deref(), reply, "{html}");
    }
}

#[test]
fn little_that_is_left_of_much_is_less_sure() {
    let history = "> and so on, and so on\n".repeat(100);
    let reply = of_text(&format!("Yes.\n\nOn Tue, 3 Mar 2026 at 09:05, Support wrote:\n{history}"), REPLY);
    assert_eq!((reply.text.as_deref(), reply.confidence), (Some("Yes."), 50));
}

#[test]
fn no_text_takes_long() {
    let lines = |line: &str| line.repeat(1_000_000 / line.len());
    for (name, text) in [
        ("quotes", lines("> x\n")),
        ("quotes between", lines("> x\ny\n")),
        ("deep quotes", ">".repeat(1_000_000)),
        ("one line", "x ".repeat(500_000)),
        ("one attribution", format!("On {} wrote:", "3 Mar 2026 09:05 <a@b.c> ".repeat(40_000))),
        ("attributions", lines("On 3 Mar 2026 at 09:05 <a@b.c> wrot:\n")),
        ("almost attributions", lines("a@b.c:\n")),
        ("labels", lines("From: a\n")),
        ("labels of a first mail", lines("To: a\nSubject:\n")),
        ("rules", lines("-----\n")),
        ("separators", lines("-----Original Mess-----\n")),
        ("signatures", lines("-- \n")),
        ("closings", lines("Thanks\n")),
        ("empty lines", lines("\n")),
        ("advertisements", lines("Sent from my iPhone\n")),
        ("colons", lines(":\n")),
    ] {
        let started = Instant::now();
        of_text(&text, REPLY);
        of_text(&text, FIRST);
        // Far more than it takes, even unoptimised on a busy machine; far less than its square.
        assert!(started.elapsed() < Duration::from_secs(20), "{name}: {:?}", started.elapsed());
    }
}

#[test]
fn no_html_takes_long() {
    for (name, html) in [
        ("nested divs", "<div>".repeat(100_000)),
        ("nested quotes", "<blockquote type=cite>x".repeat(100_000)),
        ("nested introductions", "<div class=gmail_quote>x".repeat(50_000)),
        ("quotes in a row", "<blockquote type=cite>x</blockquote>y".repeat(50_000)),
        ("signatures in a row", "<div class=moz-signature>x</div>".repeat(50_000)),
        ("classes", format!("<div class='{}'>x", "gmail ".repeat(200_000))),
        ("borders", "<div style='border-top:#e1e1e1'>From: x</div>".repeat(20_000)),
    ] {
        let started = Instant::now();
        of_html(&html, REPLY);
        assert!(started.elapsed() < Duration::from_secs(20), "{name}: {:?}", started.elapsed());
    }
}

proptest! {
    #[test]
    fn a_reply_is_part_of_the_text_and_never_empty(
        pieces in prop::collection::vec(prop::sample::select(&[
            "Hello", "It works.", "\n", "\n\n", "> quoted\n", "> ", "On Tue, 3 Mar 2026 at 09:05, S <s@example.com>", " wrote:\n",
            "-----Original Message-----\n", "From: S <s@example.com>\n", "Sent: 3 Mar 2026 09:05\n", "To: A\n", "Subject: x\n",
            "-- \n", "Sent from my iPhone\n", "________________________________\n", "Thanks\n", "Ada\n", "+49 30 123456\n",
            "---------- Forwarded message ---------\n", "| x\n", "\u{200b}", "\u{feff}", "é", "reply above this line\n", "  ",
        ][..]), 0..40),
        is_reply in any::<bool>(),
    ) {
        let text = pieces.concat();
        let reply = of_text(&text, Facts { is_reply, ..REPLY });
        prop_assert!(reply.confidence <= 100);
        if let Some(words) = &reply.text {
            prop_assert!(!bare(words).is_empty());
            for line in words.lines() {
                prop_assert!(text.contains(line.trim_end()), "{line}");
            }
        }
    }

    #[test]
    fn html_of_any_kind_has_a_reply(
        pieces in prop::collection::vec(prop::sample::select(&[
            "x", " ", "<p>", "</p>", "<div>", "</div>", "<blockquote type=cite>", "<blockquote>", "</blockquote>",
            "<div class=gmail_quote>", "<div class=gmail_attr>", "On 3 Mar 2026 at 09:05 S wrote:", "<div id=appendonsend>",
            "<div style='border-top:solid #e1e1e1'>", "From: s@example.com<br>Sent: 3.3.2026 9:05<br>To: x<br>", "<hr id=zwchr>",
            "<div class=gmail_signature>", "<span class=yahoo_quoted>", "</span>", "&nbsp;", "<br>", "<a name=_MailAutoSig>",
            "<div class=moz-forward-container>", "<script>", "</script>", "<td>", "é",
        ][..]), 0..60),
        is_reply in any::<bool>(),
    ) {
        let html = pieces.concat();
        let outline = html::outline(&html);
        prop_assert!(outline.marks.is_sorted_by_key(|(at, _)| *at));
        prop_assert!(outline.marks.iter().all(|(at, _)| outline.text.is_char_boundary(*at)));
        let reply = of_html(&html, Facts { is_reply, ..REPLY });
        if let Some(words) = &reply.text {
            prop_assert!(!bare(words).is_empty());
        }
    }
}
