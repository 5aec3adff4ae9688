//! The peer service on its socket thread: what can be answered from the status is answered at once,
//! the rest goes to the readers or to the owner; replies leave in the order of requests.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};

use super::{Shown, queue};
use crate::core::PROTOCOL_VERSION;
use crate::core::chain::Chain;
use crate::core::engine::{Input, source_of};
use crate::core::keys::PeerPublicKey;
use crate::core::listener::kept::Key;
use crate::core::listener::look_up;
use crate::core::listener::reply::Info;
use crate::core::listener::request::known_command;
use crate::core::listener::{
    Asked, Connection, Envelope, Kept, Lane, News, Reply, ReplyOrder, Request, Ticket,
};
use crate::shell::counters::requests::{ANSWERED, ERROR, OTHER, REFUSED, Tally};
use crate::shell::counters::{Begun, Requests};
use crate::shell::store::Store;
use crate::shell::zmq::monitor::Event;
use crate::shell::zmq::receive::Received;
use crate::shell::zmq::server::Service;
use crate::shell::zmq::{Access, Frames, Waker};

/// Answers that come from other threads.
pub type Answer = (Ticket, Reply);

/// The key of a session.
type Client = Option<[u8; 32]>;

/// A question for the readers.
type Asking = (Ticket, Request);

/// What the service is made of.
pub struct Parts {
    pub chain: &'static Chain,
    pub shown: Arc<Shown>,
    pub inputs: queue::Sender<Input>,
    pub readers: queue::Sender<Asking>,
    pub answers: Receiver<Answer>,
    pub access: Access,
    pub requests: Requests,
    pub stop: Arc<AtomicBool>,
}

/// What a request with this reply counts as.
fn result_of(reply: &Reply) -> &'static str {
    if reply.is_error() { ERROR } else { ANSWERED }
}

/// The service.
pub struct PeerService {
    chain: &'static Chain,
    shown: Arc<Shown>,
    order: ReplyOrder,
    inputs: queue::Sender<Input>,
    /// What waits for the owner, and what waits for the readers.
    for_owner: Lane<Input>,
    for_readers: Lane<Request>,
    /// Requests that others work on, for the counters; each leaves with its answer.
    begun: BTreeMap<Ticket, Begun>,
    /// Which of them are kept under what, with the branch on which they were asked.
    keeping: BTreeMap<Ticket, (Key, u64)>,
    kept: Kept,
    requests: Requests,
    /// Of those that are answered at once.
    tally: Tally,
    readers: queue::Sender<Asking>,
    answers: Receiver<Answer>,
    leaving: VecDeque<(usize, Frames)>,
    access: Access,
    stop: Arc<AtomicBool>,
}

impl PeerService {
    /// A service that has answered nothing yet.
    pub fn new(parts: Parts) -> Self {
        Self {
            chain: parts.chain,
            shown: parts.shown,
            order: ReplyOrder::new(),
            inputs: parts.inputs,
            for_owner: Lane::default(),
            for_readers: Lane::default(),
            begun: BTreeMap::new(),
            keeping: BTreeMap::new(),
            kept: Kept::default(),
            tally: Tally::new(parts.requests.clone()),
            requests: parts.requests,
            readers: parts.readers,
            answers: parts.answers,
            leaving: VecDeque::new(),
            access: parts.access,
            stop: parts.stop,
        }
    }

    fn answer(&mut self, ticket: Ticket, reply: Reply, begun: Option<Begun>) {
        // One whose connection was forgotten meanwhile is dropped, and counts so.
        if let Some(begun) = begun
            && self.order.connection(ticket).is_some()
        {
            begun.end(result_of(&reply));
        }
        self.leaving
            .extend(self.order.answer(ticket, reply.into_frames()));
    }

    fn info(&self) -> Reply {
        let status = self.shown.get();
        Reply::info(&Info {
            version: PROTOCOL_VERSION,
            chain: self.chain.name,
            normal: status.normal,
            height: status.height,
        })
    }

    /// What needs nobody else's work.
    fn at_once(&self, asked: &Asked) -> Option<Reply> {
        match &asked.request {
            Request::Info => Some(self.info()),
            Request::Height => Some(Reply::height(self.shown.get().height)),
            Request::Nothing | Request::News(News::Heart) => {
                Some(Reply::acknowledge(&asked.command))
            }
            Request::Block(_) | Request::Digest(_) => {
                let key = Key::of(&asked.request)?;
                self.kept.get(self.shown.get().branch, key).cloned()
            }
            Request::Register(_) | Request::News(_) | Request::Shared(_) => None,
        }
    }

    /// What others work on. `bytes` is what the request takes while it waits.
    fn asked(&mut self, ticket: Ticket, begun: Begun, client: Client, asked: Asked, bytes: usize) {
        let source = source_of(&PeerPublicKey(client.unwrap_or_default()));
        let lost = if let Request::Block(_) | Request::Digest(_) = asked.request {
            if let Some(key) = Key::of(&asked.request) {
                self.keeping.insert(ticket, (key, self.shown.get().branch));
            }
            self.for_readers.push(source, ticket, asked.request, bytes)
        } else {
            let input = Input::Request {
                ticket,
                source,
                client,
                asked,
            };
            self.for_owner.push(source, ticket, input, bytes)
        };
        self.begun.insert(ticket, begun);
        for ticket in lost {
            self.refuse(ticket);
        }
        self.pass_on();
    }

