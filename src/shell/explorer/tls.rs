//! TLS of the explorer: a certificate and its key from files, versions 1.2 and 1.3.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// Reads both files.
///
/// # Errors
/// The file that cannot be read or does not fit, and why.
pub fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, String> {
    let of = |path: &Path, why: String| format!("{}: {why}", path.display());
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| of(certificate, e.to_string()))?;
    if chain.is_empty() {
        return Err(of(certificate, "no certificate in this file".to_owned()));
    }
    let key_der = PrivateKeyDer::from_pem_file(key).map_err(|e| of(key, e.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(chain, key_der)
        })
        .map_err(|e| of(certificate, e.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::pki_types::{ServerName, UnixTime};
    use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_rustls::TlsConnector;

    use super::super::{Allowed, Service, Source};
    use super::*;
    use crate::shell::files::certificate::Certificate;

    /// Takes any certificate: what is tried is the listener.
    #[derive(Debug)]
    struct Any;

    impl ServerCertVerifier for Any {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![
                SignatureScheme::ECDSA_NISTP521_SHA512,
                SignatureScheme::ECDSA_NISTP256_SHA256,
            ]
        }
    }

    #[test]
    fn with_a_certificate_the_same_pages_come_over_tls() {
        let folder = tempfile::tempdir().unwrap();
        let [certificate, key] = ["one.crt", "one.key"].map(|name| folder.path().join(name));
        let made = Certificate::generate(&["localhost".to_owned()], std::time::SystemTime::now());
        made.unwrap().write(&certificate, &key).unwrap();
        let tls = acceptor(&certificate, &key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Any))
            .with_no_client_auth();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let source = Source {
                ask: Arc::new(|_| panic!("nothing is asked")),
                store_bytes: Arc::new(|| panic!("nothing is asked")),
            };
            let service = Service::new(source, Allowed::default(), Some(tls));
            let (near, far) = tokio::io::duplex(65_536);
            let served = tokio::spawn(async move {
                service.connection(near, "127.0.0.1".parse().unwrap()).await;
            });
            let name = ServerName::try_from("localhost").unwrap();
            let connector = TlsConnector::from(Arc::new(client));
            let mut stream = connector.connect(name, far).await.unwrap();
            let request = b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n";
            stream.write_all(request).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            assert!(answer.ends_with("alive\n"), "{answer}");
            served.await.unwrap();
        });
    }

    #[test]
    fn files_that_are_none_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let nowhere = folder.path().join("nowhere.crt");
        let Err(why) = acceptor(&nowhere, &nowhere) else {
            panic!("there is no such file");
        };
        assert!(why.contains("nowhere.crt"), "{why}");
        let empty = folder.path().join("empty.crt");
        std::fs::write(&empty, "").unwrap();
        let Err(why) = acceptor(&empty, &empty) else {
            panic!("it is empty");
        };
        assert!(why.contains("empty.crt"), "{why}");
    }
}
