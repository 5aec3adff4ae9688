//! The values of the pools on the disk: a version byte, then bincode (`proto/reservoir.md`,
//! section 19). What is read is checked for being what it says it is, and is nothing otherwise;
//! what the chain says of it is not asked here.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_bytes::Bytes;

use super::blocks::read_members;
use super::due::Due;
use super::set::{CachedAsset, Kind, Orphan, Set, Settled, Verification};
use crate::core::codec;
use crate::core::currency::{Currency, Payment};
use crate::core::id::{AssetId, TxId};
use crate::core::mining::proof::ClientNonce;
use crate::core::record::Record;
use crate::core::time::UnixSeconds;

const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
struct StoredAsset {
    packed: Vec<u8>,
    source: Option<u64>,
    deadline: UnixSeconds,
}

#[derive(Serialize, Deserialize)]
struct StoredPayment {
    currency: u64,
    address: Vec<u8>,
    amount: u64,
}

#[derive(Serialize, Deserialize)]
struct StoredVerification {
    /// Nothing for a payment.
    client_nonce: Option<Vec<u8>>,
    at: UnixSeconds,
}

#[derive(Serialize, Deserialize)]
struct StoredSet<'a> {
    /// Packed record, and whether it is confirmed.
    members: Vec<(Cow<'a, Bytes>, bool)>,
    due: Option<Vec<Vec<StoredPayment>>>,
    source: Option<u64>,
    deadline: UnixSeconds,
    verified: Option<StoredVerification>,
}

#[derive(Serialize, Deserialize)]
struct StoredOrphan {
    payments: Vec<StoredWaiting>,
    deadline: UnixSeconds,
}

/// A transaction of a coin, and what it pays to whom.
#[derive(Serialize, Deserialize)]
struct StoredWaiting {
    currency: u64,
    id: Vec<u8>,
    amounts: Vec<(Vec<u8>, u64)>,
}

#[derive(Serialize, Deserialize)]
struct StoredSettled {
    members: Vec<[u8; 32]>,
    verified: StoredVerification,
    due: Option<Vec<Vec<StoredPayment>>>,
    source: Option<u64>,
    deadline: UnixSeconds,
    block: u64,
}

pub(super) fn encode_asset(asset: &CachedAsset) -> Vec<u8> {
    codec::encode(
        VERSION,
        &StoredAsset {
            packed: asset.packed.to_vec(),
            source: asset.source,
            deadline: asset.deadline,
        },
    )
}

pub(super) fn encode_set(set: &Set) -> Vec<u8> {
    codec::encode(
        VERSION,
        &StoredSet {
            members: set
                .members
                .iter()
                .map(|member| (Cow::Borrowed(Bytes::new(member.packed)), member.confirmed))
                .collect(),
            due: set.due.as_ref().map(stored_due),
            source: set.source,
            deadline: set.deadline,
            verified: set.verified.as_ref().map(stored_verification),
        },
    )
}

pub(super) fn encode_orphan(orphan: &Orphan) -> Vec<u8> {
    let payments = orphan.payments.iter().map(|((currency, id), amounts)| {
        let amounts = amounts.iter().map(|(to, amount)| (to.clone(), *amount));
        StoredWaiting {
            currency: currency.code(),
            id: id.clone(),
            amounts: amounts.collect(),
        }
    });
    codec::encode(
        VERSION,
        &StoredOrphan {
            payments: payments.collect(),
            deadline: orphan.deadline,
        },
    )
}

pub(super) fn encode_time(time: UnixSeconds) -> Vec<u8> {
    codec::encode(VERSION, &time)
}

pub(super) fn read_time(value: &[u8]) -> Option<UnixSeconds> {
    codec::decode(VERSION, value)
}

pub(super) fn encode_settled(settled: &Settled) -> Vec<u8> {
    codec::encode(
        VERSION,
        &StoredSettled {
            members: settled.members.iter().map(|id| id.0).collect(),
            verified: stored_verification(&settled.verified),
            due: settled.due.as_ref().map(stored_due),
            source: settled.source,
            deadline: settled.deadline,
            block: settled.block,
        },
    )
}

