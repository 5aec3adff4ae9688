//! Sets in and out of the pools, with every count that goes with them.

use super::{Kind, Refusal, Reservoir, ReservoirError, Room, Set, Source, State, Timed, Verified};
use crate::core::id::PayId;
use crate::core::time::Now;

impl Reservoir {
    /// Whether a set of this size finds room; a refusal is counted.
    pub(super) fn room_for(
        &mut self,
        source: Source,
        records: usize,
        bytes: usize,
        owners: impl IntoIterator<Item = crate::core::keys::Account>,
    ) -> Result<(), ReservoirError> {
        let of = self.room_of.get(&source).copied().unwrap_or_default();
        let share = self.caps.peer_share.max(1);
        let all = self.room.records + records > self.caps.records
            || self.room.bytes + bytes > self.caps.bytes;
        let one = source != 0
            && (of.records + records > self.caps.records / share
                || of.bytes + bytes > self.caps.bytes / share);
        let owner = owners.into_iter().any(|owner| {
            let sets = self.sets_of.get(&owner).copied().unwrap_or_default();
            sets >= self.caps.sets_of_owner
        });
        if all || one || owner {
            self.refused_full += 1;
            return Err(Refusal::Full.into());
        }
        Ok(())
    }

    pub(super) fn insert(&mut self, now: Now, pay_id: PayId, mut set: Set) {
        set.number = self.next_number;
        self.next_number += 1;
        set.next_broadcast = now.mono.saturating_add(self.rebroadcast_ms);
        for member in set.present() {
            self.index.insert(member.id, pay_id);
        }
        match &set.kind {
            Kind::Issues { assets } => {
                for asset in assets.clone() {
                    self.use_asset(&asset);
                }
            }
            Kind::Transfer { link } => {
                if let Some(member) = set.members.first() {
                    self.links.insert(*link, member.id);
                }
            }
        }
        if set.is_pending() {
            self.deadlines.insert((set.deadline, Timed::Set(pay_id)));
            self.pending_records += set.count();
        } else {
            self.verified_order.insert(set.number, pay_id);
            self.verified_records += set.count();
            self.verified_changed = true;
        }
        self.broadcasts.insert((set.next_broadcast, pay_id));
        for owner in &set.owners {
            *self.sets_of.entry(*owner).or_default() += 1;
        }
        let (records, bytes) = (set.count(), set.bytes());
        self.take_room(set.source, records, bytes);
        self.sets.insert(pay_id, set);
        self.persist_set(&pay_id);
    }

    fn take_room(&mut self, source: Source, records: usize, bytes: usize) {
        let of = self.room_of.entry(source).or_default();
        for room in [of, &mut self.room] {
            room.records += records;
            room.bytes += bytes;
        }
    }

    fn give_room(&mut self, source: Source, records: usize, bytes: usize) {
        if let Some(of) = self.room_of.get_mut(&source) {
            of.records = of.records.saturating_sub(records);
            of.bytes = of.bytes.saturating_sub(bytes);
            if *of == Room::default() {
                self.room_of.remove(&source);
            }
        }
        self.room.records = self.room.records.saturating_sub(records);
        self.room.bytes = self.room.bytes.saturating_sub(bytes);
    }

    /// Takes a whole set out.
    pub(super) fn remove(&mut self, pay_id: &PayId) -> Option<Set> {
        let set = self.sets.remove(pay_id)?;
        for member in set.present() {
            self.index.remove(&member.id);
        }
        match &set.kind {
            Kind::Issues { assets } => {
                for asset in assets {
                    self.release_asset(asset);
                }
            }
            Kind::Transfer { link } => {
                self.links.remove(link);
            }
        }
        if set.is_pending() {
            self.deadlines.remove(&(set.deadline, Timed::Set(*pay_id)));
            self.pending_records -= set.count();
        } else {
            self.verified_order.remove(&set.number);
            self.verified_records -= set.count();
            self.verified_changed = true;
        }
        self.broadcasts.remove(&(set.next_broadcast, *pay_id));
        for owner in &set.owners {
            if let Some(count) = self.sets_of.get_mut(owner) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.sets_of.remove(owner);
                }
            }
        }
        self.give_room(set.source, set.count(), set.bytes());
        self.forget_set(pay_id);
        Some(set)
    }

    /// Takes one member of a verified set out; the others stay. The last one takes the set along.
    pub(super) fn remove_member(&mut self, pay_id: &PayId, index: usize) {
        let Some(set) = self.sets.get_mut(pay_id) else {
            return;
        };
        let Some(member) = set.members.get_mut(index).filter(|member| member.present) else {
            return;
        };
        member.present = false;
        let (id, bytes, source) = (member.id, member.packed.len(), set.source);
        let is_last = set.count() == 0;
        self.index.remove(&id);
        self.verified_records -= 1;
        self.verified_changed = true;
        self.give_room(source, 1, bytes);
        if is_last {
            self.remove(pay_id);
        } else {
            self.persist_set(pay_id);
        }
    }

    /// A pending set is paid for.
    pub(super) fn set_verified(&mut self, pay_id: &PayId, by: Verified) {
        let Some(set) = self.sets.get_mut(pay_id).filter(|set| set.is_pending()) else {
            return;
        };
        set.state = State::Verified(by);
        let count = set.count();
        self.deadlines.remove(&(set.deadline, Timed::Set(*pay_id)));
        self.verified_order.insert(set.number, *pay_id);
        self.pending_records -= count;
        self.verified_records += count;
        self.verified_changed = true;
        self.persist_set(pay_id);
    }
}
