//! Checking many signatures. Most are of few keys: an edition of a thousand prints is a thousand
//! signatures of one owner. What a key needs before anything can be checked with it is kept.
//!
//! What is good is what `ed25519-dalek` says (`proto/records.md`, section 4.2). Here only a shorter way
//! to the same answer is tried first, for keys that are seen often: it says good where the very equation
//! holds, and where it does not, the library is asked.
//!
//! Bounds: four keys, those used last, of 31 KiB each at most.

use std::sync::Arc;

use curve25519_dalek::Scalar;
use curve25519_dalek::constants::ED25519_BASEPOINT_TABLE;
use curve25519_dalek::edwards::EdwardsBasepointTable;
use curve25519_dalek::traits::BasepointTable as _;
use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};
use sha2::{Digest as _, Sha512};

use super::{Account, KeyError, PublicKey};

/// Keys that are kept.
const KEYS: usize = 4;
/// Good signatures of a key after which its multiples are computed. They cost as much as about 28 checks,
/// and each check takes a quarter less with them.
const OFTEN: u32 = 128;

/// A key that was used.
#[derive(Debug, Clone)]
struct Known {
    key: VerifyingKey,
    /// Good signatures of it, up to [`OFTEN`].
    good: u32,
    /// Multiples of the negated key.
    multiples: Option<Arc<EdwardsBasepointTable>>,
}

impl Known {
    fn new(key: &[u8; 32]) -> Option<Self> {
        Some(Self {
            key: VerifyingKey::from_bytes(key).ok()?,
            good: 0,
            multiples: None,
        })
    }

    /// Whether the signature is good.
    fn verify(&mut self, message: &[u8], signature: &Signature) -> bool {
        if self.is_seen_to_be_good(message, signature) {
            return true;
        }
        let is_good = self.key.verify(message, signature).is_ok();
        if is_good && self.multiples.is_none() {
            self.good += 1;
            if self.good >= OFTEN {
                let negated = -self.key.to_edwards();
                let multiples = EdwardsBasepointTable::create(&negated);
                self.multiples = Some(Arc::new(multiples));
            }
        }
        is_good
    }

    /// Whether the equation holds, bit for bit, and its scalar is the smallest: then the signature is good.
    /// Nothing is said where it does not.
    fn is_seen_to_be_good(&self, message: &[u8], signature: &Signature) -> bool {
        let Some(multiples) = &self.multiples else {
            return false;
        };
        let s = Scalar::from_canonical_bytes(*signature.s_bytes());
        let Some(s) = Option::<Scalar>::from(s) else {
            return false;
        };
        let digest = Sha512::new()
            .chain_update(signature.r_bytes())
            .chain_update(self.key.as_bytes())
            .chain_update(message);
        let k = Scalar::from_bytes_mod_order_wide(&digest.finalize().into());
        let r = multiples.mul_base(&k) + ED25519_BASEPOINT_TABLE.mul_base(&s);
        r.compress().as_bytes() == signature.r_bytes()
    }
}

/// Checks signatures one after the other, and keeps what the keys used last need.
#[derive(Debug, Clone, Default)]
pub struct Verifier {
    /// The key used last is the last.
    known: Vec<Known>,
}

impl Verifier {
    /// The same as [`Account::verify`].
    ///
    /// # Errors
    /// As there.
    pub fn verify(
        &mut self,
        account: &Account,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), KeyError> {
        let PublicKey::Ed25519(key) = &account.key else {
            return Err(KeyError::InvalidSignature);
        };
        let invalid = |_| KeyError::InvalidSignature;
        let signature = Signature::from_slice(signature).map_err(invalid)?;
        let known = self.known(key).ok_or(KeyError::InvalidSignature)?;
        let is_good = known.verify(message, &signature);
        is_good.then_some(()).ok_or(KeyError::InvalidSignature)
    }

    fn known(&mut self, key: &[u8; 32]) -> Option<&mut Known> {
        let mut all = self.known.iter();
        match all.rposition(|known| known.key.as_bytes() == key) {
            Some(at) => self.known.get_mut(at..)?.rotate_left(1),
            None => {
                let known = Known::new(key)?;
                if self.known.len() >= KEYS {
                    self.known.remove(0);
                }
                self.known.push(known);
            }
        }
        self.known.last_mut()
    }
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::EIGHT_TORSION;
    use proptest::prelude::*;

    use super::*;
    use crate::core::keys::PrivateKey;

    fn account(known: &VerifyingKey) -> Account {
        Account::ed25519(known.to_bytes(), true)
    }

    /// A verifier that has seen a key often.
    fn often(key: &[u8; 32]) -> Verifier {
        let mut known = Known::new(key).unwrap();
        let multiples = EdwardsBasepointTable::create(&-known.key.to_edwards());
        known.multiples = Some(Arc::new(multiples));
        Verifier { known: vec![known] }
    }

    #[test]
    fn a_key_has_its_multiples_after_as_many_good_signatures_and_its_checks_stay_what_they_were() {
        let key = PrivateKey::from_ed25519_seed(&[1; 32], true);
        let account = key.account().unwrap();
        let verifier = &mut Verifier::default();
        for number in 0..OFTEN + 10 {
            let message = number.to_be_bytes();
            let mut signature = key.sign(&message);
            verifier.verify(&account, &message, &signature).unwrap();
            assert!(verifier.verify(&account, b"another", &signature).is_err());
            signature[40] ^= 1;
            assert!(verifier.verify(&account, &message, &signature).is_err());
            let has_multiples = verifier.known[0].multiples.is_some();
            assert_eq!(has_multiples, number + 1 >= OFTEN);
        }
        let known = &verifier.known[0];
        let signature = Signature::from_slice(&key.sign(b"message")).unwrap();
        assert!(known.is_seen_to_be_good(b"message", &signature));
        assert!(!known.is_seen_to_be_good(b"Message", &signature));
    }

