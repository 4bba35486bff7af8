//! `winmail.dat`: the body and the files that Outlook packs into one part where it believes that everybody has Outlook
//! (MS-OXTNEF).
//!
//! ```text
//! read ─► stream ─► property                            cursor, code_page
//!      ─► rtf ─► compressed, token
//! ```
//!
//! Files are not copied: their parts borrow from the stream. A stream that is damaged gives what can be read of it.

mod code_page;
mod cursor;
mod meeting;
mod property;
mod rtf;
mod stream;

use crate::mail::packed::Unpacked;
use crate::mail::part::{Disposition, Part, media_type_of};
use crate::mail::{Calendar, limit, message_id};

use cursor::Cursor;
use meeting::Meeting;
use property::{Id, Properties, Property, Text};
use rtf::Content;
use stream::{Attribute, Stream};

/// What a `winmail.dat` holds.
pub(super) struct Tnef<'a> {
    /// Its subject. Empty if it has none.
    pub(super) subject: String,
    /// Its body: text, or HTML, or both in this order.
    pub(super) body: Vec<Part<'a>>,
    /// Its attachments. A message is one that is a `winmail.dat` again.
    pub(super) files: Vec<Part<'a>>,
    /// The meeting that it is about.
    pub(super) calendar: Option<Calendar>,
    /// Whether all of it could be read.
    pub(super) is_whole: bool,
}

/// The type that a `winmail.dat` has.
pub(super) const MEDIA_TYPE: &str = "application/ms-tnef";

// Attributes (MS-OXTNEF §2.1.3.3), without their types.
const MESSAGE_CLASS: u16 = 0x8008;
const SUBJECT: u16 = 0x8004;
const BODY: u16 = 0x800c;
const MESSAGE_PROPERTIES: u16 = 0x9003;
const OEM_CODE_PAGE: u16 = 0x9007;
const ATTACHMENT_BEGINS: u16 = 0x9002;
const ATTACHMENT_TITLE: u16 = 0x8010;
const ATTACHMENT_DATA: u16 = 0x800f;
const ATTACHMENT_TRANSPORT_NAME: u16 = 0x9001;
const ATTACHMENT_PROPERTIES: u16 = 0x9005;

// Properties (MS-OXPROPS).
const TAG_MESSAGE_CLASS: u16 = 0x001a;
const TAG_SUBJECT: u16 = 0x0037;
const TAG_BODY: u16 = 0x1000;
const TAG_RTF_COMPRESSED: u16 = 0x1009;
const TAG_HTML: u16 = 0x1013;
const TAG_INTERNET_CODE_PAGE: u16 = 0x3fde;
const TAG_DISPLAY_NAME: u16 = 0x3001;
const TAG_ATTACH_DATA: u16 = 0x3701;
const TAG_ATTACH_FILENAME: u16 = 0x3704;
const TAG_ATTACH_METHOD: u16 = 0x3705;
const TAG_ATTACH_LONG_FILENAME: u16 = 0x3707;
const TAG_ATTACH_MIME_TAG: u16 = 0x370e;
const TAG_ATTACH_CONTENT_ID: u16 = 0x3712;
const TAG_ATTACH_CONTENT_LOCATION: u16 = 0x3713;

/// The attachment is a message (`PidTagAttachMethod`: `afEmbeddedMessage`).
const METHOD_MESSAGE: u32 = 5;

/// Reads a stream. `None` if it is no TNEF.
pub(super) fn read<'a>(bytes: &'a [u8], unpacked: &'a Unpacked) -> Option<Tnef<'a>> {
    let mut stream = Stream::of(bytes)?;
    let mut message = Message { is_whole: true, ..Message::default() };
    for attribute in &mut stream {
        if attribute.is_of_attachment {
            message.attachment_attribute(&attribute);
        } else {
            message.attribute(&attribute);
        }
    }
    let is_whole = stream.is_whole && message.is_whole;
    Some(Tnef {
        calendar: message.meeting.calendar(message.subject.as_ref()),
        body: message.body(unpacked),
        subject: message.subject.map(|subject| subject.decoded().into_owned()).unwrap_or_default(),
        files: message.files.into_iter().filter_map(File::into_part).collect(),
        is_whole,
    })
}

/// A message being read.
#[derive(Default)]
struct Message<'a> {
    code_page: Option<u32>,
    internet_code_page: Option<u32>,
    subject: Option<Text<'a>>,
    text: Option<Text<'a>>,
    html: Option<Property<'a>>,
    rtf: Option<&'a [u8]>,
    meeting: Meeting,
    files: Vec<File<'a>>,
    is_whole: bool,
}

impl<'a> Message<'a> {
    fn attribute(&mut self, attribute: &Attribute<'a>) {
        let text = || Text::of(attribute.data, self.code_page);
        match attribute.id {
            OEM_CODE_PAGE => self.code_page = Cursor { rest: attribute.data }.u32(),
            MESSAGE_CLASS => self.meeting.class(&text().decoded()),
            SUBJECT => self.subject = self.subject.or(Some(text())),
            BODY => self.text = self.text.or(Some(text())),
            MESSAGE_PROPERTIES => {
                let mut properties = Properties::of(attribute.data);
                for property in &mut properties {
                    self.property(&property);
                }
                self.is_whole &= properties.is_whole;
            }
            _ => {}
        }
    }

