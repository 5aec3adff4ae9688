//! Whether the indexes of the log agree with its items (`proto/mempool.md`, section 5).

use super::{Item, State, Timeline};
use crate::core::overlay::mempool::bundle::{Locator, Pools, key_of};

impl Timeline {
    /// Whether the indexes agree with the items (invariants M1, M3 and M5).
    ///
    /// # Errors
    /// The first that does not.
    pub fn check(&self, pools: &dyn Pools) -> Result<(), String> {
        if self.items.len() > self.limit {
            return Err("M7: too many items".to_owned());
        }
        let ready = |item: &&Item| matches!(item.state, State::Ready(_));
        if self.items.values().filter(ready).count() != self.by_id.len()
            || self.by_key.len() != self.items.len()
        {
            return Err("M3: an index has another length than the items".to_owned());
        }
        for (locator, item) in &self.items {
            if self.by_key.get(&item.key) != Some(locator) {
                return Err(format!("M3: {locator:?} is not under its key"));
            }
            if let Some(payload) = pools.payload(locator)
                && key_of(locator.kind(), &payload) != item.key
            {
                return Err(format!("M3: {locator:?} has other bytes than it had"));
            }
            for need in &item.needs {
                let known = self.dependants.get(need);
                if !known.is_some_and(|all| all.contains(locator)) {
                    return Err(format!("M3: {locator:?} is not told of {need:?}"));
                }
            }
            self.check_id(locator, item)?;
        }
        for (need, all) in &self.dependants {
            for locator in all {
                let item = self.items.get(locator);
                if !item.is_some_and(|item| item.needs.contains(need)) {
                    return Err(format!("M3: {locator:?} does not need {need:?}"));
                }
            }
        }
        Ok(())
    }

    fn check_id(&self, locator: &Locator, item: &Item) -> Result<(), String> {
        let State::Ready(id) = item.state else {
            return Ok(());
        };
        if id == 0 || id > self.head() || self.by_id.get(&id) != Some(locator) {
            return Err(format!("M1: {locator:?} is not at its id {id}"));
        }
        for need in &item.needs {
            if let Some(State::Ready(other)) = self.items.get(need).map(|item| item.state)
                && other >= id
            {
                return Err(format!("M5: {need:?} is behind {locator:?}"));
            }
        }
        Ok(())
    }
}
