//! Digests that came with a snapshot, checked while nothing is computed: they are made up.

use super::tests::settings;
use super::*;
use crate::core::block::{Compact, Header};
use crate::core::chain::DEVNET;
use crate::core::currency::{Currency, Payments, address};
use crate::core::id::{AssetId, TxId};
use crate::core::keys::PrivateKey;
use crate::core::ledger::checked::Checked;
use crate::core::ledger::{Rebuild, RebuildStep, UNDO_KEPT, keys};
use crate::core::mining::assembly::{AssetNeed, Candidate, Foundation};
use crate::core::mining::machine;
use crate::core::mining::work::Work;
use crate::core::record::{AssetData, BitmarkIssue, BlockFoundation, Record, merkle, sign};
use crate::core::state::{MemoryStore, Pool};

const AT: Now = Now {
    mono: 0,
    wall: 1_700_100_000,
};

fn digest_of(number: u64) -> BlockDigest {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&number.to_le_bytes());
    BlockDigest(digest)
}

fn foundation() -> Vec<u8> {
    let key = PrivateKey::from_ed25519_seed(&[1; 32], true);
    let coin = |currency| (currency, address::encode(111, &[7; 20]).into_bytes());
    let mut record = Record::BlockFoundation(BlockFoundation {
        version: 1,
        payments: Payments([coin(Currency::Bitcoin), coin(Currency::Litecoin)].into()),
        owner: key.account().unwrap(),
        nonce: 1234,
        signature: Vec::new(),
    });
    sign(&mut record, &key).unwrap()
}

fn asset_and_issue(number: u64) -> Vec<Vec<u8>> {
    asset_and_issues(number, 1)
}

fn asset_and_issues(number: u64, count: u64) -> Vec<Vec<u8>> {
    let key = PrivateKey::from_ed25519_seed(&[1; 32], true);
    let owner = key.account().unwrap();
    let fingerprint = format!("fingerprint {number}").into_bytes();
    let issue = |nonce| {
        Record::BitmarkIssue(BitmarkIssue {
            asset_id: AssetId::of(&fingerprint),
            owner,
            nonce,
            signature: Vec::new(),
        })
    };
    let asset = Record::AssetData(AssetData {
        name: b"a house".to_vec(),
        fingerprint: fingerprint.clone(),
        metadata: Vec::new(),
        registrant: owner,
        signature: Vec::new(),
    });
    std::iter::once(asset)
        .chain((number..number + count).map(issue))
        .map(|mut record| sign(&mut record, &key).unwrap())
        .collect()
}

/// The next block on a tip.
fn block_on(tip: &crate::core::ledger::Tip) -> Vec<u8> {
    block_of(tip, asset_and_issue(tip.number + 1))
}

/// The same of these records.
fn block_of(tip: &crate::core::ledger::Tip, records: Vec<Vec<u8>>) -> Vec<u8> {
    let number = tip.number + 1;
    let records = [vec![foundation()], records].concat();
    let ids: Vec<TxId> = records.iter().map(|packed| TxId::of(packed)).collect();
    let header = Header {
        version: 2,
        transaction_count: u16::try_from(records.len()).unwrap(),
        number,
        previous_block: tip.digest,
        merkle_root: merkle::root(&ids),
        timestamp: 1_700_000_000 + number,
        difficulty: Compact::ONE,
        nonce: 0,
    };
    [header.pack().to_vec(), records.concat()].concat()
}

/// A store of this height, and what was in it at this lower one.
fn chain(height: u64, lower: u64) -> (MemoryStore, MemoryStore) {
    chain_with(height, lower, digest_of)
}

/// The same with these digests.
fn chain_with(
    height: u64,
    lower: u64,
    digest: impl Fn(u64) -> BlockDigest,
) -> (MemoryStore, MemoryStore) {
    let mut store = MemoryStore::new();
    let mut then = store.clone();
    let mut ledger = Ledger::empty(&DEVNET);
    while ledger.height() < height {
        if ledger.height() == lower {
            then = store.clone();
        }
        let packed = block_on(&ledger.tip());
        let digest = digest(ledger.height() + 1);
        let applied = ledger.apply(&store, &packed, digest, AT.wall).unwrap();
        store.apply(&applied.batch);
    }
    (store, then)
}

