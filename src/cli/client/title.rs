//! `prove` makes a proof of title out of the blocks of a node; `verify` checks one with no node at
//! all (`proto/title.md`).

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::create::fingerprint_of;
use super::progress::Progress;
use super::target::{Node, Target};
use super::{Output, arguments};
use crate::core::block::{HEADER_BYTES, digest, digest_two, foundation_id};
use crate::core::id::{AssetId, BlockDigest, TxId};
use crate::core::ledger::Item;
use crate::core::record::{Record, metadata};
use crate::core::title::{self, Known, Place, Says, Sound, TitleError};
use crate::shell::digest::memory as digest_memory;

/// Threads that compute digests: each takes twice 128 MiB on the reference's chains.
const WORKERS_MAX: usize = 4;

/// `prove`
#[derive(Debug, clap::Args)]
pub struct ProveArgs {
    /// The issue of the bitmark, any of its transfers, or the id of a block that is owned.
    #[arg(value_parser = arguments::tx_id)]
    txid: TxId,
    /// Begin at this block, which who verifies must know (its number and digest), instead of at the
    /// first block of the chain: the title is shorter and verified in less time.
    #[arg(long, value_name = "NUMBER")]
    from_known: Option<u64>,
    #[command(flatten)]
    target: Target,
}

/// `verify`
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// The title; `-` reads it from standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The title must be to the content of this file.
    #[arg(long, value_name = "FILE")]
    fingerprint_of: Option<PathBuf>,
    /// A block that you know to be of the chain, with the digest that `peer hash` prints; may be
    /// repeated. It saves the work below it and makes a false chain impossible up to it; a title
    /// that ends below it is refused.
    #[arg(long, value_name = "NUMBER=DIGEST", value_parser = known)]
    known: Vec<(u64, BlockDigest)>,
}

fn known(text: &str) -> Result<(u64, BlockDigest), String> {
    let wanted =
        "a block is wanted as NUMBER=DIGEST, with 64 hex digits as `peer hash` prints them";
    let (number, digest) = text.split_once('=').ok_or(wanted)?;
    Ok((
        number.parse().map_err(|_| wanted)?,
        digest.parse().map_err(|_| wanted)?,
    ))
}

/// What is kept of a record while the chain is read from its newest block down.
struct Seen {
    link: TxId,
    id: TxId,
    place: Place,
}

/// Where the records of a title stand, and the headers that were read on the way.
#[derive(Default)]
struct Found {
    places: Vec<Place>,
    headers: BTreeMap<u64, [u8; HEADER_BYTES]>,
}

/// Reads the blocks from the tip down, once: transfers above the wanted transaction are kept as
/// they may follow it, what is below leads to its asset.
fn find(
    node: &Node,
    height: u64,
    tip: BlockDigest,
    wanted: &TxId,
    progress: &mut Progress,
) -> anyhow::Result<Found> {
    let chain = node.chain();
    let mut found = Found::default();
    let mut transfers: Vec<Seen> = Vec::new();
    // What is looked for next, once the wanted transaction was met.
    let mut below: Option<TxId> = None;
    let mut of_asset: Option<AssetId> = None;
    let mut digest = tip;
    for number in (2..=height).rev() {
        let packed = node.block(number)?;
        progress.tell(|| format!("reading block {number} of {height}"));
        let header: &[u8; HEADER_BYTES] = packed.first_chunk().context("a block is too short")?;
        found.headers.insert(number, *header);
        let records =
            title::split(chain, &packed).with_context(|| format!("block {number} of the node"))?;
        for (index, (record, bytes)) in records.iter().enumerate().rev() {
            let place = Place {
                block: number,
                index: u16::try_from(index)?,
            };
            let id = match record {
                Record::BlockFoundation(_) => foundation_id(&digest, number),
                _ => TxId::of(bytes),
            };
            if let Record::AssetData(asset) = record {
                if of_asset == Some(AssetId::of(&asset.fingerprint)) {
                    found.places.push(place);
                    found.places.sort();
                    return Ok(found);
                }
                continue;
            }
            let is_wanted = below.map_or(id == *wanted, |below| id == below);
            if of_asset.is_none() && is_wanted {
                if below.is_none() {
                    found.places.extend(followers(&transfers, id));
                }
                found.places.push(place);
                match record {
                    Record::BitmarkIssue(issue) => of_asset = Some(issue.asset_id),
                    Record::BlockFoundation(_) => {
                        found.places.sort();
                        return Ok(found);
                    }
                    record => below = record.link(),
                }
            } else if let Some(link) = record.link().filter(|_| below.is_none()) {
                transfers.push(Seen { link, id, place });
            }
        }
        digest = crate::core::block::Header::unpack(&packed)?
            .0
            .previous_block;
    }
    if of_asset.is_some() || below.is_some() {
        bail!("the node's blocks do not lead from {wanted} back to its asset");
    }
    bail!("no block of this node has transaction {wanted}; is it confirmed yet?")
}

