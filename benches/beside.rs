//! How much later a client is answered while another one does harm: a node of its own, asked by the
//! same client before and meanwhile, in pairs. That it is answered before what the other one sent
//! is a matter of the tests (`tests/hostile/`); how late is one of the machine, too.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bitmarkd::shell::zmq::requester::{Requester, fresh_key};
use bitmarkd::shell::zmq::{Context, Frames, options};

use crate::rig::{Node, Service};
use crate::table::{Row, Table, quantile};

/// Questions in each half of a pair.
const ASKED: usize = 2_000;
/// Pairs; the median counts.
const ROUNDS: usize = 7;
/// Requests of a flooder before it looks for replies.
const WINDOW: usize = 400;
/// Nearly the largest frame.
const LARGE: usize = 4_999_000;

/// A client that does harm, once.
type Act = fn(&zmq::Socket, &[Vec<u8>]);

fn flood(socket: &zmq::Socket, request: &[Vec<u8>]) {
    for _ in 0..WINDOW {
        let _ = socket.send_multipart(request, zmq::DONTWAIT);
    }
    let mut items = [socket.as_poll_item(zmq::POLLIN)];
    let _ = zmq::poll(&mut items, 10);
    while socket.recv_multipart(zmq::DONTWAIT).is_ok() {}
}

fn one_by_one(socket: &zmq::Socket, request: &[Vec<u8>]) {
    let _ = socket.send_multipart(request, 0);
    let _ = socket.recv_multipart(0);
}

/// Median and 99th percentile of the times to an answer, in milliseconds.
fn times(asker: &Requester, question: &[Vec<u8>]) -> (f64, f64) {
    let times: Vec<f64> = (0..ASKED)
        .map(|_| {
            let begin = Instant::now();
            asker.ask(question).expect("an answer");
            begin.elapsed().as_secs_f64() * 1_000.0
        })
        .collect();
    let of = |part| quantile(times.iter().copied(), part);
    (of(0.5), of(0.99))
}

/// The same before and while a client does this without end.
fn pair(context: &Context, service: &Service, request: &[Vec<u8>], act: Act) -> [(f64, f64); 2] {
    let asker = service.dial(context);
    let question = service.request("N", &[]);
    let before = times(&asker, &question);
    let socket = options::client(
        context,
        zmq::DEALER,
        &fresh_key(),
        &service.key,
        &service.address,
    );
    let socket = socket.expect("a socket");
    socket.set_linger(0).expect("an option");
    socket.set_rcvtimeo(20_000).expect("an option");
    socket.set_sndtimeo(20_000).expect("an option");
    let endpoint = options::endpoint(&service.address);
    socket.connect(&endpoint).expect("an address");
    // It is connected before the clock runs.
    one_by_one(&socket, &[vec![Vec::new()], question.clone()].concat());
    let is_over = AtomicBool::new(false);
    let meanwhile = std::thread::scope(|scope| {
        let over = &is_over;
        scope.spawn(move || {
            while !over.load(Ordering::SeqCst) {
                act(&socket, request);
            }
        });
        let meanwhile = times(&asker, &question);
        is_over.store(true, Ordering::SeqCst);
        meanwhile
    });
    [before, meanwhile]
}

/// The measure.
pub fn run(table: &mut Table) {
    let context = &Context::new().expect("CURVE");
    let node = Node::of_saved_blocks(context, 1);
    let behind = |frames: Frames| [vec![Vec::new()], frames].concat();
    let small = behind(node.service.request("N", &[]));
    let large = behind(node.service.request("transfer", &[&vec![7; LARGE]]));
    for (what, request, act) in [
        ("a flooder", &small, flood as Act),
        ("frames of 5 MB", &large, one_by_one),
    ] {
        let rounds: Vec<_> = (0..ROUNDS)
            .map(|_| pair(context, &node.service, request, act))
            .collect();
        for (name, part) in [
            ("median", (|seen| seen.0) as fn(&(f64, f64)) -> f64),
            ("p99", |seen| seen.1),
        ] {
            let pairs: Vec<(f64, f64)> = rounds
                .iter()
                .map(|[before, meanwhile]| (part(meanwhile), part(before)))
                .collect();
            table.row(
                Row::of_pairs(
                    &format!("N requests beside {what}, {name}"),
                    "ms",
                    "the same alone",
                    &pairs,
                )
                .parameters(format!("{ROUNDS} pairs of {ASKED} each, CURVE, one client")),
            );
        }
    }
}
