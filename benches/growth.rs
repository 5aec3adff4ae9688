//! How cost grows with what there is: from a thousand records to a million (`RECORDS=…`: up to so
//! many), tenfold each time. Kept as `benches/results/growth.json`, with a picture of each curve beside
//! it. What is measured is a line of [`CURVES`].
//!
//! What is looked up in a store is measured twice: with the cache of a node, and with one that holds all
//! of the store and has read it before. The second tells what the algorithm costs, the difference what
//! it costs that the cache is smaller than the store.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use bitmarkd::core::block::{Compact, DigestParams, Header, digest};
use bitmarkd::core::id::{BlockDigest, TxId};
use bitmarkd::core::ledger::{keys, read};
use bitmarkd::core::record::merkle;
use bitmarkd::core::state::{Pool, View as _};
use bitmarkd::shell::digest::memory;
use bitmarkd::shell::store::{CACHE_BYTES, Store};
use bitmarkd::shell::zmq::Context;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::fixture::{self, Facts, Fixture};
use crate::issues::{self, Sets};
use crate::mix::Mix;
use crate::picture::{self, Lines, Point};
use crate::rig::{Node, Service, ask_all};
use crate::table::{Reach, Row, Table, folder, median};
use crate::world::World;

/// The fewest records.
const LEAST: u64 = 1_000;
/// Blocks that are put on and taken off again, and their records.
const BLOCKS: usize = 11;
const OF_BLOCK: usize = 100;
/// Rounds of look-ups, and how many each has.
const ROUNDS: usize = 11;
const LOOKS: usize = 100;
/// Steps of a provenance, and entries of a page.
const STEPS: usize = 50;
const PAGE: usize = 50;
/// Rounds of what takes long.
const FEW: usize = 5;
/// Sets of a round of taking in, and issues of a set.
const SETS: u64 = 8;
const OF_SET: f64 = 100.0;
/// Room for all of them from one client, and for one owner.
const ROOM: &str = "[reservoir]\npeer_share_percent = 100\nsets_per_owner = 100000\n";

/// What a point of a curve is taken on: a chain of so many records, open.
pub struct Grown {
    /// The chain.
    pub world: World,
    /// Its records go on here.
    pub mix: Mix,
    /// What is known of it.
    pub facts: Facts,
    chance: ChaCha8Rng,
}

/// What takes a point, in microseconds.
enum Take {
    /// On nothing but a number of records.
    Number(fn(u64) -> f64),
    /// On a chain that is open in this process.
    Chain(fn(&mut Grown) -> f64),
    /// On a node process with that chain.
    Node(fn(&Context, &Service) -> f64),
}

/// A curve.
struct Curve {
    /// The name of its picture.
    name: &'static str,
    /// What costs that.
    what: &'static str,
    /// How it is taken.
    take: Take,
}

/// All curves, in the order they are taken in.
const CURVES: &[Curve] = &[
    Curve {
        name: "digest",
        what: "the full digest of a block, whatever it holds",
        take: Take::Number(full_digest),
    },
    Curve {
        name: "merkle",
        what: "a record in a merkle root of all",
        take: Take::Number(merkle_root),
    },
    Curve {
        name: "bare-read",
        what: "a bare read of any transaction's key, beside the others",
        take: Take::Chain(bare_read),
    },
    Curve {
        name: "transaction",
        what: "any transaction looked up",
        take: Take::Chain(transaction),
    },
    Curve {
        name: "asset",
        what: "any asset looked up",
        take: Take::Chain(asset),
    },
    Curve {
        name: "block",
        what: "any block looked up by its number",
        take: Take::Chain(block),
    },
    Curve {
        name: "block-digest",
        what: "any block's digest looked up by its number",
        take: Take::Chain(block_digest),
    },
    Curve {
        name: "owner-page",
        what: "an entry of a page of an owner with a tenth of all issues",
        take: Take::Chain(owner_page),
    },
    Curve {
        name: "provenance",
        what: "a step of a provenance",
        take: Take::Chain(provenance),
    },
    Curve {
        name: "apply",
        what: "a record of a block that is put on, its signatures checked, flushed",
        take: Take::Chain(apply),
    },
    Curve {
        name: "undo",
        what: "a record of a block that is taken off, flushed",
        take: Take::Chain(undo),
    },
    Curve {
        name: "take-in",
        what: "an issue handed in and acknowledged, in sets of 100",
        take: Take::Node(take_in),
    },
];

