//! What peers and clients do to a node is seen in its metrics, over real sockets from end to end.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use bitmarkd::core::keys::PeerPublicKey;
use bitmarkd::node::Node;
use bitmarkd::shell::control;
use bitmarkd::shell::files::config::{Config, PaymentUrl};
use bitmarkd::shell::zmq::Context;
use bitmarkd::shell::zmq::requester::{Requester, fresh_key};
use serde_json::{Value, json};

use super::node::{ask, get, prepared};
use super::speaker::Client;
use super::stage::eventually;

/// A page of the explorer.
fn page(config: &Config, path: &str) -> Option<String> {
    let address = config.explorer.listen.first()?.sockets().first()?;
    let mut stream = TcpStream::connect(address).ok()?;
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (_, body) = text.split_once("\r\n\r\n")?;
    Some(body.to_owned())
}

/// The value of a sample; none: there is no such sample.
fn sample(config: &Config, name: &str) -> Option<u64> {
    let metrics = page(config, "/metrics")?;
    let value = metrics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map(|value| value.parse().unwrap())
}

fn expect(config: &Config, samples: &[(&str, u64)]) {
    for (name, wanted) in samples {
        let found = sample(config, &format!("bitmarkd_{name}"));
        assert_eq!(found, Some(*wanted), "{name}");
    }
}

