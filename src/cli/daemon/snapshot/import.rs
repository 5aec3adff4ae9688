//! Making the store of a new node from a snapshot. It is made beside its place and moved there when
//! it is whole and on the disk: whatever ends the import, there is a whole store or none.
//!
//! Somebody has to vouch for the manifest; what it commits to is taken as it is. The node checks the
//! digests later.

use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};

use super::super::Tell;
use super::super::blocks::progress;
use super::super::identities::chain_named;
use super::file::SnapshotFile;
use super::signatures_of;
use crate::core::chain::Chain;
use crate::core::keys::Account;
use crate::core::ledger::Ledger;
use crate::core::ledger::checked::Checked;
use crate::core::snapshot::{Manifest, ManifestHash, Reader};
use crate::core::state::Batch;
use crate::node::Storage;
use crate::shell::files::atomic;
use crate::shell::files::config::Config;
use crate::shell::store::Store;

/// Bytes of cache while it is written.
const CACHE_BYTES: u64 = 64 << 20;
/// Entries that go in together: the library keeps what they replace until all are in.
const TOGETHER: usize = 256;

/// Who vouches for it.
#[derive(Debug)]
pub(super) struct Trust<'a> {
    /// The operator, for this manifest.
    pub hash: Option<ManifestHash>,
    /// These accounts, beside those of the configuration.
    pub signed_by: &'a [Account],
    /// Where their signatures are.
    pub signatures: Option<&'a Path>,
}

impl Trust<'_> {
    /// Who vouches, for people.
    fn of(&self, config: &Config, file: &Path, hash: &ManifestHash) -> anyhow::Result<String> {
        if let Some(given) = self.hash {
            ensure!(
                given == *hash,
                "the manifest has the hash {hash}, not the one that was given: this is another snapshot, or somebody changed it"
            );
        }
        if self.hash.is_some() && self.signed_by.is_empty() {
            // That is enough, whoever else could be asked.
            return Ok("the hash of the manifest is the one that was given".to_owned());
        }
        let configured = config.snapshot.trusted_keys.iter();
        let trusted: Vec<Account> = configured.chain(self.signed_by).copied().collect();
        ensure!(
            !trusted.is_empty(),
            "nobody vouches for this snapshot (its manifest has the hash {hash}): give --manifest HASH with the hash from somebody you trust, or --signed-by ACCOUNT, or set snapshot.trusted_keys"
        );
        let signatures = signatures_of(file, self.signatures)?;
        let signer = signatures.signer(hash, &trusted).with_context(|| {
            let count = signatures.0.len();
            format!(
                "none of the trusted accounts signed this snapshot (there are {count} signatures): give the file with theirs as --signatures SIGFILE, or the hash of the manifest as --manifest HASH"
            )
        })?;
        Ok(format!("signed by {signer}"))
    }
}

pub(super) fn run(
    config: &Config,
    file: &Path,
    trust: &Trust<'_>,
    tell: Tell,
) -> anyhow::Result<()> {
    let chain = chain_named(config.chain.name())?;
    let named = || file.display().to_string();
    let mut opened = SnapshotFile::open(file).with_context(named)?;
    let manifest = opened.manifest().with_context(named)?;
    ensure!(
        manifest.chain == chain.name,
        "{}: this is a snapshot of chain {}, and the configuration is for chain {}",
        file.display(),
        manifest.chain,
        chain.name
    );
    let vouched = trust.of(config, file, &manifest.hash())?;
    tell.say(format!(
        "chain {} up to block {}: {vouched}",
        manifest.chain, manifest.height
    ));

    let storage = Storage::of(config);
    let folder = storage.0.parent().context("the store has no folder")?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| folder.display().to_string())?;
    // Held to the end: one import at a time.
    let lock = File::open(folder).with_context(|| folder.display().to_string())?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            bail!("{}: another import is under way here", folder.display())
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| folder.display().to_string());
        }
    }
    ensure!(
        storage.0.symlink_metadata().is_err(),
        "{}: there is a store already, and a snapshot goes into an empty folder only; stop the node and move this one away",
        storage.0.display()
    );
    let importing = storage.importing();
    remove(&importing)?;
    let filled = fill(&importing, &mut opened, &manifest, chain, tell).with_context(named);
    if let Err(error) = filled {
        // Nothing of it is of use.
        let _ = remove(&importing);
        return Err(error);
    }
    let place = || storage.0.display().to_string();
    std::fs::rename(&importing, &storage.0).with_context(place)?;
    atomic::sync_folder(&storage.0).with_context(place)?;
    tell.say(format!(
        "{} entries are taken, the height is {}; the node serves from now on and checks the digests while it runs (`bitmarkd ctl status`: verifiedHeight)",
        manifest.entries(),
        manifest.height
    ));
    Ok(())
}

/// What an import left that did not come to its end.
fn remove(importing: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(importing) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| importing.display().to_string())
        }
        _ => Ok(()),
    }
}

/// Writes the store and has it on the disk.
fn fill(
    folder: &Path,
    opened: &mut SnapshotFile,
    manifest: &Manifest,
    chain: &'static Chain,
    tell: Tell,
) -> anyhow::Result<()> {
    let bar = progress("taking bytes", manifest.bytes(), tell);
    let store = Store::open(folder, CACHE_BYTES)?.store;
    let mut reader = Reader::new(manifest);
    opened.chunks(|payload| {
        let mut batch = Batch::new();
        let mut applied = Ok(());
        reader.chunk(payload, |pool, key, value| {
            batch.put(pool, key, value);
            if batch.len() >= TOGETHER && applied.is_ok() {
                applied = store.apply(&std::mem::take(&mut batch));
            }
        })?;
        applied?;
        store.apply(&batch)?;
        bar.inc(payload.len() as u64);
        Ok(())
    })?;
    reader.finish()?;
    store.apply(&Checked::nothing_of(manifest.height).batch())?;
    // It is one that the node starts from.
    let ledger = Ledger::load(chain, &store)?;
    ensure!(
        ledger.height() == manifest.height && ledger.tip().digest == manifest.digest,
        "the store is at another block than the manifest says"
    );
    store.flush()?;
    drop(store);
    for inside in ["db", "blobs/all"] {
        let inside = folder.join(inside);
        if inside.parent().is_some_and(Path::exists) {
            atomic::sync_folder(&inside)?;
        }
    }
    bar.finish_and_clear();
    Ok(())
}
