//! The log of this node (`proto/mempool.md`, sections 2.3 and 4.1): each ready bundle has a
//! position, and what needs another stands behind it. It holds no bytes of records; an entry is a
//! reference into the pools.
//!
//! | state | what follows |
//! | --- | --- |
//! | ready | it has an id and is sent |
//! | unready | something that it needs is not here; it gets a new id when that comes |
//! | quiet | never sent from here: a peer's, under the policy `own` |
//!
//! Ids begin at 1, only go up and are never given twice. Bounds: so many items as it was made for;
//! a mark of who has an item for each peer of the table.

mod check;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use super::bundle::{BundleKey, Locator, Pools, key_of};
use super::mutants;
use super::settings::Policy;
use crate::core::keys::PeerPublicKey;
use crate::core::time::Millis;

/// Proof, issues, assets: nothing needs more steps.
const DEPTH_MAX: u8 = 3;

/// Where an item stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Ready(u64),
    Unready,
    Quiet,
}

/// A peer of the table and which life of it: marks of an earlier one do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holder {
    pub slot: u16,
    pub incarnation: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Item {
    pub state: State,
    pub key: BundleKey,
    /// Who sent it first; `None`: a client of ours.
    pub origin: Option<PeerPublicKey>,
    /// Since when it has its id.
    pub since: Millis,
    /// Who sent it to us: slot and incarnation.
    have: BTreeMap<u16, u64>,
    /// What it needed when it was last looked at.
    needs: Vec<Locator>,
    last_id: Option<u64>,
}

impl Item {
    pub fn is_held_by(&self, holder: Holder) -> bool {
        self.have.get(&holder.slot) == Some(&holder.incarnation)
    }
}

/// All items, and the order of those that are ready.
#[derive(Debug, Clone)]
pub(super) struct Timeline {
    policy: Policy,
    limit: usize,
    next_id: u64,
    items: BTreeMap<Locator, Item>,
    by_id: BTreeMap<u64, Locator>,
    by_key: BTreeMap<BundleKey, Locator>,
    /// What needs it; it need not be here itself.
    dependants: BTreeMap<Locator, BTreeSet<Locator>>,
    /// What became ready in the running call.
    fresh: Vec<Locator>,
    /// What came in since it was last taken.
    entered: Vec<(Locator, BundleKey)>,
    /// Newcomers for which there was no room.
    pub refused: u64,
}

impl Timeline {
    pub const fn new(policy: Policy, limit: usize) -> Self {
        Self {
            policy,
            limit,
            next_id: 1,
            items: BTreeMap::new(),
            by_id: BTreeMap::new(),
            by_key: BTreeMap::new(),
            dependants: BTreeMap::new(),
            fresh: Vec::new(),
            entered: Vec::new(),
            refused: 0,
        }
    }

    /// Gives it room for so many, if it has less.
    pub fn widen(&mut self, limit: usize) {
        self.limit = self.limit.max(limit);
    }

    /// The newest id that was given; 0 before the first.
    pub const fn head(&self) -> u64 {
        self.next_id.saturating_sub(1)
    }

    /// How many are ready.
    pub fn ready(&self) -> usize {
        self.by_id.len()
    }

    /// How many wait, and how many are quiet.
    pub fn others(&self) -> (usize, usize) {
        let quiet = |item: &&Item| item.state == State::Quiet;
        let quiet = self.items.values().filter(quiet).count();
        let waiting = self.items.len().saturating_sub(self.by_id.len());
        (waiting.saturating_sub(quiet), quiet)
    }

    pub fn get(&self, locator: &Locator) -> Option<&Item> {
        self.items.get(locator)
    }

    /// The first ready one behind an id.
    pub fn after(&self, id: u64) -> Option<(u64, Locator)> {
        let mut later = self.by_id.range((Excluded(id), Unbounded));
        later.next().map(|(id, locator)| (*id, *locator))
    }

