//! The records of a block, checked in the reference's order (`proto/blocks.md`, section 8.1,
//! steps 5 to 8), and then what it leaves to chance: places, and repetitions inside the block.

use std::collections::BTreeSet;

use super::{BlockOwner, Known, Ledger, LedgerError, Returned, keys, read};
use crate::core::block::{BlockError, HEADER_BYTES, Header};
use crate::core::chain::Chain;
use crate::core::currency::{Currency, Payments, address};
use crate::core::id::{AssetId, TxId};
use crate::core::keys::{Account, KeyError};
use crate::core::record::{Claim, Record, merkle};
use crate::core::state::{Pool, StoreFault, View};

/// A record of a block, as far as it was read: its signatures are not checked yet.
#[derive(Debug, Clone)]
pub(super) struct Entry<'a> {
    pub id: TxId,
    pub packed: &'a [u8],
    pub record: Record,
    /// Who has to have signed it: of a transfer, who owned what it links to.
    pub signer: Account,
    /// Of an issue or a transfer: whether pool T has its id.
    pub is_stored: bool,
    /// Its signatures were checked before.
    is_known: bool,
}

impl Entry<'_> {
    /// What is to be checked of it, if anything.
    fn claim(&self) -> Option<Claim<'_>> {
        (!self.is_known).then_some(Claim {
            record: &self.record,
            signer: self.signer,
        })
    }
}

/// A block's records up to the first that breaks a rule of its own, signatures aside.
#[derive(Debug)]
pub(super) struct Records<'a> {
    entries: Vec<Entry<'a>>,
    /// What that one breaks.
    stopped: Option<LedgerError>,
    /// Whether the block ends with the last record that its header counts.
    is_whole: bool,
}

/// A block's records, all checked but for their signatures.
#[derive(Debug)]
pub(super) struct Valid<'a> {
    pub owner: BlockOwner,
    /// Without the owner's.
    pub entries: &'a [Entry<'a>],
    /// Of each asset whether pool A has it (no bytes), of each transfer what pool D has of what it
    /// follows, under the former owner.
    pub held: Vec<Option<Vec<u8>>>,
}

/// Reads the records behind a header, and who has to have signed them.
pub(super) fn read<'a>(
    chain: &Chain,
    view: &dyn View,
    header: &Header,
    body: &'a [u8],
    is_known: &Known<'_>,
) -> Result<Records<'a>, LedgerError> {
    let mut unpacked = Vec::with_capacity(usize::from(header.transaction_count));
    let mut rest = body;
    let mut stopped = None;
    for _ in 0..header.transaction_count {
        match next(chain, rest) {
            Ok((next, left)) => {
                unpacked.push(next);
                rest = left;
            }
            Err(error) => {
                stopped = Some(error);
                break;
            }
        }
    }
    let stored = stored(chain, view, &unpacked)?;
    let mut entries = Vec::with_capacity(unpacked.len());
    for (unpacked, stored) in unpacked.into_iter().zip(stored) {
        match unsigned(unpacked, stored, is_known) {
            Ok(entry) => entries.push(entry),
            Err(error) => {
                stopped = Some(error);
                break;
            }
        }
    }
    Ok(Records {
        entries,
        stopped: stopped.map(LedgerError::from),
        is_whole: rest.is_empty(),
    })
}

