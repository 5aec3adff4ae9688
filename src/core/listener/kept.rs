//! Answers to `B` and `H` that are kept for the next who asks the same: a new block is asked for by
//! everybody at once. They hold as long as no block comes off the chain; which branch that is, is a
//! number that changes then (see [`crate::core::engine::Status`]).
//!
//! Bounds: [`BYTES`] of blocks and digests, [`MOST`] of them; the oldest makes room. Errors are not
//! kept: a block that is not there may come.

use std::collections::{BTreeMap, VecDeque};

use super::{Reply, Request};

/// Bytes of all kept answers.
pub const BYTES: usize = 4 << 20;
/// Most kept answers.
pub const MOST: usize = 4096;

/// What an answer is kept under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The block of this number.
    Block(u64),
    /// The digest of it.
    Digest(u64),
}

impl Key {
    /// The key of a request, if its answer may be kept.
    #[must_use]
    pub const fn of(request: &Request) -> Option<Self> {
        match request {
            Request::Block(number) => Some(Self::Block(*number)),
            Request::Digest(number) => Some(Self::Digest(*number)),
            _ => None,
        }
    }
}

/// The kept answers.
#[derive(Debug, Default)]
pub struct Kept {
    branch: u64,
    answers: BTreeMap<Key, Reply>,
    order: VecDeque<Key>,
    bytes: usize,
}

fn size(reply: &Reply) -> usize {
    reply.frames().iter().map(Vec::len).sum()
}

impl Kept {
    /// The answer, if it is kept and the branch is still the same.
    #[must_use]
    pub fn get(&self, branch: u64, key: Key) -> Option<&Reply> {
        let reply = self.answers.get(&key);
        reply.filter(|_| branch == self.branch)
    }

    /// Keeps an answer to a question that was asked on the branch `asked`, on which the node still is
    /// if it is `branch`.
    pub fn put(&mut self, asked: u64, branch: u64, key: Key, reply: &Reply) {
        if branch != self.branch {
            *self = Self {
                branch,
                ..Self::default()
            };
        }
        let more = size(reply);
        let is_known = self.answers.contains_key(&key);
        if asked != branch || reply.is_error() || more > BYTES / 4 || is_known {
            return;
        }
        self.answers.insert(key, reply.clone());
        self.order.push_back(key);
        self.bytes += more;
        while self.bytes > BYTES || self.order.len() > MOST {
            let oldest = self.order.pop_front();
            let gone = oldest.and_then(|key| self.answers.remove(&key));
            self.bytes -= gone.as_ref().map_or(self.bytes, size);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(bytes: usize) -> Reply {
        Reply::block(vec![7; bytes])
    }

    #[test]
    fn an_answer_is_kept_until_a_block_comes_off() {
        let mut kept = Kept::default();
        let key = Key::Block(5);
        kept.put(0, 0, key, &block(9));
        assert_eq!(kept.get(0, key), Some(&block(9)));
        assert_eq!(kept.get(0, Key::Digest(5)), None);
        assert_eq!(kept.get(1, key), None);
        // What was asked for before is not kept behind.
        kept.put(0, 1, key, &block(9));
        assert_eq!((kept.get(0, key), kept.get(1, key)), (None, None));
        kept.put(1, 1, key, &block(8));
        assert_eq!(kept.get(1, key), Some(&block(8)));
    }

    #[test]
    fn errors_and_very_large_blocks_are_not_kept() {
        let mut kept = Kept::default();
        kept.put(0, 0, Key::Block(5), &Reply::block_not_found());
        kept.put(0, 0, Key::Block(6), &block(BYTES / 4));
        assert_eq!(kept.get(0, Key::Block(5)), None);
        assert_eq!(kept.get(0, Key::Block(6)), None);
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut kept = Kept::default();
        for number in 0..20 {
            kept.put(0, 0, Key::Block(number), &block(BYTES / 8));
            assert!(kept.bytes <= BYTES);
        }
        assert_eq!(kept.get(0, Key::Block(12)), None);
        assert!(kept.get(0, Key::Block(19)).is_some());
        let mut kept = Kept::default();
        for number in 0..=MOST as u64 {
            kept.put(0, 0, Key::Digest(number), &block(1));
        }
        assert_eq!((kept.answers.len(), kept.order.len()), (MOST, MOST));
        assert_eq!(kept.bytes, 2 * MOST);
        assert_eq!(kept.get(0, Key::Digest(0)), None);
    }
}