    pub fn find(&self, key: &BundleKey) -> Option<Locator> {
        self.by_key.get(key).copied()
    }

    /// A peer has it too. `read` is how far it has the log: below, no mark is needed.
    pub fn mark(&mut self, locator: &Locator, holder: Holder, read: u64) {
        let Some(item) = self.items.get_mut(locator) else {
            return;
        };
        match item.state {
            State::Ready(id) if id <= read => {}
            State::Quiet => {}
            State::Ready(_) | State::Unready => {
                item.have.insert(holder.slot, holder.incarnation);
            }
        }
    }

    /// What came in since the last call: each with its key.
    pub fn take_entered(&mut self) -> Vec<(Locator, BundleKey)> {
        std::mem::take(&mut self.entered)
    }

    /// It is in the pools. What it needs goes first, what waited for it follows. `parked` tells who
    /// sent a bundle that was parked.
    pub fn present(
        &mut self,
        now: Millis,
        pools: &dyn Pools,
        locator: Locator,
        origin: Option<PeerPublicKey>,
        parked: &dyn Fn(&BundleKey) -> Option<PeerPublicKey>,
    ) {
        self.enter(now, pools, locator, origin, parked, 0);
        self.release(now, pools);
    }

    fn enter(
        &mut self,
        now: Millis,
        pools: &dyn Pools,
        locator: Locator,
        origin: Option<PeerPublicKey>,
        parked: &dyn Fn(&BundleKey) -> Option<PeerPublicKey>,
        depth: u8,
    ) {
        let origin = match self.items.get(&locator) {
            Some(item) if item.state != State::Unready => return,
            Some(item) => item.origin,
            None => {
                let Some(payload) = pools.payload(&locator) else {
                    return;
                };
                let key = key_of(locator.kind(), &payload);
                if self.items.len() >= self.limit || self.by_key.contains_key(&key) {
                    self.refused = self.refused.saturating_add(1);
                    return;
                }
                let origin = origin.or_else(|| parked(&key));
                let quiet = self.policy == Policy::Own && origin.is_some();
                let item = Item {
                    state: if quiet { State::Quiet } else { State::Unready },
                    key,
                    origin,
                    since: now,
                    have: BTreeMap::new(),
                    needs: Vec::new(),
                    last_id: None,
                };
                self.items.insert(locator, item);
                self.by_key.insert(key, locator);
                self.entered.push((locator, key));
                if quiet {
                    self.fresh.push(locator);
                    return;
                }
                origin
            }
        };
        let needs = needs_of(pools, &locator);
        for need in &needs {
            if depth < DEPTH_MAX && !self.is_settled(need) {
                self.enter(now, pools, *need, origin, parked, depth + 1);
            }
        }
        let settled = needs.iter().all(|need| self.is_settled(need));
        self.set_needs(&locator, needs);
        if settled {
            self.make_ready(now, locator);
        }
    }

    /// What waited for something that has come gets its id.
    fn release(&mut self, now: Millis, pools: &dyn Pools) {
        while let Some(came) = self.fresh.pop() {
            let waiting: Vec<Locator> = self
                .dependants
                .get(&came)
                .into_iter()
                .flatten()
                .copied()
                .collect();
            for locator in waiting {
                let origin = self.items.get(&locator).and_then(|item| item.origin);
                self.enter(now, pools, locator, origin, &|_| None, 0);
            }
        }
    }

    fn is_settled(&self, locator: &Locator) -> bool {
        let item = self.items.get(locator);
        item.is_some_and(|item| item.state != State::Unready)
    }

    fn make_ready(&mut self, now: Millis, locator: Locator) {
        let Some(item) = self.items.get_mut(&locator) else {
            return;
        };
        let id = match item.last_id {
            Some(old) if mutants::PARKED_BUNDLE_KEEPS_ITS_ID => old,
            _ => self.next_id,
        };
        self.next_id = self.next_id.max(id.saturating_add(1));
        item.state = State::Ready(id);
        item.last_id = Some(id);
        item.since = now;
        self.by_id.insert(id, locator);
        self.fresh.push(locator);
    }

