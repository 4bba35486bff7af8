//! How a mail is protected on its way, as its structure says. Nothing is verified or decrypted.

use crate::mail::part::Part;

/// S/MIME (RFC 8551) or OpenPGP (RFC 3156, RFC 9580). Of several, the last in this order counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protection {
    /// Signed by OpenPGP, beside its content or around it. Whether the signature holds is not known.
    PgpSigned,
    /// Signed by S/MIME, beside its content or around it. Whether the signature holds is not known.
    SmimeSigned,
    /// Encrypted by OpenPGP: its content can't be read.
    PgpEncrypted,
    /// Encrypted by S/MIME: its content can't be read.
    SmimeEncrypted,
}

impl Protection {
    /// The name it is stored and sent by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PgpSigned => "pgp_signed",
            Self::SmimeSigned => "smime_signed",
            Self::PgpEncrypted => "pgp_encrypted",
            Self::SmimeEncrypted => "smime_encrypted",
        }
    }

    /// What the types of these parts say. Only a look into them tells a signed `smime.p7m` from an encrypted one.
    pub(super) fn of(parts: &[Part<'_>]) -> Option<Self> {
        parts.iter().filter_map(|part| Self::of_part(part, parts)).max()
    }

    fn of_part(part: &Part<'_>, parts: &[Part<'_>]) -> Option<Self> {
        let is_in = |media_type: &str| {
            let is = |child: &&usize| parts.get(**child).is_some_and(|child| child.media_type == media_type);
            part.children.iter().find(is)
        };
        match part.media_type.as_str() {
            // Exchange may have taken the multipart around it apart, or made another of it.
            "application/pgp-encrypted" => Some(Self::PgpEncrypted),
            "multipart/signed" if is_in("application/pgp-signature").is_some() => Some(Self::PgpSigned),
            "multipart/signed" => ["application/pkcs7-signature", "application/x-pkcs7-signature"]
                .into_iter()
                .find_map(is_in)
                .map(|_| Self::SmimeSigned),
            _ => None,
        }
    }
}
