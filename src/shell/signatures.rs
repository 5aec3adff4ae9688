//! Signature checks on all cores: lent to the ledger, which has many at once when a block comes.
//! Threads live as long as a call. Nothing here says what a good signature is.

use std::sync::atomic::{AtomicUsize, Ordering};

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

/// Claims that one takes at a time: about a millisecond.
const PIECE: usize = 16;

/// Claims, each checked by whoever comes to it first.
struct Shared<'a> {
    claims: &'a [Claim<'a>],
    next: AtomicUsize,
}

/// Where a piece begins, and what came of it.
type Found = (usize, Vec<Result<(), RecordError>>);

impl Shared<'_> {
    /// Checks pieces until there are none left.
    fn work(&self) -> Vec<Found> {
        let mut found = Vec::new();
        loop {
            let from = self.next.fetch_add(PIECE, Ordering::Relaxed);
            let rest = self.claims.get(from..).unwrap_or_default();
            if rest.is_empty() {
                return found;
            }
            let piece = rest.iter().take(PIECE);
            found.push((from, piece.map(Claim::check).collect()));
        }
    }
}

impl Checker for Cores {
    fn check(&self, claims: &[Claim<'_>]) -> Vec<Result<(), RecordError>> {
        self.check_while(claims, &mut || {})
    }

    fn check_while(
        &self,
        claims: &[Claim<'_>],
        meanwhile: &mut dyn FnMut(),
    ) -> Vec<Result<(), RecordError>> {
        let threads = (claims.len() / PER_THREAD).min(self.0.max(1));
        let shared = Shared {
            claims,
            next: AtomicUsize::new(0),
        };
        let mut results: Vec<Option<Result<(), RecordError>>> = vec![None; claims.len()];
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads)
                .filter_map(|_| {
                    std::thread::Builder::new()
                        .name("signatures".to_owned())
                        .spawn_scoped(scope, || shared.work())
                        // Where the system has no thread for it, this one does it.
                        .ok()
                })
                .collect();
            meanwhile();
            let own = shared.work();
            let of_others = others.into_iter().filter_map(|thread| thread.join().ok());
            for (from, piece) in of_others.flatten().chain(own) {
                for (place, result) in results.iter_mut().skip(from).zip(piece) {
                    *place = Some(result);
                }
            }
        });
        // What a thread that ended early has left.
        let answered = results.into_iter().zip(claims);
        answered
            .map(|(result, claim)| result.unwrap_or_else(|| claim.check()))
            .collect()
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
                let mut done = 0;
                let answers = Cores(cores).check_while(&claims[..count], &mut || done += 1);
                assert_eq!(done, 1);
                assert_eq!(answers, Cores(cores).check(&claims[..count]));
                let good: Vec<bool> = answers.iter().map(Result::is_ok).collect();
                let expected = (0..count).map(|n| n % 7 != 3 && n % 11 != 5);
                assert_eq!(good, expected.collect::<Vec<_>>(), "{count} on {cores}");
            }
        }
    }
}
