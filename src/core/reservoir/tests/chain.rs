//! Blocks that go in and come off.

use super::*;
use crate::core::mining::assembly::AssetNeed;

fn issue_id(asset: &str, nonce: u64) -> TxId {
    TxId::of(&issue(asset, nonce))
}

#[test]
fn a_confirmed_member_of_a_pending_set_takes_the_set_with_it() {
    let mut world = World::new();
    world.pending("a", 0..3);
    let id = world.confirm(&issue("a", 1), 7);
    world.stored(7, vec![ledger::Confirmed::Issue(id)]);
    assert_eq!(world.status(&issue_id("a", 0)), Status::Unknown);
    assert_eq!(world.status(&id), Status::Confirmed);
}

#[test]
fn a_confirmed_member_of_a_verified_set_leaves_alone_and_the_rest_is_sent_and_saved() {
    let mut world = World::new();
    let pay_id = world.pending("a", 0..3);
    world.pay(pay_id);
    let id = world.confirm(&issue("a", 0), 7);
    world.stored(7, vec![ledger::Confirmed::Issue(id)]);
    assert_eq!(world.pools.sizes().verified_tx, 2);
    let (loaded, _) = world.loaded();
    assert_eq!(loaded.pools.sets, world.pools.pools.sets);
    world.now = world.now.plus_ms(relay::INTERVAL_MS);
    world.wake();
    assert_eq!(world.relayed()[1].0, Command::Issues);
}

#[test]
fn a_confirmed_transfer_removes_its_rival() {
    let mut world = World::new();
    let link = world.confirmed_issue(3, 1);
    let rival = transfer(link, 3, 4);
    world.peer(Command::Transfer, rival.clone()).unwrap();
    let id = world.confirm(&transfer(link, 3, 5), 7);
    world.stored(7, vec![ledger::Confirmed::Transfer { id, link }]);
    assert_eq!(world.status(&TxId::of(&rival)), Status::Unknown);
    assert_eq!(world.pools.sizes(), Sizes::default());
}

#[test]
fn records_of_a_block_taken_off_return_with_their_proof_or_payment() {
    let mut world = World::new();
    let pay_id = world.pending("a", 0..2);
    world.pay(pay_id);
    let before = world.pools.pools.sets.clone();
    let (one, two) = (issue("a", 0), issue("a", 1));
    let ids = [world.confirm(&one, 7), world.confirm(&two, 7)];
    world.stored(
        7,
        vec![
            ledger::Confirmed::Asset(AssetId::of(b"a")),
            ledger::Confirmed::Issue(ids[0]),
            ledger::Confirmed::Issue(ids[1]),
        ],
    );
    assert_eq!(world.pools.sizes(), Sizes::default());
    world.unconfirm(&ids[0]);
    world.unconfirm(&ids[1]);
    world.taken_off(&[packed_asset("a"), one, two]);
    assert_eq!(world.pools.pools.sets, before);
    assert_eq!(world.verified(9).len(), 2);
    assert!(world.pools.pools.settled.is_empty());
}

#[test]
fn members_of_one_set_in_two_blocks_return_one_after_the_other() {
    let mut world = World::new();
    let pay_id = world.pending("a", 0..2);
    world.pay(pay_id);
    let (one, two) = (issue("a", 0), issue("a", 1));
    let ids = [world.confirm(&one, 7), world.confirm(&two, 8)];
    world.stored(7, vec![ledger::Confirmed::Issue(ids[0])]);
    world.stored(8, vec![ledger::Confirmed::Issue(ids[1])]);
    world.unconfirm(&ids[1]);
    world.taken_off(&[two]);
    assert_eq!(world.pools.sizes().verified_tx, 1);
    world.unconfirm(&ids[0]);
    world.taken_off(&[one]);
    assert_eq!(world.pools.sizes().verified_tx, 2);
}

#[test]
fn a_returned_record_whose_proof_was_never_seen_waits_for_one() {
    let mut world = World::new();
    let link = world.confirmed_issue(3, 1);
    let record = transfer(link, 3, 4);
    world.taken_off(&[packed_asset("a"), issue("a", 0), record.clone()]);
    assert_eq!(world.status(&issue_id("a", 0)), Status::Pending);
    world.pay(PayId::of([record.as_slice()]));
    assert_eq!(world.status(&TxId::of(&record)), Status::Verified);
}

