//! Worker threads for the memory-hard block digest (`proto/blocks.md`, section 3). No other thread
//! computes one while the node runs.
//!
//! A worker takes two digests at once where no other would be without: side by side they are sooner
//! done than one after the other. The queue is bounded; the memory of a worker that has had nothing to do for a while is given
//! back, so that an idle node is small.

mod pages;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

use crate::core::block::{DigestMemory, DigestParams, HEADER_BYTES, digest, digest_two};
use crate::core::id::BlockDigest;

pub use pages::memory;

/// Digests that wait for a worker.
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
#[derive(Debug)]
pub struct DigestWorkers {
    queue: Option<Sender<Task>>,
    threads: Vec<JoinHandle<()>>,
    cancelled: Arc<AtomicBool>,
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
        let (queue, tasks) = bounded(QUEUE);
        let cancelled = Arc::new(AtomicBool::new(false));
        let common = Arc::new(Common {
            tasks,
            waiting: AtomicUsize::new(0),
            cancelled: Arc::clone(&cancelled),
        });
        let mut threads = Vec::new();
        for name in names {
            let common = Arc::clone(&common);
            let thread = std::thread::Builder::new().name(name).spawn(move || {
                first();
                common.work(params);
            })?;
            threads.push(thread);
        }
        Ok(Self {
            queue: Some(queue),
            threads,
            cancelled,
        })
    }

    /// Whether all its threads run.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Queues a digest. Refused (false) when the queue is full; `done` is then never told.
    #[must_use]
    pub fn compute(&self, header: [u8; HEADER_BYTES], done: Done) -> bool {
        let Some(queue) = &self.queue else {
            return false;
        };
        if self.cancelled.load(Ordering::SeqCst) {
            return false;
        }
        match queue.try_send(Task { header, done }) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }

    /// What is queued is dropped from now on; the digests under way are the last ones.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
    }

    /// Ends the threads.
    fn stop(&mut self) {
        self.queue = None;
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

/// What a worker sees of the others.
struct Common {
    tasks: Receiver<Task>,
    /// Workers that wait for a task.
    waiting: AtomicUsize,
    cancelled: Arc<AtomicBool>,
}

impl Common {
    fn next(&self, memory: &DigestMemory) -> Result<Task, RecvTimeoutError> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let task = if memory.held_kib() == 0 {
            let task = self.tasks.recv();
            task.map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            self.tasks.recv_timeout(IDLE)
        };
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        task
    }

    /// One more task, if there are more than the waiting workers will take.
    fn second(&self) -> Option<Task> {
        let is_left_over = self.tasks.len() > self.waiting.load(Ordering::SeqCst);
        is_left_over.then(|| self.tasks.try_recv().ok()).flatten()
    }

    fn work(&self, params: DigestParams) {
        let mut memory = memory();
        loop {
            match self.next(&memory) {
                Ok(_) if self.cancelled.load(Ordering::SeqCst) => {}
                Ok(task) => match self.second() {
                    Some(second) => {
                        let headers = [&task.header, &second.header];
                        let [a, b] = digest_two(&params, headers, &mut memory);
                        (task.done)(a);
                        (second.done)(b);
                    }
                    None => (task.done)(digest(&params, &task.header, &mut memory)),
                },
                Err(RecvTimeoutError::Timeout) => memory.release(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
