//! A service on a thread of its own, and the stand-in behind it.

#[path = "../shared/waiting.rs"]
#[allow(dead_code, reason = "shared with the other tests")]
mod waiting;

use std::collections::BTreeMap;
use std::future::Future;
use std::io::BufRead as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bitmarkd::shell::counters::{Requests, ServiceCounts};
use bitmarkd::shell::files::certificate::Certificate;
use bitmarkd::shell::https::paths::Page;
use bitmarkd::shell::https::{self, Pages};
use bitmarkd::shell::rpc::{self, Answer, Service};
use bitmarkd::shell::tcp::{Count, tls};
use serde_json::Value;
use tokio::sync::{oneshot, watch};

use super::speaker::{Client, PATIENCE, tcp};

/// Waits until it holds.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    // The services only count, they tell nobody.
    let pause = Duration::from_millis(2);
    waiting::eventually(what, PATIENCE, pause, || holds().then_some(()));
}

/// Makes a reply of a request.
pub type Script = Box<dyn FnMut(&str) -> String + Send>;

/// Stands in for the node. `Wait` is answered when the gate is open, `Big` with as many bytes as
/// its id says, a method of [`Stub::answers`] with what is there, any other with its own name.
#[derive(Clone)]
pub struct Stub {
    /// Texts of requests and their answers.
    pub answers: Arc<Mutex<BTreeMap<String, Answer>>>,
    /// What a page shows.
    pub pages: Arc<Mutex<BTreeMap<String, String>>>,
    /// Requests that were begun.
    pub begun: Arc<AtomicUsize>,
    /// Answers every request in place of all that, when there is one.
    pub script: Arc<Mutex<Option<Script>>>,
    gate: Arc<watch::Sender<bool>>,
}

impl Stub {
    pub fn new() -> Self {
        Self {
            answers: Arc::default(),
            pages: Arc::default(),
            begun: Arc::default(),
            script: Arc::default(),
            gate: Arc::new(watch::Sender::new(false)),
        }
    }

    /// All that wait are answered, and all that come.
    pub fn open_gate(&self) {
        self.gate.send_replace(true);
    }

    pub fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }
}

impl Service for Stub {
    async fn call(&self, request: Vec<u8>) -> Answer {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some(script) = self.script.lock().unwrap().as_mut() {
            return Answer::Called(script(&text));
        }
        let known = self.answers.lock().unwrap().get(&text).cloned();
        if let Some(answer) = known {
            return answer;
        }
        let read: Value = serde_json::from_str(&text).unwrap_or_default();
        let Some(method) = read["method"].as_str() else {
            let reply = "{\"id\":null,\"result\":null,\"error\":\"no method\"}\n";
            return Answer::Unreadable(reply.to_owned());
        };
        let result = match method {
            "Wait" => {
                let _ = self.gate.subscribe().wait_for(|is_open| *is_open).await;
                "waited".to_owned()
            }
            "Big" => "x".repeat(usize::try_from(read["id"].as_u64().unwrap()).unwrap()),
            _ => method.to_owned(),
        };
        let id = &read["id"];
        Answer::Called(format!(
            "{{\"id\":{id},\"result\":\"{result}\",\"error\":null}}\n"
        ))
    }
}

impl Pages for Stub {
    async fn show(&self, page: Page) -> Option<String> {
        self.pages
            .lock()
            .unwrap()
            .get(&format!("{page:?}"))
            .cloned()
    }
}

/// A running service. Dropping it stops it.
pub struct Stage {
    pub stub: Stub,
    pub count: Count,
    pub counts: ServiceCounts,
    /// Calls over HTTPS that the stand-in was not asked.
    pub calls: Requests,
    pub v4: SocketAddr,
    pub v6: SocketAddr,
    /// DER, as the file has it.
    pub certificate: Vec<u8>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// Which service.
pub enum Kind {
    Rpc(rpc::Settings),
    Https(https::Settings),
}

impl Stage {
    pub fn rpc(settings: rpc::Settings) -> Self {
        Self::start(Kind::Rpc(settings))
    }

    pub fn start(kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| -> PathBuf { folder.path().join(name) };
        let (certificate, key) = (file("rpc.crt"), file("rpc.key"));
        let made = Certificate::generate(&[], std::time::SystemTime::now()).unwrap();
        made.write(&certificate, &key).unwrap();
        let protocols: &[&[u8]] = match kind {
            Kind::Rpc(_) => &[],
            Kind::Https(_) => &https::PROTOCOLS,
        };
        let tls = tls::server(&certificate, &key, protocols).unwrap();
        let (stub, counts) = (Stub::new(), ServiceCounts::new(["name", "result"]));
        let calls = Requests::new(["method", "result"]);
        let called = calls.clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let (told, bound) = std::sync::mpsc::channel();
        let (service, counted) = (stub.clone(), counts.clone());
        let serve = async move {
            let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
            let bind = |address| match &kind {
                Kind::Rpc(_) => rpc::bind(&[address]),
                Kind::Https(_) => https::bind(&[address]),
            };
            // Both families at one port, which may be taken in the other one.
            let listeners = loop {
                let mut six = bind(v6);
                let port = six[0].local_addr().unwrap().port();
                let four = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
                if !four.is_empty() {
                    six.extend(four);
                    break six;
                }
            };
            told.send(listeners[0].local_addr().unwrap().port())
                .unwrap();
            let serving: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> = match kind {
                Kind::Rpc(settings) => {
                    Box::pin(rpc::serve(listeners, tls, settings, counted, service))
                }
                Kind::Https(settings) => {
                    let calls = called;
                    Box::pin(https::serve(
                        listeners, tls, settings, counted, calls, service,
                    ))
                }
            };
            tokio::select! {
                () = serving => {}
                _ = stopped => {}
            }
        };
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .enable_time()
                .build()
                .unwrap();
            runtime.block_on(serve);
        });
        let port = bound.recv().unwrap();
        Self {
            stub,
            count: counts.count.clone(),
            counts,
            calls,
            v4: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            v6: SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
            certificate: pem::parse(&made.certificate).unwrap().into_contents(),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub fn address(&self, from: IpAddr) -> SocketAddr {
        if from.is_ipv6() { self.v6 } else { self.v4 }
    }

    /// A connection without TLS.
    pub fn tcp(&self) -> TcpStream {
        tcp(self.v4)
    }

    pub fn client(&self) -> Client {
        Client::new(self.v4, &[]).unwrap()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().unwrap().join();
        if !std::thread::panicking() {
            ended.unwrap();
        }
    }
}

impl Client {
    /// Whether it is served.
    pub fn is_answered(&mut self) -> bool {
        let mut line = String::new();
        self.try_send(request("Here", 1)).is_ok()
            && self.stream.read_line(&mut line).is_ok()
            && line == reply("Here", 1)
    }
}

pub fn request(method: &str, id: u32) -> String {
    format!("{{\"id\":{id},\"method\":\"{method}\",\"params\":[{{}}]}}")
}

pub fn reply(result: &str, id: u32) -> String {
    format!("{{\"id\":{id},\"result\":\"{result}\",\"error\":null}}\n")
}
