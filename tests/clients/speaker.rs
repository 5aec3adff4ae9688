//! A client that speaks TLS and takes any certificate.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use bitmarkd::shell::tcp::known::ByFingerprint;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// No test waits longer for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Whether the other side ended the connection, in whatever way, sending no more.
pub fn is_ended(stream: &mut impl std::io::Read) -> bool {
    match stream.read(&mut [0; 1]) {
        Ok(count) => count == 0,
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

/// A client that speaks TLS.
pub struct Client {
    pub stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
}

impl Client {
    pub fn new(address: SocketAddr, protocols: &[&[u8]]) -> std::io::Result<Self> {
        Self::with(address, protocols, rustls::ALL_VERSIONS)
    }

    pub fn with(
        address: SocketAddr,
        protocols: &[&[u8]],
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> std::io::Result<Self> {
        Self::connect(address, protocols, versions, || {})
    }

    /// From far away: all of `flight` happens while a flight of the handshake is on its way.
    pub fn slow(address: SocketAddr, flight: impl FnMut()) -> std::io::Result<Self> {
        Self::connect(address, &[], rustls::ALL_VERSIONS, flight)
    }

    fn connect(
        address: SocketAddr,
        protocols: &[&[u8]],
        versions: &[&'static rustls::SupportedProtocolVersion],
        mut flight: impl FnMut(),
    ) -> std::io::Result<Self> {
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(ByFingerprint::new(None)))
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let name = ServerName::try_from("localhost").unwrap();
        let session = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = StreamOwned::new(session, tcp(address));
        while stream.conn.is_handshaking() {
            if stream.conn.wants_write() {
                flight();
                stream.conn.write_tls(&mut stream.sock)?;
            } else if stream.conn.read_tls(&mut stream.sock)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            } else if let Err(error) = stream.conn.process_new_packets() {
                let _ = stream.conn.write_tls(&mut stream.sock);
                return Err(std::io::Error::other(error));
            }
        }
        while stream.conn.wants_write() {
            flight();
            stream.conn.write_tls(&mut stream.sock)?;
        }
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    pub fn session(&self) -> &ClientConnection {
        &self.stream.get_ref().conn
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).unwrap();
    }

    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())?;
        self.stream.get_mut().flush()
    }

    /// The next reply, with its line's end.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line
    }

    pub fn ask(&mut self, request: &str) -> String {
        self.send(request);
        self.line()
    }

    /// All that comes until the end.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = self.stream.read_to_end(&mut rest);
        rest
    }

    pub fn is_ended(&mut self) -> bool {
        is_ended(&mut self.stream)
    }
}
