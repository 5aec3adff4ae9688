//! How fast issues are taken in: sets of 100, handed in by `issues` of the peer protocol, acknowledged
//! when they are on the disk. What they are held against is what their signatures cost: bare checks on
//! all cores, in the same run. Then what a record costs when many are pending already, and the memory
//! that they take.

use std::hint::black_box;
use std::time::Instant;

use bitmarkd::core::id::AssetId;
use bitmarkd::core::keys::PrivateKey;
use bitmarkd::core::record::{AssetData, BitmarkIssue, Record};
use bitmarkd::shell::zmq::{Context, Frames};

use crate::reference::Reference;
use crate::rig::{Node, Seen, Service, ask_all, processor_of_thread, resident};
use crate::table::{Reach, Row, Table, median};
use crate::world::signed;

/// Issues of a set: as many as may be.
const SET: u64 = 100;
/// Sets of a round, of all clients together.
const SETS: u64 = 48;
/// Rounds; the median counts.
const ROUNDS: u64 = 7;
/// Clients at a time.
const CLIENTS: [u64; 2] = [1, 8];
/// Records that are pending when memory is looked at.
const PENDING: u64 = 100_000;
/// Where the costs of a record are looked at. The pools hold 200,000 as they are set up by default, and
/// their bounds are looked at with each record, so that is where it ends.
const LOOKS: [u64; 5] = [1_000, 10_000, 30_000, 100_000, 190_000];
/// Room for all of them from one client, and for one owner.
const ROOM: &str = "[reservoir]\npeer_share_percent = 100\nsets_per_owner = 100000\n";

/// Sets of one owner, each different from any other.
pub struct Sets {
    key: PrivateKey,
    next: u64,
}

impl Sets {
    /// None yet.
    pub fn new() -> Self {
        Self {
            key: PrivateKey::from_ed25519_seed(&[5; 32], true),
            next: 0,
        }
    }

    /// The asset that all are of.
    pub fn asset(&self) -> Vec<u8> {
        let asset = Record::AssetData(AssetData {
            name: b"measured".to_vec(),
            fingerprint: b"01measured".to_vec(),
            metadata: Vec::new(),
            registrant: self.key.account().expect("an account"),
            signature: Vec::new(),
        });
        signed(asset, &self.key)
    }

    fn issue(&self, nonce: u64) -> Vec<u8> {
        let issue = Record::BitmarkIssue(BitmarkIssue {
            asset_id: AssetId::of(b"01measured"),
            owner: self.key.account().expect("an account"),
            nonce,
            signature: Vec::new(),
        });
        signed(issue, &self.key)
    }

    /// Some sets more.
    pub fn take(&mut self, count: u64) -> Vec<Vec<u8>> {
        let first = self.next;
        self.next += count;
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        let own = &*self;
        let make = |part: u64| {
            let numbers = (first..first + count).filter(move |number| number % cores == part);
            let set = move |number: u64| {
                let nonces = number * SET..(number + 1) * SET;
                nonces.flat_map(|nonce| own.issue(nonce)).collect()
            };
            numbers.map(set).collect::<Vec<Vec<u8>>>()
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..cores)
                .map(|part| scope.spawn(move || make(part)))
                .collect();
            let sets = threads.into_iter().map(|t| t.join().expect("it ends"));
            sets.flatten().collect()
        })
    }
}

/// Registers the asset.
pub fn prepare(context: &Context, service: &Service, sets: &Sets) {
    let request = service.request("assets", &[&sets.asset()]);
    let reply = service.dial(context).ask(&request).expect("an answer");
    assert_eq!(reply, [b"assets".to_vec(), b"A".to_vec()]);
}

/// What these clients see who hand in so many sets; each request is a set.
fn taken(context: &Context, service: &Service, sets: &mut Sets, clients: u64, count: u64) -> Seen {
    let lists: Vec<Vec<Frames>> = (0..clients)
        .map(|_| {
            let of_client = sets.take(count / clients);
            let request = |set: &Vec<u8>| service.request("issues", &[set]);
            of_client.iter().map(request).collect()
        })
        .collect();
    ask_all(context, service, &lists)
}

fn records(seen: &Seen) -> f64 {
    seen.rate * SET as f64
}

/// Signatures a second that all cores check, and nothing else; and the processor time of each in
/// microseconds.
fn checked(key: &PrivateKey) -> (f64, f64) {
    const CHECKS: u32 = 2_000;
    let account = key.account().expect("an account");
    let message = [7; 140];
    let signature = key.sign(&message);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let begin = Instant::now();
    let busy: f64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..CHECKS {
                        let is_good = black_box(&account).verify(&message, &signature);
                        is_good.expect("it is good");
                    }
                    processor_of_thread()
                })
            })
            .collect();
        let times = threads.into_iter().map(|t| t.join().expect("it ends"));
        times.sum()
    });
    let all = f64::from(CHECKS) * cores as f64;
    (all / begin.elapsed().as_secs_f64(), busy * 1e6 / all)
}

