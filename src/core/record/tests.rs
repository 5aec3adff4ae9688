//! Rules of records, both sides of each limit; a sample of every kind.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::core::currency::{Currency, Payment, Payments, address};
use crate::core::id::{AssetId, TxId};
use crate::core::keys::{Account, PrivateKey, PublicKey};

pub fn key(number: u8) -> PrivateKey {
    PrivateKey::from_ed25519_seed(&[number; 32], true)
}

fn account(number: u8) -> Account {
    key(number).account().expect("an Ed25519 key has one")
}

fn nobody() -> Account {
    Account::ed25519([0; 32], true)
}

fn coin(version: u8) -> Vec<u8> {
    address::encode(version, &[9; 20]).into_bytes()
}

fn payments() -> Payments {
    Payments(BTreeMap::from([
        (Currency::Bitcoin, coin(111)),
        (Currency::Litecoin, coin(196)),
    ]))
}

fn escrow(version: u8) -> Payment {
    Payment {
        currency: Currency::Bitcoin,
        address: coin(version),
        amount: 70_000,
    }
}

fn base() -> BaseData {
    BaseData {
        currency: Currency::Bitcoin,
        payment_address: coin(111),
        owner: account(1),
        nonce: u64::MAX,
        signature: Vec::new(),
    }
}

fn asset(name: &str, fingerprint: &str, metadata: &str) -> AssetData {
    AssetData {
        name: name.into(),
        fingerprint: fingerprint.into(),
        metadata: metadata.into(),
        registrant: account(1),
        signature: Vec::new(),
    }
}

fn issue() -> BitmarkIssue {
    BitmarkIssue {
        asset_id: AssetId::of(b"fingerprint"),
        owner: account(1),
        nonce: 99,
        signature: Vec::new(),
    }
}

fn unratified(escrow: Option<Payment>) -> BitmarkTransferUnratified {
    BitmarkTransferUnratified {
        link: TxId([3; 32]),
        escrow,
        owner: account(2),
        signature: Vec::new(),
    }
}

fn countersigned(escrow: Option<Payment>) -> BitmarkTransferCountersigned {
    BitmarkTransferCountersigned {
        link: TxId([3; 32]),
        escrow,
        owner: account(2),
        signature: Vec::new(),
        countersignature: Vec::new(),
    }
}

fn foundation() -> BlockFoundation {
    BlockFoundation {
        version: 1,
        payments: payments(),
        owner: account(1),
        nonce: 1234,
        signature: Vec::new(),
    }
}

fn owner_transfer() -> BlockOwnerTransfer {
    BlockOwnerTransfer {
        link: TxId([3; 32]),
        escrow: Some(escrow(111)),
        version: 1,
        payments: payments(),
        owner: account(2),
        signature: Vec::new(),
        countersignature: Vec::new(),
    }
}

/// Signed records of every kind with their bytes; key 1 signs, key 2 countersigns.
pub fn samples() -> Vec<(Record, Vec<u8>)> {
    let records = [
        Record::BaseData(base()),
        Record::AssetData(asset("name", "fingerprint", "k\0v")),
        Record::BitmarkIssue(issue()),
        Record::BitmarkTransferUnratified(unratified(None)),
        Record::BitmarkTransferUnratified(unratified(Some(escrow(111)))),
        Record::BitmarkTransferCountersigned(countersigned(None)),
        Record::BitmarkTransferCountersigned(countersigned(Some(escrow(196)))),
        Record::BlockFoundation(foundation()),
        Record::BlockOwnerTransfer(owner_transfer()),
    ];
    let signed = records.map(|mut record| {
        let packed = if record.countersignature().is_some() {
            sign_by_both(&mut record, &key(1), &key(2))
        } else {
            sign(&mut record, &key(1))
        };
        (record, packed.expect("a sample is valid"))
    });
    signed.to_vec()
}

/// The text with which a record signed by key 1 is refused.
fn refusal(mut record: Record) -> String {
    sign(&mut record, &key(1)).unwrap_err().to_string()
}

#[test]
fn a_packed_record_unpacks_to_itself() {
    for (record, packed) in samples() {
        let size = packed.len();
        assert_eq!(Record::unpack(&packed, true), Ok((record.clone(), size)));
        assert_eq!(record.pack(&account(1)), Ok(packed.clone()));
        assert_eq!(record.pack_unchecked(), packed);
        assert_eq!(packed.first().copied().map(u64::from), Some(record.tag()));
    }
}

#[test]
fn sizes_are_those_of_the_notes() {
    let sizes: Vec<usize> = samples().iter().map(|(_, packed)| packed.len()).collect();
    assert_eq!((sizes[2], sizes[3], sizes[5]), (166, 134, 199));
}

