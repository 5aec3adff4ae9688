//! Looking things up in the confirmed pools (`proto/blocks.md`, section 7). Reading only, so any
//! thread may do it on any view.

use super::{LedgerError, Ownership, keys};
use crate::core::currency::Payments;
use crate::core::id::{AssetId, BlockDigest, TxId};
use crate::core::keys::Account;
use crate::core::record::Record;
use crate::core::state::{Pool, StoreFault, View};

/// Something stored, with the block it came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The block.
    pub block: u64,
    /// As it stood in the block.
    pub packed: Vec<u8>,
}

/// A packed block. Genesis is not stored.
///
/// # Errors
/// A fault of the store.
pub fn block(view: &dyn View, number: u64) -> Result<Option<Vec<u8>>, StoreFault> {
    view.get(Pool::Blocks, &keys::block(number))
}

/// The stored digest of a block. Genesis has none here.
///
/// # Errors
/// A fault of the store.
pub fn digest(view: &dyn View, number: u64) -> Result<Option<BlockDigest>, StoreFault> {
    let value = view.get(Pool::BlockDigest, &keys::block(number))?;
    Ok(value.and_then(|bytes| BlockDigest::from_bytes(&bytes).ok()))
}

fn stored(view: &dyn View, pool: Pool, key: &[u8]) -> Result<Option<Stored>, StoreFault> {
    let Some(value) = view.get(pool, key)? else {
        return Ok(None);
    };
    Ok(keys::split_numbered(&value).map(|(block, packed)| Stored {
        block,
        packed: packed.to_vec(),
    }))
}

/// A confirmed issue, transfer or foundation (by its foundation id).
///
/// # Errors
/// A fault of the store.
pub fn transaction(view: &dyn View, id: &TxId) -> Result<Option<Stored>, StoreFault> {
    stored(view, Pool::Transactions, &id.0)
}

/// Whether a transaction is confirmed.
///
/// # Errors
/// A fault of the store.
pub fn has_transaction(view: &dyn View, id: &TxId) -> Result<bool, StoreFault> {
    view.contains(Pool::Transactions, &id.0)
}

/// A confirmed asset.
///
/// # Errors
/// A fault of the store.
pub fn asset(view: &dyn View, id: &AssetId) -> Result<Option<Stored>, StoreFault> {
    stored(view, Pool::Assets, &id.0)
}

/// Whether an asset is confirmed.
///
/// # Errors
/// A fault of the store.
pub fn has_asset(view: &dyn View, id: &AssetId) -> Result<bool, StoreFault> {
    view.contains(Pool::Assets, &id.0)
}

/// The record of a confirmed transaction, if it has an owner who can pass it on: an issue, a
/// transfer or a foundation. A base record has none.
///
/// # Errors
/// A fault of the store.
pub fn owned_record(
    view: &dyn View,
    id: &TxId,
    testing: bool,
) -> Result<Option<Record>, StoreFault> {
    let Some(stored) = transaction(view, id)? else {
        return Ok(None);
    };
    Ok(owned_of(&stored, testing))
}

/// The record of a confirmed transaction, as [`owned_record`].
pub(super) fn owned_of(stored: &Stored, testing: bool) -> Option<Record> {
    Record::unpack(&stored.packed, testing)
        .ok()
        .map(|(record, _)| record)
        .filter(|record| !matches!(record, Record::BaseData(_) | Record::AssetData(_)))
}

/// Whether the account owns what this transaction gave it.
///
/// # Errors
/// A fault of the store.
pub fn currently_owns(view: &dyn View, account: &Account, id: &TxId) -> Result<bool, StoreFault> {
    view.contains(Pool::OwnerDigest, &keys::owner_digest(account, id))
}

/// The ownership that this transaction gave the account, while it lasts.
///
/// # Errors
/// A fault of the store, or an index that contradicts itself.
pub fn ownership(
    view: &dyn View,
    account: &Account,
    id: &TxId,
) -> Result<Option<Ownership>, LedgerError> {
    let Some(index) = view.get(Pool::OwnerDigest, &keys::owner_digest(account, id))? else {
        return Ok(None);
    };
    let damaged = || LedgerError::Damaged(format!("ownership of {id}"));
    let index = keys::number(&index).ok_or_else(damaged)?;
    let value = view
        .get(Pool::Ownership, &keys::ownership(account, index))?
        .ok_or_else(damaged)?;
    Ownership::unpack(&value).ok_or_else(damaged).map(Some)
}

/// Where the fees of a block's owner are paid to.
///
/// # Errors
/// A fault of the store.
pub fn payments(
    view: &dyn View,
    number: u64,
    testing: bool,
) -> Result<Option<Payments>, StoreFault> {
    let value = view.get(Pool::BlockOwnerPayment, &keys::block(number))?;
    Ok(value.and_then(|packed| Payments::unpack(&packed, testing).ok()))
}

/// What an account owns, from an index of its list on, in the list's order.
///
/// # Errors
/// A fault of the store.
pub fn owned(
    view: &dyn View,
    account: &Account,
    from: u64,
    limit: usize,
) -> Result<Vec<(u64, Ownership)>, StoreFault> {
    let prefix = account.to_bytes();
    let start = keys::ownership(account, from);
    let entries = view.scan(Pool::Ownership, &prefix, &start, limit)?;
    Ok(entries
        .into_iter()
        .filter_map(|(key, value)| {
            let index = keys::number(key.get(prefix.len()..)?)?;
            Some((index, Ownership::unpack(&value)?))
        })
        .collect())
}

/// A step of a provenance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// An issue, a transfer or a foundation.
    Transaction(TxId, Stored),
    /// The asset at the end of it.
    Asset(AssetId, Stored),
}

/// The way of a bitmark or of a block from this transaction back to where it began, at most
/// `limit` steps, newest first.
///
/// # Errors
/// A fault of the store.
pub fn provenance(
    view: &dyn View,
    from: &TxId,
    testing: bool,
    limit: usize,
) -> Result<Vec<Step>, StoreFault> {
    let mut steps = Vec::new();
    let mut next = Some(*from);
    while let Some(id) = next.take().filter(|_| steps.len() < limit) {
        let Some(stored) = transaction(view, &id)? else {
            break;
        };
        let record = Record::unpack(&stored.packed, testing).ok();
        steps.push(Step::Transaction(id, stored));
        match record.map(|(record, _)| record) {
            Some(Record::BitmarkIssue(issue)) if steps.len() < limit => {
                if let Some(stored) = asset(view, &issue.asset_id)? {
                    steps.push(Step::Asset(issue.asset_id, stored));
                }
            }
            Some(record) => next = record.link(),
            None => {}
        }
    }
    Ok(steps)
}
