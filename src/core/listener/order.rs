//! Replies leave a connection in the order of its requests, whoever is done first
//! (`proto/peer.md`, section 1.2): a wait for a flush holds up its own connection and nobody else.
//!
//! Bounds: [`PER_CONNECTION`] requests of one connection and [`IN_ALL`] of all wait for an answer;
//! what is beyond is not answered, as if it had been lost on the way. A connection that waits for
//! nothing has always room for one. Answers that wait for an
//! earlier one hold [`HELD_BYTES`] at most: the connection that would hold more is forgotten with
//! all it asked. A connection without an open request takes no room.

use std::collections::{BTreeMap, VecDeque};

use super::Envelope;

/// Open requests of one connection. A client of the reference has one.
pub const PER_CONNECTION: usize = 1024;
/// Open requests of all connections.
pub const IN_ALL: usize = 32_768;
/// Bytes of all answers that are there and must wait for an earlier one.
pub const HELD_BYTES: usize = 64 << 20;

/// A connection: the socket and the routing id there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Connection {
    /// Which socket.
    pub socket: usize,
    /// The routing id.
    pub id: Vec<u8>,
}

impl Connection {
    /// A reply as it leaves: the socket, then routing id, envelope and body.
    #[must_use]
    pub fn reply(self, envelope: Envelope, body: Vec<Vec<u8>>) -> (usize, Vec<Vec<u8>>) {
        let mut frames = envelope.around(body);
        frames.insert(0, self.id);
        (self.socket, frames)
    }
}

/// Names an open request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

#[derive(Debug)]
struct Open {
    ticket: Ticket,
    envelope: Envelope,
    reply: Option<Vec<Vec<u8>>>,
}

/// The open requests.
#[derive(Debug, Default)]
pub struct ReplyOrder {
    connections: BTreeMap<Connection, VecDeque<Open>>,
    tickets: BTreeMap<Ticket, Connection>,
    next: u64,
    refused: u64,
    held: usize,
}

/// The bytes that an answer takes while it waits.
fn size(reply: &[Vec<u8>]) -> usize {
    reply.iter().map(Vec::len).sum()
}

impl ReplyOrder {
    /// Nothing is open.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A request came in. Nothing when there are too many already.
    pub fn open(&mut self, connection: Connection, envelope: Envelope) -> Option<Ticket> {
        let waiting = self.connections.get(&connection).map_or(0, VecDeque::len);
        if waiting >= PER_CONNECTION || (waiting > 0 && self.tickets.len() >= IN_ALL) {
            self.refused += 1;
            return None;
        }
        let ticket = Ticket(self.next);
        self.next += 1;
        self.tickets.insert(ticket, connection.clone());
        self.connections
            .entry(connection)
            .or_default()
            .push_back(Open {
                ticket,
                envelope,
                reply: None,
            });
        Some(ticket)
    }

    /// Whether a request of this connection is open. Where none is, an answer that is known at once
    /// need not be opened here: it may leave as it is.
    #[must_use]
    pub fn is_waiting(&self, connection: &Connection) -> bool {
        self.connections.contains_key(connection)
    }

    /// The connection of an open request.
    #[must_use]
    pub fn connection(&self, ticket: Ticket) -> Option<&Connection> {
        self.tickets.get(&ticket)
    }

    /// A request was answered; gives all messages that may leave now: socket, then routing id and
    /// frames. A ticket that is not open gives nothing.
    pub fn answer(&mut self, ticket: Ticket, reply: Vec<Vec<u8>>) -> Vec<(usize, Vec<Vec<u8>>)> {
        let Some(connection) = self.tickets.remove(&ticket) else {
            return Vec::new();
        };
        let Some(queue) = self.connections.get_mut(&connection) else {
            return Vec::new();
        };
        if let Some(open) = queue.iter_mut().find(|open| open.ticket == ticket) {
            self.held = self.held.saturating_add(size(&reply));
            open.reply = Some(reply);
        }
        let mut leaving = Vec::new();
        while queue.front().is_some_and(|open| open.reply.is_some()) {
            if let Some(Open {
                envelope,
                reply: Some(reply),
                ..
            }) = queue.pop_front()
            {
                self.held = self.held.saturating_sub(size(&reply));
                leaving.push(connection.clone().reply(envelope, reply));
            }
        }
        if queue.is_empty() {
            self.connections.remove(&connection);
        } else if self.held > HELD_BYTES {
            let lost = self.gone(&connection);
            self.refused = self.refused.saturating_add(lost);
        }
        leaving
    }

    /// Forgets a connection: what it asked is answered no more. Gives the number of its requests
    /// that were open; their tickets are open no longer.
    pub fn gone(&mut self, connection: &Connection) -> u64 {
        let queue = self.connections.remove(connection).unwrap_or_default();
        for open in &queue {
            self.tickets.remove(&open.ticket);
            let held = open.reply.as_deref().map_or(0, size);
            self.held = self.held.saturating_sub(held);
        }
        queue.len() as u64
    }

