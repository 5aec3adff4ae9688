//! The thread that owns all state: it steps the engine, applies its batches, and hands everything
//! else to who performs it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;

use super::checking::{Checkers, Job};
use super::performer::{Performer, Room};
use super::queue::Receiver;
use super::storage::rebuild_without;
use super::{Clock, Shown};
use crate::core::engine::{Effect, Engine, Input};
use crate::core::state::StoreFault;
use crate::shell::store::{Flusher, Store};

/// Longest sleep, so that a stop is seen.
const TICK: Duration = Duration::from_millis(200);
/// How often the log tells how far a rebuild is.
const TELL: Duration = Duration::from_secs(10);
/// Inputs taken before the time is looked at again, and those whose signatures are checked ahead.
const TURN: usize = 64;

/// What the thread is made of.
pub struct Parts {
    pub engine: Engine,
    pub store: Store,
    pub clock: Clock,
    pub queue: Receiver<Input>,
    pub performer: Performer,
    pub flusher: Arc<Flusher>,
    pub shown: Arc<Shown>,
    pub stop: Arc<AtomicBool>,
    pub published: Room,
    pub checkers: Arc<Checkers>,
    /// What was taken from the queue, in order, each with its checks.
    pub ahead: VecDeque<(Input, Option<Arc<Job>>)>,
    pub first: Vec<Effect>,
}

/// The running thread.
#[derive(Debug)]
pub struct Owner {
    thread: JoinHandle<Engine>,
    shown: Arc<Shown>,
}

impl Owner {
    /// Starts it.
    pub fn start(parts: Parts) -> std::io::Result<Self> {
        let shown = Arc::clone(&parts.shown);
        let thread = std::thread::Builder::new()
            .name("owner".to_owned())
            .spawn(move || {
                let _guard = parts.store.guard();
                parts.run()
            })?;
        Ok(Self { thread, shown })
    }

    /// The height.
    pub fn height(&self) -> u64 {
        self.shown.get().height
    }

    /// Whether its thread runs.
    pub fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Waits for its end, which the stop flag brings about; gives the engine back.
    pub fn join(self) -> Option<Engine> {
        self.thread.join().ok()
    }
}

impl Parts {
    fn run(mut self) -> Engine {
        let first = std::mem::take(&mut self.first);
        self.perform(first);
        self.shown.set(self.engine.status());
        while !self.stop.load(Ordering::SeqCst) {
            self.wake_if_due();
            let now = self.clock.now();
            let wait = self.engine.next_wakeup().saturating_sub(now.mono);
            let wait = Duration::from_millis(wait).min(TICK);
            if self.ahead.is_empty() {
                match self.queue.recv_timeout(wait) {
                    Ok(input) => self.look_at(input),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            for _ in 0..TURN {
                self.look_ahead();
                if self.stop.load(Ordering::SeqCst) {
                    break;
                }
                let Some((input, job)) = self.ahead.pop_front() else {
                    break;
                };
                self.step(input, job);
            }
        }
        self.engine
    }

    /// Takes what waits, as far as there is room, and has its signatures checked meanwhile.
    fn look_ahead(&mut self) {
        while self.ahead.len() < TURN {
            let Ok(input) = self.queue.try_recv() else {
                return;
            };
            self.look_at(input);
        }
    }

    fn look_at(&mut self, input: Input) {
        let issues = self.engine.to_check(&input, &self.store);
        let job = self.checkers.begin(issues);
        self.ahead.push_back((input, job));
    }

    fn wake_if_due(&mut self) {
        if self.engine.next_wakeup() <= self.clock.now().mono {
            let issues = self.engine.to_check(&Input::Wake, &self.store);
            let job = self.checkers.begin(issues);
            self.step(Input::Wake, job);
        }
    }

    fn step(&mut self, input: Input, job: Option<Arc<Job>>) {
        if let Input::Published(_, news) = &input {
            self.published.give(news.size());
        }
        let checked = job.map(|job| job.finish()).unwrap_or_default();
        let mut effects = Vec::new();
        let now = self.clock.now();
        self.engine
            .step_checked(now, input, checked, &self.store, &mut effects);
        self.perform(effects);
        self.shown.set(self.engine.status());
    }

    /// Drops blocks from the top and builds the indexes again. Ended by a stop, it is done again from
    /// its beginning at the next start.
    fn rebuild(&mut self, number: u64) {
        let mut told = Instant::now();
        let stop = Arc::clone(&self.stop);
        let mut built = |height| {
            if told.elapsed() >= TELL {
                told = Instant::now();
                log::info!(target: "node", "rebuilding: block {height}");
            }
            !stop.load(Ordering::SeqCst)
        };
        let chain = self.engine.ledger().chain();
        match rebuild_without(&self.store, chain, number, &mut built) {
            Ok(None) => {}
            Ok(Some(_)) => {
                let mut effects = Vec::new();
                let now = self.clock.now();
                self.engine.rebuilt(now, &self.store, &mut effects);
                self.perform(effects);
            }
            Err(error) => {
                self.performer.perform(Effect::Fatal(error.to_string()));
                self.stop.store(true, Ordering::SeqCst);
            }
        }
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            let (batch, after) = match effect {
                Effect::Commit(batch, after) => (batch, after),
                Effect::Rebuild(number) => {
                    self.rebuild(number);
                    continue;
                }
                effect => {
                    self.performer.perform(effect);
                    continue;
                }
            };
            if let Err(fault) = self.store.apply(&batch) {
                // What stands in memory is not what stands on disk: no way on from here.
                self.performer.perform(Effect::Fatal(fault.to_string()));
                self.stop.store(true, Ordering::SeqCst);
                return;
            }
            if batch.is_empty() && after.is_empty() {
                continue;
            }
            let performer = self.performer.clone();
            let is_wanted = !after.is_empty();
            let after = Box::new(move |result: &Result<(), StoreFault>| match result {
                Ok(()) => after.into_iter().for_each(|e| performer.perform(e)),
                Err(fault) => performer.perform(Effect::Fatal(fault.to_string())),
            });
            if is_wanted {
                self.flusher.after_flush(after);
            } else {
                self.flusher.after_flush_soon(after);
            }
        }
    }
}
