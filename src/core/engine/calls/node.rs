//! The node itself as clients and operators see it (`proto/rpc.md`, `Node.Info`, `Node.List`, and
//! section 5). Nothing here changes anything.

use std::collections::BTreeMap;

use serde_json::json;

use super::texts;
use crate::core::engine::{Engine, Step};
use crate::core::keys::PeerPublicKey;
use crate::core::reservoir::Refusal;
use crate::core::rpc::{Outcome, PAGE_MAX, Surroundings};
use crate::core::wire::connection;

/// The reciprocal of a block's difficulty, which the reference always gives as this.
const DIFFICULTY: u64 = 1;

impl Engine {
    const fn mode_text(&self) -> &'static str {
        if self.status().normal {
            "Normal"
        } else {
            "Resynchronise"
        }
    }

    fn outgoing(&self) -> u64 {
        let registered = self.upstreams().filter(|(_, registered)| *registered);
        u64::try_from(registered.count()).unwrap_or(u64::MAX)
    }

    /// The end of both descriptions of the node, from the counters on.
    fn tail(&self, step: &Step<'_>) -> String {
        let sizes = self.reservoir.sizes();
        format!(
            "\"transactionCounters\":{{\"pending\":{},\"verified\":{}}},\"difficulty\":{DIFFICULTY},\"version\":\"{}\",\"uptime\":\"{}\",\"publicKey\":\"{}\"",
            sizes.unverified_tx_index,
            sizes.verified_tx,
            crate::core::PROTOCOL_VERSION,
            texts::duration(step.now.mono.saturating_sub(self.started)),
            self.settings.own.key
        )
    }

    pub(super) fn node_info(&self, step: &Step<'_>, around: Surroundings) -> String {
        format!(
            "{{\"chain\":\"{}\",\"mode\":\"{}\",\"blocks\":{},\"rpcs\":{},\"peers\":{},{}}}",
            self.settings.chain.name,
            self.mode_text(),
            self.ledger.height(),
            around.rpcs,
            around.incoming.saturating_add(self.outgoing()),
            self.tail(step)
        )
    }

    pub(super) fn node_list(&self, start: u64, count: i64) -> Outcome {
        if usize::try_from(count).is_ok_and(|count| count > PAGE_MAX) {
            return Err(Refusal::InvalidCount.to_string());
        }
        let page = self.announce.rpcs().page(start, count);
        let (services, next) = page.map_err(|e| e.to_string())?;
        let nodes = if services.is_empty() {
            "null".to_owned()
        } else {
            json!(services).to_string()
        };
        Ok(format!("{{\"nodes\":{nodes},\"nextStart\":\"{next}\"}}"))
    }

    /// `/bitmarkd/details`
    pub(super) fn details(&self, step: &Step<'_>, around: Surroundings) -> String {
        let heights = self.upstreams.iter().map(|place| place.upstream.height());
        format!(
            "{{\"chain\":\"{}\",\"mode\":\"{}\",\"blocks\":{{\"local\":{},\"remote\":{}}},\"rpcs\":{},\"peers\":{{\"incoming\":{},\"outgoing\":{}}},{}}}",
            self.settings.chain.name,
            self.mode_text(),
            self.ledger.height(),
            heights.max().unwrap_or_default(),
            around.rpcs,
            around.incoming,
            self.outgoing(),
            self.tail(step)
        )
    }

    /// `/bitmarkd/connections`
    pub(super) fn connections(&self) -> String {
        let connected: Vec<String> = self
            .upstreams
            .iter()
            .filter(|place| place.upstream.is_registered())
            .filter_map(|place| place.upstream.target())
            .map(|(key, address)| {
                let address = address.endpoint();
                format!("{{\"address\":\"{address}\",\"server\":\"{key}\"}}")
            })
            .collect();
        format!("{{\"connectedTo\":[{}]}}", connected.join(","))
    }

    /// `/bitmarkd/peers`: this node among those it knows, in the order of the keys. A key that
    /// nobody has gives nothing unless all others are behind it.
    pub(super) fn peers_page(
        &self,
        step: &Step<'_>,
        count: usize,
        after: Option<[u8; 32]>,
    ) -> String {
        let own = self.announce.setup();
        let mut peers: BTreeMap<&[u8; 32], (&[u8], u64)> = self
            .announce
            .peers()
            .iter()
            .map(|(key, entry)| (key, (entry.listeners(), entry.time())))
            .collect();
        peers.insert(&own.key, (&own.listeners, step.now.wall));
        let is_start = |key: &[u8; 32]| peers.keys().next().is_some_and(|first| key < *first);
        if after.is_some_and(|key| !peers.contains_key(&key) && !is_start(&key)) {
            return "[]".to_owned();
        }
        let page: Vec<String> = peers
            .iter()
            .filter(|(key, _)| after.is_none_or(|after| **key > &after))
            .take(count.min(PAGE_MAX))
            .map(|(key, (listeners, time))| {
                let listeners: Vec<String> = connection::list(listeners)
                    .map(|address| address.to_string())
                    .collect();
                format!(
                    "{{\"publicKey\":\"{}\",\"listeners\":{},\"timestamp\":\"{}\"}}",
                    PeerPublicKey(**key),
                    json!(listeners),
                    texts::date(*time)
                )
            })
            .collect();
        format!("[{}]", page.join(","))
    }
}
