//! The miner's own state (`proto/mining.md`, section 7): which job all threads work on, which
//! nonces each of them tries, and what is submitted.
//!
//! Where the reference gives each work message to one thread, here all threads take the newest one
//! and share its nonces; a digest is compared with the real target; after a success nothing is
//! computed until newer work comes or the submission fails. Pure: threads, sockets and the digest
//! itself are the program's.

use crate::core::block::{Header, Target};
use crate::core::id::BlockDigest;
use crate::core::time::Millis;

use super::work::Work;

/// Work older than this is given up: the node went away or mines no more.
pub const WORK_LIFE_MS: Millis = 120_000;
/// A submission without a reply is given up after this time, and the search goes on.
pub const REPLY_WAIT_MS: Millis = 10_000;

/// Nonces from `start` on, counted upwards and around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NonceRange {
    /// The first.
    pub start: u64,
    /// How many.
    pub count: u64,
}

impl NonceRange {
    /// The nonces.
    pub fn nonces(self) -> impl Iterator<Item = u64> {
        (0..self.count).map(move |offset| self.start.wrapping_add(offset))
    }
}

/// Shares all nonces among threads: ranges that do not overlap, the first beginning right after
/// `start` as the reference does.
#[must_use]
pub fn split(start: u64, threads: usize) -> Vec<NonceRange> {
    let threads = u64::try_from(threads).unwrap_or(u64::MAX).max(1);
    let count = u64::MAX / threads;
    (0..threads)
        .map(|index| NonceRange {
            start: start
                .wrapping_add(1)
                .wrapping_add(count.wrapping_mul(index)),
            count,
        })
        .collect()
}

/// What a thread works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Changes whenever the threads must stop what they do.
    pub generation: u64,
    /// The header to complete.
    pub header: Header,
    /// What the digest must not exceed.
    pub target: Target,
    /// The nonces of this thread.
    pub range: NonceRange,
}

impl Assignment {
    /// Whether the digest of the header with a nonce is good.
    #[must_use]
    pub fn is_good(&self, digest: &BlockDigest) -> bool {
        Target::of_digest(digest) <= self.target
    }
}

/// A nonce to hand in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToSubmit {
    /// Which of the miner's nodes the work came from.
    pub node: usize,
    /// The frame.
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    Searching,
    /// Handed in at this time; the nonce, from which a resumed search goes on.
    Submitted(Millis, u64),
    /// Accepted: nothing to do until newer work comes.
    Done,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Current {
    node: usize,
    work: Work,
    target: Target,
    since: Millis,
    start: u64,
    stage: Stage,
}

/// The miner: the newest work of any node, and how far it is.
#[derive(Debug, Clone, Default)]
pub struct Search {
    generation: u64,
    current: Option<Current>,
}

impl Search {
    /// A miner without work.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts up whenever assignments change; threads compare it between two digests.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// The work in hand, whether it is searched, handed in or done.
    #[must_use]
    pub fn work(&self) -> Option<&Work> {
        self.current.as_ref().map(|current| &current.work)
    }

    /// The newest work replaces what was there. False when the message is no work, or has a
    /// difficulty that is no number.
    pub fn on_work(&mut self, now: Millis, node: usize, message: &[u8]) -> bool {
        let Some(work) = Work::read(message) else {
            return false;
        };
        let Some(target) = work.header.difficulty.target() else {
            return false;
        };
        self.change(Some(Current {
            node,
            target,
            since: now,
            start: work.header.nonce,
            work,
            stage: Stage::Searching,
        }));
        true
    }

    fn change(&mut self, current: Option<Current>) {
        self.generation += 1;
        self.current = current;
    }