#[test]
fn texts_are_limited_in_characters_and_not_in_bytes() {
    for (record, expected) in [
        (asset("", "f", ""), "name too short"),
        (asset(&"é".repeat(65), "f", ""), "name too long"),
        (asset("n", "", ""), "fingerprint too short"),
        (asset("n", &"é".repeat(1025), ""), "fingerprint too long"),
        (asset("n", "f", &"é".repeat(2049)), "metadata too long"),
        (asset("n", "f", &"é".repeat(2048)), "metadata is not map"),
        (asset("", "", "k"), "name too short"),
    ] {
        assert_eq!(refusal(Record::AssetData(record)), expected);
    }
    let metadata = format!("k\0{}", "é".repeat(2046));
    let longest = asset(&"é".repeat(64), &"é".repeat(1024), &metadata);
    assert!(sign(&mut Record::AssetData(longest), &key(1)).is_ok());
}

#[test]
fn each_stray_byte_of_a_name_counts() {
    let mut record = asset("", "f", "");
    record.name = [0xe4, 0xb8].repeat(32);
    assert!(sign(&mut Record::AssetData(record.clone()), &key(1)).is_ok());
    record.name.push(b'x');
    assert_eq!(refusal(Record::AssetData(record)), "name too long");
}

#[test]
fn a_signature_beyond_1024_bytes_is_refused_before_all_else() {
    let mut record = issue();
    record.owner = nobody();
    record.signature = vec![0; 1025];
    let refused = Record::BitmarkIssue(record.clone()).pack(&account(1));
    assert_eq!(refused, Err(RecordError::SignatureTooLong));
    record.owner = account(1);
    record.signature = vec![0; 1024];
    let refused = Record::BitmarkIssue(record).pack(&account(1));
    assert_eq!(refused.unwrap_err().to_string(), "invalid signature");
}

#[test]
fn only_the_countersigned_transfer_limits_its_countersignature() {
    let mut record = countersigned(None);
    record.countersignature = vec![0; 1025];
    let record = Record::BitmarkTransferCountersigned(record);
    assert_eq!(refusal(record), "signature too long");
    let mut record = owner_transfer();
    record.countersignature = vec![0; 1025];
    let record = Record::BlockOwnerTransfer(record);
    assert_eq!(refusal(record), "invalid signature");
}

#[test]
fn a_zero_owner_is_refused_but_for_an_unratified_transfer() {
    let mut gone = unratified(None);
    gone.owner = nobody();
    assert!(sign(&mut Record::BitmarkTransferUnratified(gone), &key(1)).is_ok());
    let mut record = countersigned(None);
    record.owner = nobody();
    let record = Record::BitmarkTransferCountersigned(record);
    assert_eq!(refusal(record), "invalid owner or registrant");
    let mut record = asset("", "", "");
    record.registrant = nobody();
    let record = Record::AssetData(record);
    assert_eq!(refusal(record), "invalid owner or registrant");
}

#[test]
fn nobody_signs_a_transfer() {
    for (record, _) in samples() {
        assert_eq!(record.pack(&nobody()), Err(RecordError::InvalidOwner));
    }
}

#[test]
fn an_unratified_transfer_may_go_to_a_key_that_proves_nothing() {
    let nothing = Account {
        testing: true,
        key: PublicKey::Nothing([1, 2]),
    };
    let mut record = unratified(None);
    record.owner = nothing;
    assert!(sign(&mut Record::BitmarkTransferUnratified(record), &key(1)).is_ok());
    let mut record = countersigned(None);
    record.owner = nothing;
    let mut record = Record::BitmarkTransferCountersigned(record);
    let refused = sign_by_both(&mut record, &key(1), &key(2)).unwrap_err();
    assert!(refused.is_signature());
}

#[test]
fn an_escrow_is_of_the_signers_network_and_checked_after_the_payments() {
    let record = Record::BitmarkTransferUnratified(unratified(Some(escrow(0))));
    assert_eq!(refusal(record), "bitcoin address for wrong network");
    let mut record = owner_transfer();
    record.escrow = Some(escrow(0));
    record.version = 2;
    let record = Record::BlockOwnerTransfer(record);
    assert_eq!(refusal(record), "invalid Payment version");
}

#[test]
fn the_new_owner_countersigns_message_and_signature() {
    let mut record = Record::BitmarkTransferCountersigned(countersigned(None));
    let signer = account(1);
    assert_eq!(
        record.unsigned(&signer),
        Ok(Some(Unsigned::ToSign(record.message())))
    );
    sign_first(&mut record, &key(1));
    let message = [&record.message()[..], &[64], record.signature()].concat();
    assert_eq!(
        record.unsigned(&signer),
        Ok(Some(Unsigned::ToCountersign(message)))
    );
    sign_second(&mut record, &key(1));
    assert!(record.pack(&signer).unwrap_err().is_signature());
    sign_second(&mut record, &key(2));
    assert_eq!(record.unsigned(&signer), Ok(None));
    assert!(record.pack(&signer).is_ok());
}

