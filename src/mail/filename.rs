//! Names for attachments that any file system takes and nobody is misled by.

use std::collections::HashMap;

use crate::mail::header::Header;
use crate::mail::part::Part;
use crate::mail::{limit, tnef};

/// Devices of Windows, with or without an extension. It opens them in place of files.
const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];

/// Longest extension that is kept.
const EXTENSION_BYTES: usize = 16;

/// Makes a name safe: the last component of a path, without characters that are forbidden somewhere, unseen, or turn
/// the reading direction (`exe.gpj` shown as `jpg.exe`). `None` if nothing is left.
pub(super) fn safe(name: &str) -> Option<String> {
    let name = name.rsplit(['/', '\\']).find(|component| !component.trim().is_empty())?;
    let name: String = name
        .chars()
        .filter(|char| !char.is_control() && !is_unseen(*char))
        .map(|char| if "<>:\"|?*".contains(char) { '_' } else { char })
        .collect();
    let name = name.trim_start_matches(['.', ' ']).trim_end_matches(['.', ' ']).trim();
    if name.is_empty() {
        return None;
    }
    let name = if is_device(name) { format!("_{name}") } else { name.to_owned() };
    Some(shorten(&name, limit::FILENAME_BYTES))
}

/// A safe name for a part that has none, by where it comes from or what it is. `head` is the beginning of its bytes.
pub(super) fn suggested(part: &Part<'_>, head: &[u8]) -> Option<String> {
    if let Some(name) = part.location.as_deref().and_then(of_location) {
        return Some(name);
    }
    let name = match part.media_type.as_str() {
        "message/rfc822" | "message/global" => return Some(of_message(head)),
        "application/pkcs7-mime" | "application/x-pkcs7-mime" => "smime.p7m",
        "application/pkcs7-signature" | "application/x-pkcs7-signature" => "smime.p7s",
        "application/pgp-signature" => "signature.asc",
        "application/pgp-encrypted" => "version.asc",
        "application/pgp-keys" => "keys.asc",
        tnef::MEDIA_TYPE => "winmail.dat",
        "text/calendar" => "invite.ics",
        _ if head.trim_ascii_start().starts_with(b"-----BEGIN PGP MESSAGE-----") => "encrypted.asc",
        _ => return None,
    };
    Some(name.to_owned())
}

/// The file that a URL is of, if it looks like one.
fn of_location(location: &str) -> Option<String> {
    let path = location.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').next().filter(|name| name.contains('.') && !name.contains(':')).and_then(safe)
}

/// An attached message is called by its subject.
fn of_message(head: &[u8]) -> String {
    let subject = Header::split(head).0.first("Subject").map(|field| field.decoded()).unwrap_or_default();
    titled(&subject, "eml").unwrap_or_else(|| "message.eml".to_owned())
}

/// A safe name made of a title, which is no path.
pub(super) fn titled(title: &str, extension: &str) -> Option<String> {
    let name = safe(&title.replace(['/', '\\'], "_"))?;
    let end = format!(".{extension}");
    Some(shorten(&name, limit::FILENAME_BYTES - end.len()) + &end)
}

/// The names that a mail has given so far.
#[derive(Default)]
pub(super) struct Names {
    /// In lower case, for some file systems know no other; with the number that the last of a name got.
    given: HashMap<String, usize>,
}

impl Names {
    /// Gives a safe name: as it is, or told apart from those before it, `a.pdf` from `a (2).pdf`.
    pub(super) fn give(&mut self, name: String) -> String {
        let key = name.to_lowercase();
        let Some(mut number) = self.given.get(&key).copied() else {
            self.given.insert(key, 1);
            return name;
        };
        loop {
            number += 1;
            let numbered = numbered(&name, number);
            // Another may have had that name from the start.
            if !self.given.contains_key(&numbered.to_lowercase()) {
                self.given.insert(numbered.to_lowercase(), 1);
                self.given.insert(key, number);
                return numbered;
            }
        }
    }
}

fn numbered(name: &str, number: usize) -> String {
    let (stem, extension) = split(name);
    let end = format!(" ({number}){extension}");
    let mut stem = stem.to_owned();
    limit::cut(&mut stem, limit::FILENAME_BYTES - end.len());
    stem + &end
}

/// Cuts the middle, so that the extension stays.
fn shorten(name: &str, bytes: usize) -> String {
    if name.len() <= bytes {
        return name.to_owned();
    }
    let (stem, extension) = split(name);
    let mut stem = stem.to_owned();
    limit::cut(&mut stem, bytes - extension.len());
    stem.trim_end_matches(['.', ' ']).to_owned() + extension
}

