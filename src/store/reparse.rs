//! Stored messages read again, and the columns in which that shows.
//!
//! What is compared, and written, is what follows from the source: never a message's ticket and place in it, its
//! filing, or when it came. Events that were frozen stay as they are. A ticket takes its subject, its requester and its
//! verdict from its first message, so they follow it.

use std::borrow::Cow;
use std::fmt::Write;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{AssertSqlSafe, FromRow, PgConnection, Row};
use uuid::Uuid;

use crate::mail::{Attachment, Fingerprint, Mail};
use crate::message::Extent;
use crate::store::attachments as attachment_rows;
use crate::store::column;
use crate::store::column::{Headers, Person};
use crate::store::{Error, Source, Store};
use crate::text;
use crate::ticket::ThreadKey;

/// Binds what [`rows`] names. A macro, for the two kinds of query have no trait in common.
macro_rules! bound {
    ($query:expr, $reread:expr, $columns:expr) => {{
        let mut query = $query
            .bind($reread.iter().map(|new| new.id).collect::<Vec<_>>())
            .bind($reread.iter().map(|new| new.mail.fingerprint.0.as_slice()).collect::<Vec<_>>())
            .bind(attachments($reread));
        for column in $columns {
            query = match &column.values {
                Values::Texts(values) => query.bind(values),
                Values::Times(values) => query.bind(values),
                Values::Numbers(values) => query.bind(values),
            };
        }
        query
    }};
}

/// Not a column: the rows of a table.
const ATTACHMENTS: &str = "attachments";

/// A message with its source.
#[derive(Debug)]
pub struct Stored {
    /// Its id. Ids grow with the time of storing.
    pub id: Uuid,
    /// Name of the mailbox it came to.
    pub mailbox: String,
    /// When it reached the mailbox.
    pub received_at: DateTime<Utc>,
    /// What it was recognised by so far.
    pub fingerprint: Fingerprint,
    /// How much of it was fetched.
    pub extent: Extent,
    /// Whether its content is missing, for PostgreSQL refused it.
    pub is_degraded: bool,
    /// Its bytes.
    pub source: Source,
}

/// A message, read again.
pub struct Reread<'a> {
    /// Its id.
    pub id: Uuid,
    /// It, as it reads now.
    pub mail: &'a Mail,
    /// Why parts of it are missing, if PostgreSQL refused them.
    pub degraded: Option<&'a str>,
}

/// A message that reads differently from what is stored. Holds nothing of the mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow)]
pub struct Changed {
    /// Its id.
    pub id: Uuid,
    /// Number of its ticket, if it is in one.
    pub ticket: Option<i64>,
    /// The columns that differ, `attachments` among them.
    pub columns: Vec<String>,
    /// Whether it keeps a fingerprint that it does not read as any more, since another message bears the new one.
    pub keeps_fingerprint: bool,
}

impl Store {
    /// How many messages come after the id `after`; of one mailbox, if it is given.
    pub async fn count_stored(&self, mailbox: Option<&str>, after: Uuid) -> Result<u64, Error> {
        let count: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM messages
             WHERE id > $1 AND ($2::text IS NULL OR mailbox_id = (SELECT id FROM mailboxes WHERE name = $2))",
        )
        .bind(after)
        .bind(mailbox)
        .fetch_one(&self.pool)
        .await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// The next messages after the id `after`, in the order of ids: at most `count`, and no more once their sources
    /// make `bytes`.
    pub async fn stored_after(
        &self,
        mailbox: Option<&str>,
        after: Uuid,
        count: usize,
        bytes: u64,
    ) -> Result<Vec<Stored>, Error> {
        let rows = sqlx::query(
            "SELECT x.id, x.received_at, x.degraded IS NOT NULL, s.extent, s.size, s.bytes, x.fingerprint,
                    (SELECT name FROM mailboxes WHERE id = x.mailbox_id)
             FROM (SELECT n.*, sum(z.size) OVER (ORDER BY n.id) - z.size AS before
                   FROM (SELECT id, mailbox_id, received_at, degraded, fingerprint FROM messages
                         WHERE id > $1
                           AND ($2::text IS NULL OR mailbox_id = (SELECT id FROM mailboxes WHERE name = $2))
                         ORDER BY id LIMIT $3) AS n
                   CROSS JOIN LATERAL (SELECT size FROM sources WHERE message_id = n.id LIMIT 1) AS z) AS x
             CROSS JOIN LATERAL (SELECT extent, size, bytes FROM sources WHERE message_id = x.id LIMIT 1) AS s
             WHERE x.before < $4::bigint
             ORDER BY x.id",
        )
        .bind(after)
        .bind(mailbox)
        .bind(i64::try_from(count).unwrap_or(i64::MAX))
        .bind(i64::try_from(bytes).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                let size = u64::try_from(row.try_get::<i64, _>(4)?).unwrap_or(0);
                Ok(Stored {
                    id: row.try_get(0)?,
                    mailbox: row.try_get(7)?,
                    received_at: row.try_get(1)?,
                    fingerprint: Fingerprint(row.try_get(6)?),
                    is_degraded: row.try_get(2)?,
                    extent: if row.try_get::<&str, _>(3)? == "header" {
                        Extent::Header
                    } else {
                        Extent::Whole
                    },
                    source: Source { size, bytes: row.try_get(5)? },
                })
            })
            .collect()
    }

    /// Compares messages with what is stored of them, in one transaction, and, if `apply`, writes down what differs.
    /// Those that differ.
    ///
    /// # Errors
    /// [`Error::Refused`] if PostgreSQL refuses the data, [`Error::Conflict`] if two of them have one fingerprint now.
    /// Then nothing is written.
    pub async fn reparse(&self, reread: &[Reread<'_>], apply: bool) -> Result<Vec<Changed>, Error> {
        let columns = columns(reread);
        let mut transaction = self.pool.begin().await?;
        let changed = compare(&mut transaction, reread, &columns).await?;
        if apply && !changed.is_empty() {
            write(&mut transaction, reread, &columns, &changed).await?;
            transaction.commit().await?;
        }
        Ok(changed)
    }
}

