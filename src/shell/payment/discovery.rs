//! The discovery mode: a thread that hears what the discovery service publishes, and asks it about
//! the past each time the connection stands (`proto/reservoir.md`, section 14).
//!
//! Plain ZeroMQ. The library connects again by itself, but not after a message over its limit, or
//! to somebody who does not speak its protocol: while nothing is connected a new socket is made,
//! after a pause that grows. A question without a good answer in time is given up, its socket
//! closed, and asked again after such a pause. Nothing waits without an end, and what is heard is
//! not held up by what is asked. The first failure of several in a row is told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

use super::{Backoff, Sink, Trouble, now};
use crate::core::currency::Currency;
use crate::core::reservoir::{SeenPayment, detection};
use crate::shell::counters::Health;
use crate::shell::zmq::monitor::{Event, Watched};
use crate::shell::zmq::receive::{self, Received, Sent};
use crate::shell::zmq::signal::{Signal, Waker};
use crate::shell::zmq::{Context, SocketError, options, poll};

/// Messages taken before questions get their turn.
const TURN: usize = 32;
const TICK_MS: i64 = 1000;
/// Largest answer about the past: it tells of 72 hours at once, so it may be more than a message.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// How long a connection may take to shake hands before a new one is made.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Where the service is, and how long it may take.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// What it publishes.
    pub publisher: SocketAddr,
    /// Where it answers.
    pub replier: SocketAddr,
    /// How long an answer may take.
    pub answer_within: Duration,
    /// The pause after the first question without an answer; it doubles.
    pub retry: Duration,
    /// At most so long.
    pub retry_max: Duration,
    /// The largest answer, in bytes.
    pub answer_bytes: usize,
    /// So long nothing is connected before a new socket is made; it doubles.
    pub renew: Duration,
    /// At most so long.
    pub renew_max: Duration,
}

impl Setup {
    /// With the usual times.
    #[must_use]
    pub const fn new(publisher: SocketAddr, replier: SocketAddr) -> Self {
        Self {
            publisher,
            replier,
            answer_within: Duration::from_secs(30),
            retry: Duration::from_secs(5),
            retry_max: Duration::from_secs(300),
            answer_bytes: ANSWER_BYTES_MAX,
            renew: Duration::from_secs(2),
            renew_max: Duration::from_secs(30),
        }
    }
}

