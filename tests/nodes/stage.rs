//! Nodes, miners and clients as processes on loopback, for the tests beside this file. Everything
//! ends with the stage.

#[path = "../shared/waiting.rs"]
#[allow(dead_code, reason = "shared with the other tests")]
pub mod waiting;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bitmarkd::cli::client::network::{IdentityEntry, Miner, Network};
use bitmarkd::cli::daemon::testnet::make::{self, Plan};
use bitmarkd::cli::daemon::testnet::ports::Ports;
use bitmarkd::core::chain::Chain;
use bitmarkd::shell::control;
use bitmarkd::shell::zmq::requester::{Requester, fresh_key};
use bitmarkd::shell::zmq::{Context, Frames};
use rustix::process::{WaitId, WaitIdOptions};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a process.
const PAUSE: Duration = Duration::from_millis(20);

/// A process that ends with the test.
#[derive(Debug)]
pub struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A node.
#[derive(Debug)]
pub struct TestNode {
    pub plan: Plan,
    process: Option<Process>,
}

/// Nodes that know each other, and an identity to sign with.
#[derive(Debug)]
pub struct Stage {
    folder: TempDir,
    pub chain: &'static str,
    pub nodes: Vec<TestNode>,
    pub identity: IdentityEntry,
    miners: Vec<Process>,
    _ports: Ports,
}

/// Asks again and again until the answer is the one wanted.
pub fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    waiting::eventually(what, PATIENCE, PAUSE, look)
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

impl Stage {
    /// So many nodes, set up and not started.
    pub fn new(chain: &'static str, count: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut ports = Ports::default();
        let plans: Vec<Plan> = (1..=count)
            .map(|n| Plan::new(folder.path(), &format!("n{n}"), &mut ports).unwrap())
            .collect();
        for plan in &plans {
            make::write_node(plan, &plans, chain, now()).unwrap();
        }
        ports.release();
        let identity = make::write_identity(folder.path()).unwrap();
        let nodes = plans
            .into_iter()
            .map(|plan| TestNode {
                plan,
                process: None,
            })
            .collect();
        let stage = Self {
            folder,
            chain,
            nodes,
            identity,
            miners: Vec::new(),
            _ports: ports,
        };
        stage.write_network();
        stage
    }

    /// A node that is not started yet knows this other one and nobody else, and needs no more.
    pub fn know_alone(&self, index: usize, other: usize) {
        let (node, other) = (&self.nodes[index], &self.nodes[other].plan);
        let entry = format!(
            "\n[[peering.connect]]\npublic_key = \"{}\"\naddress = \"127.0.0.1:{}\"\n",
            other.key(),
            other.peer4
        );
        std::fs::remove_file(node.plan.directory.join("peers.json")).unwrap();
        node.configure(|text| {
            text.replace(
                "[timing]\n",
                "[timing]\nminimum_upstreams = 1\nannounce_initial_ms = 3600000\n",
            )
            .replace("announce_initial_ms = 1000\n", "")
            .replace("\n[publishing]", &format!("{entry}\n[publishing]"))
            .replace(
                "private_key = \"peer.private\"\nprefer",
                "private_key = \"peer.private\"\ndynamic_connections = false\nprefer",
            )
        });
    }

