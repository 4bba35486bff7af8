//! What stands for an image in a text.

/// The text of an image with these attributes, if it has one that is meant to be read.
pub(super) fn text<'a>(attribute: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
    let alt = attribute("alt").map(str::trim).filter(|alt| !alt.is_empty())?;
    if ["width", "height"].iter().all(|side| attribute(side).is_some_and(is_tiny)) {
        return None;
    }
    Some(if is_pictograph(alt) { alt.to_owned() } else { format!("[{alt}]") })
}

/// Whether a width or height is that of an image that nobody sees.
fn is_tiny(length: &str) -> bool {
    matches!(length.trim().trim_end_matches("px"), "0" | "1")
}

/// Whether a text that stands for an image is a picture itself.
fn is_pictograph(alt: &str) -> bool {
    alt.chars().all(|char| !char.is_alphanumeric() && !char.is_ascii() && !char.is_whitespace())
}
