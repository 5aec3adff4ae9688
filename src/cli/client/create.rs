//! `create`: an asset and bitmarks on it, with the proof of work that pays for them.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use sha3::{Digest as _, Sha3_512};

use super::Output;
use super::carrier::{Carrier, Issued, Registration, Wait};
use super::identity::Signer;
use super::progress::Progress;
use super::target::Target;
use super::wallet::{Bill, Fees};
use crate::core::id::{AssetId, PayId, TxId};
use crate::core::keys::{Account, PrivateKey};
use crate::core::mining::proof::{ClientNonce, NonceSearch, expected_attempts};
use crate::core::record::{self, AssetData, BitmarkIssue, Record, metadata};

/// `create`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The asset's name, 1 to 64 characters. Who registered the fingerprint first gave it its name
    /// and metadata: --wait tells when they are others.
    #[arg(long)]
    name: String,
    /// What tells the asset from all others.
    #[arg(long, conflicts_with = "file", required_unless_present = "file")]
    fingerprint: Option<String>,
    /// A file whose content is the asset: its fingerprint is `01` and the SHA3-512 in hex.
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// A key with its value; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    metadata: Vec<String>,
    /// How many bitmarks are issued.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    quantity: u32,
    /// Show what is to be paid in coins in place of doing the proof of work: for bitmarks of an
    /// asset that is confirmed already, over JSON-RPC.
    #[arg(long, conflicts_with = "wait")]
    payment: bool,
    /// Follow the chain until all of it is confirmed.
    #[arg(long)]
    wait: bool,
    /// How long to wait, in seconds.
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    timeout: u64,
    #[command(flatten)]
    signer: Signer,
    #[command(flatten)]
    target: Target,
}

/// Issues that are paid for together.
struct Set {
    issues: Vec<Record>,
    ids: Vec<TxId>,
    pay_id: PayId,
}

/// How a set was paid for, or is to be.
struct Paid {
    pay_id: PayId,
    /// How many issues.
    count: usize,
    issued: Issued,
    nonce: Option<ClientNonce>,
    /// What the node said of the proof.
    status: String,
}

/// The fingerprint of a file's content (`proto/rpc.md`, section 8).
///
/// # Errors
/// It cannot be read.
pub fn fingerprint_of(path: &Path, output: Output) -> anyhow::Result<String> {
    let name = || path.display().to_string();
    let mut file = std::fs::File::open(path).with_context(name)?;
    let (mut hash, mut done) = (Sha3_512::new(), 0_u64);
    let mut progress = Progress::new(output);
    let mut part = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut part).with_context(name)?;
        let Some(part) = part.get(..count).filter(|part| !part.is_empty()) else {
            break;
        };
        hash.update(part);
        done += u64::try_from(count)?;
        progress.tell(|| format!("{}: {} MiB read", path.display(), done >> 20));
    }
    Ok(format!("01{}", hex::encode(hash.finalize())))
}

