//! A model of what our pools promise where they differ from the recorded ones
//! (`proto/DEVIATIONS.md`). It reads what was recorded, step by step, applies the rules to its
//! content, and says what ours gives. It knows no code of the pools.

use std::collections::BTreeMap;

use bitmarkd::core::chain::Chain;
use bitmarkd::core::ledger::read;
use bitmarkd::core::record::Record;
use bitmarkd::core::reservoir::unpack_transfer;
use bitmarkd::core::state::MemoryStore;
use serde_json::{Value, json};

use crate::reservoir_scenarios::{discovery_payment, seen_payment, tx_id, unhex};

const RESERVED: &str = "the-link-is-reserved";
const USED: &str = "a-used-payment-does-not-wait";
const SUMMED: &str = "same-address-entries-are-summed";
const BASE: &str = "a-base-record-is-not-passed-on";
const VALUES: &str = "payment-values-are-numbers";
const ERRORS: &str = "pools-that-crash-return-errors";

/// What ours gives for a step, and the rule by which that differs from the record.
pub struct Promise {
    pub rule: Option<&'static str>,
    pub result: Value,
    pub pools: Value,
}

#[derive(Clone)]
struct Set {
    packed: BTreeMap<String, String>,
    link: Option<String>,
    verified: bool,
    due: Value,
}

/// Coin and its transaction to address and amount.
type Waiting = BTreeMap<(String, String), BTreeMap<String, u64>>;

/// The sets and payments that ours has.
#[derive(Default)]
pub struct Model {
    sets: BTreeMap<String, Set>,
    waiting: BTreeMap<String, Waiting>,
    last_verified: u64,
    rule: Option<&'static str>,
}

impl Model {
    pub fn promise(&mut self, chain: &Chain, store: &MemoryStore, step: &Value) -> Promise {
        let recorded = &step["result"];
        let mut result = recorded.clone();
        let verified_now = step["pools_after"]["verified_tx"].as_u64().unwrap_or(0);
        let grew = verified_now > self.last_verified;
        self.last_verified = verified_now;
        let input = &step["input"];
        match step["op"].as_str().unwrap_or_default() {
            "store_issues" => self.store(step, recorded, None, grew),
            "store_transfer" => {
                let link = unpack_transfer(&unhex(&input["packed"]), chain.testing)
                    .ok()
                    .and_then(|record| record.link());
                if let Some(link) = link {
                    if let Some(error) = self.refuses(chain, store, recorded, &link.to_string()) {
                        result = json!({"error": error, "stage": "store"});
                    } else {
                        self.store(step, recorded, Some(link.to_string()), grew);
                    }
                }
            }
            "peer_message" if recorded["forwarded"] == true => self.peer(step, chain, grew),
            "try_proof" if recorded["status"] == "Accepted" => {
                self.verify(input["pay_id"].as_str().unwrap_or_default());
            }
            "payment_seen" => self.pay(&seen_payment(input), grew, SUMMED),
            "discovery_message" => {
                let rule = if has_odd_value(&input["frames"]) {
                    VALUES
                } else {
                    SUMMED
                };
                if let Some(payment) = discovery_payment(&input["frames"]) {
                    self.pay(&payment, grew, rule);
                } else if grew {
                    self.rule = Some(rule);
                }
            }
            "connect_to_discovery" => {
                for request in recorded["requests_sent_in_any_order"].as_array().unwrap() {
                    let list: Vec<Value> =
                        serde_json::from_str(request["reply_frames"][1].as_str().unwrap()).unwrap();
                    for transaction in list {
                        let text = transaction.to_string();
                        let frames = json!([request["frames"][0], text]);
                        if let Some(payment) = discovery_payment(&frames) {
                            self.pay(&payment, grew, SUMMED);
                        }
                    }
                }
            }
            "delete_by_tx_id" | "delete_by_link" | "cache_asset_structure"
                if recorded.get("crash").is_some() || self.other_network(chain, step) =>
            {
                self.rule = Some(ERRORS);
                result = match step["op"].as_str() {
                    Some("cache_asset_structure") => {
                        json!({"error": "wrong network for public key"})
                    }
                    _ => json!({"error": recorded["crash"]}),
                };
            }
            "delete_by_tx_id" => self.delete(input["tx_id"].as_str().unwrap_or_default()),
            "delete_by_link" => {
                let link = input["link"].as_str();
                self.sets
                    .retain(|_, set| set.link.is_none() || set.link.as_deref() != link);
            }
            "transaction_status" if self.rule.is_some() => {
                let id = input["tx_id"].as_str().unwrap_or_default();
                let confirmed = read::has_transaction(store, &tx_id(&input["tx_id"])).unwrap();
                let status = match self.sets.values().find(|set| set.packed.contains_key(id)) {
                    Some(set) if set.verified => "Verified",
                    Some(_) => "Pending",
                    None if confirmed => "Confirmed",
                    None => "Unknown",
                };
                result = json!({"status": status});
            }
            "fetch_verified" if self.rule == Some(RESERVED) => {
                let verified = self.sets.values().filter(|set| set.verified);
                let list: Vec<Value> = verified
                    .flat_map(|set| &set.packed)
                    .map(|(id, packed)| json!({"packed": packed, "tx_id": id}))
                    .collect();
                let bytes: usize = list
                    .iter()
                    .map(|one| one["packed"].as_str().unwrap().len() / 2)
                    .sum();
                result = json!({"total_bytes": bytes, "transactions_in_any_order": list});
            }
            _ => {}
        }
        Promise {
            rule: self.rule,
            result,
            pools: self.pools(),
        }
    }

