//! Payments (`proto/reservoir.md`, section 8).
//!
//! What is paid in several transactions of a coin is added up. Payments that verify nothing yet
//! wait for their records: at most `orphan_payments` pay ids and [`WAITING_BYTES_MAX`], at most
//! [`EACH_MAX`] transactions each, and of each the [`ADDRESSES_MAX`] largest amounts; the next to
//! end makes room. What verifies at once may pay as many addresses as it likes.

use std::collections::BTreeMap;

use super::confirmed::Confirmed;
use super::due::Due;
use super::error::Refusal;
use super::pools::{Key, Lapsing};
use super::set::{Amounts, Kind, Orphan, Set, Verification};
use super::{Effect, LIFE_S, Reservoir};
use crate::core::currency::Currency;
use crate::core::id::PayId;
use crate::core::state::StoreFault;

/// Bytes of all payments that wait.
pub const WAITING_BYTES_MAX: usize = 16 << 20;
/// Transactions of coins that wait for one pay id; the smallest ones make room for the newest.
pub const EACH_MAX: usize = 8;
/// Addresses that are kept of one that waits.
pub const ADDRESSES_MAX: usize = 100;
/// Longest address, and longest id of a coin's transaction, in bytes.
pub(super) const TEXT_MAX: usize = 128;

/// A transaction of a coin that names a pay id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenPayment {
    /// What it pays for.
    pub pay_id: PayId,
    /// The coin.
    pub currency: Currency,
    /// The coin's own id of it.
    pub currency_tx_id: Vec<u8>,
    /// What it pays to whom.
    pub amounts: Amounts,
}

impl Orphan {
    /// What is paid in each coin, added up.
    pub(super) fn by_coin(&self) -> BTreeMap<Currency, Amounts> {
        let mut sums: BTreeMap<Currency, Amounts> = BTreeMap::new();
        for ((currency, _), amounts) in &self.payments {
            let coin = sums.entry(*currency).or_default();
            for (address, amount) in amounts {
                let sum = coin.entry(address.clone()).or_default();
                *sum = sum.saturating_add(*amount);
            }
        }
        sums
    }
}

impl Reservoir {
    pub(super) fn on_payment(&mut self, mut payment: SeenPayment, confirmed: &Confirmed<'_>) {
        payment
            .amounts
            .retain(|address, amount| *amount > 0 && address.len() <= TEXT_MAX);
        let counts = payment.currency.is_payable()
            && !payment.amounts.is_empty()
            && payment.currency_tx_id.len() <= TEXT_MAX;
        if !counts {
            return;
        }
        let pay_id = payment.pay_id;
        let mut paid = self.pools.orphans.get(&pay_id).cloned().unwrap_or(Orphan {
            payments: BTreeMap::new(),
            deadline: 0,
        });
        let key = (payment.currency, payment.currency_tx_id);
        paid.payments.insert(key.clone(), payment.amounts);
        paid.deadline = self.time.saturating_add(LIFE_S);
        let pending = self.pools.sets.get(&pay_id);
        let mut fault = None;
        let verified = match pending.filter(|set| set.verified.is_none()) {
            None => false,
            Some(set) => match due_of(set, confirmed) {
                // An issue set without a list is verified by whatever names it, everywhere.
                Ok(None) => true,
                Ok(Some(due)) => due.is_paid_by(&paid.by_coin()),
                Err(error) => {
                    fault = Some(error);
                    false
                }
            },
        };
        self.effects.extend(fault.map(Effect::Fault));
        if verified {
            self.verify(&pay_id, Verification::Payment);
        } else {
            if let Some(amounts) = paid.payments.get_mut(&key) {
                keep_largest(amounts);
            }
            self.keep_payment(pay_id, paid, &key);
        }
    }

    /// Keeps payments that wait; the smallest ones make room for `newest`.
    fn keep_payment(&mut self, pay_id: PayId, mut paid: Orphan, newest: &(Currency, Vec<u8>)) {
        while paid.payments.len() > EACH_MAX {
            let others = paid.payments.iter().filter(|(key, _)| *key != newest);
            let smallest = others.min_by_key(|((currency, _), amounts)| worth(*currency, amounts));
            let Some(key) = smallest.map(|(key, _)| key.clone()) else {
                break;
            };
            paid.payments.remove(&key);
        }
        self.pools.put_orphan(pay_id, paid);
        while self.pools.orphans.len() > self.caps.orphan_payments.max(1)
            || self.pools.orphan_bytes > WAITING_BYTES_MAX
        {
            let Some((_, Key::Orphan(oldest))) = self.pools.next_lapse(Lapsing::Orphan) else {
                break;
            };
            self.pools.take_orphan(&oldest);
        }
    }
}

/// What a transaction pays in all, in millionths of the coin's fee.
fn worth(currency: Currency, amounts: &Amounts) -> u128 {
    let sum: u128 = amounts.values().map(|amount| u128::from(*amount)).sum();
    sum * 1_000_000 / u128::from(currency.fee().max(1))
}

/// What waits is bounded: the smallest amounts go.
fn keep_largest(amounts: &mut Amounts) {
    if amounts.len() > ADDRESSES_MAX {
        let mut all: Vec<_> = std::mem::take(amounts).into_iter().collect();
        all.sort_by_key(|(_, amount)| std::cmp::Reverse(*amount));
        all.truncate(ADDRESSES_MAX);
        amounts.extend(all);
    }
}

/// What is due for a set now. A transfer that came back while its link was in no block has an
/// empty list until the link is in one again.
fn due_of(set: &Set, confirmed: &Confirmed<'_>) -> Result<Option<Due>, StoreFault> {
    match (&set.kind, &set.due) {
        (Kind::Transfer { link }, Some(due)) if due.0.is_empty() => {
            let again = transfer_due(link, confirmed)?;
            Ok(Some(again.unwrap_or_else(|| due.clone())))
        }
        (_, due) => Ok(due.clone()),
    }
}

/// What is due for a transfer of what this confirmed record gave.
pub(super) fn transfer_due(
    link: &crate::core::id::TxId,
    confirmed: &Confirmed<'_>,
) -> Result<Option<Due>, StoreFault> {
    let Some(linked) = confirmed.record(link)? else {
        return Ok(None);
    };
    let Some(ownership) = confirmed.ownership(linked.owner(), link)? else {
        return Ok(None);
    };
    match Due::for_transfer(confirmed, &ownership, linked.escrow()) {
        Ok(due) => Ok(Some(due)),
        Err(Refusal::Store(fault)) => Err(fault),
        Err(_) => Ok(None),
    }
}
