//! The self-signed certificate of the client service and its fingerprint (`proto/rpc.md`,
//! section 2).
//!
//! An existing certificate or key is never overwritten.

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::time::SystemTime;

use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der};
use aws_lc_rs::signature::{ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair};
use rand::RngCore;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P521_SHA512, SanType, SerialNumber,
};
use sha3::{Digest, Sha3_256};
use thiserror::Error;
use time::{Duration, OffsetDateTime};

use super::atomic;
use crate::core::announce::rpcs::Fingerprint;

/// Organisation of subject and issuer.
const ORGANISATION: &str = "bitmarkd self signed cert for: rpc";
/// 2049-12-31 23:59:59 UTC: no certificate is valid longer.
const LAST_SECOND: i64 = 2_524_607_999;

/// Why there is no certificate.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// Never overwritten.
    #[error("certificate file already exists")]
    CertificateExists,
    /// Never overwritten.
    #[error("key file already exists")]
    KeyExists,
    /// The text holds no certificate.
    #[error("{0}: no certificate in this file")]
    NoCertificate(String),
    /// A name that no certificate can hold.
    #[error("{0:?} is neither an address nor a host name")]
    InvalidName(String),
    /// The library could not make it.
    #[error("making the certificate: {0}")]
    Making(String),
    /// The files could not be written or read.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: String,
        /// What the system says.
        error: io::Error,
    },
}

/// A certificate with its key, both as PEM.
pub struct Certificate {
    /// `CERTIFICATE`.
    pub certificate: String,
    /// `EC PRIVATE KEY`.
    key: String,
    /// SHA3-256 of the certificate.
    pub fingerprint: Fingerprint,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate")
            .field("fingerprint", &hex::encode(self.fingerprint))
            .finish_non_exhaustive()
    }
}

impl Certificate {
    /// Makes a certificate for this host, valid for ten years. `names` are added; without any,
    /// the addresses of the local interfaces are.
    ///
    /// # Errors
    /// A name that is none, or a failure of the library.
    pub fn generate(names: &[String], now: SystemTime) -> Result<Self, CertificateError> {
        let making = |error: String| CertificateError::Making(error);
        let pair = EcdsaKeyPair::generate(&ECDSA_P521_SHA512_ASN1_SIGNING)
            .map_err(|error| making(error.to_string()))?;
        let pkcs8 = pair
            .to_pkcs8v1()
            .map_err(|error| making(error.to_string()))?;
        let sec1: EcPrivateKeyRfc5915Der<'_> = pair
            .private_key()
            .as_der()
            .map_err(|error| making(error.to_string()))?;
        let signer =
            KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8.as_ref().into(), &PKCS_ECDSA_P521_SHA512)
                .map_err(|error| making(error.to_string()))?;
        let certificate = parameters(names, now)?
            .self_signed(&signer)
            .map_err(|error| making(error.to_string()))?;
        Ok(Self {
            certificate: encode("CERTIFICATE", certificate.der()),
            key: encode("EC PRIVATE KEY", sec1.as_ref()),
            fingerprint: Sha3_256::digest(certificate.der()).into(),
        })
    }

    /// Writes both files, the key for its owner alone.
    ///
    /// # Errors
    /// A file that exists, or a failing write; nothing of ours is left then.
    pub fn write(&self, certificate: &Path, key: &Path) -> Result<(), CertificateError> {
        if certificate.exists() {
            return Err(CertificateError::CertificateExists);
        }
        if key.exists() {
            return Err(CertificateError::KeyExists);
        }
        let failed = |path: &Path, error| CertificateError::Io {
            path: path.display().to_string(),
            error,
        };
        atomic::create(key, self.key.as_bytes(), 0o600).map_err(|error| failed(key, error))?;
        atomic::create(certificate, self.certificate.as_bytes(), 0o666).map_err(|error| {
            let _ = std::fs::remove_file(key);
            failed(certificate, error)
        })
    }
}

fn encode(tag: &str, der: &[u8]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(tag, der), config)
}

fn parameters(names: &[String], now: SystemTime) -> Result<CertificateParams, CertificateError> {
    let now = OffsetDateTime::from(now);
    let last = OffsetDateTime::from_unix_timestamp(LAST_SECOND).unwrap_or(now);
    let mut serial = [0_u8; 16];
    rand::rngs::OsRng.fill_bytes(&mut serial);
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, ORGANISATION);

    let mut parameters = CertificateParams::default();
    parameters.not_before = now - Duration::days(1);
    parameters.not_after = ten_years_after(now).min(last);
    parameters.serial_number = Some(SerialNumber::from_slice(&serial));
    parameters.distinguished_name = subject;
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
        KeyUsagePurpose::KeyCertSign,
    ];
    parameters.subject_alt_names = all_names(names)?;
    Ok(parameters)
}

fn ten_years_after(now: OffsetDateTime) -> OffsetDateTime {
    now.replace_year(now.year() + 10)
        .unwrap_or(now + Duration::days(3652))
}

