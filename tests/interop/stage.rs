//! Nodes of both kinds, told apart by nothing but how they are started: what is asked of them goes
//! over the protocol and over HTTPS, the same way for both.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bitmarkd::cli::client::identity;
use bitmarkd::cli::client::network::IdentityEntry;
use bitmarkd::cli::daemon::testnet::make::{self, Plan};
use bitmarkd::cli::daemon::testnet::ports::Ports;
use bitmarkd::shell::zmq::requester::{Requester, fresh_key};
use bitmarkd::shell::zmq::{Context, Frames};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::launch::{Process, eventually, seen};
use crate::reference::{self, Seed};
use crate::speaker::Client;
use crate::wires::{End, Wires};

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(70);
/// How long nodes may take to be in step from their start: the reference needs 45 s at the least.
pub const SETTLING: Duration = Duration::from_secs(300);

/// Whose program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ours,
    Reference,
}

/// A node.
#[derive(Debug)]
pub struct Node {
    pub kind: Kind,
    pub plan: Plan,
    /// Where its peer service listens on IPv4: not where it announces itself if it has a relay in
    /// front.
    listen: u16,
    process: Option<Process>,
    /// What goes into its peer file before each start: the reference spoils its own when it stops.
    peers: String,
}

/// Nodes of both kinds and an identity to sign with.
#[derive(Debug)]
pub struct Stage {
    pub begin: Instant,
    folder: TempDir,
    pub nodes: Vec<Node>,
    pub identity: IdentityEntry,
    /// Where the nodes look for payments: news, and what was.
    pub discovery: [u16; 2],
    seeds: Vec<Vec<usize>>,
    miners: Vec<Process>,
    miners_made: usize,
    /// The relays in front of the nodes, if there are any.
    wires: Option<Wires>,
    _ports: Ports,
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

impl Stage {
    /// Nodes that are set up and not started. They know nobody.
    pub fn new(kinds: &[Kind]) -> Self {
        Self::with(kinds, false)
    }

    /// The same with a relay in front of each.
    pub fn wired(kinds: &[Kind]) -> Self {
        let mut stage = Self::with(kinds, true);
        let ends: Vec<End> = stage
            .nodes
            .iter()
            .map(|node| End {
                key: node.plan.peer.clone(),
                front: [node.plan.peer4, node.plan.peer6],
                back: node.listen,
            })
            .collect();
        stage.wires = Some(Wires::new(&ends));
        stage
    }

    /// The relays.
    pub fn wires(&self) -> &Wires {
        self.wires.as_ref().unwrap()
    }

    fn with(kinds: &[Kind], is_wired: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut ports = Ports::default();
        let mut numbers = [0, 0];
        let plans: Vec<Plan> = kinds
            .iter()
            .map(|kind| {
                let (letter, number) = match kind {
                    Kind::Ours => ("rust", &mut numbers[0]),
                    Kind::Reference => ("go", &mut numbers[1]),
                };
                *number += 1;
                Plan::new(folder.path(), &format!("{letter}{number}"), &mut ports).unwrap()
            })
            .collect();
        let discovery = [(); 2].map(|()| ports.take("127.0.0.1").unwrap());
        let listen: Vec<u16> = plans
            .iter()
            .map(|plan| match is_wired {
                true => ports.take("127.0.0.1").unwrap(),
                false => plan.peer4,
            })
            .collect();
        ports.release();
        let identity = make::write_identity(folder.path()).unwrap();
        let nodes: Vec<Node> = plans
            .iter()
            .zip(kinds)
            .zip(listen)
            .map(|((plan, kind), listen)| Node {
                kind: *kind,
                plan: plan.clone(),
                listen,
                process: None,
                peers: "[]".to_owned(),
            })
            .collect();
        for node in &nodes {
            make::write_node(&node.plan, &plans, "local", now()).unwrap();
        }
        let stage = Self {
            begin: Instant::now(),
            folder,
            seeds: vec![Vec::new(); nodes.len()],
            nodes,
            identity,
            discovery,
            miners: Vec::new(),
            miners_made: 0,
            wires: None,
            _ports: ports,
        };
        for index in 0..stage.nodes.len() {
            stage.write_configuration(index);
        }
        stage
    }

    /// Each node knows all others from a peer file made by hand.
    pub fn acquainted(mut self) -> Self {
        let everybody: Vec<usize> = (0..self.nodes.len()).collect();
        self.acquaint(&everybody);
        self
    }

    /// This node's peer file names these alone.
    pub fn tell(&mut self, index: usize, others: &[usize]) {
        let plans = others.iter().map(|other| &self.nodes[*other].plan);
        self.nodes[index].peers = reference::peer_file(plans, now());
    }