    fn set_needs(&mut self, locator: &Locator, needs: Vec<Locator>) {
        let Some(item) = self.items.get_mut(locator) else {
            return;
        };
        let old = std::mem::replace(&mut item.needs, needs);
        let new = item.needs.clone();
        for need in old {
            if let Some(all) = self.dependants.get_mut(&need) {
                all.remove(locator);
                if all.is_empty() {
                    self.dependants.remove(&need);
                }
            }
        }
        for need in new {
            self.dependants.entry(need).or_default().insert(*locator);
        }
    }

    /// It left the pools: what still needs it leaves the log until it comes again.
    pub fn gone(&mut self, pools: &dyn Pools, locator: &Locator) -> bool {
        self.set_needs(locator, Vec::new());
        let item = self.items.remove(locator);
        if let Some(item) = &item {
            self.by_key.remove(&item.key);
            if let State::Ready(id) = item.state {
                self.by_id.remove(&id);
            }
        }
        self.hold_back(pools, locator);
        item.is_some()
    }

    /// What needs `locator`, and what needs that, leaves the log.
    fn hold_back(&mut self, pools: &dyn Pools, locator: &Locator) {
        let mut left = vec![*locator];
        while let Some(left_now) = left.pop() {
            let all = self.dependants.get(&left_now).cloned().unwrap_or_default();
            for dependant in all {
                let needs = needs_of(pools, &dependant);
                let is_needed = needs.contains(&left_now);
                self.set_needs(&dependant, needs);
                if is_needed && self.make_unready(&dependant) {
                    left.push(dependant);
                }
            }
        }
    }

    fn make_unready(&mut self, locator: &Locator) -> bool {
        let Some(item) = self.items.get_mut(locator) else {
            return false;
        };
        let State::Ready(id) = item.state else {
            return false;
        };
        item.state = State::Unready;
        self.by_id.remove(&id);
        true
    }

    /// Whether all that it needs is before it. A block that came off can change that.
    pub fn is_in_order(&self, pools: &dyn Pools, id: u64, locator: &Locator) -> bool {
        needs_of(pools, locator).iter().all(|need| {
            match self.items.get(need).map(|item| item.state) {
                Some(State::Ready(earlier)) => earlier < id,
                Some(State::Quiet) => true,
                Some(State::Unready) | None => false,
            }
        })
    }

    /// Puts it behind what it needs, with a new id, or lets it wait.
    pub fn reorder(&mut self, now: Millis, pools: &dyn Pools, locator: Locator) {
        self.make_unready(&locator);
        self.hold_back(pools, &locator);
        let origin = self.items.get(&locator).and_then(|item| item.origin);
        self.present(now, pools, locator, origin, &|_| None);
    }

    /// Looks at up to `count` items behind `from`: those that are in the pools no more go. Gives
    /// back where to go on, if there are more, and how many went.
    pub fn sweep(
        &mut self,
        pools: &dyn Pools,
        from: Option<Locator>,
        count: usize,
    ) -> (Option<Locator>, u64) {
        let start = from.map_or(Unbounded, Excluded);
        let looked: Vec<Locator> = self
            .items
            .range((start, Unbounded))
            .take(count)
            .map(|(locator, _)| *locator)
            .collect();
        let mut removed = 0;
        for locator in &looked {
            if pools.payload(locator).is_none() && self.gone(pools, locator) {
                removed += 1;
            }
        }
        let next = looked.last().copied().filter(|_| looked.len() == count);
        (next, removed)
    }
}

fn needs_of(pools: &dyn Pools, locator: &Locator) -> Vec<Locator> {
    if mutants::PROOF_BEFORE_ISSUES {
        return Vec::new();
    }
    pools.needs(locator)
}
