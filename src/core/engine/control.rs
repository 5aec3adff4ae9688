//! What the operator asks and tells through the control socket: one object with a `command`, one
//! answer. What is about sockets and logs alone is answered by the shell.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::bans::{BANS_MAX, FOR_EVER};
use super::{Effect, Engine, Step};
use crate::core::currency::Currency;
use crate::core::id::{PayId, TxId};
use crate::core::keys::PeerPublicKey;
use crate::core::reservoir::{self, Confirmed, SeenPayment, Status};
use crate::core::wire::connection::Connection;

fn field<'a>(question: &'a Value, name: &str) -> Result<&'a str, String> {
    question
        .get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| format!("{name} is missing"))
}

fn key_of(question: &Value) -> Result<PeerPublicKey, String> {
    PeerPublicKey::from_text(field(question, "key")?)
        .map_err(|_| "key: 64 hex digits are wanted".to_owned())
}

impl Engine {
    pub(super) fn control(&mut self, step: &mut Step<'_>, token: u64, question: &Value) {
        if field(question, "command") == Ok("mempool-follow") {
            self.follow(step, token, question);
            return;
        }
        let answer = match field(question, "command") {
            Ok("status") => Ok(self.status_json(step)),
            Ok("peers") => Ok(self.peers_json()),
            Ok("mempool") => Ok(self.mempool_json(step)),
            Ok("connect") => self.control_connect(step, question),
            Ok("disconnect") => key_of(question).map(|key| {
                let was = self.disconnect(step, &key);
                json!({"disconnected": was})
            }),
            Ok("ban") => self.ban(step, question),
            Ok("unban") => key_of(question).map(|key| {
                step.state.extend(self.bans.remove(&key));
                step.out.push(Effect::Ban(key, 0));
                json!({"unbanned": key})
            }),
            Ok("payment-seen") => self.payment_seen(step, question),
            Ok("transaction") => self.transaction(step, question),
            Ok("accept-fork") => question
                .get("height")
                .and_then(Value::as_u64)
                .map(|height| {
                    self.connector.accept_fork(height);
                    json!({"accepted": height})
                })
                .ok_or_else(|| "height is missing".to_owned()),
            Ok(other) => Err(format!("{other:?} is no command")),
            Err(e) => Err(e),
        };
        // After the flush: what was told is kept.
        step.after.push(Effect::Control(token, answer));
    }

    pub(super) fn status_json(&self, step: &Step<'_>) -> Value {
        let status = self.status();
        let counts = self.reservoir.sizes();
        let registered = self
            .upstreams
            .iter()
            .filter(|place| place.upstream.is_registered())
            .count();
        let dropped: u64 = self.upstreams.iter().map(|p| p.upstream.dropped()).sum();
        json!({
            "chain": self.settings.chain.name,
            "mode": if status.normal { "Normal" } else { "Resynchronise" },
            "state": self.connector.state(),
            "height": status.height,
            "digest": self.ledger.tip().digest,
            "verifiedHeight": self.verified_height(),
            "uptimeSeconds": step.now.mono.saturating_sub(self.started) / 1000,
            "upstreams": registered,
            "peersKnown": self.announce.peers().len(),
            "rpcsKnown": self.announce.rpcs().services().len(),
            "subscriptions": self.subscriptions.len(),
            "blocksStored": self.stats.blocks,
            "blocksWaiting": self.blocks.len(),
            "newsDropped": dropped,
            "publishedOther": self.stats.published_other,
            "reservoir": {
                "pending": counts.unverified_tx_index,
                "pendingSets": counts.unverified_tx_entries,
                "verified": counts.verified_tx,
                "assets": counts.assets,
                "orphanPayments": counts.orphan_payment,
                "bytes": self.reservoir.usage().bytes,
                "refusedFull": self.reservoir.refused_full(),
                "expired": self.reservoir.expired(),
                "taken": self.stats.taken,
            },
            "mempool": self.mempool_brief(),
            "refused": self.stats.refused,
        })
    }

