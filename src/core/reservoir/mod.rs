//! Unconfirmed state: assets, issues, transfers, proofs and payments that wait for a block
//! (`proto/reservoir.md`).
//!
//! One owner of all pools: a submission goes in, changes state, expires and leaves as one unit, and
//! what it changes in the store comes back as one [`Batch`] (section 19). Nothing here writes,
//! sends or looks at a clock.
//!
//! Bounds: [`Caps`]. At a cap the newcomer is refused; only orphan payments and assets that no set
//! uses make room for others.

mod assets;
mod blocks;
mod error;
mod expiry;
mod issues;
mod messages;
mod payments;
mod persist;
mod relay;
mod sets;
#[cfg(test)]
mod tests;
mod transfers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::core::chain::Chain;
use crate::core::id::{AssetId, PayId, TxId};
use crate::core::keys::Account;
use crate::core::ledger::Ledger;
use crate::core::mining::proof::ClientNonce;
use crate::core::state::{Batch, View};
use crate::core::time::{Millis, UnixSeconds};

pub use error::{Refusal, ReservoirError};
pub use expiry::SWEEP_MS;
pub use issues::StoredIssues;
pub use messages::{Message, Taken};
pub use payments::{Alternatives, PaymentDetail, Seen};
pub use transfers::StoredTransfer;

/// Life of pending sets and orphan payments, in seconds (`proto/reservoir.md`, section 2).
pub const LIFE_S: u64 = 72 * 3600;
/// Life of an asset: both stages of the reference together.
pub const ASSET_LIFE_S: u64 = 2 * 73 * 3600;
/// How long it is remembered with which proof a confirmed set came, in blocks.
pub const REMEMBERED_BLOCKS: u64 = 128;

/// Who sent something: a number for a peer, 0 for this node itself.
pub type Source = u64;

/// What the pools hold at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Pending and verified records.
    pub records: usize,
    /// Their bytes.
    pub bytes: usize,
    /// The part of both that one peer may fill: one in so many.
    pub peer_share: usize,
    /// Sets of one owner.
    pub sets_of_owner: usize,
    /// Assets.
    pub assets: usize,
    /// Orphan payments.
    pub orphans: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            records: 200_000,
            bytes: 256 << 20,
            peer_share: 4,
            sets_of_owner: 1_000,
            assets: 50_000,
            orphans: 10_000,
        }
    }
}

/// The confirmed state that decisions are made against.
#[derive(Clone, Copy)]
pub struct Confirmed<'a> {
    /// The pools.
    pub view: &'a dyn View,
    /// Height and recent blocks.
    pub ledger: &'a Ledger,
}

impl std::fmt::Debug for Confirmed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Confirmed(height {})", self.ledger.height())
    }
}

/// The state of a transaction (section 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Taken, not paid for.
    Pending,
    /// Ready for a block.
    Verified,
    /// In a block.
    Confirmed,
    /// None of these.
    Unknown,
}

impl Status {
    /// Its name on the wire.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Verified => "Verified",
            Self::Confirmed => "Confirmed",
            Self::Unknown => "Unknown",
        }
    }
}

/// What a proof leads to (section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProofStatus {
    /// The set is verified now.
    Accepted,
    /// The proof is none, or the set is a transfer.
    Invalid,
    /// No such set waits.
    NotFound,
}

impl ProofStatus {
    /// Its name on the wire.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::Invalid => "Invalid",
            Self::NotFound => "NotFound",
        }
    }
}

/// A record of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Member {
    id: TxId,
    packed: Arc<[u8]>,
    /// Whether it is still here: of a verified set single members are confirmed.
    present: bool,
}

/// How far a set is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Pending,
    Verified(Verified),
}

/// What verified it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verified {
    Proof(ClientNonce),
    Payment,
    /// It stood in a block that was taken off; with what, is not known.
    Block,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Issues { assets: BTreeSet<AssetId> },
    Transfer { link: TxId },
}

/// One submission: it lives and leaves as a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Set {
    kind: Kind,
    members: Vec<Member>,
    state: State,
    payments: Option<Alternatives>,
    /// Of a pending one.
    deadline: UnixSeconds,
    /// Order of acceptance, which is the order in a block.
    number: u64,
    source: Source,
    owners: BTreeSet<Account>,
    next_broadcast: Millis,
}

impl Set {
    fn is_pending(&self) -> bool {
        self.state == State::Pending
    }

