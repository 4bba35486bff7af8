//! What fuzz targets need of this module beyond what it is for: a session over any connection, and folder names.

use tokio::io::{AsyncRead, AsyncWrite};

use crate::config;

use super::credential::Credential;
use super::error::Error;
use super::session::Session;

/// Logs in over a connection that has just been made.
pub async fn open(
    wire: impl AsyncRead + AsyncWrite + Unpin + Send + Sync + std::fmt::Debug + 'static,
    config: &config::Mailbox,
    credential: &Credential,
) -> Result<Session, Error> {
    super::connect::open(wire, false, config, credential).await
}

/// Encodes a folder's name.
pub fn utf7_encode(name: &str) -> String {
    super::utf7::encode(name)
}

/// Decodes a folder's name.
pub fn utf7_decode(encoded: &str) -> String {
    super::utf7::decode(encoded)
}
