//! `peer watch`: what a node publishes, as it comes.

use std::time::{Duration, Instant};

use anyhow::bail;
use crossbeam_channel::{RecvTimeoutError, bounded};
use serde_json::{Value, json};

use super::shown::for_people;
use super::target::{Target, Which};
use super::{Output, chain};
use crate::core::block::Header;
use crate::core::chain::Chain;
use crate::core::record::Record;
use crate::core::wire::connection::list;
use crate::shell::zmq::Context;
use crate::shell::zmq::outward::{News, Order, Outward, Publishing};
use crate::shell::zmq::requester::fresh_key;

/// `peer watch`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// End after so many messages.
    #[arg(long)]
    count: Option<usize>,
    /// End after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// The target; with --connect and --server-key, those of the publisher.
    #[command(flatten)]
    target: Target,
}

/// Messages that wait to be printed; the newest are dropped beyond.
const WAITING: usize = 1024;

pub(super) fn run(args: &Args, output: Output) -> anyhow::Result<()> {
    let service = args.target.service(Which::Publish)?;
    let context = Context::new()?;
    let key = fresh_key();
    let nothing = Publishing {
        key: &key,
        zap_domain: "broadcaster",
        addresses: &[],
    };
    let (tell, news) = bounded(WAITING);
    let outward = Outward::start(&context, key.clone(), &nothing, "watch", move |item| {
        let _ = tell.try_send(item);
    })?;
    let order = Order::Subscribe(1, service.key, service.address);
    outward.orders().give(order);
    let begin = Instant::now();
    let end = args
        .seconds
        .and_then(|seconds| begin.checked_add(Duration::from_secs(seconds)));
    let mut reached = false;
    let mut left = args.count.unwrap_or(usize::MAX);
    output.note(format!("watching {} (interrupt to end)", service.address));
    while left > 0 {
        let until_reached = (!reached)
            .then(|| begin.checked_add(args.target.answer_within()))
            .flatten();
        let until = [end, until_reached].into_iter().flatten().min();
        let wait = until.map_or(Duration::from_secs(3600), |until| {
            until.saturating_duration_since(Instant::now())
        });
        match news.recv_timeout(wait) {
            Ok(News::Received(_, frames)) => {
                reached = true;
                let shown = show(service.chain, &frames);
                output.show(&shown, line(&shown));
                left -= 1;
            }
            Ok(News::Connected(_)) => {
                reached = true;
                output.note("connected");
            }
            Ok(News::Failed(_, why)) => bail!(why),
            Err(RecvTimeoutError::Timeout) if until.is_none() => {}
            Err(_) => break,
        }
    }
    if !reached {
        bail!(
            "nobody was reached at {} within {} s: does a node publish there, and is its public key the one given?",
            service.address,
            begin.elapsed().as_secs()
        );
    }
    Ok(())
}

/// A message in JSON.
fn show(chain: &Chain, frames: &[Vec<u8>]) -> Value {
    let text = |index: usize| {
        frames
            .get(index)
            .map(|frame| String::from_utf8_lossy(frame).into_owned())
            .unwrap_or_default()
    };
    let data = frames.get(2).map(Vec::as_slice).unwrap_or_default();
    let command = text(1);
    let content = match command.as_str() {
        "block" => Header::unpack(data).map_or(Value::Null, |(header, _)| {
            let records = chain::records(chain, data).unwrap_or_default();
            let types: Vec<_> = records.iter().map(|r| r.record.type_name()).collect();
            json!({"number": header.number, "records": types})
        }),
        "assets" | "issues" | "transfer" => records(chain, data),
        "proof" => json!({"payId": hex::encode(data.get(..48).unwrap_or(data))}),
        "peer" | "rpc" => {
            let addresses = frames.get(3).map(Vec::as_slice).unwrap_or_default();
            let addresses: Vec<_> = list(addresses).map(|c| c.to_string()).collect();
            json!({"key": hex::encode(data), "addresses": addresses})
        }
        _ => json!(text(2)),
    };
    json!({"chain": text(0), "command": command, "content": content})
}

fn records(chain: &Chain, mut rest: &[u8]) -> Value {
    let mut all = Vec::new();
    while let Ok((record, used)) = Record::unpack(rest, chain.testing) {
        let id = crate::core::id::TxId::of(rest.get(..used).unwrap_or_default());
        let data: Value = serde_json::from_str(&record.to_json()).unwrap_or_default();
        all.push(json!({"txId": id, "type": record.type_name(), "data": data}));
        rest = rest.get(used..).unwrap_or_default();
    }
    Value::Array(all)
}

fn line(shown: &Value) -> String {
    let command = for_people(shown["command"].as_str().unwrap_or_default());
    match &shown["content"] {
        Value::Array(records) => {
            let parts: Vec<String> = records
                .iter()
                .map(|r| {
                    let id = r["txId"].as_str().unwrap_or_default();
                    format!("{} {}", r["type"].as_str().unwrap_or_default(), id)
                })
                .collect();
            format!("{command:9} {}", parts.join(", "))
        }
        Value::String(text) => format!("{command:9} {}", for_people(text)),
        other => format!("{command:9} {other}"),
    }
}
