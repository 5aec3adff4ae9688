//! Confirmed state: which blocks there are, and what they say about assets, bitmarks and owners
//! (`proto/blocks.md`, sections 7 to 11 and 13).
//!
//! A block goes in as one [`Batch`] and comes off as one; nothing here writes. A block that is
//! refused changes nothing. Digests are given, never computed: see [`Ledger::precheck`] for what
//! is worth one.

mod apply;
pub mod checked;
pub mod compare;
pub mod keys;
mod ownership;
mod proven;
pub mod read;
mod rebuild;
mod settle;
mod sheet;
mod undo;
mod validate;

use std::sync::Arc;

use thiserror::Error;

use super::block::{BlockError, HEADER_BYTES, Header, Ring, foundation_id};
use super::chain::Chain;
use super::currency::Payments;
use super::id::{AssetId, BlockDigest, TxId};
use super::record::{Checker, InTurn, Record};
use super::state::{Batch, Pool, StoreFault, View};
use super::time::UnixSeconds;

pub use ownership::{Item, Ownership};
pub use rebuild::{Rebuild, RebuildStep};
pub use undo::KEPT as UNDO_KEPT;

/// Why a step of the ledger did not happen.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LedgerError {
    /// The block breaks a rule. Nothing changed.
    #[error(transparent)]
    Refused(#[from] BlockError),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// What is stored contradicts itself; the indexes have to be built again.
    #[error("the index is damaged: {0}")]
    Damaged(String),
}

/// The highest block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// Its number.
    pub number: u64,
    /// Its digest.
    pub digest: BlockDigest,
    /// Its version, which the next one may not go below.
    pub version: u16,
    /// Its time stamp, seconds since 1970; 0 on an empty chain.
    pub timestamp: UnixSeconds,
}

impl Tip {
    /// The tip of an empty store (`proto/blocks.md`, section 11).
    #[must_use]
    pub const fn genesis(chain: &Chain) -> Self {
        Self {
            number: 1,
            digest: chain.genesis_digest,
            version: 1,
            timestamp: 0,
        }
    }

    const fn of(header: &Header, digest: BlockDigest) -> Self {
        Self {
            number: header.number,
            digest,
            version: header.version,
            timestamp: header.timestamp,
        }
    }
}

/// What became of a record when its block went in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmed {
    /// An asset is registered.
    Asset(AssetId),
    /// An issue.
    Issue(TxId),
    /// A transfer of a bitmark or of a block.
    Transfer {
        /// The transfer.
        id: TxId,
        /// What it follows: nobody else may follow it any more.
        link: TxId,
    },
}

/// Whether the signatures of a record were checked before, over exactly these bytes.
pub type Known<'a> = dyn Fn(&TxId, &Record, &[u8]) -> bool + 'a;

/// A block that may go in: the batch to store, and what it says.
#[derive(Debug, Clone)]
pub struct Applied {
    /// Every change, index and block and undo data together.
    pub batch: Batch,
    /// Its records, in order, without those of the block's owner.
    pub confirmed: Vec<Confirmed>,
    /// The tip that results.
    pub tip: Tip,
}

/// A record of a block that was taken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    /// Its transaction id.
    pub id: TxId,
    /// Its bytes, as they stood in the block.
    pub packed: Vec<u8>,
    /// The same, unpacked.
    pub record: Record,
}

/// The top block taken off.
#[derive(Debug, Clone)]
pub struct Undone {
    /// Every change.
    pub batch: Batch,
    /// The number of the block that went.
    pub number: u64,
    /// Its records, in order, without those of the block's owner.
    pub returned: Vec<Returned>,
    /// The tip that results.
    pub tip: Tip,
}

/// The chain as far as it is stored.
#[derive(Debug, Clone)]
pub struct Ledger {
    chain: &'static Chain,
    tip: Tip,
    ring: Ring,
    checker: Arc<dyn Checker>,
    proven: proven::Proven,
}

impl Ledger {
    /// The ledger of an empty store.
    #[must_use]
    pub fn empty(chain: &'static Chain) -> Self {
        Self {
            chain,
            tip: Tip::genesis(chain),
            ring: Ring::new(chain),
            checker: Arc::new(InTurn),
            proven: proven::Proven::default(),
        }
    }

