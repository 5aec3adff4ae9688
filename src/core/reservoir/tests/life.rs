//! From submission to verification, and the end by time.

use super::*;
use crate::core::mining::proof::NonceSearch;

#[test]
fn a_set_is_verified_by_a_proof_and_handed_out_with_its_asset() {
    let mut world = World::new();
    let pay_id = world.pending("a", 0..2);
    let ids = [TxId::of(&issue("a", 0)), TxId::of(&issue("a", 1))];
    assert_eq!(world.status(&ids[0]), Status::Pending);
    let target = crate::core::block::difficulty::issue_target(&LOCAL, 2);
    let mut search = NonceSearch::new(&pay_id, &world.ledger.ring().latest(), target);
    let nonce = search.run(100_000_000).expect("a proof");
    let mut proof = pay_id.0.to_vec();
    proof.extend_from_slice(nonce.as_bytes());
    assert!(world.peer(Command::Proof, proof.clone()).is_ok());
    assert_eq!(world.relayed(), vec![(Command::Proof, proof.clone())]);
    assert!(world.out.contains(&Effect::VerifiedChanged));
    assert_eq!(world.status(&ids[1]), Status::Verified);
    let candidates = world.verified(10);
    assert_eq!(candidates.iter().map(|one| one.id).collect::<Vec<_>>(), ids);
    assert_eq!(
        world.peer(Command::Proof, proof),
        Err(Refusal::PayIdAlreadyUsed)
    );
}

#[test]
fn what_is_acknowledged_is_in_the_batch_before_the_answer() {
    let mut world = World::new();
    for (command, data) in [
        (Command::Assets, packed_asset("a")),
        (Command::Issues, issue("a", 1)),
    ] {
        world.peer(command, data.clone()).unwrap();
        assert!(matches!(world.out[0], Effect::Persist(_)));
        assert!(matches!(world.out[1], Effect::Reply { .. }));
        assert_eq!(world.out[2], Effect::Relay { command, data });
    }
}

#[test]
fn assets_before_a_bad_one_stay_and_nothing_is_passed_on() {
    let mut world = World::new();
    let data = [packed_asset("a"), issue("a", 1)].concat();
    assert_eq!(world.peer(Command::Assets, data), Err(Refusal::NotAnAsset));
    assert!(world.pools.has_cached_asset(&AssetId::of(b"a")));
    assert!(matches!(world.out[0], Effect::Persist(_)));
    assert!(world.relayed().is_empty());
}

#[test]
fn nothing_is_taken_from_peers_before_the_node_is_normal() {
    let mut world = World::new();
    world.input(Input::Mode { normal: false });
    assert_eq!(
        world.peer(Command::Assets, packed_asset("a")),
        Err(Refusal::Synchronising)
    );
}

#[test]
fn a_set_goes_as_one_with_its_link_and_index_after_72_hours() {
    let mut world = World::new();
    let link = world.confirmed_issue(3, 1);
    world.peer(Command::Transfer, transfer(link, 3, 4)).unwrap();
    world.pass(71 * HOUR_S);
    assert_eq!(world.pools.sizes().pending_transfer, 1);
    world.pass(HOUR_S + 600);
    assert_eq!(world.pools.sizes(), Sizes::default());
    assert!(world.peer(Command::Transfer, transfer(link, 3, 5)).is_ok());
}

#[test]
fn a_link_stays_reserved_while_its_transfer_is_verified() {
    let mut world = World::new();
    let link = world.confirmed_issue(3, 1);
    let first = transfer(link, 3, 4);
    world.peer(Command::Transfer, first.clone()).unwrap();
    world.pay(PayId::of([first.as_slice()]));
    world.pass(100 * HOUR_S);
    assert_eq!(world.status(&TxId::of(&first)), Status::Verified);
    for again in [first, transfer(link, 3, 5)] {
        assert_eq!(
            world.peer(Command::Transfer, again),
            Err(Refusal::DoubleTransfer)
        );
    }
}

