//! `decode`: packed bytes as JSON, with no node.

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use serde_json::{Value, json};

use super::target::chain_named;
use super::{Output, chain};
use crate::core::block::{Header, dump};
use crate::core::chain::Chain;
use crate::core::id::{BlockDigest, TxId};
use crate::core::keys::{Account, PublicKey};
use crate::core::record::Record;
use crate::core::wire::connection::list;

/// `decode`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What it is.
    kind: Kind,
    /// The bytes in hex; an account may be its text.
    hex: String,
    /// The network.
    #[arg(long, default_value = "bitmark")]
    chain: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Record,
    Block,
    Account,
    Connection,
}

pub(super) fn run(args: &Args, output: Output) -> anyhow::Result<()> {
    let chain = chain_named(&args.chain)?;
    let bytes = || hex::decode(args.hex.trim()).context("hex digits are wanted");
    let value = match args.kind {
        Kind::Record => record(chain, &bytes()?)?,
        Kind::Block => block(chain, &bytes()?)?,
        Kind::Account => account(args.hex.trim())?,
        Kind::Connection => connections(&bytes()?)?,
    };
    output.show(&value, serde_json::to_string_pretty(&value)?);
    Ok(())
}

fn record(chain: &Chain, bytes: &[u8]) -> anyhow::Result<Value> {
    let (record, used) = Record::unpack(bytes, chain.testing)?;
    let packed = bytes.get(..used).unwrap_or_default();
    let data: Value = serde_json::from_str(&record.to_json())?;
    Ok(json!({
        "type": record.type_name(),
        "txId": TxId::of(packed),
        "bytes": used,
        "following": bytes.len() - used,
        "data": data,
    }))
}

fn block(chain: &Chain, bytes: &[u8]) -> anyhow::Result<Value> {
    let (header, _) = Header::unpack(bytes)?;
    let records = chain::shown(chain, bytes)?;
    // The digest costs half a second on most chains and is not asked for here.
    let mut value = dump::to_json(&BlockDigest::default(), &header, &records);
    if let Some(object) = value.as_object_mut() {
        object.remove("digest");
    }
    Ok(value)
}

fn account(text: &str) -> anyhow::Result<Value> {
    let account = match hex::decode(text) {
        Ok(bytes) => Account::from_bytes(&bytes)?,
        Err(_) => Account::from_text(text)?,
    };
    let (algorithm, key) = match &account.key {
        PublicKey::Nothing(key) => ("nothing", hex::encode(key)),
        PublicKey::Ed25519(key) => ("ed25519", hex::encode(key)),
    };
    Ok(json!({
        "account": account,
        "testing": account.testing,
        "algorithm": algorithm,
        "publicKey": key,
        "packed": hex::encode(account.to_bytes()),
    }))
}

fn connections(bytes: &[u8]) -> anyhow::Result<Value> {
    let all: Vec<_> = list(bytes)
        .map(|connection| connection.to_string())
        .collect();
    if all.is_empty() {
        bail!("invalid IP Address");
    }
    Ok(json!(all))
}