/// The transfers that follow one another from this on.
fn followers(transfers: &[Seen], from: TxId) -> Vec<Place> {
    let by_link: BTreeMap<TxId, &Seen> = transfers.iter().map(|seen| (seen.link, seen)).collect();
    let mut places = Vec::new();
    let mut next = by_link.get(&from);
    while let Some(seen) = next.filter(|_| places.len() < transfers.len()) {
        places.push(seen.place);
        next = by_link.get(&seen.id);
    }
    places
}

fn made(args: &ProveArgs, output: Output) -> anyhow::Result<Sound> {
    let node = args.target.dial()?;
    let height = node.height()?;
    if height < 2 {
        bail!("the node has no block yet");
    }
    if let Some(known) = args.from_known.filter(|known| *known > height) {
        bail!("--from-known {known}: the node's height is {height}");
    }
    let mut progress = Progress::new(output);
    let tip = node.digest(height)?;
    let found = find(&node, height, tip, &args.txid, &mut progress)?;
    let mut header = |number| {
        progress.tell(|| format!("reading the header of block {number} of {height}"));
        if let Some(header) = found.headers.get(&number) {
            return Ok(*header);
        }
        let packed = node.block(number).map_err(|e| e.to_string())?;
        let header = packed.first_chunk().copied();
        header.ok_or_else(|| "it is too short".to_owned())
    };
    let mut block = |number| node.block(number).map_err(|e| e.to_string());
    let sound = title::assemble(
        node.chain(),
        &found.places,
        args.from_known,
        (height, tip),
        &mut header,
        &mut block,
    )
    .context("the node's blocks changed meanwhile, or are not of its chain; try again")?;
    // The digest of the newest block is the node's word alone: it is computed here.
    let newest = sound
        .title()
        .headers
        .last()
        .context("a title has a header")?;
    let params = &node.chain().digest;
    if digest(params, newest, &mut digest_memory()) != tip {
        return Err(TitleError::Digest(height)).context("the node gave a wrong digest");
    }
    Ok(sound)
}

pub(super) fn prove(args: &ProveArgs, output: Output) -> anyhow::Result<()> {
    let sound = made(args, output)?;
    let says = sound.says();
    output.note(format!(
        "a title of {} to transaction {}, up to block {}; verify it with `bitmark-cli verify FILE`",
        says.owner, says.transaction, says.height
    ));
    // Byte for byte: a title is the same with --json.
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(sound.to_text().as_bytes())
        .and_then(|()| stdout.flush())
        .context("standard output")
}

/// Reads the file, no longer than a title may be.
fn text_of(args: &VerifyArgs) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    let most = u64::try_from(title::TEXT_MAX)?.saturating_add(1);
    if args.file.as_os_str() == "-" {
        if std::io::stdin().is_terminal() {
            bail!("a title is wanted at standard input");
        }
        std::io::stdin().take(most).read_to_end(&mut text)?;
    } else {
        let file = std::fs::File::open(&args.file);
        let file = file.with_context(|| args.file.display().to_string())?;
        file.take(most).read_to_end(&mut text)?;
    }
    Ok(text)
}

