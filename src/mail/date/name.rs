//! What the words in a date mean.

use crate::mail::date::Zone;

/// The beginnings of the names of months, without accents: English, German, French, Spanish, Portuguese, Italian, Dutch,
/// the languages of Scandinavia, Polish, Czech, Turkish, Russian, Ukrainian.
const MONTHS: [&[&str]; 12] = [
    &["jan", "ene", "gen", "sty", "led", "oca", "янв", "січ"],
    &["feb", "fev", "lut", "uno", "sub", "фев", "лют"],
    &["mar", "mrz", "mrt", "maa", "bre", "мар", "бер"],
    &["apr", "avr", "abr", "kwi", "dub", "nis", "апр", "кві"],
    &["may", "mai", "maj", "mei", "mag", "kve", "май", "мая", "тра"],
    &["jun", "juin", "giu", "cze", "haz", "июн", "чер"],
    &["jul", "juil", "lug", "lip", "tem", "июл", "лип"],
    &["aug", "aou", "ago", "sie", "srp", "agu", "авг", "сер"],
    &["sep", "set", "wrz", "zar", "eyl", "сен", "вер"],
    &["oct", "okt", "out", "ott", "paz", "rij", "eki", "окт", "жов"],
    &["nov", "lis", "kas", "ноя", "лис"],
    &["dec", "dez", "dic", "des", "gru", "pro", "ara", "дек", "гру"],
];

/// Zones by their names, in minutes from Greenwich: those of RFC 5322 §4.3, and of others the ones that are used for one
/// zone only.
const ZONES: [(&str, i32); 41] = [
    ("est", -300),
    ("edt", -240),
    ("cst", -360),
    ("cdt", -300),
    ("mst", -420),
    ("mdt", -360),
    ("pst", -480),
    ("pdt", -420),
    ("akst", -540),
    ("akdt", -480),
    ("hst", -600),
    ("brt", -180),
    ("z", 0),
    ("ut", 0),
    ("utc", 0),
    ("gmt", 0),
    ("wet", 0),
    ("west", 60),
    ("bst", 60),
    ("cet", 60),
    ("met", 60),
    ("mez", 60),
    ("hnec", 60),
    ("cest", 120),
    ("mest", 120),
    ("mesz", 120),
    ("eet", 120),
    ("sast", 120),
    ("eest", 180),
    ("msk", 180),
    ("trt", 180),
    ("msd", 240),
    ("pkt", 300),
    ("hkt", 480),
    ("sgt", 480),
    ("awst", 480),
    ("jst", 540),
    ("kst", 540),
    ("aest", 600),
    ("aedt", 660),
    ("nzst", 720),
];

/// The number of the month of that name.
pub(super) fn month(word: &str) -> Option<u32> {
    let word: String = word.chars().flat_map(char::to_lowercase).map(without_accent).collect();
    let number = MONTHS.iter().position(|names| names.iter().any(|name| word.starts_with(name)))? + 1;
    u32::try_from(number).ok()
}

/// The zone of that name.
pub(super) fn zone(word: &str) -> Option<Zone> {
    let minutes = ZONES.iter().find(|(name, _)| word.eq_ignore_ascii_case(name))?.1;
    Some(Zone { seconds: minutes * 60, length: 1 })
}

/// Whether an offset may follow this name of Greenwich's time.
pub(super) fn is_universal(word: &str) -> bool {
    ["gmt", "utc", "ut"].iter().any(|name| word.eq_ignore_ascii_case(name))
}

/// Whether a word says that a time is one of the afternoon, if it says either.
pub(super) fn is_afternoon(word: &str) -> Option<bool> {
    if word.eq_ignore_ascii_case("pm") {
        Some(true)
    } else {
        word.eq_ignore_ascii_case("am").then_some(false)
    }
}

fn without_accent(char: char) -> char {
    match char {
        'ä' | 'á' | 'à' | 'â' => 'a',
        'é' | 'è' | 'ě' => 'e',
        'í' => 'i',
        'ř' => 'r',
        'ú' | 'û' | 'ů' => 'u',
        'ş' | 'ś' => 's',
        'ğ' => 'g',
        'ź' | 'ż' => 'z',
        _ => char,
    }
}
