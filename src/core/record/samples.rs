//! Signed records for the tests of what stands around records; never part of a program.

use super::{BitmarkIssue, BitmarkTransferUnratified, Record, sign};
use crate::core::id::{AssetId, TxId};
use crate::core::keys::{Account, PrivateKey};

/// A key of the test networks.
pub fn key(number: u8) -> PrivateKey {
    PrivateKey::from_ed25519_seed(&[number; 32], true)
}

/// Its account.
pub fn account(number: u8) -> Account {
    key(number).account().unwrap()
}

/// The first account issues a bitmark on the asset with this fingerprint to itself.
pub fn issue_record(print: &str, nonce: u64) -> BitmarkIssue {
    let mut record = Record::BitmarkIssue(BitmarkIssue {
        asset_id: AssetId::of(print.as_bytes()),
        owner: account(1),
        nonce,
        signature: Vec::new(),
    });
    sign(&mut record, &key(1)).unwrap();
    match record {
        Record::BitmarkIssue(issue) => issue,
        other => panic!("not an issue: {other:?}"),
    }
}

/// The same, packed.
pub fn issue(print: &str, nonce: u64) -> Vec<u8> {
    let issue = issue_record(print, nonce);
    let owner = issue.owner;
    Record::BitmarkIssue(issue).pack(&owner).unwrap()
}

/// Passes on what this transaction gave.
pub fn transfer(link: TxId, from: u8, to: u8) -> Vec<u8> {
    let mut record = Record::BitmarkTransferUnratified(BitmarkTransferUnratified {
        link,
        escrow: None,
        owner: account(to),
        signature: Vec::new(),
    });
    sign(&mut record, &key(from)).unwrap()
}
