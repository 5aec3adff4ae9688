//! Who has a connection, and who loses it when all places are taken: the one that has been idle
//! longest; where none is idle, one that has had its turn (`proto/rpc.md`, section 1, where the
//! reference turns the newcomer away instead).
//!
//! A connection is busy while a call of it is with the node, and idle otherwise: between requests,
//! in the middle of one, or while it leaves a reply unread. So none holds its place by sending or
//! reading slowly. One that is never idle for [`Times::pause`] holds its place for [`Times::turn`]
//! against those who wait, so none holds it by calling without end.
//!
//! A place is given to who has done its handshake; the handshakes are bounded by the `lobby`. Nothing
//! here closes a connection: it is told, and ends itself.
//!
//! Bounds: as many places as the limit; as many wait as the lobby lets in. The state of each is a few
//! words.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::origin;

#[derive(Debug, Default)]
struct Counted {
    open: AtomicU64,
    accepted: AtomicU64,
    evicted: AtomicU64,
    relieved: AtomicU64,
    turned_away: AtomicU64,
    dismissed: AtomicU64,
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

    /// How many were idle and gave up their place to a newcomer.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.0.evicted.load(Ordering::Relaxed)
    }

    /// How many had had their turn and gave up their place to a newcomer.
    #[must_use]
    pub fn relieved(&self) -> u64 {
        self.0.relieved.load(Ordering::Relaxed)
    }

    /// How many newcomers got none.
    #[must_use]
    pub fn turned_away(&self) -> u64 {
        self.0.turned_away.load(Ordering::Relaxed)
    }

    /// How many were closed in their handshake because too many were in theirs.
    #[must_use]
    pub fn dismissed(&self) -> u64 {
        self.0.dismissed.load(Ordering::Relaxed)
    }

    pub(super) fn dismiss(&self) {
        self.0.dismissed.fetch_add(1, Ordering::Relaxed);
    }

    fn opened(&self) {
        self.0.open.fetch_add(1, Ordering::Relaxed);
        self.0.accepted.fetch_add(1, Ordering::Relaxed);
    }

    fn closed(&self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Who gives up its place when.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// So long a connection holds its place, calling without a pause, while others wait for one.
    pub turn: Duration,
    /// Without a call for so long a connection is idle whatever the others do: a newcomer has this
    /// time for its first request, and who calls one by one does not count as idle in between.
    pub pause: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            turn: Duration::from_secs(1),
            pause: Duration::from_millis(250),
        }
    }
}

/// How a connection learns that it is over.
#[derive(Debug, Default)]
struct Told {
    again: Notify,
    has_had_turn: AtomicBool,
}

/// What is known of a connection.
#[derive(Debug)]
struct Holder {
    from: IpAddr,
    /// Calls that are with the node.
    running: usize,
    /// When it came or its last call was answered.
    since: Instant,
    /// When it came or began to call after its last pause.
    active: Instant,
    told: Arc<Told>,
}

/// Who wants a place.
#[derive(Debug)]
struct Waiter {
    from: IpAddr,
    told: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    holders: BTreeMap<u64, Holder>,
    waiters: BTreeMap<u64, Waiter>,
}

/// What a newcomer finds.
enum Found {
    Free,
    /// This one is idle.
    Idle(u64),
    /// This one has had its turn.
    HadTurn(u64),
    /// Nothing before then, if nobody goes.
    Nothing(Option<Instant>),
}

impl State {
    fn number(&mut self) -> u64 {
        let id = self.next;
        self.next = id.wrapping_add(1);
        id
    }

    /// Places by address.
    fn held(&self) -> BTreeMap<IpAddr, usize> {
        let mut held = BTreeMap::new();
        for holder in self.holders.values() {
            *held.entry(holder.from).or_default() += 1;
        }
        held
    }

    /// Whose turn to get a place it is: of the address that has the fewest, who came first.
    fn first(&self) -> Option<(u64, &Waiter)> {
        let held = self.held();
        let key = |w: &Waiter| held.get(&w.from).copied().unwrap_or_default();
        let first = self.waiters.iter().min_by_key(|(id, w)| (key(w), **id));
        first.map(|(id, waiter)| (*id, waiter))
    }

    /// Something changed: who is next looks again.
    fn wake(&self) {
        if let Some((_, waiter)) = self.first() {
            waiter.told.notify_one();
        }
    }

