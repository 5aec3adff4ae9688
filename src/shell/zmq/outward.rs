//! The polling loop of all that goes out from here: request sockets to other nodes, subscriptions,
//! and the publisher. One thread serves all of them; it is told what to do and tells what came.
//!
//! Requests wait for their connection, and are answered in their order; whoever gives them bounds how
//! many are open on a socket. To the other end a request looks like that of any REQ socket.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, TryRecvError, unbounded};

use super::monitor::{Event as ConnectionEvent, Watched};
use super::receive::{Received, Sent};
use super::signal::{Signal, Waker};
use super::{Context, Frames, SocketError, options, poll, receive};
use crate::core::keys::{PeerPrivateKey, PeerPublicKey};
use crate::shell::counters::Flow;

/// Messages taken from one socket before the others get their turn.
const TURN: usize = 32;
const TICK_MS: i64 = 1000;

/// Names a socket of the loop; chosen by who opens it, never used twice.
pub type Id = u64;

/// What the loop is told.
#[derive(Debug)]
pub enum Order {
    /// Opens a request socket.
    Dial(Id, PeerPublicKey, SocketAddr),
    /// Opens a subscription to everything a publisher says.
    Subscribe(Id, PeerPublicKey, SocketAddr),
    /// Sends a request, behind those that have not gone out yet.
    Request(Id, Frames),
    /// Closes a socket.
    Close(Id),
    /// Publishes.
    Publish(Frames),
    /// Ends the loop.
    Stop,
}

/// What the loop tells.
#[derive(Debug, PartialEq, Eq)]
pub enum News {
    /// A reply, or a published message.
    Received(Id, Frames),
    /// The connection of a socket stands.
    Connected(Id),
    /// The socket could not be opened, or broke.
    Failed(Id, String),
}

/// Tells the loop what to do. Clones share it.
#[derive(Debug, Clone)]
pub struct Orders {
    queue: Sender<Order>,
    waker: Waker,
}

impl Orders {
    /// Gives an order. Whoever gives orders bounds them: the open requests of a socket, and published
    /// messages as they are made.
    pub fn give(&self, order: Order) {
        let _ = self.queue.send(order);
        self.waker.wake();
    }
}

/// Bytes of the messages of each kind of socket. What is published counts once for each family, as
/// it is given to the library, whoever listens.
#[derive(Debug, Clone, Default)]
pub struct Flows {
    /// Of requests and their replies.
    pub requests: Flow,
    /// Of subscriptions.
    pub subscriptions: Flow,
    /// Of the publisher.
    pub publisher: Flow,
}

/// The running loop.
#[derive(Debug)]
pub struct Outward {
    orders: Orders,
    thread: Option<JoinHandle<()>>,
    /// Where the publisher was bound.
    pub publishing: Vec<SocketAddr>,
    /// Bytes of its sockets.
    pub bytes: Flows,
}

/// What the publisher is bound with.
#[derive(Debug)]
pub struct Publishing<'a> {
    /// The publisher's key.
    pub key: &'a PeerPrivateKey,
    /// Domain of admission.
    pub zap_domain: &'a str,
    /// Where; empty: nothing is published.
    pub addresses: &'a [SocketAddr],
}

/// A socket that was dialled.
enum Line {
    Requests(zmq::Socket),
    Subscription(Watched),
}

impl Line {
    const fn socket(&self) -> &zmq::Socket {
        match self {
            Self::Requests(socket) => socket,
            Self::Subscription(watched) => watched.socket(),
        }
    }

    /// What tells of its connection.
    const fn watched(&self) -> Option<&Watched> {
        match self {
            Self::Requests(_) => None,
            Self::Subscription(watched) => Some(watched),
        }
    }
}

struct Dialled {
    line: Line,
    /// Requests that have not gone out.
    waiting: VecDeque<Frames>,
    /// The number of the next request, and those of the requests that are not answered.
    next: u32,
    open: VecDeque<u32>,
    bytes: Flow,
}

/// Sends and counts it.
fn send(socket: &zmq::Socket, frames: &[Vec<u8>], bytes: &Flow) -> Result<Sent, zmq::Error> {
    let sent = receive::send(socket, frames)?;
    if sent == Sent::Done {
        bytes.send(frames.iter().map(Vec::len).sum());
    }
    Ok(sent)
}

