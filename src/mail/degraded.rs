//! A mail of which the database takes only a part.

use crate::mail::{Defect, Mail};

/// What is left of a degraded mail. Its source is stored whole either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remnant {
    /// Everything out of its header, and who wrote it.
    Header,
    /// Its size, when it came, who wrote it in a word, and its fingerprint, so that a copy is still recognised.
    Nothing,
}

impl Mail {
    /// This mail without the parts that a database may refuse.
    #[must_use]
    pub fn degraded(&self, remnant: Remnant) -> Self {
        let mut mail = match remnant {
            Remnant::Header => Self {
                text: String::new(),
                reply: None,
                html: None,
                attachments: Vec::new(),
                calendar: None,
                report: None,
                ..self.clone()
            },
            Remnant::Nothing => Self {
                // Words of ours, which no database refuses.
                automation: self.automation.clone(),
                fingerprint: self.fingerprint,
                defects: self.defects.clone(),
                ..Self::unread(self.received, self.size)
            },
        };
        mail.defects.push(Defect::Degraded);
        mail
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{Facts, Verdict, read};
    use crate::message::{Extent, Listed, Message, Uid};

    #[test]
    fn what_is_left_still_tells_who_wrote_it() {
        let source =
            "From: mailer-daemon@x.example\nSubject: failure notice\n\n<bob@y.example>:\n550 5.1.1 Unknown\n";
        let listed = Listed { uid: Uid(1), size: 0, internal_date: None };
        let message = Message { listed, source: source.into(), extent: Extent::Whole };
        let mail = read(&message, &Facts::default());
        assert!(mail.report.is_some());

        for remnant in [Remnant::Header, Remnant::Nothing] {
            let degraded = mail.degraded(remnant);

            assert_eq!(degraded.automation.verdict, Verdict::BounceFailed);
            assert_eq!(degraded.report, None, "it came out of the content");
            assert_eq!(degraded.fingerprint, mail.fingerprint);
        }
    }
}
