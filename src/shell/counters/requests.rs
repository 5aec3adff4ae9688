//! Requests by name and result, and how long they took. Names and results are `&'static str`: a
//! label is always a word of the program, never one that somebody sent.

use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Bounds of the latencies in seconds.
const SECONDS: [f64; 10] = [0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

/// A result: it was answered with what was asked for.
pub const ANSWERED: &str = "answered";
/// A result: it was answered with an error.
pub const ERROR: &str = "error";
/// A result: it was not taken at all.
pub const REFUSED: &str = "refused";
/// A result: whoever asked was gone, or had to go, before there was an answer.
pub const DROPPED: &str = "dropped";

/// The name of everything that has no name of its own.
pub const OTHER: &str = "other";

type Label = (&'static str, &'static str);

fn latencies() -> Histogram {
    Histogram::new(SECONDS)
}

/// A status of HTTP as a result: those that the services answer with.
#[must_use]
pub const fn status(code: u16) -> &'static str {
    match code {
        200 => "200",
        400 => "400",
        403 => "403",
        404 => "404",
        405 => "405",
        414 => "414",
        431 => "431",
        500 => "500",
        503 => "503",
        _ => OTHER,
    }
}

/// Requests of one service. Clones share it.
#[derive(Debug, Clone)]
pub struct Requests {
    labels: [&'static str; 2],
    counts: Family<[Label; 2], Counter>,
    seconds: Family<[Label; 1], Histogram, fn() -> Histogram>,
}

impl Requests {
    /// None yet. The labels are what the name and the result are called.
    #[must_use]
    pub fn new(labels: [&'static str; 2]) -> Self {
        Self {
            labels,
            counts: Family::default(),
            seconds: Family::new_with_constructor(latencies),
        }
    }

    /// One more, of which it is not told how long it took.
    pub fn count(&self, name: &'static str, result: &'static str) {
        let [first, second] = self.labels;
        let labels = [(first, name), (second, result)];
        self.counts.get_or_create(&labels).inc();
    }

    /// One more that took so long.
    pub fn timed(&self, name: &'static str, result: &'static str, took: Duration) {
        self.count(name, result);
        let [first, _] = self.labels;
        let seconds = self.seconds.get_or_create(&[(first, name)]);
        seconds.observe(took.as_secs_f64());
    }

    /// One begins now.
    #[must_use]
    pub fn begin(&self, name: &'static str) -> Begun {
        self.begun(name, Instant::now())
    }

    /// One began then.
    #[must_use]
    pub fn begun(&self, name: &'static str, since: Instant) -> Begun {
        Begun {
            requests: self.clone(),
            name,
            since,
            is_over: false,
        }
    }

    /// How many of a name had this result.
    #[must_use]
    pub fn get(&self, name: &'static str, result: &'static str) -> u64 {
        let [first, second] = self.labels;
        let count = self.counts.get(&[(first, name), (second, result)]);
        count.map_or(0, |count| count.get())
    }

    /// Shows them as `SERVICE_requests` and `SERVICE_request_seconds`.
    pub fn register(&self, registry: &mut Registry, service: &str, help: &str) {
        let counts = self.counts.clone();
        registry.register(format!("{service}_requests"), help, counts);
        registry.register_with_unit(
            format!("{service}_request"),
            "How long they took",
            Unit::Seconds,
            self.seconds.clone(),
        );
    }
}

/// Where the counts of a name and a result stand.
#[derive(Debug)]
struct Place {
    name: &'static str,
    result: &'static str,
    count: Counter,
    seconds: Histogram,
}

/// What one thread counts of requests that have their answer at once: each place is looked up once.
#[derive(Debug)]
pub struct Tally {
    requests: Requests,
    /// One for each name and result that there was, all of them words of the program.
    places: Vec<Place>,
}

impl Tally {
    /// One for these.
    #[must_use]
    pub const fn new(requests: Requests) -> Self {
        Self {
            requests,
            places: Vec::new(),
        }
    }

