//! The node's side of mining as a machine: when work goes out, and what a submission is answered
//! (`proto/mining.md`, sections 2, 3 and 5).
//!
//! | input | what follows |
//! | --- | --- |
//! | `Tip` | jobs on another parent are dropped, their waiting submissions answered false; new work at once |
//! | `VerifiedChanged` | new work, at most once in `set_interval_ms` |
//! | `Normal(false)` | all jobs dropped; nothing is published until `Normal(true)` |
//! | `Wake` | new work that became due; the newest job made anew every `refresh_interval_ms` |
//! | `Records` | the records asked for by `NeedRecords`: assembled, published, kept as a job |
//! | `Submission` | cheap checks, then `ComputeDigest`, or a reply at once |
//! | `Digest` | every submission of that nonce answered false; a good one gives `StoreBlock`, and all jobs end |
//! | `Stored` | every submission of that nonce answered, by whether the block is in; if not, new work at once |
//!
//! Checks of a submission, in order: readable, job known (which implies that its parent is the tip
//! and the mode Normal), request known, eight bytes, not tried before, room to wait. One digest is
//! computed at a time. Any client may be refused, none can drop a job except with a good nonce.
//!
//! Bounds: [`JOBS_MAX`] jobs of [`JOB_BYTES_MAX`] in all, oldest dropped; [`WAITING_MAX`] waiting
//! submissions, [`WAITING_OF_CLIENT_MAX`] of one client, the newcomer refused; [`TRIED_MAX`] nonces
//! remembered as bad, oldest forgotten.

use std::collections::VecDeque;
use std::sync::Arc;

use rand::{RngCore as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::assembly::{Body, Candidate, Foundation, assemble};
use super::submission::{Submission, reply};
use super::work::Job;
use crate::core::block::{HEADER_BYTES, Header};
use crate::core::chain::Chain;
use crate::core::id::BlockDigest;
use crate::core::time::{Millis, Now, UnixSeconds};

/// Jobs kept.
pub const JOBS_MAX: usize = 16;
/// Bytes of the blocks of all jobs kept; the newest one is kept whatever its size.
pub const JOB_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Submissions that wait for a digest.
pub const WAITING_MAX: usize = 64;
/// Submissions of one client that wait for a digest.
pub const WAITING_OF_CLIENT_MAX: usize = 4;
/// Nonces remembered as not good enough.
pub const TRIED_MAX: usize = 4096;

/// Whoever submitted; the shell knows where the reply goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client(pub u64);

/// The block that work builds on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// Its number.
    pub number: u64,
    /// Its digest.
    pub digest: BlockDigest,
    /// Its version, below which a child may not fall.
    pub version: u16,
    /// Its time stamp, below which a child of ours does not fall.
    pub timestamp: UnixSeconds,
}

/// How a node mines.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The chain.
    pub chain: &'static Chain,
    /// The record in front of every block.
    pub foundation: Foundation,
    /// Shortest time between work that only a change of the verified set asks for.
    pub set_interval_ms: Millis,
    /// After this time the newest work is made anew, for those who came late.
    pub refresh_interval_ms: Millis,
}

impl Settings {
    /// The chain's own intervals.
    #[must_use]
    pub const fn of_chain(chain: &'static Chain, foundation: Foundation) -> Self {
        Self {
            chain,
            foundation,
            set_interval_ms: 1_000,
            refresh_interval_ms: chain.work_interval_ms,
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The node stands on this block, at the start too.
    Tip(Parent),
    /// Whether the mode is Normal.
    Normal(bool),
    /// Records became verified or ceased to be.
    VerifiedChanged,
    /// The verified records, in the order in which they shall stand.
    Records(Vec<Candidate>),
    /// A miner sent this first frame.
    Submission {
        /// Where the reply goes.
        client: Client,
        /// The frame.
        frame: Vec<u8>,
    },
    /// The digest asked for by `ComputeDigest`.
    Digest {
        /// Which.
        request: u64,
        /// The result.
        digest: BlockDigest,
    },
    /// What became of the block of the last [`Effect::StoreBlock`]: whether it is in.
    Stored(bool),
    /// The time of [`Mining::next_wakeup`] has come.
    Wake,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Give `Input::Records` with at most so many verified records. While the pool is closed for a
    /// block, give none: the change afterwards asks again.
    NeedRecords(usize),
    /// Publish this text as work.
    Publish(String),
    /// Send this text to the client; there is exactly one for each submission.
    Reply {
        /// To whom.
        client: Client,
        /// What.
        text: String,
    },
    /// Compute the digest of this header and give `Input::Digest`.
    ComputeDigest {
        /// To be given back.
        request: u64,
        /// The header.
        header: Box<[u8; HEADER_BYTES]>,
    },
    /// A block of ours: store it as a local one and give `Input::Stored`; who found it is answered
    /// then. Its digest need not be computed again.
    StoreBlock {
        /// The packed block.
        packed: Vec<u8>,
        /// Its digest.
        digest: BlockDigest,
    },
}

/// A submission that waits for its digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Waiting {
    client: Client,
    job: u16,
    nonce: u64,
}

/// The digest being computed, with the job it was asked for: numbers wrap, the job itself not.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Computing {
    request: u64,
    job: Job,
    nonce: u64,
}

