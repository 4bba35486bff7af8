//! Every rule, each with the mails that show it.

use super::*;

#[test]
fn t1_a_reply_token_decides_whoever_sends_it() {
    for (name, mail) in [
        ("in In-Reply-To", "From: eve@e.example\nIn-Reply-To: <{token}@desk.example>"),
        ("in the middle of an id", "From: eve@e.example\nIn-Reply-To: <17.{token}.3@desk.example>"),
        ("in References", "From: eve@e.example\nReferences: <x@y> <{token}@desk.example> <z@y>"),
        ("in an address", "From: eve@e.example\nTo: support+{token}@corp.example"),
        ("in a copied address", "From: eve@e.example\nCc: Support <support+{token}@corp.example>"),
        ("where it was delivered to", "From: eve@e.example\nDelivered-To: support+{token}@corp.example"),
    ] {
        check(name, &[ASKED], mail, "joins 1 by reply_token 1");
    }
    check(
        "before an id of another ticket",
        &[ASKED, "Message-ID: <other@a.example>\nSubject: Other"],
        "In-Reply-To: <other@a.example>\nReferences: <{token}@desk.example>",
        "joins 1 by reply_token 1; not 2 by in_reply_to: outranked",
    );
    check(
        "who had a token is in the ticket from then on",
        &[ASKED, "Message-ID: <e@e.example>\nFrom: eve@e.example\nTo: support+{token}@corp.example"],
        "From: eve@e.example\nIn-Reply-To: <q@a.example>",
        "joins 1 by in_reply_to 0.9",
    );
}

#[test]
fn t1_a_token_that_is_not_ours_is_ignored_and_noted() {
    let forged = "pr.1.0000.00000000000000000000";
    check(
        "forged",
        &[ASKED],
        &format!("From: eve@e.example\nTo: support+{forged}@corp.example"),
        "opens; not none by reply_token: bad_signature",
    );
    check(
        "of no ticket",
        &[ASKED],
        "From: eve@e.example\nTo: support+pr.77.0000.00000000000000000000@corp.example",
        "opens; not none by reply_token: no_such_ticket",
    );
    let mut other = World::new(lenient());
    receive(&mut other, "Message-ID: <1@o.example>");
    let token = other.token(1);
    check(
        "of another installation's ticket of this number",
        &[ASKED],
        &format!("From: eve@e.example\nTo: support+{token}@corp.example"),
        "opens; not none by reply_token: bad_signature",
    );
}

#[test]
fn t1_and_t4_are_off_without_a_key() {
    let mut keyed = World::new(lenient());
    receive(&mut keyed, ASKED);
    let signed = keyed.token(1);
    for mail in [
        format!("From: eve@e.example\nTo: support+{signed}@corp.example"),
        format!("From: eve@e.example\n\nWrite to [{signed}]"),
    ] {
        let world = World::new(with(|filing| filing.token_keys.clear()));
        check_in(world, "no key", &[ASKED], &mail, "opens");
    }
}

#[test]
fn t2_an_answer_joins_by_who_sends_it() {
    for (name, mail, expected) in [
        ("the requester", "From: ann@a.example", "joins 1 by in_reply_to 0.9"),
        ("whatever the case", "From: ANN@A.Example", "joins 1 by in_reply_to 0.9"),
        ("whatever the detail", "From: ann+phone@a.example", "joins 1 by in_reply_to 0.9"),
        ("who was in copy", "From: bob@b.example", "joins 1 by in_reply_to 0.9"),
        (
            "with the requester in copy",
            "From: eve@e.example\nCc: ann@a.example",
            "joins 1 by in_reply_to 0.9",
        ),
        ("a colleague", "From: zoe@a.example", "joins 1 by in_reply_to 0.75"),
        ("a colleague of who was in copy", "From: zoe@mail.b.example", "joins 1 by in_reply_to 0.75"),
        ("an agent", "From: agent@corp.example", "joins 1 by in_reply_to 0.75"),
        ("a stranger", "From: eve@e.example", "opens, related 1; not 1 by in_reply_to: unsure"),
        (
            // It may be another address of the mailbox.
            "a stranger, with somebody in copy who only got mail",
            "From: eve@e.example\nCc: bob@b.example",
            "opens, related 1; not 1 by in_reply_to: unsure",
        ),
        (
            "a stranger, with the mailbox's other address in copy",
            "From: eve@e.example\nCc: help@corp.example",
            "opens, related 1; not 1 by in_reply_to: unsure",
        ),
        ("nobody", "From: \nCc: x", "opens, related 1; not 1 by in_reply_to: unsure"),
    ] {
        check(name, &[ASKED], &format!("{mail}\nIn-Reply-To: <q@a.example>"), expected);
    }
}

