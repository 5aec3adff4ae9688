//! The records of a block, checked in the reference's order (`proto/blocks.md`, section 8.1,
//! steps 5 to 8), and then what it leaves to chance: places, and repetitions inside the block.

use std::collections::BTreeSet;

use super::{BlockOwner, Known, Ledger, LedgerError, Returned, read};
use crate::core::block::{BlockError, HEADER_BYTES, Header};
use crate::core::chain::Chain;
use crate::core::currency::{Currency, Payments, address};
use crate::core::id::{AssetId, TxId};
use crate::core::keys::{Account, KeyError};
use crate::core::record::{Claim, Record, merkle};
use crate::core::state::{Pool, View};

/// A record of a valid block.
#[derive(Debug, Clone)]
pub(super) struct Entry<'a> {
    pub id: TxId,
    pub packed: &'a [u8],
    pub record: Record,
    /// For a transfer, who owned what it links to.
    pub from: Option<Account>,
}

/// A block's records, all checked.
#[derive(Debug)]
pub(super) struct Valid<'a> {
    pub owner: BlockOwner,
    /// Without the owner's.
    pub entries: Vec<Entry<'a>>,
}

/// Checks the records behind a header.
pub(super) fn body<'a>(
    ledger: &Ledger,
    view: &dyn View,
    header: &Header,
    body: &'a [u8],
    is_known: &Known<'_>,
) -> Result<Valid<'a>, LedgerError> {
    let chain = ledger.chain;
    let mut entries = Vec::with_capacity(usize::from(header.transaction_count));
    let mut rest = body;
    // All signatures are checked together; the first record that breaks a rule says which it is,
    // as if one were looked at after the other.
    let mut stopped = None;
    for _ in 0..header.transaction_count {
        match next(chain, rest)
            .map_err(LedgerError::from)
            .and_then(|(entry, left)| Ok((unsigned(chain, view, entry, is_known)?, left)))
        {
            Ok((entry, left)) => {
                entries.push(entry);
                rest = left;
            }
            Err(error) => {
                stopped = Some(error);
                break;
            }
        }
    }
    let claims: Vec<Claim<'_>> = entries.iter().filter_map(Unsigned::claim).collect();
    let mut results = ledger.checker.check(&claims).into_iter();
    for unsigned in &entries {
        if !unsigned.is_known {
            // A checker that answers too little has checked nothing.
            let result = results
                .next()
                .unwrap_or(Err(KeyError::InvalidSignature.into()));
            result.map_err(BlockError::from)?;
        }
        allowed(chain, view, header, unsigned)?;
    }
    if let Some(error) = stopped {
        return Err(error);
    }
    let entries: Vec<Entry<'_>> = entries.into_iter().map(|one| one.entry).collect();
    if !rest.is_empty() {
        return Err(BlockError::TransactionCount.into());
    }
    let ids: Vec<TxId> = entries.iter().map(|entry| entry.id).collect();
    if merkle::root(&ids) != header.merkle_root {
        return Err(BlockError::MerkleRoot.into());
    }
    let (owner, of_owner) = block_owner(chain, &entries)?;
    let entries: Vec<Entry<'_>> = entries.into_iter().skip(of_owner).collect();
    in_their_places(&entries)?;
    Ok(Valid { owner, entries })
}

/// Unpacks the next record.
fn next<'a>(chain: &Chain, rest: &'a [u8]) -> Result<(Entry<'a>, &'a [u8]), BlockError> {
    let (record, used) = Record::unpack(rest, chain.testing)?;
    let (packed, left) = rest
        .split_at_checked(used)
        .ok_or(BlockError::TransactionCount)?;
    let entry = Entry {
        id: TxId::of(packed),
        packed,
        record,
        from: None,
    };
    Ok((entry, left))
}

/// A record whose signatures are not checked yet.
struct Unsigned<'a> {
    entry: Entry<'a>,
    signer: Account,
    /// They were checked before.
    is_known: bool,
}

impl Unsigned<'_> {
    /// What is to be checked of it, if anything.
    fn claim(&self) -> Option<Claim<'_>> {
        (!self.is_known).then_some(Claim {
            record: &self.entry.record,
            signer: self.signer,
        })
    }
}

/// Who has to have signed, and every rule of the record itself but its signatures.
fn unsigned<'a>(
    chain: &Chain,
    view: &dyn View,
    mut entry: Entry<'a>,
    is_known: &Known<'_>,
) -> Result<Unsigned<'a>, LedgerError> {
    let signer = match entry.record.link() {
        None => *entry.record.owner(),
        Some(link) => {
            let linked = read::owned_record(view, &link, chain.testing)?;
            let of_block = matches!(entry.record, Record::BlockOwnerTransfer(_));
            let signer = match linked {
                Some(linked) => *linked.owner(),
                None if of_block && !read::has_transaction(view, &link)? => {
                    return Err(BlockError::InvalidOwner.into());
                }
                None => return Err(BlockError::LinkUnknown.into()),
            };
            entry.from = Some(signer);
            signer
        }
    };
    entry.record.check(&signer).map_err(BlockError::from)?;
    let is_known = is_known(&entry.id, &entry.record, entry.packed);
    Ok(Unsigned {
        entry,
        signer,
        is_known,
    })
}

