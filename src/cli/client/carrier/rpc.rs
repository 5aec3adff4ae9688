//! The carrier of JSON-RPC over TLS (`proto/rpc.md`, section 4). What the node answers about records
//! is checked as far as it can be: ids are computed again, each step of a provenance must be signed
//! by the owner before it, and pages come to an end. Never follows a node for ever.

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use super::link::Link;
use super::{Carrier, Holding, Info, Issued, Item, Owner, Registration, Standing, Step, Wait, way};
use crate::cli::client::Output;
use crate::cli::client::progress::Progress;
use crate::cli::client::shown::for_people;
use crate::cli::client::target::chain_named;
use crate::core::block::Target;
use crate::core::block::difficulty::issue_target;
use crate::core::chain::Chain;
use crate::core::id::{AssetId, PayId, PayNonce, TxId};
use crate::core::keys::Account;
use crate::core::mining::proof::{ClientNonce, expected_attempts};
use crate::core::record::Record;
use crate::core::rpc::{PAGE_MAX, RECORDS_MAX};

/// A node that wants so many times the usual work is not obeyed.
const WORK_MAX: f64 = 16.0;
/// Longest way and most holdings that a node is believed.
const MOST: usize = 1_000_000;

/// A node over JSON-RPC.
#[derive(Debug)]
pub struct OverRpc {
    link: Link,
    chain: &'static Chain,
    /// The node's height, as it said last.
    height: u64,
    output: Output,
}

/// A text member that is an id, an account or the like.
fn parsed<T: std::str::FromStr>(value: &Value, name: &str) -> anyhow::Result<T> {
    let text = value[name].as_str().unwrap_or_default();
    let wrong = || anyhow::anyhow!("the node's answer has no proper `{name}`");
    text.parse().map_err(|_| wrong())
}

fn record(value: &Value) -> anyhow::Result<Record> {
    let type_name = value["record"].as_str().unwrap_or_default();
    Record::from_json(type_name, &value["data"].to_string())
        .context("the node's answer has a record that is none")
}

/// What is to be paid, or null.
fn payments(reply: &Value) -> Value {
    let payments = &reply["payments"];
    let is_empty = payments.as_object().is_none_or(serde_json::Map::is_empty);
    if is_empty {
        Value::Null
    } else {
        payments.clone()
    }
}

fn same<T: PartialEq + std::fmt::Display>(what: &str, ours: &T, theirs: &T) -> anyhow::Result<()> {
    ensure!(
        ours == theirs,
        "the node answers for another {what}: {theirs}, not {ours}"
    );
    Ok(())
}

/// The steps of a provenance: each is what its id says.
fn steps_of(data: &[Value]) -> anyhow::Result<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    for value in data {
        let record = record(value)?;
        let block = value["inBlock"].as_u64().filter(|number| *number != 0);
        let id = match &record {
            Record::AssetData(_) => None,
            _ => Some(parsed::<TxId>(value, "txId")?),
        };
        // The id of a block's foundation is not made of the record.
        let is_named_by_content = !matches!(
            record,
            Record::AssetData(_) | Record::BlockFoundation(_) | Record::BaseData(_)
        );
        if let Some(id) = id.filter(|_| is_named_by_content) {
            same("transaction", &TxId::of(&record.pack_unchecked()), &id)?;
        }
        steps.push(Step {
            id,
            block,
            is_owner: value["isOwner"].as_bool().unwrap_or_default(),
            record,
        });
    }
    Ok(steps)
}

/// The entries of a page of what is owned, and where the next one starts if there may be one.
fn page(reply: &Value, start: u64) -> anyhow::Result<(&[Value], Option<u64>)> {
    let entries = reply["data"].as_array().map_or(&[][..], Vec::as_slice);
    ensure!(
        entries.len() <= PAGE_MAX,
        "the node sends {} entries at once when asked for {PAGE_MAX}",
        entries.len()
    );
    let next: u64 = parsed(reply, "next")?;
    // The last page is not full; the next of an empty one is 0.
    if entries.len() < PAGE_MAX {
        return Ok((entries, None));
    }
    let behind = start.saturating_add(u64::try_from(entries.len())?);
    ensure!(
        next >= behind && next > start,
        "the node's pages do not go on: {next} follows {} entries from {start}",
        entries.len()
    );
    Ok((entries, Some(next)))
}

impl OverRpc {
    /// Asks the node of which chain it is; `wanted` must be that one.
    ///
    /// # Errors
    /// No answer, or another chain.
    pub fn open(
        mut link: Link,
        wanted: Option<&'static Chain>,
        output: Output,
    ) -> anyhow::Result<Self> {
        let info = link.call("Node.Info", "{}")?;
        let chain = chain_named(info["chain"].as_str().unwrap_or_default())?;
        if let Some(wanted) = wanted.filter(|wanted| wanted.name != chain.name) {
            bail!("the node is of chain {}, not {}", chain.name, wanted.name);
        }
        Ok(Self {
            link,
            chain,
            height: info["blocks"].as_u64().unwrap_or_default(),
            output,
        })
    }