    /// Has the signatures of blocks checked by this from now on.
    pub fn check_with(&mut self, checker: Arc<dyn Checker>) {
        self.checker = checker;
    }

    /// What checks them.
    #[must_use]
    pub fn checker(&self) -> Arc<dyn Checker> {
        Arc::clone(&self.checker)
    }

    /// Reads height, tip and the ring of recent blocks from the store.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] where the highest blocks or their digests are not whole.
    pub fn load(chain: &'static Chain, view: &dyn View) -> Result<Self, LedgerError> {
        let mut ledger = Self::empty(chain);
        ledger.reload(view)?;
        Ok(ledger)
    }

    fn reload(&mut self, view: &dyn View) -> Result<(), LedgerError> {
        let height = match view.last(Pool::Blocks)? {
            Some((key, _)) => keys::number(&key)
                .ok_or_else(|| LedgerError::Damaged("a block without a number".to_owned()))?,
            None => 1,
        };
        let mut ring = Ring::new(self.chain);
        let mut tip = Tip::genesis(self.chain);
        for number in ring.refill_from(height)..=height {
            let (packed, digest) = stored(view, number)?;
            ring.put(number, &packed, digest)?;
            tip = Tip::of(&Header::unpack(&packed)?.0, digest);
        }
        self.ring = ring;
        self.tip = tip;
        Ok(())
    }

    /// The chain's parameters.
    #[must_use]
    pub const fn chain(&self) -> &'static Chain {
        self.chain
    }

    /// The highest block.
    #[must_use]
    pub const fn tip(&self) -> Tip {
        self.tip
    }

    /// The number of the highest block; 1 is genesis.
    #[must_use]
    pub const fn height(&self) -> u64 {
        self.tip.number
    }

    /// The recent blocks.
    #[must_use]
    pub const fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Every check of a block that costs nothing, so that no digest is spent on what can not go
    /// in: size, versions, counts, time, difficulty, and whether it follows the tip.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn precheck(&self, packed: &[u8], now_wall: UnixSeconds) -> Result<Header, BlockError> {
        let (header, _) = Header::unpack(packed)?;
        header.check(self.chain, now_wall)?;
        self.follows(&header)?;
        Ok(header)
    }

    /// `proto/blocks.md`, section 8.1, steps 2 to 4, and the number.
    fn follows(&self, header: &Header) -> Result<(), BlockError> {
        let next = self.tip.number.checked_add(1);
        if header.previous_block != self.tip.digest || Some(header.number) != next {
            return Err(BlockError::PreviousDigest);
        }
        if header.version < self.tip.version {
            return Err(BlockError::VersionDecreased);
        }
        let behind = self.tip.timestamp.saturating_sub(header.timestamp);
        if behind > self.chain.rules.back_step(header.version) {
            return Err(BlockError::HeaderTimestamp);
        }
        Ok(())
    }

    /// Checks a block whole and says what it changes. The ledger moves on; the caller stores
    /// the batch, whole, before anything else reads.
    ///
    /// # Errors
    /// The rule that the block breaks, or a fault of the store; the ledger is as before.
    pub fn apply(
        &mut self,
        view: &dyn View,
        packed: &[u8],
        digest: BlockDigest,
        now_wall: UnixSeconds,
    ) -> Result<Applied, LedgerError> {
        self.apply_known(view, packed, digest, now_wall, &|_, _, _| false)
    }

    /// The same where some records are known: their signatures were checked before, over the same
    /// bytes, and are not checked again. All other rules are.
    ///
    /// # Errors
    /// As [`Ledger::apply`].
    pub fn apply_known(
        &mut self,
        view: &dyn View,
        packed: &[u8],
        digest: BlockDigest,
        now_wall: UnixSeconds,
        is_known: &Known<'_>,
    ) -> Result<Applied, LedgerError> {
        let (header, _) = Header::unpack(packed)?;
        header.check(self.chain, now_wall)?;
        if !header.proves(&digest) {
            return Err(BlockError::HeaderDifficulty.into());
        }
        self.follows(&header)?;
        self.put(view, packed, &header, digest, is_known)
    }

    fn put(
        &mut self,
        view: &dyn View,
        packed: &[u8],
        header: &Header,
        digest: BlockDigest,
        is_known: &Known<'_>,
    ) -> Result<Applied, LedgerError> {
        let body = packed.get(HEADER_BYTES..).unwrap_or_default();
        let is_known = |id: &TxId, record: &Record, packed: &[u8]| {
            self.proven.has(id, record) || is_known(id, record, packed)
        };
        let records = validate::read(self.chain, view, header, body, &is_known)?;
        let (ring, owners, (batch, confirmed)) = records.decide(self, view, header, |valid| {
            let mut ring = self.ring.clone();
            ring.put(header.number, packed, digest)?;
            let changes = apply::changes(view, header, digest, packed, valid)?;
            Ok((ring, valid.owner.ids.clone(), changes))
        })?;
        self.proven.add(owners);
        self.ring = ring;
        self.tip = Tip::of(header, digest);
        Ok(Applied {
            batch,
            confirmed,
            tip: self.tip,
        })
    }

    /// Takes the highest block off: every pool is as it was before the block went in.
    ///
    /// # Errors
    /// [`BlockError::NotFound`] on an empty chain; [`LedgerError::Damaged`] where what is needed
    /// to take it off is not kept any more (below the newest [`UNDO_KEPT`] blocks).
    pub fn undo_top(&mut self, view: &dyn View) -> Result<Undone, LedgerError> {
        let number = self.tip.number;
        if number < 2 {
            return Err(BlockError::NotFound.into());
        }
        let (packed, _) = stored(view, number)?;
        let returned = validate::stored_records(self.chain, &packed)?;
        let batch = undo::batch(view, number)?;
        let after = super::state::Overlay::with(view, batch);
        // `reload` asks for the highest block, which the overlay answers at the cost of a scan;
        // the number below is known here.
        let mut ring = Ring::new(self.chain);
        let mut tip = Tip::genesis(self.chain);
        for below in ring.refill_from(number - 1)..number {
            let (packed, digest) = stored(&after, below)?;
            ring.put(below, &packed, digest)?;
            tip = Tip::of(&Header::unpack(&packed)?.0, digest);
        }
        self.ring = ring;
        self.tip = tip;
        Ok(Undone {
            batch: after.into_batch(),
            number,
            returned,
            tip,
        })
    }

    /// The digest of a block (`proto/blocks.md`, section 11): genesis for 0 and 1.
    ///
    /// # Errors
    /// [`BlockError::NotFound`], or a fault of the store.
    pub fn digest_of(&self, view: &dyn View, number: u64) -> Result<BlockDigest, LedgerError> {
        if number <= 1 {
            return Ok(self.chain.genesis_digest);
        }
        if let Some(digest) = self.ring.digest_of(number) {
            return Ok(digest);
        }
        read::digest(view, number)?.ok_or_else(|| BlockError::NotFound.into())
    }
}

