//! A running node: machines and shells joined with bounded channels; start and stop in order.
//!
//! | thread | what it does | never |
//! | --- | --- | --- |
//! | `listener` | reads requests, answers `I`, `N`, errors and unknown words itself | waits |
//! | `reader` | answers `B` and `H` from the store | decides |
//! | `owner` | runs the engine, applies its batches | flushes, computes a digest |
//! | `checker-N` | signatures of what waits for the owner, and of blocks | decides |
//! | `flusher` | group commit; then lets go of what waited for it | decides |
//! | `digest-N` | digests | anything else |
//! | `check` | digests that came with a snapshot, when the machine has nothing better to do | anything else |
//! | `outward` | all sockets that go out, and the publisher | decides |
//! | `submission` | what miners hand in | computes |
//! | `control` | the operator's socket | decides |
//! | `payment-X` | looks for payments in the chains of coins | decides |

mod ahead;
mod clients;
mod counting;
mod desk;
mod explorer;
mod listener;
mod operator;
mod owner;
mod payment;
mod performer;
mod queue;
mod setup;
mod snapshot;
mod storage;
mod submission;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use crossbeam_channel::{Receiver, bounded};

use crate::core::engine::{Engine, Importance, Input, Status};
use crate::core::time::Now;
use crate::shell::control::ControlServer;
use crate::shell::digest::DigestWorkers;
use crate::shell::files::atomic;
use crate::shell::files::config::Config;
use crate::shell::logging::Log;
use crate::shell::signatures::Cores;
use crate::shell::store::Flusher;
use crate::shell::zmq::outward::{News as SocketNews, Outward, Publishing};
use crate::shell::zmq::server::{Binding, Bound, Server};
use crate::shell::zmq::{Access, AccessThread, Context};

pub use setup::caps;
pub use snapshot::Taking;
pub use storage::{Storage, rebuild as rebuild_store};

/// Inputs that wait for the owner. More than requests can be open at a time.
const OWNER_QUEUE: usize = 16_384;
/// Requests for blocks and digests that wait.
const READER_QUEUE: usize = 8_192;

/// The clocks.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// The moment.
    #[must_use]
    pub fn now(&self) -> Now {
        let mono = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_secs());
        Now { mono, wall }
    }
}

/// What the socket thread knows of the node without asking.
#[derive(Debug, Default)]
struct Shown {
    normal: AtomicBool,
    height: AtomicU64,
    branch: AtomicU64,
}

impl Shown {
    fn set(&self, status: Status) {
        self.height.store(status.height, Ordering::Release);
        self.branch.store(status.branch, Ordering::Release);
        self.normal.store(status.normal, Ordering::Release);
    }

    fn get(&self) -> Status {
        Status {
            normal: self.normal.load(Ordering::Acquire),
            height: self.height.load(Ordering::Acquire),
            branch: self.branch.load(Ordering::Acquire),
        }
    }
}

/// Where a node's services were bound.
#[derive(Debug, Clone, Default)]
pub struct Bindings {
    /// Requests.
    pub peer: Vec<SocketAddr>,
    /// The publisher.
    pub publish: Vec<SocketAddr>,
    /// Work for miners.
    pub work: Vec<SocketAddr>,
    /// Their results.
    pub submit: Vec<SocketAddr>,
    /// JSON-RPC over TLS.
    pub rpc: Vec<SocketAddr>,
    /// HTTPS.
    pub https: Vec<SocketAddr>,
}

/// A running node. Dropping it stops it.
#[derive(Debug)]
pub struct Node {
    /// Where its services are.
    pub bindings: Bindings,
    stop: Arc<AtomicBool>,
    fatal: Receiver<String>,
    listener: Option<Server>,
    submission: Option<Server>,
    owner: Option<owner::Owner>,
    control: Option<ControlServer>,
    clients: Option<clients::Clients>,
    payments: Option<payment::Watchers>,
    workers: Arc<DigestWorkers>,
    /// For digests that came with a snapshot.
    background: Arc<DigestWorkers>,
    cores: Cores,
    flusher: Option<Arc<Flusher>>,
    outward: Option<Outward>,
    work: Option<Outward>,
    reader: Option<listener::Readers>,
    peer_file: std::path::PathBuf,
    clock: Clock,
    access: AccessThread,
}

fn log(importance: Importance, text: &str) {
    match importance {
        Importance::Warning => log::warn!(target: "node", "{text}"),
        Importance::Information => log::info!(target: "node", "{text}"),
        Importance::Detail => log::debug!(target: "node", "{text}"),
        Importance::Security => log::warn!(target: "security", "{text}"),
    }
}

