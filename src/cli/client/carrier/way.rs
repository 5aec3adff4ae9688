//! The way of a bitmark or of a block as a node tells it, over whichever protocol, is checked here:
//! steps follow one another by their links, kinds and blocks, and each is signed by who had to.
//! Never asks a node, and never passes over a step that does not hold.

use anyhow::{Context as _, bail, ensure};

use super::Step;
use crate::core::id::AssetId;
use crate::core::keys::Account;
use crate::core::record::Record;

/// What a node says about a step, for the beginning of an error.
fn claim(step: &Step) -> String {
    let what = match (&step.record, step.id) {
        (Record::AssetData(asset), _) => format!("asset {}", AssetId::of(&asset.fingerprint)),
        (record, Some(id)) => format!("{} {id}", record.type_name()),
        (record, None) => record.type_name().to_owned(),
    };
    match step.block {
        Some(block) => format!("the node's block {block} has {what}"),
        None => format!("the node shows {what}"),
    }
}

fn signed(step: &Step, signer: &Account, who: &str) -> anyhow::Result<()> {
    match step.record.pack(signer) {
        Ok(_) => Ok(()),
        Err(error) if error.is_signature() => {
            Err(error).with_context(|| format!("{}, which is not signed by {who}", claim(step)))
        }
        Err(error) => Err(error).with_context(|| format!("{}, which is not valid", claim(step))),
    }
}

/// A step that begins a way, or an asset, is signed by whom it names.
///
/// # Errors
/// It is not.
pub fn begins(step: &Step) -> anyhow::Result<()> {
    match &step.record {
        Record::AssetData(_) => signed(step, step.record.owner(), "its registrant"),
        record if record.link().is_none() => signed(step, step.record.owner(), "its owner"),
        _ => Ok(()),
    }
}

/// The later of two steps follows the earlier one.
///
/// # Errors
/// By its link, its kind, its block or its signature it does not.
pub fn follows(later: &Step, earlier: &Step) -> anyhow::Result<()> {
    if let Record::BitmarkIssue(issue) = &later.record {
        let is_of = matches!(&earlier.record, Record::AssetData(asset)
            if AssetId::of(&asset.fingerprint) == issue.asset_id);
        ensure!(is_of, "{}, which is not of the asset told", claim(later));
        let is_behind = later.block.zip(earlier.block).is_none_or(|(l, e)| l >= e);
        ensure!(is_behind, "{}, before its asset", claim(later));
        return Ok(());
    }
    let Some(link) = later.record.link() else {
        bail!("{}, and goes on after this beginning", claim(later));
    };
    ensure!(
        earlier.id == Some(link),
        "{}, which does not follow the links: it passes on {link}",
        claim(later)
    );
    ensure!(
        later.record.may_follow(&earlier.record),
        "{}, which may not follow {}",
        claim(later),
        earlier.record.type_name()
    );
    // Nothing is passed on in the block in which it came.
    let is_behind = later.block.zip(earlier.block).is_none_or(|(l, e)| l > e);
    ensure!(
        is_behind,
        "{}, which is not above the block of the step before",
        claim(later)
    );
    signed(later, earlier.record.owner(), "the owner before")
}

/// Checks steps, the newest first. The last one may be cut off from what it follows.
///
/// # Errors
/// The first step that does not hold.
pub fn check(steps: &[Step]) -> anyhow::Result<()> {
    for (at, step) in steps.iter().enumerate() {
        begins(step)?;
        ensure!(
            at == 0 || !step.is_owner,
            "{}, of an owner who passed it on",
            claim(step)
        );
        if let Some(earlier) = at.checked_add(1).and_then(|next| steps.get(next)) {
            follows(step, earlier)?;
        }
    }
    Ok(())
}

/// Checks steps that must lead back to an asset or to a block.
///
/// # Errors
/// The first step that does not hold, or the last if something is missing behind it.
pub fn check_whole(steps: &[Step]) -> anyhow::Result<()> {
    check(steps)?;
    ends(steps.last())
}

