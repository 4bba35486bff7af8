//! Columns of a batch, as `unnest` takes them: one array for each, in one statement for each table.
//!
//! This is the boundary where text is cleaned for PostgreSQL: whatever goes in as text comes without NUL.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

use crate::mail::Address;
use crate::text;

/// What parts the items of a list within one text. Lists of lists have no array type.
pub(super) const SEPARATOR: &str = "\n";

/// A column of texts.
pub(super) fn texts<'a>(values: impl Iterator<Item = &'a str>) -> Vec<Cow<'a, str>> {
    values.map(text::clean).collect()
}

/// A column of texts, some of them missing.
pub(super) fn texts_or_null<'a>(values: impl Iterator<Item = Option<&'a str>>) -> Vec<Option<Cow<'a, str>>> {
    values.map(|value| value.map(text::clean)).collect()
}

/// A column of lists, each as one text for `string_to_array`; empty ones become empty arrays, and an empty item, which
/// alone would look like no item, is left out.
pub(super) fn lists<'a>(values: impl Iterator<Item = &'a [String]>) -> Vec<String> {
    values
        .map(|list| {
            let items = list.iter().map(|item| text::clean(item).replace(SEPARATOR, " "));
            items.filter(|item| !item.is_empty()).collect::<Vec<_>>().join(SEPARATOR)
        })
        .collect()
}

/// A value for a `jsonb` column.
pub(super) fn json(value: impl Serialize) -> String {
    // Serialising strings into memory cannot fail.
    serde_json::to_string(&value).unwrap_or_else(|_| "null".to_owned())
}

/// An address as the tables hold it.
pub(super) struct Person<'a>(pub(super) &'a Address);

/// Header fields as the tables hold them.
pub(super) struct Headers<'a>(pub(super) &'a [(String, String)]);

/// Addresses as the tables hold them.
pub(super) fn people(addresses: &[Address]) -> Vec<Person<'_>> {
    addresses.iter().map(Person).collect()
}

impl Serialize for Person<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut object = serializer.serialize_struct("Address", 2)?;
        object.serialize_field("name", &text::clean(&self.0.name))?;
        object.serialize_field("address", &text::clean(&self.0.address))?;
        object.end()
    }
}

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|(name, value)| (text::clean(name), text::clean(value))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_gets_through_in_no_form() {
        let dirty = "a\0b".to_owned();
        let address = Address { name: dirty.clone(), address: dirty.clone() };

        assert_eq!(texts([dirty.as_str()].into_iter()), ["ab"]);
        assert_eq!(texts_or_null([Some(dirty.as_str()), None].into_iter()), [Some("ab".into()), None]);
        assert_eq!(lists([[dirty.clone(), "c\nd".to_owned()].as_slice(), &[]].into_iter()), ["ab\nc d", ""]);
        assert_eq!(lists([["\0".to_owned(), "c".to_owned()].as_slice()].into_iter()), ["c"]);
        assert_eq!(json(people(&[address])), r#"[{"name":"ab","address":"ab"}]"#);
        assert_eq!(json(Headers(&[(dirty.clone(), dirty)])), r#"[["ab","ab"]]"#);
    }
}
