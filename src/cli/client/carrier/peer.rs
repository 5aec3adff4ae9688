//! The carrier of the ZeroMQ command protocol (`proto/peer.md`). It has no question for records, so
//! the node's blocks are read, newest first. Never says that something was accepted: the protocol
//! acknowledges receipt alone.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use serde_json::{Value, json};

use super::{Carrier, Holding, Info, Issued, Item, Registration, Standing, Step, Wait};
use crate::cli::client::Output;
use crate::cli::client::chain::{self, InBlock};
use crate::cli::client::network::NodeEntry;
use crate::cli::client::progress::Progress;
use crate::cli::client::target::Node;
use crate::core::block::difficulty::issue_target;
use crate::core::chain::Chain;
use crate::core::id::{AssetId, PayId, TxId};
use crate::core::keys::Account;
use crate::core::mining::proof::ClientNonce;
use crate::core::record::Record;
use crate::shell::control;

/// A node over the command protocol.
#[derive(Debug)]
pub struct OverPeer {
    /// The node.
    pub node: Node,
    /// Where it stands in a test network: such a node can be asked more.
    pub entry: Option<NodeEntry>,
    /// Where progress is told.
    pub output: Output,
}

impl OverPeer {
    fn walk_down(&self, mut visit: impl FnMut(InBlock) -> bool) -> anyhow::Result<u64> {
        let mut progress = Progress::new(self.output);
        chain::walk_down(&self.node, |found| {
            progress.tell(|| format!("reading block {}", found.block));
            visit(found)
        })
    }

    /// All records of all blocks, newest first.
    fn all(&self) -> anyhow::Result<Vec<InBlock>> {
        let mut records = Vec::new();
        self.walk_down(|found| {
            records.push(found);
            false
        })?;
        Ok(records)
    }
}

/// The steps from a transaction back to its beginning, newest first, and the asset.
fn steps_back<'a>(records: &'a [InBlock], from: &TxId, most: usize) -> Vec<&'a InBlock> {
    let find = |id: &TxId| records.iter().find(|record| record.id == *id);
    let mut steps = Vec::new();
    let mut next = find(from);
    while let Some(step) = next {
        steps.push(step);
        next = step.record.link().and_then(|link| find(&link));
        if steps.len() == most.min(records.len()) {
            break;
        }
    }
    if let Some(Record::BitmarkIssue(issue)) = steps.last().map(|step| &step.record) {
        let asset = records.iter().find(|record| match &record.record {
            Record::AssetData(asset) => AssetId::of(&asset.fingerprint) == issue.asset_id,
            _ => false,
        });
        steps.extend(asset);
    }
    steps
}

/// What an account owns after these records, which are newest first.
fn holdings(records: &[InBlock], account: &Account) -> Vec<Holding> {
    // Where the way of each transaction begins, and what it is about.
    let mut origins: BTreeMap<TxId, (TxId, Item)> = BTreeMap::new();
    let mut names: BTreeMap<AssetId, String> = BTreeMap::new();
    let mut passed_on: BTreeSet<TxId> = BTreeSet::new();
    let mut given = Vec::new();
    for found in records.iter().rev() {
        let origin = match &found.record {
            Record::AssetData(asset) => {
                let name = String::from_utf8_lossy(&asset.name).into_owned();
                names.insert(AssetId::of(&asset.fingerprint), name);
                continue;
            }
            Record::BitmarkIssue(issue) => Some((found.id, Item::Bitmark(issue.asset_id, None))),
            Record::BlockFoundation(_) | Record::BaseData(_) => {
                Some((found.id, Item::Block(found.block)))
            }
            transfer => transfer.link().and_then(|link| {
                passed_on.insert(link);
                origins.get(&link).cloned()
            }),
        };
        if let Some(origin) = origin {
            origins.insert(found.id, origin);
            if found.record.owner() == account {
                given.push(found.id);
            }
        }
    }
    given.retain(|id| !passed_on.contains(id));
    let holding = |tx_id: TxId| {
        let (issue, item) = origins.remove(&tx_id)?;
        let item = match item {
            Item::Bitmark(asset, _) => Item::Bitmark(asset, names.get(&asset).cloned()),
            block @ Item::Block(_) => block,
        };
        Some(Holding { tx_id, issue, item })
    };
    given.into_iter().filter_map(holding).collect()
}

