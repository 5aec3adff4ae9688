//! Building every index again from the stored blocks (`proto/blocks.md`, section 13, step 4).
//!
//! It is a machine of small steps, so that whoever drives it can show how far it is and stop. A
//! mark in the store says that it is under way, and which blocks are to go first: one that was
//! interrupted starts over, and drops what is left of them.

use std::sync::Arc;

use super::{Ledger, LedgerError, keys, read};
use crate::core::block::{BlockError, Header};
use crate::core::chain::Chain;
use crate::core::id::BlockDigest;
use crate::core::record::Checker;
use crate::core::state::{Batch, Pool, StoreFault, View};

/// Name of the mark in [`Pool::Meta`].
const MARK: &[u8] = b"rebuilding";
/// Entries that one step removes.
const STEP: usize = 4096;
/// Blocks that one step drops.
const DROPPED: u64 = 1024;
/// What is built from the blocks.
const INDEXES: [Pool; 8] = [
    Pool::BlockOwnerPayment,
    Pool::BlockOwnerTxIndex,
    Pool::Assets,
    Pool::Transactions,
    Pool::OwnerCount,
    Pool::Ownership,
    Pool::OwnerDigest,
    Pool::Undo,
];

/// What the driver has to do next.
#[derive(Debug)]
pub enum RebuildStep {
    /// Store this batch and call again.
    Store(Batch),
    /// Compute the digest of this block's header, hand it to [`Rebuild::digest`] and call again.
    Digest(u64, Header),
    /// It is done; the last batch takes the mark away.
    Done(Batch, Box<Ledger>),
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Mark,
    /// From the top down to this one.
    Drop(u64),
    Clear(usize),
    Blocks,
}

/// The rebuild under way.
#[derive(Debug)]
pub struct Rebuild {
    ledger: Ledger,
    phase: Phase,
    /// The lowest block that goes first, if any does.
    dropping: Option<u64>,
    digest: Option<BlockDigest>,
}

impl Rebuild {
    /// Starts over.
    #[must_use]
    pub fn new(chain: &'static Chain) -> Self {
        Self {
            ledger: Ledger::empty(chain),
            phase: Phase::Mark,
            dropping: None,
            digest: None,
        }
    }

    /// Drops all blocks from the top down to and including this one first, whatever they changed.
    #[must_use]
    pub fn without(chain: &'static Chain, number: u64) -> Self {
        Self {
            dropping: Some(number.max(2)),
            ..Self::new(chain)
        }
    }

    /// What the store asks for: without the blocks that one that was interrupted had to drop.
    ///
    /// # Errors
    /// A fault of the store.
    pub fn asked_for(chain: &'static Chain, view: &dyn View) -> Result<Self, StoreFault> {
        Ok(Self {
            dropping: Self::lowest_asked(view)?,
            ..Self::new(chain)
        })
    }

    /// The lowest block that was to go, if one that was interrupted had to drop any.
    fn lowest_asked(view: &dyn View) -> Result<Option<u64>, StoreFault> {
        let mark = view.get(Pool::Meta, MARK)?;
        Ok(mark.and_then(|mark| keys::number(&mark)))
    }

    /// Has signatures checked by this from now on.
    pub fn check_with(&mut self, checker: Arc<dyn Checker>) {
        self.ledger.check_with(checker);
    }

    /// Whether the store asks for a rebuild: one was interrupted.
    ///
    /// # Errors
    /// A fault of the store.
    pub fn is_due(view: &dyn View) -> Result<bool, StoreFault> {
        view.contains(Pool::Meta, MARK)
    }

    /// A batch that asks for a rebuild at the next start.
    #[must_use]
    pub fn ask() -> Batch {
        let mut batch = Batch::new();
        batch.put(Pool::Meta, MARK, [1]);
        batch
    }

    /// The same without all blocks from the top down to and including this one, or to a lower one that
    /// was to go already.
    ///
    /// # Errors
    /// A fault of the store.
    pub fn ask_without(view: &dyn View, number: u64) -> Result<Batch, StoreFault> {
        let asked = Self::lowest_asked(view)?.unwrap_or(u64::MAX);
        let mut batch = Batch::new();
        batch.put(Pool::Meta, MARK, number.max(2).min(asked).to_be_bytes());
        Ok(batch)
    }

    /// The block that was built last.
    #[must_use]
    pub const fn height(&self) -> u64 {
        self.ledger.height()
    }

    /// The digest that the last step asked for.
    pub const fn digest(&mut self, digest: BlockDigest) {
        self.digest = Some(digest);
    }

    /// The next step.
    ///
    /// # Errors
    /// A stored block that breaks a rule, or a fault of the store.
    pub fn step(&mut self, view: &dyn View) -> Result<RebuildStep, LedgerError> {
        loop {
            match self.phase {
                Phase::Mark => {
                    self.phase = self.dropping.map_or(Phase::Clear(0), Phase::Drop);
                    let mark = match self.dropping {
                        Some(number) => Self::ask_without(view, number)?,
                        None => Self::ask(),
                    };
                    return Ok(RebuildStep::Store(mark));
                }
                Phase::Drop(lowest) => {
                    let top = view.last(Pool::Blocks)?;
                    let top = top.and_then(|(key, _)| keys::number(&key));
                    let Some(top) = top.filter(|top| *top >= lowest) else {
                        self.phase = Phase::Clear(0);
                        continue;
                    };
                    let mut batch = Batch::new();
                    for number in lowest.max(top.saturating_sub(DROPPED - 1))..=top {
                        batch.delete(Pool::Blocks, keys::block(number));
                        batch.delete(Pool::BlockDigest, keys::block(number));
                    }
                    return Ok(RebuildStep::Store(batch));
                }
                Phase::Clear(at) => {
                    let Some(pool) = INDEXES.get(at) else {
                        self.phase = Phase::Blocks;
                        continue;
                    };
                    let entries = view.scan(*pool, &[], &[], STEP)?;
                    if entries.is_empty() {
                        self.phase = Phase::Clear(at + 1);
                        continue;
                    }
                    let mut batch = Batch::new();
                    for (key, _) in entries {
                        batch.delete(*pool, key);
                    }
                    return Ok(RebuildStep::Store(batch));
                }
                Phase::Blocks => return self.block(view),
            }
        }
    }

    fn block(&mut self, view: &dyn View) -> Result<RebuildStep, LedgerError> {
        let number = self.ledger.height() + 1;
        let Some(packed) = read::block(view, number)? else {
            let mut batch = Batch::new();
            batch.delete(Pool::Meta, MARK);
            let above = view.last(Pool::Blocks)?;
            let highest = above.and_then(|(key, _)| keys::number(&key)).unwrap_or(1);
            if highest > self.ledger.height() {
                return Err(LedgerError::Damaged(format!("block {number} is missing")));
            }
            return Ok(RebuildStep::Done(batch, Box::new(self.ledger.clone())));
        };
        let (header, _) = Header::unpack(&packed)?;
        let digest = match self.digest.take() {
            Some(digest) => digest,
            None => match read::digest(view, number)? {
                Some(digest) => digest,
                None => return Ok(RebuildStep::Digest(number, header)),
            },
        };
        if !header.proves(&digest) {
            return Err(BlockError::HeaderDifficulty.into());
        }
        self.ledger.follows(&header)?;
        let applied = self
            .ledger
            .put(view, &packed, &header, digest, &|_, _, _| false)?;
        Ok(RebuildStep::Store(applied.batch))
    }
}
