//! An IP address with its port: packed form, text form, lists of them (`proto/records.md`,
//! section 8; `proto/peer.md`, sections 6.1 and 3.1).
//!
//! A list from outside is read record by record and ends at the first thing that is no whole
//! record; nothing is sliced by a claimed length. Names are not looked up here: a host that is no
//! address comes back as [`HostPort::Name`] for a shell to resolve.

#![warn(clippy::indexing_slicing)]

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Serialize, Serializer};
use thiserror::Error;

/// Size of a packed record that holds four address bytes.
pub const SHORT_RECORD: u8 = 7;
/// Size of a packed record that holds sixteen address bytes.
pub const LONG_RECORD: u8 = 19;

/// Why a text is no connection. The texts are those of the reference.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConnectionError {
    /// No port, stray brackets or colons, or a name where only an address will do.
    #[error("invalid IP Address")]
    InvalidIpAddress,
    /// Outside 1..=65535.
    #[error("invalid port number")]
    InvalidPortNumber,
    /// The port is no decimal number.
    #[error("strconv.Atoi: parsing {}: invalid syntax", quoted(.0))]
    NotANumber(String),
    /// The port does not fit 64 bits.
    #[error("strconv.Atoi: parsing {}: value out of range", quoted(.0))]
    NumberTooLarge(String),
    /// An empty list where at least one connection is required.
    #[error("invalid length")]
    EmptyList,
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// The address as it was held: four bytes come from a short record alone, and go back into one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Held {
    Four([u8; 4]),
    Sixteen([u8; 16]),
}

/// An IP address and a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Connection {
    address: Held,
    port: u16,
}

/// What stands before and after the last colon of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPort {
    /// The host is an address.
    Address(Connection),
    /// The host is a name; the first answer of the resolver is to be taken.
    Name {
        /// The host as it stands, not trimmed.
        host: String,
        /// The port, already checked.
        port: u16,
    },
}

impl HostPort {
    /// Reads `host:port`.
    ///
    /// # Errors
    /// The fault as the reference words it.
    pub fn parse(text: &str) -> Result<Self, ConnectionError> {
        let (host, port) = split(text).ok_or(ConnectionError::InvalidIpAddress)?;
        let port = parse_port(port)?;
        Ok(host.trim().parse::<IpAddr>().map_or_else(
            |_| Self::Name {
                host: host.to_owned(),
                port,
            },
            |ip| Self::Address(Connection::new(ip, port)),
        ))
    }
}

/// Splits at the last colon; brackets around the host go, and may stand nowhere else.
fn split(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    let stray = |part: &str| part.contains(['[', ']']);
    (!stray(host) && !stray(port)).then_some((host, port))
}

/// A port in text: blanks around it, a sign and leading zeros are allowed.
fn parse_port(text: &str) -> Result<u16, ConnectionError> {
    let text = text.trim();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ConnectionError::NotANumber(text.to_owned()));
    }
    let number: i64 = text
        .parse()
        .map_err(|_| ConnectionError::NumberTooLarge(text.to_owned()))?;
    u16::try_from(number)
        .ok()
        .filter(|port| *port != 0)
        .ok_or(ConnectionError::InvalidPortNumber)
}