/// A name and its extension, which begins with its dot.
fn split(name: &str) -> (&str, &str) {
    let at = name.rfind('.').filter(|at| *at > 0 && name.len() - at <= EXTENSION_BYTES);
    name.split_at_checked(at.unwrap_or(name.len())).unwrap_or((name, ""))
}

fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    // `COM1` to `COM9` and `LPT1` to `LPT9`, the digits superscript too.
    let is_port =
        stem.get(..3).is_some_and(|port| ["COM", "LPT"].iter().any(|name| port.eq_ignore_ascii_case(name)))
            && matches!(
                stem.get(3..),
                Some("1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³")
            );
    is_port || DEVICES.iter().any(|device| stem.eq_ignore_ascii_case(device))
}

/// Characters without a shape of their own: bidirectional controls, those of no width, fillers, tags, byte order marks.
fn is_unseen(char: char) -> bool {
    matches!(
        char,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_safe() {
        for (name, expected) in [
            ("report.pdf", Some("report.pdf")),
            ("../../etc/passwd", Some("passwd")),
            ("C:\\Users\\ada\\report.pdf", Some("report.pdf")),
            ("dir/", Some("dir")),
            (".bashrc", Some("bashrc")),
            ("..", None),
            ("", None),
            ("\u{200b}\u{3164}", None),
            (" a\u{0}b\n.txt ", Some("ab.txt")),
            ("a:b?.txt", Some("a_b_.txt")),
            ("annexe\u{202e}gpj.exe", Some("annexegpj.exe")),
            ("Grüße €.pdf", Some("Grüße €.pdf")),
            ("con", Some("_con")),
            ("Aux .txt", Some("_Aux .txt")),
            ("lpt1.tar.gz", Some("_lpt1.tar.gz")),
            ("COM².log", Some("_COM².log")),
            ("com10.log", Some("com10.log")),
            ("console.txt", Some("console.txt")),
        ] {
            assert_eq!(safe(name).as_deref(), expected, "{name:?}");
        }
    }

    #[test]
    fn a_long_name_keeps_its_extension() {
        let name = safe(&format!("{}.pdf", "ü".repeat(500))).unwrap();

        assert!(name.len() <= limit::FILENAME_BYTES);
        assert!(name.ends_with("ü.pdf"));
    }

    #[test]
    fn parts_without_a_name_get_one_where_it_is_known() {
        let named = |media_type: &str, location: Option<&str>, head: &str| {
            let location = location.map(str::to_owned);
            let part = Part { media_type: media_type.to_owned(), location, ..Part::default() };
            suggested(&part, head.as_bytes())
        };
        for (media_type, location, head, expected) in [
            (
                "message/rfc822",
                None,
                "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=: 1/2\r\n\r\n",
                Some("Grüße_ 1_2.eml"),
            ),
            ("message/rfc822", None, "From: a@example.com\r\n\r\n", Some("message.eml")),
            ("application/x-pkcs7-signature", None, "", Some("smime.p7s")),
            ("application/octet-stream", None, "\r\n-----BEGIN PGP MESSAGE-----", Some("encrypted.asc")),
            ("image/png", Some("https://example.com/a/logo.png?x=/y.gif"), "", Some("logo.png")),
            ("image/png", Some("https://example.com/a/"), "", None),
            ("image/png", Some("cid:a.b@example.com"), "", None),
            ("image/png", None, "", None),
        ] {
            assert_eq!(named(media_type, location, head).as_deref(), expected, "{media_type}, {head}");
        }
        assert!(titled(&"ü".repeat(500), "html").unwrap().len() <= limit::FILENAME_BYTES);
    }

    #[test]
    fn names_that_repeat_are_told_apart() {
        let mut names = Names::default();
        let mut give = |name: &str| names.give(name.to_owned());

        assert_eq!(give("a.pdf"), "a.pdf");
        assert_eq!(give("a (2).pdf"), "a (2).pdf");
        assert_eq!(give("A.pdf"), "A (3).pdf");
        assert_eq!(give("a.pdf"), "a (4).pdf");
        assert_eq!(give("README"), "README");
        assert_eq!(give("README"), "README (2)");
        assert_eq!(give("a.tar.gz"), "a.tar.gz");
    }

    #[test]
    fn a_long_name_that_repeats_still_fits() {
        let mut names = Names::default();
        let long = safe(&format!("{}.pdf", "ü".repeat(500))).unwrap();

        let first = names.give(long.clone());
        let second = names.give(long);

        assert!(first != second && second.len() <= limit::FILENAME_BYTES && second.ends_with(" (2).pdf"));
    }
}
