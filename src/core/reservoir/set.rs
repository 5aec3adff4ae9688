//! What is kept of a submission: the records of one pay id together, what is due for them, and
//! what verified them (`proto/reservoir.md`, section 3). Plain data.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::caps::{Room, Source};
use super::due::Due;
use super::members::{Member, Members};
use crate::core::currency::Currency;
use crate::core::id::{AssetId, PayId, TxId};
use crate::core::keys::Account;
use crate::core::mining::proof::ClientNonce;
use crate::core::time::UnixSeconds;

/// What the records of a set are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Issues, and who signed them.
    Issues { owners: BTreeSet<Account> },
    /// One transfer, of a bitmark or of a block; the link is reserved for it.
    Transfer { link: TxId },
}

/// What verified a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// A proof of work of the client.
    Proof(ClientNonce),
    /// A payment, seen by this node.
    Payment,
}

/// One submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Set {
    pub kind: Kind,
    /// In the order given; never none.
    pub members: Members,
    /// What is due for it; for issues there may be nothing.
    pub due: Option<Due>,
    pub source: Source,
    /// When it goes unless it is verified.
    pub deadline: UnixSeconds,
    /// What verified it, and when.
    pub verified: Option<(Verification, UnixSeconds)>,
}

impl Set {
    /// The members that are still to be confirmed, each once.
    pub fn live(&self) -> impl Iterator<Item = Member<'_>> {
        let mut seen = BTreeSet::new();
        self.members
            .iter()
            .filter(move |member| !member.confirmed && seen.insert(member.id))
    }

    /// The assets that its live members need, each once, in order.
    pub fn assets(&self) -> impl Iterator<Item = AssetId> {
        let mut seen = BTreeSet::new();
        self.members
            .iter()
            .filter(|member| !member.confirmed)
            .filter_map(|member| member.asset)
            .filter(move |asset| seen.insert(*asset))
    }

    pub fn room(&self) -> Room {
        Room {
            records: self.live().count(),
            bytes: self.members.bytes().len(),
            assets: 0,
        }
    }

    pub const fn link(&self) -> Option<TxId> {
        match &self.kind {
            Kind::Issues { .. } => None,
            Kind::Transfer { link } => Some(*link),
        }
    }

    pub fn ids(&self) -> Vec<TxId> {
        self.members.iter().map(|member| member.id).collect()
    }

    /// Its records, joined.
    pub fn records(&self) -> Vec<u8> {
        self.members.bytes().to_vec()
    }

    /// The message that proves it, if it was proved.
    pub fn proof(&self, pay_id: &PayId) -> Option<Vec<u8>> {
        match &self.verified {
            Some((Verification::Proof(nonce), _)) => {
                Some([pay_id.0.as_slice(), nonce.as_bytes()].concat())
            }
            _ => None,
        }
    }
}

/// An asset that no block has yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CachedAsset {
    pub packed: Arc<[u8]>,
    pub source: Source,
    /// When it goes unless a set uses it.
    pub deadline: UnixSeconds,
}

impl CachedAsset {
    pub fn room(&self) -> Room {
        Room {
            records: 0,
            bytes: self.packed.len(),
            assets: 1,
        }
    }
}

/// What one transaction of a coin pays: address to amount.
pub type Amounts = BTreeMap<Vec<u8>, u64>;

/// Payments that have verified nothing yet, by coin and its transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Orphan {
    pub payments: BTreeMap<(Currency, Vec<u8>), Amounts>,
    pub deadline: UnixSeconds,
}

impl Orphan {
    pub fn bytes(&self) -> usize {
        self.payments
            .iter()
            .map(|((_, id), amounts)| {
                id.len()
                    + amounts
                        .keys()
                        .map(|address| address.len() + 8)
                        .sum::<usize>()
            })
            .sum()
    }
}

/// A verified set of which every record is in a block, kept while that block may be taken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settled {
    /// The members in the order of the pay id.
    pub members: Vec<TxId>,
    pub verified: (Verification, UnixSeconds),
    pub due: Option<Due>,
    pub source: Source,
    pub deadline: UnixSeconds,
    /// The block of the last of them.
    pub block: u64,
}
