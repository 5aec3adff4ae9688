//! Transfers of what is in no block: they stand in the pools when a block came off with what they
//! follow (`proto/reservoir.md`, sections 9 and 17). They go when that can not be confirmed any
//! more, and get their list when it is.

use super::confirmed::Confirmed;
use super::payments::transfer_due;
use super::set::Set;
use super::{Effect, Reservoir};
use crate::core::id::{PayId, TxId};
use crate::core::state::StoreFault;

impl Reservoir {
    /// Drops a set and what follows its records.
    pub(super) fn drop_set(&mut self, pay_id: &PayId, confirmed: &Confirmed<'_>) {
        if let Some(set) = self.pools.take_set(pay_id) {
            self.drop_followers(set.ids(), confirmed);
        }
    }

    /// Drops what follows those of `gone` that neither the chain nor the pools have, link by link.
    pub(super) fn drop_followers(&mut self, mut gone: Vec<TxId>, confirmed: &Confirmed<'_>) {
        while let Some(id) = gone.pop() {
            let Some(pay_id) = self.pools.links.get(&id).copied() else {
                continue;
            };
            if self.pools.has_member(&id) {
                continue;
            }
            match confirmed.has_transaction(&id) {
                Ok(true) => {}
                Ok(false) => gone.extend(self.pools.take_set(&pay_id).iter().flat_map(Set::ids)),
                Err(fault) => self.effects.push(Effect::Fault(fault)),
            }
        }
    }

    /// Gives the transfer of a record that is now confirmed its list, if it has none. A payment
    /// that waits for it counts.
    pub(super) fn list_follower(
        &mut self,
        id: &TxId,
        confirmed: &Confirmed<'_>,
    ) -> Result<(), StoreFault> {
        let Some(pay_id) = self.pools.links.get(id).copied() else {
            return Ok(());
        };
        let Some(set) = self.pools.sets.get(&pay_id) else {
            return Ok(());
        };
        if set.due.as_ref().is_none_or(|due| !due.0.is_empty()) {
            return Ok(());
        }
        let Some(due) = transfer_due(id, confirmed)? else {
            return Ok(());
        };
        let set = Set {
            due: Some(due),
            ..set.clone()
        };
        if set.verified.is_some() {
            self.pools.put_set(pay_id, set);
        } else {
            self.put_new(pay_id, set);
        }
        Ok(())
    }
}
