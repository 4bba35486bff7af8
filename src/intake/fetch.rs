//! Fetching a batch, and finding out which of its messages the server cannot give.

use std::collections::HashSet;

use tracing::warn;

use crate::intake::batch::Batch;
use crate::intake::{Error, Job};
use crate::mailbox::Selected;
use crate::message::{Listed, Message, Uid, UidSet};
use crate::step;
use crate::step::Step;
use crate::store::Folder;

/// A message is held if the connection breaks when it is fetched alone, and had broken that often before. Once is
/// nothing: connections break.
const ALONE_AT_FAULT: u32 = 2;

const BROKE: &str = "the connection broke when it was fetched";

/// Fetches a batch. If the server refuses, halves of it, until the one message that it cannot give is alone: that
/// one is held, and delays no other.
pub(super) async fn fetch_or_halve(
    job: &Job<'_>,
    selected: &mut Selected<'_>,
    folder: &Folder,
    batch: Batch,
) -> Result<Vec<Message>, Error> {
    step::reached(Step::BeforeFetch);
    let mut messages = Vec::new();
    // The next part last.
    let mut parts = vec![batch];
    while let Some(part) = parts.pop() {
        match fetch(job, selected, folder, &part).await {
            Ok(fetched) => messages.extend(fetched),
            Err(Error::Mailbox(refusal)) if refusal.is_refusal() => {
                if let Some((first, second)) = part.halves() {
                    parts.extend([second, first]);
                    continue;
                }
                warn!(mailbox = job.mailbox.name, error = %refusal, "the server refuses to give a message: held");
                let refused = part.uids();
                job.store.hold(folder, &refused, "the server refuses to give it").await?;
                job.tally.held.add(refused.len());
            }
            Err(Error::Mailbox(broken)) if broken.is_about_session() => return Err(broken.into()),
            Err(Error::Mailbox(broken)) => {
                // Some servers close the connection over a message that they can't read.
                let uids = part.uids();
                if part.wanted.len() == 1 && part.attempts >= ALONE_AT_FAULT {
                    job.store.hold(folder, &uids, BROKE).await?;
                    job.tally.held.add(1);
                } else {
                    job.store.stumbled(folder, &uids, BROKE).await?;
                }
                return Err(broken.into());
            }
            Err(error) => return Err(error),
        }
    }
    step::reached(Step::AfterFetch);
    Ok(messages)
}

/// Fetches a batch. What the server leaves out is asked for once more; then it is held if it is still
/// listed, and written down as gone if not. So is what the server gives in place of a mail.
async fn fetch(
    job: &Job<'_>,
    selected: &mut Selected<'_>,
    folder: &Folder,
    batch: &Batch,
) -> Result<Vec<Message>, Error> {
    let mut messages = with_content(selected.fetch(&batch.wanted, batch.extent).await?);
    let missing = left_out(&batch.wanted, &messages);
    if missing.is_empty() {
        return Ok(messages);
    }

    messages.extend(with_content(selected.fetch(&missing, batch.extent).await?));
    let missing: UidSet = left_out(&missing, &messages).iter().map(|listed| listed.uid).collect();
    if missing.is_empty() {
        return Ok(messages);
    }

    let present = selected.present(&missing).await?;
    let gone: UidSet = missing.iter().filter(|&uid| !present.contains(uid)).collect();
    if !present.is_empty() {
        warn!(
            mailbox = job.mailbox.name,
            count = present.len(),
            "the server lists messages but does not give them: held"
        );
        job.store.hold(folder, &present, "the server does not give it").await?;
        job.tally.held.add(present.len());
    }
    if !gone.is_empty() {
        job.store.gone(folder, &gone).await?;
        job.tally.gone.add(gone.len());
    }
    Ok(messages)
}

fn with_content(mut messages: Vec<Message>) -> Vec<Message> {
    messages.retain(Message::has_content);
    messages
}

fn left_out(wanted: &[Listed], messages: &[Message]) -> Vec<Listed> {
    let got: HashSet<Uid> = messages.iter().map(|message| message.listed.uid).collect();
    wanted.iter().filter(|listed| !got.contains(&listed.uid)).copied().collect()
}
