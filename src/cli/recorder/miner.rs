//! The loop of the miner: what comes from nodes and hashing threads goes to the search
//! ([`Search`]), and what it says goes back (`proto/mining.md`, section 7).
//!
//! One thread; it never waits for a node, a name or a digest, so a stop is obeyed at once.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::hashing::{Found, Hashing};
use super::links::{Links, Place, Use};
use crate::core::chain::Chain;
use crate::core::keys::PeerPrivateKey;
use crate::core::mining::search::Search;
use crate::core::mining::submission::read_reply;
use crate::core::time::Millis;
use crate::shell::zmq::outward::{Id, News, Orders, Outward, Publishing};
use crate::shell::zmq::{Context, SocketError};

/// The hash rate is logged so often.
const REPORT_MS: Millis = 60_000;
/// Longer messages are no work: 10000 ids of either kind take 2 MB.
const WORK_BYTES_MAX: usize = 3_000_000;
/// Events that wait; news beyond are dropped, as a socket would.
const QUEUE: usize = 16;

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// On a socket.
    News(News),
    /// In a hashing thread.
    Found(Found),
    /// Somebody wants the miner to end.
    Stop,
}

/// What a miner is started with.
#[derive(Debug)]
pub struct Settings {
    /// Whose digests.
    pub chain: &'static Chain,
    /// How many hashing threads.
    pub threads: usize,
    /// Its own key; any is admitted.
    pub key: PeerPrivateKey,
    /// Whom it works for.
    pub places: Vec<Place>,
}

/// What was reached since the start, or since the last report.
#[derive(Debug, Default)]
struct Tally {
    since: Millis,
    digests: u64,
    busy: Duration,
    accepted: u64,
    refused: u64,
}

/// The running miner.
#[derive(Debug)]
pub struct Miner {
    search: Search,
    links: Links,
    hashing: Hashing,
    outward: Outward,
    orders: Orders,
    events: Receiver<Event>,
    tell: Sender<Event>,
    begin: Instant,
    /// The last generation the threads were told of.
    assigned: u64,
    /// Number of the block worked on last, for the log.
    height: u64,
    recent: Tally,
    total: Tally,
}

impl Miner {
    /// Starts threads and opens sockets.
    ///
    /// # Errors
    /// No thread or no socket; a node that does not answer is no error.
    pub fn start(settings: Settings) -> Result<Self, SocketError> {
        let (tell, events) = bounded(QUEUE);
        let found = tell.clone();
        let hashing = Hashing::start(settings.chain.digest, settings.threads, move |nonce| {
            // Nobody listens any more when the miner has ended.
            let _ = found.send(Event::Found(nonce));
        })?;
        let publishing = Publishing {
            key: &settings.key,
            zap_domain: "recorder",
            addresses: &[],
        };
        let news = tell.clone();
        let context = Context::new()?;
        let key = settings.key.clone();
        let outward = Outward::start(&context, key, &publishing, "recorder", move |event| {
            let _ = news.try_send(Event::News(event));
        })?;
        let (links, opening) = Links::open(0, settings.places);
        let orders = outward.orders();
        opening.into_iter().for_each(|order| orders.give(order));
        Ok(Self {
            search: Search::new(),
            links,
            hashing,
            outward,
            orders,
            events,
            tell,
            begin: Instant::now(),
            assigned: 0,
            height: 0,
            recent: Tally::default(),
            total: Tally::default(),
        })
    }

    /// Where to send [`Event::Stop`].
    #[must_use]
    pub fn events(&self) -> Sender<Event> {
        self.tell.clone()
    }