#[test]
fn a_transfer_that_was_paid_before_it_came_reserves_its_link() {
    let mut world = World::new();
    let link = world.confirmed_issue(3, 1);
    let first = transfer(link, 3, 4);
    world.pay(PayId::of([first.as_slice()]));
    world.peer(Command::Transfer, first.clone()).unwrap();
    assert_eq!(world.status(&TxId::of(&first)), Status::Verified);
    assert_eq!(world.pools.sizes().orphan_payment, 0);
    assert_eq!(
        world.peer(Command::Transfer, transfer(link, 3, 5)),
        Err(Refusal::DoubleTransfer)
    );
}

#[test]
fn a_lone_asset_lives_146_hours_and_a_repeat_makes_that_longer() {
    let mut world = World::new();
    let id = AssetId::of(b"a");
    world.peer(Command::Assets, packed_asset("a")).unwrap();
    world.pass(36 * HOUR_S);
    assert_eq!(
        world.peer(Command::Assets, packed_asset("a")),
        Err(Refusal::NothingNew)
    );
    world.pass(145 * HOUR_S);
    assert!(world.pools.has_cached_asset(&id));
    world.pass(HOUR_S + 600);
    assert!(!world.pools.has_cached_asset(&id));
}

#[test]
fn an_asset_never_expires_while_a_set_uses_it() {
    let mut world = World::new();
    let pay_id = world.pending("a", 0..1);
    world.pay(pay_id);
    world.pass(400 * HOUR_S);
    assert!(world.pools.has_cached_asset(&AssetId::of(b"a")));
    assert_eq!(world.verified(1).len(), 1);
}

#[test]
fn an_asset_past_its_time_goes_with_the_last_set_that_uses_it() {
    let mut world = World::new();
    world.peer(Command::Assets, packed_asset("a")).unwrap();
    world.pass(100 * HOUR_S);
    world.peer(Command::Issues, issue("a", 1)).unwrap();
    world.pass(71 * HOUR_S);
    assert!(world.pools.has_cached_asset(&AssetId::of(b"a")));
    world.pass(HOUR_S + 600);
    assert_eq!(world.pools.sizes(), Sizes::default());
}

#[test]
fn a_clock_set_back_lengthens_no_life() {
    let mut world = World::new();
    world.pending("a", 0..1);
    world.now.wall -= 50 * HOUR_S;
    world.pass(73 * HOUR_S);
    assert_eq!(world.pools.sizes().unverified_tx_entries, 0);
}

#[test]
fn a_jump_of_the_clock_pauses_expiry_for_one_sweep() {
    let mut world = World::new();
    world.pending("a", 0..1);
    world.now = world.now.plus_ms(expiry::SWEEP_MS);
    world.now.wall += 100 * HOUR_S;
    world.wake();
    assert!(world.out.iter().any(|one| matches!(one, Effect::Log(_))));
    assert_eq!(world.pools.sizes().unverified_tx_entries, 1);
    world.now = world.now.plus_ms(expiry::SWEEP_MS);
    world.wake();
    assert_eq!(world.pools.sizes().unverified_tx_entries, 0);
}

#[test]
fn a_jump_of_the_clock_that_is_put_right_before_the_next_sweep_costs_nothing() {
    let mut world = World::new();
    world.pending("a", 0..1);
    world.now = world.now.plus_ms(10_000);
    world.now.wall += 100 * HOUR_S;
    world.wake();
    world.peer(Command::Assets, packed_asset("b")).unwrap();
    world.now = world.now.plus_ms(10_000);
    world.now.wall -= 100 * HOUR_S;
    for _ in 0..3 {
        world.now = world.now.plus_ms(expiry::SWEEP_MS);
        world.wake();
    }
    assert_eq!(world.pools.sizes().unverified_tx_entries, 1);
    let asset = &world.pools.pools.assets[&AssetId::of(b"b")];
    assert!(asset.deadline <= world.now.wall + ASSET_LIFE_S);
}

