//! How large the same batches get in other layouts of the same keys and values: what
//! `benches/results/store-size.md` is written from. Not a measure of the table; run it with
//! `cargo bench --bench bench -- layouts RECORDS`.

use std::path::Path;
use std::time::{Duration, Instant};

use bitmarkd::core::state::{Batch, Pool};
use bitmarkd::shell::store::Store;
use sled::Mode;

use crate::bare;
use crate::fixture::{self, PER_BLOCK};
use crate::mix::Mix;
use crate::world::World;

/// A layout.
struct Layout {
    name: &'static str,
    config: fn(sled::Config) -> sled::Config,
    /// Blocks from one flush to the next.
    flush: usize,
    /// Blocks of one batch.
    together: usize,
    /// A tree for each pool.
    trees: bool,
    /// What is left out.
    without: &'static [Pool],
}

const TODAY: Layout = Layout {
    name: "one tree, as it is",
    config: |config| config,
    flush: 100,
    together: 1,
    trees: false,
    without: &[],
};

const LAYOUTS: &[Layout] = &[
    TODAY,
    Layout {
        name: "a tree for each pool",
        trees: true,
        ..TODAY
    },
    Layout {
        name: "segments of 64 KiB",
        config: |c| c.segment_size(64 << 10),
        ..TODAY
    },
    Layout {
        name: "segments of 8 MiB",
        config: |c| c.segment_size(8 << 20),
        ..TODAY
    },
    Layout {
        name: "mode HighThroughput",
        config: |c| c.mode(Mode::HighThroughput),
        ..TODAY
    },
    Layout {
        name: "cache of 256 MiB",
        config: |c| c.cache_capacity(256 << 20),
        ..TODAY
    },
    Layout {
        name: "a flush for each block",
        flush: 1,
        ..TODAY
    },
    Layout {
        name: "a flush at the end, none in between",
        config: |c| c.flush_every_ms(None),
        flush: usize::MAX,
        ..TODAY
    },
    Layout {
        name: "100 blocks in a batch",
        together: 100,
        ..TODAY
    },
    Layout {
        name: "without what takes blocks off",
        without: &[Pool::Undo],
        ..TODAY
    },
    Layout {
        name: "without blocks",
        without: &[Pool::Undo, Pool::Blocks],
        ..TODAY
    },
];

/// The batches of so many records.
fn batches(records: usize) -> Vec<Batch> {
    let folder = fixture::scratch();
    let opened = Store::open(&folder.path().join("store"), 1 << 30).expect("a store");
    let mut world = World::new(opened.store);
    let mut mix = Mix::new();
    (0..records / PER_BLOCK)
        .map(|_| world.known_block(mix.block(PER_BLOCK)).batch)
        .collect()
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn try_out(layout: &Layout, batches: &[Batch]) {
    let folder = fixture::scratch();
    let path = folder.path().join("store");
    let config = || (layout.config)(bare::config(&path));
    let begin = Instant::now();
    let db = config().open().expect("a store");
    let tree = |pool: Pool| db.open_tree([pool.prefix()]).expect("a tree");
    let trees: Vec<(Pool, sled::Tree)> = if layout.trees {
        Pool::ALL
            .into_iter()
            .map(|pool| (pool, tree(pool)))
            .collect()
    } else {
        Vec::new()
    };
    for (at, chunk) in (1..).zip(batches.chunks(layout.together)) {
        let mut all = Batch::new();
        for batch in chunk {
            for (pool, key, value) in batch.iter() {
                if !layout.without.contains(&pool) {
                    match value {
                        Some(value) => all.put(pool, key, value),
                        None => all.delete(pool, key),
                    }
                }
            }
        }
        if layout.trees {
            for (pool, tree) in &trees {
                let mut part = sled::Batch::default();
                for (_, key, value) in all.iter().filter(|(of, ..)| of == pool) {
                    match value {
                        Some(value) => part.insert(key, value),
                        None => part.remove(key),
                    }
                }
                tree.apply_batch(part).expect("the disk takes it");
            }
        } else {
            db.apply_batch(bare::batch(&all))
                .expect("the disk takes it");
        }
        if (at * layout.together).is_multiple_of(layout.flush.max(layout.together)) {
            db.flush().expect("the disk takes it");
        }
    }
    db.flush().expect("the disk takes it");
    let written = begin.elapsed().as_secs_f64();
    let size = fixture::on_disk(&path);
    let rested = rest(&path);
    drop((trees, db));
    let db = config().open().expect("a store");
    let mut raw = 0;
    for name in db.tree_names() {
        let tree = db.open_tree(name).expect("a tree");
        for entry in tree.iter() {
            let (key, value) = entry.expect("it can be read");
            raw += (key.len() + value.len()) as u64;
        }
    }
    drop(db);
    let again = fixture::on_disk(&path);
    println!(
        "| {} | {:.0} | {:.2} | {:.2} | {:.2} | {written:.1} |",
        layout.name,
        megabytes(size),
        size as f64 / raw as f64,
        rested as f64 / raw as f64,
        again as f64 / raw as f64,
    );
}

/// The size once the library has nothing left to clean.
fn rest(path: &Path) -> u64 {
    let mut size = fixture::on_disk(path);
    loop {
        // It cleans in the background and tells nobody.
        std::thread::sleep(Duration::from_secs(3));
        let now = fixture::on_disk(path);
        if now == size {
            return size;
        }
        size = now;
    }
}

/// The part.
pub fn part(arguments: &[String]) {
    let records = arguments
        .first()
        .map_or(100_000, |text| text.parse().expect("a number"));
    let wanted = arguments.get(1);
    let batches = batches(records);
    println!("| layout | MB | over raw | at rest | opened once more | seconds |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for layout in LAYOUTS {
        if wanted.is_none_or(|part| layout.name.contains(part.as_str())) {
            try_out(layout, &batches);
        }
    }
}
