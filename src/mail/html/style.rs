//! As much of a style as decides whether anybody sees an element.

/// Whether an element with this `style` is not shown. What hides text is `display` and what stands in for it in mail; not
/// `font-size: 0`, by which layouts close gaps between elements that have sizes of their own, nor `mso-hide`, which is
/// for Outlook alone.
pub(super) fn hides(style: &str) -> bool {
    let (mut is_flat, mut is_clipped) = (false, false);
    for declaration in style.split(';') {
        let Some((property, value)) = declaration.split_once(':') else { continue };
        let value = value.split('!').next().unwrap_or_default().trim();
        let is = |name: &str| property.trim().eq_ignore_ascii_case(name);
        if is("display") && value.eq_ignore_ascii_case("none")
            || is("visibility") && value.eq_ignore_ascii_case("hidden")
        {
            return true;
        }
        is_flat |= is("max-height") && is_zero(value);
        is_clipped |= is("overflow") && value.eq_ignore_ascii_case("hidden");
    }
    is_flat && is_clipped
}

/// Whether white space and line breaks are kept in an element with this `style`.
pub(super) fn keeps_space(style: &str) -> bool {
    style.split(';').filter_map(|declaration| declaration.split_once(':')).any(|(property, value)| {
        property.trim().eq_ignore_ascii_case("white-space")
            && ["pre", "pre-wrap", "pre-line", "break-spaces"]
                .iter()
                .any(|kept| value.split('!').next().unwrap_or_default().trim().eq_ignore_ascii_case(kept))
    })
}

/// `0`, `0px`, `0.0em`.
fn is_zero(length: &str) -> bool {
    let number = length.trim_end_matches(|char: char| char.is_ascii_alphabetic() || char == '%');
    !number.is_empty() && number.bytes().all(|byte| matches!(byte, b'0' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_an_element_is_known() {
        for style in [
            "display:none",
            "color:#fff; DISPLAY : None !important",
            "visibility:hidden",
            "max-height:0px;overflow:hidden",
            "overflow: hidden; max-height: 0",
        ] {
            assert!(hides(style), "{style}");
        }
        for style in [
            "",
            "display:block",
            "font-size:0",
            "mso-hide:all",
            "max-height:0",
            "max-height:10px;overflow:hidden",
            "none",
        ] {
            assert!(!hides(style), "{style}");
        }
    }

    #[test]
    fn what_keeps_space_is_known() {
        assert!(keeps_space("color:red;white-space: Pre-Wrap"));
        assert!(!keeps_space("white-space:nowrap"));
    }
}
