//! What is known of attachments, and the sources that their bytes are in.

use std::io;
use std::io::Write;

use serde::Serialize;
use sqlx::{FromRow, PgConnection, Row};
use uuid::Uuid;
use zstd::stream::write::Decoder;

use crate::mail::Attachment;
use crate::message::Extent;
use crate::store::column;
use crate::store::record::bigint;
use crate::store::{Error, Store};

/// How much of a stored source is asked for at a time.
const PIECE_BYTES: i32 = 4 * 1024 * 1024;

/// A line of `postroom attachments list`.
#[derive(Clone, Serialize, FromRow)]
pub struct AttachmentLine {
    /// The message, as sent to helpdesks.
    pub message_id: Uuid,
    /// The message's place in its ticket.
    pub sequence: i32,
    /// Index of the part.
    pub part: i32,
    /// Its name, safe for file systems.
    pub filename: Option<String>,
    /// What the mail claims that it is.
    pub content_type: String,
    /// What it is, where that is something else.
    pub detected_type: Option<String>,
    /// Decoded bytes.
    pub size: i64,
    /// SHA-256 of them, in hexadecimal.
    pub sha256: String,
    /// Whether it is shown inside the HTML.
    pub inline: bool,
    /// Whether it was in a `winmail.dat`.
    pub from_tnef: bool,
}

/// Whose attachments are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Those of a message.
    Message(Uuid),
    /// Those of a ticket's messages, by its number.
    Ticket(i64),
}

/// A message whose attachments are asked for.
#[derive(Clone, Serialize, FromRow)]
pub struct Holder {
    /// The message, as sent to helpdesks.
    pub message_id: Uuid,
    /// Its place in its ticket.
    pub sequence: i32,
    /// Whether its attachments are missing because PostgreSQL refused parts of it.
    pub is_degraded: bool,
}

impl Store {
    /// The messages that are meant, in order. None if there is no such message or ticket.
    pub async fn holders(&self, of: Of) -> Result<Vec<Holder>, Error> {
        let (message, ticket) = of.parts();
        Ok(sqlx::query_as(
            "SELECT m.id AS message_id, m.sequence, m.degraded IS NOT NULL AS is_degraded
             FROM messages m
             WHERE m.id = $1 OR m.ticket_id = (SELECT id FROM tickets WHERE number = $2)
             ORDER BY m.sequence",
        )
        .bind(message)
        .bind(ticket)
        .fetch_all(&self.pool)
        .await?)
    }

    /// Their attachments, in order.
    pub async fn list_attachments(&self, of: Of) -> Result<Vec<AttachmentLine>, Error> {
        let (message, ticket) = of.parts();
        Ok(sqlx::query_as(
            "SELECT a.message_id, m.sequence, a.part, a.filename, a.content_type, a.detected_type, a.size,
                    encode(a.sha256, 'hex') AS sha256, a.inline, a.from_tnef
             FROM attachments a JOIN messages m ON m.id = a.message_id
             WHERE m.id = $1 OR m.ticket_id = (SELECT id FROM tickets WHERE number = $2)
             ORDER BY m.sequence, a.part",
        )
        .bind(message)
        .bind(ticket)
        .fetch_all(&self.pool)
        .await?)
    }

    /// The bytes of a message, and how much of it was taken; `None` if there is no such message. Fetched and unpacked
    /// piece by piece: they are in memory once.
    ///
    /// # Errors
    /// [`Error::Source`] if they are damaged.
    pub async fn source(&self, message: Uuid) -> Result<Option<(Extent, Vec<u8>)>, Error> {
        let row = sqlx::query("SELECT extent, size, octet_length(bytes) FROM sources WHERE message_id = $1")
            .bind(message)
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let extent = if row.try_get::<&str, _>(0)? == "whole" { Extent::Whole } else { Extent::Header };
        let size = usize::try_from(row.try_get::<i64, _>(1)?).unwrap_or_default();
        let stored: i32 = row.try_get(2)?;
        let mut unpacked = Decoder::new(Vec::with_capacity(size)).map_err(Error::Source)?;
        for at in (0..stored).step_by(usize::try_from(PIECE_BYTES).unwrap_or(usize::MAX)) {
            // Stored uncompressed by PostgreSQL, so that it reads no more than this.
            let piece: Vec<u8> = sqlx::query_scalar(
                "SELECT substring(bytes FROM $2 FOR $3) FROM sources WHERE message_id = $1",
            )
            .bind(message)
            .bind(at + 1)
            .bind(PIECE_BYTES)
            .fetch_one(&self.pool)
            .await?;
            unpacked.write_all(&piece).map_err(Error::Source)?;
        }
        unpacked.flush().map_err(Error::Source)?;
        let source = unpacked.into_inner();
        if source.len() != size {
            return Err(Error::Source(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(Some((extent, source)))
    }
}

impl Of {
    fn parts(self) -> (Option<Uuid>, Option<i64>) {
        match self {
            Self::Message(id) => (Some(id), None),
            Self::Ticket(number) => (None, Some(number)),
        }
    }
}

pub(super) async fn write(connection: &mut PgConnection, all: &[(Uuid, &Attachment)]) -> Result<(), Error> {
    if all.is_empty() {
        return Ok(());
    }
    let attachments = || all.iter().map(|(_, attachment)| *attachment);
    sqlx::query(
        "INSERT INTO attachments (message_id, part, filename, content_type, detected_type, size, sha256,
                                  content_id, inline, referenced_by_html, from_tnef)
         SELECT * FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::bigint[],
                              $7::bytea[], $8::text[], $9::boolean[], $10::boolean[], $11::boolean[])",
    )
    .bind(all.iter().map(|(message, _)| *message).collect::<Vec<_>>())
    .bind(attachments().map(|a| i32::try_from(a.part).unwrap_or(i32::MAX)).collect::<Vec<_>>())
    .bind(column::texts_or_null(attachments().map(|attachment| attachment.filename.as_deref())))
    .bind(column::texts(attachments().map(|attachment| attachment.content_type.as_str())))
    .bind(attachments().map(|attachment| attachment.detected_type).collect::<Vec<_>>())
    .bind(attachments().map(|attachment| bigint(attachment.size)).collect::<Vec<_>>())
    .bind(attachments().map(|attachment| attachment.sha256.as_slice()).collect::<Vec<_>>())
    .bind(column::texts_or_null(attachments().map(|attachment| attachment.content_id.as_deref())))
    .bind(attachments().map(|attachment| attachment.inline).collect::<Vec<_>>())
    .bind(attachments().map(|attachment| attachment.referenced_by_html).collect::<Vec<_>>())
    .bind(attachments().map(|attachment| attachment.from_tnef).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}
