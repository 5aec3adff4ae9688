//! Socket options, as the reference sets them (`proto/peer.md`, section 1.1).

use std::net::{IpAddr, SocketAddr};

use rand::RngCore as _;

use super::{Context, SocketError};
use crate::core::keys::{PeerPrivateKey, PeerPublicKey};

/// How long a closed socket goes on sending.
pub const LINGER_MS: i32 = 100;
/// Largest frame on the wire, the 33 bytes of CURVE included.
pub const MAX_MESSAGE: i64 = 5_000_000;
/// Messages that wait unread from one connection of a server; the sender is held up beyond.
const SERVER_RECEIVE_HWM: i32 = 16;
/// Replies that wait in the library for one connection of a server; more wait in the backlog.
const SERVER_SEND_HWM: i32 = 16;
/// Published messages that wait for one subscriber; more are lost to it.
const PUBLISH_HWM: i32 = 256;
/// Messages that wait unread from a server that we dialled; it keeps further replies meanwhile.
const REPLY_HWM: i32 = 2;
/// Messages that wait unread from a publisher; it is held up beyond.
const SUBSCRIBE_HWM: i32 = 16;
/// Messages that wait unread from the discovery service: small ones, and many at once.
const PLAIN_SUBSCRIBE_HWM: i32 = 256;
/// The pause before the first try to connect again, which doubles.
const RECONNECT_MS: i32 = 100;
/// At most so long.
const RECONNECT_MAX_MS: i32 = 5_000;
/// A connection that has not shaken hands by then is closed.
const HANDSHAKE_MS: i32 = 10_000;

/// The family of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub const fn of(address: &SocketAddr) -> Self {
        if address.is_ipv6() {
            Self::V6
        } else {
            Self::V4
        }
    }
}

fn common(socket: &zmq::Socket) -> Result<(), SocketError> {
    socket.set_linger(LINGER_MS)?;
    socket.set_immediate(true)?;
    socket.set_maxmsgsize(MAX_MESSAGE)?;
    socket.set_tcp_keepalive(1)?;
    socket.set_tcp_keepalive_cnt(5)?;
    socket.set_tcp_keepalive_idle(60)?;
    socket.set_tcp_keepalive_intvl(60)?;
    Ok(())
}

/// A socket that waits for clients of our key.
///
/// # Errors
/// What the library refuses.
pub fn server(
    context: &Context,
    kind: zmq::SocketType,
    key: &PeerPrivateKey,
    zap_domain: &str,
    family: Family,
) -> Result<zmq::Socket, SocketError> {
    let socket = context.socket(kind)?;
    common(&socket)?;
    socket.set_zap_domain(zap_domain)?;
    socket.set_curve_server(true)?;
    socket.set_curve_secretkey(key.as_bytes())?;
    socket.set_identity(&key.public_key().0)?;
    socket.set_ipv6(family == Family::V6)?;
    socket.set_handshake_ivl(HANDSHAKE_MS)?;
    if kind == zmq::SocketType::ROUTER {
        socket.set_rcvhwm(SERVER_RECEIVE_HWM)?;
        socket.set_sndhwm(SERVER_SEND_HWM)?;
        // Only so is a queue that is full told from a client that is gone.
        socket.set_router_mandatory(true)?;
    }
    if kind == zmq::SocketType::PUB {
        socket.set_sndhwm(PUBLISH_HWM)?;
    }
    Ok(socket)
}

/// A socket that dials a server of a known key. It is not connected yet.
///
/// # Errors
/// What the library refuses.
pub fn client(
    context: &Context,
    kind: zmq::SocketType,
    key: &PeerPrivateKey,
    server_key: &PeerPublicKey,
    address: &SocketAddr,
) -> Result<zmq::Socket, SocketError> {
    let socket = context.socket(kind)?;
    common(&socket)?;
    socket.set_curve_server(false)?;
    socket.set_curve_publickey(&key.public_key().0)?;
    socket.set_curve_secretkey(key.as_bytes())?;
    socket.set_curve_serverkey(&server_key.0)?;
    socket.set_ipv6(Family::of(address) == Family::V6)?;
    match kind {
        zmq::SocketType::REQ | zmq::SocketType::DEALER => {
            let mut identity = [0; 32];
            rand::thread_rng().fill_bytes(&mut identity);
            // A name that begins with zero is the library's own.
            identity[0] |= 1;
            socket.set_identity(&identity)?;
            if kind == zmq::SocketType::REQ {
                socket.set_req_relaxed(true)?;
                socket.set_req_correlate(true)?;
            }
            socket.set_rcvhwm(REPLY_HWM)?;
        }
        zmq::SocketType::SUB => {
            socket.set_rcvhwm(SUBSCRIBE_HWM)?;
            socket.set_subscribe(b"")?;
        }
        _ => {}
    }
    Ok(socket)
}

/// A socket without encryption that dials a service of this machine or of a network that is
/// trusted: the discovery service of payments. It is not connected yet.
///
/// # Errors
/// What the library refuses.
pub fn plain(
    context: &Context,
    kind: zmq::SocketType,
    address: &SocketAddr,
) -> Result<zmq::Socket, SocketError> {
    let socket = context.socket(kind)?;
    common(&socket)?;
    socket.set_ipv6(Family::of(address) == Family::V6)?;
    socket.set_reconnect_ivl(RECONNECT_MS)?;
    socket.set_reconnect_ivl_max(RECONNECT_MAX_MS)?;
    socket.set_handshake_ivl(HANDSHAKE_MS)?;
    match kind {
        zmq::SocketType::SUB => {
            socket.set_rcvhwm(PLAIN_SUBSCRIBE_HWM)?;
            socket.set_subscribe(b"")?;
        }
        _ => socket.set_rcvhwm(REPLY_HWM)?,
    }
    Ok(socket)
}

/// The endpoint of an address.
#[must_use]
pub fn endpoint(address: &SocketAddr) -> String {
    format!("tcp://{address}")
}

/// Binds every address of one family; tells where, with the ports that were free for port 0.
///
/// # Errors
/// [`SocketError::Address`]
pub fn bind(
    socket: &zmq::Socket,
    addresses: &[SocketAddr],
) -> Result<Vec<SocketAddr>, SocketError> {
    let mut bound = Vec::new();
    for address in addresses {
        let endpoint = endpoint(address);
        socket
            .bind(&endpoint)
            .map_err(|e| SocketError::Address(endpoint.clone(), e))?;
        let real = socket.get_last_endpoint()?.ok();
        let real = real.and_then(|text| text.trim_start_matches("tcp://").parse().ok());
        bound.push(real.unwrap_or(*address));
    }
    Ok(bound)
}

/// The addresses by family. An IPv6 socket that takes every address takes IPv4 ones too, so that
/// of `0.0.0.0:p` beside `[::]:p` only the latter is bound.
#[must_use]
pub fn by_family(addresses: &[SocketAddr]) -> [(Family, Vec<SocketAddr>); 2] {
    let everything = |port| {
        addresses.iter().any(|other| {
            other.port() == port && matches!(other.ip(), IpAddr::V6(ip) if ip.is_unspecified())
        })
    };
    let v6 = addresses.iter().filter(|a| a.is_ipv6()).copied().collect();
    let v4 = addresses
        .iter()
        .filter(|a| a.is_ipv4())
        .filter(|a| !(a.ip().is_unspecified() && a.port() != 0 && everything(a.port())))
        .copied()
        .collect();
    [(Family::V4, v4), (Family::V6, v6)]
}
