//! A mail of which the database takes only a part.

use crate::mail::{Defect, Mail};

/// What is left of a degraded mail. Its source is stored whole either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remnant {
    /// Everything out of its header.
    Header,
    /// Its size, when it came, and its fingerprint, so that a copy is still recognised.
    Nothing,
}

impl Mail {
    /// This mail without the parts that a database may refuse.
    #[must_use]
    pub fn degraded(&self, remnant: Remnant) -> Self {
        let mut mail = match remnant {
            Remnant::Header => self.clone(),
            Remnant::Nothing => Self {
                message_id: None,
                in_reply_to: Vec::new(),
                references: Vec::new(),
                from: None,
                sender: None,
                reply_to: Vec::new(),
                to: Vec::new(),
                cc: Vec::new(),
                subject: String::new(),
                date: None,
                headers: Vec::new(),
                ..self.clone()
            },
        };
        mail.text.clear();
        mail.html = None;
        mail.attachments.clear();
        mail.defects.push(Defect::Degraded);
        mail
    }
}
