//! Records as clients see them: assets, provenance, what somebody owns, where a record is
//! (`proto/rpc.md`, section 4). Nothing here changes anything.

use std::collections::BTreeMap;

use crate::core::engine::{Engine, Step};
use crate::core::id::{AssetId, TxId};
use crate::core::keys::Account;
use crate::core::ledger::{Item, Ownership, read};
use crate::core::record::Record;
use crate::core::reservoir::{Confirmed, Refusal};
use crate::core::rpc::{Outcome, PAGE_MAX, RECORDS_MAX};
use crate::core::state::StoreFault;

/// A foundation, block or page that is not there.
const NO_BLOCK: &str = "block not found";

impl Engine {
    pub(super) fn assets_get(&self, step: &mut Step<'_>, fingerprints: &[String]) -> Outcome {
        let refuse = |refusal: Refusal| Err(refusal.to_string());
        if fingerprints.len() > PAGE_MAX {
            return refuse(Refusal::TooManyItems);
        }
        if fingerprints.is_empty() {
            return refuse(Refusal::MissingParameters);
        }
        if !self.status().normal {
            return refuse(Refusal::Synchronising);
        }
        let mut assets = Vec::with_capacity(fingerprints.len());
        for fingerprint in fingerprints {
            let id = AssetId::of(fingerprint.as_bytes());
            let stored = read::asset(&step.state, &id);
            let stored = looked(step, stored)?;
            let confirmed = stored.is_some();
            let packed = stored.map(|stored| stored.packed);
            let packed = packed.or_else(|| self.reservoir.cached_asset(&id).map(<[u8]>::to_vec));
            let record = packed.and_then(|packed| self.unpack(&packed));
            assets.push(record.map_or_else(
                || "{\"record\":\"\",\"confirmed\":false,\"data\":null}".to_owned(),
                |record| {
                    format!(
                        "{{\"record\":\"{}\",\"confirmed\":{confirmed},\"id\":\"{id}\",\"data\":{}}}",
                        record.type_name(),
                        record.to_json()
                    )
                },
            ));
        }
        Ok(format!("{{\"assets\":[{}]}}", assets.join(",")))
    }

    fn unpack(&self, packed: &[u8]) -> Option<Record> {
        let (record, _) = Record::unpack(packed, self.settings.chain.testing).ok()?;
        Some(record)
    }

    pub(super) fn provenance(&self, step: &mut Step<'_>, tx_id: &TxId, count: i64) -> Outcome {
        let count = page_size(count)?;
        // The asset of the last issue comes even when it is one too many.
        let steps = read::provenance(
            &step.state,
            tx_id,
            self.settings.chain.testing,
            count.saturating_add(1),
        );
        let steps = looked(step, steps)?;
        let mut data = Vec::with_capacity(steps.len());
        for (index, one) in steps.into_iter().enumerate() {
            let (head, packed) = match one {
                read::Step::Transaction(..) if index >= count => break,
                read::Step::Transaction(id, stored) => {
                    let Some(record) = self.unpack(&stored.packed) else {
                        break;
                    };
                    let is_owner = index == 0 && {
                        let owns = read::currently_owns(&step.state, record.owner(), &id);
                        looked(step, owns)?
                    };
                    let head = format!(
                        "\"isOwner\":{is_owner},\"txId\":\"{id}\",\"inBlock\":{}",
                        stored.block
                    );
                    (head, stored.packed)
                }
                read::Step::Asset(id, stored) => {
                    let head = format!("\"isOwner\":false,\"inBlock\":0,\"assetId\":\"{id}\"");
                    (head, stored.packed)
                }
            };
            let Some(record) = self.unpack(&packed) else {
                break;
            };
            data.push(format!(
                "{{\"record\":\"{}\",{head},\"data\":{}}}",
                record.type_name(),
                record.to_json()
            ));
        }
        Ok(format!("{{\"data\":[{}]}}", data.join(",")))
    }

    pub(super) fn transaction_status(&self, step: &mut Step<'_>, tx_id: &TxId) -> Outcome {
        let confirmed = Confirmed {
            view: &step.state,
            ledger: &self.ledger,
        };
        let status = self.reservoir.status(tx_id, &confirmed);
        let status = looked(step, status)?;
        Ok(format!("{{\"status\":\"{}\"}}", status.text()))
    }