#[test]
fn what_came_before_a_jump_of_the_clock_is_followed_lives_as_long_as_anything() {
    let mut world = World::new();
    world.pending("old", 0..1);
    world.now = world.now.plus_ms(10_000);
    world.now.wall += 100 * HOUR_S;
    world.wake();
    world.now = world.now.plus_ms(10_000);
    world.pending("a", 1..2);
    world.pay(PayId([5; 48]));
    for _ in 0..3 {
        world.now = world.now.plus_ms(expiry::SWEEP_MS);
        world.wake();
    }
    assert_eq!(world.pools.sizes().unverified_tx_entries, 1);
    assert_eq!(world.pools.sizes().orphan_payment, 1);
    world.pass(73 * HOUR_S);
    assert_eq!(world.pools.sizes().unverified_tx_entries, 0);
    assert_eq!(world.pools.sizes().orphan_payment, 0);
}

#[test]
fn payments_of_one_coin_are_added_up_and_used_ones_are_gone() {
    let mut world = World::new();
    let link = world.confirmed_issue(3, 1);
    let record = transfer(link, 3, 4);
    world.peer(Command::Transfer, record.clone()).unwrap();
    let mut part = payment(PayId::of([record.as_slice()]));
    part.amounts = [(miner(), 10_000)].into();
    world.input(Input::Payment(part.clone()));
    // The same transaction of the coin is not counted twice.
    world.input(Input::Payment(part.clone()));
    assert_eq!(world.status(&TxId::of(&record)), Status::Pending);
    assert_eq!(world.pools.sizes().orphan_payment, 1);
    part.currency_tx_id = vec![2];
    world.input(Input::Payment(part));
    assert_eq!(world.status(&TxId::of(&record)), Status::Verified);
    assert_eq!(world.pools.sizes().orphan_payment, 0);
}

#[test]
fn a_payment_with_any_number_of_other_outputs_verifies() {
    for is_early in [false, true] {
        let mut world = World::new();
        let link = world.confirmed_issue(3, 1);
        let record = transfer(link, 3, 4);
        let pay_id = PayId::of([record.as_slice()]);
        let mut one = payment(pay_id);
        for number in 0..200_u8 {
            one.amounts.insert(vec![b'A', number], 5);
        }
        if is_early {
            world.input(Input::Payment(one));
            let waiting = &world.pools.pools.orphans[&pay_id].payments;
            let kept: usize = waiting.values().map(Amounts::len).sum();
            assert_eq!(kept, payments::ADDRESSES_MAX);
            world.peer(Command::Transfer, record.clone()).unwrap();
        } else {
            world.peer(Command::Transfer, record.clone()).unwrap();
            world.input(Input::Payment(one));
        }
        assert_eq!(world.status(&TxId::of(&record)), Status::Verified);
    }
}

#[test]
fn a_payment_of_nothing_verifies_nothing() {
    let mut world = World::new();
    let pay_id = world.pending("a", 0..1);
    let mut nothing = payment(pay_id);
    nothing.amounts = [(miner(), 0)].into();
    world.input(Input::Payment(nothing));
    assert_eq!(world.pools.sizes().unverified_tx_entries, 1);
    assert_eq!(world.pools.sizes().orphan_payment, 0);
}

#[test]
fn a_block_without_addresses_is_an_error() {
    let mut world = World::new();
    let link = world.confirmed_issue(3, 1);
    let mut batch = Batch::new();
    batch.delete(Pool::BlockOwnerPayment, 5_u64.to_be_bytes());
    world.store.apply(&batch);
    assert_eq!(
        world.peer(Command::Transfer, transfer(link, 3, 4)),
        Err(Refusal::MissingBlockOwner)
    );
}

#[test]
fn assets_of_a_client_are_broadcast_even_if_its_issues_are_refused() {
    let mut world = World::new();
    let result = world.client(Request::Create {
        assets: vec![Some(asset("a"))],
        issues: vec![Some(issue_of(2, "unknown", 1))],
    });
    assert_eq!(result, Err(Refusal::AssetNotFound));
    assert_eq!(world.relayed(), vec![(Command::Assets, packed_asset("a"))]);
}

#[test]
fn a_wrong_proof_of_a_client_is_not_broadcast() {
    let mut world = World::new();
    let pay_id = world.pending("a", 0..1);
    let nonce = vec![0; 8];
    let result = world.client(Request::Proof { pay_id, nonce });
    assert_eq!(result, Ok(Answer::Proof(ProofStatus::Invalid)));
    assert!(world.relayed().is_empty());
}

