//! Characters that are there to take up room and not to be read.

/// Without width: they fill up what mail programs show of a mail in their lists, and say where a word may be divided.
const FILLERS: [char; 6] = ['\u{ad}', '\u{34f}', '\u{200b}', '\u{2060}', '\u{feff}', '\u{180e}'];

/// Those that mean something beside letters: they join them, or turn the direction of what is between.
const JOINERS: [char; 4] = ['\u{200c}', '\u{200d}', '\u{200e}', '\u{200f}'];

pub(super) fn is_one(char: char) -> bool {
    FILLERS.contains(&char)
}

/// Whether a word is nothing else.
pub(super) fn is_all(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|char| is_one(char) || JOINERS.contains(&char))
}
