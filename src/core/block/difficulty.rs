//! Difficulty: the compact form of a header, targets, and the target of proofs for issues
//! (`proto/blocks.md`, section 4; `proto/reservoir.md`, section 7).
//!
//! Everything is exact integer arithmetic on 256 and 512 bits; a float is taken as the exact
//! number it is. The adjust and decay functions of section 4.3 are in [`super::retarget`]; no
//! chain calls them.

use ruint::aliases::{U256, U512};

use super::header::unhex;
use crate::core::chain::Chain;
use crate::core::id::BlockDigest;

/// Mantissa bits of the compact form, without the hidden one.
const MANTISSA_BITS: u32 = 56;
const MANTISSA_MASK: u64 = (1 << MANTISSA_BITS) - 1;
/// Highest exponent: what is above would shift the mantissa below the point.
const EXPONENT_MAX: u64 = 0xbf;
/// Mantissa of the easiest value with its hidden bit; the value is this times 2^191.
const ONE_MANTISSA: u64 = (1 << 57) - 1;
const ONE_SHIFT: usize = 191;

/// The easiest target: 0x00ffffffffffffff80 and 23 zero bytes.
const ONE: Target = Target(U256::from_limbs([
    0,
    0,
    ONE_MANTISSA << 63,
    ONE_MANTISSA >> 1,
]));

/// A number that a digest must not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target(pub U256);

impl Target {
    /// The easiest target, of reciprocal 1.
    pub const ONE: Self = ONE;

    /// A block digest as a number: its bytes are little endian.
    #[must_use]
    pub const fn of_digest(digest: &BlockDigest) -> Self {
        Self(U256::from_le_bytes(digest.0))
    }

    /// A number of 32 big endian bytes, as proofs for issues are compared.
    #[must_use]
    pub const fn from_be_bytes(bytes: [u8; 32]) -> Self {
        Self(U256::from_be_bytes(bytes))
    }

    /// The 32 big endian bytes.
    #[must_use]
    pub const fn to_be_bytes(self) -> [u8; 32] {
        self.0.to_be_bytes()
    }

    /// 64 hex digits, big endian: the `difficulty` that clients are sent.
    #[must_use]
    pub fn to_text(self) -> String {
        hex::encode(self.to_be_bytes())
    }

    /// Reads 64 hex digits.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        Some(Self::from_be_bytes(unhex(text)?))
    }
}

/// The compact form of a header: exponent in the top byte, mantissa below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Compact(pub u64);

impl Compact {
    /// The easiest value.
    pub const ONE: Self = Self(MANTISSA_MASK);

    const fn exponent(self) -> u64 {
        self.0 >> MANTISSA_BITS
    }

    const fn mantissa(self) -> u64 {
        (self.0 & MANTISSA_MASK) | (1 << MANTISSA_BITS)
    }

    /// The target; none with an exponent of 0xc0 or above, where the reference ends its process.
    #[must_use]
    pub fn target(self) -> Option<Target> {
        let down = usize::try_from(self.exponent()).ok()?;
        let shift = ONE_SHIFT.checked_sub(down)?;
        Some(Target(U256::from(self.mantissa()) << shift))
    }

    /// How many times harder than the easiest value, correctly rounded.
    #[must_use]
    pub fn reciprocal(self) -> Option<f64> {
        if self.exponent() > EXPONENT_MAX {
            return None;
        }
        // 64 significant bits and a sticky one are more than a float keeps, so that the only
        // rounding is the one of the conversion.
        let numerator = u128::from(ONE_MANTISSA) << 64;
        let divisor = u128::from(self.mantissa());
        let sticky = u128::from(numerator % divisor != 0);
        let quotient = (numerator / divisor) | sticky;
        #[allow(clippy::cast_precision_loss)]
        let scaled = quotient as f64;
        Some(scaled * power_of_two(self.exponent()) / power_of_two(64))
    }

    /// The 16 hex digits of JSON: little endian bytes.
    #[must_use]
    pub fn to_json(self) -> String {
        hex::encode(self.0.to_le_bytes())
    }

    /// Reads exactly 16 hex digits.
    #[must_use]
    pub fn from_json(text: &str) -> Option<Self> {
        Some(Self(u64::from_le_bytes(unhex(text)?)))
    }
}

/// 2^n for n up to 1023, exactly.
fn power_of_two(n: u64) -> f64 {
    f64::from_bits((1023 + n.min(1023)) << 52)
}

/// Whether `claimed` lies within one part in `tolerance` around `current`, both ends included.
#[must_use]
pub fn in_range(current: Compact, claimed: Compact, tolerance: u64) -> bool {
    let (Some(current), Some(claimed)) = (current.target(), claimed.target()) else {
        return false;
    };
    let (low, high) = range_around(current, tolerance);
    low <= claimed && claimed <= high
}

