//! Keeping up with the network: the synchronisation state machine (`proto/peer.md`, sections 7
//! and 15).
//!
//! | state | input | what follows |
//! | --- | --- | --- |
//! | connecting | enough upstreams told a height | choosing; else once a cycle `Reconnect` |
//! | choosing | somebody claims more than we have | his next block is asked for: proving |
//! | choosing | nobody does, and somebody not set back says so | mode Normal, sampling |
//! | choosing | all are set back, not Normal yet | it waits; too few upstreams: connecting |
//! | proving | a block above our tip that follows it | fetching |
//! | proving | one that does not | finding the fork, downwards |
//! | finding | digests, asked for ahead | judged from the top down: below one that differs it goes on |
//! | finding | equal digests | the branch above is fetched whole, as far as it is longer than ours |
//! | branch | blocks, asked for ahead | the first digests are computed meanwhile; taken in their order |
//! | branch | longer than ours | switch: all of it or nothing |
//! | fetching | blocks, asked for ahead | their digests are computed side by side; put into the ledger one by one; choosing at the end |
//! | sampling | two blocks behind, or one for long, or news that do not fit | choosing |
//! | any | our height fell: a false chain was dropped | choosing, from the height there is; nothing is held against anybody |
//! | any | the peer in question is lost | choosing; it is set back if digests were computed for it and nothing of it is in |
//! | any | a wrong answer, none, a block that is refused | that peer is set back, choosing |
//! | proving to branch; a block while fetching | takes longer than [`PATIENCE_MS`] | others are asked first, choosing |
//!
//! A claim counts for nothing until the peer has served a block above our tip; a peer that fails is
//! set back with growing pauses. One that is slow, or makes us walk down a long branch, has done
//! nothing wrong: others are asked meanwhile, and the next time it may take twice as long. No block
//! is taken off before its replacement is here. No state goes round without a pause: each round sets
//! somebody back or moves the height. Nobody is set back for what he did not do: answers to questions
//! that are no longer of interest, and blocks that came another way meanwhile, are passed over. One block or branch is on its way into the ledger at a
//! time, and nothing new is chosen before it is in or refused.
//!
//! Bounds: [`AHEAD`] blocks wait, a branch has at most the fork protection and one block and
//! [`BRANCH_BYTES`] bytes, [`FINDING_AHEAD`] digests or blocks of it are asked for ahead,
//! [`SET_BACK_MAX`] peers are remembered.

mod fork;

use std::collections::BTreeMap;

pub use self::fork::FINDING_AHEAD;
use self::fork::{Branch, Finding};
use crate::core::block::{HEADER_BYTES, Header};
use crate::core::chain::Chain;
use crate::core::id::BlockDigest;
use crate::core::keys::PeerPublicKey;
use crate::core::time::{Millis, Now};
use crate::core::upstream::{Answer, Question};

/// Blocks asked for ahead of the one that goes into the ledger.
pub const AHEAD: u64 = 16;
/// Bytes of a replacement branch, with those of its blocks that wait for others below them.
pub const BRANCH_BYTES: usize = 128 << 20;
/// Peers that are set back.
pub const SET_BACK_MAX: usize = 256;
/// What a peer may take in all from the first question until it has shown that its branch is
/// longer, and later for each block, before others are asked; it doubles each time.
pub const PATIENCE_MS: Millis = 5_000;
/// The pause of a peer that failed, and the patience with one that is slow, double so many times.
const DOUBLINGS: u32 = 6;
/// What is said of an answer of another kind than the question.
const OF_ANOTHER_KIND: &str = "invalid peer response";

/// What the node does for others (`proto/peer.md`, section 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is catching up: news are not taken.
    Resynchronise,
    /// All is well.
    Normal,
}

/// A registered upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its place.
    pub slot: usize,
    /// Its key.
    pub key: PeerPublicKey,
    /// The height it told; 0 when it has not yet.
    pub height: u64,
}

