//! Bytes in some charset → text.
//!
//! Total, and linear in the bytes. Mail says its charset more or less rightly: a label that is known and fits is obeyed;
//! where there is none, or one that can't be true, the bytes are asked.

mod guess;
mod iso2022;
mod label;
mod table;
mod utf;

use std::borrow::Cow;

use encoding_rs::{
    Encoding, ISO_8859_2, ISO_8859_4, ISO_8859_5, ISO_8859_6, ISO_8859_7, ISO_8859_8, ISO_8859_8_I,
    ISO_8859_13, ISO_8859_15, UTF_8, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252, WINDOWS_1253, WINDOWS_1255,
    WINDOWS_1256, WINDOWS_1257,
};

/// A charset that mail is written in. ASCII is none: what goes by that name can be anything.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Charset {
    /// One of the web's. Each holds ASCII.
    Web(&'static Encoding),
    /// One of a byte a character, by its characters from 0x80 on.
    Table(&'static str),
    /// ISO-2022-JP, -KR and -CN.
    Iso2022,
    Hz,
    Utf7,
    Utf16,
    Utf32,
}

/// Bytes as text.
pub(super) struct Decoded<'a> {
    pub(super) text: Cow<'a, str>,
    /// Whether each byte is in the text. Those that are no text became U+FFFD.
    pub(super) faithful: bool,
    /// Whether the charset is not the one that the label says, or there was none to say so.
    pub(super) guessed: bool,
}

/// Decodes bytes whose charset is said to be `label`.
///
/// Without a label, or with one that nobody knows, bytes are UTF-8 if they can be, and else in the charset they look
/// like.
pub(super) fn decode<'a>(bytes: Cow<'a, [u8]>, label: Option<&str>) -> Decoded<'a> {
    decode_as(bytes, label.and_then(Charset::of))
}

/// The same for bytes that may be the beginning of something longer: `None` if they end inside a character, or are
/// broken.
pub(super) fn decode_whole<'a>(bytes: &'a [u8], label: &str) -> Option<Cow<'a, str>> {
    let charset = Charset::of(label).unwrap_or(Charset::Web(UTF_8));
    let is_open = charset == Charset::Iso2022 && iso2022::is_shifted_at_end(bytes);
    (!is_open && charset.decode(bytes.into()).faithful).then(|| decode(bytes.into(), Some(label)).text)
}

/// Whether bytes can go on where [others](decode_whole) of that charset were cut. Only ISO-2022 shows that they can't.
pub(super) fn may_go_on(bytes: &[u8], label: &str) -> bool {
    Charset::of(label) != Some(Charset::Iso2022) || iso2022::may_go_on(bytes)
}

