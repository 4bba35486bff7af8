//! Mails of many kinds, for the demo and for every test that wants variety.
//!
//! Each is a file `samples/NN-what-it-shows.eml`, with LF line ends. All people and hosts in them are made up; all
//! domains are reserved for examples (RFC 2606). To add one, add the file and its line here.

/// A mail.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// The file's name without `.eml`: `13-an-inline-image-by-cid`.
    pub name: &'static str,
    /// The mail as it lies in a Maildir.
    pub bytes: &'static [u8],
}

/// All samples. Threads are in order: a reply comes after what it replies to.
pub fn samples() -> &'static [Sample] {
    &SAMPLES
}

macro_rules! embed {
    ($($name:literal)*) => {
        [$(Sample { name: $name, bytes: include_bytes!(concat!("../samples/", $name, ".eml")) }),*]
    };
}

static SAMPLES: [Sample; 46] = embed! {
    "01-a-plain-question"
    "02-a-reply-by-in-reply-to"
    "03-a-reply-by-references-only"
    "04-an-outlook-reply-in-html"
    "05-a-second-question"
    "06-a-reply-from-somebody-else"
    "07-a-reply-to-a-mail-that-never-came"
    "08-a-pdf-attached"
    "09-a-png-attached"
    "10-two-text-files-attached"
    "11-html-only"
    "12-text-and-html-alternatives"
    "13-an-inline-image-by-cid"
    "14-iso-8859-1"
    "15-windows-1252-with-smart-quotes"
    "16-iso-2022-jp"
    "17-gb2312"
    "18-koi8-r"
    "19-utf-8"
    "20-unlabelled-8-bit"
    "21-utf-8-labelled-us-ascii"
    "22-encoded-words-split-in-a-subject"
    "23-a-file-name-by-rfc-2231"
    "24-a-file-name-by-rfc-2047"
    "25-group-addresses"
    "26-an-out-of-office-reply"
    "27-a-delivery-status-notification"
    "28-a-read-receipt"
    "29-a-mailing-list-post"
    "30-a-newsletter-with-script-and-tracker"
    "31-a-calendar-invitation"
    "32-an-attached-message"
    "33-format-flowed"
    "34-multiparts-in-multiparts"
    "35-no-message-id"
    "36-no-date"
    "37-no-subject-and-no-sender"
    "38-an-empty-body"
    "39-a-message-id-used-before"
    "40-bad-base64"
    "41-bad-quoted-printable"
    "42-a-truncated-multipart"
    "43-a-long-subject"
    "44-a-nul-byte"
    "45-a-very-long-line"
    "46-emoji"
};
