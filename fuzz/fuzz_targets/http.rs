//! What the explorer and the HTTPS service read after the handshake: raw bytes as a connection, and
//! single requests whose path, query, headers and body are arbitrary, answered by a whole node.
//!
//! 1. Every connection ends, whatever came.
//! 2. A single request gets one answer with a status of the service's own; what says that it is
//!    JSON is JSON.
//! 3. The explorer's answers have its strict headers, those of HTTPS theirs.

#![no_main]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard};

use bitmarkd::core::rpc::{self, Call};
use bitmarkd::shell::counters::Requests;
use bitmarkd::shell::explorer::{self, Allowed, Source};
use bitmarkd::shell::files::config::Allow;
use bitmarkd::shell::https::paths::Page;
use bitmarkd::shell::https::{self, Pages};
use bitmarkd::shell::rpc::{Answer, Service};
use bitmarkd::shell::tcp::{Count, Places};
use bitmarkd_fuzz::{Bench, NAMES, messages};
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// Bytes under way in each direction.
const PIPE: usize = 1 << 16;

/// An answer without an end.
const LIVE: &[u8] = b"/api/live";
const METHODS: [&str; 6] = ["GET", "GET", "HEAD", "POST", "OPTIONS", "DELETE"];
/// `*` stands for a name, or for what the fuzzer has in its place.
const EXPLORER: [&str; 19] = [
    "/",
    "/pages/*",
    "/api/overview",
    "/api/blocks",
    "/api/blocks/*",
    "/api/blocks/newest",
    "/api/records/*",
    "/api/records/*/provenance",
    "/api/records/*/following",
    "/api/assets/*",
    "/api/assets/*/issues",
    "/api/fingerprint",
    "/api/accounts/*",
    "/api/pending",
    "/api/peers",
    "/api/search",
    "/metrics",
    "/readyz",
    "/*",
];
const HTTPS: [&str; 5] = [
    "/bitmarkd/rpc",
    "/bitmarkd/details",
    "/bitmarkd/connections",
    "/bitmarkd/peers",
    "/*",
];

#[derive(Clone)]
struct Node(Arc<Mutex<Bench>>);

impl Node {
    fn bench(&self) -> MutexGuard<'_, Bench> {
        self.0.lock().expect("no panic before")
    }

    fn source(&self) -> Source {
        let node = self.clone();
        Source {
            ask: Arc::new(move |question| {
                let shown = node.bench().show(question);
                Box::pin(async move { Ok(shown) })
            }),
            store_bytes: Arc::new(|| Box::pin(async { 1 })),
        }
    }

    /// Serves a connection of this machine, or of another one.
    async fn serve(self, kind: Kind, stream: DuplexStream, from: IpAddr) {
        match kind {
            Kind::Explorer => {
                let service = explorer::Service::new(self.source(), Allowed::default(), None);
                service.connection(stream, from).await;
            }
            Kind::Https => {
                let allow = Allow {
                    details: vec![HERE],
                    connections: vec![HERE],
                    peers: vec![HERE],
                };
                let settings = Arc::new(https::Settings::new(1, allow));
                let place = Places::new(1, Count::default())
                    .take(from)
                    .expect("a place");
                let counts = https::Counts {
                    requests: Requests::new(["path", "status"]),
                    calls: Requests::new(["method", "result"]),
                };
                https::exchange(stream, from, place, settings, counts, self).await;
            }
        }
    }
}

impl Service for Node {
    async fn call(&self, request: Vec<u8>) -> Answer {
        let envelope = match rpc::read(&request) {
            Ok(envelope) => envelope,
            Err(unreadable) => return Answer::Unreadable(unreadable.reply()),
        };
        match envelope.call {
            Ok(call) => Answer::Called(rpc::reply(&envelope.id, &self.bench().call(call))),
            Err(error) => Answer::Refused(rpc::reply(&envelope.id, &Err(error))),
        }
    }
}

