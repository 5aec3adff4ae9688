//! Values of the configuration that are more than a text or a number; each is checked as it is
//! read, so that its error names the line.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::core::wire::connection::HostPort;

/// `host:port`; a name is looked up at the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    text: String,
    parsed: HostPort,
}

impl Address {
    /// What it says.
    #[must_use]
    pub const fn host_port(&self) -> &HostPort {
        &self.parsed
    }

    /// One text for all ways to write the same.
    #[must_use]
    pub fn canonical(&self) -> String {
        match &self.parsed {
            HostPort::Address(connection) => connection.to_string(),
            HostPort::Name { host, port } => format!("{host}:{port}"),
        }
    }
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parsed = HostPort::parse(&text).map_err(|error| format!("{text:?}: {error}"))?;
        Ok(Self { text, parsed })
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.text
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A list of addresses: one text or several; empty texts are passed over.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Addresses(pub Vec<Address>);

impl std::ops::Deref for Addresses {
    type Target = [Address];

    fn deref(&self) -> &[Address] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Addresses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = one_or_many(deserializer)?;
        texts
            .into_iter()
            .filter(|text| !text.trim().is_empty())
            .map(|text| Address::try_from(text).map_err(de::Error::custom))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Texts;

    impl<'de> Visitor<'de> for Texts {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text or a list of texts")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(vec![text.to_owned()])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut texts = Vec::new();
            while let Some(text) = list.next_element()? {
                texts.push(text);
            }
            Ok(texts)
        }
    }

    deserializer.deserialize_any(Texts)
}

/// Where a client service listens: an IP address and a port; without an address, both families.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ListenAddress {
    text: String,
    /// The sockets to bind, one or two.
    sockets: Vec<SocketAddr>,
}

impl ListenAddress {
    /// The sockets to bind, one or two.
    #[must_use]
    pub fn sockets(&self) -> &[SocketAddr] {
        &self.sockets
    }
}

impl TryFrom<String> for ListenAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let sockets = match HostPort::parse(&text) {
            Ok(HostPort::Address(connection)) => {
                vec![SocketAddr::new(connection.ip(), connection.port())]
            }
            Ok(HostPort::Name { host, port }) if host.trim().is_empty() => vec![
                SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port),
                SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port),
            ],
            Ok(HostPort::Name { .. }) => {
                return Err(format!("{text:?}: an IP address is wanted, not a name"));
            }
            Err(error) => return Err(format!("{text:?}: {error}")),
        };
        Ok(Self { text, sockets })
    }
}

impl From<ListenAddress> for String {
    fn from(address: ListenAddress) -> Self {
        address.text
    }
}

/// The public key of a peer: 64 hex digits without a tag.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HexKey(pub [u8; 32]);

impl TryFrom<String> for HexKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut key = [0; 32];
        hex::decode_to_slice(&text, &mut key)
            .map_err(|_| format!("{text:?} is not a public key of 64 hex digits"))?;
        Ok(Self(key))
    }
}

impl From<HexKey> for String {
    fn from(key: HexKey) -> Self {
        hex::encode(key.0)
    }
}

impl fmt::Debug for HexKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Another node with its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connect {
    /// Its public key.
    pub public_key: HexKey,
    /// Where it is.
    pub address: Address,
}

/// The name of a network, lower-cased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChainName(String);

impl ChainName {
    /// The name on the wire.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Where `nodes = "chain"` looks.
    #[must_use]
    pub fn domain(&self) -> Option<&'static str> {
        match self.0.as_str() {
            "bitmark" => Some("nodes.live.bitmark.com"),
            "testing" => Some("nodes.test.bitmark.com"),
            "local" => Some("nodes.localdomain"),
            _ => None,
        }
    }
}

impl Default for ChainName {
    fn default() -> Self {
        Self("bitmark".to_owned())
    }
}

impl TryFrom<String> for ChainName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let name = text.to_lowercase();
        ["bitmark", "testing", "local", "devnet"]
            .contains(&name.as_str())
            .then_some(Self(name))
            .ok_or_else(|| format!("{text:?}: invalid chain"))
    }
}

impl From<ChainName> for String {
    fn from(chain: ChainName) -> Self {
        chain.0
    }
}

/// Where the first peers are named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Nodes {
    /// Nowhere.
    None,
    /// In the TXT records of the chain's domain.
    Chain,
    /// In those of another domain.
    Domain(String),
}

impl TryFrom<String> for Nodes {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.trim() {
            "" => Err("empty; \"none\", \"chain\" or a domain name is wanted".to_owned()),
            "none" => Ok(Self::None),
            "chain" => Ok(Self::Chain),
            domain => Ok(Self::Domain(domain.to_owned())),
        }
    }
}

impl From<Nodes> for String {
    fn from(nodes: Nodes) -> Self {
        match nodes {
            Nodes::None => "none".to_owned(),
            Nodes::Chain => "chain".to_owned(),
            Nodes::Domain(domain) => domain,
        }
    }
}

/// How much a module logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing.
    Off,
    /// What ends the node.
    Critical,
    /// What it could not do.
    Error,
    /// What an operator should look at.
    Warn,
    /// What an operator wants to know.
    Info,
    /// Each decision.
    Debug,
    /// Each message.
    Trace,
}

impl Level {
    /// The filter of the log crate; it has nothing above errors.
    #[must_use]
    pub const fn filter(self) -> log::LevelFilter {
        match self {
            Self::Off => log::LevelFilter::Off,
            Self::Critical | Self::Error => log::LevelFilter::Error,
            Self::Warn => log::LevelFilter::Warn,
            Self::Info => log::LevelFilter::Info,
            Self::Debug => log::LevelFilter::Debug,
            Self::Trace => log::LevelFilter::Trace,
        }
    }
}

/// A list of IP addresses; IPv6 ones may stand in brackets, which the reference drops.
pub(super) fn ip_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpAddr>, D::Error> {
    one_or_many(deserializer)?
        .into_iter()
        .map(|text| {
            let bare = text
                .strip_prefix('[')
                .and_then(|inner| inner.strip_suffix(']'))
                .unwrap_or(&text);
            bare.parse::<IpAddr>()
                .map(|ip| ip.to_canonical())
                .map_err(|_| de::Error::custom(format!("{text:?}: invalid IP Address")))
        })
        .collect()
}

/// Writes addresses as texts.
pub(super) fn ip_texts<S: Serializer>(list: &[IpAddr], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(list.iter().map(ToString::to_string))
}