    fn pools(&self) -> Value {
        let count = |verified: bool| {
            let sets = self.sets.values().filter(|set| set.verified == verified);
            (
                sets.clone().count(),
                sets.map(|set| set.packed.len()).sum::<usize>(),
            )
        };
        json!({
            "orphan_payment": self.waiting.len(),
            "pending_transfer": self.sets.values().filter(|set| set.link.is_some()).count(),
            "unverified_tx_entries": count(false).0,
            "unverified_tx_index": count(false).1,
            "verified_tx": count(true).1,
        })
    }

    /// The error that ours gives to a transfer which the record takes or words otherwise.
    fn refuses(
        &mut self,
        chain: &Chain,
        store: &MemoryStore,
        recorded: &Value,
        link: &str,
    ) -> Option<&'static str> {
        let linked = read::transaction(store, &link.parse().unwrap()).unwrap();
        let linked = linked.and_then(|stored| Record::unpack(&stored.packed, chain.testing).ok());
        let accepted = recorded.get("error").is_none();
        if accepted && matches!(linked, Some((Record::BaseData(_), _))) {
            self.rule = Some(BASE);
            return Some("link to invalid or unconfirmed transaction");
        }
        let reserved = self
            .sets
            .values()
            .any(|set| set.link.as_deref() == Some(link));
        let again = recorded["error"] == "transaction already exists";
        if reserved && (again || (accepted && recorded["duplicate"] == false)) {
            self.rule = Some(RESERVED);
            return Some("double transfer attempt");
        }
        None
    }

    fn other_network(&self, chain: &Chain, step: &Value) -> bool {
        step["op"] == "cache_asset_structure"
            && Record::unpack(&unhex(&step["input"]["packed"]), chain.testing).is_err()
    }

    fn store(&mut self, step: &Value, recorded: &Value, link: Option<String>, grew: bool) {
        if recorded.get("error").is_some() || recorded["duplicate"] == true {
            return;
        }
        let pay_id = recorded["pay_id"].as_str().expect("a pay id").to_owned();
        let tx_ids: Vec<String> = match recorded["tx_ids"].as_array() {
            Some(list) => list.iter().map(|id| id.as_str().unwrap().into()).collect(),
            None => vec![recorded["tx_id"].as_str().expect("an id").into()],
        };
        let whole = step["input"]["packed"].as_str().unwrap();
        let each = whole.len() / tx_ids.len();
        let mut packed = BTreeMap::new();
        for (at, id) in tx_ids.iter().enumerate() {
            packed.insert(id.clone(), whole[at * each..(at + 1) * each].to_owned());
        }
        if grew {
            // A payment was there before it.
            self.waiting.remove(&pay_id);
            if link.is_some() {
                self.rule = Some(RESERVED);
            }
        }
        let set = Set {
            packed,
            link,
            verified: grew,
            due: recorded["payments"].clone(),
        };
        self.sets.insert(pay_id, set);
    }

    /// A message of a peer that was taken.
    fn peer(&mut self, step: &Value, chain: &Chain, grew: bool) {
        let data = step["input"]["data"].as_str().unwrap();
        let bytes = unhex(&step["input"]["data"]);
        let parts = |count: usize| {
            let each = bytes.len() / count;
            bytes.chunks(each).map(<[u8]>::to_vec).collect::<Vec<_>>()
        };
        match step["input"]["command"].as_str().unwrap() {
            "proof" => self.verify(&data[..96]),
            "issues" => {
                let issues = bitmarkd::core::reservoir::unpack_issues(&bytes, chain.testing);
                let parts = parts(issues.expect("issues").len());
                let ids: Vec<String> = parts.iter().map(|part| id_of(part)).collect();
                let pay_id = bitmarkd::core::id::PayId::of([bytes.as_slice()]).to_string();
                let recorded = json!({"pay_id": pay_id, "tx_ids": ids, "payments": null});
                self.store(&json!({"input": {"packed": data}}), &recorded, None, grew);
            }
            "transfer" => {
                let record = unpack_transfer(&bytes, chain.testing).expect("a transfer");
                let link = record.link().unwrap().to_string();
                let pay_id = bitmarkd::core::id::PayId::of([bytes.as_slice()]).to_string();
                let recorded = json!({"pay_id": pay_id, "tx_id": id_of(&bytes), "payments": null});
                let step = json!({"input": {"packed": data}});
                self.store(&step, &recorded, Some(link), grew);
            }
            _ => {}
        }
    }

    fn verify(&mut self, pay_id: &str) {
        if let Some(set) = self.sets.get_mut(pay_id) {
            set.verified = true;
        }
        if self.waiting.remove(pay_id).is_some() {
            self.rule = self.rule.or(Some(USED));
        }
    }

    fn pay(
        &mut self,
        payment: &bitmarkd::core::reservoir::SeenPayment,
        grew: bool,
        stricter: &'static str,
    ) {
        let pay_id = payment.pay_id.to_string();
        let amounts: BTreeMap<String, u64> = payment
            .amounts
            .iter()
            .map(|(to, amount)| (String::from_utf8(to.clone()).unwrap(), *amount))
            .collect();
        let waiting = self.waiting.entry(pay_id.clone()).or_default();
        let first = waiting.is_empty();
        let currency = payment.currency.text().to_owned();
        waiting.insert(
            (currency.clone(), hex::encode(&payment.currency_tx_id)),
            amounts,
        );
        let paid = |to: &str| -> u64 {
            waiting
                .iter()
                .filter(|((coin, _), _)| *coin == currency)
                .filter_map(|(_, amounts)| amounts.get(to))
                .sum()
        };
        let Some(set) = self.sets.get(&pay_id).filter(|set| !set.verified) else {
            return;
        };
        let satisfied = match set.due.as_array() {
            None => true,
            Some(lists) => lists.iter().any(|list| {
                let list = list.as_array().unwrap();
                let mut due: BTreeMap<&str, u64> = BTreeMap::new();
                for entry in list {
                    *due.entry(entry["address"].as_str().unwrap()).or_default() +=
                        entry["amount"].as_str().unwrap().parse::<u64>().unwrap();
                }
                list.first()
                    .is_some_and(|entry| entry["currency"] == currency)
                    && due.iter().all(|(to, amount)| paid(to) >= *amount)
            }),
        };
        if satisfied {
            if first {
                self.waiting.remove(&pay_id);
                self.sets.get_mut(&pay_id).expect("the set").verified = true;
            } else {
                self.verify(&pay_id);
            }
            if !grew && self.rule.is_none() {
                self.rule = Some(USED);
            }
        } else if grew {
            self.rule = Some(stricter);
        }
    }

    /// As if a block had it.
    fn delete(&mut self, id: &str) {
        let holder = self
            .sets
            .iter()
            .find(|(_, set)| set.packed.contains_key(id))
            .map(|(pay_id, set)| (pay_id.clone(), set.verified));
        let Some((pay_id, verified)) = holder else {
            return;
        };
        if let Some(set) = self.sets.get_mut(&pay_id).filter(|_| verified) {
            set.packed.remove(id);
        }
        let empty = self.sets[&pay_id].packed.is_empty();
        if !verified || empty {
            self.sets.remove(&pay_id);
        }
    }
}

/// Whether a value of the transaction is more than digits and a point.
fn has_odd_value(frames: &Value) -> bool {
    let text = frames[1].as_str().unwrap_or_default();
    let transaction: Value = serde_json::from_str(text).unwrap_or_default();
    let outputs = transaction["vout"].as_array().cloned().unwrap_or_default();
    outputs.iter().any(|output| {
        let value = output["value"].to_string();
        let written = text.contains(&format!("\"value\":{value}"));
        value.contains(['e', '-', '"']) && (written || value.starts_with('"'))
    })
}

fn id_of(packed: &[u8]) -> String {
    bitmarkd::core::id::TxId::of(packed).to_string()
}
