//! The polling loop of a service: ROUTER sockets of both families with their monitors, and a
//! signal. It plays the part of REP: who serves keeps the envelope and the order of replies.
//!
//! A reply to a client that is gone, or that reads nothing, is dropped; nobody waits for it.

use std::net::SocketAddr;
use std::thread::JoinHandle;

use super::monitor::{Count, Event, Monitor};
use super::options::{self, Family};
use super::receive::{self, Received};
use super::signal::{Signal, Waker};
use super::{Context, Frames, SocketError, poll};
use crate::core::keys::PeerPrivateKey;

/// Messages taken from one socket before the others get their turn.
const TURN: usize = 32;
/// Longest sleep of the loop.
const TICK_MS: i64 = 1000;

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
        while !service.is_over() {
            if let Err(e) = self.turn(&mut service) {
                log::error!("{}: {e}; the service ends", self.name);
                return;
            }
        }
        self.send_replies(&mut service);
    }

    fn turn(&self, service: &mut impl Service) -> Result<(), zmq::Error> {
        let readable: Vec<bool> = {
            let mut items = vec![self.signal.poll_item()];
            for (socket, monitor) in &self.sockets {
                items.push(socket.as_poll_item(zmq::POLLIN));
                items.push(monitor.poll_item());
            }
            poll(&mut items, TICK_MS)?;
            items.iter().map(zmq::PollItem::is_readable).collect()
        };
        let is_readable = |index: usize| readable.get(index).copied().unwrap_or_default();
        if is_readable(0) {
            self.signal.lower();
        }
        service.woken();
        for (index, (socket, monitor)) in self.sockets.iter().enumerate() {
            if is_readable(2 * index + 1) {
                for _ in 0..TURN {
                    let Some(received) = receive::message(socket)? else {
                        break;
                    };
                    service.message(index, received);
                }
            }
            if is_readable(2 * index + 2) {
                for event in monitor.events() {
                    self.connections.note(event);
                    service.event(index, event);
                }
            }
        }
        self.send_replies(service);
        Ok(())
    }

    fn send_replies(&self, service: &mut impl Service) {
        while let Some((index, frames)) = service.next_reply() {
            if let Some((socket, _)) = self.sockets.get(index)
                && let Err(e) = receive::send(socket, &frames)
            {
                log::warn!("{}: a reply was not sent: {e}", self.name);
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
