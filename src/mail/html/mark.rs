//! What mail programs say by the elements they write: here begins the quote, the history, a signature.
//!
//! Only the outermost counts: what is quoted has quotes and signatures of its own, which are nobody's concern.

use html5ever::tokenizer::Tag;

/// Whose habit a mark is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mail) enum Program {
    Outlook,
    Gmail,
    Mozilla,
    Yahoo,
    Proton,
    Zimbra,
    /// One of many that write `<blockquote type=cite>`, Apple Mail among them.
    Cite,
    Other,
}

/// What begins at a place in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mail) enum Mark {
    /// What the author wrote.
    Own,
    /// The line that says who wrote what is quoted below it.
    Introduction(Program),
    /// A quote.
    Quote(Program),
    /// The author's signature.
    Signature,
    /// The mails before this one, down to the end.
    History(Program),
    /// A line as Outlook draws it above the header of the mail that is answered, and others above other things.
    Border,
    /// A message that is passed on.
    Forward,
}

/// Follows the elements that marks belong to, so as to know where they end. Constant work for each tag.
#[derive(Default)]
pub(super) struct Tracker {
    /// From the outside: an introduction's element may hold the quote as well.
    open: Vec<Open>,
}

struct Open {
    name: String,
    /// How many elements of that name are open, from this one inward.
    depth: usize,
    mark: Mark,
}

impl Tracker {
    /// Follows a start tag; adds what begins with it.
    pub(super) fn open(&mut self, tag: &Tag, begins: &mut Vec<Mark>) {
        let name: &str = &tag.name;
        // A paragraph needs no end tag (HTML §13.1.2.4).
        if ends_paragraph(name) && self.open.last().is_some_and(|open| open.name == "p") {
            self.close("p", begins);
        }
        for open in self.open.iter_mut().filter(|open| open.name == name) {
            open.depth += 1;
        }
        if self.open.last().is_some_and(|open| !matches!(open.mark, Mark::Introduction(_) | Mark::Own)) {
            return;
        }
        let Some(mark) = meaning(tag) else { return };
        match mark {
            Mark::Introduction(_) | Mark::Signature | Mark::Forward if !self.open.is_empty() => return,
            Mark::History(_) | Mark::Border | Mark::Forward => {}
            // Word marks where its signature begins, and never where it ends.
            Mark::Signature if name == "a" => {}
            _ => {
                // What follows a quote within the element is neither.
                if let Some(introduction) = self.open.last_mut() {
                    introduction.mark = Mark::Own;
                }
                self.open.push(Open { name: name.to_owned(), depth: 1, mark });
            }
        }
        begins.push(mark);
    }

    /// Follows an end tag; adds what begins behind it.
    pub(super) fn close(&mut self, name: &str, begins: &mut Vec<Mark>) {
        for open in self.open.iter_mut().filter(|open| open.name == name) {
            open.depth -= 1;
        }
        if let Some(ended) = self.open.iter().position(|open| open.depth == 0) {
            self.open.truncate(ended);
            begins.push(Mark::Own);
        }
    }
}

fn ends_paragraph(name: &str) -> bool {
    matches!(name, "p" | "div" | "blockquote" | "table" | "ul" | "ol" | "pre" | "hr")
}

/// What an element says by its name and attributes.
fn meaning(tag: &Tag) -> Option<Mark> {
    let name: &str = &tag.name;
    if name == "includetail" {
        return Some(Mark::History(Program::Other));
    }
    if !matches!(name, "div" | "blockquote" | "span" | "section" | "p" | "pre" | "hr" | "a" | "td" | "table")
    {
        return None;
    }
    tag.attrs.iter().find_map(|attribute| {
        let value = attribute.value.trim();
        match &*attribute.name.local {
            // Outlook on the web puts `x_` before what it quotes.
            "id" => by_id(value.trim_start_matches("x_")),
            "class" => value.split_ascii_whitespace().find_map(|class| by_class(name, class)),
            "name" => by_name(name, value),
            "data-marker" => value
                .starts_with("__")
                .then_some(Mark::History(Program::Zimbra))
                .filter(|_| ["__DIVIDER__", "__HEADERS__", "__QUOTED_TEXT__"].contains(&value)),
            "data-signatureblock" => Some(Mark::Signature),
            "type" if name == "blockquote" => is(value, "cite").then_some(Mark::Quote(Program::Cite)),
            "cite" if name == "blockquote" => value.starts_with("mid:").then_some(Mark::Quote(Program::Cite)),
            "style" => is_border(value).then_some(Mark::Border),
            _ => None,
        }
    })
}

