//! `peer`: the commands of the protocol, one by one.

use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde_json::{Value, json};

use super::shown::for_people;
use super::target::Target;
use super::{Exit, Output, arguments, chain, push, watch};
use crate::core::block::{Header, dump};
use crate::core::keys::PeerPublicKey;
use crate::core::wire::connection::{Connection, list, pack_list};

/// `peer`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: PeerCommand,
}

#[derive(Debug, Subcommand)]
enum PeerCommand {
    /// What the node says of itself.
    Info(TargetArgs),
    /// Its height.
    Height(TargetArgs),
    /// A block.
    Block(NumberArgs),
    /// The digest of a block.
    Hash(NumberArgs),
    /// A sign of life.
    Heart(TargetArgs),
    /// Enter a node into its table of peers; the answer names another one.
    Register(AnnounceArgs),
    /// Tell it of a peer, as peers do.
    AnnouncePeer(AnnounceArgs),
    /// Tell it of a client service, as peers do.
    AnnounceRpc(AnnounceRpcArgs),
    /// Send any command with any parameters and show the answer.
    Raw(RawArgs),
    /// Send records or a block.
    Push(push::Args),
    /// Show what the node publishes as it comes.
    Watch(watch::Args),
}

#[derive(Debug, clap::Args)]
struct TargetArgs {
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
struct NumberArgs {
    /// The block's number.
    number: u64,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
struct AnnounceArgs {
    /// The node's public key, 64 hex digits.
    #[arg(long, value_name = "HEX", value_parser = arguments::public_key)]
    public_key: PeerPublicKey,
    /// Where it listens; may be repeated.
    #[arg(long, value_name = "ADDRESS:PORT", required = true)]
    listen: Vec<String>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
struct AnnounceRpcArgs {
    /// SHA3-256 of its certificate, 64 hex digits.
    #[arg(long, value_name = "HEX")]
    fingerprint: String,
    /// Where it listens; may be repeated.
    #[arg(long, value_name = "ADDRESS:PORT", required = true)]
    listen: Vec<String>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
struct RawArgs {
    /// The command, as text.
    command: String,
    /// Its parameters.
    #[arg(value_name = "HEX")]
    parameters: Vec<String>,
    #[command(flatten)]
    target: Target,
}

fn now() -> Vec<u8> {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| d.as_secs())
        .to_be_bytes()
        .to_vec()
}

fn listeners(texts: &[String]) -> anyhow::Result<Vec<u8>> {
    let all: Vec<Connection> = texts
        .iter()
        .map(|text| Connection::from_text(text).with_context(|| format!("--listen {text}")))
        .collect::<anyhow::Result<_>>()?;
    Ok(pack_list(&all))
}

pub(super) fn run(args: Args, output: Output) -> anyhow::Result<()> {
    match args.command {
        PeerCommand::Info(args) => {
            let info = args.target.carrier(output)?.info()?;
            let mode = if info.normal {
                "normal"
            } else {
                "synchronising"
            };
            let text = format!(
                "chain {}, height {}, {mode}, version {}",
                for_people(info.json["chain"].as_str().unwrap_or("?")),
                info.height,
                for_people(info.json["version"].as_str().unwrap_or("?")),
            );
            output.show(&info.json, text);
        }
        PeerCommand::Height(args) => {
            let height = args.target.carrier(output)?.info()?.height;
            output.show(&json!({"height": height}), height.to_string());
        }
        PeerCommand::Block(args) => {
            let node = args.target.dial()?;
            let packed = node.block(args.number)?;
            let value = block_json(&node, args.number, &packed)?;
            output.show(&value, serde_json::to_string_pretty(&value)?);
        }
        PeerCommand::Hash(args) => {
            let digest = args.target.dial()?.digest(args.number)?;
            output.show(
                &json!({"number": args.number, "digest": digest}),
                digest.to_string(),
            );
        }
        PeerCommand::Heart(args) => {
            args.target.dial()?.push("heart", &[b"beat".to_vec()])?;
            output.show(&json!({"received": true}), "received");
        }
        PeerCommand::Register(args) => register(&args, output)?,
        PeerCommand::AnnouncePeer(args) => {
            let parameters = [args.public_key.0.to_vec(), listeners(&args.listen)?, now()];
            args.target.dial()?.push("peer", &parameters)?;
            output.show(&json!({"received": true}), "received");
        }
        PeerCommand::AnnounceRpc(args) => {
            let fingerprint: [u8; 32] = hex::decode(&args.fingerprint)
                .ok()
                .and_then(|bytes| bytes.try_into().ok())
                .context("--fingerprint: 64 hex digits are wanted")?;
            let parameters = [fingerprint.to_vec(), listeners(&args.listen)?, now()];
            args.target.dial()?.push("rpc", &parameters)?;
            output.show(&json!({"received": true}), "received");
        }
        PeerCommand::Raw(args) => raw(&args, output)?,
        PeerCommand::Push(args) => push::run(&args, output)?,
        PeerCommand::Watch(args) => watch::run(&args, output)?,
    }
    Ok(())
}

fn block_json(node: &super::target::Node, number: u64, packed: &[u8]) -> anyhow::Result<Value> {
    let digest = node.digest(number)?;
    let (header, _) = Header::unpack(packed)?;
    let records = chain::shown(node.chain(), packed)?;
    Ok(dump::to_json(&digest, &header, &records))
}

fn register(args: &AnnounceArgs, output: Output) -> anyhow::Result<()> {
    let node = args.target.dial()?;
    let chain = node.chain().name.as_bytes().to_vec();
    let parameters = [
        chain,
        args.public_key.0.to_vec(),
        listeners(&args.listen)?,
        now(),
    ];
    let reply = node.ask(b"R", &parameters)?;
    let [kind, _, key, addresses, timestamp, ..] = reply.as_slice() else {
        bail!("the node's answer to R has {} frames, not 5", reply.len());
    };
    if kind != b"R" {
        bail!("the node's answer is not of the protocol");
    }
    let timestamp = timestamp
        .first_chunk::<8>()
        .map_or(0, |bytes| u64::from_be_bytes(*bytes));
    let addresses: Vec<String> = list(addresses).map(|c| c.to_string()).collect();
    output.show(
        &json!({"public_key": hex::encode(key), "listeners": addresses, "timestamp": timestamp}),
        format!(
            "received; the node names {} at {}",
            hex::encode(key),
            addresses.join(", ")
        ),
    );
    Ok(())
}

fn raw(args: &RawArgs, output: Output) -> anyhow::Result<()> {
    let parameters = args
        .parameters
        .iter()
        .map(|text| hex::decode(text).with_context(|| format!("{text:?}: hex")))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let node = args.target.dial()?;
    let mut request = vec![node.chain().name.as_bytes().to_vec()];
    request.push(args.command.as_bytes().to_vec());
    request.extend(parameters);
    let reply = node.ask_raw(&request)?;
    let lines: Vec<String> = reply
        .iter()
        .map(|frame| {
            let readable = frame.iter().all(|byte| (0x20..0x7f).contains(byte));
            if readable {
                format!("{}  {}", hex::encode(frame), String::from_utf8_lossy(frame))
            } else {
                hex::encode(frame)
            }
        })
        .collect();
    let value: Value = reply
        .iter()
        .map(|frame| json!(hex::encode(frame)))
        .collect();
    if let [kind, text] = reply.as_slice()
        && kind == b"E"
    {
        output.part(lines.join("\n"));
        return Err(Exit {
            status: 1,
            message: format!(
                "the node answers: {}",
                for_people(&String::from_utf8_lossy(text))
            ),
            result: json!({"frames": value}),
        }
        .into());
    }
    output.show(&value, lines.join("\n"));
    Ok(())
}