/// A column of `messages` that follows from the source, for each message.
struct Column<'a> {
    name: &'static str,
    /// As SQL makes it of what is bound, in place of `$`.
    form: &'static str,
    values: Values<'a>,
}

enum Values<'a> {
    Texts(Vec<Option<Cow<'a, str>>>),
    Times(Vec<Option<DateTime<Utc>>>),
    Numbers(Vec<i64>),
}

impl Values<'_> {
    fn sql_type(&self) -> &'static str {
        match self {
            Self::Texts(_) => "text[]",
            Self::Times(_) => "timestamptz[]",
            Self::Numbers(_) => "bigint[]",
        }
    }
}

/// As [`record`](super::record) fills them; a test compares the two.
fn columns<'a>(reread: &'a [Reread<'a>]) -> Vec<Column<'a>> {
    let plain = "$";
    let json = "$::jsonb";
    let list = r"string_to_array($, E'\n')";
    let texts = |name, form, of: fn(&'a Reread<'a>) -> Option<Cow<'a, str>>| Column {
        name,
        form,
        values: Values::Texts(reread.iter().map(of).collect()),
    };
    vec![
        texts("message_id", plain, |new| new.mail.message_id.as_deref().map(text::clean)),
        texts("in_reply_to", list, |new| list_of(&new.mail.in_reply_to)),
        texts("reference_ids", list, |new| list_of(&new.mail.references)),
        texts("from_name", plain, |new| {
            Some(text::clean(new.mail.from.as_ref().map_or("", |from| &from.name)))
        }),
        texts("from_address", plain, |new| {
            Some(text::clean(new.mail.from.as_ref().map_or("", |from| &from.address)))
        }),
        texts("sender", json, |new| {
            new.mail.sender.as_ref().map(|sender| column::json(Person(sender)).into())
        }),
        texts("reply_to", json, |new| Some(column::json(column::people(&new.mail.reply_to)).into())),
        texts("recipients_to", json, |new| Some(column::json(column::people(&new.mail.to)).into())),
        texts("recipients_cc", json, |new| Some(column::json(column::people(&new.mail.cc)).into())),
        texts("subject", plain, |new| Some(text::clean(&new.mail.subject))),
        Column {
            name: "date",
            form: plain,
            values: Values::Times(reread.iter().map(|new| new.mail.date.map(|date| date.to_utc())).collect()),
        },
        texts("text", plain, |new| Some(text::clean(&new.mail.text))),
        texts("html", plain, |new| new.mail.html.as_deref().map(text::clean)),
        texts("headers", json, |new| Some(column::json(Headers(&new.mail.headers)).into())),
        Column {
            name: "size",
            form: plain,
            values: Values::Numbers(
                reread.iter().map(|new| i64::try_from(new.mail.size).unwrap_or(i64::MAX)).collect(),
            ),
        },
        texts("defects", list, |new| {
            let names: Vec<&str> = new.mail.defects.iter().map(|defect| defect.as_str()).collect();
            Some(names.join(column::SEPARATOR).into())
        }),
        texts("verdict", plain, |new| Some(new.mail.automation.verdict.as_str().into())),
        texts("signals", list, |new| {
            let names: Vec<&str> = new.mail.automation.signals.iter().map(|signal| signal.as_str()).collect();
            Some(names.join(column::SEPARATOR).into())
        }),
        texts("suppress_auto_response", "$::boolean", |new| {
            Some(if new.mail.automation.suppress_auto_response { "true" } else { "false" }.into())
        }),
        texts("report", json, |new| new.mail.report.as_ref().map(|report| column::json(report).into())),
        texts("authentication", json, |new| {
            new.mail.authentication.as_ref().map(|found| column::json(found).into())
        }),
        texts("reply_text", plain, |new| {
            new.mail.reply.as_ref().and_then(|reply| reply.text.as_deref()).map(text::clean)
        }),
        texts("reply_method", plain, |new| new.mail.reply.as_ref().map(|reply| reply.method.as_str().into())),
        texts("reply_confidence", "$::smallint", |new| {
            new.mail.reply.as_ref().map(|reply| reply.confidence.to_string().into())
        }),
        texts("calendar", json, |new| {
            new.mail.calendar.as_ref().map(|calendar| column::json(calendar).into())
        }),
        texts("protection", plain, |new| new.mail.protection.map(|protection| protection.as_str().into())),
        texts("degraded", plain, |new| new.degraded.map(text::clean)),
    ]
}

