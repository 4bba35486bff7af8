//! A message's bytes → [`Mail`].

use std::collections::BTreeSet;
use std::panic::catch_unwind;

use sha2::{Digest, Sha256};

use crate::mail::attachment::Beside;
use crate::mail::body::{self, Body};
use crate::mail::filename::Names;
use crate::mail::header::{Field, Header};
use crate::mail::packed::{Opened, Unpacked};
use crate::mail::part::Part;
use crate::mail::reference::References;
use crate::mail::reply::Texts;
use crate::mail::{
    Address, Attachment, Authentication, Automation, Defect, Facts, Fingerprint, Mail, address, attachment,
    calendar, date, limit, message_id, packed, part, reply,
};
use crate::message::{Extent, Message};

/// Reads a message. Total: see the [module](crate::mail).
///
/// A panic below is caught, so that it costs one mail its content and not the worker its life; the panic
/// hook still runs, and should print no payload, which may quote the mail.
pub fn read(message: &Message, facts: &Facts) -> Mail {
    let first = match message.extent {
        Extent::Whole => whole,
        Extent::Header => header_only,
    };
    read_with(first, message, facts)
}

fn read_with(first: fn(&Message, &Facts) -> Mail, message: &Message, facts: &Facts) -> Mail {
    catch_unwind(|| first(message, facts))
        .or_else(|_| catch_unwind(|| failed(header_only(message, facts), message)))
        .unwrap_or_else(|_| failed(unread(message), message))
}

/// What is left of a mail that could not be read. Its content counts as its bytes: two such mails with one header
/// are not taken for copies.
fn failed(mut mail: Mail, message: &Message) -> Mail {
    mail.fingerprint = Fingerprint::of(&mail, &[Sha256::digest(&message.source).into()], &[]);
    with_defect(mail, Defect::ParserFailed)
}

fn whole(message: &Message, facts: &Facts) -> Mail {
    let mut defects = BTreeSet::new();
    let unpacked = Unpacked::new();
    let (header, content) = Header::split(&message.source);
    let opened = packed::open(part::parts(&header, content, &mut defects), &unpacked, &mut defects);
    let mut body = body::read(&opened.parts, &mut defects);
    opened.complete(&mut body, &mut defects);
    let (attachments, mut identities) = attachments(&opened, &body, &mut defects);
    let mail = fields(message, &header, defects);
    let mut mail = Mail {
        attachments,
        calendar: calendar::find(opened.parts.iter()).or(opened.calendar.clone()),
        protection: opened.protection,
        ..mail
    };
    if mail.defects.iter().any(|defect| leaves_out(*defect)) {
        identities.push(Sha256::digest(&message.source).into());
    }
    mail.fingerprint = Fingerprint::of(&mail, &opened.digests(&body), &identities);
    let Body { text, html, is_from_html, outline, .. } = body;
    let texts = Texts { text: &text, is_from_html, html: outline.as_ref() };
    let reply = Some(reply::extract(texts, reply::Facts::of(&mail)));
    judged(Mail { text, reply, html, ..mail }, &header, &opened.parts, facts)
}

/// With what follows from the rest: who wrote it, and whether that is true.
fn judged(mail: Mail, header: &Header<'_>, parts: &[Part<'_>], facts: &Facts) -> Mail {
    let (automation, report) = Automation::judge(&mail, header, parts, facts);
    let authentication = Authentication::of(&mail, header, facts);
    Mail { automation, report, authentication, ..mail }
}

