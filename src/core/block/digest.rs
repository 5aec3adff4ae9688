//! The memory-hard block digest (`proto/blocks.md`, section 3): Argon2d over the header, which is
//! password and salt alike.
//!
//! A pure function that takes tenths of a second on the reference's chains: workers run it, and
//! nothing calls it before the cheap checks. It never allocates beyond the memory it is handed.

use super::BlockError;
use super::argon2d::{self, Block, Way};
use super::header::HEADER_BYTES;
use crate::core::id::BlockDigest;

/// Cost of a digest. There is one lane on every chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigestParams {
    /// Passes over the memory.
    pub passes: u32,
    /// Memory in KiB.
    pub memory_kib: u32,
}

impl DigestParams {
    /// The reference's chains.
    pub const REFERENCE: Self = Self {
        passes: 4,
        memory_kib: 131_072,
    };

    /// The development chain (`proto/blocks.md`, section 1).
    pub const DEVNET: Self = Self {
        passes: 4,
        memory_kib: 64,
    };
}

/// Shortest input: it is the salt too, and Argon2 takes no shorter one.
const INPUT_MIN: usize = 8;

/// Where the working memory of digests comes from.
pub trait Room: Send {
    /// So many blocks, whatever is in them. What was taken before may be handed out again.
    fn blocks(&mut self, count: usize) -> &mut [Block];

    /// Gives all of it back.
    fn release(&mut self);

    /// Blocks that are held now.
    fn held(&self) -> usize;
}

/// The usual heap.
#[derive(Default)]
struct Heap(Vec<Block>);

impl Room for Heap {
    fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.0.len() < count {
            self.0 = Vec::new();
            self.0.resize(count, Block::ZERO);
        }
        &mut self.0[..count]
    }

    fn release(&mut self) {
        self.0 = Vec::new();
    }

    fn held(&self) -> usize {
        self.0.len()
    }
}

/// The working memory of a digest, taken at first use and kept for the next. Dropping it or
/// calling [`DigestMemory::release`] gives it back.
pub struct DigestMemory {
    room: Box<dyn Room>,
    way: Way,
}

impl std::fmt::Debug for DigestMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DigestMemory")
            .field("kib", &self.held_kib())
            .field("way", &self.way)
            .finish()
    }
}

impl Default for DigestMemory {
    fn default() -> Self {
        Self::new()
    }
}

impl DigestMemory {
    /// No memory yet; it will be of the heap.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Box::<Heap>::default())
    }

    /// No memory yet; it will be of this room.
    #[must_use]
    pub fn of(room: Box<dyn Room>) -> Self {
        Self {
            room,
            way: Way::best(),
        }
    }

    /// Gives the memory back; the next digest takes it anew.
    pub fn release(&mut self) {
        self.room.release();
    }

    /// KiB held now.
    #[must_use]
    pub fn held_kib(&self) -> usize {
        self.room.held()
    }
}

/// The digest of a header.
#[must_use]
pub fn digest(
    params: &DigestParams,
    header: &[u8; HEADER_BYTES],
    memory: &mut DigestMemory,
) -> BlockDigest {
    digest_of_bytes(params, header, memory).expect("a header is long enough for a salt")
}

/// The digests of two headers, side by side in twice the memory: sooner than one after the other.
#[must_use]
pub fn digest_two(
    params: &DigestParams,
    headers: [&[u8; HEADER_BYTES]; 2],
    memory: &mut DigestMemory,
) -> [BlockDigest; 2] {
    let count = argon2d::blocks(params);
    let (one, other) = memory.room.blocks(2 * count).split_at_mut(count);
    argon2d::hash(
        memory.way,
        params,
        headers.map(<[u8; HEADER_BYTES]>::as_slice),
        [one, other],
    )
    .map(BlockDigest)
}

/// The digest of any input.
///
/// # Errors
/// [`BlockError::DigestInput`] when the input is shorter than 8 bytes, where the reference ends.
pub fn digest_of_bytes(
    params: &DigestParams,
    input: &[u8],
    memory: &mut DigestMemory,
) -> Result<BlockDigest, BlockError> {
    if input.len() < INPUT_MIN || u32::try_from(input.len()).is_err() {
        return Err(BlockError::DigestInput);
    }
    let blocks = memory.room.blocks(argon2d::blocks(params));
    let [output] = argon2d::hash(memory.way, params, [input], [blocks]);
    Ok(BlockDigest(output))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_was_used_before_gives_the_same_digest() {
        let mut memory = DigestMemory::new();
        let first = digest(&DigestParams::DEVNET, &[1; 100], &mut memory);
        let other = digest(&DigestParams::DEVNET, &[2; 100], &mut memory);
        assert_ne!(first, other);
        assert_eq!(first, digest(&DigestParams::DEVNET, &[1; 100], &mut memory));
        assert_eq!(memory.held_kib(), 64);
        memory.release();
        assert_eq!(memory.held_kib(), 0);
        assert_eq!(first, digest(&DigestParams::DEVNET, &[1; 100], &mut memory));
    }

    #[test]
    fn two_at_once_are_the_two_alone() {
        let mut memory = DigestMemory::new();
        let alone = [3, 4].map(|n| digest(&DigestParams::DEVNET, &[n; 100], &mut memory));
        let both = digest_two(&DigestParams::DEVNET, [&[3; 100], &[4; 100]], &mut memory);
        assert_eq!(both, alone);
        assert_eq!(memory.held_kib(), 128);
    }

    #[test]
    fn an_input_too_short_for_a_salt_is_refused() {
        let mut memory = DigestMemory::new();
        assert_eq!(
            digest_of_bytes(&DigestParams::DEVNET, &[0; 7], &mut memory),
            Err(BlockError::DigestInput)
        );
        assert!(digest_of_bytes(&DigestParams::DEVNET, &[0; 8], &mut memory).is_ok());
    }
}