/// The machine.
#[derive(Debug)]
pub struct Mining {
    settings: Settings,
    random: ChaCha8Rng,
    parent: Option<Parent>,
    is_normal: bool,
    jobs: VecDeque<Job>,
    last_job: u16,
    last_request: u64,
    waiting: VecDeque<Waiting>,
    computing: Option<Computing>,
    /// Who handed in the nonce of the block that is being stored, each with the name of the job.
    storing: Vec<(Client, String)>,
    tried: VecDeque<(u16, u64)>,
    /// When work was last asked for.
    asked: Option<Millis>,
    /// The set changed since then.
    is_due: bool,
}

impl Mining {
    /// A machine that publishes nothing until it has a tip and the mode is Normal. The seed feeds
    /// the starting nonces.
    #[must_use]
    pub fn new(settings: Settings, seed: [u8; 32]) -> Self {
        Self {
            settings,
            random: ChaCha8Rng::from_seed(seed),
            parent: None,
            is_normal: false,
            jobs: VecDeque::new(),
            last_job: 0,
            last_request: 0,
            waiting: VecDeque::new(),
            computing: None,
            storing: Vec::new(),
            tried: VecDeque::new(),
            asked: None,
            is_due: false,
        }
    }

    /// The jobs that a nonce is accepted for, oldest first.
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.iter()
    }

    /// When `Input::Wake` is wanted.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Millis> {
        if !self.is_normal || self.parent.is_none() {
            return None;
        }
        let wait = if self.is_due {
            self.settings.set_interval_ms
        } else {
            self.settings.refresh_interval_ms
        };
        Some(self.asked.map_or(0, |at| at.saturating_add(wait)))
    }

    /// Takes one input.
    pub fn step(&mut self, now: Now, input: Input, out: &mut Vec<Effect>) {
        match input {
            Input::Tip(parent) => self.on_tip(now, parent, out),
            Input::Normal(is_normal) => self.on_normal(now, is_normal, out),
            Input::VerifiedChanged => {
                self.is_due = true;
                self.ask_if_time(now, out);
            }
            Input::Wake => self.ask_if_time(now, out),
            Input::Records(records) => self.on_records(now, &records, out),
            Input::Submission { client, frame } => self.on_submission(client, &frame, out),
            Input::Digest { request, digest } => self.on_digest(request, digest, out),
            Input::Stored(is_in) => self.on_stored(now, is_in, out),
        }
    }

    fn on_tip(&mut self, now: Now, parent: Parent, out: &mut Vec<Effect>) {
        let is_same = self.parent.is_some_and(|old| old.digest == parent.digest);
        self.parent = Some(parent);
        if !is_same {
            self.drop_jobs(out);
            self.ask(now, out);
        }
    }

    fn on_normal(&mut self, now: Now, is_normal: bool, out: &mut Vec<Effect>) {
        let was_normal = std::mem::replace(&mut self.is_normal, is_normal);
        if !is_normal {
            self.drop_jobs(out);
        } else if !was_normal {
            self.ask(now, out);
        }
    }

    fn drop_jobs(&mut self, out: &mut Vec<Effect>) {
        self.jobs.clear();
        self.tried.clear();
        for waiting in std::mem::take(&mut self.waiting) {
            answer(waiting.client, &format!("{:04x}", waiting.job), false, out);
        }
    }

    fn ask_if_time(&mut self, now: Now, out: &mut Vec<Effect>) {
        if self.next_wakeup().is_some_and(|at| at <= now.mono) {
            self.ask(now, out);
        }
    }

    fn ask(&mut self, now: Now, out: &mut Vec<Effect>) {
        if !self.is_normal || self.parent.is_none() {
            return;
        }
        self.asked = Some(now.mono);
        self.is_due = false;
        let most = usize::from(self.settings.chain.rules.transactions_max) - 1;
        out.push(Effect::NeedRecords(most));
    }

    fn on_records(&mut self, now: Now, records: &[Candidate], out: &mut Vec<Effect>) {
        let (true, Some(parent)) = (self.is_normal, self.parent) else {
            return;
        };
        let rules = &self.settings.chain.rules;
        let Some(body) = assemble(rules, &self.settings.foundation, records) else {
            return;
        };
        // Jobs on the same records share them.
        let body = match self.jobs.back() {
            Some(job) if *job.body == body => Arc::clone(&job.body),
            _ => Arc::new(body),
        };
        self.last_job = self.last_job.wrapping_add(1);
        let job = Job {
            id: self.last_job,
            header: self.header(now, &parent, &body),
            body,
        };
        out.push(Effect::Publish(job.message()));
        self.keep(job, out);
    }

    fn header(&mut self, now: Now, parent: &Parent, body: &Body) -> Header {
        let rules = &self.settings.chain.rules;
        Header {
            version: rules.block_version_made.max(parent.version),
            transaction_count: body.transaction_count(),
            number: parent.number.saturating_add(1),
            previous_block: parent.digest,
            merkle_root: body.merkle_root,
            timestamp: now.wall.max(parent.timestamp),
            difficulty: rules.difficulty,
            nonce: self.random.next_u64(),
        }
    }

    fn keep(&mut self, job: Job, out: &mut Vec<Effect>) {
        self.jobs.push_back(job);
        while self.jobs.len() > 1
            && (self.jobs.len() > JOBS_MAX || self.job_bytes() > JOB_BYTES_MAX)
        {
            let Some(old) = self.jobs.pop_front() else {
                return;
            };
            self.tried.retain(|(id, _)| *id != old.id);
            let name = old.name();
            self.waiting.retain(|waiting| {
                let stays = waiting.job != old.id;
                if !stays {
                    answer(waiting.client, &name, false, out);
                }
                stays
            });
        }
    }

    /// Bytes of the different bodies.
    fn job_bytes(&self) -> usize {
        let mut last: Option<&Arc<Body>> = None;
        let mut bytes = 0;
        for job in &self.jobs {
            if !last.is_some_and(|body| Arc::ptr_eq(body, &job.body)) {
                bytes += job.body.block_bytes();
            }
            last = Some(&job.body);
        }
        bytes
    }

    fn job(&self, id: u16) -> Option<&Job> {
        self.jobs.iter().find(|job| job.id == id)
    }

    fn on_submission(&mut self, client: Client, frame: &[u8], out: &mut Vec<Effect>) {
        let submission = Submission::read(frame);
        match self.to_wait(client, &submission) {
            Some(waiting) => {
                self.waiting.push_back(waiting);
                self.compute_next(out);
            }
            None => answer(client, &submission.job, false, out),
        }
    }

    /// The cheap checks.
    fn to_wait(&self, client: Client, submission: &Submission) -> Option<Waiting> {
        if !submission.is_whole {
            return None;
        }
        let job = self.job(submission.job_id()?)?.id;
        if !submission.is_block_nonce() {
            return None;
        }
        let nonce = submission.nonce()?;
        let of_client = self.waiting.iter().filter(|other| other.client == client);
        let has_room =
            self.waiting.len() < WAITING_MAX && of_client.count() < WAITING_OF_CLIENT_MAX;
        let is_new = !self.tried.contains(&(job, nonce));
        (has_room && is_new).then_some(Waiting { client, job, nonce })
    }

    fn compute_next(&mut self, out: &mut Vec<Effect>) {
        if self.computing.is_some() {
            return;
        }
        let Some(next) = self.waiting.front() else {
            return;
        };
        let Some(job) = self.job(next.job).cloned() else {
            return;
        };
        self.last_request = self.last_request.wrapping_add(1);
        out.push(Effect::ComputeDigest {
            request: self.last_request,
            header: Box::new(job.with_nonce(next.nonce).pack()),
        });
        self.computing = Some(Computing {
            request: self.last_request,
            nonce: next.nonce,
            job,
        });
    }

    fn on_digest(&mut self, request: u64, digest: BlockDigest, out: &mut Vec<Effect>) {
        if self.computing.as_ref().map(|of| of.request) != Some(request) {
            return;
        }
        let Some(Computing { job, nonce, .. }) = self.computing.take() else {
            return;
        };
        // Stale: the job was dropped meanwhile, and its submissions are answered.
        if self.job(job.id) == Some(&job) {
            let name = job.name();
            let clients = self.take_all(&job, nonce);
            if job.with_nonce(nonce).proves(&digest) {
                let clients = clients.into_iter().map(|client| (client, name.clone()));
                self.storing.extend(clients);
                out.push(Effect::StoreBlock {
                    packed: job.block(nonce),
                    digest,
                });
                self.drop_jobs(out);
            } else {
                for client in clients {
                    answer(client, &name, false, out);
                }
                self.remember_bad(job.id, nonce);
            }
        }
        self.compute_next(out);
    }

    /// That the nonce is good does not make the block one: the clock, or a rule, may refuse it.
    fn on_stored(&mut self, now: Now, is_in: bool, out: &mut Vec<Effect>) {
        for (client, job) in std::mem::take(&mut self.storing) {
            answer(client, &job, is_in, out);
        }
        // A block that is in brings a new tip.
        if !is_in {
            self.ask(now, out);
        }
    }

    /// Whoever handed in this nonce: it is digested once.
    fn take_all(&mut self, job: &Job, nonce: u64) -> Vec<Client> {
        let mut clients = Vec::new();
        self.waiting.retain(|waiting| {
            let is_same = waiting.job == job.id && waiting.nonce == nonce;
            if is_same {
                clients.push(waiting.client);
            }
            !is_same
        });
        clients
    }

    fn remember_bad(&mut self, job: u16, nonce: u64) {
        if self.tried.len() >= TRIED_MAX {
            self.tried.pop_front();
        }
        self.tried.push_back((job, nonce));
    }
}

fn answer(client: Client, job: &str, ok: bool, out: &mut Vec<Effect>) {
    out.push(Effect::Reply {
        client,
        text: reply(job, ok),
    });
}

#[cfg(test)]
mod tests;