/// What the machine sees of the rest of the node.
pub trait Local {
    /// The height of the ledger.
    fn height(&self) -> u64;
    /// The digest of one of its blocks.
    fn digest(&self, number: u64) -> Option<BlockDigest>;
    /// The upstreams that are registered.
    fn peers(&self) -> Vec<Peer>;
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The time of [`Connector::next_wakeup`] has come.
    Wake,
    /// An upstream was registered, lost, or told a height.
    Changed,
    /// A question was answered.
    Answered(usize, Question, Answer),
    /// The block put last is in.
    Applied,
    /// It is not; nor, for [`Effect::Switch`], is any of the branch.
    Refused(String),
    /// The branch is in.
    Switched,
    /// News did not fit: somebody may be ahead.
    Hint,
    /// Blocks of ours were found false and dropped, and no others are in their place. What was on its way
    /// into the ledger for [`Effect::Put`] or [`Effect::Switch`] is forgotten: nothing follows.
    Fell,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The mode is another.
    Mode(Mode),
    /// There are too few upstreams.
    Reconnect,
    /// Ask the upstream in this place.
    Ask(usize, Question),
    /// The digest of this header will be wanted: the block waits for those below it.
    Prepare(Box<[u8; HEADER_BYTES]>),
    /// Put this block on the tip; `Applied` or `Refused` follows.
    Put(Vec<u8>),
    /// Take all blocks above this number off and put these in their place, or change nothing;
    /// `Switched` or `Refused` follows.
    Switch(u64, Vec<Vec<u8>>),
    /// For the operator.
    Report(String),
}

/// Intervals and thresholds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Between two looks around.
    pub cycle_ms: Millis,
    /// Upstreams wanted before anything is done; 0 with subscriptions alone.
    pub minimum_upstreams: usize,
    /// Blocks fetched before the best peer is chosen anew.
    pub blocks_per_cycle: u64,
    /// As many blocks are never taken off.
    pub fork_protection: u64,
    /// So many looks one block behind are borne.
    pub sampling_limit: u64,
}

#[derive(Debug, Clone)]
enum State {
    Connecting,
    Choosing,
    Proving {
        peer: Peer,
        number: u64,
    },
    Finding(Finding),
    Branch(Branch),
    Switching {
        peer: Peer,
        /// What the branch would make it.
        height: u64,
    },
    Fetching(Fetch),
    Sampling {
        samples: u64,
    },
}

#[derive(Debug, Clone)]
struct Fetch {
    peer: Peer,
    /// The next number to ask for, up to `last`.
    ask: u64,
    last: u64,
    waiting: BTreeMap<u64, Vec<u8>>,
    /// The highest of our blocks that the peer is known to have: the tip that its first block followed,
    /// or the last of its own that went in.
    common: u64,
}

/// Why others are asked before a peer.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    /// How often it failed since it last served anything.
    failures: u32,
    /// How often it took too long.
    delays: u32,
    /// Until when.
    until: Millis,
}

/// The machine.
#[derive(Debug)]
pub struct Connector {
    chain: &'static Chain,
    timing: Timing,
    state: State,
    mode: Mode,
    next_cycle: Millis,
    set_back: BTreeMap<PeerPublicKey, Mark>,
    /// Until when the peer in question may take, while it is waited for.
    patient_until: Millis,
    accept_fork: Option<u64>,
    /// The block that is on its way into the ledger, and whose it is.
    putting: Option<(PeerPublicKey, u64)>,
    /// For whom digests are computed ahead, of which nothing went in yet.
    prepared: Option<PeerPublicKey>,
}

impl Connector {
    /// Starts without upstreams.
    #[must_use]
    pub fn new(now: Now, chain: &'static Chain, timing: Timing) -> Self {
        Self {
            chain,
            timing,
            state: State::Connecting,
            mode: Mode::Resynchronise,
            next_cycle: now.mono,
            set_back: BTreeMap::new(),
            patient_until: Millis::MAX,
            accept_fork: None,
            putting: None,
            prepared: None,
        }
    }

