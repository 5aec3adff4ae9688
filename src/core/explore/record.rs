//! One record, confirmed or not, and the way of a bitmark from owner to owner.

use serde_json::{Map, Value, json};

use super::{Blank, STEPS_MAX, Sight, nothing};
use crate::core::id::{AssetId, TxId};
use crate::core::ledger::read;
use crate::core::record::{Record, metadata};
use crate::core::reservoir::Status;

/// What a list tells of a record.
pub(super) fn summary(id: &TxId, record: &Record) -> Value {
    let mut shown = json!({
        "id": id,
        "type": record.type_name(),
        "owner": record.owner().to_string(),
    });
    let more = match record {
        Record::AssetData(asset) => json!({
            "assetId": AssetId::of(&asset.fingerprint),
            "name": String::from_utf8_lossy(&asset.name),
        }),
        Record::BitmarkIssue(issue) => json!({"assetId": issue.asset_id}),
        _ => record
            .link()
            .map_or_else(|| json!({}), |link| json!({"link": link})),
    };
    if let (Some(shown), Value::Object(more)) = (shown.as_object_mut(), more) {
        shown.extend(more);
    }
    shown
}

/// The members of a record's JSON form. Numbers are texts: browsers round long ones.
pub(super) fn fields(record: &Record) -> Value {
    let mut fields: Map<String, Value> =
        serde_json::from_str(&record.to_json()).unwrap_or_default();
    for value in fields.values_mut() {
        if value.is_number() {
            *value = Value::String(value.to_string());
        }
    }
    if let Record::AssetData(asset) = record {
        fields.insert("metadata".to_owned(), pairs(&asset.metadata));
    }
    Value::Object(fields)
}

/// Metadata as a list of keys with values; what is none is told as it stands.
pub(super) fn pairs(bytes: &[u8]) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match metadata::pairs(bytes) {
        Some(pairs) => pairs
            .into_iter()
            .map(|(key, value)| json!([text(key), text(value)]))
            .collect(),
        None if bytes.is_empty() => json!([]),
        None => json!([["", text(bytes)]]),
    }
}

/// Where a record was found.
pub(super) struct Found {
    pub record: Record,
    pub bytes: usize,
    /// None: it waits.
    pub block: Option<u64>,
}

impl Sight<'_> {
    /// A record of the chain or of the pools.
    pub(super) fn find(&self, id: &TxId) -> Result<Option<Found>, Blank> {
        let (packed, block) = match read::transaction(self.view, id)? {
            Some(stored) => (stored.packed, Some(stored.block)),
            None => match self.reservoir.waiting_record(id) {
                Some(packed) => (packed.to_vec(), None),
                None => return Ok(None),
            },
        };
        let record = Record::unpack(&packed, self.is_testing()).ok();
        Ok(record.map(|(record, _)| Found {
            record,
            bytes: packed.len(),
            block,
        }))
    }

    pub(super) fn record(&self, id: &TxId) -> Result<Value, Blank> {
        let Some(found) = self.find(id)? else {
            return nothing(format!(
                "there is no transaction {id}, in a block or waiting"
            ));
        };
        let status = self.reservoir.status(id, &self.confirmed())?;
        let owner = found.record.owner();
        let is_current = match found.block {
            Some(_) => Some(read::currently_owns(self.view, owner, id)?),
            None => None,
        };
        let time = found.block.map_or(Ok(None), |block| self.time_of(block))?;
        let asset = match &found.record {
            Record::BitmarkIssue(issue) => Some(self.asset_brief(&issue.asset_id)?),
            _ => None,
        };
        let waits = match status {
            Status::Pending | Status::Verified => self
                .reservoir
                .pay_id_of(id)
                .and_then(|pay_id| self.reservoir.shown_set(&pay_id, 1))
                .map(|set| self.waiting(&set))
                .transpose()?,
            _ => None,
        };
        Ok(json!({
            "id": id,
            "displayId": id.display(),
            "type": found.record.type_name(),
            "status": status.text(),
            "block": found.block,
            "timestamp": time,
            "bytes": found.bytes,
            "owner": owner.to_string(),
            "link": found.record.link(),
            "isCurrent": is_current,
            "waitingFollower": self.reservoir.follower_of(id),
            "asset": asset,
            "waits": waits,
            "fields": fields(&found.record),
        }))
    }

    /// Steps from this transaction back, the newest first; `next` where more follow.
    pub(super) fn provenance(&self, id: &TxId) -> Result<Value, Blank> {
        let mut steps = Vec::new();
        let mut next = Some(*id);
        let mut asset = None;
        let mut current = None;
        while steps.len() < STEPS_MAX
            && let Some(id) = next.take()
        {
            let Some(found) = self.find(&id)? else {
                if steps.is_empty() {
                    return nothing(format!(
                        "there is no transaction {id}, in a block or waiting"
                    ));
                }
                break;
            };
            if steps.is_empty() && found.block.is_some() {
                let owner = found.record.owner();
                current = Some(read::currently_owns(self.view, owner, &id)?);
            }
            let mut step = summary(&id, &found.record);
            let time = found.block.map_or(Ok(None), |block| self.time_of(block))?;
            let status = self.reservoir.status(&id, &self.confirmed())?;
            if let Some(step) = step.as_object_mut() {
                step.insert("block".to_owned(), json!(found.block));
                step.insert("timestamp".to_owned(), json!(time));
                step.insert("status".to_owned(), json!(status.text()));
            }
            steps.push(step);
            if let Record::BitmarkIssue(issue) = &found.record {
                asset = Some(self.asset_brief(&issue.asset_id)?);
            }
            next = found.record.link();
        }
        Ok(json!({
            "id": id,
            "steps": steps,
            "asset": asset,
            "isCurrent": current,
            "waitingFollower": self.reservoir.follower_of(id),
            "next": next,
        }))
    }
}