    /// A request that is not answered: its connection is forgotten with all it asked, as if it had
    /// been lost on the way.
    fn lose(&mut self, ticket: Ticket) {
        self.keeping.remove(&ticket);
        if let Some(connection) = self.order.connection(ticket).cloned() {
            self.order.gone(&connection);
        }
    }

    /// A request for which there was no room.
    fn refuse(&mut self, ticket: Ticket) {
        if let Some(begun) = self.begun.remove(&ticket) {
            begun.refuse();
        }
        self.lose(ticket);
    }

    /// Hands on what waits, as far as others may work on it.
    fn pass_on(&mut self) {
        while let Some((ticket, input)) = self.for_owner.pop() {
            // There is room for all that may be at work. During the stop there is not: what is not
            // taken is not acknowledged.
            let is_open = self.order.connection(ticket).is_some();
            if !is_open || self.inputs.try_send(input).is_err() {
                self.for_owner.done(ticket);
                self.begun.remove(&ticket);
                self.lose(ticket);
            }
        }
        while let Some((ticket, request)) = self.for_readers.pop() {
            let is_open = self.order.connection(ticket).is_some();
            if !is_open || self.readers.try_send((ticket, request)).is_err() {
                self.for_readers.done(ticket);
                self.begun.remove(&ticket);
                self.lose(ticket);
            }
        }
    }
}

impl Service for PeerService {
    fn message(&mut self, socket: usize, received: Received) {
        let banned = received
            .client
            .is_some_and(|key| self.access.is_banned(&PeerPublicKey(key)));
        let mut frames = received.frames;
        if frames.is_empty() {
            return;
        }
        let id = frames.remove(0);
        if received.over_bytes {
            // What was dropped still counts as a parameter.
            frames.push(Vec::new());
        }
        let bytes = frames.iter().map(Vec::len).sum();
        let Some((envelope, body)) = Envelope::split(frames) else {
            return;
        };
        let (name, since) = (known_command(&body).unwrap_or(OTHER), Instant::now());
        if banned {
            return self.requests.count(name, REFUSED);
        }
        // Of a message that is too large as a whole the parameters in front count, as of one that has
        // more of them than its command takes.
        let known = match Asked::read(self.chain, body) {
            Err(reply) => Ok(reply),
            Ok(asked) => self.at_once(&asked).ok_or(asked),
        };
        let connection = Connection { socket, id };
        match known {
            Ok(reply) if !self.order.is_waiting(&connection) => {
                self.tally.timed(name, result_of(&reply), since.elapsed());
                let reply = connection.reply(envelope, reply.into_frames());
                self.leaving.push_back(reply);
            }
            known => {
                let begun = self.requests.begun(name, since);
                match (self.order.open(connection, envelope), known) {
                    (None, _) => begun.refuse(),
                    (Some(ticket), Ok(reply)) => self.answer(ticket, reply, Some(begun)),
                    (Some(ticket), Err(asked)) => {
                        self.asked(ticket, begun, received.client, asked, bytes);
                    }
                }
            }
        }
    }

    fn woken(&mut self) {
        while let Ok((ticket, reply)) = self.answers.try_recv() {
            self.for_owner.done(ticket);
            self.for_readers.done(ticket);
            let begun = self.begun.remove(&ticket);
            if let Some((key, asked)) = self.keeping.remove(&ticket) {
                let branch = self.shown.get().branch;
                self.kept.put(asked, branch, key, &reply);
            }
            self.answer(ticket, reply, begun);
        }
        self.pass_on();
    }

    fn event(&mut self, _socket: usize, _event: Event) {}

    fn next_reply(&mut self) -> Option<(usize, Frames)> {
        self.leaving.pop_front()
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

/// The thread that answers questions about blocks from the store.
#[derive(Debug)]
pub struct Readers {
    queue: Option<queue::Sender<Asking>>,
    thread: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl Readers {
    /// Starts it.
    pub fn start(
        room: usize,
        chain: &'static Chain,
        store: Store,
        answer: Sender<Answer>,
        waker: Waker,
    ) -> std::io::Result<Self> {
        let (queue, questions) = queue::bounded::<Asking>(room);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("reader".to_owned())
            .spawn(move || {
                let _guard = store.guard();
                while let Ok((ticket, request)) = questions.recv() {
                    if stopped.load(Ordering::SeqCst) {
                        return;
                    }
                    let reply = from_store(chain, &store, &request);
                    let _ = answer.send((ticket, reply));
                    waker.wake();
                }
            })?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
            stop,
        })
    }

    /// Whether its thread runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|t| !t.is_finished())
    }

    /// Where questions go.
    pub fn queue(&self) -> queue::Sender<Asking> {
        self.queue.clone().unwrap_or_else(|| queue::bounded(0).0)
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // The service holds the other end: one more question wakes the thread.
        if let Some(queue) = self.queue.take() {
            let _ = queue.try_send((Ticket(u64::MAX), Request::Info));
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn from_store(chain: &Chain, store: &Store, request: &Request) -> Reply {
    match request {
        Request::Block(number) => look_up::block(store, *number),
        Request::Digest(number) => look_up::digest(chain, store, *number),
        _ => Reply::block_not_found(),
    }
}

#[cfg(test)]
mod tests;