    /// These know each other from their peer files, and nobody else.
    pub fn acquaint(&mut self, group: &[usize]) {
        for index in group {
            self.tell(*index, group);
        }
    }

    /// A node dials others from its start on.
    pub fn seed(&mut self, index: usize, others: &[usize]) {
        self.seeds[index] = others.to_vec();
        self.write_configuration(index);
    }

    fn write_configuration(&self, index: usize) {
        let node = &self.nodes[index];
        let seeds: Vec<Seed> = self.seeds[index]
            .iter()
            .map(|other| {
                let plan = &self.nodes[*other].plan;
                (plan.key().to_string(), format!("127.0.0.1:{}", plan.peer4))
            })
            .collect();
        match node.kind {
            Kind::Reference => {
                let listen = node.listeners();
                let text = reference::node(&node.plan, &listen, &seeds, &self.discovery);
                std::fs::write(node.configuration(), text).unwrap();
            }
            Kind::Ours => node.configure(|text| {
                let (text, _) = text.split_once("[timing]").unwrap();
                let (head, tail) = text.split_once("\n[publishing]").unwrap();
                let head = head.split("\n[[peering.connect]]").next().unwrap();
                let connect: String = seeds
                    .iter()
                    .map(|(key, address)| {
                        format!("\n[[peering.connect]]\npublic_key = \"{key}\"\naddress = \"{address}\"\n")
                    })
                    .collect();
                let [news, past] = self.discovery;
                let head = head
                    .lines()
                    .map(|line| match line.starts_with("listen = ") {
                        true => format!("listen = {:?}\n", node.listeners()),
                        false => format!("{line}\n"),
                    })
                    .collect::<String>();
                format!("{head}{connect}\n[publishing]{tail}")
                    .replace("127.0.0.1:5566\"", &format!("127.0.0.1:{news}\""))
                    .replace("127.0.0.1:5567\"", &format!("127.0.0.1:{past}\""))
                    + "[timing]\n"
            }),
        }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn start_all(&mut self) {
        for node in &mut self.nodes {
            node.start();
        }
    }

    /// Waits for something of every node, all of which must live on.
    pub fn all(&mut self, what: &str, limit: Duration, is: impl Fn(&Node) -> bool) {
        for index in 0..self.nodes.len() {
            self.one(index, what, limit, &is);
        }
        seen(self.begin, format_args!("{what}: all {}", self.nodes.len()));
    }

    /// Waits for something of a node, while all must live on.
    pub fn one(&mut self, index: usize, what: &str, limit: Duration, is: impl Fn(&Node) -> bool) {
        let name = self.nodes[index].plan.name.clone();
        eventually(&format!("{what} at {name}"), limit, || {
            self.expect_alive();
            is(&self.nodes[index]).then_some(())
        });
        seen(self.begin, format_args!("{what}: {name}"));
    }

    /// Fails if a node or a miner ended by itself.
    pub fn expect_alive(&mut self) {
        for node in &mut self.nodes {
            node.expect_alive();
        }
        for miner in &mut self.miners {
            let ended = miner.ended();
            assert!(ended.is_none(), "a miner ended: {}", miner.printed());
        }
    }

    pub fn wait_normal(&mut self) {
        self.all("mode Normal", SETTLING, Node::is_normal);
    }

    /// Our miner, for a node of either kind.
    pub fn mine_at(&mut self, index: usize, threads: usize) {
        let folder = self.miner_folder();
        make::write_miner(&folder, &self.nodes[index].plan, "local").unwrap();
        let path = folder.join("recorderd.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace("threads = 1", &format!("threads = {threads}"));
        std::fs::write(&path, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_recorderd"));
        command.arg("--config-file").arg(path);
        self.start_miner(command, &folder);
    }

    /// The reference's miner, for a node of either kind.
    pub fn mine_with_reference_at(&mut self, index: usize, threads: usize) {
        let folder = self.miner_folder();
        make::write_miner(&folder, &self.nodes[index].plan, "local").unwrap();
        let path = folder.join("recorderd.conf");
        std::fs::write(&path, reference::miner(&self.nodes[index].plan, threads)).unwrap();
        let mut command = reference::program("recorderd");
        command.arg(format!("--config-file={}", path.display()));
        self.start_miner(command, &folder);
    }

    fn miner_folder(&mut self) -> PathBuf {
        self.miners_made += 1;
        self.folder().join(format!("miner-{}", self.miners_made))
    }

    fn start_miner(&mut self, command: Command, folder: &Path) {
        let output = folder.join("output.txt");
        self.miners.push(Process::start(command, &output));
    }

    pub fn stop_miners(&mut self) {
        self.miners.clear();
    }

    /// Runs our client against the client service of a node; it must do well. Gives its JSON.
    pub fn client(&self, node: usize, arguments: &[&str]) -> Value {
        let service = format!("127.0.0.1:{}", self.nodes[node].plan.rpc4);
        self.client_with(&[arguments, &["--rpc", &service]].concat())
    }

    /// The same as another identity.
    pub fn client_as(&self, identity: &str, node: usize, arguments: &[&str]) -> Value {
        let service = format!("127.0.0.1:{}", self.nodes[node].plan.rpc4);
        self.run_client(identity, &[arguments, &["--rpc", &service]].concat())
    }

    /// Runs our client; it must do well. Gives its JSON.
    pub fn client_with(&self, arguments: &[&str]) -> Value {
        self.run_client(&self.identity.name, arguments)
    }

    /// One more identity, sealed under the same pass phrase.
    pub fn second_identity(&self) -> IdentityEntry {
        let file = self.identity.file.with_file_name("second.json");
        let phrase = std::fs::read_to_string(&self.identity.passphrase_file).unwrap();
        let seed = identity::fresh_seed(true);
        let account = identity::write(&file, "second", &seed, phrase.trim()).unwrap();
        IdentityEntry {
            name: "second".to_owned(),
            file,
            account,
            ..self.identity.clone()
        }
    }

    fn run_client(&self, identity: &str, arguments: &[&str]) -> Value {
        let mut client = Command::new(env!("CARGO_BIN_EXE_bitmark-cli"));
        client.env("XDG_CONFIG_HOME", self.folder()).arg("--json");
        client.args(arguments).args(["--chain", "local"]);
        if ["create", "transfer", "countersign"].contains(&arguments[0]) {
            client.args(["--identity", identity, "--identities"]);
            client.arg(self.identity.file.parent().unwrap());
            client.arg("--passphrase-file");
            client.arg(&self.identity.passphrase_file);
        }
        let output = client.output().unwrap();
        assert!(
            output.status.success(),
            "bitmark-cli {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Registers an asset with issues at a node, paid for by work; gives what the client printed.
    pub fn create(&self, node: usize, name: &str, quantity: usize) -> Value {
        let quantity = quantity.to_string();
        let arguments = [
            "create",
            "--name",
            name,
            "--fingerprint",
            name,
            "--quantity",
        ];
        let made = self.client(node, &[&arguments[..], &[&quantity]].concat());
        assert_eq!(made["proofStatus"], "Accepted", "{made}");
        made
    }

    /// Waits until every node thinks so of a transaction.
    pub fn all_think(&mut self, id: &str, status: &str, limit: Duration) {
        let what = format!("{status} {}", &id[..8]);
        self.all(&what, limit, |node| node.transaction(id) == status);
    }
}

impl Node {
    pub fn configuration(&self) -> PathBuf {
        self.plan.directory.join(match self.kind {
            Kind::Ours => "bitmarkd.toml",
            Kind::Reference => "bitmarkd.conf",
        })
    }

    /// Changes its configuration.
    pub fn configure(&self, change: impl FnOnce(String) -> String) {
        let path = self.configuration();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, change(text)).unwrap();
    }

    /// The program with its configuration.
    pub fn program(&self) -> Command {
        let mut command = match self.kind {
            Kind::Ours => Command::new(env!("CARGO_BIN_EXE_bitmarkd")),
            Kind::Reference => reference::program("bitmarkd"),
        };
        command.arg(format!("--config-file={}", self.configuration().display()));
        command
    }

    /// Runs a command of the program on the stopped node; it must do well.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.program().args(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{} {arguments:?}: {}{}",
            self.plan.name,
            text(&output.stdout),
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    pub fn start(&mut self) {
        let peers = match self.kind {
            Kind::Ours => self.plan.directory.join("peers.json"),
            Kind::Reference => reference::peer_file_of(&self.plan.directory),
        };
        std::fs::write(peers, &self.peers).unwrap();
        let mut command = self.program();
        command.arg("start");
        self.process = Some(Process::start(command, &self.output()));
    }

    /// Where its peer service listens.
    fn listeners(&self) -> Vec<String> {
        let v4 = format!("127.0.0.1:{}", self.listen);
        match self.listen == self.plan.peer4 {
            true => vec![v4, format!("[::1]:{}", self.plan.peer6)],
            false => vec![v4],
        }
    }

    fn output(&self) -> PathBuf {
        self.plan.directory.join("output.txt")
    }

    /// `kill -9`
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// SIGTERM, and a clean end.
    pub fn stop(&mut self) {
        let status = self.process.take().unwrap().stop();
        assert!(status.success(), "{}: {status}", self.plan.name);
    }

    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    pub fn pid(&self) -> u32 {
        self.process.as_ref().unwrap().id()
    }

    /// Fails with what it printed if it ended by itself.
    fn expect_alive(&mut self) {
        let name = &self.plan.name;
        if let Some(process) = &mut self.process
            && let Some(status) = process.ended()
        {
            panic!("{name} ended: {status}\n{}", process.printed());
        }
    }

    /// A connection to its peer service.
    pub fn asker(&self) -> Asker {
        Asker::new(self)
    }

    fn ask(&self, command: &str, parameters: &[&[u8]]) -> Option<Frames> {
        self.asker().ask(command, parameters)
    }

    /// What it says of itself; nothing while it is not there.
    pub fn info(&self) -> Option<Value> {
        std::net::TcpStream::connect(("127.0.0.1", self.listen)).ok()?;
        let reply = self.ask("I", &[])?;
        serde_json::from_slice(reply.get(1)?).ok()
    }

    pub fn is_normal(&self) -> bool {
        self.info().is_some_and(|info| info["normal"] == true)
    }

    pub fn height(&self) -> u64 {
        self.info()
            .map_or(0, |info| info["height"].as_u64().unwrap())
    }

    /// Digests of blocks.
    pub fn digests(&self, numbers: impl IntoIterator<Item = u64>) -> Vec<Vec<u8>> {
        let asker = self.asker();
        numbers
            .into_iter()
            .map(|number| {
                let reply = asker.ask("H", &[&number.to_be_bytes()]).unwrap();
                assert_eq!(reply[0], b"H", "block {number} at {}", self.plan.name);
                reply[1].clone()
            })
            .collect()
    }

    fn https(&self, request: &str) -> Option<Value> {
        let address = format!("127.0.0.1:{}", self.plan.https).parse().unwrap();
        std::net::TcpStream::connect(address).ok()?;
        let mut client = Client::new(address, &[]).ok()?;
        client.try_send(request).ok()?;
        let reply = client.rest();
        let text = String::from_utf8_lossy(&reply).into_owned();
        let (_, body) = text.split_once("\r\n\r\n")?;
        serde_json::from_str(body.trim()).ok()
    }

    /// A page of its HTTPS service.
    pub fn page(&self, path: &str) -> Option<Value> {
        self.https(&format!(
            "GET /bitmarkd/{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        ))
    }

    /// Calls a method; gives the result.
    pub fn call(&self, method: &str, parameter: &Value) -> Option<Value> {
        let body = json!({"id": 1, "method": method, "params": [parameter]}).to_string();
        let reply = self.https(&format!(
            "POST /bitmarkd/rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ))?;
        Some(reply["result"].clone()).filter(|result| !result.is_null())
    }

    /// What it thinks of a transaction; nothing while it is not there.
    pub fn transaction(&self, id: &str) -> String {
        self.call("Transaction.Status", &json!({"txId": id}))
            .and_then(|reply| reply["status"].as_str().map(str::to_owned))
            .unwrap_or_default()
    }

    /// The keys of the peers it knows, itself included.
    pub fn peers(&self) -> Vec<String> {
        let page = self.page("peers?count=100").unwrap_or_default();
        let entries = page.as_array().cloned().unwrap_or_default();
        let mut keys: Vec<String> = entries
            .iter()
            .map(|entry| entry["publicKey"].as_str().unwrap().to_owned())
            .collect();
        keys.sort();
        keys
    }

    /// The fingerprints of the client services it knows, its own included.
    pub fn services(&self) -> Vec<String> {
        let list = self.call("Node.List", &json!({"start": "0", "count": 100}));
        let nodes = list.unwrap_or_default()["nodes"].clone();
        let mut found: Vec<String> = nodes
            .as_array()
            .into_iter()
            .flatten()
            .map(|node| node["fingerprint"].as_str().unwrap().to_owned())
            .collect();
        found.sort();
        found
    }
}

/// A connection to a peer service.
pub struct Asker {
    requester: Requester,
    _context: Context,
}

impl Asker {
    fn new(node: &Node) -> Self {
        let context = Context::new().unwrap();
        let address = format!("127.0.0.1:{}", node.listen).parse().unwrap();
        let requester =
            Requester::dial(&context, &fresh_key(), &node.plan.key(), address, ANSWER).unwrap();
        Self {
            requester,
            _context: context,
        }
    }

    /// Sends a command of the chain.
    pub fn ask(&self, command: &str, parameters: &[&[u8]]) -> Option<Frames> {
        let mut frames = vec![b"local".to_vec(), command.as_bytes().to_vec()];
        frames.extend(parameters.iter().map(|p| p.to_vec()));
        self.raw(&frames)
    }

    /// Sends frames as they are.
    pub fn raw(&self, frames: &[Vec<u8>]) -> Option<Frames> {
        self.requester.ask(frames).ok()
    }
}
