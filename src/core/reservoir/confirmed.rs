//! What the pools ask the confirmed state (`proto/reservoir.md`, sections 5, 6 and 8). Reading
//! only; the ring of recent blocks stands in the ledger beside the view.

use crate::core::block::{Target, difficulty};
use crate::core::chain::Chain;
use crate::core::currency::Payment;
use crate::core::id::{AssetId, PayNonce, TxId};
use crate::core::keys::Account;
use crate::core::ledger::{Ledger, Ownership, keys, read};
use crate::core::record::Record;
use crate::core::state::{Pool, StoreFault, View};

/// The confirmed state at one moment.
#[derive(Clone, Copy)]
pub struct Confirmed<'a> {
    /// Its pools.
    pub view: &'a dyn View,
    /// Chain and recent blocks.
    pub ledger: &'a Ledger,
}

impl std::fmt::Debug for Confirmed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Confirmed")
            .field("height", &self.ledger.height())
            .finish_non_exhaustive()
    }
}

impl<'a> Confirmed<'a> {
    pub(super) const fn chain(&self) -> &'static Chain {
        self.ledger.chain()
    }

    pub(super) const fn view(&self) -> &'a dyn View {
        self.view
    }

    pub(super) fn has_transaction(&self, id: &TxId) -> Result<bool, StoreFault> {
        read::has_transaction(self.view, id)
    }

    /// A confirmed record, packed.
    pub(super) fn packed(&self, id: &TxId) -> Result<Option<Vec<u8>>, StoreFault> {
        Ok(read::transaction(self.view, id)?.map(|stored| stored.packed))
    }

    /// A confirmed record.
    pub(super) fn record(&self, id: &TxId) -> Result<Option<Record>, StoreFault> {
        let packed = self.packed(id)?;
        Ok(packed.and_then(|packed| {
            Record::unpack(&packed, self.chain().testing)
                .ok()
                .map(|(record, _)| record)
        }))
    }

    /// The block of a confirmed asset.
    pub(super) fn asset_block(&self, id: &AssetId) -> Result<Option<u64>, StoreFault> {
        Ok(read::asset(self.view, id)?.map(|stored| stored.block))
    }

    pub(super) fn has_asset(&self, id: &AssetId) -> Result<bool, StoreFault> {
        read::has_asset(self.view, id)
    }

    /// What `owner` holds by the transaction `id`, while it does.
    pub(super) fn ownership(
        &self,
        owner: &Account,
        id: &TxId,
    ) -> Result<Option<Ownership>, StoreFault> {
        let key = keys::owner_digest(owner, id);
        let index = self.view.get(Pool::OwnerDigest, &key)?;
        let Some(index) = index.as_deref().and_then(keys::number) else {
            return Ok(None);
        };
        let key = keys::ownership(owner, index);
        let value = self.view.get(Pool::Ownership, &key)?;
        Ok(value.as_deref().and_then(Ownership::unpack))
    }

    /// The fee of a block's owner in each coin, in the order of codes; nothing for number 0 and
    /// for a block without addresses.
    pub(super) fn fees(&self, number: u64) -> Result<Option<Vec<Payment>>, StoreFault> {
        if number == 0 {
            return Ok(None);
        }
        let payments = read::payments(self.view, number, self.chain().testing)?;
        Ok(payments.map(|map| {
            map.0
                .into_iter()
                .map(|(currency, address)| Payment {
                    currency,
                    address,
                    amount: currency.fee(),
                })
                .collect()
        }))
    }

    pub(super) fn pay_nonce(&self) -> PayNonce {
        self.ledger.ring().latest()
    }

    pub(super) fn pay_nonces(&self) -> impl Iterator<Item = PayNonce> + '_ {
        self.ledger.ring().candidates()
    }

    pub(super) fn issue_target(&self, count: usize) -> Target {
        difficulty::issue_target(self.chain(), count)
    }
}
