//! What an account owns.

use serde_json::{Value, json};

use super::{Blank, OWNED_MAX, Sight};
use crate::core::keys::Account;
use crate::core::ledger::{Item, read};

impl Sight<'_> {
    pub(super) fn account(&self, account: &Account, from: u64) -> Result<Value, Blank> {
        let owned = read::owned(self.view, account, from, OWNED_MAX.saturating_add(1))?;
        let next = owned.get(OWNED_MAX).map(|(index, _)| *index);
        let mut list = Vec::new();
        for (index, entry) in owned.into_iter().take(OWNED_MAX) {
            let (asset, block) = match entry.item {
                Item::Asset(id) => (Some(self.asset_brief(&id)?), None),
                Item::Block(number) => (None, Some(number)),
            };
            let since = match entry.last_transfer_block {
                0 => entry.issue_block,
                block => block,
            };
            list.push(json!({
                "index": index,
                "id": entry.last_transfer,
                "issue": entry.issue,
                "issueBlock": entry.issue_block,
                "sinceBlock": since,
                "timestamp": self.time_of(since)?,
                "asset": asset,
                "ownedBlock": block,
                "waitingFollower": self.reservoir.follower_of(&entry.last_transfer),
            }));
        }
        Ok(json!({
            "account": account.to_string(),
            "network": if account.testing { "testnet" } else { "livenet" },
            "isOfThisNetwork": account.testing == self.is_testing(),
            "from": from,
            "list": list,
            "next": next,
        }))
    }
}
