//! Whether a mail comes from where it says: what a trusted server found by SPF, DKIM and DMARC (RFC 8601).
//!
//! A sender can write any `Authentication-Results`. Only the topmost counts that bears the name of a trusted server,
//! for each server writes above what it gets; `ARC-Authentication-Results` and `Authentication-Results-Original` never
//! do. Where a server writes one field for each method, only the topmost is read: it should be told to write one.

use std::fmt;

use serde::Serialize;

use crate::mail::facts::Authserv;
use crate::mail::header::Header;
use crate::mail::structured::{Piece, pieces};
use crate::mail::{Facts, Mail, limit};

/// What a trusted server found.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Authentication {
    /// The server's name; none if it is Exchange Online, which writes none.
    pub server: Option<String>,
    /// Whether the sending server may send for the domain of the envelope sender (RFC 7208).
    pub spf: Option<Outcome>,
    /// Whether a signature holds (RFC 6376): the best of all.
    pub dkim: Option<Outcome>,
    /// Whether one of the two holds for the author's domain (RFC 7489).
    pub dmarc: Option<Outcome>,
    /// Exchange Online's own judgement of the author's domain, from the others and what else it knows.
    pub compauth: Option<Composite>,
    /// Why it judged so: a number of Microsoft's table.
    pub compauth_reason: Option<u16>,
    /// Whether what passed was the author's own domain. By DMARC if it passed or failed; otherwise by whether the
    /// domain of SPF or of a signature is the author's, one above it or one below it.
    pub aligned: bool,
}

/// The result of a method (RFC 8601 §2.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It holds.
    Pass,
    /// It does not.
    Fail,
    /// It probably does not.
    SoftFail,
    /// Nothing follows.
    Neutral,
    /// There was nothing to check.
    None,
    /// It could not be checked this time.
    TempError,
    /// What was to be checked is broken.
    PermError,
}

/// Exchange Online's judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Composite {
    /// The author's domain is right.
    Pass,
    /// It is, as far as can be said.
    SoftPass,
    /// It is not.
    Fail,
    /// It was not judged.
    None,
}

impl Authentication {
    /// What the server that `facts` trust found of `mail`. `None` if there is no word of it.
    pub(super) fn of(mail: &Mail, header: &Header<'_>, facts: &Facts) -> Option<Self> {
        let author =
            mail.from.as_ref().and_then(|from| from.address.rsplit_once('@')).map(|(_, domain)| domain);
        header.all("Authentication-Results").find_map(|field| {
            let value = field.text();
            let results = Results::read(&value);
            let is_trusted = match facts.authserv() {
                Authserv::Nobody => false,
                Authserv::Named(names) => {
                    let server = results.server.as_deref()?;
                    names.iter().any(|name| name.eq_ignore_ascii_case(server))
                }
                Authserv::Exchange => results.server.is_none() && !results.all.is_empty(),
            };
            is_trusted.then(|| results.judge(author.unwrap_or_default()))
        })
    }
}

impl Outcome {
    /// The name it is stored and sent by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::Neutral => "neutral",
            Self::None => "none",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }

    /// Reads a result; `None` if nobody knows it.
    fn parse(result: &str) -> Option<Self> {
        Some(match result {
            "pass" => Self::Pass,
            // RFC 8601 §2.7.2 once had the second; OpenDKIM wrote the third.
            "fail" | "hardfail" | "discard" => Self::Fail,
            "softfail" => Self::SoftFail,
            // A signature that is good, but not good enough for the server.
            "neutral" | "policy" => Self::Neutral,
            // Exchange guesses what DMARC would say of a domain without it.
            "none" | "bestguesspass" => Self::None,
            "temperror" | "timeout" | "error" => Self::TempError,
            "permerror" | "unknown" => Self::PermError,
            _ => return None,
        })
    }
}

impl Composite {
    /// The name it is stored and sent by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::SoftPass => "softpass",
            Self::Fail => "fail",
            Self::None => "none",
        }
    }

    fn parse(result: &str) -> Option<Self> {
        [Self::Pass, Self::SoftPass, Self::Fail, Self::None]
            .into_iter()
            .find(|known| known.as_str() == result)
    }
}

// By hand: whom a mail is from must not reach a log, nor by whose server it came.
impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authentication")
            .field("spf", &self.spf)
            .field("dkim", &self.dkim)
            .field("dmarc", &self.dmarc)
            .field("compauth", &self.compauth)
            .field("aligned", &self.aligned)
            .finish_non_exhaustive()
    }
}

/// A field, taken apart.
#[derive(Default)]
struct Results {
    server: Option<String>,
    all: Vec<Finding>,
}

/// The result of one method, in lower case, and what it is about.
#[derive(Default)]
struct Finding {
    method: String,
    result: String,
    properties: Vec<(String, String)>,
}

