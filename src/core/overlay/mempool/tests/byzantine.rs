//! Peers that do what they like (`proto/mempool.md`, section 5): no cursor moves as it should not,
//! the bounds hold, and nothing panics.

use proptest::collection::vec;
use proptest::prelude::*;

use super::rig::{EPOCH, batch, batch_to, hello, hello_ack, key, refusal, sent, validation};
use super::*;

const B: PeerPublicKey = key(2);
const C: PeerPublicKey = key(3);

fn with_batch_on_its_way() -> Rig {
    let mut rig = Rig::new();
    for number in 1..=3 {
        rig.present(&asset(number), None);
    }
    rig.befriend(B);
    rig
}

#[test]
fn acknowledgements_beyond_what_was_sent_or_of_another_log_move_nothing() {
    for (epoch, upto, event) in [
        (0, 4, Event::AckBeyond),
        (0, u64::MAX, Event::AckBeyond),
        (1, 3, Event::AckOfAnotherEpoch),
    ] {
        let mut rig = with_batch_on_its_way();
        let ack = rig::good_ack(rig.machine.epoch().wrapping_add(epoch), upto);
        let effects = rig.reply(B, &Message::BatchAck(ack));
        assert_eq!(rig::events(&effects), [event]);
        assert_eq!(rig::offences(&effects), [Offence::FalseAck]);
        assert_eq!((rig.acked(B), rig.count("false_acks")), (0, 1));
        let batch = batch_to(&rig.run_to(rig.now + 500), B).unwrap();
        assert_eq!((batch.after, batch.upto), (0, 3), "once more");
    }
}

#[test]
fn a_greeting_that_claims_more_than_there_is_gains_nothing() {
    let mut rig = with_batch_on_its_way();
    rig.ack(B, 2);
    rig.step(Input::NewPeer(B));
    let effects = rig.reply(B, &hello_ack(EPOCH, u64::MAX));
    assert_eq!(rig::events(&effects), [Event::AckBeyond]);
    assert_eq!(batch_to(&effects, B).unwrap().after, 2);
}

#[test]
fn a_pull_that_acknowledges_what_was_not_sent_gains_nothing() {
    let mut rig = Rig::new();
    rig.present(&asset(1), None);
    rig.present(&asset(2), None);
    let epoch = rig.machine.epoch();
    rig.request(B, &Message::Hello(hello(EPOCH)));
    let effects = rig.request(
        B,
        &Message::Pull(Pull {
            epoch,
            after: 2,
            max_items: 0,
            max_bytes: 0,
        }),
    );
    assert_eq!(rig::events(&effects), [Event::AckBeyond]);
    assert_eq!(rig.acked(B), 0);
}

#[test]
fn keys_that_anybody_can_make_push_out_nobody_who_was_of_use() {
    let mut rig = Rig::with(Settings {
        peers: 4,
        ..Settings::default()
    });
    // One that only connects to us, and brought something.
    rig.request(B, &Message::Hello(hello(EPOCH)));
    let ack = rig.offer(B, &batch(EPOCH, 0, 1, &[(1, asset(1))]));
    assert_eq!(ack.accepted, 1);
    for number in 10..200 {
        rig.now += 1_000;
        rig.request(key(number), &Message::Hello(hello(EPOCH)));
    }
    assert!(rig.machine.knows(&B));
    assert!(rig.machine.knows(&key(199)), "a newcomer has its chance");
}

#[test]
fn who_never_greeted_has_no_place_and_is_told_to() {
    let mut rig = Rig::new();
    rig.present(&asset(1), None);
    let epoch = rig.machine.epoch();
    let pull = Pull {
        epoch,
        after: 0,
        max_items: 9,
        max_bytes: 999,
    };
    for message in [Message::Pull(pull), batch(EPOCH, 0, 1, &[(1, asset(2))])] {
        let effects = rig.request(B, &message);
        assert_eq!(refusal(&effects), Some(NackCode::WrongEpoch));
    }
    for _ in 0..50 {
        rig.request_bytes(C, b"M\x01?".to_vec());
    }
    assert!(!rig.machine.knows(&B) && !rig.machine.knows(&C));
}

