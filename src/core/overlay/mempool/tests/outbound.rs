//! What is sent to a peer that speaks our language, and when the cursor moves.

use super::rig::{EPOCH, batch_to, bundles_to, hello_ack, key, sent, sent_to};
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

fn nack(code: NackCode, retry_after_ms: u32) -> Message {
    Message::Nack(Nack {
        epoch: 0,
        code,
        retry_after_ms,
    })
}

fn ids(batch: Option<Batch>) -> Vec<u64> {
    let items = batch.into_iter().flat_map(|batch| batch.items);
    items.map(|item| item.id).collect()
}

#[test]
fn an_unproven_peer_gets_nothing_but_a_greeting() {
    let mut rig = with_three();
    let effects = rig.step(Input::NewPeer(B));
    let [(to, Message::Hello(hello))] = sent_to(&effects)[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(to, B);
    assert_eq!((hello.epoch, hello.head), (rig.machine.epoch(), 3));
    assert_eq!(hello.flags, FLAG_NORMAL | FLAG_RELAY);
    assert_eq!(rig.run_to(50_000), [], "one request is open");
    let effects = rig.reply(B, &hello_ack(EPOCH, 0));
    assert_eq!(ids(batch_to(&effects, B)), [1, 2, 3]);
}

#[test]
fn a_batch_that_was_lost_is_sent_again_from_the_same_place() {
    let mut rig = with_three();
    let first = batch_to(&rig.befriend(B), B).unwrap();
    assert_eq!((first.after, first.upto), (0, 3));
    rig.reply_with(B, None);
    assert_eq!(rig.acked(B), 0);
    let again = batch_to(&rig.run_to(rig.now + 2_000), B).unwrap();
    assert_eq!(again, first);
    assert_eq!(
        (rig.count("sent_bundles"), rig.count("resent_bundles")),
        (6, 3)
    );
    rig.ack(B, 3);
    assert_eq!(rig.acked(B), 3);
    assert_eq!(
        (rig.count("acked_bundles"), rig.count("acked_bytes")),
        (3, 9)
    );
}

#[test]
fn pauses_double_up_to_the_longest_and_the_third_failure_loses_the_peer_once() {
    let mut rig = with_three();
    rig.befriend(B);
    let mut pauses = Vec::new();
    for _ in 0..2 {
        assert_eq!(rig.reply_with(B, None), []);
        let begin = rig.now;
        let wake = rig.machine.next_wakeup().unwrap();
        assert!(rig.wake_at(wake - 1).is_empty());
        assert!(batch_to(&rig.wake_at(wake), B).is_some());
        pauses.push(wake - begin);
    }
    assert!((1_000..=1_250).contains(&pauses[0]), "{pauses:?}");
    assert!((2_000..=2_500).contains(&pauses[1]), "{pauses:?}");
    let effects = rig.reply_with(B, None);
    assert_eq!(effects, [Effect::Lost(B)]);
    assert_eq!(rig.run_to(rig.now + 200_000), []);
    assert_eq!(rig.step(Input::LostPeer(B)), []);
    let effects = rig.step(Input::NewPeer(B));
    assert!(matches!(sent(&effects), Some(Message::Hello(_))));
    for failures in 1..40 {
        let pause = rig.machine.back_off(failures);
        assert!((1_000..=30_000).contains(&pause));
    }
    assert_eq!(rig.machine.back_off(40), 30_000);
}

#[test]
fn a_good_reply_forgets_the_failures_before() {
    let mut rig = Rig::new();
    rig.befriend(B);
    for number in 1..10 {
        rig.present(&asset(number), None);
        rig.reply_with(B, None);
        rig.run_to(rig.now + 2_000);
        rig.reply_with(B, None);
        rig.run_to(rig.now + 3_000);
        rig.ack(B, number.into());
    }
    assert_eq!(rig.count("lost"), 0);
    assert_eq!(rig.acked(B), 9);
}

#[test]
fn a_new_process_is_sent_everything_and_the_same_one_goes_on() {
    let mut rig = with_three();
    rig.befriend(B);
    rig.ack(B, 3);
    rig.present(&asset(4), None);
    // The same process, that lost the last two.
    rig.step(Input::NewPeer(B));
    let effects = rig.reply(B, &hello_ack(EPOCH, 2));
    assert_eq!(batch_to(&effects, B).unwrap().after, 2);
    rig.ack(B, 4);
    // One that claims more than it acknowledged gains nothing.
    rig.step(Input::NewPeer(B));
    rig.present(&asset(5), None);
    let effects = rig.reply(B, &hello_ack(EPOCH, 5));
    assert_eq!(ids(batch_to(&effects, B)), [5]);
    rig.ack(B, 5);
    rig.step(Input::NewPeer(B));
    let effects = rig.reply(B, &hello_ack(EPOCH + 1, 0));
    let batch = batch_to(&effects, B).expect("everything");
    assert_eq!((batch.after, batch.upto), (0, 5));
}

#[test]
fn a_reply_over_an_older_connection_changes_nothing() {
    let mut rig = with_three();
    rig.befriend(B);
    let old = rig.generation(B);
    rig.step(Input::NewPeer(B));
    let ack = Message::BatchAck(rig::good_ack(rig.machine.epoch(), 3)).encode();
    let effects = rig.step(Input::Reply {
        peer: B,
        generation: old,
        frames: Some(vec![b"OVL1".to_vec(), ack]),
    });
    assert_eq!(rig::events(&effects), [Event::AckOfAnotherConnection]);
    assert_eq!((rig.acked(B), rig.count("stale_replies")), (0, 1));
    assert_eq!(rig.mode(B), Mode::Unknown, "its greeting is still open");
    let effects = rig.reply(B, &hello_ack(EPOCH, 0));
    assert_eq!(ids(batch_to(&effects, B)), [1, 2, 3]);
}

#[test]
fn a_peer_without_credit_is_left_alone_as_long_as_it_asks() {
    let mut rig = with_three();
    rig.befriend(B);
    let ack = BatchAck {
        credit: 0,
        retry_after_ms: 5_000,
        ..rig::good_ack(rig.machine.epoch(), 1)
    };
    assert_eq!(rig.reply(B, &Message::BatchAck(ack)), []);
    let begin = rig.now;
    assert_eq!(rig.run_to(begin + 4_999), []);
    let effects = rig.run_to(begin + 5_000);
    assert_eq!(ids(batch_to(&effects, B)), [2, 3]);
}

#[test]
fn a_part_that_was_taken_is_not_sent_again() {
    let mut rig = with_three();
    rig.befriend(B);
    let effects = rig.ack(B, 2);
    let batch = batch_to(&effects, B).unwrap();
    assert_eq!((batch.after, batch.items.len()), (2, 1));
}

#[test]
fn a_peer_that_missed_something_gets_it_from_there() {
    let mut rig = with_three();
    rig.befriend(B);
    rig.ack(B, 3);
    rig.present(&asset(4), None);
    rig.ack(B, 1);
    assert_eq!((rig.acked(B), rig.count("rewinds")), (1, 1));
    let effects = rig.run_to(rig.now + 500);
    assert_eq!(ids(batch_to(&effects, B)), [2, 3, 4]);
}

#[test]
fn a_peer_that_does_not_know_our_epoch_is_greeted_anew() {
    let mut rig = with_three();
    rig.befriend(B);
    let effects = rig.reply(B, &nack(NackCode::WrongEpoch, 0));
    assert!(matches!(sent(&effects), Some(Message::Hello(_))));
    let effects = rig.reply(B, &hello_ack(EPOCH + 1, 0));
    assert_eq!(ids(batch_to(&effects, B)), [1, 2, 3]);
    assert_eq!(rig.count("nack_received_wrong_epoch"), 1);
}

#[test]
fn one_that_never_knows_our_epoch_is_not_greeted_all_the_time() {
    let mut rig = with_three();
    rig.befriend(B);
    let mut greetings = 0;
    let end = rig.now + 60_000;
    let mut effects = rig.reply(B, &nack(NackCode::WrongEpoch, 0));
    while rig.now < end {
        let message = sent(&effects);
        greetings += u32::from(matches!(message, Some(Message::Hello(_))));
        effects = match message {
            Some(Message::Hello(_)) => rig.reply(B, &hello_ack(EPOCH, 0)),
            Some(_) => rig.reply(B, &nack(NackCode::WrongEpoch, 0)),
            None => rig.run_to(rig.now + 100),
        };
        rig.now += 1;
        assert!(greetings < 500, "at {}", rig.now);
    }
}

#[test]
fn a_busy_peer_is_asked_again_after_its_pause_and_a_silly_pause_is_cut() {
    for (code, asked, pause) in [
        (NackCode::Busy, 3_000, 3_000),
        (NackCode::NotNormal, 10_000, 10_000),
        (NackCode::Busy, 0, 500),
        (NackCode::Busy, u32::MAX, 30_000),
    ] {
        let mut rig = with_three();
        rig.befriend(B);
        assert_eq!(rig.reply(B, &nack(code, asked)), []);
        let begin = rig.now;
        assert_eq!(rig.run_to(begin + pause - 1), []);
        assert_eq!(ids(batch_to(&rig.run_to(begin + pause), B)), [1, 2, 3]);
    }
}

#[test]
fn a_bundle_that_a_peer_can_not_read_keeps_no_other_from_it() {
    let mut rig = with_three();
    rig.befriend(B);
    rig.reply(B, &nack(NackCode::Malformed, 0));
    let effects = rig.run_to(rig.now + 500);
    assert_eq!(ids(batch_to(&effects, B)), [1], "alone");
    rig.reply(B, &nack(NackCode::Malformed, 0));
    let effects = rig.run_to(rig.now + 1_000);
    let batch = batch_to(&effects, B).unwrap();
    assert_eq!((batch.after, batch.items[0].id), (0, 2), "1 is passed over");
    let effects = rig.ack(B, 2);
    assert_eq!(ids(batch_to(&effects, B)), [3]);
    assert_eq!(rig.count("unreadable"), 1);
}

#[test]
fn what_a_peer_need_not_be_sent_moves_the_place_without_a_message() {
    let mut rig = Rig::new();
    rig.befriend(B);
    let effects = rig.present(&asset(1), Some(B));
    assert_eq!(effects, [], "it came from there");
    let effects = rig.present(&asset(2), None);
    let batch = batch_to(&effects, B).unwrap();
    assert_eq!((batch.after, batch.upto, batch.items.len()), (0, 2, 1));
}

#[test]
fn what_a_peer_sent_too_is_not_sent_to_it() {
    let mut rig = Rig::new();
    rig.befriend(B);
    rig.present(&asset(9), None);
    // While that is on its way to B, B sends what C sent before.
    rig.present(&asset(1), Some(C));
    let ack = rig.offer(B, &rig::batch(EPOCH, 0, 1, &[(1, asset(1))]));
    assert_eq!(ack.duplicate, 1);
    assert_eq!(rig.ack(B, 1), [], "nothing is left for it");
    // Its next process has lost that.
    rig.step(Input::NewPeer(B));
    let effects = rig.reply(B, &hello_ack(EPOCH + 1, 0));
    assert_eq!(bundles_to(&effects, B), [asset(9), asset(1)]);
}

#[test]
fn one_that_does_not_want_relayed_bundles_gets_those_of_our_clients() {
    let mut rig = Rig::new();
    rig.present(&asset(1), Some(C));
    rig.present(&asset(2), None);
    rig.step(Input::NewPeer(B));
    let own = Hello {
        flags: FLAG_NORMAL,
        ..rig::hello(EPOCH)
    };
    let effects = rig.reply(B, &Message::HelloAck(own, 0));
    assert_eq!(bundles_to(&effects, B), [asset(2)]);
}

#[test]
fn a_silent_peer_delays_no_other() {
    let mut rig = Rig::new();
    rig.befriend(B);
    rig.befriend(C);
    rig.present(&asset(1), None);
    for number in 2..50 {
        // B never answers.
        let effects = rig.ack(C, u64::from(number) - 1);
        assert_eq!(batch_to(&effects, C), None);
        rig.now += 10;
        let effects = rig.present(&asset(number), None);
        assert_eq!(bundles_to(&effects, C), [asset(number)], "at once");
    }
    let peers = rig.machine.peers(rig.now);
    let oldest: Vec<_> = peers.iter().map(|p| p.oldest_unacknowledged_ms).collect();
    assert_eq!(oldest, [Some(480), Some(0)]);
}

#[test]
fn subscribers_are_told_of_what_was_sent_only_if_something_was() {
    let mut rig = Rig::new();
    let one = rig.machine.subscribe().unwrap();
    let effects = rig.befriend(B);
    assert!(!effects.iter().any(|e| matches!(e, Effect::Notify(_))));
    assert_eq!(rig.machine.take_notices(one), Notices::PEER_STATE_CHANGE);
    let effects = rig.present(&asset(1), None);
    assert!(effects.contains(&Effect::Notify(Notices::SYNC)));
    rig.ack(B, 1);
    let effects = rig.present(&asset(2), None);
    assert!(
        !effects.contains(&Effect::Notify(Notices::SYNC)),
        "it knows"
    );
    assert_eq!(rig.machine.take_notices(one), Notices::SYNC);
    rig.step(Input::LostPeer(B));
    assert_eq!(rig.machine.take_notices(one), Notices::PEER_STATE_CHANGE);
}

#[test]
fn while_switched_off_nothing_happens_and_requests_are_refused() {
    let mut rig = Rig::with(Settings {
        enabled: false,
        ..Settings::default()
    });
    assert_eq!(rig.step(Input::NewPeer(B)), []);
    assert_eq!(rig.present(&asset(1), None), []);
    assert_eq!(rig.machine.next_wakeup(), None);
    let effects = rig.request(B, &Message::Hello(rig::hello(EPOCH)));
    assert_eq!(rig::refusal(&effects), Some(NackCode::NotNormal));
}

#[test]
fn a_peer_that_does_not_take_our_greeting_is_told_by_plain_commands() {
    let mut rig = Rig::new();
    rig.step(Input::NewPeer(B));
    rig.reply(B, &nack(NackCode::Malformed, 0));
    assert_eq!(rig.mode(B), Mode::Plain, "it speaks another version");
    let mut rig = Rig::new();
    rig.step(Input::NewPeer(B));
    for _ in 0..40 {
        rig.reply(B, &nack(NackCode::Busy, 0));
        if rig.mode(B) == Mode::Plain {
            break;
        }
        rig.run_to(rig.now + 31_000);
    }
    assert_eq!(rig.mode(B), Mode::Plain, "it has no place for us");
    rig.step(Input::NewPeer(B));
    for _ in 0..20 {
        rig.reply(B, &nack(NackCode::NotNormal, 0));
        rig.run_to(rig.now + 31_000);
    }
    assert_eq!(rig.mode(B), Mode::Unknown, "it will take it one day");
}

#[test]
fn a_registered_peer_that_found_no_place_gets_one_later() {
    let mut rig = Rig::with(Settings {
        peers: 1,
        ..Settings::default()
    });
    rig.befriend(key(3));
    rig.step(Input::NewPeer(B));
    assert!(!rig.machine.knows(&B));
    rig.step(Input::LostPeer(key(3)));
    rig.run_to(rig.now + 61_000);
    assert!(rig.machine.knows(&B));
}
