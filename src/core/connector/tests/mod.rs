//! The machine against peers that are honest, slow, or liars.

use std::cell::RefCell;

use super::*;
use crate::core::block::Compact;
use crate::core::chain::LOCAL;
use crate::core::id::TxId;
use crate::core::upstream;

mod fork;
mod properties;

/// A chain of empty blocks: number `n` of branch `b` has a digest that says so.
fn digest(branch: u8, number: u64) -> BlockDigest {
    let mut bytes = [branch; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    BlockDigest(bytes)
}

#[derive(Default)]
struct Node {
    /// Branch of each block, from number 2.
    blocks: RefCell<Vec<u8>>,
    peers: RefCell<Vec<Peer>>,
}

impl Node {
    fn branch(&self, number: u64) -> Option<u8> {
        if number <= 1 {
            return Some(0);
        }
        let index = usize::try_from(number - 2).unwrap();
        self.blocks.borrow().get(index).copied()
    }

    fn packed(&self, number: u64) -> Option<Vec<u8>> {
        let branch = self.branch(number)?;
        let header = Header {
            version: 2,
            transaction_count: 2,
            number,
            previous_block: digest(self.branch(number - 1)?, number - 1),
            merkle_root: TxId([branch; 32]),
            timestamp: 1,
            difficulty: Compact::ONE,
            nonce: 0,
        };
        Some(header.pack().to_vec())
    }

    fn take(&self, packed: &[u8]) {
        let (header, _) = Header::unpack(packed).unwrap();
        assert_eq!(header.number, self.height() + 1);
        assert_eq!(Some(header.previous_block), self.digest(self.height()));
        self.blocks.borrow_mut().push(header.merkle_root.0[0]);
    }
}

impl Local for Node {
    fn height(&self) -> u64 {
        self.blocks.borrow().len() as u64 + 1
    }
    fn digest(&self, number: u64) -> Option<BlockDigest> {
        self.branch(number).map(|branch| digest(branch, number))
    }
    fn peers(&self) -> Vec<Peer> {
        self.peers.borrow().clone()
    }
}

fn chain_of(branch: u8, length: usize, common: usize) -> Vec<u8> {
    (0..length)
        .map(|index| if index < common { 0 } else { branch })
        .collect()
}

fn peer(slot: usize, height: u64) -> Peer {
    Peer {
        slot,
        key: PeerPublicKey([u8::try_from(slot).unwrap(); 32]),
        height,
    }
}

const CYCLE: Millis = 15_000;

fn timing() -> Timing {
    Timing {
        cycle_ms: CYCLE,
        minimum_upstreams: 3,
        blocks_per_cycle: 200,
        fork_protection: 60,
        sampling_limit: 10,
    }
}

/// Runs the machine against remote nodes until nothing happens; a remote that is `None` fails
/// every question.
struct Stage {
    local: Node,
    remotes: Vec<Option<Node>>,
    machine: Connector,
    now: Now,
    asked: usize,
    modes: Vec<Mode>,
    reports: usize,
}

impl Stage {
    fn new(local: Vec<u8>, remotes: Vec<(Option<Vec<u8>>, u64)>) -> Self {
        let now = Now {
            mono: 1,
            wall: 1000,
        };
        let local = Node {
            blocks: local.into(),
            ..Node::default()
        };
        *local.peers.borrow_mut() = remotes
            .iter()
            .enumerate()
            .map(|(slot, (_, height))| peer(slot, *height))
            .collect();
        let remotes = remotes
            .into_iter()
            .map(|(blocks, _)| {
                blocks.map(|blocks| Node {
                    blocks: blocks.into(),
                    ..Node::default()
                })
            })
            .collect();
        Self {
            local,
            remotes,
            machine: Connector::new(now, &LOCAL, timing()),
            now,
            asked: 0,
            modes: Vec::new(),
            reports: 0,
        }
    }

    fn step(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut out = Vec::new();
            self.machine.step(self.now, input, &self.local, &mut out);
            // Answers come in the order of questions.
            let mut follow = Vec::new();
            for effect in out {
                follow.extend(self.perform(effect));
            }
            inputs.extend(follow.into_iter().rev());
        }
    }

    /// Does what is to be done; gives what follows.
    fn perform(&mut self, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Ask(slot, question) => {
                self.asked += 1;
                let answer = self.answer(slot, question);
                return Some(Input::Answered(slot, question, answer));
            }
            Effect::Put(packed) => {
                self.local.take(&packed);
                return Some(Input::Applied);
            }
            Effect::Switch(common, blocks) => {
                let keep = usize::try_from(common - 1).unwrap();
                self.local.blocks.borrow_mut().truncate(keep);
                for packed in &blocks {
                    self.local.take(packed);
                }
                return Some(Input::Switched);
            }
            Effect::Mode(mode) => self.modes.push(mode),
            Effect::Reconnect | Effect::Prepare(_) => {}
            Effect::Report(_) => self.reports += 1,
        }
        None
    }

    /// Runs to a height, or an hour: the remotes take so long for each answer, one after another.
    fn run(&mut self, delays: &[Millis], height: u64) {
        let mut busy = vec![0; delays.len()];
        let mut coming = vec![(self.now.mono, Input::Changed)];
        while self.now.mono < 3_600_000 {
            if self.local.height() >= height && !self.modes.is_empty() {
                return;
            }
            let wake = self.machine.next_wakeup().unwrap();
            coming.sort_by_key(|(at, _)| *at);
            let is_next = coming.first().is_some_and(|(at, _)| *at <= wake);
            let (at, input) = if is_next {
                coming.remove(0)
            } else {
                (wake, Input::Wake)
            };
            self.now = self.now.plus_ms(at.saturating_sub(self.now.mono));
            for effect in self.one(input) {
                let mut at = self.now.mono;
                if let Effect::Ask(slot, _) = &effect {
                    at = at.max(busy[*slot]) + delays[*slot];
                    busy[*slot] = at;
                }
                coming.extend(self.perform(effect).map(|input| (at, input)));
            }
            assert!(coming.len() <= upstream::QUESTIONS_MAX, "too much is asked");
        }
    }

    fn answer(&self, slot: usize, question: Question) -> Answer {
        let none = || Answer::Failed("block not found".to_owned());
        let Some(remote) = &self.remotes[slot] else {
            return Answer::Failed("no answer in time".to_owned());
        };
        match question {
            Question::Digest(n) => remote.digest(n).map_or_else(none, Answer::Digest),
            Question::Block(n) => remote.packed(n).map_or_else(none, Answer::Block),
        }
    }

    fn cycle(&mut self) {
        self.now = self.now.plus_ms(CYCLE);
        self.step(Input::Wake);
    }
}

