//! Reading a node's chain block by block.

use std::time::{Duration, Instant};

use super::target::Node;
use super::{Exit, TIMED_OUT};
use crate::core::block::dump::ShownRecord;
use crate::core::block::{HEADER_BYTES, Header, crc};
use crate::core::chain::Chain;
use crate::core::id::{PayNonce, TxId};
use crate::core::record::Record;

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

/// Follows the chain until all of these are in blocks; tells each block as it is read.
///
/// # Errors
/// Exit status 4 with what is still missing when the time is over.
pub fn wait_for(
    node: &Node,
    from: u64,
    wanted: &[TxId],
    timeout: Duration,
    mut tell: impl FnMut(&str),
) -> anyhow::Result<Vec<(TxId, u64)>> {
    let end = Instant::now() + timeout;
    let mut next = from.max(2);
    let mut found: Vec<(TxId, u64)> = Vec::new();
    let mut height = 0;
    loop {
        // A node that is restarted meanwhile is asked again.
        if let Ok(now) = node.height() {
            height = now;
            // A branch may have been replaced: look at a few blocks again.
            if height + 1 < next {
                next = height.saturating_sub(60).max(2);
                found.retain(|(_, block)| *block < next);
            }
            while next <= height {
                let Ok(packed) = node.block(next) else { break };
                for record in records(node.chain(), &packed)? {
                    let is_new = !found.iter().any(|(id, _)| *id == record.id);
                    if wanted.contains(&record.id) && is_new {
                        found.push((record.id, record.block));
                    }
                }
                tell(&format!(
                    "block {next}: {} of {} confirmed",
                    found.len(),
                    wanted.len()
                ));
                next += 1;
            }
            if found.len() == wanted.len() {
                return Ok(found);
            }
        }
        if Instant::now() >= end {
            let missing: Vec<String> = wanted
                .iter()
                .filter(|id| !found.iter().any(|(known, _)| known == *id))
                .map(ToString::to_string)
                .collect();
            return Err(Exit {
                status: TIMED_OUT,
                message: format!(
                    "not confirmed after {} s: at height {height} {} of {} are; missing {}",
                    timeout.as_secs(),
                    found.len(),
                    wanted.len(),
                    missing.join(", ")
                ),
            }
            .into());
        }
        // The protocol has no news for clients: the height is asked for.
        std::thread::sleep(Duration::from_millis(250));
    }
}
