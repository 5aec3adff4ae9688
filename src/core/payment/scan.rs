//! The scan of one coin's chain over the REST service of its daemon (`proto/reservoir.md`,
//! section 15). It says what to ask next and takes the answer; it has no socket and no clock.
//!
//! | state | asks | answer | then |
//! | --- | --- | --- | --- |
//! | start | `chaininfo.json` | the newest block | back, from there |
//! | back | `block/HASH.json` | at most 3 confirmations | back, one block further |
//! | back | | more | its payments; remembered; back, one further, until 72 hours are seen |
//! | back | | off the chain | a failure; start |
//! | ahead | `headers/1/HASH.json` of the newest block looked at | on the chain, its follower not deep enough | wait |
//! | ahead | | on the chain, its follower deep enough | follower |
//! | ahead | | none, or off the chain | forget it; ahead with the one below; none left: a failure; start |
//! | follower | `block/HASH.json` | behind ours, deep enough | its payments; remembered; the next, or wait |
//! | follower | | anything else | ahead |
//! | follower | | the daemon does not have it | a failure; ahead |
//! | any | | a failure | the same again, after a pause that grows; after five, in a block: start |
//!
//! A way that had to be left (to start, or from a follower to ahead) is a setback: the pause grows
//! with setbacks too, until the scan has come to rest or one block further ([`Scan::is_on_its_way`]).
//! Else a daemon that contradicts itself would be asked for the same blocks without an end.
//!
//! A payment that was told twice counts once, so that looking at a block again does no harm: after
//! a reorganisation the scan goes back to the newest block that is on both branches.
//!
//! Bounds: [`TRAIL_MAX`] remembered hashes, [`BACK_MAX`] blocks back.

use std::collections::VecDeque;

use serde::de::DeserializeOwned;
use thiserror::Error;

use super::answers::{BlockInfo, ChainInfo, Hash, HeaderInfo};
use crate::core::currency::Currency;
use crate::core::reservoir::{LIFE_S, SeenPayment};
use crate::core::time::{Millis, UnixSeconds};

/// Blocks with no more confirmations are not looked at yet.
pub const CONFIRMATIONS: i64 = 3;
/// Hashes of blocks looked at that are remembered, newest last: deeper than any reorganisation.
pub const TRAIL_MAX: usize = 144;
/// Most blocks back: more than any coin has in 72 hours.
pub const BACK_MAX: usize = 10_000;
/// Failures in a row at one block after which the scan starts again.
const FAILURES_MAX: u32 = 5;