#[test]
fn too_few_upstreams_are_told_once_a_cycle() {
    let mut stage = Stage::new(vec![], vec![(Some(vec![]), 1), (Some(vec![]), 1)]);
    let mut out = Vec::new();
    stage
        .machine
        .step(stage.now, Input::Wake, &stage.local, &mut out);
    stage
        .machine
        .step(stage.now, Input::Changed, &stage.local, &mut out);
    assert_eq!(out, [Effect::Reconnect]);
    assert_eq!(stage.machine.state(), "Connecting");
}

#[test]
fn equal_heights_are_normal_at_once() {
    let mut stage = Stage::new(
        vec![],
        vec![(Some(vec![]), 1), (Some(vec![]), 1), (Some(vec![]), 1)],
    );
    stage.step(Input::Changed);
    assert_eq!(stage.modes, [Mode::Normal]);
    assert_eq!(stage.asked, 0);
}

#[test]
fn blocks_above_ours_are_fetched_and_then_it_is_normal() {
    let other = chain_of(0, 500, 500);
    let mut stage = Stage::new(
        chain_of(0, 3, 3),
        vec![
            (Some(vec![]), 1),
            (Some(other.clone()), 501),
            (Some(vec![]), 1),
        ],
    );
    stage.step(Input::Changed);
    assert_eq!(*stage.local.blocks.borrow(), other);
    assert_eq!(stage.modes, [Mode::Normal]);
    assert_eq!(stage.asked, 497, "no block is asked for twice");
}

