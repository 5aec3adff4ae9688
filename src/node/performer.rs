//! Performing effects. Clones are handed to the flusher with what has to wait for it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::Sender;

use super::clients::Desks;
use super::listener::Answer;
use super::operator::Operator;
use super::queue;
use crate::core::chain::Chain;
use crate::core::engine::{Effect, Input};
use crate::core::listener::request;
use crate::core::wire::connection::Connection;
use crate::shell::digest::{DigestWorkers, Done};
use crate::shell::memory;
use crate::shell::zmq::outward::{News, Order, Orders};
use crate::shell::zmq::{Access, Waker};

/// Everything that effects are performed with.
#[derive(Clone)]
pub struct Performer {
    pub(super) outward: Orders,
    pub(super) work: Orders,
    pub(super) replies: Sender<Answer>,
    pub(super) listener: Waker,
    pub(super) submission_replies: Sender<(u64, String)>,
    pub(super) submission: Option<Waker>,
    pub(super) operator: Operator,
    pub(super) desks: Desks,
    pub(super) access: Access,
    pub(super) workers: Arc<DigestWorkers>,
    pub(super) background: Arc<DigestWorkers>,
    pub(super) inputs: queue::Sender<Input>,
    pub(super) fatal: Sender<String>,
    /// Where subscribers are connected.
    pub(super) publishing: Vec<SocketAddr>,
}

fn socket(address: &Connection) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port())
}

impl Performer {
    /// Performs an effect that is no commit.
    pub fn perform(&self, effect: Effect) {
        match effect {
            Effect::Reply(ticket, reply) => {
                let _ = self.replies.send((ticket, reply));
                self.listener.wake();
            }
            Effect::Dial(id, key, address) => {
                self.outward.give(Order::Dial(id, key, socket(&address)));
            }
            Effect::Subscribe(id, key, address) => {
                self.outward
                    .give(Order::Subscribe(id, key, socket(&address)));
            }
            Effect::Request(id, frames) => self.outward.give(Order::Request(id, frames)),
            Effect::Close(id) => self.outward.give(Order::Close(id)),
            Effect::Publish(frames) => self.outward.give(Order::Publish(frames)),
            Effect::Work(text) => self.work.give(Order::Publish(vec![text.into_bytes()])),
            Effect::SubmissionReply(client, text) => {
                let _ = self.submission_replies.send((client, text));
                if let Some(waker) = &self.submission {
                    waker.wake();
                }
            }
            Effect::Digest(request, header) => {
                let is_taken = self.workers.compute(*header, self.digest_of(request));
                tell_untaken(is_taken);
            }
            Effect::PrepareDigest(request, header) => {
                let is_taken = self.workers.prepare(*header, self.digest_of(request));
                tell_untaken(is_taken);
            }
            Effect::HurryDigest(header) => self.workers.hurry(&header),
            Effect::Ban(key, until) => {
                self.access.ban(key, until);
                // A subscriber is seen again only when it connects: all of them do.
                if until > 0 {
                    for port in self.publishing.iter().map(SocketAddr::port) {
                        memory::close_connections_at(port);
                    }
                }
            }
            Effect::Control(token, answer) => self.operator.answer(token, answer),
            Effect::Rpc(token, outcome) => self.desks.calls.answer(token, outcome),
            Effect::Explored(token, shown) => self.desks.views.answer(token, shown),
            Effect::Log(importance, text) => super::log(importance, &text),
            Effect::Fatal(why) => {
                let _ = self.fatal.try_send(why);
            }
            Effect::CheckDigest(request, header) => {
                if !self.background.compute(*header, self.digest_of(request)) {
                    log::warn!("a digest is not checked; the node is stopping");
                }
            }
            // Commits and what changes all of the store are the owner's.
            Effect::Commit(..) | Effect::Rebuild(_) => {}
        }
    }

    /// Gives a digest that was asked for to the owner.
    fn digest_of(&self, request: u64) -> Done {
        let inputs = self.inputs.clone();
        Box::new(move |digest| {
            let _ = inputs.send(Input::Digest(request, digest));
        })
    }
}

fn tell_untaken(is_taken: bool) {
    if !is_taken {
        log::warn!("a digest found no worker; the node is stopping or overloaded");
    }
}

/// Bytes of publishers' messages that wait for the owner.
const PUBLISHED_BYTES: u64 = 32 << 20;

/// The room for what publishers say. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Room(Arc<AtomicU64>);

impl Room {
    /// Takes so many bytes, if there is room for them.
    fn take(&self, bytes: u64) -> bool {
        let more = |used: u64| {
            let used = used.saturating_add(bytes);
            (used <= PUBLISHED_BYTES).then_some(used)
        };
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok()
    }

    /// Gives them back.
    pub fn give(&self, bytes: u64) {
        let less = |used: u64| Some(used.saturating_sub(bytes));
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

/// What the outgoing sockets tell, as inputs. What publishers say takes half of the queue at most,
/// and [`PUBLISHED_BYTES`], so that requests and replies always have room.
pub fn told(chain: &Chain, news: News, inputs: &queue::Sender<Input>, room: &Room) {
    match news {
        News::Received(id, frames) => {
            // Request sockets give replies, subscriptions messages: a reply never begins with the
            // name of the chain.
            let is_message = frames
                .first()
                .is_some_and(|frame| frame == chain.name.as_bytes());
            if is_message {
                let news = request::published(chain, frames);
                let bytes = news.as_ref().map_or(0, request::News::size);
                let half = inputs.capacity() / 2;
                if inputs.len() < half && room.take(bytes) {
                    let input =
                        news.map_or(Input::PublishedOther(id), |news| Input::Published(id, news));
                    if inputs.try_send(input).is_err() {
                        room.give(bytes);
                    }
                }
            } else {
                let _ = inputs.send(Input::Reply(id, frames));
            }
        }
        News::Connected(_) => {}
        News::Failed(id, why) => {
            let _ = inputs.send(Input::Broken(id, why));
        }
    }
}
