//! Passing bitmarks on: `transfer`, `countersign`, and `pay` for test networks.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::identity::Signer;
use super::target::Target;
use super::{Output, arguments, chain, trace};
use crate::core::id::{PayId, TxId};
use crate::core::keys::Account;
use crate::core::record::{self, BitmarkTransferCountersigned, BitmarkTransferUnratified, Record};
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

/// `countersign`
#[derive(Debug, clap::Args)]
pub struct CountersignArgs {
    /// What `transfer` printed.
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

pub(super) fn run(args: &Args, output: Output) -> anyhow::Result<()> {
    let network = args.target.network()?;
    let key = args.signer.key(network.as_ref())?;
    let signer = key.account().context("this identity cannot sign")?;
    let node = args.target.dial()?;
    if args.to.testing != node.chain().testing {
        bail!("the new owner's account is of the other network");
    }
    node.must_be_normal()?;
    let owner = trace::current_owner(&node, &args.txid)?;
    if owner != signer {
        bail!("the bitmark belongs to {owner}, this identity is {signer}");
    }
    if args.unratified {
        let mut transfer = Record::BitmarkTransferUnratified(BitmarkTransferUnratified {
            link: args.txid,
            escrow: None,
            owner: args.to,
            signature: Vec::new(),
        });
        let packed = record::sign(&mut transfer, &key)?;
        node.push("transfer", std::slice::from_ref(&packed))?;
        let (value, text) = sent(&packed);
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
    let half = hex::encode(transfer.countersign_message());
    output.show(
        &json!({"transfer": half, "to": args.to}),
        format!(
            "nothing was sent yet: the new owner agrees with\n  bitmark-cli countersign {half}"
        ),
    );
    Ok(())
}

/// What is shown of a transfer that was sent: in JSON and for people.
fn sent(packed: &[u8]) -> (Value, String) {
    let (id, pay_id) = (TxId::of(packed), PayId::of([packed]));
    (
        json!({"txId": id, "payId": pay_id, "packed": hex::encode(packed)}),
        format!(
            "received: transfer {id}\nwhether it is accepted, the protocol does not tell: another transfer of the same \
             bitmark may have come first.\nIt is mined once its fee was paid under payment id {pay_id}; do not pay \
             real coins before the node shows it as pending\n\
             (in a test network: bitmark-cli status {id}, then pay --simulate {pay_id}, both with --network DIR)"
        ),
    )
}

pub(super) fn countersign(args: &CountersignArgs, output: Output) -> anyhow::Result<()> {
    let network = args.target.network()?;
    let key = args.signer.key(network.as_ref())?;
    let signer = key.account().context("this identity cannot sign")?;
    let node = args.target.dial()?;
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
    let owner = trace::current_owner(&node, &link)?;
    let packed = transfer.pack(&owner)?;
    let from = node.must_be_normal()?.height;
    node.push("transfer", std::slice::from_ref(&packed))?;
    let (value, text) = sent(&packed);
    if !args.wait {
        output.show(&value, text);
        return Ok(());
    }
    output.part(text);
    let timeout = Duration::from_secs(args.timeout);
    let wanted = [TxId::of(&packed)];
    let waited = chain::wait_for(&node, from, &wanted, timeout, |text| output.note(text))?;
    let value = waited.enter(value)?;
    let block = waited.last_block();
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