#[test]
fn eight_keys_that_anybody_can_make_leave_places_to_those_of_use() {
    let mut rig = Rig::new();
    rig.befriend(B);
    let bad = |id: u64| {
        let payload = id.to_be_bytes().to_vec();
        let kind = Kind::Transfer;
        (id, Bundle { kind, payload })
    };
    let mut taken = 0;
    for number in 20..36 {
        rig.request(key(number), &Message::Hello(hello(EPOCH)));
        for id in 1..4 {
            let effects = rig.request(key(number), &batch(EPOCH, 0, id, &[bad(id)]));
            taken += u32::from(validation(&effects).is_some());
        }
    }
    assert_eq!(taken, 8, "half of the places");
    let effects = rig.request(B, &batch(EPOCH, 0, 1, &[(1, asset(1))]));
    assert!(validation(&effects).is_some());
}

#[test]
fn the_log_of_refusals_is_bounded_however_many_keys_there_are() {
    let mut rig = Rig::new();
    let mut lines = 0;
    for number in 0..100 {
        let peer = key(100 + number);
        rig.request(peer, &Message::Hello(hello(EPOCH)));
        for _ in 0..SECURITY_PER_MINUTE {
            lines += rig::events(&rig.request_bytes(peer, b"M\x01?".to_vec())).len();
        }
    }
    assert_eq!(lines, SECURITY_OF_ALL_PER_MINUTE as usize);
    // Those that are connected have lines of their own.
    rig.befriend(B);
    let effects = rig.request_bytes(B, b"M\x01?".to_vec());
    assert_eq!(rig::events(&effects), [Event::Malformed]);
}

#[test]
fn keys_that_were_never_of_use_have_one_share_of_what_is_parked() {
    let mut rig = Rig::with(Settings {
        pool_bundles: 200, // twenty places for parked ones
        ..Settings::default()
    });
    rig.befriend(B);
    for number in 1..=15 {
        let id = u64::from(number);
        rig.offer(B, &batch(EPOCH, id - 1, id, &[(id, proof(number))]));
    }
    for number in 100..200 {
        rig.request(key(number), &Message::Hello(hello(EPOCH)));
        rig.offer(key(number), &batch(EPOCH, 0, 1, &[(1, proof(number))]));
    }
    let left = (1..=15).filter(|number| {
        let sender = rig.machine.parked_sender(&proof(*number).key());
        sender == Some(B)
    });
    assert!(left.count() >= 10);
}

#[test]
fn ever_new_epochs_are_refused_after_a_few_and_cost_the_others_nothing() {
    let mut rig = with_batch_on_its_way();
    rig.befriend(C);
    let mut refused = 0;
    for epoch in 1_000..1_100 {
        let effects = rig.request(B, &Message::Hello(hello(epoch)));
        refused += u32::from(refusal(&effects) == Some(NackCode::Busy));
    }
    assert_eq!(refused, 95, "the first epoch counts, too");
    rig.ack(C, 3);
    assert_eq!(rig.acked(C), 3);
    rig.now += 60_000;
    let effects = rig.request(B, &Message::Hello(hello(2_000)));
    assert_eq!(refusal(&effects), None);
}

#[test]
fn ever_new_epochs_in_answers_are_slowed_down() {
    let mut rig = Rig::new();
    rig.present(&asset(1), None);
    let mut effects = rig.step(Input::NewPeer(B));
    let mut greetings = 0;
    for epoch in 1..200 {
        effects = match sent(&effects) {
            Some(Message::Hello(_)) => {
                greetings += 1;
                rig.reply(B, &hello_ack(epoch, 0))
            }
            Some(Message::Batch(_)) => {
                let epoch = 0;
                let nack = Nack {
                    epoch,
                    code: NackCode::WrongEpoch,
                    retry_after_ms: 0,
                };
                rig.reply(B, &Message::Nack(nack))
            }
            _ => rig.run_to(rig.now + 100),
        };
    }
    assert!(
        rig.now < 30_000 && greetings < 40,
        "{greetings} in {}",
        rig.now
    );
}

