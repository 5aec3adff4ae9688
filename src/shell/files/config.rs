//! The configuration of the node: one struct with every key, its defaults, and how it is read
//! (`proto/rpc.md`, section 6; `proto/peer.md`, sections 3.2, 10 and 11; `proto/mining.md`).
//!
//! The format is TOML; sections and keys are those of the reference. An unknown key is an error
//! that names key and line. Everything is checked before anything starts, and all that is wrong is
//! told at once. Each key is described in `docs/bitmarkd.sample.toml`, which a test keeps complete
//! and true to the defaults here. No key or password stands in this file, only names of files.

mod check;
mod fields;
mod paths;
mod recorder;
mod sections;
mod variables;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use fields::{Address, Addresses, ChainName, Connect, HexKey, Level, ListenAddress, Nodes};
pub use recorder::{RecorderConfig, RecorderConnect, RecorderPeering};
pub use sections::{
    Allow, ClientRpc, Control, Database, Discovery, Explorer, HttpsRpc, Logging, Payment,
    PaymentUrl, Peering, Proofing, Publishing, Reservoir, Snapshot, Subscribing,
};
pub use variables::Variables;

use crate::core::overlay::mempool;
pub use crate::core::timing::Timing;

/// The commented sample: every key with its default.
pub const SAMPLE: &str = include_str!("../../../docs/bitmarkd.sample.toml");

/// Why a configuration is of no use.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        error: io::Error,
    },
    /// A `${NAME}` that nobody set, or that cannot stand in a line.
    #[error("{path}: line {line}: {why}")]
    Variable {
        /// The file.
        path: String,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// No TOML, an unknown key, or a value of the wrong kind; names line and key.
    #[error("{path}: {message}")]
    Syntax {
        /// The file.
        path: String,
        /// Position, the line itself and what is wrong with it.
        message: String,
    },
    /// The values do not go together or with this machine.
    #[error("{path}:\n  {}", .problems.join("\n  "))]
    Check {
        /// The file.
        path: String,
        /// Each begins with the key it is about.
        problems: Vec<String>,
    },
}

/// The whole configuration of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where everything else is.
    pub data_directory: PathBuf,
    /// File for the process number.
    #[serde(default)]
    pub pidfile: Option<PathBuf>,
    /// The network.
    #[serde(default)]
    pub chain: ChainName,
    /// Where the first peers are named.
    pub nodes: Nodes,
    /// Peers known at the last stop; `peers-CHAIN.json` unless set.
    #[serde(default)]
    pub peer_file: Option<PathBuf>,
    /// The store.
    #[serde(default)]
    pub database: Database,
    /// JSON-RPC over TLS.
    #[serde(default)]
    pub client_rpc: ClientRpc,
    /// The same over HTTPS.
    #[serde(default)]
    pub https_rpc: HttpsRpc,
    /// Pages for people, metrics, health.
    #[serde(default)]
    pub explorer: Explorer,
    /// The peer service.
    #[serde(default)]
    pub peering: Peering,
    /// The publisher.
    #[serde(default)]
    pub publishing: Publishing,
    /// Publishers that are listened to.
    #[serde(default)]
    pub subscribing: Subscribing,
    /// Mining.
    #[serde(default)]
    pub proofing: Proofing,
    /// Watching currencies.
    #[serde(default)]
    pub payment: Payment,
    /// The log.
    #[serde(default)]
    pub logging: Logging,
    /// The control socket.
    #[serde(default)]
    pub control: Control,
    /// Whose snapshots are taken.
    #[serde(default)]
    pub snapshot: Snapshot,
    /// Intervals and thresholds.
    #[serde(default)]
    pub timing: Timing,
    /// Caps of the pools of unconfirmed records.
    #[serde(default)]
    pub reservoir: Reservoir,
    /// How unconfirmed records are shared with peers of our kind.
    #[serde(default)]
    pub mempool: mempool::Settings,
}

impl Config {
    /// Reads and checks a file. All names of files in the result are absolute.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(path: &Path, variables: &Variables) -> Result<Self, ConfigError> {
        let mut config: Self = read(path, variables)?;
        let mut problems = Vec::new();
        paths::resolve(&mut config, path, &mut problems);
        check::check(&config, &mut problems);
        if problems.is_empty() {
            Ok(config)
        } else {
            let path = path.display().to_string();
            Err(ConfigError::Check { path, problems })
        }
    }

    /// Reads and checks a text before it is written to `path`. Its data directory need not be there.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn check_text(path: &Path, text: &str, variables: &Variables) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let mut config: Self = parse(&name, text, variables)?;
        paths::resolve_in(&mut config, path);
        let mut problems = Vec::new();
        check::check(&config, &mut problems);
        if problems.is_empty() {
            Ok(config)
        } else {
            let path = name;
            Err(ConfigError::Check { path, problems })
        }
    }

    /// Reads a text without looking at the values.
    ///
    /// # Errors
    /// [`ConfigError::Variable`] or [`ConfigError::Syntax`]; `name` stands for the file.
    pub fn parse(name: &str, text: &str, variables: &Variables) -> Result<Self, ConfigError> {
        parse(name, text, variables)
    }
}

fn read<T: DeserializeOwned>(path: &Path, variables: &Variables) -> Result<T, ConfigError> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Read {
        path: name.clone(),
        error,
    })?;
    parse(&name, &text, variables)
}

fn parse<T: DeserializeOwned>(
    name: &str,
    text: &str,
    variables: &Variables,
) -> Result<T, ConfigError> {
    let text = variables
        .apply(text)
        .map_err(|(line, why)| ConfigError::Variable {
            path: name.to_owned(),
            line,
            why,
        })?;
    toml::from_str(&text).map_err(|error| ConfigError::Syntax {
        path: name.to_owned(),
        message: error.to_string().trim_end().to_owned(),
    })
}

/// Levels of the log by module; `DEFAULT` is for all others.
pub type Levels = BTreeMap<String, Level>;

#[cfg(test)]
mod tests;