    /// The mode.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The name of the state, for people.
    #[must_use]
    pub const fn state(&self) -> &'static str {
        match self.state {
            State::Connecting => "Connecting",
            State::Choosing | State::Proving { .. } => "HighestBlock",
            State::Finding(_) => "ForkDetect",
            State::Branch(_) | State::Switching { .. } | State::Fetching(_) => "FetchBlocks",
            State::Sampling { .. } => "Sampling",
        }
    }

    /// Lets a fork take off blocks down to this height, beyond the protection: the operator says so.
    pub const fn accept_fork(&mut self, height: u64) {
        self.accept_fork = Some(height);
    }

    /// When [`Input::Wake`] is wanted.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Millis> {
        let patient_until = self.waits_for().map(|_| self.patient_until);
        Some(self.next_cycle.min(patient_until.unwrap_or(Millis::MAX)))
    }

    /// The peer whose answer is waited for; not while a block of ours goes in.
    fn waits_for(&self) -> Option<Peer> {
        let is_ours = self.putting.is_some() || matches!(self.state, State::Switching { .. });
        self.current().filter(|_| !is_ours)
    }

    /// From now on the peer has its time again.
    fn be_patient(&mut self, now: Now, key: &PeerPublicKey) {
        let delays = self.set_back.get(key).map_or(0, |mark| mark.delays);
        let patience = PATIENCE_MS.saturating_mul(1 << delays.min(DOUBLINGS));
        self.patient_until = now.mono.saturating_add(patience);
    }

    /// Takes one input.
    pub fn step(&mut self, now: Now, input: Input, local: &dyn Local, out: &mut Vec<Effect>) {
        let is_cycle = now.mono >= self.next_cycle;
        if is_cycle {
            self.next_cycle = now.mono.saturating_add(self.timing.cycle_ms.max(1));
        }
        if input == Input::Fell {
            self.begin_again();
        }
        // Its place may have been given to another peer meanwhile; a switch ends by itself.
        let is_gone = |peer: Peer| {
            let same = |other: &Peer| other.slot == peer.slot && other.key == peer.key;
            !local.peers().iter().any(same)
        };
        let gone = self.current().filter(|peer| is_gone(*peer));
        if let Some(peer) = gone.filter(|_| !matches!(self.state, State::Switching { .. })) {
            self.state = State::Choosing;
            // Else anybody could have digests computed, go, and come again.
            if self.prepared == Some(peer.key) {
                let why = "it went, and digests were computed for nothing";
                self.fail(now, peer.key, why, out);
            }
        }
        match input {
            Input::Wake | Input::Changed | Input::Fell => {}
            Input::Hint => {
                if let State::Sampling { samples } = &mut self.state {
                    *samples = samples.saturating_add(self.timing.sampling_limit / 2 + 1);
                }
            }
            Input::Answered(slot, question, answer) => {
                self.answered(now, slot, question, answer, local, out);
            }
            Input::Applied => {
                if let (State::Fetching(fetch), Some((_, number))) = (&mut self.state, self.putting)
                {
                    fetch.common = number;
                }
                self.applied(now, local, out);
            }
            Input::Refused(why) => self.refused(now, &why, local, out),
            Input::Switched => {
                if let State::Switching { peer, .. } = self.state {
                    self.forgive(&peer.key);
                    self.prepared = None;
                    // The operator's word was for one fork.
                    self.accept_fork = None;
                    self.state = State::Choosing;
                }
            }
        }
        self.advance(now, is_cycle, local, out);
    }

    /// All that was measured by a chain that was false is void: numbers that were asked for, and what
    /// peers were set back for. That one is slow is not of the chain; that it is far behind or on another
    /// branch was.
    fn begin_again(&mut self) {
        if !matches!(self.state, State::Connecting) {
            self.state = State::Choosing;
        }
        self.putting = None;
        self.prepared = None;
        for mark in self.set_back.values_mut() {
            mark.failures = 0;
            mark.until = 0;
        }
    }

    /// What needs no answer.
    fn advance(&mut self, now: Now, is_cycle: bool, local: &dyn Local, out: &mut Vec<Effect>) {
        if let Some(peer) = self.waits_for()
            && now.mono >= self.patient_until
        {
            self.pass_over(now, peer.key, out);
        }
        if matches!(self.state, State::Connecting) {
            if told(local) >= self.timing.minimum_upstreams {
                self.state = State::Choosing;
            } else if is_cycle {
                out.push(Effect::Reconnect);
            }
        }
        if let State::Sampling { samples } = self.state {
            self.sample(now, samples, is_cycle, local, out);
        }
        if let State::Fetching(fetch) = &mut self.state
            && self.putting.is_none()
        {
            // Blocks may have come another way meanwhile.
            let height = local.height();
            fetch.waiting.retain(|number, _| *number > height);
            if height >= fetch.last {
                self.state = State::Choosing;
            } else {
                fetch.ask = fetch.ask.max(height.saturating_add(1));
                self.go_on(local, out);
            }
        }
        if matches!(self.state, State::Choosing) && self.putting.is_none() {
            self.choose(now, is_cycle, local, out);
        }
    }

    fn sample(
        &mut self,
        now: Now,
        samples: u64,
        is_cycle: bool,
        local: &dyn Local,
        out: &mut Vec<Effect>,
    ) {
        let height = local.height();
        let highest = self.best(now, local).map_or(0, |peer| peer.height);
        let one_behind = highest == height.saturating_add(1);
        let samples = match (one_behind, is_cycle) {
            (true, true) => samples.saturating_add(1),
            (true, false) => samples,
            (false, _) if highest <= height => 0,
            (false, _) => samples,
        };
        let behind = highest > height.saturating_add(1);
        if behind || (one_behind && samples > self.timing.sampling_limit) {
            self.state = State::Choosing;
        } else {
            self.state = State::Sampling { samples };
        }
        if is_cycle && local.peers().len() < self.timing.minimum_upstreams {
            out.push(Effect::Reconnect);
        }
    }

    fn is_set_back(&self, now: Now, key: &PeerPublicKey) -> bool {
        self.set_back
            .get(key)
            .is_some_and(|mark| now.mono < mark.until)
    }

    /// Whether it took too long not long ago.
    fn is_slow(&self, key: &PeerPublicKey) -> bool {
        self.set_back.get(key).is_some_and(|mark| mark.delays > 0)
    }

    /// Who claims most, of those not set back.
    fn best(&self, now: Now, local: &dyn Local) -> Option<Peer> {
        let mut best: Option<Peer> = None;
        for peer in local.peers() {
            let more = best.is_none_or(|best| peer.height > best.height);
            if more && !self.is_set_back(now, &peer.key) {
                best = Some(peer);
            }
        }
        best
    }

    fn choose(&mut self, now: Now, is_cycle: bool, local: &dyn Local, out: &mut Vec<Effect>) {
        let height = local.height();
        let best = self.best(now, local);
        if let Some(peer) = best.filter(|peer| peer.height > height) {
            let number = height.saturating_add(1);
            self.state = State::Proving { peer, number };
            self.be_patient(now, &peer.key);
            return out.push(Effect::Ask(peer.slot, Question::Block(number)));
        }
        if self.mode == Mode::Normal {
            self.state = State::Sampling { samples: 0 };
            return;
        }
        // That nobody is ahead must be the word of somebody who has not failed just now.
        let is_vouched = best.is_some_and(|peer| peer.height > 0);
        if is_vouched || self.timing.minimum_upstreams == 0 {
            self.mode = Mode::Normal;
            out.push(Effect::Mode(Mode::Normal));
            self.state = State::Sampling { samples: 0 };
        } else if told(local) < self.timing.minimum_upstreams {
            self.state = State::Connecting;
        } else if is_cycle {
            out.push(Effect::Reconnect);
        }
    }

    fn fail(&mut self, now: Now, key: PeerPublicKey, why: &str, out: &mut Vec<Effect>) {
        self.prepared = None;
        let cycle = self.timing.cycle_ms.max(1);
        let mark = self.mark(key);
        let pause = cycle.saturating_mul(1 << mark.failures.min(DOUBLINGS));
        mark.failures = mark.failures.saturating_add(1);
        mark.until = now.mono.saturating_add(pause);
        out.push(Effect::Report(format!("peer {key} is set back: {why}")));
        self.state = State::Choosing;
    }

    /// The peer takes long: others are asked first, for longer each time, so that it never has more
    /// than its share of the time.
    fn pass_over(&mut self, now: Now, key: PeerPublicKey, out: &mut Vec<Effect>) {
        let cycle = self.timing.cycle_ms.max(PATIENCE_MS);
        let mark = self.mark(key);
        let pause = cycle.saturating_mul(1 << mark.delays.min(DOUBLINGS));
        mark.delays = mark.delays.saturating_add(1);
        mark.until = now.mono.saturating_add(pause);
        let text = format!("peer {key} takes long: others are asked first");
        out.push(Effect::Report(text));
        self.state = State::Choosing;
    }

    /// What is held against a peer; at the bound, what ends first is forgotten.
    fn mark(&mut self, key: PeerPublicKey) -> &mut Mark {
        let is_full = self.set_back.len() >= SET_BACK_MAX && !self.set_back.contains_key(&key);
        let oldest = self.set_back.iter().min_by_key(|(_, mark)| mark.until);
        if let Some(oldest) = oldest.map(|(key, _)| *key).filter(|_| is_full) {
            self.set_back.remove(&oldest);
        }
        self.set_back.entry(key).or_default()
    }

    /// The peer served what we took. That it is slow is remembered for now: it keeps its time.
    fn forgive(&mut self, key: &PeerPublicKey) {
        if let Some(mark) = self.set_back.get_mut(key) {
            mark.failures = 0;
            mark.until = 0;
        }
    }

    fn answered(
        &mut self,
        now: Now,
        slot: usize,
        question: Question,
        answer: Answer,
        local: &dyn Local,
        out: &mut Vec<Effect>,
    ) {
        let Some(peer) = self.current().filter(|peer| peer.slot == slot) else {
            return;
        };
        if !self.is_awaited(question, local) {
            // What came another way is a reason to look again, not to blame anybody.
            if matches!(self.state, State::Proving { number, .. } if number <= local.height()) {
                self.state = State::Choosing;
            }
            return;
        }
        match (&mut self.state, question, answer) {
            (State::Finding(_), Question::Digest(number), answer) => {
                self.digest_told(now, number, answer, local, out);
            }
            (State::Branch(_), Question::Block(number), answer) => {
                self.branch_told(now, number, answer, local, out);
            }
            (_, _, Answer::Failed(why)) => self.fail(now, peer.key, &why, out),
            (State::Proving { .. }, Question::Block(number), Answer::Block(packed)) => {
                self.proved(now, peer, number, packed, local, out);
            }
            (State::Fetching(fetch), Question::Block(number), Answer::Block(packed)) => {
                // The next one is put at once, or as soon as the one on its way is in.
                if number > local.height().saturating_add(1) {
                    let prepared = prepare(self.chain, now, number, &packed);
                    if prepared.is_some() {
                        self.prepared = Some(peer.key);
                    }
                    out.extend(prepared);
                }
                fetch.waiting.insert(number, packed);
                self.be_patient(now, &peer.key);
                self.go_on(local, out);
            }
            // An answer of another kind than the question.
            _ => self.fail(now, peer.key, OF_ANOTHER_KIND, out),
        }
    }

    fn current(&self) -> Option<Peer> {
        match &self.state {
            State::Proving { peer, .. } | State::Switching { peer, .. } => Some(*peer),
            State::Finding(finding) => Some(finding.peer),
            State::Branch(branch) => Some(branch.peer),
            State::Fetching(fetch) => Some(fetch.peer),
            _ => None,
        }
    }

    /// Whether the question was asked in this state and its answer is still wanted.
    fn is_awaited(&self, question: Question, local: &dyn Local) -> bool {
        let height = local.height();
        match (&self.state, question) {
            (State::Proving { number, .. }, Question::Block(asked)) => {
                asked == *number && asked == height.saturating_add(1)
            }
            (State::Finding(finding), Question::Digest(asked)) => finding.awaits(asked),
            (State::Branch(branch), Question::Block(asked)) => branch.awaits(asked),
            (State::Fetching(fetch), Question::Block(asked)) => {
                let put = self.putting.map_or(0, |(_, number)| number);
                asked > height.max(put) && asked < fetch.ask && !fetch.waiting.contains_key(&asked)
            }
            _ => false,
        }
    }

    /// The block above our tip came: the claim is more than words.
    fn proved(
        &mut self,
        now: Now,
        peer: Peer,
        number: u64,
        packed: Vec<u8>,
        local: &dyn Local,
        out: &mut Vec<Effect>,
    ) {
        let height = local.height();
        let header = match Header::unpack(&packed) {
            Ok((header, _)) => header,
            Err(e) => return self.fail(now, peer.key, &e.to_string(), out),
        };
        if header.number != number {
            return self.fail(now, peer.key, "another block than the one asked for", out);
        }
        if let Err(e) = header.check(self.chain, now.wall) {
            return self.fail(now, peer.key, &e.to_string(), out);
        }
        if Some(header.previous_block) == local.digest(height) {
            let last = peer
                .height
                .min(height.saturating_add(self.timing.blocks_per_cycle));
            self.state = State::Fetching(Fetch {
                peer,
                ask: number.saturating_add(1),
                last,
                waiting: BTreeMap::from([(number, packed)]),
                common: height,
            });
            self.be_patient(now, &peer.key);
            return self.go_on(local, out);
        }
        if height <= 1 {
            return self.fail(now, peer.key, "its chain does not begin as ours does", out);
        }
        self.find(peer, local, out);
    }

    /// Asks ahead and puts the next block, if it is here.
    fn go_on(&mut self, local: &dyn Local, out: &mut Vec<Effect>) {
        let is_slow = self.current().is_some_and(|peer| self.is_slow(&peer.key));
        let State::Fetching(fetch) = &mut self.state else {
            return;
        };
        let height = local.height();
        // What a slow peer was asked for may still wait there: no more than one is added.
        let ahead = if is_slow { 1 } else { AHEAD };
        while fetch.ask <= fetch.last && fetch.ask <= height.saturating_add(ahead) {
            out.push(Effect::Ask(fetch.peer.slot, Question::Block(fetch.ask)));
            fetch.ask += 1;
        }
        if self.putting.is_none() {
            let next = height.saturating_add(1);
            if let Some(packed) = fetch.waiting.remove(&next) {
                let follows = Header::unpack(&packed)
                    .is_ok_and(|(header, _)| Some(header.previous_block) == local.digest(height));
                if !follows && fetch.common < height {
                    // One of ours came another way, and the peer has another there: nobody's fault.
                    self.prepared = None;
                    self.state = State::Choosing;
                    return;
                }
                self.putting = Some((fetch.peer.key, next));
                out.push(Effect::Put(packed));
            }
        }
    }

    fn applied(&mut self, now: Now, local: &dyn Local, out: &mut Vec<Effect>) {
        self.putting = None;
        self.prepared = None;
        let State::Fetching(fetch) = &mut self.state else {
            return;
        };
        let height = local.height();
        fetch.waiting.retain(|number, _| *number > height);
        // A block that came as news meanwhile is not asked for again.
        fetch.ask = fetch.ask.max(height.saturating_add(1));
        let (key, is_done) = (fetch.peer.key, height >= fetch.last);
        self.forgive(&key);
        self.be_patient(now, &key);
        if is_done {
            // It has shown all that it claimed: one delay is forgotten.
            if let Some(mark) = self.set_back.get_mut(&key) {
                mark.delays = mark.delays.saturating_sub(1);
            }
            self.state = State::Choosing;
            return;
        }
        self.go_on(local, out);
    }

    fn refused(&mut self, now: Now, why: &str, local: &dyn Local, out: &mut Vec<Effect>) {
        if let Some((key, number)) = self.putting.take() {
            if number <= local.height() {
                // It is there already, as news: nobody's fault.
                return self.applied(now, local, out);
            }
            if !self.is_set_back(now, &key) {
                self.fail(now, key, why, out);
            }
        } else if let State::Switching { peer, height } = self.state {
            if height <= local.height() {
                // Ours has grown as long meanwhile: what was seen first stays.
                self.state = State::Choosing;
            } else {
                self.fail(now, peer.key, why, out);
            }
        }
    }
}

/// What a block costs may be spent before its turn, if it looks like the one that was asked for.
/// Whose digests turn out wrong, or who goes before any block of his went in, is set back: no more
/// than [`AHEAD`] of them were for nothing.
fn prepare(chain: &Chain, now: Now, number: u64, packed: &[u8]) -> Option<Effect> {
    let (header, _) = Header::unpack(packed).ok()?;
    header.check(chain, now.wall).ok()?;
    let bytes = packed.first_chunk::<HEADER_BYTES>()?;
    (header.number == number).then(|| Effect::Prepare(Box::new(*bytes)))
}

/// How many upstreams told a height.
fn told(local: &dyn Local) -> usize {
    let peers = local.peers();
    peers.iter().filter(|peer| peer.height > 0).count()
}

#[cfg(test)]
mod tests;
