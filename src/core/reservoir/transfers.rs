//! Transfers of bitmarks and of blocks (`proto/reservoir.md`, section 6).

use std::collections::BTreeSet;

use super::payments::Alternatives;
use super::{
    Confirmed, Kind, LIFE_S, Member, Refusal, Reservoir, ReservoirError, Set, Source, State,
    Verified, payments,
};
use crate::core::id::{PayId, TxId};
use crate::core::ledger::read;
use crate::core::record::{Record, RecordError};
use crate::core::time::Now;

/// The answer to a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTransfer {
    /// What it is paid for under.
    pub pay_id: PayId,
    /// The transaction.
    pub id: TxId,
    /// Its canonical bytes.
    pub packed: Vec<u8>,
    /// How it can be paid for.
    pub payments: Alternatives,
    /// Whether it was here before.
    pub duplicate: bool,
}

impl Reservoir {
    /// Takes a transfer.
    ///
    /// # Errors
    /// The rule that it breaks; nothing has changed then.
    pub fn store_transfer(
        &mut self,
        now: Now,
        transfer: &Record,
        source: Source,
        state: Confirmed<'_>,
    ) -> Result<StoredTransfer, ReservoirError> {
        self.clock.see(now);
        let link = transfer.link().ok_or(Refusal::NotATransfer)?;
        let stored = read::transaction(state.view, &link)?.ok_or(Refusal::InvalidLink)?;
        let (linked, _) =
            Record::unpack(&stored.packed, self.chain.testing).map_err(|_| Refusal::InvalidLink)?;
        if !transfer.may_follow(&linked) {
            return Err(Refusal::InvalidLink.into());
        }
        let owner = *linked.owner();
        let packed = transfer.pack(&owner)?;
        if transfer.owner().testing != self.chain.testing {
            return Err(RecordError::WrongNetwork.into());
        }
        let id = TxId::of(&packed);
        let known = self.index.get(&id).and_then(|pay_id| self.sets.get(pay_id));
        let is_claimed = self.links.contains_key(&link);
        let is_pending = known.is_some_and(Set::is_pending);
        if is_claimed != is_pending {
            return Err(Refusal::DoubleTransfer.into());
        }
        if known.is_some_and(|set| !set.is_pending()) || read::has_transaction(state.view, &id)? {
            return Err(Refusal::AlreadyExists.into());
        }
        let Some(ownership) = read::ownership(state.view, &owner, &link)? else {
            return Err(Refusal::DoubleTransfer.into());
        };
        // The stored record of an old block names no owner for the store of blocks: a block with
        // this transfer would be refused everywhere.
        if matches!(linked, Record::BaseData(_)) {
            return Err(Refusal::InvalidLink.into());
        }
        let pay_id = PayId::of([packed.as_slice()]);
        if id == link {
            return Err(Refusal::LinksToSelf.into());
        }
        let mut answer = StoredTransfer {
            pay_id,
            id,
            payments: payments::for_transfer(&ownership, linked.escrow(), state, self.chain)?,
            packed,
            duplicate: false,
        };
        if let Some(set) = self.sets.get(&pay_id) {
            if let Some(payments) = &set.payments {
                answer.payments.clone_from(payments);
            }
            answer.duplicate = true;
            return Ok(answer);
        }
        if is_pending {
            return Err(Refusal::AlreadyExists.into());
        }
        self.room_for(source, 1, answer.packed.len(), [owner])?;
        let paid = self.take_orphan(&pay_id, Some(&answer.payments));
        let set = Set {
            kind: Kind::Transfer { link },
            members: vec![Member {
                id,
                packed: answer.packed.clone().into(),
                present: true,
            }],
            state: if paid {
                State::Verified(Verified::Payment)
            } else {
                State::Pending
            },
            payments: Some(answer.payments.clone()),
            deadline: self.clock.now().saturating_add(LIFE_S),
            number: 0,
            source,
            owners: BTreeSet::from([owner]),
            next_broadcast: 0,
        };
        self.insert(now, pay_id, set);
        Ok(answer)
    }
}
