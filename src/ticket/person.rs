//! People as filing tells them apart: by address, and by the organisation that its domain stands for.

use crate::mail::Address;
use crate::ticket::freemail;

/// An address as filing compares it, or nothing where it has no domain, something in it that no address has, or is too
/// long to be one (RFC 5321 §4.5.3.1).
///
/// Lower case, because nobody tells people apart by case; without a detail (`local+detail@domain`, RFC 5233),
/// because it is the same person.
pub(super) fn plain(address: &str) -> Option<String> {
    const LONGEST: usize = 64 + 1 + 255;
    let address = address.trim();
    let (local, domain) = address.rsplit_once('@')?;
    let is_odd = |char: char| char.is_control() || char.is_whitespace();
    if local.is_empty() || domain.is_empty() || address.len() > LONGEST || address.contains(is_odd) {
        return None;
    }
    let bare = local.split_once('+').map_or(local, |(bare, _)| bare);
    let local = if bare.is_empty() { local } else { bare };
    Some(format!("{local}@{domain}").to_ascii_lowercase())
}

/// Addresses as filing compares them, each once, in order.
pub(super) fn all_plain<'a>(addresses: impl IntoIterator<Item = &'a Address>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for address in addresses {
        // A mail to so many is to nobody in particular.
        if all.len() >= MAX_PEOPLE {
            break;
        }
        all.extend(plain(&address.address).filter(|plain| !all.contains(plain)));
    }
    all
}

/// People of one mail that are looked at and remembered.
const MAX_PEOPLE: usize = 50;

/// The domain of a [`plain`] address.
pub(super) fn domain(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, domain)| domain)
}

/// Whether two domains belong to one organisation: the same, or one below the other. `shared` are domains besides those
/// of the known providers at which anybody gets an address: these make nobody a colleague of anybody.
pub(super) fn is_one_organisation(one: &str, other: &str, shared: &[String]) -> bool {
    let is_below = |below: &str, above: &str| {
        above.contains('.') && below.strip_suffix(above).is_some_and(|rest| rest.ends_with('.'))
    };
    let is_shared = |domain: &str| {
        freemail::is_freemail(domain)
            || shared.iter().any(|shared| shared == domain || is_below(domain, shared))
    };
    !one.is_empty()
        && (one == other || is_below(one, other) || is_below(other, one))
        && !is_shared(one)
        && !is_shared(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_the_same_in_any_case_and_with_any_detail() {
        for address in ["ann@example.com", " Ann@Example.COM", "ann+shop@example.com", "ann+a+b@example.com"]
        {
            assert_eq!(plain(address).as_deref(), Some("ann@example.com"), "{address}");
        }
        assert_eq!(plain("+a@example.com").as_deref(), Some("+a@example.com"));
        assert_eq!(plain("ann@a+b.example").as_deref(), Some("ann@a+b.example"));
    }

    #[test]
    fn what_has_no_domain_or_no_end_is_nobody() {
        for address in [
            "",
            "ann",
            "@example.com",
            "ann@",
            "a\0b@example.com",
            "a b@example.com",
            &format!("{}@example.com", "a".repeat(400)),
        ] {
            assert_eq!(plain(address), None, "{address}");
        }
    }

    #[test]
    fn a_mail_to_everybody_is_cut_off() {
        let address = |i: usize| Address { name: String::new(), address: format!("a{i}@example.com") };
        let many: Vec<Address> = (0..1_000).map(|i| address(i / 2)).collect();

        assert_eq!(all_plain(&many).len(), MAX_PEOPLE);
    }

    #[test]
    fn organisations_are_told_by_their_domain() {
        let shared = ["isp.example".to_owned()];
        let is_one = |one, other| is_one_organisation(one, other, &shared);

        assert!(is_one("corp.example", "corp.example"));
        assert!(is_one("mail.corp.example", "corp.example"));
        assert!(is_one("corp.example", "a.b.corp.example"));
        assert!(!is_one("corp.example", "othercorp.example"));
        assert!(!is_one("eu.corp.example", "us.corp.example"));
        assert!(!is_one("corp.example", "example"));
        assert!(!is_one("", ""));
        assert!(!is_one("gmail.com", "gmail.com"));
        assert!(!is_one("hotmail.co.uk", "hotmail.co.uk"));
        assert!(!is_one("isp.example", "isp.example"));
        assert!(!is_one("home.isp.example", "home.isp.example"));
    }
}
