//! What a node says about a transaction or an account: `provenance`, `status` and `owned`.

use anyhow::bail;
use serde_json::{Value, json};

use super::carrier::{Holding, Item, Step};
use super::shown::for_people;
use super::target::Target;
use super::{Output, arguments};
use crate::core::id::{AssetId, TxId};
use crate::core::keys::Account;
use crate::core::record::Record;

/// `provenance`
#[derive(Debug, clap::Args)]
pub struct ProvenanceArgs {
    /// Its issue or any of its transfers.
    #[arg(value_parser = arguments::tx_id)]
    txid: TxId,
    /// At most so many steps; all unless given.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
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

/// `owned`
#[derive(Debug, clap::Args)]
pub struct OwnedArgs {
    /// Whose.
    #[arg(value_name = "ACCOUNT", value_parser = arguments::account)]
    account: Account,
    #[command(flatten)]
    target: Target,
}

fn step_json(step: &Step) -> Value {
    let data: Value = serde_json::from_str(&step.record.to_json()).unwrap_or_default();
    let mut value = match &step.record {
        Record::AssetData(asset) => json!({"assetId": AssetId::of(&asset.fingerprint)}),
        _ => json!({"txId": step.id}),
    };
    if let Some(block) = step.block {
        value["block"] = json!(block);
    }
    value["type"] = json!(step.record.type_name());
    value["isOwner"] = json!(step.is_owner);
    value["data"] = data;
    value
}

fn step_text(step: &Step) -> String {
    let place = step
        .block
        .map_or_else(|| " ".repeat(12), |block| format!("block {block:6}"));
    let id = step.id.unwrap_or_default();
    let owner = step.record.owner();
    match &step.record {
        Record::AssetData(asset) => format!(
            "{place}  asset {:?}, registered by {owner}",
            String::from_utf8_lossy(&asset.name)
        ),
        Record::BitmarkIssue(_) => format!("{place}  issued to {owner} by {id}"),
        Record::BlockFoundation(_) | Record::BaseData(_) => {
            format!("{place}  mined by {owner}: {id}")
        }
        _ => format!("{place}  passed on to {owner} by {id}"),
    }
}

pub(super) fn provenance(args: &ProvenanceArgs, output: Output) -> anyhow::Result<()> {
    let mut node = args.target.carrier(output)?;
    let most = args.count.map(usize::try_from).transpose()?;
    let steps = node.steps(&args.txid, most.unwrap_or(usize::MAX))?;
    let Some(first) = steps.first() else {
        bail!(
            "the chain of this node has no transaction {}; is it confirmed yet?",
            args.txid
        );
    };
    if !first.is_owner {
        output.note("it was passed on since: `owned ACCOUNT` shows what an account owns now");
    }
    let value = steps.iter().map(step_json).collect();
    let lines: Vec<String> = steps.iter().map(step_text).collect();
    output.show(&value, lines.join("\n"));
    Ok(())
}

pub(super) fn status(args: &StatusArgs, output: Output) -> anyhow::Result<()> {
    let mut node = args.target.carrier(output)?;
    let found = node.status(&args.txid)?;
    let mut value = json!({"txId": args.txid, "status": found.status});
    if let Some(block) = found.block {
        value["block"] = json!(block);
    }
    value["height"] = json!(found.height);
    let text = match (found.block, found.status.as_str()) {
        (Some(block), _) => {
            let deep = found.height.saturating_sub(block) + 1;
            let blocks = if deep == 1 { "block" } else { "blocks" };
            format!("Confirmed in block {block}, {deep} {blocks} deep")
        }
        (None, "NotConfirmed") => format!(
            "not confirmed up to block {}; whether it is pending, the command protocol does not tell (--rpc does)",
            found.height
        ),
        (None, status) => for_people(status),
    };
    output.show(&value, text);
    Ok(())
}

fn holding_json(one: &Holding) -> Value {
    let mut value = json!({"txId": one.tx_id, "issue": one.issue});
    match &one.item {
        Item::Bitmark(asset, name) => {
            value["item"] = json!("Asset");
            value["assetId"] = json!(asset);
            value["name"] = json!(name);
        }
        Item::Block(number) => {
            value["item"] = json!("Block");
            value["blockNumber"] = json!(number);
        }
    }
    value
}

fn holding_text(one: &Holding) -> String {
    match &one.item {
        Item::Bitmark(_, Some(name)) => format!("{}  {name:?}", one.tx_id),
        Item::Bitmark(asset, None) => format!("{}  asset {asset}", one.tx_id),
        Item::Block(number) => format!("{}  block {number}", one.tx_id),
    }
}

pub(super) fn owned(args: &OwnedArgs, output: Output) -> anyhow::Result<()> {
    let mut node = args.target.carrier(output)?;
    if args.account.testing != node.chain().testing {
        bail!(
            "the account is of the other network than chain {}",
            node.chain().name
        );
    }
    let all = node.owned(&args.account)?;
    let lines: Vec<String> = all.iter().map(holding_text).collect();
    let text = if lines.is_empty() {
        "nothing".to_owned()
    } else {
        lines.join("\n")
    };
    output.show(&all.iter().map(holding_json).collect(), text);
    Ok(())
}