/// The last of the steps is one behind which nothing is missing.
///
/// # Errors
/// It is a transfer or an issue.
pub fn ends(last: Option<&Step>) -> anyhow::Result<()> {
    match last {
        Some(last) if last.record.link().is_some() => {
            bail!(
                "{}, which passes on what the node does not have",
                claim(last)
            )
        }
        Some(last) if matches!(last.record, Record::BitmarkIssue(_)) => {
            bail!("{}, whose asset the node does not have", claim(last))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::currency::{Currency, Payments, payments};
    use crate::core::id::TxId;
    use crate::core::record::samples::{account, issue, key, transfer};
    use crate::core::record::{self, AssetData, BlockFoundation};

    fn step(block: u64, packed: &[u8]) -> Step {
        let (record, _) = Record::unpack(packed, true).unwrap();
        let is_asset = matches!(record, Record::AssetData(_));
        Step {
            id: (!is_asset).then(|| TxId::of(packed)),
            block: Some(block),
            record,
            is_owner: false,
        }
    }

    fn asset() -> Record {
        let mut asset = Record::AssetData(AssetData {
            name: b"a house".to_vec(),
            fingerprint: b"f".to_vec(),
            metadata: Vec::new(),
            registrant: account(1),
            signature: Vec::new(),
        });
        record::sign(&mut asset, &key(1)).unwrap();
        asset
    }

    /// A transfer, its issue and its asset.
    fn way() -> Vec<Step> {
        let issue = issue("f", 1);
        let transfer = transfer(TxId::of(&issue), 1, 2);
        vec![
            step(3, &transfer),
            step(2, &issue),
            step(2, &asset().pack_unchecked()),
        ]
    }

    fn unsigned(step: &mut Step) {
        match &mut step.record {
            Record::AssetData(record) => record.signature = vec![0; 64],
            Record::BitmarkIssue(record) => record.signature = vec![0; 64],
            Record::BitmarkTransferUnratified(record) => record.signature = vec![0; 64],
            Record::BlockFoundation(record) => record.signature = vec![0; 64],
            _ => unreachable!(),
        }
    }

    fn told(steps: &[Step]) -> String {
        format!("{:#}", check_whole(steps).unwrap_err())
    }

    #[test]
    fn a_way_holds_if_each_step_is_signed_by_who_had_to() {
        check_whole(&way()).unwrap();
        let texts = ["the owner before", "its owner", "its registrant"];
        for (at, who) in texts.into_iter().enumerate() {
            let mut steps = way();
            unsigned(&mut steps[at]);
            let told = told(&steps);
            assert!(told.contains(&format!("not signed by {who}")), "{told}");
            assert!(told.starts_with("the node's block "), "{told}");
        }
        // Somebody else passes it on.
        let mut steps = way();
        steps[0] = step(3, &transfer(steps[1].id.unwrap(), 3, 2));
        assert!(told(&steps).contains("the owner before"));
    }

    #[test]
    fn a_way_leads_down_without_a_gap_to_its_beginning() {
        assert!(told(&way()[..1]).contains("passes on what the node does not have"));
        assert!(told(&way()[..2]).contains("whose asset"));
        check(&way()[..2]).unwrap();
        let mut steps = way();
        steps[0].block = Some(2);
        assert!(told(&steps).contains("not above the block"));
        let mut steps = way();
        steps[2].block = Some(3);
        assert!(told(&steps).contains("before its asset"));
        let mut steps = way();
        steps.remove(1);
        assert!(told(&steps).contains("does not follow the links"));
        let mut steps = way();
        steps[1].is_owner = true;
        assert!(told(&steps).contains("passed it on"));
        let mut steps = way();
        steps.push(steps[2].clone());
        assert!(told(&steps).contains("after this beginning"));
    }

    #[test]
    fn a_bitmark_transfer_does_not_pass_on_a_block() {
        let addresses = Payments(
            [
                (
                    Currency::Bitcoin,
                    b"msxN7C7cRNgbgyUzt3EcvrpmWXc59sZVN4".to_vec(),
                ),
                (
                    Currency::Litecoin,
                    b"mjPkDNakVA4w4hJZ6WF7p8yKUV2merhyCM".to_vec(),
                ),
            ]
            .into(),
        );
        let mut foundation = Record::BlockFoundation(BlockFoundation {
            version: payments::VERSION,
            payments: addresses,
            owner: account(1),
            nonce: 1,
            signature: Vec::new(),
        });
        record::sign(&mut foundation, &key(1)).unwrap();
        let id = TxId([9; 32]);
        let mut block = Step {
            id: Some(id),
            block: Some(2),
            record: foundation,
            is_owner: true,
        };
        check_whole(std::slice::from_ref(&block)).unwrap();
        block.is_owner = false;
        let passed_on = [step(3, &transfer(id, 1, 2)), block.clone()];
        assert!(told(&passed_on).contains("may not follow BlockFoundation"));
        unsigned(&mut block);
        assert!(told(&[block]).contains("not signed by its owner"));
    }
}
