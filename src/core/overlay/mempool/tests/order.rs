//! The order of the log: nothing goes before what it needs, whatever comes and goes.

use super::rig::{batch_to, bundles_to, key};
use super::*;

const B: PeerPublicKey = key(2);
const C: PeerPublicKey = key(3);

/// One that has three assets.
fn with_three() -> Rig {
    let mut rig = Rig::new();
    for number in 1..=3 {
        rig.present(&asset(number), None);
    }
    rig
}

fn ids(batch: Option<Batch>) -> Vec<u64> {
    let items = batch.into_iter().flat_map(|batch| batch.items);
    items.map(|item| item.id).collect()
}

#[test]
fn under_the_policy_own_peers_bundles_stay_quiet_and_let_ours_follow() {
    let mut rig = Rig::with(Settings {
        policy: Policy::Own,
        ..Settings::default()
    });
    rig.befriend(B);
    assert_eq!(rig.present(&asset(1), Some(C)), []);
    assert_eq!(rig.count("non_qualified"), 1);
    let effects = rig.present(&issues(1, 1), None);
    assert_eq!(bundles_to(&effects, B), [issues(1, 1)]);
}

#[test]
fn what_needs_a_lost_bundle_leaves_the_log_and_comes_back_with_a_new_id() {
    let mut rig = Rig::new();
    for bundle in [asset(1), issues(1, 1), proof(1)] {
        rig.present(&bundle, None);
    }
    rig.gone(&issues(1, 1));
    assert_eq!((rig.count("timeline_length"), rig.count("unready")), (1, 1));
    rig.present(&issues(1, 1), None);
    assert_eq!(
        (rig.count("timeline_length"), rig.count("timeline_head")),
        (3, 5)
    );
    let effects = rig.befriend(B);
    assert_eq!(ids(batch_to(&effects, B)), [1, 4, 5]);
    assert_eq!(bundles_to(&effects, B), [asset(1), issues(1, 1), proof(1)]);
}

#[test]
fn what_needs_a_lost_bundle_needs_it_through_others_too() {
    let mut rig = Rig::new();
    for bundle in [asset(1), issues(1, 1), proof(1)] {
        rig.present(&bundle, None);
    }
    rig.gone(&asset(1));
    assert_eq!((rig.count("timeline_length"), rig.count("unready")), (0, 2));
    rig.present(&asset(1), None);
    let effects = rig.befriend(B);
    assert_eq!(ids(batch_to(&effects, B)), [4, 5, 6]);
}

#[test]
fn a_confirmed_asset_goes_alone() {
    let mut rig = Rig::new();
    for bundle in [asset(1), issues(1, 1), proof(1)] {
        rig.present(&bundle, None);
    }
    let locator = pool::locate(&asset(1)).unwrap();
    rig.pool.confirm(&locator);
    rig.step(Input::Gone(locator));
    assert_eq!(ids(batch_to(&rig.befriend(B), B)), [2, 3]);
    // A block comes off: the asset is there again, behind what needs it.
    rig.pool.confirmed.clear();
    rig.present(&asset(1), None);
    let effects = rig.connect(C);
    assert_eq!(bundles_to(&effects, C), [asset(1), issues(1, 1), proof(1)]);
}

#[test]
fn what_comes_before_is_put_before_and_an_unknown_need_holds_back() {
    let mut rig = Rig::new();
    // All three are in the pools; only the last is told.
    rig.pool.put(&asset(1));
    rig.pool.put(&issues(1, 1));
    rig.present(&proof(1), Some(C));
    rig.present(&proof(2), None);
    let effects = rig.befriend(B);
    assert_eq!(bundles_to(&effects, B), [asset(1), issues(1, 1), proof(1)]);
    assert_eq!(bundles_to(&rig.connect(C), C), [], "all came from there");
}

#[test]
fn what_the_pools_have_no_more_is_not_sent_and_goes() {
    let mut rig = with_three();
    rig.pool.drop(&pool::locate(&asset(2)).unwrap());
    let effects = rig.befriend(B);
    assert_eq!(ids(batch_to(&effects, B)), [1, 3]);
    assert_eq!(rig.count("timeline_length"), 2);
    rig.pool.drop(&pool::locate(&asset(3)).unwrap());
    rig.run_to(61_000);
    assert_eq!(rig.count("timeline_length"), 1);
    assert_eq!(rig.count("gc_removed"), 2);
}
