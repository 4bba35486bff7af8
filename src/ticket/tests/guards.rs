//! What a mail that names a ticket rightly may run into all the same, and what becomes of mail of programs.

use super::*;

#[test]
fn the_threshold_is_the_administrators() {
    let strict = World::new(with(|filing| filing.threshold_percent = 80));
    check_in(
        strict,
        "a colleague under a strict threshold",
        &[ASKED],
        "From: zoe@a.example\nIn-Reply-To: <q@a.example>",
        "opens, related 1; not 1 by in_reply_to: unsure",
    );
    let lax = World::new(with(|filing| filing.threshold_percent = 60));
    check_in(
        lax,
        "a stranger under a lax one",
        &[ASKED],
        "From: eve@e.example\nIn-Reply-To: <q@a.example>",
        "joins 1 by in_reply_to 0.6",
    );
}

#[test]
fn guard_a_ticket_closed_long_ago_is_not_opened_again() {
    let reply = "In-Reply-To: <q@a.example>\n\nNot yet!\n> solved";
    check_in(closed(3), "within the window", &[], reply, "joins 1 by in_reply_to 0.9, reopens");
    check_in(closed(15), "after it", &[], reply, "opens, related 1; not 1 by in_reply_to: closed");
    check_in(
        closed(15),
        "not even by a token",
        &[],
        "To: support+{token}@corp.example",
        "opens, related 1; not 1 by reply_token: closed",
    );
    let mut world = closed(3);
    receive(&mut world, reply);
    assert_eq!(world.ticket(1).ticket.status, "open");
    let again = receive(&mut world, "In-Reply-To: <q@a.example>\n\nAnd more");
    assert_eq!(world.tell(&again), "joins 1 by in_reply_to 0.9", "it is open already");
}

#[test]
fn guard_another_topic_is_another_ticket() {
    let with_reply =
        |subject: &str, body: &str| format!("Subject: {subject}\nIn-Reply-To: <q@a.example>\n\n{body}");
    let other = with_reply("Invoice 17", "Where is it?");
    let quoting = with_reply("Invoice 17", "Where is it?\n\nOn Monday Ann wrote:\n> Printer");
    let split = "opens, related 1; not 1 by in_reply_to: new_topic";
    let joins = "joins 1 by in_reply_to 0.9";
    let told = |new_topic: NewTopic, is_closed: bool, mail: &str| {
        let mut world = World::new(with(|filing| filing.new_topic = new_topic));
        receive(&mut world, ASKED);
        if is_closed {
            world.close(1, 3);
        }
        let filing = receive(&mut world, mail);
        world.tell(&filing).replace(", reopens", "")
    };
    for (new_topic, open, open_quoting, closed) in [
        (NewTopic::Never, joins, joins, joins),
        (NewTopic::Closed, joins, joins, split),
        (NewTopic::Unquoted, split, joins, split),
    ] {
        assert_eq!(told(new_topic, false, &other), open, "{new_topic:?}");
        assert_eq!(told(new_topic, false, &quoting), open_quoting, "{new_topic:?}");
        assert_eq!(told(new_topic, true, &quoting), closed, "{new_topic:?}");
    }
    for subject in [
        "AW: [EXTERNAL] Printer broken",
        "Printer broken - more",
        "Re: PRINTER  Broken",
        "Re:",
        "Fwd: Printer broken",
    ] {
        assert_eq!(told(NewTopic::Unquoted, true, &with_reply(subject, "More")), joins, "{subject}");
    }
}

#[test]
fn guard_what_is_handed_on_to_others_is_another_ticket() {
    let forward =
        |more: &str| format!("Subject: WG: Printer broken\nIn-Reply-To: <q@a.example>\n{more}\n\n> Printer");
    check(
        "to new people",
        &[ASKED],
        &forward("Cc: cid@c.example"),
        "opens, related 1; not 1 by in_reply_to: forwarded",
    );
    check("to the mailbox alone", &[ASKED], &forward("Cc: help@corp.example"), "joins 1 by in_reply_to 0.9");
    check("to people of the ticket", &[ASKED], &forward("Cc: bob@b.example"), "joins 1 by in_reply_to 0.9");
    check(
        "a reply to new people is none",
        &[ASKED],
        "Subject: AW: WG: Printer broken\nIn-Reply-To: <q@a.example>\nCc: cid@c.example",
        "joins 1 by in_reply_to 0.9",
    );
}

#[test]
fn guard_who_may_be_somebody_else_is_suspended() {
    let results =
        |result: &str| format!("Authentication-Results: mx.corp.example; dmarc={result} header.from=x");
    let forged = results("fail");
    check(
        "a colleague by name only",
        &[ASKED],
        &format!("{forged}\nFrom: zoe@a.example\nIn-Reply-To: <q@a.example>"),
        "suspended (forged) by in_reply_to 0.75, related 1",
    );
    check(
        "an agent by name only",
        &[ASKED],
        &format!("{forged}\nFrom: agent@corp.example\nTo: support+{{token}}@corp.example"),
        "suspended (forged) by reply_token 1, related 1",
    );
    check(
        "somebody of the ticket, whose mail may have been changed on the way",
        &[ASKED],
        &format!("{forged}\nFrom: ann@a.example\nIn-Reply-To: <q@a.example>"),
        "joins 1 by in_reply_to 0.9",
    );
    check("who opens a ticket takes nothing", &[ASKED], &format!("{forged}\nFrom: eve@e.example"), "opens");
    for result in ["pass", "none", "temperror"] {
        let mail = format!("{}\nFrom: zoe@a.example\nIn-Reply-To: <q@a.example>", results(result));
        check(result, &[ASKED], &mail, "joins 1 by in_reply_to 0.75");
    }
    check(
        "a word of nobody's that is trusted",
        &[ASKED],
        "Authentication-Results: mx.evil.example; dmarc=fail\nFrom: zoe@a.example\nIn-Reply-To: <q@a.example>",
        "joins 1 by in_reply_to 0.75",
    );
    let mut world = World::new(lenient());
    receive(&mut world, ASKED);
    world.policy = world.policy.of_release();
    check_in(
        world,
        "released by a person",
        &[],
        &format!("{forged}\nFrom: zoe@a.example\nIn-Reply-To: <q@a.example>"),
        "joins 1 by in_reply_to 0.75",
    );
}

