//! The carrier of the ZeroMQ command protocol (`proto/peer.md`). It has no question for records, so
//! the node's blocks are read, newest first, and what they say is checked: whole blocks have the
//! records that their headers claim, and each step that is shown is signed by who had to. Never says
//! that something was accepted: the protocol acknowledges receipt alone.

use std::collections::BTreeMap;

use anyhow::bail;
use serde_json::{Value, json};

use super::{Carrier, Holding, Info, Issued, Item, Owner, Registration, Standing, Step, Wait, way};
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
    fn all(&self) -> anyhow::Result<Records> {
        let mut records = Vec::new();
        self.walk_down(|found| {
            records.push(found);
            false
        })?;
        Records::new(records)
    }

    /// Looks for a transaction from the newest block down, until it is clear that it holds.
    fn meet(&self, id: &TxId) -> anyhow::Result<Met> {
        let mut met = Met::default();
        met.height = self.walk_down(|next| met.take(id, next))?;
        met.check()?;
        Ok(met)
    }
}

/// A record as a step of a way.
fn step(found: &InBlock, is_owner: bool) -> Step {
    Step {
        id: (!matches!(found.record, Record::AssetData(_))).then_some(found.id),
        block: Some(found.block),
        record: found.record.clone(),
        is_owner,
    }
}

/// A transaction, and what a walk down the blocks met around it.
#[derive(Debug, Default)]
struct Met {
    height: u64,
    found: Option<InBlock>,
    /// What it passes on.
    before: Option<InBlock>,
    /// What passes it on.
    successor: Option<InBlock>,
}

impl Met {
    /// Takes the next record down; whether nothing more is missing.
    fn take(&mut self, id: &TxId, next: InBlock) -> bool {
        if let Some(found) = &self.found {
            if found.record.link() == Some(next.id) {
                self.before = Some(next);
            }
            return self.before.is_some();
        }
        if next.id == *id {
            let is_begin = next.record.link().is_none();
            self.found = Some(next);
            return is_begin;
        }
        if next.record.link() == Some(*id) {
            self.successor = Some(next);
        }
        false
    }

    /// Each of them is signed by who had to.
    fn check(&self) -> anyhow::Result<()> {
        let Some(found) = &self.found else {
            return Ok(());
        };
        let found = step(found, false);
        way::begins(&found)?;
        if let Some(before) = &self.before {
            way::follows(&found, &step(before, false))?;
        } else if found.record.link().is_some() {
            way::ends(Some(&found))?;
        }
        if let Some(successor) = &self.successor {
            way::follows(&step(successor, false), &found)?;
        }
        Ok(())
    }
}

/// All records of a node's blocks, to be looked up. What is repeated counts where it stands first.
#[derive(Debug)]
struct Records {
    newest_first: Vec<InBlock>,
    by_id: BTreeMap<TxId, usize>,
    by_link: BTreeMap<TxId, usize>,
    assets: BTreeMap<AssetId, usize>,
}

impl Records {
    fn new(newest_first: Vec<InBlock>) -> anyhow::Result<Self> {
        let (mut by_id, mut by_link) = (BTreeMap::new(), BTreeMap::new());
        let mut assets = BTreeMap::new();
        for (at, found) in newest_first.iter().enumerate() {
            if let Record::AssetData(asset) = &found.record {
                assets.insert(AssetId::of(&asset.fingerprint), at);
                continue;
            }
            by_id.insert(found.id, at);
            if let Some(link) = found.record.link()
                && by_link.insert(link, at).is_some()
            {
                bail!(
                    "the node's block {} has {} {}, which passes on what another transfer passed on",
                    found.block,
                    found.record.type_name(),
                    found.id
                );
            }
        }
        Ok(Self {
            newest_first,
            by_id,
            by_link,
            assets,
        })
    }

    fn at(&self, at: Option<&usize>) -> Option<&InBlock> {
        self.newest_first.get(*at?)
    }

    fn passed_on_by(&self, id: &TxId) -> Option<&InBlock> {
        self.at(self.by_link.get(id))
    }

    /// The steps from a transaction back to its beginning, newest first, and the asset.
    fn back(&self, from: &TxId) -> Vec<&InBlock> {
        let mut steps = Vec::new();
        let mut next = self.at(self.by_id.get(from));
        while let Some(found) = next.filter(|_| steps.len() < self.newest_first.len()) {
            steps.push(found);
            next = match &found.record {
                Record::BitmarkIssue(issue) => self.at(self.assets.get(&issue.asset_id)),
                record => record
                    .link()
                    .and_then(|link| self.at(self.by_id.get(&link))),
            };
        }
        steps
    }

    /// The whole way to a transaction, every step of which holds.
    fn way(&self, from: &TxId, is_newest: bool) -> anyhow::Result<Vec<Step>> {
        let found = self.back(from);
        let steps: Vec<Step> = (found.iter().enumerate())
            .map(|(at, found)| step(found, is_newest && at == 0))
            .collect();
        way::check_whole(&steps)?;
        Ok(steps)
    }