    #[test]
    fn the_keys_used_last_are_kept_and_no_more() {
        let verifier = &mut Verifier::default();
        let keys: Vec<PrivateKey> = (1..=9)
            .map(|seed| PrivateKey::from_ed25519_seed(&[seed; 32], true))
            .collect();
        for number in [0, 1, 2, 3, 0, 4, 5, 0, 6, 7, 8, 0] {
            let account = keys[number].account().unwrap();
            let signature = keys[number].sign(b"message");
            verifier.verify(&account, b"message", &signature).unwrap();
        }
        let kept = verifier.known.iter().map(|known| known.key.to_bytes());
        let of = |number: usize| match keys[number].account().unwrap().key {
            PublicKey::Ed25519(key) => key,
            PublicKey::Nothing(_) => unreachable!(),
        };
        assert_eq!(kept.collect::<Vec<_>>(), [6, 7, 8, 0].map(of));
        assert_eq!(verifier.known[3].good, 4);
    }

    #[test]
    fn a_verifier_says_of_each_what_a_fresh_one_says_whatever_came_before() {
        let keys = [1, 2].map(|seed| PrivateKey::from_ed25519_seed(&[seed; 32], true));
        let good = keys.each_ref().map(|key| key.account().unwrap());
        // No point of the curve, a key of no algorithm, the same key of the other network.
        let mut bytes = [0; 32];
        bytes[0] = 2;
        assert!(VerifyingKey::from_bytes(&bytes).is_err());
        let no_point = Account::ed25519(bytes, true);
        let nobody = Account {
            testing: true,
            key: PublicKey::Nothing([1, 2]),
        };
        let abroad = Account {
            testing: false,
            ..good[0]
        };
        let accounts = [good[0], good[1], no_point, nobody, abroad];
        let signatures = [keys[0].sign(b"m"), keys[1].sign(b"m"), vec![7; 64], vec![]];
        let mut verifier = Verifier::default();
        let mut passed = 0;
        for first in &accounts {
            for second in [first, &accounts[0], &accounts[1], &accounts[2]] {
                for signature in &signatures {
                    let said = verifier.verify(second, b"m", signature);
                    assert_eq!(said, second.verify(b"m", signature));
                    passed += usize::from(said.is_ok());
                }
            }
        }
        assert_eq!(passed, 13);
    }

    /// Signatures of a key that has a part of small order: some of them fulfil the equation and some do
    /// not, which only the very equation tells.
    #[test]
    fn a_key_with_a_part_of_small_order_is_judged_as_the_library_judges_it() {
        let secret = Scalar::from(12_345_u64);
        let mut answers = [0; 2];
        for torsion in EIGHT_TORSION {
            let point = ED25519_BASEPOINT_TABLE.mul_base(&secret) + torsion;
            let Ok(key) = VerifyingKey::from_bytes(&point.compress().to_bytes()) else {
                continue;
            };
            let verifier = &mut often(key.as_bytes());
            for number in 0..40_u64 {
                let message = number.to_be_bytes();
                let nonce = Scalar::from(number + 7);
                let r = (ED25519_BASEPOINT_TABLE.mul_base(&nonce)).compress();
                let digest = Sha512::new()
                    .chain_update(r.as_bytes())
                    .chain_update(key.as_bytes())
                    .chain_update(message);
                let k = Scalar::from_bytes_mod_order_wide(&digest.finalize().into());
                let s = nonce + k * secret;
                let signature = [*r.as_bytes(), s.to_bytes()].concat();
                let plain = Signature::from_slice(&signature).unwrap();
                let expected = key.verify(&message, &plain).is_ok();
                let answer = verifier.verify(&account(&key), &message, &signature);
                assert_eq!(answer.is_ok(), expected);
                answers[usize::from(expected)] += 1;
            }
        }
        assert!(answers[0] > 100 && answers[1] > 50, "{answers:?}");
    }

    proptest! {
        /// Of a key that was seen often, and of one that was not, the answer is the library's.
        #[test]
        fn what_is_good_is_what_the_library_says(
            seed: [u8; 32],
            message: Vec<u8>,
            flip in proptest::option::of((0_usize..64, 0_u8..8)),
            any in proptest::option::weighted(0.1, any::<[u8; 32]>()),
        ) {
            let private = PrivateKey::from_ed25519_seed(&seed, true);
            let mut signature = private.sign(&message);
            if let Some((at, bit)) = flip {
                signature[at] ^= 1 << bit;
            }
            let PublicKey::Ed25519(own) = private.account().unwrap().key else { unreachable!() };
            let key = any.unwrap_or(own);
            let plain = Signature::from_slice(&signature).unwrap();
            let library = VerifyingKey::from_bytes(&key).is_ok_and(|key| key.verify(&message, &plain).is_ok());
            let account = Account::ed25519(key, true);
            prop_assert_eq!(account.verify(&message, &signature).is_ok(), library);
            if VerifyingKey::from_bytes(&key).is_ok() {
                let answer = often(&key).verify(&account, &message, &signature);
                prop_assert_eq!(answer.is_ok(), library);
            }
        }
    }
}