    fn find(&self, limit: usize, times: Times, now: Instant) -> Found {
        if self.holders.len() < limit {
            return Found::Free;
        }
        let idle = || self.holders.iter().filter(|(_, h)| h.running == 0);
        let longest = idle().min_by_key(|(id, h)| (h.since, **id));
        let mut next = None;
        if let Some((id, holder)) = longest {
            // Among many who do nothing a newcomer waits for nobody.
            if holder.since + times.pause <= now || idle().count().saturating_mul(2) >= limit {
                return Found::Idle(*id);
            }
            next = Some(holder.since + times.pause);
        }
        let held = self.held();
        let had_turn = self
            .holders
            .iter()
            .filter(|(_, h)| h.active + times.turn <= now);
        let most = had_turn.max_by_key(|(id, h)| {
            let here = held.get(&h.from).copied().unwrap_or_default();
            (here, std::cmp::Reverse((h.active, **id)))
        });
        if let Some((id, _)) = most {
            return Found::HadTurn(*id);
        }
        let turns = self.holders.values().map(|h| h.active + times.turn);
        Found::Nothing(turns.chain(next).min())
    }
}

/// The places of one service. Clones share them.
#[derive(Debug, Clone)]
pub struct Places {
    limit: usize,
    times: Times,
    count: Count,
    state: Arc<Mutex<State>>,
}

impl Places {
    /// All are free. `count` counts those that are taken, with those of others that share it.
    #[must_use]
    pub fn new(limit: usize, count: Count) -> Self {
        Self {
            limit,
            times: Times::default(),
            count,
            state: Arc::default(),
        }
    }

    /// With other times than the usual ones.
    #[must_use]
    pub fn with_times(self, times: Times) -> Self {
        Self { times, ..self }
    }

    /// What counts them.
    #[must_use]
    pub fn count(&self) -> &Count {
        &self.count
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self, from: IpAddr) -> Waiting<'_> {
        let told = Arc::new(Notify::new());
        let waiter = Waiter {
            from: origin(from),
            told: Arc::clone(&told),
        };
        let mut state = self.state();
        let id = state.number();
        state.waiters.insert(id, waiter);
        Waiting {
            places: self,
            id,
            told,
        }
    }

    /// A place for a newcomer that does not wait.
    #[must_use]
    pub fn take(&self, from: IpAddr) -> Option<Place> {
        let got = self.queue(from).attempt().ok();
        if got.is_none() {
            self.count.0.turned_away.fetch_add(1, Ordering::Relaxed);
        }
        got
    }

    /// A place for a newcomer, which waits for it for at most `patience`: until one is free, idle, or
    /// had its turn.
    pub async fn wait(&self, from: IpAddr, patience: Duration) -> Option<Place> {
        let waiting = self.queue(from);
        let got = async {
            loop {
                match waiting.attempt() {
                    Ok(place) => return place,
                    Err(None) => waiting.told.notified().await,
                    Err(Some(until)) => {
                        tokio::select! {
                            () = tokio::time::sleep_until(until) => {}
                            () = waiting.told.notified() => {}
                        }
                    }
                }
            }
        };
        let got = tokio::time::timeout(patience, got).await.ok();
        if got.is_none() {
            self.count.0.turned_away.fetch_add(1, Ordering::Relaxed);
        }
        got
    }

    /// How many are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.state().holders.len()
    }
}

/// A newcomer in the queue. Dropping it leaves the queue.
struct Waiting<'a> {
    places: &'a Places,
    id: u64,
    told: Arc<Notify>,
}

impl Waiting<'_> {
    /// A place; an error says when to look again, or that others are first.
    fn attempt(&self) -> Result<Place, Option<Instant>> {
        let places = self.places;
        let now = Instant::now();
        let mut state = places.state();
        let Some((_, waiter)) = state.first().filter(|(id, _)| *id == self.id) else {
            return Err(None);
        };
        let from = waiter.from;
        let (gone, has_had_turn) = match state.find(places.limit, places.times, now) {
            Found::Nothing(until) => return Err(until),
            Found::Free => (None, false),
            Found::Idle(id) => (state.holders.remove(&id), false),
            Found::HadTurn(id) => (state.holders.remove(&id), true),
        };
        if let Some(holder) = gone {
            let counted = &places.count.0;
            let why = if has_had_turn {
                &counted.relieved
            } else {
                &counted.evicted
            };
            why.fetch_add(1, Ordering::Relaxed);
            places.count.closed();
            let told = &holder.told;
            told.has_had_turn.store(has_had_turn, Ordering::Relaxed);
            told.again.notify_one();
        }
        state.waiters.remove(&self.id);
        let told = Arc::new(Told::default());
        let holder = Holder {
            from,
            running: 0,
            since: now,
            active: now,
            told: Arc::clone(&told),
        };
        let id = state.number();
        state.holders.insert(id, holder);
        places.count.opened();
        Ok(Place {
            places: places.clone(),
            id,
            told,
        })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.places.state();
        state.waiters.remove(&self.id);
        state.wake();
    }
}