/// A node on a store that came as a whole.
struct Node {
    now: Now,
    engine: Engine,
    store: MemoryStore,
    asked: Vec<(u64, Header)>,
    fresh: Vec<u64>,
    /// Of all digests of new blocks that were asked for, which block each is of.
    numbers: BTreeMap<u64, u64>,
    requests: VecDeque<(SocketId, Vec<Vec<u8>>)>,
    logs: Vec<String>,
    rebuilds: Vec<u64>,
}

impl Node {
    fn new(store: MemoryStore, mark: Option<Checked>) -> Self {
        Self::at(AT, store, mark)
    }

    fn at(now: Now, store: MemoryStore, mark: Option<Checked>) -> Self {
        Self::with(now, settings(), store, mark)
    }

    fn with(
        now: Now,
        mut settings: Settings,
        mut store: MemoryStore,
        mark: Option<Checked>,
    ) -> Self {
        settings.chain = &DEVNET;
        if let Some(mark) = mark {
            store.apply(&mark.batch());
        }
        let (mut engine, first) = Engine::new(now, settings, &store).unwrap();
        store.apply(&first);
        let mut out = Vec::new();
        engine.start(now, &store, &mut out);
        let mut node = Self {
            now,
            engine,
            store,
            asked: Vec::new(),
            fresh: Vec::new(),
            numbers: BTreeMap::new(),
            requests: VecDeque::new(),
            logs: Vec::new(),
            rebuilds: Vec::new(),
        };
        node.took(out);
        node
    }

    fn took(&mut self, out: Vec<Effect>) {
        for effect in out {
            match effect {
                Effect::Commit(batch, _) => self.store.apply(&batch),
                Effect::CheckDigest(request, header) => {
                    let (header, _) = Header::unpack(header.as_slice()).unwrap();
                    self.asked.push((request, header));
                }
                Effect::Digest(request, header) | Effect::PrepareDigest(request, header) => {
                    let (header, _) = Header::unpack(header.as_slice()).unwrap();
                    self.numbers.insert(request, header.number);
                    self.fresh.push(request);
                }
                Effect::Request(socket, frames) => self.requests.push_back((socket, frames)),
                Effect::Log(_, text) => self.logs.push(text),
                Effect::Rebuild(number) => {
                    self.rebuilds.push(number);
                    let mut rebuild = Rebuild::without(&DEVNET, number);
                    loop {
                        match rebuild.step(&self.store).unwrap() {
                            RebuildStep::Store(batch) => self.store.apply(&batch),
                            RebuildStep::Digest(..) => panic!("all digests are there"),
                            RebuildStep::Done(batch, _) => {
                                self.store.apply(&batch);
                                break;
                            }
                        }
                    }
                    let mut out = Vec::new();
                    self.engine.rebuilt(self.now, &self.store, &mut out);
                    self.took(out);
                }
                Effect::Fatal(why) => panic!("{why}"),
                _ => {}
            }
        }
    }

    fn input(&mut self, input: Input) {
        let mut out = Vec::new();
        self.engine.step(self.now, input, &self.store, &mut out);
        self.took(out);
    }

    /// Answers one question; what it was about.
    fn answer(&mut self, digest: impl Fn(u64) -> BlockDigest) -> Option<u64> {
        assert!(self.asked.len() <= 1, "one at a time");
        let (request, header) = self.asked.pop()?;
        self.input(Input::Digest(request, digest(header.number)));
        Some(header.number)
    }

    fn run(&mut self, digest: impl Fn(u64) -> BlockDigest) -> Vec<u64> {
        let mut numbers = Vec::new();
        while let Some(number) = self.answer(&digest) {
            numbers.push(number);
        }
        while self.engine.next_wakeup() == 0 {
            self.input(Input::Wake);
        }
        numbers
    }

    fn verified(&self) -> u64 {
        self.engine.verified_height()
    }

