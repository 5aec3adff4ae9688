//! Worker threads for the memory-hard block digest (`proto/blocks.md`, section 3). No other thread
//! computes one while the node runs.
//!
//! The queue is bounded; the memory of a worker that has had nothing to do for a while is given
//! back, so that an idle node is small.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

use crate::core::block::{DigestMemory, DigestParams, HEADER_BYTES, digest};
use crate::core::id::BlockDigest;

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
        let (queue, tasks) = bounded(QUEUE);
        let cancelled = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for number in 0..workers.max(1) {
            let (tasks, over) = (tasks.clone(), Arc::clone(&cancelled));
            let thread = std::thread::Builder::new()
                .name(format!("digest-{number}"))
                .spawn(move || work(params, &tasks, &over))?;
            threads.push(thread);
        }
        Ok(Self {
            queue: Some(queue),
            threads,
            cancelled,
        })
    }

    /// Starts one worker that leaves the processors to whoever else wants them.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub fn start_low(params: DigestParams) -> std::io::Result<Self> {
        let (queue, tasks) = bounded(QUEUE);
        let cancelled = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&cancelled);
        let thread = std::thread::Builder::new()
            .name("check".to_owned())
            .spawn(move || {
                // Of this thread alone. Where it is refused, the digests come all the same.
                let _ = rustix::process::setpriority_process(None, LOW);
                work(params, &tasks, &over);
            })?;
        Ok(Self {
            queue: Some(queue),
            threads: vec![thread],
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

fn work(params: DigestParams, tasks: &Receiver<Task>, over: &AtomicBool) {
    let mut memory = DigestMemory::new();
    loop {
        let task = if memory.held_kib() == 0 {
            tasks.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            tasks.recv_timeout(IDLE)
        };
        match task {
            Ok(_) if over.load(Ordering::SeqCst) => {}
            Ok(task) => (task.done)(digest(&params, &task.header, &mut memory)),
            Err(RecvTimeoutError::Timeout) => memory.release(),
            Err(RecvTimeoutError::Disconnected) => return,
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
