use super::*;
use crate::core::block::{Compact, DigestMemory, Header, digest, foundation_id};
use crate::core::chain::DEVNET;
use crate::core::currency::{Currency, Payments, address};
use crate::core::id::AssetId;
use crate::core::ledger::{Item, Ledger};
use crate::core::record::samples::{self, account, key, transfer};
use crate::core::record::{
    AssetData, BlockFoundation, BlockOwnerTransfer, Record, merkle, sign, sign_by_both,
};
use crate::core::state::MemoryStore;

const NOW: u64 = 1_800_000_000;

fn payments() -> Payments {
    let text = |hash| address::encode(111, &[hash; 20]).into_bytes();
    Payments([(Currency::Bitcoin, text(1)), (Currency::Litecoin, text(2))].into())
}

fn asset() -> Vec<u8> {
    let mut record = Record::AssetData(AssetData {
        name: b"The \"house\" <1>".to_vec(),
        fingerprint: b"01fingerprint".to_vec(),
        metadata: b"town\0Bern".to_vec(),
        registrant: account(1),
        signature: Vec::new(),
    });
    sign(&mut record, &key(1)).unwrap()
}

fn issue(nonce: u64) -> Vec<u8> {
    samples::issue("01fingerprint", nonce)
}

fn block_transfer(link: TxId, from: u8, to: u8) -> Vec<u8> {
    let mut record = Record::BlockOwnerTransfer(BlockOwnerTransfer {
        link,
        escrow: None,
        version: 1,
        payments: payments(),
        owner: account(to),
        signature: Vec::new(),
        countersignature: Vec::new(),
    });
    sign_by_both(&mut record, &key(from), &key(to)).unwrap()
}

fn foundation() -> Vec<u8> {
    let mut record = Record::BlockFoundation(BlockFoundation {
        version: 1,
        payments: payments(),
        owner: account(9),
        nonce: 1234,
        signature: Vec::new(),
    });
    sign(&mut record, &key(9)).unwrap()
}

/// A chain with its blocks and its ledger.
struct World {
    store: MemoryStore,
    ledger: Ledger,
}

impl World {
    /// Mines a block with these records.
    fn mine(&mut self, records: Vec<Vec<u8>>) {
        let all: Vec<Vec<u8>> = [vec![foundation()], records].concat();
        let ids: Vec<TxId> = all.iter().map(|packed| TxId::of(packed)).collect();
        let tip = self.ledger.tip();
        let mut header = Header {
            version: 2,
            transaction_count: u16::try_from(all.len()).unwrap(),
            number: tip.number + 1,
            previous_block: tip.digest,
            merkle_root: merkle::root(&ids),
            timestamp: NOW + tip.number,
            difficulty: Compact::ONE,
            nonce: 0,
        };
        let mut memory = DigestMemory::new();
        let digest = loop {
            let digest = digest(&DEVNET.digest, &header.pack(), &mut memory);
            if header.proves(&digest) {
                break digest;
            }
            header.nonce += 1;
        };
        let packed = [header.pack().to_vec(), all.concat()].concat();
        let applied = self
            .ledger
            .apply(&self.store, &packed, digest, NOW + 1000)
            .unwrap();
        self.store.apply(&applied.batch);
    }

    fn made(&self, id: &TxId, from_known: Option<u64>) -> Made {
        make(&self.store, &self.ledger, id, from_known)
    }

    fn known(&self, number: u64) -> Known {
        let digest = self.ledger.digest_of(&self.store, number).unwrap();
        [(number, digest)].into()
    }
}

fn first_id() -> TxId {
    TxId::of(&issue(7))
}

fn last() -> Vec<u8> {
    transfer(TxId::of(&transfer(first_id(), 1, 2)), 2, 3)
}

/// Blocks 2 to 7: asset and issue in 3, transfers in 4 and 6; block 2 is passed on in 6.
fn world() -> World {
    let mut world = World {
        store: MemoryStore::new(),
        ledger: Ledger::empty(&DEVNET),
    };
    world.mine(vec![issue_of_nothing()]);
    world.mine(vec![asset(), issue(6), issue(7)]);
    world.mine(vec![transfer(first_id(), 1, 2)]);
    world.mine(vec![issue(8)]);
    world.mine(vec![
        issue(9),
        last(),
        block_transfer(block_two(&world), 9, 4),
    ]);
    world.mine(vec![issue(10)]);
    world
}