    /// The store without what belongs to this node alone.
    fn of_chain(&self) -> MemoryStore {
        of_chain(&self.store)
    }
}

fn of_chain(store: &MemoryStore) -> MemoryStore {
    let mut batch = Batch::new();
    for (pool, key, value) in store.iter() {
        if !matches!(pool, Pool::Meta | Pool::Reservoir) {
            batch.put(pool, key, value);
        }
    }
    let mut store = MemoryStore::new();
    store.apply(&batch);
    store
}

#[test]
fn every_digest_is_checked_once_upwards_and_then_the_mark_goes() {
    let (store, _) = chain(30, 1);
    let mut node = Node::new(store.clone(), Some(Checked::nothing_of(30)));
    assert_eq!(node.verified(), 1);
    assert_eq!(node.answer(digest_of), Some(2));
    assert_eq!(node.verified(), 2);
    assert_eq!(node.run(digest_of), (3..=30).collect::<Vec<_>>());
    assert_eq!(node.verified(), 30);
    assert_eq!(Checked::load(&node.store, 30).unwrap(), None);
    assert_eq!(node.of_chain(), of_chain(&store));
    assert!(
        node.logs
            .iter()
            .any(|line| line.contains("all digests up to block 30"))
    );
}

#[test]
fn a_node_whose_digests_are_all_its_own_asks_for_none() {
    let (store, _) = chain(5, 1);
    let node = Node::new(store, None);
    assert!(node.asked.is_empty());
    assert_eq!(node.verified(), 5);
}

#[test]
fn a_clock_that_was_set_back_costs_no_block() {
    let (store, _) = chain(6, 1);
    let long_ago = Now { mono: 0, wall: 1 };
    let mut node = Node::at(long_ago, store, Some(Checked::nothing_of(6)));
    assert_eq!(node.run(digest_of), [2, 3, 4, 5, 6]);
    assert_eq!(node.verified(), 6);
}

#[test]
fn a_start_goes_on_where_the_last_one_was() {
    let (store, _) = chain(20, 1);
    let mark = Checked {
        verified: 12,
        until: 20,
    };
    let mut node = Node::new(store, Some(mark));
    assert_eq!(node.verified(), 12);
    assert_eq!(node.run(digest_of), (13..=20).collect::<Vec<_>>());
}

#[test]
fn what_was_checked_is_kept_from_time_to_time() {
    let (store, _) = chain(320, 1);
    let mut node = Node::new(store, Some(Checked::nothing_of(320)));
    for _ in 0..300 {
        node.answer(digest_of);
    }
    let kept = Checked::load(&node.store, 320).unwrap().unwrap();
    assert!(kept.verified > 200 && kept.until == 320, "{kept:?}");
}

#[test]
fn a_false_digest_is_named_and_everything_from_it_up_goes() {
    let (store, then) = chain(200, 189);
    let mut node = Node::new(store, Some(Checked::nothing_of(200)));
    let false_at = |number| digest_of(if number == 190 { 9999 } else { number });
    assert_eq!(node.run(false_at).last(), Some(&190));
    assert_eq!(node.engine.ledger().height(), 189);
    assert_eq!(node.verified(), 189);
    assert_eq!(Checked::load(&node.store, 189).unwrap(), None);
    assert!(node.rebuilds.is_empty());
    let told = node.logs.join("\n");
    let both = [digest_of(190), digest_of(9999)].map(|digest| digest.display().to_string());
    assert!(told.contains("block 190 is false"), "{told}");
    assert!(both.iter().all(|digest| told.contains(digest)), "{told}");
    // All is as it was, but for undo data that had gone by then.
    let without_undo = |store: &MemoryStore| {
        let mut store = of_chain(store);
        let mut batch = Batch::new();
        for number in 0..200_u64 {
            batch.delete(Pool::Undo, number.to_be_bytes());
        }
        store.apply(&batch);
        store
    };
    assert_eq!(without_undo(&node.store), without_undo(&then));
    // The right block goes in, and needs no check.
    let packed = block_on(&node.engine.ledger().tip());
    let (mut ledger, tip) = (node.engine.ledger().clone(), node.engine.ledger().tip());
    assert_eq!(tip.digest, digest_of(189));
    let applied = ledger.apply(&node.store, &packed, digest_of(190), AT.wall);
    assert!(applied.is_ok());
}

