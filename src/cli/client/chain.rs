//! Reading a node's chain block by block.

use anyhow::{Context as _, ensure};

use super::target::Node;
use crate::core::block::dump::ShownRecord;
use crate::core::block::{HEADER_BYTES, Header, crc, foundation_id};
use crate::core::chain::Chain;
use crate::core::id::{PayNonce, TxId};
use crate::core::record::{Record, merkle};
use crate::core::time::UnixSeconds;
use crate::core::title;

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

/// The header of a node's block and its records, which are those that the header claims.
///
/// # Errors
/// It is no block, or has other records.
pub fn checked(chain: &Chain, packed: &[u8]) -> anyhow::Result<(Header, Vec<InBlock>)> {
    let (header, _) = Header::unpack(packed)?;
    let number = header.number;
    let wrong = || format!("the node's block {number}");
    header.check(chain, UnixSeconds::MAX).with_context(wrong)?;
    let records: Vec<InBlock> = title::split(chain, packed)
        .with_context(wrong)?
        .into_iter()
        .map(|(record, bytes)| InBlock {
            block: number,
            id: TxId::of(bytes),
            record,
        })
        .collect();
    let leaves: Vec<TxId> = records.iter().map(|found| found.id).collect();
    ensure!(
        merkle::root(&leaves) == header.merkle_root,
        "the node's block {number} has other records than its header claims"
    );
    Ok((header, records))
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
/// `visit` says when it has seen enough. The headers hang together: each has the work that it
/// claims in the digest which the one above gives it, and the lowest hangs on the chain's first
/// block. No digest is computed: that takes half a second each.
///
/// # Errors
/// No answer, or a block that is none or has no place there.
pub fn walk_down(node: &Node, mut visit: impl FnMut(InBlock) -> bool) -> anyhow::Result<u64> {
    let height = node.height()?;
    if height < 2 {
        return Ok(height);
    }
    let mut digest = node.digest(height)?;
    for number in (2..=height).rev() {
        let packed = node.block(number)?;
        let (header, records) = checked(node.chain(), &packed)?;
        ensure!(
            header.proves(&digest),
            "the digest that the node gives of its block {number} does not have the work in it that the header claims"
        );
        for mut found in records.into_iter().rev() {
            if matches!(found.record, Record::BlockFoundation(_)) {
                found.id = foundation_id(&digest, number);
            }
            if visit(found) {
                return Ok(height);
            }
        }
        digest = header.previous_block;
    }
    ensure!(
        digest == node.chain().genesis_digest,
        "the node's block 2 does not follow the first block of chain {}",
        node.chain().name
    );
    Ok(height)
}