    pub(super) fn tx_id_for_block(&self, step: &mut Step<'_>, number: u64) -> Outcome {
        // Genesis is not stored, so nobody owns it.
        if number <= 1 || number > self.ledger.height() {
            return Err(NO_BLOCK.to_owned());
        }
        let digest = read::digest(&step.state, number);
        let digest = looked(step, digest)?.ok_or(NO_BLOCK)?;
        let id = crate::core::block::foundation_id(&digest, number);
        Ok(format!("{{\"txId\":\"{id}\"}}"))
    }

    /// `next` is always behind the last entry, so that a client that follows it comes to an end.
    pub(super) fn owner_bitmarks(
        &self,
        step: &mut Step<'_>,
        owner: Option<&Account>,
        start: u64,
        count: i64,
    ) -> Outcome {
        let Some(owner) = owner else {
            return Err(Refusal::InvalidItem.to_string());
        };
        let count = page_size(count)?;
        let owned = read::owned(&step.state, owner, start, count);
        let owned = looked(step, owned)?;
        let next = owned.last().map_or(0, |(n, _)| n.saturating_add(1));
        let mut data = Vec::with_capacity(owned.len());
        let mut records = BTreeMap::new();
        for (n, ownership) in &owned {
            data.push(owned_json(*n, ownership));
            self.add_records(step, ownership, &mut records)?;
        }
        let records: Vec<String> = records
            .into_iter()
            .map(|(key, json)| format!("\"{key}\":{json}"))
            .collect();
        Ok(format!(
            "{{\"next\":\"{next}\",\"data\":[{}],\"tx\":{{{}}}}}",
            data.join(","),
            records.join(",")
        ))
    }

    /// The issue, the latest transfer and the asset of what is owned, each once.
    fn add_records(
        &self,
        step: &mut Step<'_>,
        ownership: &Ownership,
        records: &mut BTreeMap<String, String>,
    ) -> Result<(), String> {
        for id in [ownership.issue, ownership.last_transfer] {
            let key = id.to_string();
            if records.contains_key(&key) {
                continue;
            }
            let stored = read::transaction(&step.state, &id);
            let stored = looked(step, stored)?.ok_or_else(|| Refusal::InvalidLink.to_string())?;
            let record = self.unpack(&stored.packed);
            let record = record.ok_or_else(|| Refusal::InvalidLink.to_string())?;
            let json = format!(
                "{{\"record\":\"{}\",\"txId\":\"{id}\",\"inBlock\":{},\"data\":{}}}",
                record.type_name(),
                stored.block,
                record.to_json()
            );
            records.insert(key, json);
        }
        let Item::Asset(id) = ownership.item else {
            return Ok(());
        };
        let key = id.to_string();
        if records.contains_key(&key) {
            return Ok(());
        }
        let stored = read::asset(&step.state, &id);
        let stored = looked(step, stored)?;
        let record = stored.and_then(|stored| self.unpack(&stored.packed));
        let record = record.ok_or_else(|| Refusal::AssetNotFound.to_string())?;
        let json = format!(
            "{{\"record\":\"{}\",\"inBlock\":0,\"assetId\":\"{id}\",\"data\":{}}}",
            record.type_name(),
            record.to_json()
        );
        records.insert(key, json);
        Ok(())
    }
}

/// At least one, and no more than are told at once.
fn page_size(count: i64) -> Result<usize, String> {
    match usize::try_from(count) {
        Ok(0) | Err(_) => Err(Refusal::InvalidCount.to_string()),
        Ok(count) => Ok(count.min(RECORDS_MAX)),
    }
}

/// What was read; a fault of the store ends the step, and the node.
fn looked<T>(step: &mut Step<'_>, result: Result<T, StoreFault>) -> Result<T, String> {
    result.map_err(|fault| {
        step.fault(&fault);
        fault.to_string()
    })
}

fn owned_json(n: u64, ownership: &Ownership) -> String {
    let item = match ownership.item {
        Item::Asset(id) => format!("\"item\":\"Asset\",\"assetId\":\"{id}\""),
        Item::Block(number) => format!("\"item\":\"Block\",\"blockNumber\":{number}"),
    };
    format!(
        "{{\"n\":\"{n}\",\"txId\":\"{}\",\"issue\":\"{}\",{item}}}",
        ownership.last_transfer, ownership.issue
    )
}