#[test]
fn a_claim_without_blocks_is_set_back_and_delays_nobody() {
    let honest = chain_of(0, 5, 5);
    for liar in [None, Some(vec![])] {
        let mut stage = Stage::new(
            vec![],
            vec![
                (liar, u64::MAX),
                (Some(honest.clone()), 6),
                (Some(honest.clone()), 6),
                (Some(honest.clone()), 6),
            ],
        );
        stage.step(Input::Changed);
        assert_eq!(stage.modes, [Mode::Normal], "in the same moment");
        assert_eq!(*stage.local.blocks.borrow(), honest);
        let before = stage.asked;
        for _ in 0..40 {
            stage.cycle();
        }
        assert!(stage.asked - before < 8, "it is asked less and less often");
    }
}

#[test]
fn a_liar_that_answers_slowly_delays_normal_by_less_than_ten_seconds() {
    let honest = chain_of(0, 6, 6);
    let mut stage = Stage::new(
        honest.clone(),
        vec![
            (Some(chain_of(9, 40, 0)), 41),
            (Some(honest.clone()), 7),
            (Some(honest.clone()), 7),
            (Some(honest), 7),
        ],
    );
    stage.run(&[4700, 10, 10, 10], 7);
    assert_eq!(stage.modes, [Mode::Normal]);
    assert!(stage.now.mono < 10_000, "{} ms", stage.now.mono);
}

#[test]
fn a_slow_peer_is_passed_over_without_blame_and_still_served_by() {
    let other = chain_of(0, 20, 20);
    for branch in [0, 7] {
        let mut stage = Stage::new(
            chain_of(branch, 5, 2),
            vec![
                (Some(other.clone()), 21),
                (Some(vec![]), 1),
                (Some(vec![]), 1),
            ],
        );
        stage.run(&[8000, 10, 10], 21);
        assert_eq!(*stage.local.blocks.borrow(), other);
        assert!(stage.machine.set_back.values().all(|m| m.failures == 0));
        assert!(stage.now.mono < 600_000, "{} ms", stage.now.mono);
    }
}

#[test]
fn one_block_behind_is_borne_for_a_while_and_news_that_do_not_fit_shorten_it() {
    let run = |hints: usize| {
        let mut stage = Stage::new(
            vec![],
            vec![(Some(vec![]), 1), (Some(vec![]), 1), (Some(vec![]), 1)],
        );
        stage.step(Input::Changed);
        stage.remotes[0] = Some(Node {
            blocks: vec![0].into(),
            ..Node::default()
        });
        stage.local.peers.borrow_mut()[0].height = 2;
        for _ in 0..hints {
            stage.step(Input::Hint);
        }
        let mut cycles = 0;
        while stage.local.height() < 2 {
            stage.cycle();
            cycles += 1;
            assert!(cycles < 20);
        }
        cycles
    };
    assert_eq!(run(0), 11);
    assert!(run(2) <= 1);
}

#[test]
fn a_block_that_is_refused_sets_its_peer_back() {
    let mut stage = Stage::new(vec![], vec![(Some(vec![0, 0]), 3), (None, 1), (None, 1)]);
    let mut out = Vec::new();
    stage
        .machine
        .step(stage.now, Input::Changed, &stage.local, &mut out);
    let packed = stage.remotes[0].as_ref().unwrap().packed(2).unwrap();
    let answer = Input::Answered(0, Question::Block(2), Answer::Block(packed));
    out.clear();
    stage
        .machine
        .step(stage.now, answer, &stage.local, &mut out);
    assert!(out.iter().any(|effect| matches!(effect, Effect::Put(_))));
    out.clear();
    let refused = Input::Refused("Merkle Root Does Not Match".to_owned());
    stage
        .machine
        .step(stage.now, refused, &stage.local, &mut out);
    assert!(out.contains(&Effect::Mode(Mode::Normal)), "{out:?}");
    assert_eq!(stage.machine.state(), "Sampling");
}

