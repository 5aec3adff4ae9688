//! The look-ahead as a whole: a queue, helpers, and an engine that takes what comes.

use std::time::Instant;

use crate::node::queue::{Sender, bounded};

use super::*;
use crate::core::engine::Effect;
use crate::core::engine::tests::settings;
use crate::core::id::AssetId;
use crate::core::keys::PrivateKey;
use crate::core::listener::{Asked, News, Request, Ticket};
use crate::core::record::{AssetData, BitmarkIssue, Record, sign};
use crate::core::reservoir::Checks;
use crate::core::state::MemoryStore;
use crate::core::time::Now;

const NOW: Now = Now { mono: 1, wall: 1 };
/// Issues of a set.
const SET: u64 = 10;

fn signed(record: Record) -> Vec<u8> {
    let key = PrivateKey::from_ed25519_seed(&[5; 32], true);
    let mut record = record;
    sign(&mut record, &key).unwrap()
}

fn asset() -> Vec<u8> {
    let key = PrivateKey::from_ed25519_seed(&[5; 32], true);
    signed(Record::AssetData(AssetData {
        name: b"looked at".to_vec(),
        fingerprint: b"01ahead".to_vec(),
        metadata: Vec::new(),
        registrant: key.account().unwrap(),
        signature: Vec::new(),
    }))
}

fn issues(set: u64) -> Vec<Vec<u8>> {
    let key = PrivateKey::from_ed25519_seed(&[5; 32], true);
    let issue = |nonce| {
        signed(Record::BitmarkIssue(BitmarkIssue {
            asset_id: AssetId::of(b"01ahead"),
            owner: key.account().unwrap(),
            nonce,
            signature: Vec::new(),
        }))
    };
    (set * SET..(set + 1) * SET).map(issue).collect()
}

fn set(number: u64) -> Vec<u8> {
    issues(number).concat()
}

/// A set of which one signature is bad.
fn forged(number: u64, place: usize) -> Vec<u8> {
    let mut all = issues(number);
    *all[place].last_mut().unwrap() ^= 1;
    all.concat()
}

struct Rig {
    engine: Engine,
    store: MemoryStore,
    ahead: Ahead,
    queue: Sender<Input>,
    asked: u64,
}

impl Rig {
    /// An engine in mode Normal that has the asset.
    fn new(helpers: usize) -> Self {
        let store = MemoryStore::new();
        let (mut engine, _) = Engine::new(NOW, settings(), &store).unwrap();
        engine.start(NOW, &store, &mut Vec::new());
        let (queue, inputs) = bounded(100);
        let mut rig = Self {
            engine,
            store,
            ahead: Ahead::new(inputs, Cores::with_helpers(helpers)),
            queue,
            asked: 0,
        };
        rig.ask(News::Assets(asset()));
        rig.take_all();
        rig
    }

    fn ask(&mut self, news: News) {
        self.asked += 1;
        let input = Input::Request {
            ticket: Ticket(self.asked),
            source: 7,
            client: Some([7; 32]),
            asked: Asked {
                command: b"issues".to_vec(),
                request: Request::News(news),
            },
        };
        self.queue.send(input).unwrap();
    }

    fn step(&mut self, next: Next) -> Vec<Effect> {
        let mut out = Vec::new();
        let checked = next.checked.clone().map(|shared| shared as Checks);
        self.engine
            .step_checked(NOW, next.input, checked, &self.store, &mut out);
        out
    }

    /// What becomes of all that waits, in order: whether it leaves something to be stored, and what
    /// the log says.
    fn take_all(&mut self) -> Vec<(bool, Vec<String>)> {
        let mut all = Vec::new();
        while let Some(next) = self.ahead.next(&self.engine, &self.store) {
            let out = self.step(next);
            let is_stored = out
                .iter()
                .any(|effect| matches!(effect, Effect::Commit(batch, _) if !batch.is_empty()));
            let log = out.into_iter().filter_map(|effect| match effect {
                Effect::Log(_, text) => Some(text),
                _ => None,
            });
            all.push((is_stored, log.collect()));
        }
        all
    }

