//! Where the original loses, repeats or stalls (`proto/mempool.md`, section 3, by the numbers of its
//! table) this one does not. Number 7 does not apply: nothing here has a balance. 9 neither: there
//! is no cache on the way of a decision. 11 is for the shell; that no input panics is shown in
//! `byzantine.rs`.

use super::rig::{EPOCH, batch_to, bundles_to, hello_ack, key};
use super::world::World;
use super::*;

const B: PeerPublicKey = key(2);
const C: PeerPublicKey = key(3);

#[test]
fn quirk_1_what_a_full_or_lost_receiver_did_not_take_comes_again() {
    let mut world = World::new(2, Settings::default(), 5);
    world.connect(0, 1);
    world.nodes[1].pool.room = 1;
    world.submit(0, &asset(1));
    world.submit(0, &asset(2));
    world.run(5_000);
    assert_eq!(world.has(1), [asset(1)]);
    world.nodes[1].pool.room = 9;
    world.loss = 0.4;
    world.submit(0, &asset(3));
    world.run(60_000);
    world.loss = 0.0;
    world.run(60_000);
    assert_eq!(world.has(1), [asset(1), asset(2), asset(3)]);
}

#[test]
fn quirk_2_a_peer_that_lost_its_pools_gets_everything_again() {
    let mut world = World::new(2, Settings::default(), 6);
    world.mesh();
    world.submit(0, &asset(1));
    world.run(5_000);
    world.nodes[1].pool = Pool::new();
    world.restart(1);
    world.run(120_000);
    assert_eq!(world.has(1), [asset(1)]);
}

#[test]
fn quirk_3_what_was_sent_before_a_reconnection_moves_nothing_after_it() {
    let mut rig = Rig::new();
    rig.present(&asset(1), None);
    rig.befriend(B);
    let generation = rig.generation(B);
    rig.step(Input::LostPeer(B));
    rig.step(Input::NewPeer(B));
    let frames = Some(vec![b"OVL1".to_vec(), b"A".to_vec()]);
    rig.step(Input::Reply {
        peer: B,
        generation,
        frames,
    });
    assert_eq!(rig.mode(B), Mode::Unknown, "an answer to the old greeting");
    assert_eq!(bundles_to(&rig.reply(B, &hello_ack(EPOCH, 0)), B).len(), 1);
}

#[test]
fn quirk_4_a_peer_that_fails_stalls_nobody() {
    let mut rig = Rig::new();
    rig.befriend(B);
    rig.befriend(C);
    rig.present(&asset(1), None);
    rig.reply_with(B, None);
    rig.ack(C, 1);
    let effects = rig.present(&asset(2), None);
    assert_eq!(bundles_to(&effects, B), []);
    assert_eq!(bundles_to(&effects, C), [asset(2)]);
}

#[test]
fn quirk_5_what_left_the_log_comes_back_with_a_new_id_to_those_who_had_it() {
    let mut rig = Rig::new();
    rig.befriend(B);
    rig.present(&asset(1), None);
    rig.ack(B, 1);
    rig.present(&issues(1, 1), None);
    rig.ack(B, 2);
    rig.gone(&asset(1));
    rig.present(&asset(1), None);
    let batch = batch_to(&rig.run_to(rig.now), B);
    assert!(batch.is_none(), "one is on its way");
    let effects = rig.ack(B, 4);
    assert_eq!(rig.acked(B), 4, "{effects:?}");
}

#[test]
fn quirk_6_what_is_ready_is_parked_no_more() {
    let mut rig = Rig::with(Settings {
        pool_bundles: 20,
        ..Settings::default()
    });
    rig.request(B, &Message::Hello(rig::hello(EPOCH)));
    let items = [(1, issues(1, 1)), (2, issues(2, 2))];
    rig.offer(B, &rig::batch(EPOCH, 0, 2, &items));
    // The same comes by another way, with its asset.
    rig.present(&asset(1), None);
    rig.present(&issues(1, 1), None);
    assert_eq!(rig.count("parked"), 1);
    let items = [(3, issues(3, 3))];
    rig.offer(B, &rig::batch(EPOCH, 2, 3, &items));
    assert_eq!((rig.count("parked"), rig.count("parked_dropped")), (2, 0));
    assert_eq!(rig.count("timeline_length"), 2);
}

#[test]
fn quirk_8_a_loss_takes_only_what_needs_it() {
    let mut rig = Rig::new();
    for bundle in [asset(1), issues(1, 1), issues(2, 1), proof(1), proof(2)] {
        rig.present(&bundle, None);
    }
    rig.gone(&issues(1, 1));
    assert_eq!((rig.count("timeline_length"), rig.count("unready")), (3, 1));
}

#[test]
fn quirk_10_what_is_counted_has_a_fixed_set_of_names() {
    let mut rig = Rig::new();
    let names = |rig: &Rig| -> Vec<&str> {
        let report = rig.machine.report();
        report.into_iter().map(|(name, _)| name).collect()
    };
    let before = names(&rig);
    for number in 2..200 {
        rig.request_bytes(key(number), vec![number]);
    }
    assert_eq!(names(&rig), before);
    assert_eq!(rig.count("nack_sent_malformed"), 198);
    let mut once = before.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), before.len());
}

#[test]
fn quirk_12_in_a_full_mesh_under_the_policy_own_each_bundle_crosses_a_link_once() {
    let own = Settings {
        policy: Policy::Own,
        ..Settings::default()
    };
    let mut world = World::new(4, own, 7);
    world.mesh();
    for number in 0..12_u8 {
        world.submit(usize::from(number % 4), &asset(number));
        world.run(300);
    }
    world.run(60_000);
    assert!(world.everything_is_everywhere());
    assert_eq!(world.crossings.len(), 36, "twelve to three each");
    assert!(world.crossings.values().all(|times| *times == 1));
}

#[test]
fn quirk_13_one_peer_does_not_take_all_places() {
    let mut rig = Rig::new();
    for peer in [B, C] {
        rig.request(peer, &Message::Hello(rig::hello(EPOCH)));
    }
    for id in 1..=16 {
        rig.request(B, &rig::batch(EPOCH, 0, id, &[(id, asset(1))]));
    }
    assert_eq!(rig.count("inbound_jobs"), 2);
    let effects = rig.request(C, &rig::batch(EPOCH, 0, 1, &[(1, asset(2))]));
    assert!(rig::validation(&effects).is_some());
}
