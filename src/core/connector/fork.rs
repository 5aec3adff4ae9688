//! Where a peer's branch leaves ours, and the branch itself (`proto/peer.md`, sections 7 and 15):
//! digests are asked for downwards from our tip, then the blocks above the highest that is equal,
//! both ahead of what is judged, so that a distance costs its time once and not for each of them.
//!
//! Answers come in any order, wait for their turn, and are judged in the order in which they would
//! be asked for one by one: what is found, whom it blames and what is reported is the same. What was
//! asked for ahead and does not matter any more is passed over, whatever the answer is.
//!
//! It never takes a block off, and asks for nothing below block 1, nor deeper than one below the last
//! that may be taken off. Bounds: [`FINDING_AHEAD`] answers wait, blocks within [`BRANCH_BYTES`] with
//! those that had their turn.

use std::collections::BTreeMap;

use super::{AHEAD, BRANCH_BYTES, Connector, Effect, Local, Peer, State, prepare};
use crate::core::block::Header;
use crate::core::id::BlockDigest;
use crate::core::ledger::UNDO_KEPT;
use crate::core::time::Now;
use crate::core::upstream::{Answer, OPEN_QUESTIONS, Question};

/// Digests, or blocks of a branch, that are asked for and had not their turn yet: as many questions
/// as an upstream has under way on a connection; more would wait there. A peer that is slow is asked
/// for one at a time.
pub const FINDING_AHEAD: u64 = OPEN_QUESTIONS as u64;

/// An answer that waits for its turn, or why there is none, in the peer's words.
type Told<T> = Result<T, String>;

/// The walk downwards.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    pub(super) peer: Peer,
    /// The block whose digest is judged next; it was asked for.
    number: u64,
    /// The next to ask for, below `number`; 0 when none is left.
    ask: u64,
    /// What came before its turn.
    told: BTreeMap<u64, Told<BlockDigest>>,
}

impl Finding {
    /// Whether an answer for this number is still wanted.
    pub(super) fn awaits(&self, number: u64) -> bool {
        number <= self.number && number > self.ask && !self.told.contains_key(&number)
    }
}

/// The blocks that would replace ours.
#[derive(Debug, Clone)]
pub(super) struct Branch {
    pub(super) peer: Peer,
    /// The last block that both have.
    common: u64,
    /// Those above it, as far as they had their turn.
    blocks: Vec<Vec<u8>>,
    /// The next number to ask for.
    ask: u64,
    /// What came before its turn.
    told: BTreeMap<u64, Told<Vec<u8>>>,
    /// Of all blocks that came.
    bytes: usize,
}

impl Branch {
    /// The number of the block that has its turn next; it was asked for.
    const fn due(&self) -> u64 {
        self.common
            .saturating_add(self.blocks.len() as u64)
            .saturating_add(1)
    }

    /// Whether an answer for this number is still wanted.
    pub(super) fn awaits(&self, number: u64) -> bool {
        number >= self.due() && number < self.ask && !self.told.contains_key(&number)
    }
}

/// Why the walk goes no deeper.
enum Limit {
    /// The operator allows it, but a running node cannot take so many blocks off.
    Undo,
    /// Fork protection.
    Protection,
}

impl Connector {
    /// What a peer may be asked for ahead here.
    fn ahead_of(&self, peer: &Peer) -> u64 {
        if self.is_slow(&peer.key) {
            1
        } else {
            FINDING_AHEAD
        }
    }

    /// Walks down from our tip.
    pub(super) fn find(&mut self, peer: Peer, local: &dyn Local, out: &mut Vec<Effect>) {
        let height = local.height();
        self.state = State::Finding(Finding {
            peer,
            number: height,
            ask: height,
            told: BTreeMap::new(),
        });
        self.ask_down(local, out);
    }

    /// Why the walk does not go on below this block, if it does not: all above it would be taken off.
    fn limit(&self, number: u64, local: &dyn Local) -> Option<Limit> {
        let depth = local.height().saturating_sub(number);
        let is_told = self.accept_fork.is_some_and(|accepted| number >= accepted);
        if is_told && depth > UNDO_KEPT {
            return Some(Limit::Undo);
        }
        let allowed = depth < self.timing.fork_protection || is_told;
        (!allowed).then_some(Limit::Protection)
    }

    /// Asks for the digests below, as far as the walk may have to go.
    fn ask_down(&mut self, local: &dyn Local, out: &mut Vec<Effect>) {
        while let State::Finding(finding) = &self.state
            && finding.ask > 0
        {
            let Finding {
                peer, number, ask, ..
            } = *finding;
            let under_way = number.saturating_sub(ask);
            let is_due = under_way == 0;
            let may_be = || self.limit(ask.saturating_add(1), local).is_none();
            if !is_due && (under_way >= self.ahead_of(&peer) || !may_be()) {
                return;
            }
            out.push(Effect::Ask(peer.slot, Question::Digest(ask)));
            if let State::Finding(finding) = &mut self.state {
                finding.ask = ask.saturating_sub(1);
            }
        }
    }