#[test]
fn t2_users_of_one_free_provider_are_strangers() {
    for (domain, expected) in [
        ("gmail.com", "opens, related 1; not 1 by in_reply_to: unsure"),
        ("outlook.de", "opens, related 1; not 1 by in_reply_to: unsure"),
        ("firm.example", "joins 1 by in_reply_to 0.75"),
    ] {
        let asked = format!("Message-ID: <q@x>\nFrom: ann@{domain}");
        check(domain, &[&asked], &format!("From: eve@{domain}\nIn-Reply-To: <q@x>"), expected);
    }
    let world = World::new(with(|filing| filing.shared_domains = vec!["ISP.example".to_owned()]));
    check_in(
        world,
        "a provider that the administrator names",
        &["Message-ID: <q@x>\nFrom: ann@isp.example"],
        "From: eve@isp.example\nIn-Reply-To: <q@x>",
        "opens, related 1; not 1 by in_reply_to: unsure",
    );
}

#[test]
fn t2_the_newest_id_decides() {
    let two = [ASKED, "Message-ID: <other@a.example>\nSubject: Other"];
    check(
        "In-Reply-To before References",
        &two,
        "In-Reply-To: <q@a.example>\nReferences: <other@a.example>",
        "joins 1 by in_reply_to 0.9; not 2 by references: outranked",
    );
    check(
        "References from the right",
        &two,
        "In-Reply-To: <lost@x>\nReferences: <other@a.example> <q@a.example> <lost@x>",
        "joins 1 by references 0.9; not 2 by references: outranked",
    );
    check("a domain in another case", &two, "In-Reply-To: <q@A.EXAMPLE>", "joins 1 by in_reply_to 0.9");
    check(
        "a ticket that is not sure before one that is",
        &[ASKED, "Message-ID: <e@e.example>\nFrom: eve@e.example\nSubject: Other"],
        "From: eve@e.example\nIn-Reply-To: <q@a.example>\nReferences: <e@e.example>\nSubject: Other",
        "joins 2 by references 0.9; not 1 by in_reply_to: unsure",
    );
}

#[test]
fn t3_what_a_ticket_refers_to_leads_to_it() {
    let answered = "Message-ID: <r@a.example>\nIn-Reply-To: <out@desk.example>\nReferences: <q@a.example> <out@desk.example>";
    check(
        "another reply to a mail that was sent out",
        &[ASKED, answered],
        "From: bob@b.example\nIn-Reply-To: <out@desk.example>",
        "joins 1 by alias 0.8",
    );
    check(
        "a colleague is not enough",
        &[ASKED, answered],
        "From: zoe@a.example\nIn-Reply-To: <out@desk.example>",
        "opens, related 1; not 1 by alias: stranger",
    );
    check(
        "a stranger",
        &[ASKED, answered],
        "From: eve@e.example\nIn-Reply-To: <out@desk.example>",
        "opens, related 1; not 1 by alias: stranger",
    );
    check(
        "the id of a message is worth more than one that is only named",
        &[
            "Message-ID: <e@e.example>\nFrom: eve@e.example\nCc: ann@a.example\nReferences: <q@a.example>",
            ASKED,
        ],
        "In-Reply-To: <q@a.example>",
        "joins 1 by in_reply_to 0.9",
    );
}

