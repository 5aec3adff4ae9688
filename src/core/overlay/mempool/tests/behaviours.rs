//! What the tests of the original pin down (`proto/mempool.md`, section 2.4), with the sequence
//! asset, issues, proof in place of a sender's sequence numbers. Replacement does not apply: no
//! bundle has a price.

use super::rig::{bundles_to, key};
use super::world::World;
use super::*;

const B: PeerPublicKey = key(2);
const C: PeerPublicKey = key(3);

#[test]
fn three_in_sequence_go_one_batch_at_a_time_and_in_order() {
    let mut a = Rig::with(Settings {
        shared_mempool_batch_size: 1,
        ..Settings::default()
    });
    a.befriend(B);
    let effects = a.present(&asset(1), None);
    assert_eq!(bundles_to(&effects, B), [asset(1)]);
    for bundle in [issues(1, 1), proof(1)] {
        let effects = a.present(&bundle, None);
        assert_eq!(effects, [], "the first is on its way");
    }
    let effects = a.ack(B, 1);
    assert_eq!(bundles_to(&effects, B), [issues(1, 1)]);
    let effects = a.ack(B, 2);
    assert_eq!(bundles_to(&effects, B), [proof(1)]);
    assert_eq!(bundles_to(&a.ack(B, 3), B), []);
}

#[test]
fn a_peer_that_was_away_gets_exactly_what_it_missed_oldest_first() {
    let mut a = Rig::new();
    a.befriend(B);
    a.befriend(C);
    a.present(&asset(1), None);
    a.ack(B, 1);
    a.ack(C, 1);
    a.step(Input::LostPeer(B));
    let effects = a.present(&asset(2), None);
    assert_eq!(bundles_to(&effects, C), [asset(2)]);
    assert_eq!(bundles_to(&effects, B), []);
    a.ack(C, 2);
    let effects = a.present(&asset(3), None);
    assert_eq!(bundles_to(&effects, C), [asset(3)]);
    a.ack(C, 3);
    a.step(Input::NewPeer(B));
    let effects = a.reply(B, &rig::hello_ack(rig::EPOCH, 1));
    assert_eq!(bundles_to(&effects, B), [asset(2), asset(3)]);
}

#[test]
fn what_stands_behind_a_gap_is_released_when_the_gap_is_filled() {
    let mut a = Rig::new();
    a.befriend(B);
    assert_eq!(a.present(&proof(1), None), [], "its issues are not here");
    let effects = a.present(&asset(1), None);
    assert_eq!(bundles_to(&effects, B), [asset(1)]);
    a.present(&issues(1, 1), None);
    let effects = a.ack(B, 1);
    assert_eq!(bundles_to(&effects, B), [issues(1, 1), proof(1)]);
}

#[test]
fn nothing_goes_back_and_what_comes_unlocks_what_waited() {
    let mut world = World::new(2, Settings::default(), 1);
    world.mesh();
    world.run(1_000);
    // Node 1 has issues that wait for an asset, parked: it had them from node 0.
    world.nodes[0].pool.put(&asset(1));
    let locator = world.nodes[0].pool.put(&issues(1, 1));
    world.step(
        0,
        Input::Present {
            locator,
            origin: None,
        },
    );
    world.run(2_000);
    assert_eq!(world.has(1), [asset(1), issues(1, 1)]);
    world.submit(1, &proof(1));
    world.run(2_000);
    assert_eq!(world.has(0), [asset(1), issues(1, 1), proof(1)]);
    assert!(world.crossings.values().all(|times| *times == 1));
    assert_eq!(world.crossings.len(), 3, "nothing went back");
}

#[test]
fn a_parked_bundle_is_taken_when_what_it_needs_comes_from_another() {
    let mut a = Rig::new();
    a.befriend(B);
    a.befriend(C);
    let ack = a.offer(B, &rig::batch(rig::EPOCH, 0, 1, &[(1, issues(1, 1))]));
    assert_eq!((ack.upto, ack.parked), (1, 1));
    assert_eq!(a.count("parked"), 1);
    let effects = a.present(&asset(1), Some(C));
    let (job, bundles) = rig::validation(&effects).expect("it is tried anew");
    assert_eq!(bundles, [issues(1, 1)]);
    assert_eq!(bundles_to(&effects, B), [asset(1)]);
    a.ack(B, 1);
    let effects = a.decide(job, None, &bundles);
    assert_eq!(a.count("parked"), 0);
    assert_eq!(bundles_to(&effects, B), [], "it came from there");
    assert_eq!(bundles_to(&effects, C), [issues(1, 1)]);
}
