//! The discovery mode: a thread that hears what the discovery service publishes, and asks it about
//! the past each time the connection stands (`proto/reservoir.md`, section 14).
//!
//! Plain ZeroMQ. The library connects again by itself; a question without an answer in time is
//! given up, its socket closed, and asked again after a pause that grows. Nothing waits without
//! an end, and what is heard is not held up by what is asked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

use super::{Backoff, Sink, Trouble, now};
use crate::core::currency::Currency;
use crate::core::reservoir::{SeenPayment, detection};
use crate::shell::counters::Health;
use crate::shell::zmq::monitor::{Event, Monitor};
use crate::shell::zmq::receive::{self, Sent};
use crate::shell::zmq::signal::{Signal, Waker};
use crate::shell::zmq::{Context, SocketError, options, poll};

/// Messages taken before questions get their turn.
const TURN: usize = 32;
const TICK_MS: i64 = 1000;

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
    socket: zmq::Socket,
    currency: Currency,
    is_sent: bool,
    ends: Instant,
}

struct Loop {
    context: Context,
    setup: Setup,
    subscriber: zmq::Socket,
    monitor: Monitor,
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
        let subscriber = options::plain(context, zmq::SocketType::SUB, &setup.publisher)?;
        let monitor = Monitor::of(context, &subscriber, "payment-discovery-monitor")?;
        let endpoint = options::endpoint(&setup.publisher);
        subscriber
            .connect(&endpoint)
            .map_err(|e| SocketError::Address(endpoint, e))?;
        let (stop, stopped) = bounded(0);
        let coins = Currency::PAYABLE.into_iter();
        let health: Healths = coins.map(|coin| (coin, Health::default())).collect();
        let mut state = Loop {
            context: context.clone(),
            setup,
            subscriber,
            monitor,
            signal,
            stopped,
            sink,
            due: Vec::new(),
            not_before: Instant::now(),
            asking: None,
            backoff: Backoff::new(setup.retry, setup.retry_max),
            trouble: Trouble::with(format!("the discovery service at {}", setup.replier)),
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
            self.hear()?;
            self.questions()?;
        }
        Ok(())
    }

    fn wait(&self) -> Result<(), SocketError> {
        let mut items = vec![
            self.signal.poll_item(),
            self.monitor.poll_item(),
            self.subscriber.as_poll_item(zmq::POLLIN),
        ];
        let mut until = None;
        if let Some(asking) = &self.asking {
            let events = if asking.is_sent {
                zmq::POLLIN
            } else {
                zmq::POLLOUT
            };
            items.push(asking.socket.as_poll_item(events));
            until = Some(asking.ends);
        } else if !self.due.is_empty() {
            until = Some(self.not_before);
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
        let events = self.monitor.events();
        if events.contains(&Event::Disconnected) {
            self.health.values().for_each(Health::gone);
        }
        if events.contains(&Event::HandshakeSucceeded) {
            log::info!(target: "payment", "connected to the discovery service at {}", self.setup.publisher);
            self.due = Currency::PAYABLE.to_vec();
            self.not_before = Instant::now();
            self.backoff.reset();
        }
    }

    fn hear(&mut self) -> Result<(), SocketError> {
        for _ in 0..TURN {
            let Some(received) = receive::message(&self.subscriber)? else {
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
            return self.ask_next();
        };
        if !asking.is_sent {
            let question = detection::discovery_request(asking.currency, now());
            asking.is_sent = receive::send(&asking.socket, &question)? == Sent::Done;
        }
        let answer = match receive::message(&asking.socket) {
            Ok(answer) => answer,
            // Nothing was asked yet.
            Err(zmq::Error::EFSM) => None,
            Err(e) => return Err(e.into()),
        };
        if let Some(answer) = answer {
            self.answered(&asking, &answer.frames);
        } else if Instant::now() < asking.ends {
            self.asking = Some(asking);
        } else {
            // The socket goes with its question: a late answer reaches nobody.
            if let Some(health) = self.health.get(&asking.currency) {
                health.failed();
            }
            self.trouble.failed(format!(
                "no answer about {} within {} s",
                asking.currency.text(),
                self.setup.answer_within.as_secs()
            ));
            self.due.push(asking.currency);
            self.not_before = Instant::now() + self.backoff.pause();
        }
        Ok(())
    }

    fn answered(&mut self, asking: &Asking, frames: &[Vec<u8>]) {
        let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
        self.trouble.works();
        self.backoff.reset();
        if let Some(health) = self.health.get(&asking.currency) {
            health.answered(now());
        }
        for payment in detection::discovery_answer(asking.currency, &frames).unwrap_or_default() {
            self.tell(payment);
        }
    }

    fn ask_next(&mut self) -> Result<(), SocketError> {
        if self.due.is_empty() || Instant::now() < self.not_before {
            return Ok(());
        }
        let currency = self.due.remove(0);
        let socket = options::plain(&self.context, zmq::SocketType::REQ, &self.setup.replier)?;
        let endpoint = options::endpoint(&self.setup.replier);
        socket
            .connect(&endpoint)
            .map_err(|e| SocketError::Address(endpoint, e))?;
        self.asking = Some(Asking {
            socket,
            currency,
            is_sent: false,
            ends: Instant::now() + self.setup.answer_within,
        });
        Ok(())
    }
}