impl Results {
    /// RFC 8601 §2.2: a server's name and perhaps a version; then results, each after a semicolon. Exchange leaves out
    /// the name, and until 2020 wrote the recipient's domain before each result but the first.
    fn read(value: &str) -> Self {
        let mut results = Self::default();
        let mut pieces = pieces(value).peekable();
        let mut is_first = true;
        while pieces.peek().is_some() {
            let section: Vec<Piece> =
                pieces.by_ref().take_while(|piece| *piece != Piece::Mark(';')).collect();
            let (bare, pairs) = pairs(section);
            if is_first {
                results.server = bare.filter(|server| server.len() <= limit::DOMAIN_CHARS);
            }
            is_first = false;
            results.all.extend(Finding::of(pairs));
        }
        results
    }

    fn judge(self, author: &str) -> Authentication {
        let all = |method: &'static str| self.all.iter().filter(move |finding| finding.method == method);
        let outcome = |method| all(method).filter_map(|finding| Outcome::parse(&finding.result));
        let dmarc = outcome("dmarc").next();
        let spf = all("spf").find(|finding| Outcome::parse(&finding.result).is_some());
        let passed = |finding: &&Finding| finding.result == "pass";
        let by_spf = || spf.iter().copied().filter(passed).any(|finding| finding.names(author, &SPF_DOMAINS));
        let by_dkim = || all("dkim").filter(passed).any(|finding| finding.names(author, &DKIM_DOMAINS));
        let guessed = || all("dmarc").any(|finding| finding.result == "bestguesspass");
        let compauth = all("compauth").next();
        Authentication {
            spf: spf.and_then(|finding| Outcome::parse(&finding.result)),
            dkim: outcome("dkim").reduce(|one, other| if other == Outcome::Pass { other } else { one }),
            dmarc,
            compauth: compauth.and_then(|finding| Composite::parse(&finding.result)),
            compauth_reason: compauth.and_then(|finding| finding.property("reason")?.parse().ok()),
            aligned: match dmarc {
                Some(Outcome::Pass) => true,
                Some(Outcome::Fail) => false,
                _ => guessed() || by_spf() || by_dkim(),
            },
            server: self.server,
        }
    }
}

/// Where SPF's domain stands: the envelope sender, or what the server called itself if that is empty.
const SPF_DOMAINS: [&str; 3] = ["smtp.mailfrom", "smtp.mail", "smtp.helo"];

/// Where a signature's domain stands.
const DKIM_DOMAINS: [&str; 2] = ["header.d", "header.i"];

impl Finding {
    fn of(mut pairs: impl Iterator<Item = (String, String)>) -> Option<Self> {
        let (method, result) = pairs.next()?;
        // `dkim/1`: a version.
        let method = method.split('/').next().unwrap_or_default().to_lowercase();
        Some(Self { method, result: result.to_lowercase(), properties: pairs.collect() })
    }

    fn property(&self, name: &str) -> Option<&str> {
        self.properties
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Whether the first of these properties that is there names `author`'s domain, or one above or below it.
    fn names(&self, author: &str, properties: &[&str]) -> bool {
        let value = properties.iter().find_map(|name| self.property(name)).unwrap_or_default();
        let domain = value.rsplit_once('@').map_or(value, |(_, domain)| domain);
        is_akin(domain, author)
    }
}

/// The pairs of a section, and the word before them that belongs to none.
fn pairs(section: Vec<Piece>) -> (Option<String>, impl Iterator<Item = (String, String)>) {
    let mut pieces = section.into_iter().peekable();
    let mut bare = None;
    let mut words: Vec<(String, String)> = Vec::new();
    while let Some(piece) = pieces.next() {
        let Piece::Word(key) = piece else { continue };
        if pieces.next_if_eq(&Piece::Mark('=')).is_none() {
            bare = bare.or(Some(key).filter(|_| words.is_empty()));
            continue;
        }
        if let Some(Piece::Word(value)) = pieces.next_if(|piece| matches!(piece, Piece::Word(_))) {
            words.push((key, value));
        }
    }
    (bare, words.into_iter())
}

/// Whether two domains are the same, or one is below the other. Without a list of public suffixes this is as near to
/// DMARC's relaxed alignment as can be had: narrower, for siblings are none, but where a domain without a dot is concerned.
fn is_akin(one: &str, other: &str) -> bool {
    let (one, other) = (one.trim_end_matches('.').to_lowercase(), other.trim_end_matches('.').to_lowercase());
    let is_below = |below: &str, above: &str| {
        above.contains('.') && below.strip_suffix(above).is_some_and(|rest| rest.ends_with('.'))
    };
    !one.is_empty() && (one == other || is_below(&one, &other) || is_below(&other, &one))
}

#[cfg(test)]
mod tests;