/// How long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Between two looks for a new block.
    pub poll_ms: Millis,
    /// After the first failure; twice as long after each further one.
    pub retry_ms: Millis,
    /// At most so long.
    pub retry_max_ms: Millis,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            poll_ms: 60_000,
            retry_ms: 5_000,
            retry_max_ms: 300_000,
        }
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Ask for this below the daemon's address, and give the answer.
    Get(String),
    /// Wait so long, then ask what is next.
    Wait(Millis),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    /// The daemon does not have it.
    #[error("the daemon does not have it")]
    Absent,
    /// No connection, no time left, another status.
    #[error("{0}")]
    Other(String),
    /// The way must be left, for this reason.
    #[error("the scan starts again: {0}")]
    Setback(&'static str),
    /// JSON of another shape.
    #[error("the answer is not of a daemon: {0}")]
    Garbage(String),
    /// The daemon follows another network.
    #[error("invalid chain: the daemon follows {0:?}")]
    InvalidChain(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Start,
    Back { at: Hash, seen: usize },
    Ahead,
    Follower(Hash),
}

/// The scan of one coin.
#[derive(Debug)]
pub struct Scan {
    currency: Currency,
    is_live: bool,
    timing: Timing,
    state: State,
    /// What was looked at, newest last.
    trail: VecDeque<Hash>,
    /// In a row.
    failures: u32,
    /// Ways left since the scan came to rest or one block further.
    setbacks: u32,
    /// Before the next question.
    wait: Option<Millis>,
}

impl Scan {
    /// A scan that has seen nothing; `is_live` on the chain whose payments are real.
    #[must_use]
    pub const fn new(currency: Currency, is_live: bool, timing: Timing) -> Self {
        Self {
            currency,
            is_live,
            timing,
            state: State::Start,
            trail: VecDeque::new(),
            failures: 0,
            setbacks: 0,
            wait: None,
        }
    }

    /// What to do now. After [`Next::Wait`] the next call says what to ask.
    pub fn next_step(&mut self) -> Next {
        if let Some(wait) = self.wait.take() {
            return Next::Wait(wait);
        }
        Next::Get(match &self.state {
            State::Start => "chaininfo.json".to_owned(),
            State::Back { at, .. } | State::Follower(at) => format!("block/{}.json", at.text()),
            State::Ahead => match self.trail.back() {
                Some(newest) => format!("headers/1/{}.json", newest.text()),
                None => {
                    self.state = State::Start;
                    "chaininfo.json".to_owned()
                }
            },
        })
    }

    /// Whether it goes on without a setback: then a good answer means that all is well.
    #[must_use]
    pub const fn is_on_its_way(&self) -> bool {
        self.setbacks == 0
    }

    fn pause(&self) -> Millis {
        let again = self.failures.max(self.setbacks).saturating_sub(1);
        let factor = 1_u64.checked_shl(again.min(32)).unwrap_or(u64::MAX);
        let grown = self.timing.retry_ms.saturating_mul(factor);
        grown.min(self.timing.retry_max_ms)
    }

    const fn rest(&mut self) {
        self.wait = Some(self.timing.poll_ms);
        self.setbacks = 0;
    }

    /// Leaves the way it is on.
    fn leave(&mut self, to: State) {
        self.state = to;
        self.setbacks = self.setbacks.saturating_add(1);
    }

    /// Takes the answer to what was asked; gives the payments in it.
    ///
    /// # Errors
    /// What is wrong with the answer, for the log: the scan goes on by itself.
    pub fn answer(
        &mut self,
        now_wall: UnixSeconds,
        answer: Result<&[u8], Failure>,
    ) -> Result<Vec<SeenPayment>, Failure> {
        let taken = match self.state.clone() {
            State::Start => self.start(answer),
            State::Back { at, seen } => self.back(now_wall, &at, seen, answer),
            State::Ahead => self.ahead(answer),
            State::Follower(at) => self.follower(&at, answer),
        };
        match taken {
            Ok(payments) => {
                self.failures = 0;
                Ok(payments)
            }
            Err(failure) => {
                self.failures = self.failures.saturating_add(1);
                let in_block = matches!(self.state, State::Back { .. } | State::Follower(_));
                if in_block && self.failures.is_multiple_of(FAILURES_MAX) {
                    self.leave(State::Start);
                }
                self.wait = Some(self.pause());
                Err(failure)
            }
        }
    }

    fn start(&mut self, answer: Result<&[u8], Failure>) -> Result<Vec<SeenPayment>, Failure> {
        let info: ChainInfo = read(answer?)?;
        if let Some(chain) = info.chain.filter(|chain| self.is_live && chain != "main") {
            return Err(Failure::InvalidChain(chain));
        }
        self.trail.clear();
        self.state = State::Back {
            at: info.bestblockhash,
            seen: 0,
        };
        Ok(Vec::new())
    }

    fn back(
        &mut self,
        now_wall: UnixSeconds,
        at: &Hash,
        seen: usize,
        answer: Result<&[u8], Failure>,
    ) -> Result<Vec<SeenPayment>, Failure> {
        let block: BlockInfo = asked(read(answer?)?, at)?;
        if block.confirmations < 1 {
            // It went off the chain while we were on our way, or was never on it.
            self.leave(State::Start);
            return Err(Failure::Setback("a block on the way back is off the chain"));
        }
        let is_deep = block.confirmations > CONFIRMATIONS;
        let is_old = block.time < now_wall.saturating_sub(LIFE_S);
        let seen = seen.saturating_add(1);
        if is_deep && self.trail.len() < TRAIL_MAX {
            self.trail.push_front(at.clone());
        }
        self.state = match &block.previousblockhash {
            Some(previous) if !is_old && seen < BACK_MAX => State::Back {
                at: previous.clone(),
                seen,
            },
            _ => State::Ahead,
        };
        if matches!(self.state, State::Ahead) && self.trail.is_empty() {
            // A chain too short to have a block that is deep enough.
            self.state = State::Start;
            self.rest();
        }
        Ok(if is_deep {
            block.payments(self.currency)
        } else {
            Vec::new()
        })
    }

    fn ahead(&mut self, answer: Result<&[u8], Failure>) -> Result<Vec<SeenPayment>, Failure> {
        let headers: Vec<HeaderInfo> = match answer {
            Err(Failure::Absent) => Vec::new(),
            answer => read(answer?)?,
        };
        let newest = self.trail.back();
        let on_chain = headers
            .into_iter()
            .find(|header| Some(&header.hash) == newest && header.confirmations > 0);
        match on_chain {
            // A reorganisation: what is below may be on both branches.
            None => {
                self.trail.pop_back();
                if self.trail.is_empty() {
                    self.leave(State::Start);
                    return Err(Failure::Setback(
                        "no block looked at is on the chain any more",
                    ));
                }
            }
            Some(header) => self.go_on(header.confirmations, header.nextblockhash),
        }
        Ok(Vec::new())
    }

    /// To the block behind one of so many confirmations, if it is deep enough.
    fn go_on(&mut self, confirmations: i64, next: Option<Hash>) {
        let is_deep = confirmations.saturating_sub(1) > CONFIRMATIONS;
        self.state = match next.filter(|_| is_deep) {
            Some(next) => State::Follower(next),
            None => {
                self.rest();
                State::Ahead
            }
        };
    }

    fn follower(
        &mut self,
        at: &Hash,
        answer: Result<&[u8], Failure>,
    ) -> Result<Vec<SeenPayment>, Failure> {
        if answer == Err(Failure::Absent) {
            self.leave(State::Ahead);
        }
        let block: BlockInfo = asked(read(answer?)?, at)?;
        let follows = block.previousblockhash.as_ref() == self.trail.back();
        if !follows || block.confirmations <= CONFIRMATIONS {
            // The chain changed between two answers.
            self.state = State::Ahead;
            self.wait = Some(self.timing.poll_ms);
            return Ok(Vec::new());
        }
        self.setbacks = 0;
        self.trail.push_back(at.clone());
        if self.trail.len() > TRAIL_MAX {
            self.trail.pop_front();
        }
        self.go_on(block.confirmations, block.nextblockhash.clone());
        Ok(block.payments(self.currency))
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|e| Failure::Garbage(e.to_string()))
}

/// The block must be the one that was asked for.
fn asked(block: BlockInfo, at: &Hash) -> Result<BlockInfo, Failure> {
    if block.hash == *at {
        Ok(block)
    } else {
        Err(Failure::Garbage("another block came".to_owned()))
    }
}

#[cfg(test)]
mod tests;
