//! Whom we trust: TLS connectors, shared by the connections that trust the same authorities.
//!
//! A connector holds the system's authorities, a megabyte that takes ten milliseconds to read. A thousand mailboxes
//! have one each only if each has a private authority of its own.
//!
//! Invariant: the certificate is always verified, name included; there is no way to switch that off.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_native_tls::TlsConnector;

use crate::config;

use super::error::{Error, TlsFault};

/// How long a connector is used for new connections: an update of the system's authorities is heeded by a worker that
/// runs for months.
const LIFETIME: Duration = Duration::from_hours(1);

/// The connectors of this process.
static SHARED: LazyLock<Mutex<Connectors>> = LazyLock::new(Mutex::default);

/// The connector for a mailbox.
pub(super) fn connector(config: &config::Mailbox) -> Result<TlsConnector, Error> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.connector(config, Instant::now())
}

/// Connectors by what is trusted besides the system's authorities, and when each was made.
#[derive(Default)]
struct Connectors(HashMap<Option<Vec<u8>>, (TlsConnector, Instant)>);

impl Connectors {
    fn connector(&mut self, config: &config::Mailbox, now: Instant) -> Result<TlsConnector, Error> {
        self.0.retain(|_, (_, made)| now.duration_since(*made) < LIFETIME);
        if let Some((connector, _)) = self.0.get(&config.ca_pem) {
            return Ok(connector.clone());
        }
        let connector = build(config)?;
        self.0.insert(config.ca_pem.clone(), (connector.clone(), now));
        Ok(connector)
    }
}

fn build(config: &config::Mailbox) -> Result<TlsConnector, Error> {
    let tls_error = |source| Error::Tls { host: config.host.clone(), fault: TlsFault::Handshake, source };
    let mut builder = native_tls::TlsConnector::builder();
    builder.min_protocol_version(Some(native_tls::Protocol::Tlsv12));
    if let Some(pem) = &config.ca_pem {
        let authority = native_tls::Certificate::stack_from_pem(pem).unwrap_or_default();
        if authority.is_empty() {
            return Err(Error::Authority { host: config.host.clone() });
        }
        for certificate in authority {
            builder.add_root_certificate(certificate);
        }
    }
    builder.build().map(Into::into).map_err(tls_error)
}

#[cfg(test)]
mod tests {
    use devstack::Authority;

    use crate::mailbox::script;

    use super::*;

    #[test]
    fn a_connector_is_made_once_an_hour_for_each_set_of_authorities() {
        let start = Instant::now();
        let usual = script::mailbox();
        let ca_pem = Some(Authority::new().unwrap().pem().to_owned());
        let private = config::Mailbox { ca_pem, ..script::mailbox() };
        let mut connectors = Connectors::default();

        let mut made = |config: &config::Mailbox, minutes: u64| {
            let now = start + Duration::from_mins(minutes);
            connectors.connector(config, now).unwrap();
            let mut ages: Vec<u64> =
                connectors.0.values().map(|(_, made)| (now - *made).as_secs() / 60).collect();
            ages.sort_unstable();
            ages
        };

        assert_eq!(made(&usual, 0), [0]);
        assert_eq!(made(&usual, 20), [20]);
        assert_eq!(made(&private, 30), [0, 30]);
        assert_eq!(made(&private, 59), [29, 59]);
        assert_eq!(made(&usual, 60), [0, 30]);
        assert_eq!(made(&usual, 90), [30]);
    }
}
