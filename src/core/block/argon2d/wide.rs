//! Mixing blocks with vectors of four or eight words. A row's round works on two rows at a time with
//! eight words, one with four; a column's on as many columns as go into a vector, in two halves of
//! each letter. The half that holds the first word comes first: what the next block refers to is
//! known then, and is fetched while the rest is mixed, with the place of the next block.

use std::arch::x86_64::{
    __m256i, __m512i, _MM_HINT_T0, _mm_prefetch, _mm256_add_epi64, _mm256_alignr_epi8,
    _mm256_mul_epu32, _mm256_or_si256, _mm256_permute4x64_epi64, _mm256_set_epi8,
    _mm256_shuffle_epi8, _mm256_shuffle_epi32, _mm256_srli_epi64, _mm256_xor_si256,
    _mm512_add_epi64, _mm512_alignr_epi8, _mm512_mul_epu32, _mm512_permutex_epi64,
    _mm512_ror_epi64, _mm512_shuffle_i64x2, _mm512_xor_si512,
};

use bytemuck::must_cast;

use super::Block;
use super::fill::{Step, walk};

/// Has a block fetched into the cache.
#[inline(always)]
fn fetch(lane: &[Block], number: usize) {
    for line in &lane[number].0 {
        #[expect(unsafe_code, reason = "prefetching takes a pointer")]
        // SAFETY: the pointer is that of a reference; nothing is read or written.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
        }
    }
}

/// Has the block fetched that is made after this one: what was there counts, and it is written to. The
/// processor's own guess begins anew every four blocks.
#[inline(always)]
fn fetch_after(lane: &[Block], number: usize) {
    let after = number + 1;
    if after < lane.len() {
        fetch(lane, after);
    }
}

/// What is the same for vectors of both lengths, in the instructions of one.
macro_rules! rounds {
    ($feature:literal, $vector:ty, $add:ident, $mul:ident, $xor:ident, $rotate:ident, $align:ident, $turn:ident) => {
        #[inline]
        #[target_feature(enable = $feature)]
        fn blend(x: $vector, y: $vector) -> $vector {
            let product = $mul(x, y);
            $add($add(x, y), $add(product, product))
        }

        /// Words of the four letters.
        type Letters = [$vector; 4];

        #[inline]
        #[target_feature(enable = $feature)]
        fn quarter([mut a, mut b, mut c, mut d]: Letters) -> Letters {
            a = blend(a, b);
            d = $rotate::<32>($xor(d, a));
            c = blend(c, d);
            b = $rotate::<24>($xor(b, c));
            a = blend(a, b);
            d = $rotate::<16>($xor(d, a));
            c = blend(c, d);
            b = $rotate::<63>($xor(b, c));
            [a, b, c, d]
        }

        /// A round on rows: each letter's four words side by side.
        #[inline]
        #[target_feature(enable = $feature)]
        fn row(letters: Letters) -> Letters {
            const ONE: i32 = 0b00_11_10_01;
            const TWO: i32 = 0b01_00_11_10;
            const THREE: i32 = 0b10_01_00_11;
            let [a, b, c, d] = quarter(letters);
            let diagonal = [a, $turn::<ONE>(b), $turn::<TWO>(c), $turn::<THREE>(d)];
            let [a, b, c, d] = quarter(diagonal);
            [a, $turn::<THREE>(b), $turn::<TWO>(c), $turn::<ONE>(d)]
        }

        /// A round on columns: of each letter the first two words of every column, then the others.
        #[inline]
        #[target_feature(enable = $feature)]
        fn columns([a0, a1, b0, b1, c0, c1, d0, d1]: [$vector; 8]) -> [$vector; 8] {
            let [a0, b0, c0, d0] = quarter([a0, b0, c0, d0]);
            let [a1, b1, c1, d1] = quarter([a1, b1, c1, d1]);
            let (b0, b1) = ($align::<8>(b1, b0), $align::<8>(b0, b1));
            let (d0, d1) = ($align::<8>(d0, d1), $align::<8>(d1, d0));
            let [a0, b0, c1, d0] = quarter([a0, b0, c1, d0]);
            let [a1, b1, c0, d1] = quarter([a1, b1, c0, d1]);
            let (b0, b1) = ($align::<8>(b0, b1), $align::<8>(b1, b0));
            let (d0, d1) = ($align::<8>(d1, d0), $align::<8>(d0, d1));
            [a0, a1, b0, b1, c0, c1, d0, d1]
        }

        #[target_feature(enable = $feature)]
        pub(super) fn fill<const N: usize>(lanes: &mut [&mut [Block]; N], passes: u32) {
            walk(lanes, passes, |lane, step| {
                if step.over {
                    mix::<true>(lane, step)
                } else {
                    mix::<false>(lane, step)
                }
            });
        }
    };
}

/// Eight words in a vector.
mod eight {
    use super::*;

    rounds!(
        "avx512f,avx512bw",
        __m512i,
        _mm512_add_epi64,
        _mm512_mul_epu32,
        _mm512_xor_si512,
        _mm512_ror_epi64,
        _mm512_alignr_epi8,
        _mm512_permutex_epi64
    );