/// The lowest and the highest target accepted around `current`.
#[must_use]
pub fn range_around(current: Target, tolerance: u64) -> (Target, Target) {
    let part = current.0 / U256::from(tolerance.max(1));
    (
        Target(current.0.saturating_sub(part)),
        Target(current.0.saturating_add(part)),
    )
}

/// A difficulty made from a reciprocal (section 4.2).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FromReciprocal {
    /// What it was made from, at least 1.
    pub reciprocal: f64,
    /// The whole number, which the node that made it compares with.
    pub master: Target,
    /// The compact form, which has fewer bits.
    pub bits: Compact,
}

/// The difficulty that is `reciprocal` times harder than the easiest one; below 1 it is the
/// easiest. None when the number has no compact form: not a number, infinite, or above 2^192.
#[must_use]
pub fn from_reciprocal(reciprocal: f64) -> Option<FromReciprocal> {
    if !reciprocal.is_finite() {
        return None;
    }
    let reciprocal = reciprocal.max(1.0);
    let master = divide_one(reciprocal);
    let bits = compact_of(master)?;
    Some(FromReciprocal {
        reciprocal,
        master,
        bits,
    })
}

/// One ÷ `f`, rounded up to 256 significant bits and then cut to a whole number.
fn divide_one(f: f64) -> Target {
    if f <= 1.0 {
        return ONE;
    }
    const HEADROOM: usize = 400;
    let (mantissa, exponent) = parts(f);
    let numerator = U512::from(ONE_MANTISSA) << HEADROOM;
    let divisor = U512::from(mantissa);
    let quotient = numerator / divisor;
    let mut inexact = numerator % divisor != U512::ZERO;
    // At least 400 bits remain, so that there is always something to cut.
    let cut = quotient.bit_len().saturating_sub(256);
    let mut kept = quotient >> cut;
    inexact |= (kept << cut) != quotient;
    if inexact {
        kept += U512::from(1_u8);
    }
    // kept × 2^(cut − headroom + 191 − exponent); f is above 1, so it is never a shift to the left
    // beyond 256 bits.
    let shift = cut as i64 - HEADROOM as i64 + ONE_SHIFT as i64 - exponent;
    let whole = match usize::try_from(shift.unsigned_abs()) {
        Ok(left) if shift >= 0 => kept << left,
        Ok(right) if right < 512 => kept >> right,
        _ => U512::ZERO,
    };
    Target(U256::from(whole))
}

/// A float above 1 as whole mantissa and power of two.
fn parts(f: f64) -> (u64, i64) {
    let bits = f.to_bits();
    let exponent = i64::try_from((bits >> 52) & 0x7ff).unwrap_or(0);
    let fraction = bits & ((1 << 52) - 1);
    (fraction | (1 << 52), exponent - 1075)
}

/// Steps 3 to 6 of section 4.2. The rounding counts the one bits that fall out instead of looking
/// at the highest of them.
fn compact_of(master: Target) -> Option<Compact> {
    let bit_len = master.0.bit_len();
    let bytes = bit_len.div_ceil(8);
    let mut exponent = 32_u64
        .checked_sub(bytes as u64)?
        .checked_mul(8)?
        .checked_sub(1)?;
    // The first eight of the minimal bytes, padded with zeros to the right.
    let window = if bytes >= 8 {
        master.0 >> ((bytes - 8) * 8)
    } else {
        master.0 << ((8 - bytes) * 8)
    };
    let mut u = u64::try_from(window).ok()?;
    if u == 0 {
        return None;
    }
    let mut ones = 0;
    while u >> MANTISSA_BITS != 1 {
        ones += u & 1;
        u >>= 1;
        exponent = exponent.checked_sub(1)?;
    }
    if ones > 4 {
        u += 1;
    }
    if exponent > EXPONENT_MAX {
        return None;
    }
    Some(Compact((u & MANTISSA_MASK) | (exponent << MANTISSA_BITS)))
}

/// How many times harder than the easiest the proof for a set of `count` issues is: count × base ×
/// factor in this order, at least 1.
#[must_use]
pub fn issue_reciprocal(chain: &Chain, count: usize) -> f64 {
    #[allow(clippy::cast_precision_loss)]
    let scaled = count as f64 * chain.issue_base * chain.rules.issue_factor(count);
    scaled.max(1.0)
}

/// The target of the proof for a set of `count` issues.
#[must_use]
pub fn issue_target(chain: &Chain, count: usize) -> Target {
    divide_one(issue_reciprocal(chain, count))
}