fn us(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1e6
}

impl Grown {
    fn on(world: World, fixture: &Fixture) -> Self {
        Self {
            world,
            mix: Mix::from(fixture.facts.made.clone()),
            chance: ChaCha8Rng::seed_from_u64(fixture.facts.blocks),
            facts: fixture.facts.clone(),
        }
    }

    /// What one look-up costs: the median of rounds of them.
    fn looks(&mut self, look: impl Fn(&mut Self)) -> f64 {
        let rounds = (0..ROUNDS).map(|_| {
            let begin = Instant::now();
            (0..LOOKS).for_each(|_| look(self));
            us(begin) / LOOKS as f64
        });
        let rounds: Vec<f64> = rounds.collect();
        median(rounds.into_iter())
    }
}

fn bare_read(grown: &mut Grown) -> f64 {
    grown.looks(|grown| {
        let any = grown
            .chance
            .gen_range(0..grown.facts.made.transactions.len());
        let id = grown.facts.made.transactions[any];
        let found = grown.world.store.get(Pool::Transactions, &id.0);
        assert!(black_box(found).expect("a read").is_some());
    })
}

fn transaction(grown: &mut Grown) -> f64 {
    grown.looks(|grown| {
        let any = grown
            .chance
            .gen_range(0..grown.facts.made.transactions.len());
        let id = grown.facts.made.transactions[any];
        let found = read::transaction(&grown.world.store, &id);
        assert!(black_box(found).expect("a read").is_some());
    })
}

fn asset(grown: &mut Grown) -> f64 {
    grown.looks(|grown| {
        let any = grown.chance.gen_range(0..grown.facts.made.assets.len());
        let id = grown.facts.made.assets[any];
        let found = read::asset(&grown.world.store, &id);
        assert!(black_box(found).expect("a read").is_some());
    })
}

fn block(grown: &mut Grown) -> f64 {
    grown.looks(|grown| {
        let number = grown.chance.gen_range(2..=grown.facts.blocks);
        let found = read::block(&grown.world.store, number);
        assert!(black_box(found).expect("a read").is_some());
    })
}

fn block_digest(grown: &mut Grown) -> f64 {
    grown.looks(|grown| {
        let number = grown.chance.gen_range(2..=grown.facts.blocks);
        let found = read::digest(&grown.world.store, number);
        assert!(black_box(found).expect("a read").is_some());
    })
}

fn owner_page(grown: &mut Grown) -> f64 {
    let owner = *grown.mix.crowded();
    let count = grown.world.store.get(Pool::OwnerCount, &owner.to_bytes());
    let count = count
        .expect("a read")
        .and_then(|value| keys::number(&value));
    let last = count.unwrap_or(0).saturating_sub(PAGE as u64);
    let page = grown.looks(|grown| {
        let from = grown.chance.gen_range(0..=last);
        let page = read::owned(&grown.world.store, &owner, from, PAGE);
        assert_eq!(black_box(page).expect("a read").len(), PAGE);
    });
    page / PAGE as f64
}

fn provenance(grown: &mut Grown) -> f64 {
    let first = grown.mix.trail();
    let all = grown.looks(|grown| {
        let steps = read::provenance(&grown.world.store, &first, true, STEPS);
        assert_eq!(black_box(steps).expect("a read").len(), STEPS);
    });
    all / STEPS as f64
}

