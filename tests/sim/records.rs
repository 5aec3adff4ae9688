//! The records that clients of the simulation make, each signed as a client signs.

use bitmarkd::core::id::{AssetId, PayId, TxId};
use bitmarkd::core::keys::PrivateKey;
use bitmarkd::core::mining::proof::NonceSearch;
use bitmarkd::core::record::{self, AssetData, BitmarkIssue, BitmarkTransferUnratified, Record};

use crate::node::SimNode;

/// The key of a client.
pub fn client(number: u64) -> PrivateKey {
    let mut seed = [0x5c; 32];
    seed[..8].copy_from_slice(&number.to_be_bytes());
    PrivateKey::from_ed25519_seed(&seed, true)
}

pub fn fingerprint(number: u64) -> Vec<u8> {
    format!("fingerprint {number}").into_bytes()
}

pub fn asset(key: &PrivateKey, number: u64) -> Vec<u8> {
    let mut asset = Record::AssetData(AssetData {
        name: format!("asset {number}").into_bytes(),
        fingerprint: fingerprint(number),
        metadata: Vec::new(),
        registrant: key.account().unwrap(),
        signature: Vec::new(),
    });
    record::sign(&mut asset, key).unwrap()
}

pub fn issue(key: &PrivateKey, asset: &AssetId, nonce: u64) -> Vec<u8> {
    let mut issue = Record::BitmarkIssue(BitmarkIssue {
        asset_id: *asset,
        owner: key.account().unwrap(),
        nonce,
        signature: Vec::new(),
    });
    record::sign(&mut issue, key).unwrap()
}

pub fn transfer(from: &PrivateKey, to: &PrivateKey, link: TxId) -> Vec<u8> {
    let mut transfer = Record::BitmarkTransferUnratified(BitmarkTransferUnratified {
        link,
        escrow: None,
        owner: to.account().unwrap(),
        signature: Vec::new(),
    });
    record::sign(&mut transfer, from).unwrap()
}

/// A proof for a set of one issue, with the work that the node wants now.
pub fn proof(node: &SimNode, packed: &[u8]) -> Vec<u8> {
    let pay_id = PayId::of([packed]);
    let ledger = node.engine().ledger();
    let target = bitmarkd::core::block::difficulty::issue_target(ledger.chain(), 1);
    let mut search = NonceSearch::new(&pay_id, &ledger.ring().latest(), target);
    let nonce = std::iter::repeat_with(|| search.run(10_000))
        .flatten()
        .next()
        .unwrap();
    [pay_id.0.as_slice(), nonce.as_bytes()].concat()
}