/// A machine that awaits block 2 of the first of three peers; two are at our height.
fn proving() -> Stage {
    let chain = chain_of(0, 9, 9);
    let mut stage = Stage::new(vec![], vec![(Some(chain), 10), (None, 1), (None, 1)]);
    assert_eq!(
        stage.one(Input::Changed),
        [Effect::Ask(0, Question::Block(2))]
    );
    stage
}

impl Stage {
    /// One step; nobody answers.
    fn one(&mut self, input: Input) -> Vec<Effect> {
        let mut out = Vec::new();
        self.machine.step(self.now, input, &self.local, &mut out);
        out
    }

    fn block(&self, number: u64) -> Input {
        let question = Question::Block(number);
        Input::Answered(0, question, self.answer(0, question))
    }

    /// The block comes as news.
    fn news(&self, number: u64) {
        let packed = self.remotes[0].as_ref().unwrap().packed(number).unwrap();
        self.local.take(&packed);
    }
}

fn blames(effects: &[Effect]) -> bool {
    effects.iter().any(|e| matches!(e, Effect::Report(_)))
}

#[test]
fn a_block_that_came_as_news_meanwhile_blames_nobody() {
    let mut stage = proving();
    stage.news(2);
    let out = stage.one(stage.block(2));
    assert_eq!(out, [Effect::Ask(0, Question::Block(3))]);
    let out = stage.one(stage.block(3));
    assert!(out.iter().any(|e| matches!(e, Effect::Put(_))));
    stage.news(3);
    let out = stage.one(Input::Refused("height out of sequence".to_owned()));
    assert!(!blames(&out), "{out:?}");
    let out = stage.one(stage.block(4));
    assert!(matches!(
        out.as_slice(),
        [Effect::Ask(0, _), Effect::Put(_)] | [Effect::Put(_)]
    ));
}

#[test]
fn a_block_of_ours_that_came_meanwhile_and_is_another_than_the_peers_blames_nobody() {
    let mut stage = proving();
    stage.one(stage.block(2));
    stage.one(stage.block(3));
    // Our own miner's, while the peer's was on its way in.
    stage.local.blocks.borrow_mut().push(7);
    let out = stage.one(Input::Refused("previous block".to_owned()));
    // What came behind it is not put: it is looked where the peer's chain leaves ours.
    assert_eq!(out, [Effect::Ask(0, Question::Block(3))]);
    stage.step(stage.block(3));
    assert_eq!(*stage.local.blocks.borrow(), chain_of(0, 9, 9));
    assert!(stage.machine.set_back.is_empty());
}

#[test]
fn the_digest_of_a_block_that_waits_for_others_is_prepared() {
    let mut stage = proving();
    stage.one(stage.block(2));
    let out = stage.one(stage.block(3));
    let is_next = |e: &Effect| matches!(e, Effect::Prepare(header) if header[..] == stage.remotes[0].as_ref().unwrap().packed(3).unwrap()[..HEADER_BYTES]);
    assert!(out.iter().any(is_next), "{out:?}");
    // One that is not what was asked for costs nothing before its turn.
    let other = stage.remotes[0].as_ref().unwrap().packed(3).unwrap();
    let question = Question::Block(4);
    let out = stage.one(Input::Answered(0, question, Answer::Block(other)));
    assert!(
        !out.iter().any(|e| matches!(e, Effect::Prepare(_))),
        "{out:?}"
    );
}

