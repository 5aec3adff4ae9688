//! The hashing threads (`proto/mining.md`, section 7): all of them on one assignment set, and a
//! new set stops them after the digest they are at.
//!
//! Nobody waits for a hashing thread: one that is told to stop ends by itself within a digest. The
//! memory of a thread that has had no work for a while is given back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::core::block::{DigestMemory, DigestParams, Header, digest, digest_two};
use crate::core::mining::search::Assignment;
use crate::shell::digest::memory as digest_memory;

/// A thread gives its memory back after so long without work.
const IDLE: Duration = Duration::from_secs(5);
/// The generation of a board that is closed.
const CLOSED: u64 = u64::MAX;

/// A nonce that was found, with the generation of its assignment.
pub type Found = (u64, u64);

/// What was done since the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// Digests.
    pub digests: u64,
    /// Time the threads spent on them, added up.
    pub busy: Duration,
}

#[derive(Debug, Default)]
struct Board {
    /// Read between two digests; written with the lock held.
    generation: AtomicU64,
    assignments: Mutex<Vec<Assignment>>,
    changed: Condvar,
    digests: AtomicU64,
    busy_us: AtomicU64,
}

/// The threads. Dropping it stops them.
#[derive(Debug)]
pub struct Hashing {
    board: Arc<Board>,
    threads: usize,
}

impl Hashing {
    /// Starts so many threads. `found` is called from them.
    ///
    /// # Errors
    /// The system has no thread for one.
    pub fn start(
        params: DigestParams,
        threads: usize,
        found: impl Fn(Found) + Clone + Send + 'static,
    ) -> std::io::Result<Self> {
        let hashing = Self {
            board: Arc::new(Board::default()),
            threads,
        };
        for index in 0..threads {
            let (board, found) = (Arc::clone(&hashing.board), found.clone());
            std::thread::Builder::new()
                .name(format!("hash-{index}"))
                .spawn(move || board.work(&params, index, &found))?;
        }
        Ok(hashing)
    }

    /// How many there are.
    #[must_use]
    pub const fn threads(&self) -> usize {
        self.threads
    }

    /// Gives every thread its part; none of them goes on with what it had. Without assignments
    /// they rest.
    pub fn assign(&self, generation: u64, assignments: Vec<Assignment>) {
        let board = &self.board;
        let mut held = board.lock();
        *held = assignments;
        board.generation.store(generation, Ordering::Release);
        board.changed.notify_all();
    }

    /// What was done since the last call.
    #[must_use]
    pub fn take_done(&self) -> Done {
        Done {
            digests: self.board.digests.swap(0, Ordering::Relaxed),
            busy: Duration::from_micros(self.board.busy_us.swap(0, Ordering::Relaxed)),
        }
    }
}

impl Drop for Hashing {
    fn drop(&mut self) {
        self.assign(CLOSED, Vec::new());
    }
}

