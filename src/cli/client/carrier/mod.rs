//! What commands ask of a node, whichever way it is reached: over the ZeroMQ command protocol
//! ([`OverPeer`]) or over JSON-RPC ([`OverRpc`]). The results are the same as far as the two can tell.
//!
//! | | command protocol | JSON-RPC |
//! | --- | --- | --- |
//! | what became of a record | its blocks are read | the node says it |
//! | a record that was sent | acknowledged, no more | accepted or refused with a reason |
//! | fees | not told | told |
//!
//! Never decides what is valid: `core` does.

pub mod link;
mod peer;
pub mod pins;
mod rpc;
mod way;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Exit, TIMED_OUT};
use crate::core::block::Target as WorkTarget;
use crate::core::chain::Chain;
use crate::core::id::{AssetId, PayId, PayNonce, TxId};
use crate::core::keys::Account;
use crate::core::mining::proof::ClientNonce;
use crate::core::record::{AssetData, Record};

pub use peer::OverPeer;
pub use rpc::OverRpc;

/// What a node says of itself.
#[derive(Debug, Clone)]
pub struct Info {
    /// `version`, `chain`, `normal`, `height`, and what else the node says.
    pub json: Value,
    /// Mode Normal.
    pub normal: bool,
    /// Its height.
    pub height: u64,
}

/// What was asked for issues.
#[derive(Debug, Clone)]
pub struct Issued {
    /// What the proof of work starts from.
    pub pay_nonce: PayNonce,
    /// What the proof must not exceed.
    pub target: WorkTarget,
    /// What may be paid in its place, by coin (`proto/rpc.md`, section 3); null where the node
    /// does not say or there is nothing to pay.
    pub payments: Value,
}

/// A registered asset.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The record.
    pub asset: AssetData,
    /// Its block, where that is told.
    pub block: Option<u64>,
}

/// A step on the way of a bitmark or of a block.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its id; an asset has none.
    pub id: Option<TxId>,
    /// Its block, where that is told: JSON-RPC does not tell that of an asset.
    pub block: Option<u64>,
    /// The record.
    pub record: Record,
    /// Whom it names owns the bitmark now.
    pub is_owner: bool,
}

/// Who owns what a transaction gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// Who.
    pub account: Account,
    /// It is a block, not a bitmark: each is passed on by transfers of its own kind.
    pub is_block: bool,
}

impl Owner {
    /// Whom a record names.
    #[must_use]
    pub const fn of(record: &Record) -> Self {
        Self {
            account: *record.owner(),
            is_block: matches!(
                record,
                Record::BlockFoundation(_) | Record::BaseData(_) | Record::BlockOwnerTransfer(_)
            ),
        }
    }
}

/// How far a transaction is.
#[derive(Debug, Clone)]
pub struct Standing {
    /// `Unknown`, `Pending`, `Verified`, `Confirmed`; `NotConfirmed` where the node does not tell.
    pub status: String,
    /// The block that has it.
    pub block: Option<u64>,
    /// The node's height.
    pub height: u64,
}

/// Something an account owns.
#[derive(Debug, Clone)]
pub struct Holding {
    /// The transaction that gave it.
    pub tx_id: TxId,
    /// Where its way begins: the issue, or the block's id.
    pub issue: TxId,
    /// What it is.
    pub item: Item,
}

/// What is owned.
#[derive(Debug, Clone)]
pub enum Item {
    /// A bitmark of an asset, with the asset's name where it is known.
    Bitmark(AssetId, Option<String>),
    /// A block, by its number.
    Block(u64),
}

/// A node that is asked.
pub trait Carrier {
    /// The node's chain.
    fn chain(&self) -> &'static Chain;

    /// What the node says of itself.
    ///
    /// # Errors
    /// No answer, or none of the protocol. So it is with all that follows.
    fn info(&mut self) -> anyhow::Result<Info>;

    /// Whether [`Carrier::registration`] is one question rather than all blocks.
    fn knows_assets(&self) -> bool;

    /// An asset by its fingerprint. Over the command protocol: if it is confirmed.
    ///
    /// # Errors
    /// See [`Carrier::info`].
    fn registration(&mut self, fingerprint: &str) -> anyhow::Result<Option<Registration>>;

    /// Registers an asset; one that is registered just so is no error.
    ///
    /// # Errors
    /// See [`Carrier::info`]; it was refused.
    fn register(&mut self, asset: &Record) -> anyhow::Result<()>;

    /// Sends issues as one set.
    ///
    /// # Errors
    /// See [`Carrier::info`]; they were refused.
    fn issue(&mut self, issues: &[Record]) -> anyhow::Result<Issued>;

    /// Sends the proof of work for a set; what the node says of it.
    ///
    /// # Errors
    /// See [`Carrier::info`].
    fn prove(&mut self, pay_id: &PayId, nonce: &ClientNonce) -> anyhow::Result<String>;

    /// Sends a transfer; gives what is to be paid, as [`Issued::payments`].
    ///
    /// # Errors
    /// See [`Carrier::info`]; it was refused.
    fn transfer(&mut self, transfer: &Record) -> anyhow::Result<Value>;

    /// Who owns what this transaction gave.
    ///
    /// # Errors
    /// See [`Carrier::info`]; it is not confirmed, or was passed on.
    fn owner_of(&mut self, id: &TxId) -> anyhow::Result<Owner>;

    /// The way to a transaction, newest step first, and the asset. Over the command protocol it
    /// begins at the newest transfer, over JSON-RPC at the one that was named. At most `most` steps
    /// and the asset. None: no such transaction is confirmed.
    ///
    /// # Errors
    /// See [`Carrier::info`]; the steps do not follow one another.
    fn steps(&mut self, id: &TxId, most: usize) -> anyhow::Result<Vec<Step>>;