impl Carrier for OverPeer {
    fn chain(&self) -> &'static Chain {
        self.node.chain()
    }

    fn info(&mut self) -> anyhow::Result<Info> {
        self.node.info()
    }

    fn knows_assets(&self) -> bool {
        false
    }

    fn registration(&mut self, fingerprint: &str) -> anyhow::Result<Option<Registration>> {
        let mut registration = None;
        self.walk_down(|found| {
            if let Record::AssetData(asset) = found.record
                && asset.fingerprint == fingerprint.as_bytes()
            {
                registration = Some(Registration {
                    asset,
                    block: Some(found.block),
                });
            }
            registration.is_some()
        })?;
        Ok(registration)
    }

    fn register(&mut self, asset: &Record) -> anyhow::Result<()> {
        self.node.push("assets", &[asset.pack_unchecked()])
    }

    fn issue(&mut self, issues: &[Record]) -> anyhow::Result<Issued> {
        let packed: Vec<Vec<u8>> = issues.iter().map(Record::pack_unchecked).collect();
        self.node.push("issues", &[packed.concat()])?;
        Ok(Issued {
            pay_nonce: chain::pay_nonce(&self.node)?,
            target: issue_target(self.chain(), issues.len()),
            payments: Value::Null,
        })
    }

    fn prove(&mut self, pay_id: &PayId, nonce: &ClientNonce) -> anyhow::Result<String> {
        let proof = [pay_id.0.as_slice(), nonce.as_bytes()].concat();
        self.node.push("proof", &[proof])?;
        Ok("Received".to_owned())
    }

    fn transfer(&mut self, transfer: &Record) -> anyhow::Result<Value> {
        self.node.push("transfer", &[transfer.pack_unchecked()])?;
        Ok(Value::Null)
    }

    fn owner_of(&mut self, id: &TxId) -> anyhow::Result<Account> {
        let mut owner = None;
        let mut successor = None;
        self.walk_down(|found| {
            if found.record.link() == Some(*id) {
                successor = Some(found.id);
            }
            if found.id == *id {
                owner = Some(*found.record.owner());
            }
            owner.is_some() || successor.is_some()
        })?;
        if let Some(successor) = successor {
            bail!("it was passed on already, by transfer {successor}: transfer that one");
        }
        let Some(owner) = owner else {
            bail!("no block of this node has transaction {id}; is it confirmed yet?");
        };
        Ok(owner)
    }

    fn steps(&mut self, id: &TxId, most: usize) -> anyhow::Result<Vec<Step>> {
        let records = self.all()?;
        // From the newest transfer on, whichever step was named.
        let mut newest = *id;
        while let Some(next) = records
            .iter()
            .find(|record| record.record.link() == Some(newest))
        {
            newest = next.id;
        }
        let steps = steps_back(&records, &newest, most)
            .into_iter()
            .map(|step| Step {
                id: (!matches!(step.record, Record::AssetData(_))).then_some(step.id),
                block: Some(step.block),
                record: step.record.clone(),
                is_owner: step.id == newest,
            });
        Ok(steps.collect())
    }

    fn status(&mut self, id: &TxId) -> anyhow::Result<Standing> {
        let mut block = None;
        let height = self.walk_down(|found| {
            if found.id == *id {
                block = Some(found.block);
            }
            block.is_some()
        })?;
        let status = match (block, &self.entry) {
            (Some(_), _) => "Confirmed".to_owned(),
            // In a test network the node itself can be asked.
            (None, Some(entry)) => {
                let request = json!({"command": "transaction", "txId": id});
                let answer = control::call(&entry.control, &request)?;
                answer["status"].as_str().unwrap_or("Unknown").to_owned()
            }
            (None, None) => "NotConfirmed".to_owned(),
        };
        Ok(Standing {
            status,
            block,
            height,
        })
    }

    fn owned(&mut self, account: &Account) -> anyhow::Result<Vec<Holding>> {
        Ok(holdings(&self.all()?, account))
    }

    fn look(&mut self, wait: &mut Wait) -> anyhow::Result<()> {
        // A node that is restarted meanwhile is asked again.
        let Ok(height) = self.node.height() else {
            return Ok(());
        };
        wait.height = height;
        // A branch may have been replaced: look at a few blocks again.
        if height + 1 < wait.next {
            wait.back_to(height.saturating_sub(60).max(2));
        }
        while wait.next <= height {
            let Ok(packed) = self.node.block(wait.next) else {
                break;
            };
            for record in chain::records(self.node.chain(), &packed)? {
                wait.found(record.id, record.block);
            }
            wait.tell(wait.next);
            wait.next += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::keys::PrivateKey;
    use crate::core::record::{self, AssetData, BitmarkIssue, BitmarkTransferUnratified};

    fn in_block(block: u64, record: Record) -> InBlock {
        let id = TxId::of(&record.pack_unchecked());
        InBlock { block, id, record }
    }

    #[test]
    fn an_account_owns_what_it_got_and_did_not_pass_on() {
        let [alice, bob] = [1, 2].map(|n| PrivateKey::from_ed25519_seed(&[n; 32], true));
        let accounts = [&alice, &bob].map(|key| key.account().unwrap());
        let mut asset = Record::AssetData(AssetData {
            name: b"a house".to_vec(),
            fingerprint: b"f".to_vec(),
            metadata: Vec::new(),
            registrant: accounts[0],
            signature: Vec::new(),
        });
        record::sign(&mut asset, &alice).unwrap();
        let issue = |nonce| {
            let mut issue = Record::BitmarkIssue(BitmarkIssue {
                asset_id: AssetId::of(b"f"),
                owner: accounts[0],
                nonce,
                signature: Vec::new(),
            });
            record::sign(&mut issue, &alice).unwrap();
            in_block(2, issue)
        };
        let (kept, given) = (issue(1), issue(2));
        let mut transfer = Record::BitmarkTransferUnratified(BitmarkTransferUnratified {
            link: given.id,
            escrow: None,
            owner: accounts[1],
            signature: Vec::new(),
        });
        record::sign(&mut transfer, &alice).unwrap();
        let transfer = in_block(3, transfer);
        let records = vec![
            transfer.clone(),
            given.clone(),
            kept.clone(),
            in_block(2, asset),
        ];
        let ids =
            |account| -> Vec<(TxId, TxId)> {
                let held = holdings(&records, account);
                assert!(held.iter().all(
                    |one| matches!(&one.item, Item::Bitmark(_, Some(name)) if name == "a house")
                ));
                held.iter().map(|one| (one.tx_id, one.issue)).collect()
            };
        assert_eq!(ids(&accounts[0]), [(kept.id, kept.id)]);
        assert_eq!(ids(&accounts[1]), [(transfer.id, given.id)]);
        assert_eq!(steps_back(&records, &transfer.id, 9).len(), 3);
        assert_eq!(steps_back(&records, &transfer.id, 2).len(), 3);
        assert_eq!(steps_back(&records, &transfer.id, 1).len(), 1);
    }
}
