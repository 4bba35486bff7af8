//! Bytes → [`Mail`]: a message as a person would read it.
//!
//! Reading is total. Bad input gives a `Mail` with [`Defect`]s, never an error and never a panic, in time
//! and memory that grow linearly with the input: one bad mail stops nothing.
//!
//! ```text
//! read ─► header ─► address, date, message_id            encoded_word, charset
//!      ─► part ───► packed ─► tnef                        transfer, uuencode, parameter
//!              ├──► body ───► html, flowed                transfer, charset
//!              │        └───► reply
//!              ├──► attachment ─► filename, detect        transfer, reference
//!              └──► calendar, protection
//!      ─► fingerprint
//!      ─► automation ─► report                           structured
//!      ─► authentication                                 structured
//! ```
//!
//! Invariant: what is stored, decoded or compared has a limit in `limit`, and nothing is taken apart by a
//! library whose cost is not known to be linear in what it is given.

mod address;
mod attachment;
mod authentication;
mod automation;
mod body;
pub mod calendar;
mod charset;
mod date;
mod degraded;
mod detect;
mod encoded_word;
mod facts;
mod filename;
mod fingerprint;
mod flowed;
mod header;
mod html;
mod limit;
mod message_id;
mod packed;
mod parameter;
mod part;
mod protection;
mod read;
mod reference;
mod reply;
mod report;
mod structured;
mod tnef;
mod transfer;
mod uuencode;

#[cfg(test)]
mod tests;

use std::fmt;

use chrono::{DateTime, FixedOffset};

pub use address::Address;
pub use attachment::{Attachment, attached, pour};
pub use authentication::{Authentication, Composite, Outcome};
pub use automation::{Automation, Signal, Strength, Verdict};
pub use calendar::Calendar;
pub use degraded::Remnant;
pub use facts::{Authserv, Facts};
pub use fingerprint::Fingerprint;
pub use protection::Protection;
pub use read::read;
pub use reply::{Method, Reply};
pub use report::{Action, Delivery, Feedback, Original, Receipt, Recipient, Report};

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
    /// What of the text are the author's new words. `None` if the text was not read.
    pub reply: Option<Reply>,
    /// The HTML body, sanitised: safe to show.
    pub html: Option<String>,
    /// All header fields in order: name as written, value unfolded and decoded.
    pub headers: Vec<(String, String)>,
    /// Every part that is not the body.
    pub attachments: Vec<Attachment>,
    /// The meeting, task or entry that it is about.
    pub calendar: Option<Calendar>,
    /// How it was protected on its way.
    pub protection: Option<Protection>,
    /// Who wrote it: a person, or which kind of program.
    pub automation: Automation,
    /// The report that it is, if it is one.
    pub report: Option<Report>,
    /// What a trusted server found out about its sender.
    pub authentication: Option<Authentication>,
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

    /// The author's new words: without what is quoted, and without the signature. All of the text, where they can't
    /// be told; empty only if the text is.
    pub fn reply_text(&self) -> &str {
        self.reply.as_ref().and_then(|reply| reply.text.as_deref()).unwrap_or(&self.text)
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
            reply: None,
            html: None,
            headers: Vec::new(),
            attachments: Vec::new(),
            calendar: None,
            protection: None,
            automation: Automation::unknown(),
            report: None,
            authentication: None,
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
            .field("verdict", &self.automation.verdict)
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
    /// A `winmail.dat` or signed content is damaged: what can be read of it was taken.
    BrokenContainer,
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
            Self::BrokenContainer => "broken_container",
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
