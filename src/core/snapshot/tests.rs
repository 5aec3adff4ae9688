//! What is written reads back, and nothing else does.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::core::block::{Compact, Header};
use crate::core::id::{BlockDigest, TxId};
use crate::core::keys::{Account, PrivateKey};
use crate::core::ledger::keys;

type Entries = BTreeMap<(u8, Vec<u8>), Vec<u8>>;

fn digest(number: u64) -> BlockDigest {
    let mut digest = [7; 32];
    digest[..8].copy_from_slice(&number.to_le_bytes());
    BlockDigest(digest)
}

fn block(number: u64, more: &[u8]) -> Vec<u8> {
    let header = Header {
        version: 2,
        transaction_count: 1,
        number,
        previous_block: digest(number - 1),
        merkle_root: TxId([1; 32]),
        timestamp: 1,
        difficulty: Compact::ONE,
        nonce: 0,
    };
    [&header.pack(), more].concat()
}

/// What a store of this height holds, with other entries besides.
fn entries(height: u64, others: &[(u8, Vec<u8>, Vec<u8>)]) -> Entries {
    let mut all = Entries::new();
    let mut put = |pool: Pool, key: &[u8], value: &[u8]| {
        all.insert((pool.prefix(), key.to_vec()), value.to_vec());
    };
    for (which, key, value) in others {
        let pools = [
            Pool::Assets,
            Pool::OwnerDigest,
            Pool::Transactions,
            Pool::OwnerCount,
        ];
        put(pools[usize::from(*which) % pools.len()], key, value);
    }
    for number in 2..=height {
        put(
            Pool::Blocks,
            &keys::block(number),
            &block(number, b"records"),
        );
        put(Pool::BlockDigest, &keys::block(number), &digest(number).0);
        if number + UNDO_BLOCKS > height {
            put(Pool::Undo, &keys::block(number), b"undo");
        }
    }
    all
}

fn pool(prefix: u8) -> Pool {
    POOLS
        .into_iter()
        .find(|pool| pool.prefix() == prefix)
        .unwrap()
}

fn write(height: u64, entries: &Entries) -> (Vec<u8>, Manifest) {
    let mut out = Vec::new();
    let mut writer = Writer::new("devnet", height, digest(height), &mut out);
    for ((prefix, key), value) in entries {
        writer.entry(pool(*prefix), key, value, &mut out).unwrap();
    }
    let manifest = writer.finish(&mut out);
    (out, manifest)
}

fn read(bytes: &[u8]) -> Result<(Manifest, Entries), SnapshotError> {
    let mut found = Entries::new();
    let manifest = read_whole(bytes, |pool, key, value| {
        found.insert((pool.prefix(), key.to_vec()), value.to_vec());
    })?;
    Ok((manifest, found))
}

fn other() -> impl Strategy<Value = (u8, Vec<u8>, Vec<u8>)> {
    let long = 0..3 * CHUNK_BYTES / 2;
    let value = prop_oneof![
        9 => proptest::collection::vec(any::<u8>(), 0..200),
        1 => (any::<u8>(), long).prop_map(|(byte, length)| vec![byte; length]),
    ];
    (
        any::<u8>(),
        proptest::collection::vec(any::<u8>(), 0..40),
        value,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn what_is_written_is_read_back_and_its_manifest_says_what_it_is(
        height in 2..200_u64,
        others in proptest::collection::vec(other(), 0..60),
    ) {
        let entries = entries(height, &others);
        let (bytes, written) = write(height, &entries);
        let (manifest, found) = read(&bytes).unwrap();
        prop_assert_eq!(&manifest, &written);
        prop_assert_eq!(manifest.entries(), entries.len() as u64);
        prop_assert_eq!(Manifest::unpack(&manifest.pack()), Ok(manifest.clone()));
        let largest = manifest.chunks().map(|(_, chunk)| chunk.bytes).max().unwrap();
        prop_assert!(largest <= 2 * CHUNK_BYTES as u32);
        prop_assert_eq!(found, entries);
        prop_assert_eq!(manifest.hash().to_string().parse(), Ok(manifest.hash()));
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes);
        let _ = Manifest::unpack(&bytes);
        let _ = Signatures::read(&String::from_utf8_lossy(&bytes));
        let head = [super::frames::head().as_slice(), &bytes].concat();
        prop_assert!(read(&head).is_err());
    }

    #[test]
    fn whatever_is_damaged_it_is_refused(at in any::<prop::sample::Index>(), by in 1..=255_u8) {
        let (bytes, manifest) = write(9, &entries(9, &[]));
        let mut changed = bytes;
        let at = at.index(changed.len());
        changed[at] ^= by;
        // Who trusts the hash takes nothing else.
        let read = read(&changed).map(|(read, _)| read.hash());
        prop_assert_ne!(read, Ok(manifest.hash()));
    }
}

