//! Whatever a server says, a command ends with a value or an error.

#![no_main]

use libfuzzer_sys::fuzz_target;
use postroom::fuzzing::open;
use postroom::mailbox::{Error, Plan};
use postroom::message::{Extent, Uid, UidSet};
use postroom_fuzz::{OPENED, Wire, mailbox, run};

fuzz_target!(|said: &[u8]| {
    // Half of the time from the greeting on, else with the folder open.
    let answers = match said.split_first() {
        Some((0..=127, rest)) => [OPENED, rest].concat(),
        _ => said.to_vec(),
    };
    let wire = Wire::new(answers).0;
    run(async {
        // An error is as good an end as any.
        let _ = converse(wire).await;
    });
});

async fn converse(wire: Wire) -> Result<(), Error> {
    let mut session = open(wire, &mailbox()).await?;
    let mut inbox = session.select("INBOX").await?;
    let listing = inbox.list(Uid(0)).await?;
    let uids: UidSet = listing.messages.iter().map(|listed| listed.uid).collect();
    assert!(uids.iter().all(|uid| uid.0 > 0) && uids.len() == listing.messages.len() && uids.len() <= 1_000);
    let messages = inbox.fetch(&listing.messages, Extent::Whole).await?;
    assert!(messages.iter().all(|message| uids.contains(message.listed.uid)) && messages.len() <= uids.len());
    let left = inbox.settle(&Plan::Move { to: "Done".to_owned() }, &uids).await?;
    assert!(left.iter().all(|uid| uids.contains(uid)));
    session.logout().await;
    Ok(())
}