fn list_of(items: &[String]) -> Option<Cow<'_, str>> {
    column::lists(std::iter::once(items)).pop().map(Cow::from)
}

/// `unnest` of the columns as `x (id, fingerprint, attachments, …)`, from `$1` on.
fn rows(columns: &[Column<'_>]) -> String {
    let types: Vec<String> = (4..)
        .zip(columns)
        .map(|(number, column)| format!("${number}::{}", column.values.sql_type()))
        .collect();
    let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
    format!(
        "unnest($1::uuid[], $2::bytea[], $3::text[], {}) AS x (id, fingerprint, attachments, {})",
        types.join(", "),
        names.join(", ")
    )
}

impl Column<'_> {
    /// The new value in SQL.
    fn new_value(&self) -> String {
        self.form.replace('$', &format!("x.{}", self.name))
    }
}

/// SQL: whether another message bears the new fingerprint.
const IS_TAKEN: &str = "EXISTS (SELECT FROM messages o WHERE o.mailbox_id = m.mailbox_id
                                AND o.fingerprint = x.fingerprint AND o.id <> m.id)";

async fn compare(
    connection: &mut PgConnection,
    reread: &[Reread<'_>],
    columns: &[Column<'_>],
) -> Result<Vec<Changed>, Error> {
    let differs: Vec<String> = columns
        .iter()
        .map(|column| {
            let (name, new) = (column.name, column.new_value());
            format!("CASE WHEN m.{name} IS DISTINCT FROM {new} THEN '{name}' END")
        })
        .collect();
    let statement = format!(
        "SELECT id, ticket, columns, keeps_fingerprint
         FROM (SELECT m.id, t.number AS ticket,
                      array_remove(ARRAY[
                          {differs},
                          CASE WHEN m.fingerprint <> x.fingerprint AND NOT {IS_TAKEN} THEN 'fingerprint' END,
                          CASE WHEN coalesce((SELECT jsonb_agg(to_jsonb(a) - 'message_id' ORDER BY a.part)
                                              FROM attachments a WHERE a.message_id = m.id), '[]')
                                    <> x.attachments::jsonb THEN '{ATTACHMENTS}' END], NULL) AS columns,
                      m.fingerprint <> x.fingerprint AND {IS_TAKEN} AS keeps_fingerprint
               FROM {rows} JOIN messages m ON m.id = x.id LEFT JOIN tickets t ON t.id = m.ticket_id) AS compared
         WHERE columns <> '{{}}' OR keeps_fingerprint
         ORDER BY id",
        differs = differs.join(",\n"),
        rows = rows(columns),
    );
    bound!(sqlx::query_as(AssertSqlSafe(statement)), reread, columns)
        .fetch_all(connection)
        .await
        .map_err(Into::into)
}

async fn write(
    connection: &mut PgConnection,
    reread: &[Reread<'_>],
    columns: &[Column<'_>],
    changed: &[Changed],
) -> Result<(), Error> {
    let ids: Vec<Uuid> = changed.iter().map(|changed| changed.id).collect();
    let set: Vec<String> =
        columns.iter().map(|column| format!("{} = {}", column.name, column.new_value())).collect();
    let statement = format!(
        "UPDATE messages m
         SET {set}, fingerprint = CASE WHEN {IS_TAKEN} THEN m.fingerprint ELSE x.fingerprint END
         FROM {rows} WHERE m.id = x.id AND x.id = ANY(${last})",
        set = set.join(", "),
        rows = rows(columns),
        last = columns.len() + 4,
    );
    bound!(sqlx::query(AssertSqlSafe(statement)), reread, columns)
        .bind(&ids)
        .execute(&mut *connection)
        .await?;

    let of = |column: &str| -> Vec<Uuid> {
        let has = |changed: &&Changed| changed.columns.iter().any(|name| name == column);
        changed.iter().filter(has).map(|changed| changed.id).collect()
    };
    let other_attachments = of(ATTACHMENTS);
    sqlx::query("DELETE FROM attachments WHERE message_id = ANY($1)")
        .bind(&other_attachments)
        .execute(&mut *connection)
        .await?;
    let attachments: Vec<(Uuid, &Attachment)> = reread
        .iter()
        .filter(|new| other_attachments.contains(&new.id))
        .flat_map(|new| new.mail.attachments.iter().map(|attachment| (new.id, attachment)))
        .collect();
    attachment_rows::write(connection, &attachments).await?;

    let other_ids = of("message_id");
    let keyed: Vec<(Uuid, ThreadKey)> = reread
        .iter()
        .filter(|new| other_ids.contains(&new.id))
        .filter_map(|new| Some((new.id, ThreadKey::of(new.mail.message_id.as_deref()?))))
        .collect();
    // The key of the former id stays: replies may name it. In the order in which intake writes keys: so neither waits
    // for the other's in turn.
    sqlx::query(
        "INSERT INTO thread_keys (mailbox_id, key, ticket_id)
         SELECT DISTINCT ON (x.key) m.mailbox_id, x.key, m.ticket_id
         FROM unnest($1::uuid[], $2::bytea[]) AS x (id, key) JOIN messages m ON m.id = x.id
         WHERE m.ticket_id IS NOT NULL
         ORDER BY x.key, m.id
         ON CONFLICT (mailbox_id, key) DO UPDATE SET ticket_id = excluded.ticket_id, kind = 'own'
             WHERE thread_keys.kind = 'seen'",
    )
    .bind(keyed.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind(keyed.iter().map(|(_, key)| key.0.as_slice()).collect::<Vec<_>>())
    .execute(&mut *connection)
    .await?;

    sqlx::query(
        "UPDATE tickets t
         SET subject = m.subject, requester_name = m.from_name, requester_address = m.from_address,
             verdict = m.verdict
         FROM messages m
         WHERE m.id = ANY($1) AND m.sequence = 1 AND t.id = m.ticket_id
           AND (t.subject, t.requester_name, t.requester_address, t.verdict)
               IS DISTINCT FROM (m.subject, m.from_name, m.from_address, m.verdict)",
    )
    .bind(&ids)
    .execute(connection)
    .await?;
    Ok(())
}

/// The rows of the attachments of each message, as PostgreSQL would write them as JSON.
fn attachments<'a>(reread: &'a [Reread<'a>]) -> Vec<String> {
    reread
        .iter()
        .map(|new| column::json(new.mail.attachments.iter().map(AttachmentRow::of).collect::<Vec<_>>()))
        .collect()
}

#[derive(Serialize)]
struct AttachmentRow<'a> {
    part: u32,
    filename: Option<Cow<'a, str>>,
    content_type: Cow<'a, str>,
    detected_type: Option<&'static str>,
    size: u64,
    sha256: String,
    content_id: Option<Cow<'a, str>>,
    inline: bool,
    referenced_by_html: bool,
    from_tnef: bool,
}

impl<'a> AttachmentRow<'a> {
    fn of(attachment: &'a Attachment) -> Self {
        Self {
            part: attachment.part,
            filename: attachment.filename.as_deref().map(text::clean),
            content_type: text::clean(&attachment.content_type),
            detected_type: attachment.detected_type,
            size: attachment.size,
            sha256: bytea(&attachment.sha256),
            content_id: attachment.content_id.as_deref().map(text::clean),
            inline: attachment.inline,
            referenced_by_html: attachment.referenced_by_html,
            from_tnef: attachment.from_tnef,
        }
    }
}

/// Bytes as PostgreSQL writes them.
fn bytea(bytes: &[u8]) -> String {
    bytes.iter().fold(r"\x".to_owned(), |mut hex, byte| {
        // Writing into a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