#[test]
fn batches_of_invalid_bundles_are_decided_penalised_and_fill_nothing() {
    let mut rig = Rig::new();
    rig.request(B, &Message::Hello(hello(EPOCH)));
    let mut lines = 0;
    for round in 0..20 {
        let items: Vec<_> = (1..=100)
            .map(|number| {
                let payload = vec![b'x', round, number];
                let kind = Kind::Transfer;
                let id = u64::from(round) * 100 + u64::from(number);
                (id, Bundle { kind, payload })
            })
            .collect();
        let after = u64::from(round) * 100;
        let effects = rig.request(B, &batch(EPOCH, after, after + 100, &items));
        let (job, bundles) = validation(&effects).unwrap();
        let effects = rig.decide(job, Some(B), &bundles);
        assert_eq!(rig::offences(&effects), [Offence::InvalidBundle]);
        lines += rig::events(&effects).len();
        let effects = rig.request(
            B,
            &batch(EPOCH, after + 100, after + 101, &[(after + 101, asset(1))]),
        );
        assert_eq!(refusal(&effects), Some(NackCode::Busy), "it waits");
        rig.now += 30_000;
    }
    assert_eq!(lines, 100, "ten a minute");
    assert_eq!((rig.count("invalid"), rig.count("penalties")), (2_000, 20));
    assert_eq!((rig.count("parked"), rig.count("timeline_length")), (0, 0));
}

#[test]
fn as_many_tiny_bundles_as_can_be_counted_are_over_the_limit() {
    let mut rig = Rig::new();
    rig.request(B, &Message::Hello(hello(EPOCH)));
    let tiny = |id: u64| {
        let kind = Kind::Assets;
        let payload = Vec::new();
        (id, Bundle { kind, payload })
    };
    let items: Vec<_> = (1..=65_535).map(tiny).collect();
    let message = batch(EPOCH, 0, 70_000, &items);
    let effects = rig.request(B, &message);
    assert_eq!(validation(&effects), None);
    assert_eq!(refusal(&effects), Some(NackCode::Malformed));
    assert_eq!(rig::offences(&effects), [Offence::OverLimit]);
}

#[test]
fn bundles_with_dependants_only_fill_a_tenth_and_keep_nobody_out() {
    let mut rig = Rig::with(Settings {
        pool_bundles: 100,
        ..Settings::default()
    });
    rig.request(B, &Message::Hello(hello(EPOCH)));
    rig.request(C, &Message::Hello(hello(EPOCH)));
    for round in 0..4_u8 {
        let first = u64::from(round) * 50;
        let items: Vec<_> = (1..=50)
            .map(|number| (first + u64::from(number), proof(round * 50 + number)))
            .collect();
        let ack = rig.offer(B, &batch(EPOCH, first, first + 50, &items));
        assert_eq!((ack.upto, ack.parked), (first + 50, 50));
        assert_eq!(rig.count("parked"), 10);
    }
    let items = [(1, asset(1)), (2, issues(1, 1)), (3, proof(1))];
    let ack = rig.offer(C, &batch(EPOCH, 0, 3, &items));
    assert_eq!(ack.accepted, 3);
}

#[test]
fn replays_move_nothing_and_are_not_decided_twice() {
    let mut rig = Rig::new();
    rig.request(B, &Message::Hello(hello(EPOCH)));
    let old = batch(EPOCH, 0, 1, &[(1, asset(1))]);
    rig.offer(B, &old);
    rig.offer(B, &batch(EPOCH, 1, 2, &[(2, asset(2))]));
    for _ in 0..100 {
        let effects = rig.request(B, &old);
        assert_eq!(validation(&effects), None);
    }
    assert_eq!(rig.machine.peers(0)[0].remote_done, 2);
}