fn stored_due(due: &Due) -> Vec<Vec<StoredPayment>> {
    let entry = |payment: &Payment| StoredPayment {
        currency: payment.currency.code(),
        address: payment.address.clone(),
        amount: payment.amount,
    };
    let lists = due.0.iter();
    lists.map(|list| list.iter().map(entry).collect()).collect()
}

fn read_due(lists: Option<Vec<Vec<StoredPayment>>>) -> Option<Option<Due>> {
    let entry = |payment: StoredPayment| {
        Some(Payment {
            currency: Currency::from_code(payment.currency).ok()?,
            address: payment.address,
            amount: payment.amount,
        })
    };
    let Some(lists) = lists else {
        return Some(None);
    };
    let lists: Option<Vec<Vec<Payment>>> = lists
        .into_iter()
        .map(|list| list.into_iter().map(entry).collect())
        .collect();
    Some(Some(Due(lists?)))
}

fn stored_verification((by, at): &(Verification, UnixSeconds)) -> StoredVerification {
    StoredVerification {
        client_nonce: match by {
            Verification::Proof(nonce) => Some(nonce.as_bytes().to_vec()),
            Verification::Payment => None,
        },
        at: *at,
    }
}

fn read_verification(stored: StoredVerification) -> Option<(Verification, UnixSeconds)> {
    let by = match stored.client_nonce {
        Some(nonce) => Verification::Proof(ClientNonce::new(&nonce).ok()?),
        None => Verification::Payment,
    };
    Some((by, stored.at))
}

pub(super) fn read_asset(id: &[u8], value: &[u8], testing: bool) -> Option<CachedAsset> {
    let stored: StoredAsset = codec::decode(VERSION, value)?;
    let (record, used) = Record::unpack(&stored.packed, testing).ok()?;
    let Record::AssetData(asset) = record else {
        return None;
    };
    if used != stored.packed.len() || AssetId::of(&asset.fingerprint).0 != id {
        return None;
    }
    Some(CachedAsset {
        packed: stored.packed.into(),
        source: stored.source,
        deadline: stored.deadline,
    })
}

pub(super) fn read_set(value: &[u8], testing: bool) -> Option<Set> {
    let stored: StoredSet = codec::decode(VERSION, value)?;
    let packed = stored.members.iter();
    let packed = packed.map(|(bytes, confirmed)| {
        let bytes: &[u8] = bytes;
        (TxId::of(bytes), bytes, *confirmed)
    });
    let (kind, members) = read_members(packed, testing)?;
    if matches!(kind, Kind::Transfer { .. }) && members.len() != 1 {
        return None;
    }
    let verified = match stored.verified {
        Some(verified) => Some(read_verification(verified)?),
        None => None,
    };
    Some(Set {
        kind,
        members,
        due: read_due(stored.due)?,
        source: stored.source,
        deadline: stored.deadline,
        verified,
    })
}

pub(super) fn read_orphan(value: &[u8]) -> Option<Orphan> {
    let stored: StoredOrphan = codec::decode(VERSION, value)?;
    let payments = stored.payments.into_iter().map(|waiting| {
        let currency = Currency::from_code(waiting.currency).ok()?;
        Some((
            (currency, waiting.id),
            waiting.amounts.into_iter().collect(),
        ))
    });
    Some(Orphan {
        payments: payments.collect::<Option<_>>()?,
        deadline: stored.deadline,
    })
}

pub(super) fn read_settled(value: &[u8]) -> Option<Settled> {
    let stored: StoredSettled = codec::decode(VERSION, value)?;
    Some(Settled {
        members: stored.members.into_iter().map(TxId).collect(),
        verified: read_verification(stored.verified)?,
        due: read_due(stored.due)?,
        source: stored.source,
        deadline: stored.deadline,
        block: stored.block,
    })
}
