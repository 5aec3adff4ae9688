//! The thread that owns all state: it steps the engine, applies its batches, and hands everything
//! else to who performs it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::ahead::{Ahead, Next};
use super::performer::{Performer, Room};
use super::storage::rebuild_without;
use super::{Clock, Shown};
use crate::core::engine::{Effect, Engine, Input, Status};
use crate::core::reservoir::Checks;
use crate::core::state::StoreFault;
use crate::shell::signatures::Cores;
use crate::shell::store::{Flusher, Store};

/// Longest sleep, so that a stop is seen.
const TICK: Duration = Duration::from_millis(200);
/// How often the log tells how far a rebuild is.
const TELL: Duration = Duration::from_secs(10);
/// Inputs taken before the time is looked at again.
const TURN: usize = 64;

/// What the thread is made of.
pub struct Parts {
    pub engine: Engine,
    pub store: Store,
    pub clock: Clock,
    pub ahead: Ahead,
    pub performer: Performer,
    pub flusher: Arc<Flusher>,
    pub shown: Arc<Shown>,
    pub stop: Arc<AtomicBool>,
    pub published: Room,
    pub cores: Cores,
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
            if !self.ahead.wait(&self.engine, &self.store, wait) {
                break;
            }
            for _ in 0..TURN {
                if self.stop.load(Ordering::SeqCst) {
                    break;
                }
                let Some(next) = self.ahead.next(&self.engine, &self.store) else {
                    break;
                };
                self.step(next);
            }
        }
        self.engine
    }

    fn wake_if_due(&mut self) {
        if self.engine.next_wakeup() <= self.clock.now().mono {
            let next = self.ahead.begin(&self.engine, &self.store, Input::Wake);
            self.step(next);
        }
    }

    fn step(&mut self, next: Next) {
        if let Input::Published(_, news) = &next.input {
            self.published.give(news.size());
        }
        let checked = next.checked.map(|shared| shared as Checks);
        let mut effects = Vec::new();
        let now = self.clock.now();
        self.engine
            .step_checked(now, next.input, checked, &self.store, &mut effects);
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
        // Whoever asks meanwhile is not told of what goes.
        let status = self.engine.status();
        self.shown.set(Status {
            normal: false,
            height: number.saturating_sub(1),
            branch: status.branch + 1,
        });
        match rebuild_without(&self.store, chain, &self.cores, number, &mut built) {
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