#[test]
fn absent_records_and_other_networks_are_refused() {
    let mut world = World::new();
    let create = |assets| Request::Create {
        assets,
        issues: Vec::new(),
    };
    assert_eq!(world.client(create(vec![None])), Err(Refusal::InvalidItem));
    let mut live = asset("a");
    live.registrant.testing = false;
    for _ in 0..2 {
        assert_eq!(
            world.client(create(vec![Some(live.clone())])),
            Err(Refusal::WrongNetwork)
        );
    }
    assert_eq!(
        world.client(Request::Transfer(Box::new(None))),
        Err(Refusal::InvalidItem)
    );
}

#[test]
fn every_set_is_sent_again_once_in_every_interval() {
    let mut world = World::new();
    let pay_id = world.pending("a", 0..1);
    world.pay(pay_id);
    let link = world.confirmed_issue(3, 1);
    world.now = world.now.plus_ms(60_000);
    world.peer(Command::Transfer, transfer(link, 3, 4)).unwrap();
    world.now = world.now.plus_ms(relay::INTERVAL_MS - 60_000);
    assert!(world.pools.next_wakeup().unwrap() <= world.now.mono);
    world.wake();
    // Verified by a payment: no proof that nobody could use.
    assert_eq!(
        world.relayed(),
        vec![
            (Command::Assets, packed_asset("a")),
            (Command::Issues, issue("a", 0))
        ]
    );
    world.wake();
    assert!(world.relayed().is_empty());
    world.now = world.now.plus_ms(60_000);
    world.wake();
    assert_eq!(world.relayed().len(), 1);
    world.now = world.now.plus_ms(relay::INTERVAL_MS);
    world.wake();
    assert_eq!(world.relayed().len(), 3);
}

#[test]
fn what_is_due_at_once_goes_out_in_small_parts() {
    let mut relay = relay::Relay::new(relay::INTERVAL_MS);
    for number in 0..120 {
        relay.sent(PayId([number; 48]), 0);
    }
    let due = relay::INTERVAL_MS;
    assert_eq!(relay.due(due).len(), relay::BURST_MAX);
    assert!(relay.due(due).is_empty());
    assert_eq!(relay.next(), Some(due + relay::PAUSE_MS));
    assert_eq!(relay.due(due + relay::PAUSE_MS).len(), relay::BURST_MAX);
    let all = 200_000 / relay::BURST_MAX as u64 * relay::PAUSE_MS;
    assert!(all < relay::INTERVAL_MS / 2);
}

#[test]
fn a_transfer_that_follows_an_escrow_of_no_coin_is_refused() {
    let mut world = World::new();
    let link = world.confirmed_issue(3, 1);
    let mut record = Record::BitmarkTransferUnratified(BitmarkTransferUnratified {
        link,
        escrow: Some(Payment {
            currency: Currency::Nothing,
            address: b"A".to_vec(),
            amount: 7,
        }),
        owner: key(4).account().unwrap(),
        signature: Vec::new(),
    });
    let first = sign(&mut record, &key(3)).unwrap();
    let id = world.confirm(&first, 7);
    world.disown(3, &link);
    world.own(4, id, 7);
    let answer = world.peer(Command::Transfer, transfer(id, 4, 5));
    assert_eq!(answer.unwrap_err().to_string(), "invalid currency");
    assert_eq!(world.pools.sizes(), Sizes::default());
}

#[test]
fn only_the_very_bytes_that_are_here_count_as_checked() {
    let mut world = World::new();
    world.pending("a", 0..2);
    let holds = |packed: &[u8]| {
        let (record, _) = Record::unpack(packed, true).unwrap();
        world.pools.holds(&TxId::of(packed), &record, packed)
    };
    for here in [packed_asset("a"), issue("a", 0), issue("a", 1)] {
        assert!(holds(&here));
        // The same record under another signature.
        let mut forged = here.clone();
        *forged.last_mut().unwrap() ^= 1;
        assert!(!holds(&forged));
    }
    assert!(!holds(&packed_asset("b")));
    assert!(!holds(&issue("a", 2)));
}
