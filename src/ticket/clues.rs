//! What in a mail speaks for a ticket, and for whom the mail is: taken out of it once, in the form in which it is
//! looked up and compared.

use sha2::{Digest, Sha256};

use crate::mail::{Mail, Original, Outcome, Report, Verdict};
use crate::rule;
use crate::rule::Ruling;
use crate::ticket::person;
use crate::ticket::policy::Policy;
use crate::ticket::quote;
use crate::ticket::rate::RateKey;
use crate::ticket::subject::Subject;
use crate::ticket::token::{MAX_TOKENS, SubjectToken, Token};
use crate::ticket::{Rule, ThreadKey};

/// How many ids of one mail are looked at. Long References are a habit of broken clients and of attackers;
/// the newest ids, which come first here, are the ones that matter.
const MAX_IDS: usize = 50;

/// Fields beside To and Cc in which servers write to whom a mail was delivered. A token stands there when the sender
/// put the mailbox into Bcc.
const DELIVERED_TO: [&str; 4] = ["delivered-to", "x-original-to", "envelope-to", "x-envelope-to"];

/// What filing needs of a mail.
#[derive(Clone)]
pub struct Clues {
    /// The mail's own id.
    pub(super) own: Option<Id>,
    /// The ids that it names, best first: In-Reply-To, then References from the newest.
    pub(super) named: Vec<(Rule, Id)>,
    /// The ids of the mail that it reports of, best first: that mail's own, then what it answered.
    pub(super) reported: Vec<Id>,
    /// Reply tokens in ids, then in addresses, with where they were found.
    pub(super) signed: Vec<(Token, String)>,
    /// Reply tokens in ids of the mail that it reports of.
    pub(super) reported_tokens: Vec<Token>,
    /// Reply tokens in the text.
    pub(super) quoted_tokens: Vec<Token>,
    pub(super) subject_tokens: Vec<SubjectToken>,
    /// Another system's ticket number, if the mail is by that system.
    pub(super) tracker: Option<Id>,
    /// The author.
    pub(super) author: Option<String>,
    /// Everybody who stands for the author, the author first: Reply-To and Sender. Not the mailbox itself.
    pub(super) writers: Vec<String>,
    /// The recipients. Not the mailbox itself.
    pub(super) recipients: Vec<String>,
    pub(super) subject: Subject,
    /// Whether it quotes what it answers.
    pub(super) has_quotes: bool,
    pub(super) verdict: Verdict,
    /// What the rules of the configuration come to.
    pub(super) ruling: Ruling,
    /// Whether a trusted server found that the author's domain did not send it.
    pub(super) is_forged: bool,
    /// What stands for the author where mail is counted.
    pub(super) sender: Option<RateKey>,
    /// What stands for the content there.
    pub(super) content: RateKey,
}

// By hand: all of it is private.
impl std::fmt::Debug for Clues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clues").field("verdict", &self.verdict).finish_non_exhaustive()
    }
}

/// An id and what it is looked up by.
#[derive(Clone)]
pub(super) struct Id {
    pub(super) text: String,
    pub(super) key: ThreadKey,
}

impl Id {
    fn of(message_id: &str) -> Self {
        Self { text: message_id.to_owned(), key: ThreadKey::of(message_id) }
    }
}

impl Clues {
    /// Of a mail that came to a mailbox with this policy. CPU work: it searches the text and hashes it.
    pub fn of(mail: &Mail, policy: &Policy) -> Self {
        let ids = named(mail);
        let reported = reported(mail);
        let others = |addresses: Vec<String>| -> Vec<String> {
            addresses.into_iter().filter(|address| !policy.is_own(address)).collect()
        };
        let author = mail.from.as_ref().and_then(|from| person::plain(&from.address));
        let has_keys = !policy.tokens.is_empty();
        let tokens = |texts: &mut dyn Iterator<Item = &str>| -> Vec<Token> {
            let mut found: Vec<Token> = Vec::new();
            for text in texts.filter(|_| has_keys) {
                for token in Token::find(text) {
                    if found.len() >= MAX_TOKENS {
                        return found;
                    }
                    if !found.contains(&token) {
                        found.push(token);
                    }
                }
            }
            found
        };
        let subject_tokens: Vec<SubjectToken> =
            SubjectToken::find(&policy.subject_prefix, &mail.subject).take(MAX_TOKENS).collect();
        let without = |subject: String, token: &SubjectToken| subject.replace(&token.text, "");
        let subject = Subject::read(&subject_tokens.iter().fold(mail.subject.clone(), without));
        Self {
            signed: if has_keys { signed(mail, &ids) } else { Vec::new() },
            reported_tokens: tokens(&mut reported.iter().map(|id| id.text.as_str())),
            quoted_tokens: tokens(&mut [mail.text.as_str()].into_iter().chain(mail.html.as_deref())),
            subject_tokens,
            own: mail.message_id.as_deref().filter(|id| !id.is_empty()).map(Id::of),
            named: ids,
            reported,
            tracker: author.as_deref().and_then(|author| tracked(author, &mail.subject, policy)),
            writers: others(person::all_plain(mail.from.iter().chain(&mail.reply_to).chain(&mail.sender))),
            recipients: others(person::all_plain(mail.to.iter().chain(&mail.cc))),
            subject,
            has_quotes: quote::is_in(mail),
            verdict: mail.automation.verdict,
            ruling: rule::rule(&policy.rules, mail),
            is_forged: policy.minds_forgeries()
                && mail.authentication.as_ref().is_some_and(|found| found.dmarc == Some(Outcome::Fail)),
            sender: author.as_deref().filter(|author| !policy.is_unlimited(author)).map(|author| {
                // With Reply-To: all that comes by a form on a website has one author.
                let wanted =
                    mail.reply_to.first().and_then(|to| person::plain(&to.address)).unwrap_or_default();
                rate_key([author.as_bytes(), wanted.as_bytes()])
            }),
            content: content(mail),
            author,
        }
    }

