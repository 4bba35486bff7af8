//! What the header says about a mail: a reply, a message that is passed on, or the first of its conversation.

use crate::mail::Mail;
use crate::mail::reply::line::bare;
use crate::mail::reply::words::header;
use crate::mail::reply::words::header::Prefix;

/// The longest prefix of a subject, in characters.
const PREFIX_CHARS: usize = 20;

/// How many prefixes and tags are looked at.
const PREFIXES: usize = 8;

/// What is known before the text is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mail) struct Facts {
    /// It answers a mail: there can be a quote in it.
    pub(super) is_reply: bool,
    /// It passes a message on.
    pub(super) is_forward: bool,
    /// It does so if it is in Danish or Norwegian.
    pub(super) is_forward_in_danish: bool,
}

impl Facts {
    /// Takes them from the header of a mail.
    pub(in crate::mail) fn of(mail: &Mail) -> Self {
        let prefix = prefix(&mail.subject);
        let refers = !mail.in_reply_to.is_empty() || !mail.references.is_empty();
        Self {
            is_reply: refers || matches!(prefix, Some(Prefix::Reply | Prefix::Either)),
            is_forward: prefix == Some(Prefix::Forward),
            is_forward_in_danish: prefix == Some(Prefix::Either),
        }
    }
}

/// The outermost prefix of a subject, of those that say something. Tags in brackets, and words that a gateway puts
/// before it, are passed over.
fn prefix(subject: &str) -> Option<Prefix> {
    let mut rest = bare(subject);
    for _ in 0..PREFIXES {
        if let Some(tagged) = rest.strip_prefix('[') {
            rest = bare(tagged.split_once(']')?.1);
            continue;
        }
        let (word, behind) = rest.split_once([':', '：'])?;
        if word.chars().count() > PREFIX_CHARS {
            return None;
        }
        // `Re[2]:` and `RE(3):` count.
        let word = bare(word.split(['[', '(', '^']).next().unwrap_or(word)).to_lowercase();
        if let Some(prefix) = header::prefix(&word) {
            return Some(prefix);
        }
        rest = bare(behind);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_prefix_decides() {
        for (subject, expected) in [
            ("Re: Fwd: Invoice", Some(Prefix::Reply)),
            ("WG: AW: Rechnung", Some(Prefix::Forward)),
            ("RE[2]: Invoice", Some(Prefix::Reply)),
            ("[EXTERN] Antw: Factuur", Some(Prefix::Reply)),
            ("回复：发票", Some(Prefix::Reply)),
            ("İLT: Fatura", Some(Prefix::Forward)),
            ("VS: Lasku", Some(Prefix::Either)),
            ("Ticket 4711: Re: Invoice", Some(Prefix::Reply)),
            ("Reply", None),
            ("My question: how?", None),
            ("[unclosed Re: x", None),
            ("", None),
        ] {
            assert_eq!(prefix(subject), expected, "{subject}");
        }
    }
}
