//! Who is served next, of those whose requests take time: every client has its own queue, and the
//! queues take turns, so that one that asks much waits behind itself and nobody else.
//!
//! Bounds: [`AT_WORK`] requests of a lane are with those who do the work; of what waits, one client
//! holds [`OF_CLIENT`] bytes, beside one request of any size, and all hold [`IN_ALL`]. When there
//! is no room the client that holds most gives way.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Ticket;

/// Requests of a lane that are worked on at a time.
pub const AT_WORK: usize = 64;
/// Bytes of one client that wait in a lane.
pub const OF_CLIENT: usize = 8 << 20;
/// Bytes that wait in a lane.
pub const IN_ALL: usize = 64 << 20;

#[derive(Debug)]
struct Waiting<T> {
    ticket: Ticket,
    item: T,
    bytes: usize,
}

#[derive(Debug)]
struct Client<T> {
    waiting: VecDeque<Waiting<T>>,
    bytes: usize,
}

/// Requests that wait for one kind of work.
#[derive(Debug)]
pub struct Lane<T> {
    clients: BTreeMap<u64, Client<T>>,
    turns: VecDeque<u64>,
    bytes: usize,
    at_work: BTreeSet<Ticket>,
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self {
            clients: BTreeMap::new(),
            turns: VecDeque::new(),
            bytes: 0,
            at_work: BTreeSet::new(),
        }
    }
}

impl<T> Lane<T> {
    /// A request of a client. Gives the ones that found no room: it, or others that gave way.
    #[must_use]
    pub fn push(&mut self, client: u64, ticket: Ticket, item: T, bytes: usize) -> Vec<Ticket> {
        let queue = self.clients.entry(client).or_insert_with(|| {
            self.turns.push_back(client);
            Client {
                waiting: VecDeque::new(),
                bytes: 0,
            }
        });
        if !queue.waiting.is_empty() && queue.bytes.saturating_add(bytes) > OF_CLIENT {
            return vec![ticket];
        }
        queue.bytes = queue.bytes.saturating_add(bytes);
        self.bytes = self.bytes.saturating_add(bytes);
        queue.waiting.push_back(Waiting {
            ticket,
            item,
            bytes,
        });
        let mut lost = Vec::new();
        while self.bytes > IN_ALL {
            let Some(ticket) = self.give_way() else {
                break;
            };
            lost.push(ticket);
        }
        lost
    }

    /// The newest request of the client that holds most.
    fn give_way(&mut self) -> Option<Ticket> {
        let (client, queue) = self.clients.iter_mut().max_by_key(|(_, q)| q.bytes)?;
        let client = *client;
        let last = queue.waiting.pop_back()?;
        queue.bytes -= last.bytes;
        self.bytes -= last.bytes;
        if queue.waiting.is_empty() {
            self.clients.remove(&client);
            self.turns.retain(|other| *other != client);
        }
        Some(last.ticket)
    }

    /// The next request to work on, if one may be; it is at work until [`Lane::done`].
    pub fn pop(&mut self) -> Option<(Ticket, T)> {
        if self.at_work.len() >= AT_WORK {
            return None;
        }
        let client = self.turns.pop_front()?;
        let queue = self.clients.get_mut(&client)?;
        let next = queue.waiting.pop_front()?;
        queue.bytes -= next.bytes;
        self.bytes -= next.bytes;
        if queue.waiting.is_empty() {
            self.clients.remove(&client);
        } else {
            self.turns.push_back(client);
        }
        self.at_work.insert(next.ticket);
        Some((next.ticket, next.item))
    }

    /// A request was answered, or will not be. One that is not at work changes nothing.
    pub fn done(&mut self, ticket: Ticket) {
        self.at_work.remove(&ticket);
    }

    /// Bytes that wait.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn clients_take_turns() {
        let mut lane = Lane::default();
        for n in 0..3 {
            assert!(lane.push(1, Ticket(n), 'a', 1).is_empty());
        }
        assert!(lane.push(2, Ticket(9), 'b', 1).is_empty());
        let order: Vec<u64> = std::iter::from_fn(|| lane.pop().map(|(t, _)| t.0)).collect();
        assert_eq!(order, [0, 9, 1, 2]);
    }

    #[test]
    fn so_many_are_at_work_and_no_more() {
        let mut lane = Lane::default();
        for n in 0..100 {
            assert!(lane.push(1, Ticket(n), (), 1).is_empty());
        }
        let taken = std::iter::from_fn(|| lane.pop()).count();
        assert_eq!(taken, AT_WORK);
        lane.done(Ticket(5));
        assert_eq!(lane.pop().map(|(t, ())| t.0), Some(AT_WORK as u64));
        assert!(lane.pop().is_none());
    }

    #[test]
    fn who_holds_most_gives_way() {
        let mut lane = Lane::default();
        let mut ticket = 0;
        let mut lost = Vec::new();
        // One has a whole client's room, the others a little less.
        for client in 0..9 {
            for _ in 0..8 {
                ticket += 1;
                let bytes = (1 << 20) - usize::from(client > 0);
                lost.extend(lane.push(client, Ticket(ticket), (), bytes));
            }
        }
        assert!(lane.bytes() <= IN_ALL);
        assert_eq!(lost.first(), Some(&Ticket(8)), "the newest of the largest");
        // Its own room is full for a client before that of all is.
        let mut lane = Lane::default();
        for n in 0..8 {
            assert!(lane.push(1, Ticket(n), (), 1 << 20).is_empty());
        }
        assert_eq!(lane.push(1, Ticket(8), (), 1), [Ticket(8)]);
        // One request of any size always has room.
        assert!(lane.push(2, Ticket(9), (), 2 * OF_CLIENT).is_empty());
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out_or_is_told(requests in proptest::collection::vec((0_u64..4, 0_usize..9_000_000), 0..60)) {
            let mut lane = Lane::default();
            let mut lost = 0;
            for (n, (client, bytes)) in requests.iter().enumerate() {
                lost += lane.push(*client, Ticket(n as u64), (), *bytes).len();
                prop_assert!(lane.bytes() <= IN_ALL);
            }
            let mut taken = 0;
            while let Some((ticket, ())) = lane.pop() {
                lane.done(ticket);
                taken += 1;
            }
            prop_assert_eq!(taken + lost, requests.len());
            prop_assert_eq!(lane.bytes(), 0);
            prop_assert!(lane.is_empty() && lane.turns.is_empty());
        }
    }
}
