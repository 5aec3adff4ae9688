//! The proof of work for a set of issues (`proto/reservoir.md`, section 7): the check that every
//! node makes, and the search that a client makes.
//!
//! Invariant: what the search finds, the check accepts. The pools decide what an accepted proof
//! means; this file knows no pool.

use sha3::{Digest as _, Sha3_256};
use thiserror::Error;

use crate::core::block::Target;
use crate::core::id::{PayId, PayNonce};

/// Shortest and longest nonce of a client.
pub const CLIENT_NONCE_BYTES: std::ops::RangeInclusive<usize> = 8..=64;

/// A client's nonce is too short or too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("invalid nonce")]
pub struct InvalidNonce;

/// What a client adds to make the digest small: 8 to 64 bytes. The reference's inner call takes an
/// empty one and then verifies nothing; here it can not be made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientNonce(Vec<u8>);

impl ClientNonce {
    /// Takes the bytes.
    ///
    /// # Errors
    /// [`InvalidNonce`] outside of 8 to 64 bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, InvalidNonce> {
        if CLIENT_NONCE_BYTES.contains(&bytes.len()) {
            Ok(Self(bytes.to_vec()))
        } else {
            Err(InvalidNonce)
        }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The digest of a proof, as the big endian number that is compared with the target.
#[must_use]
pub fn proof_digest(pay_id: &PayId, pay_nonce: &PayNonce, client_nonce: &[u8]) -> Target {
    finished(prefix(pay_id, pay_nonce), client_nonce)
}

fn prefix(pay_id: &PayId, pay_nonce: &PayNonce) -> Sha3_256 {
    Sha3_256::new()
        .chain_update(pay_id.0)
        .chain_update(pay_nonce.0)
}

fn finished(prefix: Sha3_256, client_nonce: &[u8]) -> Target {
    Target::from_be_bytes(prefix.chain_update(client_nonce).finalize().into())
}

/// The first of the pay nonces (newest first, see `Ring::candidates`) with which the proof meets
/// the target.
#[must_use]
pub fn check(
    pay_id: &PayId,
    pay_nonces: impl IntoIterator<Item = PayNonce>,
    client_nonce: &ClientNonce,
    target: &Target,
) -> Option<PayNonce> {
    pay_nonces
        .into_iter()
        .find(|pay_nonce| proof_digest(pay_id, pay_nonce, client_nonce.as_bytes()) <= *target)
}

/// A search for a client's nonce that can be run a part at a time, so that the caller can show
/// progress and stop. It counts as the reference's client does: 12345, then in steps of 113113.
#[derive(Debug, Clone)]
pub struct NonceSearch {
    prefix: Sha3_256,
    target: Target,
    counter: u64,
    step: u64,
    tried: u64,
}

/// Where the count begins.
const COUNTER_START: u64 = 12_345;
/// How far it goes on.
const COUNTER_STEP: u64 = 113_113;

impl NonceSearch {
    /// A search that has tried nothing yet.
    #[must_use]
    pub fn new(pay_id: &PayId, pay_nonce: &PayNonce, target: Target) -> Self {
        Self::part(pay_id, pay_nonce, target, 0, 1)
    }

    /// The share of one of several workers that together try the same nonces: every `of`-th,
    /// beginning with the `index`-th.
    #[must_use]
    pub fn part(pay_id: &PayId, pay_nonce: &PayNonce, target: Target, index: u64, of: u64) -> Self {
        Self {
            prefix: prefix(pay_id, pay_nonce),
            target,
            counter: COUNTER_START.wrapping_add(COUNTER_STEP.wrapping_mul(index)),
            step: COUNTER_STEP.wrapping_mul(of.max(1)),
            tried: 0,
        }
    }

    /// Tries at most so many further nonces; the nonce found, if any.
    pub fn run(&mut self, attempts: u64) -> Option<ClientNonce> {
        for _ in 0..attempts {
            let nonce = self.counter.to_be_bytes();
            self.counter = self.counter.wrapping_add(self.step);
            self.tried += 1;
            if finished(self.prefix.clone(), &nonce) <= self.target {
                return Some(ClientNonce(nonce.to_vec()));
            }
        }
        None
    }

    /// How many nonces were tried.
    #[must_use]
    pub const fn tried(&self) -> u64 {
        self.tried
    }
}

/// How many nonces a search tries on average.
#[must_use]
pub fn expected_attempts(target: &Target) -> f64 {
    let mut value = 0.0_f64;
    for limb in target.0.into_limbs().into_iter().rev() {
        #[allow(clippy::cast_precision_loss)]
        let limb = limb as f64;
        value = value.mul_add(18_446_744_073_709_551_616.0, limb);
    }
    // 2^256, as a float exactly.
    let all = 18_446_744_073_709_551_616.0_f64.powi(4);
    all / (value + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::block::difficulty::issue_target;
    use crate::core::chain::LOCAL;

    const PAY_ID: PayId = PayId([7; 48]);
    const PAY_NONCE: PayNonce = PayNonce([9; 8]);

    #[test]
    fn what_the_search_finds_the_check_accepts() {
        // 2^12 attempts on average.
        let target = Target(issue_target(&LOCAL, 1).0 << 4);
        let mut search = NonceSearch::new(&PAY_ID, &PAY_NONCE, target);
        let mut found = None;
        while found.is_none() {
            found = search.run(100);
        }
        let found = found.unwrap();
        let pay_nonces = [PayNonce([1; 8]), PAY_NONCE];
        assert_eq!(check(&PAY_ID, pay_nonces, &found, &target), Some(PAY_NONCE));
        assert_eq!(check(&PAY_ID, [], &found, &target), None);

        let mut parts: Vec<_> = (0..3)
            .map(|index| NonceSearch::part(&PAY_ID, &PAY_NONCE, target, index, 3))
            .collect();
        let each = search.tried().div_ceil(3);
        let by_parts: Vec<_> = parts.iter_mut().filter_map(|part| part.run(each)).collect();
        assert!(by_parts.contains(&found), "the parts try the same nonces");
    }

    #[test]
    fn the_first_nonce_is_12345_and_the_next_113113_further() {
        let mut search = NonceSearch::new(&PAY_ID, &PAY_NONCE, Target(ruint::Uint::MAX));
        let first = search.run(1).unwrap();
        let second = search.run(1).unwrap();
        assert_eq!(first.as_bytes(), 12_345_u64.to_be_bytes());
        assert_eq!(second.as_bytes(), 125_458_u64.to_be_bytes());
    }

    #[test]
    fn a_client_nonce_has_8_to_64_bytes() {
        for (length, is_good) in [(0, false), (7, false), (8, true), (64, true), (65, false)] {
            assert_eq!(ClientNonce::new(&vec![0; length]).is_ok(), is_good);
        }
        assert_eq!(InvalidNonce.to_string(), "invalid nonce");
    }

    #[test]
    fn one_issue_on_a_test_chain_takes_65536_attempts_on_average() {
        let attempts = expected_attempts(&issue_target(&LOCAL, 1));
        assert!((attempts - 65_536.0).abs() < 1.0, "{attempts}");
    }
}
