//! Requests and published messages: who may say what, and what follows (`proto/peer.md`,
//! sections 2, 3 and 3.2).

use super::{Effect, Engine, Importance, SocketId, Source, Step, source_of};
use crate::core::announce::{self, Registration};
use crate::core::connector::Mode;
use crate::core::keys::PeerPublicKey;
use crate::core::listener::look_up;
use crate::core::listener::{Asked, News, RegisterRequest, Reply, Request, Ticket};
use crate::core::overlay::mempool;
use crate::core::reservoir::{self, Command, Refusal};

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
            // The socket thread and the readers answer these; here they are answered all the same.
            Request::Height => Reply::height(self.ledger.height()),
            Request::Digest(number) => look_up::digest(self.settings.chain, &step.state, number),
            Request::Block(number) => look_up::block(&step.state, number),
            // `I` holds the version, which the shell knows and answers with.
            Request::Info | Request::Nothing => Reply::acknowledge(&command),
            Request::Shared(payload) => {
                let peer = client.filter(|_| self.settings.mempool.enabled);
                let Some(peer) = peer.map(PeerPublicKey) else {
                    let reply = Reply::acknowledge(&command);
                    return step.out.push(Effect::Reply(ticket, reply));
                };
                let input = mempool::Input::Request {
                    ticket: ticket.0,
                    peer,
                    payload,
                };
                return self.share(step, input);
            }
            Request::News(news) => {
                self.bringing = self.origin(client.map(PeerPublicKey));
                let verdict = self.take_news(step, news, source);
                self.bringing = None;
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
        let now = step.now.mono;
        let size = news.size();
        let subscription = self.subscriptions.iter_mut().find(|s| s.socket == socket);
        let is_reply = subscription.is_none();
        let Some(subscription) = subscription.and_then(|s| s.takes(now, size).then_some(s)) else {
            self.stats.refuse("quota of a publisher");
            if is_reply {
                // An upstream's reply that looks like a message: its question has no other.
                self.broken(step, socket, "invalid peer response".to_owned());
            }
            return;
        };
        // Nothing is answered.
        let key = subscription.key;
        self.bringing = Some(key);
        self.take_news(step, news, source_of(&key));
        self.bringing = None;
    }

    fn take_news(&mut self, step: &mut Step<'_>, news: News, source: Source) -> Verdict {
        let (command, data) = match news {
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
                    self.block_news(step, packed, source);
                } else {
                    self.stats.refuse("not available during synchronise");
                }
                return Verdict::Light;
            }
            News::Assets(bytes) => (Command::Assets, bytes),
            News::Issues(bytes) => (Command::Issues, bytes),
            News::Transfer(bytes) => (Command::Transfer, bytes),
            News::Proof(bytes) => (Command::Proof, bytes),
        };
        self.record_news(step, command, data, source)
    }

    fn record_news(
        &mut self,
        step: &mut Step<'_>,
        command: Command,
        data: Vec<u8>,
        source: Source,
    ) -> Verdict {
        let input = reservoir::Input::Peer {
            command,
            data,
            source: (source != 0).then_some(source),
            ticket: 0,
        };
        let refusal = match self.pools(step, input) {
            Some(Err(refusal)) => refusal,
            Some(Ok(_)) => {
                self.stats.taken += 1;
                self.stats.request(command.text(), "taken");
                return Verdict::Kept;
            }
            None => return Verdict::Light,
        };
        if let Refusal::Store(fault) = &refusal {
            Self::store_fault(step, fault);
            return Verdict::Light;
        }
        let text = refusal.to_string();
        self.stats.refuse(&text);
        self.stats.request(command.text(), "refused");
        step.log(
            Importance::Detail,
            format!("{} refused: {text}", command.text()),
        );
        match refusal {
            Refusal::Synchronising => Verdict::Light,
            // The first of its kind may still be on its way to the disk; and of several
            // assets the first ones stay.
            Refusal::AlreadyExists
            | Refusal::NothingNew
            | Refusal::PayIdAlreadyUsed
            | Refusal::DoubleTransfer => Verdict::Kept,
            _ if command == Command::Assets => Verdict::Kept,
            _ => Verdict::Light,
        }
    }
}