fn by_id(id: &str) -> Option<Mark> {
    const HISTORY: [&str; 3] = ["appendonsend", "divRplyFwdMsg", "stopSpelling"];
    const QUOTES: [(&str, Program); 4] = [
        ("mail-editor-reference-message-container", Program::Outlook),
        ("OLK_SRC_BODY_SECTION", Program::Outlook),
        ("isReplyContent", Program::Other),
        ("blockquote_zmail", Program::Other),
    ];
    const SIGNATURES: [&str; 4] =
        ["Signature", "ms-outlook-mobile-signature", "AppleMailSignature", "composer_signature"];
    if HISTORY.iter().any(|known| is(id, known)) {
        Some(Mark::History(Program::Outlook))
    } else if is(id, "zwchr") {
        Some(Mark::History(Program::Zimbra))
    } else if let Some((_, program)) = QUOTES.iter().find(|(known, _)| is(id, known)) {
        Some(Mark::Quote(*program))
    } else if id.contains("yahoo_quoted") {
        Some(Mark::Quote(Program::Yahoo))
    } else if id == "reply-intro" {
        Some(Mark::Introduction(Program::Other))
    } else if SIGNATURES.iter().any(|known| is(id, known))
        || id.starts_with("ymail_") && id.ends_with("_signature")
        || id.starts_with("Zm-_Id_-Sgn")
    {
        Some(Mark::Signature)
    } else {
        None
    }
}

fn by_class(element: &str, class: &str) -> Option<Mark> {
    match class {
        "gmail_quote" if element == "blockquote" => Some(Mark::Quote(Program::Gmail)),
        "protonmail_quote" if element == "blockquote" => Some(Mark::Quote(Program::Proton)),
        "gmail_quote" | "gmail_quote_container" | "gmail_attr" => Some(Mark::Introduction(Program::Gmail)),
        "protonmail_quote" => Some(Mark::Introduction(Program::Proton)),
        "moz-cite-prefix" => Some(Mark::Introduction(Program::Mozilla)),
        "moz-forward-container" => Some(Mark::Forward),
        "ms-outlook-mobile-reference-message" => Some(Mark::Quote(Program::Outlook)),
        "OutlookMessageHeader" => Some(Mark::History(Program::Outlook)),
        "tutanota_quote" | "front-blockquote" | "missive_quote" | "spark_quote" | "zmail_extra" => {
            Some(Mark::Quote(Program::Other))
        }
        "gmail_signature"
        | "gmail_signature_prefix"
        | "moz-signature"
        | "protonmail_signature_block"
        | "ms-outlook-ios-signature"
        | "-x-evo-signature-wrapper" => Some(Mark::Signature),
        // Yahoo puts a number before it, which differs from mail to mail.
        _ => class.ends_with("yahoo_quoted").then_some(Mark::Quote(Program::Yahoo)),
    }
}

fn by_name(element: &str, name: &str) -> Option<Mark> {
    match (element, name) {
        ("div", "quote") => Some(Mark::Quote(Program::Other)),
        ("div", "messageReplySection") => Some(Mark::Introduction(Program::Other)),
        ("div", "messageSignatureSection") | ("a", "_MailAutoSig") => Some(Mark::Signature),
        _ => None,
    }
}

/// The colours of Outlook 2007, of Outlook 2013 and later, and of Windows Mail.
fn is_border(style: &str) -> bool {
    let Some(at) = style.find("border-top").or_else(|| style.find("BORDER-TOP")) else { return false };
    let style = style.get(at..style.floor_char_boundary(at + 200)).unwrap_or_default().to_ascii_lowercase();
    ["#e1e1e1", "#b5c4df", "rgb(229, 229, 229)", "rgb(225, 225, 225)"]
        .iter()
        .any(|colour| style.contains(colour))
}

fn is(value: &str, known: &str) -> bool {
    value.eq_ignore_ascii_case(known)
}
