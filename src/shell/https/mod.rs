//! The reference's HTTPS paths (`proto/rpc.md`, section 5): HTTP/1.1, and HTTP/2 where a client asks
//! for it by ALPN.
//!
//! Bounds, each with what happens at it: [`Settings`].

pub mod paths;

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use axum::http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::time::Instant;

use self::paths::{Page, Refusal, Wanted};
use super::counters::requests::{OTHER, REFUSED, status};
use super::counters::{Requests, ServiceCounts};
use super::files::config::Allow;
use super::rpc::splitter::Splitter;
use super::rpc::{Answer, REQUEST_BYTES, Service};
use super::tcp::listener::{self, Secured};
use super::tcp::{Over, Place, Places};

/// What ALPN offers.
pub const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The name in the log.
const NAME: &str = "https_rpc";

/// Gives the pages. The answer comes in a bounded time.
pub trait Pages: Clone + Send + Sync + 'static {
    /// The JSON text of a page; none: the node cannot tell.
    fn show(&self, page: Page) -> impl Future<Output = Option<String>> + Send;
}

/// The bounds of the service.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Connections over all listeners; at the limit the longest idle is closed, or one that has had
    /// its turn (see [`Places`]).
    pub maximum_connections: usize,
    /// A handshake that takes longer ends the connection.
    pub handshake: Duration,
    /// How long a request may take to come, its reply to be read, and the next request to begin.
    pub time: Duration,
    /// How long a connection that had its turn has for its last answers.
    pub farewell: Duration,
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// Bytes of a request's body; a longer one is answered like one that is no request.
    pub body_bytes: usize,
    /// Requests of one HTTP/2 connection at a time.
    pub streams: u32,
    /// Who may see what.
    pub allow: Allow,
}

impl Settings {
    /// The usual ones.
    #[must_use]
    pub fn new(maximum_connections: usize, allow: Allow) -> Self {
        Self {
            maximum_connections,
            handshake: Duration::from_secs(5),
            time: Duration::from_secs(10),
            farewell: Duration::from_secs(1),
            head_bytes: 1 << 20,
            body_bytes: REQUEST_BYTES,
            streams: 16,
            allow,
        }
    }
}

/// Binds what can be bound; see [`listener::bind`].
#[must_use]
pub fn bind(addresses: &[SocketAddr]) -> Vec<TcpListener> {
    listener::bind(NAME, addresses)
}

/// Serves until it is dropped. `counts` has its connections, their bytes and their requests; `calls`
/// those bodies that are no request for the node (the others are counted by who answers them).
pub async fn serve<S: Service + Pages>(
    listeners: Vec<TcpListener>,
    tls: Arc<ServerConfig>,
    settings: Settings,
    counts: ServiceCounts,
    calls: Requests,
    service: S,
) {
    let places = Places::new(settings.maximum_connections, counts.count.clone());
    let secured = Secured {
        service: NAME,
        tls,
        handshake: settings.handshake,
        bytes: counts.bytes,
    };
    let settings = Arc::new(settings);
    let requests = counts.requests;
    let handle = move |stream, from: SocketAddr, place| {
        let requests = Counts {
            requests: requests.clone(),
            calls: calls.clone(),
        };
        let settings = Arc::clone(&settings);
        exchange(
            stream,
            from.ip(),
            place,
            settings,
            requests,
            service.clone(),
        )
    };
    listener::serve_tls(listeners, secured, places, handle).await;
}

/// Where requests are counted. Clones share it.
#[derive(Debug, Clone)]
pub struct Counts {
    /// Of HTTP, by path and status.
    pub requests: Requests,
    /// Of JSON-RPC, by method and result.
    pub calls: Requests,
}

/// Requests and replies of one connection after its handshake, until it ends.
pub async fn exchange<T, S>(
    stream: T,
    from: IpAddr,
    place: Place,
    settings: Arc<Settings>,
    counts: Counts,
    service: S,
) where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    S: Service + Pages,
{
    let client = Client {
        from: from.to_canonical(),
        place: Arc::new(place),
        counts,
        settings,
        service,
    };
    client.serve(TokioIo::new(stream)).await;
}

/// One connection. Clones, one a request, share it.
#[derive(Clone)]
struct Client<S> {
    from: IpAddr,
    place: Arc<Place>,
    counts: Counts,
    settings: Arc<Settings>,
    service: S,
}

/// A call that is with the node.
struct Running<'a>(&'a Place);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.rest();
    }
}

