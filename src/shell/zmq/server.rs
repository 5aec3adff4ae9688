//! The polling loop of a service: ROUTER sockets of both families with their monitors, and a
//! signal. It plays the part of REP: who serves keeps the envelope and the order of replies.
//!
//! A reply to a client that is gone is dropped. One that finds its queue full waits in a bounded
//! backlog for a while; nobody else waits for it.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::monitor::{Count, Event, Monitor};
use super::options::{self, Family};
use super::receive::{self, Received, Sent};
use super::signal::{Signal, Waker};
use super::{Context, Frames, SocketError, poll};
use crate::core::keys::PeerPrivateKey;

/// Messages taken from one socket before the others get their turn.
const TURN: usize = 32;
/// Bytes of them after which the turn ends.
const TURN_BYTES: usize = 256 << 10;
/// Longest sleep of the loop.
const TICK_MS: i64 = 1000;
/// Longest sleep while replies wait for room.
const BACKLOG_TICK_MS: i64 = 10;
/// Bytes of replies that wait for room.
const BACKLOG_BYTES: usize = 16 << 20;
/// Bytes of them for one client, beside one reply of any size.
const BACKLOG_OF_CLIENT: usize = 1 << 20;
/// How long a reply waits for room.
const BACKLOG_TIME: Duration = Duration::from_secs(10);

/// Replies that found no room, in order.
#[derive(Default)]
struct Backlog {
    waiting: VecDeque<(usize, Frames, Instant)>,
    bytes: usize,
}

fn size(frames: &[Vec<u8>]) -> usize {
    frames.iter().map(Vec::len).sum()
}

impl Backlog {
    fn holds(&self, socket: usize, frames: &Frames) -> bool {
        self.waiting
            .iter()
            .any(|(at, other, _)| *at == socket && other.first() == frames.first())
    }

    fn push(&mut self, socket: usize, frames: Frames) {
        let of_client: usize = self
            .waiting
            .iter()
            .filter(|(at, other, _)| *at == socket && other.first() == frames.first())
            .map(|(_, other, _)| size(other))
            .sum();
        let more = size(&frames);
        let is_first = of_client == 0;
        if self.bytes + more > BACKLOG_BYTES || (!is_first && of_client + more > BACKLOG_OF_CLIENT)
        {
            return;
        }
        self.bytes += more;
        self.waiting.push_back((socket, frames, Instant::now()));
    }

    /// Tries all again, each client's in order.
    fn retry(&mut self, mut send: impl FnMut(usize, &Frames) -> Sent) {
        let mut stuck: BTreeSet<(usize, Vec<u8>)> = BTreeSet::new();
        for (socket, frames, since) in std::mem::take(&mut self.waiting) {
            let client = (socket, frames.first().cloned().unwrap_or_default());
            let is_stuck = stuck.contains(&client);
            if since.elapsed() < BACKLOG_TIME && (is_stuck || send(socket, &frames) == Sent::Full) {
                stuck.insert(client);
                self.waiting.push_back((socket, frames, since));
            } else {
                self.bytes -= size(&frames);
            }
        }
    }
}

/// What a service does with messages. All of it runs on the socket thread: nothing may wait.
pub trait Service: Send {
    /// A message came in at a socket. The first frame is the routing id.
    fn message(&mut self, socket: usize, received: Received);
    /// Somebody woke the loop, or a second passed.
    fn woken(&mut self);
    /// Something happened to a connection.
    fn event(&mut self, socket: usize, event: Event);
    /// The next message to send, and the socket for it.
    fn next_reply(&mut self) -> Option<(usize, Frames)>;
    /// Whether the loop ends.
    fn is_over(&self) -> bool;
}

/// A running service.
#[derive(Debug)]
pub struct Server {
    /// Where it was bound.
    pub addresses: Vec<SocketAddr>,
    /// Clients that are connected.
    pub connections: Count,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Whether its thread runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|t| !t.is_finished())
    }
}

/// What a service is bound with.
#[derive(Debug)]
pub struct Binding<'a> {
    /// Name of the thread, and of the pairs inside the context.
    pub name: &'a str,
    /// The service's key.
    pub key: &'a PeerPrivateKey,
    /// Domain of admission.
    pub zap_domain: &'a str,
    /// Where.
    pub addresses: &'a [SocketAddr],
}

