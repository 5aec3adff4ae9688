//! What the blocks of a node say about a transaction: `provenance` and `status`. The command
//! protocol has no question for either, so the blocks are read, newest first.

use anyhow::bail;
use serde_json::{Value, json};

use super::chain::{self, InBlock};
use super::target::{Node, Target};
use super::{Output, arguments, chain::walk_down};
use crate::core::id::{AssetId, TxId};
use crate::core::keys::Account;
use crate::core::record::Record;
use crate::shell::control;

/// `provenance`
#[derive(Debug, clap::Args)]
pub struct ProvenanceArgs {
    /// Its issue or any of its transfers.
    #[arg(value_parser = arguments::tx_id)]
    txid: TxId,
    #[command(flatten)]
    target: Target,
}

/// `status`
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// The transaction.
    #[arg(value_parser = arguments::tx_id)]
    txid: TxId,
    #[command(flatten)]
    target: Target,
}

/// All records that a provenance could need, from all blocks.
fn all(node: &Node) -> anyhow::Result<Vec<InBlock>> {
    let mut records = Vec::new();
    walk_down(node, |found| {
        records.push(found);
        false
    })?;
    Ok(records)
}

/// The steps from a transaction back to its issue, newest first, and the asset.
fn steps<'a>(records: &'a [InBlock], from: &TxId) -> Vec<&'a InBlock> {
    let find = |id: &TxId| records.iter().find(|record| record.id == *id);
    let mut steps = Vec::new();
    let mut next = find(from);
    while let Some(step) = next {
        steps.push(step);
        next = step.record.link().and_then(|link| find(&link));
        if steps.len() > records.len() {
            break;
        }
    }
    if let Some(Record::BitmarkIssue(issue)) = steps.last().map(|step| &step.record) {
        let asset = records.iter().find(|record| match &record.record {
            Record::AssetData(asset) => AssetId::of(&asset.fingerprint) == issue.asset_id,
            _ => false,
        });
        steps.extend(asset);
    }
    steps
}

/// Who owns what this transaction gave.
///
/// # Errors
/// It is not confirmed, or was passed on.
pub fn current_owner(node: &Node, id: &TxId) -> anyhow::Result<Account> {
    let mut owner = None;
    let mut successor = None;
    walk_down(node, |found| {
        if found.record.link() == Some(*id) {
            successor = Some(found.id);
        }
        if found.id == *id {
            owner = Some(*found.record.owner());
        }
        owner.is_some() || successor.is_some()
    })?;
    if let Some(successor) = successor {
        bail!("it was passed on already, by transfer {successor}: transfer that one");
    }
    let Some(owner) = owner else {
        bail!("no block of this node has transaction {id}; is it confirmed yet?");
    };
    Ok(owner)
}

pub(super) fn provenance(args: &ProvenanceArgs, output: Output) -> anyhow::Result<()> {
    let node = args.target.dial()?;
    let records = all(&node)?;
    // From the newest transfer on, whichever step was named.
    let mut newest = args.txid;
    while let Some(next) = records
        .iter()
        .find(|record| record.record.link() == Some(newest))
    {
        newest = next.id;
    }
    let steps = steps(&records, &newest);
    if steps.is_empty() {
        bail!("no block of this node has transaction {}", args.txid);
    }
    let value: Vec<Value> = steps
        .iter()
        .map(|step| {
            let data: Value = serde_json::from_str(&step.record.to_json()).unwrap_or_default();
            json!({
                "txId": step.id,
                "block": step.block,
                "type": step.record.type_name(),
                "isOwner": step.id == newest,
                "data": data,
            })
        })
        .collect();
    let lines: Vec<String> = steps
        .iter()
        .map(|step| match &step.record {
            Record::AssetData(asset) => format!(
                "block {:6}  asset {:?}, registered by {}",
                step.block,
                String::from_utf8_lossy(&asset.name),
                asset.registrant
            ),
            Record::BitmarkIssue(issue) => {
                format!(
                    "block {:6}  issued to {} by {}",
                    step.block, issue.owner, step.id
                )
            }
            record => format!(
                "block {:6}  passed on to {} by {}",
                step.block,
                record.owner(),
                step.id
            ),
        })
        .collect();
    output.show(&Value::Array(value), lines.join("\n"));
    Ok(())
}

pub(super) fn status(args: &StatusArgs, output: Output) -> anyhow::Result<()> {
    let node = args.target.dial()?;
    let mut block = None;
    let height = chain::walk_down(&node, |found| {
        if found.id == args.txid {
            block = Some(found.block);
        }
        block.is_some()
    })?;
    if let Some(block) = block {
        let deep = height - block + 1;
        let blocks = if deep == 1 { "block" } else { "blocks" };
        output.show(
            &json!({"txId": args.txid, "status": "Confirmed", "block": block, "height": height}),
            format!("Confirmed in block {block}, {deep} {blocks} deep"),
        );
        return Ok(());
    }
    // In a test network the node itself can be asked.
    if let Ok(entry) = args.target.node() {
        let request = json!({"command": "transaction", "txId": args.txid});
        let answer = control::call(&entry.control, &request)?;
        let text = answer["status"].as_str().unwrap_or("Unknown").to_owned();
        output.show(&answer, text);
        return Ok(());
    }
    output.show(
        &json!({"txId": args.txid, "status": "NotConfirmed", "height": height}),
        format!(
            "not confirmed up to block {height}; whether it is pending, the command protocol does not tell"
        ),
    );
    Ok(())
}
