//! The block digest with its memory kept, beside one that takes its memory anew each time.

use std::hint::black_box;
use std::time::Instant;

use bitmarkd::core::block::{DigestMemory, DigestParams, HEADER_BYTES, digest};

fn seconds(mut act: impl FnMut(u8), count: u8) -> f64 {
    let begin = Instant::now();
    (0..count).for_each(&mut act);
    begin.elapsed().as_secs_f64() / f64::from(count)
}

fn main() {
    println!(
        "{:>10} {:>12} {:>12} {:>8}",
        "chain", "kept", "anew", "ratio"
    );
    for (name, params, count) in [
        ("devnet", DigestParams::DEVNET, 200),
        ("bitmark", DigestParams::REFERENCE, 6),
    ] {
        let mut memory = DigestMemory::new();
        let header = |number: u8| [number; HEADER_BYTES];
        black_box(digest(&params, &header(255), &mut memory));
        let kept = seconds(
            |number| {
                black_box(digest(&params, &header(number), &mut memory));
            },
            count,
        );
        let anew = seconds(
            |number| {
                black_box(digest(&params, &header(number), &mut DigestMemory::new()));
            },
            count,
        );
        println!(
            "{name:>10} {:>10.2}ms {:>10.2}ms {:>8.3}",
            kept * 1e3,
            anew * 1e3,
            anew / kept
        );
    }
}