#[test]
fn a_false_digest_far_down_has_the_indexes_built_again() {
    let height = 30 + UNDO_KEPT;
    let (store, then) = chain(height, 19);
    let mut node = Node::new(store, Some(Checked::nothing_of(height)));
    node.run(|number| digest_of(if number == 20 { 9999 } else { number }));
    assert_eq!(node.rebuilds, [20]);
    assert_eq!(node.engine.ledger().height(), 19);
    assert_eq!(node.verified(), 19);
    assert_eq!(node.of_chain(), of_chain(&then));
    assert!(node.asked.is_empty());
}

#[test]
fn a_digest_that_does_not_meet_its_difficulty_is_false_too() {
    let (mut store, _) = chain(40, 1);
    let mut batch = Batch::new();
    batch.put(Pool::BlockDigest, 35_u64.to_be_bytes(), [0xff; 32]);
    store.apply(&batch);
    let mut node = Node::new(store, Some(Checked::nothing_of(40)));
    node.run(|number| {
        if number == 35 {
            BlockDigest([0xff; 32])
        } else {
            digest_of(number)
        }
    });
    assert_eq!(node.engine.ledger().height(), 34);
    assert!(
        node.logs
            .iter()
            .any(|line| line.contains("does not meet its difficulty"))
    );
}

#[test]
fn a_block_that_does_not_follow_or_has_other_records_costs_no_digest() {
    for (at, said) in [(5_usize, "it follows"), (100, "merkle")] {
        let (mut store, _) = chain(20, 1);
        let key = 12_u64.to_be_bytes();
        let mut packed = store.get(Pool::Blocks, &key).unwrap().unwrap();
        // The parent's digest begins at byte 12; the records at 100, whose nonce is near the end.
        let at = if at == 100 {
            packed.len() - 70
        } else {
            12 + at
        };
        packed[at] ^= 1;
        let mut batch = Batch::new();
        batch.put(Pool::Blocks, key, packed);
        store.apply(&batch);
        let mut node = Node::new(store, Some(Checked::nothing_of(20)));
        assert_eq!(node.run(digest_of).last(), Some(&11));
        assert_eq!(node.engine.ledger().height(), 11, "{said}");
        let told = node.logs.join("\n").to_lowercase();
        assert!(told.contains("block 12") && told.contains(said), "{told}");
    }
}

#[test]
fn a_digest_of_a_block_that_went_meanwhile_says_nothing() {
    let (store, _) = chain(40, 1);
    let mut node = Node::new(
        store,
        Some(Checked {
            verified: 38,
            until: 40,
        }),
    );
    assert_eq!(node.asked[0].1.number, 39);
    // The two top blocks go off, as for a longer branch.
    let mut ledger = node.engine.ledger.clone();
    for _ in 0..2 {
        let undone = ledger.undo_top(&node.store).unwrap();
        node.store.apply(&undone.batch);
    }
    node.engine.ledger = ledger;
    node.engine.check.taken_off_to(38);
    assert_eq!(node.verified(), 38);
    node.answer(|_| digest_of(77));
    assert_eq!(node.engine.ledger().height(), 38);
    assert!(node.asked.is_empty());
    assert_eq!(Checked::load(&node.store, 38).unwrap(), None);
}

#[test]
fn news_go_in_while_old_digests_are_checked() {
    let (store, _) = chain(20, 1);
    let mut node = Node::new(store, Some(Checked::nothing_of(20)));
    let packed = block_on(&node.engine.ledger().tip());
    let subscription = node.engine.subscriptions[0].socket;
    node.input(Input::Published(subscription, News::Block(packed)));
    // It has a digest of its own to wait for, not that of an old block.
    let fresh = node.fresh.pop().expect("its digest is asked for at once");
    node.input(Input::Digest(fresh, digest_of(21)));
    assert_eq!(node.engine.ledger().height(), 21);
    assert_eq!(node.verified(), 1);
    assert_eq!(node.run(digest_of).last(), Some(&20));
    assert_eq!(node.verified(), 21);
}

