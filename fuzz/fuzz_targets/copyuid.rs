//! Whatever UIDs a server says it has copied, only those asked for and named are removed, and none is taken for moved
//! that is not named and still there.

#![no_main]

use std::collections::BTreeSet;
use std::fmt::Write as _;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use postroom::fuzzing::open;
use postroom::mailbox::{Error, Plan, Removal};
use postroom::message::{Uid, UidSet};
use postroom_fuzz::{OPENED, Wire, let_the_parser_panic, mailbox, password, run};

#[derive(Debug, Arbitrary)]
struct Case<'a> {
    /// What is to be settled.
    asked: BTreeSet<u8>,
    /// The UIDs that the server names, as members of a set; and, if not as well, where they went.
    named: Vec<(u32, Option<u32>)>,
    targets: Option<&'a str>,
    /// Whether it names them before its OK, as for MOVE, or in it.
    before: bool,
    copies: bool,
    /// What is in the folder afterwards.
    present: BTreeSet<u8>,
}

fuzz_target!(init: let_the_parser_panic(), |case: Case<'_>| {
    let asked: UidSet = case.asked.iter().map(|&uid| Uid(u32::from(uid) + 1)).collect();
    if asked.is_empty() {
        return;
    }
    let members = case.named.iter().map(|(lo, hi)| match hi {
        Some(hi) => format!("{lo}:{hi}"),
        None => lo.to_string(),
    });
    let members = members.collect::<Vec<String>>().join(",");
    let targets =
        case.targets.map_or_else(|| members.clone(), |targets| targets.replace(['\r', '\n', ']'], ""));
    let code = format!("[COPYUID 14 {members} {targets}]");
    let mut answers = OPENED.to_vec();
    let (untagged, tagged) =
        if case.before { (format!("* OK {code} x\r\n"), "") } else { (String::new(), &*code) };
    answers.extend(format!("{untagged}P3 OK {tagged} done\r\n").into_bytes());
    let present = case.present.iter().fold(String::new(), |mut fetched, &uid| {
        let _ = write!(fetched, "* 1 FETCH (UID {})\r\n", u32::from(uid) + 1);
        fetched
    });
    for command in 4..9 {
        answers.extend(format!("{present}P{command} OK done\r\n").into_bytes());
    }
    let to = "Done".to_owned();
    let plan = if case.copies { Plan::Copy { to, removal: Removal::Expunge } } else { Plan::Move { to } };
    let (wire, sent) = Wire::new(answers);

    let mut left = None;
    run(async { left = settle(wire, &plan, &asked).await.ok() });

    let is_named = |uid: Uid| {
        case.named.iter().any(|&(lo, hi)| {
            let hi = hi.unwrap_or(lo);
            (lo.min(hi)..=lo.max(hi)).contains(&uid.0)
        })
    };
    let is_there = |uid: Uid| case.present.iter().any(|&present| u32::from(present) + 1 == uid.0);
    if let Some(left) = left {
        assert!(left.iter().all(|uid| asked.contains(uid)));
        assert!(case.copies || asked.iter().all(|uid| is_named(uid) || !is_there(uid) || left.contains(uid)));
    }
    // A COPYUID that can't be read is none, and without one the OK of a COPY counts for all.
    let is_sound = |&(lo, hi): &(u32, Option<u32>)| lo > 0 && hi != Some(0);
    let counts = case.targets.is_none() && !case.named.is_empty() && case.named.iter().all(is_sound);
    let sent = String::from_utf8(sent.lock().expect("no writer panics").clone()).expect("commands are text");
    for line in sent.lines().filter(|line| line.contains("UID STORE") || line.contains("UID EXPUNGE")) {
        assert!(case.copies, "a move removes nothing itself");
        let set = line.split(' ').nth(3).expect("a set");
        let removed = set.split(',').flat_map(|range| {
            let (lo, hi) = range.split_once(':').unwrap_or((range, range));
            lo.parse::<u32>().expect("a UID")..=hi.parse().expect("a UID")
        });
        assert!(removed.map(Uid).all(|uid| asked.contains(uid) && (!counts || is_named(uid))));
    }
});

async fn settle(wire: Wire, plan: &Plan, asked: &UidSet) -> Result<UidSet, Error> {
    let mut session = open(wire, &mailbox(), &password()).await?;
    session.select("INBOX").await?.settle(plan, asked).await
}
