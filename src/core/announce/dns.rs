//! TXT records that name the first peers (`proto/peer.md`, section 6.5).
//!
//! Text in, a peer out; nothing is looked up here. A record with any fault is of no use as a
//! whole.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

use super::peers::Key;
use super::rpcs::Fingerprint;
use crate::core::wire::connection::{Connection, pack_list};

/// Why a record is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TxtError {
    /// Not of this kind, or an item is missing, double or unknown.
    #[error("invalid dns txt record")]
    InvalidRecord,
    /// An address that is none, or empty.
    #[error("invalid IP Address")]
    InvalidIpAddress,
    /// Outside 1..=65535 or no number.
    #[error("invalid port number")]
    InvalidPortNumber,
    /// Not 64 hex digits.
    #[error("invalid fingerprint")]
    InvalidFingerprint,
    /// Not 64 hex digits.
    #[error("invalid public key")]
    InvalidPublicKey,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxtRecord {
    /// The last IPv4 address given.
    pub ipv4: Option<Ipv4Addr>,
    /// The last IPv6 address given.
    pub ipv6: Option<Ipv6Addr>,
    /// Port of the peer service.
    pub connect_port: u16,
    /// Port of the client service.
    pub rpc_port: u16,
    /// Fingerprint of the client service's certificate.
    pub fingerprint: Fingerprint,
    /// Key of the peer service.
    pub public_key: Key,
}

impl TxtRecord {
    /// Reads a record.
    ///
    /// # Errors
    /// The first fault.
    pub fn parse(text: &str) -> Result<Self, TxtError> {
        let mut words = text.trim().split(' ').filter(|word| !word.is_empty());
        if !matches!(words.next(), Some("bitmark=v2" | "bitmark=v3")) {
            return Err(TxtError::InvalidRecord);
        }
        let mut addresses = None;
        let mut connect_port = None;
        let mut rpc_port = None;
        let mut fingerprint = None;
        let mut public_key = None;
        for word in words {
            let (letter, value) = word
                .split_once('=')
                .filter(|(_, value)| !value.is_empty())
                .ok_or(TxtError::InvalidRecord)?;
            match letter {
                "a" => once(&mut addresses, parse_addresses(value)?)?,
                "c" => once(&mut connect_port, parse_port(value)?)?,
                "r" => once(&mut rpc_port, parse_port(value)?)?,
                "s" => drop(parse_port(value)?),
                "f" => once(
                    &mut fingerprint,
                    parse_bytes(value).ok_or(TxtError::InvalidFingerprint)?,
                )?,
                "p" => once(
                    &mut public_key,
                    parse_bytes(value).ok_or(TxtError::InvalidPublicKey)?,
                )?,
                _ => return Err(TxtError::InvalidRecord),
            }
        }
        let (ipv4, ipv6) = addresses.ok_or(TxtError::InvalidRecord)?;
        Ok(Self {
            ipv4,
            ipv6,
            connect_port: connect_port.ok_or(TxtError::InvalidRecord)?,
            rpc_port: rpc_port.ok_or(TxtError::InvalidRecord)?,
            fingerprint: fingerprint.ok_or(TxtError::InvalidRecord)?,
            public_key: public_key.ok_or(TxtError::InvalidRecord)?,
        })
    }

    /// The packed listeners: IPv4, then IPv6, both with the peer port.
    #[must_use]
    pub fn listeners(&self) -> Vec<u8> {
        let v4 = self.ipv4.map(IpAddr::V4);
        let v6 = self.ipv6.map(IpAddr::V6);
        let connections: Vec<Connection> = v4
            .into_iter()
            .chain(v6)
            .map(|ip| Connection::new(ip, self.connect_port))
            .collect();
        pack_list(&connections)
    }
}

impl fmt::Display for TxtRecord {
    /// The record as it goes into a zone, without quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v4 = self.ipv4.map(|ip| ip.to_string());
        let v6 = self.ipv6.map(|ip| format!("[{ip}]"));
        let addresses: Vec<String> = v4.into_iter().chain(v6).collect();
        write!(
            f,
            "bitmark=v3 a={} c={} r={} f={} p={}",
            addresses.join(";"),
            self.connect_port,
            self.rpc_port,
            hex::encode(self.fingerprint),
            hex::encode(self.public_key)
        )
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), TxtError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(TxtError::InvalidRecord),
    }
}

type Addresses = (Option<Ipv4Addr>, Option<Ipv6Addr>);

/// Addresses separated by `;`, the last of each family wins. An empty one, which ends the
/// reference's process, is refused.
fn parse_addresses(text: &str) -> Result<Addresses, TxtError> {
    let mut found = (None, None);
    for word in text.split(';') {
        let bare = word
            .strip_prefix('[')
            .map_or(Some(word), |inner| inner.strip_suffix(']'))
            .ok_or(TxtError::InvalidIpAddress)?;
        let ip: IpAddr = bare.parse().map_err(|_| TxtError::InvalidIpAddress)?;
        match ip.to_canonical() {
            IpAddr::V4(v4) => found.0 = Some(v4),
            IpAddr::V6(v6) => found.1 = Some(v6),
        }
    }
    Ok(found)
}

fn parse_port(text: &str) -> Result<u16, TxtError> {
    let port = text.parse().unwrap_or(0);
    if port == 0 {
        return Err(TxtError::InvalidPortNumber);
    }
    Ok(port)
}

fn parse_bytes(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record() -> TxtRecord {
        TxtRecord {
            ipv4: Some(Ipv4Addr::new(198, 51, 100, 7)),
            ipv6: Some("2001:db8::12".parse().unwrap()),
            connect_port: 2136,
            rpc_port: 2130,
            fingerprint: [1; 32],
            public_key: [2; 32],
        }
    }

    #[test]
    fn a_printed_record_reads_back() {
        let text = record().to_string();
        assert!(text.starts_with("bitmark=v3 a=198.51.100.7;[2001:db8::12] c=2136 r=2130 f=0101"));
        assert_eq!(TxtRecord::parse(&text), Ok(record()));
        let v2 = text.replace("=v3", "=v2").replace("c=2136", "c=+02136");
        assert_eq!(TxtRecord::parse(&v2), Ok(record()));
    }

    #[test]
    fn an_empty_address_is_refused() {
        for list in ["a=198.51.100.7;", "a=;198.51.100.7", "a=[]", "a=[::1"] {
            let text = record().to_string();
            let text = text.replace("a=198.51.100.7;[2001:db8::12]", list);
            assert_eq!(TxtRecord::parse(&text), Err(TxtError::InvalidIpAddress));
        }
    }

    #[test]
    fn listeners_are_ipv4_then_ipv6_with_the_peer_port() {
        let texts: Vec<String> = crate::core::wire::connection::list(&record().listeners())
            .map(|connection| connection.to_string())
            .collect();
        assert_eq!(texts, ["198.51.100.7:2136", "[2001:db8::12]:2136"]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_harm(text in "bitmark=v3( [a-z]=[\\[\\];:.0-9a-f+]{0,12}){0,6}") {
            let _ = TxtRecord::parse(&text);
        }
    }
}
