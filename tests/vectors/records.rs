//! `records.json`: records packed, verified, unpacked, cut short, and in JSON.

use bitmarkd::core::id::{self, AssetId, TxId};
use bitmarkd::core::keys::{Account, PrivateKey, PublicKey};
use bitmarkd::core::record::{self, Draft, Record, RecordError, Unsigned};
use bitmarkd::core::wire::cursor::Cursor;
use serde_json::{Value, json};

use crate::harness::{self, Case};

/// The reference reads a payment map's last address into the next field.
const PAYMENTS_END: &str = "payments-end-with-their-field";
/// Longest field of bytes.
const MOST: u64 = 8192;

#[test]
fn records() {
    harness::run("records.json", |case| match case.text("operation") {
        "pack" if case.has("signer") => pack_signed(case),
        "pack" => pack_refused(case),
        "unpack" => unpack(case),
        "unpack_every_prefix" => unpack_every_prefix(case),
        "from_json" => from_json(case),
        "packed_from_text" => {
            let read = id::bytes_from_hex(case.text("text").as_bytes());
            case.expect("error", error(&read));
            if let Ok(bytes) = read {
                case.expect("bytes", hex::encode(&bytes));
                case.expect("text_out", hex::encode(&bytes));
            }
        }
        other => case.fail("operation", format!("{other} is unknown")),
    });
}

fn error<T, E: ToString>(result: &Result<T, E>) -> Value {
    json!(result.as_ref().err().map(ToString::to_string))
}

fn strings(record: &mut Record) -> Vec<(&'static str, &mut Vec<u8>)> {
    match record {
        Record::BaseData(r) => vec![("paymentAddress", &mut r.payment_address)],
        Record::AssetData(r) => vec![
            ("name", &mut r.name),
            ("fingerprint", &mut r.fingerprint),
            ("metadata", &mut r.metadata),
        ],
        _ => Vec::new(),
    }
}

/// The record of a case: its JSON, and the texts as bytes where JSON may have lost some.
fn record_of(case: &Case) -> Result<Record, RecordError> {
    let given = case.input("string_fields_hex").as_object();
    let mut record = Record::from_json(case.text("record"), case.text("fields_json"))?;
    let Some(given) = given else {
        return Ok(record);
    };
    let mut fields = strings(&mut record);
    for (name, bytes) in given {
        match fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, field)) => **field = hex::decode(bytes.as_str().unwrap()).unwrap(),
            None => case.fail("string_fields_hex", format!("{name} is unknown")),
        }
    }
    Ok(record)
}

fn expect_fields(case: &Case, mut record: Record) {
    case.expect("record", record.type_name());
    case.expect("fields_json", record.to_json());
    if case.has("string_fields_hex") {
        let fields: serde_json::Map<String, Value> = strings(&mut record)
            .into_iter()
            .map(|(name, bytes)| (name.to_owned(), json!(hex::encode(bytes))))
            .collect();
        case.expect("string_fields_hex", fields);
    }
}

/// A key that a case describes, its other fields compared with what the seed makes.
fn key(case: &Case, field: &str, testing: bool) -> PrivateKey {
    let given = case.input(field);
    let text = |name: &str| given[name].as_str().unwrap_or_default();
    let seed = hex::decode(text("ed25519_seed")).unwrap();
    let key = PrivateKey::from_ed25519_seed(&seed.try_into().unwrap(), testing);
    let account = key.account().expect("an Ed25519 key has an account");
    let PublicKey::Ed25519(public) = account.key else {
        panic!("an Ed25519 key has another kind of account");
    };
    for (name, got) in [
        ("public_key", hex::encode(public)),
        ("account", account.to_string()),
        ("account_bytes", hex::encode(account.to_bytes())),
    ] {
        case.expect_value(&format!("{field}.{name}"), &given[name], &json!(got));
    }
    for name in given.as_object().unwrap().keys() {
        let known = [
            "label",
            "ed25519_seed",
            "public_key",
            "account",
            "account_bytes",
        ];
        if !known.contains(&name.as_str()) {
            case.fail(&format!("{field}.{name}"), "this field was not compared");
        }
    }
    key
}

