//! What charset a label means: as the web has it (WHATWG Encoding §4.2), and as mail has it beyond that.

use encoding_rs::{
    BIG5, EUC_JP, EUC_KR, Encoding, GB18030, IBM866, ISO_2022_JP, ISO_8859_2, ISO_8859_3, ISO_8859_4,
    ISO_8859_5, ISO_8859_6, ISO_8859_7, ISO_8859_8, ISO_8859_10, ISO_8859_13, ISO_8859_14, ISO_8859_15,
    ISO_8859_16, KOI8_R, KOI8_U, MACINTOSH, REPLACEMENT, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_874,
    WINDOWS_1250, WINDOWS_1251, WINDOWS_1252, WINDOWS_1253, WINDOWS_1254, WINDOWS_1255, WINDOWS_1256,
    WINDOWS_1257, WINDOWS_1258, X_MAC_CYRILLIC, X_USER_DEFINED,
};

use crate::mail::charset::Charset;
use crate::mail::charset::table;

/// Names that say nothing of bytes above 0x7f, though some are on the web's list.
const ASCII: [&str; 11] = [
    "646",
    "ansix341968",
    "ansix341986",
    "ascii",
    "cp367",
    "csascii",
    "ibm367",
    "iso646irv1991",
    "iso646us",
    "isoir6",
    "usascii",
];

/// What stands before the number of a code page.
const BEFORE_NUMBER: [&str; 14] = [
    "xwindows",
    "windows",
    "codepage",
    "cswindows",
    "csibm",
    "cspc",
    "ansi",
    "xibm",
    "xcp",
    "win",
    "dos",
    "ibm",
    "cp",
    "ms",
];

impl Charset {
    /// The charset of that name. `None` if nobody knows it, and for ASCII: what goes by that name and is not ASCII can
    /// be anything.
    pub(in crate::mail) fn of(label: &str) -> Option<Self> {
        let label = label.trim_matches(|char: char| char.is_whitespace() || "\"';,".contains(char));
        if label.eq_ignore_ascii_case("utf-8") {
            return Some(Self::Web(UTF_8));
        }
        // What quoted-printable makes of the sign before it.
        let label = label.strip_prefix("3D").unwrap_or(label).trim_matches('"');
        let name: String =
            label.chars().filter(char::is_ascii_alphanumeric).map(|char| char.to_ascii_lowercase()).collect();
        if ASCII.contains(&name.as_str()) {
            return None;
        }
        Encoding::for_label(label.as_bytes()).and_then(Self::of_the_web).or_else(|| Self::of_mail(&name))
    }

    fn of_the_web(encoding: &'static Encoding) -> Option<Self> {
        if [REPLACEMENT, X_USER_DEFINED].contains(&encoding) {
            return None;
        }
        Some(match encoding {
            _ if encoding == ISO_2022_JP => Self::Iso2022,
            _ if [UTF_16LE, UTF_16BE].contains(&encoding) => Self::Utf16,
            _ => Self::Web(encoding),
        })
    }

    /// Looks up a name without anything but its letters and digits.
    fn of_mail(name: &str) -> Option<Self> {
        let encoding = match name {
            "utf8" | "utf8mb4" | "xutf8" | "cp65001" | "unicode11utf8" => UTF_8,
            "shiftjisx0213" | "cswindows31j" | "mskanji" | "xmacjapanese" => SHIFT_JIS,
            "eucjpms" | "eucjpwin" | "ujis" => EUC_JP,
            "eten" | "cnbig5" | "xmacchinesetrad" => BIG5,
            "gb" | "gb231280" | "euccn" | "xeuccn" | "xmacchinesesimp" => GB18030,
            "uhc" | "kscode" | "xmackorean" => EUC_KR,
            "koi8ru" | "koi8" => KOI8_U,
            "latin9" | "latin0" => ISO_8859_15,
            "macroman" | "xmacroman" | "mac" => MACINTOSH,
            "maccyrillic" | "xmaccyrillic" | "macukrainian" => X_MAC_CYRILLIC,
            _ => return Self::of_family(name),
        };
        Some(Self::Web(encoding))
    }