    fn present(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.present)
    }

    fn count(&self) -> usize {
        self.present().count()
    }

    fn bytes(&self) -> usize {
        self.present().map(|member| member.packed.len()).sum()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Asset {
    packed: Arc<[u8]>,
    deadline: UnixSeconds,
    source: Source,
    users: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Orphan {
    detail: PaymentDetail,
    deadline: UnixSeconds,
}

/// What has a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timed {
    Set(PayId),
    Asset(AssetId),
    Orphan(PayId),
}

/// With what a set was confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Remembered {
    block: u64,
    members: Vec<Arc<[u8]>>,
    verified: Verified,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Room {
    records: usize,
    bytes: usize,
}

/// Sizes of the pools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Links that a transfer waits for.
    pub pending_transfer: usize,
    /// Pending records.
    pub unverified_tx_index: usize,
    /// Pending sets.
    pub unverified_tx_entries: usize,
    /// Verified records.
    pub verified_tx: usize,
    /// Payments that nothing was found for.
    pub orphan_payment: usize,
    /// Assets.
    pub assets: usize,
    /// Bytes of all records.
    pub bytes: usize,
    /// Newcomers that found no room.
    pub refused_full: u64,
    /// What ran out.
    pub expired: u64,
}

/// The pools.
#[derive(Debug)]
pub struct Reservoir {
    chain: &'static Chain,
    caps: Caps,
    rebroadcast_ms: Millis,
    assets: BTreeMap<AssetId, Asset>,
    idle_assets: BTreeSet<(UnixSeconds, AssetId)>,
    sets: BTreeMap<PayId, Set>,
    index: BTreeMap<TxId, PayId>,
    links: BTreeMap<TxId, TxId>,
    orphans: BTreeMap<PayId, Orphan>,
    remembered: BTreeMap<PayId, Remembered>,
    remembered_of: BTreeMap<TxId, PayId>,
    deadlines: BTreeSet<(UnixSeconds, Timed)>,
    broadcasts: BTreeSet<(Millis, PayId)>,
    verified_order: BTreeMap<u64, PayId>,
    room: Room,
    room_of: BTreeMap<Source, Room>,
    sets_of: BTreeMap<Account, usize>,
    assets_of: BTreeMap<Source, usize>,
    pending_records: usize,
    verified_records: usize,
    next_number: u64,
    clock: expiry::Clock,
    refused_full: u64,
    expired: u64,
    batch: Batch,
    verified_changed: bool,
}

impl Reservoir {
    /// Empty pools.
    #[must_use]
    pub fn new(chain: &'static Chain, caps: Caps, rebroadcast_ms: Millis) -> Self {
        Self {
            chain,
            caps,
            rebroadcast_ms,
            assets: BTreeMap::new(),
            idle_assets: BTreeSet::new(),
            sets: BTreeMap::new(),
            index: BTreeMap::new(),
            links: BTreeMap::new(),
            orphans: BTreeMap::new(),
            remembered: BTreeMap::new(),
            remembered_of: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            broadcasts: BTreeSet::new(),
            verified_order: BTreeMap::new(),
            room: Room::default(),
            room_of: BTreeMap::new(),
            sets_of: BTreeMap::new(),
            assets_of: BTreeMap::new(),
            pending_records: 0,
            verified_records: 0,
            next_number: 0,
            clock: expiry::Clock::default(),
            refused_full: 0,
            expired: 0,
            batch: Batch::new(),
            verified_changed: false,
        }
    }

    /// What has to be stored since the last call, and whether the verified set changed.
    pub fn take_changes(&mut self) -> (Batch, bool) {
        let changed = std::mem::take(&mut self.verified_changed);
        (std::mem::take(&mut self.batch), changed)
    }

    /// The state of a transaction, looked for in this order.
    ///
    /// # Errors
    /// A fault of the store.
    pub fn status(&self, id: &TxId, state: Confirmed<'_>) -> Result<Status, ReservoirError> {
        if let Some(set) = self.index.get(id).and_then(|pay_id| self.sets.get(pay_id)) {
            return Ok(if set.is_pending() {
                Status::Pending
            } else {
                Status::Verified
            });
        }
        Ok(
            if crate::core::ledger::read::has_transaction(state.view, id)? {
                Status::Confirmed
            } else {
                Status::Unknown
            },
        )
    }

    /// Sizes.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            pending_transfer: self.links.len(),
            unverified_tx_index: self.pending_records,
            unverified_tx_entries: self.sets.len() - self.verified_order.len(),
            verified_tx: self.verified_records,
            orphan_payment: self.orphans.len(),
            assets: self.assets.len(),
            bytes: self.room.bytes,
            refused_full: self.refused_full,
            expired: self.expired,
        }
    }

    /// Whether anything is verified.
    #[must_use]
    pub fn has_verified(&self) -> bool {
        self.verified_records > 0
    }

    /// Whether an asset is cached.
    #[must_use]
    pub fn has_asset(&self, id: &AssetId) -> bool {
        self.assets.contains_key(id)
    }
}