/// A block needs a second record.
fn issue_of_nothing() -> Vec<u8> {
    let mut record = Record::AssetData(AssetData {
        name: b"other".to_vec(),
        fingerprint: b"other".to_vec(),
        metadata: Vec::new(),
        registrant: account(5),
        signature: Vec::new(),
    });
    sign(&mut record, &key(5)).unwrap()
}

fn block_two(world: &World) -> TxId {
    let digest = world.ledger.digest_of(&world.store, 2).unwrap();
    foundation_id(&digest, 2)
}

fn whole() -> Sound {
    world().made(&TxId::of(&last()), None).unwrap()
}

fn verified(text: &str, known: &Known) -> Result<Says, TitleError> {
    verify(text.as_bytes(), known, |_, _| {})
}

#[test]
fn a_title_tells_owner_asset_way_and_height() {
    let mut steps = Vec::new();
    let text = whole().to_text();
    let says = verify(text.as_bytes(), &Known::new(), |done, all| {
        steps.push((done, all));
    })
    .unwrap();
    assert_eq!(steps.first(), Some(&(0, 6)));
    assert_eq!(steps.last(), Some(&(6, 6)));
    assert_eq!(says.owner, account(3));
    assert_eq!(says.item, Item::Asset(AssetId::of(b"01fingerprint")));
    assert_eq!(says.asset.unwrap().metadata, b"town\0Bern");
    assert_eq!((says.issued_in, says.since, says.height), (3, 6, 7));
    assert_eq!(says.transfers, 2);
    assert_eq!(says.issue, first_id());
    assert_eq!(says.transaction, TxId::of(&last()));
    assert_eq!(says.height_time, NOW + 6);
}

#[test]
fn a_title_to_a_block_begins_with_its_foundation() {
    let world = world();
    let foundation = world.made(&block_two(&world), None).unwrap_err();
    assert_eq!(foundation, MakeError::PassedOn(block_two(&world)));
    let passed_on = TxId::of(&block_transfer(block_two(&world), 9, 4));
    let text = world.made(&passed_on, None).unwrap().to_text();
    let says = verified(&text, &Known::new()).unwrap();
    assert_eq!((says.item, says.owner), (Item::Block(2), account(4)));
    assert_eq!((says.issue, says.asset), (block_two(&world), None));
}

#[test]
fn there_is_no_title_to_what_was_passed_on_or_is_in_no_block() {
    let world = world();
    let made = world.made(&first_id(), None).unwrap_err();
    assert_eq!(made, MakeError::PassedOn(first_id()));
    let nowhere = TxId([7; 32]);
    let made = world.made(&nowhere, None).unwrap_err();
    assert_eq!(made, MakeError::Unknown(nowhere));
}

#[test]
fn pieces_of_two_chains_give_no_title() {
    let world = world();
    let id = TxId::of(&last());
    let one = |ask: &Ask| answer(&world.store, &world.ledger, ask).unwrap();
    let mut making = Making::new(id, None);
    let records = one(&making.ask().unwrap());
    assert_eq!(Piece::from_text(&records.to_text()), Some(records.clone()));
    making.take(records.clone()).unwrap();
    assert_eq!(making.ask(), Some(Ask::Headers { from: 2, to: 7 }));
    // Not what was asked for, nothing at all, and more than was asked for.
    let nothing = Piece::Headers {
        packed: Vec::new(),
        digest: BlockDigest([0; 32]),
    };
    let long = Piece::Headers {
        packed: vec![0; 700],
        digest: BlockDigest([0; 32]),
    };
    for piece in [records, nothing, long] {
        assert_eq!(making.clone().take(piece), Err(MakeError::Changed));
    }
    // Block 5 of another chain behind the blocks to 4 of this one.
    making.take(one(&Ask::Headers { from: 2, to: 4 })).unwrap();
    assert_eq!(making.ask(), Some(Ask::Headers { from: 5, to: 7 }));
    let mut other = one(&Ask::Headers { from: 5, to: 7 });
    if let Piece::Headers { packed, .. } = &mut other {
        packed[20] ^= 1;
    }
    assert_eq!(making.clone().take(other), Err(MakeError::Changed));
    assert_eq!(making.clone().finish(), Err(MakeError::Changed));
    making.take(one(&Ask::Headers { from: 5, to: 7 })).unwrap();
    assert_eq!(making.ask(), None);
    let made = making.finish().unwrap();
    assert_eq!(made, world.made(&id, None).unwrap());
}