    /// Looks up a name by its beginning.
    fn of_family(name: &str) -> Option<Self> {
        let starts = |start: &str| name.starts_with(start);
        if name.contains("utf7") {
            Some(Self::Utf7)
        } else if starts("utf16") || starts("ucs2") || starts("unicode") || starts("iso10646ucs2") {
            Some(Self::Utf16)
        } else if starts("utf32") || starts("ucs4") || starts("iso10646ucs4") {
            Some(Self::Utf32)
        } else if starts("iso2022") || starts("csiso2022") || starts("jis") {
            Some(Self::Iso2022)
        } else if starts("hz") {
            Some(Self::Hz)
        } else if starts("big5") || starts("xbig5") || starts("xxbig5") {
            Some(Self::Web(BIG5))
        } else if starts("gb18030") || starts("gbk") || starts("gb2312") || starts("xgbk") {
            Some(Self::Web(GB18030))
        } else if starts("ksc5601") {
            Some(Self::Web(EUC_KR))
        } else if starts("tis620") {
            Some(Self::Web(WINDOWS_874))
        } else if let Some(number) =
            ["iso8859", "xiso8859", "8859"].iter().find_map(|start| name.strip_prefix(start))
        {
            // Longer numbers may be followed by more: `iso-8859-1-windows-3.1-latin-1`.
            iso_8859(number).map(Self::Web)
        } else if let Some(name) = name.strip_prefix("xmac").or_else(|| name.strip_prefix("mac")) {
            table::macintosh(name).map(Self::Table)
        } else {
            let number = BEFORE_NUMBER.iter().find_map(|start| name.strip_prefix(start)).unwrap_or(name);
            let digits = number.bytes().take_while(u8::is_ascii_digit).count();
            Self::of_code_page(number.get(..digits)?.parse().ok()?)
        }
    }

    /// Looks up a code page of Windows, DOS or IBM.
    fn of_code_page(number: u32) -> Option<Self> {
        let encoding = match number {
            819 | 1252 => WINDOWS_1252,
            866 => IBM866,
            874 => WINDOWS_874,
            912 => ISO_8859_2,
            915 => ISO_8859_5,
            923 => ISO_8859_15,
            932 | 942 | 943 => SHIFT_JIS,
            936 | 1381 | 1386 | 51936 | 54936 => GB18030,
            949 | 970 | 1363 | 51949 => EUC_KR,
            950 => BIG5,
            1200 | 1201 => return Some(Self::Utf16),
            1250 => WINDOWS_1250,
            1251 => WINDOWS_1251,
            920 | 1254 => WINDOWS_1254,
            1253 => WINDOWS_1253,
            1255 => WINDOWS_1255,
            1256 => WINDOWS_1256,
            1257 => WINDOWS_1257,
            1258 => WINDOWS_1258,
            10000 => MACINTOSH,
            10006 => return table::macintosh("greek").map(Self::Table),
            10007 => X_MAC_CYRILLIC,
            10010 => return table::macintosh("romanian").map(Self::Table),
            10029 => return table::macintosh("ce").map(Self::Table),
            10079 => return table::macintosh("icelandic").map(Self::Table),
            10081 => return table::macintosh("turkish").map(Self::Table),
            10082 => return table::macintosh("croatian").map(Self::Table),
            12000 | 12001 => return Some(Self::Utf32),
            20866 => KOI8_R,
            21866 => KOI8_U,
            28591..=28606 => return iso_8859(&(number - 28590).to_string()).map(Self::Web),
            38598 => ISO_8859_8,
            50220..=50227 => return Some(Self::Iso2022),
            20932 | 51932 => EUC_JP,
            52936 => return Some(Self::Hz),
            65000 => return Some(Self::Utf7),
            65001 => UTF_8,
            _ => return table::code_page(number).map(Self::Table),
        };
        Some(Self::Web(encoding))
    }
}

/// The part of ISO 8859 whose number `text` starts with. Windows has characters more where two are alike.
fn iso_8859(text: &str) -> Option<&'static Encoding> {
    let number = |digits: usize| text.get(..digits)?.parse::<u32>().ok();
    let encoding = match number(2).filter(|number| (10..=16).contains(number)).or_else(|| number(1))? {
        1 => WINDOWS_1252,
        2 => ISO_8859_2,
        3 => ISO_8859_3,
        4 => ISO_8859_4,
        5 => ISO_8859_5,
        6 => ISO_8859_6,
        7 => ISO_8859_7,
        8 => ISO_8859_8,
        9 => WINDOWS_1254,
        10 => ISO_8859_10,
        11 => WINDOWS_874,
        13 => ISO_8859_13,
        14 => ISO_8859_14,
        15 => ISO_8859_15,
        16 => ISO_8859_16,
        _ => return None,
    };
    Some(encoding)
}