#[test]
fn every_byte_counts() {
    let (bytes, manifest) = write(5, &entries(5, &[(0, b"key".to_vec(), b"value".to_vec())]));
    for at in 0..bytes.len() {
        for by in [1, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[at] ^= by;
            let read = read(&changed).map(|(read, _)| read.hash());
            assert_ne!(read, Ok(manifest.hash()), "byte {at}");
        }
    }
}

#[test]
fn a_file_that_ends_too_early_or_too_late_says_where() {
    let (bytes, _) = write(5, &entries(5, &[]));
    for cut in 0..bytes.len() {
        let error = read(&bytes[..cut]).unwrap_err();
        assert_eq!(error, SnapshotError::CutOff(cut as u64));
    }
    let longer = [bytes.as_slice(), b"x"].concat();
    let error = read(&longer).unwrap_err();
    assert_eq!(error, SnapshotError::Trailing(bytes.len() as u64));
}

#[test]
fn a_damaged_chunk_is_named() {
    let entries = entries(5, &[(0, b"key".to_vec(), b"value".to_vec())]);
    let (mut bytes, manifest) = write(5, &entries);
    let first = manifest.sections[0].chunks[0];
    // The second chunk is that of the blocks.
    let at = HEAD_BYTES + 2 * FRAME_BYTES + first.bytes as usize + 20;
    bytes[at] ^= 1;
    let error = read(&bytes).unwrap_err();
    assert_eq!(
        error.to_string(),
        "chunk 1 (blocks) is damaged: it is not the one of the manifest"
    );
}

#[test]
fn another_kind_of_file_and_another_version_are_told_apart() {
    let (bytes, _) = write(5, &entries(5, &[]));
    assert_eq!(
        read(b"a file of something else").unwrap_err(),
        SnapshotError::NoSnapshot
    );
    let mut newer = bytes;
    newer[MAGIC.len() + 1] = 9;
    assert_eq!(read(&newer).unwrap_err(), SnapshotError::Version(9));
}

/// The writer's bytes of a snapshot of this height with these entries, whatever they are.
fn refused(height: u64, entries: &Entries) -> String {
    read(&write(height, entries).0).unwrap_err().to_string()
}

#[test]
fn a_manifest_that_commits_to_nonsense_is_refused_all_the_same() {
    let whole = entries(200, &[]);
    let key = |pool: Pool, number: u64| (pool.prefix(), keys::block(number).to_vec());
    let mut missing = whole.clone();
    missing.remove(&key(Pool::Blocks, 7));
    assert!(refused(200, &missing).ends_with("a block is missing"));
    let mut short = whole.clone();
    short.remove(&key(Pool::BlockDigest, 200));
    assert!(refused(200, &short).ends_with("blocks or digests are missing"));
    let mut above = whole.clone();
    above.insert(key(Pool::BlockDigest, 201), vec![0; 32]);
    assert!(refused(200, &above).ends_with("a number that no block has"));
    let mut long = whole.clone();
    long.insert(key(Pool::BlockDigest, 9), vec![0; 33]);
    assert!(refused(200, &long).ends_with("a digest of another length"));
    let mut headless = whole.clone();
    headless.insert(key(Pool::Blocks, 9), vec![0; 99]);
    assert!(refused(200, &headless).ends_with("a block without a header"));
    let mut elsewhere = whole.clone();
    elsewhere.insert(key(Pool::Blocks, 9), block(10, b""));
    assert!(refused(200, &elsewhere).ends_with("a block with another number"));
    let mut deep = whole.clone();
    deep.insert(key(Pool::Undo, 200 - UNDO_BLOCKS), Vec::new());
    assert!(refused(200, &deep).ends_with("undo data of a block too far down"));
    let mut top = whole;
    top.insert(key(Pool::BlockDigest, 200), vec![0; 32]);
    assert!(refused(200, &top).ends_with("the highest block has another digest"));
    assert!(refused(1, &Entries::new()).ends_with("there is no block"));
}

