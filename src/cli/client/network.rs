//! `nodes.json` of a test network: where its nodes are. Written by `bitmarkd testnet`, read here;
//! names in it are added, never changed.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// Name of the file in the network's folder.
pub const FILE: &str = "nodes.json";

/// A running test network.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the file")]
pub struct Network {
    pub chain: String,
    pub started: String,
    pub ends: String,
    pub nodes: Vec<NodeEntry>,
    pub miner: Miner,
    pub identity: IdentityEntry,
}

/// One of its nodes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the file")]
pub struct NodeEntry {
    pub name: String,
    pub chain: String,
    pub pid: u32,
    pub directory: PathBuf,
    pub log: PathBuf,
    pub control: PathBuf,
    pub peer: Endpoints,
    pub publish: Endpoints,
    pub mining: MiningEndpoints,
    /// Plain HTTP.
    #[serde(default)]
    pub explorer: String,
    /// JSON-RPC over TLS, both families.
    #[serde(default)]
    pub rpc: Vec<String>,
    /// SHA3-256 of the certificate that the two above and below show, 64 hex digits.
    #[serde(default)]
    pub rpc_fingerprint: String,
    /// The same over HTTPS.
    #[serde(default)]
    pub https: String,
}

/// A service of a node over both families.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the file")]
pub struct Endpoints {
    pub ipv4: String,
    pub ipv6: String,
    pub public_key: String,
}

/// Where work is given out and taken back.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the file")]
pub struct MiningEndpoints {
    pub publish: String,
    pub submit: String,
    pub public_key: String,
}

/// The miner.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the file")]
pub struct Miner {
    pub pid: u32,
    pub directory: PathBuf,
    pub log: PathBuf,
}

/// The identity that the client uses there unless told otherwise.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the file")]
pub struct IdentityEntry {
    pub name: String,
    pub file: PathBuf,
    pub passphrase_file: PathBuf,
    pub account: String,
}

impl Network {
    /// Reads the file in a network's folder.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(FILE);
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!(
                "{}: no test network; start one with `make testnet`",
                path.display()
            )
        })?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }

    /// A node by name, or the first.
    ///
    /// # Errors
    /// No node of that name.
    pub fn node(&self, name: Option<&str>) -> anyhow::Result<&NodeEntry> {
        let found = match name {
            Some(name) => self.nodes.iter().find(|node| node.name == name),
            None => self.nodes.first(),
        };
        found.with_context(|| {
            let names: Vec<_> = self.nodes.iter().map(|node| node.name.as_str()).collect();
            format!("there is no such node; there are: {}", names.join(", "))
        })
    }
}
