//! Worker threads for the memory-hard block digest (`proto/blocks.md`, section 3). No other thread
//! computes one while the node runs.
//!
//! What somebody waits for goes before what is only prepared, each in its order. A worker takes two
//! digests of one kind at once where no other would be without: side by side they are sooner done than
//! one after the other, but each later than alone, so that one that is waited for never takes a prepared
//! one along. Bounds: [`QUEUE`] of each kind are taken. The memory of a worker that has had nothing to do for a
//! while is given back, so that an idle node is small.

mod pages;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::core::block::{DigestParams, HEADER_BYTES, digest, digest_two};
use crate::core::id::BlockDigest;

pub use pages::memory;

/// Digests of each kind that wait for a worker.
pub const QUEUE: usize = 64;
/// A worker gives its memory back after so long without work.
const IDLE: Duration = Duration::from_secs(5);

/// The lowest priority but one.
const LOW: i32 = 18;

/// Told when it is done.
pub type Done = Box<dyn FnOnce(BlockDigest) + Send>;

struct Task {
    header: [u8; HEADER_BYTES],
    done: Done,
}

/// The workers.
pub struct DigestWorkers {
    common: Arc<Common>,
    threads: Vec<JoinHandle<()>>,
}

impl fmt::Debug for DigestWorkers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("DigestWorkers");
        shown
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

impl DigestWorkers {
    /// Starts so many workers, at least one.
    ///
    /// # Errors
    /// The system has no thread for one.
    pub fn start(params: DigestParams, workers: usize) -> std::io::Result<Self> {
        let names = (0..workers.max(1)).map(|number| format!("digest-{number}"));
        Self::threads(params, names, || {})
    }