    /// What each thread shall do; nothing when there is no work.
    #[must_use]
    pub fn assignments(&self, threads: usize) -> Vec<Assignment> {
        match &self.current {
            Some(current) if current.stage == Stage::Searching => split(current.start, threads)
                .into_iter()
                .map(|range| Assignment {
                    generation: self.generation,
                    header: current.work.header,
                    target: current.target,
                    range,
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    /// A thread found a nonce. None when newer work came meanwhile or another thread was first.
    pub fn on_found(&mut self, now: Millis, generation: u64, nonce: u64) -> Option<ToSubmit> {
        let current = self.current.as_mut()?;
        if generation != self.generation || current.stage != Stage::Searching {
            return None;
        }
        current.stage = Stage::Submitted(now, nonce);
        self.generation += 1;
        Some(ToSubmit {
            node: current.node,
            text: current.work.submission(nonce),
        })
    }

    /// The node answered. A refusal of the current work ends it too: it is stale there.
    pub fn on_reply(&mut self, node: usize, job: &str, ok: bool) {
        let Some(current) = self.current.as_mut() else {
            return;
        };
        let is_ours = current.node == node
            && current.work.job == job
            && matches!(current.stage, Stage::Submitted(..));
        if is_ours && ok {
            current.stage = Stage::Done;
        } else if is_ours {
            self.change(None);
        }
    }

    /// When [`Search::on_time`] is wanted.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Millis> {
        self.current.as_ref().map(|current| match current.stage {
            Stage::Submitted(at, _) => at.saturating_add(REPLY_WAIT_MS),
            Stage::Searching | Stage::Done => current.since.saturating_add(WORK_LIFE_MS),
        })
    }

    /// Gives up work that is too old and waits that are too long.
    pub fn on_time(&mut self, now: Millis) {
        if self.next_wakeup().is_none_or(|at| now < at) {
            return;
        }
        let Some(current) = self.current.take() else {
            return;
        };
        let is_old = now >= current.since.saturating_add(WORK_LIFE_MS);
        self.change(match current.stage {
            Stage::Submitted(_, nonce) if !is_old => Some(Current {
                start: nonce,
                stage: Stage::Searching,
                ..current
            }),
            _ => None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::block::Compact;
    use crate::core::id::TxId;

    fn message(job: &str, nonce: u64) -> Vec<u8> {
        let header = Header {
            version: 2,
            transaction_count: 2,
            number: 2,
            previous_block: BlockDigest([1; 32]),
            merkle_root: TxId([2; 32]),
            timestamp: 3,
            difficulty: Compact::ONE,
            nonce,
        };
        serde_json::json!({"Job": job, "Header": header.to_json(), "TxIds": []})
            .to_string()
            .into_bytes()
    }

    #[test]
    fn threads_get_ranges_that_do_not_overlap() {
        for threads in [1, 2, 3, 7, 64] {
            let ranges = split(u64::MAX - 3, threads);
            assert_eq!(ranges.len(), threads);
            assert_eq!(ranges.first().map(|range| range.start), Some(u64::MAX - 2));
            for pair in ranges.windows(2) {
                assert_eq!(pair[0].start.wrapping_add(pair[0].count), pair[1].start);
            }
            let total: u128 = ranges.iter().map(|range| u128::from(range.count)).sum();
            assert!(total <= u128::from(u64::MAX));
        }
        let around: Vec<_> = split(u64::MAX - 1, 1)[0].nonces().take(3).collect();
        assert_eq!(around, [u64::MAX, 0, 1]);
    }

    #[test]
    fn all_threads_leave_old_work_when_newer_comes() {
        let mut search = Search::new();
        assert!(search.assignments(4).is_empty());
        assert!(search.on_work(0, 0, &message("0001", 5)));
        let old = search.assignments(4);
        assert!(search.on_work(10, 1, &message("0002", 6)));
        let new = search.assignments(4);
        assert_eq!((old.len(), new.len()), (4, 4));
        assert!(new[0].generation > old[0].generation);
        assert_eq!(search.on_found(11, old[0].generation, 9), None);
        let submit = search.on_found(11, new[0].generation, 9).unwrap();
        assert_eq!(submit.node, 1);
        assert_eq!(
            submit.text,
            r#"{"Request":"block.nonce","Job":"0002","Packed":"CQAAAAAAAAA="}"#
        );
    }

    #[test]
    fn after_a_success_nothing_is_computed_until_newer_work() {
        let mut search = Search::new();
        search.on_work(0, 0, &message("0001", 5));
        let generation = search.generation();
        assert!(search.on_found(1, generation, 9).is_some());
        assert_eq!(search.on_found(1, generation, 10), None, "one is enough");
        assert!(search.assignments(2).is_empty());
        search.on_reply(0, "0001", true);
        assert!(search.assignments(2).is_empty());
        search.on_work(2, 0, &message("0002", 5));
        assert_eq!(search.assignments(2).len(), 2);
    }

    #[test]
    fn without_a_reply_the_search_goes_on_behind_the_nonce() {
        let mut search = Search::new();
        search.on_work(0, 0, &message("0001", 5));
        search.on_found(1, search.generation(), 9);
        search.on_time(REPLY_WAIT_MS);
        assert!(search.assignments(1).is_empty());
        search.on_time(REPLY_WAIT_MS + 1);
        assert_eq!(search.assignments(1)[0].range.start, 10);
        search.on_time(WORK_LIFE_MS);
        assert!(search.assignments(1).is_empty());
        assert_eq!(search.next_wakeup(), None);
    }

    #[test]
    fn a_refusal_ends_the_work_it_is_about_and_no_other() {
        let mut search = Search::new();
        search.on_work(0, 0, &message("0001", 5));
        search.on_reply(0, "0001", false);
        assert_eq!(search.assignments(1).len(), 1, "nothing was handed in yet");
        search.on_found(1, search.generation(), 9);
        search.on_reply(1, "0001", false);
        assert!(search.next_wakeup().is_some());
        search.on_reply(0, "0001", false);
        assert_eq!(search.next_wakeup(), None);
    }

    #[test]
    fn what_is_no_work_is_passed_over() {
        let mut search = Search::new();
        for text in ["", "{}", "[]", r#"{"Job":"0001","Header":{}}"#] {
            assert!(!search.on_work(0, 0, text.as_bytes()));
        }
        let impossible = String::from_utf8(message("0001", 5))
            .unwrap()
            .replace("ffffffffffffff00", "ffffffffffffffc0");
        assert!(!search.on_work(0, 0, impossible.as_bytes()));
    }
}