/// Computes all digests that there are to compute, on several threads; the first wrong one ends
/// it.
fn compute(sound: &Sound, known: &Known, output: Output) -> Result<usize, TitleError> {
    let tasks = sound.work(known)?;
    let params = sound.title().chain.digest;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    // Two at a time are sooner done, where no core is left without.
    let step = if tasks.len() > cores { 2 } else { 1 };
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (over, wrong) = (AtomicBool::new(false), Mutex::new(None));
    let progress = Mutex::new(Progress::new(output));
    std::thread::scope(|scope| {
        for _ in 0..cores.min(WORKERS_MAX).min(tasks.len()) {
            scope.spawn(|| {
                let mut memory = digest_memory();
                while !over.load(Ordering::Relaxed) {
                    let first = next.fetch_add(step, Ordering::Relaxed);
                    let two = tasks.get(first..).unwrap_or_default();
                    let found = match two.get(..step.min(two.len())).unwrap_or_default() {
                        [] => return,
                        [one] => one.compare(&digest(&params, one.header, &mut memory)),
                        [one, other, ..] => {
                            let headers = [one.header, other.header];
                            let [a, b] = digest_two(&params, headers, &mut memory);
                            one.compare(&a).and_then(|()| other.compare(&b))
                        }
                    };
                    if let Err(e) = found {
                        over.store(true, Ordering::Relaxed);
                        if let Ok(mut place) = wrong.lock() {
                            *place = Some(e);
                        }
                    }
                    let count = done.fetch_add(step, Ordering::Relaxed).saturating_add(step);
                    let count = count.min(tasks.len());
                    if let Ok(mut progress) = progress.lock() {
                        progress.tell(|| format!("{count} of {} digests computed", tasks.len()));
                    }
                }
            });
        }
    });
    match wrong.into_inner() {
        Ok(None) => Ok(tasks.len()),
        Ok(Some(error)) => Err(error),
        Err(_) => Err(TitleError::Shape(
            "a digest could not be computed".to_owned(),
        )),
    }
}

/// The known blocks, each once.
fn one_each(given: &[(u64, BlockDigest)]) -> anyhow::Result<Known> {
    let mut known = Known::new();
    for (number, digest) in given {
        if *number == 0
            || known
                .insert(*number, *digest)
                .is_some_and(|other| other != *digest)
        {
            bail!("--known {number}: there is one block of each number, from 1 on");
        }
    }
    Ok(known)
}

pub(super) fn verify(args: &VerifyArgs, output: Output) -> anyhow::Result<()> {
    let text = text_of(args)?;
    let refused = || "this title does NOT hold".to_owned();
    let sound = title::read(&text).with_context(refused)?;
    let known = one_each(&args.known)?;
    let count = sound.work(&known).with_context(refused)?.len();
    if sound.title().chain.digest.memory_kib > 1024 {
        output.note(format!(
            "{count} block digests are to be computed, a tenth to half a second each for one core"
        ));
    }
    compute(&sound, &known, output).with_context(refused)?;
    let says = sound.says();
    if let Some(path) = &args.fingerprint_of {
        let own = fingerprint_of(path, output)?;
        let of_title = says
            .asset
            .as_ref()
            .map(|asset| asset.fingerprint.as_slice());
        if of_title != Some(own.as_bytes()) {
            bail!(
                "the title holds, but NOT for {}: the fingerprint of that file is {own}, and that of the title {}",
                path.display(),
                of_title.map_or_else(|| "is none".to_owned(), shown)
            );
        }
    }
    let mut value = in_json(&sound);
    value["digests"] = count.into();
    // What it hangs on: the highest known block, or the chain's first.
    let hangs_on = known.last_key_value();
    let (number, digest) =
        hangs_on.map_or((1, sound.title().chain.genesis_digest), |(n, d)| (*n, *d));
    value["hangsOn"] = json!({"block": number, "digest": digest});
    value["fingerprintOf"] = json!(args.fingerprint_of);
    output.show(
        &value,
        sentence(&sound, &known, args.fingerprint_of.is_some()),
    );
    Ok(())
}

fn shown(bytes: &[u8]) -> String {
    // A name may hold anything: nothing in it moves the reader's cursor.
    String::from_utf8_lossy(bytes)
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// In quotes, with everything escaped that could end them, move the reader's cursor or turn the
/// direction of what follows: nobody makes a sentence of ours with a name.
fn quoted(bytes: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(bytes))
}