    /// A round on two rows, each of which is two vectors.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn two_rows([ab0, cd0, ab1, cd1]: [__m512i; 4]) -> [__m512i; 4] {
        const LOW: i32 = 0b01_00_01_00;
        const HIGH: i32 = 0b11_10_11_10;
        let [a, b, c, d] = row([
            _mm512_shuffle_i64x2::<LOW>(ab0, ab1),
            _mm512_shuffle_i64x2::<HIGH>(ab0, ab1),
            _mm512_shuffle_i64x2::<LOW>(cd0, cd1),
            _mm512_shuffle_i64x2::<HIGH>(cd0, cd1),
        ]);
        [
            _mm512_shuffle_i64x2::<LOW>(a, b),
            _mm512_shuffle_i64x2::<LOW>(c, d),
            _mm512_shuffle_i64x2::<HIGH>(a, b),
            _mm512_shuffle_i64x2::<HIGH>(c, d),
        ]
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn mix<const OVER: bool>(lane: &mut [Block], step: Step) -> usize {
        let (x, y) = (&lane[step.previous].0, &lane[step.reference].0);
        let mut v: [__m512i; 16] =
            std::array::from_fn(|k| _mm512_xor_si512(must_cast(x[k]), must_cast(y[k])));
        let mut sum = v;
        if OVER {
            let old = &lane[step.current].0;
            sum = std::array::from_fn(|k| _mm512_xor_si512(v[k], must_cast(old[k])));
        }
        for rows in v.as_chunks_mut::<4>().0 {
            *rows = two_rows(*rows);
        }
        for half in 0..2 {
            let mixed = columns(std::array::from_fn(|k| v[2 * k + half]));
            let current = &mut lane[step.current].0;
            for (k, mixed) in mixed.into_iter().enumerate() {
                current[2 * k + half] = must_cast(_mm512_xor_si512(mixed, sum[2 * k + half]));
            }
            if half == 0 {
                let half_word = lane[step.current].first_half_word();
                fetch(lane, step.next.reference(half_word));
                fetch_after(lane, step.current);
            }
        }
        step.next.reference(lane[step.current].first_half_word())
    }
}

/// Four words in a vector.
mod four {
    use super::*;

    /// Turns every word to the right.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn rotate<const BITS: i32>(x: __m256i) -> __m256i {
        match BITS {
            32 => _mm256_shuffle_epi32::<0b10_11_00_01>(x),
            24 => _mm256_shuffle_epi8(x, bytes_turned::<3>()),
            16 => _mm256_shuffle_epi8(x, bytes_turned::<2>()),
            _ => _mm256_or_si256(_mm256_srli_epi64::<63>(x), _mm256_add_epi64(x, x)),
        }
    }

    /// Where each byte comes from when words are turned by so many bytes.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn bytes_turned<const BYTES: i8>() -> __m256i {
        let from = |byte: i8| byte / 8 * 8 + (byte % 8 + BYTES) % 8;
        let f = from;
        _mm256_set_epi8(
            f(15),
            f(14),
            f(13),
            f(12),
            f(11),
            f(10),
            f(9),
            f(8),
            f(7),
            f(6),
            f(5),
            f(4),
            f(3),
            f(2),
            f(1),
            f(0),
            f(15),
            f(14),
            f(13),
            f(12),
            f(11),
            f(10),
            f(9),
            f(8),
            f(7),
            f(6),
            f(5),
            f(4),
            f(3),
            f(2),
            f(1),
            f(0),
        )
    }

    rounds!(
        "avx2",
        __m256i,
        _mm256_add_epi64,
        _mm256_mul_epu32,
        _mm256_xor_si256,
        rotate,
        _mm256_alignr_epi8,
        _mm256_permute4x64_epi64
    );

    #[inline]
    #[target_feature(enable = "avx2")]
    fn mix<const OVER: bool>(lane: &mut [Block], step: Step) -> usize {
        let words = |block: &Block| must_cast::<Block, [__m256i; 32]>(*block);
        let (x, y) = (words(&lane[step.previous]), words(&lane[step.reference]));
        let mut v: [__m256i; 32] = std::array::from_fn(|k| _mm256_xor_si256(x[k], y[k]));
        let mut sum = v;
        if OVER {
            let old = words(&lane[step.current]);
            sum = std::array::from_fn(|k| _mm256_xor_si256(v[k], old[k]));
        }
        for letters in v.as_chunks_mut::<4>().0 {
            *letters = row(*letters);
        }
        let mut reference = 0;
        for pair in 0..4 {
            let mixed = columns(std::array::from_fn(|k| v[4 * k + pair]));
            for (k, mixed) in mixed.into_iter().enumerate() {
                v[4 * k + pair] = _mm256_xor_si256(mixed, sum[4 * k + pair]);
            }
            if pair == 0 {
                let words: [u64; 4] = must_cast(v[0]);
                reference = step.next.reference(words[0] as u32);
                fetch(lane, reference);
                fetch_after(lane, step.current);
            }
        }
        lane[step.current] = must_cast(v);
        reference
    }
}

/// Fills lanes with AVX-512.
pub(super) fn fill_avx512<const N: usize>(lanes: &mut [&mut [Block]; N], passes: u32) {
    assert!(is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw"));
    #[expect(unsafe_code, reason = "instructions that not every processor has")]
    // SAFETY: this processor has them.
    unsafe {
        eight::fill(lanes, passes);
    }
}

/// Fills lanes with AVX2.
pub(super) fn fill_avx2<const N: usize>(lanes: &mut [&mut [Block]; N], passes: u32) {
    assert!(is_x86_feature_detected!("avx2"));
    #[expect(unsafe_code, reason = "instructions that not every processor has")]
    // SAFETY: this processor has them.
    unsafe {
        four::fill(lanes, passes);
    }
}