#[test]
fn what_peers_ask_is_seen_in_the_metrics() {
    let (_folder, config) = prepared();
    let mut node = Node::start(&config, None, None).unwrap();
    eventually("the explorer is there", || page(&config, "/").is_some());
    let own = page(&config, "/api/overview").unwrap();
    let own: Value = serde_json::from_str(&own).unwrap();
    let own: PeerPublicKey = own["key"].as_str().unwrap().parse().unwrap();
    expect(&config, &[("peer_connections_accepted_total", 0)]);

    let context = Context::new().unwrap();
    let patience = Duration::from_secs(20);
    let at = node.bindings.peer[0];
    let peer = Requester::dial(&context, &fresh_key(), &own, at, patience).unwrap();
    let (mut sent, mut received) = (0, 0);
    let size = |frames: &[Vec<u8>]| frames.iter().map(Vec::len).sum::<usize>() as u64;
    for body in [
        &[b"devnet".as_slice(), b"N"][..],
        &[b"devnet", b"N"],
        &[b"devnet", b"I"],
        &[b"devnet", b"H", &[0, 0, 0, 0, 0, 0, 0, 1]],
        &[b"devnet", b"B", &[0, 0, 0, 0, 0, 0, 0, 9]],
        &[b"devnet", b"R", b"devnet", b"too", b"few"],
        &[b"devnet", b"issues", b"none"],
        &[b"devnet", b"made up by a peer", b"x"],
        &[b"local", b"N"],
    ] {
        let frames: Vec<Vec<u8>> = body.iter().map(|frame| frame.to_vec()).collect();
        // The library puts the number of the request, of four bytes, in front of both.
        sent += 4 + size(&frames);
        received += 4 + size(&peer.ask(&frames).unwrap());
    }
    eventually("the last reply is counted", || {
        let name = r#"bitmarkd_sent_bytes_total{socket="listener"}"#;
        sample(&config, name) == Some(received)
    });
    expect(
        &config,
        &[
            (r#"peer_requests_total{command="N",result="answered"}"#, 2),
            (r#"peer_requests_total{command="N",result="error"}"#, 1),
            (r#"peer_requests_total{command="I",result="answered"}"#, 1),
            (r#"peer_requests_total{command="H",result="answered"}"#, 1),
            (r#"peer_requests_total{command="B",result="error"}"#, 1),
            (r#"peer_requests_total{command="R",result="error"}"#, 1),
            (
                r#"peer_requests_total{command="issues",result="answered"}"#,
                1,
            ),
            (
                r#"peer_requests_total{command="other",result="answered"}"#,
                1,
            ),
            (r#"peer_request_seconds_count{command="N"}"#, 3),
            (r#"peer_request_seconds_count{command="issues"}"#, 1),
            (
                r#"record_messages_total{command="issues",result="refused"}"#,
                1,
            ),
            (r#"received_bytes_total{socket="listener"}"#, sent),
            ("peer_connections", 1),
            ("peer_connections_accepted_total", 1),
            ("peer_handshakes_failed_total", 0),
        ],
    );
    assert!(!page(&config, "/metrics").unwrap().contains("made up"));
    drop(peer);
    eventually("it is seen to go", || {
        sample(&config, "bitmarkd_peer_connections") == Some(0)
    });
    node.stop();
}

#[test]
fn what_clients_ask_is_seen_in_the_metrics() {
    let (_folder, mut config) = prepared();
    config.client_rpc.maximum_connections = 1;
    let mut node = Node::start(&config, None, None).unwrap();
    eventually("the explorer is there", || page(&config, "/").is_some());
    let rpc = node.bindings.rpc[0];
    let mut first = Client::new(rpc, &[]).unwrap();
    let call = |method: &str| format!("{{\"method\":\"{method}\",\"params\":[{{}}]}}");
    let mut bytes = first.ask(&call("Node.Info")).len();
    // Its place is the only one.
    let mut client = Client::new(rpc, &[]).unwrap();
    assert!(first.is_ended());
    for request in [
        call("Node.Info"),
        call("Node.Nothing"),
        call("Owner.Bitmarks"),
        call("made up by a client"),
        "{\"method\":\"Node.List\",\"params\":5}".to_owned(),
    ] {
        bytes += client.ask(&request).len();
    }
    assert!(!client.ask("garbage").is_empty());
    assert!(client.is_ended());
    assert!(get(&node, "/bitmarkd/details").starts_with("HTTP/1.1 200 "));
    assert!(get(&node, "/bitmarkd/peers").starts_with("HTTP/1.1 403 "));
    assert!(get(&node, "/made/up?by=a&client").starts_with("HTTP/1.1 404 "));
    let body = call("Node.Info");
    let length = body.len();
    let start = format!("POST /bitmarkd/rpc HTTP/1.1\r\nContent-Length: {length}\r\n");
    assert!(ask(&node, &start, &body).contains("devnet"));
    drop(client);
    eventually("all have gone", || {
        let open = |name| sample(&config, name) == Some(0);
        open("bitmarkd_client_connections{service=\"client_rpc\"}")
            && open("bitmarkd_client_connections{service=\"https_rpc\"}")
    });
    expect(
        &config,
        &[
            (
                r#"rpc_requests_total{method="Node.Info",result="answered"}"#,
                3,
            ),
            (
                r#"rpc_requests_total{method="Owner.Bitmarks",result="error"}"#,
                1,
            ),
            (
                r#"rpc_requests_total{method="Node.List",result="refused"}"#,
                1,
            ),
            (r#"rpc_requests_total{method="other",result="refused"}"#, 3),
            (r#"rpc_request_seconds_count{method="Node.Info"}"#, 3),
            (
                r#"https_requests_total{path="/bitmarkd/details",status="200"}"#,
                1,
            ),
            (
                r#"https_requests_total{path="/bitmarkd/peers",status="403"}"#,
                1,
            ),
            (
                r#"https_requests_total{path="/bitmarkd/rpc",status="200"}"#,
                1,
            ),
            (r#"https_requests_total{path="other",status="404"}"#, 1),
            (
                r#"https_request_seconds_count{path="/bitmarkd/details"}"#,
                1,
            ),
            (
                r#"client_connections_accepted_total{service="client_rpc"}"#,
                2,
            ),
            (
                r#"client_connections_accepted_total{service="https_rpc"}"#,
                4,
            ),
            (
                r#"client_connections_closed_total{service="client_rpc",reason="idle longest"}"#,
                1,
            ),
            (
                r#"client_connections_closed_total{service="client_rpc",reason="no place"}"#,
                0,
            ),
        ],
    );
    let sent = sample(&config, r#"bitmarkd_sent_bytes_total{socket="client_rpc"}"#);
    assert!(sent.unwrap() > bytes as u64, "{sent:?} for {bytes}");
    for socket in ["client_rpc", "https_rpc"] {
        let name = format!("bitmarkd_received_bytes_total{{socket=\"{socket}\"}}");
        assert!(sample(&config, &name).unwrap() > 500);
    }
    let metrics = page(&config, "/metrics").unwrap();
    assert!(!metrics.contains("made up") && !metrics.contains("/made"));
    node.stop();
}

#[test]
fn a_coin_s_daemon_that_is_not_there_is_seen_in_the_metrics_and_by_the_operator() {
    let (_folder, mut config) = prepared();
    // Nobody listens at a port that was taken a moment ago.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/rest", nobody.local_addr().unwrap());
    drop(nobody);
    config.payment.use_discovery = false;
    config.payment.litecoin = Some(PaymentUrl { url });
    let mut node = Node::start(&config, None, None).unwrap();
    let failures = "bitmarkd_payment_failures_total{currency=\"LTC\"}";
    eventually("it was asked in vain", || {
        sample(&config, failures).is_some_and(|count| count > 0)
    });
    expect(
        &config,
        &[
            (r#"payment_service_reachable{currency="LTC"}"#, 0),
            (r#"payment_last_answer{currency="LTC"}"#, 0),
            (r#"payments_seen_total{currency="LTC"}"#, 0),
        ],
    );
    let status = control::call(&config.control.socket, &json!({"command": "status"})).unwrap();
    let payments = status["payments"].as_array().unwrap();
    assert_eq!(payments.len(), 1, "{status}");
    assert_eq!(payments[0]["currency"], "LTC");
    assert_eq!(payments[0]["isReachable"], false);
    assert_eq!(payments[0]["lastAnswer"], Value::Null);
    assert!(payments[0]["failures"].as_u64().unwrap() > 0);
    assert!(sample(&config, "bitmarkd_payments_seen_total{currency=\"BTC\"}").is_none());
    node.stop();
}
