//! Row 10: an hour of everything at once, with clients that send our nodes what would end one of the
//! reference. None of theirs ends, runs in circles, or gives up a link to ours.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use bitmarkd::core::wire::connection::{Connection, pack_list};
use bitmarkd::shell::zmq::requester::fresh_key;
use rand::rngs::StdRng;
use rand::{Rng as _, RngCore as _, SeedableRng as _};

use crate::launch::seen;
use crate::network::SIX;
use crate::payments::Discovery;
use crate::stage::{Kind, Node, Stage};

/// How long it goes on; `MINUTES` sets another time.
const MINUTES: u64 = 60;
/// Half a second for each digest, and several of them at most nodes, beside a miner.
const TAKEN: Duration = Duration::from_secs(600);
/// A node that runs in circles takes all of a core: with a miner on one of two there is no more.
const BUSY: f64 = 0.6;
/// How often it is looked at.
const WINDOW: Duration = Duration::from_secs(300);
/// Links that one node opens to another in an hour: each announcement may point a place elsewhere.
const LINKS: usize = 20;

/// Processor time of a process.
fn processor(pid: u32) -> Duration {
    let text = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
    let text = text.unwrap();
    let (_, behind) = text.rsplit_once(')').unwrap();
    let fields: Vec<&str> = behind.split_whitespace().collect();
    let ticks: u64 = [11, 12]
        .map(|n| fields[n].parse::<u64>().unwrap())
        .iter()
        .sum();
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Messages that would end a node of the reference, or that it would not take
/// (`proto/peer.md`, section 3.1).
fn hostile(random: &mut StdRng) -> Vec<Vec<u8>> {
    let key = fresh_key().public_key().0.to_vec();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
        .to_be_bytes()
        .to_vec();
    let v4 = pack_list([&Connection::from_text("127.0.0.1:9").unwrap()]);
    let v6 = pack_list([&Connection::from_text("[::1]:9").unwrap()]);
    let mut cut = v4.clone();
    cut.truncate(random.gen_range(1..v4.len()));
    let mut noise = vec![0; random.gen_range(0..3000)];
    random.fill_bytes(&mut noise);
    let short = now[..random.gen_range(0..8)].to_vec();
    let command: &[u8] = [&b"R"[..], b"peer", b"rpc"][random.gen_range(0..3)];
    let registration = |listeners: Vec<u8>, time: Vec<u8>| {
        let mut frames = vec![b"local".to_vec(), command.to_vec()];
        if command == b"R" {
            frames.push(b"local".to_vec());
        }
        frames.extend([key.clone(), listeners, time]);
        frames
    };
    match random.gen_range(0..10) {
        0 => registration(v4, short),
        1 => registration(cut, now),
        2 => registration(v6, now),
        3 => registration(noise, now),
        4 => vec![b"local".to_vec(), b"block".to_vec(), noise],
        5 => vec![b"local".to_vec(), b"assets".to_vec(), noise],
        6 => vec![b"local".to_vec(), b"transfer".to_vec(), noise],
        7 => vec![b"local".to_vec(), b"block".to_vec(), vec![7; 4_900_000]],
        8 => vec![vec![]; 2_000],
        _ => {
            let mut frames = vec![b"local".to_vec(), b"proof".to_vec()];
            frames.push(noise);
            frames
        }
    }
}

/// Everything at once.
struct Load {
    stage: Stage,
    discovery: Discovery,
    random: StdRng,
    /// Issues that may be passed on, once they are confirmed.
    issues: Vec<String>,
    counts: BTreeMap<&'static str, usize>,
    number: usize,
}

impl Load {
    fn done(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn any(&mut self) -> usize {
        self.random.gen_range(0..self.stage.nodes.len())
    }

    fn step(&mut self) {
        match self.random.gen_range(0..10) {
            0 | 1 => {
                self.number += 1;
                let name = format!("record {}", self.number);
                let quantity = self.random.gen_range(1..6);
                let at = self.any();
                let name = match self.number % 4 {
                    0 => format!("{:\u{5b57}<64}", self.number),
                    1 => "x".repeat(59) + &format!("{:05}", self.number),
                    _ => name,
                };
                let made = self.stage.create(at, &name, quantity);
                let ids = made["issueIds"].as_array().unwrap();
                let ids = ids.iter().map(|id| id.as_str().unwrap().to_owned());
                self.issues.extend(ids);
                self.done("create");
            }
            2 => {
                let at = self.any();
                let Some(id) = self.issues.first().cloned() else {
                    return;
                };
                if self.stage.nodes[at].transaction(&id) != "Confirmed" {
                    return;
                }
                self.issues.remove(0);
                let to = self.stage.identity.account.clone();
                let arguments = ["transfer", &id, "--to", &to, "--unratified"];
                let sent = self.stage.client(at, &arguments);
                self.discovery.pay(sent["payId"].as_str().unwrap());
                self.done("transfer");
            }
            3..=6 => {
                let frames = hostile(&mut self.random);
                let ours: Vec<&Node> = self
                    .stage
                    .nodes
                    .iter()
                    .filter(|node| node.kind == Kind::Ours)
                    .collect();
                let node = ours[self.random.gen_range(0..ours.len())];
                let reply = node.asker().raw(&frames);
                assert!(reply.is_some(), "{} answers", node.plan.name);
                self.done("hostile");
            }
            7 | 8 => {
                let at = self.any();
                let node = &self.stage.nodes[at];
                let number = self.random.gen_range(0..=node.height() + 1);
                node.asker().ask("B", &[&number.to_be_bytes()]).unwrap();
                self.done("question");
            }
            _ => {
                let at = self.any();
                let node = &self.stage.nodes[at];
                node.peers();
                node.services();
                self.done("page");
            }
        }
    }
}

#[test]
#[ignore = "needs REFERENCE_BIN"]
fn row_10_an_hour_of_mixed_load_hurts_no_node_of_the_reference() {
    let minutes = std::env::var("MINUTES").map_or(MINUTES, |text| text.parse().unwrap());
    let seed = rand::random();
    println!("  seed {seed}");
    let mut stage = Stage::wired(&SIX).acquainted();
    let discovery = Discovery::new(stage.discovery);
    stage.wires().record();
    stage.start_all();
    stage.wait_normal();
    stage.mine_at(0, 1);
    let mut load = Load {
        stage,
        discovery,
        random: StdRng::seed_from_u64(seed),
        issues: Vec::new(),
        counts: BTreeMap::new(),
        number: 0,
    };
    let begin = Instant::now();
    let whole = Duration::from_secs(minutes * 60);
    // Which of ours is killed and started again, and when.
    let mut kills = vec![(whole / 2, 4), (whole / 3, 2)];
    let mut window = Window::open(&load.stage);
    while begin.elapsed() < whole {
        if let Some((_, index)) = kills.pop_if(|(at, _)| begin.elapsed() > *at) {
            load.stage.nodes[index].kill();
            load.stage.nodes[index].start();
            load.stage
                .one(index, "mode Normal again", TAKEN, Node::is_normal);
            window = Window::open(&load.stage);
        }
        load.stage.expect_alive();
        load.step();
        // The pace of the load, over an hour: nothing is waited for.
        std::thread::sleep(Duration::from_millis(load.random.gen_range(100..1500)));
        if window.begin.elapsed() > WINDOW {
            window.close(&load.stage);
            window = Window::open(&load.stage);
        }
    }
    let Load {
        mut stage, counts, ..
    } = load;
    stage.stop_miners();
    seen(stage.begin, format_args!("{counts:?}"));
    let top = stage.nodes[0].height();
    stage.all("one height", TAKEN, |node| node.height() >= top);
    let digests = stage.nodes[0].digests(0..=top);
    for node in &stage.nodes {
        assert_eq!(node.digests(0..=top), digests, "{}", node.plan.name);
    }
    seen(stage.begin, format_args!("all agree on {} blocks", top - 1));
    let opened = stage.wires().opened();
    println!("  links opened: {opened:?}");
    for ((from, to), count) in opened {
        let (from, to) = (&stage.nodes[from].plan.name, &stage.nodes[to].plan.name);
        assert!(count <= LINKS, "{from} opened {count} links to {to}");
    }
    for (index, node) in stage.nodes.iter().enumerate() {
        let page = node.page("details").unwrap();
        let outgoing = page["peers"]["outgoing"].as_u64().unwrap();
        println!("  {}: {}", node.plan.name, page["peers"]);
        assert!(outgoing >= 3, "{index}: {outgoing}");
    }
}

/// Some minutes of the hour.
struct Window {
    begin: Instant,
    processor: Vec<Duration>,
}

impl Window {
    fn open(stage: &Stage) -> Self {
        Self {
            begin: Instant::now(),
            processor: stage.nodes.iter().map(|n| processor(n.pid())).collect(),
        }
    }

    /// Tells how busy each node was; none of the reference may run in circles.
    fn close(&self, stage: &Stage) {
        let time = self.begin.elapsed().as_secs_f64();
        let mut texts = Vec::new();
        for (node, before) in stage.nodes.iter().zip(&self.processor) {
            let busy = (processor(node.pid()) - *before).as_secs_f64() / time;
            texts.push(format!("{} {:.0} %", node.plan.name, busy * 100.0));
            assert!(
                node.kind == Kind::Ours || busy < BUSY,
                "{} was busy for {:.0} % of the time",
                node.plan.name,
                busy * 100.0
            );
        }
        let mut requests: BTreeMap<String, usize> = BTreeMap::new();
        let mut errors = 0;
        for message in stage.wires().passed() {
            let Some(from) = message.from else { continue };
            let kinds = [from, message.to].map(|index| stage.nodes[index].kind);
            if message.way == crate::wires::Way::Request {
                let command = String::from_utf8_lossy(&message.body[1]).into_owned();
                *requests.entry(command).or_default() += 1;
            } else if message.body[0] == b"E" && kinds[0] == Kind::Ours {
                errors += 1;
            }
        }
        seen(
            stage.begin,
            format_args!(
                "{}; {requests:?}; {errors} errors told to ours",
                texts.join(", ")
            ),
        );
    }
}
