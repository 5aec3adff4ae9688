//! Group commit: whoever needs to know that something is on disk queues here; one flush serves all
//! that queued before it began. What nobody waits for may wait a moment for company: blocks that are
//! fetched one after the other are not each written by themselves.
//!
//! Order is kept: what was queued first is told first. A flush that fails is told as such to all
//! it was for, and nothing is acknowledged after it.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::Store;
use crate::core::state::StoreFault;

/// Done after the flush, with its result.
pub type After = Box<dyn FnOnce(&Result<(), StoreFault>) + Send>;

/// How long what nobody waits for may stay off the disk.
pub const SOON: Duration = Duration::from_millis(200);
/// Most that wait for a flush; more hold up the one that queues.
const QUEUE: usize = 4096;

/// What waits, and whether somebody waits for it.
struct Waiting {
    after: After,
    is_wanted: bool,
}

/// The thread that flushes.
#[derive(Debug)]
pub struct Flusher {
    queue: Option<Sender<Waiting>>,
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
        self.push(after, true);
    }

    /// The same, within a fifth of a second: nobody waits for it.
    pub fn after_flush_soon(&self, after: After) {
        self.push(after, false);
    }

    fn push(&self, after: After, is_wanted: bool) {
        if let Some(queue) = &self.queue {
            // The thread ends only after the queue is closed.
            let _ = queue.send(Waiting { after, is_wanted });
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

/// What one flush is for; nothing when the queue is closed.
fn group(waiting: &Receiver<Waiting>) -> Option<Vec<After>> {
    let mut group = Vec::new();
    let mut next = waiting.recv().ok();
    let end = Instant::now() + SOON;
    while let Some(Waiting { after, is_wanted }) = next {
        group.push(after);
        if is_wanted || group.len() >= QUEUE {
            break;
        }
        next = waiting.recv_deadline(end).ok();
    }
    let rest = waiting.try_iter().take(QUEUE);
    group.extend(rest.map(|waiting| waiting.after));
    (!group.is_empty()).then_some(group)
}

fn run(store: &Store, waiting: &Receiver<Waiting>) {
    while let Some(mut group) = group(waiting) {
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
    fn what_nobody_waits_for_goes_with_what_somebody_does_and_soon_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("s"), CACHE_BYTES)
            .unwrap()
            .store;
        let flusher = Flusher::start(store).unwrap();
        let (tell, told) = bounded(100);
        let teller = |number| -> After {
            let tell = tell.clone();
            Box::new(move |_| tell.send(number).unwrap())
        };
        let long = Duration::from_secs(20);
        flusher.after_flush_soon(teller(1));
        assert_eq!(told.recv_timeout(long), Ok(1), "soon by itself");
        flusher.after_flush_soon(teller(2));
        flusher.after_flush(teller(3));
        flusher.after_flush_soon(teller(4));
        let order: Vec<i32> = (0..3).map(|_| told.recv_timeout(long).unwrap()).collect();
        assert_eq!(order, [2, 3, 4]);
    }

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
