//! What a subject says beside its words: that a mail is a reply or a forward, and what remains without that.

/// A subject, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Subject {
    /// Its letters and digits in lower case, without what programs put before or around them.
    pub(super) base: String,
    /// Whether the first thing put before it says that it is handed on.
    pub(super) is_forward: bool,
}

/// What programs put before a subject that is answered, in lower case. Not here: words that people begin a subject with.
const REPLY: [&str; 24] = [
    "re",
    "r",
    "ref",
    "aw",
    "antw",
    "antwort",
    "sv",
    "vs",
    "vá",
    "odp",
    "odpověď",
    "rép",
    "rif",
    "res",
    "resp",
    "bls",
    "ynt",
    "atb",
    "ant",
    "на",
    "απ",
    "回复",
    "答复",
    "返信",
];

/// What programs put before a subject that is handed on, in lower case.
const FORWARD: [&str; 25] = [
    "fw",
    "fwd",
    "wg",
    "tr",
    "rv",
    "i",
    "inoltr",
    "enc",
    "encam",
    "doorst",
    "vb",
    "vl",
    "vidb",
    "pd",
    "továbbítás",
    "tov",
    "i̇lt",
    "ilt",
    "trs",
    "пер",
    "πρθ",
    "转发",
    "轉寄",
    "転送",
    "تحويل",
];

/// So much before a subject is taken away; nobody's programs write more.
const MAX_PREFIXES: usize = 30;

impl Subject {
    /// Takes a subject apart.
    pub(super) fn read(subject: &str) -> Self {
        let mut rest = subject.trim();
        let mut is_forward = None;
        for _ in 0..MAX_PREFIXES {
            if let Some((prefix, after)) = prefix(rest) {
                is_forward.get_or_insert(prefix == Prefix::Forward);
                rest = after;
            } else if let Some(after) = tag(rest) {
                rest = after;
            } else {
                break;
            }
        }
        let letters = rest.chars().filter(|char| char.is_alphanumeric()).flat_map(char::to_lowercase);
        Self { base: letters.collect(), is_forward: is_forward == Some(true) }
    }

    /// Whether the two are about different things. What was added to or cut off the end of the other is about the same,
    /// and so is nothing.
    pub(super) fn differs_from(&self, other: &Self) -> bool {
        !self.base.is_empty()
            && !other.base.is_empty()
            && !self.base.contains(&other.base)
            && !other.base.contains(&self.base)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefix {
    Reply,
    Forward,
}

/// `Re:`, `AW[2]:`, `Fwd (3) :`, `回复：` at the beginning, and what follows.
fn prefix(text: &str) -> Option<(Prefix, &str)> {
    let colon = text.char_indices().take(24).find(|(_, char)| matches!(char, ':' | '：'))?;
    let before = text.get(..colon.0)?;
    let after = text.get(colon.0 + colon.1.len_utf8()..)?;
    let counter =
        |char: char| char.is_ascii_digit() || matches!(char, '[' | ']' | '(' | ')' | '^' | '*' | ' ' | '.');
    let word = before.trim_end_matches(counter).trim().to_lowercase();
    let kind = if REPLY.contains(&word.as_str()) {
        Prefix::Reply
    } else if FORWARD.contains(&word.as_str()) {
        Prefix::Forward
    } else {
        return None;
    };
    Some((kind, after.trim_start()))
}

/// `[EXTERNAL]`, `[Ticket#17]` at the beginning, and what follows, if anything does.
fn tag(text: &str) -> Option<&str> {
    let (inside, after) = text.strip_prefix('[')?.split_once(']')?;
    let after = after.trim_start();
    (inside.len() <= 60 && !after.is_empty()).then_some(after)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn base(subject: &str) -> String {
        Subject::read(subject).base
    }

    #[test]
    fn what_programs_put_before_a_subject_goes() {
        for subject in [
            "Printer broken",
            "Re: Printer broken",
            "RE: AW: Re[2]: Printer  broken",
            "Antw.: Printer broken",
            "[EXTERNAL] Re: [Ticket#17] Printer broken",
            "回复：转发: Printer broken",
            "SV: VS: Fwd (3) : Printer broken!",
            "re : printer broken",
        ] {
            assert_eq!(base(subject), "printerbroken", "{subject}");
        }
    }

    #[test]
    fn words_of_people_stay() {
        assert_eq!(base("Question: where is it"), "questionwhereisit");
        assert_eq!(base("Report: AW: x"), "reportawx");
        assert_eq!(base("[urgent]"), "urgent");
        assert_eq!(base("Re:"), "");
        assert_eq!(base(""), "");
    }

    #[test]
    fn what_stands_first_tells_a_forward() {
        for forward in ["Fwd: x", "WG: AW: x", "TR : x", "[EXT] FW: x", "Fw[3]: Re: x", "转发：x", "I: x"]
        {
            assert!(Subject::read(forward).is_forward, "{forward}");
        }
        for other in ["Re: Fwd: x", "x", "AW: WG: x", "Forward planning: x", "Fwd"] {
            assert!(!Subject::read(other).is_forward, "{other}");
        }
    }

    #[test]
    fn a_subject_differs_if_neither_holds_the_other() {
        let differs = |one: &str, other: &str| Subject::read(one).differs_from(&Subject::read(other));

        assert!(differs("Re: Invoice 17", "Printer broken"));
        assert!(!differs("Re: Printer broken", "printer Broken."));
        assert!(!differs("AW: Printer broken, solved", "Printer broken"));
        assert!(!differs("Re: Printer brok", "Printer broken"));
        assert!(!differs("Re:", "Printer broken"));
        assert!(!differs("Re: Printer broken", ""));
    }

    proptest! {
        #[test]
        fn a_reply_to_any_subject_is_about_the_same(subject in "\\PC{0,60}") {
            prop_assert_eq!(base(&format!("Re: {subject}")), base(&subject));
            let reply = Subject::read(&format!("AW: {subject}"));
            prop_assert!(!reply.differs_from(&Subject::read(&subject)));
        }
    }
}
