//! `reservoir-scenarios.json`: the pools of unconfirmed records, step by step
//! (`proto/reservoir.md`). Beside the pools runs a model of what ours promises: where a rule of
//! `proto/DEVIATIONS.md` changes a step, the model says to what.

use std::cell::RefCell;

use bitmarkd::core::chain::Chain;
use bitmarkd::core::currency::Currency;
use bitmarkd::core::id::{AssetId, PayId, TxId};
use bitmarkd::core::ledger::Ledger;
use bitmarkd::core::record::{BitmarkTransferCountersigned, BitmarkTransferUnratified, Record};
use bitmarkd::core::reservoir::{
    Answer, Caps, Command, Confirmed, Due, Effect, Input, IssuesStored, Refusal, Request,
    Reservoir, SeenPayment, Timing, TransferStored, detection, unpack_issues, unpack_transfer,
};
use bitmarkd::core::state::{Batch, MemoryStore, Pool};
use bitmarkd::core::time::Now;
use serde_json::{Value, json};

use crate::harness::{self, Case};
use crate::reservoir_model::Model;

#[test]
fn reservoir_scenarios() {
    harness::run("reservoir-scenarios.json", |case| {
        let world = World::new(case.text("network"), case.input("storage_before"));
        world.play(case, case.input("steps"));
        world.check_load(case);
    });
}

pub fn unhex(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("a text")).expect("hex")
}

fn pay_id(value: &Value) -> PayId {
    value.as_str().expect("a text").parse().expect("a pay id")
}

pub fn tx_id(value: &Value) -> TxId {
    value.as_str().expect("a text").parse().expect("an id")
}

/// The pools with the confirmed state of a case.
pub struct World {
    pub chain: &'static Chain,
    ledger: Ledger,
    pub store: RefCell<MemoryStore>,
    pub reservoir: RefCell<Reservoir>,
    pub now: Now,
}

impl World {
    pub fn new(network: &str, storage: &Value) -> Self {
        let chain = Chain::by_name(network).expect("a chain");
        let now = Now {
            mono: 0,
            wall: 1_700_000_000,
        };
        let mut batch = Batch::new();
        for entry in storage.as_array().map(Vec::as_slice).unwrap_or_default() {
            let letter = entry["pool"].as_str().expect("a pool").as_bytes()[0];
            let pool = Pool::ALL
                .into_iter()
                .find(|pool| pool.prefix() == letter)
                .expect("a pool of ours");
            batch.put(pool, unhex(&entry["key"]), unhex(&entry["value"]));
        }
        let mut store = MemoryStore::new();
        store.apply(&batch);
        let world = Self {
            chain,
            ledger: Ledger::empty(chain),
            store: RefCell::new(store),
            reservoir: RefCell::new(Reservoir::new(Caps::default(), Timing::default(), now)),
            now,
        };
        world.input(Input::Mode { normal: true });
        world
    }

    /// Runs something on the pools, stores what is to be stored, and gives the other effects.
    pub fn with<R>(
        &self,
        run: impl FnOnce(&mut Reservoir, &Confirmed<'_>, &mut Vec<Effect>) -> R,
    ) -> (R, Vec<Effect>) {
        let mut out = Vec::new();
        let before = self.store.borrow().clone();
        let confirmed = Confirmed {
            view: &before,
            ledger: &self.ledger,
        };
        let result = run(&mut self.reservoir.borrow_mut(), &confirmed, &mut out);
        for effect in &out {
            if let Effect::Persist(batch) = effect {
                self.store.borrow_mut().apply(batch);
            }
        }
        (result, out)
    }

    fn input(&self, input: Input) -> Vec<Effect> {
        self.with(|pools, confirmed, out| pools.step(self.now, input, confirmed, out))
            .1
    }

    fn ask(&self, input: Input) -> (Result<Answer, Refusal>, bool) {
        let mut answer = None;
        let mut forwarded = false;
        for effect in self.input(input) {
            match effect {
                Effect::Reply { result, .. } => answer = Some(result),
                Effect::Relay { .. } => forwarded = true,
                _ => {}
            }
        }
        (answer.expect("an answer"), forwarded)
    }

    fn client(&self, request: Request) -> Result<Answer, Refusal> {
        self.ask(Input::Client { request, ticket: 0 }).0
    }

    pub fn pools(&self) -> Value {
        let sizes = self.reservoir.borrow().sizes();
        json!({
            "orphan_payment": sizes.orphan_payment,
            "pending_transfer": sizes.pending_transfer,
            "unverified_tx_entries": sizes.unverified_tx_entries,
            "unverified_tx_index": sizes.unverified_tx_index,
            "verified_tx": sizes.verified_tx,
        })
    }

    /// The state text of a transaction.
    pub fn status(&self, id: &TxId) -> &'static str {
        let (status, _) = self.with(|pools, confirmed, _| pools.status(id, confirmed));
        status.expect("the store reads").text()
    }

