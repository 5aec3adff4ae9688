//! `bitmarkd ctl`: asks a running node through its control socket.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde_json::{Value, json};

use crate::shell::control;

/// What the operator wants.
#[derive(Debug, Clone, Subcommand)]
pub enum Ctl {
    /// Mode, height, pools, counters.
    Status,
    /// Outgoing connections and peers known.
    Peers,
    /// The shared mempool: every number of it, and how far each peer is.
    Mempool {
        /// Print a line whenever something was sent, a peer came or went, or records came, until
        /// interrupted.
        #[arg(long)]
        follow: bool,
    },
    /// Connect a peer.
    Connect {
        /// Its public key.
        key: String,
        /// Where it is.
        address: String,
    },
    /// Disconnect a peer.
    Disconnect {
        /// Its public key.
        key: String,
    },
    /// Keep a key out.
    Ban {
        /// The public key.
        key: String,
        /// For how long: a number with s, m, h or d behind it. For ever unless given.
        #[arg(long = "for", value_name = "TIME")]
        time: Option<String>,
    },
    /// Let a key in again.
    Unban {
        /// The public key.
        key: String,
    },
    /// Change how much is logged while the node runs.
    LogLevel {
        /// The module, or DEFAULT.
        module: String,
        /// trace, debug, info, warn, error or off.
        level: String,
    },
    /// Take a payment as seen; on private networks alone.
    PaymentSeen {
        /// The payment id.
        pay_id: String,
        /// The coin; what is due is taken as paid unless addresses are given.
        #[arg(long, requires = "pay")]
        currency: Option<String>,
        /// An address with the amount that it got; may be repeated.
        #[arg(long = "pay", value_name = "ADDRESS=AMOUNT", requires = "currency")]
        pay: Vec<String>,
    },
    /// The state of a transaction.
    Transaction {
        /// Its id.
        tx_id: String,
    },
    /// Follow a branch that takes off more blocks than the protection allows, down to this height.
    AcceptFork {
        /// The height that stays.
        height: u64,
    },
}

fn seconds(text: &str) -> anyhow::Result<u64> {
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => bail!("{text:?}: write a number with s, m, h or d behind it, as 30m"),
    };
    let number: u64 = number
        .parse()
        .with_context(|| format!("{text:?}: write a number with s, m, h or d behind it"))?;
    Ok(Duration::from_secs(number.saturating_mul(unit)).as_secs())
}

impl Ctl {
    /// The request on the socket.
    ///
    /// # Errors
    /// An argument that is none.
    pub fn request(&self) -> anyhow::Result<Value> {
        Ok(match self {
            Self::Status => json!({"command": "status"}),
            Self::Peers => json!({"command": "peers"}),
            Self::Mempool { .. } => json!({"command": "mempool"}),
            Self::Connect { key, address } => {
                json!({"command": "connect", "key": key, "address": address})
            }
            Self::Disconnect { key } => json!({"command": "disconnect", "key": key}),
            Self::Ban { key, time } => {
                let seconds = time.as_deref().map(seconds).transpose()?;
                json!({"command": "ban", "key": key, "seconds": seconds})
            }
            Self::Unban { key } => json!({"command": "unban", "key": key}),
            Self::LogLevel { module, level } => {
                json!({"command": "log-level", "module": module, "level": level})
            }
            Self::PaymentSeen {
                pay_id,
                currency,
                pay,
            } => {
                let mut request = json!({"command": "payment-seen", "payId": pay_id});
                if let Some(currency) = currency {
                    let amounts = pay
                        .iter()
                        .map(|text| {
                            let (address, amount) = text
                                .split_once('=')
                                .with_context(|| format!("{text:?}: write ADDRESS=AMOUNT"))?;
                            Ok((address.to_owned(), json!(amount)))
                        })
                        .collect::<anyhow::Result<serde_json::Map<_, _>>>()?;
                    request["currency"] = json!(currency);
                    request["amounts"] = Value::Object(amounts);
                }
                request
            }
            Self::Transaction { tx_id } => json!({"command": "transaction", "txId": tx_id}),
            Self::AcceptFork { height } => json!({"command": "accept-fork", "height": height}),
        })
    }
}

