//! The reading stage: CPU work on a thread of its own, so that sockets stay served.

use tokio::sync::mpsc;
use tracing::error;

use crate::intake::Error;
use crate::mail;
use crate::mail::Mail;
use crate::message::{Extent, Message, Uid};
use crate::step;
use crate::store::Source;

/// A message, read and packed. Its raw bytes are gone: copies of mails are what memory is made of.
pub(super) struct Letter {
    pub(super) uid: Uid,
    pub(super) extent: Extent,
    pub(super) mail: Mail,
    pub(super) source: Source,
}

/// Reads batches until there are no more.
pub(super) async fn read(
    mut batches: mpsc::Receiver<Vec<Message>>,
    letters: mpsc::Sender<Vec<Letter>>,
) -> Result<(), Error> {
    while let Some(messages) = batches.recv().await {
        // As in the stage before: a place first.
        let Ok(place) = letters.reserve().await else { break };
        let read = tokio::task::spawn_blocking(|| {
            // One by one, and each source freed once it is packed.
            messages.into_iter().map(|message| Letter::read(&message)).collect()
        })
        .await;
        let read: Result<Vec<Letter>, std::io::Error> = read.map_err(|_| Error::Stage)?;
        let read = read.map_err(|cause| {
            error!(%cause, "compressing a source");
            Error::Stage
        })?;
        place.send(read);
    }
    Ok(())
}

impl Letter {
    fn read(message: &Message) -> Result<Self, std::io::Error> {
        step::reading(&message.source);
        Ok(Self {
            uid: message.listed.uid,
            extent: message.extent,
            mail: mail::read(message),
            source: Source::compress(&message.source)?,
        })
    }
}