    fn property(&mut self, property: &Property<'a>) {
        let text = property.text(self.code_page);
        match property.id {
            Id::Tag(TAG_MESSAGE_CLASS) => {
                if let Some(class) = text {
                    self.meeting.class(&class.decoded());
                }
            }
            // What stands in properties is in Unicode, and so better than the attribute.
            Id::Tag(TAG_SUBJECT) => self.subject = text.or(self.subject),
            Id::Tag(TAG_BODY) => self.text = text.or(self.text),
            Id::Tag(TAG_HTML) => self.html = Some(*property),
            Id::Tag(TAG_RTF_COMPRESSED) => self.rtf = Some(property.bytes()),
            Id::Tag(TAG_INTERNET_CODE_PAGE) => self.internet_code_page = property.number(),
            _ => self.meeting.property(property, text.as_ref()),
        }
    }

    fn attachment_attribute(&mut self, attribute: &Attribute<'a>) {
        if attribute.id == ATTACHMENT_BEGINS && self.files.len() >= limit::PARTS {
            self.is_whole = false;
        } else if attribute.id == ATTACHMENT_BEGINS || self.files.is_empty() {
            self.files.push(File::default());
        }
        let Some(file) = self.files.last_mut() else { return };
        let name = Some(Text::of(attribute.data, self.code_page)).filter(|name| !name.bytes.is_empty());
        match attribute.id {
            ATTACHMENT_TITLE => file.title = name,
            ATTACHMENT_TRANSPORT_NAME => file.transport_name = name,
            ATTACHMENT_DATA => file.data = Some(attribute.data),
            ATTACHMENT_PROPERTIES => {
                let mut properties = Properties::of(attribute.data);
                for property in &mut properties {
                    file.property(&property, self.code_page);
                }
                self.is_whole &= properties.is_whole;
            }
            _ => {}
        }
    }

    /// The body: HTML as it is, or taken out of RTF, which Outlook prefers; and text.
    fn body(&self, unpacked: &'a Unpacked) -> Vec<Part<'a>> {
        let mut text = self
            .text
            .filter(|text| !text.bytes.trim_ascii().is_empty())
            .map(|text| part("text/plain", text.charset, text.bytes));
        let mut html = self.html.map(|html| {
            let code_page = self.internet_code_page.or(self.code_page);
            match html.text(code_page) {
                Some(text) => part("text/html", text.charset, text.bytes),
                None => part("text/html", code_page.and_then(code_page::charset), html.bytes()),
            }
        });
        if html.is_none()
            && let Some(rtf) = self.rtf.and_then(|rtf| unpacked.unpack(|most| rtf::unpack(rtf, most)))
        {
            let (media_type, content) = match rtf::read(&rtf) {
                Content::Html(html) => ("text/html", html),
                Content::Text(text) => ("text/plain", text),
            };
            let is_worth_it = !content.trim().is_empty() && (media_type == "text/html" || text.is_none());
            let place = if media_type == "text/html" { &mut html } else { &mut text };
            if is_worth_it && let Some(content) = unpacked.keep(content.into_bytes()) {
                *place = Some(part(media_type, Some("utf-8"), content));
            }
        }
        text.into_iter().chain(html).collect()
    }
}

fn part<'a>(media_type: &str, charset: Option<&str>, content: &'a [u8]) -> Part<'a> {
    Part {
        media_type: media_type.to_owned(),
        charset: charset.map(str::to_owned),
        from_tnef: true,
        content,
        ..Part::default()
    }
}

/// An attachment being read.
#[derive(Default)]
struct File<'a> {
    title: Option<Text<'a>>,
    transport_name: Option<Text<'a>>,
    filename: Option<Text<'a>>,
    long_filename: Option<Text<'a>>,
    display_name: Option<Text<'a>>,
    media_type: Option<Text<'a>>,
    content_id: Option<Text<'a>>,
    location: Option<Text<'a>>,
    is_message: bool,
    data: Option<&'a [u8]>,
}

impl<'a> File<'a> {
    fn property(&mut self, property: &Property<'a>, code_page: Option<u32>) {
        let text = || property.text(code_page).filter(|text| !text.bytes.is_empty());
        match property.id {
            Id::Tag(TAG_ATTACH_DATA) => self.data = Some(property.bytes()),
            Id::Tag(TAG_ATTACH_METHOD) => self.is_message = property.number() == Some(METHOD_MESSAGE),
            Id::Tag(TAG_ATTACH_LONG_FILENAME) => self.long_filename = text(),
            Id::Tag(TAG_ATTACH_FILENAME) => self.filename = text(),
            Id::Tag(TAG_DISPLAY_NAME) => self.display_name = text(),
            Id::Tag(TAG_ATTACH_MIME_TAG) => self.media_type = text(),
            Id::Tag(TAG_ATTACH_CONTENT_ID) => self.content_id = text(),
            Id::Tag(TAG_ATTACH_CONTENT_LOCATION) => self.location = text(),
            _ => {}
        }
    }

    /// `None` for one that has no data: a link to a file elsewhere.
    fn into_part(self) -> Option<Part<'a>> {
        let content = self.data?;
        let names = [self.long_filename, self.transport_name, self.title, self.filename, self.display_name];
        let media_type = match self.media_type {
            _ if self.is_message => MEDIA_TYPE.to_owned(),
            Some(claimed) => media_type_of(&claimed.decoded()),
            None => media_type_of(""),
        };
        let location = self.location.map(|location| location.decoded().trim().to_owned());
        Some(Part {
            filename: names.into_iter().flatten().next().map(|name| name.decoded().into_owned()),
            disposition: Some(Disposition::Attachment),
            content_id: self.content_id.and_then(|id| message_id::ids(&id.decoded()).next()),
            location: location.filter(|location| (1..=limit::ID_BYTES).contains(&location.len())),
            ..part(&media_type, None, content)
        })
    }
}

#[cfg(test)]
mod tests;
