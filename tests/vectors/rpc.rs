//! `rpc-transcripts.json`: requests of clients and the exact replies, against a whole engine in
//! memory with the blocks of the file stored (`proto/rpc.md`).
//!
//! What needs a socket, a browser's protocol or the client program is tested over its own
//! transport; here its requests are read, and nothing else.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use bitmarkd::core::announce::{self, OwnRpc};
use bitmarkd::core::block::dump::{self, ShownRecord};
use bitmarkd::core::block::{self, DigestMemory, HEADER_BYTES, Header};
use bitmarkd::core::chain::LOCAL;
use bitmarkd::core::engine::{Effect, Engine, Input, Settings, SocketId, StaticPeer, Timing};
use bitmarkd::core::id::{AssetId, BlockDigest, PayId, TxId};
use bitmarkd::core::keys::PeerPublicKey;
use bitmarkd::core::ledger::Ledger;
use bitmarkd::core::listener::News;
use bitmarkd::core::overlay::mempool;
use bitmarkd::core::record::Record;
use bitmarkd::core::reservoir::{Caps, SeenPayment};
use bitmarkd::core::rpc::{self, Surroundings, Unreadable};
use bitmarkd::core::state::MemoryStore;
use bitmarkd::core::time::Now;
use bitmarkd::core::wire::connection::{Connection, pack_list};
use bitmarkd::core::{timing, upstream};
use bitmarkd::shell::files::certificate;
use bitmarkd::shell::payment::discovery::{Setup, Watcher};
use serde_json::{Value, json};

use crate::cli_keys;
use crate::harness::{self, Case};

const FILE: &str = "rpc-transcripts.json";
/// Later than the blocks of the file.
const WALL: u64 = 1_795_221_000;

/// Requests that the reference falls silent on.
const UNREADABLE: &str = "an-unreadable-request-is-answered-and-closed";
/// Requests that end the reference's process, or drop a connection over HTTPS.
const CRASH: &str = "calls-that-crash-are-answered";
/// A page that ends with entry 0.
const NEXT: &str = "next-leads-behind-the-last-entry";
/// Texts of the reference's language runtime.
const RUNTIME: &str = "texts-of-the-language-runtime";

/// Members that another node has others of.
const OF_NODE: [&str; 6] = [
    "rpcs",
    "peers",
    "version",
    "uptime",
    "publicKey",
    "transactionCounters",
];
/// The members that describe where and how a case was recorded.
const RECORDING: [&str; 3] = ["transport", "node_state", "members_that_vary"];

#[test]
fn rpc_transcripts() {
    harness::run_with(FILE, |cases| {
        let chain: Vec<(Vec<u8>, BlockDigest)> = cases
            .iter()
            .filter(|case| case.text("group") == "chain state")
            .map(|case| {
                let digest = case.bytes("digest").try_into().expect("a digest");
                (case.bytes("packed"), BlockDigest(digest))
            })
            .collect();
        let services = Services::recorded(cases);
        let mut empty = Node::new(&[], false, &services);
        let mut two = Node::new(&chain[..1], true, &services);
        let mut three = Node::new(&chain, true, &services);
        let mut proxy = None;
        for case in cases {
            match case.text("group") {
                "chain state" => stored_block(case),
                "while resynchronising" => request(case, &mut empty),
                "framing, node list, status, provenance, owner, assets" => request(case, &mut two),
                "create, proof" => {
                    if case.text("name") == ALONE {
                        two.create_alone(case, cases);
                    }
                    request(case, &mut two);
                }
                "transfer, block owner transfer" | "after block 3" => request(case, &mut three),
                "requests that stop the reference or its service" => crash(case, &mut two),
                "certificate fingerprint" => fingerprint(case),
                "discovery proxy" => proxy
                    .get_or_insert_with(|| {
                        Proxy::new(cases, Node::new(&chain[..1], true, &services))
                    })
                    .replay(case),
                "https" | "command line client on the wire" => elsewhere(case),
                "command line client key file" => cli_keys::key_file(case),
                "command line client output" if cli_keys::is_fingerprint(case) => {
                    cli_keys::fingerprint(case);
                }
                "command line client output" => elsewhere(case),
                other => case.fail("group", format!("{other} is unknown")),
            }
        }
    });
}

/// The first proof of a set whose creation is not in the file.
const ALONE: &str = "proof: nonce of 64 bytes that fails";