#[test]
fn t3_a_parent_that_comes_late_joins_its_replies_ticket() {
    let reply = "Message-ID: <r@b.example>\nFrom: bob@b.example\nTo: support@corp.example, ann@a.example\nIn-Reply-To: <q@a.example>";
    check("the parent", &[reply], ASKED, "joins 1 by parent 0.8");
    check(
        "its id is its own from then on",
        &[reply, ASKED],
        "From: zoe@a.example\nIn-Reply-To: <q@a.example>",
        "joins 1 by in_reply_to 0.75",
    );
    check(
        "a stranger's mail with an id that somebody named",
        &[reply],
        "Message-ID: <q@a.example>\nFrom: eve@e.example",
        "opens, related 1; not 1 by parent: stranger",
    );
    check(
        "two replies and then their parent",
        &[
            reply,
            "Message-ID: <s@c.example>\nFrom: cid@c.example\nTo: support@corp.example, ann@a.example\nIn-Reply-To: <q@a.example>\nCc: bob@b.example",
        ],
        ASKED,
        "joins 1 by parent 0.8",
    );
}

#[test]
fn t4_a_token_in_the_text_helps_those_whose_headers_are_lost() {
    check(
        "the token",
        &[ASKED],
        "From: ann@a.example\n\nIt works.\n> Ticket [{token}]",
        "joins 1 by body_token 0.9",
    );
    check(
        "in HTML",
        &[ASKED],
        "From: ann@a.example\nContent-Type: text/html\n\n<p>It works.</p><p>Ticket {token}</p>",
        "joins 1 by body_token 0.9",
    );
    check(
        "after the ids",
        &[ASKED, "Message-ID: <other@a.example>\nSubject: Other"],
        "In-Reply-To: <other@a.example>\nSubject: Other\n\n> {token}",
        "joins 2 by in_reply_to 0.9; not 1 by body_token: outranked",
    );
    check("a number alone", &[ASKED], "From: ann@a.example\n\nTicket 1, [pr#1-aa], pr.1", "opens");
}

#[test]
fn t5_a_subject_token_counts_with_its_sender() {
    for (name, mail, expected) in [
        (
            "the requester",
            "From: ann@a.example\nSubject: Re: {subject} Printer broken",
            "joins 1 by subject_token 0.7",
        ),
        ("who was in copy", "From: bob@b.example\nSubject: {subject}", "joins 1 by subject_token 0.7"),
        (
            "an agent",
            "From: agent@corp.example\nSubject: {subject} Printer broken",
            "joins 1 by subject_token 0.7",
        ),
        (
            "a colleague of the requester",
            "From: zoe@a.example\nSubject: {subject}",
            "opens, related 1; not 1 by subject_token: stranger",
        ),
        (
            "a stranger",
            "From: eve@e.example\nSubject: {subject}",
            "opens, related 1; not 1 by subject_token: stranger",
        ),
        (
            "a stranger with the requester in copy",
            "From: eve@e.example\nCc: ann@a.example\nSubject: {subject}",
            "opens, related 1; not 1 by subject_token: stranger",
        ),
        (
            "somebody who says to be the requester",
            "Authentication-Results: mx.corp.example; dmarc=fail header.from=a.example\nFrom: ann@a.example\nSubject: {subject}",
            "opens, related 1; not 1 by subject_token: forged",
        ),
        ("wrong check characters", "Subject: [pr#1-!!]", "opens; not none by subject_token: no_such_ticket"),
        ("no ticket", "Subject: [pr#99-aa]", "opens; not none by subject_token: no_such_ticket"),
        ("another system's number", "Subject: [Ticket#1] Printer broken", "opens"),
    ] {
        check(name, &[ASKED], mail, expected);
    }
}

/// A report about the mail with this header.
fn bounce(action: &str, returned: &str) -> String {
    format!(
        "Message-ID: <dsn-{action}@mx.example>\nFrom: MAILER-DAEMON@mx.example\nReturn-Path: <>\nSubject: Undeliverable\nContent-Type: multipart/report; \
         report-type=delivery-status; boundary=b\n\n--b\nContent-Type: text/plain\n\nSorry\n--b\nContent-Type: message/delivery-status\n\n\
         Reporting-MTA: dns; mx.example\n\nFinal-Recipient: rfc822; ann@a.example\nAction: {action}\nStatus: 5.1.1\n\n--b\n\
         Content-Type: text/rfc822-headers\n\n{returned}\n--b--\n"
    )
}

