//! The sockets of the miner: for each node a subscription to its work and a request socket for
//! what is found, and when either is opened anew. Pure; the orders are carried out by
//! [`crate::shell::zmq::outward`].
//!
//! | Socket | What | Then |
//! |---|---|---|
//! | work | nothing came for [`SILENCE_MS`] | closed, subscribed again |
//! | submit | no reply within [`REPLY_WAIT_MS`] | closed, dialled again |
//! | either | could not be opened, or broke | the same after [`RETRY_MS`] |

use std::net::SocketAddr;

use crate::core::keys::PeerPublicKey;
use crate::core::mining::search::REPLY_WAIT_MS;
use crate::core::time::Millis;
use crate::shell::zmq::outward::{Id, Order};

/// A publisher that said nothing for so long is subscribed to again: the connection may be dead
/// without either end knowing. A reference node with work says something every 70 s.
pub const SILENCE_MS: Millis = 150_000;
/// A socket that failed is opened again after so long.
pub const RETRY_MS: Millis = 5_000;

/// A node worked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its key of the proof identity.
    pub key: PeerPublicKey,
    /// Where it publishes work.
    pub blocks: SocketAddr,
    /// Where it takes results.
    pub submit: SocketAddr,
}

/// What a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Work comes from it.
    Work,
    /// Nonces go to it.
    Submit,
}

/// A socket that was opened anew, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renewed {
    /// Of which node.
    pub node: usize,
    /// What for.
    pub used: Use,
    /// Whether it had failed; otherwise nothing came in time.
    pub had_failed: bool,
}

#[derive(Debug)]
struct Link {
    node: usize,
    used: Use,
    id: Id,
    /// When it is opened anew unless something comes.
    renew_at: Option<Millis>,
    has_failed: bool,
}

/// The sockets of all nodes.
#[derive(Debug)]
pub struct Links {
    places: Vec<Place>,
    links: Vec<Link>,
    next_id: Id,
}

impl Links {
    /// All sockets, and the orders that open them.
    #[must_use]
    pub fn open(now: Millis, places: Vec<Place>) -> (Self, Vec<Order>) {
        let mut all = Self {
            places,
            links: Vec::new(),
            next_id: 1,
        };
        let mut orders = Vec::new();
        for (node, place) in all.places.iter().enumerate() {
            for used in [Use::Work, Use::Submit] {
                let mut link = Link {
                    node,
                    used,
                    id: 0,
                    renew_at: None,
                    has_failed: false,
                };
                orders.push(link.opened(now, place, &mut all.next_id));
                all.links.push(link);
            }
        }
        (all, orders)
    }

    /// Node and use of a socket; none for one that is closed.
    #[must_use]
    pub fn whose(&self, id: Id) -> Option<(usize, Use)> {
        let link = self.links.iter().find(|link| link.id == id)?;
        Some((link.node, link.used))
    }

    /// Where a socket of a node leads.
    #[must_use]
    pub fn address(&self, node: usize, used: Use) -> Option<SocketAddr> {
        self.places.get(node).map(|place| place.address(used))
    }

    /// Something came in at a socket.
    pub fn on_received(&mut self, now: Millis, id: Id) {
        if let Some(link) = self.links.iter_mut().find(|link| link.id == id) {
            link.renew_at = match link.used {
                Use::Work => Some(now.saturating_add(SILENCE_MS)),
                Use::Submit => None,
            };
        }
    }

    /// A socket failed.
    pub fn on_failed(&mut self, now: Millis, id: Id) {
        if let Some(link) = self.links.iter_mut().find(|link| link.id == id) {
            link.renew_at = Some(now.saturating_add(RETRY_MS));
            link.has_failed = true;
        }
    }

    /// Hands something in at a node; one without a reply is forgotten for it.
    pub fn submit(&mut self, now: Millis, node: usize, text: String) -> Option<Order> {
        let is_asked = |link: &&mut Link| link.node == node && link.used == Use::Submit;
        let link = self.links.iter_mut().find(is_asked)?;
        if !link.has_failed {
            link.renew_at = Some(now.saturating_add(REPLY_WAIT_MS));
        }
        Some(Order::Request(link.id, vec![text.into_bytes()]))
    }