/// Why a connection has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// It was idle for too long, or another one got its place while it was: at once.
    Idle,
    /// It had its turn, and another one got its place: what it has begun is still answered.
    HadTurn,
}

/// The place of one connection. Dropping it gives it back.
#[derive(Debug)]
pub struct Place {
    places: Places,
    id: u64,
    told: Arc<Told>,
}

impl Place {
    fn change(&self, change: impl FnOnce(&mut Holder, Instant)) {
        let now = Instant::now();
        let mut state = self.places.state();
        if let Some(holder) = state.holders.get_mut(&self.id) {
            if holder.running == 0 && holder.since + self.places.times.pause <= now {
                holder.active = now;
            }
            change(holder, now);
            if holder.running == 0 {
                state.wake();
            }
        }
    }

    /// A request came in, though not whole: it has its time from now on.
    pub fn touch(&self) {
        self.change(|holder, now| holder.since = now);
    }

    /// A call went to the node.
    pub fn busy(&self) {
        self.change(|holder, _| holder.running = holder.running.saturating_add(1));
    }

    /// A call was answered, or nobody waits for its answer any more.
    pub fn rest(&self) {
        self.change(|holder, now| {
            holder.running = holder.running.saturating_sub(1);
            holder.since = now;
        });
        self.told.again.notify_one();
    }

    /// Waits until the connection has to end: another one got its place, or it has been idle for
    /// `patience`.
    pub async fn over(&self, patience: Duration) -> Over {
        loop {
            let until = match self.places.state().holders.get(&self.id) {
                None if self.told.has_had_turn.load(Ordering::Relaxed) => return Over::HadTurn,
                None => return Over::Idle,
                Some(holder) if holder.running > 0 => None,
                Some(holder) => Some(holder.since + patience),
            };
            match until {
                None => self.told.again.notified().await,
                Some(until) if until <= Instant::now() => return Over::Idle,
                Some(until) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(until) => {}
                        () = self.told.again.notified() => {}
                    }
                }
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.places.state();
        if state.holders.remove(&self.id).is_some() {
            self.places.count.closed();
            state.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);
    const SHORT: Times = Times {
        turn: Duration::from_millis(40),
        pause: Duration::from_millis(10),
    };
    const ONE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.unwrap().block_on(test);
    }

    /// Whether a connection is over by now.
    async fn ended(place: &Place) -> Option<Over> {
        let over = tokio::time::timeout(Duration::from_millis(1), place.over(LONG));
        over.await.ok()
    }

    #[test]
    fn at_the_limit_the_longest_idle_gives_up_its_place() {
        let count = Count::default();
        let places = Places::new(2, count.clone());
        let first = places.take(ONE).unwrap();
        let second = places.take(ONE).unwrap();
        first.busy();
        first.rest();
        let third = places.take(ONE).unwrap();
        assert_eq!((places.taken(), count.get()), (2, 2));
        run(async {
            assert_eq!(second.over(LONG).await, Over::Idle);
            assert_eq!(ended(&first).await, None, "it was idle for a shorter time");
        });
        drop((second, third));
        assert_eq!((places.taken(), count.get()), (1, 1));
        drop(first);
        assert_eq!((places.taken(), count.get()), (0, 0));
        assert_eq!((count.accepted(), count.evicted()), (3, 1));
        assert_eq!((count.turned_away(), count.relieved()), (0, 0));
    }

    #[test]
    fn where_all_are_busy_and_in_their_turn_the_newcomer_gets_none() {
        let count = Count::default();
        let places = Places::new(1, count.clone());
        let first = places.take(ONE).unwrap();
        first.busy();
        first.busy();
        first.rest();
        assert!(places.take(ONE).is_none());
        assert_eq!((count.turned_away(), count.evicted()), (1, 0));
        first.rest();
        assert!(places.take(ONE).is_some());
    }

    #[test]
    fn who_waits_gets_the_place_of_who_had_its_turn_and_before_that_of_who_becomes_idle() {
        run(async {
            let count = Count::default();
            let places = Places::new(1, count.clone()).with_times(SHORT);
            let first = places.take(ONE).unwrap();
            first.busy();
            let began = Instant::now();
            let second = places.wait(ONE, LONG).await.unwrap();
            assert!(began.elapsed() >= SHORT.turn / 2);
            assert_eq!(first.over(LONG).await, Over::HadTurn);
            assert_eq!((count.relieved(), count.evicted(), count.get()), (1, 0, 1));
            second.busy();
            let (third, ()) = tokio::join!(places.wait(ONE, LONG), async { second.rest() });
            assert!(third.is_some());
            assert_eq!(second.over(LONG).await, Over::Idle);
            assert_eq!((count.relieved(), count.evicted()), (1, 1));
        });
    }

