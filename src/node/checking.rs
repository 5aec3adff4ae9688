//! Signatures are checked by many: the owner hands out what will be checked of the inputs that wait,
//! and helps with what is next while nobody else is done with it. Nothing is decided here; whoever
//! checks tells what is good, and what is not told is checked by the engine itself.
//!
//! Bounds: the inputs that the owner looks ahead at.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, unbounded};

use crate::core::record::BitmarkIssue;
use crate::core::reservoir::Checked;

/// Issues that one takes at a time: about a millisecond.
const PIECE: usize = 10;
/// How long others may be at their pieces before the owner goes on without them.
const PATIENCE: Duration = Duration::from_secs(5);

/// What came of a job.
#[derive(Debug, Default)]
struct Found {
    checked: Checked,
    looked_at: usize,
}

/// Issues of one input.
#[derive(Debug)]
pub struct Job {
    issues: Vec<BitmarkIssue>,
    next: AtomicUsize,
    /// One is bad, so that the others are of no use.
    is_bad: AtomicBool,
    found: Mutex<Found>,
    is_done: Condvar,
}

impl Job {
    fn new(issues: Vec<BitmarkIssue>) -> Self {
        Self {
            issues,
            next: AtomicUsize::new(0),
            is_bad: AtomicBool::new(false),
            found: Mutex::default(),
            is_done: Condvar::new(),
        }
    }

    /// Checks pieces that nobody has taken until there is none.
    fn work(&self) {
        loop {
            let from = self.next.fetch_add(PIECE, Ordering::Relaxed);
            let piece: Vec<&BitmarkIssue> = self.issues.iter().skip(from).take(PIECE).collect();
            if piece.is_empty() {
                return;
            }
            let mut checked = Checked::default();
            for issue in &piece {
                if self.is_bad.load(Ordering::Relaxed) {
                    break;
                }
                let is_good = checked.check(issue);
                self.is_bad.fetch_or(!is_good, Ordering::Relaxed);
            }
            let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            found.checked.join(&mut checked);
            found.looked_at += piece.len();
            if found.looked_at == self.issues.len() {
                self.is_done.notify_all();
            }
        }
    }

    /// Helps, and waits for the others; gives what is good.
    pub fn finish(&self) -> Checked {
        self.work();
        let end = Instant::now() + PATIENCE;
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        while found.looked_at < self.issues.len() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                log::warn!("signatures are checked without those who should help");
                break;
            }
            let woken = self.is_done.wait_timeout(found, left);
            found = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        std::mem::take(&mut found.checked)
    }
}

/// Those who help.
#[derive(Debug)]
pub struct Checkers {
    queue: Option<Sender<Arc<Job>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Checkers {
    /// Starts so many.
    pub fn start(count: usize) -> std::io::Result<Self> {
        let (queue, jobs) = unbounded::<Arc<Job>>();
        let threads = (1..=count).map(|number| {
            let jobs = jobs.clone();
            std::thread::Builder::new()
                .name(format!("checker-{number}"))
                .spawn(move || jobs.iter().for_each(|job| job.work()))
        });
        Ok(Self {
            threads: threads.collect::<Result<_, _>>()?,
            queue: Some(queue),
        })
    }

    /// Hands these out; nothing where nobody helps, or it is not worth it.
    pub fn begin(&self, issues: Vec<BitmarkIssue>) -> Option<Arc<Job>> {
        let queue = self.queue.as_ref().filter(|_| !self.threads.is_empty())?;
        if issues.len() < 2 {
            return None;
        }
        let job = Arc::new(Job::new(issues));
        for _ in &self.threads {
            let _ = queue.send(Arc::clone(&job));
        }
        Some(job)
    }

    /// Whether all their threads run.
    pub fn is_running(&self) -> bool {
        self.threads.iter().all(|thread| !thread.is_finished())
    }
}

impl Drop for Checkers {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::record::samples::issue_record;

    fn issues(count: u64) -> Vec<BitmarkIssue> {
        (0..count)
            .map(|nonce| issue_record("print", nonce))
            .collect()
    }

    #[test]
    fn all_good_ones_are_told_whoever_checked_them() {
        for helpers in 1..4 {
            let checkers = Checkers::start(helpers).unwrap();
            let jobs: Vec<_> = (0..3)
                .map(|_| checkers.begin(issues(37)).unwrap())
                .collect();
            for job in jobs {
                assert_eq!(job.finish().len(), 37);
            }
            assert!(checkers.is_running());
        }
    }

    #[test]
    fn where_one_is_bad_it_is_not_told_and_nobody_waits() {
        let checkers = Checkers::start(2).unwrap();
        let mut all = issues(100);
        all[50].nonce += 1000;
        let good = checkers.begin(all).unwrap().finish();
        assert!(good.len() < 100);
    }

    #[test]
    fn without_helpers_nothing_is_handed_out() {
        assert!(Checkers::start(0).unwrap().begin(issues(9)).is_none());
        assert!(Checkers::start(1).unwrap().begin(issues(1)).is_none());
    }
}
