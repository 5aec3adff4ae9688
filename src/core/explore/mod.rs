//! What people look at: the chain, its records, owners, pending records, peers, and a search over
//! all of it. Questions in, JSON out; nothing here changes anything, and every answer is bounded.
//!
//! What would take long is answered in slices: the answer then has `next`, with which the question
//! is asked again, so that the engine is never held up. Ids, digests and accounts are written as
//! clients are told them (`proto/rpc.md`); times are seconds since 1970; numbers of 64 bits that
//! mean no amount, height or time are texts, because browsers round them.
//!
//! | question | most in one answer |
//! | --- | --- |
//! | blocks | [`BLOCKS_MAX`] |
//! | a block's records | [`RECORDS_MAX`] |
//! | provenance | [`STEPS_MAX`] |
//! | what an account owns | [`OWNED_MAX`] |
//! | pending sets | [`SETS_MAX`], with [`MEMBERS_MAX`] records each |
//! | looking through blocks | [`LOOK_BLOCKS`] blocks or [`LOOK_BYTES`] bytes |
//! | a piece of a title | [`title::BLOCKS_MAX`](super::title::BLOCKS_MAX) blocks or [`title::BYTES_MAX`](super::title::BYTES_MAX) bytes |
//! | looking for a digest | [`LOOK_DIGESTS`] |

mod asset;
mod chain;
mod look;
mod owner;
mod pending;
mod record;
mod search;
#[cfg(test)]
mod tests;
mod title;

use serde_json::Value;

use super::id::{AssetId, BlockDigest, PayId, TxId};
use super::keys::Account;
use super::ledger::Ledger;
use super::reservoir::{Confirmed, Reservoir};
use super::state::{StoreFault, View};
use super::title::Ask;

pub use search::TEXT_MAX;

/// Blocks of a list.
pub const BLOCKS_MAX: usize = 20;
/// Records of a block.
pub const RECORDS_MAX: usize = 50;
/// Steps of a provenance.
pub const STEPS_MAX: usize = 32;
/// Entries of an account's list.
pub const OWNED_MAX: usize = 25;
/// Pending sets of a list.
pub const SETS_MAX: usize = 25;
/// Records shown of a set.
pub const MEMBERS_MAX: usize = 10;
/// Issues shown of an asset, from each place where they are looked for.
pub const ISSUES_MAX: usize = 50;
/// Peers of each kind.
pub const PEERS_MAX: usize = 128;
/// Blocks looked through at a time.
pub const LOOK_BLOCKS: u64 = 64;
/// And bytes of them.
pub const LOOK_BYTES: usize = 2 << 20;
/// Digests looked through at a time.
pub const LOOK_DIGESTS: u64 = 4096;

/// Which block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockAt {
    /// By number.
    Number(u64),
    /// The newest.
    Newest,
}

/// What is looked for in the blocks, from one of them upwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The transfer that follows this transaction.
    Follower(TxId),
    /// The issues on this asset.
    Issues(AssetId),
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Mode, height, progress, sizes, what was counted.
    Overview,
    /// The few values that tell whether a page is out of date.
    Live,
    /// Everything that is counted, for `/metrics`.
    Metrics,
    /// Peers and how they are connected.
    Peers,
    /// Blocks below this number, the newest first.
    Blocks(Option<u64>),
    /// A block with its records, from this one on.
    Block(BlockAt, usize),
    /// A transaction.
    Record(TxId),
    /// An asset.
    Asset(AssetId),
    /// An asset by its fingerprint.
    Fingerprint(String),
    /// The way of a bitmark or of a block from this transaction back.
    Provenance(TxId),
    /// What stands in blocks from this one on.
    Look(Wanted, u64),
    /// What an account owns, from this index on.
    Account(Account, u64),
    /// The sets that wait, behind this one.
    Pending(Option<PayId>),
    /// A piece of a proof of title.
    Title(Ask),
    /// Where a text leads; digests of blocks are looked for below this number.
    Search(String, Option<u64>),
}

/// What is shown, or why there is nothing.
pub type Shown = Result<Value, String>;

/// Why nothing is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blank {
    /// There is no such thing.
    Nothing(String),
    /// The store failed.
    Fault(StoreFault),
}

impl From<StoreFault> for Blank {
    fn from(fault: StoreFault) -> Self {
        Self::Fault(fault)
    }
}

pub(crate) fn nothing<T>(why: impl Into<String>) -> Result<T, Blank> {
    Err(Blank::Nothing(why.into()))
}

/// The chain and the pools at one moment.
#[derive(Clone, Copy)]
pub struct Sight<'a> {
    /// The store.
    pub view: &'a dyn View,
    /// The chain.
    pub ledger: &'a Ledger,
    /// What waits.
    pub reservoir: &'a Reservoir,
}

impl std::fmt::Debug for Sight<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sight")
            .field("height", &self.ledger.height())
            .finish_non_exhaustive()
    }
}

impl<'a> Sight<'a> {
    /// Answers a question about the chain and the pools. Those about the node itself
    /// ([`Question::Overview`], [`Question::Live`], [`Question::Metrics`], [`Question::Peers`])
    /// are none of these and give nothing.
    ///
    /// # Errors
    /// There is no such thing, or the store failed.
    pub fn show(&self, question: &Question) -> Result<Value, Blank> {
        match question {
            Question::Blocks(below) => self.blocks(*below),
            Question::Block(at, from) => self.block(*at, *from),
            Question::Record(id) => self.record(id),
            Question::Asset(id) => self.asset(id),
            Question::Fingerprint(text) => self.fingerprint(text),
            Question::Provenance(id) => self.provenance(id),
            Question::Look(wanted, from) => self.look(wanted, *from),
            Question::Account(account, from) => self.account(account, *from),
            Question::Pending(after) => self.pending(after.as_ref()),
            Question::Title(ask) => self.title(ask),
            Question::Search(text, below) => self.search(text, *below),
            Question::Overview | Question::Live | Question::Metrics | Question::Peers => {
                nothing("this is about the node, not about the chain")
            }
        }
    }

    const fn confirmed(&self) -> Confirmed<'a> {
        Confirmed {
            view: self.view,
            ledger: self.ledger,
        }
    }

    const fn is_testing(&self) -> bool {
        self.ledger.chain().testing
    }

    fn digest(&self, number: u64) -> Option<BlockDigest> {
        self.ledger.digest_of(self.view, number).ok()
    }
}
