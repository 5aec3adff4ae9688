//! What the process holds in memory and in descriptors, and closing network connections, which
//! gives back what they hold. When, and which, `core::guard` decides. A message in many frames is held whole
//! by the library before anybody here sees it; nothing else keeps one peer from filling the memory
//! with one that never ends.
//!
//! Peers connect again by themselves. It never closes files, pipes or sockets of this machine.

use std::net::IpAddr;
use std::ops::Range;

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

/// Gives back what the start has left: free pieces of the heap, and the pages of the program and of its
/// libraries, most of which only the start needs. A page of them that is needed again is mapped again
/// from the system's cache of files. Tells how many bytes of programs were let go of.
pub fn give_back() -> usize {
    trim();
    let text = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    let own = std::env::current_exe().unwrap_or_default();
    programs(&text, &own.to_string_lossy())
        .into_iter()
        .filter(let_go)
        .map(|mapping| mapping.len())
        .sum()
}

/// Addresses of mappings of this program and of libraries that say what their files say and cannot be
/// written to: in `/proc/self/smaps` they are private, not writable, and have no page of their own,
/// neither in memory nor swapped out.
fn programs(smaps: &str, own: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut open = None;
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        let (Some(first), Some(second)) = (words.next(), words.next()) else {
            continue;
        };
        if first == "Anonymous:" {
            open = open.filter(|_| second == "0");
        } else if first == "Swap:" {
            // It comes behind the other, and that counts what is in memory alone.
            found.extend(open.take().filter(|_| second == "0"));
        } else if let Some((begin, end)) = first.split_once('-') {
            let address = |text| usize::from_str_radix(text, 16).ok();
            let path = words.nth(3).unwrap_or_default();
            let is_private = matches!(second, "r-xp" | "r--p");
            let is_program = path == own || path.contains(".so");
            open = address(begin)
                .zip(address(end))
                .filter(|(begin, end)| is_private && is_program && begin < end)
                .map(|(begin, end)| begin..end);
        }
    }
    found
}

/// Lets go of the pages of such a mapping.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "the system has no safe way to be told")]
fn let_go(mapping: &Range<usize>) -> bool {
    let address = std::ptr::with_exposed_provenance_mut(mapping.start);
    // SAFETY: nothing in it is other than in its file, whose pages come back when they are looked at;
    // programs and libraries stay mapped as long as the process lives.
    unsafe { libc::madvise(address, mapping.len(), libc::MADV_DONTNEED) == 0 }
}

#[cfg(not(target_os = "linux"))]
const fn let_go(_: &Range<usize>) -> bool {
    false
}

/// Gives free pieces of the heap back to the system, where its allocator can.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(
    unsafe_code,
    reason = "a function of the C library without arguments to get wrong"
)]
pub fn trim() {
    // SAFETY: it may be called at any time, by any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// See above.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub const fn trim() {}

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
    fn only_what_is_as_in_the_file_of_a_program_or_library_is_let_go_of() {
        let mapping = |head: &str, own: u32| {
            format!("{head}\nRss: 64 kB\nAnonymous: {own} kB\nSwap: 0 kB\nSwapPss: 0 kB\n")
        };
        let smaps = [
            mapping("1000-2000 r--p 00000000 fe:00 7 /usr/bin/bitmarkd", 0),
            mapping("2000-5000 r-xp 00001000 fe:00 7 /usr/bin/bitmarkd", 0),
            mapping("5000-6000 r--p 00004000 fe:00 7 /usr/bin/bitmarkd", 4),
            mapping("6000-7000 rw-p 00005000 fe:00 7 /usr/bin/bitmarkd", 0),
            mapping("7000-8000 rw-p 00000000 00:00 0 [heap]", 4),
            mapping("8000-9000 r--p 00000000 00:00 0 ", 0),
            mapping(
                "9000-a000 r--p 00000000 fe:00 8 /usr/lib/libzmq.so.5.2.4",
                0,
            ),
            mapping(
                "a000-b000 r-xp 00001000 fe:00 8 /usr/lib/libzmq.so.5.2.4",
                4,
            ),
            mapping(
                "b000-c000 r--p 00002000 fe:00 8 /usr/lib/libzmq.so.5.2.4",
                8,
            ),
            mapping("c000-d000 r--s 00000000 fe:00 9 /usr/lib/some.so", 0),
            mapping("d000-e000 r-xp 00000000 00:00 0 [vdso]", 0),
            // Its relocated pages are swapped out.
            "e000-f000 r--p 00000000 fe:00 8 /usr/lib/libzmq.so.5.2.4\nAnonymous: 0 kB\nSwap: 4 kB\n"
                .to_owned(),
            // Nothing is said of them.
            "f000-10000 r--p 00000000 fe:00 8 /usr/lib/libzmq.so.5.2.4\nAnonymous: 0 kB\n".to_owned(),
            "10000-11000 r-xp".to_owned(),
        ];
        let chosen = programs(&smaps.concat(), "/usr/bin/bitmarkd");
        assert_eq!(chosen, [0x1000..0x2000, 0x2000..0x5000, 0x9000..0xa000]);
        let nonsense = "x-y r-xp 0 0 0 /bin/sh\nAnonymous: 0 kB\nSwap: 0 kB";
        assert!(programs(nonsense, "/bin/sh").is_empty());
    }

    #[test]
    fn a_process_goes_on_after_it_has_given_back_what_it_can() {
        let page = rustix::param::page_size();
        let bytes = give_back();
        assert!(bytes >= page && bytes.is_multiple_of(page), "{bytes}");
        assert!(resident().is_some_and(|bytes| bytes > 0));
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
