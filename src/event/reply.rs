//! How the reply text of a mail was found, as it is told.

use serde::Serialize;

use crate::mail::Reply;

#[derive(Serialize)]
pub(super) struct ReplyData {
    method: &'static str,
    confidence: f64,
    inline_answers: bool,
}

impl ReplyData {
    pub(super) fn new(reply: &Reply) -> Self {
        Self {
            method: reply.method.as_str(),
            confidence: f64::from(reply.confidence) / 100.0,
            inline_answers: reply.has_inline_answers(),
        }
    }
}
