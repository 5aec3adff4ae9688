//! Peers that can not connect to us are asked for their log.

use super::rig::{EPOCH, key, sent};
use super::*;

const B: PeerPublicKey = key(2);

/// One that has three assets.
fn with_three() -> Rig {
    let mut rig = Rig::new();
    for number in 1..=3 {
        rig.present(&asset(number), None);
    }
    rig
}

#[test]
fn a_peer_is_pulled_from_often_until_it_connects_to_us() {
    let mut rig = Rig::new();
    let effects = rig.connect(B);
    let pull = sent(&effects).unwrap();
    let Message::Pull(pull) = pull else {
        panic!("{pull:?}");
    };
    assert_eq!((pull.epoch, pull.after, pull.max_items), (EPOCH, 0, 100));
    let begin = rig.now;
    rig.reply(B, &rig::batch(EPOCH, 0, 0, &[]));
    assert_eq!(rig.run_to(begin + 499), []);
    let effects = rig.run_to(begin + 500);
    assert!(matches!(sent(&effects), Some(Message::Pull(_))));
    rig.request(B, &Message::Hello(rig::hello(EPOCH)));
    rig.reply(B, &rig::batch(EPOCH, 0, 0, &[]));
    let effects = rig.run_to(begin + 1_000);
    assert!(
        matches!(sent(&effects), Some(Message::Pull(_))),
        "as planned before"
    );
    rig.reply(B, &rig::batch(EPOCH, 0, 0, &[]));
    assert_eq!(rig.run_to(begin + 30_999), []);
    let effects = rig.run_to(begin + 31_000);
    assert!(matches!(sent(&effects), Some(Message::Pull(_))));
}

#[test]
fn the_pause_between_pulls_that_bring_nothing_doubles_up_to_a_bound() {
    let mut rig = Rig::new();
    let effects = rig.connect(B);
    assert!(matches!(sent(&effects), Some(Message::Pull(_))));
    let eager = std::iter::repeat_n(500, 21);
    for pause in eager.chain([1_000, 2_000, 4_000, 4_000, 4_000]) {
        rig.reply(B, &rig::batch(EPOCH, 0, 0, &[]));
        let begin = rig.now;
        assert_eq!(rig.run_to(begin + pause - 1), [], "{pause}");
        let effects = rig.run_to(begin + pause);
        assert!(matches!(sent(&effects), Some(Message::Pull(_))), "{pause}");
    }
}

#[test]
fn something_new_from_anybody_makes_pulls_frequent_again() {
    let quiet = || {
        let mut rig = Rig::new();
        rig.connect(B);
        for pause in std::iter::repeat_n(500, 21).chain([1_000, 2_000, 4_000]) {
            rig.reply(B, &rig::batch(EPOCH, 0, 0, &[]));
            let effects = rig.run_to(rig.now + pause);
            assert!(matches!(sent(&effects), Some(Message::Pull(_))), "{pause}");
        }
        rig.reply(B, &rig::batch(EPOCH, 0, 0, &[]));
        rig
    };
    let is_pulled_in = |rig: &mut Rig, wait| {
        let effects = rig.run_to(rig.now + wait);
        matches!(sent(&effects), Some(Message::Pull(_)))
    };
    // By a client of ours, or by another peer.
    for origin in [None, Some(key(3))] {
        let mut rig = quiet();
        let effects = rig.present(&asset(1), origin);
        if let Some(Message::Batch(batch)) = sent(&effects) {
            rig.ack(B, batch.upto);
        }
        assert!(is_pulled_in(&mut rig, 500));
        rig.reply(B, &rig::batch(EPOCH, 0, 0, &[]));
        assert!(is_pulled_in(&mut rig, 500), "the pauses begin anew");
    }
    // By the pull itself.
    let mut rig = quiet();
    assert!(is_pulled_in(&mut rig, 4_000));
    let effects = rig.reply(B, &rig::batch(EPOCH, 0, 1, &[(1, asset(1))]));
    let (job, bundles) = rig::validation(&effects).unwrap();
    rig.decide(job, Some(B), &bundles);
    assert!(is_pulled_in(&mut rig, 500));
}

#[test]
fn while_answers_are_full_the_next_pull_follows_at_once() {
    let mut rig = Rig::with(Settings {
        shared_mempool_batch_size: 2,
        ..Settings::default()
    });
    rig.connect(B);
    let full = rig::batch(EPOCH, 0, 2, &[(1, asset(1)), (2, asset(2))]);
    let effects = rig.reply(B, &full);
    let (job, bundles) = rig::validation(&effects).unwrap();
    let effects = rig.decide(job, Some(B), &bundles);
    assert!(matches!(sent(&effects), Some(Message::Pull(pull)) if pull.after == 2));
    let effects = rig.reply(B, &rig::batch(EPOCH, 2, 3, &[(3, asset(3))]));
    let (job, bundles) = rig::validation(&effects).unwrap();
    let effects = rig.decide(job, Some(B), &bundles);
    assert_eq!(sent(&effects), None, "that was the last");
    assert_eq!(rig.machine.peers(0)[0].remote_done, 3);
}

#[test]
fn what_is_to_be_sent_goes_before_a_pull_but_not_for_ever() {
    let mut rig = with_three();
    let effects = rig.connect(B);
    assert!(matches!(sent(&effects), Some(Message::Batch(_))));
    let mut pulls = 0;
    for number in 4..60 {
        rig.present(&asset(number), None);
        rig.now += 100;
        let effects = rig.ack(B, u64::from(number) - 1);
        if matches!(sent(&effects), Some(Message::Pull(_))) {
            pulls += 1;
            rig.reply(B, &rig::batch(EPOCH, 0, 0, &[]));
        }
    }
    assert!((1..=4).contains(&pulls), "{pulls}");
}

#[test]
fn nothing_is_pulled_while_the_node_takes_no_records() {
    let mut rig = Rig::new();
    rig.step(Input::Mode { normal: false });
    assert_eq!(sent(&rig.connect(B)), None);
    assert_eq!(rig.run_to(50_000), []);
    let effects = rig.step(Input::Mode { normal: true });
    assert!(matches!(sent(&effects), Some(Message::Pull(_))));
    // It is not any more when the answer comes.
    rig.step(Input::Mode { normal: false });
    let effects = rig.reply(B, &rig::batch(EPOCH, 0, 1, &[(1, asset(1))]));
    assert_eq!(rig::validation(&effects), None);
    let effects = rig.step(Input::Mode { normal: true });
    assert_eq!(sent(&effects), None);
    let effects = rig.run_to(rig.now + 500);
    assert!(matches!(sent(&effects), Some(Message::Pull(pull)) if pull.after == 0));
}
