//! Records that are valid, records that were damaged, and noise.

use std::cell::Cell;

use bitmarkd::core::chain::DEVNET;
use bitmarkd::core::currency::{Currency, Payment, Payments, address};
use bitmarkd::core::id::{AssetId, TxId};
use bitmarkd::core::keys::PrivateKey;
use bitmarkd::core::record::{
    AssetData, BaseData, BitmarkIssue, BitmarkTransferCountersigned, BitmarkTransferUnratified,
    BlockFoundation, BlockOwnerTransfer, Record, metadata, sign, sign_by_both,
};
use bitmarkd::core::wire::cursor::Cursor;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestError, TestRunner};

/// The highest tag.
const KINDS: u64 = 7;

/// The key of a number.
pub fn key(number: u8) -> PrivateKey {
    PrivateKey::from_ed25519_seed(&[number; 32], DEVNET.testing)
}

/// The payment map of a number.
pub fn payments(number: u8) -> Payments {
    let text = |hash| address::encode(111, &[hash; 20]).into_bytes();
    Payments(
        [
            (Currency::Bitcoin, text(number)),
            (Currency::Litecoin, text(number ^ 1)),
        ]
        .into(),
    )
}

/// What a record is made of; each kind takes what it needs.
#[derive(Debug, Clone)]
struct Parts {
    kind: u64,
    from: u8,
    to: u8,
    nonce: u64,
    name: String,
    fingerprint: String,
    pairs: Vec<(String, String)>,
    id: [u8; 32],
    escrow: Option<u64>,
}

impl Parts {
    /// The record, signed by all who have to, and its bytes.
    fn signed(&self) -> (Record, Vec<u8>) {
        let (from, to) = (key(self.from), key(self.to));
        let signer = from.account().expect("a key has an account");
        let owner = to.account().expect("a key has an account");
        let link = TxId(self.id);
        let escrow = self.escrow.map(|amount| Payment {
            currency: Currency::Litecoin,
            address: address::encode(196, &[self.from; 20]).into_bytes(),
            amount,
        });
        let signature = Vec::new();
        let countersignature = Vec::new();
        let version = DEVNET.rules.foundation_version;
        let mut record = match self.kind {
            1 => Record::BaseData(BaseData {
                currency: Currency::Bitcoin,
                payment_address: address::encode(111, &[self.to; 20]).into_bytes(),
                owner: signer,
                nonce: self.nonce,
                signature,
            }),
            2 => Record::AssetData(AssetData {
                name: self.name.clone().into_bytes(),
                fingerprint: self.fingerprint.clone().into_bytes(),
                metadata: metadata::from_pairs(self.pairs.clone()),
                registrant: signer,
                signature,
            }),
            3 => Record::BitmarkIssue(BitmarkIssue {
                asset_id: AssetId::of(self.fingerprint.as_bytes()),
                owner: signer,
                nonce: self.nonce,
                signature,
            }),
            4 => Record::BitmarkTransferUnratified(BitmarkTransferUnratified {
                link,
                escrow,
                owner,
                signature,
            }),
            5 => Record::BitmarkTransferCountersigned(BitmarkTransferCountersigned {
                link,
                escrow,
                owner,
                signature,
                countersignature,
            }),
            6 => Record::BlockFoundation(BlockFoundation {
                version,
                payments: payments(self.to),
                owner: signer,
                nonce: self.nonce,
                signature,
            }),
            _ => Record::BlockOwnerTransfer(BlockOwnerTransfer {
                link,
                escrow,
                version,
                payments: payments(self.to),
                owner,
                signature,
                countersignature,
            }),
        };
        let packed = if record.countersignature().is_some() {
            sign_by_both(&mut record, &from, &to)
        } else {
            sign(&mut record, &from)
        };
        (record, packed.expect("the parts are valid"))
    }
}

fn parts() -> impl Strategy<Value = Parts> {
    (
        (1..=KINDS, 1..200_u8, 1..200_u8, any::<u64>()),
        ("\\PC{1,64}", "\\PC{1,80}"),
        vec(("[a-z]{1,8}", "[a-z ]{1,12}"), 0..4),
        (any::<[u8; 32]>(), any::<Option<u64>>()),
    )
        .prop_map(
            |((kind, from, to, nonce), (name, fingerprint), pairs, (id, escrow))| Parts {
                kind,
                from,
                to,
                nonce,
                name,
                fingerprint,
                pairs,
                id,
                escrow,
            },
        )
}

/// Whether the tag and the field behind it are as they should be, read apart from the parser that
/// is tested: what comes later is only reached then.
fn passes_the_first_field(bytes: &[u8]) -> bool {
    let mut cursor = Cursor::new(bytes);
    match cursor.varint() {
        Some(1) => cursor
            .varint()
            .is_some_and(|code| Currency::from_code(code).is_ok()),
        Some(2) => cursor.field(1, 8192).is_some(),
        Some(3) => cursor.field(1, 8192).is_some_and(|id| id.len() == 64),
        Some(4 | 5 | 7) => cursor.field(1, 8192).is_some_and(|id| id.len() == 32),
        Some(6) => cursor.varint() == Some(1),
        _ => false,
    }
}