/// Every part that is not the body and nothing but a wrapping; and what stands for each in the fingerprint, but for those
/// that were packed, for their wrapping does.
fn attachments(
    opened: &Opened<'_>,
    body: &Body,
    defects: &mut BTreeSet<Defect>,
) -> (Vec<Attachment>, Vec<[u8; 32]>) {
    let mut shown = References::default();
    body.html.iter().for_each(|html| shown.add(html, &opened.parts));
    let beside = Beside { references: &body.references, shown: &shown };
    let mut names = Names::default();
    let (mut attachments, mut identities) = (Vec::new(), Vec::new());
    for (index, part) in opened.leaves() {
        if body.parts.contains(&index) {
            continue;
        }
        let (mut attachment, identity) = attachment::read(index, part, &beside, defects);
        if index < opened.own {
            identities.push(identity);
        }
        if !opened.replaced.contains(&index) {
            attachment.filename = attachment.filename.map(|name| names.give(name));
            attachments.push(attachment);
        }
    }
    (attachments, identities)
}

/// Whether a mail with this defect may hold more than is compared by its fields, texts and attachments. Then only the
/// same bytes are the same mail: of two that differ in what was not read, the second would be taken for a copy, and
/// removed without being stored.
fn leaves_out(defect: Defect) -> bool {
    matches!(defect, Defect::TooMany | Defect::TooLong)
}

fn header_only(message: &Message, facts: &Facts) -> Mail {
    let (header, _) = Header::split(&message.source);
    let mut mail = fields(message, &header, BTreeSet::new());
    mail.fingerprint = Fingerprint::of(&mail, &[], &[]);
    let mail = judged(mail, &header, &[], facts);
    match message.extent {
        Extent::Whole => mail,
        Extent::Header => with_defect(mail, Defect::Oversized),
    }
}

/// The last resort: nothing is decoded, so nothing can fail.
fn unread(message: &Message) -> Mail {
    let (header, _) = Header::split(&message.source);
    let raw = |field: &Field<'_>| String::from_utf8_lossy(field.raw()).trim().to_owned();
    let mut mail = Mail::unread(message.listed.internal_date, message.source.len() as u64);
    mail.headers = header.fields().iter().map(|field| (field.name.to_owned(), raw(field))).collect();
    mail.subject = header.first("Subject").as_ref().map(raw).unwrap_or_default();
    let id = |field: &Field<'_>| raw(field).trim_matches(['<', '>']).to_owned();
    mail.message_id = header.first("Message-ID").as_ref().map(id);
    mail.fingerprint = Fingerprint::of(&mail, &[], &[]);
    mail
}

/// Reads everything that the header says.
fn fields(message: &Message, header: &Header<'_>, mut defects: BTreeSet<Defect>) -> Mail {
    if message.source.is_empty() {
        defects.insert(Defect::Empty);
    }
    if !header.complete {
        defects.insert(Defect::TooMany);
    }
    let mut fields = Fields { header, defects };
    let from = fields.author();
    let mut mail = Mail {
        message_id: fields.message_id(),
        in_reply_to: fields.newest_ids("In-Reply-To"),
        references: fields.newest_ids("References"),
        sender: fields.sender(from.as_ref()),
        from,
        reply_to: fields.addresses("Reply-To"),
        to: fields.addresses("To"),
        cc: fields.addresses("Cc"),
        subject: fields.subject(),
        date: header.first("Date").and_then(|field| date::read(&field.text())),
        headers: fields.all(),
        ..Mail::unread(message.listed.internal_date, message.source.len() as u64)
    };
    let mut defects = fields.defects;
    for (is_wrong, defect) in [
        (mail.from.as_ref().is_none_or(|from| from.address.is_empty()), Defect::NoFrom),
        (mail.message_id.is_none(), Defect::NoMessageId),
        (mail.date.is_none(), Defect::NoDate),
        (mail.date.is_some_and(|date| date::is_doubtful(date, mail.received)), Defect::DoubtfulDate),
    ] {
        if is_wrong {
            defects.insert(defect);
        }
    }
    mail.defects = defects.into_iter().collect();
    mail
}

fn with_defect(mut mail: Mail, defect: Defect) -> Mail {
    let defects: BTreeSet<Defect> = mail.defects.into_iter().chain([defect]).collect();
    mail.defects = defects.into_iter().collect();
    mail
}

/// A header being read: what its fields mean, within limits.
struct Fields<'h, 'a> {
    header: &'h Header<'a>,
    defects: BTreeSet<Defect>,
}