impl<S: Service + Pages> Client<S> {
    /// Serves until the client goes, is idle for too long or loses its place. Where it loses it
    /// because it had its turn, what has begun is still answered.
    async fn serve<T>(self, stream: TokioIo<T>)
    where
        T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let settings = Arc::clone(&self.settings);
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(settings.time)
            .max_buf_size(settings.head_bytes);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(settings.head_bytes).unwrap_or(u32::MAX))
            .max_concurrent_streams(settings.streams);
        let place = Arc::clone(&self.place);
        let requests = self.counts.requests.clone();
        let service = service_fn(move |request| {
            let client = self.clone();
            async move { Ok::<_, Infallible>(client.answer(request).await) }
        });
        let mut connection = pin!(builder.serve_connection(stream, service));
        let mut leaves: Option<Instant> = None;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        log::debug!(target: "clients", "{NAME}: {error}");
                        if let Some(code) = unread(&*error) {
                            requests.count(OTHER, status(code));
                        }
                    }
                    return;
                }
                over = place.over(settings.time), if leaves.is_none() => match over {
                    Over::Idle => return,
                    Over::HadTurn => {
                        connection.as_mut().graceful_shutdown();
                        leaves = Some(Instant::now() + settings.farewell);
                    }
                },
                () = tokio::time::sleep_until(leaves.unwrap_or_else(Instant::now)), if leaves.is_some() => {
                    return;
                }
            }
        }
    }

    async fn answer(self, request: Request<Incoming>) -> Response<Body> {
        self.place.touch();
        let (head, body) = request.into_parts();
        let begun = self.counts.requests.begin(paths::label(head.uri.path()));
        let wanted = paths::route(&head.method, &head.uri, self.from, &self.settings.allow);
        let (code, text) = match wanted {
            Ok(Wanted::Rpc) => match self.rpc(body).await {
                Ok(text) => (StatusCode::OK, text),
                // Dropped without an end: it is counted so. Nobody reads the reply.
                Err(Cut) => return reply(StatusCode::OK, Refusal::Internal.body().to_owned()),
            },
            Ok(Wanted::Page(page)) => {
                self.place.busy();
                let _running = Running(&self.place);
                match self.service.show(page).await {
                    Some(text) => (StatusCode::OK, text),
                    None => refused(Refusal::Internal),
                }
            }
            Err(refusal) => refused(refusal),
        };
        begun.end(status(code.as_u16()));
        reply(code, text)
    }

    /// The first object of the body is served. The status tells nothing: it was sent before the
    /// body was read in the reference.
    async fn rpc(&self, body: Incoming) -> Result<String, Cut> {
        let bytes = axum::body::to_bytes(Body::new(body), self.settings.body_bytes);
        let internal = || Refusal::Internal.body().to_owned();
        let bytes = match tokio::time::timeout(self.settings.time, bytes).await {
            Err(_) => return Ok(internal()),
            Ok(Err(error)) if is_cut(&error) => return Err(Cut),
            // It is too long.
            Ok(Err(_)) => None,
            Ok(Ok(bytes)) => Some(bytes),
        };
        let request = bytes.and_then(|bytes| {
            let mut splitter = Splitter::new(self.settings.body_bytes);
            splitter.push(&bytes);
            splitter.next_request().ok().flatten()
        });
        let Some(request) = request else {
            self.counts.calls.count(OTHER, REFUSED);
            return Ok(internal());
        };
        self.place.busy();
        let _running = Running(&self.place);
        Ok(match self.service.call(request).await {
            Answer::Called(text) => text,
            Answer::Refused(text) => text + Refusal::Internal.body(),
            Answer::Unreadable(_) => internal(),
        })
    }
}

/// The body did not come whole: its client went, or broke the rules of HTTP in it.
struct Cut;

fn is_cut(error: &axum::Error) -> bool {
    let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.any(|cause| cause.is::<hyper::Error>())
}

/// The status with which the library answered a head that it could not read; none: it did not.
fn unread(error: &(dyn Error + 'static)) -> Option<u16> {
    let error = error.downcast_ref::<hyper::Error>()?;
    if error.is_parse_too_large() {
        // Only its text tells these two apart.
        let is_path = error.to_string().contains("URI");
        return Some(if is_path { 414 } else { 431 });
    }
    (error.is_parse() && !error.is_parse_version_h2()).then_some(400)
}

fn refused(refusal: Refusal) -> (StatusCode, String) {
    (refusal.status(), refusal.body().to_owned())
}

fn reply(status: StatusCode, text: String) -> Response<Body> {
    const HEADERS: [(HeaderName, HeaderValue); 2] = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().extend(HEADERS);
    response
}