    /// Starts one worker that others of the machine go before.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub fn start_low(params: DigestParams) -> std::io::Result<Self> {
        Self::threads(params, ["check".to_owned()].into_iter(), || {
            // Of this thread alone. Where it is refused, the digests come all the same.
            let _ = rustix::process::setpriority_process(None, LOW);
        })
    }

    fn threads(
        params: DigestParams,
        names: impl Iterator<Item = String>,
        first: fn(),
    ) -> std::io::Result<Self> {
        let common = Arc::new(Common::default());
        // Dropped with those that run where there is none for a later one.
        let mut workers = Self {
            common,
            threads: Vec::new(),
        };
        for name in names {
            let common = Arc::clone(&workers.common);
            let thread = std::thread::Builder::new().name(name).spawn(move || {
                first();
                common.work(params);
            })?;
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    /// Whether all its threads run.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Queues a digest that somebody waits for. Refused (false) when the queue is full; `done` is then
    /// never told.
    #[must_use]
    pub fn compute(&self, header: [u8; HEADER_BYTES], done: Done) -> bool {
        self.common
            .put(Task { header, done }, |queues| &mut queues.wanted)
    }

    /// Queues a digest that will be wanted: all that somebody waits for go before. Refused as above.
    #[must_use]
    pub fn prepare(&self, header: [u8; HEADER_BYTES], done: Done) -> bool {
        self.common
            .put(Task { header, done }, |queues| &mut queues.prepared)
    }

    /// Somebody waits for the digest of this header now: where it is only prepared, and not under way
    /// yet, it goes behind those that others wait for.
    pub fn hurry(&self, header: &[u8; HEADER_BYTES]) {
        let mut queues = self.common.lock();
        let is_it = |task: &Task| task.header == *header;
        if let Some(place) = queues.prepared.iter().position(is_it) {
            let task = queues.prepared.remove(place);
            queues.wanted.extend(task);
        }
    }

    /// What is queued is dropped from now on; the digests under way are the last ones.
    pub fn cancel(&self) {
        let mut queues = self.common.lock();
        queues.is_closed = true;
        let wanted = std::mem::take(&mut queues.wanted);
        let prepared = std::mem::take(&mut queues.prepared);
        drop(queues);
        // What they were to tell is dropped with no lock held.
        drop((wanted, prepared));
        self.common.come.notify_all();
    }

    /// Ends the threads; what is queued is computed.
    fn stop(&mut self) {
        self.common.lock().is_closed = true;
        self.common.come.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for DigestWorkers {
    fn drop(&mut self) {
        self.cancel();
        self.stop();
    }
}

/// What waits.
#[derive(Default)]
struct Queues {
    /// Somebody waits for these.
    wanted: VecDeque<Task>,
    /// Nobody waits for these yet.
    prepared: VecDeque<Task>,
    /// Workers that wait for a task.
    waiting: usize,
    /// Nothing is taken any more.
    is_closed: bool,
}

impl Queues {
    /// The first task, and one more of its kind if there are more than the waiting workers will take.
    fn pop(&mut self) -> Option<(Task, Option<Task>)> {
        let queue = if self.wanted.is_empty() {
            &mut self.prepared
        } else {
            &mut self.wanted
        };
        let first = queue.pop_front()?;
        let is_left_over = queue.len() > self.waiting;
        let second = is_left_over.then(|| queue.pop_front()).flatten();
        Some((first, second))
    }
}

/// Why a worker has nothing to do.
enum Nothing {
    /// There was nothing for a while.
    Idle,
    /// There will be nothing any more.
    End,
}

/// What the workers share.
#[derive(Default)]
struct Common {
    queues: Mutex<Queues>,
    /// Told when there is a task, or no more will come.
    come: Condvar,
}

impl Common {
    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, task: Task, queue: fn(&mut Queues) -> &mut VecDeque<Task>) -> bool {
        let mut queues = self.lock();
        let has_room = !queues.is_closed && queue(&mut queues).len() < QUEUE;
        if has_room {
            queue(&mut queues).push_back(task);
        }
        drop(queues);
        self.come.notify_one();
        has_room
    }

    /// Waits for something to do; for a while only where memory is held.
    fn next(&self, holds_memory: bool) -> Result<(Task, Option<Task>), Nothing> {
        let mut queues = self.lock();
        let mut is_late = false;
        loop {
            if let Some(tasks) = queues.pop() {
                return Ok(tasks);
            }
            if queues.is_closed {
                return Err(Nothing::End);
            }
            if is_late {
                return Err(Nothing::Idle);
            }
            queues.waiting += 1;
            if holds_memory {
                let waited = self.come.wait_timeout(queues, IDLE);
                let (after, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                queues = after;
                is_late = timeout.timed_out();
            } else {
                let waited = self.come.wait(queues);
                queues = waited.unwrap_or_else(PoisonError::into_inner);
            }
            queues.waiting -= 1;
        }
    }

    fn work(&self, params: DigestParams) {
        let mut memory = memory();
        loop {
            match self.next(memory.held_kib() > 0) {
                Ok((first, Some(second))) => {
                    let headers = [&first.header, &second.header];
                    let [a, b] = digest_two(&params, headers, &mut memory);
                    (first.done)(a);
                    (second.done)(b);
                }
                Ok((task, None)) => {
                    (task.done)(digest(&params, &task.header, &mut memory));
                }
                Err(Nothing::Idle) => memory.release(),
                Err(Nothing::End) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::bounded;

    use super::*;
    use crate::core::block::DigestMemory;

    #[test]
    fn what_somebody_waits_for_goes_before_what_is_prepared_each_in_its_order() {
        let mut workers = DigestWorkers::start(DigestParams::DEVNET, 1).unwrap();
        let (tell, told) = bounded(10);
        let (open, gate) = bounded::<()>(1);
        let held = tell.clone();
        let is_taken = workers.compute(
            [0; HEADER_BYTES],
            Box::new(move |_| {
                held.send(0).unwrap();
                gate.recv().unwrap();
            }),
        );
        assert!(is_taken);
        assert_eq!(told.recv(), Ok(0), "the only worker is held fast here");
        let queue = |number: u8, is_wanted: bool| {
            let tell = tell.clone();
            let header = [number; HEADER_BYTES];
            let done = Box::new(move |_| tell.send(number).unwrap());
            if is_wanted {
                workers.compute(header, done)
            } else {
                workers.prepare(header, done)
            }
        };
        let all = [1, 2, 3, 4, 5].map(|number| queue(number, false));
        assert_eq!((all, queue(6, true)), ([true; 5], true));
        workers.hurry(&[4; HEADER_BYTES]);
        // Nobody asked for this one, and this one is waited for already.
        workers.hurry(&[9; HEADER_BYTES]);
        workers.hurry(&[6; HEADER_BYTES]);
        open.send(()).unwrap();
        workers.stop();
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [6, 4, 1, 2, 3, 5]);
    }

    #[test]
    fn however_much_is_prepared_there_is_room_for_what_somebody_waits_for() {
        let workers = DigestWorkers::start(DigestParams::DEVNET, 1).unwrap();
        let (at, here) = bounded(1);
        let (open, gate) = bounded::<()>(1);
        let hold = Box::new(move |_| {
            at.send(()).unwrap();
            gate.recv().unwrap();
        });
        assert!(workers.compute([0; HEADER_BYTES], hold));
        here.recv().unwrap();
        let prepare = || workers.prepare([1; HEADER_BYTES], Box::new(|_| {}));
        assert!((0..QUEUE).all(|_| prepare()));
        assert!(!prepare(), "no more than a bound");
        assert!(workers.compute([2; HEADER_BYTES], Box::new(|_| {})));
        workers.cancel();
        assert!(!workers.compute([3; HEADER_BYTES], Box::new(|_| {})));
        open.send(()).unwrap();
    }

    #[test]
    fn every_digest_that_was_taken_is_told() {
        let mut workers = DigestWorkers::start(DigestParams::DEVNET, 2).unwrap();
        let (tell, told) = bounded(10);
        for number in 0..10 {
            let tell = tell.clone();
            let header = [number; HEADER_BYTES];
            assert!(workers.compute(header, Box::new(move |d| tell.send((number, d)).unwrap())));
        }
        workers.stop();
        let mut all: Vec<_> = told.try_iter().collect();
        all.sort();
        assert_eq!(all.len(), 10);
        let mut memory = DigestMemory::new();
        for (number, got) in all {
            let header = [number; HEADER_BYTES];
            assert_eq!(got, digest(&DigestParams::DEVNET, &header, &mut memory));
        }
        let refused = workers.compute([0; HEADER_BYTES], Box::new(|_| {}));
        assert!(!refused, "nothing is taken after the stop");
    }
}