    /// Looks at what is in the queue, and waits until the helpers have done so many parts of each:
    /// the issues of a set, and its digest last.
    fn look_ahead(&mut self, expected: &[usize]) {
        assert!(
            self.ahead
                .wait(&self.engine, &self.store, Duration::from_secs(60))
        );
        let first = self.ahead.next(&self.engine, &self.store).unwrap();
        self.ahead.waiting.push_front(first);
        let end = Instant::now() + Duration::from_secs(60);
        let counts = |rig: &Self| -> Vec<usize> {
            let waiting = rig.ahead.waiting.iter();
            let done = |next: &Next| next.checked.as_ref().map_or(0, |shared| shared.done());
            waiting.map(done).collect()
        };
        while counts(self) != expected {
            assert!(Instant::now() < end, "{:?}, not {expected:?}", counts(self));
            std::thread::yield_now();
        }
    }
}

fn stored() -> (bool, Vec<String>) {
    (true, Vec::new())
}

fn refused(text: &str) -> (bool, Vec<String>) {
    (false, vec![format!("issues refused: {text}")])
}

#[test]
fn what_waits_is_checked_ahead_and_nothing_is_checked_twice() {
    let mut rig = Rig::new(1);
    for news in [set(1), set(2), forged(3, 4), set(4), set(2)] {
        rig.ask(News::Issues(news));
    }
    // The helper begins at the end and leaves a set at the first bad signature that it finds.
    rig.look_ahead(&[11, 11, 6, 11, 11]);
    let waiting = rig.ahead.waiting.iter();
    let work: Vec<_> = waiting.map(|next| next.checked.as_ref().unwrap()).collect();
    assert!(Arc::ptr_eq(work[1], work[4]), "one set that came twice");
    assert_eq!(rig.engine.reservoir().checked_here(), 0);
    let told = rig.take_all();
    let expected = [
        stored(),
        stored(),
        refused("invalid signature"),
        stored(),
        refused("transaction already exists"),
    ];
    assert_eq!(told, expected);
    // Of all that was told, only what stands before the bad one was left: each is checked once.
    assert_eq!(rig.engine.reservoir().checked_here(), 4);
    assert_eq!(rig.engine.reservoir().sizes().unverified_tx_index, 30);
}

#[test]
fn with_any_number_of_helpers_the_same_is_taken_and_the_same_is_refused() {
    let of = |helpers| {
        let mut rig = Rig::new(helpers);
        let bad_twice = {
            let mut bytes = forged(6, 2);
            *bytes.last_mut().unwrap() ^= 1;
            bytes
        };
        let mut short = set(7);
        short.pop();
        for news in [set(5), bad_twice, short, set(5), forged(8, 0), set(6)] {
            rig.ask(News::Issues(news));
        }
        let told = rig.take_all();
        (told, rig.engine.reservoir().sizes())
    };
    let alone = of(0);
    let expected = [
        stored(),
        refused("invalid signature"),
        refused("not transaction pack"),
        refused("transaction already exists"),
        refused("invalid signature"),
        stored(),
    ];
    assert_eq!(alone.0, expected);
    for helpers in 1..4 {
        assert_eq!(of(helpers), alone, "{helpers} helpers");
    }
}

#[test]
fn what_was_checked_of_one_set_says_nothing_of_another() {
    let mut rig = Rig::new(0);
    rig.ask(News::Issues(set(1)));
    rig.ask(News::Issues(forged(1, 9)));
    let good = rig.ahead.next(&rig.engine, &rig.store).unwrap();
    let bad = rig.ahead.next(&rig.engine, &rig.store).unwrap();
    let exchanged = Next {
        input: bad.input,
        ..good
    };
    let out = rig.step(exchanged);
    let is_refused = |effect: &Effect| matches!(effect, Effect::Log(_, text) if *text == refused("invalid signature").1[0]);
    assert!(out.iter().any(is_refused));
    assert_eq!(rig.engine.reservoir().sizes().unverified_tx_index, 0);
}

#[test]
fn what_somebody_publishes_who_is_not_subscribed_to_costs_no_check() {
    let mut rig = Rig::new(1);
    rig.queue
        .send(Input::Published(99, News::Issues(set(1))))
        .unwrap();
    let next = rig.ahead.next(&rig.engine, &rig.store).unwrap();
    assert!(next.checked.is_none());
    rig.step(next);
    assert_eq!(rig.engine.reservoir().sizes().unverified_tx_index, 0);
}