fn apply(grown: &mut Grown) -> f64 {
    let blocks = (0..BLOCKS).map(|_| {
        let records = grown.mix.block(OF_BLOCK);
        let made = grown.world.make(records);
        let begin = Instant::now();
        grown.world.put(&made);
        grown.world.store.flush().expect("the disk takes it");
        us(begin) / OF_BLOCK as f64
    });
    let blocks: Vec<f64> = blocks.collect();
    median(blocks.into_iter())
}

fn undo(grown: &mut Grown) -> f64 {
    let blocks = (0..BLOCKS).map(|_| {
        let begin = Instant::now();
        let world = &mut grown.world;
        let undone = world.ledger.undo_top(&world.store).expect("it comes off");
        world.store.apply(&undone.batch).expect("the disk takes it");
        world.store.flush().expect("the disk takes it");
        us(begin) / OF_BLOCK as f64
    });
    let blocks: Vec<f64> = blocks.collect();
    median(blocks.into_iter())
}

/// Ids of so many records, as good as any.
fn ids(records: u64) -> Vec<TxId> {
    let id = |number: u64| {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&number.to_le_bytes());
        TxId(id)
    };
    (0..records).map(id).collect()
}

fn merkle_root(records: u64) -> f64 {
    let ids = ids(records);
    let rounds = (0..FEW).map(|_| {
        let begin = Instant::now();
        black_box(merkle::root(&ids));
        us(begin) / records as f64
    });
    let rounds: Vec<f64> = rounds.collect();
    median(rounds.into_iter())
}

fn full_digest(records: u64) -> f64 {
    let header = Header {
        version: 2,
        transaction_count: u16::try_from(records).unwrap_or(u16::MAX),
        number: records,
        previous_block: BlockDigest::default(),
        merkle_root: merkle::root(&ids(records)),
        timestamp: records,
        difficulty: Compact::ONE,
        nonce: records,
    };
    let mut memory = memory();
    let _ = digest(&DigestParams::REFERENCE, &header.pack(), &mut memory);
    let rounds = (0..FEW).map(|_| {
        let begin = Instant::now();
        black_box(digest(
            &DigestParams::REFERENCE,
            &header.pack(),
            &mut memory,
        ));
        us(begin)
    });
    let rounds: Vec<f64> = rounds.collect();
    median(rounds.into_iter())
}

fn take_in(context: &Context, service: &Service) -> f64 {
    let mut sets = Sets::new();
    issues::prepare(context, service, &sets);
    let rounds = (0..ROUNDS).map(|_| {
        let sets = sets.take(SETS);
        let list = sets.iter().map(|set| service.request("issues", &[set]));
        let seen = ask_all(context, service, &[list.collect()]);
        1e6 / (seen.rate * OF_SET)
    });
    let rounds: Vec<f64> = rounds.collect();
    median(rounds.into_iter())
}

/// How often this process has read from a file, whether that lay in memory or not.
fn reads() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("syscr: "));
    line.and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

/// All curves of so many records.
fn take(context: &Context, records: u64, curves: &mut BTreeMap<&str, Lines>) {
    let fixture = Fixture::of(records);
    let (_folder, path) = fixture.copy();
    let count = (fixture.facts.blocks * fixture::PER_BLOCK as u64) as f64;
    let told = |what: &str, cost: f64| {
        eprintln!("{what}, {records} records: {cost:.2} us");
        (count, cost)
    };
    let holds_all = holds_all(&fixture.facts);
    for (cache, is_all) in [(CACHE_BYTES, false), (holds_all, true)] {
        let store = Store::open(&path, cache).expect("a store").store;
        assert!(!is_all || store.is_whole());
        let mut grown = Grown::on(World::load(store), &fixture);
        for curve in CURVES {
            if let Take::Chain(take) = curve.take {
                let lines = curves.entry(curve.name).or_default();
                let before = reads();
                let cost = take(&mut grown);
                let reads = reads() - before;
                if is_all {
                    let what = format!("{} with all in the cache", curve.name);
                    lines.all_cached.push(told(&what, cost));
                } else {
                    lines.reads.push(reads);
                    let what = format!("{}, {reads} reads", curve.name);
                    lines.node.push(told(&what, cost));
                }
            }
        }
    }
    let node = Node::on_store(context, ROOM, &path);
    for curve in CURVES {
        let cost = match curve.take {
            Take::Number(take) => take(records),
            Take::Node(take) => take(context, &node.service),
            Take::Chain(_) => continue,
        };
        let point = told(curve.name, cost);
        curves.entry(curve.name).or_default().node.push(point);
    }
}

