//! Row 7: what a node publishes and what it says of itself looks the same, whichever kind it is.

use std::time::{Duration, Instant};

use bitmarkd::shell::zmq::requester::fresh_key;
use bitmarkd::shell::zmq::{Context, options, receive};
use serde_json::Value;

use crate::launch::seen;
use crate::network::SIX;
use crate::reference;
use crate::stage::{Node, Stage};

/// Long enough for what records make nodes tell each other.
const QUIET: Duration = Duration::from_secs(20);
/// A publisher says something once a minute at the least.
const HEART: Duration = Duration::from_secs(90);

/// A published message behind the name of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub command: String,
    pub parameters: Vec<Vec<u8>>,
}

/// Somebody who listens to the publisher of a node.
pub struct Listener {
    socket: zmq::Socket,
    _context: Context,
}

impl Listener {
    pub fn new(node: &Node) -> Self {
        let context = Context::new().unwrap();
        let address = format!("127.0.0.1:{}", node.plan.publish4).parse().unwrap();
        let kind = zmq::SocketType::SUB;
        let key = node.plan.key();
        let socket = options::client(&context, kind, &fresh_key(), &key, &address).unwrap();
        // Else the subscription would leave with the first look at the socket, not at once.
        socket.set_immediate(false).unwrap();
        socket.connect(&options::endpoint(&address)).unwrap();
        Self {
            socket,
            _context: context,
        }
    }

    /// The next message, if one comes in time.
    pub fn next(&self, limit: Duration) -> Option<Message> {
        let end = Instant::now() + limit;
        loop {
            if let Some(received) = receive::message(&self.socket).unwrap() {
                let mut frames = received.frames;
                assert_eq!(frames.remove(0), b"local");
                let command = String::from_utf8(frames.remove(0)).unwrap();
                return Some(Message {
                    command,
                    parameters: frames,
                });
            }
            let left = end.checked_duration_since(Instant::now())?;
            let mut items = [self.socket.as_poll_item(zmq::POLLIN)];
            zmq::poll(&mut items, i64::try_from(left.as_millis()).unwrap() + 1).unwrap();
        }
    }

    /// All messages until none comes for so long.
    pub fn until_quiet(&self, quiet: Duration) -> Vec<Message> {
        std::iter::from_fn(|| self.next(quiet)).collect()
    }
}

/// The shape of a JSON value: names in their order, kinds of values, and no values.
fn shape(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(items) => format!("[{}]", items.first().map_or_else(String::new, shape)),
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(name, value)| format!("{name}: {}", shape(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
    }
}

fn bitmark_info(node: &Node) -> Value {
    let output = reference::program("bitmark-info")
        .arg(format!("127.0.0.1:{}", node.plan.rpc4))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
#[ignore = "needs REFERENCE_BIN"]
fn row_07_bitmark_info_and_subscribers_read_the_same_from_both_kinds() {
    let mut stage = Stage::new(&SIX).acquainted();
    stage.start_all();
    stage.wait_normal();
    let [ours, theirs] = [0, 1].map(|index| bitmark_info(&stage.nodes[index]));
    println!("ours:   {ours}\ntheirs: {theirs}");
    assert_eq!(shape(&ours), shape(&theirs));
    for member in ["chain", "normal", "blocks"] {
        assert_eq!(ours["info"][member], theirs["info"][member], "{member}");
    }
    seen(stage.begin, "bitmark-info");

    let listeners = [0, 1].map(|index| Listener::new(&stage.nodes[index]));
    for listener in &listeners {
        let beat = listener.next(HEART).expect("a heart beat or news");
        seen(
            stage.begin,
            format_args!("the first message: {}", beat.command),
        );
    }
    // Made elsewhere: of each kind one.
    for index in [2, 3] {
        stage.create(index, &format!("made at {index}"), 2);
    }
    let chain = crate::chain::blocks();
    let reply = stage.nodes[4].asker().ask("block", &[&chain[0]]).unwrap();
    assert_eq!(reply[1], b"A");
    let [ours, theirs] = listeners.map(|listener| {
        let mut messages = listener.until_quiet(QUIET);
        messages.retain(|m| !["heart", "peer", "rpc"].contains(&m.command.as_str()));
        messages.sort_by(|a, b| (&a.command, &a.parameters).cmp(&(&b.command, &b.parameters)));
        messages
    });
    let names = |list: &[Message]| list.iter().map(|m| m.command.clone()).collect::<Vec<_>>();
    assert_eq!(
        names(&ours),
        [
            "assets", "assets", "block", "issues", "issues", "proof", "proof"
        ]
    );
    assert_eq!(ours, theirs);
    seen(stage.begin, "the same messages, byte by byte");
}