#[test]
fn the_writer_wants_its_entries_in_order() {
    let mut out = Vec::new();
    let mut writer = Writer::new("devnet", 2, digest(2), &mut out);
    writer.entry(Pool::Blocks, b"b", b"", &mut out).unwrap();
    let backwards = writer.entry(Pool::Blocks, b"b", b"", &mut out);
    assert_eq!(
        backwards,
        Err(SnapshotError::Unfit("a key out of its order"))
    );
    let above = writer.entry(Pool::Assets, b"a", b"", &mut out);
    assert_eq!(above, Err(SnapshotError::Unfit("a pool out of its order")));
    let local = writer.entry(Pool::Meta, b"a", b"", &mut out);
    assert_eq!(local, Err(SnapshotError::Unfit("a pool out of its order")));
}

#[test]
fn a_manifest_is_refused_before_its_claims_cost_memory() {
    let (_, manifest) = write(5, &entries(5, &[]));
    let packed = manifest.pack();
    let section = packed.len() - 4 - 36;
    let mut many = packed.clone();
    many[section..section + 4].fill(0xff);
    assert_eq!(
        Manifest::unpack(&many),
        Err(SnapshotError::Manifest("it is too short"))
    );
    let mut huge = packed.clone();
    huge[section + 4..section + 8].fill(0xff);
    assert_eq!(
        Manifest::unpack(&huge),
        Err(SnapshotError::Manifest("a chunk of no possible length"))
    );
    let longer = [packed.as_slice(), b"x"].concat();
    assert_eq!(
        Manifest::unpack(&longer),
        Err(SnapshotError::Manifest("something follows its end"))
    );
}

#[test]
fn a_signature_counts_for_its_hash_and_its_account_alone() {
    let key = |byte| PrivateKey::from_ed25519_seed(&[byte; 32], true);
    let account = |byte| -> Account { key(byte).account().unwrap() };
    let hash = write(5, &entries(5, &[])).1.hash();
    let other = write(6, &entries(6, &[])).1.hash();
    let mut all = Signatures::default();
    all.add(Signature::make(&key(1), &hash).unwrap());
    all.add(Signature::make(&key(2), &other).unwrap());
    let text = all.to_string();
    let all = Signatures::read(&format!("\n{text}\n")).unwrap();
    assert_eq!(all.to_string(), text);
    assert_eq!(
        all.signer(&hash, &[account(3), account(1)]),
        Some(account(1))
    );
    assert_eq!(
        all.signer(&hash, &[account(2)]),
        None,
        "it signed another one"
    );
    assert_eq!(all.signer(&hash, &[]), None);
    // The network in the text of an account says nothing about whose key it is.
    let elsewhere = PrivateKey::from_ed25519_seed(&[1; 32], false);
    assert!(all.signer(&hash, &[elsewhere.account().unwrap()]).is_some());
    // A signature of the bare hash, as of a record, is none.
    let bare = key(1).sign(&hash.0).try_into().unwrap();
    let bare = Signature {
        account: account(1),
        bytes: bare,
    };
    assert!(!bare.is_of(&hash));
}

#[test]
fn a_text_that_is_no_signature_names_its_line() {
    let key = PrivateKey::from_ed25519_seed(&[1; 32], true);
    let hash = ManifestHash([3; 32]);
    let line = Signature::make(&key, &hash).unwrap().to_string();
    for (text, why) in [
        ("signed".to_owned(), "another word"),
        ("bitmarkd-snapshot-1 nobody 00".to_owned(), "no account"),
        (line.replace(' ', "\n"), "no account"),
        (line[..line.len() - 1].to_owned(), "128 hex digits"),
        (format!("{line} x"), "something follows"),
        (format!("{line}\n").repeat(SIGNATURES_MAX + 1), "too many"),
    ] {
        let error = Signatures::read(&text).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}
