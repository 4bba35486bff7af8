//! Charsets of seven bits that switch between sets of characters by escape sequences: ISO-2022-JP with all that goes
//! by that name (RFC 1468, RFC 1554, RFC 2237, and Microsoft's code pages 50220 to 50222, which add half-width kana and
//! the characters of NEC and IBM), ISO-2022-KR (RFC 1557), the simplified half of ISO-2022-CN (RFC 1922), and HZ
//! (RFC 1843).
//!
//! One decoder for all, for their sequences do not clash, and mail mixes them. The web's is stricter than mail: it knows
//! no more than RFC 1468 and half-width kana, and of Korean and HZ nothing.

use encoding_rs::{EUC_JP, EUC_KR, GBK};
use memchr::memchr;

const ESCAPE: u8 = 0x1b;
const SHIFT_OUT: u8 = 0x0e;
const SHIFT_IN: u8 = 0x0f;

/// Set in both bytes of a character, makes it one of the EUC charset that has the same characters.
const HIGH: u8 = 0x80;

/// A set of characters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Set {
    Ascii,
    /// JIS X 0201: ASCII but for two characters.
    Roman,
    /// The other half of JIS X 0201: half-width kana.
    Kana,
    /// JIS X 0208, with the characters of NEC and IBM.
    Jis,
    /// JIS X 0212.
    JisSupplement,
    Gb,
    Ks,
}

/// Escape sequences without their first byte, and what they designate. Some older programs call ASCII the set of Sweden.
const SETS: [(&[u8], Set); 14] = [
    (b"(B", Set::Ascii),
    (b"(H", Set::Ascii),
    (b"(J", Set::Roman),
    (b"(I", Set::Kana),
    (b"$@", Set::Jis),
    (b"$B", Set::Jis),
    (b"$(@", Set::Jis),
    (b"$(B", Set::Jis),
    // JIS X 0213, whose first plane holds JIS X 0208.
    (b"$(O", Set::Jis),
    (b"$(Q", Set::Jis),
    (b"$(D", Set::JisSupplement),
    (b"$A", Set::Gb),
    (b"$(A", Set::Gb),
    (b"$(C", Set::Ks),
];

/// The same for the set that a shift switches to.
const SHIFTED_SETS: [(&[u8], Set); 2] = [(b"$)C", Set::Ks), (b"$)A", Set::Gb)];

/// Whether text that is called otherwise is this: it switches to another set of characters.
pub(super) fn is_likely(bytes: &[u8]) -> bool {
    let Some(at) = memchr(ESCAPE, bytes) else { return false };
    let sequence = bytes.get(at + 1..).unwrap_or_default();
    bytes.is_ascii()
        && SETS
            .iter()
            .chain(&SHIFTED_SETS)
            .any(|(name, set)| ![Set::Ascii, Set::Roman].contains(set) && sequence.starts_with(name))
}

/// Whether text that was cut here goes on in another set than ASCII.
pub(super) fn is_shifted_at_end(bytes: &[u8]) -> bool {
    let mut decoder = Decoder::default();
    decoder.decode(bytes);
    decoder.set != Set::Ascii && decoder.set != Set::Roman
}

/// Whether text may be the rest of one that was cut in another set than ASCII: it returns to ASCII first of all, or
/// looks like nothing but characters of two bytes.
pub(super) fn may_go_on(bytes: &[u8]) -> bool {
    match memchr(ESCAPE, bytes) {
        Some(at) => {
            [&b"(B"[..], b"(J"].iter().any(|name| bytes.get(at + 1..).is_some_and(|b| b.starts_with(name)))
        }
        None => bytes.len().is_multiple_of(2) && bytes.iter().all(u8::is_ascii_graphic),
    }
}

/// Decodes ISO-2022. Each line starts in ASCII, whether or not the one before returned to it.
pub(super) fn decode(bytes: &[u8]) -> String {
    let mut decoder = Decoder::default();
    decoder.decode(bytes);
    decoder.text
}

