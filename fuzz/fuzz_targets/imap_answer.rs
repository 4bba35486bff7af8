//! Whatever a server says, a command ends with a value or an error.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use postroom::fuzzing::open;
use postroom::mailbox::{Credential, Error, Plan};
use postroom::message::{Extent, Uid, UidSet};
use postroom_fuzz::{OPENED, Wire, let_the_parser_panic, mailbox, password, run, token};
use tokio_util::sync::CancellationToken;

/// How long a server that tells of mail by itself may take: all that it says is there.
const LONG: Duration = Duration::from_secs(600);

fuzz_target!(init: let_the_parser_panic(), |said: &[u8]| {
    // Half of the time from the greeting on, else with the folder open.
    let (answers, credential) = match said.split_first() {
        Some((0..=127, rest)) => ([OPENED, rest].concat(), password()),
        Some((128..=191, rest)) => (rest.to_vec(), token()),
        Some((_, rest)) => (rest.to_vec(), password()),
        None => return,
    };
    let wire = Wire::new(answers).0;
    run(async {
        // An error is as good an end as any.
        if let Err(error) = converse(wire, &credential).await {
            assert!(!(error.is_about_session() && error.is_refusal()), "{error:?}");
        }
    });
});

async fn converse(wire: Wire, credential: &Credential) -> Result<(), Error> {
    let mut session = open(wire, &mailbox(), credential).await?;
    let mut inbox = session.select("INBOX").await?;
    let listing = inbox.list(Uid(0)).await?;
    let uids: UidSet = listing.messages.iter().map(|listed| listed.uid).collect();
    assert!(uids.iter().all(|uid| uid.0 > 0) && uids.len() == listing.messages.len() && uids.len() <= 1_000);
    let messages = inbox.fetch(&listing.messages, Extent::Whole).await?;
    assert!(messages.iter().all(|message| uids.contains(message.listed.uid)) && messages.len() <= uids.len());
    let left = inbox.settle(&Plan::Move { to: "Done".to_owned() }, &uids).await?;
    assert!(left.iter().all(|uid| uids.contains(uid)));
    for _ in 0..3 {
        let limit = if session.pushes() { LONG } else { Duration::ZERO };
        session.wait(limit, &CancellationToken::new()).await?;
    }
    session.logout().await;
    Ok(())
}
