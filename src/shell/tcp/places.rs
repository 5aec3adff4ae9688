//! Who has a connection, and who loses it when all places are taken: the one that has been idle
//! longest (`proto/rpc.md`, section 1, where the reference turns the newcomer away instead).
//!
//! A connection is busy while a call of it is with the node, and idle otherwise: in its handshake,
//! between requests, in the middle of one, or while it leaves a reply unread. So none holds its place
//! by sending or reading slowly.
//!
//! Bounds: as many places as the limit; the state of each is a few words.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

#[derive(Debug, Default)]
struct Counted {
    open: AtomicU64,
    accepted: AtomicU64,
    evicted: AtomicU64,
    turned_away: AtomicU64,
}

/// How many connections there are and were. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Count(Arc<Counted>);

impl Count {
    /// How many are open.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.open.load(Ordering::Relaxed)
    }

    /// How many got a place so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.0.accepted.load(Ordering::Relaxed)
    }

    /// How many gave up their place to a newcomer.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.0.evicted.load(Ordering::Relaxed)
    }

    /// How many newcomers got none.
    #[must_use]
    pub fn turned_away(&self) -> u64 {
        self.0.turned_away.load(Ordering::Relaxed)
    }

    fn opened(&self) {
        self.0.open.fetch_add(1, Ordering::Relaxed);
        self.0.accepted.fetch_add(1, Ordering::Relaxed);
    }

    fn closed(&self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is known of a connection.
#[derive(Debug)]
struct Holder {
    /// Calls that are with the node.
    running: usize,
    /// When it came or its last call was answered.
    since: Instant,
    /// Told when it has to look again: evicted, or idle now.
    told: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    holders: BTreeMap<u64, Holder>,
}

/// The places of one service. Clones share them.
#[derive(Debug, Clone)]
pub struct Places {
    limit: usize,
    count: Count,
    state: Arc<Mutex<State>>,
}

impl Places {
    /// All are free. `count` counts those that are taken, with those of others that share it.
    #[must_use]
    pub fn new(limit: usize, count: Count) -> Self {
        Self {
            limit,
            count,
            state: Arc::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a newcomer. Where none is free, the connection that has been idle longest gives
    /// up its own; where none is idle, there is none.
    #[must_use]
    pub fn take(&self) -> Option<Place> {
        let mut state = self.state();
        if state.holders.len() >= self.limit {
            let idle = state.holders.iter().filter(|(_, h)| h.running == 0);
            let longest = idle.min_by_key(|(id, h)| (h.since, **id));
            let Some(id) = longest.map(|(id, _)| *id) else {
                self.count.0.turned_away.fetch_add(1, Ordering::Relaxed);
                return None;
            };
            if let Some(holder) = state.holders.remove(&id) {
                holder.told.notify_one();
                self.count.closed();
                self.count.0.evicted.fetch_add(1, Ordering::Relaxed);
            }
        }
        let id = state.next;
        state.next = id.wrapping_add(1);
        let told = Arc::new(Notify::new());
        let holder = Holder {
            running: 0,
            since: Instant::now(),
            told: Arc::clone(&told),
        };
        state.holders.insert(id, holder);
        self.count.opened();
        drop(state);
        Some(Place {
            places: self.clone(),
            id,
            told,
        })
    }

    /// How many are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.state().holders.len()
    }
}

/// The place of one connection. Dropping it gives it back.
#[derive(Debug)]
pub struct Place {
    places: Places,
    id: u64,
    told: Arc<Notify>,
}

impl Place {
    fn change(&self, change: impl FnOnce(&mut Holder)) {
        if let Some(holder) = self.places.state().holders.get_mut(&self.id) {
            change(holder);
        }
    }

    /// A request came in, though not whole: it has its time from now on.
    pub fn touch(&self) {
        self.change(|holder| holder.since = Instant::now());
    }

    /// A call went to the node.
    pub fn busy(&self) {
        self.change(|holder| holder.running = holder.running.saturating_add(1));
    }

    /// A call was answered, or nobody waits for its answer any more.
    pub fn rest(&self) {
        self.change(|holder| {
            holder.running = holder.running.saturating_sub(1);
            holder.since = Instant::now();
        });
        self.told.notify_one();
    }

    /// Waits until the connection has to end: another one got its place, or it has been idle for
    /// `patience`.
    pub async fn over(&self, patience: Duration) {
        loop {
            let until = match self.places.state().holders.get(&self.id) {
                None => return,
                Some(holder) if holder.running > 0 => None,
                Some(holder) => Some(holder.since + patience),
            };
            match until {
                None => self.told.notified().await,
                Some(until) if until <= Instant::now() => return,
                Some(until) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(until) => {}
                        () = self.told.notified() => {}
                    }
                }
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.places.state().holders.remove(&self.id).is_some() {
            self.places.count.closed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
    }

    #[test]
    fn at_the_limit_the_longest_idle_gives_up_its_place() {
        let count = Count::default();
        let places = Places::new(2, count.clone());
        let first = places.take().unwrap();
        let second = places.take().unwrap();
        first.busy();
        first.rest();
        let third = places.take().unwrap();
        assert_eq!((places.taken(), count.get()), (2, 2));
        runtime().block_on(async {
            second.over(LONG).await;
            let still = tokio::time::timeout(Duration::from_millis(1), first.over(LONG)).await;
            assert!(still.is_err(), "the first was idle for a shorter time");
        });
        drop((second, third));
        assert_eq!((places.taken(), count.get()), (1, 1));
        drop(first);
        assert_eq!((places.taken(), count.get()), (0, 0));
        assert_eq!((count.accepted(), count.evicted()), (3, 1));
        assert_eq!(count.turned_away(), 0);
    }

    #[test]
    fn where_all_are_busy_the_newcomer_gets_none() {
        let count = Count::default();
        let places = Places::new(1, count.clone());
        let first = places.take().unwrap();
        first.busy();
        first.busy();
        first.rest();
        assert!(places.take().is_none());
        assert_eq!((count.turned_away(), count.evicted()), (1, 0));
        first.rest();
        assert!(places.take().is_some());
    }

    #[test]
    fn who_is_idle_for_too_long_is_over_and_who_is_busy_is_not() {
        let places = Places::new(1, Count::default());
        let place = places.take().unwrap();
        runtime().block_on(async {
            place.over(Duration::from_millis(5)).await;
            place.busy();
            let over = place.over(Duration::from_millis(5));
            let over = tokio::time::timeout(Duration::from_millis(30), over);
            assert!(over.await.is_err());
            place.rest();
            place.over(Duration::from_millis(5)).await;
        });
    }

    #[test]
    fn services_share_a_count_but_not_their_places() {
        let count = Count::default();
        let one = Places::new(1, count.clone());
        let other = Places::new(1, count.clone());
        let taken = (one.take(), other.take());
        assert_eq!((count.get(), one.taken(), other.taken()), (2, 1, 1));
        drop(taken);
        assert_eq!(count.get(), 0);
    }
}
