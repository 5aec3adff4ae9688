//! The block digest beside Debian's `libargon2`, which the reference uses: one at a time and two side
//! by side on one thread, and on as many threads as there are cores. Pairs are taken in turn; both
//! begin with everything they need at hand.

use std::hint::black_box;
use std::time::Instant;

use bitmarkd::core::block::argon2d::{self, Block, Way};
use bitmarkd::core::block::{DigestMemory, DigestParams, HEADER_BYTES, digest, digest_two};
use bitmarkd::shell::digest::memory;

use crate::rival::{Process, Rival};
use crate::table::{Reach, Row, Table, median};

/// Pairs; the median of their ratios counts.
const ROUNDS: usize = 9;
/// Digests of one side of a pair.
const DIGESTS: u8 = 4;
/// What all are computed with.
const PARAMS: DigestParams = DigestParams::REFERENCE;

/// Digests a second of what computes [`DIGESTS`] of them.
fn rate(act: impl FnOnce()) -> f64 {
    let begin = Instant::now();
    act();
    f64::from(DIGESTS) / begin.elapsed().as_secs_f64()
}

fn one_by_one(memory: &mut DigestMemory) -> f64 {
    rate(|| {
        for number in 0..DIGESTS {
            black_box(digest(&PARAMS, &[number; HEADER_BYTES], memory));
        }
    })
}

fn two_by_two(memory: &mut DigestMemory) -> f64 {
    rate(|| {
        for number in 0..DIGESTS / 2 {
            let headers = [&[number; HEADER_BYTES], &[!number; HEADER_BYTES]];
            black_box(digest_two(&PARAMS, headers, memory));
        }
    })
}

fn pairs(mut ours: impl FnMut() -> f64, mut theirs: impl FnMut() -> f64) -> Vec<(f64, f64)> {
    ours();
    (0..ROUNDS).map(|_| (ours(), theirs())).collect()
}

fn row(measure: &str, pairs: &[(f64, f64)]) -> Row {
    Row::of_pairs(measure, "digests/s", "libargon2", pairs)
        .reference(Some(median(pairs.iter().map(|pair| pair.1))))
        .parameters(format!("{ROUNDS} pairs of {DIGESTS}, 128 MiB, 4 passes"))
}

/// The measure.
pub fn run(table: &mut Table) {
    let Some(rival) = Rival::load() else {
        return eprintln!(
            "libargon2.so.1 is not here (Debian: libargon2-1): nothing to hold it against"
        );
    };
    let theirs = || {
        rate(|| {
            for number in 0..DIGESTS {
                black_box(rival.digest(&PARAMS, &[number; HEADER_BYTES]));
            }
        })
    };
    let mut held = memory();
    let alone = pairs(|| one_by_one(&mut held), theirs);
    table.row(row("block digest, one thread", &alone).reach(Reach::AtLeast(1.8)));
    let two = row(
        "block digest, one thread, two side by side",
        &pairs(|| two_by_two(&mut held), theirs),
    );
    let ratio = two.ratio.unwrap_or(1.0);
    table.row(two.reach(Reach::AtLeast(1.8)));
    drop(held);

    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut processes: Vec<Process> = (0..cores).map(|_| Process::start()).collect();
    let mut memories: Vec<DigestMemory> = (0..cores).map(|_| memory()).collect();
    let threads = || {
        std::thread::scope(|scope| {
            let threads: Vec<_> = memories
                .iter_mut()
                .map(|memory| scope.spawn(|| two_by_two(memory)))
                .collect();
            let rates = threads.into_iter().map(|t| t.join().expect("it ends"));
            rates.sum()
        })
    };
    let bound = || {
        for process in &mut processes {
            process.begin(DIGESTS);
        }
        let seconds = processes.iter_mut().map(Process::seconds);
        seconds.map(|s| f64::from(DIGESTS) / s).sum::<f64>() * ratio
    };
    let all = pairs(threads, bound);
    table.row(
        Row::of_pairs(
            &format!("block digest, {cores} threads, two side by side on each"),
            "digests/s",
            "libargon2 processes x ratio of one thread",
            &all,
        )
        .reach(Reach::AtLeast(0.97))
        .reference(Some(median(all.iter().map(|pair| pair.1 / ratio))))
        .parameters(format!(
            "{ROUNDS} pairs of {DIGESTS} a thread, ratio {ratio:.2}"
        )),
    );
    drop(memories);

    // The same on processors that know less; the memory is of the heap, on small pages.
    let mut blocks = vec![Block::ZERO; argon2d::blocks(&PARAMS)];
    for way in Way::all().into_iter().skip(1) {
        let mut ours = || {
            rate(|| {
                for number in 0..DIGESTS {
                    let header = [number; HEADER_BYTES];
                    black_box(argon2d::hash(way, &PARAMS, [&header], [&mut blocks]));
                }
            })
        };
        let measure = format!("block digest, one thread, heap, {way}");
        table.row(row(&measure, &pairs(&mut ours, theirs)));
    }
}