#[test]
fn t6_a_report_joins_the_ticket_of_the_mail_that_it_is_about() {
    check(
        "by the token in its Message-ID",
        &[ASKED],
        &bounce("failed", "Message-ID: <{token}@desk.example>\nTo: ann@a.example"),
        "joins 1 by report 0.9",
    );
    check(
        "by what it answered",
        &[ASKED],
        &bounce("failed", "Message-ID: <out@desk.example>\nIn-Reply-To: <q@a.example>\nTo: ann@a.example"),
        "joins 1 by report 0.9",
    );
    check(
        "by an id that the ticket refers to",
        &[ASKED, "Message-ID: <r@a.example>\nIn-Reply-To: <out@desk.example>\nReferences: <q@a.example>"],
        &bounce("delayed", "Message-ID: <out@desk.example>\nTo: ann@a.example"),
        "joins 1 by report 0.8",
    );
    check(
        "about a mail that nobody knows",
        &[ASKED],
        &bounce("failed", "Message-ID: <elsewhere@desk.example>\nTo: ann@a.example"),
        "archived",
    );
    check(
        "a mail server is nobody in the ticket",
        &[ASKED, &bounce("failed", "Message-ID: <{token}@desk.example>\nTo: ann@a.example")],
        "From: MAILER-DAEMON@mx.example\nIn-Reply-To: <q@a.example>\nSubject: Printer broken",
        "opens, related 1; not 1 by in_reply_to: unsure",
    );
}

#[test]
fn t7_a_tracker_keeps_its_matter_together() {
    let opened =
        "Message-ID: <1@jira.example>\nFrom: bot@jira.example\nSubject: [JIRA] PROJ-17 Printer broken";
    for (name, mail, expected) in [
        (
            "the same address",
            "From: bot@jira.example\nSubject: [JIRA] PROJ-17 Printer broken: done",
            "joins 1 by tracker 0.8",
        ),
        (
            "another address of the tracker",
            "From: other@jira.example\nSubject: [JIRA] PROJ-17 Printer broken",
            "opens, related 1; not 1 by tracker: unsure",
        ),
        ("another number", "From: bot@jira.example\nSubject: [JIRA] PROJ-18 Printer broken", "opens"),
        ("a customer who quotes the number", "From: ann@a.example\nSubject: PROJ-17 Printer broken", "opens"),
    ] {
        check(name, &[opened], mail, expected);
    }
}

#[test]
fn nothing_else_leads_to_a_ticket() {
    for (name, before, mail) in [
        ("the subject", ASKED, "From: ann@a.example\nSubject: Re: Printer broken"),
        (
            "Thread-Index and Thread-Topic",
            "Thread-Index: AdABCD==\nThread-Topic: Printer broken",
            "Thread-Index: AdABCD==\nThread-Topic: Printer broken",
        ),
        ("empty ids", "Message-ID: <>\nFrom: ann@a.example", "In-Reply-To: <>\nReferences: <> <>"),
        ("a ticket number in the text", ASKED, "From: ann@a.example\n\nThis is about ticket 1 (#1)."),
        ("a Message-ID that was used before", ASKED, "Message-ID: <q@a.example>\nSubject: Other"),
    ] {
        check(name, &[before], mail, "opens");
    }
}

#[test]
fn a_token_of_a_merged_ticket_leads_to_the_one_that_it_was_merged_into() {
    let mut world = World::new(policy());
    world.receive(&read("Message-ID: <a@a.example>"));
    world.receive(&read("Message-ID: <b@a.example>\nSubject: Another matter"));
    let (token, (gone, left)) = (world.token(2), (world.tickets[1], world.tickets[0]));
    world.known.tickets.remove(&gone);
    world.known.numbers.insert(2, Named { id: gone, ticket: left });

    let filing = world.receive(&read(&format!("To: support+{token}@corp.example")));

    assert_eq!((filing.rule, filing.place), (Rule::ReplyToken, Place::Joins(left)));
}
