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
const MONITOR_STOPPED: u16 = 0x0400;
/// All but that the watch ended: it is told to nobody.
const ALL: i32 = !MONITOR_STOPPED as i32;

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

/// A socket whose connections are watched.
///
/// The library tells of events through a pair of sockets, and whoever has one to tell waits until it is
/// taken: of what happens to a socket that is being closed nobody takes any more, and the thread that
/// closes sockets, or one that moves all their bytes, would wait for ever; no other socket would close then,
/// and those that connect again and again would go on with it. So the watch ends before the socket
/// closes.
pub(crate) struct Watched {
    socket: zmq::Socket,
    events: zmq::Socket,
    endpoint: String,
}

impl Watched {
    /// Watches a socket, under a name inside the context that no other has.
    pub(crate) fn new(
        context: &Context,
        socket: zmq::Socket,
        name: &str,
    ) -> Result<Self, SocketError> {
        let events = context.socket(zmq::SocketType::PAIR)?;
        let endpoint = format!("inproc://{name}");
        let address = |e| SocketError::Address(endpoint.clone(), e);
        socket.monitor(&endpoint, ALL).map_err(address)?;
        let connected = events.connect(&endpoint).map_err(address);
        // What failed here ends the watch, too.
        let watched = Self {
            socket,
            events,
            endpoint,
        };
        connected.map(|()| watched)
    }

    /// The socket.
    pub(crate) const fn socket(&self) -> &zmq::Socket {
        &self.socket
    }

    pub(crate) fn poll_item(&self) -> zmq::PollItem<'_> {
        self.events.as_poll_item(zmq::POLLIN)
    }

    /// Readable when there are events, once [`Watched::events`] has found none.
    pub(crate) fn fd(&self) -> Result<std::os::fd::RawFd, zmq::Error> {
        self.events.get_fd()
    }

    /// The events that wait.
    pub(crate) fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Ok(Some(received)) = super::receive::message(&self.events) {
            let event = received
                .frames
                .first()
                .map(|frame| Event::from_frame(frame));
            events.extend(event.flatten());
        }
        events
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // A watch for nothing replaces the one that there is, while its events are still taken.
        let nothing = format!("{}-ended", self.endpoint);
        if let Err(e) = self.socket.monitor(&nothing, 0) {
            log::debug!("{nothing}: {e}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::super::poll;
    use super::*;

    const WAIT_MS: i64 = 20_000;

    /// The library looks at what became of a watch's other end no sooner than a millisecond after it
    /// looked last.
    const QUIET_MS: i64 = 20;

    /// A subscription to this address, of which something was heard, and then nothing for a while.
    fn dialled(context: &Context, name: &str, endpoint: &str) -> Watched {
        let socket = context.socket(zmq::SocketType::SUB).unwrap();
        socket.set_subscribe(b"").unwrap();
        socket.set_reconnect_ivl(1_000).unwrap();
        let watched = Watched::new(context, socket, name).unwrap();
        watched.socket().connect(endpoint).unwrap();
        let mut wait = WAIT_MS;
        loop {
            let mut items = [watched.poll_item()];
            poll(&mut items, wait).unwrap();
            let is_quiet = !items[0].is_readable();
            assert!(!is_quiet || wait == QUIET_MS, "an event of {endpoint}");
            if is_quiet {
                return watched;
            }
            watched.events();
            wait = QUIET_MS;
        }
    }

    #[test]
    fn watched_sockets_close_whatever_their_connection_does_and_all_others_after_them() {
        let context = Context::new().unwrap();
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
        let refused = format!("tcp://{}", nobody.local_addr().unwrap());
        drop(nobody);
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let unanswered = format!("tcp://{}", silent.local_addr().unwrap());
        let publisher = context.socket(zmq::SocketType::PUB).unwrap();
        publisher.bind("tcp://127.0.0.1:*").unwrap();
        let standing = publisher.get_last_endpoint().unwrap().unwrap();
        for round in 0..3 {
            for endpoint in [&refused, &unanswered, &standing] {
                drop(dialled(&context, &format!("{endpoint}-{round}"), endpoint));
            }
        }
        // Somebody elsewhere sees it go.
        let elsewhere = Context::new().unwrap();
        let watched = dialled(&elsewhere, "elsewhere", &standing);
        drop(publisher);
        let mut is_gone = false;
        while !is_gone {
            let mut items = [watched.poll_item()];
            poll(&mut items, WAIT_MS).unwrap();
            assert!(items[0].is_readable(), "it does not close");
            is_gone = watched.events().contains(&Event::Disconnected);
        }
    }

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
