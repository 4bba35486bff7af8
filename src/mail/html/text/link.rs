//! Where a link goes, for people.

/// The longest link written out. Longer ones are for machines.
const LINK_BYTES: usize = 500;

/// The link as it is written out, if a person could use it.
pub(super) fn shown(url: &str) -> Option<String> {
    let url = url.trim();
    let is_usable = ["https://", "http://", "mailto:", "tel:"]
        .iter()
        .any(|scheme| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    (is_usable && url.len() <= LINK_BYTES && !url.contains(char::is_whitespace)).then(|| url.to_owned())
}

/// Whether a link's text says already where it goes.
pub(super) fn says_the_same(text: &str, url: &str) -> bool {
    bare(text) == bare(url)
}

fn bare(url: &str) -> String {
    let url = url.to_ascii_lowercase();
    if let Some(number) = url.strip_prefix("tel:").or_else(|| Some(&*url).filter(|url| url.starts_with('+')))
    {
        return number.chars().filter(char::is_ascii_digit).collect();
    }
    let rest = ["https://", "http://"].iter().find_map(|scheme| url.strip_prefix(scheme));
    let rest = rest.unwrap_or_else(|| {
        url.strip_prefix("mailto:").map_or(&*url, |to| to.split_once('?').map_or(to, |(address, _)| address))
    });
    rest.trim_end_matches('/').to_owned()
}
