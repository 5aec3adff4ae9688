//! Which of several faults of a block is told, whoever checks its signatures and in whatever order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::core::block::{BlockError, Compact, Header};
use crate::core::chain::DEVNET;
use crate::core::currency::{Currency, Payments, address};
use crate::core::id::{BlockDigest, TxId};
use crate::core::ledger::{Applied, Ledger, LedgerError};
use crate::core::record::samples::{account, issue, key, transfer};
use crate::core::record::{
    BlockFoundation, Checker, Claim, InTurn, Record, RecordError, merkle, sign,
};
use crate::core::state::MemoryStore;

const NOW: u64 = 1_700_000_000;

/// Checks first and does the rest then.
#[derive(Debug)]
struct ChecksFirst;

impl Checker for ChecksFirst {
    fn check(&self, claims: &[Claim<'_>]) -> Vec<Result<(), RecordError>> {
        InTurn.check(claims)
    }

    fn check_while(
        &self,
        claims: &[Claim<'_>],
        meanwhile: &mut dyn FnMut() -> usize,
    ) -> Vec<Result<(), RecordError>> {
        let results = self.check(claims);
        meanwhile();
        results
    }
}

/// Answers so many at most, and does nothing meanwhile.
#[derive(Debug)]
struct Answers(usize);

impl Checker for Answers {
    fn check(&self, claims: &[Claim<'_>]) -> Vec<Result<(), RecordError>> {
        InTurn.check(claims.get(..self.0).unwrap_or(claims))
    }

    fn check_while(
        &self,
        claims: &[Claim<'_>],
        _: &mut dyn FnMut() -> usize,
    ) -> Vec<Result<(), RecordError>> {
        self.check(claims)
    }
}

fn foundation() -> Vec<u8> {
    let coin = |currency| (currency, address::encode(111, &[7; 20]).into_bytes());
    let mut record = Record::BlockFoundation(BlockFoundation {
        version: 1,
        payments: Payments([coin(Currency::Bitcoin), coin(Currency::Litecoin)].into()),
        owner: account(1),
        nonce: 1234,
        signature: Vec::new(),
    });
    sign(&mut record, &key(1)).unwrap()
}

/// A chain of two blocks: the second moved one bitmark and left another alone.
struct Chain {
    store: MemoryStore,
    ledger: Ledger,
    foundation: Vec<u8>,
    moved: TxId,
    left: TxId,
}

impl Chain {
    fn new() -> Self {
        let (one, other) = (issue("01print", 1), issue("01print", 2));
        let mut chain = Self {
            store: MemoryStore::new(),
            ledger: Ledger::empty(&DEVNET),
            foundation: foundation(),
            moved: TxId::of(&one),
            left: TxId::of(&other),
        };
        chain.put(&[one, other]);
        let moved = transfer(chain.moved, 1, 2);
        chain.put(&[moved]);
        chain
    }

    fn put(&mut self, records: &[Vec<u8>]) {
        let applied = self.apply(records).expect("a good block");
        self.store.apply(&applied.batch);
    }

    /// Tries a block of these records behind the foundation.
    fn apply(&mut self, records: &[Vec<u8>]) -> Result<Applied, LedgerError> {
        let all = [std::slice::from_ref(&self.foundation), records].concat();
        let ids: Vec<TxId> = all.iter().map(|packed| TxId::of(packed)).collect();
        let tip = self.ledger.tip();
        let header = Header {
            version: 2,
            transaction_count: u16::try_from(all.len()).unwrap(),
            number: tip.number + 1,
            previous_block: tip.digest,
            merkle_root: merkle::root(&ids),
            timestamp: NOW + tip.number,
            difficulty: Compact::ONE,
            nonce: 0,
        };
        let packed = [header.pack().to_vec(), all.concat()].concat();
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&header.number.to_le_bytes());
        let before = self.ledger.tip();
        let result = self
            .ledger
            .apply(&self.store, &packed, BlockDigest(digest), NOW + 100);
        if result.is_err() {
            assert_eq!(self.ledger.tip(), before, "a refused block changes nothing");
        }
        result
    }
}

/// The last byte of a record is of its last signature.
fn spoilt(mut packed: Vec<u8>) -> Vec<u8> {
    *packed.last_mut().unwrap() ^= 1;
    packed
}

#[test]
fn the_first_record_that_breaks_a_rule_is_told_be_it_a_signature_or_another_rule() {
    let mut chain = Chain::new();
    let nowhere = TxId([9; 32]);
    let faults = [
        ("signature", spoilt(issue("01print", 3))),
        ("signature", spoilt(transfer(chain.left, 1, 2))),
        ("again", issue("01print", 1)),
        ("moved", transfer(chain.moved, 1, 3)),
        ("unknown", transfer(nowhere, 1, 2)),
        ("garbage", vec![0xff; 20]),
    ];
    let checkers: [Arc<dyn Checker>; 3] = [
        Arc::new(InTurn),
        Arc::new(ChecksFirst),
        Arc::new(Answers(usize::MAX)),
    ];
    for checker in checkers {
        chain.ledger.check_with(checker);
        let good = issue("01print", 4);
        let alone: Vec<LedgerError> = faults
            .iter()
            .map(|(_, fault)| chain.apply(&[good.clone(), fault.clone()]).unwrap_err())
            .collect();
        for ((name, first), told) in faults.iter().zip(&alone) {
            for ((other_name, second), other) in faults.iter().zip(&alone) {
                assert_eq!(name == other_name, told == other, "{told} and {other}");
                let both = [good.clone(), first.clone(), second.clone()];
                assert_eq!(
                    &chain.apply(&both).unwrap_err(),
                    told,
                    "{name}, {other_name}"
                );
            }
        }
        assert_eq!(alone[2], BlockError::AlreadyExists.into());
        assert_eq!(alone[3], BlockError::DoubleTransfer.into());
        assert_eq!(alone[4], BlockError::LinkUnknown.into());
    }
}

#[test]
fn what_is_wrong_with_the_block_as_a_whole_comes_after_every_signature() {
    let mut chain = Chain::new();
    let twice = transfer(chain.left, 1, 2);
    let other = transfer(chain.left, 1, 3);
    let bad = spoilt(issue("01print", 3));
    let invalid = chain.apply(std::slice::from_ref(&bad)).unwrap_err();
    let both = chain.apply(&[twice.clone(), other.clone()]).unwrap_err();
    assert_eq!(both, BlockError::DoubleTransfer.into());
    assert_eq!(chain.apply(&[twice, other, bad]).unwrap_err(), invalid);
}

#[test]
fn a_checker_that_answers_too_little_lets_no_block_in() {
    let mut chain = Chain::new();
    let records = [issue("01print", 3), transfer(chain.left, 1, 2)];
    let invalid = chain.apply(&[spoilt(issue("01print", 3))]).unwrap_err();
    for answers in 0..records.len() {
        chain.ledger.check_with(Arc::new(Answers(answers)));
        assert_eq!(chain.apply(&records).unwrap_err(), invalid, "{answers}");
    }
    chain.ledger.check_with(Arc::new(Answers(records.len())));
    assert!(chain.apply(&records).is_ok());
}

/// Counts what it checks.
#[derive(Debug, Default)]
struct Counts(AtomicUsize);

impl Checker for Counts {
    fn check(&self, claims: &[Claim<'_>]) -> Vec<Result<(), RecordError>> {
        self.0.fetch_add(claims.len(), Ordering::Relaxed);
        InTurn.check(claims)
    }
}

#[test]
fn the_same_foundation_is_checked_once_and_another_of_the_same_owner_anew() {
    let mut chain = Chain::new();
    let counts = Arc::new(Counts::default());
    chain.ledger.check_with(counts.clone());
    chain.put(&[issue("01print", 3)]);
    assert_eq!(counts.0.swap(0, Ordering::Relaxed), 1, "the issue alone");
    let invalid = chain.apply(&[spoilt(issue("01print", 4))]).unwrap_err();
    counts.0.store(0, Ordering::Relaxed);
    chain.foundation = spoilt(chain.foundation);
    assert_eq!(chain.apply(&[issue("01print", 4)]).unwrap_err(), invalid);
    assert_eq!(counts.0.load(Ordering::Relaxed), 2);
    // What was refused is not remembered.
    assert_eq!(chain.apply(&[issue("01print", 4)]).unwrap_err(), invalid);
}

#[test]
fn behind_a_record_that_breaks_a_rule_no_signature_is_checked() {
    let mut chain = Chain::new();
    let counts = Arc::new(Counts::default());
    chain.ledger.check_with(counts.clone());
    let mut records = vec![issue("01print", 3), issue("01print", 1)];
    records.extend((10..60).map(|nonce| issue("01print", nonce)));
    let error = chain.apply(&records).unwrap_err();
    assert_eq!(error, BlockError::AlreadyExists.into());
    // The foundation is known; both issues up to the one that is there already.
    assert_eq!(counts.0.load(Ordering::Relaxed), 2);
}

#[test]
fn a_block_changes_the_same_whoever_checks_it() {
    let checkers: [Arc<dyn Checker>; 3] = [
        Arc::new(InTurn),
        Arc::new(ChecksFirst),
        Arc::new(Answers(usize::MAX)),
    ];
    let batches = checkers.map(|checker| {
        let mut chain = Chain::new();
        chain.ledger.check_with(checker);
        let records = [issue("01print", 3), transfer(chain.left, 1, 2)];
        chain.apply(&records).expect("a good block").batch
    });
    assert!(batches.windows(2).all(|two| two[0] == two[1]));
}