    /// What an account owns, in the order in which it came to own it. Every step of its way
    /// holds, and what the account passed on it signed away.
    fn holdings(&self, account: &Account) -> anyhow::Result<Vec<Holding>> {
        let mut all = Vec::new();
        for found in self.newest_first.iter().rev() {
            let is_asset = matches!(found.record, Record::AssetData(_));
            if is_asset || found.record.owner() != account {
                continue;
            }
            if let Some(successor) = self.passed_on_by(&found.id) {
                way::follows(&step(successor, false), &step(found, false))?;
                continue;
            }
            // A repeated record gave nothing anew.
            if self.at(self.by_id.get(&found.id)).map(|first| first.block) != Some(found.block) {
                continue;
            }
            let steps = self.way(&found.id, true)?;
            let (issue, item) = match steps.as_slice() {
                [
                    ..,
                    issue,
                    Step {
                        record: Record::AssetData(asset),
                        ..
                    },
                ] => {
                    let name = String::from_utf8_lossy(&asset.name).into_owned();
                    let item = Item::Bitmark(AssetId::of(&asset.fingerprint), Some(name));
                    (issue.id, item)
                }
                [.., foundation] => {
                    let block = foundation.block.unwrap_or_default();
                    (foundation.id, Item::Block(block))
                }
                [] => continue,
            };
            all.push(Holding {
                tx_id: found.id,
                issue: issue.unwrap_or(found.id),
                item,
            });
        }
        Ok(all)
    }
}

/// Cuts a way after so many steps; an issue keeps its asset.
fn cut(mut steps: Vec<Step>, most: usize) -> Vec<Step> {
    let last = most.checked_sub(1).and_then(|last| steps.get(last));
    let ends = last.is_some_and(|last| matches!(last.record, Record::BitmarkIssue(_)));
    steps.truncate(most.saturating_add(usize::from(ends)));
    steps
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
            if let Record::AssetData(asset) = &found.record
                && asset.fingerprint == fingerprint.as_bytes()
            {
                registration = Some(step(&found, false));
            }
            registration.is_some()
        })?;
        let Some(found) = registration else {
            return Ok(None);
        };
        way::begins(&found)?;
        let block = found.block;
        Ok(match found.record {
            Record::AssetData(asset) => Some(Registration { asset, block }),
            _ => None,
        })
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

    fn owner_of(&mut self, id: &TxId) -> anyhow::Result<Owner> {
        let met = self.meet(id)?;
        let Some(found) = met.found else {
            bail!("no block of this node has transaction {id}; is it confirmed yet?");
        };
        if let Some(successor) = met.successor {
            bail!(
                "it was passed on already, by transfer {}: transfer that one",
                successor.id
            );
        }
        Ok(Owner::of(&found.record))
    }

    fn steps(&mut self, id: &TxId, most: usize) -> anyhow::Result<Vec<Step>> {
        let records = self.all()?;
        // From the newest transfer on, whichever step was named.
        let mut newest = *id;
        let mut passed_on = 0;
        while let Some(next) = records.passed_on_by(&newest)
            && passed_on < records.newest_first.len()
        {
            newest = next.id;
            passed_on += 1;
        }
        Ok(cut(records.way(&newest, true)?, most))
    }

    fn status(&mut self, id: &TxId) -> anyhow::Result<Standing> {
        let met = self.meet(id)?;
        let block = met.found.map(|found| found.block);
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
            height: met.height,
        })
    }

    fn owned(&mut self, account: &Account) -> anyhow::Result<Vec<Holding>> {
        self.all()?.holdings(account)
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
            for record in chain::checked(self.node.chain(), &packed)?.1 {
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
        let newest_first = vec![
            transfer.clone(),
            given.clone(),
            kept.clone(),
            in_block(2, asset),
        ];
        let records = Records::new(newest_first.clone()).unwrap();
        let ids =
            |account| -> Vec<(TxId, TxId)> {
                let held = records.holdings(account).unwrap();
                assert!(held.iter().all(
                    |one| matches!(&one.item, Item::Bitmark(_, Some(name)) if name == "a house")
                ));
                held.iter().map(|one| (one.tx_id, one.issue)).collect()
            };
        assert_eq!(ids(&accounts[0]), [(kept.id, kept.id)]);
        assert_eq!(ids(&accounts[1]), [(transfer.id, given.id)]);
        let counts = [9, 2, 1].map(|most| {
            let steps = records.way(&transfer.id, true).unwrap();
            cut(steps, most).len()
        });
        assert_eq!(counts, [3, 3, 1]);

        // What is not signed neither gives nor takes, and twice nothing is passed on.
        let mut forged = transfer.clone();
        if let Record::BitmarkTransferUnratified(transfer) = &mut forged.record {
            transfer.signature = vec![0; 64];
        }
        let mut lie = newest_first.clone();
        lie[0] = in_block(3, forged.record.clone());
        let records = Records::new(lie).unwrap();
        for account in &accounts {
            let told = format!("{:#}", records.holdings(account).unwrap_err());
            assert!(told.contains("not signed by the owner before"), "{told}");
        }
        let mut lie = newest_first;
        lie.insert(0, in_block(4, forged.record));
        let told = Records::new(lie).unwrap_err().to_string();
        assert!(told.contains("another transfer passed on"), "{told}");
    }
}