impl Connection {
    /// A connection whose address is held in sixteen bytes, as one read from text is.
    #[must_use]
    pub fn new(ip: IpAddr, port: u16) -> Self {
        let address = match ip {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        Self {
            address: Held::Sixteen(address),
            port,
        }
    }

    /// A connection from four or sixteen address bytes, held as they are.
    #[must_use]
    pub fn from_ip_bytes(bytes: &[u8], port: u16) -> Option<Self> {
        let address = match bytes.len() {
            4 => Held::Four(bytes.try_into().ok()?),
            16 => Held::Sixteen(bytes.try_into().ok()?),
            _ => return None,
        };
        Some(Self { address, port })
    }

    /// Reads `address:port` where no name will do.
    ///
    /// # Errors
    /// The fault as the reference words it; a name is an `invalid IP Address`.
    pub fn from_text(text: &str) -> Result<Self, ConnectionError> {
        match HostPort::parse(text)? {
            HostPort::Address(connection) => Ok(connection),
            HostPort::Name { .. } => Err(ConnectionError::InvalidIpAddress),
        }
    }

    /// The first record of `bytes` and its size; nothing when it is no whole record.
    #[must_use]
    pub fn unpack(bytes: &[u8]) -> Option<(Self, usize)> {
        let size = *bytes.first()?;
        if size != SHORT_RECORD && size != LONG_RECORD {
            return None;
        }
        let size = usize::from(size);
        let (port, address) = bytes.get(1..size)?.split_first_chunk::<2>()?;
        let connection = Self::from_ip_bytes(address, u16::from_be_bytes(*port))?;
        Some((connection, size))
    }

    /// Appends the packed form.
    pub fn pack_into(&self, out: &mut Vec<u8>) {
        let (size, address): (u8, &[u8]) = match &self.address {
            Held::Four(bytes) => (SHORT_RECORD, bytes),
            Held::Sixteen(bytes) => (LONG_RECORD, bytes),
        };
        out.push(size);
        out.extend_from_slice(&self.port.to_be_bytes());
        out.extend_from_slice(address);
    }

    /// The packed form.
    #[must_use]
    pub fn pack(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(usize::from(LONG_RECORD));
        self.pack_into(&mut out);
        out
    }

    /// The address; a mapped one is the IPv4 address it stands for.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        match self.address {
            Held::Four([a, b, c, d]) => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            Held::Sixteen(bytes) => Ipv6Addr::from(bytes).to_canonical(),
        }
    }

    /// The port; 0 is possible in a packed record.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether the address is IPv6 and stands for no IPv4 address.
    #[must_use]
    pub fn is_ipv6(&self) -> bool {
        self.ip().is_ipv6()
    }

    /// Whether anybody could be reached there: a port, and an address of one host.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        let ip = self.ip();
        let everybody = ip == IpAddr::V4(Ipv4Addr::BROADCAST);
        self.port != 0 && !ip.is_unspecified() && !ip.is_multicast() && !everybody
    }

    /// The ZeroMQ endpoint: `tcp://` and the canonical text.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("tcp://{self}")
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip() {
            IpAddr::V4(ip) => write!(f, "{ip}:{}", self.port),
            IpAddr::V6(ip) => write!(f, "[{ip}]:{}", self.port),
        }
    }
}

impl Serialize for Connection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The records of a list; it ends quietly at the first thing that is no whole record.
pub fn list(bytes: &[u8]) -> impl Iterator<Item = Connection> + '_ {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (connection, used) = Connection::unpack(rest)?;
        rest = rest.get(used..)?;
        Some(connection)
    })
}

/// The leading part of `bytes` that is made of whole records.
#[must_use]
pub fn whole_part(bytes: &[u8]) -> &[u8] {
    let used = list(bytes)
        .map(|connection| match connection.address {
            Held::Four(_) => usize::from(SHORT_RECORD),
            Held::Sixteen(_) => usize::from(LONG_RECORD),
        })
        .sum();
    bytes.get(..used).unwrap_or_default()
}

/// Whether `bytes` is whole records and nothing else. The empty list is.
#[must_use]
pub fn is_whole_list(bytes: &[u8]) -> bool {
    whole_part(bytes).len() == bytes.len()
}

/// Packs connections one after the other.
#[must_use]
pub fn pack_list<'a>(connections: impl IntoIterator<Item = &'a Connection>) -> Vec<u8> {
    let mut out = Vec::new();
    for connection in connections {
        connection.pack_into(&mut out);
    }
    out
}

/// The first IPv4 and the first IPv6 connection of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FirstOfEach {
    /// The first IPv4 one, mapped ones included.
    pub v4: Option<Connection>,
    /// The first IPv6 one.
    pub v6: Option<Connection>,
}