#[test]
fn no_title_with_another_byte_verifies() {
    let text = whole().to_text();
    for at in 0..text.len() {
        for bits in [0x01, 0x20, 0xff] {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= bits;
            assert!(read(&bytes).is_err(), "byte {at} with {bits:02x}");
        }
        let without = [&text.as_bytes()[..at], &text.as_bytes()[at + 1..]].concat();
        assert!(read(&without).is_err(), "without byte {at}");
        let doubled = [&text.as_bytes()[..=at], &text.as_bytes()[at..]].concat();
        assert!(read(&doubled).is_err(), "byte {at} twice");
        assert!(read(&text.as_bytes()[..at]).is_err(), "cut at {at}");
    }
}

/// Puts the right checksum under a changed title.
fn sealed_again(text: &str) -> String {
    use sha3::{Digest as _, Sha3_256};
    let (front, _) = text.rsplit_once(",\n  \"checksum\": \"").unwrap();
    let sum = hex::encode(Sha3_256::digest(front.as_bytes()));
    format!("{front},\n  \"checksum\": \"{sum}\"\n}}\n")
}

#[test]
fn a_forger_who_mends_the_checksum_gains_nothing() {
    let text = whole().to_text();
    let end = text.rfind(",\n  \"checksum\"").unwrap();
    for at in 0..end {
        let mut bytes = text.clone().into_bytes();
        // A digit stays a digit of hex, so that it is the meaning that changes.
        bytes[at] ^= 0x01;
        let Ok(changed) = String::from_utf8(bytes) else {
            continue;
        };
        let forged = sealed_again(&changed);
        assert!(verified(&forged, &Known::new()).is_err(), "byte {at}");
    }
    for (from, to) in [
        ("\"first\": 2", "\"first\":  2"),
        ("\"first\": 2,", "\"first\": 2.0,"),
        ("\"format\"", "\"Format\""),
        ("\"since\": 6", "\"since\": 5"),
        ("\"height\": 7", "\"height\": 70"),
        ("{\n  \"format\"", "{\n  \"more\": 1,\n  \"format\""),
    ] {
        let forged = sealed_again(&text.replacen(from, to, 1));
        assert_ne!(forged, text, "{from}");
        assert!(verified(&forged, &Known::new()).is_err(), "{from}");
    }
}

#[test]
fn a_known_block_saves_digests_and_must_be_the_same() {
    let world = world();
    let id = TxId::of(&last());
    let whole = world.made(&id, None).unwrap();
    let count = |sound: &Sound, known: &Known| sound.work(known).map(|tasks| tasks.len());
    assert_eq!(count(&whole, &Known::new()), Ok(6));
    // Below the records: what is above it counts. At them or above: from the first record on.
    assert_eq!(count(&whole, &world.known(2)), Ok(5));
    assert_eq!(count(&whole, &world.known(4)), Ok(5));
    assert_eq!(count(&whole, &world.known(7)), Ok(5));
    let other: Known = [(5, BlockDigest([0; 32]))].into();
    assert_eq!(count(&whole, &other), Err(TitleError::NotKnown(5)));
    let genesis: Known = [(1, BlockDigest([0; 32]))].into();
    assert_eq!(count(&whole, &genesis), Err(TitleError::NotKnown(1)));

    // A title that begins higher is shorter, and speaks to who knows that block alone.
    for from in [2, 6] {
        let short = world.made(&id, Some(from)).unwrap();
        assert_eq!(short.title().headers.len(), 5, "from {from}");
        assert!(matches!(
            count(&short, &Known::new()),
            Err(TitleError::NotAnchored { below: 2, .. })
        ));
        assert_eq!(count(&short, &world.known(from)), Ok(5));
        assert!(verified(&short.to_text(), &world.known(from)).is_ok());
    }
}

#[test]
fn a_title_that_ends_below_a_known_block_says_nothing_about_its_chain() {
    let world = world();
    let whole = world.made(&TxId::of(&last()), None).unwrap();
    let mut known = world.known(7);
    assert!(whole.work(&known).is_ok());
    known.insert(9, BlockDigest([7; 32]));
    let below = TitleError::EndsBelow {
        height: 7,
        known: 9,
    };
    assert_eq!(whole.work(&known).err(), Some(below.clone()));
    assert_eq!(verified(&whole.to_text(), &known).err(), Some(below));
}

