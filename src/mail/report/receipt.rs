//! Message disposition notifications (RFC 8098): receipts.

use crate::mail::header::Header;
use crate::mail::part::Part;
use crate::mail::report::{Original, Receipt, fields};
use crate::mail::structured::Piece;
use crate::mail::{limit, message_id, structured};

impl Receipt {
    /// Reads the part that holds the report; `original` is what the mail that came back tells of itself.
    pub(super) fn read(part: &Part<'_>, original: Original) -> Self {
        let mut receipt = Self { recipient: None, disposition: String::new(), manual: false, original };
        fields::groups(part, |group| receipt.add(group));
        receipt
    }

    fn add(&mut self, group: &Header<'_>) {
        let recipient = || group.first("Final-Recipient").or_else(|| group.first("Original-Recipient"));
        self.recipient = self.recipient.take().or_else(|| fields::address(&recipient()?));
        if let Some(field) = group.first("Original-Message-ID") {
            // Its very field, and so surer than a mail that came back with the report.
            self.original.message_id =
                message_id::ids(&field.text()).next().or_else(|| self.original.message_id.take());
        }
        if let Some(field) = group.first("Disposition") {
            self.dispose(&field.text());
        }
    }

    /// RFC 8098 §3.2.6: `manual-action/MDN-sent-manually; displayed`, and perhaps `/` and modifiers.
    fn dispose(&mut self, value: &str) {
        let mut pieces = structured::pieces(value);
        let mode = pieces.by_ref().take_while(|piece| *piece != Piece::Mark(';')).find_map(word);
        let kind = pieces.find_map(word);
        // Some write the type alone.
        let (mode, kind) = match (mode, kind) {
            (Some(kind), None) => (String::new(), kind),
            (mode, kind) => (mode.unwrap_or_default(), kind.unwrap_or_default()),
        };
        self.manual = mode.contains("mdn-sent-manually");
        let kind = kind.split('/').next().unwrap_or_default();
        self.disposition = fields::text(kind, limit::KEYWORD_CHARS).unwrap_or_default();
    }
}

fn word(piece: Piece) -> Option<String> {
    match piece {
        Piece::Word(word) => Some(word.to_lowercase()),
        Piece::Mark(_) => None,
    }
}
