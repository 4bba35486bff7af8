//! Bytes → [`Mail`]: a message as a person would read it.
//!
//! Reading is total. Bad input gives a `Mail` with [`Defect`]s, never an error and never a panic, in time
//! and memory that grow linearly with the input: one bad mail stops nothing.
//!
//! ```text
//! read ─► header ─► address, date, message_id            encoded_word, charset
//!      ─► part ───► body ───► html, flowed                transfer, charset
//!              └──► attachment                            transfer
//!      ─► fingerprint
//! ```
//!
//! Invariant: what is stored, decoded or compared has a limit in `limit`, and nothing is taken apart by a
//! library whose cost is not known to be linear in what it is given.

mod address;
mod attachment;
mod body;
mod charset;
mod date;
mod degraded;
mod encoded_word;
mod fingerprint;
mod flowed;
mod header;
mod html;
mod limit;
mod message_id;
mod parameter;
mod part;
mod read;
mod transfer;

#[cfg(test)]
mod tests;

use std::fmt;

use chrono::{DateTime, FixedOffset};

pub use address::Address;
pub use attachment::{Attachment, attached};
pub use degraded::Remnant;
pub use fingerprint::Fingerprint;
pub use read::read;

/// A message as read: what a ticket is made of.
#[derive(Clone, PartialEq)]
pub struct Mail {
    /// Message-ID without its angle brackets. Attacker-controlled: may repeat, may be absent.
    pub message_id: Option<String>,
    /// Ids of In-Reply-To, without angle brackets, in order, no empty ones.
    pub in_reply_to: Vec<String>,
    /// Ids of References, oldest first as written, without angle brackets, no empty ones.
    pub references: Vec<String>,
    /// The first author.
    pub from: Option<Address>,
    /// Who sent it, where that is not the author.
    pub sender: Option<Address>,
    /// Where answers are wanted.
    pub reply_to: Vec<Address>,
    /// The recipients.
    pub to: Vec<Address>,
    /// The copied recipients.
    pub cc: Vec<Address>,
    /// The subject, decoded and unfolded. Empty if there is none.
    pub subject: String,
    /// The Date header, if it can be read.
    pub date: Option<DateTime<FixedOffset>>,
    /// When the server received it (INTERNALDATE).
    pub received: Option<DateTime<FixedOffset>>,
    /// The whole text: of the text parts, or made readable from HTML. Line ends are LF.
    pub text: String,
    /// The HTML body, sanitised: safe to show.
    pub html: Option<String>,
    /// All header fields in order: name as written, value unfolded and decoded.
    pub headers: Vec<(String, String)>,
    /// Every part that is not the body.
    pub attachments: Vec<Attachment>,
    /// Identity by content, for telling a second copy of the same mail.
    pub fingerprint: Fingerprint,
    /// Size of the source in bytes; of the header alone if the rest was too large to take.
    pub size: u64,
    /// What was wrong with it.
    pub defects: Vec<Defect>,
}

impl Mail {
    /// When it came, as well as that is known: INTERNALDATE, or else the Date, unless that can't be true.
    pub fn came_at(&self) -> Option<DateTime<FixedOffset>> {
        self.received.or_else(|| self.date.filter(|date| !date::is_doubtful(*date, None)))
    }

    /// A mail of which nothing is read.
    fn unread(received: Option<DateTime<FixedOffset>>, size: u64) -> Self {
        Self {
            message_id: None,
            in_reply_to: Vec::new(),
            references: Vec::new(),
            from: None,
            sender: None,
            reply_to: Vec::new(),
            to: Vec::new(),
            cc: Vec::new(),
            subject: String::new(),
            date: None,
            received,
            text: String::new(),
            html: None,
            headers: Vec::new(),
            attachments: Vec::new(),
            fingerprint: Fingerprint([0; 32]),
            size,
            defects: Vec::new(),
        }
    }
}

// By hand: a derived `Debug` would print the mail.
impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail")
            .field("size", &self.size)
            .field("attachments", &self.attachments.len())
            .field("defects", &self.defects)
            .finish_non_exhaustive()
    }
}

/// Something wrong with a mail, found while reading it. Stored and sent by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Defect {
    /// The message has no bytes at all.
    Empty,
    /// No From, or none with an address.
    NoFrom,
    /// No Message-ID.
    NoMessageId,
    /// No Date, or one that can't be read.
    NoDate,
    /// The Date is later than the mail's receipt by more than a day, or before there was mail.
    DoubtfulDate,
    /// A multipart has no parts, or no end: some of the mail may be missing.
    BrokenStructure,
    /// A transfer encoding is broken; the raw text stands in its place.
    BrokenEncoding,
    /// Bytes that are no text in the declared charset were replaced by U+FFFD.
    BrokenCharset,
    /// The charset of a text is not declared, or can't be true; it was read in the one it looks like.
    CharsetGuessed,
    /// Multiparts are nested deeper than they are taken apart; the rest is one attachment.
    TooDeep,
    /// More parts, header fields or addresses than are kept; the rest is in the source.
    TooMany,
    /// A text or field was longer than is kept; the rest is in the source.
    TooLong,
    /// The HTML is too large or too deeply nested to be shown; its text was taken.
    HtmlTooComplex,
    /// The message is larger than is taken; only its header was read.
    Oversized,
    /// Reading panicked, which is a fault of ours; only the header was read.
    ParserFailed,
    /// The database refused a part of it; what is missing is in the source.
    Degraded,
}

impl Defect {
    /// The name it is stored and sent by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NoFrom => "no_from",
            Self::NoMessageId => "no_message_id",
            Self::NoDate => "no_date",
            Self::DoubtfulDate => "doubtful_date",
            Self::BrokenStructure => "broken_structure",
            Self::BrokenEncoding => "broken_encoding",
            Self::BrokenCharset => "broken_charset",
            Self::CharsetGuessed => "charset_guessed",
            Self::TooDeep => "too_deep",
            Self::TooMany => "too_many",
            Self::TooLong => "too_long",
            Self::HtmlTooComplex => "html_too_complex",
            Self::Oversized => "oversized",
            Self::ParserFailed => "parser_failed",
            Self::Degraded => "degraded",
        }
    }
}
