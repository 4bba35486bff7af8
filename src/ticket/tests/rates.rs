//! Too much mail.

use super::*;

#[test]
fn too_much_from_one_sender_is_suspended_for_an_hour() {
    let mut world = World::new(policy());
    let mut told = Vec::new();
    for i in 0..30 {
        world.now -= TimeDelta::minutes(1);
        let filing = receive(&mut world, &format!("Message-ID: <{i}@a.example>\nSubject: {i}"));
        told.push(world.tell(&filing));
    }
    assert!(told[..20].iter().all(|told| told == "opens"), "{told:?}");
    assert!(told[20..].iter().all(|told| told == "suspended (sender_rate)"), "{told:?}");

    let other = receive(&mut world, "From: bob@b.example\nSubject: 31");
    assert_eq!(world.tell(&other), "opens", "others are not shut out");
    world.now += TimeDelta::minutes(61);
    let later = receive(&mut world, "Subject: 32");
    assert_eq!(world.tell(&later), "opens");
}

#[test]
fn who_may_send_any_number_does() {
    for unlimited in ["Ann@A.example", "a.example"] {
        let mut world = World::new(with(|filing| filing.unlimited_senders = vec![unlimited.to_owned()]));
        for i in 0..30 {
            world.now -= TimeDelta::minutes(1);
            let filing = receive(&mut world, &format!("Subject: {i}"));
            assert_eq!(world.tell(&filing), "opens", "{unlimited}, {i}");
        }
    }
}

#[test]
fn people_who_write_by_one_form_are_counted_each() {
    let mut world = World::new(policy());
    for i in 0..30 {
        world.now -= TimeDelta::minutes(1);
        let filing =
            receive(&mut world, &format!("From: form@web.example\nReply-To: {i}@a.example\nSubject: {i}"));
        assert_eq!(world.tell(&filing), "opens", "{i}");
    }
}

#[test]
fn too_much_into_one_ticket_is_suspended() {
    let mut world = World::new(with(|filing| filing.sender_per_hour = 0));
    receive(&mut world, ASKED);
    for i in 1..50 {
        let filing = receive(&mut world, &format!("In-Reply-To: <q@a.example>\n\n{i}"));
        assert_eq!(world.tell(&filing), "joins 1 by in_reply_to 0.9", "{i}");
    }

    let too_much = receive(&mut world, "In-Reply-To: <q@a.example>\n\n51");
    assert_eq!(world.tell(&too_much), "suspended (ticket_rate) by in_reply_to 0.9, related 1");
    world.now += TimeDelta::hours(24);
    let next_day = receive(&mut world, "In-Reply-To: <q@a.example>\n\n52");
    assert_eq!(world.tell(&next_day), "joins 1 by in_reply_to 0.9");
}

#[test]
fn the_same_again_and_again_is_suspended() {
    let again = "Subject: Out of toner\n\nOut of toner";
    let mut world = World::new(policy());
    let told: Vec<String> = (0..4)
        .map(|i| {
            let filing = receive(&mut world, &format!("From: p{i}@a.example\n{again}"));
            world.tell(&filing)
        })
        .collect();
    assert_eq!(told, ["opens", "opens", "suspended (repeated)", "suspended (repeated)"]);

    let other = receive(&mut world, "From: p5@a.example\nSubject: Out of toner\n\nOut of paper");
    assert_eq!(world.tell(&other), "opens");
    world.now += TimeDelta::minutes(10);
    let later = receive(&mut world, again);
    assert_eq!(world.tell(&later), "opens");
}
