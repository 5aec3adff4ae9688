//! Mixing blocks with instructions that every processor has (RFC 9106, sections 3.5 and 3.6).

use super::Block;
use super::fill::{Step, walk};

#[inline(always)]
const fn blend(x: u64, y: u64) -> u64 {
    let product = (x as u32 as u64).wrapping_mul(y as u32 as u64);
    x.wrapping_add(y).wrapping_add(product.wrapping_mul(2))
}

/// The quarter round of BLAKE2b with multiplication, on four words by their numbers.
#[inline(always)]
const fn quarter(v: &mut [u64; 16], a: usize, b: usize, c: usize, d: usize) {
    v[a] = blend(v[a], v[b]);
    v[d] = (v[d] ^ v[a]).rotate_right(32);
    v[c] = blend(v[c], v[d]);
    v[b] = (v[b] ^ v[c]).rotate_right(24);
    v[a] = blend(v[a], v[b]);
    v[d] = (v[d] ^ v[a]).rotate_right(16);
    v[c] = blend(v[c], v[d]);
    v[b] = (v[b] ^ v[c]).rotate_right(63);
}

/// A round on sixteen words: columns, then diagonals.
#[inline(always)]
const fn round(v: &mut [u64; 16]) {
    quarter(v, 0, 4, 8, 12);
    quarter(v, 1, 5, 9, 13);
    quarter(v, 2, 6, 10, 14);
    quarter(v, 3, 7, 11, 15);
    quarter(v, 0, 5, 10, 15);
    quarter(v, 1, 6, 11, 12);
    quarter(v, 2, 7, 8, 13);
    quarter(v, 3, 4, 9, 14);
}

/// The words of a row or of a column (two words wide) by their numbers in the block.
#[inline(always)]
fn on(block: &mut [u64], number: impl Fn(usize) -> usize) {
    let mut words = std::array::from_fn(|k| block[number(k)]);
    round(&mut words);
    for (k, word) in words.into_iter().enumerate() {
        block[number(k)] = word;
    }
}

fn mix(lane: &mut [Block], step: Step) -> usize {
    let (x, y) = (&lane[step.previous].0, &lane[step.reference].0);
    let mut sum = Block::ZERO;
    let words = sum.0.as_flattened_mut().iter_mut();
    let pairs = x.as_flattened().iter().zip(y.as_flattened());
    words.zip(pairs).for_each(|(word, (x, y))| *word = x ^ y);
    let mut mixed = sum;
    let words = mixed.0.as_flattened_mut();
    for row in 0..8 {
        on(words, |k| 16 * row + k);
    }
    for column in 0..8 {
        on(words, |k| 16 * (k / 2) + 2 * column + k % 2);
    }
    let current = &mut lane[step.current];
    let news = words.iter().zip(sum.0.as_flattened());
    for (word, (mixed, sum)) in current.0.as_flattened_mut().iter_mut().zip(news) {
        *word = mixed ^ sum ^ if step.over { *word } else { 0 };
    }
    step.next.reference(current.first_half_word())
}

/// Fills lanes.
pub(super) fn fill<const N: usize>(lanes: &mut [&mut [Block]; N], passes: u32) {
    walk(lanes, passes, mix);
}