#[test]
fn mail_of_programs_goes_where_the_administrator_says() {
    let reply = "Auto-Submitted: auto-replied\nSubject: Automatic reply: Printer broken";
    check(
        "an automatic reply",
        &[ASKED],
        &format!("{reply}\nIn-Reply-To: <q@a.example>"),
        "joins 1 by in_reply_to 0.9",
    );
    check("one to nothing", &[ASKED], reply, "archived");
    check(
        "one from a stranger",
        &[ASKED],
        &format!("{reply}\nFrom: eve@e.example\nIn-Reply-To: <q@a.example>"),
        "archived, related 1; not 1 by in_reply_to: unsure",
    );
    check_in(
        closed(15),
        "one to a closed ticket opens nothing",
        &[],
        &format!("{reply}\nIn-Reply-To: <q@a.example>"),
        "joins 1 by in_reply_to 0.9",
    );
    check("a mailing list", &[], "List-Id: <l.example>", "opens");
    check("a program of its own accord", &[], "Auto-Submitted: auto-generated", "opens");
    check(
        "our own mail",
        &[ASKED],
        "From: support@corp.example\nIn-Reply-To: <q@a.example>",
        "archived by in_reply_to 0.75, related 1",
    );
    let suspending = || World::new(with(|filing| filing.actions.bulk_list = Action::Suspend));
    check_in(suspending(), "suspended by kind", &[], "List-Id: <l.example>", "suspended (verdict)");
    check_in(
        suspending(),
        "suspended by kind, and what for",
        &[ASKED],
        "List-Id: <l.example>\nIn-Reply-To: <q@a.example>",
        "suspended (verdict) by in_reply_to 0.9, related 1",
    );
    let archiving = World::new(with(|filing| filing.actions.human = Action::Archive));
    check_in(archiving, "archived by kind", &[], ASKED, "archived");
}

#[test]
fn a_copy_of_what_was_sent_out_leads_replies_to_the_ticket() {
    let sent = "Message-ID: <out@corp.example>\nFrom: support@corp.example\nTo: ann@a.example, support@corp.example\n\
                In-Reply-To: <q@a.example>\nSubject: Re: Printer broken";
    check("the copy", &[ASKED], sent, "archived by in_reply_to 0.9, related 1");
    check(
        "a reply to it",
        &[ASKED, sent],
        "In-Reply-To: <out@corp.example>\nSubject: Re: Printer broken",
        "joins 1 by alias 0.8",
    );
    check(
        "a stranger's reply to it",
        &[ASKED, sent],
        "From: eve@e.example\nIn-Reply-To: <out@corp.example>",
        "opens, related 1; not 1 by alias: stranger",
    );
}

#[test]
fn who_is_only_written_to_by_a_program_is_not_in_the_ticket() {
    check(
        "a deputy",
        &[
            ASKED,
            "Auto-Submitted: auto-replied\nReply-To: deputy@d.example\nIn-Reply-To: <q@a.example>\nSubject: Automatic reply",
        ],
        "From: deputy@d.example\nIn-Reply-To: <q@a.example>",
        "opens, related 1; not 1 by in_reply_to: unsure",
    );
}

#[test]
fn a_form_on_a_website_brings_whom_it_wants_answered() {
    check(
        "the customer",
        &["Message-ID: <f@corp.example>\nFrom: support@corp.example\nReply-To: ann@a.example"],
        "From: ann@a.example\nIn-Reply-To: <f@corp.example>",
        "joins 1 by in_reply_to 0.9",
    );
}

#[test]
fn what_is_suspended_adds_nothing_to_a_ticket() {
    let mut world = World::new(policy());
    receive(&mut world, ASKED);
    receive(
        &mut world,
        "Authentication-Results: mx.corp.example; dmarc=fail\nMessage-ID: <z@a.example>\nFrom: zoe@a.example\nCc: cid@c.example\n\
         In-Reply-To: <q@a.example>",
    );

    let reply = receive(&mut world, "From: eve@e.example\nIn-Reply-To: <z@a.example>");
    assert_eq!(world.tell(&reply), "opens");
    assert_eq!(world.ticket(1).people.keys().collect::<Vec<_>>(), ["ann@a.example", "bob@b.example"]);
}

#[test]
fn a_ticket_without_people_has_its_requester() {
    let ticket = || Ticket {
        id: Uuid::nil(),
        number: 1,
        subject: String::new(),
        status: String::new(),
        message_count: 1,
        labels: Labels::default(),
    };
    let people = |people: &[(&str, Role)], requester| {
        let people = people.iter().map(|(address, role)| ((*address).to_owned(), *role)).collect();
        KnownTicket::stored(ticket(), None, people, requester, Vec::new())
            .people
            .into_keys()
            .collect::<Vec<_>>()
    };

    assert_eq!(people(&[], "Ann+shop@A.example"), ["ann@a.example"]);
    assert_eq!(people(&[("bob@b.example", Role::Writer)], "ann@a.example"), ["bob@b.example"]);
    assert_eq!(people(&[], ""), [""; 0]);
}
