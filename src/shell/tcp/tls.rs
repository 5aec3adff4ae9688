//! TLS 1.2 and 1.3 with the certificate of the client services (`proto/rpc.md`, sections 1 and 2).
//! No certificate is asked of a client. The key leaves this file only inside the configuration of
//! the library.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};
use thiserror::Error;
use zeroize::Zeroizing;

/// Why there is no TLS.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The file is not there.
    #[error("{0}: no such file; make certificate and key with `bitmarkd gen-rpc-cert`")]
    Missing(String),
    /// The file cannot be read.
    #[error("{0}: {1}")]
    Io(String, io::Error),
    /// The file holds something else.
    #[error("{0}: no certificate in this file; make one with `bitmarkd gen-rpc-cert`")]
    NoCertificate(String),
    /// The file holds something else.
    #[error("{0}: no private key in this file; make one with `bitmarkd gen-rpc-cert`")]
    NoKey(String),
    /// The key is none, or not that of the certificate.
    #[error("{certificate} and {key}: {reason}")]
    Unfit {
        /// The file.
        certificate: String,
        /// The file.
        key: String,
        /// What the library says.
        reason: rustls::Error,
    },
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Zeroizing::new(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(TlsError::Missing(name(path))),
        Err(error) => Err(TlsError::Io(name(path), error)),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Vec<_> = pem::parse_many(&*read(path)?)
        .unwrap_or_default()
        .into_iter()
        .filter(|part| part.tag() == "CERTIFICATE")
        .map(|part| CertificateDer::from(part.into_contents()))
        .collect();
    if found.is_empty() {
        return Err(TlsError::NoCertificate(name(path)));
    }
    Ok(found)
}

/// The first private key of the file; the parameters of a curve may stand before it.
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    pem::parse_many(&*read(path)?)
        .unwrap_or_default()
        .into_iter()
        .find_map(|part| match part.tag() {
            "EC PRIVATE KEY" => Some(PrivateSec1KeyDer::from(part.into_contents()).into()),
            "PRIVATE KEY" => Some(PrivatePkcs8KeyDer::from(part.into_contents()).into()),
            "RSA PRIVATE KEY" => Some(PrivatePkcs1KeyDer::from(part.into_contents()).into()),
            _ => None,
        })
        .ok_or_else(|| TlsError::NoKey(name(path)))
}

/// The server's side of TLS. `protocols` are offered by ALPN, the preferred one first; none: ALPN
/// is not spoken.
///
/// # Errors
/// Files that are missing, hold something else or do not belong together.
pub fn server(
    certificate: &Path,
    key: &Path,
    protocols: &[&[u8]],
) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = certificates(certificate)?;
    let secret = private_key(key)?;
    let unfit = |reason| TlsError::Unfit {
        certificate: name(certificate),
        key: name(key),
        reason,
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(unfit)?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(unfit)?;
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::shell::files::certificate::Certificate;

    #[test]
    fn the_files_of_gen_rpc_cert_make_a_server() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("rpc.crt"), folder.path().join("rpc.key"));
        let made = Certificate::generate(&[], SystemTime::now()).unwrap();
        made.write(&certificate, &key).unwrap();
        assert!(server(&certificate, &key, &[]).is_ok());
    }

    #[test]
    fn what_is_missing_or_wrong_is_named_with_the_command_that_helps() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("rpc.crt"), folder.path().join("rpc.key"));
        let error = server(&certificate, &key, &[]).unwrap_err().to_string();
        assert!(error.contains("rpc.crt") && error.contains("bitmarkd gen-rpc-cert"));
        let made = Certificate::generate(&[], SystemTime::now()).unwrap();
        made.write(&certificate, &key).unwrap();
        let error = server(&key, &key, &[]).unwrap_err().to_string();
        assert!(error.contains("no certificate"), "{error}");
        let error = server(&certificate, &certificate, &[]).unwrap_err();
        assert!(error.to_string().contains("no private key"), "{error}");
        let other = folder.path().join("other.key");
        let made = Certificate::generate(&[], SystemTime::now()).unwrap();
        made.write(&folder.path().join("other.crt"), &other)
            .unwrap();
        let error = server(&certificate, &other, &[]).unwrap_err();
        assert!(matches!(error, TlsError::Unfit { .. }), "{error}");
    }
}
