//! What is counted of requests, without sockets.

use super::*;
use crate::core::chain::LOCAL;
use crate::shell::counters::requests::{DROPPED, REFUSED};

const KEY: [u8; 32] = [7; 32];

/// A service with whatever takes its questions.
struct Rig {
    service: PeerService,
    inputs: queue::Receiver<Input>,
    asked: queue::Receiver<Asking>,
    answers: Sender<Answer>,
    requests: Requests,
    access: Access,
    shown: Arc<Shown>,
}

impl Rig {
    fn new(room: usize) -> Self {
        let (to_owner, inputs) = queue::bounded(room);
        let (to_readers, asked) = queue::bounded(room);
        let (answers, answered) = crossbeam_channel::bounded(8);
        let requests = Requests::new(["command", "result"]);
        let access = Access::default();
        let shown = Arc::<Shown>::default();
        let service = PeerService::new(Parts {
            chain: &LOCAL,
            shown: Arc::clone(&shown),
            inputs: to_owner,
            readers: to_readers,
            answers: answered,
            access: access.clone(),
            requests: requests.clone(),
            stop: Arc::default(),
        });
        Self {
            service,
            inputs,
            asked,
            answers,
            requests,
            access,
            shown,
        }
    }

    fn ask(&mut self, body: &[&[u8]]) {
        let mut frames = vec![b"id".to_vec(), Vec::new()];
        frames.extend(body.iter().map(|frame| frame.to_vec()));
        let received = Received {
            frames,
            client: Some(KEY),
            ..Received::default()
        };
        self.service.message(0, received);
    }

    fn count(&self, name: &'static str, result: &'static str) -> u64 {
        self.requests.get(name, result)
    }
}

#[test]
fn what_is_answered_at_once_is_counted_by_its_command_and_a_stranger_s_as_other() {
    let mut rig = Rig::new(1);
    rig.ask(&[b"local", b"N"]);
    rig.ask(&[b"local", b"I"]);
    rig.ask(&[b"local", b"heart", b"beat"]);
    rig.ask(&[b"local", b"E"]);
    rig.ask(&[b"local", b"{\"\n"]);
    rig.ask(&[b"bitmark", b"N"]);
    rig.ask(&[b"local", b"B", b"short"]);
    rig.ask(&[b"local"]);
    for (name, result, times) in [
        ("N", ANSWERED, 1),
        ("I", ANSWERED, 1),
        ("heart", ANSWERED, 1),
        (OTHER, ANSWERED, 2),
        ("N", ERROR, 1),
        ("B", ERROR, 1),
        (OTHER, ERROR, 1),
    ] {
        assert_eq!(rig.count(name, result), times, "{name} {result}");
    }
    assert_eq!(std::iter::from_fn(|| rig.service.next_reply()).count(), 8);
}

#[test]
fn what_others_answer_is_counted_when_they_have() {
    let mut rig = Rig::new(8);
    rig.ask(&[b"local", b"H", &[0; 8]]);
    rig.ask(&[b"local", b"B", &[9; 8]]);
    rig.ask(&[b"local", b"transfer", b"record"]);
    let tickets: Vec<Ticket> = std::iter::from_fn(|| rig.asked.try_recv().ok())
        .map(|(ticket, _)| ticket)
        .collect();
    assert_eq!((tickets.len(), rig.count("H", ANSWERED)), (2, 0));
    let Ok(Input::Request { ticket, .. }) = rig.inputs.try_recv() else {
        panic!("the owner is not asked");
    };
    let hash = Reply::digest(&LOCAL.genesis_digest);
    rig.answers.send((tickets[0], hash)).unwrap();
    let missing = Reply::block_not_found();
    rig.answers.send((tickets[1], missing)).unwrap();
    let taken = Reply::acknowledge(b"transfer");
    rig.answers.send((ticket, taken)).unwrap();
    rig.service.woken();
    assert_eq!(rig.count("H", ANSWERED), 1);
    assert_eq!(rig.count("B", ERROR), 1);
    assert_eq!(rig.count("transfer", ANSWERED), 1);
    assert!(rig.service.begun.is_empty());
}