#[test]
fn a_returned_transfer_of_a_returned_transfer_waits_until_that_is_confirmed() {
    let mut world = World::new();
    let link = world.confirmed_issue(3, 1);
    let first = transfer(link, 3, 4);
    let first_id = TxId::of(&first);
    let second = transfer(first_id, 4, 5);
    world.taken_off(&[first.clone(), second.clone()]);
    // Nothing is due while the link is in no block, so nothing verifies it.
    world.pay(PayId::of([second.as_slice()]));
    assert_eq!(world.status(&TxId::of(&second)), Status::Pending);
    world.pay(PayId::of([first.as_slice()]));
    let handed: Vec<_> = world.verified(9).iter().map(|one| one.id).collect();
    assert_eq!(handed, vec![first_id]);
    assert_eq!(world.loaded().0.pools.sets, world.pools.pools.sets);
}

#[test]
fn what_verified_a_set_is_forgotten_when_its_block_is_final() {
    let mut world = World::new();
    let pay_id = world.pending("a", 0..1);
    world.pay(pay_id);
    let id = world.confirm(&issue("a", 0), 7);
    world.stored(7, vec![ledger::Confirmed::Issue(id)]);
    let depth = LOCAL.rules.fork_protection;
    world.stored(7 + depth, Vec::new());
    assert_eq!(world.pools.pools.settled.len(), 1);
    world.stored(8 + depth, Vec::new());
    assert!(world.pools.pools.settled.is_empty());
}

#[test]
fn what_can_never_stand_in_a_block_is_dropped() {
    let mut world = World::new();
    let link = world.confirmed_issue(3, 1);
    let record = transfer(link, 3, 4);
    world.peer(Command::Transfer, record.clone()).unwrap();
    world.pay(PayId::of([record.as_slice()]));
    let pay_id = world.pending("a", 0..1);
    world.pay(pay_id);
    let owner = key(3).account().unwrap();
    let mut batch = Batch::new();
    batch.delete(Pool::OwnerDigest, keys::owner_digest(&owner, &link));
    world.store.apply(&batch);
    world.pools.pools.take_asset(&AssetId::of(b"a"));
    assert!(world.verified(9).is_empty());
    assert_eq!(world.pools.sizes(), Sizes::default());
}

#[test]
fn nothing_is_handed_out_while_held_and_assets_come_along() {
    let mut world = World::new();
    let pay_id = world.pending("a", 0..2);
    world.pay(pay_id);
    world.pools.hold(true);
    assert!(world.verified(9).is_empty());
    world.pools.hold(false);
    let candidates = world.verified(1);
    assert_eq!(candidates.len(), 1);
    assert!(matches!(candidates[0].asset, AssetNeed::Cached { .. }));
}

#[test]
fn records_that_come_back_unproved_are_refused_beyond_the_caps() {
    let mut world = World::with(Caps {
        pending_records: 3,
        assets: 2,
        ..Caps::default()
    });
    let mut records = vec![packed_asset("a"), packed_asset("b"), packed_asset("c")];
    records.extend((0..50).map(|nonce| issue("a", nonce)));
    records.push(issue("c", 0));
    world.taken_off(&records);
    assert_eq!(world.pools.usage().records, 3);
    assert!(world.pools.usage().assets <= 2);
    assert!(world.pools.refused_full() >= 47);
    for set in world.pools.pools.sets.values() {
        assert!(
            set.assets()
                .all(|asset| world.pools.has_cached_asset(&asset))
        );
    }
}

#[test]
fn records_that_this_node_verified_come_back_beyond_the_caps() {
    let mut world = World::with(Caps {
        pending_records: 3,
        assets: 1,
        peer_share_percent: 100,
        ..Caps::default()
    });
    let pay_id = world.pending("a", 0..3);
    world.pay(pay_id);
    let records: Vec<_> = (0..3).map(|nonce| issue("a", nonce)).collect();
    let mut confirmed = vec![ledger::Confirmed::Asset(AssetId::of(b"a"))];
    for record in &records {
        let id = world.confirm(record, 7);
        confirmed.push(ledger::Confirmed::Issue(id));
    }
    world.stored(7, confirmed);
    world.pending("b", 0..3);
    for record in &records {
        world.unconfirm(&TxId::of(record));
    }
    world.taken_off(&[vec![packed_asset("a")], records].concat());
    assert_eq!(world.pools.set_status(&pay_id), Status::Verified);
    assert_eq!(world.verified(9).len(), 3);
    assert_eq!(world.pools.usage().records, 6);
    let late = world.peer(Command::Issues, issue("a", 9));
    assert_eq!(late, Err(Refusal::Full));
}