/// A valid record: verified as it stands, signed anew from its parts, and unpacked again.
fn pack_signed(case: &Case) {
    let testing = case.input("testnet").as_bool().unwrap();
    let from = key(case, "signer", testing);
    let to = case
        .has("countersigner")
        .then(|| key(case, "countersigner", testing));
    let signer = from.account().unwrap();
    let given = match record_of(case) {
        Ok(given) => given,
        Err(error) => return case.fail("fields_json", error),
    };
    let packed = given.pack(&signer);
    case.expect("error", error(&packed));
    let Ok(packed) = packed else { return };
    case.expect("packed", hex::encode(&packed));
    case.expect("packed_length", packed.len());
    case.expect("tag", given.tag());
    case.expect("message_to_sign", hex::encode(given.message()));
    if to.is_some() || case.has("message_to_countersign") {
        let message = hex::encode(given.countersign_message());
        case.expect("message_to_countersign", message);
    }
    case.expect("tx_id", TxId::of(&packed).to_string());
    case.expect("tx_id_display_text", TxId::of(&packed).display());
    if let Record::AssetData(asset) = &given {
        case.expect("asset_id", AssetId::of(&asset.fingerprint).to_string());
    }
    sign_anew(case, &given, &from, to.as_ref(), &packed);
    case.expect("packed", hex::encode(given.pack_unchecked()));

    match Record::unpack(&packed, testing) {
        Ok((read, used)) => {
            case.expect("unpack_used", used);
            if read != given {
                case.fail("packed", "unpacks to another record");
            }
            expect_fields(case, read);
        }
        Err(error) => case.fail("packed", format!("does not unpack: {error}")),
    }
    let other = Record::unpack(&packed, !testing);
    case.expect("unpack_other_network_error", error(&other));
}

/// What a client does: sign, perhaps countersign; the steps still missing are told on the way.
fn sign_anew(
    case: &Case,
    given: &Record,
    from: &PrivateKey,
    to: Option<&PrivateKey>,
    packed: &[u8],
) {
    let signer = from.account().unwrap();
    let mut record = given.clone();
    blank(&mut record);
    let expected = Ok(Some(Unsigned::ToSign(given.message())));
    if record.unsigned(&signer) != expected {
        case.fail("message_to_sign", "is not what an unsigned record asks for");
    }
    record::sign_first(&mut record, from);
    if let Some(to) = to {
        let expected = Ok(Some(Unsigned::ToCountersign(given.countersign_message())));
        if record.unsigned(&signer) != expected {
            case.fail("message_to_countersign", "is not what the record asks for");
        }
        record::sign_second(&mut record, to);
    }
    if record.unsigned(&signer) != Ok(None) {
        case.fail("packed", "a signed record asks for more signatures");
    }
    case.expect("packed", hex::encode(record.pack_unchecked()));
    blank(&mut record);
    let whole = match to {
        Some(to) => record::sign_by_both(&mut record, from, to),
        None => record::sign(&mut record, from),
    };
    if whole.as_deref() != Ok(packed) {
        case.fail("packed", "is not what signing in one step gives");
    }
}

fn blank(record: &mut Record) {
    match record {
        Record::BaseData(r) => r.signature.clear(),
        Record::AssetData(r) => r.signature.clear(),
        Record::BitmarkIssue(r) => r.signature.clear(),
        Record::BitmarkTransferUnratified(r) => r.signature.clear(),
        Record::BitmarkTransferCountersigned(r) => {
            r.signature.clear();
            r.countersignature.clear();
        }
        Record::BlockFoundation(r) => r.signature.clear(),
        Record::BlockOwnerTransfer(r) => {
            r.signature.clear();
            r.countersignature.clear();
        }
    }
}

/// An account of a case. `pack` of ours always has a signer; the one that nobody can be stands
/// for a missing one.
fn account(case: &Case, field: &str) -> Account {
    let nobody = Account::ed25519([0; 32], true);
    let text = case.input(field).as_str();
    text.map_or(nobody, |text| text.parse().unwrap())
}

