//! How fast requests are answered, and how late the slowest hundredth: a node beside a bare REP echo
//! that gives the same answers, each a process of its own, asked by the same clients in turn.

use bitmarkd::shell::zmq::{Context, Frames};

use crate::echo::Echo;
use crate::reference::Reference;
use crate::rig::{Node, Seen, Service, ask_all, middle};
use crate::table::{Reach, Row, Table, median};

/// How many ask at a time, and what they ask for together in a round.
const CLIENTS: [(usize, usize); 3] = [(1, 4_000), (8, 12_000), (64, 12_800)];
/// Rounds; the median counts.
const ROUNDS: usize = 7;
/// Issues in the block that is asked for.
const ISSUES: u64 = 4;

fn requests(service: &Service, command: &str) -> Frames {
    match command {
        "B" => service.request("B", &[&2_u64.to_be_bytes()]),
        _ => service.request(command, &[]),
    }
}

/// What so many clients of a service see who all ask the same.
fn seen(context: &Context, service: &Service, command: &str, clients: usize, all: usize) -> Seen {
    let list = vec![requests(service, command); all / clients];
    ask_all(context, service, &vec![list; clients])
}

/// The measure.
pub fn run(table: &mut Table) {
    let context = &Context::new().expect("CURVE");
    let node = Node::start(context, "", |world| {
        let mut records = vec![world.asset()];
        records.extend((0..ISSUES).map(|nonce| world.issue(nonce)));
        world.block(records);
    });
    let reference = Reference::start(context);
    for command in ["N", "I", "B"] {
        let ask = |service: &Service| {
            let reply = service.dial(context).ask(&requests(service, command));
            let reply = reply.expect("an answer");
            assert_eq!(reply[0], command.as_bytes(), "an error");
            reply
        };
        let answer = ask(&node.service);
        let theirs = reference.as_ref().map(|one| ask(&one.service)[1].len());
        let echo = Echo::start(&answer);
        for (clients, all) in CLIENTS {
            let mut pairs = Vec::new();
            let mut others = Vec::new();
            for _ in 0..ROUNDS {
                let of = |service| seen(context, service, command, clients, all);
                pairs.push((of(&node.service), of(&echo.service)));
                others.extend(reference.as_ref().map(|one| of(&one.service)));
            }
            let other = (!others.is_empty()).then(|| middle(&others));
            let busy = |part: fn(&(Seen, Seen)) -> f64| median(pairs.iter().map(part));
            let mut parameters = format!(
                "{ROUNDS} pairs of {all} in all, CURVE, answers of {} bytes; processor time for each \
                 {:.1} us, the echo's {:.1} us",
                answer[1].len(),
                busy(|pair| pair.0.processor),
                busy(|pair| pair.1.processor),
            );
            if let Some(length) = theirs.filter(|length| *length != answer[1].len()) {
                parameters.push_str(&format!("; the reference's have {length}"));
            }
            let name = format!("{command} requests, {clients} clients");
            let pairs_of = |part: fn(&Seen) -> f64| -> Vec<(f64, f64)> {
                pairs.iter().map(|(a, b)| (part(a), part(b))).collect()
            };
            table.row(
                Row::of_pairs(&name, "requests/s", "bare echo", &pairs_of(|s| s.rate))
                    .reach(Reach::AtLeast(0.9))
                    .reference(other.map(|seen| seen.rate))
                    .parameters(parameters.clone()),
            );
            let name = format!("{name}, p99");
            table.row(
                Row::of_pairs(&name, "ms", "bare echo", &pairs_of(|s| s.p99))
                    .reach(Reach::AtMost(1.5))
                    .reference(other.map(|seen| seen.p99))
                    .parameters(parameters),
            );
        }
    }
}