impl Board {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Assignment>> {
        self.assignments
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, params: &DigestParams, index: usize, found: &impl Fn(Found)) {
        let mut memory = digest_memory();
        let mut last = 0;
        while let Some(assignment) = self.next(index, last, &mut memory) {
            last = assignment.generation;
            let mut nonces = assignment.range.nonces();
            let header = |nonce| {
                let header = Header {
                    nonce,
                    ..assignment.header
                };
                header.pack()
            };
            // Two at a time: side by side they are sooner done than one after the other.
            while let Some(one) = nonces.next() {
                if self.generation.load(Ordering::Acquire) != assignment.generation {
                    break;
                }
                let begin = Instant::now();
                let done = match nonces.next() {
                    Some(other) => {
                        let headers = [&header(one), &header(other)];
                        let [a, b] = digest_two(params, headers, &mut memory);
                        vec![(one, a), (other, b)]
                    }
                    None => vec![(one, digest(params, &header(one), &mut memory))],
                };
                let spent = u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX);
                self.busy_us.fetch_add(spent, Ordering::Relaxed);
                self.digests.fetch_add(done.len() as u64, Ordering::Relaxed);
                if let Some((nonce, _)) = done.iter().find(|(_, d)| assignment.is_good(d)) {
                    found((assignment.generation, *nonce));
                    break;
                }
            }
        }
    }

    /// Waits for an assignment of another generation than `last`; none when the board is closed.
    fn next(&self, index: usize, last: u64, memory: &mut DigestMemory) -> Option<Assignment> {
        let mut held = self.lock();
        loop {
            if self.generation.load(Ordering::Acquire) == CLOSED {
                return None;
            }
            match held.get(index) {
                Some(assignment) if assignment.generation != last => {
                    return Some(assignment.clone());
                }
                _ => {}
            }
            if memory.held_kib() == 0 {
                held = self
                    .changed
                    .wait(held)
                    .unwrap_or_else(PoisonError::into_inner);
            } else {
                let (back, wait) = self
                    .changed
                    .wait_timeout(held, IDLE)
                    .unwrap_or_else(PoisonError::into_inner);
                held = back;
                if wait.timed_out() {
                    memory.release();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::block::{Compact, Target};
    use crate::core::id::{BlockDigest, TxId};
    use crate::core::mining::search::split;
    use crossbeam_channel::unbounded;

    const WAIT: Duration = Duration::from_secs(20);

    fn assignments(generation: u64, threads: usize, target: Target) -> Vec<Assignment> {
        let header = Header {
            version: 2,
            transaction_count: 2,
            number: generation,
            previous_block: BlockDigest([1; 32]),
            merkle_root: TxId([2; 32]),
            timestamp: 3,
            difficulty: Compact::ONE,
            nonce: 0,
        };
        split(0, threads)
            .into_iter()
            .map(|range| Assignment {
                generation,
                header,
                target,
                range,
            })
            .collect()
    }

    #[test]
    fn all_threads_search_and_what_they_find_is_good() {
        let (tell, told) = unbounded();
        let params = DigestParams::DEVNET;
        let hashing = Hashing::start(params, 3, move |found| {
            let _ = tell.send(found);
        })
        .unwrap();
        let given = assignments(1, 3, Target::ONE);
        hashing.assign(1, given.clone());
        let mut memory = DigestMemory::new();
        let mut seen = [false; 3];
        for _ in 0..3 {
            let (generation, nonce) = told.recv_timeout(WAIT).unwrap();
            assert_eq!(generation, 1);
            let header = Header {
                nonce,
                ..given[0].header
            };
            assert!(given[0].is_good(&digest(&params, &header.pack(), &mut memory)));
            let mut ranges = given.iter().map(|assignment| assignment.range);
            let place = ranges.position(|r| nonce.wrapping_sub(r.start) < r.count);
            seen[place.unwrap()] = true;
        }
        assert_eq!(seen, [true; 3], "each thread in its own range");
        let done = hashing.take_done();
        assert!(done.digests >= 3 && done.busy > Duration::ZERO);
    }

    #[test]
    fn newer_work_is_taken_up_between_two_digests_and_a_stop_ends_the_threads() {
        let (tell, told) = unbounded();
        let hashing = Hashing::start(DigestParams::DEVNET, 2, move |found| {
            let _ = tell.send(found);
        })
        .unwrap();
        let hopeless = Target::from_be_bytes([0; 32]);
        hashing.assign(1, assignments(1, 2, hopeless));
        hashing.assign(2, assignments(2, 2, Target::from_be_bytes([0xff; 32])));
        for _ in 0..2 {
            assert_eq!(told.recv_timeout(WAIT).unwrap().0, 2);
        }
        hashing.assign(3, assignments(3, 2, hopeless));
        drop(hashing);
        // The channel closes when the last thread has ended.
        assert!(told.recv_timeout(WAIT).is_err());
        assert!(told.try_recv().unwrap_err().is_disconnected());
    }
}