    /// What the rules of the configuration come to for it.
    pub fn ruling(&self) -> &Ruling {
        &self.ruling
    }

    /// What is to be looked up: the keys of all ids.
    pub fn keys(&self) -> impl Iterator<Item = ThreadKey> {
        let named = self.named.iter().map(|(_, id)| id);
        named.chain(&self.own).chain(&self.reported).chain(&self.tracker).map(|id| id.key)
    }

    /// What is to be looked up: the numbers of all tickets that tokens name.
    pub fn numbers(&self) -> impl Iterator<Item = i64> {
        let signed = self.signed.iter().map(|(token, _)| token);
        let tokens = signed.chain(&self.reported_tokens).chain(&self.quoted_tokens).map(|token| token.number);
        tokens.chain(self.subject_tokens.iter().map(|token| token.number))
    }

    /// What is to be looked up: what stands for its sender and its content where mail is counted.
    pub fn rate_keys(&self) -> (Option<RateKey>, RateKey) {
        (self.sender, self.content)
    }
}

fn named(mail: &Mail) -> Vec<(Rule, Id)> {
    let replied = mail.in_reply_to.iter().map(|id| (Rule::InReplyTo, id));
    let referred = mail.references.iter().rev().map(|id| (Rule::References, id));
    let mut named: Vec<(Rule, Id)> = Vec::new();
    for (rule, text) in replied.chain(referred).filter(|(_, id)| !id.is_empty()).take(MAX_IDS) {
        let id = Id::of(text);
        if !named.iter().any(|(_, known)| known.key == id.key) {
            named.push((rule, id));
        }
    }
    named
}

fn reported(mail: &Mail) -> Vec<Id> {
    let Some(Original { message_id, references }) = mail.report.as_ref().map(|report| match report {
        Report::Delivery(delivery) => &delivery.original,
        Report::Receipt(receipt) => &receipt.original,
        Report::Feedback(feedback) => &feedback.original,
    }) else {
        return Vec::new();
    };
    let ids = message_id.iter().chain(references.iter().rev());
    ids.filter(|id| !id.is_empty()).take(MAX_IDS).map(|id| Id::of(id)).collect()
}

/// Ids first, in the order of `named`; then addresses.
fn signed(mail: &Mail, named: &[(Rule, Id)]) -> Vec<(Token, String)> {
    let ids = named.iter().map(|(_, id)| id.text.as_str());
    let addresses = mail.to.iter().chain(&mail.cc).map(|to| to.address.as_str());
    let delivered = mail
        .headers
        .iter()
        .filter(|(name, _)| DELIVERED_TO.contains(&name.to_ascii_lowercase().as_str()))
        .map(|(_, value)| value.as_str());
    let mut signed: Vec<(Token, String)> = Vec::new();
    let ids = ids.flat_map(|id| Token::find(id).map(move |token| (token, id.to_owned())));
    let others = addresses.chain(delivered).flat_map(Token::find).map(|token| {
        let place = token.text.clone();
        (token, place)
    });
    for (token, place) in ids.chain(others) {
        if signed.len() >= MAX_TOKENS {
            break;
        }
        if !signed.iter().any(|(known, _)| *known == token) {
            signed.push((token, place));
        }
    }
    signed
}

/// The number that another system gave the matter, if the author is that system.
fn tracked(author: &str, subject: &str, policy: &Policy) -> Option<Id> {
    let domain = person::domain(author);
    policy.trackers.iter().filter(|tracker| tracker.domains.iter().any(|known| known == domain)).find_map(
        |tracker| {
            let found = tracker.pattern.captures(subject)?;
            // The first group, if the pattern has one; an empty match names nothing.
            let id =
                found.get(1).or_else(|| found.get(0)).map(|id| id.as_str()).filter(|id| !id.is_empty())?;
            Some(Id { text: id.to_owned(), key: ThreadKey::of_tracker(&tracker.name, id) })
        },
    )
}

/// Attachments count: a scanner sends page after page under one subject and without a word.
fn content(mail: &Mail) -> RateKey {
    let attachments = mail.attachments.iter().map(|attachment| attachment.sha256.as_slice());
    rate_key([mail.subject.as_bytes(), mail.text.as_bytes()].into_iter().chain(attachments))
}

fn rate_key<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> RateKey {
    let mut hash = Sha256::new();
    for field in fields {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field);
    }
    let mut key = [0; 8];
    key.iter_mut().zip(hash.finalize()).for_each(|(byte, digest)| *byte = digest);
    i64::from_be_bytes(key)
}
