//! The listener before an engine that is played: paths, headers, limits, events, metrics.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::SystemTime;

use bitmarkd::core::currency::Currency;
use bitmarkd::core::explore::Question;
use bitmarkd::core::id::{AssetId, TxId};
use bitmarkd::core::title::Ask;
use bitmarkd::shell::counters::{Counters, Health};
use bitmarkd::shell::explorer::{Allowed, HEAD_BYTES, PROTOCOLS, Service, Source, URL_BYTES};
use bitmarkd::shell::files::certificate::Certificate;
use bitmarkd::shell::tcp::{listener, tls};
use rustls::ServerConfig;
use serde_json::{Value, json};

use crate::http::{ask, connect, exchange, get};
use crate::speaker::Client;

/// Of a transaction that is not there.
const TITLE: &str = "/api/title/0707070707070707070707070707070707070707070707070707070707070707";
/// Of one whose title is never done.
const SLOW: &str = "/api/title/0000000000000000000000000000000000000000000000000000000000000000";

/// A height of an engine that does not answer.
pub const HANGS: u64 = u64::MAX;
/// Names of assets as others might write them, by the first byte of their ids.
pub const NAMES: [&str; 3] = ["\u{202e}gnp.\u{200b}exe", "   ", "Straße 日本"];

/// The listener in a thread of its own; it ends with this.
pub struct Served {
    pub at: String,
    /// What the engine tells; [`HANGS`]: it does not answer.
    pub height: Arc<AtomicU64>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    pub fn new() -> Self {
        Self::with(None)
    }