#[test]
fn a_record_follows_only_the_kinds_of_the_notes() {
    let permitted: [(u64, &[u64]); 3] = [(4, &[3, 4, 5]), (5, &[3, 4, 5]), (7, &[1, 6, 7])];
    for (record, _) in samples() {
        for (linked, _) in samples() {
            let expected = permitted
                .iter()
                .any(|(tag, after)| *tag == record.tag() && after.contains(&linked.tag()));
            assert_eq!(record.may_follow(&linked), expected);
        }
    }
}

#[test]
fn the_texts_of_refusals_are_the_references() {
    for (error, text) in [
        (RecordError::NotTransactionPack, "not transaction pack"),
        (RecordError::WrongNetwork, "wrong network for public key"),
        (RecordError::SignatureTooLong, "signature too long"),
        (RecordError::InvalidOwner, "invalid owner or registrant"),
        (RecordError::NameTooShort, "name too short"),
        (RecordError::NameTooLong, "name too long"),
        (RecordError::FingerprintTooShort, "fingerprint too short"),
        (RecordError::FingerprintTooLong, "fingerprint too long"),
        (RecordError::MetadataTooLong, "metadata too long"),
        (RecordError::MetadataIsNotMap, "metadata is not map"),
    ] {
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn json_escapes_what_the_reference_escapes_and_loses_stray_bytes() {
    let mut record = asset("<&>\u{2028}\"\\", "f", "k\0v");
    record.fingerprint = vec![b'a', 0xe4, 0xb8];
    let text = Record::AssetData(record).to_json();
    let start = concat!(
        r#"{"name":"\u003c\u0026\u003e\u2028\"\\","#,
        r#""fingerprint":"a\ufffd\ufffd","metadata":"k\u0000v","registrant":""#,
    );
    assert!(text.starts_with(start), "{text}");
}

#[test]
fn json_is_read_with_names_in_any_case_and_without_members() {
    let draft = Draft::from_json("BitmarkIssue", r#"{"NONCE":7,"x":[],"signature":null}"#).unwrap();
    assert!(
        draft
            .to_json()
            .ends_with(r#""owner":null,"nonce":7,"signature":""}"#)
    );
    assert_eq!(draft.into_record(), Err(RecordError::InvalidOwner));
    for (kind, text) in [
        ("BitmarkIssue", r#"{"nonce":"7"}"#),
        ("BlockFoundation", r#"{"nonce":7}"#),
        ("AssetData", r#"{"name":7}"#),
        ("AssetData", "[]"),
        ("AssetData", "{"),
        ("Nothing", "{}"),
    ] {
        let refused = Draft::from_json(kind, text).unwrap_err().to_string();
        assert!(refused.starts_with("json: "), "{refused}");
    }
}

#[test]
fn a_draft_without_owner_and_with_a_long_signature_is_refused_for_the_signature() {
    let text = format!(r#"{{"signature":"{}"}}"#, "00".repeat(1025));
    let refused = Record::from_json("BitmarkIssue", &text);
    assert_eq!(refused, Err(RecordError::SignatureTooLong));
}

#[test]
fn records_come_back_from_their_json() {
    for (record, _) in samples() {
        let again = Record::from_json(record.type_name(), &record.to_json());
        assert_eq!(again, Ok(record));
    }
}

proptest! {
    #[test]
    fn any_valid_asset_packs_and_unpacks(
        name in ".{1,64}", fingerprint in ".{1,200}", values in proptest::collection::vec("[^\0]{1,9}", 0..6),
    ) {
        let pairs = values.iter().map(|value| ("key", value));
        let metadata = metadata::from_pairs(pairs);
        let mut record = asset(&name, &fingerprint, "");
        record.metadata = metadata;
        let mut record = Record::AssetData(record);
        let packed = sign(&mut record, &key(1)).unwrap();
        let size = packed.len();
        prop_assert_eq!(Record::unpack(&packed, true), Ok((record.clone(), size)));
        prop_assert_eq!(Record::from_json("AssetData", &record.to_json()), Ok(record));
    }

    #[test]
    fn any_transfer_packs_and_unpacks(link: [u8; 32], amount: u64, hash: [u8; 20], escrowed: bool) {
        let address = address::encode(111, &hash).into_bytes();
        let payment = Payment { currency: Currency::Litecoin, address, amount };
        let mut record = countersigned(escrowed.then_some(payment));
        record.link = TxId(link);
        let mut record = Record::BitmarkTransferCountersigned(record);
        let packed = sign_by_both(&mut record, &key(1), &key(2)).unwrap();
        let size = packed.len();
        prop_assert_eq!(Record::unpack(&packed, true), Ok((record, size)));
    }
}
