//! The reference's HTTPS paths: its recorded exchanges with a stand-in for the node, and the bounds.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use bitmarkd::shell::files::config::Allow;
use bitmarkd::shell::https::{PROTOCOLS, Settings};
use bitmarkd::shell::rpc::Answer;
use serde_json::Value;

use super::speaker::Client;
use super::stage::{Kind, Stage, eventually};

const INTERNAL: &str = "{\"code\":500,\"error\":\"internal server error\"}";
/// Long enough for a handshake on a machine that has much to do.
const SHORT: Duration = Duration::from_millis(500);

/// As where the exchanges were recorded.
fn allow() -> Allow {
    let list = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    Allow {
        details: list(&["127.0.0.1", "::1"]),
        connections: list(&["127.0.0.1"]),
        peers: list(&["127.0.0.1"]),
    }
}

fn usual() -> Settings {
    Settings::new(10, allow())
}

fn stage(settings: Settings) -> Stage {
    let stage = Stage::start(Kind::Https(settings));
    let page = ("Details".to_owned(), "{}".to_owned());
    stage.stub.pages.lock().unwrap().extend([page]);
    stage
}

/// What came back.
#[derive(Debug)]
struct Reply {
    status: u16,
    /// In lower case.
    headers: BTreeMap<String, String>,
    body: String,
}

impl Reply {
    fn of(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let (status, headers) = head.split_once("\r\n").unwrap();
        let status = status.strip_prefix("HTTP/1.1 ").unwrap();
        let pair = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_lowercase(), value.to_owned())
        };
        Self {
            status: status[..3].parse().unwrap(),
            headers: headers.split("\r\n").map(pair).collect(),
            body: body.to_owned(),
        }
    }
}

fn head(method: &str, path: &str, length: usize) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    )
}

fn exchange(stage: &Stage, from: IpAddr, method: &str, path: &str, body: &str) -> Reply {
    let protocols: &[&[u8]] = &[b"http/1.1"];
    let mut client = Client::new(stage.address(from), protocols).unwrap();
    client.send(head(method, path, body.len()) + body);
    Reply::of(&client.rest())
}

fn local(stage: &Stage, method: &str, path: &str, body: &str) -> Reply {
    exchange(stage, "127.0.0.1".parse().unwrap(), method, path, body)
}

fn text<'a>(case: &'a Value, member: &str) -> &'a str {
    case[member].as_str().unwrap_or_default()
}

/// The stand-in's name of the page of a path.
fn page(path: &str) -> Option<String> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let get = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name));
    match path.strip_prefix("/bitmarkd/")? {
        "details" => Some("Details".to_owned()),
        "connections" => Some("Connections".to_owned()),
        "peers" => {
            let count = get("count=").unwrap_or("10");
            let mut key = [0_u8; 32];
            let key = get("public_key=")
                .and_then(|text| hex::decode_to_slice(text, &mut key).ok())
                .map(|()| key);
            Some(format!("Peers {{ count: {count}, after: {key:?} }}"))
        }
        _ => None,
    }
}

/// The stand-in knows what the node was asked and what it said.
fn teach(stage: &Stage, case: &Value) {
    let (body, said) = (text(case, "body"), text(case, "reply"));
    let first = body.find("}{").map_or(body, |at| &body[..=at]);
    let answer = match said.strip_suffix(INTERNAL) {
        Some(reply) => Answer::Refused(reply.to_owned()),
        None => Answer::Called(said.to_owned()),
    };
    let known = (first.to_owned(), answer);
    stage.stub.answers.lock().unwrap().extend([known]);
    let shown = page(text(case, "path")).map(|page| (page, said.to_owned()));
    stage.stub.pages.lock().unwrap().extend(shown);
}

