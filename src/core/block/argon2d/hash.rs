//! The beginning and the end of Argon2: BLAKE2b over the parameters and the input (RFC 9106, section
//! 3.2), its variable length form (section 3.3), and bytes to blocks and back.

use blake2::digest::{FixedOutput, Update, consts::U32};
use blake2::{Blake2b, Blake2b512};

use super::{BLOCK_BYTES, Block, OUTPUT_BYTES};
use crate::core::block::digest::DigestParams;

/// Argon2's version.
const VERSION: u32 = 0x13;
/// Argon2's number of its data-dependent kind.
const ARGON2D: u32 = 0;
/// Bytes that each BLAKE2b but the last hands to a long output.
const STEP: usize = 32;

fn blake2b(parts: &[&[u8]]) -> [u8; 64] {
    let mut hasher = Blake2b512::default();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize_fixed().into()
}

/// Fills the first two blocks.
pub(super) fn first_blocks(params: &DigestParams, input: &[u8], lane: &mut [Block]) {
    let word = u32::to_le_bytes;
    let length = word(u32::try_from(input.len()).expect("an input is shorter than 4 GiB"));
    let seed = blake2b(&[
        &word(1),
        &word(OUTPUT_BYTES as u32),
        &word(params.memory_kib),
        &word(params.passes),
        &word(VERSION),
        &word(ARGON2D),
        &length,
        input,
        &length,
        input,
        &word(0),
        &word(0),
    ]);
    for (number, block) in (0..).zip(lane.iter_mut().take(2)) {
        *block = long(&[&seed, &word(number), &word(0)]);
    }
}

/// The variable length hash, of a block's length.
fn long(parts: &[&[u8]]) -> Block {
    let mut bytes = [0; BLOCK_BYTES];
    let length = (BLOCK_BYTES as u32).to_le_bytes();
    let mut hasher = Blake2b512::default();
    hasher.update(&length);
    parts.iter().for_each(|part| hasher.update(part));
    let mut value: [u8; 64] = hasher.finalize_fixed().into();
    let (steps, last) = bytes.split_at_mut(BLOCK_BYTES - 2 * STEP);
    for step in steps.chunks_exact_mut(STEP) {
        step.copy_from_slice(&value[..STEP]);
        value = blake2b(&[&value]);
    }
    last.copy_from_slice(&value);
    let mut block = Block::ZERO;
    let words = block.0.as_flattened_mut().iter_mut();
    for (word, eight) in words.zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*eight);
    }
    block
}

/// The output of a lane, out of its last block.
pub(super) fn output(last: &Block) -> [u8; OUTPUT_BYTES] {
    let mut hasher = Blake2b::<U32>::default();
    hasher.update(&(OUTPUT_BYTES as u32).to_le_bytes());
    for word in last.0.as_flattened() {
        hasher.update(&word.to_le_bytes());
    }
    hasher.finalize_fixed().into()
}