fn pack_refused(case: &Case) {
    let signer = account(case, "signer_account");
    let record = record_of(case);
    let packed = record.clone().and_then(|record| record.pack(&signer));
    case.expect("error", error(&packed));
    // Only a wrong signature hands the bytes back that had to be signed.
    let returned = match (&packed, record) {
        (Ok(packed), _) => packed.clone(),
        (Err(error), Ok(record)) if error.is_signature() => match record.unsigned(&signer) {
            Ok(Some(Unsigned::ToSign(bytes) | Unsigned::ToCountersign(bytes))) => bytes,
            other => return case.fail("returned_bytes", format!("unexpected {other:?}")),
        },
        _ => Vec::new(),
    };
    case.expect("returned_bytes", hex::encode(returned));
}

fn unpack(case: &Case) {
    let bytes = case.bytes("bytes");
    let testing = case.input("testnet").as_bool().unwrap();
    let read = Record::unpack(&bytes, testing);
    if has_cut_payment(&bytes) {
        return case.deviates(PAYMENTS_END, "error", error(&read), "invalid count");
    }
    case.expect("error", error(&read));
    let Ok((record, used)) = read else { return };
    case.expect("used", used);
    expect_fields(case, record.clone());
    let received = TxId::of(&bytes[..used]).to_string();
    for field in ["tx_id", "tx_id_of_used_bytes"] {
        if case.has(field) {
            case.expect(field, received.clone());
        }
    }
    if !case.has("repack_signer_account") {
        return;
    }
    let packed = record.pack(&account(case, "repack_signer_account"));
    case.expect("repack_error", error(&packed));
    let Ok(packed) = packed else { return };
    for (field, got) in [
        ("repacked", json!(hex::encode(&packed))),
        ("tx_id_of_repacked", json!(TxId::of(&packed).to_string())),
        ("repacked_is_identical", json!(packed == bytes[..used])),
    ] {
        if case.has(field) {
            case.expect(field, got);
        }
    }
}

/// Whether the payments field ends inside the last of its addresses.
fn has_cut_payment(bytes: &[u8]) -> bool {
    payments_of(bytes).is_some_and(|map| {
        let mut entries = Cursor::new(map);
        while entries.varint().is_some() {
            match entries.clipped(1, 255).map(usize::try_from) {
                Some(Ok(length)) if length > entries.remaining() => return true,
                Some(Ok(length)) => drop(entries.take(length)),
                _ => return false,
            }
        }
        false
    })
}

fn payments_of(bytes: &[u8]) -> Option<&[u8]> {
    let mut fields = Cursor::new(bytes);
    match fields.varint()? {
        6 => {}
        7 => {
            fields.field(1, MOST)?;
            if fields.byte()? == 1 {
                fields.varint()?;
                fields.field(1, MOST)?;
                fields.varint()?;
            }
        }
        _ => return None,
    }
    fields.varint()?;
    fields.field(1, MOST)
}

fn unpack_every_prefix(case: &Case) {
    let bytes = case.bytes("bytes");
    let testing = case.input("testnet").as_bool().unwrap();
    let whole = Record::unpack(&bytes, testing).map(|(_, used)| used);
    case.expect("full_length", whole.unwrap_or_default());
    let mut listed = Vec::new();
    for refusal in case.input("refusals").as_array().unwrap() {
        for range in refusal["lengths"].as_str().unwrap().split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let ends = [first, last].map(|end| end.trim().parse::<usize>().unwrap());
            for length in ends[0]..=ends[1] {
                let got = Record::unpack(&bytes[..length], testing);
                let path = format!("refusals at {length}");
                case.expect_value(&path, &refusal["error"], &error(&got));
                listed.push(length);
            }
        }
    }
    listed.sort_unstable();
    if !listed.into_iter().eq(0..bytes.len()) {
        case.fail("refusals", "do not list every proper prefix once");
    }
}

fn from_json(case: &Case) {
    let read = Draft::from_json(case.text("record"), case.text("json_in"));
    let recorded = case.input("error").as_str().unwrap_or_default();
    if recorded.starts_with("json: ") {
        // The rest of these texts belongs to the reference's language (section 9).
        let ours = error(&read);
        let start = ours.as_str().and_then(|text| text.get(..6));
        case.expect_value("error", &json!("json: "), &json!(start));
        return;
    }
    case.expect("error", error(&read));
    if let Ok(draft) = read {
        case.expect("json_out", draft.to_json());
    }
}
