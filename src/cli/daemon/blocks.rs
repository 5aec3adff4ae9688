//! `load-blocks`, `delete-down`, `rebuild`: what changes the store while no node has it
//! (`proto/blocks.md`, sections 10, 13 and 14).
//!
//! The store is opened exclusively. Each block goes in or comes off as one batch, so a command that
//! is ended in the middle leaves a store that opens. What is valid is decided by the ledger.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};

use super::Tell;
use super::identities::chain_named;
use crate::core::block::{DigestMemory, digest, dump};
use crate::core::chain::Chain;
use crate::core::id::BlockDigest;
use crate::core::ledger::checked::Checked;
use crate::core::ledger::{Ledger, LedgerError, Rebuild, UNDO_KEPT, keys};
use crate::core::reservoir::{Confirmed, Reservoir};
use crate::core::state::{Batch, Overlay, Pool, View as _};
use crate::core::time::Now;
use crate::node::{Storage, caps, rebuild_store};
use crate::shell::files::config::Config;
use crate::shell::signatures::Cores;
use crate::shell::store::{CACHE_BYTES, Store};

/// The store, made if it is not there.
pub(super) fn open(config: &Config) -> anyhow::Result<Store> {
    let storage = Storage::of(config);
    storage.check()?;
    let path = storage.0;
    if let Some(parent) = path.parent() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .with_context(|| parent.display().to_string())?;
    }
    let opened = Store::open(&path, CACHE_BYTES)?;
    if let Some(aside) = opened.set_aside {
        eprintln!(
            "bitmarkd: the store was damaged; it is kept at {} and an empty one is in its place",
            aside.display()
        );
    }
    Ok(opened.store)
}

/// The store, if there is one: nothing is made by looking.
pub(super) fn existing(config: &Config) -> anyhow::Result<Option<Store>> {
    let storage = Storage::of(config);
    storage.check()?;
    if storage.0.exists() {
        open(config).map(Some)
    } else {
        Ok(None)
    }
}

/// The number of the highest stored block; 1 if there is none.
pub(super) fn height(store: &Store) -> anyhow::Result<u64> {
    let last = store.last(Pool::Blocks)?;
    Ok(last.and_then(|(key, _)| keys::number(&key)).unwrap_or(1))
}