fn pairs(texts: &[String]) -> anyhow::Result<Vec<u8>> {
    let pairs = texts
        .iter()
        .map(|text| {
            let (key, value) = text
                .split_once('=')
                .with_context(|| format!("--metadata {text:?}: write KEY=VALUE"))?;
            if key.is_empty() {
                bail!("--metadata {text:?}: the key is missing; write KEY=VALUE");
            }
            if value.is_empty() {
                bail!("--metadata {text:?}: key {key:?} has no value, and empty ones are not allowed; leave it out");
            }
            Ok((key, value))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    Ok(metadata::from_pairs(pairs))
}

/// The nonce of the first issue of a command; the others count on from it.
///
/// The issues of one owner for one asset differ by their nonces alone. Microseconds pass faster than
/// issues are signed, so that the next command begins above, and stay below 2^53 until the year
/// 2255: every reader of JSON takes them exactly.
fn first_nonce(now: SystemTime) -> anyhow::Result<u64> {
    let micros = now.duration_since(UNIX_EPOCH)?.as_micros();
    Ok(u64::try_from(micros)?)
}

fn issue_sets(
    key: &PrivateKey,
    owner: Account,
    asset_id: AssetId,
    quantity: u32,
    most: usize,
    output: Output,
) -> anyhow::Result<Vec<Set>> {
    let base = first_nonce(SystemTime::now())?;
    let mut progress = Progress::new(output);
    let mut sets = Vec::new();
    let mut set = Vec::new();
    for index in 0..u64::from(quantity) {
        let mut issue = Record::BitmarkIssue(BitmarkIssue {
            asset_id,
            owner,
            nonce: base.wrapping_add(index),
            signature: Vec::new(),
        });
        record::sign(&mut issue, key)?;
        progress.tell(|| format!("{index} of {quantity} issues are signed"));
        set.push(issue);
        if set.len() == most {
            sets.push(Set::of(std::mem::take(&mut set)));
        }
    }
    if !set.is_empty() {
        sets.push(Set::of(set));
    }
    Ok(sets)
}

impl Set {
    fn of(issues: Vec<Record>) -> Self {
        let packed: Vec<Vec<u8>> = issues.iter().map(Record::pack_unchecked).collect();
        Self {
            ids: packed.iter().map(|packed| TxId::of(packed)).collect(),
            pay_id: PayId::of(packed.iter().map(Vec::as_slice)),
            issues,
        }
    }
}

impl Paid {
    /// The members that the reference's client shows (`proto/rpc.md`, section 8).
    fn enter(&self, value: &mut Value, testing: bool) -> anyhow::Result<()> {
        value["payId"] = json!(self.pay_id);
        value["payNonce"] = json!(self.issued.pay_nonce);
        value["difficulty"] = json!(self.issued.target.to_text());
        let nonce = self
            .nonce
            .as_ref()
            .map(|nonce| hex::encode(nonce.as_bytes()));
        value["submittedNonce"] = json!(nonce.unwrap_or_default());
        value["proofStatus"] = json!(self.status);
        if let Some(bill) = self.bill(testing)? {
            bill.enter(value);
        }
        Ok(())
    }

    /// What is to be paid in coins, if it was not paid by work.
    fn bill(&self, testing: bool) -> anyhow::Result<Option<Bill>> {
        if self.nonce.is_some() {
            return Ok(None);
        }
        let fees = Fees::Issues(self.count);
        Bill::read(self.pay_id, &self.issued.payments, fees, testing)
    }
}

/// Sends a set and pays for it with a proof of work, or learns what else is to be paid.
fn pay_for(
    node: &mut dyn Carrier,
    set: &Set,
    by_coins: bool,
    output: Output,
) -> anyhow::Result<Paid> {
    let issued = node.issue(&set.issues)?;
    let pay_id = set.pay_id;
    if by_coins {
        if issued.payments.is_null() {
            bail!(
                "the node names no fees: they are paid in coins only when the asset is confirmed. The bitmarks wait at the node under payment id {pay_id}; create them without --payment, and the proof of work pays"
            );
        }
        return Ok(Paid {
            pay_id,
            count: set.ids.len(),
            issued,
            nonce: None,
            status: "NotFound".to_owned(),
        });
    }
    let nonce = prove(&pay_id, &issued, output)?;
    let status = node.prove(&pay_id, &nonce)?;
    if status == "Invalid" {
        bail!("the node refuses the proof of work for payment id {pay_id}; try again");
    }
    Ok(Paid {
        pay_id,
        count: set.ids.len(),
        issued,
        nonce: Some(nonce),
        status,
    })
}

/// What the node knows of the asset must be what is meant.
fn must_be_the_same(
    node: &mut dyn Carrier,
    fingerprint: &str,
    name: &str,
    metadata: &[u8],
) -> anyhow::Result<bool> {
    if !node.knows_assets() {
        return Ok(false);
    }
    let Some(found) = node.registration(fingerprint)? else {
        return Ok(false);
    };
    match other_registration(&found, name, metadata) {
        Some(difference) => {
            bail!("{difference}; nothing was sent. Give the same name and metadata")
        }
        None => Ok(true),
    }
}

pub(super) fn run(args: &Args, output: Output) -> anyhow::Result<()> {
    let network = args.target.network()?;
    let key = args.signer.key(network.as_ref())?;
    let owner = key.account().context("this identity cannot sign")?;
    let fingerprint = match (&args.fingerprint, &args.file) {
        (Some(text), _) => text.clone(),
        (None, Some(path)) => fingerprint_of(path, output)?,
        (None, None) => bail!("give --fingerprint TEXT or --file PATH"),
    };
    let metadata = pairs(&args.metadata)?;
    let mut asset = Record::AssetData(AssetData {
        name: args.name.clone().into_bytes(),
        fingerprint: fingerprint.clone().into_bytes(),
        metadata: metadata.clone(),
        registrant: owner,
        signature: Vec::new(),
    });
    record::sign(&mut asset, &key)?;
    let asset_id = AssetId::of(fingerprint.as_bytes());

    let mut node = args.target.carrier(output)?;
    let node = node.as_mut();
    let chain = node.chain();
    if owner.testing != chain.testing {
        bail!(
            "the identity is of the other network than chain {}",
            chain.name
        );
    }
    let most = chain.rules.issues_max;
    let sets = issue_sets(&key, owner, asset_id, args.quantity, most, output)?;
    if args.payment && !node.knows_assets() {
        bail!(
            "--payment needs JSON-RPC: the command protocol does not tell fees; nothing was sent"
        );
    }
    let from = node.must_be_normal()?.height;
    let is_known = must_be_the_same(node, &fingerprint, &args.name, &metadata)?;
    let mut paid = Vec::new();
    let mut progress = Progress::new(output);
    for set in &sets {
        progress.tell(|| format!("{} of {} sets are sent", paid.len(), sets.len()));
        if !is_known {
            // With each set, so that an asset that ran out meanwhile is there again.
            node.register(&asset)?;
        }
        paid.push(pay_for(node, set, args.payment, output)?);
    }
    let ids: Vec<TxId> = sets.iter().flat_map(|set| set.ids.clone()).collect();
    let mut value = json!({"assetId": asset_id, "issueIds": ids});
    if let Some(first) = paid.first() {
        first.enter(&mut value, chain.testing)?;
    }
    value["fingerprint"] = json!(fingerprint);
    value["owner"] = json!(owner);
    value["payIds"] = sets.iter().map(|set| json!(set.pay_id)).collect();
    let mut lines = vec![format!("asset {asset_id}"), format!("owner {owner}")];
    lines.extend(ids.iter().map(|id| format!("issue {id}")));
    if args.payment {
        for paid in &paid {
            lines.extend(paid.bill(chain.testing)?.map(|bill| bill.text()));
        }
        if paid.len() > 1 {
            let mut all = Vec::new();
            for paid in &paid {
                let mut one = json!({});
                paid.enter(&mut one, chain.testing)?;
                all.push(one);
            }
            value["sets"] = Value::Array(all);
        }
    }
    if !args.wait {
        let seen = match paid.first().map(|paid| paid.status.as_str()) {
            Some("Accepted") => "accepted",
            _ => "received",
        };
        lines.push(format!("{seen}; follow it with `bitmark-cli status TXID`"));
        output.show(&value, lines.join("\n"));
        return Ok(());
    }
    output.part(lines.join("\n"));
    output.note("sent; waiting for the blocks with it");
    let timeout = Duration::from_secs(args.timeout);
    let mut wait = Wait::new(from, ids);
    wait.run(node, timeout, |text| output.note(text))?;
    let mut value = wait.enter(value)?;
    // The issues are confirmed by now, whatever the asset is called.
    match node.registration(&fingerprint) {
        Ok(Some(found)) => {
            if let Some(warning) = other_registration(&found, &args.name, &metadata) {
                let warning = format!("{warning}; that stays, and the bitmarks are issued on it");
                output.note(format!("warning: {warning}"));
                value["warning"] = json!(warning);
            }
        }
        Ok(None) => {}
        Err(error) => output.note(format!(
            "under which name the asset is registered could not be looked up: {error:#}"
        )),
    }
    let last = wait.last_block();
    output.show(&value, format!("confirmed, the last in block {last}"));
    Ok(())
}

/// What to tell when an asset is registered under another name or with other metadata than meant.
fn other_registration(found: &Registration, name: &str, metadata: &[u8]) -> Option<String> {
    let asset = &found.asset;
    let registered = String::from_utf8_lossy(&asset.name);
    let what = if asset.name != name.as_bytes() {
        format!("under another name, {registered:?}")
    } else if asset.metadata != metadata {
        "with other metadata".to_owned()
    } else {
        return None;
    };
    let place = found.block.map(|block| format!(" in block {block}"));
    Some(format!(
        "this fingerprint was registered {what}, by {}{}",
        asset.registrant,
        place.unwrap_or_default()
    ))
}

/// Finds the proof for a set on all cores.
fn prove(pay_id: &PayId, issued: &Issued, output: Output) -> anyhow::Result<ClientNonce> {
    let (pay_nonce, target) = (issued.pay_nonce, issued.target);
    let expected = expected_attempts(&target);
    let bar = bar(expected, output);
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let workers = u64::try_from(workers).unwrap_or(1);
    let (over, tried) = (AtomicBool::new(false), AtomicU64::new(0));
    let found = Mutex::new(None);
    std::thread::scope(|scope| {
        for index in 0..workers {
            let mut search = NonceSearch::part(pay_id, &pay_nonce, target, index, workers);
            let (over, tried, found, bar) = (&over, &tried, &found, &bar);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    const PART: u64 = 20_000;
                    if let Some(nonce) = search.run(PART) {
                        over.store(true, Ordering::Relaxed);
                        if let Ok(mut place) = found.lock() {
                            *place = Some(nonce);
                        }
                    }
                    bar.set_position(tried.fetch_add(PART, Ordering::Relaxed) + PART);
                }
            });
        }
    });
    bar.finish_and_clear();
    let found = found.into_inner().ok().flatten();
    found.context("the search for a proof ended without one")
}