    /// Nodes that are started and Normal.
    pub fn normal(chain: &'static str, count: usize) -> Self {
        let mut stage = Self::new(chain, count);
        for index in 0..count {
            stage.nodes[index].start();
        }
        stage.wait_normal();
        stage
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn wait_normal(&self) {
        for node in &self.nodes {
            node.wait_status("mode Normal", |s| s["mode"] == "Normal");
        }
    }

    /// The file that the client reads.
    fn write_network(&self) {
        let network = Network {
            chain: self.chain.to_owned(),
            started: String::new(),
            ends: String::new(),
            nodes: self
                .nodes
                .iter()
                .map(|node| make::entry(&node.plan, 0, self.chain))
                .collect(),
            miner: Miner {
                pid: 0,
                directory: PathBuf::new(),
                log: PathBuf::new(),
            },
            identity: self.identity.clone(),
        };
        let text = serde_json::to_string(&network).unwrap();
        std::fs::write(self.folder.path().join("nodes.json"), text).unwrap();
    }

    /// A miner for a node.
    pub fn mine_at(&mut self, index: usize) {
        let folder = self.folder.path().join(format!("miner-{index}"));
        make::write_miner(&folder, &self.nodes[index].plan, self.chain).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_recorderd"))
            .arg("--config-file")
            .arg(folder.join("recorderd.toml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.miners.push(Process(child));
    }

    /// Runs the client against a node; it must do well. Gives its JSON.
    pub fn client(&self, node: usize, arguments: &[&str]) -> Value {
        let output = self.client_output(node, arguments);
        assert!(
            output.status.success(),
            "bitmark-cli {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs the client against a node.
    pub fn client_output(&self, node: usize, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_bitmark-cli"))
            .arg("--json")
            .args(arguments)
            .arg("--network")
            .arg(self.folder.path())
            .args(["--node", &self.nodes[node].plan.name])
            .output()
            .unwrap()
    }

    /// Creates an asset with one issue at a node; gives the id.
    pub fn create(&self, node: usize, name: &str, wait: bool) -> String {
        let mut arguments = vec!["create", "--name", name, "--fingerprint", name];
        if wait {
            arguments.extend(["--wait", "--timeout", "60"]);
        }
        let made = self.client(node, &arguments);
        made["issueIds"][0].as_str().unwrap().to_owned()
    }

    /// Waits until a transaction has this status at a node.
    pub fn wait_transaction(&self, node: usize, id: &str, status: &str) {
        let question = json!({"command": "transaction", "txId": id});
        eventually(&format!("{status} of {id} at node {node}"), || {
            let answer = self.nodes[node].control(&question)?;
            (answer["status"] == status).then_some(())
        });
    }

    /// Waits until all nodes stand on one block, at least this high; gives the height.
    pub fn wait_agreement(&self, height: u64) -> u64 {
        eventually("agreement on one chain", || {
            let all: Vec<Value> = self.nodes.iter().filter_map(TestNode::status).collect();
            let first = all.first()?;
            let same = all.iter().all(|s| s["digest"] == first["digest"]);
            let found = first["height"].as_u64()?;
            (all.len() == self.nodes.len() && same && found >= height).then_some(found)
        })
    }
}

impl TestNode {
    pub fn config(&self) -> PathBuf {
        self.plan.directory.join("bitmarkd.toml")
    }

    /// Changes its configuration.
    pub fn configure(&self, change: impl FnOnce(String) -> String) {
        let text = std::fs::read_to_string(self.config()).unwrap();
        std::fs::write(self.config(), change(text)).unwrap();
    }

    pub fn start(&mut self) {
        let output = std::fs::File::create(self.plan.directory.join("output.txt")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_bitmarkd"))
            .arg("--config-file")
            .arg(self.config())
            .arg("start")
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        self.process = Some(Process(child));
    }

    /// Starts it again if it ended by itself; tells whether it had.
    pub fn start_if_ended(&mut self) -> bool {
        let ended = self
            .process
            .as_mut()
            .is_none_or(|process| process.0.try_wait().unwrap().is_some());
        if ended {
            self.start();
        }
        ended
    }

    pub fn pid(&self) -> u32 {
        self.process.as_ref().unwrap().0.id()
    }

    /// Fails with what it printed if it ended by itself.
    fn expect_alive(&self) {
        let process = self.process.as_ref().expect("it was started");
        let id = rustix::process::Pid::from_child(&process.0);
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let ended = rustix::process::waitid(WaitId::Pid(id), options).unwrap();
        if let Some(ended) = ended {
            let output = self.plan.directory.join("output.txt");
            let output = std::fs::read_to_string(output).unwrap();
            panic!("{} ended: {ended:?}\n{output}", self.plan.name);
        }
    }

    /// `kill -9`
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// SIGTERM, and a clean end within five seconds.
    pub fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        let pid = rustix::process::Pid::from_child(&process.0);
        let begin = Instant::now();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let status = process.0.wait().unwrap();
        assert!(status.success(), "{status}");
        assert!(
            begin.elapsed() < Duration::from_secs(5),
            "{:?}",
            begin.elapsed()
        );
    }

    pub fn control(&self, question: &Value) -> Option<Value> {
        control::call(&self.plan.directory.join("control.socket"), question).ok()
    }

    pub fn status(&self) -> Option<Value> {
        self.control(&json!({"command": "status"}))
    }

    pub fn height(&self) -> u64 {
        self.status().map_or(0, |s| s["height"].as_u64().unwrap())
    }

    pub fn wait_status(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("{what} at {}", self.plan.name), || {
            self.expect_alive();
            self.status().filter(|status| is(status))
        })
    }

    /// Resident memory in bytes.
    pub fn memory(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib * 1024
    }
}

/// A client over the protocol.
pub struct Asker {
    pub chain: &'static Chain,
    requester: Requester,
    _context: Context,
}

impl Asker {
    pub fn new(node: &TestNode, chain: &str) -> Self {
        Self::with_timeout(node, chain, Duration::from_secs(20))
    }

    pub fn with_timeout(node: &TestNode, chain: &str, timeout: Duration) -> Self {
        let context = Context::new().unwrap();
        let address = format!("127.0.0.1:{}", node.plan.peer4).parse().unwrap();
        let key = node.plan.key();
        let requester = Requester::dial(&context, &fresh_key(), &key, address, timeout).unwrap();
        Self {
            chain: Chain::by_name(chain).unwrap(),
            requester,
            _context: context,
        }
    }

    /// Sends frames as they are.
    pub fn raw(&self, frames: &[Vec<u8>]) -> Option<Frames> {
        self.requester.ask(frames).ok()
    }

    /// Sends a command of the chain.
    pub fn ask(&self, command: &str, parameters: &[&[u8]]) -> Option<Frames> {
        let mut frames = vec![
            self.chain.name.as_bytes().to_vec(),
            command.as_bytes().to_vec(),
        ];
        frames.extend(parameters.iter().map(|p| p.to_vec()));
        self.raw(&frames)
    }
}