/// Decodes bytes of a header, where nothing names the charset of those outside of encoded words: UTF-8, or `charset`.
pub(super) fn decode_raw(bytes: Cow<'_, [u8]>, charset: Option<Charset>) -> Cow<'_, str> {
    match charset {
        Some(charset) if std::str::from_utf8(&bytes).is_err() => charset.decode(bytes).text,
        _ => decode_as(bytes, None).text,
    }
}

/// The same for a charset that is known, or said not to be.
pub(super) fn decode_as(bytes: Cow<'_, [u8]>, charset: Option<Charset>) -> Decoded<'_> {
    match charset {
        // Seven bits that say themselves what they are, whatever else is said.
        None | Some(Charset::Web(_) | Charset::Table(_)) if iso2022::is_likely(&bytes) => {
            Charset::Iso2022.decode(bytes).guessed()
        }
        Some(Charset::Utf7 | Charset::Iso2022 | Charset::Hz) if !bytes.is_ascii() => {
            not_of_seven_bits(bytes, charset)
        }
        Some(Charset::Utf16) if utf::is_no_utf16(&bytes) => Charset::Web(UTF_8).decode(bytes).guessed(),
        Some(Charset::Web(encoding)) => of_the_web(bytes, encoding),
        Some(charset) => charset.decode(bytes),
        None => unlabelled(bytes),
    }
}

fn unlabelled(bytes: Cow<'_, [u8]>) -> Decoded<'_> {
    if matches!(*bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) && bytes.contains(&0) {
        return Charset::Utf16.decode(bytes).guessed();
    }
    match utf8(bytes) {
        Ok(text) => Decoded { text, faithful: true, guessed: false },
        Err(bytes) if is_broken_utf8(&bytes) => by_line(&bytes),
        Err(bytes) => {
            let encoding = guess::guess(&bytes);
            Charset::Web(encoding).decode(bytes).guessed()
        }
    }
}

/// Decodes UTF-8 of which some is not. Servers append lines in a charset of their own.
fn by_line(bytes: &[u8]) -> Decoded<'static> {
    let lines = || bytes.split_inclusive(|&byte| byte == b'\n');
    let is_foreign = |line: &[u8]| std::str::from_utf8(line).is_err() && !is_broken_utf8(line);
    let foreign: Vec<&[u8]> = lines().filter(|line| is_foreign(line)).collect();
    let encoding = if foreign.is_empty() { UTF_8 } else { guess::guess(&foreign.concat()) };
    let mut text = String::with_capacity(bytes.len());
    let mut faithful = true;
    for line in lines() {
        let encoding = if is_foreign(line) { encoding } else { UTF_8 };
        let (line, broken) = encoding.decode_without_bom_handling(line);
        text.push_str(&line);
        faithful &= !broken;
    }
    Decoded { text: text.into(), faithful, guessed: !foreign.is_empty() }
}

fn of_the_web<'a>(bytes: Cow<'a, [u8]>, encoding: &'static Encoding) -> Decoded<'a> {
    if encoding == UTF_8 {
        return match utf8(bytes) {
            Ok(text) => Decoded { text, faithful: true, guessed: false },
            Err(bytes) => unlabelled(bytes),
        };
    }
    if Encoding::ascii_valid_up_to(&bytes) == bytes.len() {
        return Charset::Web(encoding).decode(bytes);
    }
    if guess::is_utf8(&bytes, encoding) {
        return Charset::Web(UTF_8).decode(bytes).guessed();
    }
    if let Some(windows) = of_windows(encoding).filter(|_| holds_controls(&bytes)) {
        return Charset::Web(windows).decode(bytes).guessed();
    }
    let decoded = Charset::Web(encoding).decode(Cow::Borrowed(&*bytes));
    if decoded.faithful || !is_mostly_broken(&decoded.text) {
        let Decoded { text, faithful, guessed } = decoded;
        return Decoded { text: text.into_owned().into(), faithful, guessed };
    }
    drop(decoded);
    let likelier = guess::guess(&bytes);
    let guessed = likelier != encoding;
    Decoded { guessed, ..Charset::Web(likelier).decode(bytes) }
}

/// Bytes above 0x7f in a charset of seven bits. ISO-2022 has a use for them, where it is that at all.
fn not_of_seven_bits(bytes: Cow<'_, [u8]>, charset: Option<Charset>) -> Decoded<'_> {
    match charset {
        Some(Charset::Iso2022) if bytes.contains(&0x1b) => Charset::Iso2022.decode(bytes),
        _ => unlabelled(bytes).guessed(),
    }
}

impl Charset {
    /// What bytes outside of ASCII and UTF-8 are in: `named`, if they can be, or else what they look like.
    pub(super) fn of_raw(bytes: &[u8], named: Option<Self>) -> Self {
        let holds_eight_bits = |charset: &Self| matches!(charset, Self::Web(_) | Self::Table(_));
        named
            .filter(|charset| holds_eight_bits(charset) && charset.decode(bytes.into()).faithful)
            .unwrap_or_else(|| Self::Web(guess::guess(bytes)))
    }

    fn decode(self, bytes: Cow<'_, [u8]>) -> Decoded<'_> {
        let text = match self {
            Self::Web(encoding) => return decode_web(bytes, encoding),
            Self::Table(table) => table::decode(&bytes, table),
            Self::Iso2022 => iso2022::decode(&bytes),
            Self::Hz => iso2022::hz(&bytes),
            Self::Utf7 => utf::utf7(&bytes),
            Self::Utf16 => utf::utf16(&bytes),
            Self::Utf32 => utf::utf32(&bytes),
        };
        let faithful = !text.contains(char::REPLACEMENT_CHARACTER);
        Decoded { text: text.into(), faithful, guessed: false }
    }
}

impl Decoded<'_> {
    fn guessed(self) -> Self {
        Self { guessed: true, ..self }
    }
}

fn decode_web<'a>(bytes: Cow<'a, [u8]>, encoding: &'static Encoding) -> Decoded<'a> {
    match bytes {
        Cow::Borrowed(bytes) => {
            let (text, broken) = encoding.decode_without_bom_handling(bytes);
            Decoded { text, faithful: !broken, guessed: false }
        }
        Cow::Owned(bytes) if Encoding::ascii_valid_up_to(&bytes) == bytes.len() => {
            let text = String::from_utf8(bytes).unwrap_or_default();
            Decoded { text: text.into(), faithful: true, guessed: false }
        }
        Cow::Owned(bytes) => {
            let (text, broken) = encoding.decode_without_bom_handling(&bytes);
            Decoded { text: text.into_owned().into(), faithful: !broken, guessed: false }
        }
    }
}

/// The bytes as text, or back if they are not UTF-8.
fn utf8(bytes: Cow<'_, [u8]>) -> Result<Cow<'_, str>, Cow<'_, [u8]>> {
    match bytes {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::from).map_err(|_| bytes.into()),
        Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::from).map_err(|e| e.into_bytes().into()),
    }
}

/// Whether bytes that are not all UTF-8 are nothing else: there is more of it in them than of what it can't be.
fn is_broken_utf8(bytes: &[u8]) -> bool {
    let (mut sound, mut broken) = (0_usize, 0_usize);
    let mut ends_cut = false;
    for chunk in bytes.utf8_chunks() {
        sound += chunk.valid().bytes().filter(|&byte| byte >= 0xc0).count();
        broken += usize::from(!chunk.invalid().is_empty());
        ends_cut = is_cut_short(chunk.invalid());
    }
    // What is cut at the end speaks for it as much as against it.
    sound > broken - usize::from(ends_cut)
}

/// Whether more bytes would make a character of these.
fn is_cut_short(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|e| e.error_len().is_none())
}