    /// Plays every step and compares each result with the recorded or the promised one.
    pub fn play(&self, case: &Case, steps: &Value) {
        let mut model = Model::default();
        for (number, step) in steps
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default()
            .iter()
            .enumerate()
        {
            for field in step.as_object().expect("a step").keys() {
                if !["op", "input", "result", "pools_after", "note"].contains(&field.as_str()) {
                    case.fail(field, format!("step {number}: an unknown field"));
                }
            }
            let got = self.run(case, step);
            let promise = model.promise(self.chain, &self.store.borrow(), step);
            for (field, got, promised) in [
                ("result", got, promise.result),
                ("pools_after", self.pools(), promise.pools),
            ] {
                let path = format!("steps[{number}].{field}");
                let recorded = sorted(&step[field]);
                let promised = sorted(&promised);
                match promise.rule.filter(|_| recorded != promised) {
                    Some(rule) => {
                        case.deviates_value(rule, &path, &recorded, &got, &promised);
                    }
                    None => case.expect_value(&path, &recorded, &got),
                }
            }
        }
    }

    /// One step; its result in the words of the file.
    fn run(&self, case: &Case, step: &Value) -> Value {
        let input = &step["input"];
        let packed = || unhex(&input["packed"]);
        let testing = self.chain.testing;
        match step["op"].as_str().expect("an operation") {
            "cache_asset" | "cache_asset_structure" => match Record::unpack(&packed(), testing) {
                Ok((Record::AssetData(asset), _)) => self.cache(asset, "store"),
                Ok(_) => refused(&Refusal::NotAnAsset, "unpack"),
                // The structure of another network is read as that network's.
                Err(_) if step["op"] == "cache_asset_structure" => {
                    match Record::unpack(&packed(), !testing) {
                        Ok((Record::AssetData(asset), _)) => self.cache(asset, ""),
                        other => panic!("no asset: {other:?}"),
                    }
                }
                Err(error) => refused(&error.into(), "unpack"),
            },
            "asset_exists" => {
                let id: AssetId = input["asset_id"].as_str().unwrap().parse().unwrap();
                let cached = self.reservoir.borrow().has_cached_asset(&id);
                let stored = self.store.borrow();
                let stored = bitmarkd::core::ledger::read::has_asset(&*stored, &id).unwrap();
                json!({"cached": cached, "exists": cached || stored})
            }
            "delete_asset" => {
                let id: AssetId = input["asset_id"].as_str().unwrap().parse().unwrap();
                self.with(|pools, _, out| pools.delete_asset(&id, out));
                json!({})
            }
            "store_issues" => match unpack_issues(&packed(), testing) {
                Err(refusal) => refused(&refusal, "unpack"),
                Ok(issues) => {
                    let issues = issues.into_iter().map(Some).collect();
                    self.create(issues, &packed())
                }
            },
            "store_issues_from_json" => {
                let issues = match &input["issues"] {
                    Value::Array(list) => list.iter().map(issue).collect(),
                    // The text says what it is: one without an owner.
                    _ => vec![None],
                };
                self.create(issues, &[])
            }
            "store_transfer" => match unpack_transfer(&packed(), testing) {
                Err(refusal) => refused(&refusal, "unpack"),
                Ok(record) => match self.client(Request::Transfer(Box::new(Some(record)))) {
                    Ok(Answer::Transfer(stored)) => transfer_result(&stored, &packed()),
                    Ok(other) => panic!("{other:?}"),
                    Err(refusal) => refused(&refusal, "store"),
                },
            },
            "store_transfer_structure" => {
                let record = transfer_structure(input);
                match self.client(Request::Transfer(Box::new(Some(record)))) {
                    Ok(Answer::Transfer(stored)) => transfer_result(&stored, &[]),
                    Ok(other) => panic!("{other:?}"),
                    Err(refusal) => refused(&refusal, ""),
                }
            }
            "try_proof" => {
                let request = Request::Proof {
                    pay_id: pay_id(&input["pay_id"]),
                    nonce: unhex(&input["client_nonce"]),
                };
                match self.client(request) {
                    Ok(Answer::Proof(status)) => json!({"status": status.text()}),
                    Ok(other) => panic!("{other:?}"),
                    Err(refusal) => refused(&refusal, ""),
                }
            }
            "transaction_status" => json!({"status": self.status(&tx_id(&input["tx_id"]))}),
            "payment_seen" => {
                self.input(Input::Payment(seen_payment(input)));
                json!({})
            }
            "fetch_verified" => self.fetch(input["count"].as_i64().expect("a count")),
            "disable" | "enable" => {
                let held = step["op"] == "disable";
                self.reservoir.borrow_mut().hold(held);
                json!({})
            }
            "delete_by_tx_id" => {
                let id = tx_id(&input["tx_id"]);
                let (result, _) = self.with(|pools, _, out| pools.delete_transaction(&id, out));
                result.map_or_else(|refusal| refused(&refusal, ""), |()| json!({}))
            }
            "delete_by_link" => {
                let link = tx_id(&input["link"]);
                let (result, _) = self.with(|pools, _, out| pools.delete_link(&link, out));
                result.map_or_else(|refusal| refused(&refusal, ""), |()| json!({}))
            }
            "peer_message" => self.peer(step),
            "discovery_message" => {
                if let Some(payment) = discovery_payment(&input["frames"]) {
                    self.input(Input::Payment(payment));
                }
                json!({})
            }
            "connect_to_discovery" => self.connect(&step["result"]),
            other => {
                case.fail("op", format!("unknown operation {other}"));
                Value::Null
            }
        }
    }

