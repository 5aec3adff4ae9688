//! What waits, and what for (`proto/reservoir.md`, sections 3, 6 and 8).

use serde_json::{Value, json};

use super::record::summary;
use super::{Blank, MEMBERS_MAX, SETS_MAX, Sight};
use crate::core::id::{AssetId, PayId};
use crate::core::ledger::read;
use crate::core::record::Record;
use crate::core::reservoir::{ShownSet, Verification};

impl Sight<'_> {
    /// What a set waits for.
    pub(super) fn waiting(&self, set: &ShownSet<'_>) -> Result<Value, Blank> {
        let missing: Vec<AssetId> = set
            .assets
            .iter()
            .filter(|id| !self.reservoir.has_cached_asset(id))
            .map(|id| Ok((*id, read::has_asset(self.view, id)?)))
            .collect::<Result<Vec<_>, Blank>>()?
            .into_iter()
            .filter_map(|(id, is_there)| (!is_there).then_some(id))
            .take(MEMBERS_MAX)
            .collect();
        let waits_for = match set.verified {
            None if set.link.is_some() => "payment",
            None => "proof or payment",
            Some(_) if !missing.is_empty() => "asset",
            Some(_) => "block",
        };
        let due: Option<Value> = set
            .due
            .and_then(|due| serde_json::from_str(&due.to_json()).ok());
        Ok(json!({
            "payId": set.pay_id,
            "for": waits_for,
            "due": due,
            "verifiedBy": set.verified.map(|how| match how {
                Verification::Proof(_) => "proof",
                Verification::Payment => "payment",
            }),
            "missingAssets": missing,
            "remainingSeconds": set.remaining_s,
        }))
    }

    /// A set with the first of its records.
    pub(super) fn set_shown(&self, set: &ShownSet<'_>) -> Result<Value, Blank> {
        let records: Vec<Value> = set
            .members
            .iter()
            .filter_map(|member| {
                let (record, _) = Record::unpack(member.packed, self.is_testing()).ok()?;
                Some(summary(&member.id, &record))
            })
            .collect();
        Ok(json!({
            "payId": set.pay_id,
            "kind": if set.link.is_some() { "transfer" } else { "issues" },
            "status": if set.verified.is_some() { "Verified" } else { "Pending" },
            "count": set.count,
            "records": records,
            "waits": self.waiting(set)?,
        }))
    }

    pub(super) fn pending(&self, after: Option<&PayId>) -> Result<Value, Blank> {
        let sets = self
            .reservoir
            .sets_behind(after, SETS_MAX.saturating_add(1), MEMBERS_MAX);
        let has_more = sets.len() > SETS_MAX;
        let mut list = Vec::new();
        for set in sets.iter().take(SETS_MAX) {
            list.push(self.set_shown(set)?);
        }
        let last = sets.get(SETS_MAX.saturating_sub(1)).map(|set| set.pay_id);
        let assets: Vec<Value> = self
            .reservoir
            .lone_assets(MEMBERS_MAX)
            .into_iter()
            .filter_map(
                |(id, packed)| match Record::unpack(packed, self.is_testing()).ok()?.0 {
                    Record::AssetData(data) => Some(json!({
                        "assetId": id,
                        "name": String::from_utf8_lossy(&data.name),
                        "registrant": data.registrant.to_string(),
                    })),
                    _ => None,
                },
            )
            .collect();
        let sizes = self.reservoir.sizes();
        Ok(json!({
            "pending": sizes.unverified_tx_index,
            "pendingSets": sizes.unverified_tx_entries,
            "verified": sizes.verified_tx,
            "assets": sizes.assets,
            "orphanPayments": sizes.orphan_payment,
            "list": list,
            "assetsWithoutIssue": assets,
            "next": if has_more { last } else { None },
        }))
    }
}