/// Records that a node has pending, over its own count; only ours is asked.
fn hand_in(context: &Context, service: &Service, sets: &mut Sets, records: u64) {
    // Eight sources: what one peer may fill is a share.
    let mut left = records / SET;
    while left > 0 {
        let now = left.min(200);
        taken(context, service, sets, 8.min(now), now);
        left -= now;
    }
}

/// Seconds for each record of a set that comes in when so many are pending: for the plot of growth.
pub fn growth() -> Vec<(f64, f64)> {
    let context = &Context::new().expect("CURVE");
    let node = Node::start(context, ROOM, |_| {});
    let mut sets = Sets::new();
    prepare(context, &node.service, &sets);
    let mut points = Vec::new();
    let mut pending = 0;
    for look in LOOKS {
        hand_in(
            context,
            &node.service,
            &mut sets,
            look.saturating_sub(pending),
        );
        let rates = (0..3).map(|_| taken(context, &node.service, &mut sets, 1, 16));
        let rates: Vec<f64> = rates.map(|seen| records(&seen)).collect();
        points.push((look as f64, 1.0 / median(rates.into_iter())));
        pending = look + 3 * 16 * SET;
    }
    points
}

/// The measure.
pub fn run(table: &mut Table) {
    let context = &Context::new().expect("CURVE");
    let mut sets = Sets::new();
    let node = Node::start(context, ROOM, |_| {});
    let reference = Reference::start(context);
    prepare(context, &node.service, &sets);
    if let Some(reference) = &reference {
        prepare(context, &reference.service, &sets);
    }
    for clients in CLIENTS {
        let mut pairs = Vec::new();
        let mut others = Vec::new();
        let mut busy = Vec::new();
        for _ in 0..ROUNDS {
            let ours = taken(context, &node.service, &mut sets, clients, SETS);
            let (bound, check) = checked(&sets.key);
            pairs.push((records(&ours), bound));
            busy.push((ours.processor / SET as f64, check));
            let theirs = reference.as_ref();
            let theirs = theirs.map(|r| taken(context, &r.service, &mut sets, clients, SETS));
            others.extend(theirs.map(|seen| records(&seen)));
        }
        let name = format!("issues taken in, {clients} clients");
        let reference = (!others.is_empty()).then(|| median(others.iter().copied()));
        table.row(
            Row::of_pairs(&name, "records/s", "signature checks, all cores", &pairs)
                .reach(Reach::AtLeast(0.6))
                .reference(reference)
                .parameters(format!(
                    "{ROUNDS} pairs of {SETS} sets of {SET}, on the disk when acknowledged; processor \
                     time for each record {:.1} us, for a bare check {:.1} us",
                    median(busy.iter().map(|pair| pair.0)),
                    median(busy.iter().map(|pair| pair.1)),
                )),
        );
        if let Some(reference) = reference {
            let pairs: Vec<(f64, f64)> = pairs.iter().map(|pair| (pair.0, reference)).collect();
            table.row(
                Row::of_pairs(
                    &format!("{name}, beside the reference"),
                    "records/s",
                    "reference, in memory only",
                    &pairs,
                )
                .reach(Reach::AtLeast(4.0)),
            );
        }
    }
}

/// The measure of growth: ten times as many pending records may not cost more each than a logarithm.
pub fn run_growth(table: &mut Table) {
    let points = growth();
    let cost = |index: usize| points.get(index).map_or(1.0, |point| point.1);
    let told: Vec<String> = points
        .iter()
        .map(|(records, seconds)| format!("{records:.0}: {:.1}", seconds * 1e6))
        .collect();
    let pair = (cost(LOOKS.len() - 1) * 1e6, cost(0) * 1e6);
    let logarithm = |records: u64| (records as f64).log2();
    let most = logarithm(LOOKS[LOOKS.len() - 1]) / logarithm(LOOKS[0]);
    table.row(
        Row::of_pairs(
            "an issue taken in, many pending",
            "us",
            "few pending",
            &[pair],
        )
        .reach(Reach::AtMost(most))
        .parameters(format!(
            "us for each by records pending: {}",
            told.join(", ")
        )),
    );
}

/// The measure of memory.
pub fn run_memory(table: &mut Table) {
    let context = &Context::new().expect("CURVE");
    let node = Node::start(context, ROOM, |_| {});
    let reference = Reference::start(context);
    let mut both = vec![node.service];
    both.extend(reference.iter().map(|one| one.service));
    let mut idle = Vec::new();
    let mut full = Vec::new();
    for service in &both {
        let mut sets = Sets::new();
        idle.push(resident(service.process));
        prepare(context, service, &sets);
        hand_in(context, service, &mut sets, PENDING);
        full.push(resident(service.process));
    }
    for (what, figures) in [("idle", idle), ("100,000 pending", full)] {
        let name = format!("resident memory, {what}");
        let row = match figures.as_slice() {
            [ours, theirs] => Row::of_pairs(&name, "MiB", "reference", &[(*ours, *theirs)])
                .reach(Reach::AtMost(0.5))
                .reference(Some(*theirs)),
            _ => Row::told(&name, "MiB", figures[0]),
        };
        table.row(row.parameters("sets of 100 issues of one asset"));
    }
}