    fn cache(&self, asset: bitmarkd::core::record::AssetData, stage: &str) -> Value {
        let request = Request::Create {
            assets: vec![Some(asset)],
            issues: Vec::new(),
        };
        match self.client(request) {
            Ok(Answer::Created { assets, .. }) => {
                json!({"asset_id": assets[0].0, "new": assets[0].1})
            }
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => refused(&refusal, stage),
        }
    }

    fn create(
        &self,
        issues: Vec<Option<bitmarkd::core::record::BitmarkIssue>>,
        packed: &[u8],
    ) -> Value {
        let request = Request::Create {
            assets: Vec::new(),
            issues,
        };
        match self.client(request) {
            Ok(Answer::Created {
                issues: Some(stored),
                ..
            }) => issues_result(&stored, packed),
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => refused(&refusal, "store"),
        }
    }

    fn fetch(&self, count: i64) -> Value {
        let limit = usize::try_from(count).unwrap_or_default();
        let (fetched, _) =
            self.with(|pools, confirmed, out| pools.verified(self.now, limit, confirmed, out));
        match fetched {
            Err(refusal) => json!({"error": refusal.to_string()}),
            Ok(candidates) => {
                let total: usize = candidates.iter().map(|one| one.packed.len()).sum();
                let list: Vec<Value> = candidates
                    .iter()
                    .map(|one| json!({"packed": hex::encode(&one.packed), "tx_id": one.id}))
                    .collect();
                sorted(&json!({"total_bytes": total, "transactions_in_any_order": list}))
            }
        }
    }

    fn peer(&self, step: &Value) -> Value {
        // Only the note tells the mode.
        let note = step["note"].as_str().unwrap_or_default();
        let normal = !note.contains("mode Resynchronise");
        self.input(Input::Mode { normal });
        let name = step["input"]["command"].as_str().expect("a command");
        let (answer, forwarded) = self.ask(Input::Peer {
            command: Command::named(name.as_bytes()).expect("a known command"),
            data: unhex(&step["input"]["data"]),
            source: Some(1),
            ticket: 0,
        });
        self.input(Input::Mode { normal: true });
        match answer {
            Ok(_) => json!({"forwarded": forwarded}),
            Err(refusal) => json!({"error": refusal.to_string(), "forwarded": forwarded}),
        }
    }

    /// The connection to the discovery service is a later part of the node; what it asks and what
    /// it makes of the answers is here.
    fn connect(&self, recorded: &Value) -> Value {
        let mut requests = Vec::new();
        for request in recorded["requests_sent_in_any_order"].as_array().unwrap() {
            let frames = request["reply_frames"].as_array().unwrap();
            let frames: Vec<&[u8]> = frames
                .iter()
                .map(|frame| frame.as_str().unwrap().as_bytes())
                .collect();
            let currency: Currency = request["frames"][0].as_str().unwrap().parse().unwrap();
            let asked = detection::discovery_request(currency, self.now.wall);
            let since: u64 = String::from_utf8(asked[1].clone())
                .unwrap()
                .parse()
                .unwrap();
            assert_eq!(self.now.wall - since, 72 * 3600);
            requests.push(json!({
                "frame_count": asked.len(),
                "frames": [
                    String::from_utf8(asked[0].clone()).unwrap(),
                    "decimal unix time, 72 hours before now",
                ],
                "reply_frames": request["reply_frames"],
            }));
            for payment in detection::discovery_answer(currency, &frames).unwrap_or_default() {
                self.input(Input::Payment(payment));
            }
        }
        json!({"requests_sent_in_any_order": requests})
    }

