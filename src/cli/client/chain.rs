//! Reading a node's chain block by block.

use super::target::Node;
use crate::core::block::dump::ShownRecord;
use crate::core::block::{HEADER_BYTES, Header, crc, foundation_id};
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

/// Looks for records from the newest block down, each under the id by which it is linked to;
/// `visit` says when it has seen enough.
///
/// # Errors
/// No answer, or a block that is none.
pub fn walk_down(node: &Node, mut visit: impl FnMut(InBlock) -> bool) -> anyhow::Result<u64> {
    let height = node.height()?;
    if height < 2 {
        return Ok(height);
    }
    let mut digest = node.digest(height)?;
    for number in (2..=height).rev() {
        let packed = node.block(number)?;
        for mut found in records(node.chain(), &packed)?.into_iter().rev() {
            if matches!(found.record, Record::BlockFoundation(_)) {
                found.id = foundation_id(&digest, number);
            }
            if visit(found) {
                return Ok(height);
            }
        }
        digest = Header::unpack(&packed)?.0.previous_block;
    }
    Ok(height)
}