/// The other services that the recorded node had heard of.
struct Services(Vec<(Vec<u8>, Vec<u8>)>);

impl Services {
    fn recorded(cases: &[Case]) -> Self {
        let page = cases
            .iter()
            .find(|case| case.text("name") == "node list start 0 count 100");
        let reply: Value = serde_json::from_str(page.expect("the list").text("reply")).unwrap();
        let nodes = reply["result"]["nodes"].as_array().expect("nodes");
        let service = |node: &Value| {
            let connections = node["connections"].as_array().expect("connections");
            let connections: Vec<Connection> = connections
                .iter()
                .map(|text| Connection::from_text(text.as_str().unwrap()).unwrap())
                .collect();
            let fingerprint = hex::decode(node["fingerprint"].as_str().unwrap()).unwrap();
            (fingerprint, pack_list(&connections))
        };
        Self(nodes.iter().map(service).collect())
    }
}

fn settings(normal: bool, services: &Services) -> Settings {
    let key = PeerPublicKey([7; 32]);
    let publisher = StaticPeer {
        key: PeerPublicKey([2; 32]),
        address: Connection::from_text("127.0.0.1:22135").unwrap(),
    };
    let (fingerprint, addresses) = services.0.first().cloned().expect("an own service");
    let mut timing = Timing::from(&timing::Timing::default());
    if normal {
        timing.connector.minimum_upstreams = 0;
    }
    Settings {
        chain: &LOCAL,
        announce: announce::Setup {
            key: key.0,
            listeners: Vec::new(),
            rpc: Some(OwnRpc {
                fingerprint: fingerprint.try_into().expect("a fingerprint"),
                addresses,
            }),
            configured: [].into(),
            prefer_ipv6: false,
        },
        own: upstream::Own {
            key,
            listeners: Vec::new(),
        },
        connect: Vec::new(),
        dynamic_connections: false,
        subscribe: vec![publisher],
        caps: Caps::default(),
        timing,
        mempool: mempool::Settings::default(),
        mining: None,
        seed: [7; 32],
    }
}

/// A whole node without sockets.
struct Node {
    engine: Engine,
    store: MemoryStore,
    now: Now,
    calls: u64,
    replies: Vec<(u64, rpc::Outcome)>,
    publisher: SocketId,
}

impl Node {
    fn new(blocks: &[(Vec<u8>, BlockDigest)], normal: bool, services: &Services) -> Self {
        let now = Now {
            mono: 0,
            wall: WALL,
        };
        let mut store = MemoryStore::new();
        let mut ledger = Ledger::empty(&LOCAL);
        for (packed, digest) in blocks {
            let applied = ledger.apply(&store, packed, *digest, WALL);
            store.apply(&applied.expect("the block goes in").batch);
        }
        let (mut engine, first) = Engine::new(now, settings(normal, services), &store).unwrap();
        store.apply(&first);
        let mut out = Vec::new();
        engine.start(now, &store, &mut out);
        let mut node = Self {
            engine,
            store,
            now,
            calls: 0,
            replies: Vec::new(),
            publisher: 0,
        };
        node.perform(out);
        for (fingerprint, addresses) in services.0.iter().skip(1) {
            let time = WALL.to_be_bytes().to_vec();
            let news = News::Rpc([fingerprint.clone(), addresses.clone(), time]);
            node.step(Input::Published(node.publisher, news));
        }
        if normal {
            for _ in 0..100 {
                if node.engine.status().normal {
                    break;
                }
                let wait = node.engine.next_wakeup().saturating_sub(node.now.mono);
                node.now = node.now.plus_ms(wait);
                node.step(Input::Wake);
            }
        }
        assert_eq!(node.engine.status().normal, normal);
        assert_eq!(node.engine.status().height, 1 + blocks.len() as u64);
        node
    }