    /// Mines until it is told to stop.
    pub fn run(mut self) {
        loop {
            let now = self.now();
            match self.events.recv_timeout(self.wait(now)) {
                Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(Event::News(news)) => self.on_news(news),
                Ok(Event::Found(found)) => self.on_found(found),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.on_time();
            self.assign();
        }
        self.report(self.now());
        let (now, threads) = (self.now(), self.hashing.threads());
        log::info!("stopped; in all {}", self.total.text(now, threads));
        self.outward.stop();
    }

    fn now(&self) -> Millis {
        Millis::try_from(self.begin.elapsed().as_millis()).unwrap_or(Millis::MAX)
    }

    fn wait(&self, now: Millis) -> Duration {
        let report = self.recent.since.saturating_add(REPORT_MS);
        let wakeups = [self.search.next_wakeup(), self.links.next_wakeup()];
        let next = wakeups.into_iter().flatten().fold(report, Millis::min);
        Duration::from_millis(next.saturating_sub(now))
    }

    fn on_news(&mut self, news: News) {
        match news {
            News::Received(id, frames) => {
                if let Some((node, used)) = self.links.whose(id) {
                    self.links.on_received(self.now(), id);
                    let frame = frames.into_iter().next().unwrap_or_default();
                    match used {
                        Use::Work => self.on_work(node, &frame),
                        Use::Submit => self.on_reply(node, &frame),
                    }
                }
            }
            News::Connected(id) => log::info!("{}: connected", self.name(id)),
            News::Failed(id, reason) => {
                log::warn!("{}: {reason}", self.name(id));
                self.links.on_failed(self.now(), id);
            }
        }
    }

    /// A socket for the log.
    fn name(&self, id: Id) -> String {
        self.links.whose(id).map_or_else(
            || "a closed socket".to_owned(),
            |(node, used)| self.place(node, used),
        )
    }

    fn place(&self, node: usize, used: Use) -> String {
        let what = match used {
            Use::Work => "work from",
            Use::Submit => "submission to",
        };
        match self.links.address(node, used) {
            Some(address) => format!("{what} {address}"),
            None => format!("{what} node {node}"),
        }
    }

    fn on_work(&mut self, node: usize, frame: &[u8]) {
        let from = self.place(node, Use::Work);
        if frame.len() > WORK_BYTES_MAX || !self.search.on_work(self.now(), node, frame) {
            log::warn!("{from}: what came is no work ({} bytes)", frame.len());
            return;
        }
        let Some(work) = self.search.work() else {
            return;
        };
        let (job, header) = (&work.job, &work.header);
        log::debug!("{from}: job {job}, block {}", header.number);
        if self.height != header.number {
            self.height = header.number;
            let count = header.transaction_count;
            log::info!(
                "{from}: working on block {} of {count} records",
                header.number
            );
        }
    }

    fn on_found(&mut self, (generation, nonce): Found) {
        let now = self.now();
        let job = self.search.work().map(|work| work.job.clone());
        let Some(submit) = self.search.on_found(now, generation, nonce) else {
            return;
        };
        log::info!(
            "{}: job {} with nonce {nonce:016x}",
            self.place(submit.node, Use::Submit),
            job.unwrap_or_default(),
        );
        if let Some(order) = self.links.submit(now, submit.node, submit.text) {
            self.orders.give(order);
        }
    }

    fn on_reply(&mut self, node: usize, frame: &[u8]) {
        let to = self.place(node, Use::Submit);
        match read_reply(frame) {
            Some((job, ok)) => {
                if ok {
                    self.recent.accepted += 1;
                    log::info!("{to}: job {job} accepted");
                } else {
                    self.recent.refused += 1;
                    log::warn!("{to}: job {job} refused, most likely another block was first");
                }
                self.search.on_reply(node, &job, ok);
            }
            None => log::warn!("{to}: the reply cannot be read"),
        }
    }

    fn on_time(&mut self) {
        let now = self.now();
        let had_work = self.search.work().is_some();
        self.search.on_time(now);
        if had_work && self.search.work().is_none() {
            log::info!("the work is too old; waiting for newer");
        }
        let (renewed, orders) = self.links.on_time(now);
        for link in renewed {
            let place = self.place(link.node, link.used);
            match (link.had_failed, link.used) {
                (true, _) => log::info!("{place}: trying again"),
                (false, Use::Work) => log::info!(
                    "{place}: nothing came for long, subscribing again; a node that \
                     synchronises or has no records to confirm publishes no work"
                ),
                (false, Use::Submit) => log::warn!(
                    "{place}: no reply, connecting again; check address and public key if this \
                     goes on"
                ),
            }
        }
        orders.into_iter().for_each(|order| self.orders.give(order));
        if now >= self.recent.since.saturating_add(REPORT_MS) {
            self.report(now);
        }
    }

    /// Tells the threads of changed assignments.
    fn assign(&mut self) {
        let generation = self.search.generation();
        if generation != self.assigned {
            self.assigned = generation;
            let assignments = self.search.assignments(self.hashing.threads());
            self.hashing.assign(generation, assignments);
        }
    }

    fn report(&mut self, now: Millis) {
        let done = self.hashing.take_done();
        self.recent.digests = done.digests;
        self.recent.busy = done.busy;
        let text = self.recent.text(now, self.hashing.threads());
        log::info!("{text}");
        self.total.add(&self.recent);
        self.recent = Tally {
            since: now,
            ..Tally::default()
        };
    }
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.digests += other.digests;
        self.busy += other.busy;
        self.accepted += other.accepted;
        self.refused += other.refused;
    }

    #[allow(clippy::cast_precision_loss, reason = "for people to read")]
    fn text(&self, now: Millis, threads: usize) -> String {
        let Self {
            digests,
            accepted,
            refused,
            ..
        } = self;
        let seconds = (now.saturating_sub(self.since).max(1)) as f64 / 1000.0;
        let rate = *digests as f64 / seconds;
        let busy = 100.0 * self.busy.as_secs_f64() / (seconds * threads.max(1) as f64);
        format!(
            "hash rate {rate:.2}/s: {digests} digests in {seconds:.1} s, {threads} threads \
             {busy:.0} % busy; nonces accepted {accepted}, refused {refused}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_rate_is_that_of_the_time_that_passed() {
        let tally = Tally {
            since: 1_000,
            digests: 90,
            busy: Duration::from_secs(60),
            accepted: 2,
            refused: 1,
        };
        assert_eq!(
            tally.text(61_000, 2),
            "hash rate 1.50/s: 90 digests in 60.0 s, 2 threads 50 % busy; nonces accepted 2, refused 1"
        );
        assert!(tally.text(0, 0).starts_with("hash rate "));
    }
}