impl FirstOfEach {
    /// Picks from a packed list.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut found = Self::default();
        for connection in list(bytes) {
            let place = if connection.is_ipv6() {
                &mut found.v6
            } else {
                &mut found.v4
            };
            place.get_or_insert(connection);
            if found.v4.is_some() && found.v6.is_some() {
                break;
            }
        }
        found
    }

    /// The one to dial: IPv6 if there is one and it is preferred, else IPv4. A node that does not
    /// prefer IPv6 never dials it (`proto/peer.md`, section 7 and 3.1).
    #[must_use]
    pub fn to_dial(&self, prefer_ipv6: bool) -> Option<Connection> {
        self.v6.filter(|_| prefer_ipv6).or(self.v4)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(text: &str) -> String {
        HostPort::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_name_is_left_to_the_resolver_untrimmed() {
        let name = HostPort::Name {
            host: " node.example ".to_owned(),
            port: 2136,
        };
        assert_eq!(HostPort::parse(" node.example : 02136"), Ok(name));
        assert_eq!(
            Connection::from_text("node.example:2136"),
            Err(ConnectionError::InvalidIpAddress)
        );
    }

    #[test]
    fn each_fault_of_a_text_has_its_own_words() {
        assert_eq!(error("127.0.0.1"), "invalid IP Address");
        assert_eq!(error("[::1:5"), "invalid IP Address");
        assert_eq!(error("[a]b]:5"), "invalid IP Address");
        assert_eq!(error("1.2.3.4:65536"), "invalid port number");
        assert_eq!(
            error("1.2.3.4:"),
            "strconv.Atoi: parsing \"\": invalid syntax"
        );
        assert_eq!(
            error("1.2.3.4:9223372036854775808"),
            "strconv.Atoi: parsing \"9223372036854775808\": value out of range"
        );
    }

    #[test]
    fn a_record_cut_short_ends_the_list() {
        let mut bytes = Connection::from_text("10.0.0.1:7").unwrap().pack();
        assert!(is_whole_list(&bytes));
        bytes.extend([0x13, 8, 0x58, 0x20, 1, 0xd, 0xb8]);
        assert!(!is_whole_list(&bytes));
        assert_eq!(list(&bytes).count(), 1);
        assert_eq!(whole_part(&bytes).len(), 19);
    }

    #[test]
    fn an_ipv4_node_never_dials_ipv6() {
        let v6 = Connection::from_text("[2001:db8::1]:7").unwrap();
        let v4 = Connection::from_text("10.0.0.1:7").unwrap();
        let only = FirstOfEach::of(&v6.pack());
        assert_eq!(only.to_dial(false), None);
        let both = FirstOfEach::of(&pack_list([&v4, &v6]));
        assert_eq!(both.to_dial(false), Some(v4));
        assert_eq!(both.to_dial(true), Some(v6));
    }

    #[test]
    fn nobody_can_be_reached_at_port_0_or_at_everybody() {
        for text in ["0.0.0.0:5", "[::]:5", "224.0.0.1:5", "255.255.255.255:5"] {
            assert!(!Connection::from_text(text).unwrap().is_usable(), "{text}");
        }
        let portless = Connection::from_ip_bytes(&[10, 0, 0, 1], 0).unwrap();
        assert!(!portless.is_usable());
        assert!(Connection::from_text("[::1]:5").unwrap().is_usable());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let whole = whole_part(&bytes);
            prop_assert_eq!(pack_list(&list(&bytes).collect::<Vec<_>>()), whole);
            prop_assert!(is_whole_list(whole));
        }

        #[test]
        fn text_of_any_address_reads_back(bytes in any::<[u8; 16]>(), port in 1..=u16::MAX) {
            let connection = Connection::from_ip_bytes(&bytes, port).unwrap();
            prop_assert_eq!(Connection::from_text(&connection.to_string()), Ok(connection));
        }

        #[test]
        fn any_text_is_read_without_harm(text in "[\\[\\]:.0-9a-f %]{0,30}") {
            let _ = HostPort::parse(&text);
        }
    }
}