    /// As [`Requests::timed`].
    pub fn timed(&mut self, name: &'static str, result: &'static str, took: Duration) {
        let is = |place: &Place| (place.name, place.result) == (name, result);
        let at = self.places.iter().position(is).unwrap_or_else(|| {
            let [first, second] = self.requests.labels;
            let labels = [(first, name), (second, result)];
            self.places.push(Place {
                name,
                result,
                count: self.requests.counts.get_or_create(&labels).clone(),
                seconds: self
                    .requests
                    .seconds
                    .get_or_create(&[(first, name)])
                    .clone(),
            });
            self.places.len() - 1
        });
        if let Some(place) = self.places.get(at) {
            place.count.inc();
            place.seconds.observe(took.as_secs_f64());
        }
    }
}

/// A request that has no answer yet. Dropping it counts it as [`DROPPED`].
#[derive(Debug)]
pub struct Begun {
    requests: Requests,
    name: &'static str,
    since: Instant,
    is_over: bool,
}

impl Begun {
    /// It has its answer.
    pub fn end(mut self, result: &'static str) {
        self.is_over = true;
        self.requests.timed(self.name, result, self.since.elapsed());
    }

    /// It will have none.
    pub fn refuse(mut self) {
        self.is_over = true;
        self.requests.count(self.name, REFUSED);
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if !self.is_over {
            self.requests.count(self.name, DROPPED);
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    fn shown(requests: &Requests) -> String {
        let mut registry = Registry::with_prefix("bitmarkd");
        requests.register(&mut registry, "peer", "help");
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn a_request_is_counted_once_whatever_becomes_of_it() {
        let requests = Requests::new(["command", "result"]);
        requests.begin("N").end(ANSWERED);
        requests.begin("N").refuse();
        drop(requests.begin("N"));
        requests.clone().count("N", REFUSED);
        let text = shown(&requests);
        for line in [
            "bitmarkd_peer_requests_total{command=\"N\",result=\"answered\"} 1",
            "bitmarkd_peer_requests_total{command=\"N\",result=\"refused\"} 2",
            "bitmarkd_peer_requests_total{command=\"N\",result=\"dropped\"} 1",
            "bitmarkd_peer_request_seconds_count{command=\"N\"} 1",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}\n{text}");
        }
        assert_eq!(requests.get("N", REFUSED), 2);
        assert_eq!(requests.get("I", REFUSED), 0);
    }

    #[test]
    fn what_a_thread_counts_by_itself_stands_with_the_rest() {
        let requests = Requests::new(["command", "result"]);
        let mut tally = Tally::new(requests.clone());
        for _ in 0..3 {
            tally.timed("N", ANSWERED, Duration::from_millis(3));
            tally.timed("N", ERROR, Duration::from_millis(3));
        }
        requests.timed("N", ANSWERED, Duration::from_millis(3));
        tally.timed("I", ANSWERED, Duration::from_secs(3));
        let counted = |name, result| requests.get(name, result);
        assert_eq!(counted("N", ANSWERED), 4);
        assert_eq!(counted("N", ERROR), 3);
        assert_eq!(counted("I", ANSWERED), 1);
        let text = shown(&requests);
        for line in [
            "bitmarkd_peer_request_seconds_bucket{le=\"0.005\",command=\"N\"} 7",
            "bitmarkd_peer_request_seconds_count{command=\"I\"} 1",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}\n{text}");
        }
    }

    #[test]
    fn the_time_goes_where_it_belongs() {
        let requests = Requests::new(["path", "status"]);
        requests.timed("/", status(200), Duration::from_millis(70));
        requests.timed("/", status(299), Duration::from_secs(40));
        let text = shown(&requests);
        for line in [
            "bitmarkd_peer_request_seconds_bucket{le=\"0.05\",path=\"/\"} 0",
            "bitmarkd_peer_request_seconds_bucket{le=\"0.1\",path=\"/\"} 1",
            "bitmarkd_peer_request_seconds_bucket{le=\"30.0\",path=\"/\"} 1",
            "bitmarkd_peer_request_seconds_bucket{le=\"+Inf\",path=\"/\"} 2",
            "bitmarkd_peer_requests_total{path=\"/\",status=\"other\"} 1",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}\n{text}");
        }
    }
}
