//! Storing a transfer of a bitmark or of a block (`proto/reservoir.md`, section 6).
//!
//! The link is reserved from here until the transfer is confirmed or goes, by whichever way it
//! was verified. A base record is not passed on here, since no block may hold that.

use super::caps::Source;
use super::confirmed::Confirmed;
use super::due::Due;
use super::error::Refusal;
use super::members::Member;
use super::set::{Kind, Set};
use super::{LIFE_S, Reservoir};
use crate::core::id::{PayId, TxId};
use crate::core::record::Record;

/// What a client needs to verify its transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferStored {
    /// The transfer.
    pub tx_id: TxId,
    /// The same, packed.
    pub packed: Vec<u8>,
    /// What a payment names.
    pub pay_id: PayId,
    /// What is to be paid.
    pub payments: Due,
    /// The very transfer was known.
    pub duplicate: bool,
}

impl Reservoir {
    pub(super) fn store_transfer(
        &mut self,
        record: &Record,
        source: Source,
        confirmed: &Confirmed<'_>,
    ) -> Result<TransferStored, Refusal> {
        let link = record.link().ok_or(Refusal::NotATransfer)?;
        let linked = confirmed.record(&link)?.ok_or(Refusal::InvalidLink)?;
        if !record.may_follow(&linked) || matches!(linked, Record::BaseData(_)) {
            return Err(Refusal::InvalidLink);
        }
        let packed = record.pack(linked.owner())?;
        let tx_id = TxId::of(&packed);
        let taken = self.pools.links.contains_key(&link);
        let known = self.pools.set_of(&tx_id);
        let pending = known.is_some_and(|(_, set)| set.verified.is_none());
        if taken != pending {
            return Err(Refusal::DoubleTransfer);
        }
        let verified = known.is_some() && !pending;
        if verified || confirmed.has_transaction(&tx_id)? {
            return Err(Refusal::AlreadyExists);
        }
        let ownership = confirmed
            .ownership(linked.owner(), &link)?
            .ok_or(Refusal::DoubleTransfer)?;
        if tx_id == link {
            return Err(Refusal::LinksToSelf);
        }
        let pay_id = PayId::of([packed.as_slice()]);
        let mut stored = TransferStored {
            tx_id,
            pay_id,
            payments: Due::for_transfer(confirmed, &ownership, linked.escrow())?,
            duplicate: false,
            packed,
        };
        if let Some(set) = self.pools.sets.get(&pay_id) {
            stored.duplicate = true;
            stored.payments = set.due.clone().unwrap_or(stored.payments);
            return Ok(stored);
        }
        if pending {
            return Err(Refusal::AlreadyExists);
        }
        let set = Set {
            kind: Kind::Transfer { link },
            members: std::iter::once(Member {
                id: tx_id,
                packed: &stored.packed,
                asset: None,
                confirmed: false,
            })
            .collect(),
            due: Some(stored.payments.clone()),
            source,
            deadline: self.time.saturating_add(LIFE_S),
            verified: None,
        };
        self.room_for(&set)?;
        self.put_new(pay_id, set);
        Ok(stored)
    }
}