fn date(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    time::OffsetDateTime::from_unix_timestamp(seconds).map_or_else(
        |_| "at no time".to_owned(),
        |at| {
            format!(
                "{:04}-{:02}-{:02} {:02}:{:02} UTC",
                at.year(),
                u8::from(at.month()),
                at.day(),
                at.hour(),
                at.minute()
            )
        },
    )
}

fn in_json(sound: &Sound) -> Value {
    let says = sound.says();
    let asset = says.asset.as_ref().map(|asset| {
        json!({
            "id": AssetId::of(&asset.fingerprint),
            "name": shown(&asset.name),
            "fingerprint": shown(&asset.fingerprint),
            "metadata": pairs(&asset.metadata),
            "registrant": asset.registrant.to_string(),
        })
    });
    let block = match says.item {
        Item::Block(number) => Some(number),
        Item::Asset(_) => None,
    };
    json!({
        "verified": true,
        "chain": sound.title().chain.name,
        "owner": says.owner.to_string(),
        "asset": asset,
        "blockNumber": block,
        "issue": says.issue,
        "transaction": says.transaction,
        "issuedTo": says.issued_to.to_string(),
        "issuedIn": says.issued_in,
        "since": says.since,
        "transfers": says.transfers,
        "height": says.height,
    })
}

fn pairs(bytes: &[u8]) -> Value {
    let pairs = metadata::pairs(bytes).unwrap_or_default();
    pairs
        .into_iter()
        .map(|(key, value)| json!([shown(key), shown(value)]))
        .collect()
}

/// What a buyer reads.
fn sentence(sound: &Sound, known: &Known, of_file: bool) -> String {
    let says = sound.says();
    let chain = sound.title().chain.name;
    let what = match (&says.asset, says.item) {
        (Some(asset), _) => format!("a bitmark of {}", quoted(&asset.name)),
        (None, Item::Block(number)) => format!("block {number} itself, with the fees it earns"),
        (None, Item::Asset(_)) => "a bitmark".to_owned(),
    };
    let mut lines = vec![if says.owner.is_zero() {
        format!(
            "This title holds: {what} was given up in block {}; nobody owns it.",
            says.since
        )
    } else {
        format!("This title holds: {what} belongs to {}.", says.owner)
    }];
    lines.push(way(says));
    if let Some(asset) = &says.asset {
        lines.push(format!("  fingerprint    {}", quoted(&asset.fingerprint)));
        lines.push(format!("  registered by  {}", asset.registrant));
        for (key, value) in metadata::pairs(&asset.metadata).unwrap_or_default() {
            lines.push(format!(
                "  metadata       {}: {}",
                quoted(key),
                quoted(value)
            ));
        }
    }
    if of_file {
        lines.push("The file that you gave has this very fingerprint.".to_owned());
    }
    let highest = known.keys().filter(|number| **number <= says.height).max();
    lines.push(highest.map_or_else(
        || format!("It hangs on the first block of chain {chain}, by the work in its headers."),
        |number| format!("It hangs on block {number} of chain {chain}, which you gave as known."),
    ));
    lines.push(format!(
        "It speaks up to block {} ({}). Whether the bitmark was passed on since block {}, no title \
         can tell: before you pay, ask a node with `bitmark-cli provenance {}`.",
        says.height,
        date(says.height_time),
        says.since,
        says.transaction
    ));
    lines.join("\n")
}

fn way(says: &Says) -> String {
    let since = format!("since block {} ({})", says.since, date(says.since_time));
    match says.transfers {
        0 => format!("It was issued to this owner, who has had it {since}."),
        1 => format!(
            "It was issued to {} in block {} and passed on once; this owner has had it {since}.",
            says.issued_to, says.issued_in
        ),
        many => format!(
            "It was issued to {} in block {} and passed on {many} times; this owner has had it {since}.",
            says.issued_to, says.issued_in
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_makes_a_sentence_of_ours() {
        assert_eq!(quoted(b"A\" belongs to B"), "\"A\\\" belongs to B\"");
        let turned = quoted("x\u{202e}y\u{2066}z\u{2028}\u{1b}[1m".as_bytes());
        assert!(turned.is_ascii(), "{turned}");
    }
}
