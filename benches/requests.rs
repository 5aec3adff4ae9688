//! How fast requests are answered: a node beside a bare echo over the same sockets, in one run.
//! What counts is the ratio; the machine may be busy.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bitmarkd::cli::daemon::testnet::make::{self, Plan};
use bitmarkd::cli::daemon::testnet::ports::Ports;
use bitmarkd::node::Node;
use bitmarkd::shell::files::config::{Config, Variables};
use bitmarkd::shell::zmq::monitor::Event;
use bitmarkd::shell::zmq::receive::Received;
use bitmarkd::shell::zmq::requester::{Requester, fresh_key};
use bitmarkd::shell::zmq::server::{Binding, Bound, Service};
use bitmarkd::shell::zmq::{Access, AccessThread, Context, Frames};

use crate::table::{Reach, Row, Table};

/// Requests of each client in a round.
const REQUESTS: usize = 5_000;
/// Rounds; the median counts.
const ROUNDS: usize = 5;

/// Sends everything back.
struct Echo {
    replies: VecDeque<(usize, Frames)>,
    stop: Arc<AtomicBool>,
}

impl Service for Echo {
    fn message(&mut self, socket: usize, received: Received) {
        self.replies.push_back((socket, received.frames));
    }
    fn woken(&mut self) {}
    fn event(&mut self, _: usize, _: Event) {}
    fn next_reply(&mut self) -> Option<(usize, Frames)> {
        self.replies.pop_front()
    }
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

/// Requests a second of so many clients.
fn rate(
    server: &bitmarkd::core::keys::PeerPublicKey,
    address: std::net::SocketAddr,
    clients: usize,
    request: &[Vec<u8>],
) -> f64 {
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let context = Context::new().expect("CURVE");
                let wait = Duration::from_secs(20);
                let requester = Requester::dial(&context, &fresh_key(), server, address, wait)
                    .expect("a socket");
                for _ in 0..REQUESTS {
                    requester.ask(request).expect("an answer");
                }
            });
        }
    });
    (clients * REQUESTS) as f64 / begin.elapsed().as_secs_f64()
}

/// The measure.
pub fn run(table: &mut Table) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut ports = Ports::default();
    let plan = Plan::new(folder.path(), "n1", &mut ports).expect("ports");
    make::write_node(&plan, std::slice::from_ref(&plan), "devnet", 1).expect("a folder");
    ports.release();
    let path = plan.directory.join("bitmarkd.toml");
    let variables = Variables::new(&[], []).expect("none");
    let config = Config::load(&path, &variables).expect("a configuration");
    let node = Node::start(&config, None, None).expect("a node");

    let context = Context::new().expect("CURVE");
    let _access = AccessThread::start(&context, Access::default()).expect("a thread");
    let key = fresh_key();
    let stop = Arc::new(AtomicBool::new(false));
    let binding = Binding {
        name: "echo",
        key: &key,
        zap_domain: "listen",
        addresses: &["127.0.0.1:0".parse().expect("an address")],
    };
    let echo = Echo {
        replies: VecDeque::new(),
        stop: Arc::clone(&stop),
    };
    let server = Bound::new(&context, &binding)
        .and_then(|bound| bound.serve(echo))
        .expect("an echo");

    for command in ["N", "I", "H"] {
        let mut request = vec![b"devnet".to_vec(), command.as_bytes().to_vec()];
        if command == "H" {
            request.push(1_u64.to_be_bytes().to_vec());
        }
        for clients in [1, 8] {
            let pairs: Vec<(f64, f64)> = (0..ROUNDS)
                .map(|_| {
                    let ours = rate(&plan.key(), node.bindings.peer[0], clients, &request);
                    let bare = rate(&key.public_key(), server.addresses[0], clients, &request);
                    (ours, bare)
                })
                .collect();
            let measure = format!("{command} requests, {clients} clients");
            table.row(
                Row::of_pairs(&measure, "requests/s", "bare echo", &pairs)
                    .reach(Reach::AtLeast(0.9))
                    .parameters(format!("{ROUNDS} pairs of {REQUESTS} a client, CURVE")),
            );
        }
    }
    stop.store(true, Ordering::SeqCst);
}
