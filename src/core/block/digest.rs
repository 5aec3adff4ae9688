//! The memory-hard block digest (`proto/blocks.md`, section 3): Argon2d over the header, which is
//! password and salt alike.
//!
//! A pure function that takes tenths of a second on the reference's chains: workers run it, and
//! nothing calls it before the cheap checks. It never allocates beyond the memory it is handed.

use argon2::{Algorithm, Argon2, Block, Params, Version};

use super::BlockError;
use super::header::HEADER_BYTES;
use crate::core::id::BlockDigest;

/// Cost of a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigestParams {
    /// Passes over the memory.
    pub passes: u32,
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Lanes.
    pub lanes: u32,
}

impl DigestParams {
    /// The reference's chains.
    pub const REFERENCE: Self = Self {
        passes: 4,
        memory_kib: 131_072,
        lanes: 1,
    };

    /// The development chain (`proto/blocks.md`, section 1).
    pub const DEVNET: Self = Self {
        passes: 4,
        memory_kib: 64,
        lanes: 1,
    };
}

/// Shortest input: it is the salt too, and Argon2 takes no shorter one.
const INPUT_MIN: usize = argon2::MIN_SALT_LEN;

/// The working memory of a digest, taken at first use and kept for the next. Dropping it or
/// calling [`DigestMemory::release`] gives it back.
#[derive(Default)]
pub struct DigestMemory {
    blocks: Vec<Block>,
}

impl std::fmt::Debug for DigestMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DigestMemory")
            .field("kib", &self.blocks.len())
            .finish()
    }
}

impl DigestMemory {
    /// No memory yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { blocks: Vec::new() }
    }

    /// Gives the memory back; the next digest takes it anew.
    pub fn release(&mut self) {
        self.blocks = Vec::new();
    }

    /// KiB held now.
    #[must_use]
    pub const fn held_kib(&self) -> usize {
        self.blocks.len()
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

/// The digest of any input.
///
/// # Errors
/// [`BlockError::DigestInput`] when the input is shorter than 8 bytes, where the reference ends.
pub fn digest_of_bytes(
    params: &DigestParams,
    input: &[u8],
    memory: &mut DigestMemory,
) -> Result<BlockDigest, BlockError> {
    if input.len() < INPUT_MIN || input.len() > argon2::MAX_SALT_LEN {
        return Err(BlockError::DigestInput);
    }
    let cost = Params::new(params.memory_kib, params.passes, params.lanes, Some(32))
        .expect("every chain has parameters that Argon2 takes");
    let blocks = cost.block_count();
    if memory.blocks.len() < blocks {
        memory.blocks = Vec::new();
        memory.blocks.resize_with(blocks, Block::default);
    }
    let argon = Argon2::new(Algorithm::Argon2d, Version::V0x13, cost);
    let mut output = [0; 32];
    argon
        .hash_password_into_with_memory(input, input, &mut output, &mut memory.blocks)
        .map_err(|_| BlockError::DigestInput)?;
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
    fn an_input_too_short_for_a_salt_is_refused() {
        let mut memory = DigestMemory::new();
        assert_eq!(
            digest_of_bytes(&DigestParams::DEVNET, &[0; 7], &mut memory),
            Err(BlockError::DigestInput)
        );
        assert!(digest_of_bytes(&DigestParams::DEVNET, &[0; 8], &mut memory).is_ok());
    }
}
