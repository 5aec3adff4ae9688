//! How cost grows with what the store holds: from a thousand records to a million (`RECORDS=…`: up
//! to so many), tenfold each time. Kept as `benches/results/growth.json`, with a picture of each
//! curve beside it. What is measured is a line of [`CURVES`].

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use bitmarkd::core::ledger::{keys, read};
use bitmarkd::core::state::{Pool, View as _};
use bitmarkd::shell::store::{CACHE_BYTES, Store};
use plotters::prelude::*;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::fixture::{self, Facts, Fixture};
use crate::mix::Mix;
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

/// What a point of a curve is taken on: a chain of so many records, open.
pub struct Grown {
    /// How many.
    pub records: u64,
    /// The chain.
    pub world: World,
    /// Its records go on here.
    pub mix: Mix,
    /// What is known of it.
    pub facts: Facts,
    chance: ChaCha8Rng,
}

/// A curve.
struct Curve {
    /// The name of its picture.
    name: &'static str,
    /// What costs that.
    what: &'static str,
    /// Takes a point, in microseconds.
    take: fn(&mut Grown) -> f64,
}

/// All curves, in the order they are taken in. One that needs no store takes [`Grown::records`].
const CURVES: &[Curve] = &[
    Curve {
        name: "bare-read",
        what: "a bare read of any transaction's key, beside the others",
        take: bare_read,
    },
    Curve {
        name: "transaction",
        what: "any transaction looked up",
        take: transaction,
    },
    Curve {
        name: "asset",
        what: "any asset looked up",
        take: asset,
    },
    Curve {
        name: "block",
        what: "any block looked up by its number",
        take: block,
    },
    Curve {
        name: "block-digest",
        what: "any block's digest looked up by its number",
        take: block_digest,
    },
    Curve {
        name: "owner-page",
        what: "an entry of a page of an owner with a tenth of all issues",
        take: owner_page,
    },
    Curve {
        name: "provenance",
        what: "a step of a provenance",
        take: provenance,
    },
    Curve {
        name: "apply",
        what: "a record of a block that is put on, its signatures checked, flushed",
        take: apply,
    },
    Curve {
        name: "undo",
        what: "a record of a block that is taken off, flushed",
        take: undo,
    },
];

fn us(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1e6
}

impl Grown {
    fn on(world: World, fixture: Fixture) -> Self {
        Self {
            records: fixture.facts.blocks * fixture::PER_BLOCK as u64,
            world,
            mix: Mix::from(fixture.facts.made.clone()),
            chance: ChaCha8Rng::seed_from_u64(fixture.facts.blocks),
            facts: fixture.facts,
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

/// A point: records and microseconds.
type Point = (f64, f64);

/// The measure.
pub fn run(table: &mut Table) {
    let mut curves: BTreeMap<&str, Vec<Point>> = BTreeMap::new();
    let sizes = std::iter::successors(Some(LEAST), |records| Some(records * 10));
    for records in sizes.take_while(|records| *records <= fixture::records()) {
        let fixture = Fixture::of(records);
        let (_folder, path) = fixture.copy();
        let opened = Store::open(&path, CACHE_BYTES).expect("a store");
        let mut grown = Grown::on(World::load(opened.store), fixture);
        for curve in CURVES {
            let cost = (curve.take)(&mut grown);
            eprintln!("{}, {records} records: {cost:.2} us", curve.name);
            let points = curves.entry(curve.name).or_default();
            points.push((grown.records as f64, cost));
        }
    }
    for curve in CURVES {
        let points = &curves[curve.name];
        draw(curve, points).expect("a picture");
        let (Some(first), Some(last)) = (points.first(), points.last()) else {
            continue;
        };
        let bound = logarithmic(*first, last.0);
        let told: Vec<String> = points
            .iter()
            .map(|(records, cost)| format!("{records:.0}: {cost:.2}"))
            .collect();
        table.row(
            Row::of_pairs(
                &format!("growth, {}", curve.what),
                "us",
                "n log n in all, from the first point",
                &[(last.1, bound)],
            )
            .reach(Reach::AtMost(1.0))
            .parameters(format!(
                "by records: {}; growth-{}.svg",
                told.join(", "),
                curve.name
            )),
        );
    }
    let mut text = serde_json::to_string_pretty(&curves).expect("it is text");
    text.push('\n');
    std::fs::write(folder().join("growth.json"), text).expect("the disk takes it");
}

/// What something costs at so many records that costs n log n in all, seen from a point.
fn logarithmic((records, cost): Point, at: f64) -> f64 {
    cost * at.ln() / records.ln()
}

fn draw(curve: &Curve, points: &[Point]) -> Result<(), Box<dyn std::error::Error>> {
    std::fs::create_dir_all(folder())?;
    let path = folder().join(format!("growth-{}.svg", curve.name));
    let first = *points.first().ok_or("no point")?;
    let last = points.last().ok_or("no point")?.0 * 1.5;
    let costs = points.iter().map(|point| point.1);
    let (low, high) = (
        costs.clone().fold(f64::MAX, f64::min),
        costs.fold(0.0, f64::max),
    );
    let area = SVGBackend::new(&path, (800, 500)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(curve.what, ("sans-serif", 18))
        .margin(16)
        .x_label_area_size(45)
        .y_label_area_size(70)
        .build_cartesian_2d(
            (first.0 / 1.5..last).log_scale(),
            (low / 3.0..high * 3.0).log_scale(),
        )?;
    chart
        .configure_mesh()
        .x_desc("records in the store")
        .y_desc("microseconds; grey: n log n in all")
        .draw()?;
    let bound = points
        .iter()
        .map(|point| (point.0, logarithmic(first, point.0)));
    chart.draw_series(LineSeries::new(bound, RGBColor(160, 160, 160)))?;
    chart.draw_series(LineSeries::new(points.iter().copied(), BLUE))?;
    chart.draw_series(
        points
            .iter()
            .map(|point| Circle::new(*point, 4, BLUE.filled())),
    )?;
    area.present()?;
    Ok(())
}