#[test]
fn a_block_that_was_asked_for_is_answered_again_without_the_readers_until_blocks_come_off() {
    let mut rig = Rig::new(8);
    let question: [&[u8]; 3] = [b"local", b"B", &2_u64.to_be_bytes()];
    let answer = |rig: &mut Rig, bytes: &[u8]| {
        let (ticket, _) = rig.asked.try_recv().unwrap();
        let block = Reply::block(bytes.to_vec());
        rig.answers.send((ticket, block)).unwrap();
        rig.service.woken();
    };
    let last = |rig: &mut Rig| {
        let reply = std::iter::from_fn(|| rig.service.next_reply()).last();
        reply.map(|(_, frames)| frames.last().unwrap().clone())
    };
    rig.ask(&question);
    answer(&mut rig, b"old");
    rig.ask(&question);
    assert!(rig.asked.try_recv().is_err());
    assert_eq!(last(&mut rig).unwrap(), b"old");
    assert_eq!(rig.count("B", ANSWERED), 2);
    // The readers may have read before the block came off: their answer counts once.
    rig.ask(&[b"local", b"B", &3_u64.to_be_bytes()]);
    rig.shown.branch.store(1, Ordering::SeqCst);
    answer(&mut rig, b"stale");
    rig.ask(&question);
    answer(&mut rig, b"new");
    rig.ask(&[b"local", b"B", &3_u64.to_be_bytes()]);
    answer(&mut rig, b"fresh");
    assert_eq!(last(&mut rig).unwrap(), b"fresh");
    rig.ask(&question);
    assert_eq!(last(&mut rig).unwrap(), b"new");
    assert!(rig.service.keeping.is_empty());
}

#[test]
fn what_is_known_at_once_waits_for_what_its_client_asked_before() {
    let mut rig = Rig::new(8);
    let leaving = |rig: &mut Rig| -> Vec<Vec<u8>> {
        let replies = std::iter::from_fn(|| rig.service.next_reply());
        replies
            .map(|(_, mut frames)| frames.swap_remove(2))
            .collect()
    };
    rig.ask(&[b"local", b"B", &2_u64.to_be_bytes()]);
    rig.ask(&[b"local", b"N"]);
    assert!(leaving(&mut rig).is_empty());
    let (ticket, _) = rig.asked.try_recv().unwrap();
    let block = Reply::block(b"block".to_vec());
    rig.answers.send((ticket, block)).unwrap();
    rig.service.woken();
    assert_eq!(leaving(&mut rig), [b"B".to_vec(), b"N".to_vec()]);
    rig.ask(&[b"local", b"I"]);
    assert_eq!(leaving(&mut rig), [b"I".to_vec()]);
    assert!(rig.service.order.is_empty());
}

#[test]
fn what_has_no_answer_is_refused_or_dropped() {
    let mut rig = Rig::new(1);
    rig.ask(&[b"local", b"H", &[0; 8]]);
    // Nobody takes this one: its connection is forgotten, and the first question with it.
    rig.ask(&[b"local", b"B", &[0; 8]]);
    assert_eq!((rig.count("B", DROPPED), rig.count("H", DROPPED)), (1, 0));
    let (ticket, _) = rig.asked.try_recv().unwrap();
    let late = Reply::digest(&LOCAL.genesis_digest);
    rig.answers.send((ticket, late)).unwrap();
    rig.service.woken();
    assert_eq!((rig.count("H", DROPPED), rig.count("H", ANSWERED)), (1, 0));
    assert!(rig.service.begun.is_empty());
    rig.access.ban(PeerPublicKey(KEY), u64::MAX);
    rig.ask(&[b"local", b"N"]);
    assert_eq!((rig.count("N", REFUSED), rig.count("N", ANSWERED)), (1, 0));
    assert!(rig.service.next_reply().is_none());
}
