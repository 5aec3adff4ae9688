//! The configuration of the miner, `recorderd` (`proto/mining.md`, section 7), read and checked
//! in the same way as the node's.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::fields::{Address, ChainName, HexKey};
use super::{ConfigError, Levels, Logging, Variables, check, parse, paths, read};

/// The whole configuration of a miner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecorderConfig {
    /// Where everything else is.
    pub data_directory: PathBuf,
    /// File for the process number.
    #[serde(default)]
    pub pidfile: Option<PathBuf>,
    /// The network.
    #[serde(default)]
    pub chain: ChainName,
    /// Hashing threads; one for each core unless set.
    #[serde(default)]
    pub threads: Option<usize>,
    /// The nodes worked for.
    pub peering: RecorderPeering,
    /// The log.
    #[serde(default = "log_of_recorder", with = "LogOfRecorder")]
    pub logging: Logging,
}

/// `[peering]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecorderPeering {
    /// Key file.
    pub public_key: PathBuf,
    /// Key file.
    pub private_key: PathBuf,
    /// At least one.
    pub connect: Vec<RecorderConnect>,
}

/// A node worked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecorderConnect {
    /// Its key of the proof identity.
    pub public_key: HexKey,
    /// Where it publishes work.
    pub blocks: Address,
    /// Where it takes results.
    pub submit: Address,
}

const LOG_FILE: &str = "recorderd.log";

fn log_of_recorder() -> Logging {
    Logging {
        file: LOG_FILE.to_owned(),
        ..Logging::default()
    }
}

/// `[logging]`: the node's, with a file of another name where none is given.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Logging", default = "log_of_recorder", deny_unknown_fields)]
struct LogOfRecorder {
    directory: PathBuf,
    file: String,
    size: u64,
    count: usize,
    console: bool,
    levels: Levels,
}

impl RecorderConfig {
    /// Reads and checks a file. All names of files in the result are absolute.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(path: &Path, variables: &Variables) -> Result<Self, ConfigError> {
        let mut config: Self = read(path, variables)?;
        let mut problems = Vec::new();
        match paths::data_directory(&config.data_directory, path) {
            Ok(directory) => config.data_directory = directory,
            Err(problem) => problems.push(problem),
        }
        config.checked(path, problems)
    }

    /// Reads and checks a text before it is written to `path`. Its data directory need not be there.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn check_text(path: &Path, text: &str, variables: &Variables) -> Result<Self, ConfigError> {
        let mut config: Self = parse(&path.display().to_string(), text, variables)?;
        config.data_directory = paths::named(&config.data_directory, path);
        config.checked(path, Vec::new())
    }

    /// Makes names absolute and looks at everything.
    fn checked(mut self, path: &Path, mut problems: Vec<String>) -> Result<Self, ConfigError> {
        let config = &mut self;
        let base = config.data_directory.clone();
        let absolute = |path: &mut PathBuf| *path = base.join(&*path);
        config.pidfile.as_mut().map(absolute);
        absolute(&mut config.peering.public_key);
        absolute(&mut config.peering.private_key);
        paths::resolve_logging(&mut config.logging, &base);
        check::check_logging(&config.logging, &mut problems);
        if config.threads == Some(0) {
            problems.push("threads: at least 1".to_owned());
        }
        if config.peering.connect.is_empty() {
            problems.push("peering.connect: invalid length, no node to work for".to_owned());
        }
        if problems.is_empty() {
            Ok(self)
        } else {
            let path = path.display().to_string();
            Err(ConfigError::Check { path, problems })
        }
    }
}