    fn with(tls: Option<Arc<ServerConfig>>) -> Self {
        let height = Arc::new(AtomicU64::new(7));
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (tell, told) = mpsc::channel();
        let shown = Arc::clone(&height);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let counters = Counters {
                    payments: vec![(Currency::Bitcoin, Health::default())],
                    ..Counters::default()
                };
                let allowed = Allowed::default();
                let service = Service::with_counters(source(shown), allowed, tls, counters);
                let any = "127.0.0.1:0".parse().unwrap();
                let listener = listener::open(any).unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                tokio::spawn(service.accept(listener));
                let _ = stopped.await;
            });
        });
        Self {
            at: told.recv().unwrap().to_string(),
            height,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn overview(height: u64) -> Value {
    json!({
        "height": height, "networkHeight": height, "mode": "Normal", "state": "rest",
        "chain": "devnet", "key": "00", "digest": "00", "refused": {}, "isMining": false,
        "reservoir": {}, "mempool": {"enabled": false},
    })
}

/// The first byte of the id chooses its name; where there is none, it is long and cannot be broken.
fn asset(id: AssetId) -> Value {
    let long = "W".repeat(64);
    let name = NAMES.get(usize::from(id.0[0])).copied().unwrap_or(&long);
    json!({
        "assetId": id.to_string(), "name": name, "fingerprint": name, "metadata": [[name, name]],
        "registrant": "e", "signature": "00", "status": "Verified", "block": null, "bytes": 1,
        "timestamp": null, "issues": [],
    })
}

fn source(height: Arc<AtomicU64>) -> Source {
    let ask = move |question: Question| {
        let number = height.load(Ordering::SeqCst);
        let answer = match question {
            _ if number == HANGS => return Box::pin(std::future::pending()) as _,
            Question::Live => {
                Ok(json!({"height": number, "networkHeight": number, "mode": "Normal"}))
            }
            Question::Overview => Ok(overview(number)),
            Question::Asset(id) => Ok(asset(id)),
            Question::Search(text, _) if text == "odd" => Ok(json!({"found": [
                {"kind": "asset", "assetId": "00".repeat(64), "name": NAMES[0]},
                {"kind": "asset", "assetId": "01".repeat(64), "name": NAMES[1]},
            ], "next": null})),
            Question::Metrics => Ok(crate::dashboard::engine()),
            Question::Search(text, None) => Ok(json!({"text": text, "found": [], "next": 9000})),
            Question::Search(text, Some(below)) => {
                Ok(json!({"text": text, "found": [], "next": below.checked_sub(4096)}))
            }
            Question::Title(Ask::Newest(id)) if id == TxId::default() => {
                return Box::pin(std::future::pending()) as _;
            }
            Question::Peers => return Box::pin(async { Err("busy".to_owned()) }) as _,
            question => Err(format!("{question:?} is not there")),
        };
        Box::pin(async { Ok(answer) }) as _
    };
    Source {
        ask: Arc::new(ask),
        store_bytes: Arc::new(|| Box::pin(async { 4711 })),
    }
}

#[test]
fn every_answer_has_strict_headers_and_its_type() {
    let served = Served::new();
    for (path, status, kind) in [
        ("/", 200, "text/html; charset=utf-8"),
        ("/pages/app.js", 200, "text/javascript; charset=utf-8"),
        ("/pages/style.css", 200, "text/css; charset=utf-8"),
        ("/pages/icon.svg", 200, "image/svg+xml"),
        ("/pages/secret", 404, "application/json"),
        ("/pages/../Cargo.toml", 404, "application/json"),
        ("/nowhere", 404, "application/json"),
        ("/api/overview", 200, "application/json"),
        ("/api/blocks/7", 404, "application/json"),
        ("/api/blocks/x", 400, "application/json"),
        ("/api/records/12", 400, "application/json"),
        ("/api/title/12", 400, "application/json"),
        (TITLE, 404, "application/json"),
        ("/api/blocks?below=-1", 400, "application/json"),
        ("/api/blocks/7?from=x", 400, "application/json"),
        (&format!("{TITLE}?from=x"), 400, "application/json"),
        ("/api/records/%ff", 400, "application/json"),
        ("/pages/%ff", 400, "application/json"),
        ("/api/assets/zz", 400, "application/json"),
        ("/api/accounts/zz", 400, "application/json"),
        ("/api/pending?after=1", 400, "application/json"),
        ("/api/fingerprint", 400, "application/json"),
        ("/api/peers", 503, "application/json"),
        ("/healthz", 200, "text/plain; charset=utf-8"),
        ("/readyz", 200, "text/plain; charset=utf-8"),
    ] {
        let answer = get(&served.at, path);
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("content-type"), Some(kind), "{path}");
        if status >= 400 {
            assert!(answer.json()["error"].is_string(), "{path}");
        }
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'"));
        assert!(!policy.contains("unsafe"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        assert!(answer.header("access-control-allow-origin").is_none());
    }
}

#[test]
fn with_a_certificate_the_same_pages_come_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let [certificate, key] = ["one.crt", "one.key"].map(|name| folder.path().join(name));
    let made = Certificate::generate(&["localhost".to_owned()], SystemTime::now()).unwrap();
    made.write(&certificate, &key).unwrap();
    let tls = tls::server(&certificate, &key, &PROTOCOLS).unwrap();
    let served = Served::with(Some(tls));
    let mut client = Client::new(served.at.parse().unwrap(), &PROTOCOLS).unwrap();
    assert_eq!(client.session().alpn_protocol(), Some(PROTOCOLS[0]));
    client.send("GET /healthz HTTP/1.1\r\nHost: any.example\r\nConnection: close\r\n\r\n");
    let answer = String::from_utf8(client.rest()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with("alive\n"), "{answer}");
}

#[test]
fn who_comes_by_the_name_or_from_the_page_of_another_site_sees_nothing() {
    let served = Served::new();
    let own = served.at.clone();
    let port = own.rsplit_once(':').unwrap().1;
    for (host, origin, status) in [
        (own.clone(), None, 200),
        (format!("localhost:{port}"), None, 200),
        (own.clone(), Some(format!("http://{own}")), 200),
        (format!("rebound.example:{port}"), None, 421),
        (own.clone(), Some("https://evil.example".to_owned()), 403),
        (own.clone(), Some("null".to_owned()), 403),
    ] {
        let origin = origin.map_or_else(String::new, |origin| format!("Origin: {origin}\r\n"));
        for path in ["/", "/api/overview", "/metrics"] {
            let head =
                format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{origin}Connection: close\r\n\r\n");
            let answer = exchange(&own, &head).unwrap();
            assert_eq!(answer.status, status, "{head}");
            if status >= 400 {
                assert!(answer.json()["error"].is_string(), "{head}");
            }
        }
    }
}

#[test]
fn the_overview_tells_of_the_services_that_tell_payments() {
    let served = Served::new();
    let payments = get(&served.at, "/api/overview").json()["payments"].clone();
    assert_eq!(payments[0]["isReachable"], false);
    assert_eq!(payments[0]["lastAnswer"], json!(null));
}

#[test]
fn a_page_hears_that_the_node_answers_and_nothing_while_it_does_not() {
    let served = Served::new();
    let mut lines = follow(&served.at);
    assert!(lines.any(|line| line == "event: alive"));
    served.height.store(HANGS, Ordering::SeqCst);
    let before: Vec<_> = lines
        .by_ref()
        .take_while(|line| line != ": no answer")
        .collect();
    assert!(
        !before.iter().any(|line| line.starts_with("event: ")),
        "{before:?}"
    );
    served.height.store(8, Ordering::SeqCst);
    assert!(lines.any(|line| line.contains("\"height\":8")));
}

#[test]
fn nothing_but_reading_is_offered() {
    let served = Served::new();
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = ask(&served.at, method, "/api/overview");
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET,HEAD"), "{method}");
        assert!(answer.json()["error"].is_string(), "{method}");
    }
    let head = ask(&served.at, "HEAD", "/");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[test]
fn a_long_address_and_a_long_head_are_refused_and_others_are_served() {
    let served = Served::new();
    let long = format!("/api/search?text={}", "a".repeat(URL_BYTES));
    assert_eq!(get(&served.at, &long).status, 414);
    let line = format!("X-Long: {}\r\n", "a".repeat(8_000));
    let head = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
        line.repeat(40)
    );
    assert_eq!(
        exchange(&served.at, &head).map(|answer| answer.status),
        Some(431)
    );
    for (bytes, status) in [
        (HEAD_BYTES - 100, 200),
        (HEAD_BYTES + 1, 431),
        (HEAD_BYTES + 8_000, 431),
        (2 * HEAD_BYTES, 431),
    ] {
        let head = format!(
            "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: {}\r\n\r\n",
            "a".repeat(bytes - 59)
        );
        let answer = exchange(&served.at, &head);
        assert_eq!(answer.map(|answer| answer.status), Some(status), "{bytes}");
    }
    let garbage = exchange(&served.at, "\u{1}\u{2}garbage\r\n\r\n");
    assert_eq!(garbage.map(|answer| answer.status), Some(400));
    // A fingerprint of 1024 characters of three bytes each, as a browser writes it.
    let print = "%E4%BD%A0".repeat(1024);
    let answer = get(&served.at, &format!("/api/fingerprint?text={print}"));
    assert_eq!(answer.status, 404);
    assert_eq!(get(&served.at, "/healthz").status, 200);
}

