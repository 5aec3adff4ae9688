//! Where a text leads: block number, digest of a block, transaction, asset, pay id, account,
//! fingerprint. Every reading of it is tried; digests and transaction ids also in the reversed form
//! that the reference shows on screens.

use serde_json::{Value, json};

use super::{Blank, LOOK_DIGESTS, Sight};
use crate::core::id::{AssetId, BlockDigest, PayId, TxId};
use crate::core::keys::Account;
use crate::core::ledger::keys;
use crate::core::state::Pool;

/// Bytes of a text that is searched for: a fingerprint of 1024 characters of four bytes.
pub const TEXT_MAX: usize = 4096;

impl Sight<'_> {
    pub(super) fn search(&self, text: &str, below: Option<u64>) -> Result<Value, Blank> {
        let trimmed = text.trim();
        let mut found = Vec::new();
        let mut next = None;
        if below.is_none() && trimmed.len() <= TEXT_MAX {
            self.search_number(trimmed, &mut found);
            self.search_record(trimmed, &mut found)?;
            self.search_asset(text, trimmed, &mut found)?;
            self.search_account(trimmed, &mut found);
        }
        if found.is_empty()
            && let Ok(digest) = trimmed.parse::<BlockDigest>()
        {
            next = self.search_digest(&digest, below, &mut found)?;
        }
        Ok(json!({"text": trimmed, "found": found, "next": next}))
    }

    fn search_number(&self, text: &str, found: &mut Vec<Value>) {
        let digits = text.strip_prefix('#').unwrap_or(text).trim();
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return;
        }
        if let Ok(number) = digits.parse::<u64>()
            && (1..=self.ledger.height()).contains(&number)
        {
            found.push(json!({"kind": "block", "number": number}));
        }
    }

    fn search_record(&self, text: &str, found: &mut Vec<Value>) -> Result<(), Blank> {
        for id in [text.parse::<TxId>(), TxId::from_display(text)]
            .into_iter()
            .flatten()
        {
            if let Some(record) = self.find(&id)? {
                let kind = record.record.type_name();
                found.push(json!({"kind": "record", "id": id, "type": kind}));
            }
        }
        if let Ok(pay_id) = text.parse::<PayId>()
            && let Some(set) = self.reservoir.shown_set(&pay_id, 1)
            && let Some(member) = set.members.first()
        {
            found.push(json!({"kind": "record", "id": member.id, "type": "payment"}));
        }
        Ok(())
    }

    fn search_asset(&self, text: &str, trimmed: &str, found: &mut Vec<Value>) -> Result<(), Blank> {
        let as_id = trimmed.parse::<AssetId>().ok();
        let as_prints = [text, trimmed].map(|print| AssetId::of(print.as_bytes()));
        let mut ids: Vec<AssetId> = as_id.into_iter().chain(as_prints).collect();
        ids.dedup();
        for id in ids {
            if let Some(asset) = self.find_asset(&id)? {
                let name = String::from_utf8_lossy(&asset.data.name);
                found.push(json!({"kind": "asset", "assetId": id, "name": name}));
            }
        }
        Ok(())
    }

    fn search_account(&self, text: &str, found: &mut Vec<Value>) {
        if let Ok(account) = Account::from_text(text) {
            found.push(json!({"kind": "account", "account": account.to_string()}));
        }
    }

    /// Looks at some digests; where to go on, if more are below.
    fn search_digest(
        &self,
        digest: &BlockDigest,
        below: Option<u64>,
        found: &mut Vec<Value>,
    ) -> Result<Option<u64>, Blank> {
        let mut turned = *digest;
        turned.0.reverse();
        let end = below
            .unwrap_or(u64::MAX)
            .min(self.ledger.height().saturating_add(1));
        let start = end.saturating_sub(LOOK_DIGESTS).max(1);
        if start == 1 {
            let genesis = self.ledger.chain().genesis_digest;
            if genesis == *digest || genesis == turned {
                found.push(json!({"kind": "block", "number": 1}));
                return Ok(None);
            }
        }
        let count = usize::try_from(end.saturating_sub(start)).unwrap_or_default();
        let entries = self
            .view
            .scan(Pool::BlockDigest, &[], &keys::block(start), count)?;
        let hit = entries
            .iter()
            .find(|(_, value)| *value == digest.0 || *value == turned.0)
            .and_then(|(key, _)| keys::number(key));
        if let Some(number) = hit {
            found.push(json!({"kind": "block", "number": number}));
        }
        Ok((hit.is_none() && start > 2).then_some(start))
    }
}