    /// Calls any method.
    ///
    /// # Errors
    /// No answer, or an error.
    pub fn call(&mut self, method: &str, argument: &str) -> anyhow::Result<Value> {
        self.link.call(method, argument)
    }

    fn ask(&mut self, method: &str, argument: &Value) -> anyhow::Result<Value> {
        self.call(method, &argument.to_string())
    }

    /// At most so many steps from here back.
    fn provenance(&mut self, id: &TxId, count: usize) -> anyhow::Result<Vec<Step>> {
        let argument = json!({"txId": id, "count": count});
        let reply = self.ask("Bitmark.Provenance", &argument)?;
        let data = reply["data"].as_array().map_or(&[][..], Vec::as_slice);
        let steps = steps_of(data)?;
        way::check(&steps)?;
        for step in &steps {
            self.must_have(step)?;
        }
        if let Some(first) = steps.first() {
            same("transaction", id, &first.id.unwrap_or_default())?;
        }
        Ok(steps)
    }

    /// A step is in a block that the node has.
    fn must_have(&mut self, step: &Step) -> anyhow::Result<()> {
        let id = step.id.unwrap_or_default();
        match step.block {
            None if matches!(step.record, Record::AssetData(_)) => Ok(()),
            None => bail!("the node shows {id} in no block"),
            Some(block) => {
                // It may have grown.
                if block > self.height {
                    self.info()?;
                }
                let height = self.height;
                ensure!(
                    block <= height,
                    "the node shows {id} in block {block}, above its height {height}"
                );
                Ok(())
            }
        }
    }

    fn status_text(&mut self, id: &TxId) -> anyhow::Result<String> {
        let reply = self.ask("Transaction.Status", &json!({"txId": id}))?;
        Ok(for_people(reply["status"].as_str().unwrap_or("Unknown")))
    }

    /// The block of a transaction that is confirmed.
    fn block_of(&mut self, id: &TxId) -> anyhow::Result<Option<u64>> {
        let steps = self.provenance(id, 1)?;
        Ok(steps.first().and_then(|step| step.block))
    }
}