    /// When [`Links::on_time`] is wanted.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Millis> {
        self.links.iter().filter_map(|link| link.renew_at).min()
    }

    /// Opens anew what is due.
    pub fn on_time(&mut self, now: Millis) -> (Vec<Renewed>, Vec<Order>) {
        let (mut renewed, mut orders) = (Vec::new(), Vec::new());
        for link in &mut self.links {
            let Some(place) = self.places.get(link.node) else {
                continue;
            };
            if link.renew_at.is_some_and(|at| at <= now) {
                renewed.push(Renewed {
                    node: link.node,
                    used: link.used,
                    had_failed: link.has_failed,
                });
                orders.push(Order::Close(link.id));
                orders.push(link.opened(now, place, &mut self.next_id));
            }
        }
        (renewed, orders)
    }
}

impl Place {
    const fn address(&self, used: Use) -> SocketAddr {
        match used {
            Use::Work => self.blocks,
            Use::Submit => self.submit,
        }
    }
}

impl Link {
    /// Takes a new name; the order that opens it.
    fn opened(&mut self, now: Millis, place: &Place, next_id: &mut Id) -> Order {
        self.id = *next_id;
        *next_id += 1;
        self.has_failed = false;
        let address = place.address(self.used);
        match self.used {
            Use::Work => {
                self.renew_at = Some(now.saturating_add(SILENCE_MS));
                Order::Subscribe(self.id, place.key, address)
            }
            Use::Submit => {
                self.renew_at = None;
                Order::Dial(self.id, place.key, address)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(nodes: u16) -> Links {
        let place = |number| Place {
            key: PeerPublicKey([1; 32]),
            blocks: SocketAddr::from(([127, 0, 0, 1], 2 * number)),
            submit: SocketAddr::from(([127, 0, 0, 1], 2 * number + 1)),
        };
        let (links, orders) = Links::open(0, (0..nodes).map(place).collect());
        assert_eq!(orders.len(), 2 * usize::from(nodes));
        links
    }

    #[test]
    fn a_silent_publisher_is_subscribed_to_again() {
        let mut links = links(2);
        links.on_received(1_000, 1);
        assert_eq!(links.next_wakeup(), Some(SILENCE_MS));
        let (renewed, orders) = links.on_time(SILENCE_MS);
        assert_eq!(
            renewed,
            [Renewed {
                node: 1,
                used: Use::Work,
                had_failed: false
            }]
        );
        assert!(matches!(
            orders.as_slice(),
            [Order::Close(3), Order::Subscribe(5, _, address)] if address.port() == 2
        ));
        assert_eq!(
            (links.whose(3), links.whose(5)),
            (None, Some((1, Use::Work)))
        );
        assert_eq!(links.next_wakeup(), Some(SILENCE_MS + 1_000));
    }

    #[test]
    fn a_request_without_a_reply_costs_its_socket_and_no_other() {
        let mut links = links(1);
        let order = links.submit(10, 0, "x".to_owned());
        assert!(matches!(order, Some(Order::Request(2, _))));
        assert!(links.on_time(REPLY_WAIT_MS + 9).1.is_empty());
        let (_, orders) = links.on_time(REPLY_WAIT_MS + 10);
        assert!(matches!(
            orders.as_slice(),
            [Order::Close(2), Order::Dial(3, ..)]
        ));
        links.submit(REPLY_WAIT_MS + 11, 0, "y".to_owned());
        links.on_received(REPLY_WAIT_MS + 12, 3);
        assert_eq!(links.next_wakeup(), Some(SILENCE_MS));
        assert!(links.submit(0, 7, String::new()).is_none());
    }

    #[test]
    fn a_socket_that_failed_is_opened_again_soon() {
        let mut links = links(1);
        links.on_failed(0, 2);
        links.submit(1, 0, "x".to_owned());
        assert_eq!(links.next_wakeup(), Some(RETRY_MS));
        let (renewed, _) = links.on_time(RETRY_MS);
        assert!(renewed[0].had_failed);
        assert_eq!(links.next_wakeup(), Some(SILENCE_MS));
    }
}
