//! A certificate authority made on the spot. No certificate lies in the repository to expire some day.

use anyhow::{Context, Result};
use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{
    BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName, SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Builder, X509NameBuilder};
use tokio_native_tls::TlsAcceptor;

const NAME: &str = "Postroom devstack";
const DAYS: u32 = 30;

/// An authority whose key only this process has.
#[derive(Debug)]
pub struct Authority {
    certificate: X509,
    key: PKey<Private>,
    pem: Vec<u8>,
}

/// A server's certificate and key, in PEM.
#[derive(Debug)]
pub(crate) struct Certified {
    pub(crate) certificate: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

impl Authority {
    /// Makes an authority. Takes about a millisecond.
    pub fn new() -> Result<Self> {
        Self::make().context("making a certificate authority")
    }

    /// Its certificate in PEM: what a client is to trust.
    pub fn pem(&self) -> &[u8] {
        &self.pem
    }

    /// Makes a certificate for a server that is reached by the DNS name `host`.
    pub(crate) fn certify(&self, host: &str) -> Result<Certified> {
        self.issue(host).with_context(|| format!("making a certificate for {host}"))
    }

    /// Makes a certificate with an RSA key, as identity platforms want it, for a program that proves who it is by it.
    pub(crate) fn certify_client(&self, name: &str) -> Result<Certified> {
        self.issue_client(name).with_context(|| format!("making a certificate for {name}"))
    }

    /// Sets up TLS for a server in this process that is reached by the DNS name `host`.
    pub(crate) fn acceptor(&self, host: &str) -> Result<TlsAcceptor> {
        let certified = self.certify(host)?;
        let identity = native_tls::Identity::from_pkcs8(&certified.certificate, &certified.key)?;
        Ok(native_tls::TlsAcceptor::new(identity).context("setting up TLS")?.into())
    }

    fn make() -> Result<Self, ErrorStack> {
        let key = new_key()?;
        let mut draft = draft(NAME, &key)?;
        draft.append_extension(BasicConstraints::new().critical().ca().build()?)?;
        draft.append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build()?)?;
        let id = SubjectKeyIdentifier::new().build(&draft.x509v3_context(None, None))?;
        draft.append_extension(id)?;
        draft.sign(&key, MessageDigest::sha256())?;
        let certificate = draft.build();
        let pem = certificate.to_pem()?;
        Ok(Self { certificate, key, pem })
    }

    fn issue(&self, host: &str) -> Result<Certified, ErrorStack> {
        let key = new_key()?;
        let mut draft = draft(host, &key)?;
        draft.append_extension(BasicConstraints::new().build()?)?;
        draft.append_extension(ExtendedKeyUsage::new().server_auth().build()?)?;
        let names = SubjectAlternativeName::new()
            .dns(host)
            .build(&draft.x509v3_context(Some(&self.certificate), None))?;
        draft.append_extension(names)?;
        draft.sign(&self.key, MessageDigest::sha256())?;
        Ok(Certified { certificate: draft.build().to_pem()?, key: key.private_key_to_pem_pkcs8()? })
    }

    fn issue_client(&self, name: &str) -> Result<Certified, ErrorStack> {
        let key = PKey::from_rsa(Rsa::generate(2048)?)?;
        let mut draft = draft(name, &key)?;
        draft.sign(&self.key, MessageDigest::sha256())?;
        Ok(Certified { certificate: draft.build().to_pem()?, key: key.private_key_to_pem_pkcs8()? })
    }
}

fn new_key() -> Result<PKey<Private>, ErrorStack> {
    let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    PKey::from_ec_key(EcKey::generate(&curve)?)
}

/// A certificate by the authority that lacks its extensions and its signature.
fn draft(name: &str, key: &PKey<Private>) -> Result<X509Builder, ErrorStack> {
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
    let mut subject = X509NameBuilder::new()?;
    subject.append_entry_by_nid(Nid::COMMONNAME, name)?;
    let mut issuer = X509NameBuilder::new()?;
    issuer.append_entry_by_nid(Nid::COMMONNAME, NAME)?;

    let mut draft = X509::builder()?;
    // Versions count from 0: this is X.509 version 3.
    draft.set_version(2)?;
    let serial = Asn1Integer::from_bn(&serial)?;
    draft.set_serial_number(&serial)?;
    draft.set_subject_name(&subject.build())?;
    draft.set_issuer_name(&issuer.build())?;
    let (start, end) = (Asn1Time::days_from_now(0)?, Asn1Time::days_from_now(DAYS)?);
    draft.set_not_before(&start)?;
    draft.set_not_after(&end)?;
    draft.set_pubkey(key)?;
    Ok(draft)
}
