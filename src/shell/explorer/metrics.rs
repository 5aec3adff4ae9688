//! `/metrics`: what the engine counts, and what this listener does, in the text format that
//! Prometheus reads (OpenMetrics). Every name is listed in `docs/explorer.md`.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use serde_json::Value;

use crate::shell::counters::{Counters, Requests, requests};
use crate::shell::tcp::Count;

/// The type of the answer.
pub const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;

/// What this listener counts, and what it is given to show.
#[derive(Debug)]
pub struct Numbers {
    node: Counters,
    requests: Requests,
    bytes: Counter,
    /// Connections of who may look.
    pub(super) places: Count,
    listeners: Arc<AtomicI64>,
}

/// Counts one as long as it lives.
#[derive(Debug)]
pub struct Counted(Arc<AtomicI64>);

impl Counted {
    fn of(number: &Arc<AtomicI64>) -> Self {
        number.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(number))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Numbers {
    /// Nothing was asked yet; `node` is what the other shells count.
    #[must_use]
    pub fn new(node: Counters) -> Self {
        Self {
            node,
            requests: Requests::new(["path", "status"]),
            bytes: Counter::default(),
            places: Count::default(),
            listeners: Arc::default(),
        }
    }

    /// The watchers of payments, for people.
    pub fn payments(&self) -> Value {
        self.node.watchers()
    }

    /// A listener, as long as it stays.
    pub fn listener(&self) -> Counted {
        Counted::of(&self.listeners)
    }

    /// A request was answered.
    pub fn answered(&self, path: &'static str, status: u16, took: Duration, bytes: u64) {
        self.requests.timed(path, requests::status(status), took);
        self.bytes.inc_by(bytes);
    }
}

/// Where a value of the engine's answer stands, its name here, and what it is.
type Row = (&'static str, &'static str, &'static str);

const GAUGES: [Row; 23] = [
    ("/height", "height", "Number of the highest block"),
    (
        "/verifiedHeight",
        "verified_height",
        "Up to which block this node computed every digest itself",
    ),
    (
        "/networkHeight",
        "network_height",
        "Highest block that a connected peer told",
    ),
    (
        "/tipTimestamp",
        "tip_timestamp",
        "When the highest block was made, seconds since 1970",
    ),
    ("/uptimeSeconds", "uptime", "Seconds since the start"),
    (
        "/upstreams",
        "upstreams",
        "Outgoing peers that are registered",
    ),
    ("/peersKnown", "peers_known", "Peers in the table"),
    ("/rpcsKnown", "rpcs_known", "Client services in the table"),
    (
        "/subscriptions",
        "subscriptions",
        "Publishers that are listened to",
    ),
    (
        "/blocksWaiting",
        "blocks_waiting",
        "Blocks that wait to go in",
    ),
    (
        "/reservoir/pending",
        "pool_pending",
        "Records that wait for a proof or a payment",
    ),
    (
        "/reservoir/pendingSets",
        "pool_pending_sets",
        "Sets of such records",
    ),
    (
        "/reservoir/verified",
        "pool_verified",
        "Records that wait for a block",
    ),
    (
        "/reservoir/assets",
        "pool_assets",
        "Assets that no block has",
    ),
    (
        "/reservoir/orphanPayments",
        "pool_orphan_payments",
        "Payments whose records have not come",
    ),
    ("/reservoir/bytes", "pool_bytes", "Bytes of the pools"),
    (
        "/shared/peers_overlay",
        "shared_peers_overlay",
        "Peers that share the mempool",
    ),
    (
        "/shared/peers_plain",
        "shared_peers_plain",
        "Peers that are told by plain commands",
    ),
    (
        "/shared/peers_unknown",
        "shared_peers_unknown",
        "Peers of which it is not known yet",
    ),
    (
        "/shared/timeline_length",
        "shared_timeline_length",
        "Entries of the shared log",
    ),
    (
        "/shared/parked",
        "shared_parked",
        "Bundles that wait for what they need",
    ),
    (
        "/shared/parked_bytes",
        "shared_parked_bytes",
        "Bytes of them",
    ),
    (
        "/shared/in_flight",
        "shared_in_flight",
        "Batches that are on their way",
    ),
];

const COUNTERS: [Row; 8] = [
    (
        "/blocksStored",
        "blocks_stored",
        "Blocks that went in since the start",
    ),
    (
        "/newsDropped",
        "news_dropped",
        "News that an outgoing peer did not take in time",
    ),
    (
        "/publishedOther",
        "published_other",
        "Published messages that were no news",
    ),
    (
        "/reservoir/taken",
        "records_taken",
        "Messages with records that were taken",
    ),
    (
        "/reservoir/refusedFull",
        "pool_refused_full",
        "Newcomers refused for want of room",
    ),
    (
        "/reservoir/expired",
        "pool_expired",
        "Entries of the pools that lapsed",
    ),
    ("/digests", "digests", "Block digests that were asked for"),
    (
        "/shared/timeline_refused",
        "shared_timeline_refused",
        "Bundles that the shared log had no room for",
    ),
];

fn whole(engine: &Value, pointer: &str) -> u64 {
    engine
        .pointer(pointer)
        .and_then(Value::as_u64)
        .unwrap_or_default()
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    registry.register(name, help, ConstGauge::new(value));
}

/// The whole text.
#[must_use]
pub fn render(numbers: &Numbers, engine: &Value, store_bytes: u64) -> String {
    let mut registry = Registry::with_prefix("bitmarkd");
    for (pointer, name, help) in GAUGES {
        gauge(&mut registry, name, help, whole(engine, pointer));
    }
    for (pointer, name, help) in COUNTERS {
        registry.register(name, help, ConstCounter::new(whole(engine, pointer)));
    }
    let is_normal = engine.get("mode").and_then(Value::as_str) == Some("Normal");
    let help = "1 in mode Normal, 0 while it catches up";
    gauge(&mut registry, "mode_normal", help, u64::from(is_normal));
    gauge(
        &mut registry,
        "store_bytes",
        "Bytes of the store on disk",
        store_bytes,
    );

    let refused: Family<Labels, Counter> = Family::default();
    for (why, count) in engine
        .get("refused")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let labels = vec![("reason", why.clone())];
        refused
            .get_or_create(&labels)
            .inc_by(count.as_u64().unwrap_or_default());
    }
    registry.register("refusals", "What was refused, by reason", refused);
    let messages: Family<Labels, Counter> = Family::default();
    for one in engine
        .get("recordMessages")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let member = |name| {
            one.get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let labels = vec![("command", member("command")), ("result", member("result"))];
        messages.get_or_create(&labels).inc_by(whole(one, "/count"));
    }
    let help = "Messages with records, asked and published, by command and what became of them";
    registry.register("record_messages", help, messages);
    let shared: Family<Labels, Counter> = Family::default();
    let report = engine.get("shared").and_then(Value::as_object);
    for (name, value) in report.into_iter().flatten() {
        let is_gauge = GAUGES
            .iter()
            .any(|(pointer, ..)| pointer.strip_prefix("/shared/") == Some(name));
        if !is_gauge {
            let labels = vec![("event", name.clone())];
            shared
                .get_or_create(&labels)
                .inc_by(value.as_u64().unwrap_or_default());
        }
    }
    registry.register(
        "shared_events",
        "What the shared mempool counts, by name",
        shared,
    );

    numbers.node.register(&mut registry);
    let help = "Requests of this listener, by path and status";
    numbers.requests.register(&mut registry, "http", help);
    registry.register(
        "http_sent_bytes",
        "Bytes of answers, events not counted",
        numbers.bytes.clone(),
    );
    let places = &numbers.places;
    registry.register(
        "http_connections_accepted",
        "Connections so far",
        ConstCounter::new(places.accepted()),
    );
    let open = places.get();
    gauge(&mut registry, "http_connections", "Connections now", open);
    let closed: Family<[(&str, &str); 1], Counter> = Family::default();
    for (why, number) in [
        ("idle longest", places.evicted()),
        ("no place", places.turned_away()),
    ] {
        closed.get_or_create(&[("reason", why)]).inc_by(number);
    }
    let help = "Connections that were closed because all places were taken";
    registry.register("http_connections_closed", help, closed);
    let listeners = u64::try_from(numbers.listeners.load(Ordering::Relaxed)).unwrap_or_default();
    gauge(
        &mut registry,
        "http_listeners",
        "Pages that follow what changes",
        listeners,
    );

    let mut text = String::new();
    // Writing to a text does not fail.
    let _ = encode_registry(&mut text, &registry);
    let _ = encode_eof(&mut text);
    text
}
