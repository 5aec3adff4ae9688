//! A whole node without sockets, disk or clock: what it wants is done at once.

use std::sync::LazyLock;

use bitmarkd::core::chain::DEVNET;
use bitmarkd::core::engine::{Effect, Engine, Input};
use bitmarkd::core::explore::{Question, Shown};
use bitmarkd::core::id::BlockDigest;
use bitmarkd::core::listener::{Asked, Ticket};
use bitmarkd::core::rpc::{Call, Outcome, Surroundings};
use bitmarkd::core::state::MemoryStore;
use bitmarkd::core::time::Now;

use crate::{NOW, PROVEN, VALID, settings};

/// The node and its disk.
pub struct Bench {
    /// Its clock.
    pub now: Now,
    /// The node.
    pub engine: Engine,
    store: MemoryStore,
    digests: Vec<(u64, BlockDigest)>,
    asked: u64,
    called: Vec<(u64, Outcome)>,
    shown: Vec<(u64, Shown)>,
}

/// The disk of a node that has taken all of [`VALID`].
static FILLED: LazyLock<MemoryStore> = LazyLock::new(|| {
    let mut bench = Bench::empty();
    for (command, parameter) in VALID.iter().cloned() {
        let body = vec![DEVNET.name.into(), command.into(), parameter];
        bench.request(Asked::read(&DEVNET, body).expect("it is well-formed"));
    }
    assert_eq!(bench.engine.status().height, 3, "the blocks went in");
    bench.store
});

impl Bench {
    /// Its chain is the genesis, its pools are empty.
    #[must_use]
    pub fn empty() -> Self {
        Self::on(MemoryStore::new())
    }

    /// It has two blocks and a pending issue.
    #[must_use]
    pub fn filled() -> Self {
        Self::on(FILLED.clone())
    }

    fn on(mut store: MemoryStore) -> Self {
        let (mut engine, first) = Engine::new(NOW, settings(&DEVNET), &store).expect("it starts");
        store.apply(&first);
        let mut out = Vec::new();
        engine.start(NOW, &store, &mut out);
        let mut bench = Self {
            now: NOW,
            engine,
            store,
            digests: Vec::new(),
            asked: 0,
            called: Vec::new(),
            shown: Vec::new(),
        };
        bench.perform(out);
        bench
    }

    /// Gives it a request of a peer.
    pub fn request(&mut self, asked: Asked) {
        self.step(Input::Request {
            ticket: Ticket(1),
            source: 1,
            client: None,
            asked,
        });
    }

    /// Gives it an input, does what it wants, and tells the digests that it asks for.
    pub fn step(&mut self, input: Input) {
        self.step_once(input);
        while let Some((request, digest)) = self.digests.pop() {
            self.step_once(Input::Digest(request, digest));
        }
    }

    fn step_once(&mut self, input: Input) {
        let mut out = Vec::new();
        self.engine.step(self.now, input, &self.store, &mut out);
        self.perform(out);
    }

    /// Every digest proves its block: what it is worth is not the question.
    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Commit(batch, after) => {
                    self.store.apply(&batch);
                    self.perform(after);
                }
                Effect::Digest(request, _) | Effect::PrepareDigest(request, _) => {
                    self.digests.push((request, PROVEN));
                }
                Effect::Rpc(token, outcome) => self.called.push((token, outcome)),
                Effect::Explored(token, shown) => self.shown.push((token, shown)),
                Effect::Fatal(why) => panic!("{why}"),
                _ => {}
            }
        }
    }

    /// What a client's call gives; there is one answer, at once.
    pub fn call(&mut self, call: Call) -> Outcome {
        self.asked += 1;
        let around = Surroundings::default();
        self.step(Input::Rpc(self.asked, call, around));
        let (token, outcome) = self.called.pop().expect("an answer");
        assert_eq!((token, self.called.len()), (self.asked, 0));
        outcome
    }

    /// What somebody who looks is shown; there is one answer, at once.
    pub fn show(&mut self, question: Question) -> Shown {
        self.asked += 1;
        self.step(Input::Explore(self.asked, question));
        let (token, shown) = self.shown.pop().expect("an answer");
        assert_eq!((token, self.shown.len()), (self.asked, 0));
        shown
    }
}