/// Whatever the bytes are: no panic, and what is read is written and read again as the same.
fn take(bytes: &[u8]) -> Result<(), TestCaseError> {
    for testing in [true, false] {
        let Ok((record, used)) = Record::unpack(bytes, testing) else {
            continue;
        };
        prop_assert!(used <= bytes.len());
        let canonical = record.pack_unchecked();
        let again = Record::unpack(&canonical, testing);
        prop_assert_eq!(again, Ok((record.clone(), canonical.len())));
        if let Ok(packed) = record.pack(record.owner()) {
            prop_assert_eq!(packed, canonical);
        }
        let _ = record.unsigned(record.owner());
        let _ = Record::from_json(record.type_name(), &record.to_json());
    }
    Ok(())
}

/// Runs `bytes` through the parser and fails when too few of any kind got beyond the first field.
fn run(cases: u32, strategy: &impl Strategy<Value = (u64, Vec<u8>)>) {
    let tried: [Cell<u32>; KINDS as usize + 1] = Default::default();
    let passed: [Cell<u32>; KINDS as usize + 1] = Default::default();
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let result = TestRunner::new(config).run(strategy, |(kind, bytes)| {
        let at = usize::try_from(kind).expect("a small number");
        tried[at].set(tried[at].get() + 1);
        passed[at].set(passed[at].get() + u32::from(passes_the_first_field(&bytes)));
        take(&bytes)
    });
    if let Err(TestError::Fail(why, (kind, bytes))) = result {
        panic!("kind {kind}: {why}: {}", hex::encode(bytes));
    }
    for kind in 1..=usize::try_from(KINDS).expect("a small number") {
        let (tried, passed) = (tried[kind].get(), passed[kind].get());
        println!("kind {kind}: {passed} of {tried} got past the first field");
        assert!(passed * 10 >= tried * 3, "kind {kind}: {passed} of {tried}");
    }
}

#[test]
fn unpacking_random_bytes_never_panics() {
    // Pure noise ends at the tag: one part in four. The rest begins as a record does.
    let noise = prop_oneof![
        1 => Just(None),
        3 => any::<Index>().prop_map(Some),
    ];
    let strategy = (parts(), noise, vec(any::<u8>(), 0..400)).prop_map(|(parts, cut, noise)| {
        let Some(cut) = cut else {
            return (parts.kind, noise);
        };
        let (_, mut bytes) = parts.signed();
        bytes.truncate(cut.index(bytes.len()));
        bytes.extend(noise);
        (parts.kind, bytes)
    });
    run(7_000, &strategy);
}

#[test]
fn unpacking_a_valid_record_with_one_to_three_mutations_never_panics() {
    #[derive(Debug, Clone)]
    enum Mutation {
        Set(Index, u8),
        Flip(Index, u8),
        Insert(Index, u8),
        Remove(Index),
    }
    let mutation = prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, to)| Mutation::Set(at, to)),
        (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        (any::<Index>(), any::<u8>()).prop_map(|(at, to)| Mutation::Insert(at, to)),
        any::<Index>().prop_map(Mutation::Remove),
    ];
    let strategy = (parts(), vec(mutation, 1..=3)).prop_map(|(parts, mutations)| {
        let (_, mut bytes) = parts.signed();
        for mutation in mutations {
            let size = bytes.len();
            match mutation {
                Mutation::Set(at, to) => bytes[at.index(size)] = to,
                Mutation::Flip(at, bit) => bytes[at.index(size)] ^= 1 << bit,
                Mutation::Insert(at, to) => bytes.insert(at.index(size), to),
                Mutation::Remove(at) => drop(bytes.remove(at.index(size))),
            }
        }
        (parts.kind, bytes)
    });
    run(7_000, &strategy);
}

proptest! {
    #![proptest_config(Config { cases: 700, failure_persistence: None, ..Config::default() })]
    #[test]
    fn a_signed_record_reads_back_whatever_follows_it(parts in parts(), rest in vec(any::<u8>(), 0..20)) {
        let (record, packed) = parts.signed();
        let bytes = [packed.as_slice(), &rest].concat();
        prop_assert_eq!(Record::unpack(&bytes, true), Ok((record.clone(), packed.len())));
        prop_assert!(Record::unpack(&bytes, false).is_err(), "an account of the other network");
        let signer = key(parts.from).account().expect("a key has an account");
        prop_assert_eq!(record.pack(&signer), Ok(packed.clone()));
        prop_assert_eq!(TxId::of(&record.pack_unchecked()), TxId::of(&packed));
    }

    #[test]
    fn a_record_ends_nowhere_before_its_end(parts in parts(), cut in any::<Index>()) {
        let (_, packed) = parts.signed();
        prop_assert!(Record::unpack(&packed[..cut.index(packed.len())], true).is_err());
    }
}
