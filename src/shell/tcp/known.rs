//! The client's side of TLS: a server is known by the fingerprint of its certificate, which it made
//! itself (`proto/rpc.md`, section 2). Names, dates and chains are never looked at.

use std::sync::Mutex;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use sha3::{Digest as _, Sha3_256};

use crate::core::announce::rpcs::Fingerprint;

/// Takes the certificate that has the wanted fingerprint, or any while none is known; remembers
/// which it was. That the server has its key is checked in any case.
#[derive(Debug)]
pub struct ByFingerprint {
    wanted: Option<Fingerprint>,
    seen: Mutex<Option<Fingerprint>>,
    provider: CryptoProvider,
}

impl ByFingerprint {
    /// For a server that must show this certificate, if one is known.
    #[must_use]
    pub fn new(wanted: Option<Fingerprint>) -> Self {
        Self {
            wanted,
            seen: Mutex::default(),
            provider: aws_lc_rs::default_provider(),
        }
    }

    /// The certificate that was shown.
    #[must_use]
    pub fn seen(&self) -> Option<Fingerprint> {
        self.seen.lock().ok().and_then(|seen| *seen)
    }
}

impl ServerCertVerifier for ByFingerprint {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found = Fingerprint::from(Sha3_256::digest(certificate));
        if let Ok(mut seen) = self.seen.lock() {
            *seen = Some(found);
        }
        if self.wanted.is_none_or(|wanted| wanted == found) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
