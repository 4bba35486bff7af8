//! The reading stage: CPU work on a thread of its own, so that sockets stay served.

use tokio::sync::mpsc;
use tracing::error;

use crate::intake::Error;
use crate::mail;
use crate::mail::{Mail, Remnant};
use crate::message::{Extent, Message, Uid};
use crate::step;
use crate::store::{Hand, Source};

/// A message, read and packed. Its raw bytes are gone: copies of mails are what memory is made of.
pub(super) struct Letter {
    /// Where it is; out of files, its number in the batch.
    pub(super) uid: Uid,
    pub(super) extent: Extent,
    pub(super) mail: Mail,
    pub(super) source: Source,
    /// Why parts of the mail are missing, if PostgreSQL refused them.
    pub(super) degraded: Option<String>,
}

/// A batch on its way through the stages, and the mark that says so. Dropped on the way, it leaves the mark in place,
/// to be taken away with the lease.
pub(super) struct InHand<T> {
    pub(super) batch: Vec<T>,
    /// How often taking these in has failed.
    pub(super) attempts: u32,
    pub(super) hand: Hand,
}

/// Reads batches until there are no more.
pub(super) async fn read(
    mut batches: mpsc::Receiver<InHand<Message>>,
    letters: mpsc::Sender<InHand<Letter>>,
) -> Result<(), Error> {
    while let Some(InHand { batch, attempts, hand }) = batches.recv().await {
        // As in the stage before: a place first.
        let Ok(place) = letters.reserve().await else { break };
        let read = tokio::task::spawn_blocking(|| {
            // One by one, and each source freed once it is packed.
            batch.into_iter().map(|message| Letter::read(&message)).collect()
        })
        .await;
        let read: Result<Vec<Letter>, std::io::Error> = read.map_err(|_| Error::Stage)?;
        let batch = read.map_err(|cause| {
            error!(%cause, "compressing a source");
            Error::Stage
        })?;
        place.send(InHand { batch, attempts, hand });
    }
    Ok(())
}

impl Letter {
    pub(super) fn read(message: &Message) -> Result<Self, std::io::Error> {
        step::reading(&message.source);
        Ok(Self {
            uid: message.listed.uid,
            extent: message.extent,
            mail: mail::read(message),
            source: Source::compress(&message.source)?,
            degraded: None,
        })
    }

    /// This letter with only as much of its mail, and why.
    pub(super) fn degraded(&self, remnant: Remnant, reason: String) -> Self {
        Self {
            uid: self.uid,
            extent: self.extent,
            mail: self.mail.degraded(remnant),
            source: self.source.clone(),
            degraded: Some(reason),
        }
    }
}