/// Sockets that are bound and wait for their service.
pub struct Bound {
    name: String,
    sockets: Vec<(zmq::Socket, Monitor)>,
    signal: Signal,
    /// Wakes the loop.
    pub waker: Waker,
    /// Where it was bound.
    pub addresses: Vec<SocketAddr>,
    /// Clients that are connected.
    pub connections: Count,
}

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bound({:?})", self.addresses)
    }
}

impl Bound {
    /// Binds one socket for each family that has an address.
    ///
    /// # Errors
    /// An address that cannot be bound.
    pub fn new(context: &Context, binding: &Binding<'_>) -> Result<Self, SocketError> {
        let (waker, signal) = Signal::pair(context, &format!("bitmark-{}-signal", binding.name))?;
        let mut sockets = Vec::new();
        let mut bound = Vec::new();
        for (family, addresses) in options::by_family(binding.addresses) {
            if addresses.is_empty() {
                continue;
            }
            let kind = zmq::SocketType::ROUTER;
            let socket = options::server(context, kind, binding.key, binding.zap_domain, family)?;
            let number = if family == Family::V4 { 4 } else { 6 };
            let name = format!("{}-ipv{number}-monitor-signal", binding.name);
            let monitor = Monitor::of(context, &socket, &name)?;
            bound.extend(options::bind(&socket, &addresses)?);
            sockets.push((socket, monitor));
        }
        Ok(Self {
            name: binding.name.to_owned(),
            sockets,
            signal,
            waker,
            addresses: bound,
            connections: Count::default(),
        })
    }

    /// Runs a service on a thread of its own.
    ///
    /// # Errors
    /// No thread.
    pub fn serve(self, service: impl Service + 'static) -> Result<Server, SocketError> {
        let (addresses, waker) = (self.addresses.clone(), self.waker.clone());
        let connections = self.connections.clone();
        let thread = std::thread::Builder::new()
            .name(self.name.clone())
            .spawn(move || self.run(service))?;
        Ok(Server {
            addresses,
            connections,
            waker,
            thread: Some(thread),
        })
    }

    fn run(self, mut service: impl Service) {
        let mut backlog = Backlog::default();
        while !service.is_over() {
            if let Err(e) = self.turn(&mut service, &mut backlog) {
                log::error!("{}: {e}; the service ends", self.name);
                return;
            }
        }
        service.woken();
        self.send_replies(&mut service, &mut backlog);
    }

    fn turn(&self, service: &mut impl Service, backlog: &mut Backlog) -> Result<(), zmq::Error> {
        let readable: Vec<bool> = {
            let mut items = vec![self.signal.poll_item()];
            for (socket, monitor) in &self.sockets {
                items.push(socket.as_poll_item(zmq::POLLIN));
                items.push(monitor.poll_item());
            }
            let tick = if backlog.waiting.is_empty() {
                TICK_MS
            } else {
                BACKLOG_TICK_MS
            };
            poll(&mut items, tick)?;
            items.iter().map(zmq::PollItem::is_readable).collect()
        };
        let is_readable = |index: usize| readable.get(index).copied().unwrap_or_default();
        if is_readable(0) {
            self.signal.lower();
        }
        service.woken();
        for (index, (socket, monitor)) in self.sockets.iter().enumerate() {
            if is_readable(2 * index + 1) {
                let mut bytes = 0;
                for _ in 0..TURN {
                    let Some(received) = receive::message(socket)? else {
                        break;
                    };
                    bytes += size(&received.frames);
                    service.message(index, received);
                    if bytes > TURN_BYTES {
                        break;
                    }
                }
            }
            if is_readable(2 * index + 2) {
                for event in monitor.events() {
                    self.connections.note(event);
                    service.event(index, event);
                }
            }
        }
        self.send_replies(service, backlog);
        Ok(())
    }

    fn send_replies(&self, service: &mut impl Service, backlog: &mut Backlog) {
        let send = |index: usize, frames: &Frames| match self.sockets.get(index) {
            None => Sent::Gone,
            Some((socket, _)) => receive::send(socket, frames).unwrap_or_else(|e| {
                log::warn!("{}: a reply was not sent: {e}", self.name);
                Sent::Gone
            }),
        };
        backlog.retry(send);
        while let Some((index, frames)) = service.next_reply() {
            if backlog.holds(index, &frames) || send(index, &frames) == Sent::Full {
                backlog.push(index, frames);
            }
        }
    }
}

impl Server {
    /// Wakes its loop.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Waits for the loop to end; the service must have been told.
    pub fn join(&mut self) {
        self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.join();
    }
}
