//! What is to be paid for a set, and whether it was (`proto/reservoir.md`, section 8). Nothing is
//! remembered here.

use std::collections::{BTreeMap, BTreeSet};

use super::confirmed::Confirmed;
use super::error::Refusal;
use super::set::Amounts;
use crate::core::currency::{Currency, CurrencyError, Payment};
use crate::core::id::AssetId;
use crate::core::ledger::{Item, Ownership};
use crate::core::record::RecordError;
use crate::core::state::StoreFault;

/// Alternatives, at most one a coin: one whole list is to be paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due(pub Vec<Vec<Payment>>);

impl Due {
    /// For a set of `count` issues: a fee each to the owner of the block that has their assets,
    /// if that is one block behind genesis.
    pub(super) fn for_issues(
        confirmed: &Confirmed<'_>,
        assets: &BTreeSet<AssetId>,
        count: usize,
    ) -> Result<Option<Self>, StoreFault> {
        let mut block = None;
        for asset in assets {
            let Some(number) = confirmed.asset_block(asset)? else {
                return Ok(None);
            };
            if number <= 1 || *block.get_or_insert(number) != number {
                return Ok(None);
            }
        }
        let Some(fees) = block.map_or(Ok(None), |number| confirmed.fees(number))? else {
            return Ok(None);
        };
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let lists = fees.into_iter().map(|mut fee| {
            fee.amount = fee.amount.saturating_mul(count);
            vec![fee]
        });
        Ok(Some(Self(lists.collect())))
    }

    /// For a transfer of what `ownership` says: a fee each to the owners of the block of the
    /// issue and of the block of the last transfer, and the escrow that the last transfer names.
    /// An escrow of no coin, which a block may hold, is `invalid currency`.
    pub(super) fn for_transfer(
        confirmed: &Confirmed<'_>,
        ownership: &Ownership,
        escrow: Option<&Payment>,
    ) -> Result<Self, Refusal> {
        let issue_block = match ownership.item {
            Item::Asset(_) => ownership.issue_block,
            Item::Block(number) => number,
        };
        let issue_fees = confirmed
            .fees(issue_block)?
            .ok_or(Refusal::MissingBlockOwner)?;
        let last_fees = match ownership.last_transfer_block {
            0 => issue_fees.clone(),
            number => confirmed.fees(number)?.ok_or(Refusal::MissingBlockOwner)?,
        };
        let mut lists: BTreeMap<Currency, Vec<Payment>> = BTreeMap::new();
        for fee in issue_fees.into_iter().chain(last_fees) {
            let list = lists.entry(fee.currency).or_default();
            match list.iter_mut().find(|entry| entry.address == fee.address) {
                Some(entry) => entry.amount = entry.amount.saturating_add(fee.amount),
                None => list.push(fee),
            }
        }
        if let Some(escrow) = escrow {
            if !escrow.currency.is_payable() {
                return Err(RecordError::from(CurrencyError::InvalidCurrency).into());
            }
            let mut list = lists.remove(&escrow.currency).unwrap_or_default();
            list.push(escrow.clone());
            return Ok(Self(vec![list]));
        }
        Ok(Self(lists.into_values().collect()))
    }

    /// Whether these payments, by coin, satisfy one of the lists. Entries that name the same
    /// address are added up.
    pub(super) fn is_paid_by(&self, paid: &BTreeMap<Currency, Amounts>) -> bool {
        self.0.iter().any(|list| {
            let mut needed: BTreeMap<(Currency, &[u8]), u64> = BTreeMap::new();
            for entry in list {
                let sum = needed.entry((entry.currency, &entry.address)).or_default();
                *sum = sum.saturating_add(entry.amount);
            }
            !needed.is_empty()
                && needed.iter().all(|((currency, address), amount)| {
                    paid.get(currency)
                        .and_then(|amounts| amounts.get(*address))
                        .is_some_and(|paid| paid >= amount)
                })
        })
    }

    /// `{"BTC":[…],"LTC":[…]}`, as clients are shown it.
    #[must_use]
    pub fn to_json(&self) -> String {
        let members: Vec<String> = self
            .0
            .iter()
            .filter_map(|list| {
                let currency = list.first()?.currency;
                let entries: Vec<String> = list.iter().map(Payment::to_json).collect();
                Some(format!("\"{currency}\":[{}]", entries.join(",")))
            })
            .collect();
        format!("{{{}}}", members.join(","))
    }
}