/// Bytes of a cache that holds all: some times more than the entries have, since what is counted is what
/// lies on the disk.
fn holds_all(facts: &Facts) -> u64 {
    (facts.raw * 4).max(CACHE_BYTES)
}

/// One curve at one size with all in the cache, for a tool that counts instructions, told to count in
/// the curve's function only.
pub fn part(arguments: &[String]) {
    let [name, records] = arguments else {
        panic!("the name of a curve, and a number of records")
    };
    let fixture = Fixture::of(records.parse().expect("a number"));
    let (_folder, path) = fixture.copy();
    let store = Store::open(&path, holds_all(&fixture.facts)).expect("a store");
    assert!(store.store.is_whole());
    let mut grown = Grown::on(World::load(store.store), &fixture);
    let curve = CURVES.iter().find(|curve| curve.name == name);
    match curve.map(|curve| &curve.take) {
        Some(Take::Chain(take)) => println!("{:.2} us", take(&mut grown)),
        _ => panic!("{name}: no curve of a chain"),
    }
    println!("{} of them", ROUNDS * LOOKS);
}

/// The row of a line.
fn row(name: &str, what: &str, points: &[Point]) -> Option<Row> {
    let (first, last) = (points.first()?, points.last()?);
    let told: Vec<String> = points
        .iter()
        .map(|(records, cost)| format!("{records:.0}: {cost:.2}"))
        .collect();
    let pair = (last.1, picture::logarithmic(*first, last.0));
    let floor = "n log n in all, from the first point";
    let row = Row::of_pairs(&format!("growth, {what}"), "us", floor, &[pair]);
    Some(row.reach(Reach::AtMost(1.0)).parameters(format!(
        "by records: {}; growth-{name}.svg",
        told.join(", ")
    )))
}

/// The measure.
pub fn run(table: &mut Table) {
    let context = &Context::new().expect("CURVE");
    let mut curves: BTreeMap<&str, Lines> = BTreeMap::new();
    let sizes = std::iter::successors(Some(LEAST), |records| Some(records * 10));
    for records in sizes.take_while(|records| *records <= fixture::records()) {
        take(context, records, &mut curves);
    }
    let mut all: Vec<(&str, &str, &str)> = CURVES
        .iter()
        .map(|curve| (curve.name, curve.what, "records in the store"))
        .collect();
    let (name, what) = (
        "take-in-pending",
        "an issue handed in and acknowledged, by what is pending",
    );
    let pending = issues::growth().into_iter();
    curves.entry(name).or_default().node = pending
        .map(|(records, seconds)| (records, seconds * 1e6))
        .collect();
    all.push((name, what, "records pending"));
    for (name, what, across) in all {
        let Some(lines) = curves.get(name) else {
            continue;
        };
        picture::draw(name, what, across, lines).expect("a picture");
        if let Some(mut row) = row(name, what, &lines.node) {
            if !lines.reads.is_empty() {
                let reads: Vec<String> = lines.reads.iter().map(u64::to_string).collect();
                let more = format!("; reads from the file meanwhile: {}", reads.join(", "));
                row.parameters.push_str(&more);
            }
            table.row(row);
        }
        let what = format!("{what}, with a cache that holds all");
        if let Some(row) = row(name, &what, &lines.all_cached) {
            table.row(row);
        }
    }
    let mut text = serde_json::to_string_pretty(&curves).expect("it is text");
    text.push('\n');
    std::fs::write(folder().join("growth.json"), text).expect("the disk takes it");
}