/// Host name, `localhost`, the loopback addresses, then what was given or the interfaces have.
fn all_names(given: &[String]) -> Result<Vec<SanType>, CertificateError> {
    let mut texts = Vec::new();
    if let Ok(host) = nix::unistd::gethostname() {
        texts.push(host.to_string_lossy().into_owned());
    }
    texts.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
    if given.is_empty() {
        texts.extend(interface_addresses().iter().map(IpAddr::to_string));
    } else {
        texts.extend_from_slice(given);
    }
    let mut names: Vec<SanType> = Vec::new();
    for text in texts {
        let name = match text.parse::<IpAddr>() {
            Ok(ip) => SanType::IpAddress(ip),
            Err(_) => SanType::DnsName(host_name(&text)?),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

fn host_name(text: &str) -> Result<Ia5String, CertificateError> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._*".contains(&b);
    Some(text)
        .filter(|text| !text.is_empty() && text.len() <= 253 && text.bytes().all(fits))
        .and_then(|text| Ia5String::try_from(text).ok())
        .ok_or_else(|| CertificateError::InvalidName(text.to_owned()))
}

fn interface_addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else {
        return Vec::new();
    };
    interfaces
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            let v6 = address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip()));
            v4.or(v6)
        })
        .collect()
}

/// The fingerprint of the first certificate in a file.
///
/// # Errors
/// A file without one.
pub fn fingerprint_of(path: &Path) -> Result<Fingerprint, CertificateError> {
    let name = path.display().to_string();
    let text = std::fs::read(path).map_err(|error| CertificateError::Io {
        path: name.clone(),
        error,
    })?;
    pem::parse_many(text)
        .unwrap_or_default()
        .iter()
        .find(|part| part.tag() == "CERTIFICATE")
        .map(|part| Sha3_256::digest(part.contents()).into())
        .ok_or(CertificateError::NoCertificate(name))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use aws_lc_rs::signature::{ECDSA_P521_SHA512_ASN1, UnparsedPublicKey};
    use x509_parser::prelude::{FromDer, X509Certificate};

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn der(certificate: &Certificate) -> Vec<u8> {
        pem::parse(&certificate.certificate)
            .unwrap()
            .into_contents()
    }

    #[test]
    fn a_certificate_has_the_fields_of_the_notes() {
        let names = ["node.example".to_owned(), "198.51.100.7".to_owned()];
        let made = Certificate::generate(&names, at(1_800_000_000)).unwrap();
        let der = der(&made);
        let (_, read) = X509Certificate::from_der(&der).unwrap();
        assert_eq!(
            read.subject().to_string(),
            "O=bitmarkd self signed cert for: rpc"
        );
        assert_eq!(read.issuer(), read.subject());
        let validity = read.validity();
        assert_eq!(validity.not_before.timestamp(), 1_800_000_000 - 86_400);
        assert_eq!(validity.not_after.timestamp(), 2_115_619_200);
        assert!(read.is_ca());
        let usage = read.key_usage().unwrap().unwrap().value;
        assert!(usage.digital_signature() && usage.key_encipherment() && usage.key_cert_sign());
        assert_eq!(usage.flags.count_ones(), 3);
        assert!(read.raw_serial().len() <= 17);
        let names = read.subject_alternative_name().unwrap().unwrap().value;
        let names: Vec<String> = names
            .general_names
            .iter()
            .map(ToString::to_string)
            .collect();
        let names = names.join(" ");
        for name in ["localhost", "node.example", "c6:33:64:07", "7f:00:00:01"] {
            assert!(names.contains(name), "{names} lacks {name}");
        }
        let key = read.public_key().parsed().unwrap();
        assert_eq!(key.key_size(), 528, "P-521 in whole bytes");
        let signer = UnparsedPublicKey::new(
            &ECDSA_P521_SHA512_ASN1,
            &read.public_key().subject_public_key.data,
        );
        let signed = signer.verify(read.tbs_certificate.as_ref(), &read.signature_value.data);
        assert!(signed.is_ok(), "it is signed by its own key");
    }

    #[test]
    fn no_certificate_outlives_2049() {
        let made = Certificate::generate(&[], at(2_400_000_000)).unwrap();
        let der = der(&made);
        let (_, read) = X509Certificate::from_der(&der).unwrap();
        assert_eq!(read.validity().not_after.timestamp(), LAST_SECOND);
    }

    #[test]
    fn the_key_is_sec1_and_names_its_curve() {
        let made = Certificate::generate(&[], at(1_800_000_000)).unwrap();
        let key = pem::parse(&made.key).unwrap();
        assert_eq!(key.tag(), "EC PRIVATE KEY");
        let curve = [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23];
        assert!(key.contents().windows(7).any(|part| part == curve));
        assert!(!format!("{made:?}").contains("PRIVATE"));
    }

    #[test]
    fn nothing_is_overwritten_and_the_fingerprint_is_that_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("rpc.crt"), folder.path().join("rpc.key"));
        let made = Certificate::generate(&[], SystemTime::now()).unwrap();
        made.write(&certificate, &key).unwrap();
        assert_eq!(fingerprint_of(&certificate).unwrap(), made.fingerprint);
        let mode = std::fs::metadata(&key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let error = made.write(&certificate, &key).unwrap_err();
        assert_eq!(error.to_string(), "certificate file already exists");
        std::fs::remove_file(&certificate).unwrap();
        let error = made.write(&certificate, &key).unwrap_err();
        assert_eq!(error.to_string(), "key file already exists");
        assert!(fingerprint_of(&key).is_err());
    }

    #[test]
    fn a_name_with_blanks_is_refused() {
        let error = Certificate::generate(&["a b".to_owned()], SystemTime::now()).unwrap_err();
        assert!(matches!(error, CertificateError::InvalidName(_)));
    }
}
