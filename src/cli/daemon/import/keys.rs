//! The keys of the other node: each read and checked first, then copied to where our configuration
//! wants them.
//!
//! Which half of a pair is in which file is told by what the file says, not by its name: the
//! reference's defaults have the two names the wrong way round. No different file that is there is
//! overwritten unless that is asked for, when it is kept beside; and none of the other node ever.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use zeroize::Zeroizing;

use super::Line;
use super::pending::read;
use super::sources::is_file;
use crate::core::chain::Chain;
use crate::core::keys::{PeerPrivateKey, PeerPublicKey, PrivateKey};
use crate::shell::files::atomic;
use crate::shell::files::certificate::fingerprint_of;
use crate::shell::files::config::Config;
use crate::shell::tcp::tls;

/// Bytes of a key file at most.
const BYTES_MAX: u64 = 1 << 20;
/// Old files of one name that are kept at most.
const OLD_MAX: usize = 99;
const PUBLIC_MODE: u32 = 0o644;
const PRIVATE_MODE: u32 = 0o600;
const NAMES: [&str; 7] = [
    "peer.public",
    "peer.private",
    "proof.public",
    "proof.private",
    "proof.sign",
    "rpc.crt",
    "rpc.key",
];

/// Whether a folder has any of the files.
pub(super) fn are_in(folder: &Path) -> anyhow::Result<bool> {
    for name in NAMES {
        if is_file(&folder.join(name))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether both names lead to one file.
pub(super) fn is_same_file(one: &Path, two: &Path) -> bool {
    match (one.canonicalize(), two.canonicalize()) {
        (Ok(one), Ok(two)) => one == two,
        _ => false,
    }
}

/// Whether a file, which may not be there yet, would lie in a folder or below it.
fn lies_in(path: &Path, folder: &Path) -> bool {
    let parent = path.ancestors().skip(1).find_map(|parent| match parent {
        parent if parent.as_os_str().is_empty() => Path::new(".").canonicalize().ok(),
        parent => parent.canonicalize().ok(),
    });
    match (parent, folder.canonicalize()) {
        (Some(parent), Ok(folder)) => parent.starts_with(folder),
        _ => false,
    }
}

/// A file to be written.
struct Copy {
    target: PathBuf,
    bytes: Zeroizing<Vec<u8>>,
    mode: u32,
    is_there: bool,
    /// Another file that is there and goes.
    replaced: Option<Zeroizing<Vec<u8>>>,
    /// The target is the other node's own file.
    is_source: bool,
}

/// Keys that are good, and where they go.
pub(super) struct Plan {
    copies: Vec<Copy>,
    lines: Vec<Line>,
}

impl Plan {
    pub(super) fn make(
        folder: &Path,
        config: &Config,
        chain: &'static Chain,
        force: bool,
    ) -> anyhow::Result<Self> {
        let mut plan = Self {
            copies: Vec::new(),
            lines: Vec::new(),
        };
        let [peering, proofing] = [
            (&config.peering.public_key, &config.peering.private_key),
            (&config.proofing.public_key, &config.proofing.private_key),
        ];
        plan.pair(folder, ["peer.public", "peer.private"], "peer", peering)?;
        plan.pair(folder, ["proof.public", "proof.private"], "proof", proofing)?;
        plan.signing(folder, &config.proofing.signing_key, chain)?;
        let rpc = (
            &config.client_rpc.certificate,
            &config.client_rpc.private_key,
        );
        plan.certificate(folder, rpc)?;
        for copy in &mut plan.copies {
            copy.look(folder, force)?;
        }
        for (at, copy) in plan.copies.iter().enumerate() {
            let mut others = plan.copies.iter().skip(at + 1);
            if others.any(|other| copy.clashes_with(other)) {
                bail!(
                    "{}: the configuration wants two different keys in this one file",
                    copy.target.display()
                );
            }
        }
        Ok(plan)
    }

    fn copy(&mut self, bytes: Zeroizing<Vec<u8>>, target: &Path, mode: u32) {
        self.copies.push(Copy {
            target: target.to_owned(),
            bytes,
            mode,
            is_there: false,
            replaced: None,
            is_source: false,
        });
    }

    fn pair(
        &mut self,
        folder: &Path,
        names: [&str; 2],
        what: &'static str,
        targets: (&PathBuf, &PathBuf),
    ) -> anyhow::Result<()> {
        let [one, two] = names.map(|name| folder.join(name));
        let Some([first, second]) = both(&one, &two)? else {
            return Ok(());
        };
        let half = |bytes: &[u8]| PeerPublicKey::from_file(&String::from_utf8_lossy(bytes));
        let (public, private, secret) = if half(&first).is_ok() {
            (first, second, two)
        } else {
            (second, first, one.clone())
        };
        let key = half(&public).with_context(|| one.display().to_string())?;
        let text = Zeroizing::new(String::from_utf8_lossy(&private).into_owned());
        let pair =
            PeerPrivateKey::from_file(&text).with_context(|| secret.display().to_string())?;
        if pair.public_key() != key {
            bail!(
                "{} and {} do not belong together",
                folder.join(names[0]).display(),
                folder.join(names[1]).display()
            );
        }
        self.copy(public, targets.0, PUBLIC_MODE);
        self.copy(private, targets.1, PRIVATE_MODE);
        self.lines.push((what, format!("public key {key}")));
        Ok(())
    }

    fn signing(
        &mut self,
        folder: &Path,
        target: &Path,
        chain: &'static Chain,
    ) -> anyhow::Result<()> {
        let path = folder.join("proof.sign");
        let Some(bytes) = present(&path)? else {
            return Ok(());
        };
        let name = || path.display().to_string();
        let text = Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned());
        let key = PrivateKey::from_signing_key_file(&text).with_context(name)?;
        let account = key
            .account()
            .context("it has no account")
            .with_context(name)?;
        if account.testing != chain.testing {
            bail!(
                "{}: the key is of the other network than chain {}",
                name(),
                chain.name
            );
        }
        self.copy(bytes, target, PRIVATE_MODE);
        self.lines.push(("signing", format!("account {account}")));
        Ok(())
    }

    fn certificate(&mut self, folder: &Path, targets: (&PathBuf, &PathBuf)) -> anyhow::Result<()> {
        let [certificate, key] = ["rpc.crt", "rpc.key"].map(|name| folder.join(name));
        let Some([shown, secret]) = both(&certificate, &key)? else {
            return Ok(());
        };
        tls::server(&certificate, &key, &[])?;
        let fingerprint = hex::encode(fingerprint_of(&certificate)?);
        self.copy(shown, targets.0, PUBLIC_MODE);
        self.copy(secret, targets.1, PRIVATE_MODE);
        let line = format!("certificate with fingerprint {fingerprint}");
        self.lines.push(("rpc", line));
        Ok(())
    }

    pub(super) fn write(self) -> anyhow::Result<Vec<Line>> {
        let mut lines = self.lines;
        let all = self.copies.len();
        let there = self.copies.iter().filter(|copy| copy.is_there).count();
        let mut replaced = Vec::new();
        for copy in self.copies {
            let name = || copy.target.display().to_string();
            if let Some(kept) = copy.write().with_context(name)? {
                let text = format!("{} replaced, the old one is {}", name(), kept.display());
                replaced.push(("keys", text));
            }
        }
        lines.push((
            "keys",
            format!("{} files written, {there} were there", all - there),
        ));
        lines.extend(replaced);
        Ok(lines)
    }
}

impl Copy {
    /// Whether the file may be written, and has to be.
    fn look(&mut self, folder: &Path, force: bool) -> anyhow::Result<()> {
        let name = self.target.display();
        let of_the_source = |name| is_same_file(&folder.join(name), &self.target);
        self.is_source = NAMES.into_iter().any(of_the_source);
        match read(&self.target, BYTES_MAX).map(Zeroizing::new) {
            Ok(there) if there == self.bytes => self.is_there = true,
            Ok(there) => {
                if self.is_source {
                    bail!(
                        "{name}: the configuration names a file of the other node for something else; name another one"
                    );
                }
                if !force {
                    bail!(
                        "{name}: another key is there and is not overwritten; move it away, or give --force"
                    );
                }
                self.replaced = Some(there);
            }
            Err(error) => match error.downcast_ref::<std::io::Error>() {
                Some(error) if error.kind() == ErrorKind::NotFound => {}
                _ => return Err(error),
            },
        }
        if !self.is_there {
            if lies_in(&self.target, folder) {
                bail!(
                    "{name}: the configuration wants a key in the folder of the other node; name another place"
                );
            }
            atomic::probe(&self.target).with_context(|| name.to_string())?;
        }
        Ok(())
    }

    fn clashes_with(&self, other: &Self) -> bool {
        let place = |path: &Path| {
            let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
            (folder, path.file_name().map(ToOwned::to_owned))
        };
        let is_same = self.target == other.target
            || is_same_file(&self.target, &other.target)
            || place(&self.target) == place(&other.target);
        is_same && self.bytes != other.bytes
    }

    /// Keeps what was there under a name that is free.
    fn keep_old(&self) -> std::io::Result<Option<PathBuf>> {
        let Some(bytes) = &self.replaced else {
            return Ok(None);
        };
        for number in 1..=OLD_MAX {
            let mut name = self.target.as_os_str().to_owned();
            name.push(".old");
            if number > 1 {
                name.push(format!(".{number}"));
            }
            let path = PathBuf::from(name);
            match atomic::create(&path, bytes, PRIVATE_MODE) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                made => return made.map(|()| Some(path)),
            }
        }
        Err(std::io::Error::other("too many files .old are there"))
    }

    /// Gives where the file that was there is kept.
    fn write(&self) -> std::io::Result<Option<PathBuf>> {
        if self.is_there {
            // As it was, but for its owner alone if it is secret.
            let facts = self.target.metadata()?;
            if !self.is_source
                && self.mode == PRIVATE_MODE
                && facts.permissions().mode() & 0o077 != 0
            {
                let mode = std::fs::Permissions::from_mode(PRIVATE_MODE);
                std::fs::set_permissions(&self.target, mode)?;
            }
            return Ok(None);
        }
        let kept = self.keep_old()?;
        atomic::replace(&self.target, &self.bytes, self.mode)?;
        Ok(kept)
    }
}

/// A file that is there, of bounded length.
fn present(path: &Path) -> anyhow::Result<Option<Zeroizing<Vec<u8>>>> {
    if is_file(path)? {
        read(path, BYTES_MAX).map(Zeroizing::new).map(Some)
    } else {
        Ok(None)
    }
}

/// Two files that belong together: both are there, or none is.
fn both(one: &Path, two: &Path) -> anyhow::Result<Option<[Zeroizing<Vec<u8>>; 2]>> {
    match (present(one)?, present(two)?) {
        (Some(first), Some(second)) => Ok(Some([first, second])),
        (None, None) => Ok(None),
        (first, _) => {
            let (there, missing) = if first.is_some() {
                (one, two)
            } else {
                (two, one)
            };
            bail!("{} is there without {}", there.display(), missing.display())
        }
    }
}
