//! What is to be paid to whom, and whether it was (`proto/reservoir.md`, section 8).

use std::collections::{BTreeMap, BTreeSet};

use super::{Confirmed, LIFE_S, Orphan, Refusal, Reservoir, ReservoirError, Timed, Verified};
use crate::core::chain::Chain;
use crate::core::currency::{Currency, Payment};
use crate::core::id::{AssetId, PayId};
use crate::core::ledger::{Ownership, read};
use crate::core::time::Now;

/// Ways to pay: each a list of payments in one coin, all of which must be made.
pub type Alternatives = Vec<Vec<Payment>>;

/// Most addresses of a payment that was seen.
pub const ADDRESSES_MAX: usize = 256;

/// A payment that was seen in a coin's own network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentDetail {
    /// The coin.
    pub currency: Currency,
    /// Its transaction there.
    pub tx_id: String,
    /// How much each address got.
    pub amounts: BTreeMap<Vec<u8>, u64>,
}

/// What a payment led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The set is verified now.
    Verified,
    /// Nothing waits for it, or it is too little: it is kept for a while.
    Orphan,
}

/// Where a block's owner wants fees, in the order of coins. Nothing for genesis.
fn of_block(
    number: u64,
    fees: u64,
    state: Confirmed<'_>,
    chain: &Chain,
) -> Result<Vec<Payment>, ReservoirError> {
    let Some(payments) = read::payments(state.view, number, chain.testing)? else {
        return Ok(Vec::new());
    };
    Ok(payments
        .0
        .into_iter()
        .map(|(currency, address)| Payment {
            currency,
            address,
            amount: currency.fee().saturating_mul(fees),
        })
        .collect())
}

/// How a set of issues can be paid for: if all assets are confirmed in one block.
pub(super) fn for_issues(
    assets: &BTreeSet<AssetId>,
    count: usize,
    state: Confirmed<'_>,
    chain: &Chain,
) -> Result<Option<Alternatives>, ReservoirError> {
    let mut block = None;
    for asset in assets {
        let Some(stored) = read::asset(state.view, asset)? else {
            return Ok(None);
        };
        if block.is_some_and(|number| number != stored.block) {
            return Ok(None);
        }
        block = Some(stored.block);
    }
    let Some(number) = block.filter(|number| *number > 1) else {
        return Ok(None);
    };
    let fees = u64::try_from(count).unwrap_or(u64::MAX);
    let payments = of_block(number, fees, state, chain)?;
    let alternatives: Alternatives = payments.into_iter().map(|payment| vec![payment]).collect();
    Ok((!alternatives.is_empty()).then_some(alternatives))
}

/// How a transfer can be paid for.
pub(super) fn for_transfer(
    ownership: &Ownership,
    escrow: Option<&Payment>,
    state: Confirmed<'_>,
    chain: &Chain,
) -> Result<Alternatives, ReservoirError> {
    let is_first = ownership.last_transfer_block == 0;
    let fees = if is_first { 2 } else { 1 };
    let mut alternatives: Alternatives = of_block(ownership.issue_block, fees, state, chain)?
        .into_iter()
        .map(|payment| vec![payment])
        .collect();
    if !is_first {
        let last = of_block(ownership.last_transfer_block, 1, state, chain)?;
        for alternative in &mut alternatives {
            let Some(first) = alternative.first_mut() else {
                continue;
            };
            let Some(other) = last.iter().find(|p| p.currency == first.currency) else {
                continue;
            };
            if other.address == first.address {
                first.amount = first.amount.saturating_add(other.amount);
            } else {
                alternative.push(other.clone());
            }
        }
    }
    if let Some(escrow) = escrow {
        if !escrow.currency.is_payable() {
            // Accepted in blocks; the reference ends when such a bitmark is passed on.
            return Err(Refusal::InvalidCurrency.into());
        }
        alternatives.retain(|list| {
            list.first()
                .is_some_and(|payment| payment.currency == escrow.currency)
        });
        if alternatives.is_empty() {
            alternatives.push(Vec::new());
        }
        for alternative in &mut alternatives {
            alternative.push(escrow.clone());
        }
    }
    Ok(alternatives)
}

/// Whether a payment satisfies one of the alternatives. What two entries ask of one address is
/// added up.
#[must_use]
pub fn is_acceptable(detail: &PaymentDetail, alternatives: &Alternatives) -> bool {
    alternatives.iter().any(|list| {
        let mut due: BTreeMap<&[u8], u64> = BTreeMap::new();
        for payment in list {
            let sum = due.entry(&payment.address).or_default();
            *sum = sum.saturating_add(payment.amount);
        }
        !list.is_empty()
            && list.iter().all(|p| p.currency == detail.currency)
            && due.iter().all(|(address, amount)| {
                detail
                    .amounts
                    .get(*address)
                    .is_some_and(|paid| paid >= amount)
            })
    })
}

impl Reservoir {
    /// A payment was seen.
    ///
    /// # Errors
    /// More addresses than any payment has.
    pub fn payment_seen(
        &mut self,
        now: Now,
        pay_id: PayId,
        detail: PaymentDetail,
    ) -> Result<Seen, ReservoirError> {
        self.clock.see(now);
        if detail.amounts.len() > ADDRESSES_MAX {
            return Err(Refusal::TooManyItems.into());
        }
        let is_enough = self
            .sets
            .get(&pay_id)
            .filter(|set| set.is_pending())
            .is_some_and(|set| match &set.payments {
                Some(alternatives) => is_acceptable(&detail, alternatives),
                None => true,
            });
        if is_enough {
            self.set_verified(&pay_id, Verified::Payment);
            self.remove_orphan(&pay_id);
            return Ok(Seen::Verified);
        }
        self.insert_orphan(pay_id, detail);
        Ok(Seen::Orphan)
    }

    /// What a set is to be paid with, exactly, in one coin: for test networks.
    #[must_use]
    pub fn payments_due(&self, pay_id: &PayId) -> Option<Option<Alternatives>> {
        self.sets.get(pay_id).map(|set| set.payments.clone())
    }

    fn insert_orphan(&mut self, pay_id: PayId, detail: PaymentDetail) {
        self.remove_orphan(&pay_id);
        while self.orphans.len() >= self.caps.orphans.max(1) {
            let oldest = self
                .orphans
                .iter()
                .min_by_key(|(_, orphan)| orphan.deadline)
                .map(|(id, _)| *id);
            let Some(oldest) = oldest else { break };
            self.remove_orphan(&oldest);
        }
        let deadline = self.clock.now().saturating_add(LIFE_S);
        self.deadlines.insert((deadline, Timed::Orphan(pay_id)));
        self.orphans.insert(pay_id, Orphan { detail, deadline });
        self.persist_orphan(&pay_id);
    }

    pub(super) fn remove_orphan(&mut self, pay_id: &PayId) {
        if let Some(orphan) = self.orphans.remove(pay_id) {
            self.deadlines
                .remove(&(orphan.deadline, Timed::Orphan(*pay_id)));
            self.forget_orphan(pay_id);
        }
    }

    /// Whether a payment came before what it pays for; it is used up.
    pub(super) fn take_orphan(
        &mut self,
        pay_id: &PayId,
        alternatives: Option<&Alternatives>,
    ) -> bool {
        let is_enough = match (self.orphans.get(pay_id), alternatives) {
            (Some(orphan), Some(alternatives)) => is_acceptable(&orphan.detail, alternatives),
            _ => false,
        };
        if is_enough {
            self.remove_orphan(pay_id);
        }
        is_enough
    }
}