impl Node {
    /// Starts a node. `log` lets the operator change levels while it runs.
    ///
    /// # Errors
    /// What is missing or taken, and what to do.
    pub fn start(
        config: &Config,
        logs: Option<Log>,
        accept_fork: Option<u64>,
    ) -> anyhow::Result<Self> {
        let clock = Clock::new();
        let setup = setup::read(config)?;
        let certificates = clients::Certificates::read(config)?;
        let chain = setup.settings.chain;
        let tell = |text: &str| log::info!(target: "node", "{text}");
        let checkers = Cores::all();
        let (store, mut engine, first) =
            storage::start(config, clock.now(), &setup.settings, &checkers, &tell)?;
        store.apply(&first)?;
        store.flush()?;
        if let Some(height) = accept_fork {
            engine.accept_fork(height);
        }

        let context = Context::new()?;
        let access = Access::default();
        if !config.peering.allow.is_empty() {
            let keys = config.peering.allow.iter();
            let keys = keys.map(|key| crate::core::keys::PeerPublicKey(key.0));
            access.allow("listen", keys);
        }
        for (key, until) in engine.banned() {
            access.ban(key, until);
        }
        let access_thread = AccessThread::start(&context, access.clone())?;
        let bound = Bound::new(
            &context,
            &Binding {
                name: "listener",
                key: &setup.peer_key,
                zap_domain: "listen",
                addresses: &setup.listen,
            },
        )
        .context("peering.listen")?;

        let stop = Arc::new(AtomicBool::new(false));
        let shown = Arc::new(Shown::default());
        shown.set(engine.status());
        let (inputs, queue) = queue::bounded(OWNER_QUEUE);
        let (tell_fatal, fatal) = bounded(1);

        // The publisher and everything that goes out.
        let news = inputs.clone();
        let chain_of_news = chain;
        let published = performer::Room::default();
        let room = published.clone();
        let outward = Outward::start(
            &context,
            setup.peer_key.clone(),
            &Publishing {
                key: &setup.publish_key,
                zap_domain: "broadcaster",
                addresses: &setup.publish,
            },
            "outward",
            move |item| performer::told(chain_of_news, item, &news, &room),
        )
        .context("publishing.broadcast")?;
        let work = Outward::start(
            &context,
            setup.proof_key.clone(),
            &Publishing {
                key: &setup.proof_key,
                zap_domain: "publisher",
                addresses: &setup.work,
            },
            "work",
            |_: SocketNews| {},
        )
        .context("proofing.publish")?;
        let submission_bound = if setup.submit.is_empty() {
            None
        } else {
            let binding = Binding {
                name: "submission",
                key: &setup.proof_key,
                zap_domain: "submit",
                addresses: &setup.submit,
            };
            Some(Bound::new(&context, &binding).context("proofing.submit")?)
        };

        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let workers = Arc::new(DigestWorkers::start(chain.digest, cores.min(4))?);
        let background = Arc::new(DigestWorkers::start_low(chain.digest)?);
        let flusher = Arc::new(Flusher::start(store.clone())?);
        let (answer, answers) = crossbeam_channel::unbounded();
        let (submission_answer, submission_answers) = crossbeam_channel::unbounded();
        let operator = operator::Operator::new(inputs.clone(), logs, chain, store.clone());
        let desks = clients::Desks {
            calls: desk::Desk::new(inputs.clone()),
            views: desk::Desk::new(inputs.clone()),
        };
        let performer = performer::Performer {
            outward: outward.orders(),
            work: work.orders(),
            replies: answer.clone(),
            listener: bound.waker.clone(),
            submission_replies: submission_answer,
            submission: submission_bound.as_ref().map(|bound| bound.waker.clone()),
            operator: operator.clone(),
            desks: desks.clone(),
            access: access.clone(),
            workers: Arc::clone(&workers),
            background: Arc::clone(&background),
            inputs: inputs.clone(),
            fatal: tell_fatal,
            publishing: outward.publishing.clone(),
        };

        let reader = listener::Readers::start(
            READER_QUEUE,
            chain,
            store.clone(),
            answer,
            bound.waker.clone(),
        )?;
        let mut bindings = Bindings {
            peer: bound.addresses.clone(),
            publish: outward.publishing.clone(),
            work: work.publishing.clone(),
            submit: submission_bound
                .as_ref()
                .map(|bound| bound.addresses.clone())
                .unwrap_or_default(),
            ..Bindings::default()
        };
        let mut counters = counting::gather(&bound, submission_bound.as_ref(), &outward, &work);
        let listener = bound.serve(listener::PeerService::new(listener::Parts {
            chain,
            shown: Arc::clone(&shown),
            inputs: inputs.clone(),
            readers: reader.queue(),
            answers,
            access: access.clone(),
            requests: counters.peers.clone(),
            stop: Arc::clone(&stop),
        }))?;
        let submission = submission_bound
            .map(|bound| {
                let service = submission::SubmissionService::new(
                    inputs.clone(),
                    submission_answers,
                    access.clone(),
                    Arc::clone(&stop),
                );
                bound.serve(service)
            })
            .transpose()?;

        let mut effects = Vec::new();
        let now = clock.now();
        engine.start(now, &store, &mut effects);
        for (key, listeners, timestamp) in setup.bootstrap {
            let input = Input::Bootstrap(key, listeners, timestamp);
            engine.step(now, input, &store, &mut effects);
        }
        let owner = owner::Owner::start(owner::Parts {
            published,
            ahead: ahead::Ahead::new(queue, checkers.clone()),
            cores: checkers.clone(),
            engine,
            store,
            clock,
            performer,
            flusher: Arc::clone(&flusher),
            shown,
            stop: Arc::clone(&stop),
            first: effects,
        })?;
        let payments = payment::Watchers::start(config, chain, &context, &inputs)?;
        counters.payments = payments.health();
        operator.watch(counters.clone());
        let handler = operator.handler();
        let control =
            ControlServer::start_with(&config.control.socket, handler, operator.long())
                .with_context(|| format!("control.socket: {}", config.control.socket.display()))?;
        let clients = clients::Clients::start(config, certificates, desks, counters)?;
        bindings.rpc.clone_from(&clients.rpc);
        bindings.https.clone_from(&clients.https);
        log::info!(
            target: "node",
            "started: chain {}, height {}, key {}, listening at {:?}",
            chain.name,
            owner.height(),
            setup.peer_key.public_key(),
            bindings.peer
        );
        Ok(Self {
            bindings,
            stop,
            fatal,
            listener: Some(listener),
            submission,
            owner: Some(owner),
            control: Some(control),
            clients: Some(clients),
            payments: Some(payments),
            workers,
            background,
            cores: checkers,
            flusher: Some(flusher),
            outward: Some(outward),
            work: Some(work),
            reader: Some(reader),
            peer_file: config.peer_file.clone().unwrap_or_default(),
            clock,
            access: access_thread,
        })
    }