    /// How far a transaction is.
    ///
    /// # Errors
    /// See [`Carrier::info`].
    fn status(&mut self, id: &TxId) -> anyhow::Result<Standing>;

    /// What an account owns, in the order in which it came to own it.
    ///
    /// # Errors
    /// See [`Carrier::info`].
    fn owned(&mut self, account: &Account) -> anyhow::Result<Vec<Holding>>;

    /// Looks once whether more of what is waited for is confirmed.
    ///
    /// # Errors
    /// An answer that is wrong; one that is missing is asked for again later.
    fn look(&mut self, wait: &mut Wait) -> anyhow::Result<()>;

    /// What the node says of itself, for who wants to send something.
    ///
    /// # Errors
    /// The node is not in mode Normal: exit status 3.
    fn must_be_normal(&mut self) -> anyhow::Result<Info> {
        let info = self.info()?;
        if info.normal {
            Ok(info)
        } else {
            Err(Exit::not_normal(info.height).into())
        }
    }
}

/// Transactions that are waited for.
#[derive(Debug)]
pub struct Wait {
    /// All of them, in the order in which they are shown.
    order: Vec<TxId>,
    wanted: BTreeSet<TxId>,
    /// What is confirmed, each with its block.
    confirmed: BTreeMap<TxId, u64>,
    /// The next block to read.
    pub next: u64,
    /// The node's height.
    pub height: u64,
    /// Words for people that were not told yet.
    pub news: Vec<String>,
}

impl Wait {
    /// Begins at a height.
    #[must_use]
    pub fn new(from: u64, order: Vec<TxId>) -> Self {
        Self {
            wanted: order.iter().copied().collect(),
            order,
            confirmed: BTreeMap::new(),
            next: from.max(2),
            height: 0,
            news: Vec::new(),
        }
    }

    /// What is not confirmed.
    #[must_use]
    pub fn missing(&self) -> Vec<TxId> {
        let is_missing = |id: &&TxId| !self.confirmed.contains_key(*id);
        self.order.iter().filter(is_missing).copied().collect()
    }

    /// Enters what a block has, if it is waited for.
    pub fn found(&mut self, id: TxId, block: u64) {
        if self.wanted.contains(&id) {
            self.confirmed.insert(id, block);
        }
    }

    /// Forgets what was seen from this block on: a branch was replaced.
    pub fn back_to(&mut self, block: u64) {
        self.next = block;
        self.confirmed.retain(|_, found| *found < block);
    }

    /// Says how far it is.
    pub fn tell(&mut self, height: u64) {
        let (done, all) = (self.confirmed.len(), self.wanted.len());
        self.news
            .push(format!("block {height}: {done} of {all} confirmed"));
    }

    /// Looks again and again until all is confirmed or the time is over.
    ///
    /// # Errors
    /// See [`Carrier::look`].
    pub fn run(
        &mut self,
        node: &mut dyn Carrier,
        timeout: Duration,
        mut tell: impl FnMut(&str),
    ) -> anyhow::Result<()> {
        // A time that no clock reaches has no end.
        let end = Instant::now().checked_add(timeout);
        loop {
            node.look(self)?;
            for text in self.news.drain(..) {
                tell(&text);
            }
            if self.confirmed.len() == self.wanted.len()
                || end.is_some_and(|end| Instant::now() >= end)
            {
                return Ok(());
            }
            // Neither protocol has news for clients: the node is asked.
            std::thread::sleep(Duration::from_millis(250));
        }
    }

    /// The block that confirmed the last.
    #[must_use]
    pub fn last_block(&self) -> u64 {
        self.confirmed.values().copied().max().unwrap_or_default()
    }

    /// Enters what was seen into the result of a command.
    ///
    /// # Errors
    /// Something is missing: exit status 4, with the result so far.
    pub fn enter(&self, mut result: Value) -> anyhow::Result<Value> {
        let entry = |id| Some(json!({"txId": id, "block": self.confirmed.get(id)?}));
        result["confirmed"] = self.order.iter().filter_map(entry).collect();
        let missing = self.missing();
        if missing.is_empty() {
            return Ok(result);
        }
        result["missing"] = json!(missing);
        result["height"] = json!(self.height);
        let names: Vec<String> = missing.iter().map(ToString::to_string).collect();
        Err(Exit {
            status: TIMED_OUT,
            message: format!(
                "the time is over: at height {} {} of {} are confirmed; missing {}",
                self.height,
                self.confirmed.len(),
                self.wanted.len(),
                names.join(", ")
            ),
            result,
        }
        .into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_when_the_time_is_over_stands_beside_the_ids() {
        let mut wait = Wait::new(1, vec![TxId([1; 32]), TxId([2; 32])]);
        wait.found(TxId([1; 32]), 7);
        wait.found(TxId([3; 32]), 9);
        wait.height = 8;
        let error = wait.enter(json!({"assetId": "a"})).unwrap_err();
        let exit = error.downcast_ref::<Exit>().unwrap();
        assert_eq!(exit.status, TIMED_OUT);
        assert_eq!(exit.result["assetId"], "a");
        assert_eq!(exit.result["confirmed"][0]["block"], 7);
        assert_eq!(exit.result["missing"][0], json!(TxId([2; 32])));
        assert_eq!(exit.result["height"], 8);
        wait.found(TxId([2; 32]), 6);
        assert_eq!(wait.last_block(), 7);
        assert!(wait.enter(json!({})).unwrap().get("missing").is_none());
    }
}
