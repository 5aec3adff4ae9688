//! The pools on the disk.

use super::*;

#[test]
fn every_pool_is_read_back_as_it_was() {
    let mut world = World::new();
    let pay_id = world.pending("a", 0..2);
    world.pay(pay_id);
    world.pending("b", 0..2);
    let link = world.confirmed_issue(3, 1);
    world.peer(Command::Transfer, transfer(link, 3, 4)).unwrap();
    world.pay(PayId([5; 48]));
    let done = world.pending("c", 0..1);
    world.pay(done);
    let id = world.confirm(&issue("c", 0), 7);
    world.stored(7, vec![ledger::Confirmed::Issue(id)]);
    let (loaded, out) = world.loaded();
    assert_eq!(out, Vec::new());
    assert_eq!(loaded.pools, cleared(&world.pools.pools));
    assert!(loaded.relay.next().is_some());
}

#[test]
fn a_clock_that_is_set_back_while_no_node_runs_lengthens_no_life() {
    let mut world = World::new();
    world.pending("a", 0..1);
    world.pass(71 * HOUR_S);
    world.now.wall -= 71 * HOUR_S;
    let (pools, _) = world.loaded();
    world.pools = pools;
    assert_eq!(world.pools.sizes().unverified_tx_entries, 1);
    world.pass(2 * HOUR_S);
    assert_eq!(world.pools.sizes().unverified_tx_entries, 0);
}

fn cleared(pools: &pools::Pools) -> pools::Pools {
    pools::Pools {
        verified_changed: false,
        ..pools.clone()
    }
}

#[test]
fn what_the_chain_has_made_void_meanwhile_is_dropped() {
    let mut world = World::new();
    world.pending("a", 0..2);
    let link = world.confirmed_issue(3, 1);
    world.peer(Command::Transfer, transfer(link, 3, 4)).unwrap();
    world.confirm(&issue("a", 0), 7);
    world.unconfirm(&link);
    let (loaded, out) = world.loaded();
    assert_eq!(loaded.sizes().unverified_tx_entries, 0);
    assert_eq!(loaded.sizes().assets, 1);
    world.perform_load(out);
    let (again, out) = world.loaded();
    assert_eq!(again.pools, loaded.pools);
    assert_eq!(out, Vec::new());
}

impl World {
    fn perform_load(&mut self, out: Vec<Effect>) {
        for effect in out {
            if let Effect::Persist(batch) = effect {
                self.store.apply(&batch);
            }
        }
    }
}

#[test]
fn damaged_entries_are_dropped_and_the_rest_is_read() {
    let mut world = World::new();
    world.pending("a", 0..1);
    world.pending("b", 0..1);
    let entries: Vec<_> = world
        .store
        .iter()
        .filter(|(pool, key, _)| *pool == Pool::Reservoir && key[0] == b'U')
        .map(|(_, key, value)| (key.to_vec(), value.to_vec()))
        .collect();
    for damage in 0..entries[0].1.len() {
        let mut value = entries[0].1.clone();
        value[damage] ^= 0x41;
        let mut batch = Batch::new();
        batch.put(Pool::Reservoir, entries[0].0.clone(), value);
        world.store.apply(&batch);
        let (loaded, _) = world.loaded();
        assert!((1..=2).contains(&loaded.sizes().unverified_tx_entries));
    }
    let mut batch = Batch::new();
    batch.put(Pool::Reservoir, entries[0].0.clone(), vec![2, 0]);
    batch.put(Pool::Reservoir, vec![b'O', 1], Vec::new());
    world.store.apply(&batch);
    let (loaded, out) = world.loaded();
    assert_eq!(loaded.sizes().unverified_tx_entries, 1);
    let Some(Effect::Persist(batch)) = out.last() else {
        panic!("the damaged entries are removed");
    };
    assert_eq!(batch.len(), 2);
}

#[test]
fn a_clock_that_was_wrong_before_the_start_lengthens_no_life() {
    let mut world = World::new();
    world.now.wall += 1_000 * HOUR_S;
    world.pending("a", 0..1);
    world.now.wall -= 1_000 * HOUR_S;
    let (loaded, _) = world.loaded();
    let deadline = loaded.pools.sets.values().next().unwrap().deadline;
    assert_eq!(deadline, world.now.wall + LIFE_S);
}

#[test]
fn what_is_loaded_is_sent_again_spread_over_the_interval() {
    let mut relay = relay::Relay::new(relay::INTERVAL_MS);
    for number in 0..=255 {
        relay.loaded(PayId([number; 48]), 0);
    }
    let mut sent = 0;
    for tenth in 1..=10 {
        let due = relay.due(tenth * relay::INTERVAL_MS / 10).len();
        assert!((20..=32).contains(&due), "{due}");
        sent += due;
    }
    assert_eq!(sent, 256);
}

#[test]
fn values_carry_a_version_and_keys_a_letter() {
    let mut world = World::new();
    world.pending("a", 0..1);
    let entries: Vec<_> = world
        .store
        .iter()
        .filter(|(pool, ..)| *pool == Pool::Reservoir)
        .map(|(_, key, value)| (key[0], key.len(), value[0]))
        .collect();
    assert_eq!(entries, vec![(b'A', 65, 1), (b'T', 1, 1), (b'U', 49, 1)]);
}

impl World {
    /// A block with asset `a` and an issue of it goes in, and comes off while no node runs.
    fn comes_and_goes(&mut self, issue: Vec<u8>) -> TxId {
        self.asset_in_block("a", true);
        let id = self.confirm(&issue, 7);
        let asset = ledger::Confirmed::Asset(AssetId::of(b"a"));
        self.stored(7, vec![asset, ledger::Confirmed::Issue(id)]);
        let before = self.store.clone();
        self.asset_in_block("a", false);
        self.unconfirm(&id);
        self.taken_off_while_stopped(&before, &[packed_asset("a"), issue]);
        id
    }
}

#[test]
fn a_set_whose_asset_comes_off_while_no_node_runs_stays() {
    let mut world = World::new();
    let pay_id = world.pending("a", 0..2);
    world.pay(pay_id);
    let other = Record::BitmarkIssue(issue_of(5, "a", 9)).pack_unchecked();
    let id = world.comes_and_goes(other);
    assert_eq!(world.pools.set_status(&pay_id), Status::Verified);
    assert_eq!(world.status(&id), Status::Pending);
}

#[test]
fn a_transfer_whose_link_comes_off_while_no_node_runs_stays() {
    let mut world = World::new();
    let (link, first) = world.confirmed_transfer();
    let second = transfer(TxId::of(&first), 4, 5);
    world.peer(Command::Transfer, second.clone()).unwrap();
    world.pay(PayId::of([second.as_slice()]));
    let before = world.store.clone();
    world.unconfirm_transfer(link, &first);
    world.taken_off_while_stopped(&before, std::slice::from_ref(&first));
    assert_eq!(world.status(&TxId::of(&first)), Status::Pending);
    assert_eq!(world.status(&TxId::of(&second)), Status::Verified);
}

#[test]
fn a_set_of_which_a_part_comes_off_while_no_node_runs_is_whole_again() {
    let mut world = World::new();
    let pay_id = world.pending("a", 0..2);
    world.pay(pay_id);
    let one = issue("a", 0);
    let id = world.comes_and_goes(one);
    assert_eq!(world.status(&id), Status::Verified);
    assert_eq!(world.status(&TxId::of(&issue("a", 1))), Status::Verified);
}
