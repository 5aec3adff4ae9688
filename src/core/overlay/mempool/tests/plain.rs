//! Nodes of the reference: the plain commands, one at a time (`proto/mempool.md`, section 4.6).

use super::rig::key;
use super::*;

const B: PeerPublicKey = key(2);

fn commands(effects: &[Effect]) -> Vec<(Command, Vec<u8>)> {
    let sent = effects.iter().filter_map(|effect| match effect {
        Effect::SendPlain {
            command, parameter, ..
        } => Some((*command, parameter.clone())),
        _ => None,
    });
    sent.collect()
}

fn asks(effects: &[Effect]) -> bool {
    let ask = |effect: &Effect| matches!(effect, Effect::AskInfo { .. });
    effects.iter().any(ask)
}

const NORMAL: &[&[u8]] = &[
    b"I",
    b"{\"version\":\"8.2\",\"chain\":\"local\",\"normal\":true,\"height\":7}",
];

/// A peer that does not speak our language.
fn plain(rig: &mut Rig) -> Vec<Effect> {
    rig.step(Input::NewPeer(B));
    rig.reply_with(B, Some(&[b"OVL1", b"A"]))
}

fn with_three() -> Rig {
    let mut rig = Rig::new();
    for bundle in [asset(1), issues(1, 1), proof(1)] {
        rig.present(&bundle, None);
    }
    rig
}

#[test]
fn each_bundle_is_a_command_in_order_and_one_at_a_time() {
    let mut rig = with_three();
    let effects = plain(&mut rig);
    assert_eq!(rig.mode(B), Mode::Plain);
    assert!(asks(&effects) && commands(&effects).is_empty());
    let effects = rig.reply_with(B, Some(NORMAL));
    assert_eq!(commands(&effects), [(Command::Assets, asset(1).payload)]);
    assert_eq!(rig.run_to(rig.now + 20_000), []);
    let effects = rig.reply_with(B, Some(&[b"assets", b"A"]));
    assert_eq!(
        commands(&effects),
        [(Command::Issues, issues(1, 1).payload)]
    );
    let effects = rig.reply_with(B, Some(&[b"issues", b"A"]));
    assert_eq!(commands(&effects), [(Command::Proof, proof(1).payload)]);
    assert_eq!(rig.reply_with(B, Some(&[b"proof", b"A"])), []);
    assert_eq!(rig.acked(B), 3);
}

#[test]
fn nothing_is_told_while_it_is_not_in_mode_normal() {
    let mut rig = with_three();
    plain(&mut rig);
    let begin = rig.now;
    assert_eq!(rig.reply_with(B, Some(&[b"I", b"{\"normal\":false}"])), []);
    assert_eq!(rig.run_to(begin + 29_999), []);
    let effects = rig.run_to(begin + 30_000);
    assert!(asks(&effects) && commands(&effects).is_empty());
    let effects = rig.reply_with(B, Some(NORMAL));
    assert_eq!(commands(&effects).len(), 1);
    // It is asked again for the first that comes after thirty seconds.
    rig.now += 29_999;
    let effects = rig.reply_with(B, Some(&[b"assets", b"A"]));
    assert_eq!(commands(&effects).len(), 1);
    rig.now += 1;
    let effects = rig.reply_with(B, Some(&[b"issues", b"A"]));
    assert!(asks(&effects));
}

#[test]
fn what_was_not_received_is_told_again() {
    for bad in [
        Some(&[b"E".as_slice(), b"no".as_slice()][..]),
        Some(&[b"issues", b"A"]),
        Some(&[b"assets", b"AA"]),
        Some(&[b"assets"]),
        Some(&[]),
        None,
    ] {
        let mut rig = with_three();
        plain(&mut rig);
        rig.reply_with(B, Some(NORMAL));
        assert_eq!(rig.reply_with(B, bad), []);
        assert_eq!(rig.acked(B), 0);
        let effects = rig.run_to(rig.now + 1_250);
        assert_eq!(commands(&effects), [(Command::Assets, asset(1).payload)]);
    }
}

#[test]
fn an_answer_about_its_mode_that_can_not_be_read_is_a_failure() {
    let long = vec![b' '; 70_000];
    for bad in [
        &[b"I".as_slice(), b"{}".as_slice()][..],
        &[b"I", b"{\"normal\":1}"],
        &[b"I", &long],
        &[b"E", b"no"],
        &[],
    ] {
        let mut rig = with_three();
        plain(&mut rig);
        assert_eq!(rig.reply_with(B, Some(bad)), []);
        assert_eq!(rig.count("failures"), 1);
    }
}

#[test]
fn everything_is_told_again_after_its_interval_but_not_what_came_from_there() {
    let mut rig = Rig::new();
    rig.present(&asset(1), None);
    rig.present(&asset(2), Some(B));
    plain(&mut rig);
    let begin = rig.now;
    rig.reply_with(B, Some(NORMAL));
    assert_eq!(rig.reply_with(B, Some(&[b"assets", b"A"])), []);
    assert_eq!(rig.run_to(begin + 899_999), []);
    let effects = rig.run_to(begin + 990_000);
    assert!(asks(&effects), "by now");
    let effects = rig.reply_with(B, Some(NORMAL));
    assert_eq!(commands(&effects), [(Command::Assets, asset(1).payload)]);
    assert_eq!(
        rig.reply_with(B, Some(&[b"assets", b"A"])),
        [],
        "and no more"
    );
}

#[test]
fn an_answer_in_no_known_language_is_a_plain_peer_and_counted() {
    for (frames, garbage) in [
        (&[b"OVL1".as_slice(), b"A".as_slice()][..], 0),
        (&[b"E", b"what"], 1),
        (&[b"OVL1", b"M"], 1),
        (&[b"OVL1"], 1),
        (&[], 1),
    ] {
        let mut rig = with_three();
        rig.step(Input::NewPeer(B));
        let effects = rig.reply_with(B, Some(frames));
        assert!(asks(&effects));
        assert_eq!(rig.mode(B), Mode::Plain);
        assert_eq!(rig.count("garbage"), garbage);
        assert_eq!(rig.count("peers_plain"), 1);
    }
}

#[test]
fn a_peer_that_forgets_our_language_is_plain_from_then_on() {
    let mut rig = with_three();
    rig.befriend(B);
    let effects = rig.reply_with(B, Some(&[b"OVL1", b"A"]));
    assert!(asks(&effects));
    assert_eq!(rig.acked(B), 0);
}

#[test]
fn a_plain_peer_that_greets_us_is_greeted_anew() {
    let mut rig = with_three();
    plain(&mut rig);
    rig.reply_with(B, Some(&[b"I", b"{\"normal\":false}"]));
    let effects = rig.request(B, &Message::Hello(rig::hello(rig::EPOCH)));
    assert!(matches!(rig::sent(&effects), Some(Message::Hello(_))));
    let effects = rig.reply(B, &rig::hello_ack(rig::EPOCH, 0));
    assert_eq!(rig::bundles_to(&effects, B).len(), 3);
}

#[test]
fn a_garbled_answer_to_a_batch_asks_for_a_new_proof() {
    let mut rig = with_three();
    rig.befriend(B);
    rig.reply_with(B, Some(&[b"OVL1", b"Mxx"]));
    let effects = rig.run_to(rig.now + 1_250);
    assert!(matches!(rig::sent(&effects), Some(Message::Hello(_))));
}