#[test]
fn a_made_up_header_is_found_by_its_digest_alone() {
    let mut title = whole().title;
    // The last header is linked by nothing but the digest beside it.
    let header = title.headers.last_mut().unwrap();
    header[99] ^= 1;
    let text = title.check().unwrap().to_text();
    assert_eq!(verified(&text, &Known::new()), Err(TitleError::Digest(7)));
}

#[test]
fn records_follow_one_another_are_signed_and_in_their_blocks() {
    type Damage = fn(&mut Title);
    let damages: [(Damage, TitleError); 12] = [
        (|t| drop(t.records.remove(2)), TitleError::NotFollowing(2)),
        (
            |t| drop(t.records.remove(0)),
            TitleError::Kind(0, "BitmarkIssue"),
        ),
        (
            |t| drop(t.records.remove(1)),
            TitleError::Kind(1, "BitmarkTransferUnratified"),
        ),
        (|t| t.records.truncate(1), TitleError::NotFollowing(1)),
        (|t| t.records[2].block = 5, TitleError::NotInBlock(2, 5)),
        (|t| t.records[2].block = 1, TitleError::NoHeader(2, 1)),
        (|t| t.records[2].block = 8, TitleError::NoHeader(2, 8)),
        (|t| t.records[1].index = 2, TitleError::NotInBlock(1, 3)),
        (
            |t| t.records[1].path[0] = TxId([0; 32]),
            TitleError::NotInBlock(1, 3),
        ),
        (
            |t| t.records[1].packed.push(0),
            TitleError::Record(1, crate::core::record::RecordError::NotTransactionPack),
        ),
        (
            |t| t.digest = BlockDigest([0xff; 32]),
            TitleError::NoWork(7),
        ),
        (|t| t.first = u64::MAX, TitleError::HeaderNumber(u64::MAX)),
    ];
    let title = whole().title;
    for (at, (damage, expected)) in damages.into_iter().enumerate() {
        let mut title = title.clone();
        damage(&mut title);
        assert_eq!(title.check().map(|_| ()), Err(expected), "damage {at}");
    }
}

#[test]
fn a_record_that_somebody_else_signed_gives_no_title() {
    // Block 4 as a forger would have it, with the work in it.
    let forged = transfer(first_id(), 4, 4);
    let mut title = whole().title;
    title.records.truncate(2);
    title.headers.truncate(2);
    let (below, _) = Header::unpack(&title.headers[1]).unwrap();
    let mut memory = DigestMemory::new();
    let mut digest_of = |packed: [u8; 100]| digest(&DEVNET.digest, &packed, &mut memory);
    let previous_block = digest_of(title.headers[1]);
    let ids = [TxId::of(&foundation()), TxId::of(&forged)];
    let mut header = Header {
        number: 4,
        previous_block,
        merkle_root: merkle::root(&ids),
        transaction_count: 2,
        nonce: 0,
        ..below
    };
    title.digest = loop {
        let digest = digest_of(header.pack());
        if header.proves(&digest) {
            break digest;
        }
        header.nonce += 1;
    };
    title.headers.push(header.pack());
    title.records.push(Entry {
        block: 4,
        index: 1,
        packed: forged,
        path: merkle::path(&ids, 1).unwrap(),
    });
    assert!(matches!(
        title.check().map(|_| ()),
        Err(TitleError::Record(2, e)) if e.is_signature()
    ));
}

#[test]
fn bounds_are_looked_at_first() {
    let long = vec![b' '; TEXT_MAX + 1];
    assert_eq!(read(&long).map(|_| ()), Err(TitleError::TooLong));
    let whole = whole().title;
    let mut title = whole.clone();
    let header = title.headers[0];
    title.headers.resize(HEADERS_MAX + 1, header);
    assert!(matches!(
        title.check().map(|_| ()),
        Err(TitleError::Count {
            what: "headers",
            ..
        })
    ));
    let mut title = whole.clone();
    title
        .records
        .resize(RECORDS_MAX + 1, title.records[0].clone());
    assert!(matches!(
        title.check().map(|_| ()),
        Err(TitleError::Count {
            what: "records",
            ..
        })
    ));
    let mut title = whole.clone();
    title.records[0].packed.resize(RECORD_BYTES_MAX + 1, 0);
    assert!(matches!(
        title.check().map(|_| ()),
        Err(TitleError::Count {
            what: "bytes in a record",
            ..
        })
    ));
}