/// Whether a text has so many bytes in it that are none in its charset, that it must be another.
fn is_mostly_broken(text: &str) -> bool {
    // One at the end may have been cut.
    let broken = text.strip_suffix(char::REPLACEMENT_CHARACTER).unwrap_or(text);
    let broken = broken.chars().filter(|&char| char == char::REPLACEMENT_CHARACTER).count();
    let others = text.chars().filter(|char| !char.is_ascii()).count();
    broken * 8 > others
}

/// Whether there are bytes that are control characters in ISO 8859. Nobody writes those.
fn holds_controls(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| (0x80..0xa0).contains(byte))
}

/// The charset of Windows for the same languages, in which those bytes are letters and quotation marks.
fn of_windows(encoding: &'static Encoding) -> Option<&'static Encoding> {
    let pairs = [
        (ISO_8859_2, WINDOWS_1250),
        (ISO_8859_4, WINDOWS_1257),
        (ISO_8859_5, WINDOWS_1251),
        (ISO_8859_6, WINDOWS_1256),
        (ISO_8859_7, WINDOWS_1253),
        (ISO_8859_8, WINDOWS_1255),
        (ISO_8859_8_I, WINDOWS_1255),
        (ISO_8859_13, WINDOWS_1257),
        (ISO_8859_15, WINDOWS_1252),
    ];
    pairs.into_iter().find(|(iso, _)| *iso == encoding).map(|(_, windows)| windows)
}

#[cfg(test)]
mod tests;