#[test]
fn answers_to_a_pull_that_was_not_asked_for_so_are_not_taken() {
    for (wrong, offended) in [
        (batch(EPOCH, 1, 2, &[(2, asset(1))]), true),
        (batch(EPOCH + 1, 0, 2, &[(2, asset(1))]), false),
        (Message::Hello(hello(EPOCH)), false),
    ] {
        let mut rig = Rig::new();
        rig.connect(B);
        let effects = rig.reply(B, &wrong);
        assert_eq!(validation(&effects), None);
        assert_eq!(!rig::offences(&effects).is_empty(), offended);
        assert_eq!(rig.machine.peers(0)[0].remote_done, 0);
    }
}

#[test]
fn a_stream_of_full_answers_has_no_more_than_its_places() {
    let mut rig = Rig::with(Settings {
        shared_mempool_batch_size: 1,
        ..Settings::default()
    });
    rig.connect(B);
    rig.reply(B, &batch(EPOCH, 0, 1, &[(1, asset(1))]));
    assert_eq!(
        rig.run_to(rig.now + 30_000),
        [],
        "the first is being decided"
    );
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let tail = vec(any::<u8>(), 0..60);
    let framed =
        (1..8_u8, tail).prop_map(|(kind, tail)| [&[MAGIC, VERSION, kind][..], &tail].concat());
    let item = (0..9_u64, 0..4_usize, 0..9_u8).prop_map(|(id, kind, number)| {
        let kind = Kind::ALL[kind];
        let payload = vec![b"aitpx"[usize::from(number % 5)], number, number % 3];
        (id, Bundle { kind, payload })
    });
    let batches = (0..3_u64, 0..9_u64, 0..12_u64, vec(item, 0..5))
        .prop_map(|(epoch, after, upto, items)| batch(EPOCH + epoch, after, upto, &items).encode());
    let hellos = (0..9_u64).prop_map(|epoch| Message::Hello(hello(EPOCH + epoch)).encode());
    let acks = (0..3_u64, 0..9_u64)
        .prop_map(|(epoch, upto)| Message::BatchAck(rig::good_ack(epoch, upto)).encode());
    prop_oneof![vec(any::<u8>(), 0..40), framed, batches, hellos, acks]
}

#[derive(Debug, Clone)]
enum Act {
    Request(u8, Vec<u8>),
    Reply(u8, u64, Option<Vec<Vec<u8>>>),
    New(u8),
    Lost(u8),
    Present(u8, u8),
    Gone(u8, u8),
    Decide(u64, Vec<u8>),
    Mode(bool),
    Chain,
    Wait(u16),
}

fn act() -> impl Strategy<Value = Act> {
    let frames = prop_oneof![
        request().prop_map(|payload| vec![b"OVL1".to_vec(), payload]),
        Just(vec![b"OVL1".to_vec(), b"A".to_vec()]),
        Just(vec![b"I".to_vec(), b"{\"normal\":true}".to_vec()]),
        vec(vec(any::<u8>(), 0..9), 0..4),
    ];
    prop_oneof![
        6 => (0..4_u8, request()).prop_map(|(peer, payload)| Act::Request(peer, payload)),
        6 => (0..4_u8, 0..9_u64, proptest::option::of(frames)).prop_map(|(p, g, f)| Act::Reply(p, g, f)),
        2 => (0..4_u8).prop_map(Act::New),
        1 => (0..4_u8).prop_map(Act::Lost),
        3 => (0..4_u8, 0..9_u8).prop_map(|(kind, number)| Act::Present(kind, number)),
        1 => (0..4_u8, 0..9_u8).prop_map(|(kind, number)| Act::Gone(kind, number)),
        3 => (0..9_u64, vec(0..5_u8, 0..5)).prop_map(|(job, verdicts)| Act::Decide(job, verdicts)),
        1 => any::<bool>().prop_map(Act::Mode),
        1 => Just(Act::Chain),
        2 => (0..60_000_u16).prop_map(Act::Wait),
    ]
}