/// Takes so many steps at most; whether it came to its end.
fn drive(mut rebuild: Rebuild, store: &mut MemoryStore, most: usize) -> bool {
    for _ in 0..most {
        match rebuild.step(store).unwrap() {
            RebuildStep::Store(batch) => store.apply(&batch),
            RebuildStep::Digest(..) => panic!("all digests are there"),
            RebuildStep::Done(batch, _) => {
                store.apply(&batch);
                return true;
            }
        }
    }
    false
}

#[test]
fn a_drop_that_was_interrupted_anywhere_is_finished_at_the_next_start() {
    const FALSE: u64 = 6;
    let (mut store, below) = chain(1_500, FALSE - 1);
    let mut batch = Batch::new();
    batch.put(
        Pool::BlockDigest,
        keys::block(FALSE),
        digest_of(FALSE + 1).0,
    );
    store.apply(&batch);
    // What is false does not go in again.
    let again = |store: &MemoryStore| {
        let mut rebuild = Rebuild::new(&DEVNET);
        let mut store = store.clone();
        loop {
            match rebuild.step(&store) {
                Ok(RebuildStep::Store(batch)) => store.apply(&batch),
                other => break other,
            }
        }
    };
    assert!(again(&store).is_err());
    let mut interrupted = 0;
    for steps in 1.. {
        let mut store = store.clone();
        let is_done = drive(Rebuild::without(&DEVNET, FALSE), &mut store, steps);
        assert_eq!(Rebuild::is_due(&store).unwrap(), !is_done);
        if is_done {
            break;
        }
        let left = Rebuild::asked_for(&DEVNET, &store).unwrap();
        assert!(drive(left, &mut store, usize::MAX));
        assert!(of_chain(&store) == of_chain(&below), "{steps} steps");
        assert!(!Rebuild::is_due(&store).unwrap());
        interrupted += 1;
    }
    // The mark, two pieces of blocks, the indexes, and the blocks below.
    assert!(interrupted > 2 + 8 + 4, "{interrupted}");
    // Nothing was asked for: all of it is built.
    let (whole, _) = chain(9, 1);
    let mut store = whole.clone();
    assert!(drive(
        Rebuild::asked_for(&DEVNET, &store).unwrap(),
        &mut store,
        usize::MAX
    ));
    assert!(of_chain(&store) == of_chain(&whole));
}

/// A store of this height as somebody writes it who checks nothing.
fn unchecked(height: u64, records: impl Fn(u64) -> Vec<Vec<u8>>) -> MemoryStore {
    let mut store = MemoryStore::new();
    let mut ledger = Ledger::empty(&DEVNET);
    while ledger.height() < height {
        let number = ledger.height() + 1;
        let packed = block_of(&ledger.tip(), records(number));
        let applied = ledger
            .apply_known(&store, &packed, digest_of(number), AT.wall, &|_, _, _| true)
            .unwrap();
        store.apply(&applied.batch);
    }
    store
}

#[test]
fn what_nobody_here_checked_does_not_come_back_when_its_block_goes() {
    let spoilt = || {
        let mut records = asset_and_issue(35);
        *records[1].last_mut().unwrap() ^= 1;
        records
    };
    let store = unchecked(40, |number| match number {
        35 => spoilt(),
        number => asset_and_issue(number),
    });
    let mark = Checked {
        verified: 33,
        until: 40,
    };
    let mut node = Node::new(store, Some(mark));
    node.run(|number| digest_of(if number == 35 { 9999 } else { number }));
    assert_eq!(node.engine.ledger().height(), 34);
    let sizes = node.engine.reservoir().sizes();
    assert_eq!((sizes.assets, sizes.unverified_tx_entries), (0, 0));
    let packed = block_of(&node.engine.ledger().tip(), spoilt());
    let subscription = node.engine.subscriptions[0].socket;
    node.input(Input::Published(subscription, News::Block(packed)));
    if let Some(fresh) = node.fresh.pop() {
        node.input(Input::Digest(fresh, digest_of(35)));
    }
    assert_eq!(node.engine.ledger().height(), 34);
}

