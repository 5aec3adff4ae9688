//! What the shells count: requests with their results and times, connections, bytes, watchers of
//! payments. A shell counts what it sees, in clones of what the node keeps; [`Counters`] is all of it,
//! and writes it for `/metrics`. What the engine counts stands in the engine: nothing is counted in
//! both places.
//!
//! Bounds: names and results are words of the program, so nobody outside can make a new one.

pub mod flow;
mod health;
pub mod requests;

use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

pub use flow::Flow;
pub use health::Health;
pub use requests::{Begun, Requests};

use crate::core::currency::Currency;
use crate::shell::tcp;
use crate::shell::zmq::monitor;

type Label = (&'static str, &'static str);

/// What a service for clients counts. Clones share it.
#[derive(Debug, Clone)]
pub struct ServiceCounts {
    /// Its connections.
    pub count: tcp::Count,
    /// Bytes of its connections, with what TLS adds.
    pub bytes: Flow,
    /// Its requests.
    pub requests: Requests,
}

impl ServiceCounts {
    /// Nothing yet; the labels are those of its requests.
    #[must_use]
    pub fn new(labels: [&'static str; 2]) -> Self {
        Self {
            count: tcp::Count::default(),
            bytes: Flow::default(),
            requests: Requests::new(labels),
        }
    }
}

/// All that the shells of a node count. Clones share it.
#[derive(Debug, Clone)]
pub struct Counters {
    /// Peers that connect to the listener.
    pub connections: monitor::Count,
    /// What they ask, by command.
    pub peers: Requests,
    /// JSON-RPC, by method: over TLS and over HTTPS.
    pub rpc: ServiceCounts,
    /// HTTPS, by path.
    pub https: ServiceCounts,
    /// Bytes of the ZeroMQ sockets, by what they are for.
    pub sockets: Vec<(&'static str, Flow)>,
    /// The watchers of payments.
    pub payments: Vec<(Currency, Health)>,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            connections: monitor::Count::default(),
            peers: Requests::new(["command", "result"]),
            rpc: ServiceCounts::new(["method", "result"]),
            https: ServiceCounts::new(["path", "status"]),
            sockets: Vec::new(),
            payments: Vec::new(),
        }
    }
}

impl Counters {
    /// Writes all of it.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Requests of peers, by command and what became of them";
        self.peers.register(registry, "peer", help);
        let help = "Calls of clients, by method and what became of them";
        self.rpc.requests.register(registry, "rpc", help);
        let help = "Requests over HTTPS, by path and status";
        self.https.requests.register(registry, "https", help);
        self.register_connections(registry);
        self.register_bytes(registry);
        self.register_payments(registry);
    }

    /// The watchers of payments, for people.
    #[must_use]
    pub fn watchers(&self) -> Value {
        let watched = |(currency, health): &(Currency, Health)| {
            json!({
                "currency": currency.text(),
                "isReachable": health.is_reachable(),
                "lastAnswer": health.last_answer(),
                "seen": health.seen(),
                "failures": health.failures(),
            })
        };
        self.payments.iter().map(watched).collect()
    }

    fn services(&self) -> [(&'static str, &ServiceCounts); 2] {
        [("client_rpc", &self.rpc), ("https_rpc", &self.https)]
    }

    fn register_connections(&self, registry: &mut Registry) {
        registry.register(
            "peer_connections",
            "Peers that are connected to the listener now",
            ConstGauge::new(signed(self.connections.get())),
        );
        registry.register(
            "peer_connections_accepted",
            "Peers that connected so far, let in or not",
            ConstCounter::new(self.connections.accepted()),
        );
        registry.register(
            "peer_handshakes_failed",
            "Those that were not let in",
            ConstCounter::new(self.connections.failed()),
        );
        let open: Family<[Label; 1], Gauge> = Family::default();
        let accepted: Family<[Label; 1], Counter> = Family::default();
        let closed: Family<[Label; 2], Counter> = Family::default();
        for (name, service) in self.services() {
            let (name, count) = (("service", name), &service.count);
            open.get_or_create(&[name]).set(signed(count.get()));
            accepted.get_or_create(&[name]).inc_by(count.accepted());
            for (why, number) in [
                ("idle longest", count.evicted()),
                ("had its turn", count.relieved()),
                ("no place", count.turned_away()),
                ("too many handshakes", count.dismissed()),
            ] {
                let closed = closed.get_or_create(&[name, ("reason", why)]);
                closed.inc_by(number);
            }
        }
        let help = "Connections of clients now, by service";
        registry.register("client_connections", help, open);
        let help = "Connections of clients that got a place so far";
        registry.register("client_connections_accepted", help, accepted);
        let help = "Connections of clients that were closed for want of room, by reason";
        registry.register("client_connections_closed", help, closed);
    }

    fn register_bytes(&self, registry: &mut Registry) {
        let received: Family<[Label; 1], Counter> = Family::default();
        let sent: Family<[Label; 1], Counter> = Family::default();
        let services = self.services();
        let services = services
            .iter()
            .map(|(name, service)| (*name, &service.bytes));
        let sockets = self.sockets.iter().map(|(name, flow)| (*name, flow));
        for (name, flow) in sockets.chain(services) {
            let label = [("socket", name)];
            received.get_or_create(&label).inc_by(flow.received());
            sent.get_or_create(&label).inc_by(flow.sent());
        }
        registry.register("received_bytes", "Bytes that came, by socket", received);
        registry.register("sent_bytes", "Bytes that left, by socket", sent);
    }

    fn register_payments(&self, registry: &mut Registry) {
        let reachable: Family<[Label; 1], Gauge> = Family::default();
        let last: Family<[Label; 1], Gauge> = Family::default();
        let seen: Family<[Label; 1], Counter> = Family::default();
        let failures: Family<[Label; 1], Counter> = Family::default();
        for (currency, health) in &self.payments {
            let label = [("currency", currency.text())];
            let is_reachable = i64::from(health.is_reachable());
            reachable.get_or_create(&label).set(is_reachable);
            let answer = health.last_answer().unwrap_or_default();
            last.get_or_create(&label).set(signed(answer));
            seen.get_or_create(&label).inc_by(health.seen());
            failures.get_or_create(&label).inc_by(health.failures());
        }
        let help = "1 while the service that tells payments of this coin answers, else 0";
        registry.register("payment_service_reachable", help, reachable);
        let help = "When it answered last, seconds since 1970; 0: never";
        registry.register("payment_last_answer", help, last);
        registry.register("payments_seen", "Payments that it told", seen);
        let help = "Questions to it that had no good answer";
        registry.register("payment_failures", help, failures);
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
