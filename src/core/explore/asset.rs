//! An asset, and the issues on it as far as they can be read at once: those in its own block, those
//! that its registrant still has, those that wait. The others are found by looking through the
//! blocks ([`super::Wanted::Issues`]).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::chain::Records;
use super::record::pairs;
use super::{Blank, ISSUES_MAX, Sight, nothing};
use crate::core::block::Header;
use crate::core::id::{AssetId, TxId};
use crate::core::ledger::{Item, read};
use crate::core::record::{AssetData, Record};
use crate::core::state::StoreFault;

/// Entries of the registrant's list, and sets of the pools, that are looked at.
const ENTRIES: usize = 500;

/// An asset, and the block that has it.
pub(super) struct FoundAsset {
    pub data: AssetData,
    pub bytes: usize,
    pub block: Option<u64>,
}

impl Sight<'_> {
    pub(super) fn find_asset(&self, id: &AssetId) -> Result<Option<FoundAsset>, StoreFault> {
        let (packed, block) = match read::asset(self.view, id)? {
            Some(stored) => (stored.packed, Some(stored.block)),
            None => match self.reservoir.cached_asset(id) {
                Some(packed) => (packed.to_vec(), None),
                None => return Ok(None),
            },
        };
        let record = Record::unpack(&packed, self.is_testing()).ok();
        Ok(record.and_then(|(record, _)| match record {
            Record::AssetData(data) => Some(FoundAsset {
                data,
                bytes: packed.len(),
                block,
            }),
            _ => None,
        }))
    }

    /// What other pages tell of an asset.
    pub(super) fn asset_brief(&self, id: &AssetId) -> Result<Value, Blank> {
        let found = self.find_asset(id)?;
        Ok(match found {
            Some(FoundAsset { data, block, .. }) => json!({
                "assetId": id,
                "name": String::from_utf8_lossy(&data.name),
                "registrant": data.registrant.to_string(),
                "block": block,
            }),
            None => json!({"assetId": id, "missing": true}),
        })
    }

    pub(super) fn fingerprint(&self, text: &str) -> Result<Value, Blank> {
        let id = AssetId::of(text.as_bytes());
        match self.asset(&id) {
            Err(Blank::Nothing(_)) => nothing("no asset with this fingerprint is registered"),
            shown => shown,
        }
    }

    pub(super) fn asset(&self, id: &AssetId) -> Result<Value, Blank> {
        let Some(found) = self.find_asset(id)? else {
            return nothing(format!(
                "no asset {id} is registered, in a block or waiting"
            ));
        };
        let time = found.block.map_or(Ok(None), |block| self.time_of(block))?;
        let issues = self.issues_near(id, &found)?;
        let data = &found.data;
        Ok(json!({
            "assetId": id,
            "status": if found.block.is_some() { "Confirmed" } else { "Pending" },
            "block": found.block,
            "timestamp": time,
            "bytes": found.bytes,
            "name": String::from_utf8_lossy(&data.name),
            "fingerprint": String::from_utf8_lossy(&data.fingerprint),
            "metadata": pairs(&data.metadata),
            "registrant": data.registrant.to_string(),
            "signature": hex::encode(&data.signature),
            "issues": issues,
        }))
    }

    /// The issues that are found at once; in the order of their blocks, those that wait last.
    fn issues_near(&self, id: &AssetId, asset: &FoundAsset) -> Result<Vec<Value>, Blank> {
        let mut found: BTreeMap<(u64, TxId), String> = BTreeMap::new();
        if let Some(number) = asset.block {
            for (tx, owner) in self.issues_in(number, id, ISSUES_MAX)? {
                found.insert((number, tx), owner);
            }
            let registrant = &asset.data.registrant;
            let owned = read::owned(self.view, registrant, 0, ENTRIES)?;
            let of_asset = owned
                .into_iter()
                .filter(|(_, entry)| entry.item == Item::Asset(*id));
            for (_, entry) in of_asset.take(ISSUES_MAX) {
                let issuer = self.find(&entry.issue)?;
                let issuer = issuer.map(|found| found.record.owner().to_string());
                found.insert((entry.issue_block, entry.issue), issuer.unwrap_or_default());
            }
        }
        let mut issues: Vec<Value> = found
            .into_iter()
            .map(|((block, id), owner)| {
                json!({"id": id, "owner": owner, "block": block, "status": "Confirmed"})
            })
            .collect();
        let waiting = self.reservoir.waiting_issues(id, ENTRIES, ISSUES_MAX);
        for (tx, packed) in waiting {
            let status = self.reservoir.status(&tx, &self.confirmed())?;
            let record = Record::unpack(packed, self.is_testing()).ok();
            issues.push(json!({
                "id": tx,
                "owner": record.map(|(record, _)| record.owner().to_string()),
                "block": null,
                "status": status.text(),
            }));
        }
        Ok(issues)
    }

    /// The issues on an asset in a block.
    pub(super) fn issues_in(
        &self,
        number: u64,
        asset: &AssetId,
        most: usize,
    ) -> Result<Vec<(TxId, String)>, Blank> {
        let Some(packed) = self.packed_block(number)? else {
            return Ok(Vec::new());
        };
        let Ok((header, _)) = Header::unpack(&packed) else {
            return Ok(Vec::new());
        };
        let issues =
            Records::of(&packed, &header, self.is_testing()).filter_map(|(record, packed)| {
                match record {
                    Record::BitmarkIssue(issue) if issue.asset_id == *asset => {
                        Some((TxId::of(packed), issue.owner.to_string()))
                    }
                    _ => None,
                }
            });
        Ok(issues.take(most).collect())
    }
}