    fn step(&mut self, input: Input) {
        let mut out = Vec::new();
        self.engine.step(self.now, input, &self.store, &mut out);
        self.perform(out);
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Commit(batch, after) => {
                    self.store.apply(&batch);
                    self.perform(after);
                }
                Effect::Rpc(token, outcome) => self.replies.push((token, outcome)),
                Effect::Subscribe(socket, ..) => self.publisher = socket,
                Effect::Fatal(why) => panic!("{why}"),
                _ => {}
            }
        }
    }

    /// What the transport would send.
    fn ask(&mut self, text: &str) -> Result<String, Unreadable> {
        let envelope = rpc::read(text.as_bytes())?;
        let outcome = envelope.call.and_then(|call| {
            self.calls += 1;
            let around = Surroundings {
                rpcs: 1,
                incoming: 0,
            };
            self.step(Input::Rpc(self.calls, call, around));
            let (token, outcome) = self.replies.pop().expect("a reply");
            assert_eq!((token, self.replies.len()), (self.calls, 0));
            outcome
        });
        Ok(rpc::reply(&envelope.id, &outcome))
    }

    /// The set that the reference had been given between two cases: its one issue stands in a
    /// later block, and so does its asset.
    fn create_alone(&mut self, case: &Case, cases: &[Case]) {
        let request: Value = serde_json::from_str(case.text("request")).unwrap();
        let pay_id = request["params"][0]["payId"].as_str().expect("a pay id");
        let is_it = |transaction: &&Value| {
            let Ok(record) = Record::from_json("BitmarkIssue", &transaction["data"].to_string())
            else {
                return false;
            };
            let packed = record.pack(record.owner());
            packed.is_ok_and(|packed| PayId::of([&*packed]).to_string() == pay_id)
        };
        let transactions = || {
            let blocks = cases.iter().filter(|case| case.has("as_dumped"));
            blocks
                .filter_map(|case| case.input("as_dumped")["transactions"].as_array())
                .flatten()
        };
        let issue = transactions().find(is_it).expect("the issue of the set");
        let asset = transactions().find(|transaction| {
            let fingerprint = transaction["data"]["fingerprint"].as_str();
            fingerprint.is_some_and(|fingerprint| {
                let id = AssetId::of(fingerprint.as_bytes());
                issue["data"]["assetId"] == json!(id.to_string())
            })
        });
        let asset = asset.expect("the asset of the set");
        let request = json!({
            "id": 0,
            "method": "Bitmarks.Create",
            "params": [{"assets": [asset["data"]], "issues": [issue["data"]]}],
        });
        let reply = self.ask(&request.to_string()).expect("a request");
        assert!(reply.contains(pay_id), "{reply}");
    }
}

fn stored_block(case: &Case) {
    let (packed, digest) = (case.bytes("packed"), case.text("digest"));
    let header: &[u8; HEADER_BYTES] = packed.first_chunk().expect("a header");
    let got = block::digest::digest(&LOCAL.digest, header, &mut DigestMemory::default());
    case.expect_value("digest", &json!(digest), &json!(hex::encode(got.0)));

    let (header, mut rest) = Header::unpack(&packed).expect("a header");
    let mut records = Vec::new();
    while !rest.is_empty() {
        let (record, used) = Record::unpack(rest, LOCAL.testing).expect("a record");
        records.push(ShownRecord {
            id: TxId::of(&rest[..used]),
            type_name: record.type_name(),
            data: serde_json::from_str(&record.to_json()).unwrap(),
        });
        rest = &rest[used..];
    }
    case.expect("as_dumped", dump::to_json(&got, &header, &records));
}

fn request(case: &Case, node: &mut Node) {
    for field in RECORDING {
        case.set_aside(field, "how it was recorded");
    }
    let text = case.text("request");
    let got = match node.ask(text) {
        Ok(got) => got,
        Err(unreadable) => {
            case.set_aside("connection", "what ours does is the rule's text");
            case.deviates(UNREADABLE, "reply", unreadable.reply(), Unreadable.reply());
            return;
        }
    };
    let Some(line) = got.strip_suffix('\n') else {
        return case.fail("reply", "no line");
    };
    let recorded = case.text("reply");
    let is_of_node = recorded.contains("\"publicKey\"");
    let vary = case.input("members_that_vary").as_array();
    let mut vary: Vec<&str> = vary
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if is_of_node {
        vary.extend(OF_NODE);
    }
    if case.text("name").starts_with("node list") {
        // These were told of the same services.
        vary.clear();
    }
    if vary.is_empty() {
        compare(case, line, recorded);
    } else {
        let id = |text: &str| text.split("\"result\":").next().map(str::to_owned);
        case.expect_value("reply.id", &json!(id(recorded)), &json!(id(line)));
        let recorded = without(recorded, &vary);
        case.expect_value("reply", &json!(recorded), &json!(without(line, &vary)));
    }
}