/// All that is told to miners, also what waits for the disk.
fn told_to_miners(out: &[Effect], told: &mut Vec<String>) {
    for effect in out {
        match effect {
            Effect::SubmissionReply(_, text) => told.push(text.clone()),
            Effect::Commit(_, after) => told_to_miners(after, told),
            _ => {}
        }
    }
}

#[test]
fn while_a_false_chain_goes_step_by_step_no_miner_is_told_that_a_block_on_it_is_good() {
    let mut store = unchecked(120, |number| asset_and_issues(number, 100));
    let mark = Checked {
        verified: 9,
        until: 120,
    };
    store.apply(&mark.batch());
    let foundation = Foundation::new(foundation());
    let settings = Settings {
        chain: &DEVNET,
        mining: Some(machine::Settings::of_chain(&DEVNET, foundation)),
        ..settings()
    };
    let (mut engine, first) = Engine::new(AT, settings, &store).unwrap();
    store.apply(&first);
    let mut all = Vec::new();
    engine.start(AT, &store, &mut all);
    let commit = |out: &[Effect], store: &mut MemoryStore| {
        for effect in out {
            if let Effect::Commit(batch, _) = effect {
                store.apply(batch);
            }
        }
    };
    commit(&all, &mut store);
    let mut take = |engine: &mut Engine, input: Input| {
        let mut out = Vec::new();
        engine.step(AT, input, &store, &mut out);
        commit(&out, &mut store);
        out
    };
    let check = all.iter().find_map(|effect| match effect {
        Effect::CheckDigest(request, _) => Some(*request),
        _ => None,
    });
    // A job, and a nonce for it whose digest is not computed yet.
    let fresh = asset_and_issue(5000);
    let candidate = Candidate {
        id: TxId::of(&fresh[1]),
        packed: fresh[1].clone().into(),
        link: None,
        asset: AssetNeed::Cached {
            id: AssetId::of(b"fingerprint 5000"),
            packed: fresh[0].clone().into(),
        },
    };
    engine.run(AT, &MemoryStore::new(), &mut all, |engine, step| {
        engine.mine(step, machine::Input::Records(vec![candidate]));
    });
    let work = all.iter().rev().find_map(|effect| match effect {
        Effect::Work(text) => Work::read(text.as_bytes()),
        _ => None,
    });
    let frame = work.unwrap().submission(7).into_bytes();
    let out = take(&mut engine, Input::Submission(1, frame.clone()));
    let request = out.iter().find_map(|effect| match effect {
        Effect::Digest(request, _) => Some(*request),
        _ => None,
    });

    let mut told = Vec::new();
    let out = take(&mut engine, Input::Digest(check.unwrap(), digest_of(9999)));
    told_to_miners(&out, &mut told);
    assert!(engine.check.is_dropping() && engine.ledger().height() > 10);
    let block = block_of(&engine.ledger().tip(), asset_and_issue(6000));
    let socket = engine.subscriptions[0].socket;
    for input in [
        Input::Digest(request.unwrap(), BlockDigest([0; 32])),
        Input::Submission(2, frame),
        Input::Published(socket, News::Block(block)),
    ] {
        assert!(engine.check.is_dropping());
        let out = take(&mut engine, input);
        told_to_miners(&out, &mut told);
    }
    while engine.next_wakeup() == 0 {
        let out = take(&mut engine, Input::Wake);
        told_to_miners(&out, &mut told);
    }
    assert_eq!(engine.ledger().height(), 9);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|text| text.contains("false")), "{told:?}");
}

