//! What subscribers are told (`proto/mempool.md`, section 4.8): three bits each that stay set until
//! they are taken. Nothing queues, so nothing grows; at most [`SUBSCRIBERS_MAX`] subscribe.

use std::collections::BTreeMap;
use std::ops::BitOr;

/// Most subscribers.
pub const SUBSCRIBERS_MAX: usize = 64;

/// A set of kinds of news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Notices(u8);

impl Notices {
    /// No news.
    pub const NONE: Self = Self(0);
    /// Something was sent.
    pub const SYNC: Self = Self(1);
    /// A peer came or went.
    pub const PEER_STATE_CHANGE: Self = Self(2);
    /// A peer's bundle was accepted.
    pub const NEW_TRANSACTIONS: Self = Self(4);

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of `other` are in it.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for Notices {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Who subscribes; never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SubscriberId(u64);

/// All subscribers with what they have not taken yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Board {
    pending: BTreeMap<SubscriberId, Notices>,
    next: u64,
}

impl Board {
    /// A new subscriber without news; none when there are too many.
    pub fn subscribe(&mut self) -> Option<SubscriberId> {
        if self.pending.len() >= SUBSCRIBERS_MAX {
            return None;
        }
        let id = SubscriberId(self.next);
        self.next += 1;
        self.pending.insert(id, Notices::NONE);
        Some(id)
    }

    pub fn unsubscribe(&mut self, id: SubscriberId) {
        self.pending.remove(&id);
    }

    /// The news of a subscriber, which it then has no more.
    pub fn take(&mut self, id: SubscriberId) -> Notices {
        let pending = self.pending.get_mut(&id);
        pending.map_or(Notices::NONE, std::mem::take)
    }

    /// Sets bits for all; gives back those that were not set for somebody.
    pub fn set(&mut self, news: Notices) -> Notices {
        let mut risen = Notices::NONE;
        for pending in self.pending.values_mut() {
            risen = risen | news.without(*pending);
            *pending = *pending | news;
        }
        risen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_is_told_once_until_it_is_taken() {
        let mut board = Board::default();
        let one = board.subscribe().unwrap();
        assert_eq!(board.set(Notices::SYNC), Notices::SYNC);
        assert_eq!(board.set(Notices::SYNC), Notices::NONE);
        let both = Notices::SYNC | Notices::NEW_TRANSACTIONS;
        assert_eq!(board.set(both), Notices::NEW_TRANSACTIONS);
        assert_eq!(board.take(one), both);
        assert_eq!(board.take(one), Notices::NONE);
        assert_eq!(board.set(Notices::SYNC), Notices::SYNC);
    }

    #[test]
    fn subscribers_are_bounded_and_the_place_of_one_that_left_is_free() {
        let mut board = Board::default();
        let all: Vec<_> = (0..SUBSCRIBERS_MAX).map(|_| board.subscribe()).collect();
        assert!(all.iter().all(Option::is_some));
        assert_eq!(board.subscribe(), None);
        let left = all[3].unwrap();
        board.unsubscribe(left);
        let new = board.subscribe().unwrap();
        assert_ne!(new, left);
        board.set(Notices::SYNC);
        assert_eq!(board.take(left), Notices::NONE);
        assert_eq!(board.take(new), Notices::SYNC);
    }
}
