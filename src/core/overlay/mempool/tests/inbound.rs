//! What peers send us and what they are answered: one answer each, as far as it is decided.

use super::rig::{EPOCH, answer, batch, hello, key, refusal, validation};
use super::*;

const B: PeerPublicKey = key(2);
const C: PeerPublicKey = key(3);

/// One that B greeted.
fn greeted() -> Rig {
    let mut rig = Rig::new();
    rig.request(B, &Message::Hello(hello(EPOCH)));
    rig
}

fn pull(rig: &Rig, after: u64) -> Message {
    Message::Pull(Pull {
        epoch: rig.machine.epoch(),
        after,
        max_items: 2,
        max_bytes: 1_000,
    })
}

fn answered(effects: &[Effect]) -> Batch {
    match answer(effects) {
        Some(Message::Batch(batch)) => batch,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_greeting_is_answered_with_what_is_done() {
    let mut rig = Rig::new();
    let effects = rig.request(B, &Message::Hello(hello(EPOCH)));
    let Some(Message::HelloAck(ours, 0)) = answer(&effects) else {
        panic!("{effects:?}");
    };
    assert_eq!(ours.epoch, rig.machine.epoch());
    assert_eq!((ours.max_items, ours.max_bytes), (100, 262_144));
    rig.offer(B, &batch(EPOCH, 0, 4, &[(2, asset(1))]));
    let resumes = |rig: &mut Rig, epoch| {
        let effects = rig.request(B, &Message::Hello(hello(epoch)));
        match answer(&effects) {
            Some(Message::HelloAck(_, resume)) => resume,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(resumes(&mut rig, EPOCH), 4);
    assert_eq!(resumes(&mut rig, EPOCH + 1), 0, "a new log");
    assert_eq!(resumes(&mut rig, EPOCH), 0, "the old one is forgotten");
}

#[test]
fn a_batch_of_an_epoch_that_was_not_told_is_refused() {
    let mut rig = Rig::new();
    let message = batch(EPOCH, 0, 1, &[(1, asset(1))]);
    assert_eq!(
        refusal(&rig.request(B, &message)),
        Some(NackCode::WrongEpoch)
    );
    let nothing = batch(0, 0, 1, &[(1, asset(1))]);
    assert_eq!(
        refusal(&rig.request(B, &nothing)),
        Some(NackCode::WrongEpoch)
    );
    rig.request(B, &Message::Hello(hello(EPOCH)));
    assert_eq!(rig.offer(B, &message).accepted, 1);
}

#[test]
fn a_batch_behind_a_gap_is_answered_with_the_gap() {
    let mut rig = greeted();
    let ack = rig.offer(B, &batch(EPOCH, 3, 5, &[(5, asset(1))]));
    assert_eq!((ack.upto, ack.accepted), (0, 0));
    assert_eq!(rig.offer(B, &batch(EPOCH, 0, 3, &[])).upto, 3, "it moves");
    let ack = rig.offer(B, &batch(EPOCH, 3, 5, &[(5, asset(1))]));
    assert_eq!((ack.upto, ack.accepted), (5, 1));
}

#[test]
fn verdicts_are_counted_and_all_of_them_are_decided() {
    let mut rig = greeted();
    let one = rig.machine.subscribe().unwrap();
    rig.present(&asset(9), None);
    let wrong = Bundle {
        kind: Kind::Assets,
        payload: b"x".to_vec(),
    };
    let items = [
        (1, asset(1)),
        (3, asset(9)),
        (4, wrong.clone()),
        (6, issues(5, 5)),
    ];
    let effects = rig.request(B, &batch(EPOCH, 0, 8, &items));
    assert_eq!(answer(&effects), None, "later");
    let (job, bundles) = validation(&effects).unwrap();
    let effects = rig.decide(job, Some(B), &bundles);
    let Some(Message::BatchAck(ack)) = answer(&effects) else {
        panic!("{effects:?}");
    };
    assert_eq!(ack.upto, 8);
    assert_eq!(
        [ack.accepted, ack.duplicate, ack.invalid, ack.parked],
        [1; 4]
    );
    assert_eq!(ack.credit, 2);
    assert!(effects.contains(&Effect::Security {
        event: Event::InvalidBundle,
        peer: B,
        key: Some(wrong.key()),
    }));
    assert_eq!(rig::offences(&effects), [Offence::InvalidBundle]);
    let news = rig.machine.take_notices(one);
    assert!(news.contains(Notices::NEW_TRANSACTIONS));
    rig.now += 30_000;
    rig.offer(B, &batch(EPOCH, 8, 9, &[(9, asset(1))]));
    let news = rig.machine.take_notices(one);
    assert!(!news.contains(Notices::NEW_TRANSACTIONS), "nothing new");
}

#[test]
fn what_there_is_no_room_for_is_not_acknowledged() {
    let mut rig = greeted();
    rig.pool.room = 2;
    let items: Vec<_> = (1..=4).map(|id| (u64::from(id) * 2, asset(id))).collect();
    let ack = rig.offer(B, &batch(EPOCH, 0, 9, &items));
    assert_eq!((ack.upto, ack.accepted), (4, 2));
    assert_eq!((ack.credit, ack.retry_after_ms), (0, 1_000));
    rig.pool.room = 10;
    let ack = rig.offer(B, &batch(EPOCH, 4, 9, &items[2..]));
    assert_eq!((ack.upto, ack.accepted), (9, 2));
}

#[test]
fn the_prefix_ends_where_something_is_undecided_whatever_stands_behind() {
    let mut rig = greeted();
    let items = [(1, asset(1)), (2, asset(2)), (3, asset(3))];
    let verdicts = |middle| vec![Verdict::Accepted, middle, Verdict::Accepted];
    let effects = rig.request(B, &batch(EPOCH, 0, 3, &items));
    let (job, _) = validation(&effects).unwrap();
    let verdicts_1 = verdicts(Verdict::NoRoom);
    let effects = rig.step(Input::Validated {
        job,
        verdicts: verdicts_1,
    });
    assert!(matches!(answer(&effects), Some(Message::BatchAck(ack)) if ack.upto == 1));
    // Too few verdicts: the rest is not decided.
    let effects = rig.request(B, &batch(EPOCH, 1, 3, &items[1..]));
    let (job, bundles) = validation(&effects).unwrap();
    assert_eq!(bundles.len(), 2);
    let verdicts = vec![Verdict::Duplicate];
    let effects = rig.step(Input::Validated { job, verdicts });
    assert!(matches!(answer(&effects), Some(Message::BatchAck(ack)) if ack.upto == 2));
    assert_eq!(
        rig.step(Input::Validated {
            job,
            verdicts: vec![]
        }),
        [],
        "again"
    );
}

#[test]
fn what_was_decided_before_is_not_decided_again() {
    let mut rig = greeted();
    let message = batch(EPOCH, 0, 2, &[(1, asset(1)), (2, asset(2))]);
    assert_eq!(rig.offer(B, &message).accepted, 2);
    let effects = rig.request(B, &message);
    assert_eq!(validation(&effects), None);
    assert!(matches!(answer(&effects), Some(Message::BatchAck(ack))
        if ack.upto == 2 && ack.duplicate == 2 && ack.accepted == 0));
    let longer = batch(EPOCH, 1, 3, &[(2, asset(2)), (3, asset(3))]);
    let ack = rig.offer(B, &longer);
    assert_eq!((ack.upto, ack.accepted, ack.duplicate), (3, 1, 1));
}

#[test]
fn records_of_a_peer_that_was_started_anew_meanwhile_count_but_not_its_batch() {
    let mut rig = greeted();
    let effects = rig.request(B, &batch(EPOCH, 0, 1, &[(1, asset(1))]));
    let (job, bundles) = validation(&effects).unwrap();
    let effects = rig.request(B, &Message::Hello(hello(EPOCH + 1)));
    assert!(
        matches!(answer(&effects), Some(Message::HelloAck(_, 0))),
        "it waits for nothing"
    );
    let effects = rig.decide(job, Some(B), &bundles);
    assert_eq!(refusal(&effects), Some(NackCode::WrongEpoch));
    assert_eq!(rig.count("timeline_length"), 1);
    assert_eq!(rig.machine.peers(0)[0].remote_done, 0);
}

#[test]
fn peers_come_and_go_while_batches_are_being_decided() {
    let mut rig = greeted();
    let message = batch(EPOCH, 0, 1, &[(1, asset(1))]);
    let effects = rig.request(B, &message);
    let (job, bundles) = validation(&effects).unwrap();
    rig.step(Input::NewPeer(B));
    assert!(rig.machine.peers(0)[0].alive);
    rig.step(Input::LostPeer(B));
    assert!(!rig.machine.peers(0)[0].alive);
    let effects = rig.decide(job, Some(B), &bundles);
    assert!(matches!(answer(&effects), Some(Message::BatchAck(ack)) if ack.upto == 1));
}

#[test]
fn while_the_node_takes_no_records_batches_are_refused() {
    let mut rig = greeted();
    rig.step(Input::Mode { normal: false });
    let message = batch(EPOCH, 0, 1, &[(1, asset(1))]);
    assert_eq!(
        refusal(&rig.request(B, &message)),
        Some(NackCode::NotNormal)
    );
    let effects = rig.request(B, &Message::Hello(hello(EPOCH)));
    assert!(
        matches!(answer(&effects), Some(Message::HelloAck(ours, 0)) if ours.flags == FLAG_RELAY)
    );
    rig.step(Input::Mode { normal: true });
    assert_eq!(rig.offer(B, &message).accepted, 1);
}

#[test]
fn a_pull_is_answered_at_once_and_the_next_acknowledges() {
    let mut rig = greeted();
    for number in 1..=3 {
        rig.present(&asset(number), None);
    }
    let all = rig.request(B, &pull(&rig, 0));
    let first = answered(&all);
    assert_eq!((first.after, first.upto, first.items.len()), (0, 2, 2));
    assert_eq!(rig.acked(B), 0);
    let second = answered(&rig.request(B, &pull(&rig, 2)));
    assert_eq!((second.after, second.upto, second.items.len()), (2, 3, 1));
    assert_eq!((rig.acked(B), rig.count("acked_bundles")), (2, 2));
    let third = answered(&rig.request(B, &pull(&rig, 3)));
    assert_eq!((third.upto, third.items.len()), (3, 0));
    assert_eq!((rig.acked(B), rig.count("acked_bundles")), (3, 3));
    let wrong = Message::Pull(Pull {
        epoch: 1,
        after: 0,
        max_items: 9,
        max_bytes: 9,
    });
    assert_eq!(refusal(&rig.request(B, &wrong)), Some(NackCode::WrongEpoch));
    assert_eq!(
        refusal(&rig.request(B, &pull(&rig, 4))),
        Some(NackCode::WrongEpoch)
    );
}

#[test]
fn a_pull_gives_a_peer_nothing_that_it_sent_nor_what_it_is_sent_anyway() {
    let mut rig = greeted();
    rig.offer(B, &batch(EPOCH, 0, 1, &[(1, asset(1))]));
    rig.present(&asset(2), Some(C));
    let batch = answered(&rig.request(B, &pull(&rig, 0)));
    assert_eq!((batch.upto, batch.items.len()), (2, 1));
    rig.connect(B);
    rig.present(&asset(3), None);
    let batch = answered(&rig.request(B, &pull(&rig, 2)));
    assert_eq!((batch.upto, batch.items.len()), (2, 0), "it is on its way");
}

#[test]
fn a_peer_that_greets_in_a_new_epoch_is_greeted_before_anything_else() {
    let mut rig = Rig::new();
    rig.present(&asset(1), None);
    rig.befriend(B);
    rig.ack(B, 1);
    let effects = rig.request(B, &Message::Hello(hello(EPOCH + 1)));
    assert!(matches!(rig::sent(&effects), Some(Message::Hello(_))));
    let effects = rig.reply(B, &rig::hello_ack(EPOCH + 1, 0));
    assert_eq!(rig::bundles_to(&effects, B), [asset(1)]);
}

#[test]
fn an_acknowledgement_of_the_process_that_was_does_not_count() {
    let mut rig = Rig::new();
    rig.present(&asset(1), None);
    rig.befriend(B);
    rig.request(B, &Message::Hello(hello(EPOCH + 1)));
    let effects = rig.ack(B, 1);
    assert_eq!(rig.acked(B), 0);
    assert!(matches!(rig::sent(&effects), Some(Message::Hello(_))));
}

#[test]
fn a_change_of_the_chain_tries_what_is_parked_and_no_room_ends_that() {
    let mut rig = greeted();
    let items = [(1, transfer(1, 7)), (2, transfer(2, 8)), (3, issues(9, 9))];
    let ack = rig.offer(B, &batch(EPOCH, 0, 3, &items));
    assert_eq!((ack.upto, ack.parked), (3, 3));
    assert_eq!(rig.count("parked"), 3);
    rig.pool.confirm(&pool::locate(&issues(7, 7)).unwrap());
    let effects = rig.step(Input::ChainChanged);
    let (job, bundles) = validation(&effects).expect("all are tried");
    assert_eq!(bundles.len(), 3);
    rig.decide(job, None, &bundles);
    assert_eq!((rig.count("parked"), rig.count("timeline_length")), (2, 1));
    rig.connect(B);
    assert_eq!(rig.count("sent_bundles"), 0, "it came from there");
    let effects = rig.step(Input::ChainChanged);
    assert_eq!(validation(&effects), None, "not all the time");
    let effects = rig.run_to(rig.now + 500);
    let (job, _) = validation(&effects).unwrap();
    let verdicts = vec![Verdict::NoRoom, Verdict::Invalid];
    rig.step(Input::Validated { job, verdicts });
    assert_eq!((rig.count("parked"), rig.count("no_room")), (1, 1));
    // Where there was no room, it is tried again without a block.
    let effects = rig.run_to(rig.now + 30_000);
    assert_eq!(validation(&effects).map(|(_, all)| all.len()), Some(1));
}

#[test]
fn what_its_need_came_for_while_it_was_being_decided_is_tried_at_once() {
    let mut rig = greeted();
    let items = [(1, issues(1, 1))];
    let effects = rig.request(B, &batch(EPOCH, 0, 1, &items));
    let (job, _) = validation(&effects).unwrap();
    // The pools said that it waits; then its asset comes, then the verdict.
    rig.present(&asset(1), None);
    let verdicts = vec![Verdict::Waits];
    let effects = rig.step(Input::Validated { job, verdicts });
    assert_eq!(
        validation(&effects).map(|(_, all)| all),
        Some(vec![issues(1, 1)])
    );
}

#[test]
fn a_peer_is_asked_for_its_log_again_when_what_it_brought_made_room() {
    let mut rig = greeted();
    rig.offer(B, &batch(EPOCH, 0, 5, &[(5, asset(1))]));
    rig.gone(&asset(1));
    rig.step(Input::Forgotten(B));
    let ack = rig.offer(B, &batch(EPOCH, 5, 6, &[(6, issues(1, 1))]));
    assert_eq!(ack.upto, 0, "from the beginning");
    let ack = rig.offer(B, &batch(EPOCH, 0, 6, &[(5, asset(1)), (6, issues(1, 1))]));
    assert_eq!((ack.upto, ack.accepted), (6, 2));
    rig.step(Input::Forgotten(B));
    let ack = rig.offer(B, &batch(EPOCH, 6, 7, &[(7, asset(2))]));
    assert_eq!(ack.upto, 7, "not all the time");
}

#[test]
fn the_sender_of_a_parked_bundle_is_known_even_if_the_verdict_is_told_first() {
    let mut rig = greeted();
    rig.offer(B, &batch(EPOCH, 0, 1, &[(1, issues(1, 1))]));
    rig.pool.put(&asset(1));
    let effects = rig.step(Input::ChainChanged);
    let (job, _) = validation(&effects).unwrap();
    let locator = rig.pool.put(&issues(1, 1));
    let verdicts = vec![Verdict::Accepted];
    rig.step(Input::Validated { job, verdicts });
    rig.step(Input::Present {
        locator,
        origin: None,
    });
    assert_eq!(
        rig::bundles_to(&rig.connect(B), B),
        [],
        "both are taken as its"
    );
}