#[test]
fn a_returned_transfer_has_its_list_when_its_link_is_confirmed_again() {
    for is_paid_early in [false, true] {
        let mut world = World::new();
        let (link, first) = world.confirmed_transfer();
        let first_id = TxId::of(&first);
        let second = transfer(first_id, 4, 5);
        let pay_id = PayId::of([second.as_slice()]);
        world.unconfirm_transfer(link, &first);
        world.taken_off(&[first.clone(), second.clone()]);
        assert_eq!(world.pools.due(&pay_id), Some(&Due(Vec::new())));
        if is_paid_early {
            world.pay(pay_id);
        }
        world.confirmed_transfer();
        world.stored(8, vec![ledger::Confirmed::Transfer { id: first_id, link }]);
        assert_eq!(world.pools.due(&pay_id).unwrap().0.len(), 2);
        let status = [Status::Pending, Status::Verified][usize::from(is_paid_early)];
        assert_eq!(world.status(&TxId::of(&second)), status);
        assert_eq!(world.loaded().0.pools.sets, world.pools.pools.sets);
    }
}

/// A verified transfer of a transfer of block 7: the issue, that transfer, and it, packed.
fn verified_follower(world: &mut World) -> (TxId, Vec<u8>, TxId) {
    let (link, first) = world.confirmed_transfer();
    let second = transfer(TxId::of(&first), 4, 5);
    world.peer(Command::Transfer, second.clone()).unwrap();
    world.pay(PayId::of([second.as_slice()]));
    world.unconfirm_transfer(link, &first);
    (link, first, TxId::of(&second))
}

#[test]
fn a_verified_transfer_goes_when_a_rival_of_its_link_is_confirmed() {
    let mut world = World::new();
    let (link, first, second) = verified_follower(&mut world);
    let id = world.confirm(&transfer(link, 3, 6), 7);
    world.disown(3, &link);
    world.own(6, id, 7);
    world.taken_off(std::slice::from_ref(&first));
    assert_eq!(world.status(&second), Status::Verified);
    world.stored(7, vec![ledger::Confirmed::Transfer { id, link }]);
    assert_eq!(world.status(&TxId::of(&first)), Status::Unknown);
    assert_eq!(world.status(&second), Status::Unknown);
    assert_eq!(world.pools.sizes(), Sizes::default());
}

#[test]
fn a_verified_transfer_goes_when_its_link_lapses() {
    let mut world = World::new();
    let (_, first, second) = verified_follower(&mut world);
    world.taken_off(&[first]);
    world.pass(71 * HOUR_S);
    assert_eq!(world.status(&second), Status::Verified);
    world.pass(HOUR_S + 600);
    assert_eq!(world.pools.sizes(), Sizes::default());
}

#[test]
fn what_a_verified_transfer_follows_comes_back_beyond_the_caps() {
    let mut world = World::with(Caps {
        pending_records: 1,
        peer_share_percent: 100,
        ..Caps::default()
    });
    let (_, first, second) = verified_follower(&mut world);
    world.taken_off(&[first.clone(), packed_asset("a"), issue("a", 0)]);
    assert_eq!(world.status(&TxId::of(&first)), Status::Pending);
    assert_eq!(world.status(&second), Status::Verified);
    assert_eq!(world.pools.usage().records, 2);
}

#[test]
fn transfers_of_records_of_the_same_block_stay() {
    let mut world = World::new();
    let (link, first, second) = verified_follower(&mut world);
    world.taken_off(std::slice::from_ref(&first));
    let (_, again) = world.confirmed_transfer();
    assert_eq!(first, again);
    let id = TxId::of(&first);
    world.stored(7, vec![ledger::Confirmed::Transfer { id, link }]);
    assert_eq!(world.status(&second), Status::Verified);
}

#[test]
fn a_transfer_that_a_block_has_in_another_form_keeps_its_payment() {
    let mut world = World::new();
    let link = world.confirmed_issue(3, 1);
    let record = transfer(link, 3, 4);
    world.peer(Command::Transfer, record.clone()).unwrap();
    world.pay(PayId::of([record.as_slice()]));
    // The tag in two bytes.
    let other = [&[0x84, 0x00], &record[1..]].concat();
    for _ in 0..2 {
        let id = world.confirm(&other, 7);
        world.stored(7, vec![ledger::Confirmed::Transfer { id, link }]);
        assert_eq!(world.pools.sizes(), Sizes::default());
        world.unconfirm(&id);
        world.taken_off(std::slice::from_ref(&other));
        assert_eq!(world.status(&TxId::of(&record)), Status::Verified);
        assert_eq!(world.status(&id), Status::Unknown);
    }
}
