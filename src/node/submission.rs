//! What miners hand in, on its socket thread: each goes to the owner, each gets one reply.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::Receiver;

use super::queue;
use crate::core::engine::Input;
use crate::core::keys::PeerPublicKey;
use crate::core::listener::{Connection, Envelope, ReplyOrder, Ticket};
use crate::core::mining::machine::WAITING_OF_CLIENT_MAX;
use crate::core::mining::submission::{self, Submission};
use crate::shell::zmq::monitor::Event;
use crate::shell::zmq::receive::Received;
use crate::shell::zmq::server::Service;
use crate::shell::zmq::{Access, Frames};

/// The service.
pub struct SubmissionService {
    order: ReplyOrder,
    inputs: queue::Sender<Input>,
    answers: Receiver<(u64, String)>,
    leaving: VecDeque<(usize, Frames)>,
    open: BTreeMap<u64, (Ticket, Option<[u8; 32]>)>,
    access: Access,
    stop: Arc<AtomicBool>,
}

impl SubmissionService {
    /// A service that has answered nothing yet.
    pub fn new(
        inputs: queue::Sender<Input>,
        answers: Receiver<(u64, String)>,
        access: Access,
        stop: Arc<AtomicBool>,
    ) -> Self {
        Self {
            order: ReplyOrder::new(),
            inputs,
            answers,
            leaving: VecDeque::new(),
            open: BTreeMap::new(),
            access,
            stop,
        }
    }

    fn answer(&mut self, ticket: Ticket, text: String) {
        let reply = vec![text.into_bytes()];
        self.leaving.extend(self.order.answer(ticket, reply));
    }
}

impl Service for SubmissionService {
    fn message(&mut self, socket: usize, received: Received) {
        let banned = received
            .client
            .is_some_and(|key| self.access.is_banned(&PeerPublicKey(key)));
        let mut frames = received.frames;
        if banned || frames.is_empty() {
            return;
        }
        let id = frames.remove(0);
        let Some((envelope, mut body)) = Envelope::split(frames) else {
            return;
        };
        let Some(ticket) = self.order.open(Connection { socket, id }, envelope) else {
            return;
        };
        let frame = if received.over_bytes || body.is_empty() {
            Vec::new()
        } else {
            body.swap_remove(0)
        };
        let of_client = self
            .open
            .values()
            .filter(|(_, client)| *client == received.client)
            .count();
        if of_client >= WAITING_OF_CLIENT_MAX {
            let job = Submission::read(&frame).job;
            self.answer(ticket, submission::reply(&job, false));
            return;
        }
        self.open.insert(ticket.0, (ticket, received.client));
        if self
            .inputs
            .try_send(Input::Submission(ticket.0, frame))
            .is_err()
        {
            self.open.remove(&ticket.0);
            self.answer(ticket, submission::reply("", false));
        }
    }

    fn woken(&mut self) {
        while let Ok((client, text)) = self.answers.try_recv() {
            if let Some((ticket, _)) = self.open.remove(&client) {
                self.answer(ticket, text);
            }
        }
    }

    fn event(&mut self, _socket: usize, _event: Event) {}

    fn next_reply(&mut self) -> Option<(usize, Frames)> {
        self.leaving.pop_front()
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}
