//! A proof of title out of 100,000 blocks (`BLOCKS=…`: of so many): how long the engine is held up
//! by one piece of it, and by all of it at once. Then the same to one of 5,000 records of a block.

use std::time::{Duration, Instant};

use bitmarkd::core::id::TxId;
use bitmarkd::core::title::{self, Making};
use bitmarkd::shell::store::Store;

use crate::table::{Row, Table};
use crate::world::World;

/// Records of the block with many.
const CROWD: u64 = 5_000;

fn measure(world: &World, table: &mut Table, what: &str, id: TxId) {
    let mut making = Making::new(id, None);
    let mut times: Vec<Duration> = Vec::new();
    while let Some(ask) = making.ask() {
        let begin = Instant::now();
        let piece = title::answer(&world.store, &world.ledger, &ask).expect("a piece");
        let text = piece.to_text();
        times.push(begin.elapsed());
        let piece = title::Piece::from_text(&text).expect("the same piece");
        making.take(piece).expect("it fits");
    }
    let begin = Instant::now();
    let text = making.finish().expect("a title").to_text();
    let finish = begin.elapsed();
    let begin = Instant::now();
    title::make(&world.store, &world.ledger, &id, None).expect("a title");
    let at_once = begin.elapsed();
    let longest = times.iter().max().copied().unwrap_or_default();
    let engine: Duration = times.iter().sum();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let parameters = format!(
        "{} pieces, finished in {:.0} ms, at once {:.0} ms, {:.1} MB",
        times.len(),
        ms(finish),
        ms(at_once),
        text.len() as f64 / 1e6
    );
    table.row(
        Row::told(
            &format!("title of {what}, longest hold of the engine"),
            "ms",
            ms(longest),
        )
        .parameters(parameters.clone()),
    );
    table.row(
        Row::told(&format!("title of {what}, engine in all"), "ms", ms(engine))
            .parameters(parameters),
    );
}

/// The measure.
pub fn run(table: &mut Table) {
    let wanted = std::env::var("BLOCKS").ok();
    let blocks: u64 = wanted.map_or(100_000, |text| text.parse().expect("BLOCKS: a number"));
    let folder = tempfile::tempdir().expect("a folder");
    let opened = Store::open(folder.path(), 64 << 20).expect("a store");
    let mut world = World::new(opened.store);
    let first = world.issue(1);
    world.block(vec![world.asset(), first.clone()]);
    while world.ledger.height() < blocks {
        let issue = world.issue(world.ledger.height() + 1);
        world.block(vec![issue]);
    }
    let crowd: Vec<Vec<u8>> = (1..=CROWD).map(|n| world.issue((1 << 40) + n)).collect();
    let one = TxId::of(&crowd[crowd.len() / 2]);
    world.block(crowd);
    world.store.flush().expect("the disk takes it");
    let height = world.ledger.height();
    let id = TxId::of(&first);
    measure(&world, table, &format!("all of {height} blocks"), id);
    measure(&world, table, "one of 5,000 in a block", one);
}
