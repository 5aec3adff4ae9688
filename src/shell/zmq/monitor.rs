//! Socket monitors: what happens to the connections of a socket (`proto/peer.md`, section 1.4).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::{Context, SocketError};

const CONNECTED: u16 = 0x0001;
const ACCEPTED: u16 = 0x0020;
const DISCONNECTED: u16 = 0x0200;
const HANDSHAKE_FAILED_NO_DETAIL: u16 = 0x0800;
const HANDSHAKE_SUCCEEDED: u16 = 0x1000;
const HANDSHAKE_FAILED_PROTOCOL: u16 = 0x2000;
const HANDSHAKE_FAILED_AUTH: u16 = 0x4000;
const ALL: i32 = 0xffff;

/// What happened. Numbers that nobody knows are passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A connection of ours stands.
    Connected,
    /// A client connected; its handshake is still to come.
    Accepted,
    /// A connection ended.
    Disconnected,
    /// CURVE and ZAP agreed.
    HandshakeSucceeded,
    /// They did not.
    HandshakeFailed,
    /// Anything else.
    Other(u16),
}

impl Event {
    /// From the first frame of a monitor's message: two bytes of event, four of value.
    #[must_use]
    pub fn from_frame(frame: &[u8]) -> Option<Self> {
        let number = u16::from_le_bytes(*frame.first_chunk::<2>()?);
        Some(match number {
            CONNECTED => Self::Connected,
            ACCEPTED => Self::Accepted,
            DISCONNECTED => Self::Disconnected,
            HANDSHAKE_SUCCEEDED => Self::HandshakeSucceeded,
            HANDSHAKE_FAILED_NO_DETAIL | HANDSHAKE_FAILED_PROTOCOL | HANDSHAKE_FAILED_AUTH => {
                Self::HandshakeFailed
            }
            other => Self::Other(other),
        })
    }
}

#[derive(Debug, Default)]
struct Counted {
    open: AtomicI64,
    accepted: AtomicU64,
    failed: AtomicU64,
}

/// How many connections there are and were. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Count(Arc<Counted>);

impl Count {
    /// Clients accepted and not gone, handshake or not.
    #[must_use]
    pub fn get(&self) -> u64 {
        u64::try_from(self.0.open.load(Ordering::Relaxed)).unwrap_or_default()
    }

    /// Clients accepted so far, handshake or not.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.0.accepted.load(Ordering::Relaxed)
    }

    /// Handshakes that failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.0.failed.load(Ordering::Relaxed)
    }

    pub(super) fn note(&self, event: Event) {
        match event {
            Event::Accepted => {
                self.0.open.fetch_add(1, Ordering::Relaxed);
                self.0.accepted.fetch_add(1, Ordering::Relaxed);
            }
            Event::HandshakeFailed => {
                self.0.failed.fetch_add(1, Ordering::Relaxed);
            }
            Event::Disconnected => {
                let less = |count: i64| (count > 0).then_some(count - 1);
                let _ = self
                    .0
                    .open
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
            }
            _ => {}
        }
    }
}

/// The reading end of a monitor.
pub(crate) struct Monitor {
    socket: zmq::Socket,
}

impl Monitor {
    /// Watches a socket, under a name inside the context.
    pub(crate) fn of(
        context: &Context,
        socket: &zmq::Socket,
        name: &str,
    ) -> Result<Self, SocketError> {
        let endpoint = format!("inproc://{name}");
        let address = |e| SocketError::Address(endpoint.clone(), e);
        socket.monitor(&endpoint, ALL).map_err(address)?;
        let pair = context.socket(zmq::SocketType::PAIR)?;
        pair.connect(&endpoint).map_err(address)?;
        Ok(Self { socket: pair })
    }

    pub(crate) fn poll_item(&self) -> zmq::PollItem<'_> {
        self.socket.as_poll_item(zmq::POLLIN)
    }

    /// Readable when there are events, once [`Monitor::events`] has found none.
    pub(crate) fn fd(&self) -> Result<std::os::fd::RawFd, zmq::Error> {
        self.socket.get_fd()
    }

    /// The events that wait.
    pub(crate) fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Ok(Some(received)) = super::receive::message(&self.socket) {
            let event = received
                .frames
                .first()
                .map(|frame| Event::from_frame(frame));
            events.extend(event.flatten());
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_nobody_knows_is_no_end() {
        assert_eq!(
            Event::from_frame(&[0xff, 0xff, 0, 0]),
            Some(Event::Other(0xffff))
        );
        assert_eq!(Event::from_frame(&[0x20]), None);
    }

    #[test]
    fn the_count_never_goes_below_nothing() {
        let count = Count::default();
        count.note(Event::Disconnected);
        count.note(Event::Accepted);
        count.note(Event::HandshakeFailed);
        assert_eq!((count.get(), count.accepted(), count.failed()), (1, 1, 1));
    }
}