impl<'a> Records<'a> {
    /// Has the signatures checked, and does meanwhile what `decide` is to do with the records if they
    /// are valid. The first record that breaks a rule says which it is, as if one were looked at after
    /// the other, its signatures before the rules of its kind; what stands behind it costs no check.
    pub(super) fn decide<T>(
        &'a self,
        ledger: &Ledger,
        view: &dyn View,
        header: &Header,
        decide: impl Fn(&Valid<'a>) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let decide = || {
            let valid = self.valid(ledger.chain, view, header)?;
            decide(&valid).map_err(|error| (self.entries.len(), error))
        };
        let (places, claims): (Vec<usize>, Vec<Claim<'_>>) = self
            .entries
            .iter()
            .enumerate()
            .filter_map(|(place, entry)| Some((place, entry.claim()?)))
            .unzip();
        let mut decided = None;
        let mut useful = claims.len();
        let mut results = ledger
            .checker
            .check_while(&claims, &mut || {
                let result = decide();
                if let Err((place, _)) = &result {
                    useful = places.partition_point(|other| other <= place);
                }
                decided = Some(result);
                useful
            })
            .into_iter();
        let unsigned = places.into_iter().take(useful).find_map(|place| {
            // A checker that answers too little has checked nothing.
            let result = results
                .next()
                .unwrap_or(Err(KeyError::InvalidSignature.into()));
            Some((place, BlockError::from(result.err()?)))
        });
        match (decided.unwrap_or_else(decide), unsigned) {
            (Err((place, error)), Some((before, _))) if place < before => Err(error),
            (_, Some((_, error))) => Err(error.into()),
            (decided, None) => decided.map_err(|(_, error)| error),
        }
    }

    /// Every rule but those of signatures. What is broken is told with the place of the record that
    /// breaks it; of the block as a whole, with that behind the last.
    fn valid(
        &'a self,
        chain: &Chain,
        view: &dyn View,
        header: &Header,
    ) -> Result<Valid<'a>, (usize, LedgerError)> {
        let entries = self.entries.as_slice();
        let behind = |error: LedgerError| (entries.len(), error);
        let mut held = held(view, entries).map_err(|fault| behind(fault.into()))?;
        for (place, (entry, held)) in entries.iter().zip(&held).enumerate() {
            let is_held = held.is_some();
            allowed(chain, view, header, entry, is_held).map_err(|error| (place, error))?;
        }
        let wrong = |error: BlockError| behind(error.into());
        if let Some(error) = &self.stopped {
            return Err(behind(error.clone()));
        }
        if !self.is_whole {
            return Err(wrong(BlockError::TransactionCount));
        }
        let ids: Vec<TxId> = entries.iter().map(|entry| entry.id).collect();
        if merkle::root(&ids) != header.merkle_root {
            return Err(wrong(BlockError::MerkleRoot));
        }
        let (owner, of_owner) = block_owner(chain, entries).map_err(wrong)?;
        let entries = entries.get(of_owner..).unwrap_or_default();
        in_their_places(entries).map_err(wrong)?;
        held.drain(..of_owner);
        Ok(Valid {
            owner,
            entries,
            held,
        })
    }
}

/// A record as it stands in a block.
struct Unpacked<'a> {
    id: TxId,
    packed: &'a [u8],
    record: Record,
}

/// Unpacks the next record.
fn next<'a>(chain: &Chain, rest: &'a [u8]) -> Result<(Unpacked<'a>, &'a [u8]), BlockError> {
    let (record, used) = Record::unpack(rest, chain.testing)?;
    let (packed, left) = rest
        .split_at_checked(used)
        .ok_or(BlockError::TransactionCount)?;
    let id = TxId::of(packed);
    Ok((Unpacked { id, packed, record }, left))
}

/// What a transfer follows.
#[derive(Clone, Copy)]
enum Linked {
    /// It follows nothing.
    Nothing,
    /// No stored transaction.
    Unknown,
    /// A stored one that nobody can pass on.
    Ownerless,
    /// Whom the stored one gave it to.
    Owned(Account),
}

/// What pool T says of a record.
#[derive(Clone, Copy)]
struct Stored {
    /// Whether it has the record's own id, where that can be: of issues and transfers.
    is_stored: bool,
    linked: Linked,
}

