//! What the client takes where nothing else is given: the node and the identity that `setup` wrote
//! down, in `client.toml` of the client's folder. Never holds a secret.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::shell::files::atomic;

/// Name of the file.
const FILE: &str = "client.toml";

/// The file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Who signs.
    pub identity: Option<String>,
    /// Folder of the identities.
    pub identities: Option<PathBuf>,
    /// The node's network.
    pub chain: Option<String>,
    /// The node's client service, `HOST:PORT`.
    pub rpc: Option<String>,
    /// Fingerprint of its certificate.
    pub pin: Option<String>,
    /// Or its peer service, `HOST:PORT`.
    pub connect: Option<String>,
    /// With its public key.
    pub server_key: Option<String>,
}

/// Where the file is.
///
/// # Errors
/// The user has no folder.
pub fn path() -> anyhow::Result<PathBuf> {
    Ok(super::home::folder()?.join(FILE))
}

impl Settings {
    /// Reads the file; nothing when there is none.
    ///
    /// # Errors
    /// It is damaged.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => toml::from_str(&text).with_context(|| path.display().to_string()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    /// The settings of this user.
    ///
    /// # Errors
    /// See [`Settings::read`].
    pub fn of_user() -> anyhow::Result<Self> {
        match path() {
            Ok(path) => Self::read(&path),
            // Without a folder there are none.
            Err(_) => Ok(Self::default()),
        }
    }

    /// Writes a new file.
    ///
    /// # Errors
    /// There is one, or it cannot be written.
    pub fn create(&self, path: &Path) -> anyhow::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let text = toml::to_string(self)?;
        atomic::create(path, text.as_bytes(), 0o600).with_context(|| {
            format!(
                "{}: settings are never overwritten; edit or remove the file",
                path.display()
            )
        })
    }
}

/// Writes down who signs, in settings that name nobody. All else in the file stays as it is.
///
/// # Errors
/// They name somebody, are damaged, or cannot be written; the old file is untouched then.
pub fn add_identity(path: &Path, name: &str) -> anyhow::Result<()> {
    let place = || path.display().to_string();
    // Where a link leads to, so that it stays one.
    let whole = path.canonicalize().with_context(place)?;
    let old = std::fs::read_to_string(&whole).with_context(place)?;
    let line = Settings {
        identity: Some(name.to_owned()),
        ..Settings::default()
    };
    let text = toml::to_string(&line)? + &old;
    toml::from_str::<Settings>(&text).with_context(place)?;
    atomic::replace(&whole, text.as_bytes(), 0o600).with_context(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_written_once_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/client.toml");
        assert_eq!(Settings::read(&path).unwrap(), Settings::default());
        let settings = Settings {
            identity: Some("bob".to_owned()),
            rpc: Some("127.0.0.1:2130".to_owned()),
            ..Settings::default()
        };
        settings.create(&path).unwrap();
        assert_eq!(Settings::read(&path).unwrap(), settings);
        assert!(settings.create(&path).is_err());
        assert!(add_identity(&path, "ann").is_err());
        std::fs::write(&path, "# mine\nchain = \"local\"").unwrap();
        add_identity(&path, "ann").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "identity = \"ann\"\n# mine\nchain = \"local\"");
        std::fs::write(&path, "nonsense = 1\n").unwrap();
        let error = format!("{:#}", Settings::read(&path).unwrap_err());
        assert!(error.contains("nonsense"), "{error}");
    }
}
