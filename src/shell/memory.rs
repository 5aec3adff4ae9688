//! What the process holds in memory and in descriptors, and what is done when it is too much:
//! network connections are closed, which gives back what they hold; for memory all of them, for
//! descriptors those with the address that has most. A message in many frames is held whole
//! by the library before anybody here sees it; nothing else keeps one peer from filling the memory
//! with one that never ends.
//!
//! Peers connect again by themselves. It never closes files, pipes or sockets of this machine.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use nix::sys::socket::{self, Shutdown, SockaddrIn, SockaddrIn6, SockaddrStorage};
use rustix::process::{Resource, getrlimit, setrlimit};

/// How long memory takes to come back after the connections are closed.
const SETTLING: Duration = Duration::from_secs(2);

/// Decides when the connections are closed.
///
/// What stays after that is no connection's: only another quarter of the limit beyond it closes
/// them again, until the memory is well below the limit.
#[derive(Debug)]
pub struct Guard {
    limit: u64,
    allowed: u64,
    closed: Option<Instant>,
}

impl Guard {
    /// A guard for a limit in bytes; 0: none.
    #[must_use]
    pub const fn new(limit: u64) -> Self {
        Self {
            limit,
            allowed: limit,
            closed: None,
        }
    }

    /// Whether the connections are to be closed, now that the process holds `resident` bytes.
    pub fn is_over(&mut self, now: Instant, resident: u64) -> bool {
        if self.limit == 0 {
            return false;
        }
        if let Some(closed) = self.closed {
            if now.duration_since(closed) < SETTLING {
                return false;
            }
            self.closed = None;
            self.allowed = self.limit.max(resident.saturating_add(self.limit / 4));
        }
        if resident <= self.limit - self.limit / 4 {
            self.allowed = self.limit;
        }
        let over = resident > self.allowed;
        if over {
            self.closed = Some(now);
        }
        over
    }
}

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
    let mut counts: BTreeMap<IpAddr, usize> = BTreeMap::new();
    for (_, address) in &peers {
        *counts.entry(*address).or_default() += 1;
    }
    let (busiest, _) = counts.into_iter().max_by_key(|(_, count)| *count)?;
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
    descriptors().count() as u64 > most - most / 8
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
    fn what_is_under_the_limit_is_left_alone() {
        let now = Instant::now();
        assert!(!Guard::new(100 * MIB).is_over(now, 100 * MIB));
        assert!(!Guard::new(0).is_over(now, u64::MAX));
    }

    #[test]
    fn connections_are_closed_again_only_for_what_came_after() {
        let mut guard = Guard::new(100 * MIB);
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        assert!(guard.is_over(at(0), 101 * MIB));
        // It takes a while to come back.
        assert!(!guard.is_over(at(100), 150 * MIB));
        // This much is not the connections'.
        assert!(!guard.is_over(at(2100), 120 * MIB));
        assert!(!guard.is_over(at(2200), 145 * MIB));
        assert!(guard.is_over(at(2300), 146 * MIB));
        // Well below the limit all is as at first.
        assert!(!guard.is_over(at(5000), 50 * MIB));
        assert!(guard.is_over(at(5100), 101 * MIB));
        // What swings about the limit closes them once.
        let mut guard = Guard::new(100 * MIB);
        let swinging = [98, 98, 102].iter().cycle().zip(0..180);
        let closed = swinging.filter(|(mib, second)| guard.is_over(at(second * 1000), **mib * MIB));
        assert_eq!(closed.count(), 1);
    }

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