impl Pages for Node {
    async fn show(&self, page: Page) -> Option<String> {
        let call = match page {
            Page::Details => Call::Details,
            Page::Connections => Call::Connections,
            Page::Peers { count, after } => Call::Peers { count, after },
        };
        self.bench().call(call).ok()
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Explorer,
    Https,
}

/// Without what would end a line, or a part of it.
fn bare(bytes: &[u8]) -> Vec<u8> {
    let is_kept = |byte: &&u8| !matches!(byte, b'\r' | b'\n' | b' ');
    bytes.iter().filter(is_kept).copied().collect()
}

/// A request, and whether its answer has no body.
fn request(kind: Kind, number: u8, mut frames: Vec<Vec<u8>>) -> (Vec<u8>, bool) {
    frames.resize(4, Vec::new());
    let [name, query, head, body] = <[_; 4]>::try_from(frames).expect("four");
    let at = usize::from(number);
    let path = match kind {
        Kind::Explorer => EXPLORER[at % EXPLORER.len()],
        Kind::Https => HTTPS[at % HTTPS.len()],
    };
    let (first, accept) = head.split_first().unwrap_or((&0, &[]));
    let method = METHODS[usize::from(*first) % METHODS.len()];
    let name = match name.as_slice() {
        [] => NAMES[0].as_bytes(),
        [one] => NAMES[usize::from(*one) % NAMES.len()].as_bytes(),
        name => name,
    };
    let mut text = format!("{method} ").into_bytes();
    for (index, part) in path.split('*').enumerate() {
        if index > 0 {
            text.extend(bare(name));
        }
        text.extend_from_slice(part.as_bytes());
    }
    if !query.is_empty() {
        text.push(b'?');
        text.extend(bare(&query));
    }
    text.extend_from_slice(b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept: ");
    text.extend(bare(accept));
    text.extend(format!("\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes());
    text.extend(body);
    (text, method == "HEAD")
}

fn check(kind: Kind, answer: &[u8], has_no_body: bool, asked: &[u8]) {
    let shown = || String::from_utf8_lossy(asked).into_owned();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no answer to {}", shown()));
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let body = &answer[end + 4..];
    let status = head.split(' ').nth(1).and_then(|text| text.parse().ok());
    let status: u16 = status.expect("a status");
    let has = |line: &str| head.contains(&format!("\r\n{line}"));
    let is_own = match kind {
        Kind::Explorer => has("content-security-policy: default-src 'none'"),
        Kind::Https => has("x-content-type-options: nosniff"),
    };
    let known: &[u16] = match (kind, is_own) {
        // The library refuses what is no HTTP before it comes to us.
        (_, false) => &[400, 414, 431],
        (Kind::Explorer, true) => &[200, 400, 403, 404, 405, 414, 421, 503],
        (Kind::Https, true) => &[200, 403, 404, 405, 500],
    };
    assert!(known.contains(&status), "{status} for {}", shown());
    assert!(
        kind == Kind::Explorer || status != 500,
        "500 for {}",
        shown()
    );
    if has_no_body {
        assert!(body.is_empty(), "{}", shown());
    } else if has("content-type: application/json") {
        let values = serde_json::Deserializer::from_slice(body).into_iter::<IgnoredAny>();
        let count = values.map(|value| value.expect("JSON")).count();
        assert!(count > 0, "{}", shown());
    }
}

fuzz_target!(|bytes: &[u8]| {
    let node = Node(Arc::new(Mutex::new(Bench::filled())));
    for (number, frames) in messages(bytes).into_iter().take(4) {
        let kind = if number & 1 == 0 {
            Kind::Explorer
        } else {
            Kind::Https
        };
        let from = if number & 14 == 14 { ELSEWHERE } else { HERE };
        let mut is_raw = number & 14 == 2;
        let (asked, has_no_body) = if is_raw {
            (frames.concat(), false)
        } else {
            request(kind, number >> 4 | (number & 8) << 1, frames)
        };
        // What is followed live ends with the client alone.
        is_raw |= asked.windows(LIVE.len()).any(|part| part == LIVE);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        let answer = runtime.block_on(async {
            let (near, far) = duplex(PIPE);
            let (mut reader, mut writer) = tokio::io::split(far);
            let ask = async {
                // Who is refused early does not read all.
                let _ = writer.write_all(&asked).await;
                if is_raw {
                    let _ = writer.shutdown().await;
                }
            };
            let read = async {
                let mut answer = Vec::new();
                let _ = reader.read_to_end(&mut answer).await;
                answer
            };
            let ((), (), answer) = tokio::join!(node.clone().serve(kind, near, from), ask, read);
            answer
        });
        if !is_raw {
            check(kind, &answer, has_no_body, &asked);
        }
    }
});
