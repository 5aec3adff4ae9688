//! `snapshot`: the chain with its digests and indexes in one file.
//!
//! | command | what it does |
//! | --- | --- |
//! | `export` | takes it, from a running node or from the folder of a stopped one |
//! | `import` | makes the store of a new node of it, once somebody vouches for it |
//! | `verify` | looks at all of it, and tells what it is of |
//! | `sign` | vouches for it, in a file beside it |

mod export;
mod file;
mod import;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use zeroize::Zeroizing;

use super::Tell;
use super::blocks::progress;
use super::identities::ending;
use crate::core::keys::{Account, PrivateKey};
use crate::core::snapshot::{Manifest, ManifestHash, Reader, Signature, Signatures, pool_name};
use crate::shell::files::config::Config;
use crate::shell::files::{atomic, bounded};
use file::SnapshotFile;

/// Longest file of signatures, or of a key.
const TEXT_BYTES: u64 = 64 << 10;

/// What is to be done with one.
#[derive(Debug, Subcommand)]
pub enum Snapshot {
    /// Write the chain as it is now to a file. The node may run: it goes on meanwhile, and the file is
    /// of one block.
    Export {
        /// The file.
        file: PathBuf,
        /// Write over a file that is there.
        #[arg(long)]
        force: bool,
        /// Sign it with this key: a file as `proof.sign`.
        #[arg(long, value_name = "KEYFILE")]
        sign_with: Option<PathBuf>,
        /// The node's socket, if not the one of the configuration.
        #[arg(long, value_name = "FILE")]
        socket: Option<PathBuf>,
    },
    /// Make the store of a new node from a file. The node serves from it at once, checks every digest
    /// in the background, and drops what is false.
    Import {
        /// The file.
        file: PathBuf,
        /// The hash of its manifest, from somebody who is trusted.
        #[arg(long, value_name = "HASH")]
        manifest: Option<ManifestHash>,
        /// An account whose signature is enough, beside those of the configuration
        /// (snapshot.trusted_keys); can be repeated.
        #[arg(long, value_name = "ACCOUNT")]
        signed_by: Vec<Account>,
        /// The file with the signatures; FILE.sig unless given.
        #[arg(long, value_name = "SIGFILE")]
        signatures: Option<PathBuf>,
    },
    /// Look at all of a file, and tell what it is of and who signed it.
    Verify {
        /// The file.
        file: PathBuf,
        /// The file with the signatures; FILE.sig unless given.
        #[arg(long, value_name = "SIGFILE")]
        signatures: Option<PathBuf>,
    },
    /// Sign a file: vouch for all that is in it. The signature goes to FILE.sig.
    Sign {
        /// The file.
        file: PathBuf,
        /// The key: a file as `proof.sign`.
        #[arg(long, value_name = "KEYFILE")]
        key: PathBuf,
    },
}

pub(super) fn run(
    command: &Snapshot,
    config: impl Fn() -> anyhow::Result<Config>,
    tell: Tell,
) -> anyhow::Result<()> {
    match command {
        Snapshot::Export {
            file,
            force,
            sign_with,
            socket,
        } => {
            let key = sign_with.as_deref().map(key_of).transpose()?;
            let hash = export::run(&config()?, file, *force, socket.as_deref(), tell)?;
            key.map_or(Ok(()), |key| sign(file, &key, &hash, tell))
        }
        Snapshot::Import {
            file,
            manifest,
            signed_by,
            signatures,
        } => {
            let trust = import::Trust {
                hash: *manifest,
                signed_by,
                signatures: signatures.as_deref(),
            };
            import::run(&config()?, file, &trust, tell)
        }
        Snapshot::Verify { file, signatures } => {
            let manifest = verify(file, tell)?;
            facts(&manifest);
            let hash = manifest.hash();
            for signature in signatures_of(file, signatures.as_deref())?.0 {
                let is = signature.is_of(&hash);
                let what = if is { "signed by" } else { "NOT signed by" };
                outln!("{what:<9} {}", signature.account);
            }
            Ok(())
        }
        Snapshot::Sign { file, key } => {
            let key = key_of(key)?;
            // Nobody vouches for what is not whole.
            let manifest = verify(file, tell)?;
            facts(&manifest);
            sign(file, &key, &manifest.hash(), tell)
        }
    }
}

/// What a snapshot is of, told in any case.
fn facts(manifest: &Manifest) {
    outln!("{:<9} {}", "chain", manifest.chain);
    outln!("{:<9} {}", "height", manifest.height);
    outln!("{:<9} {}", "digest", manifest.digest);
    for (pool, section) in manifest.pools() {
        outln!(
            "{:<9} {} {}, {} bytes",
            "holds",
            section.entries,
            pool_name(pool),
            section.bytes()
        );
    }
    outln!("{:<9} {}", "manifest", manifest.hash());
}

/// Reads all of it.
fn verify(file: &Path, tell: Tell) -> anyhow::Result<Manifest> {
    let named = || file.display().to_string();
    let mut opened = SnapshotFile::open(file).with_context(named)?;
    let manifest = opened.manifest().with_context(named)?;
    let bar = progress("reading bytes", manifest.bytes(), tell);
    let mut reader = Reader::new(&manifest);
    opened
        .chunks(|payload| {
            reader.chunk(payload, |_, _, _| {})?;
            bar.inc(payload.len() as u64);
            Ok(())
        })
        .and_then(|()| Ok(reader.finish()?))
        .with_context(named)?;
    bar.finish_and_clear();
    Ok(manifest)
}

/// The signatures beside a file, or in another one; none where there is no file beside it.
fn signatures_of(file: &Path, named: Option<&Path>) -> anyhow::Result<Signatures> {
    let beside = ending(file, "sig");
    let path = named.unwrap_or(&beside);
    let bytes = match bounded::read(path, TEXT_BYTES) {
        Err(e) if e.kind() == ErrorKind::NotFound && named.is_none() => {
            return Ok(Signatures::default());
        }
        read => read.with_context(|| path.display().to_string())?,
    };
    let text = String::from_utf8(bytes).with_context(|| path.display().to_string())?;
    Signatures::read(&text).with_context(|| path.display().to_string())
}

/// The key of a file.
fn key_of(path: &Path) -> anyhow::Result<PrivateKey> {
    let named = || path.display().to_string();
    let bytes = Zeroizing::new(bounded::read(path, TEXT_BYTES).with_context(named)?);
    let text = std::str::from_utf8(&bytes).with_context(named)?;
    PrivateKey::from_signing_key_file(text).with_context(|| {
        format!(
            "{}: a key file holds SEED:… or PRIVATE:…, as `bitmarkd gen-proof-identity` writes it",
            path.display()
        )
    })
}

/// Adds a signature to those beside a file. One of an older file of that name goes.
fn sign(file: &Path, key: &PrivateKey, hash: &ManifestHash, tell: Tell) -> anyhow::Result<()> {
    let Some(signature) = Signature::make(key, hash) else {
        bail!("this key is nobody's and signs nothing");
    };
    let account = signature.account;
    let mut all = signatures_of(file, None)?;
    all.0.retain(|signature| signature.is_of(hash));
    all.add(signature);
    let path = ending(file, "sig");
    atomic::replace(&path, all.to_string().as_bytes(), 0o644)
        .with_context(|| path.display().to_string())?;
    tell.say(format!("signed by {account} in {}", path.display()));
    Ok(())
}
