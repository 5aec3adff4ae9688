//! JSON-RPC over TLS: listeners, handshakes, framing, limits (`proto/rpc.md`, sections 1 and 2).
//! What a request means and what it is answered with is the business of a [`Service`].
//!
//! Bounds, each with what happens at it: [`Settings`].

mod connection;
pub mod splitter;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::TcpListener;

use super::counters::ServiceCounts;
use super::tcp::Places;
use super::tcp::listener::{self, Secured};

/// Bytes of one request.
pub const REQUEST_BYTES: usize = 1 << 20;

/// What a request is answered with: an object and a line end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The call was made; it may have failed.
    Called(String),
    /// No call came of it: no such method, or arguments that cannot be read.
    Refused(String),
    /// It is no request at all; nothing that follows on the connection is read.
    Unreadable(String),
}

/// Answers requests. The answer comes in a bounded time, and dropping the future takes the
/// question back.
pub trait Service: Clone + Send + Sync + 'static {
    /// One request: what stands between the outer brackets and these; it need not be JSON.
    fn call(&self, request: Vec<u8>) -> impl Future<Output = Answer> + Send;
}

/// The bounds of the service.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Connections over all listeners; at the limit the longest idle is closed, or one that has had
    /// its turn (see [`Places`]).
    pub maximum_connections: usize,
    /// A handshake that takes longer ends the connection.
    pub handshake: Duration,
    /// A connection on which no call was answered for so long is closed.
    pub idle: Duration,
    /// Bytes of a request; a longer one is answered with an error, and the connection is closed.
    pub request_bytes: usize,
    /// Requests of one connection that are with the node; the next one waits.
    pub running: usize,
    /// Bytes of such requests; while there are as many the next one waits.
    pub running_bytes: usize,
    /// Bytes of replies that wait for the client; beyond them no further request is begun,
    /// and no more at a time than fit by the longest reply of the connection.
    pub unsent_bytes: usize,
    /// How long a connection that ends has for its last bytes.
    pub farewell: Duration,
}

impl Settings {
    /// The usual ones.
    #[must_use]
    pub fn new(maximum_connections: usize) -> Self {
        Self {
            maximum_connections,
            handshake: Duration::from_secs(5),
            idle: Duration::from_secs(60),
            request_bytes: REQUEST_BYTES,
            running: 16,
            running_bytes: 256 << 10,
            unsent_bytes: 256 << 10,
            farewell: Duration::from_secs(1),
        }
    }
}

/// The name in the log.
const NAME: &str = "client_rpc";

/// Binds what can be bound; see [`listener::bind`].
#[must_use]
pub fn bind(addresses: &[SocketAddr]) -> Vec<TcpListener> {
    listener::bind(NAME, addresses)
}

/// Serves until it is dropped. `counts` has its connections and their bytes, and those requests
/// that are none; the others are counted by who answers them.
pub async fn serve<S: Service>(
    listeners: Vec<TcpListener>,
    tls: Arc<ServerConfig>,
    settings: Settings,
    counts: ServiceCounts,
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
    let handle = move |stream, _, place| {
        let (settings, service) = (Arc::clone(&settings), service.clone());
        let requests = counts.requests.clone();
        async move {
            let client = connection::Client {
                place: &place,
                requests: &requests,
                settings: &settings,
            };
            connection::serve(stream, client, &service).await;
        }
    };
    listener::serve_tls(listeners, secured, places, handle).await;
}