impl Carrier for OverRpc {
    fn chain(&self) -> &'static Chain {
        self.chain
    }

    fn info(&mut self) -> anyhow::Result<Info> {
        let said = self.call("Node.Info", "{}")?;
        let normal = said["mode"] == "Normal";
        let height = said["blocks"].as_u64().unwrap_or_default();
        self.height = height;
        let mut json = json!({
            "version": said["version"],
            "chain": said["chain"],
            "normal": normal,
            "height": height,
        });
        for (name, value) in said.as_object().into_iter().flatten() {
            json[name] = value.clone();
        }
        Ok(Info {
            json,
            normal,
            height,
        })
    }

    fn knows_assets(&self) -> bool {
        true
    }

    fn registration(&mut self, fingerprint: &str) -> anyhow::Result<Option<Registration>> {
        let reply = self.ask("Assets.Get", &json!({"fingerprints": [fingerprint]}))?;
        let found = &reply["assets"][0];
        if found["data"].is_null() {
            return Ok(None);
        }
        let found = Step {
            id: None,
            block: None,
            record: record(found)?,
            is_owner: false,
        };
        way::begins(&found)?;
        let asset = match found.record {
            Record::AssetData(asset) => asset,
            other => bail!("the node's answer has {} for an asset", other.type_name()),
        };
        same(
            "asset",
            &AssetId::of(fingerprint.as_bytes()),
            &AssetId::of(&asset.fingerprint),
        )?;
        Ok(Some(Registration { asset, block: None }))
    }

    fn register(&mut self, asset: &Record) -> anyhow::Result<()> {
        let argument = format!("{{\"assets\":[{}],\"issues\":null}}", asset.to_json());
        self.call("Bitmarks.Create", &argument)?;
        Ok(())
    }

    fn issue(&mut self, issues: &[Record]) -> anyhow::Result<Issued> {
        let texts: Vec<String> = issues.iter().map(Record::to_json).collect();
        let argument = format!("{{\"assets\":null,\"issues\":[{}]}}", texts.join(","));
        let reply = self.call("Bitmarks.Create", &argument)?;
        let packed: Vec<Vec<u8>> = issues.iter().map(Record::pack_unchecked).collect();
        let pay_id = PayId::of(packed.iter().map(Vec::as_slice));
        same("payment", &pay_id, &parsed(&reply, "payId")?)?;
        let difficulty = reply["difficulty"].as_str().unwrap_or_default();
        let target = Target::from_text(difficulty)
            .context("the node's answer has no proper `difficulty`")?;
        let usual = expected_attempts(&issue_target(self.chain, issues.len()));
        let times = expected_attempts(&target) / usual;
        ensure!(
            times < WORK_MAX,
            "the node asks for {times:.0} times the work that its chain wants; ask another one"
        );
        Ok(Issued {
            pay_nonce: parsed::<PayNonce>(&reply, "payNonce")?,
            target,
            payments: payments(&reply),
        })
    }

    fn prove(&mut self, pay_id: &PayId, nonce: &ClientNonce) -> anyhow::Result<String> {
        let argument = json!({"payId": pay_id, "nonce": hex::encode(nonce.as_bytes())});
        let reply = self.ask("Bitmarks.Proof", &argument)?;
        Ok(for_people(reply["status"].as_str().unwrap_or_default()))
    }

    fn transfer(&mut self, transfer: &Record) -> anyhow::Result<Value> {
        let method = match transfer {
            Record::BlockOwnerTransfer(_) => "BlockOwner.Transfer",
            _ => "Bitmark.Transfer",
        };
        let reply = self.call(method, &transfer.to_json())?;
        let packed = transfer.pack_unchecked();
        same("transaction", &TxId::of(&packed), &parsed(&reply, "txId")?)?;
        let pay_id = PayId::of([packed.as_slice()]);
        same("payment", &pay_id, &parsed(&reply, "payId")?)?;
        Ok(payments(&reply))
    }

    fn owner_of(&mut self, id: &TxId) -> anyhow::Result<Owner> {
        // With the step before, whose owner signed it.
        let steps = self.provenance(id, 2)?;
        let Some(step) = steps.first() else {
            let status = self.status_text(id)?;
            bail!("transaction {id} is not confirmed: {status}");
        };
        if steps.len() < 2 && step.record.link().is_some() {
            way::ends(steps.last())?;
        }
        if !step.is_owner {
            bail!("it was passed on already; `owned ACCOUNT` shows what an account owns");
        }
        Ok(Owner::of(&step.record))
    }

    fn steps(&mut self, id: &TxId, most: usize) -> anyhow::Result<Vec<Step>> {
        let mut steps = self.provenance(id, most.min(RECORDS_MAX))?;
        let mut progress = Progress::new(self.output);
        // Longer ways come in parts; each part begins at what the one before it links to.
        while let Some(last) = steps.last()
            && let Some(next) = last.record.link()
        {
            ensure!(
                steps.len() < MOST,
                "the node's provenance has more than {MOST} steps"
            );
            progress.tell(|| format!("{} steps so far", steps.len()));
            let more = self.provenance(
                &next,
                most.saturating_sub(steps.len()).clamp(1, RECORDS_MAX),
            )?;
            let Some(first) = more.first() else {
                bail!("the node's provenance breaks off at {next}");
            };
            way::follows(last, first)?;
            // The step behind the last one that is shown was asked for its owner alone.
            if steps.len() >= most {
                return Ok(steps);
            }
            ensure!(!first.is_owner, "the node's provenance has two owners");
            steps.extend(more);
        }
        // Each part was checked as it came, and each seam.
        way::ends(steps.last())?;
        Ok(steps)
    }

    fn status(&mut self, id: &TxId) -> anyhow::Result<Standing> {
        let status = self.status_text(id)?;
        let block = match status.as_str() {
            "Confirmed" => self.block_of(id)?,
            _ => None,
        };
        Ok(Standing {
            status,
            block,
            height: self.info()?.height,
        })
    }

    fn owned(&mut self, account: &Account) -> anyhow::Result<Vec<Holding>> {
        let mut progress = Progress::new(self.output);
        let mut all = Vec::new();
        let mut start = 0_u64;
        loop {
            let argument = json!({"owner": account, "start": start.to_string(), "count": PAGE_MAX});
            let reply = self.ask("Owner.Bitmarks", &argument)?;
            let (entries, next) = page(&reply, start)?;
            ensure!(
                all.len() + entries.len() <= MOST,
                "the node shows more than {MOST} things of this account"
            );
            for entry in entries {
                let item = if entry["item"] == "Block" {
                    let number = entry["blockNumber"].as_u64();
                    Item::Block(number.context("the node's answer has no `blockNumber`")?)
                } else {
                    let id: AssetId = parsed(entry, "assetId")?;
                    let name = reply["tx"][id.to_string()]["data"]["name"].as_str();
                    Item::Bitmark(id, name.map(str::to_owned))
                };
                all.push(Holding {
                    tx_id: parsed(entry, "txId")?,
                    issue: parsed(entry, "issue")?,
                    item,
                });
            }
            let Some(next) = next else {
                return Ok(all);
            };
            start = next;
            progress.tell(|| format!("{} so far", all.len()));
        }
    }

    fn look(&mut self, wait: &mut Wait) -> anyhow::Result<()> {
        // A node that is restarted meanwhile is asked again.
        let Ok(info) = self.info() else {
            return Ok(());
        };
        if info.height == wait.height {
            return Ok(());
        }
        wait.height = info.height;
        for id in wait.missing() {
            let Ok(status) = self.status_text(&id) else {
                wait.height = 0;
                return Ok(());
            };
            if status == "Confirmed"
                && let Some(block) = self.block_of(&id)?
            {
                wait.found(id, block);
            }
        }
        wait.tell(info.height);
        Ok(())
    }
}