#[test]
fn the_recorded_exchanges_come_out_byte_for_byte() {
    let file = include_str!("../../proto/vectors/rpc-transcripts.json");
    let file: Value = serde_json::from_str(file).unwrap();
    let stage = stage(usual());
    let mut count = 0;
    for case in file["cases"].as_array().unwrap() {
        if case["group"] != "https" {
            continue;
        }
        count += 1;
        teach(&stage, case);
        let name = text(case, "name");
        let from = text(case, "from").parse().unwrap();
        let (method, path) = (text(case, "method"), text(case, "path"));
        let reply = exchange(&stage, from, method, path, text(case, "body"));
        assert_eq!(
            Some(u64::from(reply.status)),
            case["status"].as_u64(),
            "{name}"
        );
        assert_eq!(reply.body, text(case, "reply"), "{name}");
        for (header, value) in case["headers"].as_object().unwrap() {
            let found = reply.headers.get(&header.to_lowercase());
            assert_eq!(found.map(String::as_str), value.as_str(), "{name}");
        }
    }
    assert_eq!(count, 14);
}

#[test]
fn a_stranger_sees_no_page_but_may_call() {
    let stage = stage(Settings::new(10, Allow::default()));
    for path in ["details", "connections", "peers"] {
        let path = format!("/bitmarkd/{path}");
        let reply = local(&stage, "GET", &path, "");
        assert_eq!(reply.status, 403);
        assert_eq!(reply.body, "{\"code\":403,\"error\":\"forbidden\"}");
        assert_eq!(local(&stage, "PUT", &path, "").status, 405);
    }
    let body = "{\"id\":1,\"method\":\"A.B\",\"params\":[{}]}";
    let reply = local(&stage, "POST", "/bitmarkd/rpc", body);
    assert!(reply.body.contains("\"A.B\""), "{reply:?}");
}

#[test]
fn a_body_that_is_no_request_or_too_long_gets_the_error_object() {
    let settings = Settings {
        body_bytes: 1000,
        ..usual()
    };
    let stage = stage(settings);
    let long = format!("{{\"id\":1,\"method\":\"{}\"}}", "x".repeat(1000));
    for body in ["hello", "[]", "{\"id\":1", "{\"method\":7}", &long] {
        let reply = local(&stage, "POST", "/bitmarkd/rpc", body);
        assert_eq!(
            (reply.status, reply.body.as_str()),
            (200, INTERNAL),
            "{body}"
        );
    }
}

#[test]
fn a_page_that_the_node_cannot_show_is_an_error() {
    let stage = stage(usual());
    let reply = local(&stage, "GET", "/bitmarkd/connections", "");
    assert_eq!((reply.status, reply.body.as_str()), (500, INTERNAL));
}

#[test]
fn http_2_is_spoken_where_the_client_asks_for_it() {
    let stage = stage(usual());
    let mut client = Client::new(stage.v4, &PROTOCOLS).unwrap();
    assert_eq!(client.session().alpn_protocol(), Some(&b"h2"[..]));
    let path = b"/bitmarkd/details";
    // GET and https by their numbers, path and authority as they are.
    let mut fields = vec![0x82, 0x87, 0x04, u8::try_from(path.len()).unwrap()];
    fields.extend(path);
    fields.extend([0x01, 1, b'a']);
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    bytes.extend([0, 0, u8::try_from(fields.len()).unwrap(), 1, 5, 0, 0, 0, 1]);
    bytes.extend(fields);
    client.send(bytes);
    let mut body = None;
    while body.is_none() {
        let mut frame = [0; 9];
        std::io::Read::read_exact(&mut client.stream, &mut frame).unwrap();
        let length = usize::from(frame[1]) * 256 + usize::from(frame[2]);
        let mut payload = vec![0; length];
        std::io::Read::read_exact(&mut client.stream, &mut payload).unwrap();
        if frame[3] == 0 {
            body = Some(payload);
        }
    }
    assert_eq!(body.as_deref(), Some(&b"{}"[..]));
}

