//! Passing bitmarks on: `transfer`, `countersign`, and `pay` for test networks.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::carrier::{Carrier, Owner, Wait};
use super::identity::Signer;
use super::target::Target;
use super::wallet::{Bill, Fees};
use super::{Output, arguments};
use crate::core::currency::{Currency, Payments, payments};
use crate::core::id::{PayId, TxId};
use crate::core::keys::{Account, PrivateKey};
use crate::core::record::{
    self, BitmarkTransferCountersigned, BitmarkTransferUnratified, BlockOwnerTransfer, Record,
};
use crate::core::wire::varint;
use crate::shell::control;

/// `transfer`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The bitmark: the id of its issue or of its last transfer.
    #[arg(value_parser = arguments::tx_id)]
    txid: TxId,
    /// The account of the new owner.
    #[arg(long, value_name = "ACCOUNT", value_parser = arguments::account)]
    to: Account,
    /// The new owner does not sign: the bitmark goes at once.
    #[arg(long)]
    unratified: bool,
    #[command(flatten)]
    signer: Signer,
    #[command(flatten)]
    target: Target,
}

/// `block-transfer`
#[derive(Debug, clap::Args)]
pub struct BlockArgs {
    /// The block: its id, or the id of its last transfer.
    #[arg(value_parser = arguments::tx_id)]
    txid: TxId,
    /// The account of the new owner.
    #[arg(long, value_name = "ACCOUNT", value_parser = arguments::account)]
    to: Account,
    /// The Bitcoin address at which the new owner takes fees.
    #[arg(long, value_name = "ADDRESS")]
    bitcoin: String,
    /// The Litecoin address at which the new owner takes fees.
    #[arg(long, value_name = "ADDRESS")]
    litecoin: String,
    #[command(flatten)]
    signer: Signer,
    #[command(flatten)]
    target: Target,
}

/// `countersign`
#[derive(Debug, clap::Args)]
pub struct CountersignArgs {
    /// What `transfer` or `block-transfer` printed.
    #[arg(value_name = "HEX")]
    transfer: String,
    /// Follow the chain until it is confirmed.
    #[arg(long)]
    wait: bool,
    /// How long to wait, in seconds.
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    timeout: u64,
    #[command(flatten)]
    signer: Signer,
    #[command(flatten)]
    target: Target,
}

/// `pay`
#[derive(Debug, clap::Args)]
pub struct PayArgs {
    /// The payment id, as `transfer` printed it.
    #[arg(value_parser = arguments::pay_id)]
    pay_id: PayId,
    /// No coin moves: the node is told that the payment was seen. Test networks alone.
    #[arg(long, required = true)]
    simulate: bool,
    #[command(flatten)]
    target: Target,
}

/// A block is passed on by transfers of its own kind, and so is a bitmark.
fn must_be(owner: Owner, is_block: bool) -> anyhow::Result<()> {
    match (owner.is_block, is_block) {
        (true, false) => bail!("this is a block, not a bitmark: `block-transfer` passes it on"),
        (false, true) => bail!("this is a bitmark, not a block: `transfer` passes it on"),
        _ => Ok(()),
    }
}

/// The key that signs and the node, once it is clear that this key may pass this on.
fn begin(
    signer: &Signer,
    target: &Target,
    (link, is_block): (&TxId, bool),
    to: &Account,
    output: Output,
) -> anyhow::Result<(PrivateKey, Box<dyn Carrier>)> {
    let network = target.network()?;
    let key = signer.key(network.as_ref())?;
    let from = key.account().context("this identity cannot sign")?;
    let mut node = target.carrier(output)?;
    if to.testing != node.chain().testing {
        bail!("the new owner's account is of the other network");
    }
    node.must_be_normal()?;
    let owner = node.owner_of(link)?;
    must_be(owner, is_block)?;
    if owner.account != from {
        let owner = owner.account;
        bail!("it belongs to {owner}, this identity is {from}");
    }
    Ok((key, node))
}

pub(super) fn run(args: &Args, output: Output) -> anyhow::Result<()> {
    let (key, mut node) = begin(
        &args.signer,
        &args.target,
        (&args.txid, false),
        &args.to,
        output,
    )?;
    if args.unratified {
        let mut transfer = Record::BitmarkTransferUnratified(BitmarkTransferUnratified {
            link: args.txid,
            escrow: None,
            owner: args.to,
            signature: Vec::new(),
        });
        record::sign(&mut transfer, &key)?;
        let (value, text) = send(node.as_mut(), &transfer)?;
        output.show(&value, text);
        return Ok(());
    }
    let mut transfer = Record::BitmarkTransferCountersigned(BitmarkTransferCountersigned {
        link: args.txid,
        escrow: None,
        owner: args.to,
        signature: Vec::new(),
        countersignature: Vec::new(),
    });
    record::sign_first(&mut transfer, &key);
    show_half("transfer", &transfer, &args.to, output);
    Ok(())
}