/// A bar on a terminal, nothing elsewhere.
pub(super) fn progress(what: &'static str, count: u64, tell: Tell) -> ProgressBar {
    if tell.quiet {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(
        "{msg} {bar:30} {pos} of {len}, {per_sec}, {eta} to go, {elapsed}",
    )
    .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(count).with_style(style).with_message(what)
}

/// `rebuild`
pub(super) fn rebuild(config: &Config, tell: Tell) -> anyhow::Result<()> {
    let height = match existing(config)? {
        Some(store) => build_indexes(&store, chain_named(config.chain.name())?, tell)?,
        None => 1,
    };
    tell.say(format!("the indexes are built up to block {height}"));
    Ok(())
}

/// Builds all indexes again from the stored blocks.
pub(super) fn build_indexes(
    store: &Store,
    chain: &'static Chain,
    tell: Tell,
) -> anyhow::Result<u64> {
    let bar = progress("rebuilding", height(store)?, tell);
    let mut last = 1;
    let height = rebuild_store(store, chain, &mut |height| {
        last = height;
        bar.set_position(height);
    });
    bar.finish_and_clear();
    let number = last + 1;
    height.map_err(|error| match error {
        LedgerError::Store(fault) => fault.into(),
        error => anyhow::anyhow!(
            "block {number}: {error}; `bitmarkd delete-down {number}` keeps the blocks below it, and the node fetches the others again"
        ),
    })
}

/// `delete-down`
pub(super) fn delete_down(config: &Config, number: u64, tell: Tell) -> anyhow::Result<()> {
    let height = match existing(config)? {
        Some(store) => take_off(&store, config, number, tell)?,
        None => 1,
    };
    outln!("reduced height to: {height}");
    Ok(())
}

/// Takes off all blocks from the top down to `number`; gives the height that is left.
fn take_off(store: &Store, config: &Config, number: u64, tell: Tell) -> anyhow::Result<u64> {
    let chain = chain_named(config.chain.name())?;
    let top = height(store)?;
    let is_deep = top.saturating_sub(number) >= UNDO_KEPT;
    if !is_deep && !Rebuild::is_due(store)? {
        match undo(store, config, chain, number, tell) {
            Ok(height) => return Ok(height),
            Err(LedgerError::Damaged(why)) => {
                tell.say(format!("{why}: the indexes are built again"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    if !tell.quiet {
        eprintln!(
            "the records of these blocks do not return to the pools, and what builds on them there \
             goes: their owners push them again"
        );
    }
    // What the blocks changed is not kept: they go, and the indexes follow. The mark is on disk
    // before the first block goes, so whoever opens the store next finishes the work.
    store.apply(&Rebuild::ask_without(store, number)?)?;
    store.flush()?;
    build_indexes(store, chain, tell)
}

/// Takes blocks off exactly, by what is kept of what they changed, all at once; their records go
/// back into the pools.
fn undo(
    store: &Store,
    config: &Config,
    chain: &'static Chain,
    number: u64,
    tell: Tell,
) -> Result<u64, LedgerError> {
    let whole = Ledger::load(chain, store)?;
    let mut ledger = whole.clone();
    let count = (ledger.height() + 1).saturating_sub(number);
    let bar = progress("taking off", count, tell);
    let mut trial = Overlay::new(store);
    let mut returned = Vec::new();
    while ledger.height() >= number {
        let undone = ledger.undo_top(&trial)?;
        trial.extend(undone.batch);
        returned.push(undone.returned);
        bar.inc(1);
    }
    let before = Confirmed {
        view: store,
        ledger: &whole,
    };
    let after = Confirmed {
        view: &trial,
        ledger: &ledger,
    };
    let now = Now {
        mono: 0,
        wall: wall(),
    };
    let returned = returned.into_iter().rev().flatten().collect();
    let pools = Reservoir::with_returned(caps(config), now, returned, &before, &after)?;
    trial.extend(pools);
    store.apply(&trial.into_batch())?;
    store.flush()?;
    bar.finish_and_clear();
    Ok(ledger.height())
}

pub(super) fn wall() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
}

/// `load-blocks`
pub(super) fn load(config: &Config, file: &Path, tell: Tell) -> anyhow::Result<()> {
    let chain = chain_named(config.chain.name())?;
    let opened = File::open(file).with_context(|| file.display().to_string())?;
    let bytes = opened.metadata().map_or(0, |facts| facts.len());
    let store = open(config)?;
    let height = height(&store)?;
    if height > 1 {
        bail!(
            "not overwriting existing data: the height is {height}; `bitmarkd delete-down 2` empties the store"
        );
    }
    let mut loading = Loading {
        growing: Growing::new(store, chain, tell)?,
        memory: crate::shell::digest::memory(),
        refused: 0,
        first_refused: None,
    };
    let bar = progress("loading bytes", bytes, tell);
    let mut source = BufReader::new(opened);
    while let Some(packed) = next_block(&mut source, chain).with_context(|| {
        format!(
            "{}: behind block {}",
            file.display(),
            loading.growing.ledger.height()
        )
    })? {
        loading.take(&packed)?;
        bar.inc((dump::LENGTH_BYTES + packed.len()) as u64);
    }
    loading.growing.store.flush()?;
    bar.finish_and_clear();
    loading.finish(tell)
}

/// The next block of a block file; none at its end.
pub(super) fn next_block(source: &mut impl Read, chain: &Chain) -> anyhow::Result<Option<Vec<u8>>> {
    let mut prefix = [0; dump::LENGTH_BYTES];
    let mut have = 0;
    while let Some(rest) = prefix.get_mut(have..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => bail!("the file ends in the middle of a block"),
            Ok(count) => have += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    let length = dump::length_of(prefix, chain.rules.message_bytes_max)
        .context("no block is as long as the file says; was it made by `save-blocks`?")?;
    let mut packed = vec![0; length];
    source
        .read_exact(&mut packed)
        .context("the file ends in the middle of a block")?;
    Ok(Some(packed))
}

/// A store that takes blocks on top of those that it has.
pub(super) struct Growing {
    /// The chain as far as it is stored.
    pub ledger: Ledger,
    /// Where it is stored.
    pub store: Store,
    /// Blocks that went in.
    pub taken: u64,
}

impl Growing {
    /// Indexes that were left unfinished are built first.
    pub(super) fn new(store: Store, chain: &'static Chain, tell: Tell) -> anyhow::Result<Self> {
        if Rebuild::is_due(&store)? {
            build_indexes(&store, chain, tell)?;
        }
        let mut ledger = Ledger::load(chain, &store)?;
        ledger.check_with(Arc::new(Cores::all()));
        Ok(Self {
            ledger,
            store,
            taken: 0,
        })
    }

    /// One block, in whole or not at all, by all rules of the chain.
    pub(super) fn take(&mut self, packed: &[u8], digest: BlockDigest) -> Result<(), LedgerError> {
        self.take_with(packed, digest, |_| Batch::new())
    }

    /// The same where nobody computed the digest: that is stored with the block, so that the node
    /// computes it later, whatever ends this run.
    pub(super) fn take_trusted(
        &mut self,
        packed: &[u8],
        digest: BlockDigest,
        checked: &mut Checked,
    ) -> Result<(), LedgerError> {
        self.take_with(packed, digest, |height| {
            checked.until = height;
            checked.batch()
        })
    }

    /// `beside` is asked for what is stored with the block, once it is known to be good.
    fn take_with(
        &mut self,
        packed: &[u8],
        digest: BlockDigest,
        beside: impl FnOnce(u64) -> Batch,
    ) -> Result<(), LedgerError> {
        let mut applied = self.ledger.apply(&self.store, packed, digest, wall())?;
        applied.batch.extend(beside(self.ledger.height()));
        self.store.apply(&applied.batch)?;
        self.taken += 1;
        Ok(())
    }

    /// Makes sure that the highest block has the digest that it is stored with; one that can not
    /// have a good one goes, with those below it of the same kind.
    pub(super) fn settle(&mut self, memory: &mut DigestMemory) -> Result<(), LedgerError> {
        while let Some(batch) = self.ledger.settle_top(&self.store, wall(), memory)? {
            self.store.apply(&batch)?;
        }
        Ok(())
    }

    /// The same where the digest is not known: it comes after all that is cheap.
    pub(super) fn take_unknown(
        &mut self,
        packed: &[u8],
        memory: &mut DigestMemory,
    ) -> Result<(), LedgerError> {
        let header = self.ledger.precheck(packed, wall())?;
        let digest = digest(&self.ledger.chain().digest, &header.pack(), memory);
        self.take(packed, digest)
    }
}

/// Blocks of a file on their way in.
struct Loading {
    growing: Growing,
    memory: DigestMemory,
    refused: u64,
    first_refused: Option<(u64, LedgerError)>,
}

impl Loading {
    /// One block: in whole, or refused and counted.
    fn take(&mut self, packed: &[u8]) -> anyhow::Result<()> {
        match self.growing.take_unknown(packed, &mut self.memory) {
            Ok(()) => {}
            Err(error @ LedgerError::Refused(_)) => {
                self.refused += 1;
                let place = self.growing.taken + self.refused;
                self.first_refused.get_or_insert((place, error));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn finish(self, tell: Tell) -> anyhow::Result<()> {
        let height = self.growing.ledger.height();
        let loaded = self.growing.taken;
        tell.say(format!(
            "{loaded} blocks are loaded, the height is {height}"
        ));
        match self.first_refused {
            None => Ok(()),
            Some((place, error)) => bail!(
                "{} blocks were refused, first the block at place {place} of the file: {error}; what was loaded is kept",
                self.refused
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::chain::DEVNET;

    #[test]
    fn a_block_file_is_read_to_its_end_and_no_further_than_it_is_whole() {
        let file = [dump::length_prefix(b"one").as_slice(), b"one"].concat();
        let mut source = file.as_slice();
        assert_eq!(next_block(&mut source, &DEVNET).unwrap().unwrap(), b"one");
        assert!(next_block(&mut source, &DEVNET).unwrap().is_none());
        for cut in 1..file.len() {
            let error = next_block(&mut &file[..cut], &DEVNET).unwrap_err();
            assert_eq!(error.to_string(), "the file ends in the middle of a block");
        }
    }

    #[test]
    fn a_length_that_no_block_has_is_not_believed() {
        let error = next_block(&mut [0xff; 64].as_slice(), &DEVNET).unwrap_err();
        assert!(error.to_string().starts_with("no block is as long"));
    }
}
