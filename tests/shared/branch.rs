//! Chains of `devnet` and their branches, made at once and without a node.

use std::sync::Arc;

use bitmarkd::core::block::{DigestMemory, Header, digest};
use bitmarkd::core::chain::DEVNET;
use bitmarkd::core::currency::{Currency, Payments};
use bitmarkd::core::id::{AssetId, BlockDigest, TxId};
use bitmarkd::core::keys::PrivateKey;
use bitmarkd::core::mining::assembly::{AssetNeed, Body, Candidate, Foundation, assemble};
use bitmarkd::core::record::{self, AssetData, BitmarkIssue, BlockFoundation, Record};

/// Bytes that an asset carries along.
const WEIGHT: usize = 2_000;

fn key() -> PrivateKey {
    PrivateKey::from_ed25519_seed(&[7; 32], true)
}

/// A packed asset of its own, and a packed issue of it.
pub fn asset_and_issue(name: &str) -> (Vec<u8>, Vec<u8>) {
    let owner = key().account().unwrap();
    let mut asset = Record::AssetData(AssetData {
        name: b"asset".to_vec(),
        fingerprint: name.as_bytes().to_vec(),
        metadata: format!("k\0{}", "v".repeat(WEIGHT)).into_bytes(),
        registrant: owner,
        signature: Vec::new(),
    });
    let mut issue = Record::BitmarkIssue(BitmarkIssue {
        asset_id: AssetId::of(name.as_bytes()),
        owner,
        nonce: 1,
        signature: Vec::new(),
    });
    (
        record::sign(&mut asset, &key()).unwrap(),
        record::sign(&mut issue, &key()).unwrap(),
    )
}

fn candidate(name: &str) -> Candidate {
    let (asset, issue) = asset_and_issue(name);
    Candidate {
        id: TxId::of(&issue),
        packed: Arc::from(issue),
        link: None,
        asset: AssetNeed::Cached {
            id: AssetId::of(name.as_bytes()),
            packed: Arc::from(asset),
        },
    }
}

fn body(name: &str, count: usize) -> Body {
    let mut payments = Payments::default();
    for (currency, address) in [
        (Currency::Bitcoin, "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn"),
        (Currency::Litecoin, "mmCKZS7toE69QgXNs1JZcjW6LFj8LfUbz6"),
    ] {
        payments.0.insert(currency, address.into());
    }
    let mut foundation = Record::BlockFoundation(BlockFoundation {
        version: 1,
        payments,
        owner: key().account().unwrap(),
        nonce: 1234,
        signature: Vec::new(),
    });
    let foundation = Foundation::new(record::sign(&mut foundation, &key()).unwrap());
    let further = (1..count).map(|at| format!("{name} {at}"));
    let names = (0..count.min(1)).map(|_| name.to_owned()).chain(further);
    let candidates: Vec<_> = names.map(|name| candidate(&name)).collect();
    assemble(&DEVNET.rules, &foundation, &candidates).unwrap()
}

/// The digest of a packed block.
pub fn digest_of(packed: &[u8]) -> BlockDigest {
    let (header, _) = Header::unpack(packed).unwrap();
    digest(&DEVNET.digest, &header.pack(), &mut DigestMemory::new())
}

/// The chain `below`, which begins with block 2, and so many blocks more: each registers so many
/// assets under names that begin with `name`, and issues each once.
pub fn grown(below: &[Vec<u8>], name: &str, blocks: usize, assets: usize) -> Vec<Vec<u8>> {
    let mut memory = DigestMemory::new();
    let mut chain = below.to_vec();
    let mut previous_block = below
        .last()
        .map_or(DEVNET.genesis_digest, |top| digest_of(top));
    for _ in 0..blocks {
        let number = chain.len() as u64 + 2;
        let body = body(&format!("{name} {number}"), assets);
        let mut header = Header {
            version: DEVNET.rules.block_version_made,
            transaction_count: body.transaction_count(),
            number,
            previous_block,
            merkle_root: body.merkle_root,
            timestamp: 1_750_000_000 + number,
            difficulty: DEVNET.rules.difficulty,
            nonce: 0,
        };
        previous_block = loop {
            let found = digest(&DEVNET.digest, &header.pack(), &mut memory);
            if header.proves(&found) {
                break found;
            }
            header.nonce += 1;
        };
        chain.push([&header.pack()[..], &body.foundation, &body.records].concat());
    }
    chain
}

/// Blocks 2 up to `height`; each registers the asset `NAME N` and issues it once.
pub fn chain_up_to(height: u64, name: &str) -> Vec<Vec<u8>> {
    grown(&[], name, height.saturating_sub(1) as usize, 1)
}

/// The height of a chain that begins with block 2.
pub fn height_of(chain: &[Vec<u8>]) -> u64 {
    chain.len() as u64 + 1
}

/// A file of saved blocks.
pub fn file_of(chain: &[Vec<u8>]) -> Vec<u8> {
    chain
        .iter()
        .flat_map(|block| [&(block.len() as u64).to_be_bytes()[..], block].concat())
        .collect()
}