/// The reply with the values of these members, at any depth, taken out.
fn without(text: &str, members: &[&str]) -> String {
    fn clear(value: &mut Value, members: &[&str]) {
        match value {
            Value::Object(map) => {
                for (name, value) in map {
                    if members.contains(&name.as_str()) {
                        *value = Value::Null;
                    } else {
                        clear(value, members);
                    }
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|v| clear(v, members)),
            _ => {}
        }
    }
    let mut value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    clear(&mut value, members);
    value.to_string()
}

fn compare(case: &Case, got: &str, recorded: &str) {
    if got == recorded {
        return case.expect("reply", got);
    }
    if let (Some(kind), Some(recorded_kind)) = (runtime_kind(got), runtime_kind(recorded))
        && kind == recorded_kind
    {
        return case.deviates(RUNTIME, "reply", got, got);
    }
    let ends_with_first = recorded.contains("\"next\":\"0\",\"data\":[{\"n\":\"0\"");
    if ends_with_first {
        let promised = recorded.replace("\"next\":\"0\"", "\"next\":\"1\"");
        return case.deviates(NEXT, "reply", got, promised);
    }
    case.expect("reply", got);
}

/// Id and kind of an error that the reference's language runtime words.
fn runtime_kind(reply: &str) -> Option<(String, &'static str)> {
    let reply: Value = serde_json::from_str(reply).ok()?;
    let error = reply["error"].as_str()?;
    let kind = ["json:", "jsonrpc:", "encoding/hex:"]
        .into_iter()
        .find(|kind| error.starts_with(kind))?;
    Some((reply["id"].to_string(), kind))
}

fn crash(case: &Case, node: &mut Node) {
    let all = [
        "transport",
        "bad_connections_sent",
        "good_connections_tried_afterwards",
        "refused",
        "reference_process_alive_afterwards",
        "reference_ends_with",
        "method",
        "path",
        "from",
        "status",
        "connection",
    ];
    for field in all {
        case.set_aside(field, "of the transport, or of the reference alone");
    }
    if case.has("bad_connections_sent") && !is_listed(case) {
        case.fail("name", "not in proto/live-cases.md");
    }
    let promised = "{\"id\":1,\"result\":null,\"error\":\"invalid item\"}\n";
    if case.has("exchange") {
        let exchange = case.input("exchange")[0].clone();
        let got = node.ask(exchange["request"].as_str().unwrap()).unwrap();
        let (got, promised) = (json!(got), json!(promised));
        case.deviates_value(CRASH, "exchange.reply", &exchange["reply"], &got, &promised);
    } else if case.has("body") {
        let got = node.ask(case.text("body")).unwrap();
        case.expect_value("body", &json!(promised), &json!(got));
    }
}

/// Whether `proto/live-cases.md` names the test of a case that needs sockets.
fn is_listed(case: &Case) -> bool {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("proto/live-cases.md");
    let table = std::fs::read_to_string(path).expect("the table of live cases");
    let row = format!("| {} | ", case.text("name"));
    let mut lines = table.lines().filter(|line| line.contains(FILE));
    lines.any(|line| {
        line.split_once(&row)
            .is_some_and(|(_, test)| test.contains('`'))
    })
}

fn fingerprint(case: &Case) {
    let name = case.text("name").replace(' ', "-");
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("rpc-{name}.crt"));
    std::fs::write(&path, case.text("certificate_pem")).unwrap();
    let got = certificate::fingerprint_of(&path).expect("a certificate");
    std::fs::remove_file(&path).unwrap();
    case.expect("fingerprint", hex::encode(got));
}

/// The recorded discovery service in front of a node that has the records which are paid for:
/// what it publishes reaches the engine through the watcher of a running node.
struct Proxy {
    node: Node,
    /// The transactions by the text of their pay id.
    transactions: Vec<(String, String)>,
    publisher: zmq::Socket,
    seen: Receiver<SeenPayment>,
    _watcher: Watcher,
}