impl Dialled {
    /// Sends what waits, as far as there is room.
    fn send(&mut self) -> Result<(), zmq::Error> {
        while let Some(frames) = self.waiting.pop_front() {
            // As a REQ socket does that tells its requests apart: a number and an empty frame.
            let number = self.next;
            let mut message = vec![number.to_be_bytes().to_vec(), Vec::new()];
            message.extend_from_slice(&frames);
            match receive::send(self.line.socket(), &message)? {
                Sent::Done => {
                    self.bytes.send(frames.iter().map(Vec::len).sum());
                    self.next = number.wrapping_add(1);
                    self.open.push_back(number);
                }
                Sent::Gone => {}
                Sent::Full => {
                    self.waiting.push_front(frames);
                    break;
                }
            }
        }
        Ok(())
    }

    /// What a message is to us: of a reply, what stands behind the number of the request that was
    /// sent first and is not answered; nothing where that is another. A reply that was not kept whole
    /// is a fault: its question has no other.
    fn content(&mut self, mut received: Received) -> Option<Result<Frames, String>> {
        if self.line.watched().is_some() {
            self.bytes.receive(received.bytes);
        } else {
            let [number, empty, ..] = received.frames.as_slice() else {
                return None;
            };
            let first = self.open.front().map(|number| number.to_be_bytes());
            if !empty.is_empty() || first.is_none_or(|first| first != number.as_slice()) {
                return None;
            }
            self.open.pop_front();
            self.bytes
                .receive(received.bytes.saturating_sub(number.len()));
            received.frames.drain(..2);
            if received.over_bytes {
                return Some(Err("a reply that is too large".to_owned()));
            }
        }
        (!received.over_bytes).then_some(Ok(received.frames))
    }
}

struct Loop {
    context: Context,
    key: PeerPrivateKey,
    dialled: BTreeMap<Id, Dialled>,
    publishers: Vec<zmq::Socket>,
    orders: Receiver<Order>,
    signal: Signal,
    bytes: Flows,
}