    /// What of the shared mempool the status tells.
    fn mempool_brief(&self) -> Value {
        let report: BTreeMap<_, _> = self.mempool.report().into_iter().collect();
        let value = |name| report.get(name).copied().unwrap_or_default();
        json!({
            "enabled": self.settings.mempool.enabled,
            "overlay": value("peers_overlay"),
            "plain": value("peers_plain"),
            "unknown": value("peers_unknown"),
            "timelineHead": value("timeline_head"),
            "timelineLength": value("timeline_length"),
            "parked": value("parked"),
            "inFlight": value("in_flight"),
        })
    }

    /// All of the shared mempool: every number, and every peer.
    fn mempool_json(&self, step: &Step<'_>) -> Value {
        let report = self.mempool.report().into_iter();
        let numbers: serde_json::Map<_, _> = report
            .map(|(name, value)| (camel_case(name), json!(value)))
            .collect();
        let peers: Vec<Value> = self
            .mempool
            .peers(step.now.mono)
            .into_iter()
            .map(|peer| {
                json!({
                    "key": peer.key,
                    "mode": peer.mode.name(),
                    "alive": peer.alive,
                    "acked": peer.acked,
                    "remoteDone": peer.remote_done,
                    "inFlight": peer.in_flight,
                    "jobs": peer.jobs,
                    "oldestUnacknowledgedMs": peer.oldest_unacknowledged_ms,
                })
            })
            .collect();
        json!({
            "enabled": self.settings.mempool.enabled,
            "policy": self.settings.mempool.policy,
            "report": numbers,
            "peers": peers,
        })
    }

    fn peers_json(&self) -> Value {
        let upstreams: Vec<Value> = self
            .upstreams
            .iter()
            .filter_map(|place| {
                let (key, address) = place.upstream.target()?;
                Some(json!({
                    "key": key,
                    "address": address.to_string(),
                    "registered": place.upstream.is_registered(),
                    "height": place.upstream.height(),
                    "static": place.is_static,
                }))
            })
            .collect();
        let known: Vec<Value> = self
            .announce
            .peers()
            .iter()
            .map(|(key, entry)| {
                let addresses: Vec<String> = crate::core::wire::connection::list(entry.listeners())
                    .map(|c| c.to_string())
                    .collect();
                json!({"key": hex::encode(key), "listeners": addresses, "time": entry.time()})
            })
            .collect();
        let publishers: Vec<Value> = self
            .subscriptions
            .iter()
            .map(
                |s| json!({"key": s.key, "address": s.address.to_string(), "messages": s.messages, "dropped": s.dropped}),
            )
            .collect();
        let banned: Vec<Value> = self
            .bans
            .all()
            .map(|(key, until)| json!({"key": key, "until": (until != FOR_EVER).then_some(until)}))
            .collect();
        json!({"upstreams": upstreams, "known": known, "publishers": publishers, "banned": banned})
    }

    fn control_connect(&mut self, step: &mut Step<'_>, question: &Value) -> Result<Value, String> {
        let key = key_of(question)?;
        let address = Connection::from_text(field(question, "address")?)
            .map_err(|e| format!("address: {e}"))?;
        if key == self.settings.own.key {
            return Err("connecting to self forbidden".to_owned());
        }
        if self.bans.has(&key, step.now.wall) {
            return Err("this key is banned; let it in with `unban` first".to_owned());
        }
        self.connect_now(step, key, address);
        Ok(json!({"connecting": key, "address": address.to_string()}))
    }

