//! The polling loop of a service: ROUTER sockets of both families with their monitors, and a
//! signal. It plays the part of REP: who serves keeps the envelope and the order of replies.
//!
//! A reply to a client that is gone is dropped. One that finds its queue full waits in a bounded
//! backlog for a while; nobody else waits for it.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::descriptors::Descriptors;
use super::monitor::{Count, Event, Watched};
use super::options::{self, Family};
use super::receive::{self, Received, Sent};
use super::signal::{Signal, Waker};
use super::{Context, Frames, SocketError};
use crate::core::keys::PeerPrivateKey;
use crate::shell::counters::Flow;

/// Messages taken from one socket before the others get their turn.
const TURN: usize = 32;
/// Passes over the sockets that brought something, before everything else is looked at.
const PASSES: usize = 64;
/// Bytes of them after which the turn ends.
const TURN_BYTES: usize = 256 << 10;
/// Longest sleep of the loop.
const TICK: Duration = Duration::from_secs(1);
/// Longest sleep while replies wait for room.
const BACKLOG_TICK: Duration = Duration::from_millis(10);
/// Bytes of replies that wait for room.
const BACKLOG_BYTES: usize = 16 << 20;
/// Bytes of them for one client, beside one reply of any size.
const BACKLOG_OF_CLIENT: usize = 1 << 20;
/// Replies that wait for one client.
const BACKLOG_REPLIES: usize = 1024;
/// How long a reply waits for room.
const BACKLOG_TIME: Duration = Duration::from_secs(10);

fn size(frames: &[Vec<u8>]) -> usize {
    frames.iter().map(Vec::len).sum()
}

/// Bytes of a message beside the routing id in front, which stays here.
fn on_wire(bytes: usize, frames: &[Vec<u8>]) -> usize {
    bytes.saturating_sub(frames.first().map_or(0, Vec::len))
}

/// A client: the socket and the routing id there.
type Client = (usize, Vec<u8>);

/// Replies of one client that found no room, in order.
#[derive(Default)]
struct Held {
    waiting: VecDeque<(Frames, Instant)>,
    bytes: usize,
}

/// Replies that found no room.
#[derive(Default)]
struct Backlog {
    clients: BTreeMap<Client, Held>,
    bytes: usize,
}

fn client_of(socket: usize, frames: &Frames) -> Client {
    (socket, frames.first().cloned().unwrap_or_default())
}

impl Backlog {
    fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    fn holds(&self, client: &Client) -> bool {
        self.clients.contains_key(client)
    }

    /// A reply behind the others of its client; it is lost where there is no room for it.
    fn push(&mut self, client: Client, frames: Frames) {
        let more = size(&frames);
        let held = self.clients.get(&client);
        let of_client = held.map_or(0, |held| held.bytes);
        let count = held.map_or(0, |held| held.waiting.len());
        let is_over = count >= BACKLOG_REPLIES || of_client + more > BACKLOG_OF_CLIENT;
        if self.bytes + more > BACKLOG_BYTES || (count > 0 && is_over) {
            return;
        }
        self.bytes += more;
        let held = self.clients.entry(client).or_default();
        held.bytes += more;
        held.waiting.push_back((frames, Instant::now()));
    }

    /// Tries each client's replies again, in order, as far as there is room. Gives the sockets of those
    /// that waited too long, which are tried no more.
    fn retry(&mut self, mut send: impl FnMut(usize, &Frames) -> Sent) -> Vec<usize> {
        let total = &mut self.bytes;
        let mut lapsed = Vec::new();
        self.clients.retain(|(socket, _), held| {
            while let Some((frames, since)) = held.waiting.front() {
                if since.elapsed() >= BACKLOG_TIME {
                    lapsed.push(*socket);
                } else if send(*socket, frames) == Sent::Full {
                    return true;
                }
                let bytes = size(frames);
                held.bytes -= bytes;
                *total -= bytes;
                held.waiting.pop_front();
            }
            false
        });
        lapsed
    }
}

/// The sockets that may have messages, and how often they were gone through since the last look at
/// everything.
#[derive(Default)]
struct Pass {
    open: Vec<usize>,
    count: usize,
}

impl Pass {
    fn is_open(&self, index: usize) -> bool {
        self.open.contains(&index)
    }

    fn open(&mut self, index: usize) {
        if !self.is_open(index) {
            self.open.push(index);
        }
    }