#[test]
fn one_connection_serves_several_requests() {
    let stage = stage(usual());
    let mut client = stage.client();
    for _ in 0..3 {
        client.send("GET /bitmarkd/details HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut lines = String::new();
        while !lines.ends_with("\r\n\r\n") {
            lines += &client.line();
        }
        let mut body = [0; 2];
        std::io::Read::read_exact(&mut client.stream, &mut body).unwrap();
        assert_eq!(&body, b"{}");
    }
    assert_eq!(stage.count.get(), 1);
    let counted = |path, status| stage.counts.requests.get(path, status);
    assert_eq!(counted("/bitmarkd/details", "200"), 3);
    assert_eq!(counted("other", "404"), 0);
    // Heads and bodies, and what TLS needs.
    assert!(stage.counts.bytes.received() > 3 * 40);
    assert!(stage.counts.bytes.sent() > 3 * 40);
}

#[test]
fn slow_heads_slow_bodies_and_silence_end_in_time() {
    let stage = stage(Settings {
        time: SHORT,
        ..usual()
    });
    let mut silent = stage.client();
    let mut slow = stage.client();
    slow.send("GET /bitmarkd/details HTTP/1.1\r\nHost");
    let mut body = stage.client();
    body.send(head("POST", "/bitmarkd/rpc", 100) + "{\"id\"");
    assert!(silent.is_ended());
    let reply = String::from_utf8(slow.rest()).unwrap();
    assert!(!reply.starts_with("HTTP/1.1 200"), "{reply}");
    let reply = String::from_utf8(body.rest()).unwrap();
    assert!(reply.is_empty() || reply.ends_with(INTERNAL), "{reply}");
    eventually("all have gone", || stage.count.get() == 0);
}

#[test]
fn a_head_has_a_limit_of_size() {
    let stage = stage(Settings {
        head_bytes: 8192,
        ..usual()
    });
    let mut client = stage.client();
    let long = "x".repeat(10_000);
    client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"));
    let reply = String::from_utf8(client.rest()).unwrap();
    assert!(
        reply.is_empty() || reply.starts_with("HTTP/1.1 431"),
        "{reply}"
    );
    assert_eq!(local(&stage, "GET", "/bitmarkd/details", "").status, 200);
}

#[test]
fn at_the_limit_the_longest_idle_is_closed_and_where_all_are_busy_who_has_had_its_turn() {
    let stage = stage(Settings::new(1, allow()));
    let mut idle = stage.client();
    let mut busy = stage.client();
    assert!(idle.is_ended());
    let body = "{\"id\":1,\"method\":\"Wait\"}";
    // It would go on, but had its turn.
    let head = head("POST", "/bitmarkd/rpc", body.len()).replace("Connection: close\r\n", "");
    busy.send(head + body);
    eventually("it is begun", || stage.stub.begun() == 1);
    assert_eq!(local(&stage, "GET", "/bitmarkd/details", "").status, 200);
    assert_eq!((stage.count.relieved(), stage.count.evicted()), (1, 1));
    stage.stub.open_gate();
    let reply = Reply::of(&busy.rest());
    assert!(reply.body.contains("waited"), "{reply:?}");
}

#[test]
fn what_the_service_never_sees_is_counted_all_the_same() {
    let stage = stage(Settings {
        head_bytes: 100_000,
        ..usual()
    });
    let long = "x".repeat(400_000);
    let path = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", &long[..70_000]);
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n");
    for (head, status) in [
        ("GET / HTTP/1.1\r\nno header\r\n\r\n", "400"),
        (&path, "414"),
        (&head, "431"),
    ] {
        let mut client = stage.client();
        // Who sends on after the reply may lose it.
        let _ = client.try_send(head);
        let reply = String::from_utf8(client.rest()).unwrap();
        let wanted = format!("HTTP/1.1 {status} ");
        assert!(reply.is_empty() || reply.starts_with(&wanted), "{reply}");
        let counted = || stage.counts.requests.get("other", status);
        eventually("it is counted", || counted() == 1);
    }
}

#[test]
fn a_body_whose_client_has_gone_is_dropped() {
    let stage = stage(usual());
    let mut client = stage.client();
    client.send(head("POST", "/bitmarkd/rpc", 100) + "{\"id\"");
    drop(client);
    let counted = |result| stage.counts.requests.get("/bitmarkd/rpc", result);
    eventually("it is counted", || counted("dropped") == 1);
    assert_eq!(counted("200"), 0);
    assert_eq!(stage.calls.get("other", "refused"), 0);
}

#[test]
fn a_body_that_is_no_object_counts_as_a_refused_call() {
    let stage = stage(usual());
    for (number, body) in (1..).zip(["hello", "[]", "{\"id\":1", ""]) {
        assert_eq!(local(&stage, "POST", "/bitmarkd/rpc", body).body, INTERNAL);
        assert_eq!(stage.calls.get("other", "refused"), number, "{body}");
    }
    assert_eq!(stage.counts.requests.get("/bitmarkd/rpc", "200"), 4);
}
