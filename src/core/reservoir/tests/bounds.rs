//! What happens at each bound.

use super::*;
use crate::core::reservoir::file::{CacheFile, TOLD_MAX};

fn caps(change: impl FnOnce(&mut Caps)) -> World {
    let mut caps = Caps {
        peer_share_percent: 100,
        ..Caps::default()
    };
    change(&mut caps);
    World::with(caps)
}

#[test]
fn the_defaults_are_those_that_are_documented() {
    let caps = Caps::default();
    assert_eq!(caps.pending_records, 200_000);
    assert_eq!(caps.pending_bytes, 256 * 1024 * 1024);
    assert_eq!(caps.peer_share_percent, 25);
    assert_eq!(caps.sets_per_owner, 1_000);
    assert_eq!(caps.assets, 50_000);
    assert_eq!(caps.orphan_payments, 10_000);
}

#[test]
fn a_newcomer_beyond_the_records_is_refused_and_counted() {
    let mut world = caps(|caps| caps.pending_records = 3);
    world.pending("a", 0..3);
    let result = world.peer(Command::Issues, issue("a", 9));
    assert_eq!(result, Err(Refusal::Full));
    assert_eq!(world.pools.refused_full(), 1);
    assert!(world.out.contains(&Effect::Full { source: Some(1) }));
    assert_eq!(world.pools.sizes().unverified_tx_index, 3);
    // What is known is still known.
    let known: Vec<u8> = (0..3).flat_map(|nonce| issue("a", nonce)).collect();
    let result = world.peer(Command::Issues, known);
    assert_eq!(result, Err(Refusal::AlreadyExists));
}

#[test]
fn one_peer_fills_a_quarter_and_leaves_the_rest_to_others() {
    let mut world = World::with(Caps {
        pending_records: 40,
        ..Caps::default()
    });
    world.pending("a", 0..10);
    let next = issue("a", 10);
    assert_eq!(
        world.from(1, Command::Issues, next.clone()),
        Err(Refusal::Full)
    );
    assert!(world.from(2, Command::Issues, next).is_ok());
    let own = Request::Create {
        assets: Vec::new(),
        issues: (20..49)
            .map(|nonce| Some(issue_of(2, "a", nonce)))
            .collect(),
    };
    assert!(
        world.client(own).is_ok(),
        "clients of the node have no share"
    );
}

#[test]
fn one_owner_has_so_many_sets() {
    let mut world = caps(|caps| caps.sets_per_owner = 2);
    world.pending("a", 0..1);
    world.pending("a", 1..2);
    assert_eq!(
        world.peer(Command::Issues, issue("a", 2)),
        Err(Refusal::OwnerFull)
    );
    let other = Record::BitmarkIssue(issue_of(5, "a", 2)).pack_unchecked();
    assert!(world.peer(Command::Issues, other).is_ok());
}

#[test]
fn the_oldest_asset_that_no_set_uses_makes_room_and_no_other() {
    let mut world = caps(|caps| caps.assets = 3);
    world.pending("used", 0..1);
    world.now = world.now.plus_ms(5_000);
    world.peer(Command::Assets, packed_asset("old")).unwrap();
    world.now = world.now.plus_ms(5_000);
    world.peer(Command::Assets, packed_asset("new")).unwrap();
    world.peer(Command::Assets, packed_asset("newest")).unwrap();
    for (name, cached) in [
        ("used", true),
        ("old", false),
        ("new", true),
        ("newest", true),
    ] {
        let id = AssetId::of(name.as_bytes());
        assert_eq!(world.pools.has_cached_asset(&id), cached, "{name}");
    }
    world.peer(Command::Issues, issue("new", 1)).unwrap();
    world.peer(Command::Issues, issue("newest", 1)).unwrap();
    let result = world.peer(Command::Assets, packed_asset("late"));
    assert_eq!(result, Err(Refusal::Full));
}

#[test]
fn a_peer_at_its_share_pushes_out_its_own_assets_alone() {
    let mut world = World::with(Caps {
        assets: 8,
        ..Caps::default()
    });
    for (peer, name) in [(1, "one"), (2, "a"), (2, "b"), (2, "c")] {
        world.now = world.now.plus_ms(5_000);
        world
            .from(peer, Command::Assets, packed_asset(name))
            .unwrap();
    }
    let cached = |name: &str| world.pools.has_cached_asset(&AssetId::of(name.as_bytes()));
    assert!(cached("one") && !cached("a") && cached("b") && cached("c"));
}

