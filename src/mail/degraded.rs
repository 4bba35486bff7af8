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
            Remnant::Header => Self {
                text: String::new(),
                html: None,
                attachments: Vec::new(),
                calendar: None,
                ..self.clone()
            },
            Remnant::Nothing => Self {
                fingerprint: self.fingerprint,
                defects: self.defects.clone(),
                ..Self::unread(self.received, self.size)
            },
        };
        mail.defects.push(Defect::Degraded);
        mail
    }
}