    /// An awaited answer to the question for a digest.
    pub(super) fn digest_told(
        &mut self,
        now: Now,
        number: u64,
        answer: Answer,
        local: &dyn Local,
        out: &mut Vec<Effect>,
    ) {
        let told = match answer {
            Answer::Digest(digest) => Ok(digest),
            Answer::Failed(why) => Err(why),
            Answer::Block(_) => Err(super::OF_ANOTHER_KIND.to_owned()),
        };
        if let State::Finding(finding) = &mut self.state {
            finding.told.insert(number, told);
        }
        while let State::Finding(finding) = &mut self.state
            && let Some(told) = finding.told.remove(&finding.number)
        {
            let (peer, number) = (finding.peer, finding.number);
            match told {
                Ok(digest) => self.judge(now, peer, number, digest, local, out),
                Err(why) => self.fail(now, peer.key, &why, out),
            }
        }
        self.ask_down(local, out);
    }

    /// The digest of the highest block that was not judged.
    fn judge(
        &mut self,
        now: Now,
        peer: Peer,
        number: u64,
        digest: BlockDigest,
        local: &dyn Local,
        out: &mut Vec<Effect>,
    ) {
        match self.limit(number, local) {
            Some(Limit::Undo) => {
                out.push(Effect::Report(format!(
                    "peer {} is on another branch of more than {UNDO_KEPT} blocks, which is more than a running \
                     node takes off; to follow it, stop the node, run delete-down {}, and start it again",
                    peer.key,
                    number.saturating_add(1)
                )));
                return self.fail(now, peer.key, "a fork deeper than can be undone", out);
            }
            Some(Limit::Protection) => {
                let depth = local.height().saturating_sub(number);
                out.push(Effect::Report(format!(
                    "peer {} is on another branch of more than {depth} blocks; to follow it, start with --accept-fork {}",
                    peer.key,
                    number.saturating_sub(1)
                )));
                return self.fail(now, peer.key, "a fork deeper than the protection", out);
            }
            None => {}
        }
        if local.digest(number) == Some(digest) {
            self.state = State::Branch(Branch {
                peer,
                common: number,
                blocks: Vec::new(),
                ask: number.saturating_add(1),
                told: BTreeMap::new(),
                bytes: 0,
            });
            self.ask_up(local, out);
        } else if number > 1 {
            if let State::Finding(finding) = &mut self.state {
                finding.number = number - 1;
            }
        } else {
            self.fail(now, peer.key, "its chain does not begin as ours does", out);
        }
    }

    /// Asks for the blocks above, up to the one that makes the branch longer than ours.
    fn ask_up(&mut self, local: &dyn Local, out: &mut Vec<Effect>) {
        let last = local.height().saturating_add(1);
        while let State::Branch(branch) = &self.state {
            let (peer, ask) = (branch.peer, branch.ask);
            let under_way = ask.saturating_sub(branch.due());
            let is_due = under_way == 0;
            if !is_due && (under_way >= self.ahead_of(&peer) || ask > last) {
                return;
            }
            out.push(Effect::Ask(peer.slot, Question::Block(ask)));
            if let State::Branch(branch) = &mut self.state {
                branch.ask = ask.saturating_add(1);
            }
        }
    }

    /// An awaited answer to the question for a block of the branch.
    pub(super) fn branch_told(
        &mut self,
        now: Now,
        number: u64,
        answer: Answer,
        local: &dyn Local,
        out: &mut Vec<Effect>,
    ) {
        let State::Branch(branch) = &mut self.state else {
            return;
        };
        let told = match answer {
            Answer::Block(packed) => Ok(packed),
            Answer::Failed(why) => Err(why),
            Answer::Digest(_) => Err(super::OF_ANOTHER_KIND.to_owned()),
        };
        if let Ok(packed) = &told {
            branch.bytes = branch.bytes.saturating_add(packed.len());
            if branch.bytes > BRANCH_BYTES {
                let key = branch.peer.key;
                return self.fail(now, key, NO_BRANCH, out);
            }
            // The switch wants all of them; those of a branch that is none cost no more than this.
            if number <= branch.common.saturating_add(AHEAD) {
                let prepared = prepare(self.chain, now, number, packed);
                if prepared.is_some() {
                    self.prepared = Some(branch.peer.key);
                }
                out.extend(prepared);
            }
        }
        branch.told.insert(number, told);
        self.extend_branch(now, local, out);
    }

    /// Takes the blocks that have their turn.
    fn extend_branch(&mut self, now: Now, local: &dyn Local, out: &mut Vec<Effect>) {
        let height = local.height();
        while let State::Branch(branch) = &mut self.state
            && let due = branch.due()
            && let Some(told) = branch.told.remove(&due)
        {
            let peer = branch.peer;
            let packed = match told {
                Ok(packed) => packed,
                Err(why) => return self.fail(now, peer.key, &why, out),
            };
            let fits = Header::unpack(&packed).is_ok_and(|(header, _)| {
                header.number == due && header.check(self.chain, now.wall).is_ok()
            });
            if !fits {
                return self.fail(now, peer.key, NO_BRANCH, out);
            }
            branch.blocks.push(packed);
            if due > height {
                let (common, blocks) = (branch.common, std::mem::take(&mut branch.blocks));
                self.state = State::Switching { peer, height: due };
                return out.push(Effect::Switch(common, blocks));
            }
        }
        self.ask_up(local, out);
    }
}

/// What is said of blocks that do not follow each other, or of too many bytes of them.
const NO_BRANCH: &str = "a branch that is none";
