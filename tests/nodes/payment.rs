//! A node sees payments: over the discovery service, and over the REST service of a daemon. It
//! starts and runs when nobody is there.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};

use bitmarkd::core::id::{PayId, TxId};
use bitmarkd::core::keys::PrivateKey;
use bitmarkd::core::record::{BitmarkTransferUnratified, Record, sign};
use serde_json::{Value, json};

use crate::stage::{Asker, Stage};

/// Where the fees of the test network's blocks go.
const ADDRESS: &str = "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn";

fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// A transaction of the coin as its daemon shows it.
fn paying(number: u8, pay_id: &str, value: f64) -> Value {
    json!({"txid": format!("{number:064x}"), "vout": [
        {"value": 0, "scriptPubKey": {"hex": format!("6a30{pay_id}")}},
        {"value": value, "scriptPubKey": {"hex": "00", "addresses": [ADDRESS]}},
    ]})
}

fn new_owner() -> PrivateKey {
    PrivateKey::from_ed25519_seed(&[7; 32], true)
}

/// Passes a fresh bitmark on; gives ids of transfer and payment.
fn transfer(stage: &Stage, node: usize, name: &str) -> (String, String) {
    let issue = stage.create(node, name, true);
    let to = new_owner().account().unwrap().to_string();
    let sent = stage.client(node, &["transfer", &issue, "--to", &to, "--unratified"]);
    let id = sent["txId"].as_str().unwrap().to_owned();
    stage.wait_transaction(node, &id, "Pending");
    (id, sent["payId"].as_str().unwrap().to_owned())
}

#[test]
fn transfers_are_confirmed_by_what_a_late_discovery_service_tells() {
    let (publisher, replier) = (free(), free());
    let mut stage = Stage::new("devnet", 4);
    stage.nodes[0].configure(|text| {
        text.replace("127.0.0.1:5566", &publisher.to_string())
            .replace("127.0.0.1:5567", &replier.to_string())
    });
    for node in &mut stage.nodes {
        node.start();
    }
    stage.wait_normal();
    stage.mine_at(0);
    let (short, short_pay) = transfer(&stage, 0, "paid too little");
    let (whole, whole_pay) = transfer(&stage, 0, "paid in the past");

    let context = zmq::Context::new();
    let open = |kind, address| {
        let socket = context.socket(kind).unwrap();
        socket.set_linger(0).unwrap();
        socket.set_rcvtimeo(60_000).unwrap();
        socket.bind(&format!("tcp://{address}")).unwrap();
        socket
    };
    let replies = open(zmq::SocketType::REP, replier);
    let news = open(zmq::SocketType::XPUB, publisher);
    assert_eq!(news.recv_bytes(0).unwrap(), [1]);
    let publish = |transaction: &Value| {
        let frames = [b"BTC".to_vec(), transaction.to_string().into_bytes()];
        news.send_multipart(&frames, 0).unwrap();
    };
    let past = json!([
        paying(1, &short_pay, 0.000_199_99),
        paying(2, &whole_pay, 0.0002)
    ]);
    for _ in 0..2 {
        let question = replies.recv_multipart(0).unwrap();
        let list = match question[0].as_slice() {
            b"BTC" => past.to_string(),
            _ => "[]".to_owned(),
        };
        let answer = [question[0].clone(), list.into_bytes()];
        replies.send_multipart(&answer, 0).unwrap();
    }
    stage.wait_transaction(0, &whole, "Confirmed");
    // One unit too little was told before that.
    stage.wait_transaction(0, &short, "Pending");
    publish(&paying(3, &short_pay, 0.000_000_01));
    stage.wait_transaction(0, &short, "Confirmed");

    let payments = stage.nodes[0].status().unwrap()["payments"].clone();
    let [bitcoin, litecoin] = [&payments[0], &payments[1]];
    assert_eq!(
        (&bitcoin["currency"], &bitcoin["seen"]),
        (&json!("BTC"), &json!(3))
    );
    assert_eq!(
        (&litecoin["currency"], &litecoin["seen"]),
        (&json!("LTC"), &json!(0))
    );
    assert_eq!(bitcoin["isReachable"], true, "{payments}");
    assert!(bitcoin["lastAnswer"].is_u64(), "{payments}");

    // A payment may come before its record.
    let mut next = Record::BitmarkTransferUnratified(BitmarkTransferUnratified {
        link: short.parse().unwrap(),
        escrow: None,
        owner: new_owner().account().unwrap(),
        signature: Vec::new(),
    });
    let next = sign(&mut next, &new_owner()).unwrap();
    publish(&paying(
        4,
        &PayId::of([next.as_slice()]).to_string(),
        0.0002,
    ));
    stage.nodes[0].wait_status("a payment that waits", |status| {
        status["reservoir"]["orphanPayments"] == 1
    });
    Asker::new(&stage.nodes[0], "devnet").ask("transfer", &[&next]);
    stage.wait_transaction(0, &TxId::of(&next).to_string(), "Confirmed");
    stage.nodes[0].stop();
}

/// Answers every question with what is under its path, until the process ends.
fn daemon(address: SocketAddr, answers: Vec<(String, Value)>) {
    let listener = TcpListener::bind(address).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            let path = first.split(' ').nth(1).unwrap();
            let found = answers.iter().find(|(known, _)| known == path);
            let (status, body) = found.map_or((404, String::new()), |(_, answer)| {
                (200, answer.to_string())
            });
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status} Text\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
        }
    });
}

#[test]
fn a_transfer_is_confirmed_by_what_a_late_daemon_has_in_its_blocks() {
    let address = free();
    let mut stage = Stage::new("devnet", 4);
    stage.nodes[0].configure(|text| {
        let (front, rest) = text.split_once("[payment]").unwrap();
        let (_, logging) = rest.split_once("[logging]").unwrap();
        format!("{front}[payment.bitcoin]\nurl = \"http://{address}/rest\"\n\n[logging]{logging}")
    });
    for node in &mut stage.nodes {
        node.start();
    }
    stage.wait_normal();
    stage.mine_at(0);
    let (id, pay_id) = transfer(&stage, 0, "paid in a block");
    let hash = |at: usize| format!("{at:064x}");
    let block = |at: usize, transactions: Value| {
        let block = json!({
            "hash": hash(at), "confirmations": 5 - at, "height": at, "time": 0,
            "previousblockhash": at.checked_sub(1).map(hash), "tx": transactions,
        });
        (format!("/rest/block/{}.json", hash(at)), block)
    };
    let info = json!({"chain": "regtest", "blocks": 5, "bestblockhash": hash(1)});
    daemon(
        address,
        vec![
            ("/rest/chaininfo.json".to_owned(), info),
            block(
                1,
                json!([paying(1, &pay_id, 1.0), paying(2, &pay_id, 0.0002)]),
            ),
        ],
    );
    stage.wait_transaction(0, &id, "Confirmed");
    stage.nodes[0].stop();
}