/// A running watcher. Dropping it ends it.
#[derive(Debug)]
pub struct Watcher {
    /// How the service is, for each coin.
    pub health: Healths,
    stop: Option<Sender<()>>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

/// How the service is, for each coin that it tells of.
pub type Healths = BTreeMap<Currency, Health>;

/// A question that waits for its answer.
struct Asking {
    line: Watched,
    currency: Currency,
    /// Hands were shaken.
    is_connected: bool,
    is_sent: bool,
    ends: Instant,
}

/// Dials what hears the publisher, under the number of a socket that no other has.
fn subscribe(context: &Context, setup: &Setup, number: u64) -> Result<Watched, SocketError> {
    dial(
        context,
        zmq::SocketType::SUB,
        setup,
        &setup.publisher,
        number,
    )
}

fn dial(
    context: &Context,
    kind: zmq::SocketType,
    setup: &Setup,
    address: &SocketAddr,
    number: u64,
) -> Result<Watched, SocketError> {
    let socket = options::plain(context, kind, address)?;
    if kind == zmq::SocketType::REQ {
        socket.set_maxmsgsize(i64::try_from(setup.answer_bytes).unwrap_or(i64::MAX))?;
    }
    let watched = Watched::new(context, socket, &format!("payment-discovery-{number}"))?;
    let endpoint = options::endpoint(address);
    let connected = watched.socket().connect(&endpoint);
    connected.map_err(|e| SocketError::Address(endpoint, e))?;
    Ok(watched)
}

struct Loop {
    context: Context,
    setup: Setup,
    /// What hears the publisher.
    line: Watched,
    /// Sockets dialled so far.
    dialled: u64,
    /// Since when the publisher's connection stands.
    stands_since: Option<Instant>,
    /// Hands are being shaken.
    is_greeting: bool,
    /// When a new socket is made, if nothing is connected.
    renew_at: Instant,
    renewal: Backoff,
    signal: Signal,
    stopped: Receiver<()>,
    sink: Sink,
    /// Coins that are still to be asked about.
    due: Vec<Currency>,
    not_before: Instant,
    asking: Option<Asking>,
    backoff: Backoff,
    trouble: Trouble,
    health: Healths,
}

impl Watcher {
    /// Starts to watch. Whether anybody is there does not matter.
    ///
    /// # Errors
    /// What the library or the system refuses.
    pub fn start(context: &Context, setup: Setup, sink: Sink) -> Result<Self, SocketError> {
        let (waker, signal) = Signal::pair(context, "payment-discovery-signal")?;
        let line = subscribe(context, &setup, 0)?;
        let mut renewal = Backoff::new(setup.renew, setup.renew_max);
        let (stop, stopped) = bounded(0);
        let coins = Currency::PAYABLE.into_iter();
        let health: Healths = coins.map(|coin| (coin, Health::default())).collect();
        let mut state = Loop {
            context: context.clone(),
            setup,
            line,
            dialled: 1,
            stands_since: None,
            is_greeting: false,
            renew_at: Instant::now() + renewal.pause(),
            renewal,
            signal,
            stopped,
            sink,
            due: Vec::new(),
            not_before: Instant::now(),
            asking: None,
            backoff: Backoff::new(setup.retry, setup.retry_max),
            trouble: Trouble::with(format!(
                "the discovery service at {} and {}",
                setup.publisher, setup.replier
            )),
            health: health.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("payment-discovery".to_owned())
            .spawn(move || {
                if let Err(e) = state.run() {
                    log::error!(target: "payment", "the discovery service is not watched any more: {e}");
                }
            })?;
        Ok(Self {
            health,
            stop: Some(stop),
            waker,
            thread: Some(thread),
        })
    }

    /// Whether its thread runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|t| !t.is_finished())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Loop {
    fn run(&mut self) -> Result<(), SocketError> {
        while self.stopped.try_recv() == Err(TryRecvError::Empty) {
            self.wait()?;
            self.signal.lower();
            self.connections();
            self.renew();
            self.hear()?;
            self.questions()?;
        }
        Ok(())
    }

    fn wait(&self) -> Result<(), SocketError> {
        let mut items = vec![
            self.signal.poll_item(),
            self.line.poll_item(),
            self.line.socket().as_poll_item(zmq::POLLIN),
        ];
        let mut until = None;
        if let Some(asking) = &self.asking {
            let events = if asking.is_sent {
                zmq::POLLIN
            } else {
                zmq::POLLOUT
            };
            items.push(asking.line.socket().as_poll_item(events));
            items.push(asking.line.poll_item());
            until = Some(asking.ends);
        } else if !self.due.is_empty() {
            until = Some(self.not_before);
        }
        if self.stands_since.is_none() {
            until = Some(until.map_or(self.renew_at, |until| until.min(self.renew_at)));
        }
        let left = until.map_or(i64::MAX, |until| {
            let left = until.saturating_duration_since(Instant::now());
            // Rounded up, so that the moment has come when the wait is over.
            i64::try_from(left.as_millis())
                .unwrap_or(i64::MAX)
                .saturating_add(1)
        });
        Ok(poll(&mut items, left.min(TICK_MS))?)
    }

    /// Each time the connection stands, the past is asked about: what was missed meanwhile.
    fn connections(&mut self) {
        for event in self.line.events() {
            match event {
                Event::Connected => {
                    self.is_greeting = true;
                    self.renew_at = self.renew_at.max(Instant::now() + HANDSHAKE);
                }
                Event::HandshakeSucceeded => self.stands(),
                Event::HandshakeFailed | Event::Disconnected => self.ended(),
                Event::Accepted | Event::Other(_) => {}
            }
        }
    }

    fn stands(&mut self) {
        log::info!(target: "payment", "connected to the discovery service at {}", self.setup.publisher);
        self.is_greeting = false;
        self.stands_since = Some(Instant::now());
        self.due = Currency::PAYABLE.to_vec();
        self.not_before = Instant::now();
        self.backoff.reset();
    }

    fn ended(&mut self) {
        let address = self.setup.publisher;
        if let Some(since) = self.stands_since.take() {
            self.health.values().for_each(Health::gone);
            self.trouble.failed(format!(
                "the connection to {address} ended: the service went, or published more than {} bytes at once",
                options::MAX_MESSAGE
            ));
            if since.elapsed() >= self.setup.renew_max {
                self.renewal.reset();
            }
        } else if std::mem::take(&mut self.is_greeting) {
            self.health.values().for_each(Health::failed);
            self.trouble
                .failed(format!("{address} does not speak the protocol of ZeroMQ"));
        } else {
            // The second event of the same end.
            return;
        }
        self.is_greeting = false;
        self.renew_at = Instant::now() + self.renewal.pause();
    }

    /// A new socket, if nothing is connected for long: the library may have given up the old one.
    fn renew(&mut self) {
        if self.stands_since.is_some() || Instant::now() < self.renew_at {
            return;
        }
        self.trouble
            .failed(format!("no connection to {}", self.setup.publisher));
        self.renew_at = Instant::now() + self.renewal.pause();
        self.is_greeting = false;
        let number = self.next_number();
        match subscribe(&self.context, &self.setup, number) {
            Ok(line) => self.line = line,
            Err(e) => self.trouble.failed(e),
        }
    }

    const fn next_number(&mut self) -> u64 {
        let number = self.dialled;
        self.dialled = number.wrapping_add(1);
        number
    }

    fn hear(&mut self) -> Result<(), SocketError> {
        for _ in 0..TURN {
            let Some(received) = receive::message(self.line.socket())? else {
                break;
            };
            if received.over_bytes {
                continue;
            }
            let frames: Vec<&[u8]> = received.frames.iter().map(Vec::as_slice).collect();
            // Unknown coins and garbage are passed over.
            if let Some(payment) = detection::discovery_message(&frames) {
                self.tell(payment);
            }
        }
        Ok(())
    }

    fn tell(&mut self, payment: SeenPayment) {
        if let Some(health) = self.health.get(&payment.currency) {
            health.paid();
        }
        (self.sink)(payment);
    }

    fn questions(&mut self) -> Result<(), SocketError> {
        let Some(mut asking) = self.asking.take() else {
            self.ask_next();
            return Ok(());
        };
        if !asking.is_sent {
            let question = detection::discovery_request(asking.currency, now());
            asking.is_sent = receive::send(asking.line.socket(), &question)? == Sent::Done;
        }
        // Before the answer is looked for: what came before the end counts.
        let end = asking.end(&self.setup);
        let answer = match receive::message_within(asking.line.socket(), self.setup.answer_bytes) {
            Ok(answer) => answer,
            // Nothing was asked yet.
            Err(zmq::Error::EFSM) => None,
            Err(e) => return Err(e.into()),
        };
        if let Some(answer) = answer {
            self.answered(asking.currency, &answer);
        } else if let Some(why) = end {
            self.unanswered(asking.currency, why);
        } else {
            self.asking = Some(asking);
        }
        Ok(())
    }

    /// The socket went with its question: a late answer reaches nobody.
    fn unanswered(&mut self, currency: Currency, why: impl std::fmt::Display) {
        if let Some(health) = self.health.get(&currency) {
            health.failed();
        }
        self.trouble.failed(format!("{}: {why}", currency.text()));
        self.due.push(currency);
        self.not_before = Instant::now() + self.backoff.pause();
    }

    fn answered(&mut self, currency: Currency, answer: &Received) {
        if answer.over_bytes {
            let most = self.setup.answer_bytes;
            self.unanswered(currency, format!("the answer has more than {most} bytes"));
            return;
        }
        let frames: Vec<&[u8]> = answer.frames.iter().map(Vec::as_slice).collect();
        let payments = match detection::discovery_answer(currency, &frames) {
            Ok(payments) => payments,
            Err(why) => {
                self.unanswered(currency, why);
                return;
            }
        };
        // Others may be asked about again, without an answer so far.
        if self.due.is_empty() {
            self.backoff.reset();
            if self.stands_since.is_some() {
                self.trouble.works();
            }
        }
        if let Some(health) = self.health.get(&currency) {
            health.answered(now());
        }
        for payment in payments {
            self.tell(payment);
        }
    }

    fn ask_next(&mut self) {
        if self.due.is_empty() || Instant::now() < self.not_before {
            return;
        }
        let currency = self.due.remove(0);
        let number = self.next_number();
        let (kind, address) = (zmq::SocketType::REQ, self.setup.replier);
        match dial(&self.context, kind, &self.setup, &address, number) {
            Ok(line) => {
                self.asking = Some(Asking {
                    line,
                    currency,
                    is_connected: false,
                    is_sent: false,
                    ends: Instant::now() + self.setup.answer_within,
                });
            }
            Err(e) => self.unanswered(currency, e),
        }
    }
}

impl Asking {
    /// Why there will be no answer any more, once that is known.
    fn end(&mut self, setup: &Setup) -> Option<String> {
        let address = setup.replier;
        for event in self.line.events() {
            match event {
                Event::HandshakeSucceeded => self.is_connected = true,
                Event::HandshakeFailed | Event::Disconnected => {
                    return Some(if self.is_connected {
                        format!(
                            "the connection to {address} ended without an answer: the service went, or its answer has more than {} bytes",
                            setup.answer_bytes
                        )
                    } else {
                        format!("{address} does not speak the protocol of ZeroMQ")
                    });
                }
                Event::Connected | Event::Accepted | Event::Other(_) => {}
            }
        }
        (Instant::now() >= self.ends).then(|| {
            let within = setup.answer_within.as_secs();
            if self.is_connected {
                format!("no answer within {within} s")
            } else {
                format!("no connection to {address} within {within} s")
            }
        })
    }
}