pub(super) fn block(args: &BlockArgs, output: Output) -> anyhow::Result<()> {
    let addresses = Payments(
        [
            (Currency::Bitcoin, args.bitcoin.clone().into_bytes()),
            (Currency::Litecoin, args.litecoin.clone().into_bytes()),
        ]
        .into(),
    );
    addresses.check(payments::VERSION, args.to.testing)?;
    let (key, _) = begin(
        &args.signer,
        &args.target,
        (&args.txid, true),
        &args.to,
        output,
    )?;
    let mut transfer = Record::BlockOwnerTransfer(BlockOwnerTransfer {
        link: args.txid,
        escrow: None,
        version: payments::VERSION,
        payments: addresses,
        owner: args.to,
        signature: Vec::new(),
        countersignature: Vec::new(),
    });
    record::sign_first(&mut transfer, &key);
    show_half("blockTransfer", &transfer, &args.to, output);
    Ok(())
}

/// Shows a transfer that the new owner has to sign as well.
fn show_half(name: &str, transfer: &Record, to: &Account, output: Output) {
    let half = hex::encode(transfer.countersign_message());
    output.show(
        &json!({"identity": to, name: half, "to": to}),
        format!(
            "nothing was sent yet: the new owner agrees with\n  bitmark-cli countersign {half}"
        ),
    );
}

/// Sends a transfer; gives what is shown of it, in JSON and for people.
fn send(node: &mut dyn Carrier, transfer: &Record) -> anyhow::Result<(Value, String)> {
    let payments = node.transfer(transfer)?;
    let packed = transfer.pack_unchecked();
    let (id, pay_id) = (TxId::of(&packed), PayId::of([packed.as_slice()]));
    let testing = node.chain().testing;
    let mut value = json!({"transferId": id, "payId": pay_id});
    let bill = Bill::read(pay_id, &payments, Fees::Transfer, testing)?;
    if let Some(bill) = &bill {
        bill.enter(&mut value);
    }
    value["txId"] = json!(id);
    value["packed"] = json!(hex::encode(packed));
    let text = match bill {
        Some(bill) => format!(
            "accepted: transfer {id}\nIt is mined once its fee was paid.\n{}",
            bill.text()
        ),
        None if node.knows_assets() => format!("accepted: transfer {id}"),
        None => format!(
            "received: transfer {id}\nwhether it is accepted, the protocol does not tell: another transfer of the same \
             bitmark may have come first.\nIt is mined once its fee was paid under payment id {pay_id}; do not pay \
             real coins before the node shows it as pending\n\
             (in a test network: bitmark-cli status {id}, then pay --simulate {pay_id}, both with --network DIR)"
        ),
    };
    Ok((value, text))
}

pub(super) fn countersign(args: &CountersignArgs, output: Output) -> anyhow::Result<()> {
    let network = args.target.network()?;
    let key = args.signer.key(network.as_ref())?;
    let signer = key.account().context("this identity cannot sign")?;
    let mut node = args.target.carrier(output)?;
    let node = node.as_mut();
    let half = hex::decode(args.transfer.trim()).context("the transfer is hex")?;
    // The record is whole once a countersignature follows; its length is known.
    let place = [half.as_slice(), &varint::pack(64), &[0; 64]].concat();
    let (mut transfer, _) = Record::unpack(&place, node.chain().testing)
        .context("this is not what `transfer` printed")?;
    if *transfer.owner() != signer {
        bail!(
            "the transfer is to {}, this identity is {signer}",
            transfer.owner()
        );
    }
    record::sign_second(&mut transfer, &key);
    let link = transfer.link().context("this is no transfer")?;
    let owner = node.owner_of(&link)?;
    must_be(owner, matches!(transfer, Record::BlockOwnerTransfer(_)))?;
    let packed = transfer.pack(&owner.account)?;
    let from = node.must_be_normal()?.height;
    let (value, text) = send(node, &transfer)?;
    if !args.wait {
        output.show(&value, text);
        return Ok(());
    }
    output.part(text);
    let timeout = Duration::from_secs(args.timeout);
    let mut wait = Wait::new(from, vec![TxId::of(&packed)]);
    wait.run(node, timeout, |text| output.note(text))?;
    let value = wait.enter(value)?;
    let block = wait.last_block();
    output.show(&value, format!("confirmed in block {block}"));
    Ok(())
}

pub(super) fn pay(args: &PayArgs, output: Output) -> anyhow::Result<()> {
    let Some(network) = args.target.network()? else {
        bail!("payments are simulated in a test network alone: name its folder with --network");
    };
    // Each node decides for itself, so each is told.
    let request = json!({"command": "payment-seen", "payId": args.pay_id});
    let mut told = Vec::new();
    for node in &network.nodes {
        match control::call(&node.control, &request) {
            Ok(answer) => told.push(json!({"node": node.name, "answer": answer})),
            Err(control::ControlError::NotRunning(..)) => {}
            Err(e) => return Err(e).context(node.name.clone()),
        }
    }
    if told.is_empty() {
        bail!("no node of the test network is running");
    }
    if told
        .iter()
        .all(|entry| entry["answer"]["status"] == "Unknown")
    {
        bail!(
            "no node knows payment id {}: nothing waits for it",
            args.pay_id
        );
    }
    let lines: Vec<String> = told
        .iter()
        .map(|entry| {
            format!(
                "{}: {}",
                entry["node"].as_str().unwrap_or_default(),
                entry["answer"]["status"].as_str().unwrap_or("told")
            )
        })
        .collect();
    output.show(
        &json!({"payId": args.pay_id, "nodes": told}),
        lines.join("\n"),
    );
    Ok(())
}
