//! By which certificate a node is known. Nodes make their certificates themselves, so a client
//! trusts the fingerprint it is given, or the one it saw at its first visit and has kept since: a
//! node that shows another one later is refused. Never holds a secret.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::core::announce::rpcs::Fingerprint;
use crate::shell::files::atomic;

/// The file of certificates seen, beside the identities.
const FILE: &str = "known-nodes.json";

/// How a node's certificate is checked.
#[derive(Debug, Clone)]
pub enum Pin {
    /// This one.
    Exactly(Fingerprint),
    /// The one of the first visit, kept in the file.
    FirstVisit(PathBuf),
    /// Any: there is nowhere to keep what was seen.
    Any,
}

/// The fingerprint of a certificate (`proto/rpc.md`, section 2).
///
/// # Errors
/// It is none, in words for the command line.
pub fn fingerprint(text: &str) -> Result<Fingerprint, String> {
    hex::decode(text)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| "the fingerprint of a certificate is wanted: 64 hex digits".to_owned())
}

fn read(path: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    serde_json::from_str(&text)
        .with_context(|| format!("{}: no list of nodes; mend or remove it", path.display()))
}

impl Pin {
    /// With the certificates kept in the client's folder.
    #[must_use]
    pub fn in_folder(folder: Option<&Path>) -> Self {
        folder.map_or(Self::Any, |folder| Self::FirstVisit(folder.join(FILE)))
    }

    /// The fingerprint that the node at this address must show, if one is known.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn wanted(&self, address: &str) -> anyhow::Result<Option<Fingerprint>> {
        match self {
            Self::Exactly(fingerprint) => Ok(Some(*fingerprint)),
            Self::FirstVisit(path) => read(path)?
                .get(address)
                .map(|text| fingerprint(text).map_err(anyhow::Error::msg))
                .transpose()
                .with_context(|| format!("{}: {address}", path.display())),
            Self::Any => Ok(None),
        }
    }

    /// Keeps what was seen at a first visit, and says so.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep(&self, address: &str, seen: &Fingerprint) -> anyhow::Result<()> {
        match self {
            Self::Exactly(_) => Ok(()),
            Self::FirstVisit(path) => {
                let mut known = read(path)?;
                if known.contains_key(address) {
                    return Ok(());
                }
                eprintln!(
                    "bitmark-cli: first visit to {address}; its certificate {} is kept, and another one will be refused",
                    hex::encode(seen)
                );
                known.insert(address.to_owned(), hex::encode(seen));
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                let text = serde_json::to_string_pretty(&known)? + "\n";
                atomic::replace(path, text.as_bytes(), 0o600)
                    .with_context(|| path.display().to_string())
            }
            Self::Any => {
                let seen = hex::encode(seen);
                eprintln!("bitmark-cli: the node at {address} is not known; give --pin {seen}");
                Ok(())
            }
        }
    }

    /// What is told about a node that shows another certificate.
    #[must_use]
    pub fn other_certificate(
        &self,
        address: &str,
        wanted: &Fingerprint,
        seen: &Fingerprint,
    ) -> String {
        let help = match self {
            Self::FirstVisit(path) => format!(
                "if its operator made a new one, remove its line from {} or give --pin",
                path.display()
            ),
            _ => "ask its operator which is right".to_owned(),
        };
        format!(
            "{address} shows certificate {}, not {}: nothing was sent; {help}",
            hex::encode(seen),
            hex::encode(wanted)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_of_the_first_visit_is_the_one_wanted_later() {
        let folder = tempfile::tempdir().unwrap();
        let pin = Pin::in_folder(Some(folder.path()));
        assert_eq!(pin.wanted("a:1").unwrap(), None);
        pin.keep("a:1", &[7; 32]).unwrap();
        pin.keep("a:1", &[8; 32]).unwrap();
        assert_eq!(pin.wanted("a:1").unwrap(), Some([7; 32]));
        assert_eq!(pin.wanted("b:1").unwrap(), None);
        let told = pin.other_certificate("a:1", &[7; 32], &[8; 32]);
        assert!(told.contains("known-nodes.json") && told.contains("nothing was sent"));
        std::fs::write(folder.path().join(FILE), "{\"a:1\": \"xy\"}").unwrap();
        assert!(pin.wanted("a:1").is_err());
        std::fs::write(folder.path().join(FILE), "[").unwrap();
        assert!(pin.wanted("a:1").is_err());
    }
}
