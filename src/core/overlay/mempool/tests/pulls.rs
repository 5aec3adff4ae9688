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