#[test]
fn bytes_count_and_unused_assets_give_theirs_back() {
    let asset_bytes = packed_asset("a").len();
    let issue_bytes = issue("a", 0).len();
    let mut world = caps(|caps| caps.pending_bytes = asset_bytes + 2 * issue_bytes);
    world.peer(Command::Assets, packed_asset("a")).unwrap();
    world.peer(Command::Assets, packed_asset("b")).unwrap();
    world.peer(Command::Issues, issue("a", 0)).unwrap();
    assert!(world.pools.has_cached_asset(&AssetId::of(b"b")));
    let mut stored = 1;
    while world.peer(Command::Issues, issue("a", stored)).is_ok() {
        stored += 1;
    }
    assert!(!world.pools.has_cached_asset(&AssetId::of(b"b")));
    assert!(world.pools.has_cached_asset(&AssetId::of(b"a")));
    assert!(world.pools.usage().bytes <= asset_bytes + 2 * issue_bytes);
}

#[test]
fn the_oldest_orphan_payment_makes_room() {
    let mut world = caps(|caps| caps.orphan_payments = 2);
    for number in 1..=3 {
        world.now = world.now.plus_ms(5_000);
        world.pay(PayId([number; 48]));
    }
    assert_eq!(world.pools.sizes().orphan_payment, 2);
    assert!(!world.pools.pools.orphans.contains_key(&PayId([1; 48])));
}

#[test]
fn payments_that_wait_for_one_pay_id_are_few() {
    let mut world = World::new();
    for number in 0..20 {
        let mut one = payment(PayId([1; 48]));
        one.currency_tx_id = vec![number];
        world.input(Input::Payment(one));
    }
    let waiting = &world.pools.pools.orphans[&PayId([1; 48])];
    assert_eq!(waiting.payments.len(), payments::EACH_MAX);
}

#[test]
fn of_a_message_with_more_than_a_hundred_assets_the_rest_is_not_looked_at() {
    let mut world = World::new();
    let many: Vec<u8> = (0..105)
        .flat_map(|n| packed_asset(&format!("asset {n}")))
        .collect();
    let result = world.peer(Command::Assets, many);
    assert_eq!(result, Err(Refusal::TooManyItems));
    assert_eq!(world.pools.pools.assets.len(), 100);
}

#[test]
fn a_set_of_more_than_a_hundred_is_refused() {
    let mut world = World::new();
    world.peer(Command::Assets, packed_asset("a")).unwrap();
    let one = issue("a", 1);
    let result = world.peer(Command::Issues, one.repeat(101));
    assert_eq!(result, Err(Refusal::TooManyItems));
}

#[test]
fn a_newcomer_that_is_refused_pushes_nobody_out() {
    let size = packed_asset("a000").len();
    let mut world = caps(|caps| caps.pending_bytes = 80 * size);
    for number in 0..80 {
        let asset = packed_asset(&format!("a{number:03}"));
        world.from(1, Command::Assets, asset).unwrap();
    }
    // More than the assets that may go would make room for.
    let large: Vec<u8> = (0..50).flat_map(|nonce| issue("a000", nonce)).collect();
    assert_eq!(world.from(2, Command::Issues, large), Err(Refusal::Full));
    assert_eq!(world.pools.sizes().assets, 80);
}

#[test]
fn assets_of_one_message_do_not_push_each_other_out() {
    let mut world = World::with(Caps {
        assets: 4,
        ..Caps::default()
    });
    let both = [packed_asset("a"), packed_asset("b")].concat();
    assert_eq!(world.peer(Command::Assets, both), Err(Refusal::Full));
    assert!(world.relayed().is_empty());
    assert!(world.pools.has_cached_asset(&AssetId::of(b"a")));
}

#[test]
fn small_payments_do_not_push_out_the_one_that_pays() {
    for is_first in [false, true] {
        let mut world = World::new();
        let link = world.confirmed_issue(3, 1);
        let record = transfer(link, 3, 4);
        let pay_id = PayId::of([record.as_slice()]);
        if is_first {
            world.pay(pay_id);
        }
        for number in 0..20_u8 {
            let mut small = payment(pay_id);
            small.currency_tx_id = vec![0xe0 + number];
            small.amounts = [(b"A".to_vec(), 1)].into();
            world.input(Input::Payment(small));
        }
        if !is_first {
            world.pay(pay_id);
        }
        world.peer(Command::Transfer, record.clone()).unwrap();
        assert_eq!(world.status(&TxId::of(&record)), Status::Verified);
    }
}

#[test]
fn of_a_file_of_refused_records_the_first_and_a_number_are_told() {
    let mut world = World::new();
    let confirmed = Confirmed {
        view: &world.store,
        ledger: &world.ledger,
    };
    let refused = [b'A', 0, 0].repeat(5_000);
    let (mut file, mut out) = (CacheFile::default(), Vec::new());
    file.restore(
        Some(&refused),
        world.now,
        &mut world.pools,
        &confirmed,
        &mut out,
    )
    .unwrap();
    assert_eq!(file.counts().refused, 5_000);
    let told: Vec<&str> = out
        .iter()
        .filter_map(|effect| match effect {
            Effect::Log(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(told.len() as u64, TOLD_MAX + 1);
    assert!(told[0].starts_with("a record A of the file is passed over: "));
    assert_eq!(
        told[10],
        "and 4990 more records of the file are passed over"
    );
}