impl Proxy {
    fn new(cases: &[Case], mut node: Node) -> Self {
        let published = || {
            let frames = cases.iter().filter(|case| case.has("publish_frames"));
            frames.map(|case| case.input("publish_frames"))
        };
        let mut transactions: Vec<(String, String)> = Vec::new();
        let exchanges = cases.iter().filter(|case| case.has("exchange"));
        for exchange in exchanges.filter_map(|case| case.input("exchange").as_array()) {
            for step in exchange {
                let Some(recorded) = step["reply"].as_str() else {
                    continue;
                };
                let result: Value = serde_json::from_str(recorded).unwrap();
                let result = &result["result"];
                let Some(pay_id) = result["payId"].as_str() else {
                    continue;
                };
                let is_paid = |frames: &Value| frames[1].as_str().unwrap().contains(pay_id);
                let is_new = transactions.iter().all(|(known, _)| known != pay_id);
                if is_new && published().any(is_paid) {
                    let got = node.ask(step["request"].as_str().unwrap()).unwrap();
                    assert_eq!(got.trim_end(), recorded);
                    let id = result.get("txId").unwrap_or(&result["issues"][0]["txId"]);
                    transactions.push((pay_id.to_owned(), id.as_str().unwrap().to_owned()));
                }
            }
        }
        let context = zmq::Context::new();
        let open = |kind| {
            let socket = context.socket(kind).unwrap();
            socket.set_linger(0).unwrap();
            socket.set_rcvtimeo(20_000).unwrap();
            socket.bind("tcp://127.0.0.1:*").unwrap();
            let endpoint = socket.get_last_endpoint().unwrap().unwrap();
            let address = endpoint.strip_prefix("tcp://").unwrap().parse().unwrap();
            (socket, address)
        };
        // Nobody answers about the past: what is published is heard all the same.
        let (publisher, at) = open(zmq::XPUB);
        let (_silent, replier) = open(zmq::REP);
        let (sender, seen) = channel();
        let sink = Box::new(move |payment| {
            let _ = sender.send(payment);
        });
        let own = bitmarkd::shell::zmq::Context::new().unwrap();
        let watcher = Watcher::start(&own, Setup::new(at, replier), sink).unwrap();
        assert_eq!(publisher.recv_bytes(0).unwrap(), [1], "it is heard");
        let proxy = Self {
            node,
            transactions,
            publisher,
            seen,
            _watcher: watcher,
        };
        assert_eq!(proxy.transactions.len(), 2);
        proxy
    }

    fn status(&mut self, id: &str) -> Value {
        let request = json!({"id": 1, "method": "Transaction.Status", "params": [{"txId": id}]});
        let reply = self.node.ask(&request.to_string()).unwrap();
        let reply: Value = serde_json::from_str(&reply).unwrap();
        reply["result"]["status"].clone()
    }

    /// The recorded bytes are published; the record is then in the state that the case's name ends
    /// with.
    fn replay(&mut self, case: &Case) {
        let frames = case.input("publish_frames").as_array().expect("frames");
        let frames: Vec<&str> = frames.iter().map(|one| one.as_str().unwrap()).collect();
        let is_it = |(pay_id, _): &&(String, String)| frames[1].contains(pay_id);
        let (pay_id, id) = self.transactions.iter().find(is_it).cloned().expect("it");
        assert_eq!(self.status(&id), json!("Pending"));
        self.publisher.send_multipart(&frames, 0).unwrap();
        let seen = self.seen.recv_timeout(Duration::from_secs(20));
        let seen = seen.expect("a payment is seen");
        assert_eq!(seen.pay_id.to_string(), pay_id);
        self.node.step(Input::Paid(seen));
        let wanted = case.text("name").rsplit(' ').next();
        case.expect_value("publish_frames", &json!(wanted), &self.status(&id));
    }
}

/// Over its own transport; whatever is a request here is read as a call.
fn elsewhere(case: &Case) {
    let mut requests = Vec::new();
    for step in case.input("exchange").as_array().into_iter().flatten() {
        requests.push(step["request"].clone());
    }
    for text in requests.iter().filter_map(Value::as_str) {
        let is_call = rpc::read(text.as_bytes()).is_ok_and(|envelope| envelope.call.is_ok());
        case.expect_value("exchange.request", &json!(true), &json!(is_call));
    }
    if !is_listed(case) {
        case.fail("name", "not in proto/live-cases.md");
    }
    for field in ELSEWHERE {
        case.set_aside(field, "tested over its own transport");
    }
}

/// What sockets and the client program show.
const ELSEWHERE: [&str; 12] = [
    "transport",
    "node_state",
    "method",
    "path",
    "from",
    "body",
    "status",
    "headers",
    "reply",
    "output",
    "publish_frames",
    "exchange",
];