fn bundle(kind: u8, number: u8) -> Bundle {
    match kind {
        0 => asset(number),
        1 => issues(number, number),
        2 => proof(number),
        _ => transfer(number, 0),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// After each input the rig checks the invariants.
    #[test]
    fn nothing_that_is_said_to_it_breaks_it(acts in vec(act(), 0..80)) {
        let mut rig = Rig::with(Settings { peers: 3, pool_bundles: 20, ..Settings::default() });
        for act in acts {
            let effects = match act {
                Act::Request(peer, payload) => {
                    let effects = rig.request_bytes(key(peer), payload);
                    let now = rig::answer(&effects).is_some();
                    prop_assert!(now != validation(&effects).is_some() || now);
                    effects
                }
                Act::Reply(peer, generation, frames) => {
                    let peer = key(peer);
                    let known = rig.machine.peers.get(&peer).map(|known| known.generation);
                    let generation = if generation == 0 { 0 } else { known.unwrap_or(1) };
                    rig.step(Input::Reply { peer, generation, frames })
                }
                Act::New(peer) => rig.step(Input::NewPeer(key(peer))),
                Act::Lost(peer) => rig.step(Input::LostPeer(key(peer))),
                Act::Present(kind, number) => {
                    let origin = (number % 2 == 0).then_some(key(number % 4));
                    rig.present(&bundle(kind, number), origin)
                }
                Act::Gone(kind, number) => rig.gone(&bundle(kind, number)),
                Act::Decide(job, verdicts) => {
                    let all = [Verdict::Accepted, Verdict::Duplicate, Verdict::Invalid, Verdict::Waits, Verdict::NoRoom];
                    let verdicts = verdicts.iter().map(|at| all[usize::from(*at)]).collect();
                    rig.step(Input::Validated { job, verdicts })
                }
                Act::Mode(normal) => rig.step(Input::Mode { normal }),
                Act::Chain => rig.step(Input::ChainChanged),
                Act::Wait(time) => rig.run_to(rig.now + u64::from(time)),
            };
            prop_assert!(effects.len() < 10_000);
            let open: Vec<_> = rig.machine.peers.iter().filter(|(_, peer)| peer.open.is_some()).collect();
            prop_assert!(open.iter().all(|(_, peer)| peer.alive));
        }
    }
}

#[test]
fn a_bundle_that_is_pushed_out_while_it_is_tried_anew_does_not_go_back_to_its_sender() {
    let mut rig = Rig::with(Settings {
        pool_bundles: 10, // one place for parked ones
        ..Settings::default()
    });
    rig.befriend(B);
    rig.befriend(C);
    let ack = rig.offer(B, &batch(EPOCH, 0, 1, &[(1, issues(1, 1))]));
    assert_eq!(ack.parked, 1);
    let mut effects = rig.present(&asset(1), None);
    for peer in [B, C] {
        rig.ack(peer, 1);
    }
    let (job, bundles) = loop {
        if let Some(found) = validation(&effects) {
            break found;
        }
        effects = rig.run_to(rig.now + 100);
    };
    assert_eq!(bundles, [issues(1, 1)]);
    // Its place is taken before the pools have answered.
    let ack = rig.offer(C, &batch(EPOCH, 0, 1, &[(1, proof(9))]));
    assert_eq!(ack.parked, 1);
    assert_eq!(rig.machine.parked_sender(&issues(1, 1).key()), Some(B));
    let effects = rig.decide(job, None, &bundles);
    assert_eq!(rig::bundles_to(&effects, C), [issues(1, 1)]);
    assert!(rig::bundles_to(&effects, B).is_empty());
    let later = rig.run_to(rig.now + 5_000);
    assert!(rig::bundles_to(&later, B).is_empty());
}
