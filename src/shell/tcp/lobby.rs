//! Who is in its handshake, or waits for a place after it. It never looks at what is sent.
//!
//! Bounds: as many as the limit. For one more, one of the address with most of them has to go: the
//! oldest that has said nothing for a second, else the oldest. So a flood from one address hurts
//! no other one, and there it hurts who is slower than the flood is wide: at 512 and 300 newcomers a
//! second each has 1.7 s. How long each has is the business of who lets them in.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Count, origin};

/// Who has said nothing for so long goes before those who have.
const SILENCE: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Entry {
    from: IpAddr,
    since: Instant,
    has_spoken: bool,
    told: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    entries: BTreeMap<u64, Entry>,
}

impl State {
    /// Who has to go when one more comes from this address.
    fn last(&self, from: IpAddr, now: Instant) -> Option<u64> {
        let mut counts: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for entry in self.entries.values() {
            *counts.entry(entry.from).or_default() += 1;
        }
        counts.entry(from).and_modify(|count| *count += 1);
        let (most, _) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        // Numbers are given in order, so the first is the oldest.
        let there = || self.entries.iter().filter(|(_, entry)| entry.from == most);
        let is_silent = |entry: &Entry| !entry.has_spoken && entry.since + SILENCE <= now;
        let silent = there().find(|(_, entry)| is_silent(entry));
        silent.or_else(|| there().next()).map(|(id, _)| *id)
    }
}

/// Those of one service. Clones share it.
#[derive(Debug, Clone)]
pub struct Lobby {
    limit: usize,
    count: Count,
    state: Arc<Mutex<State>>,
}

impl Lobby {
    /// Nobody is there. `count` counts those that have to go.
    #[must_use]
    pub fn new(limit: usize, count: Count) -> Self {
        Self {
            limit: limit.max(1),
            count,
            state: Arc::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets one in; another one may have to go.
    #[must_use]
    pub fn enter(&self, from: IpAddr) -> Guest {
        let (from, since) = (origin(from), Instant::now());
        let told = Arc::new(Notify::new());
        let mut state = self.state();
        if state.entries.len() >= self.limit
            && let Some(last) = state.last(from, since)
            && let Some(entry) = state.entries.remove(&last)
        {
            entry.told.notify_one();
            self.count.dismiss();
        }
        let id = state.next;
        state.next = id.wrapping_add(1);
        let entry = Entry {
            from,
            since,
            has_spoken: false,
            told: Arc::clone(&told),
        };
        state.entries.insert(id, entry);
        drop(state);
        Guest {
            lobby: self.clone(),
            id,
            told,
        }
    }
}

/// One that is in. Dropping it leaves.
#[derive(Debug)]
pub struct Guest {
    lobby: Lobby,
    id: u64,
    told: Arc<Notify>,
}

impl Guest {
    /// It has begun its handshake.
    pub fn speaks(&self) {
        if let Some(entry) = self.lobby.state().entries.get_mut(&self.id) {
            entry.has_spoken = true;
        }
    }

    /// Waits until it has to go.
    pub async fn dismissed(&self) {
        self.told.notified().await;
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.lobby.state().entries.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn is_in(guest: &Guest) -> bool {
        guest.lobby.state().entries.contains_key(&guest.id)
    }

    fn age(guest: &Guest) {
        if let Some(entry) = guest.lobby.state().entries.get_mut(&guest.id) {
            entry.since -= SILENCE;
        }
    }

    #[test]
    fn for_one_more_the_oldest_of_the_address_with_most_has_to_go() {
        let count = Count::default();
        let lobby = Lobby::new(3, count.clone());
        let honest = lobby.enter(address("192.0.2.1"));
        // The addresses of one network count as one.
        let first = lobby.enter(address("2001:db8::1"));
        let second = lobby.enter(address("2001:db8::2"));
        let third = lobby.enter(address("2001:db8::3"));
        assert!(is_in(&honest) && !is_in(&first) && is_in(&second));
        let other = lobby.enter(address("198.51.100.1"));
        assert!(is_in(&honest) && !is_in(&second) && is_in(&third) && is_in(&other));
        assert_eq!(count.dismissed(), 2);
        drop((honest, first, second, third, other));
        assert!(lobby.state().entries.is_empty());
    }

    #[test]
    fn who_was_silent_for_long_goes_before_who_spoke_and_who_just_came_does_not() {
        let lobby = Lobby::new(3, Count::default());
        let from = address("127.0.0.1");
        let speaking = lobby.enter(from);
        speaking.speaks();
        age(&speaking);
        let silent = lobby.enter(from);
        age(&silent);
        let fresh = lobby.enter(from);
        let next = lobby.enter(from);
        assert!(is_in(&speaking) && !is_in(&silent) && is_in(&fresh));
        let last = lobby.enter(from);
        assert!(
            !is_in(&speaking),
            "the oldest, and nobody was silent for long"
        );
        assert!(is_in(&fresh) && is_in(&next) && is_in(&last));
    }
}
