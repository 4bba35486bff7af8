//! Applications that prove who they are by a certificate.

use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::symm::Cipher;
use openssl::x509::X509;

use super::sign_in::{oauth2, only, signed_in};
use super::*;

pub(super) struct Certified {
    pub(super) certificate: Vec<u8>,
    key: PKey<Private>,
}

impl Certified {
    /// Valid from and to so many days from now.
    pub(super) fn new(key: PKey<Private>, from: i64, to: i64) -> Self {
        let day = |days: i64| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            Asn1Time::from_unix(i64::try_from(now.as_secs()).unwrap() + days * 86_400).unwrap()
        };
        let mut certificate = X509::builder().unwrap();
        certificate.set_pubkey(&key).unwrap();
        certificate.set_not_before(&day(from)).unwrap();
        certificate.set_not_after(&day(to)).unwrap();
        certificate.sign(&key, MessageDigest::sha256()).unwrap();
        Self { certificate: certificate.build().to_pem().unwrap(), key }
    }

    pub(super) fn key_pem(&self) -> Vec<u8> {
        self.key.private_key_to_pem_pkcs8().unwrap()
    }
}

pub(super) fn rsa() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()
}

fn with_certificate(certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Setup {
    let more = "flow = \"client_credentials\"\ntenant = \"contoso.com\"\ncertificate_file = \"certificate.pem\"\n\
                private_key_file = \"key.pem\"";
    let setup = Setup::new(&oauth2(r#"provider = "microsoft365""#, more));
    setup.with("certificate.pem", certificate).with("key.pem", key)
}

#[test]
fn a_certificate_and_its_key_are_read() {
    let certified = Certified::new(rsa(), -1, 1);
    let old_form = certified.key.rsa().unwrap().private_key_to_pem().unwrap();

    for key in [certified.key_pem(), old_form] {
        let oauth2 = signed_in(&with_certificate(&certified.certificate, &key));

        let Flow::ClientCredentials(ClientProof::Certificate { certificate_pem, key_pem }) = &oauth2.flow
        else {
            panic!("{oauth2:?}")
        };
        assert_eq!(certificate_pem, &certified.certificate);
        assert_eq!(key_pem.expose_secret().as_bytes(), key);
    }
}

#[test]
fn a_certificate_that_would_be_refused_is_told_before() {
    let good = Certified::new(rsa(), -1, 1);
    let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let curve = Certified::new(PKey::from_ec_key(EcKey::generate(&curve).unwrap()).unwrap(), -1, 1);
    let encrypted =
        good.key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"passphrase").unwrap();

    let mut found = Vec::new();
    for setup in [
        with_certificate("text", good.key_pem()),
        with_certificate(&good.certificate, "text"),
        with_certificate(&good.certificate, b"\xfc"),
        with_certificate(&good.certificate, encrypted),
        with_certificate(&curve.certificate, curve.key_pem()),
        with_certificate(&good.certificate, rsa().private_key_to_pem_pkcs8().unwrap()),
    ] {
        let (key, what, _) = only(&setup);
        found.push(format!("{key}: {what}"));
    }

    insta::assert_snapshot!(found.join("\n"));
}

#[test]
fn a_certificate_that_has_ended_stops_no_other_mailbox() {
    let ended = Certified::new(rsa(), -2, -1);

    let loaded = with_certificate(&ended.certificate, ended.key_pem()).load();

    assert!(loaded.is_ok(), "{}", loaded.unwrap_err());
}

#[test]
fn a_certificate_without_its_key_is_not_enough() {
    let more =
        "flow = \"client_credentials\"\ntenant = \"contoso.com\"\ncertificate_file = \"certificate.pem\"";
    let setup = Setup::new(&oauth2(r#"provider = "microsoft365""#, more));
    let setup = setup.with("certificate.pem", Certified::new(rsa(), -1, 1).certificate);

    assert_eq!(only(&setup).0, "auth.private_key_file");
}