#[test]
fn answers_to_old_questions_are_passed_over() {
    let mut stage = proving();
    for question in [Question::Block(1), Question::Block(3), Question::Digest(2)] {
        let failed = Answer::Failed("no answer in time".to_owned());
        assert_eq!(stage.one(Input::Answered(0, question, failed)), []);
        let other = Answer::Block(vec![1, 2, 3]);
        assert_eq!(stage.one(Input::Answered(0, question, other)), []);
    }
    assert_eq!(
        stage.one(Input::Answered(
            2,
            Question::Block(2),
            Answer::Block(vec![])
        )),
        []
    );
    assert_eq!(stage.machine.state(), "HighestBlock");
    let mismatch = Answer::Digest(digest(0, 2));
    assert!(blames(&stage.one(Input::Answered(
        0,
        Question::Block(2),
        mismatch
    ))));
}

#[test]
fn while_a_block_is_on_its_way_nothing_new_is_chosen() {
    let mut stage = proving();
    stage.local.peers.borrow_mut()[1].height = 10;
    stage.one(stage.block(2));
    let failed = Answer::Failed("no answer in time".to_owned());
    let out = stage.one(Input::Answered(0, Question::Block(3), failed));
    assert!(matches!(out.as_slice(), [Effect::Report(_)]), "{out:?}");
    assert_eq!(stage.one(Input::Changed), []);
    stage.news(2);
    let out = stage.one(Input::Applied);
    assert_eq!(out, [Effect::Ask(1, Question::Block(3))]);
}

#[test]
fn normal_needs_the_word_of_somebody_who_has_not_failed() {
    let chain = chain_of(0, 9, 9);
    let mut stage = Stage::new(vec![], vec![(None, 10), (None, 10), (None, 10)]);
    stage.step(Input::Changed);
    assert_eq!((stage.modes.len(), stage.reports), (0, 3));
    for _ in 0..20 {
        stage.cycle();
    }
    assert!(stage.modes.is_empty(), "far behind, it is not Normal");
    assert!(stage.asked < 20, "they are asked less and less often");
    stage.remotes[1] = Some(Node {
        blocks: chain.clone().into(),
        ..Node::default()
    });
    for _ in 0..70 {
        stage.cycle();
    }
    assert_eq!(stage.modes, [Mode::Normal]);
    assert_eq!(*stage.local.blocks.borrow(), chain);
}

#[test]
fn without_peers_before_it_was_normal_it_connects_again() {
    let mut stage = proving();
    stage.local.peers.borrow_mut().truncate(0);
    let failed = Answer::Failed("the peer was disconnected".to_owned());
    stage.one(Input::Answered(0, Question::Block(2), failed));
    assert_eq!(stage.machine.state(), "Connecting");
    stage.now = stage.now.plus_ms(CYCLE);
    assert_eq!(stage.one(Input::Wake), [Effect::Reconnect]);
}

#[test]
fn a_place_that_was_given_to_another_peer_is_asked_nothing_more() {
    let mut stage = proving();
    stage.one(stage.block(2));
    stage.local.peers.borrow_mut()[0] = Peer {
        slot: 0,
        key: PeerPublicKey([99; 32]),
        height: 1,
    };
    stage.news(2);
    assert_eq!(stage.one(Input::Applied), [Effect::Mode(Mode::Normal)]);
}

#[test]
fn a_normal_node_that_lost_its_peers_asks_for_others_and_stays_normal() {
    let mut stage = Stage::new(vec![], vec![(None, 1), (None, 1), (None, 1)]);
    stage.one(Input::Changed);
    stage.local.peers.borrow_mut().truncate(1);
    stage.now = stage.now.plus_ms(CYCLE);
    assert_eq!(stage.one(Input::Wake), [Effect::Reconnect]);
    assert_eq!(stage.machine.mode(), Mode::Normal);
}

#[test]
fn looks_one_block_behind_are_forgotten_at_equal_heights() {
    let mut stage = Stage::new(vec![], vec![(None, 1), (None, 1), (None, 1)]);
    stage.step(Input::Changed);
    for _ in 0..4 {
        stage.local.peers.borrow_mut()[0].height = 2;
        for _ in 0..10 {
            stage.cycle();
        }
        stage.local.peers.borrow_mut()[0].height = 1;
        stage.cycle();
    }
    assert_eq!(stage.asked, 0);
}

