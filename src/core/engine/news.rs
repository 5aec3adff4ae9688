//! Requests and published messages: who may say what, and what follows (`proto/peer.md`,
//! sections 2, 3 and 3.2).

use super::{Effect, Engine, Importance, SocketId, Source, Step};
use crate::core::announce::{self, Registration};
use crate::core::connector::Mode;
use crate::core::listener::{Asked, News, RegisterRequest, Reply, Request, Ticket};
use crate::core::reservoir::{Confirmed, Message, Refusal, ReservoirError};

/// What became of a message.
enum Verdict {
    /// Nothing that has to be kept: it is answered at once.
    Light,
    /// It is kept, or was before: the answer leaves after the flush.
    Kept,
}

impl Engine {
    pub(super) fn request(
        &mut self,
        step: &mut Step<'_>,
        ticket: Ticket,
        source: Source,
        client: Option<[u8; 32]>,
        asked: Asked,
    ) {
        let Asked { command, request } = asked;
        let reply = match request {
            Request::Register(request) => {
                let reply = self.register(step, source, client, request);
                step.out.push(Effect::Reply(ticket, reply));
                return;
            }
            // The socket thread answers these itself; here they are answered all the same.
            Request::Height => Reply::height(self.ledger.height()),
            Request::Digest(number) => match self.ledger.digest_of(&step.state, number) {
                Ok(digest) => Reply::digest(&digest),
                Err(_) => Reply::block_not_found(),
            },
            Request::Block(number) => match crate::core::ledger::read::block(&step.state, number) {
                Ok(Some(packed)) => Reply::block(packed),
                _ => Reply::block_not_found(),
            },
            Request::Info | Request::Nothing => Reply::acknowledge(&command),
            Request::News(news) => {
                let verdict = self.take_news(step, news, source);
                let reply = Effect::Reply(ticket, Reply::acknowledge(&command));
                match verdict {
                    Verdict::Light => step.out.push(reply),
                    Verdict::Kept => step.after.push(reply),
                }
                return;
            }
        };
        step.out.push(Effect::Reply(ticket, reply));
    }

    fn register(
        &mut self,
        step: &mut Step<'_>,
        source: Source,
        client: Option<[u8; 32]>,
        request: RegisterRequest,
    ) -> Reply {
        let registration = Registration {
            key: request.key,
            listeners: request.listeners,
            timestamp: request.timestamp,
            source,
            client_key: client,
        };
        let mut effects = Vec::new();
        let other = self
            .announce
            .register(step.now, &registration, &mut effects);
        self.announced(step, effects);
        Reply::registered(self.settings.chain, &other)
    }

    pub(super) fn published(&mut self, step: &mut Step<'_>, socket: SocketId, news: News) {
        self.heard(step, socket);
        // Nothing is answered; sources of publishers are apart from those of clients.
        let source = socket | 1 << 63;
        self.take_news(step, news, source);
    }

    fn take_news(&mut self, step: &mut Step<'_>, news: News, source: Source) -> Verdict {
        let message = match news {
            News::Heart => return Verdict::Light,
            News::Peer(parameters) => {
                self.announce(step, announce::Input::PeerNews(parameters, source));
                return Verdict::Light;
            }
            News::Rpc(parameters) => {
                self.announce(step, announce::Input::RpcNews(parameters, source));
                return Verdict::Light;
            }
            News::Block(packed) => {
                if self.connector.mode() == Mode::Normal {
                    self.block_news(step, packed);
                } else {
                    self.stats.refuse("not available during synchronise");
                }
                return Verdict::Light;
            }
            News::Assets(bytes) => Message::Assets(bytes),
            News::Issues(bytes) => Message::Issues(bytes),
            News::Transfer(bytes) => Message::Transfer(bytes),
            News::Proof(bytes) => Message::Proof(bytes),
        };
        self.record_news(step, &message, source)
    }

    fn record_news(&mut self, step: &mut Step<'_>, message: &Message, source: Source) -> Verdict {
        if self.connector.mode() != Mode::Normal {
            self.stats.refuse(&Refusal::NotAvailable.to_string());
            return Verdict::Light;
        }
        let state = Confirmed {
            view: &step.state,
            ledger: &self.ledger,
        };
        let result = self.reservoir.message(step.now, message, source, state);
        self.take_reservoir_changes(step);
        match result {
            Ok(_) => {
                self.stats.taken += 1;
                let frames = vec![
                    message.command().as_bytes().to_vec(),
                    message.bytes().to_vec(),
                ];
                self.relay(step, frames);
                Verdict::Kept
            }
            Err(ReservoirError::Refused(refusal)) => {
                let text = refusal.to_string();
                self.stats.refuse(&text);
                step.log(
                    Importance::Detail,
                    format!("{} refused: {text}", message.command()),
                );
                match refusal {
                    // The first of its kind may still be on its way to the disk; and of several
                    // assets the first ones stay.
                    Refusal::AlreadyExists
                    | Refusal::NoNewTransactions
                    | Refusal::PayIdUsed
                    | Refusal::DoubleTransfer => Verdict::Kept,
                    _ if matches!(message, Message::Assets(_)) => Verdict::Kept,
                    _ => Verdict::Light,
                }
            }
            Err(ReservoirError::Store(fault)) => {
                Self::store_fault(step, &fault);
                Verdict::Light
            }
            Err(ReservoirError::Ledger(e)) => {
                step.log(Importance::Warning, format!("{}: {e}", message.command()));
                Verdict::Light
            }
        }
    }
}
