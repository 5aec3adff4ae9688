//! The sections of the configuration with their defaults. Each key is described in
//! `docs/bitmarkd.sample.toml`; a default stands here and is compared with that file by a test.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Levels;
use super::fields::{Address, Addresses, Connect, HexKey, Level, ListenAddress, ip_list, ip_texts};
use crate::core::keys::Account;

/// `[database]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// Created with mode 0700.
    pub directory: PathBuf,
    /// The chain's name unless set.
    pub name: Option<String>,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            directory: "data".into(),
            name: None,
        }
    }
}

/// `[client_rpc]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientRpc {
    /// Over all listeners together.
    pub maximum_connections: u32,
    /// Empty: no service.
    pub listen: Vec<ListenAddress>,
    /// Told to the network.
    pub announce: Addresses,
    /// PEM.
    pub certificate: PathBuf,
    /// PEM.
    pub private_key: PathBuf,
}

impl Default for ClientRpc {
    fn default() -> Self {
        Self {
            maximum_connections: 10,
            listen: Vec::new(),
            announce: Addresses::default(),
            certificate: "rpc.crt".into(),
            private_key: "rpc.key".into(),
        }
    }
}

/// `[https_rpc]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpsRpc {
    /// Over all listeners together.
    pub maximum_connections: u32,
    /// Empty: no service.
    pub listen: Vec<ListenAddress>,
    /// PEM.
    pub certificate: PathBuf,
    /// PEM.
    pub private_key: PathBuf,
    /// Who may ask for what.
    pub allow: Allow,
}

impl Default for HttpsRpc {
    fn default() -> Self {
        Self {
            maximum_connections: 10,
            listen: Vec::new(),
            certificate: "rpc.crt".into(),
            private_key: "rpc.key".into(),
            allow: Allow::default(),
        }
    }
}

/// `[https_rpc.allow]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Allow {
    /// Status of the node.
    #[serde(deserialize_with = "ip_list", serialize_with = "ip_texts")]
    pub details: Vec<IpAddr>,
    /// Outgoing connections.
    #[serde(deserialize_with = "ip_list", serialize_with = "ip_texts")]
    pub connections: Vec<IpAddr>,
    /// Peers known.
    #[serde(deserialize_with = "ip_list", serialize_with = "ip_texts")]
    pub peers: Vec<IpAddr>,
}

/// `[explorer]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Explorer {
    /// Empty: no service. Without a certificate loopback alone.
    pub listen: Vec<ListenAddress>,
    /// Who may look beside this machine itself.
    #[serde(deserialize_with = "ip_list", serialize_with = "ip_texts")]
    pub allow: Vec<IpAddr>,
    /// PEM; none: plain HTTP.
    pub certificate: Option<PathBuf>,
    /// PEM.
    pub private_key: Option<PathBuf>,
}

/// `[peering]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Peering {
    /// Whether peers from announcements are connected.
    pub dynamic_connections: bool,
    /// Whether IPv6 is dialled where a peer has both.
    pub prefer_ipv6: bool,
    /// At least one.
    pub listen: Addresses,
    /// Told to the network.
    pub announce: Addresses,
    /// Key file.
    pub public_key: PathBuf,
    /// Key file.
    pub private_key: PathBuf,
    /// Clients admitted; empty: all.
    pub allow: Vec<HexKey>,
    /// Memory of the process beyond which all connections are closed; 0: no limit.
    pub memory_mebibytes: u64,
    /// Peers that are always connected.
    pub connect: Vec<Connect>,
}

impl Default for Peering {
    fn default() -> Self {
        Self {
            dynamic_connections: true,
            prefer_ipv6: true,
            listen: Addresses::default(),
            announce: Addresses::default(),
            public_key: "peer.public".into(),
            private_key: "peer.private".into(),
            allow: Vec::new(),
            memory_mebibytes: 2048,
            connect: Vec::new(),
        }
    }
}

/// `[publishing]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Publishing {
    /// Empty: no publisher.
    pub broadcast: Addresses,
    /// Key file.
    pub public_key: PathBuf,
    /// Key file.
    pub private_key: PathBuf,
}

impl Default for Publishing {
    fn default() -> Self {
        Self {
            broadcast: Addresses::default(),
            public_key: "peer.public".into(),
            private_key: "peer.private".into(),
        }
    }
}

/// `[subscribing]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Subscribing {
    /// Publishers that are listened to.
    pub connect: Vec<Connect>,
}

/// `[proofing]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Proofing {
    /// Where work is published.
    pub publish: Addresses,
    /// Where it comes back.
    pub submit: Addresses,
    /// Key file.
    pub public_key: PathBuf,
    /// Key file.
    pub private_key: PathBuf,
    /// Owner of the blocks made here.
    pub signing_key: PathBuf,
    /// Where the fees go, by currency.
    pub payment_address: BTreeMap<String, String>,
}

impl Default for Proofing {
    fn default() -> Self {
        Self {
            publish: Addresses::default(),
            submit: Addresses::default(),
            public_key: "proof.public".into(),
            private_key: "proof.private".into(),
            signing_key: "proof.sign".into(),
            payment_address: BTreeMap::new(),
        }
    }
}

impl Proofing {
    /// Whether this node gives work to miners.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.publish.is_empty() || !self.submit.is_empty()
    }
}

/// `[payment]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Payment {
    /// The discovery proxy, else REST.
    pub use_discovery: bool,
    /// The proxy.
    pub discovery: Option<Discovery>,
    /// REST of the daemon.
    pub bitcoin: Option<PaymentUrl>,
    /// REST of the daemon.
    pub litecoin: Option<PaymentUrl>,
}

/// `[payment.discovery]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discovery {
    /// The proxy's PUB.
    pub sub_endpoint: Address,
    /// The proxy's REP.
    pub req_endpoint: Address,
}

/// `[payment.bitcoin]` and `[payment.litecoin]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentUrl {
    /// Base of the REST service.
    pub url: String,
}

/// `[logging]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Logging {
    /// Where the files are.
    pub directory: PathBuf,
    /// Name of the newest.
    pub file: String,
    /// A file that grew past this is put aside.
    pub size: u64,
    /// Files kept.
    pub count: usize,
    /// Whether the log goes to the terminal as well.
    pub console: bool,
    /// By module.
    pub levels: Levels,
}

impl Default for Logging {
    fn default() -> Self {
        Self {
            directory: "log".into(),
            file: "bitmarkd.log".to_owned(),
            size: 1_048_576,
            count: 10,
            console: false,
            levels: BTreeMap::from([("DEFAULT".to_owned(), Level::Info)]),
        }
    }
}

/// `[control]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Control {
    /// A Unix socket, mode 0600.
    pub socket: PathBuf,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            socket: "control.socket".into(),
        }
    }
}

/// `[snapshot]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Snapshot {
    /// Accounts whose signature of a snapshot is enough to take it.
    pub trusted_keys: Vec<Account>,
}

/// `[reservoir]`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reservoir {
    /// Unconfirmed records.
    pub pending_records: usize,
    /// And their size.
    pub pending_mebibytes: usize,
    /// How much of both one peer may fill.
    pub peer_share_percent: usize,
    /// Issue sets of one owner.
    pub sets_per_owner: usize,
    /// Assets that are not confirmed.
    pub assets: usize,
    /// Payments whose records have not come.
    pub orphan_payments: usize,
}

impl Default for Reservoir {
    fn default() -> Self {
        Self {
            pending_records: 200_000,
            pending_mebibytes: 256,
            peer_share_percent: 25,
            sets_per_owner: 1_000,
            assets: 50_000,
            orphan_payments: 10_000,
        }
    }
}
