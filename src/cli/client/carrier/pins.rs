//! By which certificate a node is known. Nodes make their certificates themselves, so a client
//! trusts the fingerprint it is given, or the one it saw at its first visit and has kept since: a
//! node that shows another one later is refused. Never holds a secret, never loses what another
//! program kept meanwhile, and asks nobody for the address behind a name.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::net::Ipv6Addr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

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

/// An address as it is kept: there is one text for the many ways to write the same. Names stay
/// names.
#[must_use]
pub fn place(address: &str) -> String {
    let lower = address.trim().to_ascii_lowercase();
    let Some((host, port)) = lower.rsplit_once(':') else {
        return lower;
    };
    let Ok(port) = port.parse::<u16>() else {
        return lower;
    };
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    match inner.and_then(|host| host.parse::<Ipv6Addr>().ok()) {
        Some(v6) => format!("[{v6}]:{port}"),
        None => format!("{host}:{port}"),
    }
}

/// What is kept of a place, however it was written.
fn kept(
    known: &BTreeMap<String, String>,
    address: &str,
    path: &Path,
) -> anyhow::Result<Option<Fingerprint>> {
    let own = place(address);
    let mut found = None;
    for (_, text) in known.iter().filter(|(key, _)| place(key) == own) {
        let one = fingerprint(text)
            .map_err(anyhow::Error::msg)
            .with_context(|| format!("{}: {address}", path.display()))?;
        if found.is_some_and(|other| other != one) {
            bail!(
                "{}: two certificates of {own}; remove the wrong one",
                path.display()
            );
        }
        found = Some(one);
    }
    Ok(found)
}

/// The file itself, where a link leads to it.
fn behind_links(path: &Path) -> anyhow::Result<PathBuf> {
    let is_link = path
        .symlink_metadata()
        .is_ok_and(|found| found.is_symlink());
    if is_link {
        std::fs::canonicalize(path).with_context(|| path.display().to_string())
    } else {
        Ok(path.to_owned())
    }
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
            Self::FirstVisit(path) => kept(&read(path)?, address, path),
            Self::Any => Ok(None),
        }
    }

    /// Keeps what was seen at a first visit, and says so.
    ///
    /// # Errors
    /// The file cannot be written, or another certificate was kept meanwhile.
    pub fn keep(&self, address: &str, seen: &Fingerprint) -> anyhow::Result<()> {
        match self {
            Self::Exactly(_) => Ok(()),
            Self::FirstVisit(path) => {
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                let path = behind_links(path)?;
                // Held until the file is replaced: another program's first visit waits.
                let beside = path.with_extension("lock");
                let lock = OpenOptions::new()
                    .write(true)
                    .create(true)
                    .truncate(false)
                    .mode(0o600)
                    .open(&beside)
                    .and_then(|file| file.lock().map(|()| file));
                let _lock = lock.with_context(|| beside.display().to_string())?;
                let mut known = read(&path)?;
                match kept(&known, address, &path)? {
                    Some(kept) if kept == *seen => return Ok(()),
                    Some(kept) => bail!(self.other_certificate(address, &kept, seen)),
                    None => {}
                }
                let place = place(address);
                eprintln!(
                    "bitmark-cli: first visit to {place}; its certificate {} is kept, and another one will be refused",
                    hex::encode(seen)
                );
                known.insert(place, hex::encode(seen));
                let text = serde_json::to_string_pretty(&known)? + "\n";
                atomic::replace(&path, text.as_bytes(), 0o600)
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
        pin.keep("a:1", &[7; 32]).unwrap();
        let told = pin.keep("a:1", &[8; 32]).unwrap_err().to_string();
        assert!(told.contains("shows certificate 0808"), "{told}");
        assert_eq!(pin.wanted("a:1").unwrap(), Some([7; 32]));
        assert_eq!(pin.wanted("b:1").unwrap(), None);
        let told = pin.other_certificate("a:1", &[7; 32], &[8; 32]);
        assert!(told.contains("known-nodes.json") && told.contains("nothing was sent"));
        std::fs::write(folder.path().join(FILE), "{\"a:1\": \"xy\"}").unwrap();
        assert!(pin.wanted("a:1").is_err());
        std::fs::write(folder.path().join(FILE), "[").unwrap();
        assert!(pin.wanted("a:1").is_err());
    }

    #[test]
    fn a_node_is_the_same_however_its_address_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let pin = Pin::in_folder(Some(folder.path()));
        for (own, same) in [
            ("Node.Example:2130", "node.example:02130"),
            ("[2001:DB8::0:1]:1", "[2001:db8:0:0:0:0:0:1]:1"),
            ("127.0.0.1:1", "127.0.0.1:0001"),
        ] {
            pin.keep(own, &[7; 32]).unwrap();
            assert_eq!(pin.wanted(same).unwrap(), Some([7; 32]), "{own}");
            assert!(pin.keep(same, &[8; 32]).is_err());
        }
        // A name is asked of nobody.
        assert_eq!(pin.wanted("localhost:1").unwrap(), None);
        assert_eq!(place("LOCALHOST:1"), "localhost:1");
        assert_eq!(place("no port"), "no port");
        // As it was written before, and twice so.
        let (one, two) = ("07".repeat(32), "08".repeat(32));
        let file = folder.path().join(FILE);
        std::fs::write(&file, format!("{{\"A:1\": \"{one}\"}}")).unwrap();
        assert_eq!(pin.wanted("a:1").unwrap(), Some([7; 32]));
        std::fs::write(&file, format!("{{\"A:1\": \"{one}\", \"a:1\": \"{two}\"}}")).unwrap();
        let told = pin.wanted("a:01").unwrap_err().to_string();
        assert!(told.contains("two certificates of a:1"), "{told}");
        assert_eq!(pin.wanted("b:1").unwrap(), None);
    }

    #[test]
    fn first_visits_at_the_same_time_are_all_kept() {
        let folder = tempfile::tempdir().unwrap();
        let pin = Pin::in_folder(Some(folder.path()));
        std::thread::scope(|scope| {
            for number in 0..32_u8 {
                let pin = &pin;
                scope.spawn(move || pin.keep(&format!("node{number}:1"), &[number; 32]).unwrap());
            }
        });
        for number in 0..32_u8 {
            let wanted = pin.wanted(&format!("node{number}:1")).unwrap();
            assert_eq!(wanted, Some([number; 32]));
        }
    }

    #[test]
    fn a_link_to_the_file_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let (own, other) = (folder.path().join("own"), folder.path().join("other.json"));
        std::fs::create_dir(&own).unwrap();
        std::fs::write(&other, "{}").unwrap();
        std::os::unix::fs::symlink(&other, own.join(FILE)).unwrap();
        let pin = Pin::in_folder(Some(&own));
        pin.keep("a:1", &[7; 32]).unwrap();
        assert!(own.join(FILE).symlink_metadata().unwrap().is_symlink());
        assert!(std::fs::read_to_string(&other).unwrap().contains("a:1"));
        // A link that leads nowhere is not replaced either.
        std::fs::remove_file(&other).unwrap();
        assert!(pin.keep("b:1", &[7; 32]).is_err());
        assert!(own.join(FILE).symlink_metadata().unwrap().is_symlink());
    }
}
