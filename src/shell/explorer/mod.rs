//! The explorer's pages, metrics and health (`docs/explorer.md`): HTTP on a listener of its own,
//! plain on loopback, over TLS where there is a certificate. It asks and shows; it decides nothing
//! and changes nothing. Everything it serves is in the program itself.
//!
//! Bounds: [`CONNECTIONS_MAX`] connections, of which `live::LISTENERS_MAX` may follow what
//! changes; [`HEAD_BYTES`] for the head of a request and [`URL_BYTES`] for its address;
//! [`HEAD_WAIT`] until a head is there (also the longest pause between two requests),
//! [`HANDSHAKE_WAIT`] for the handshake, `timed::WRITE_WAIT` for a client that does not read.

mod live;
mod metrics;
mod pages;
mod routes;
mod timed;

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use super::counters::Counters;
use crate::core::explore::{Question, Shown};

pub use metrics::{Numbers, render};

/// What ALPN offers.
pub const PROTOCOLS: [&[u8]; 1] = [b"http/1.1"];
/// Connections at a time.
pub const CONNECTIONS_MAX: usize = 64;
/// Head of a request.
pub const HEAD_BYTES: usize = 32 << 10;
/// Address of a request: a fingerprint of 1024 characters fits, whatever they are.
pub const URL_BYTES: usize = 16 << 10;
/// Until the head of a request is there.
pub const HEAD_WAIT: Duration = Duration::from_secs(15);
/// Until a TLS handshake is done.
pub const HANDSHAKE_WAIT: Duration = Duration::from_secs(5);
/// After the system refused to accept one.
const PAUSE: Duration = Duration::from_millis(100);

/// An answer that is waited for.
pub type Answering<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What the pages are made of. Clones share it.
#[derive(Clone)]
pub struct Source {
    /// Asks the engine; an outer error: it did not answer.
    pub ask: Arc<dyn Fn(Question) -> Answering<Result<Shown, String>> + Send + Sync>,
    /// The bytes of the store on disk.
    pub store_bytes: Arc<dyn Fn() -> Answering<u64> + Send + Sync>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").finish_non_exhaustive()
    }
}

/// Who is let in beside this machine itself.
#[derive(Debug, Clone, Default)]
pub struct Allowed(pub Vec<IpAddr>);

impl Allowed {
    /// Whether this address may look.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_loopback() || self.0.iter().any(|one| one.to_canonical() == address)
    }
}

/// The service, ready to accept. Clones share its numbers.
#[derive(Clone)]
pub struct Service {
    site: Router,
    closed: Router,
    allowed: Arc<Allowed>,
    tls: Option<TlsAcceptor>,
    places: Arc<Semaphore>,
    numbers: Arc<Numbers>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("allowed", &self.allowed)
            .field("is_tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

impl Service {
    /// A service that asks `source`. To be called inside a runtime: a task of it looks for changes.
    #[must_use]
    pub fn new(source: Source, allowed: Allowed, tls: Option<Arc<ServerConfig>>) -> Self {
        Self::with_counters(source, allowed, tls, Counters::default())
    }

    /// Shows among its metrics what the other shells of the node count.
    #[must_use]
    pub fn with_counters(
        source: Source,
        allowed: Allowed,
        tls: Option<Arc<ServerConfig>>,
        counters: Counters,
    ) -> Self {
        let numbers = Arc::new(Numbers::new(counters));
        Self {
            site: routes::site(source, Arc::clone(&numbers)),
            closed: routes::closed(Arc::clone(&numbers)),
            allowed: Arc::new(allowed),
            tls: tls.map(TlsAcceptor::from),
            places: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            numbers,
        }
    }

    /// Serves who connects, for ever. Who finds no place waits in the system's queue.
    pub async fn accept(self, listener: TcpListener) {
        loop {
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
                return;
            };
            let Ok((stream, address)) = listener.accept().await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let service = self.clone();
            let _ = stream.set_nodelay(true);
            tokio::spawn(async move {
                let _open = service.numbers.open();
                service.connection(stream, address.ip()).await;
                drop(place);
            });
        }
    }

    /// Serves one connection that was accepted, until it ends. It has no place of its own: who
    /// calls this bounds their number.
    pub async fn connection<S>(&self, stream: S, address: IpAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let router = if self.allowed.has(address) {
            self.site.clone()
        } else {
            log::debug!(target: "explorer", "{address} is not let in");
            self.closed.clone()
        };
        match &self.tls {
            None => exchange(stream, router).await,
            Some(tls) => {
                let handshake = tls.accept(stream);
                if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_WAIT, handshake).await {
                    exchange(stream, router).await;
                }
            }
        }
    }
}

/// Requests and answers of one connection, until it ends.
async fn exchange<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, router: Router) {
    let io = TokioIo::new(timed::Timed::new(stream, timed::WRITE_WAIT));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(io, TowerToHyperService::new(router));
    if let Err(e) = connection.await {
        log::debug!(target: "explorer", "a connection ended: {e}");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[test]
    fn who_is_not_let_in_sees_nothing_whatever_is_asked() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let source = Source {
                ask: Arc::new(|_| panic!("nothing is asked")),
                store_bytes: Arc::new(|| panic!("nothing is asked")),
            };
            for path in [
                "/",
                "/pages/app.js",
                "/api/overview",
                "/metrics",
                "/healthz",
            ] {
                let service = Service::new(source.clone(), Allowed::default(), None);
                let (near, mut far) = tokio::io::duplex(65_536);
                let request = format!("GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n");
                far.write_all(request.as_bytes()).await.unwrap();
                service.connection(near, "192.0.2.8".parse().unwrap()).await;
                let mut answer = String::new();
                far.read_to_string(&mut answer).await.unwrap();
                assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
                assert!(answer.contains("[explorer] allow"), "{answer}");
            }
        });
    }

    #[test]
    fn this_machine_and_who_is_named_are_let_in_and_nobody_else() {
        let allowed = Allowed(vec!["192.0.2.7".parse().unwrap()]);
        for (address, is_let_in) in [
            ("127.0.0.1", true),
            ("127.8.9.10", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("192.0.2.7", true),
            ("::ffff:192.0.2.7", true),
            ("192.0.2.8", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(
                allowed.has(address.parse().unwrap()),
                is_let_in,
                "{address}"
            );
        }
    }
}