    /// What was stored is what is in memory, unless records went that no block has.
    pub fn check_load(&self, case: &Case) {
        let steps = case.input("steps").as_array().expect("steps");
        if steps.iter().any(|step| step["op"] == "delete_by_tx_id") {
            return;
        }
        let before = self.pools();
        let (loaded, _) = self.with(|_, confirmed, out| {
            Reservoir::load(Caps::default(), Timing::default(), self.now, confirmed, out)
                .expect("the store reads")
        });
        self.reservoir.replace(loaded);
        case.expect_value("pools after a restart", &before, &self.pools());
    }
}

pub fn discovery_payment(frames: &Value) -> Option<SeenPayment> {
    let frames: Vec<&[u8]> = frames
        .as_array()
        .expect("frames")
        .iter()
        .map(|frame| frame.as_str().expect("a text").as_bytes())
        .collect();
    detection::discovery_message(&frames)
}

pub fn seen_payment(input: &Value) -> SeenPayment {
    SeenPayment {
        pay_id: pay_id(&input["pay_id"]),
        currency: input["currency"].as_str().unwrap().parse().unwrap(),
        currency_tx_id: unhex(&input["currency_tx_id"]),
        amounts: input["amounts"]
            .as_object()
            .expect("amounts")
            .iter()
            .map(|(address, amount)| {
                let amount = amount.as_str().unwrap().parse().unwrap();
                (address.as_bytes().to_vec(), amount)
            })
            .collect(),
    }
}

/// An issue of a client; nothing when it or its owner is absent.
fn issue(value: &Value) -> Option<bitmarkd::core::record::BitmarkIssue> {
    value.get("owner").filter(|owner| !owner.is_null())?;
    match Record::from_json("BitmarkIssue", &value.to_string()) {
        Ok(Record::BitmarkIssue(issue)) => Some(issue),
        other => panic!("no issue: {other:?}"),
    }
}

fn transfer_structure(input: &Value) -> Record {
    let link = tx_id(&input["link"]);
    let owner = unhex(&input["owner"]);
    let owner = bitmarkd::core::keys::Account::from_bytes(&owner).expect("an account");
    let signature = unhex(&input["signature"]);
    match input.get("countersignature") {
        None => Record::BitmarkTransferUnratified(BitmarkTransferUnratified {
            link,
            escrow: None,
            owner,
            signature,
        }),
        Some(countersignature) => {
            Record::BitmarkTransferCountersigned(BitmarkTransferCountersigned {
                link,
                escrow: None,
                owner,
                signature,
                countersignature: unhex(countersignature),
            })
        }
    }
}

fn refused(refusal: &Refusal, stage: &str) -> Value {
    if stage.is_empty() {
        json!({"error": refusal.to_string()})
    } else {
        json!({"error": refusal.to_string(), "stage": stage})
    }
}

fn due(due: &Due) -> Value {
    let entry = |payment: &bitmarkd::core::currency::Payment| {
        json!({
            "address": String::from_utf8(payment.address.clone()).unwrap(),
            "amount": payment.amount.to_string(),
            "currency": payment.currency.text(),
        })
    };
    let lists = due.0.iter();
    lists
        .map(|list| Value::Array(list.iter().map(entry).collect()))
        .collect()
}

fn issues_result(stored: &IssuesStored, input: &[u8]) -> Value {
    json!({
        "difficulty": stored.target.to_text(),
        "duplicate": stored.duplicate,
        "pay_id": stored.pay_id,
        "pay_nonce": stored.pay_nonce,
        "payments": stored.payments.as_ref().map(due),
        "repacked_equal_to_input": stored.packed.concat() == input,
        "tx_ids": stored.tx_ids,
    })
}

fn transfer_result(stored: &TransferStored, input: &[u8]) -> Value {
    json!({
        "duplicate": stored.duplicate,
        "pay_id": stored.pay_id,
        "payments": due(&stored.payments),
        "repacked_equal_to_input": stored.packed == input,
        "tx_id": stored.tx_id,
    })
}

/// Fetched transactions come in any order.
fn sorted(result: &Value) -> Value {
    let mut result = result.clone();
    if let Some(Value::Array(list)) = result.get_mut("transactions_in_any_order") {
        list.sort_by_key(|one| one["tx_id"].as_str().map(str::to_owned));
    }
    result
}