    #[test]
    fn calling_one_by_one_without_a_pause_is_no_way_to_keep_a_place() {
        run(async {
            let places = Places::new(3, Count::default()).with_times(Times {
                pause: LONG,
                ..SHORT
            });
            let holders: Vec<Place> = (0..3).filter_map(|_| places.take(ONE)).collect();
            holders[0].busy();
            holders[1].busy();
            // The third is between two calls, and the only one.
            holders[2].busy();
            holders[2].rest();
            assert!(places.take(ONE).is_none());
            tokio::time::sleep(SHORT.turn).await;
            assert!(places.take(ONE).is_some());
            assert_eq!(ended(&holders[0]).await, Some(Over::HadTurn));
        });
    }

    #[test]
    fn a_turn_begins_with_the_first_call_after_a_pause() {
        run(async {
            let places = Places::new(1, Count::default()).with_times(SHORT);
            let place = places.take(ONE).unwrap();
            tokio::time::sleep(SHORT.turn + SHORT.pause).await;
            place.busy();
            assert!(places.take(ONE).is_none());
            assert_eq!(ended(&place).await, None);
        });
    }

    #[test]
    fn of_those_who_had_their_turn_one_of_the_address_with_most_goes() {
        run(async {
            let places = Places::new(3, Count::default()).with_times(SHORT);
            let mut holders = Vec::new();
            for from in [OTHER, ONE, ONE] {
                let place = places.take(from).unwrap();
                place.busy();
                holders.push(place);
            }
            tokio::time::sleep(SHORT.turn).await;
            assert!(places.take(OTHER).is_some());
            assert_eq!(ended(&holders[0]).await, None);
            assert_eq!(ended(&holders[1]).await, Some(Over::HadTurn));
            assert_eq!(ended(&holders[2]).await, None);
        });
    }

    #[test]
    fn of_those_who_wait_the_address_with_the_fewest_places_is_first() {
        run(async {
            let places = Places::new(1, Count::default());
            let place = places.take(ONE).unwrap();
            place.busy();
            let wait = |from| places.wait(from, Duration::from_millis(50));
            let (one, other, ()) = tokio::join!(wait(ONE), wait(OTHER), async {
                tokio::task::yield_now().await;
                // While it waits none of its address has a place.
                places
                    .state()
                    .holders
                    .values_mut()
                    .for_each(|h| h.running = 0);
                place.touch();
            });
            assert!(other.is_some());
            drop((one, other, place));
            assert_eq!((places.taken(), places.state().waiters.len()), (0, 0));
        });
    }

    #[test]
    fn who_goes_leaves_its_place_to_who_waits_and_waiting_has_an_end() {
        run(async {
            let count = Count::default();
            let places = Places::new(1, count.clone());
            let place = places.take(ONE).unwrap();
            place.busy();
            assert!(places.wait(ONE, SHORT.pause).await.is_none());
            assert_eq!(count.turned_away(), 1);
            let (next, ()) = tokio::join!(places.wait(ONE, LONG), async { drop(place) });
            assert!(next.is_some());
            assert_eq!((count.relieved(), count.evicted(), count.get()), (0, 0, 1));
        });
    }

    #[test]
    fn who_is_idle_for_too_long_is_over_and_who_is_busy_is_not() {
        let places = Places::new(1, Count::default());
        let place = places.take(ONE).unwrap();
        run(async {
            assert_eq!(place.over(Duration::from_millis(5)).await, Over::Idle);
            place.busy();
            let over = place.over(Duration::from_millis(5));
            let over = tokio::time::timeout(Duration::from_millis(30), over);
            assert!(over.await.is_err());
            place.rest();
            assert_eq!(place.over(Duration::from_millis(5)).await, Over::Idle);
        });
    }

    #[test]
    fn services_share_a_count_but_not_their_places() {
        let count = Count::default();
        let one = Places::new(1, count.clone());
        let other = Places::new(1, count.clone());
        let from = IpAddr::V6(Ipv6Addr::LOCALHOST);
        let taken = (one.take(from), other.take(from));
        assert_eq!((count.get(), one.taken(), other.taken()), (2, 1, 1));
        drop(taken);
        assert_eq!(count.get(), 0);
    }
}
