//! Who gets a connection: a part of the places is kept for this machine itself, so that what watches
//! the node there is answered whatever others do; who may not look gets none of them.
//!
//! Where no place is free, the connection that has been idle longest gives up its own. One is busy
//! while its request is with the node or while it follows what changes, and idle otherwise: in its
//! handshake, between requests, and while it reads an answer slowly.
//!
//! Bounds: [`CONNECTIONS_MAX`] places, [`RESERVE`] of them for this machine alone, and
//! [`STRANGERS_MAX`] who are told that they may not look.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::shell::tcp::places::Times;
use crate::shell::tcp::{Count, Place, Places};

/// Connections at a time.
pub const CONNECTIONS_MAX: usize = 64;
/// Of these, for this machine alone.
pub const RESERVE: usize = 8;
/// Who may not look and is told so, at a time; others are closed at once.
pub const STRANGERS_MAX: usize = 16;

/// Who is idle gives way at once; who follows what changes is never done with it.
const TIMES: Times = Times {
    turn: Duration::from_secs(365 * 86_400),
    pause: Duration::ZERO,
};

/// The places of the service. Clones share them.
#[derive(Debug, Clone)]
pub struct Doors {
    reserve: Places,
    common: Places,
    strangers: Arc<Semaphore>,
}

impl Doors {
    /// All are free; `count` counts who has a place.
    #[must_use]
    pub fn new(count: Count) -> Self {
        Self {
            reserve: Places::new(RESERVE, count.clone()).with_times(TIMES),
            common: Places::new(CONNECTIONS_MAX - RESERVE, count).with_times(TIMES),
            strangers: Arc::new(Semaphore::new(STRANGERS_MAX)),
        }
    }

    /// A place for who may look: for this machine one of the reserve, as long as there are.
    #[must_use]
    pub fn take(&self, address: IpAddr) -> Option<Place> {
        if !address.to_canonical().is_loopback() {
            return self.common.take(address);
        }
        if self.reserve.taken() < RESERVE {
            return self.reserve.take(address);
        }
        let common = self.common.take(address);
        common.or_else(|| self.reserve.take(address))
    }

    /// For who may not look: a turn to be told so.
    #[must_use]
    pub fn stranger(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.strangers).try_acquire_owned().ok()
    }
}

/// A connection is busy as long as this lives.
#[derive(Debug)]
pub struct Busy(Arc<Place>);

impl Busy {
    /// From now on.
    #[must_use]
    pub fn new(place: &Arc<Place>) -> Self {
        place.busy();
        Self(Arc::clone(place))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.rest();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_never_take_what_is_kept_for_this_machine() {
        let count = Count::default();
        let doors = Doors::new(count.clone());
        let other: IpAddr = "192.0.2.7".parse().unwrap();
        let own: IpAddr = "::ffff:127.0.0.1".parse().unwrap();
        let held: Vec<_> = (0..CONNECTIONS_MAX)
            .filter_map(|_| doors.take(other))
            .map(|place| Busy::new(&Arc::new(place)))
            .collect();
        assert_eq!(held.len(), CONNECTIONS_MAX - RESERVE);
        assert!(doors.take(other).is_none(), "all of theirs are busy");
        let kept: Vec<_> = (0..RESERVE).filter_map(|_| doors.take(own)).collect();
        assert_eq!((kept.len(), count.evicted()), (RESERVE, 0));
        // Where that is full as well, the longest idle goes.
        let newcomer = doors.take(own);
        assert_eq!((newcomer.is_some(), count.evicted()), (true, 1));
        drop((held, kept, newcomer));
        assert_eq!(count.get(), 0);
    }

    #[test]
    fn who_may_not_look_takes_no_place() {
        let count = Count::default();
        let doors = Doors::new(count.clone());
        let turns: Vec<_> = (0..=STRANGERS_MAX)
            .filter_map(|_| doors.stranger())
            .collect();
        assert_eq!((turns.len(), count.get()), (STRANGERS_MAX, 0));
    }
}
