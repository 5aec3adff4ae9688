//! One node as a process of its own that knows nobody and is in mode Normal at once; and
//! clients that ask a peer service, whoever's it is. Nothing here is a measure.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use bitmarkd::cli::daemon::testnet::make::{self, Plan};
use bitmarkd::cli::daemon::testnet::ports::Ports;
use bitmarkd::core::keys::{PeerPrivateKey, PeerPublicKey};
use bitmarkd::shell::store::{CACHE_BYTES, Store};
use bitmarkd::shell::zmq::outward::{News, Outward, Publishing};
use bitmarkd::shell::zmq::requester::{Requester, fresh_key};
use bitmarkd::shell::zmq::{Context, Frames};
use crossbeam_channel::{Receiver, unbounded};

use crate::fixture;
use crate::process::{PATIENCE, program};
use crate::reference::first_blocks;
use crate::table::quantile;
use crate::world::World;

/// Where a peer service is, and for which chain it speaks.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// Its key.
    pub key: PeerPublicKey,
    /// Its address.
    pub address: SocketAddr,
    /// The name in front of each request.
    pub chain: &'static str,
    /// The number of its process.
    pub process: u32,
}

impl Service {
    /// A client with a key of its own.
    pub fn dial(&self, context: &Context) -> Requester {
        Requester::dial(context, &fresh_key(), &self.key, self.address, PATIENCE).expect("a socket")
    }

    /// The frames of a request.
    pub fn request(&self, command: &str, parameters: &[&[u8]]) -> Frames {
        let head = [self.chain.as_bytes().to_vec(), command.as_bytes().to_vec()];
        let parameters = parameters.iter().map(|bytes| bytes.to_vec());
        head.into_iter().chain(parameters).collect()
    }

    /// Asks until it is in mode Normal.
    pub fn wait_normal(&self, context: &Context) {
        let asker = self.dial(context);
        let end = Instant::now() + 3 * PATIENCE;
        loop {
            let reply = asker.ask(&self.request("I", &[])).expect("an answer");
            if String::from_utf8_lossy(&reply[1]).contains("\"normal\":true") {
                return;
            }
            assert!(Instant::now() < end, "mode Normal did not come about");
            // Processes have no event to wait on: they are asked.
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// The outgoing sockets of a node with this key that publishes nothing, and what comes in at them.
pub fn outward(context: &Context, key: PeerPrivateKey) -> (Outward, Receiver<News>) {
    let (tell, news) = unbounded();
    let nothing = Publishing {
        key: &key,
        zap_domain: "broadcaster",
        addresses: &[],
    };
    let outward = Outward::start(context, key.clone(), &nothing, "bench", move |item| {
        let _ = tell.send(item);
    });
    (outward.expect("a thread"), news)
}

/// What some clients saw: requests a second of all, and the 99th percentile of the times to an
/// answer, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Requests a second.
    pub rate: f64,
    /// Milliseconds.
    pub p99: f64,
    /// Microseconds that the service's process ran for each request.
    pub processor: f64,
}

/// Each client of these lists of requests on a thread of its own, all at once. They are connected
/// before the clock runs.
pub fn ask_all(context: &Context, service: &Service, lists: &[Vec<Frames>]) -> Seen {
    let clients: Vec<Requester> = lists.iter().map(|_| service.dial(context)).collect();
    for client in &clients {
        client.ask(&service.request("N", &[])).expect("an answer");
    }
    let begin = Barrier::new(lists.len() + 1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = clients
            .into_iter()
            .zip(lists)
            .map(|(client, requests)| {
                let begin = &begin;
                scope.spawn(move || {
                    begin.wait();
                    let ask = |request: &Frames| {
                        let begin = Instant::now();
                        client.ask(request).expect("an answer");
                        begin.elapsed().as_secs_f64() * 1e3
                    };
                    requests.iter().map(ask).collect::<Vec<f64>>()
                })
            })
            .collect();
        begin.wait();
        let before = processor(service.process);
        let since = Instant::now();
        let times: Vec<f64> = threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("it ends"))
            .collect();
        Seen {
            rate: times.len() as f64 / since.elapsed().as_secs_f64(),
            processor: (processor(service.process) - before) * 1e6 / times.len() as f64,
            p99: quantile(times.iter().copied(), 0.99),
        }
    })
}