impl Outward {
    /// Binds the publisher and starts the loop. `news` must not wait.
    ///
    /// # Errors
    /// An address that cannot be bound.
    pub fn start(
        context: &Context,
        key: PeerPrivateKey,
        publishing: &Publishing<'_>,
        name: &str,
        news: impl FnMut(News) + Send + 'static,
    ) -> Result<Self, SocketError> {
        let (waker, signal) = Signal::pair(context, &format!("bitmark-{name}-signal"))?;
        let mut publishers = Vec::new();
        let mut bound = Vec::new();
        for (family, addresses) in options::by_family(publishing.addresses) {
            if addresses.is_empty() {
                continue;
            }
            let kind = zmq::SocketType::PUB;
            let domain = publishing.zap_domain;
            let socket = options::server(context, kind, publishing.key, domain, family)?;
            bound.extend(options::bind(&socket, &addresses)?);
            publishers.push(socket);
        }
        let (queue, orders) = unbounded();
        let bytes = Flows::default();
        let state = Loop {
            context: context.clone(),
            key,
            dialled: BTreeMap::new(),
            publishers,
            orders,
            signal,
            bytes: bytes.clone(),
        };
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || state.run(news))?;
        Ok(Self {
            orders: Orders { queue, waker },
            thread: Some(thread),
            publishing: bound,
            bytes,
        })
    }

    /// How to give orders.
    #[must_use]
    pub fn orders(&self) -> Orders {
        self.orders.clone()
    }

    /// Whether its thread runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|t| !t.is_finished())
    }

    /// Ends the loop.
    pub fn stop(&mut self) {
        self.orders.give(Order::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Outward {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Loop {
    fn run(mut self, mut news: impl FnMut(News)) {
        loop {
            match self.turn(&mut news) {
                Ok(true) => {}
                Ok(false) => return,
                Err(e) => {
                    log::error!("outgoing connections: {e}; the loop ends");
                    return;
                }
            }
        }
    }

    fn turn(&mut self, news: &mut impl FnMut(News)) -> Result<bool, zmq::Error> {
        let ready: Vec<(Id, bool, bool, bool)> = {
            let mut items = vec![self.signal.poll_item()];
            let mut ids = Vec::new();
            for (id, dialled) in &self.dialled {
                let out = if !dialled.waiting.is_empty() {
                    zmq::POLLIN | zmq::POLLOUT
                } else {
                    zmq::POLLIN
                };
                items.push(dialled.line.socket().as_poll_item(out));
                let watched = dialled.line.watched();
                items.extend(watched.map(Watched::poll_item));
                ids.push((*id, watched.is_some()));
            }
            poll(&mut items, TICK_MS)?;
            let mut states = items.iter().skip(1);
            ids.into_iter()
                .map(|(id, is_watched)| {
                    let socket = states.next();
                    let event = is_watched.then(|| states.next()).flatten();
                    (
                        id,
                        socket.is_some_and(zmq::PollItem::is_readable),
                        socket.is_some_and(zmq::PollItem::is_writable),
                        event.is_some_and(zmq::PollItem::is_readable),
                    )
                })
                .collect()
        };
        self.signal.lower();
        for (id, readable, writable, event) in ready {
            self.serve(id, readable, writable, event, news);
        }
        self.take_orders(news)
    }

    fn serve(
        &mut self,
        id: Id,
        readable: bool,
        writable: bool,
        event: bool,
        news: &mut impl FnMut(News),
    ) {
        let Some(dialled) = self.dialled.get_mut(&id) else {
            return;
        };
        if event && let Some(watched) = dialled.line.watched() {
            for event in watched.events() {
                if event == ConnectionEvent::HandshakeSucceeded {
                    news(News::Connected(id));
                }
            }
        }
        if readable {
            for _ in 0..TURN {
                match receive::message(dialled.line.socket()) {
                    Ok(Some(received)) => match dialled.content(received) {
                        Some(Ok(frames)) => news(News::Received(id, frames)),
                        Some(Err(why)) => news(News::Failed(id, why)),
                        None => {}
                    },
                    Ok(None) => break,
                    Err(e) => {
                        news(News::Failed(id, e.to_string()));
                        break;
                    }
                }
            }
        }
        if writable && let Err(e) = dialled.send() {
            news(News::Failed(id, e.to_string()));
        }
    }

    fn take_orders(&mut self, news: &mut impl FnMut(News)) -> Result<bool, zmq::Error> {
        loop {
            match self.orders.try_recv() {
                Ok(Order::Stop) | Err(TryRecvError::Disconnected) => return Ok(false),
                Ok(order) => self.order(order, news),
                Err(TryRecvError::Empty) => return Ok(true),
            }
        }
    }

    fn order(&mut self, order: Order, news: &mut impl FnMut(News)) {
        match order {
            Order::Dial(id, key, address) => {
                self.open(id, zmq::SocketType::DEALER, &key, &address, news);
            }
            Order::Subscribe(id, key, address) => {
                self.open(id, zmq::SocketType::SUB, &key, &address, news);
            }
            Order::Request(id, frames) => {
                if let Some(dialled) = self.dialled.get_mut(&id) {
                    dialled.waiting.push_back(frames);
                    if let Err(e) = dialled.send() {
                        news(News::Failed(id, e.to_string()));
                    }
                }
            }
            Order::Close(id) => {
                self.dialled.remove(&id);
            }
            Order::Publish(frames) => {
                for socket in &self.publishers {
                    if let Err(e) = send(socket, &frames, &self.bytes.publisher) {
                        log::warn!("a message was not published: {e}");
                    }
                }
            }
            Order::Stop => {}
        }
    }

    fn open(
        &mut self,
        id: Id,
        kind: zmq::SocketType,
        key: &PeerPublicKey,
        address: &SocketAddr,
        news: &mut impl FnMut(News),
    ) {
        let opened = || -> Result<Dialled, SocketError> {
            let socket = options::client(&self.context, kind, &self.key, key, address)?;
            let (line, bytes) = match kind {
                zmq::SocketType::SUB => {
                    let name = format!("subscriber-{id}-monitor-signal");
                    let watched = Watched::new(&self.context, socket, &name)?;
                    (Line::Subscription(watched), &self.bytes.subscriptions)
                }
                _ => (Line::Requests(socket), &self.bytes.requests),
            };
            let endpoint = options::endpoint(address);
            line.socket()
                .connect(&endpoint)
                .map_err(|e| SocketError::Address(endpoint, e))?;
            Ok(Dialled {
                line,
                waiting: VecDeque::new(),
                next: 0,
                open: VecDeque::new(),
                bytes: bytes.clone(),
            })
        };
        match opened() {
            Ok(dialled) => {
                self.dialled.insert(id, dialled);
            }
            Err(e) => news(News::Failed(id, e.to_string())),
        }
    }
}