/// A stored block with its digest.
fn stored(view: &dyn View, number: u64) -> Result<(Vec<u8>, BlockDigest), LedgerError> {
    let missing = |what| LedgerError::Damaged(format!("{what} {number} is missing"));
    let packed = read::block(view, number)?.ok_or_else(|| missing("block"))?;
    let digest = read::digest(view, number)?.ok_or_else(|| missing("the digest of block"))?;
    Ok((packed, digest))
}

/// Who made a block, as its first records say.
#[derive(Debug, Clone)]
struct BlockOwner {
    /// The account that owns the block.
    account: super::keys::Account,
    /// Where its fees are paid to, packed.
    payments: Vec<u8>,
    /// The records that say so, packed.
    packed: Vec<u8>,
    /// Their ids.
    ids: Vec<TxId>,
}

impl BlockOwner {
    fn of_payments(
        account: super::keys::Account,
        payments: &Payments,
        records: &[validate::Entry<'_>],
        testing: bool,
    ) -> Result<Self, BlockError> {
        let payments = payments
            .pack(testing)
            .map_err(|_| BlockError::InvalidCurrency)?;
        Ok(Self {
            account,
            payments,
            packed: records.iter().flat_map(|one| one.packed).copied().collect(),
            ids: records.iter().map(|one| one.id).collect(),
        })
    }
}

/// The id under which the block of this digest and number is owned.
fn block_id(digest: &BlockDigest, number: u64) -> TxId {
    foundation_id(digest, number)
}