/// Resident memory of a process in MiB.
pub fn resident(process: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}

/// Seconds that the threads of a process have run.
pub fn processor(process: u32) -> f64 {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).into_iter();
    let of_task = |task: std::fs::DirEntry| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    };
    let nanoseconds = tasks.flatten().flatten().filter_map(of_task).sum::<f64>();
    nanoseconds / 1e9
}

/// Seconds that this thread has run.
pub fn processor_of_thread() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = text.split_whitespace().next();
    let nanoseconds: f64 = first.and_then(|word| word.parse().ok()).unwrap_or_default();
    nanoseconds / 1e9
}

/// A node of ours; it ends with this.
pub struct Node {
    child: Child,
    _folder: tempfile::TempDir,
    /// Its peer service.
    pub service: Service,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Node {
    /// Starts one on `devnet`, on a chain that is made first, with these lines more in its configuration,
    /// and waits until it is in mode Normal.
    pub fn start(context: &Context, more: &str, make_chain: impl FnOnce(&mut World)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self::prepared(context, folder, "devnet", more, |plan| {
            make_world(&store_of(plan, "devnet"), make_chain);
        })
    }

    /// The same on a store of `devnet` that is there, which is moved into the node's folder and goes with
    /// it; both are on the same disk.
    pub fn on_store(context: &Context, more: &str, store: &Path) -> Self {
        let folder = fixture::scratch();
        Self::prepared(context, folder, "devnet", more, |plan| {
            std::fs::rename(store, store_of(plan, "devnet")).expect("it is moved");
        })
    }

    /// The same on `local` with the first of the saved blocks, so many, loaded by `load-blocks`.
    pub fn of_saved_blocks(context: &Context, blocks: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self::prepared(context, folder, "local", "", |plan| {
            let file = plan.directory.join("blocks");
            std::fs::write(&file, first_blocks(blocks)).expect("a file");
            let load = program(plan).arg("load-blocks").arg(file).status();
            assert!(load.expect("a process").success(), "load-blocks");
        })
    }

    fn prepared(
        context: &Context,
        folder: tempfile::TempDir,
        chain: &'static str,
        more: &str,
        prepare: impl FnOnce(&Plan),
    ) -> Self {
        let mut ports = Ports::default();
        let plan = Plan::new(folder.path(), "n1", &mut ports).expect("ports");
        make::write_node(&plan, &[], chain, 1).expect("a folder");
        ports.release();
        let path = plan.directory.join("bitmarkd.toml");
        let text = std::fs::read_to_string(&path).expect("a configuration");
        let text = format!("{text}minimum_upstreams = 0\n{more}");
        std::fs::write(&path, text).expect("a configuration");
        prepare(&plan);
        let child = program(&plan)
            .arg("start")
            .stderr(Stdio::null())
            .spawn()
            .expect("a node");
        let address = format!("127.0.0.1:{}", plan.peer4);
        let service = Service {
            key: plan.key(),
            address: address.parse().expect("an address"),
            chain,
            process: child.id(),
        };
        let node = Self {
            child,
            _folder: folder,
            service,
        };
        node.service.wait_normal(context);
        node
    }
}

/// Where a node has its store.
fn store_of(plan: &Plan, chain: &str) -> PathBuf {
    let data = plan.directory.join("data");
    std::fs::create_dir_all(&data).expect("a folder");
    data.join(format!("{chain}.sled"))
}

fn make_world(path: &Path, make_chain: impl FnOnce(&mut World)) {
    let store = Store::open(path, CACHE_BYTES).expect("a store");
    let mut world = World::new(store.store);
    make_chain(&mut world);
    world.store.flush().expect("the disk takes it");
}
