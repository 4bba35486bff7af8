//! What an administrator knows and no mail tells.

use std::fmt;

/// What the configuration says about a mailbox that its mail is read with.
#[derive(Clone, Default)]
pub struct Facts {
    own: Vec<String>,
    authserv: Authserv,
}

/// Whose word about a sender's authentication counts.
#[derive(Clone, Default)]
pub enum Authserv {
    /// Nobody's.
    #[default]
    Nobody,
    /// That of the servers with these names (RFC 8601 §2.5, `authserv-id`).
    Named(Vec<String>),
    /// Exchange Online's, which writes its field without a name. On what comes in from elsewhere it writes one of its
    /// own, above the sender's, and calls the sender's `Authentication-Results-Original`.
    Exchange,
}

impl Facts {
    /// Of a mailbox that has these addresses, whatever their case, and that believes this server.
    pub fn new<'a>(own: impl IntoIterator<Item = &'a str>, authserv: Authserv) -> Self {
        Self { own: own.into_iter().map(plain).filter(|own| own.contains('@')).collect(), authserv }
    }

    /// Whether mail to `address`, with or without a detail (`local+detail@domain`), comes to the mailbox.
    pub(super) fn is_own(&self, address: &str) -> bool {
        !self.own.is_empty() && !address.is_empty() && self.own.contains(&plain(address))
    }

    /// Whose word counts.
    pub(super) fn authserv(&self) -> &Authserv {
        &self.authserv
    }
}

// By hand: addresses must not reach a log.
impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facts").field("own", &self.own.len()).finish_non_exhaustive()
    }
}

/// An address in lower case, without a detail.
fn plain(address: &str) -> String {
    let address = address.trim().to_lowercase();
    match address.rsplit_once('@') {
        Some((local, domain)) => {
            let local = local.split_once('+').map_or(local, |(local, _)| local);
            format!("{local}@{domain}")
        }
        None => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_own_address_is_known_in_any_case_and_with_any_detail() {
        let facts = Facts::new(["Support@Example.com", "a-user-name"], Authserv::Nobody);

        assert!(facts.is_own("support@example.com"));
        assert!(facts.is_own("SUPPORT+17@example.com"));
        assert!(!facts.is_own("a-user-name"));
        assert!(!facts.is_own("support@example.org"));
        assert!(!facts.is_own(""));
    }
}
