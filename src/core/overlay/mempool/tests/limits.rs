//! Both sides of every limit.

use super::rig::{EPOCH, answer, batch, batch_to, hello, key, refusal, validation};
use super::*;
use crate::core::id::AssetId;

const B: PeerPublicKey = key(2);

/// An asset of so many bytes.
fn large(number: u8, size: usize) -> Bundle {
    let mut bundle = asset(number);
    bundle.payload.resize(size, 0);
    bundle
}

fn greeted(settings: Settings) -> Rig {
    let mut rig = Rig::with(settings);
    rig.request(B, &Message::Hello(hello(EPOCH)));
    rig
}

fn small() -> Settings {
    Settings {
        shared_mempool_batch_size: 3,
        batch_bytes: 30,
        max_message_bytes: 1024,
        ..Settings::default()
    }
}

#[test]
fn a_batch_is_full_at_its_bundles_or_bytes_and_has_always_one() {
    let mut rig = Rig::with(small());
    for (number, size) in [(1, 10), (2, 10), (3, 10), (4, 20), (5, 11), (6, 31), (7, 3)] {
        rig.present(&large(number, size), None);
    }
    let mut effects = rig.befriend(B);
    let mut parts = Vec::new();
    while let Some(batch) = batch_to(&effects, B) {
        parts.push(batch.items.len());
        effects = rig.ack(B, batch.upto);
    }
    // Three; 20 alone, as 31 is too much; 11; 31 alone; the last.
    assert_eq!(parts, [3, 1, 1, 1, 1]);
}

#[test]
fn the_limits_of_the_peer_count_as_well() {
    let mut rig = Rig::new();
    for number in 1..=5 {
        rig.present(&large(number, 10), None);
    }
    for (max_items, max_bytes, expected) in [(2, 1_000, 2), (9, 30, 3), (9, 29, 2), (0, 0, 1)] {
        rig.step(Input::NewPeer(B));
        let narrow = Hello {
            max_items,
            max_bytes,
            ..hello(EPOCH)
        };
        let effects = rig.reply(B, &Message::HelloAck(narrow, 0));
        assert_eq!(batch_to(&effects, B).unwrap().items.len(), expected);
    }
}

#[test]
fn a_bundle_that_fits_into_no_message_is_passed_over() {
    let most = 1024 - BATCH_HEAD - ITEM_HEAD;
    for (size, expected) in [(most, 2), (most + 1, 1)] {
        let mut rig = Rig::with(Settings {
            batch_bytes: 1024,
            ..small()
        });
        rig.present(&large(1, size), None);
        rig.present(&asset(2), None);
        let mut effects = rig.befriend(B);
        let mut sent = 0;
        while let Some(batch) = batch_to(&effects, B) {
            sent += batch.items.len();
            assert!(Message::Batch(batch.clone()).encode().len() <= 1024);
            effects = rig.ack(B, batch.upto);
        }
        assert_eq!(sent, expected);
        assert_eq!(rig.count("too_large"), 2 - expected as u64);
    }
}

#[test]
fn a_batch_beyond_what_was_told_is_refused_and_one_at_the_limit_is_taken() {
    let items = |sizes: &[usize]| -> Vec<(u64, Bundle)> {
        let sizes = (1_u8..).zip(sizes);
        sizes.map(|(n, size)| (n.into(), large(n, *size))).collect()
    };
    for (sizes, taken) in [
        (vec![10, 10, 10], true),
        (vec![10, 10, 11], false),
        (vec![3, 3, 3, 3], false),
        (vec![500], true),
    ] {
        let mut rig = greeted(small());
        let effects = rig.request(B, &batch(EPOCH, 0, 9, &items(&sizes)));
        assert_eq!(validation(&effects).is_some(), taken, "{sizes:?}");
        if !taken {
            assert_eq!(refusal(&effects), Some(NackCode::Malformed));
            assert_eq!(rig::offences(&effects), [Offence::OverLimit]);
        }
    }
}

#[test]
fn a_message_beyond_the_largest_is_not_looked_at() {
    for (size, taken) in [(1024, true), (1025, false)] {
        let mut rig = greeted(small());
        let bundle = large(1, size - BATCH_HEAD - ITEM_HEAD);
        let payload = batch(EPOCH, 0, 1, &[(1, bundle)]).encode();
        assert_eq!(payload.len(), size);
        let effects = rig.request_bytes(B, payload);
        assert_eq!(validation(&effects).is_some(), taken);
        assert_eq!(rig::events(&effects).is_empty(), taken);
    }
}

#[test]
fn one_peer_has_its_places_and_all_of_them_a_bound() {
    let mut rig = Rig::with(Settings {
        shared_mempool_max_concurrent_inbound_syncs: 3,
        ..Settings::default()
    });
    for number in 2..5 {
        rig.befriend(key(number));
    }
    let mut jobs = Vec::new();
    let mut begun = |rig: &mut Rig, number: u8, id: u64| {
        let peer = key(number);
        rig.request(peer, &Message::Hello(hello(EPOCH)));
        let bundle = asset(number);
        let effects = rig.request(peer, &batch(EPOCH, 0, id, &[(id, bundle)]));
        match validation(&effects) {
            Some((job, bundles)) => {
                jobs.push((peer, job, bundles));
                true
            }
            None => {
                let Some(Message::Nack(nack)) = answer(&effects) else {
                    panic!("{effects:?}");
                };
                assert_eq!((nack.code, nack.retry_after_ms), (NackCode::Busy, 1_000));
                false
            }
        }
    };
    assert!(begun(&mut rig, 2, 1));
    assert!(begun(&mut rig, 2, 2));
    assert!(!begun(&mut rig, 2, 3), "it has two");
    assert!(begun(&mut rig, 3, 1));
    assert!(!begun(&mut rig, 4, 1), "there are three");
    assert_eq!(rig.count("inbound_jobs"), 3);
    let (peer, job, bundles) = jobs[0].clone();
    rig.decide(job, Some(peer), &bundles);
    let effects = rig.request(key(4), &batch(EPOCH, 0, 1, &[(1, asset(4))]));
    assert!(validation(&effects).is_some());
}