    /// Waits until the node cannot go on, at most so long; tells why.
    #[must_use]
    pub fn wait_for_fault(&self, wait: Duration) -> Option<String> {
        let told = self.fatal.recv_timeout(wait).ok();
        told.or_else(|| {
            self.ended()
                .map(|name| format!("thread {name} ended; see the log"))
        })
    }

    /// A thread that ended though nobody stopped it.
    fn ended(&self) -> Option<&'static str> {
        let running = [
            ("owner", self.owner.as_ref().map(owner::Owner::is_running)),
            ("listener", self.listener.as_ref().map(Server::is_running)),
            (
                "submission",
                self.submission.as_ref().map(Server::is_running),
            ),
            (
                "reader",
                self.reader.as_ref().map(listener::Readers::is_running),
            ),
            (
                "clients",
                self.clients.as_ref().map(clients::Clients::is_running),
            ),
            (
                "payment",
                self.payments.as_ref().map(payment::Watchers::is_running),
            ),
            ("flusher", self.flusher.as_ref().map(|f| f.is_running())),
            ("outward", self.outward.as_ref().map(Outward::is_running)),
            ("work", self.work.as_ref().map(Outward::is_running)),
            ("digest", Some(self.workers.is_running())),
            ("check", Some(self.background.is_running())),
            ("checker", Some(self.cores.is_running())),
            ("access", Some(self.access.is_running())),
        ];
        let ended = running.iter().find(|(_, is)| *is == Some(false));
        ended.map(|(name, _)| *name)
    }

    /// Stops it: nothing new is taken, what was taken is flushed, the peers are written down.
    pub fn stop(&mut self) {
        if self.stop.swap(true, Ordering::SeqCst) {
            return;
        }
        log::info!(target: "node", "stopping");
        drop(self.control.take());
        drop(self.clients.take());
        drop(self.payments.take());
        drop(self.submission.take());
        let engine = self.owner.take().and_then(owner::Owner::join);
        if let Some(flusher) = self.flusher.take() {
            // What was acknowledged has left; what was not is not promised.
            drop(flusher);
        }
        drop(self.reader.take());
        drop(self.listener.take());
        if let Some(text) = engine.and_then(|engine: Engine| engine.peer_file(self.clock.now()))
            && let Err(e) = atomic::replace(&self.peer_file, text.as_bytes(), 0o600)
        {
            log::warn!(target: "node", "{}: {e}", self.peer_file.display());
        }
        self.workers.cancel();
        self.background.cancel();
        drop(self.outward.take());
        drop(self.work.take());
        log::info!(target: "node", "stopped");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop();
    }
}