#[test]
fn a_height_that_fell_blames_nobody_and_all_is_asked_for_again_from_there() {
    // Fetching, with a block on its way into the ledger and another one that waits.
    let theirs = Some(chain_of(0, 29, 29));
    let mut stage = Stage::new(chain_of(0, 8, 8), vec![(theirs, 30), (None, 1), (None, 1)]);
    let height = stage.local.height();
    stage.one(Input::Changed);
    stage.one(stage.block(height + 1));
    stage.one(stage.block(height + 3));
    assert_eq!(stage.machine.state(), "FetchBlocks");
    stage.local.blocks.borrow_mut().truncate(3);
    let out = stage.one(Input::Fell);
    assert_eq!(out, [Effect::Ask(0, Question::Block(5))]);
    // The block that was put is forgotten; what else was asked for comes, and is passed over.
    let failed = Answer::Failed("block not found".to_owned());
    let out = stage.one(Input::Answered(0, Question::Block(height + 4), failed));
    assert_eq!(out, []);
    stage.step(stage.block(5));
    assert_eq!(stage.local.height(), 30);
    assert!(stage.machine.set_back.is_empty());
}

#[test]
fn what_a_false_chain_was_the_measure_of_is_held_against_nobody() {
    // All are on the right chain, and ours is another from its first block on: deeper than is followed.
    let right = chain_of(0, 90, 90);
    let remotes = vec![(Some(right.clone()), 91), (None, 1), (None, 1)];
    let mut stage = Stage::new(chain_of(5, 80, 0), remotes);
    stage.step(Input::Changed);
    assert_eq!((stage.reports > 0, stage.local.height()), (true, 81));
    stage.local.blocks.borrow_mut().clear();
    stage.step(Input::Fell);
    assert_eq!(*stage.local.blocks.borrow(), right, "at once");
}

#[test]
fn with_subscriptions_alone_it_is_normal_at_once() {
    let mut stage = Stage::new(vec![], vec![]);
    stage.machine = Connector::new(
        stage.now,
        &LOCAL,
        Timing {
            minimum_upstreams: 0,
            ..timing()
        },
    );
    assert_eq!(stage.one(Input::Wake), [Effect::Mode(Mode::Normal)]);
}

#[test]
fn four_nodes_that_see_each_other_are_all_normal() {
    for own in 0..4 {
        let others = (0..4).filter(|n| *n != own).map(|_| (Some(vec![]), 1));
        let mut stage = Stage::new(vec![], others.collect());
        stage.step(Input::Changed);
        assert_eq!(stage.modes, [Mode::Normal]);
    }
}

#[test]
fn blocks_that_came_another_way_meanwhile_leave_nobody_waiting() {
    let mut stage = Stage::new(vec![], vec![(Some(vec![0; 9]), 3), (None, 1), (None, 1)]);
    let mut out = Vec::new();
    let step = |stage: &mut Stage, input, out: &mut Vec<Effect>| {
        out.clear();
        stage.machine.step(stage.now, input, &stage.local, out);
    };
    step(&mut stage, Input::Changed, &mut out);
    let packed = |stage: &Stage, number| stage.remotes[0].as_ref().unwrap().packed(number).unwrap();
    let two = packed(&stage, 2);
    let answer = Input::Answered(0, Question::Block(2), Answer::Block(two.clone()));
    step(&mut stage, answer, &mut out);
    stage.local.take(&two);
    // Block 3 is asked for, and comes as news before its answer.
    let three = packed(&stage, 3);
    step(&mut stage, Input::Applied, &mut out);
    stage.local.take(&three);
    step(&mut stage, Input::Changed, &mut out);
    let answer = Input::Answered(0, Question::Block(3), Answer::Block(three));
    step(&mut stage, answer, &mut out);
    assert_ne!(stage.machine.state(), "FetchBlocks");
}