fn bar(expected: f64, output: Output) -> ProgressBar {
    if output.json {
        return ProgressBar::hidden();
    }
    // Drawn on a terminal alone.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let bar = ProgressBar::new(expected as u64);
    let style =
        "proof of work {bar:30} {human_pos} of about {human_len} tries, {per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_without_a_key_or_a_value_is_named() {
        let told = |text: &str| pairs(&[text.to_owned()]).map_err(|e| e.to_string());
        assert_eq!(told("k=v=w").unwrap(), b"k\0v=w");
        assert!(told("k").unwrap_err().contains("write KEY=VALUE"));
        assert!(told("=v").unwrap_err().contains("the key is missing"));
        assert!(told("k=").unwrap_err().contains("key \"k\" has no value"));
    }

    #[test]
    fn nonces_of_issues_are_exact_in_every_reader_of_json() {
        let in_2200 = UNIX_EPOCH + Duration::from_secs(230 * 365 * 86_400);
        let last = first_nonce(in_2200).unwrap() + 100_000;
        assert!(last < 1 << 53, "{last}");
    }

    #[test]
    fn an_asset_with_another_name_or_other_metadata_is_told() {
        let key = PrivateKey::from_ed25519_seed(&[1; 32], true);
        let asset = AssetData {
            name: b"one".to_vec(),
            fingerprint: b"f".to_vec(),
            metadata: b"k\0v".to_vec(),
            registrant: key.account().unwrap(),
            signature: Vec::new(),
        };
        let found = Registration {
            asset,
            block: Some(7),
        };
        let told = |name, metadata: &[u8]| other_registration(&found, name, metadata);
        assert_eq!(told("one", b"k\0v"), None);
        let other = told("two", b"k\0v").unwrap();
        assert!(other.contains("another name, \"one\""), "{other}");
        assert!(other.ends_with("in block 7"), "{other}");
        assert!(told("one", b"").unwrap().contains("other metadata"));
    }
}
