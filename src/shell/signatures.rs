//! Signature checks on all cores: lent to the ledger, which has many at once when a block comes.
//! Threads live as long as a call. Nothing here says what a good signature is.

use crate::core::record::{Checker, Claim, RecordError};

/// Fewer than this for a thread are not worth one.
const PER_THREAD: usize = 8;

/// Spreads claims over threads.
#[derive(Debug, Clone, Copy)]
pub struct Cores(usize);

impl Cores {
    /// As many threads as the machine has cores.
    #[must_use]
    pub fn all() -> Self {
        Self(std::thread::available_parallelism().map_or(1, usize::from))
    }
}

impl Checker for Cores {
    fn check(&self, claims: &[Claim<'_>]) -> Vec<Result<(), RecordError>> {
        let part = claims.len().div_ceil(self.0.max(1)).max(PER_THREAD);
        let mut parts = claims.chunks(part);
        let own = parts.next().unwrap_or_default();
        let in_turn = |part: &[Claim<'_>]| part.iter().map(Claim::check).collect::<Vec<_>>();
        std::thread::scope(|scope| {
            let others: Vec<_> = parts
                .map(|part| {
                    let thread = std::thread::Builder::new()
                        .name("signatures".to_owned())
                        .spawn_scoped(scope, move || in_turn(part));
                    (part, thread)
                })
                .collect();
            let mut results = in_turn(own);
            for (part, thread) in others {
                // Where the system has no thread for it, this one does it.
                let done = thread.ok().and_then(|thread| thread.join().ok());
                results.extend(done.unwrap_or_else(|| in_turn(part)));
            }
            results
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::id::TxId;
    use crate::core::keys::PrivateKey;
    use crate::core::record::{BitmarkTransferCountersigned, Record, sign_first, sign_second};

    #[test]
    fn every_claim_is_answered_in_its_place_as_one_thread_answers_it() {
        let key = |seed| PrivateKey::from_ed25519_seed(&[seed; 32], true);
        let (from, to) = (key(1), key(2));
        let records: Vec<Record> = (0..100_u8)
            .map(|number| {
                let mut record =
                    Record::BitmarkTransferCountersigned(BitmarkTransferCountersigned {
                        link: TxId([number; 32]),
                        escrow: None,
                        owner: to.account().unwrap(),
                        signature: Vec::new(),
                        countersignature: Vec::new(),
                    });
                sign_first(&mut record, if number % 7 == 3 { &to } else { &from });
                sign_second(&mut record, if number % 11 == 5 { &from } else { &to });
                record
            })
            .collect();
        let signer = from.account().unwrap();
        let claims: Vec<Claim<'_>> = records
            .iter()
            .map(|record| Claim { record, signer })
            .collect();
        for count in [0, 1, 7, 8, 9, 16, 17, 63, 100] {
            for cores in [0, 1, 2, 3, 64] {
                let answers = Cores(cores).check(&claims[..count]);
                let good: Vec<bool> = answers.iter().map(Result::is_ok).collect();
                let expected = (0..count).map(|n| n % 7 != 3 && n % 11 != 5);
                assert_eq!(good, expected.collect::<Vec<_>>(), "{count} on {cores}");
            }
        }
    }
}