/// Decodes HZ. Each line starts in ASCII.
pub(super) fn hz(bytes: &[u8]) -> String {
    let mut decoder = Decoder::default();
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after.first()) {
            (b'~', Some(b'{')) => decoder.switch(Set::Gb),
            (b'~', Some(b'}')) => decoder.switch(Set::Ascii),
            (b'~', Some(b'~')) if decoder.set == Set::Ascii => decoder.byte(b'~'),
            // A line that goes on in the next.
            (b'~', Some(b'\n')) if decoder.set == Set::Ascii => {}
            _ => {
                decoder.byte(byte);
                continue;
            }
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    decoder.flush();
    decoder.text
}

struct Decoder {
    text: String,
    /// The set in force.
    set: Set,
    /// The set that a shift out switches to.
    shifted: Set,
    /// Bytes of the set in force that are not decoded yet, as bytes of an EUC charset.
    pending: Vec<u8>,
    /// The first byte of a character of two.
    lead: Option<u8>,
}

impl Default for Decoder {
    fn default() -> Self {
        // A shift without an announcement is how the seven-bit charset of Japan writes half-width kana.
        Self { text: String::new(), set: Set::Ascii, shifted: Set::Kana, pending: Vec::new(), lead: None }
    }
}

impl Decoder {
    fn decode(&mut self, bytes: &[u8]) {
        self.text.reserve(bytes.len());
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            match byte {
                ESCAPE => rest = self.escape(after),
                SHIFT_OUT => self.switch(self.shifted),
                SHIFT_IN => self.switch(Set::Ascii),
                _ => self.byte(byte),
            }
        }
        self.flush();
    }

    /// Follows an escape sequence and gives what is behind it. One that nobody knows is text.
    fn escape<'a>(&mut self, sequence: &'a [u8]) -> &'a [u8] {
        let find = |sets: &[(&[u8], Set)]| {
            sets.iter().find_map(|(name, set)| Some((*set, sequence.strip_prefix(*name)?)))
        };
        if let Some((set, rest)) = find(&SETS) {
            self.switch(set);
            return rest;
        }
        if let Some((set, rest)) = find(&SHIFTED_SETS) {
            self.shifted = set;
            return rest;
        }
        // Announces a later edition of the set that follows.
        if let Some(rest) = sequence.strip_prefix(b"&@") {
            return rest;
        }
        self.byte(ESCAPE);
        sequence
    }

    fn switch(&mut self, set: Set) {
        self.flush();
        self.set = set;
    }

    fn byte(&mut self, byte: u8) {
        let is_half_width_kana = (0xa1..=0xdf).contains(&byte) && !matches!(self.set, Set::Gb | Set::Ks);
        match (self.set, byte) {
            (_, b'\n' | b'\r') => {
                self.switch(Set::Ascii);
                self.text.push(char::from(byte));
            }
            // Eight bits in a charset of seven: as Microsoft's code pages have them.
            _ if is_half_width_kana && self.lead.is_none() => {
                self.flush();
                self.text.push(half_width_kana(byte));
            }
            (_, HIGH..) => {
                self.flush();
                self.text.push(char::REPLACEMENT_CHARACTER);
            }
            (Set::Roman, b'\\') => self.text.push('¥'),
            (Set::Roman, b'~') => self.text.push('‾'),
            (Set::Kana, 0x21..=0x5f) => self.text.push(half_width_kana(byte | HIGH)),
            (Set::Ascii | Set::Roman | Set::Kana, _) | (_, ..=b' ' | 0x7f) => {
                self.flush();
                self.text.push(char::from(byte));
            }
            _ => match self.lead.take() {
                None => self.lead = Some(byte),
                Some(lead) => {
                    if self.set == Set::JisSupplement {
                        self.pending.push(0x8f);
                    }
                    self.pending.extend([lead | HIGH, byte | HIGH]);
                }
            },
        }
    }

    /// Decodes what is pending. Half a character is none.
    fn flush(&mut self) {
        let encoding = match self.set {
            Set::Gb => GBK,
            Set::Ks => EUC_KR,
            _ => EUC_JP,
        };
        if !self.pending.is_empty() {
            self.text.push_str(&encoding.decode_without_bom_handling(&self.pending).0);
            self.pending.clear();
        }
        if self.lead.take().is_some() {
            self.text.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

/// The kana at that place of JIS X 0201, which stand in Unicode in the same order.
fn half_width_kana(byte: u8) -> char {
    char::from_u32(0xff61 + u32::from(byte) - 0xa1).unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn japanese_is_read_with_all_that_goes_by_its_name() {
        for (bytes, text) in [
            (&b"\x1b$B$\"\x1b(B!"[..], "あ!"),
            (b"\x1b$@$\"\x1b(J\\~\x1b(B\\", "あ¥‾\\"),
            // The numbers in circles of NEC, and the IBM extension as NEC has it.
            (b"\x1b$B\x2d\x21\x7c\x62\x1b(B", "①髙"),
            (b"\x1b(I1%C\x1b(B", "ｱ･ﾃ"),
            (b"\x0e1\x0f1", "ｱ1"),
            (b"\xb1\xc3", "ｱﾃ"),
            (b"\x1b$(D0!\x1b(B", "丂"),
            (b"\x1b&@\x1b$B$\"\x1b(B", "あ"),
            (b"\x1b$(B$\"\x1b(B", "あ"),
            (b"\x1b$ADc\x1b$(CGQ\x1b(B", "你한"),
        ] {
            assert_eq!(decode(bytes), text);
        }
    }

    #[test]
    fn korean_and_chinese_are_read() {
        assert_eq!(decode(b"\x1b$)C\r\n\x0eGQ1[\x0f Ada\r\n\x0eGQ"), "\r\n한글 Ada\r\n한");
        assert_eq!(decode(b"\x1b$)A\x0eDc\x0f!"), "你!");
        assert_eq!(hz(b"Hi ~{<:Ky2;~} ~~ ~\n~{VPND~}~ x"), "Hi 己所不 ~ 中文~ x");
    }

    #[test]
    fn each_line_starts_in_ascii() {
        assert_eq!(decode(b"\x1b$B$\"\nplain\r\n\x1b$B$\""), "あ\nplain\r\nあ");
        assert_eq!(hz(b"~{VP\nplain"), "中\nplain");
    }

    #[test]
    fn what_is_broken_is_replaced() {
        assert_eq!(decode(b"\x1b$B$\x1b(Bx"), "\u{fffd}x");
        assert_eq!(decode(b"\x1b$B$"), "\u{fffd}");
        assert_eq!(decode(b"\x1b[31mred"), "\x1b[31mred");
        assert_eq!(decode(b"\x80"), "\u{fffd}");
    }

    #[test]
    fn it_is_known_by_its_escape_sequences() {
        assert!(is_likely(b"Re: \x1b$B$\"\x1b(B"));
        assert!(is_likely(b"\x1b$)C\n"));
        assert!(!is_likely(b"\x1b[31mred\x1b(B"));
        assert!(!is_likely(b"\x1b(Bplain"));
        assert!(!is_likely(b"\x1b$B\xff"));
    }

    #[test]
    fn a_cut_in_the_middle_of_a_shift_is_seen_from_both_sides() {
        assert!(is_shifted_at_end(b"\x1b$B$\""));
        assert!(!is_shifted_at_end(b"\x1b$B$\"\x1b(B"));
        assert!(may_go_on(b"$\"\x1b(B"));
        assert!(may_go_on(b"$\""));
        assert!(!may_go_on(b"\x1b$B$\"\x1b(B"));
        assert!(!may_go_on(b"in ASCII"));
    }

    const PIECES: &[&[u8]] = &[
        b"\x1b$B", b"\x1b(B", b"\x1b(I", b"\x1b$(D", b"\x1b$)C", b"\x0e", b"\x0f", b"\x1b", b"~{", b"~}",
        b"~", b"$\"", b"A", b"\n", b"\xb1", b"\xff", b" ",
    ];

    proptest! {
        #[test]
        fn any_bytes_become_text_within_bounds(
            pieces in prop::collection::vec(prop::sample::select(PIECES), 0..60),
        ) {
            let bytes = pieces.concat();
            prop_assert!(decode(&bytes).len() <= 3 * bytes.len());
            prop_assert!(hz(&bytes).len() <= 3 * bytes.len());
        }
    }
}
