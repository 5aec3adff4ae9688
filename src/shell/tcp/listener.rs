//! Listening sockets of both families and their newcomers (`proto/rpc.md`, section 1).
//!
//! An IPv6 socket leaves IPv4 alone, so both families can have the same port. A socket that cannot be
//! bound is logged and the others run. Dropping the future of [`serve_tls`] closes everything.
//!
//! A newcomer gets a place after its handshake. Until then it is one of [`HANDSHAKES`], which harms
//! nobody who has a place.
//!
//! Bounds: `BACKLOG` newcomers wait in the system, [`HANDSHAKES`] in the lobby; the others are bounded
//! by their places.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use rustls::ServerConfig;
use rustls::server::Acceptor;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::super::counters::flow::{Flow, Metered};
use super::lobby::{Guest, Lobby};
use super::places::{Place, Places};

/// Newcomers that wait to be accepted.
const BACKLOG: u32 = 1024;
/// Newcomers of a service in their handshake, or waiting for a place after it.
pub const HANDSHAKES: usize = 512;
/// So long one waits for a place after its handshake.
const PATIENCE: Duration = Duration::from_secs(10);
/// A connection without traffic is asked for a sign of life after so long, and so often.
const KEEP_ALIVE_SECONDS: u32 = 300;
/// After a failure to accept, for want of descriptors mostly.
const PAUSE: Duration = Duration::from_millis(200);

/// Binds one address. It is called inside a runtime.
///
/// # Errors
/// What the system says.
pub fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() {
        let socket = TcpSocket::new_v6()?;
        setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
        socket
    } else {
        TcpSocket::new_v4()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Binds what can be bound; `service` is its name in the log. It is called inside the runtime.
#[must_use]
pub fn bind(service: &'static str, addresses: &[SocketAddr]) -> Vec<TcpListener> {
    let mut listeners = Vec::new();
    for address in addresses {
        match open(*address) {
            Ok(listener) => {
                let bound = listener.local_addr().unwrap_or(*address);
                log::info!(target: "clients", "{service}: listening at {bound}");
                listeners.push(listener);
            }
            Err(error) => {
                log::error!(target: "clients", "{service}: cannot listen at {address}: {error}");
            }
        }
    }
    listeners
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    setsockopt(stream, sockopt::KeepAlive, &true)?;
    setsockopt(stream, sockopt::TcpKeepIdle, &KEEP_ALIVE_SECONDS)?;
    setsockopt(stream, sockopt::TcpKeepInterval, &KEEP_ALIVE_SECONDS)?;
    Ok(())
}

/// What a service over TLS shows of itself.
#[derive(Debug, Clone)]
pub struct Secured {
    /// The name in the log.
    pub service: &'static str,
    /// The certificate.
    pub tls: Arc<ServerConfig>,
    /// A handshake that takes longer ends the connection.
    pub handshake: Duration,
    /// Where the bytes of connections are counted, those of TLS included.
    pub bytes: Flow,
}

/// Accepts until it is dropped. Each newcomer that has done its handshake and got a place is given
/// to `handle`.
pub async fn serve_tls<H, F>(
    listeners: Vec<TcpListener>,
    secured: Secured,
    places: Places,
    handle: H,
) where
    H: Fn(TlsStream<Metered<TcpStream>>, SocketAddr, Place) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let lobby = Lobby::new(HANDSHAKES, places.count().clone());
    let mut loops = JoinSet::new();
    for listener in listeners {
        let door = Door {
            secured: secured.clone(),
            lobby: lobby.clone(),
            places: places.clone(),
        };
        loops.spawn(accept(listener, door, handle.clone()));
    }
    while let Some(ended) = loops.join_next().await {
        if let Err(error) = ended {
            log::error!(target: "clients", "a listener ended: {error}");
        }
    }
}

/// What stands between a newcomer and the service. Clones share it.
#[derive(Debug, Clone)]
struct Door {
    secured: Secured,
    lobby: Lobby,
    places: Places,
}

impl Door {
    /// The handshake, and then a place; nothing where one of them is not to be had.
    async fn pass(
        self,
        stream: TcpStream,
        from: SocketAddr,
        guest: Guest,
    ) -> Option<(TlsStream<Metered<TcpStream>>, Place)> {
        let Secured {
            service,
            tls,
            handshake,
            bytes,
        } = self.secured;
        let greeting = async {
            let hello = LazyConfigAcceptor::new(Acceptor::default(), bytes.around(stream));
            let begun = hello.await?;
            guest.speaks();
            begun.into_stream(tls).await
        };
        let passing = async {
            match tokio::time::timeout(handshake, greeting).await.ok()? {
                Ok(stream) => {
                    let place = self.places.wait(from.ip(), PATIENCE).await?;
                    Some((stream, place))
                }
                Err(error) => {
                    log::debug!(target: "clients", "{service}: {from}: {error}");
                    None
                }
            }
        };
        tokio::select! {
            passed = passing => passed,
            () = guest.dismissed() => None,
        }
    }
}

async fn accept<H, F>(listener: TcpListener, door: Door, handle: H)
where
    H: Fn(TlsStream<Metered<TcpStream>>, SocketAddr, Place) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            newcomer = listener.accept() => match newcomer {
                Ok((stream, from)) => {
                    if prepare(&stream).is_ok() {
                        let guest = door.lobby.enter(from.ip());
                        let passing = door.clone().pass(stream, from, guest);
                        let handle = handle.clone();
                        connections.spawn(async move {
                            if let Some((stream, place)) = passing.await {
                                handle(stream, from, place).await;
                            }
                        });
                    }
                    // Who was there has its turn between any two newcomers.
                    tokio::task::yield_now().await;
                }
                Err(error) => {
                    log::warn!(target: "clients", "a connection was not accepted: {error}");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    log::error!(target: "clients", "a connection failed: {error}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn the_wildcards_of_both_families_are_bound_beside_each_other() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .unwrap();
        runtime.block_on(async {
            let six = open(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))).unwrap();
            let port = six.local_addr().unwrap().port();
            let four = open(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).unwrap();
            assert_eq!(four.local_addr().unwrap().port(), port);
        });
    }

    #[test]
    fn both_families_have_the_same_port_and_a_taken_one_is_passed_over() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .unwrap();
        runtime.block_on(async {
            let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
            let first = bind("test", &[any]);
            let port = first[0].local_addr().unwrap().port();
            let addresses = [
                SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
                SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
            ];
            let second = bind("test", &addresses);
            assert_eq!(second.len(), 1);
            assert!(second[0].local_addr().unwrap().is_ipv4());
        });
    }
}
