//! What a valid block changes (`proto/blocks.md`, section 8.2, steps 9 to 16), as one batch.
//!
//! No record of a block follows another of the same block, and none is followed twice: what they look
//! at in the store is therefore read before, in the order of its keys, so that what lies beside each
//! other on disk is read one after the other.

use std::collections::BTreeSet;

use super::ownership::Lists;
use super::sheet::{Before, Sheet};
use super::validate::{Entry, Valid};
use super::{Confirmed, Item, LedgerError, Ownership, block_id, keys};
use crate::core::block::Header;
use crate::core::id::{AssetId, BlockDigest, TxId};
use crate::core::keys::Account;
use crate::core::record::Record;
use crate::core::state::{Batch, Pool, StoreFault, View};

/// The batch and what became of each record.
pub(super) fn changes(
    view: &dyn View,
    header: &Header,
    digest: BlockDigest,
    packed: &[u8],
    valid: &Valid<'_>,
) -> Result<(Batch, Vec<Confirmed>), LedgerError> {
    let number = header.number;
    let key = keys::block(number);
    let owner = &valid.owner;
    let owners = valid.entries.iter().map(|entry| *entry.record.owner());
    let mut changing = Changing {
        view,
        number,
        sheet: Sheet::default(),
        lists: Lists::read(view, owners.chain([owner.account]))?,
        assets: BTreeSet::new(),
        issues: BTreeSet::new(),
    };
    let ownerships = ownerships(view, valid)?;
    let mut confirmed = Vec::with_capacity(valid.entries.len());
    for ((entry, held), ownership) in valid.entries.iter().zip(&valid.held).zip(ownerships) {
        confirmed.extend(changing.record(entry, held.as_deref(), ownership)?);
    }
    let Changing {
        mut sheet,
        mut lists,
        ..
    } = changing;
    let id = block_id(&digest, number);
    sheet.put(
        Pool::BlockOwnerPayment,
        key,
        owner.payments.clone(),
        Before::Unknown,
    );
    let first_records = keys::numbered(number, &owner.packed);
    sheet.put(Pool::Transactions, id.0, first_records, Before::Unknown);
    sheet.put(Pool::BlockOwnerTxIndex, id.0, key, Before::Unknown);
    let first = Ownership::first(id, number, Item::Block(number));
    let unknown = Before::Unknown;
    lists.create(&mut sheet, &id, &first, &owner.account, unknown)?;
    lists.put(&mut sheet);
    // Before a block what it is itself is never there; unlike the indexes, it is there already when
    // they are built again from it.
    let never = || Before::Known(None);
    sheet.put(Pool::BlockDigest, key, digest.0, never());
    sheet.put(Pool::Blocks, key, packed, never());
    Ok((sheet.into_batch(view, number)?, confirmed))
}

/// Of each transfer the entry of pool K that it moves.
fn ownerships(view: &dyn View, valid: &Valid<'_>) -> Result<Vec<Option<Vec<u8>>>, StoreFault> {
    let records = valid.entries.iter().zip(&valid.held).enumerate();
    let wanted = records.filter_map(|(place, (entry, held))| {
        entry.record.link()?;
        let index = keys::number(held.as_deref()?)?;
        Some((keys::ownership(&entry.signer, index), place))
    });
    let mut wanted: Vec<(Vec<u8>, usize)> = wanted.collect();
    wanted.sort_unstable();
    let mut found = vec![None; valid.entries.len()];
    for (key, place) in wanted {
        if let Some(found) = found.get_mut(place) {
            *found = view.get(Pool::Ownership, &key)?;
        }
    }
    Ok(found)
}

/// A block on its way into a batch.
struct Changing<'a> {
    view: &'a dyn View,
    number: u64,
    sheet: Sheet,
    lists: Lists,
    /// The assets and the issues of the block so far.
    assets: BTreeSet<AssetId>,
    issues: BTreeSet<TxId>,
}

impl Changing<'_> {
    /// `held` is that of [`Valid`], `ownership` what pool K has of what is moved.
    fn record(
        &mut self,
        entry: &Entry<'_>,
        held: Option<&[u8]>,
        ownership: Option<Vec<u8>>,
    ) -> Result<Option<Confirmed>, LedgerError> {
        match &entry.record {
            Record::AssetData(asset) => {
                let id = AssetId::of(&asset.fingerprint);
                if held.is_none() && self.assets.insert(id) {
                    let value = keys::numbered(self.number, entry.packed);
                    self.sheet
                        .put(Pool::Assets, id.0, value, Before::Known(None));
                }
                Ok(Some(Confirmed::Asset(id)))
            }
            Record::BitmarkIssue(issue) => {
                if !entry.is_stored && self.issues.insert(entry.id) {
                    self.put_transaction(entry);
                    let item = Item::Asset(issue.asset_id);
                    let first = Ownership::first(entry.id, self.number, item);
                    self.create(entry, &first, &issue.owner)?;
                }
                Ok(Some(Confirmed::Issue(entry.id)))
            }
            Record::BlockOwnerTransfer(transfer) => {
                self.put_transaction(entry);
                // The number of the block that holds the link, which is not always the one that is
                // owned (section 8.4); every node of the network computes it so.
                let paid = self
                    .view
                    .get(Pool::BlockOwnerTxIndex, &transfer.link.0)?
                    .ok_or_else(|| {
                        LedgerError::Damaged(format!("no block of {}", transfer.link))
                    })?;
                let payments = transfer.payments.pack_unchecked();
                self.sheet
                    .put(Pool::BlockOwnerPayment, paid, payments, Before::Unknown);
                let number = keys::block(self.number);
                self.sheet
                    .put(Pool::BlockOwnerTxIndex, entry.id.0, number, Before::Unknown);
                self.moved(entry, transfer.link, &transfer.owner, held, ownership)
            }
            record => match record.link() {
                Some(link) => {
                    self.put_transaction(entry);
                    self.moved(entry, link, record.owner(), held, ownership)
                }
                None => Ok(None),
            },
        }
    }

    /// What the store has under a key that ends in the record's id, or at the end of a list: nothing
    /// where it does not have the record.
    const fn before(entry: &Entry<'_>) -> Before {
        if entry.is_stored {
            Before::Unknown
        } else {
            Before::Known(None)
        }
    }

    fn put_transaction(&mut self, entry: &Entry<'_>) {
        let value = keys::numbered(self.number, entry.packed);
        let before = Self::before(entry);
        self.sheet
            .put(Pool::Transactions, entry.id.0, value, before);
    }

    fn create(
        &mut self,
        entry: &Entry<'_>,
        ownership: &Ownership,
        to: &Account,
    ) -> Result<(), LedgerError> {
        let before = Self::before(entry);
        self.lists
            .create(&mut self.sheet, &entry.id, ownership, to, before)
    }

    fn moved(
        &mut self,
        entry: &Entry<'_>,
        link: TxId,
        to: &Account,
        held: Option<&[u8]>,
        ownership: Option<Vec<u8>>,
    ) -> Result<Option<Confirmed>, LedgerError> {
        let mut moved = self
            .lists
            .take(&mut self.sheet, &link, &entry.signer, held, ownership)?;
        moved.last_transfer = entry.id;
        moved.last_transfer_block = self.number;
        self.create(entry, &moved, to)?;
        Ok(Some(Confirmed::Transfer { id: entry.id, link }))
    }
}
