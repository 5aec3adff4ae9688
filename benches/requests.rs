//! How fast requests are answered, and how late the slowest hundredth: a node beside a bare REP echo
//! that gives the same answers, and beside the reference's node with the same blocks, where it is here;
//! each a process of its own, asked by the same clients in turn.

use bitmarkd::shell::zmq::{Context, Frames};

use crate::echo::Echo;
use crate::reference::Reference;
use crate::rig::{Node, Seen, Service, ask_all};
use crate::table::{Reach, Row, Table, median};

/// How many ask at a time, and what they ask for together in a round.
const CLIENTS: [(usize, usize); 3] = [(1, 4_000), (8, 12_000), (64, 12_800)];
/// Rounds; the median counts.
const ROUNDS: usize = 15;
/// Saved blocks of the chain; the first is asked for.
const BLOCKS: usize = 1;

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
    let node = Node::of_saved_blocks(context, BLOCKS);
    let reference = Reference::with_blocks(context, BLOCKS);
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
            let mut rounds = Vec::new();
            for round in 0..ROUNDS {
                let of = |service| seen(context, service, command, clients, all);
                let theirs = reference.as_ref().map(|one| &one.service);
                let services = [Some(&node.service), Some(&echo.service), theirs];
                let mut seen = [const { None }; 3];
                // Each comes behind each of the others as often: what one leaves to be done by its
                // process is no burden of the same other one every time.
                for step in 0..services.len() {
                    let which = (round + step) % services.len();
                    seen[which] = services[which].map(of);
                }
                let [ours, echo, theirs] = seen;
                rounds.push((ours.expect("ours"), echo.expect("the echo"), theirs));
            }
            let busy = |part: fn(&(Seen, Seen, Option<Seen>)) -> f64| {
                let figures = rounds.iter().map(part);
                median(figures)
            };
            let mut parameters = format!(
                "{ROUNDS} pairs of {all} in all, CURVE, answers of {} bytes; processor time for each \
                 {:.1} us, the echo's {:.1} us",
                answer[1].len(),
                busy(|round| round.0.processor),
                busy(|round| round.1.processor),
            );
            if let Some(length) = theirs.filter(|length| *length != answer[1].len()) {
                parameters.push_str(&format!("; the reference's have {length}"));
            }
            let name = format!("{command} requests, {clients} clients");
            for (measure, unit, part, echo_reach, reference_reach) in [
                (
                    name.clone(),
                    "requests/s",
                    (|seen| seen.rate) as fn(&Seen) -> f64,
                    Reach::AtLeast(0.9),
                    Reach::AtLeast(1.0),
                ),
                (
                    format!("{name}, p99"),
                    "ms",
                    |seen| seen.p99,
                    Reach::AtMost(1.5),
                    Reach::AtMost(1.0),
                ),
            ] {
                let beside_echo: Vec<(f64, f64)> =
                    rounds.iter().map(|(a, b, _)| (part(a), part(b))).collect();
                let beside: Vec<(f64, f64)> = rounds
                    .iter()
                    .filter_map(|(a, _, c)| Some((part(a), part(c.as_ref()?))))
                    .collect();
                let theirs = (!beside.is_empty()).then(|| median(beside.iter().map(|pair| pair.1)));
                table.row(
                    Row::of_pairs(&measure, unit, "bare echo", &beside_echo)
                        .reach(echo_reach)
                        .reference(theirs)
                        .parameters(parameters.clone()),
                );
                if theirs.is_some() {
                    table.row(
                        Row::of_pairs(
                            &format!("{measure}, beside the reference"),
                            unit,
                            "the reference",
                            &beside,
                        )
                        .reach(reference_reach)
                        .reference(theirs)
                        .parameters(parameters.clone()),
                    );
                }
            }
        }
    }
}
