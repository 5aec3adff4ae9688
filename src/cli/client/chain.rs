//! Reading a node's chain block by block.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::target::Node;
use super::{Exit, TIMED_OUT};
use crate::core::block::dump::ShownRecord;
use crate::core::block::{HEADER_BYTES, Header, crc};
use crate::core::chain::Chain;
use crate::core::id::{AssetId, PayNonce, TxId};
use crate::core::record::{AssetData, Record};

/// A record of a block.
#[derive(Debug, Clone)]
pub struct InBlock {
    /// The block's number.
    pub block: u64,
    /// The record's id.
    pub id: TxId,
    /// The record.
    pub record: Record,
}

/// The records of a packed block.
///
/// # Errors
/// It is none.
pub fn records(chain: &Chain, packed: &[u8]) -> anyhow::Result<Vec<InBlock>> {
    let (header, _) = Header::unpack(packed)?;
    let mut rest = packed.get(HEADER_BYTES..).unwrap_or_default();
    let mut all = Vec::new();
    while !rest.is_empty() {
        let (record, used) = Record::unpack(rest, chain.testing)?;
        let (packed, left) = rest.split_at(used.min(rest.len()));
        all.push(InBlock {
            block: header.number,
            id: TxId::of(packed),
            record,
        });
        rest = left;
    }
    Ok(all)
}

/// The records of a packed block as its JSON form shows them.
///
/// # Errors
/// It is none.
pub fn shown(chain: &Chain, packed: &[u8]) -> anyhow::Result<Vec<ShownRecord>> {
    records(chain, packed)?
        .into_iter()
        .map(|found| {
            Ok(ShownRecord {
                id: found.id,
                type_name: found.record.type_name(),
                data: serde_json::from_str(&found.record.to_json())?,
            })
        })
        .collect()
}

/// The nonce that a proof for issues starts from: the check value of the newest block, at height 1
/// that of the chain's genesis.
///
/// # Errors
/// No answer.
pub fn pay_nonce(node: &Node) -> anyhow::Result<PayNonce> {
    let height = node.height()?;
    if height < 2 {
        return Ok(PayNonce(node.chain().genesis_crc.to_be_bytes()));
    }
    let packed = node.block(height)?;
    Ok(PayNonce(crc(height, &packed).to_be_bytes()))
}

/// Looks for records from the newest block down; `visit` says when it has seen enough.
///
/// # Errors
/// No answer, or a block that is none.
pub fn walk_down(node: &Node, mut visit: impl FnMut(InBlock) -> bool) -> anyhow::Result<u64> {
    let height = node.height()?;
    let mut number = height;
    while number >= 2 {
        for found in records(node.chain(), &node.block(number)?)? {
            if visit(found) {
                return Ok(height);
            }
        }
        number -= 1;
    }
    Ok(height)
}

/// The confirmed registration of an asset; its newest blocks are looked at first.
///
/// # Errors
/// No answer, or a block that is none.
pub fn registration(node: &Node, asset_id: &AssetId) -> anyhow::Result<Option<(u64, AssetData)>> {
    let mut registration = None;
    walk_down(node, |found| {
        if let Record::AssetData(asset) = found.record
            && AssetId::of(&asset.fingerprint) == *asset_id
        {
            registration = Some((found.block, asset));
        }
        registration.is_some()
    })?;
    Ok(registration)
}

/// What a wait has seen.
#[derive(Debug)]
pub struct Waited {
    /// What is confirmed, each with its block.
    pub confirmed: Vec<(TxId, u64)>,
    /// What is not.
    pub missing: Vec<TxId>,
    /// The node's height.
    pub height: u64,
}

impl Waited {
    /// The block that confirmed the last.
    #[must_use]
    pub fn last_block(&self) -> u64 {
        let blocks = self.confirmed.iter().map(|(_, block)| *block);
        blocks.max().unwrap_or_default()
    }

    /// Enters what was seen into the result of a command.
    ///
    /// # Errors
    /// Something is missing: exit status 4, with the result so far.
    pub fn enter(&self, mut result: Value) -> anyhow::Result<Value> {
        result["confirmed"] = self
            .confirmed
            .iter()
            .map(|(id, block)| json!({"txId": id, "block": block}))
            .collect();
        if self.missing.is_empty() {
            return Ok(result);
        }
        result["missing"] = json!(self.missing);
        result["height"] = json!(self.height);
        let missing: Vec<String> = self.missing.iter().map(ToString::to_string).collect();
        Err(Exit {
            status: TIMED_OUT,
            message: format!(
                "the time is over: at height {} {} of {} are confirmed; missing {}",
                self.height,
                self.confirmed.len(),
                self.confirmed.len() + self.missing.len(),
                missing.join(", ")
            ),
            result,
        }
        .into())
    }
}

/// Follows the chain until all of these are in blocks or the time is over; tells each block as it
/// is read.
///
/// # Errors
/// A block that is none.
pub fn wait_for(
    node: &Node,
    from: u64,
    wanted: &[TxId],
    timeout: Duration,
    mut tell: impl FnMut(&str),
) -> anyhow::Result<Waited> {
    let end = Instant::now() + timeout;
    let mut next = from.max(2);
    let mut confirmed: Vec<(TxId, u64)> = Vec::new();
    let mut height = 0;
    loop {
        // A node that is restarted meanwhile is asked again.
        if let Ok(now) = node.height() {
            height = now;
            // A branch may have been replaced: look at a few blocks again.
            if height + 1 < next {
                next = height.saturating_sub(60).max(2);
                confirmed.retain(|(_, block)| *block < next);
            }
            while next <= height {
                let Ok(packed) = node.block(next) else { break };
                for record in records(node.chain(), &packed)? {
                    let is_new = !confirmed.iter().any(|(id, _)| *id == record.id);
                    if wanted.contains(&record.id) && is_new {
                        confirmed.push((record.id, record.block));
                    }
                }
                tell(&format!(
                    "block {next}: {} of {} confirmed",
                    confirmed.len(),
                    wanted.len()
                ));
                next += 1;
            }
        }
        let missing: Vec<TxId> = wanted
            .iter()
            .filter(|id| !confirmed.iter().any(|(known, _)| known == *id))
            .copied()
            .collect();
        if missing.is_empty() || Instant::now() >= end {
            return Ok(Waited {
                confirmed,
                missing,
                height,
            });
        }
        // The protocol has no news for clients: the height is asked for.
        std::thread::sleep(Duration::from_millis(250));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_when_the_time_is_over_stands_beside_the_ids() {
        let mut waited = Waited {
            confirmed: vec![(TxId([1; 32]), 7)],
            missing: vec![TxId([2; 32])],
            height: 8,
        };
        let error = waited.enter(json!({"assetId": "a"})).unwrap_err();
        let exit = error.downcast_ref::<Exit>().unwrap();
        assert_eq!(exit.status, TIMED_OUT);
        assert_eq!(exit.result["assetId"], "a");
        assert_eq!(exit.result["confirmed"][0]["block"], 7);
        assert_eq!(exit.result["missing"][0], json!(TxId([2; 32])));
        assert_eq!(exit.result["height"], 8);
        waited.missing.clear();
        assert_eq!(waited.last_block(), 7);
        assert!(waited.enter(json!({})).unwrap().get("missing").is_none());
    }
}