impl Fields<'_, '_> {
    fn addresses(&mut self, name: &str) -> Vec<Address> {
        let mut addresses: Vec<Address> = self
            .header
            .all(name)
            .flat_map(|field| {
                address::addresses(&field.text()).take(limit::ADDRESSES + 1).collect::<Vec<_>>()
            })
            .take(limit::ADDRESSES + 1)
            .collect();
        if addresses.len() > limit::ADDRESSES {
            addresses.truncate(limit::ADDRESSES);
            self.defects.insert(Defect::TooMany);
        }
        addresses
    }

    /// The first of From that has an address, or else the first that has a name.
    fn author(&mut self) -> Option<Address> {
        let mut all = self.addresses("From");
        let first = all.iter().position(|author| !author.address.is_empty()).unwrap_or(0);
        (first < all.len()).then(|| all.swap_remove(first))
    }

    fn sender(&mut self, author: Option<&Address>) -> Option<Address> {
        let sender = self.addresses("Sender").into_iter().next()?;
        let is_author = author.is_some_and(|author| author.address.eq_ignore_ascii_case(&sender.address));
        (!is_author).then_some(sender)
    }

    fn message_id(&mut self) -> Option<String> {
        let id = self.newest_ids("Message-ID").into_iter().next();
        let is_too_long = |field: Field<'_>| field.raw().len() > limit::ID_BYTES;
        if id.is_none() && self.header.all("Message-ID").any(is_too_long) {
            self.defects.insert(Defect::TooLong);
        }
        id
    }

    /// The ids of all fields of that name, in order; the newest if there are too many.
    fn newest_ids(&mut self, name: &str) -> Vec<String> {
        let mut ids = Vec::new();
        for field in self.header.all(name) {
            ids.extend(message_id::ids(&field.text()));
        }
        if ids.len() > limit::IDS {
            self.defects.insert(Defect::TooMany);
            ids.drain(..ids.len() - limit::IDS);
        }
        ids
    }

    fn subject(&mut self) -> String {
        let mut subject = self.header.first("Subject").map(|field| field.decoded()).unwrap_or_default();
        if limit::cut_chars(&mut subject, limit::NAME_CHARS) {
            self.defects.insert(Defect::TooLong);
        }
        subject
    }

    fn all(&mut self) -> Vec<(String, String)> {
        let mut all = Vec::with_capacity(self.header.fields().len());
        for field in self.header.fields() {
            let mut value = field.decoded();
            if limit::cut(&mut value, limit::VALUE_BYTES) {
                self.defects.insert(Defect::TooLong);
            }
            all.push((field.name.to_owned(), value));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Listed, Uid};

    fn message(source: &str) -> Message {
        let listed = Listed { uid: Uid(1), size: 1, internal_date: None };
        Message { listed, source: source.as_bytes().to_vec(), extent: Extent::Whole }
    }

    fn panics(_: &Message, _: &Facts) -> Mail {
        panic!("as a parser might")
    }

    #[test]
    fn a_panic_costs_the_content_and_not_the_header() {
        let message = message("Subject: =?utf-8?q?=C3=BC?=\r\nFrom: a@example.com\r\n\r\nbody");

        let mail = read_with(panics, &message, &Facts::default());

        assert_eq!(mail.subject, "ü");
        assert_eq!(mail.text, "");
        assert_eq!(mail.defects, [Defect::NoMessageId, Defect::NoDate, Defect::ParserFailed]);
    }

    #[test]
    fn the_last_resort_keeps_the_header_as_it_stands() {
        let message = message("Subject: =?utf-8?q?=C3=BC?=\r\nMessage-ID: <a@b>\r\n\r\nbody");

        let mail = unread(&message);

        assert_eq!(mail.subject, "=?utf-8?q?=C3=BC?=");
        assert_eq!(mail.headers.len(), 2);
        assert_eq!(mail.message_id.as_deref(), Some("a@b"));
    }
}