#[test]
fn known_peers_are_bounded_and_live_ones_keep_their_places() {
    let mut rig = Rig::with(Settings {
        peers: 2,
        ..Settings::default()
    });
    rig.befriend(key(2));
    rig.request(key(3), &Message::Hello(hello(EPOCH)));
    let effects = rig.request(key(4), &Message::Hello(hello(EPOCH)));
    assert!(matches!(answer(&effects), Some(Message::HelloAck(..))));
    assert_eq!(rig.count("peers_evicted"), 1);
    rig.connect(key(4));
    let effects = rig.request(key(5), &Message::Hello(hello(EPOCH)));
    assert_eq!(refusal(&effects), Some(NackCode::Busy));
    assert_eq!(rig.step(Input::NewPeer(key(5))), []);
    assert_eq!((rig.count("peers"), rig.count("peers_refused")), (2, 2));
}

#[test]
fn the_timeline_is_bounded() {
    let mut rig = Rig::with(Settings {
        pool_bundles: 20,
        ..Settings::default()
    });
    for number in 0..22 {
        rig.present(&asset(number), None);
    }
    assert_eq!(rig.count("timeline_length"), 20);
    assert_eq!(rig.count("timeline_refused"), 2);
    rig.gone(&asset(0));
    rig.present(&asset(30), None);
    assert_eq!(rig.count("timeline_head"), 21);
}

#[test]
fn a_tenth_as_much_is_parked() {
    let settings = Settings {
        pool_bundles: 20,
        pool_bytes: 80,
        ..Settings::default()
    };
    let mut rig = greeted(settings);
    let items: Vec<_> = (1..=3).map(|n| (u64::from(n), issues(n, n))).collect();
    let ack = rig.offer(B, &batch(EPOCH, 0, 3, &items));
    assert_eq!((ack.upto, ack.parked), (3, 3), "all are decided");
    assert_eq!((rig.count("parked"), rig.count("parked_dropped")), (2, 1));
    let mut long = issues(4, 4);
    long.payload.resize(9, 0);
    let ack = rig.offer(B, &batch(EPOCH, 3, 4, &[(4, long)]));
    assert_eq!((ack.upto, rig.count("parked")), (4, 2), "it never fits");
}

#[test]
fn what_is_parked_is_dropped_after_its_life_at_the_next_look() {
    let mut rig = greeted(Settings::default());
    rig.offer(B, &batch(EPOCH, 0, 1, &[(1, issues(1, 1))]));
    let life = 259_200_000;
    rig.wake_at(1_000 + life - 1);
    assert_eq!(rig.count("parked"), 1);
    rig.wake_at(1_000 + life + 59_998);
    assert_eq!(rig.count("parked"), 1, "it was looked at a minute ago");
    rig.wake_at(1_000 + life + 59_999);
    assert_eq!(rig.count("parked"), 0);
}

#[test]
fn two_failures_do_not_lose_a_peer() {
    let mut rig = Rig::new();
    rig.step(Input::NewPeer(B));
    rig.reply_with(B, None);
    rig.run_to(rig.now + 1_250);
    assert_eq!(rig.reply_with(B, None), []);
    rig.run_to(rig.now + 2_500);
    assert_eq!(rig.reply_with(B, None), [Effect::Lost(B)]);
}

#[test]
fn the_log_gets_ten_lines_of_a_peer_in_a_minute_and_the_rest_is_counted() {
    let mut rig = Rig::new();
    let lines = |rig: &mut Rig| rig::events(&rig.request_bytes(B, vec![MAGIC])).len();
    let told: usize = (0..15).map(|_| lines(&mut rig)).sum();
    assert_eq!(told, 10);
    assert_eq!(rig.count("security_suppressed"), 5);
    assert_eq!(rig.count("penalties"), 15);
    rig.now += 59_999;
    assert_eq!(lines(&mut rig), 0);
    rig.now += 1;
    assert_eq!(lines(&mut rig), 1);
}

#[test]
fn a_long_log_is_looked_through_in_pieces() {
    let mut rig = Rig::new();
    for number in 0..5_000_u32 {
        let mut id = [0; 64];
        id[..4].copy_from_slice(&number.to_be_bytes());
        let locator = Locator::Assets(AssetId(id));
        let payload = number.to_be_bytes().to_vec();
        let kind = Kind::Assets;
        rig.pool.held.insert(locator, Bundle { kind, payload });
        let origin = Some(B);
        let input = Input::Present { locator, origin };
        // Without the check of everything after each.
        rig.machine.step(rig.now, input, &rig.pool, &mut Vec::new());
    }
    rig.befriend(B);
    let read = |rig: &Rig| rig.machine.peers.get(&B).unwrap().read;
    assert_eq!(read(&rig), 2_000);
    rig.run_to(rig.now);
    assert_eq!((read(&rig), rig.count("sent_bundles")), (5_000, 0));
    rig.pool.held.clear();
    rig.wake_at(60_000);
    assert_eq!(rig.count("gc_removed"), 1_000);
    rig.run_to(60_000);
    assert_eq!(rig.count("gc_removed"), 5_000);
}
