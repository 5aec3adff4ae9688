//! What the process holds in memory and in descriptors, and closing network connections, which
//! gives back what they hold. When, and which, `core::guard` decides. A message in many frames is held whole
//! by the library before anybody here sees it; nothing else keeps one peer from filling the memory
//! with one that never ends.
//!
//! Peers connect again by themselves. It never closes files, pipes or sockets of this machine.

use std::net::IpAddr;

use nix::sys::socket::{self, Shutdown, SockaddrIn, SockaddrIn6, SockaddrStorage};
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::core::guard;

/// Bytes of memory that the process has in use; nothing where the system does not tell.
#[must_use]
pub fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    let page = u64::try_from(rustix::param::page_size()).ok()?;
    pages.checked_mul(page)
}

/// The open descriptors of the process.
fn descriptors() -> impl Iterator<Item = i32> {
    let entries = std::fs::read_dir("/proc/self/fd").into_iter().flatten();
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Ends every TCP connection of the process; gives their number.
pub fn close_connections() -> usize {
    descriptors().filter(|number| close(*number)).count()
}

/// Ends the connections with the address that has most of them; gives it and their number.
pub fn close_busiest() -> Option<(IpAddr, usize)> {
    let peers: Vec<(i32, IpAddr)> = descriptors()
        .filter_map(|number| Some((number, peer(number)?)))
        .collect();
    let busiest = guard::busiest(peers.iter().map(|(_, address)| *address))?;
    let of_it = peers.iter().filter(|(_, address)| *address == busiest);
    Some((busiest, of_it.filter(|(number, _)| close(*number)).count()))
}

/// Who is at the other end of a descriptor's connection over the network.
fn peer(number: i32) -> Option<IpAddr> {
    let peer = socket::getpeername::<SockaddrStorage>(number).ok()?;
    let v4 = peer
        .as_sockaddr_in()
        .map(|address| IpAddr::V4(address.ip()));
    let v6 = peer
        .as_sockaddr_in6()
        .map(|address| IpAddr::V6(address.ip()));
    v4.or(v6).map(|address| address.to_canonical())
}

/// Ends the connections to one of our listening ports.
pub fn close_connections_at(port: u16) -> usize {
    let is_there = |number: &i32| {
        let local = socket::getsockname::<SockaddrStorage>(*number).ok();
        let v4 = local.and_then(|a| a.as_sockaddr_in().map(SockaddrIn::port));
        let v6 = local.and_then(|a| a.as_sockaddr_in6().map(SockaddrIn6::port));
        v4.or(v6) == Some(port)
    };
    descriptors()
        .filter(is_there)
        .filter(|number| close(*number))
        .count()
}

/// Lets the process open as many descriptors as the system allows it.
pub fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(e) = setrlimit(Resource::Nofile, limit) {
        log::debug!("the limit of open files stays: {e}");
    }
}

/// Whether so many descriptors are open that there is hardly room for a new connection.
#[must_use]
pub fn is_out_of_descriptors() -> bool {
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    guard::is_nearly_full(descriptors().count() as u64, most)
}

/// Ends a descriptor's connection, if it has one over the network.
fn close(number: i32) -> bool {
    peer(number).is_some() && socket::shutdown(number, Shutdown::Both).is_ok()
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_process_knows_its_size() {
        assert!(resident().is_some_and(|bytes| bytes > MIB / 4));
    }

    #[test]
    fn a_connection_is_closed_and_a_listener_is_not() {
        use std::os::fd::AsRawFd as _;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        assert!(close(server.as_raw_fd()));
        let end = client.read(&mut [0; 1]).map_err(|e| e.kind());
        assert!(matches!(end, Ok(0) | Err(ErrorKind::ConnectionReset)));
        assert!(!close(listener.as_raw_fd()));
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let at = [&listener, &other].map(|l| TcpStream::connect(l.local_addr().unwrap()).unwrap());
        let accepted = [listener.accept().unwrap().0, other.accept().unwrap().0];
        assert!(close_connections_at(port) >= 1);
        let mut ended = at[0].try_clone().unwrap();
        let end = ended.read(&mut [0; 1]).map_err(|e| e.kind());
        assert!(matches!(end, Ok(0) | Err(ErrorKind::ConnectionReset)));
        assert!(socket::getpeername::<SockaddrStorage>(accepted[1].as_raw_fd()).is_ok());
        assert!(TcpStream::connect(listener.local_addr().unwrap()).is_ok());
    }
}
