//! The explorer's pages, metrics and health (`docs/explorer.md`): HTTP on a listener of its own,
//! plain on loopback, over TLS where there is a certificate. It asks and shows; it decides nothing
//! and changes nothing. Everything it serves is in the program itself.
//!
//! Who may not look is told so on a connection of its own kind, and closed: it takes no place of
//! those who may.
//!
//! Bounds: `doors::CONNECTIONS_MAX` connections, of which `live::LISTENERS_MAX` may follow what
//! changes, and `doors::STRANGERS_MAX` of others; [`HEAD_BYTES`] for the head of a request and
//! [`URL_BYTES`] for its address; [`HEAD_WAIT`] until a head is there (also the longest pause between
//! two requests), [`HANDSHAKE_WAIT`] for the handshake, [`STRANGER_WAIT`] for all of who may not look,
//! `timed::PACE` for a client that reads slowly or not at all.

mod asked;
mod doors;
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
use axum::extract::Request;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use self::doors::{Busy, Doors};
use super::counters::Counters;
use super::tcp::Place;
use crate::core::explore::{Question, Shown};

pub use doors::{CONNECTIONS_MAX, RESERVE, STRANGERS_MAX};
pub use metrics::{Numbers, render};

/// What ALPN offers.
pub const PROTOCOLS: [&[u8]; 1] = [b"http/1.1"];
/// Head of a request.
pub const HEAD_BYTES: usize = 32 << 10;
/// Address of a request: a fingerprint of 1024 characters fits, whatever they are.
pub const URL_BYTES: usize = 16 << 10;
/// Until the head of a request is there.
pub const HEAD_WAIT: Duration = Duration::from_secs(15);
/// Until a TLS handshake is done.
pub const HANDSHAKE_WAIT: Duration = Duration::from_secs(5);
/// Until who may not look is gone: handshake, request and answer.
pub const STRANGER_WAIT: Duration = Duration::from_secs(5);
/// A place is lost to others, not to time: what has its time ends the connection.
const NEVER: Duration = Duration::from_secs(u32::MAX as u64);
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
    doors: Doors,
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
            site: routes::site(source, Arc::clone(&numbers), tls.is_some()),
            closed: routes::closed(Arc::clone(&numbers)),
            doors: Doors::new(numbers.places.clone()),
            allowed: Arc::new(allowed),
            tls: tls.map(TlsAcceptor::from),
        }
    }

    /// Serves who connects, for ever. Who may look and finds no place, where nobody is idle, is
    /// closed; so is who may not look where too many of those are there.
    pub async fn accept(self, listener: TcpListener) {
        loop {
            let Ok((stream, address)) = listener.accept().await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let _ = stream.set_nodelay(true);
            self.greet(stream, address.ip());
            // Who was there has its turn between any two newcomers.
            tokio::task::yield_now().await;
        }
    }

    fn greet(&self, stream: TcpStream, address: IpAddr) {
        let service = self.clone();
        if self.allowed.has(address) {
            if let Some(place) = self.doors.take(address) {
                tokio::spawn(async move {
                    let place = Arc::new(place);
                    service.serve(stream, Some(&place)).await;
                });
            }
        } else if let Some(turn) = self.doors.stranger() {
            tokio::spawn(async move {
                service.turn_away(stream, address).await;
                drop(turn);
            });
        }
    }

    /// Serves one connection that was accepted, until it ends. It has no place of its own: who
    /// calls this bounds their number.
    pub async fn connection<S>(&self, stream: S, address: IpAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if self.allowed.has(address) {
            self.serve(stream, None).await;
        } else {
            self.turn_away(stream, address).await;
        }
    }

    async fn serve<S>(&self, stream: S, place: Option<&Arc<Place>>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let served = async {
            match &self.tls {
                None => exchange(stream, self.site.clone(), true, place).await,
                Some(tls) => {
                    let handshake = tls.accept(stream);
                    if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_WAIT, handshake).await {
                        exchange(stream, self.site.clone(), true, place).await;
                    }
                }
            }
        };
        let lost = async {
            match place {
                Some(place) => {
                    place.over(NEVER).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = served => {}
            () = lost => {}
        }
    }

    /// One answer to who may not look, and the end.
    async fn turn_away<S>(&self, stream: S, address: IpAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        log::debug!(target: "explorer", "{address} is not let in");
        let told = async {
            match &self.tls {
                None => exchange(stream, self.closed.clone(), false, None).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        exchange(stream, self.closed.clone(), false, None).await;
                    }
                }
            }
        };
        let _ = tokio::time::timeout(STRANGER_WAIT, told).await;
    }
}

