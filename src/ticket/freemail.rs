//! Providers at which anybody gets an address: two addresses of theirs do not belong together.

/// Whether anybody gets an address at this domain, which is in lower case.
pub(super) fn is_freemail(domain: &str) -> bool {
    FREEMAIL.lines().any(|freemail| freemail == domain) || is_regional(domain)
}

/// `yahoo.co.jp`, `hotmail.fr` and the like: the large providers have a domain in most countries.
fn is_regional(domain: &str) -> bool {
    let Some((name, rest)) = domain.split_once('.') else { return false };
    let is_country = |label: &str| label.len() == 2 && label.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_region = match rest.split_once('.') {
        None => rest == "com" || is_country(rest),
        Some((second, country)) => ["co", "com"].contains(&second) && is_country(country),
    };
    is_region && ["gmx", "hotmail", "live", "msn", "outlook", "rocketmail", "yahoo", "ymail"].contains(&name)
}

/// One a line, in order.
const FREEMAIL: &str = include_str!("freemail.txt");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order_and_without_doubles() {
        assert!(FREEMAIL.lines().is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn providers_are_known_in_every_country() {
        for domain in
            ["gmail.com", "yahoo.com", "yahoo.co.uk", "yahoo.com.br", "outlook.de", "gmx.at", "qq.com"]
        {
            assert!(is_freemail(domain), "{domain}");
        }
        for domain in ["example.com", "yahoo.example.com", "mail.yahoo.corp", "outlook.example", "live", ""] {
            assert!(!is_freemail(domain), "{domain}");
        }
    }
}