impl Node {
    /// Answers what it asks of its peer, who is on this chain.
    fn serve(&mut self, chain: &MemoryStore, height: u64) {
        while let Some((socket, frames)) = self.requests.pop_front() {
            let of_block = |pool| {
                let number = frames.get(2).and_then(|bytes| keys::number(bytes)).unwrap();
                chain.get(pool, &keys::block(number)).unwrap().unwrap()
            };
            let command = frames[1].clone();
            let mut reply = vec![command.clone()];
            match command.as_slice() {
                b"R" => reply.extend([b"devnet".to_vec(), vec![1; 32], vec![], vec![0; 8]]),
                b"N" => reply.push(height.to_be_bytes().to_vec()),
                b"B" => reply.push(of_block(Pool::Blocks)),
                b"H" => reply.push(of_block(Pool::BlockDigest)),
                _ => reply.push(b"A".to_vec()),
            }
            self.input(Input::Reply(socket, reply));
        }
    }

    /// Tells one of the digests of new blocks that are asked for.
    fn tell_digest(&mut self) -> bool {
        let Some(request) = self.fresh.pop() else {
            return false;
        };
        let number = self.numbers[&request];
        self.input(Input::Digest(request, digest_of(number)));
        true
    }
}

#[test]
fn when_a_false_chain_goes_while_blocks_are_fetched_on_it_nobody_is_blamed_and_the_right_ones_come()
{
    // Who was deceived by the same snapshot, and goes on with it until it finds out.
    let false_at = |number| digest_of(if number == 35 { 9999 } else { number });
    let (deceived, ours) = chain_with(60, 40, false_at);
    let (right, _) = chain(60, 1);
    let mut settings = settings();
    settings.connect = settings.subscribe.clone();
    settings.timing.connector.minimum_upstreams = 1;
    let mark = Checked {
        verified: 33,
        until: 40,
    };
    let now = Now { mono: 1000, ..AT };
    let mut node = Node::with(now, settings, ours, Some(mark));
    node.serve(&deceived, 60);
    assert!(
        node.fresh.len() > 1,
        "blocks above 40 wait for their digests"
    );
    node.run(digest_of);
    assert_eq!(node.engine.ledger().height(), 34);
    loop {
        let is_told = node.tell_digest();
        let is_served = !node.requests.is_empty();
        node.serve(&right, 60);
        if !is_told && !is_served {
            break;
        }
    }
    let told = node.logs.join("\n");
    assert!(!told.contains("is set back"), "{told}");
    assert_eq!(node.engine.ledger().height(), 60, "{told}");
    assert_eq!(node.of_chain(), of_chain(&right));
}

#[test]
fn whom_a_false_chain_blamed_is_listened_to_again_when_it_is_gone() {
    let false_at = |number| digest_of(if number == 35 { 9999 } else { number });
    let (store, _) = chain_with(40, 1, false_at);
    let mark = Checked {
        verified: 33,
        until: 40,
    };
    let mut node = Node::new(store, Some(mark));
    let socket = node.engine.subscriptions[0].socket;
    let good = block_on(&node.engine.ledger().tip());
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    node.input(Input::Published(socket, News::Block(bad)));
    assert!(node.tell_digest());
    node.input(Input::Published(socket, News::Block(good)));
    assert_eq!(node.engine.ledger().height(), 40, "it is blamed");
    node.run(digest_of);
    assert_eq!(node.engine.ledger().height(), 34);
    let right = block_on(&node.engine.ledger().tip());
    node.input(Input::Published(socket, News::Block(right)));
    assert!(node.tell_digest());
    assert_eq!(node.engine.ledger().height(), 35);
}

#[test]
fn while_a_false_chain_goes_step_by_step_what_is_known_to_be_false_is_not_told_as_verified() {
    let store = unchecked(120, |number| asset_and_issues(number, 100));
    let mark = Checked {
        verified: 9,
        until: 120,
    };
    let mut node = Node::new(store, Some(mark));
    assert_eq!(node.verified(), 9);
    assert_eq!(node.answer(|_| digest_of(9999)), Some(10));
    assert!(node.engine.check.is_dropping() && node.engine.ledger().height() > 10);
    // `ctl status`, `/metrics` and `snapshot export` tell this.
    assert_eq!(node.verified(), 9);
}