/// Requests and answers of one connection, until it ends; only one of them where it is not kept.
async fn exchange<S>(stream: S, router: Router, is_kept: bool, place: Option<&Arc<Place>>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(timed::Timed::new(stream, timed::PACE));
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request| {
        let busy = place.map(|place| Arc::new(Busy::new(place)));
        let mut request: Request<_> = request;
        if let Some(busy) = &busy {
            // Whatever goes on after the answer keeps a clone.
            request.extensions_mut().insert(Arc::clone(busy));
        }
        let answer = router.call(request);
        async move {
            let answer = answer.await;
            drop(busy);
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .max_buf_size(HEAD_BYTES)
        .keep_alive(is_kept)
        .serve_connection(io, service);
    if let Err(e) = connection.await {
        log::debug!(target: "explorer", "a connection ended: {e}");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use serde_json::json;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const OWN: &str = "127.0.0.1";
    const FRIEND: &str = "192.0.2.7";
    const STRANGER: &str = "192.0.2.8";

    /// A service before an engine whose height grows with each question, and a listener.
    async fn open() -> (Service, TcpListener) {
        let height = AtomicU64::new(0);
        let source = Source {
            ask: Arc::new(move |_| {
                let height = height.fetch_add(1, Ordering::SeqCst);
                Box::pin(async move { Ok(Ok(json!({"height": height}))) })
            }),
            store_bytes: Arc::new(|| Box::pin(async { 0 })),
        };
        let allowed = Allowed(vec![FRIEND.parse().unwrap()]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        (Service::new(source, allowed, None), listener)
    }

    /// A newcomer, as if it came from this address.
    async fn come(service: &Service, listener: &TcpListener, from: &str) -> TcpStream {
        let at = listener.local_addr().unwrap();
        let (far, near) = tokio::join!(TcpStream::connect(at), listener.accept());
        service.greet(near.unwrap().0, from.parse().unwrap());
        far.unwrap()
    }

    async fn ask(stream: &mut TcpStream, path: &str) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
    }

    /// Reads until this text comes; whether it did before the end.
    async fn reads(stream: &mut TcpStream, wanted: &str) -> bool {
        let mut all = Vec::new();
        let mut part = [0; 4096];
        while !String::from_utf8_lossy(&all).contains(wanted) {
            match stream.read(&mut part).await {
                Ok(count @ 1..) => all.extend_from_slice(&part[..count]),
                _ => return false,
            }
        }
        true
    }

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(test);
    }

    #[test]
    fn who_may_not_look_leaves_the_places_to_who_may() {
        run(async {
            let (service, listener) = open().await;
            let mut crowd = Vec::new();
            for _ in 0..CONNECTIONS_MAX + STRANGERS_MAX {
                crowd.push(come(&service, &listener, STRANGER).await);
            }
            for from in [OWN, FRIEND] {
                let mut stream = come(&service, &listener, from).await;
                ask(&mut stream, "/healthz").await;
                assert!(reads(&mut stream, "alive").await, "{from}");
            }
            // Each is told so at most once.
            let told = crowd.first_mut().unwrap();
            ask(told, "/healthz").await;
            assert!(reads(told, "403 Forbidden").await);
            assert!(!reads(told, "no end").await);
        });
    }

    #[test]
    fn the_longest_idle_goes_for_a_newcomer_and_who_follows_what_changes_stays() {
        run(async {
            let (service, listener) = open().await;
            let mut page = come(&service, &listener, FRIEND).await;
            ask(&mut page, "/api/live").await;
            assert!(reads(&mut page, "event: change").await);
            let mut crowd = Vec::new();
            for _ in 0..CONNECTIONS_MAX {
                let mut stream = come(&service, &listener, FRIEND).await;
                ask(&mut stream, "/healthz").await;
                assert!(reads(&mut stream, "alive").await);
                crowd.push(stream);
            }
            let mut own = come(&service, &listener, OWN).await;
            ask(&mut own, "/healthz").await;
            assert!(reads(&mut own, "alive").await);
            // Long before its time between two requests is over.
            let first = reads(crowd.first_mut().unwrap(), "anything");
            let is_closed = tokio::time::timeout(HEAD_WAIT / 3, first).await;
            assert_eq!(is_closed.ok(), Some(false));
            let newest = crowd.last_mut().unwrap();
            ask(newest, "/healthz").await;
            assert!(reads(newest, "alive").await, "the newest is there still");
            assert!(reads(&mut page, "event: change").await, "more news came");
        });
    }

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
                let request = format!("GET {path} HTTP/1.1\r\n\r\n");
                far.write_all(request.as_bytes()).await.unwrap();
                service.connection(near, "192.0.2.8".parse().unwrap()).await;
                let mut answer = String::new();
                far.read_to_string(&mut answer).await.unwrap();
                assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
                assert!(answer.contains("[explorer] allow"), "{answer}");
                assert!(answer.contains("connection: close"), "{answer}");
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
