//! What is looked for in the parser's responses.

use async_imap::imap_proto::{AttributeValue, Response, ResponseCode};

use crate::message::Uid;

/// The code of a status response, tagged or not.
pub(super) fn code<'r>(response: &'r Response<'_>) -> Option<&'r ResponseCode<'r>> {
    match response {
        Response::Done { outcome, .. } | Response::Data { outcome, .. } => outcome.code.as_ref(),
        _ => None,
    }
}

/// The UID and the items of a FETCH response. One without a UID is news about flags that nobody asked for.
pub(super) fn fetched<'r>(response: &'r Response<'_>) -> Option<(Uid, &'r [AttributeValue<'r>])> {
    let Response::Fetch(_, items) = response else { return None };
    let uid = items.iter().find_map(|item| match item {
        AttributeValue::Uid(uid) => Some(Uid(*uid)),
        _ => None,
    })?;
    Some((uid, items))
}