    /// Keeps a key out, for so many seconds or for ever.
    fn ban(&mut self, step: &mut Step<'_>, question: &Value) -> Result<Value, String> {
        let key = key_of(question)?;
        if key == self.settings.own.key {
            return Err("this is the node's own key".to_owned());
        }
        let seconds = question.get("seconds").and_then(Value::as_u64);
        let until = seconds.map_or(FOR_EVER, |s| step.now.wall.saturating_add(s));
        let batch = self.bans.add(key, until, step.now.wall).ok_or_else(|| {
            format!("{BANS_MAX} keys are banned already; let one in with `unban`")
        })?;
        step.state.extend(batch);
        step.out.push(Effect::Ban(key, until));
        let was = self.shut_out(step, &key);
        Ok(json!({"banned": key, "seconds": seconds, "disconnected": was}))
    }

    fn transaction(&self, step: &Step<'_>, question: &Value) -> Result<Value, String> {
        let id: TxId = field(question, "txId")?
            .parse()
            .map_err(|e| format!("txId: {e}"))?;
        let state = Confirmed {
            view: &step.state,
            ledger: &self.ledger,
        };
        let status = self
            .reservoir
            .status(&id, &state)
            .map_err(|e| e.to_string())?;
        Ok(json!({"txId": id, "status": status.text()}))
    }

    /// A payment was seen, or shall be taken as seen: on private networks alone.
    fn payment_seen(&mut self, step: &mut Step<'_>, question: &Value) -> Result<Value, String> {
        let chain = self.settings.chain;
        if !chain.simulated_payments {
            return Err(format!(
                "payments are not simulated on chain {}: they are watched for in the coins' own networks",
                chain.name
            ));
        }
        let pay_id: PayId = field(question, "payId")?
            .parse()
            .map_err(|e| format!("payId: {e}"))?;
        let payment = match question.get("amounts").and_then(Value::as_object) {
            Some(amounts) => {
                let currency: Currency = field(question, "currency")?
                    .parse()
                    .map_err(|e| format!("currency: {e}"))?;
                let amounts = amounts
                    .iter()
                    .map(|(address, amount)| {
                        let amount = amount
                            .as_u64()
                            .or_else(|| amount.as_str()?.parse().ok())
                            .ok_or_else(|| format!("the amount for {address} is no number"))?;
                        Ok((address.clone().into_bytes(), amount))
                    })
                    .collect::<Result<BTreeMap<_, _>, String>>()?;
                let id = question.get("currencyTxId").and_then(Value::as_str);
                SeenPayment {
                    pay_id,
                    currency,
                    currency_tx_id: id.unwrap_or_default().into(),
                    amounts,
                }
            }
            None if self.reservoir.set_status(&pay_id) == Status::Unknown => {
                return Ok(json!({"payId": pay_id, "status": "Unknown"}));
            }
            None => {
                let due = self.reservoir.due(&pay_id);
                exact(pay_id, due.and_then(|due| due.0.first()))
            }
        };
        self.pools(step, reservoir::Input::Payment(payment));
        let status = match self.reservoir.set_status(&pay_id) {
            Status::Verified => "Verified",
            _ => "Kept",
        };
        Ok(json!({"payId": pay_id, "status": status}))
    }
}

/// A name as the control socket writes it: `sent_bytes` is `sentBytes`.
fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut out = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        out.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        out.push_str(letters.as_str());
    }
    out
}

/// A payment of just what is due.
fn exact(pay_id: PayId, due: Option<&Vec<crate::core::currency::Payment>>) -> SeenPayment {
    let due = due.map(Vec::as_slice).unwrap_or_default();
    let currency = due.first().map_or(Currency::Bitcoin, |p| p.currency);
    let mut amounts: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    for payment in due {
        let sum = amounts.entry(payment.address.clone()).or_default();
        *sum = sum.saturating_add(payment.amount);
    }
    if amounts.is_empty() {
        // Nothing certain is due: anything verifies, but nothing does not.
        amounts.insert(b"simulated".to_vec(), 1);
    }
    SeenPayment {
        pay_id,
        currency,
        currency_tx_id: Vec::new(),
        amounts,
    }
}
