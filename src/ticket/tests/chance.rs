//! What holds for any mail.

use proptest::prelude::*;

use super::*;

/// A mail out of a small world, in which ids and people meet again.
fn any_mail() -> impl Strategy<Value = String> {
    let id = 0..8_u8;
    let person = prop::sample::select(vec![
        "ann@a.example",
        "zoe@a.example",
        "bob@b.example",
        "eve@e.example",
        "gus@gmail.com",
        "agent@corp.example",
        OWN,
    ]);
    (
        id.clone(),
        person.clone(),
        prop::collection::vec(person, 0..3),
        prop::collection::vec(id.clone(), 0..2),
        prop::collection::vec(id, 0..4),
        prop::sample::select(vec!["Printer broken", "Re: Printer broken", "Fwd: Printer broken", "Invoice", ""]),
        prop::sample::select(vec!["", "Auto-Submitted: auto-replied\n", "List-Id: <l>\n", "X-Postroom-Loop: 1\n"]),
        prop::sample::select(vec!["Hello", "Hello\n> quoted", "On Monday Ann wrote:\n> x"]),
    )
        .prop_map(|(own, from, others, replied, referred, subject, more, body)| {
            let ids = |ids: &[u8]| ids.iter().map(|id| format!("<{id}@x>")).collect::<Vec<_>>().join(" ");
            format!(
                "Message-ID: <{own}@x>\nFrom: {from}\nTo: {OWN}\nCc: {}\nIn-Reply-To: {}\nReferences: {}\n{more}Subject: {subject}\n\n{body} {own}",
                others.join(", "),
                ids(&replied),
                ids(&referred),
            )
        })
}

/// Files a batch as intake does: which mails are together in which tickets, by what they are.
fn filed(batch: &[(Mail, DateTime<Utc>)]) -> Vec<Vec<usize>> {
    let policy = lenient();
    let clues: Vec<Clues> = batch.iter().map(|(mail, _)| Clues::of(mail, &policy)).collect();
    let with_time: Vec<_> = clues.iter().zip(batch).map(|(clues, (_, at))| (clues, *at)).collect();
    let mut known = Known::default();
    let mut tickets: Vec<(Uuid, Vec<usize>)> = Vec::new();
    for place in in_order(&with_time) {
        let (clues, at) = with_time[place];
        let filing = file(clues, &known, &policy, at);
        let opened = || Ticket {
            id: Uuid::now_v7(),
            number: 0,
            subject: batch[place].0.subject.clone(),
            status: "open".to_owned(),
            message_count: 0,
            labels: Labels::default(),
        };
        let Some(ticket) = known.add(clues, &filing, opened, at, &policy) else { continue };
        match tickets.iter_mut().find(|(id, _)| *id == ticket.id) {
            Some((_, mails)) => mails.push(place),
            None => tickets.push((ticket.id, vec![place])),
        }
    }
    tickets.into_iter().map(|(_, mails)| mails).collect()
}

#[test]
fn endless_references_are_not_all_looked_at() {
    let ids: Vec<String> = (0..20_000).map(|i| format!("<{i}@x>")).collect();
    let mail = read(&format!("Message-ID: <own@x>\nReferences: {}", ids.join("\n ")));

    assert!(Clues::of(&mail, &policy()).keys().count() <= 51);
}

#[test]
fn a_thread_as_long_as_a_batch_is_put_in_order() {
    let policy = lenient();
    let clues: Vec<Clues> = (0..10_000)
        .rev()
        .map(|i| Clues::of(&read(&format!("Message-ID: <{i}@x>\nIn-Reply-To: <{}@x>", i - 1)), &policy))
        .collect();
    let batch: Vec<_> = clues.iter().map(|clues| (clues, DateTime::UNIX_EPOCH)).collect();

    assert_eq!(in_order(&batch), (0..10_000).rev().collect::<Vec<_>>());
}

proptest! {
    #[test]
    fn the_order_of_a_batch_does_not_matter(
        (sources, order) in prop::collection::vec(any_mail(), 1..12).prop_flat_map(|sources| {
            let order: Vec<usize> = (0..sources.len()).collect();
            (Just(sources), Just(order).prop_shuffle())
        })
    ) {
        let batch: Vec<(Mail, DateTime<Utc>)> = sources
            .iter()
            .zip(0..)
            .map(|(source, minute)| (read(source), DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)))
            .collect();
        let shuffled: Vec<_> = order.iter().map(|place| batch[*place].clone()).collect();

        let back = |tickets: Vec<Vec<usize>>| -> Vec<Vec<usize>> {
            tickets.into_iter().map(|mails| mails.into_iter().map(|place| order[place]).collect()).collect()
        };
        prop_assert_eq!(back(filed(&shuffled)), filed(&batch));
    }

    #[test]
    fn every_mail_is_put_in_order_once_and_after_those_it_names(
        sources in prop::collection::vec(any_mail(), 0..12)
    ) {
        let policy = lenient();
        let clues: Vec<Clues> = sources.iter().map(|source| Clues::of(&read(source), &policy)).collect();
        let batch: Vec<_> = clues.iter().map(|clues| (clues, DateTime::UNIX_EPOCH)).collect();

        let mut order = in_order(&batch);

        order.sort_unstable();
        prop_assert_eq!(order, (0..sources.len()).collect::<Vec<_>>());
    }

    #[test]
    fn a_stranger_never_gets_into_a_ticket(before in prop::collection::vec(any_mail(), 1..12), mail in any_mail()) {
        let mut world = World::new(lenient());
        for before in &before {
            world.receive(&read(before));
        }
        // Of an organisation of its own, and to nobody but the mailbox.
        let mail = read(&mail.replace("Auto-", "X-").replace("Cc: ", "X-Cc: ").replace("From: ", "From: mallory@m.example, "));

        let filing = world.receive(&mail);

        prop_assert!(!matches!(filing.place, Place::Joins(_)), "{}", world.tell(&filing));
    }

    #[test]
    fn filing_decides_the_same_each_time(before in prop::collection::vec(any_mail(), 0..8), mail in any_mail()) {
        let mut world = World::new(policy());
        for before in &before {
            world.receive(&read(before));
        }
        let clues = Clues::of(&read(&mail), &world.policy);

        let once = file(&clues, &world.known, &world.policy, world.now);
        let again = file(&clues, &world.known.clone(), &world.policy, world.now);

        prop_assert_eq!(&once, &again);
        prop_assert!(once.considered.len() <= 10);
        if let Place::Joins(ticket) = once.place {
            prop_assert!(once.confidence.is_some() && once.evidence.is_some());
            prop_assert!(world.known.tickets.contains_key(&ticket));
            prop_assert!(once.related.is_none());
        }
    }
}
