//! The author's new words in a mail: without the mails quoted below or above them, and without the signature.
//!
//! What the elements of the HTML say comes first, then what the text looks like, in whatever language. On doubt all
//! of the text is the reply: of a message that is passed on, where answers stand between the lines of a quote, and
//! where nothing would be left. The whole text is kept beside it in any case.
//!
//! ```text
//! html::Outline, text ─► line ─► parting ─► (attribution, header_block, separator: words) ─► signature ─► Reply
//! ```
//!
//! Invariants: total, and linear in the text. A reply is never empty if the text is not.

mod attribution;
mod facts;
mod header_block;
mod kept;
mod line;
mod parting;
mod separator;
mod signature;
mod words;

use std::fmt;

use crate::mail::html::Outline;
use crate::mail::reply::kept::Kept;
use crate::mail::reply::line::{Script, bare};

pub(super) use facts::Facts;

/// The author's new words, and how they were found.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// The words; `None` if they are the whole text.
    pub text: Option<String>,
    /// How they were told from the rest.
    pub method: Method,
    /// How sure that is, in hundredths.
    pub confidence: u8,
}

impl Reply {
    /// Whether answers stand between the lines of a quote, so that they say nothing without it.
    pub fn has_inline_answers(&self) -> bool {
        self.method == Method::Inline
    }
}

// By hand: the words are private.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("method", &self.method)
            .field("confidence", &self.confidence)
            .finish_non_exhaustive()
    }
}

/// How a reply was told from the rest. Stored and sent by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Nothing was found that is not the author's.
    Whole,
    /// A message is passed on; it belongs to what the author says.
    Forward,
    /// Answers between the lines of a quote.
    Inline,
    /// There is nothing but what is quoted.
    OnlyQuote,
    /// Only a signature was left out.
    Signature,
    /// By the elements that Outlook writes.
    HtmlOutlook,
    /// By those of Gmail.
    HtmlGmail,
    /// By those of Thunderbird and its kin.
    HtmlMozilla,
    /// By those of Yahoo.
    HtmlYahoo,
    /// By those of Proton.
    HtmlProton,
    /// By those of Zimbra.
    HtmlZimbra,
    /// By `<blockquote type=cite>`, as Apple Mail and many others write it.
    HtmlCite,
    /// By those of another program.
    HtmlOther,
    /// By a line that says who wrote what is quoted.
    TextAttribution,
    /// By the header of the quoted mail.
    TextHeader,
    /// By a line such as `-----Original Message-----`.
    TextSeparator,
    /// By marks before the lines alone.
    TextQuote,
}

impl Method {
    /// The name it is stored and sent by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Forward => "forward",
            Self::Inline => "inline",
            Self::OnlyQuote => "only_quote",
            Self::Signature => "signature",
            Self::HtmlOutlook => "html_outlook",
            Self::HtmlGmail => "html_gmail",
            Self::HtmlMozilla => "html_mozilla",
            Self::HtmlYahoo => "html_yahoo",
            Self::HtmlProton => "html_proton",
            Self::HtmlZimbra => "html_zimbra",
            Self::HtmlCite => "html_cite",
            Self::HtmlOther => "html_other",
            Self::TextAttribution => "text_attribution",
            Self::TextHeader => "text_header",
            Self::TextSeparator => "text_separator",
            Self::TextQuote => "text_quote",
        }
    }
}

/// The texts of a mail that a reply is looked for in.
#[derive(Clone, Copy)]
pub(super) struct Texts<'a> {
    /// What is kept as the mail's text.
    pub(super) text: &'a str,
    /// Whether that was made from the HTML.
    pub(super) is_from_html: bool,
    /// The HTML, if there is any.
    pub(super) html: Option<&'a Outline>,
}

/// Finds the reply.
pub(super) fn extract(texts: Texts<'_>, facts: Facts) -> Reply {
    let whole = |method, confidence| Reply { text: None, method, confidence };
    if facts.is_forward {
        return whole(Method::Forward, 95);
    }
    let html = texts.html.filter(|html| texts.is_from_html || !html.marks.is_empty());
    let html = html.map(|html| Script { text: &html.text, marks: &html.marks, is_html: true });
    let text = (!texts.is_from_html).then_some(Script { text: texts.text, marks: &[], is_html: false });
    // A reply in which nothing is quoted may be one by a program that nobody knows.
    let mut found = whole(Method::Whole, if facts.is_reply { 60 } else { 100 });
    for script in html.into_iter().chain(text) {
        match kept::of(&script, facts) {
            Kept::All => {}
            Kept::Nothing => found = whole(Method::OnlyQuote, 50),
            Kept::AllForwarded => return whole(Method::Forward, 90),
            Kept::AllAround(confidence) => return whole(Method::Inline, confidence),
            Kept::Text { text, method, confidence } => {
                let is_whole = bare(&text) == bare(texts.text);
                return Reply { text: (!is_whole).then_some(text), ..whole(method, confidence) };
            }
        }
    }
    found
}

#[cfg(test)]
mod tests;