    /// It was found empty.
    fn close(&mut self, index: usize) {
        self.open.retain(|other| *other != index);
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
    sockets: Vec<Watched>,
    signal: Signal,
    /// Wakes the loop.
    pub waker: Waker,
    /// Where it was bound.
    pub addresses: Vec<SocketAddr>,
    /// Clients that are connected.
    pub connections: Count,
    /// Bytes of their messages.
    pub bytes: Flow,
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
            let watched = Watched::new(context, socket, &name)?;
            bound.extend(options::bind(watched.socket(), &addresses)?);
            sockets.push(watched);
        }
        Ok(Self {
            name: binding.name.to_owned(),
            sockets,
            signal,
            waker,
            addresses: bound,
            connections: Count::default(),
            bytes: Flow::default(),
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
        let mut descriptors = match self.descriptors() {
            Ok(descriptors) => descriptors,
            Err(e) => return log::error!("{}: {e}; the service ends", self.name),
        };
        let mut backlog = Backlog::default();
        let mut pass = Pass::default();
        (0..self.sockets.len()).for_each(|index| pass.open(index));
        // A descriptor tells only of what comes after its socket was found empty.
        self.signal.lower();
        self.take_events(&mut service);
        while !service.is_over() {
            if let Err(e) = self.turn(&mut service, &mut backlog, &mut pass, &mut descriptors) {
                log::error!("{}: {e}; the service ends", self.name);
                return;
            }
        }
        service.woken();
        self.send_replies(&mut service, &mut backlog, &mut pass);
    }

    /// One pass over the sockets that may have something. Where it brought nothing, and now and then
    /// where it did, a look at everything else: a look costs system calls, a pass that finds
    /// something hardly any.
    fn turn(
        &self,
        service: &mut impl Service,
        backlog: &mut Backlog,
        pass: &mut Pass,
        descriptors: &mut Descriptors,
    ) -> Result<(), SocketError> {
        service.woken();
        self.send_replies(service, backlog, pass);
        for (index, watched) in self.sockets.iter().enumerate() {
            if pass.is_open(index) {
                self.receive(index, watched.socket(), service, backlog, pass)?;
            }
        }
        pass.count += 1;
        if pass.open.is_empty() || pass.count >= PASSES {
            pass.count = 0;
            self.look(service, backlog, pass, descriptors)?;
        }
        Ok(())
    }

    /// Takes some messages, then sends what was answered at once: the thread of the library that sends
    /// is woken for all of it together.
    fn receive(
        &self,
        index: usize,
        socket: &zmq::Socket,
        service: &mut impl Service,
        backlog: &mut Backlog,
        pass: &mut Pass,
    ) -> Result<(), zmq::Error> {
        let mut bytes = 0;
        for _ in 0..TURN {
            let Some(received) = receive::message(socket)? else {
                pass.close(index);
                break;
            };
            bytes += size(&received.frames);
            let came = on_wire(received.bytes, &received.frames);
            self.bytes.receive(came);
            service.message(index, received);
            if bytes > TURN_BYTES {
                break;
            }
        }
        self.send_replies(service, backlog, pass);
        Ok(())
    }

    /// What tells that a socket has something: the signal first, then each socket and its monitor.
    fn descriptors(&self) -> Result<Descriptors, SocketError> {
        let mut all = vec![self.signal.fd()?];
        for watched in &self.sockets {
            all.extend([watched.socket().get_fd()?, watched.fd()?]);
        }
        Ok(Descriptors::new(&all)?)
    }

    /// Waits for anything, unless it is known that there is something, and takes all that is no
    /// message. The descriptors are waited at: every socket that is not open was found empty after
    /// the last call on it.
    fn look(
        &self,
        service: &mut impl Service,
        backlog: &Backlog,
        pass: &mut Pass,
        descriptors: &mut Descriptors,
    ) -> Result<(), SocketError> {
        let tick = match (pass.open.is_empty(), backlog.is_empty()) {
            (false, _) => Duration::ZERO,
            (true, true) => TICK,
            (true, false) => BACKLOG_TICK,
        };
        descriptors.wait(tick)?;
        // A time-out looks everywhere: a descriptor tells of a change once, and one that was missed
        // is not told again.
        let is_timeout = !tick.is_zero() && descriptors.is_silent();
        let is_readable = |index: usize| is_timeout || descriptors.told(index);
        if is_readable(0) {
            self.signal.lower();
        }
        for index in 0..self.sockets.len() {
            // A try to send took what came along.
            if is_readable(2 * index + 1) || !backlog.is_empty() {
                pass.open(index);
            }
        }
        if (0..self.sockets.len()).any(|index| is_readable(2 * index + 2)) {
            self.take_events(service);
        }
        Ok(())
    }

    fn take_events(&self, service: &mut impl Service) {
        for (index, watched) in self.sockets.iter().enumerate() {
            for event in watched.events() {
                self.connections.note(event);
                service.event(index, event);
            }
        }
    }

    fn send_replies(&self, service: &mut impl Service, backlog: &mut Backlog, pass: &mut Pass) {
        let mut send = |index: usize, frames: &Frames| match self.sockets.get(index) {
            None => Sent::Gone,
            Some(watched) => {
                let sent = receive::send(watched.socket(), frames).unwrap_or_else(|e| {
                    log::warn!("{}: a reply was not sent: {e}", self.name);
                    Sent::Gone
                });
                if sent == Sent::Done {
                    self.bytes.send(on_wire(size(frames), frames));
                }
                // The library takes what came to the socket along, and its descriptor is silent then.
                // One that finds no room waits in the backlog, and all are open while that is not empty.
                if sent != Sent::Full {
                    pass.open(index);
                }
                sent
            }
        };
        let lapsed = if backlog.is_empty() {
            Vec::new()
        } else {
            backlog.retry(&mut send)
        };
        while let Some((index, frames)) = service.next_reply() {
            let held = !backlog.is_empty() && backlog.holds(&client_of(index, &frames));
            if held || send(index, &frames) == Sent::Full {
                backlog.push(client_of(index, &frames), frames);
            }
        }
        // The tries before may have taken what came along.
        lapsed.into_iter().for_each(|index| pass.open(index));
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