/// The extra rule of the record's kind.
fn allowed(
    chain: &Chain,
    view: &dyn View,
    header: &Header,
    unsigned: &Unsigned<'_>,
) -> Result<(), LedgerError> {
    let entry = &unsigned.entry;
    let no_repeats = header.version >= chain.rules.repeats_refused_from_version;
    let is_repeated = match &entry.record {
        Record::AssetData(asset) => read::has_asset(view, &AssetId::of(&asset.fingerprint))?,
        Record::BitmarkIssue(_) => read::has_transaction(view, &entry.id)?,
        _ => false,
    };
    if no_repeats && is_repeated {
        return Err(BlockError::AlreadyExists.into());
    }
    if let Some(link) = entry.record.link() {
        if !read::currently_owns(view, &unsigned.signer, &link)? {
            return Err(BlockError::DoubleTransfer.into());
        }
        let of_block = matches!(entry.record, Record::BlockOwnerTransfer(_));
        if of_block && !view.contains(Pool::BlockOwnerTxIndex, &link.0)? {
            return Err(BlockError::LinkUnknown.into());
        }
    }
    Ok(())
}

/// Who owns the block, and how many records say so (step 8).
fn block_owner(chain: &Chain, entries: &[Entry<'_>]) -> Result<(BlockOwner, usize), BlockError> {
    let mut all = entries.iter();
    let first = all.next().ok_or(BlockError::MissingOwner)?;
    let base = match &first.record {
        Record::BlockFoundation(foundation) => {
            let owner = BlockOwner::of_payments(
                foundation.owner,
                &foundation.payments,
                first.packed.to_vec(),
                chain.testing,
            )?;
            return Ok((owner, 1));
        }
        Record::BaseData(base) => base,
        _ => return Err(BlockError::MissingOwner),
    };
    let mut payments = Payments::default();
    payments
        .0
        .insert(base.currency, base.payment_address.clone());
    if let Some((second, packed)) = all.next().and_then(|second| match &second.record {
        Record::BaseData(base) => Some((base, second.packed)),
        _ => None,
    }) {
        payments
            .0
            .insert(second.currency, second.payment_address.clone());
        let packed = [first.packed, packed].concat();
        let owner = BlockOwner::of_payments(base.owner, &payments, packed, chain.testing)?;
        return Ok((owner, 2));
    }
    if !base.currency.is_payable() {
        return Err(BlockError::InvalidCurrency);
    }
    let litecoin = address::litecoin_from_bitcoin(&base.payment_address)
        .map_err(|_| BlockError::InvalidCurrency)?;
    payments.0.insert(Currency::Litecoin, litecoin.into_bytes());
    let packed = first.packed.to_vec();
    let owner = BlockOwner::of_payments(base.owner, &payments, packed, chain.testing)?;
    Ok((owner, 1))
}

/// What the reference only finds out while it writes.
fn in_their_places(entries: &[Entry<'_>]) -> Result<(), BlockError> {
    let mut links = BTreeSet::new();
    for entry in entries {
        if matches!(
            entry.record,
            Record::BaseData(_) | Record::BlockFoundation(_)
        ) {
            return Err(BlockError::MissingOwner);
        }
        if entry.record.link().is_some_and(|link| !links.insert(link)) {
            return Err(BlockError::DoubleTransfer);
        }
    }
    Ok(())
}

/// Whether the records of a stored block are those that its header names.
pub(super) fn records_of_header(
    chain: &Chain,
    packed: &[u8],
    header: &Header,
) -> Result<(), LedgerError> {
    let mut rest = packed.get(HEADER_BYTES..).unwrap_or_default();
    let mut ids = Vec::with_capacity(usize::from(header.transaction_count));
    for _ in 0..header.transaction_count {
        let (entry, left) = next(chain, rest)?;
        ids.push(entry.id);
        rest = left;
    }
    if !rest.is_empty() {
        return Err(BlockError::TransactionCount.into());
    }
    if merkle::root(&ids) != header.merkle_root {
        return Err(BlockError::MerkleRoot.into());
    }
    Ok(())
}

/// The records of a stored block, without those of its owner.
pub(super) fn stored_records(chain: &Chain, packed: &[u8]) -> Result<Vec<Returned>, LedgerError> {
    let damaged = |e: BlockError| LedgerError::Damaged(format!("a stored block: {e}"));
    let (header, _) = Header::unpack(packed).map_err(damaged)?;
    let mut rest = packed.get(HEADER_BYTES..).unwrap_or_default();
    let mut returned = Vec::with_capacity(usize::from(header.transaction_count));
    for _ in 0..header.transaction_count {
        let (entry, left) = next(chain, rest).map_err(damaged)?;
        rest = left;
        let of_owner = matches!(
            entry.record,
            Record::BaseData(_) | Record::BlockFoundation(_)
        );
        if !of_owner {
            returned.push(Returned {
                id: entry.id,
                packed: entry.packed.to_vec(),
                record: entry.record,
            });
        }
    }
    Ok(returned)
}
