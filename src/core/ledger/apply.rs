//! What a valid block changes (`proto/blocks.md`, section 8.2, steps 9 to 16), as one batch.

use super::validate::{Entry, Valid};
use super::{Confirmed, Item, LedgerError, Ownership, block_id, keys, ownership, undo};
use crate::core::block::Header;
use crate::core::id::{AssetId, BlockDigest, TxId};
use crate::core::keys::Account;
use crate::core::record::Record;
use crate::core::state::{Batch, Overlay, Pool, View};

/// The batch and what became of each record.
pub(super) fn changes(
    view: &dyn View,
    header: &Header,
    digest: BlockDigest,
    packed: &[u8],
    valid: &Valid<'_>,
) -> Result<(Batch, Vec<Confirmed>), LedgerError> {
    let mut state = Overlay::new(view);
    let mut confirmed = Vec::with_capacity(valid.entries.len());
    for entry in &valid.entries {
        confirmed.extend(record(&mut state, header.number, entry)?);
    }
    let number = header.number;
    let key = keys::block(number);
    let owner = &valid.owner;
    let id = block_id(&digest, number);
    state.put(Pool::BlockOwnerPayment, key, owner.payments.clone());
    state.put(
        Pool::Transactions,
        id.0,
        keys::numbered(number, &owner.packed),
    );
    state.put(Pool::BlockOwnerTxIndex, id.0, key);
    let first = Ownership::first(id, number, Item::Block(number));
    ownership::create(&mut state, &id, &first, &owner.account)?;
    state.put(Pool::BlockDigest, key, digest.0);
    state.put(Pool::Blocks, key, packed);
    let mut batch = state.into_batch();
    undo::add(view, number, &mut batch)?;
    Ok((batch, confirmed))
}

fn record(
    state: &mut Overlay<'_>,
    number: u64,
    entry: &Entry<'_>,
) -> Result<Option<Confirmed>, LedgerError> {
    match &entry.record {
        Record::AssetData(asset) => {
            let id = AssetId::of(&asset.fingerprint);
            if !state.contains(Pool::Assets, &id.0)? {
                state.put(Pool::Assets, id.0, keys::numbered(number, entry.packed));
            }
            Ok(Some(Confirmed::Asset(id)))
        }
        Record::BitmarkIssue(issue) => {
            if !state.contains(Pool::Transactions, &entry.id.0)? {
                put_transaction(state, number, entry);
                let item = Item::Asset(issue.asset_id);
                let first = Ownership::first(entry.id, number, item);
                ownership::create(state, &entry.id, &first, &issue.owner)?;
            }
            Ok(Some(Confirmed::Issue(entry.id)))
        }
        Record::BlockOwnerTransfer(transfer) => {
            put_transaction(state, number, entry);
            // The number of the block that holds the link, which is not always the one that is
            // owned (section 8.4); every node of the network computes it so.
            let paid = state
                .get(Pool::BlockOwnerTxIndex, &transfer.link.0)?
                .ok_or_else(|| LedgerError::Damaged(format!("no block of {}", transfer.link)))?;
            state.put(
                Pool::BlockOwnerPayment,
                paid,
                transfer.payments.pack_unchecked(),
            );
            state.put(Pool::BlockOwnerTxIndex, entry.id.0, keys::block(number));
            moved(state, number, entry, transfer.link, &transfer.owner)
        }
        record => match record.link() {
            Some(link) => {
                put_transaction(state, number, entry);
                moved(state, number, entry, link, record.owner())
            }
            None => Ok(None),
        },
    }
}

fn put_transaction(state: &mut Overlay<'_>, number: u64, entry: &Entry<'_>) {
    let value = keys::numbered(number, entry.packed);
    state.put(Pool::Transactions, entry.id.0, value);
}

fn moved(
    state: &mut Overlay<'_>,
    number: u64,
    entry: &Entry<'_>,
    link: TxId,
    to: &Account,
) -> Result<Option<Confirmed>, LedgerError> {
    let from = entry
        .from
        .ok_or_else(|| LedgerError::Damaged(format!("no owner of {link}")))?;
    ownership::transfer(state, &link, &entry.id, number, &from, to)?;
    Ok(Some(Confirmed::Transfer { id: entry.id, link }))
}
