//! What people look at: the chain and the pools as `core::explore` shows them, and of the node
//! itself mode, progress, peers and numbers.

use serde_json::{Value, json};

use super::{Effect, Engine, Step};
use crate::core::explore::{Blank, PEERS_MAX, Question, Sight};
use crate::core::wire::connection;

impl Engine {
    pub(super) fn explore(&mut self, step: &mut Step<'_>, token: u64, question: &Question) {
        let shown = match question {
            Question::Overview => Ok(self.overview(step)),
            Question::Live => Ok(self.live()),
            Question::Metrics => Ok(self.metrics(step)),
            Question::Peers => Ok(self.peers_shown(step)),
            _ => {
                let sight = Sight {
                    view: &step.state,
                    ledger: &self.ledger,
                    reservoir: &self.reservoir,
                };
                match sight.show(question) {
                    Ok(shown) => Ok(shown),
                    Err(Blank::Nothing(why)) => Err(why),
                    Err(Blank::Fault(fault)) => {
                        step.fault(&fault);
                        Err("the store cannot be read".to_owned())
                    }
                }
            }
        };
        step.out.push(Effect::Explored(token, shown));
    }

    /// The height of the highest peer that is registered, or the own.
    fn network_height(&self) -> u64 {
        let registered = self
            .upstreams
            .iter()
            .filter(|place| place.upstream.is_registered());
        let heights = registered.map(|place| place.upstream.height());
        heights.max().unwrap_or_default().max(self.ledger.height())
    }

    fn overview(&self, step: &Step<'_>) -> Value {
        let mut shown = self.status_json(step);
        let tip = self.ledger.tip();
        let chain = self.settings.chain;
        let time = if tip.number <= 1 {
            chain.genesis_timestamp
        } else {
            tip.timestamp
        };
        let more = json!({
            "networkHeight": self.network_height(),
            "tipTimestamp": time,
            "now": step.now.wall,
            "testing": chain.testing,
            "key": self.settings.own.key,
            "isMining": self.mining.is_some(),
        });
        if let (Some(shown), Value::Object(more)) = (shown.as_object_mut(), more) {
            shown.extend(more);
        }
        shown
    }

    /// A page that shows these values as they are is up to date.
    fn live(&self) -> Value {
        let sizes = self.reservoir.sizes();
        let status = self.status();
        let upstreams = self.upstreams.iter().map(|place| {
            let (key, _) = place.upstream.target()?;
            Some((key.to_string(), place.upstream.is_registered()))
        });
        // Which they are matters as well as how many.
        let named: Vec<String> = upstreams
            .flatten()
            .filter_map(|(key, is_registered)| is_registered.then_some(key))
            .collect();
        json!({
            "height": status.height,
            "digest": self.ledger.tip().digest,
            "networkHeight": self.network_height(),
            "mode": if status.normal { "Normal" } else { "Resynchronise" },
            "pending": sizes.unverified_tx_index,
            "pendingSets": sizes.unverified_tx_entries,
            "verified": sizes.verified_tx,
            "assets": sizes.assets,
            "upstreams": named.len(),
            "upstreamKeys": named,
            "peersKnown": self.announce.peers().len(),
            "subscriptions": self.subscriptions.len(),
        })
    }

    /// Everything that is counted (`docs/explorer.md`).
    fn metrics(&self, step: &Step<'_>) -> Value {
        let mut shown = self.overview(step);
        let report: serde_json::Map<String, Value> = self
            .mempool
            .report()
            .into_iter()
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect();
        let messages: Vec<Value> = self
            .stats
            .requests
            .iter()
            .map(|((command, result), count)| {
                json!({"command": command, "result": result, "count": count})
            })
            .collect();
        if let Some(shown) = shown.as_object_mut() {
            shown.insert("shared".to_owned(), Value::Object(report));
            shown.insert("recordMessages".to_owned(), Value::Array(messages));
            shown.insert("digests".to_owned(), json!(self.stats.digests));
        }
        shown
    }

    fn peers_shown(&self, step: &Step<'_>) -> Value {
        let now = step.now.mono;
        let upstreams: Vec<Value> = self
            .upstreams
            .iter()
            .filter_map(|place| {
                let (key, address) = place.upstream.target()?;
                Some(json!({
                    "key": key,
                    "address": address.to_string(),
                    "isRegistered": place.upstream.is_registered(),
                    "height": place.upstream.height(),
                    "isStatic": place.is_static,
                    "sinceSeconds": now.saturating_sub(place.since) / 1000,
                }))
            })
            .take(PEERS_MAX)
            .collect();
        let publishers: Vec<Value> = self
            .subscriptions
            .iter()
            .take(PEERS_MAX)
            .map(|s| {
                json!({
                    "key": s.key,
                    "address": s.address.to_string(),
                    "messages": s.messages,
                    "silentSeconds": now.saturating_sub(s.heard) / 1000,
                })
            })
            .collect();
        let sharing: Vec<Value> = self
            .mempool
            .peers(now)
            .into_iter()
            .take(PEERS_MAX)
            .map(|peer| {
                json!({
                    "key": peer.key,
                    "mode": peer.mode.name(),
                    "isAlive": peer.alive,
                })
            })
            .collect();
        let own = self.settings.own.key;
        let known = self.announce.peers().iter();
        let known: Vec<Value> = known
            .filter(|(key, _)| **key != own.0)
            .take(PEERS_MAX)
            .map(|(key, entry)| {
                let listeners: Vec<String> = connection::list(entry.listeners())
                    .map(|listener| listener.to_string())
                    .collect();
                json!({"key": hex::encode(key), "listeners": listeners, "time": entry.time()})
            })
            .collect();
        json!({
            "own": own,
            "upstreams": upstreams,
            "publishers": publishers,
            "sharing": sharing,
            "known": known,
            "knownCount": self.announce.peers().len(),
        })
    }
}
