//! Group commit: whoever needs to know that something is on disk queues here; one flush serves all
//! that queued before it began.
//!
//! Order is kept: what was queued first is told first. A flush that fails is told as such to all
//! it was for, and nothing is acknowledged after it.

use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::Store;
use crate::core::state::StoreFault;

/// Done after the flush, with its result.
pub type After = Box<dyn FnOnce(&Result<(), StoreFault>) + Send>;

/// Most that wait for a flush; more hold up the one that queues.
const QUEUE: usize = 4096;

/// The thread that flushes.
#[derive(Debug)]
pub struct Flusher {
    queue: Option<Sender<After>>,
    thread: Option<JoinHandle<()>>,
}

impl Flusher {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub fn start(store: Store) -> std::io::Result<Self> {
        let (queue, waiting) = bounded(QUEUE);
        let thread = std::thread::Builder::new()
            .name("flusher".to_owned())
            .spawn(move || {
                let _guard = store.guard();
                run(&store, &waiting);
            })?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Does `after` once everything applied so far is on disk.
    pub fn after_flush(&self, after: After) {
        if let Some(queue) = &self.queue {
            // The thread ends only after the queue is closed.
            let _ = queue.send(after);
        }
    }

    /// Whether its thread runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|t| !t.is_finished())
    }

    /// Flushes what is left and ends the thread.
    pub fn stop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(store: &Store, waiting: &Receiver<After>) {
    let mut group = Vec::new();
    while let Ok(first) = waiting.recv() {
        group.push(first);
        group.extend(waiting.try_iter().take(QUEUE));
        let result = store.flush();
        if let Err(fault) = &result {
            log::error!("{fault}; nothing is acknowledged");
        }
        for after in group.drain(..) {
            after(&result);
        }
    }
    let _ = store.flush();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::store::CACHE_BYTES;

    #[test]
    fn everybody_is_told_in_the_order_of_queueing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("s"), CACHE_BYTES)
            .unwrap()
            .store;
        let mut flusher = Flusher::start(store).unwrap();
        let (tell, told) = bounded(100);
        for number in 0..100 {
            let tell = tell.clone();
            flusher.after_flush(Box::new(move |result| {
                assert!(result.is_ok());
                tell.send(number).unwrap();
            }));
        }
        flusher.stop();
        assert_eq!(
            told.try_iter().collect::<Vec<_>>(),
            (0..100).collect::<Vec<_>>()
        );
    }
}