    /// Requests that wait for an answer.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tickets.len()
    }

    /// Whether none does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tickets.is_empty()
    }

    /// Bytes of answers that wait for an earlier one.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.held
    }

    /// Requests that found no room.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn connection(id: u8) -> Connection {
        Connection {
            socket: 0,
            id: vec![id],
        }
    }

    fn envelope() -> Envelope {
        Envelope::split(vec![Vec::new(), vec![1]]).unwrap().0
    }

    #[test]
    fn a_late_answer_holds_up_its_own_connection_alone() {
        let mut order = ReplyOrder::new();
        let slow = order.open(connection(1), envelope()).unwrap();
        let behind = order.open(connection(1), envelope()).unwrap();
        let other = order.open(connection(2), envelope()).unwrap();
        assert!(order.answer(behind, vec![b"b".to_vec()]).is_empty());
        assert_eq!(order.answer(other, vec![b"o".to_vec()]).len(), 1);
        let leaving = order.answer(slow, vec![b"a".to_vec()]);
        let last: Vec<_> = leaving
            .iter()
            .map(|(_, f)| f.last().unwrap().clone())
            .collect();
        assert_eq!(last, [b"a".to_vec(), b"b".to_vec()]);
        assert!(order.is_empty());
        assert!(order.answer(slow, Vec::new()).is_empty());
    }

    #[test]
    fn one_connection_cannot_take_all_the_room() {
        let mut order = ReplyOrder::new();
        for _ in 0..PER_CONNECTION {
            assert!(order.open(connection(1), envelope()).is_some());
        }
        assert!(order.open(connection(1), envelope()).is_none());
        assert!(order.open(connection(2), envelope()).is_some());
        assert_eq!(order.refused(), 1);
    }

    #[test]
    fn all_connections_together_have_a_limit_too() {
        let mut order = ReplyOrder::new();
        for id in 0..32 {
            for _ in 0..PER_CONNECTION {
                assert!(order.open(connection(id), envelope()).is_some());
            }
        }
        assert_eq!(order.len(), IN_ALL);
        // Who waits for nothing is not shut out by those who do.
        assert!(order.open(connection(99), envelope()).is_some());
        assert!(order.open(connection(99), envelope()).is_none());
    }

    #[test]
    fn a_connection_that_has_gone_takes_its_requests_with_it() {
        let mut order = ReplyOrder::new();
        let first = order.open(connection(1), envelope()).unwrap();
        let second = order.open(connection(1), envelope()).unwrap();
        let other = order.open(connection(2), envelope()).unwrap();
        assert!(order.answer(second, vec![vec![0; 9]]).is_empty());
        assert_eq!(order.held(), 9);
        assert_eq!(order.gone(&connection(1)), 2);
        assert_eq!((order.len(), order.held()), (1, 0));
        assert!(order.answer(first, vec![vec![1]]).is_empty());
        assert_eq!(order.answer(other, vec![vec![2]]).len(), 1);
        assert_eq!(order.gone(&connection(1)), 0);
    }

    #[test]
    fn who_makes_the_node_hold_too_many_bytes_is_forgotten_alone() {
        let mut order = ReplyOrder::new();
        let quiet = order.open(connection(2), envelope()).unwrap();
        let slow = order.open(connection(1), envelope()).unwrap();
        let megabytes = 4 << 20;
        let fit = HELD_BYTES / megabytes;
        let behind: Vec<Ticket> = (0..=fit)
            .map(|_| order.open(connection(1), envelope()).unwrap())
            .collect();
        for ticket in behind {
            assert!(order.answer(ticket, vec![vec![0; megabytes]]).is_empty());
            assert!(order.held() <= HELD_BYTES);
        }
        assert_eq!((order.len(), order.held()), (1, 0));
        assert_eq!(order.refused(), fit as u64 + 2);
        assert!(order.answer(slow, Vec::new()).is_empty());
        assert_eq!(order.answer(quiet, vec![vec![1]]).len(), 1);
    }

    proptest! {
        #[test]
        fn every_answer_leaves_once_and_in_order(
            requests in proptest::collection::vec(0_u8..4, 1..60),
            seed in any::<u64>(),
        ) {
            let mut order = ReplyOrder::new();
            let mut open: Vec<(u8, Ticket)> = requests
                .iter()
                .filter_map(|id| Some((*id, order.open(connection(*id), envelope())?)))
                .collect();
            let expected = open.clone();
            let mut left: Vec<(u8, u64)> = Vec::new();
            let mut state = seed;
            while !open.is_empty() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let index = usize::try_from(state >> 33).unwrap() % open.len();
                let (id, ticket) = open.swap_remove(index);
                for (_, frames) in order.answer(ticket, vec![ticket.0.to_be_bytes().to_vec()]) {
                    prop_assert_eq!(frames[0][0], connection(frames[0][0]).id[0]);
                    let number = u64::from_be_bytes(frames[2].as_slice().try_into().unwrap());
                    left.push((frames[0][0], number));
                }
                let _ = id;
            }
            for id in 0..4 {
                let got: Vec<u64> = left.iter().filter(|(i, _)| *i == id).map(|(_, n)| *n).collect();
                let due: Vec<u64> = expected.iter().filter(|(i, _)| *i == id).map(|(_, t)| t.0).collect();
                prop_assert_eq!(got, due);
            }
            prop_assert!(order.is_empty());
            prop_assert_eq!(order.held(), 0);
        }
    }
}
