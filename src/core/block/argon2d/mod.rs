//! Argon2d of one lane, version 0x13 (RFC 9106), as the block digest uses it (`proto/blocks.md`,
//! section 3): several inputs at once, so that the memory of one is fetched while another is mixed.
//!
//! The same function as the `argon2` crate's, which the tests hold it against; made for one purpose:
//! no secret, no associated data, 32 bytes out. It works in the memory that it is handed and
//! allocates nothing. Which instructions it uses is chosen at run time ([`Way`]).

mod fill;
mod hash;
mod plain;
#[cfg(target_arch = "x86_64")]
mod wide;

use bytemuck::{Pod, Zeroable};

use super::digest::DigestParams;

/// Bytes of a block of the memory.
pub const BLOCK_BYTES: usize = 1024;
/// Bytes that come out.
pub const OUTPUT_BYTES: usize = 32;

/// A block of the memory: 128 words, in eights, at a cache line's beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub struct Block(pub(crate) [[u64; 8]; 16]);

impl Block {
    /// All zeros.
    pub const ZERO: Self = Self([[0; 8]; 16]);

    /// What the next block's reference is found by.
    #[inline]
    const fn first_half_word(&self) -> u32 {
        self.0[0][0] as u32
    }
}

/// Which instructions are used. All give the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Way {
    /// Those that every processor has.
    pub const PLAIN: Self = Self(Kind::Plain);

    /// Every way that this processor knows, the fastest first.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut ways = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
                ways.push(Self(Kind::Avx512));
            }
            if is_x86_feature_detected!("avx2") {
                ways.push(Self(Kind::Avx2));
            }
        }
        ways.push(Self::PLAIN);
        ways
    }

    /// The fastest.
    #[must_use]
    pub fn best() -> Self {
        Self::all().first().copied().unwrap_or(Self::PLAIN)
    }
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Kind::Plain => "plain",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "AVX-512",
        })
    }
}

/// Blocks that one input needs.
#[must_use]
pub const fn blocks(params: &DigestParams) -> usize {
    // The lane has four slices of one length.
    (params.memory_kib / 4 * 4) as usize
}

/// Hashes each input, which is password and salt alike, in a memory of its own: the first
/// [`blocks`] of it.
///
/// # Panics
/// The parameters are none of Argon2's (memory of 8 KiB, one pass at least), a memory is too small, or
/// an input is longer than 4 GiB.
pub fn hash<const N: usize>(
    way: Way,
    params: &DigestParams,
    inputs: [&[u8]; N],
    memories: [&mut [Block]; N],
) -> [[u8; OUTPUT_BYTES]; N] {
    assert!(
        params.memory_kib >= 8 && params.passes >= 1,
        "Argon2 takes no less"
    );
    let mut lanes = memories.map(|memory| &mut memory[..blocks(params)]);
    for (input, lane) in inputs.into_iter().zip(&mut lanes) {
        hash::first_blocks(params, input, lane);
    }
    match way.0 {
        Kind::Plain => plain::fill(&mut lanes, params.passes),
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => wide::fill_avx2(&mut lanes, params.passes),
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => wide::fill_avx512(&mut lanes, params.passes),
    }
    lanes.map(|lane| hash::output(&lane[lane.len() - 1]))
}

#[cfg(test)]
mod tests {
    use argon2::{Algorithm, Argon2, Params, Version};
    use proptest::prelude::*;

    use super::*;

    fn by_the_crate(params: &DigestParams, input: &[u8]) -> [u8; OUTPUT_BYTES] {
        let cost = Params::new(params.memory_kib, params.passes, 1, Some(OUTPUT_BYTES)).unwrap();
        let argon = Argon2::new(Algorithm::Argon2d, Version::V0x13, cost);
        let mut out = [0; OUTPUT_BYTES];
        argon.hash_password_into(input, input, &mut out).unwrap();
        out
    }

    proptest! {
        #[test]
        fn every_way_is_argon2d_whatever_the_memory_held_before(
            inputs in prop::array::uniform3(prop::collection::vec(any::<u8>(), 8..300)),
            memory_kib in 8..200_u32,
            passes in 1..6_u32,
            before in any::<u64>(),
        ) {
            let params = DigestParams { passes, memory_kib };
            let wanted = inputs.each_ref().map(|input| by_the_crate(&params, input));
            let [a, b, c] = inputs.each_ref().map(Vec::as_slice);
            for way in Way::all() {
                let mut memory = vec![Block([[before; 8]; 16]); 3 * blocks(&params)];
                let mut lanes = memory.chunks_exact_mut(blocks(&params));
                let mut lane = || lanes.next().unwrap();
                let three = hash(way, &params, [a, b, c], [lane(), lane(), lane()]);
                prop_assert_eq!(three, wanted, "{:?}", way);
                let one = hash(way, &params, [b], [&mut memory]);
                prop_assert_eq!(one[0], wanted[1], "{:?} alone", way);
                let two = memory.split_at_mut(blocks(&params));
                let two = hash(way, &params, [c, a], [two.0, two.1]);
                prop_assert_eq!(two, [wanted[2], wanted[0]], "{:?} in pairs", way);
            }
        }
    }

    #[test]
    fn there_is_always_a_way() {
        assert!(Way::all().contains(&Way::PLAIN));
        assert_eq!(Way::best(), Way::all()[0]);
    }
}