#[test]
fn who_sends_half_a_head_loses_the_connection_alone() {
    let served = Served::new();
    let mut half = connect(&served.at);
    half.write_all(b"GET / HTTP/1.1\r\nHost:").unwrap();
    assert_eq!(get(&served.at, "/healthz").status, 200);
    let mut rest = Vec::new();
    // An answer that it took too long, or just the end: no reset of the test's time-out.
    half.read_to_end(&mut rest).unwrap();
    assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));
}

#[test]
fn a_search_goes_on_through_the_slices_by_itself() {
    let served = Served::new();
    let shown = get(&served.at, "/api/search?text=some%20text").json();
    assert_eq!(shown["text"], "some text");
    assert_eq!(shown["next"], json!(null));
}

#[test]
fn an_asset_has_no_title_and_is_told_why() {
    let served = Served::new();
    let answer = get(&served.at, &format!("/api/title/{}", "ab".repeat(64)));
    assert_eq!(answer.status, 404);
    assert!(answer.body.contains("this is an asset"), "{}", answer.body);
}

#[test]
fn too_many_titles_at_a_time_are_told_to_wait_and_who_goes_makes_room() {
    let served = Served::new();
    let slow: Vec<_> = (0..2)
        .map(|_| {
            let mut stream = connect(&served.at);
            let head = format!("GET {SLOW} HTTP/1.1\r\nHost: localhost\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    crate::stage::eventually("no place for a third", || {
        (get(&served.at, TITLE).status == 503).then_some(())
    });
    drop(slow);
    crate::stage::eventually("a free place", || {
        (get(&served.at, TITLE).status == 404).then_some(())
    });
}

/// Lines of the events that are sent to a page.
fn follow(at: &str) -> impl Iterator<Item = String> {
    let mut stream = connect(at);
    stream
        .write_all(b"GET /api/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    BufReader::new(stream).lines().map_while(Result::ok)
}

#[test]
fn a_page_is_told_what_is_and_then_what_changes() {
    let served = Served::new();
    let mut lines = follow(&served.at).filter(|line| line.starts_with("data: "));
    assert!(lines.next().unwrap().contains("\"height\":7"));
    served.height.store(8, Ordering::SeqCst);
    assert!(lines.next().unwrap().contains("\"height\":8"));
    served.height.store(9, Ordering::SeqCst);
    assert!(lines.next().unwrap().contains("\"height\":9"));
}

#[test]
fn pages_that_listen_are_counted_and_too_many_are_told_to_wait() {
    let served = Served::new();
    let listeners: Vec<_> = (0..32)
        .map(|_| {
            let mut lines = follow(&served.at);
            assert!(lines.any(|line| line.starts_with("data: ")));
            lines
        })
        .collect();
    let answer = get(&served.at, "/api/live");
    assert_eq!(answer.status, 503);
    let metrics = get(&served.at, "/metrics").body;
    assert!(
        metrics.contains("\nbitmarkd_http_listeners 32\n"),
        "{metrics}"
    );
    drop(listeners);
    crate::stage::eventually("a free place", || {
        let mut lines = follow(&served.at);
        lines.next().filter(|line| line.contains("200 OK"))
    });
}

#[test]
fn the_metrics_are_well_formed() {
    let served = Served::new();
    let _ = get(&served.at, "/nowhere");
    let answer = get(&served.at, "/metrics");
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .starts_with("application/openmetrics-text")
    );
    assert!(answer.body.ends_with("# EOF\n"));
    let samples = crate::dashboard::samples(&answer.body);
    assert!(
        samples.contains("bitmarkd_http_requests_total"),
        "{samples:?}"
    );
    for line in [
        "bitmarkd_height 7",
        "bitmarkd_store_bytes 4711",
        "bitmarkd_refusals_total{reason=\"a \\\"reason\\\"\"} 3",
        "bitmarkd_record_messages_total{command=\"issues\",result=\"taken\"} 4",
        "bitmarkd_http_requests_total{path=\"other\",status=\"404\"} 1",
    ] {
        assert!(
            answer.body.lines().any(|one| one == line),
            "{line}\n{}",
            answer.body
        );
    }
}