/// Asks the node and prints its answer.
///
/// # Errors
/// No node answers, or it refuses, or there was nothing to do.
pub fn run(socket: &Path, ctl: &Ctl, is_json: bool) -> anyhow::Result<()> {
    if let Ctl::Unban { key } = ctl {
        let peers = control::call(socket, &Ctl::Peers.request()?)?;
        if !is_banned(&peers, key) {
            bail!("{key}: this key is not banned; `ctl peers` shows those that are");
        }
    }
    if matches!(ctl, Ctl::Mempool { follow: true }) {
        return follow(socket, is_json);
    }
    let answer = control::call(socket, &ctl.request()?)?;
    if let Ctl::Disconnect { key } = ctl
        && answer["disconnected"] == false
    {
        bail!("{key}: there is no connection with this key; `ctl peers` shows those that are");
    }
    if is_json {
        outln!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        outln!("{}", people(&answer));
    }
    Ok(())
}

/// Prints the news of the shared mempool until the node ends.
fn follow(socket: &Path, is_json: bool) -> anyhow::Result<()> {
    let mut question = json!({"command": "mempool-follow"});
    loop {
        let answer = control::call(socket, &question)?;
        let names = answer["news"].as_array().map_or(&[][..], Vec::as_slice);
        if is_json && !names.is_empty() {
            outln!("{}", json!({"news": names}));
        } else if !names.is_empty() {
            let names: Vec<&str> = names.iter().filter_map(Value::as_str).map(said).collect();
            outln!("{}", names.join(", "));
        }
        question["follower"] = answer["follower"].clone();
    }
}

/// A kind of news for people.
fn said(name: &str) -> &str {
    match name {
        "sync" => "records were sent",
        "peerStateChange" => "a peer came or went",
        "newTransactions" => "records came",
        other => other,
    }
}

fn is_banned(peers: &Value, key: &str) -> bool {
    let banned = peers["banned"].as_array().map_or(&[][..], Vec::as_slice);
    banned.iter().any(|entry| {
        let banned = entry["key"].as_str().unwrap_or_default();
        banned.eq_ignore_ascii_case(key.trim())
    })
}

/// An answer for people: a line for each value, with the names that lead to it.
fn people(answer: &Value) -> String {
    let mut lines = Vec::new();
    flatten("", answer, &mut lines);
    lines.join("\n")
}

fn flatten(name: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (field, value) in fields {
                let point = if name.is_empty() { "" } else { "." };
                flatten(&format!("{name}{point}{field}"), value, lines);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                lines.push(format!("{name:24} {}", in_one_line(item)));
            }
        }
        _ => lines.push(format!("{name:24} {}", in_one_line(value))),
    }
}

fn in_one_line(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(in_one_line).collect();
            items.join(",")
        }
        Value::Object(fields) if fields.is_empty() => "none".to_owned(),
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(field, value)| format!("{field}={}", in_one_line(value)))
                .collect();
            fields.join(" ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_line_for_each_value() {
        let answer = json!({
            "mode": "Normal",
            "reservoir": {"pending": 3},
            "banned": [],
            "known": [{"key": "ab", "listeners": ["x", "y"], "until": null}],
        });
        let expected = [
            "mode                     Normal",
            "reservoir.pending        3",
            "banned                   none",
            "known                    key=ab listeners=x,y until=-",
        ];
        assert_eq!(people(&answer), expected.join("\n"));
    }

    #[test]
    fn the_shared_mempool_is_a_line_for_each_number_and_each_peer() {
        assert_eq!(
            Ctl::Mempool { follow: false }.request().unwrap(),
            json!({"command": "mempool"})
        );
        let peer = json!({"key": "ab", "mode": "overlay", "oldestUnacknowledgedMs": null});
        let answer = json!({"enabled": true, "report": {"sentBundles": 7}, "peers": [peer]});
        let expected = [
            "enabled                  true",
            "report.sentBundles       7",
            "peers                    key=ab mode=overlay oldestUnacknowledgedMs=-",
        ];
        assert_eq!(people(&answer), expected.join("\n"));
    }

    #[test]
    fn only_keys_that_are_banned_are_let_in_again() {
        let peers = json!({"banned": [{"key": "ab", "until": null}]});
        assert!(is_banned(&peers, "AB"));
        assert!(!is_banned(&peers, "cd"));
        assert!(!is_banned(&json!({}), "ab"));
    }

    #[test]
    fn a_time_has_a_unit() {
        assert_eq!(seconds("90s").unwrap(), 90);
        assert_eq!(seconds("2h").unwrap(), 7200);
        assert!(seconds("2").is_err());
        assert!(seconds("").is_err());
    }
}
