//! The block digest beside Debian's `libargon2`, which the reference uses: one thread, and as many as
//! there are cores. Pairs are taken in turn; both begin with everything they need at hand.

use std::hint::black_box;
use std::time::Instant;

use bitmarkd::core::block::{DigestMemory, DigestParams, HEADER_BYTES, digest};

use crate::rival::{Process, Rival};
use crate::table::{Reach, Row, Table, median};

/// Pairs; the median of their ratios counts.
const ROUNDS: usize = 9;
/// Digests of one side of a pair.
const DIGESTS: u8 = 4;

fn ours(memory: &mut DigestMemory) -> f64 {
    let begin = Instant::now();
    for number in 0..DIGESTS {
        let header = [number; HEADER_BYTES];
        black_box(digest(&DigestParams::REFERENCE, &header, memory));
    }
    f64::from(DIGESTS) / begin.elapsed().as_secs_f64()
}

/// The measure.
pub fn run(table: &mut Table) {
    let Some(rival) = Rival::load() else {
        return eprintln!(
            "libargon2.so.1 is not here (Debian: libargon2-1); nothing to measure beside"
        );
    };
    let mut memory = DigestMemory::new();
    let theirs = || {
        let begin = Instant::now();
        for number in 0..DIGESTS {
            black_box(rival.digest(&DigestParams::REFERENCE, &[number; HEADER_BYTES]));
        }
        f64::from(DIGESTS) / begin.elapsed().as_secs_f64()
    };
    ours(&mut memory);
    let pairs: Vec<(f64, f64)> = (0..ROUNDS).map(|_| (ours(&mut memory), theirs())).collect();
    let one = Row::of_pairs("block digest, one thread", "digests/s", "libargon2", &pairs);
    let ratio = one.ratio.unwrap_or(1.0);
    table.row(
        one.reach(Reach::AtLeast(1.8))
            .reference(Some(median(pairs.iter().map(|pair| pair.1))))
            .parameters(format!("{ROUNDS} pairs of {DIGESTS}, 128 MiB, 4 passes")),
    );

    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut processes: Vec<Process> = (0..cores).map(|_| Process::start()).collect();
    let mut memories: Vec<DigestMemory> = (0..cores).map(|_| DigestMemory::new()).collect();
    let mut both = || {
        let ours: f64 = std::thread::scope(|scope| {
            let threads: Vec<_> = memories
                .iter_mut()
                .map(|memory| scope.spawn(|| ours(memory)))
                .collect();
            let rates = threads.into_iter().map(|t| t.join().expect("it ends"));
            rates.sum()
        });
        processes
            .iter_mut()
            .for_each(|process| process.begin(DIGESTS));
        let theirs: f64 = processes
            .iter_mut()
            .map(|process| f64::from(DIGESTS) / process.seconds())
            .sum();
        (ours, theirs)
    };
    both();
    let pairs: Vec<(f64, f64)> = (0..ROUNDS).map(|_| both()).collect();
    let bound: Vec<(f64, f64)> = pairs.iter().map(|(a, b)| (*a, b * ratio)).collect();
    table.row(
        Row::of_pairs(
            &format!("block digest, {cores} threads"),
            "digests/s",
            "libargon2 processes x ratio of one thread",
            &bound,
        )
        .reach(Reach::AtLeast(0.97))
        .reference(Some(median(pairs.iter().map(|pair| pair.1))))
        .parameters(format!(
            "{ROUNDS} pairs of {DIGESTS} each, ratio of one thread {ratio:.3}"
        )),
    );
}
