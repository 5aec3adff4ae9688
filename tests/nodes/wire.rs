//! The peer service as a client of the reference sees it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use bitmarkd::shell::zmq::options;
use bitmarkd::shell::zmq::requester::{Requester, fresh_key};
use bitmarkd::shell::zmq::{Context, Frames};
use serde_json::Value;

use crate::stage::{Asker, Stage, TestNode, eventually};

/// A node alone, which stays in resynchronisation.
fn alone(chain: &'static str) -> Stage {
    let mut stage = Stage::new(chain, 1);
    stage.nodes[0].start();
    stage.nodes[0].wait_status("an answer", |_| true);
    stage
}

fn frames(value: &Value) -> Frames {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|frame| hex::decode(frame.as_str().unwrap()).unwrap())
        .collect()
}

/// Sends every recorded request of this mode at height 1 whose reply does not depend on chance.
fn recorded(stage: &Stage, mode: &str) {
    let path = format!(
        "{}/proto/vectors/peer-transcripts.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let document: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let asker = Asker::new(&stage.nodes[0], "local");
    let mut asked = 0;
    for case in document["cases"].as_array().unwrap() {
        let is_register = case["request"][1] == hex::encode("R");
        let fits = case["group"] == "request_reply"
            && case["node_height"] == 1
            && case["node_mode"] == mode
            && !is_register;
        if fits {
            let reply = asker.raw(&frames(&case["request"]));
            assert_eq!(reply, Some(frames(&case["reply"])), "{}", case["title"]);
            asked += 1;
        }
    }
    assert!(asked > 40, "{asked}");
}

#[test]
fn the_recorded_exchanges_are_answered_over_real_sockets() {
    recorded(&alone("local"), "resynchronise");
    recorded(&Stage::normal("local", 4), "normal");
}

/// A client whose envelope is its own affair.
fn dealer(node: &TestNode, context: &Context) -> zmq::Socket {
    let address = format!("127.0.0.1:{}", node.plan.peer4).parse().unwrap();
    let (own, server) = (fresh_key(), node.plan.key());
    let socket = options::client(context, zmq::DEALER, &own, &server, &address).unwrap();
    socket.connect(&options::endpoint(&address)).unwrap();
    socket.set_rcvtimeo(20_000).unwrap();
    socket
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    const ROUNDS: usize = 330;
    let stage = alone("devnet");
    let context = Context::new().unwrap();
    let socket = dealer(&stage.nodes[0], &context);
    let request = |id: &str, command: &str, parameter: &[u8]| {
        let mut frames: Frames = vec![id.into(), Vec::new(), "devnet".into(), command.into()];
        if !parameter.is_empty() {
            frames.push(parameter.to_vec());
        }
        socket.send_multipart(frames, 0).unwrap();
    };
    // The slow one first: a digest from the store, then what the status tells.
    for round in 0..ROUNDS {
        request(&format!("h{round}"), "H", &1_u64.to_be_bytes());
        request(&format!("n{round}"), "N", &[]);
        request(&format!("a{round}"), "assets", &[1]);
    }
    for round in 0..ROUNDS {
        for (id, command) in [("h", "H"), ("n", "N"), ("a", "assets")] {
            let reply = socket.recv_multipart(0).unwrap();
            assert_eq!(reply[0], format!("{id}{round}").into_bytes());
            assert_eq!(reply[1], b"");
            assert_eq!(reply[2], command.as_bytes());
        }
    }
}

#[test]
fn a_request_without_delimiter_gets_no_answer_and_harms_nothing() {
    let stage = alone("devnet");
    let context = Context::new().unwrap();
    let socket = dealer(&stage.nodes[0], &context);
    socket.send_multipart(["devnet", "N"], 0).unwrap();
    socket.send_multipart(["", "devnet", "N"], 0).unwrap();
    let reply = socket.recv_multipart(0).unwrap();
    assert_eq!(reply[1], b"N");
    assert_eq!(reply[2], 1_u64.to_be_bytes());
}

#[test]
fn the_largest_frame_is_answered_and_a_larger_one_drops_the_connection() {
    let stage = alone("devnet");
    let asker = Asker::new(&stage.nodes[0], "devnet");
    let acknowledged = Some(vec![b"zzz".to_vec(), b"A".to_vec()]);
    assert_eq!(asker.ask("zzz", &[&vec![7; 4_999_967]]), acknowledged);
    let four = vec![7; 4_000_000];
    assert_eq!(asker.ask("zzz", &[&four, &four]), acknowledged);
    let refused = Asker::with_timeout(&stage.nodes[0], "devnet", Duration::from_secs(1));
    assert_eq!(refused.ask("zzz", &[&vec![7; 4_999_968]]), None);
    assert!(asker.ask("N", &[]).is_some());
}

#[test]
fn a_client_without_curve_gets_no_answer() {
    let stage = alone("devnet");
    let context = zmq::Context::new();
    let socket = context.socket(zmq::REQ).unwrap();
    socket.set_linger(0).unwrap();
    let address = format!("tcp://127.0.0.1:{}", stage.nodes[0].plan.peer4);
    socket.connect(&address).unwrap();
    socket.send_multipart(["devnet", "N"], 0).unwrap();
    socket.set_rcvtimeo(1000).unwrap();
    assert_eq!(socket.recv_multipart(0), Err(zmq::Error::EAGAIN));
}

#[test]
fn a_client_with_any_curve_key_is_answered() {
    let stage = alone("devnet");
    for _ in 0..3 {
        let asker = Asker::new(&stage.nodes[0], "devnet");
        assert!(asker.ask("N", &[]).is_some());
    }
}

#[test]
fn only_keys_that_are_allowed_are_answered_where_a_list_says_so() {
    let mut stage = Stage::new("devnet", 1);
    let friend = fresh_key();
    stage.nodes[0].configure(|text| {
        let allow = format!("allow = [\"{}\"]\nprefer_ipv6", friend.public_key());
        text.replace("prefer_ipv6", &allow)
    });
    stage.nodes[0].start();
    stage.nodes[0].wait_status("an answer", |_| true);
    let context = Context::new().unwrap();
    let plan = &stage.nodes[0].plan;
    let address = format!("127.0.0.1:{}", plan.peer4).parse().unwrap();
    let dial = |key, seconds| {
        let wait = Duration::from_secs(seconds);
        Requester::dial(&context, key, &plan.key(), address, wait).unwrap()
    };
    let request = [b"devnet".to_vec(), b"N".to_vec()];
    assert!(dial(&friend, 20).ask(&request).is_ok());
    assert!(dial(&fresh_key(), 1).ask(&request).is_err());
}

#[test]
fn the_greeting_is_that_of_a_curve_server() {
    let stage = alone("devnet");
    let mut stream = TcpStream::connect(("127.0.0.1", stage.nodes[0].plan.peer4)).unwrap();
    // The signature alone brings out the whole greeting of a 3.x peer once the version is sent.
    let mut ours = [0_u8; 64];
    ours[0] = 0xff;
    ours[9] = 0x7f;
    ours[10] = 3;
    ours[12..17].copy_from_slice(b"CURVE");
    stream.write_all(&ours).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut theirs = [0; 64];
    stream.read_exact(&mut theirs).unwrap();
    assert_eq!(theirs[0], 0xff);
    assert_eq!(theirs[9], 0x7f);
    assert_eq!(theirs[10], 3);
    assert_eq!(&theirs[12..17], b"CURVE");
    assert_eq!(theirs[17..], [0; 47], "no flag of a server is set");
}

#[test]
fn the_ipv6_listener_answers_too() {
    let stage = alone("devnet");
    let context = Context::new().unwrap();
    let plan = &stage.nodes[0].plan;
    let address = format!("[::1]:{}", plan.peer6).parse().unwrap();
    let wait = Duration::from_secs(20);
    let requester = Requester::dial(&context, &fresh_key(), &plan.key(), address, wait).unwrap();
    let reply = requester.ask(&[b"devnet".to_vec(), b"N".to_vec()]).unwrap();
    assert_eq!(reply, [b"N".to_vec(), 1_u64.to_be_bytes().to_vec()]);
}

#[test]
fn one_port_serves_ipv4_and_ipv6() {
    let mut stage = Stage::new("devnet", 1);
    let port = stage.nodes[0].plan.peer4;
    stage.nodes[0].configure(|text| {
        let line = text
            .lines()
            .find(|line| line.starts_with("listen"))
            .unwrap()
            .to_owned();
        text.replace(
            &line,
            &format!("listen = [\"0.0.0.0:{port}\", \"[::]:{port}\"]"),
        )
    });
    stage.nodes[0].start();
    stage.nodes[0].wait_status("an answer", |_| true);
    let context = Context::new().unwrap();
    for host in ["127.0.0.1", "[::1]"] {
        let address = format!("{host}:{port}").parse().unwrap();
        let (key, wait) = (stage.nodes[0].plan.key(), Duration::from_secs(20));
        let requester = Requester::dial(&context, &fresh_key(), &key, address, wait).unwrap();
        assert!(
            requester.ask(&[b"devnet".to_vec(), b"N".to_vec()]).is_ok(),
            "{host}"
        );
    }
}

#[test]
fn a_node_stops_within_five_seconds() {
    let mut stage = Stage::normal("devnet", 4);
    for node in &mut stage.nodes {
        // The stage itself measures it.
        node.stop();
    }
    for node in &stage.nodes {
        let text = std::fs::read_to_string(node.plan.directory.join("peers.json")).unwrap();
        let entries: Vec<String> = serde_json::from_str(&text).unwrap();
        assert!(entries.len() >= 3, "the peers are written down");
    }
}

#[test]
fn every_input_that_ends_the_reference_is_survived() {
    let mut stage = Stage::new("devnet", 4);
    for node in &mut stage.nodes {
        // None announces a service of its own: what is known in the end came in a bad message.
        let ports = (node.plan.rpc4, node.plan.rpc6);
        let announced = format!(
            "announce = [\"127.0.0.1:{}\", \"[::1]:{}\"]\n",
            ports.0, ports.1
        );
        node.configure(|text| text.replace(&announced, ""));
        node.start();
    }
    stage.wait_normal();
    let asker = Asker::new(&stage.nodes[0], "devnet");
    let key = |byte: u8| vec![byte; 32];
    let good = [
        0x13, 8, 0x58, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1,
    ];
    let short: &[u8] = &[0x13, 0x58, 0x20, 1, 0xd, 0xb8, 0, 0];
    let now = 2_000_000_000_u64.to_be_bytes();
    for length in 0..8 {
        let time = &now[..length];
        let reply = asker.ask("R", &[b"devnet", &key(1), &good, time]).unwrap();
        assert_eq!(reply, [b"E".to_vec(), b"missing parameters".to_vec()]);
        for command in ["rpc", "peer"] {
            let reply = asker.ask(command, &[&key(2), &good, time]).unwrap();
            assert_eq!(reply, [command.as_bytes().to_vec(), b"A".to_vec()]);
        }
    }
    for cut in [1, 6, 7, 18] {
        let mut list = good.to_vec();
        list.extend(&good[..cut]);
        assert_eq!(
            asker
                .ask("R", &[b"devnet", &key(3), &list, &now])
                .unwrap()
                .len(),
            5
        );
        assert_eq!(
            asker
                .ask("R", &[b"devnet", &key(4), short, &now])
                .unwrap()
                .len(),
            5
        );
        asker.ask("rpc", &[&key(5), &list, &now]).unwrap();
        asker.ask("peer", &[&key(6), short, &now]).unwrap();
    }
    // An IPv6 address alone, at a node that does not dial IPv6.
    let v6 = [&[0x13, 8, 0x58][..], &[0x20; 16]].concat();
    asker.ask("R", &[b"devnet", &key(7), &v6, &now]).unwrap();
    // A header whose difficulty is no number.
    let mut header = bitmarkd::core::block::genesis::DEVNET.to_vec();
    header[91] = 0xc0;
    asker.ask("block", &[&header]).unwrap();
    asker.ask("block", &[&header[..100]]).unwrap();
    assert!(asker.ask("N", &[]).is_some());
    let status = stage.nodes[0].status().unwrap();
    assert_eq!(status["mode"], "Normal");
    assert_eq!(status["rpcsKnown"], 0);
}

#[test]
fn a_banned_client_is_silenced_until_its_time_is_over() {
    let stage = alone("devnet");
    let context = Context::new().unwrap();
    let plan = &stage.nodes[0].plan;
    let own = fresh_key();
    let address = format!("127.0.0.1:{}", plan.peer4).parse().unwrap();
    let wait = Duration::from_millis(700);
    let requester = Requester::dial(&context, &own, &plan.key(), address, wait).unwrap();
    let request = [b"devnet".to_vec(), b"N".to_vec()];
    assert!(requester.ask(&request).is_ok());
    let ban = serde_json::json!({"command": "ban", "key": own.public_key(), "seconds": 2});
    stage.nodes[0].control(&ban).unwrap();
    assert!(requester.ask(&request).is_err());
    eventually("the end of the ban", || requester.ask(&request).ok());
}
