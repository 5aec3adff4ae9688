//! The block digest beside Debian's `libargon2`, which the reference uses: one at a time and two side
//! by side on one thread, and on as many threads as there are cores. Pairs are taken in turn; both
//! begin with everything they need at hand.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bitmarkd::core::block::argon2d::{self, Block, Way};
use bitmarkd::core::block::{DigestMemory, DigestParams, HEADER_BYTES, digest, digest_two};
use bitmarkd::shell::digest::memory;
use memmap2::MmapMut;

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

/// Memory of two digests, on huge pages as the workers' is.
fn pages() -> MmapMut {
    let map = MmapMut::map_anon(2 * argon2d::blocks(&PARAMS) * argon2d::BLOCK_BYTES);
    let map = map.expect("memory");
    #[cfg(target_os = "linux")]
    let _ = map.advise(memmap2::Advice::HugePage);
    map
}

/// Has a block fetched, as the digest has it.
fn fetch(block: &Block) {
    #[cfg(target_arch = "x86_64")]
    for line in bytemuck::bytes_of(block).chunks(64) {
        #[expect(unsafe_code, reason = "prefetching takes a pointer")]
        // SAFETY: the pointer is that of a reference; nothing is read or written.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    black_box(block);
}

/// Goes through the memory of two digests as they do, side by side, and mixes nothing: what the memory
/// alone takes. The references are of no digest, but lie as far back as theirs, and are known one step
/// ahead.
fn walk(pages: &mut MmapMut) -> f64 {
    let count = argon2d::blocks(&PARAMS);
    let (one, other) = bytemuck::cast_slice_mut(pages).split_at_mut(count);
    let mut lanes: [&mut [Block]; 2] = [one, other];
    let mut random = 1_u64;
    let mut references = [0; 2];
    rate(|| {
        for _ in 0..DIGESTS / 2 {
            for step in 0..PARAMS.passes as usize * count {
                let (current, before) = (step % count, (step + count - 1) % count);
                for (lane, next) in lanes.iter_mut().zip(&mut references) {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    let half_word = u64::from(random as u32);
                    let area = count / 4 * 3;
                    let back = (area as u64 * ((half_word * half_word) >> 32)) >> 32;
                    let reference =
                        std::mem::replace(next, (before + count - back as usize) % count);
                    fetch(&lane[*next]);
                    fetch(&lane[(current + 1) % count]);
                    let words = |block: &Block| bytemuck::must_cast::<Block, [u64; 128]>(*block);
                    let (x, y) = (words(&lane[before]), words(&lane[reference]));
                    let z = words(&lane[current]);
                    let sum: [u64; 128] = std::array::from_fn(|k| x[k] ^ y[k] ^ z[k]);
                    lane[current] = bytemuck::must_cast(sum);
                }
            }
        }
    })
}

/// Why two threads are not twice as fast as one: what one does beside a thread that stays in its cache,
/// and what the memory alone gives two of them.
fn why(table: &mut Table, memory: &mut DigestMemory) {
    let mut small = bitmarkd::shell::digest::memory();
    let mut beside = |memory: &mut DigestMemory| {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    black_box(digest(
                        &DigestParams::DEVNET,
                        &[1; HEADER_BYTES],
                        &mut small,
                    ));
                }
            });
            let rate = two_by_two(memory);
            stop.store(true, Ordering::Relaxed);
            rate
        })
    };
    let pairs: Vec<(f64, f64)> = (0..ROUNDS)
        .map(|_| (beside(memory), two_by_two(memory)))
        .collect();
    table.row(
        Row::of_pairs(
            "block digest, one thread, two side by side, beside a thread that stays in its cache",
            "digests/s",
            "the same thread alone",
            &pairs,
        )
        .parameters(format!(
            "{ROUNDS} pairs of {DIGESTS}; the other computes digests of {} KiB",
            DigestParams::DEVNET.memory_kib
        )),
    );
    let (mut one, mut other) = (pages(), pages());
    walk(&mut other);
    walk(&mut one);
    let pairs: Vec<(f64, f64)> = (0..ROUNDS)
        .map(|_| {
            let both = std::thread::scope(|scope| {
                let other = scope.spawn(|| walk(&mut other));
                walk(&mut one) + other.join().expect("it ends")
            });
            (both, 2.0 * walk(&mut one))
        })
        .collect();
    table.row(
        Row::of_pairs(
            "block digest, its memory alone, 2 threads",
            "digests/s",
            "twice one thread",
            &pairs,
        )
        .parameters(format!(
            "{ROUNDS} pairs of {DIGESTS} a thread, two side by side on each; the same reads and writes, nothing mixed"
        )),
    );
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
            "{ROUNDS} pairs of {DIGESTS} a thread, ratio {ratio:.2}; what threads share is the memory, see the rows of one beside a thread in its cache and of the memory alone"
        )),
    );
    memories.truncate(1);
    if let Some(memory) = memories.first_mut() {
        why(table, memory);
    }
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