/// Of each record what pool T says of it. Keys that lie beside each other are read one after the other:
/// the store is asked in their order, not in that of the block.
fn stored(
    chain: &Chain,
    view: &dyn View,
    unpacked: &[Unpacked<'_>],
) -> Result<Vec<Stored>, StoreFault> {
    let mut wanted: Vec<(TxId, usize, bool)> = Vec::with_capacity(2 * unpacked.len());
    for (place, one) in unpacked.iter().enumerate() {
        let link = one.record.link();
        if link.is_some() || matches!(one.record, Record::BitmarkIssue(_)) {
            wanted.push((one.id, place, false));
        }
        wanted.extend(link.map(|link| (link, place, true)));
    }
    wanted.sort_unstable();
    let nothing = Stored {
        is_stored: false,
        linked: Linked::Nothing,
    };
    let mut all = vec![nothing; unpacked.len()];
    for (id, place, is_link) in wanted {
        let Some(one) = all.get_mut(place) else {
            continue;
        };
        if is_link {
            let owned = |stored| read::owned_of(&stored, chain.testing);
            one.linked = match read::transaction(view, &id)?.map(owned) {
                None => Linked::Unknown,
                Some(None) => Linked::Ownerless,
                Some(Some(record)) => Linked::Owned(*record.owner()),
            };
        } else {
            one.is_stored = read::has_transaction(view, &id)?;
        }
    }
    Ok(all)
}

/// Who has to have signed, and every rule of the record itself but its signatures.
fn unsigned<'a>(
    unpacked: Unpacked<'a>,
    stored: Stored,
    is_known: &Known<'_>,
) -> Result<Entry<'a>, BlockError> {
    let Unpacked { id, packed, record } = unpacked;
    let of_block = matches!(record, Record::BlockOwnerTransfer(_));
    let signer = match stored.linked {
        Linked::Nothing => *record.owner(),
        Linked::Owned(owner) => owner,
        Linked::Unknown if of_block => return Err(BlockError::InvalidOwner),
        Linked::Unknown | Linked::Ownerless => return Err(BlockError::LinkUnknown),
    };
    record.check(&signer)?;
    let is_known = is_known(&id, &record, packed);
    Ok(Entry {
        id,
        packed,
        record,
        signer,
        is_stored: stored.is_stored,
        is_known,
    })
}

/// See [`Valid::held`]; the store is asked in the order of keys as above.
fn held(view: &dyn View, entries: &[Entry<'_>]) -> Result<Vec<Option<Vec<u8>>>, StoreFault> {
    let mut wanted: Vec<(Pool, Vec<u8>, usize)> = Vec::new();
    for (place, entry) in entries.iter().enumerate() {
        if let Record::AssetData(asset) = &entry.record {
            let id = AssetId::of(&asset.fingerprint);
            wanted.push((Pool::Assets, id.0.to_vec(), place));
        } else if let Some(link) = entry.record.link() {
            let key = keys::owner_digest(&entry.signer, &link);
            wanted.push((Pool::OwnerDigest, key, place));
        }
    }
    wanted.sort_unstable();
    let mut held = vec![None; entries.len()];
    for (pool, key, place) in wanted {
        let found = match pool {
            Pool::OwnerDigest => view.get(pool, &key)?,
            _ => view.contains(pool, &key)?.then(Vec::new),
        };
        if let Some(held) = held.get_mut(place) {
            *held = found;
        }
    }
    Ok(held)
}

/// The extra rule of the record's kind. `is_held`: the store has what [`held`] asks for.
fn allowed(
    chain: &Chain,
    view: &dyn View,
    header: &Header,
    entry: &Entry<'_>,
    is_held: bool,
) -> Result<(), LedgerError> {
    let no_repeats = header.version >= chain.rules.repeats_refused_from_version;
    let is_repeated = match entry.record {
        Record::AssetData(_) => is_held,
        Record::BitmarkIssue(_) => entry.is_stored,
        _ => false,
    };
    if no_repeats && is_repeated {
        return Err(BlockError::AlreadyExists.into());
    }
    if let Some(link) = entry.record.link() {
        if !is_held {
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
    let first = entries.first().ok_or(BlockError::MissingOwner)?;
    let owner = |account, payments: &Payments, count: usize| {
        let records = entries.get(..count).unwrap_or_default();
        let owner = BlockOwner::of_payments(account, payments, records, chain.testing)?;
        Ok((owner, count))
    };
    let base = match &first.record {
        Record::BlockFoundation(foundation) => {
            return owner(foundation.owner, &foundation.payments, 1);
        }
        Record::BaseData(base) => base,
        _ => return Err(BlockError::MissingOwner),
    };
    let mut payments = Payments::default();
    payments
        .0
        .insert(base.currency, base.payment_address.clone());
    if let Some(Record::BaseData(second)) = entries.get(1).map(|second| &second.record) {
        payments
            .0
            .insert(second.currency, second.payment_address.clone());
        return owner(base.owner, &payments, 2);
    }
    if !base.currency.is_payable() {
        return Err(BlockError::InvalidCurrency);
    }
    let litecoin = address::litecoin_from_bitcoin(&base.payment_address)
        .map_err(|_| BlockError::InvalidCurrency)?;
    payments.0.insert(Currency::Litecoin, litecoin.into_bytes());
    owner(base.owner, &payments, 1)
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

#[cfg(test)]
mod tests;
