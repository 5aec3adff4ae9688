//! The first synchronisation: a node without blocks and one peer that has them all, both processes of
//! their own, against what both cores together compute of block digests. 24 blocks of the full
//! digest from a committed file, 2,000 of `devnet`, which are mined once and kept. A digest of
//! `devnet` costs less than the rest of its block: these are held against that rest as well, bare
//! signature checks and one bare batch a block, without a network.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bitmarkd::cli::daemon::testnet::make::{self, Plan};
use bitmarkd::cli::daemon::testnet::ports::Ports;
use bitmarkd::core::block::dump::{LENGTH_BYTES, length_of, length_prefix};
use bitmarkd::core::block::{DigestMemory, HEADER_BYTES, Header, digest, digest_two};
use bitmarkd::core::chain::{Chain, DEVNET, LOCAL};
use bitmarkd::core::ledger::Ledger;
use bitmarkd::core::record::Record;
use bitmarkd::core::state::Batch;
use bitmarkd::shell::digest::memory;
use bitmarkd::shell::store::{CACHE_BYTES, Store};
use serde_json::json;

use crate::bare;
use crate::block::{Check, check_all, checks};
use crate::process::{Node, PATIENCE, program};
use crate::table::{Reach, Row, Table};
use crate::world::{Made, World};

/// Blocks of `devnet`.
const BLOCKS: usize = 2_000;
/// Why digests alone are no bound that these can come near.
const WHY_NOT: &str = "; out of reach: a digest of devnet is a small part of its block, which goes in behind \
    the one before; of the thread that puts blocks in, when both signatures of each were checked, some 30 % were \
    signatures, 16 % batches of the store, 7 % waking others; see the next row";
/// Pairs; the median of their ratios counts.
const ROUNDS: usize = 3;

/// The blocks of a file.
fn read(path: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).expect("a file of blocks");
    let (mut rest, mut blocks) = (bytes.as_slice(), Vec::new());
    while let Some((prefix, behind)) = rest.split_first_chunk::<LENGTH_BYTES>() {
        let length = length_of(*prefix, behind.len()).expect("a whole block");
        let (block, behind) = behind.split_at(length);
        blocks.push(block.to_vec());
        rest = behind;
    }
    blocks
}

/// A block with a nonce that has the work, on as many threads as there are cores.
fn mine(made: Made) -> Made {
    let (header, _) = Header::unpack(&made.packed).expect("a header");
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let (tell, found) = crossbeam_channel::unbounded();
    let over = std::sync::atomic::AtomicBool::new(false);
    let (header, over) = (&header, &over);
    std::thread::scope(|scope| {
        for first in 0..cores {
            let tell = tell.clone();
            scope.spawn(move || {
                let mut memory = memory();
                for nonce in (first..).step_by(cores as usize) {
                    let at = |nonce| {
                        let header = Header { nonce, ..*header };
                        header.pack()
                    };
                    let two = [at(2 * nonce), at(2 * nonce + 1)];
                    let digests = digest_two(&DEVNET.digest, [&two[0], &two[1]], &mut memory);
                    for (bytes, digest) in two.iter().zip(digests) {
                        if header.proves(&digest) {
                            over.store(true, std::sync::atomic::Ordering::Relaxed);
                            let _ = tell.send((*bytes, digest));
                        }
                    }
                    if over.load(std::sync::atomic::Ordering::Relaxed) {
                        return;
                    }
                }
            });
        }
    });
    let (bytes, digest) = found.recv().expect("a nonce");
    let mut packed = made.packed;
    packed[..HEADER_BYTES].copy_from_slice(&bytes);
    Made {
        packed,
        digest,
        ..made
    }
}

/// A file of mined blocks of `devnet`, each of a foundation and an issue.
fn mined() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    let path = folder.join(format!("devnet-{BLOCKS}.blocks"));
    if path.is_file() {
        return path;
    }
    eprintln!("{BLOCKS} blocks are mined, once");
    let scratch = tempfile::tempdir().expect("a folder");
    let opened = Store::open(scratch.path(), CACHE_BYTES).expect("a store");
    let mut world = World::new(opened.store);
    let mut bytes = Vec::new();
    for number in 0..BLOCKS {
        let mut records = vec![world.issue(number as u64)];
        if number == 0 {
            records.insert(0, world.asset());
        }
        let made = mine(world.make(records));
        world.put(&made);
        bytes.extend(length_prefix(&made.packed));
        bytes.extend(made.packed);
    }
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(&path, bytes).expect("the disk takes it");
    path
}

/// Digests a second of all cores, each with two side by side, of these headers, in memories that were
/// used before.
fn digests(chain: &Chain, blocks: &[Vec<u8>], memories: &mut [DigestMemory]) -> f64 {
    let headers: Vec<&[u8; HEADER_BYTES]> = blocks
        .iter()
        .map(|packed| packed.first_chunk().expect("a header"))
        .collect();
    let share = headers.len().div_ceil(memories.len());
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for (part, memory) in headers.chunks(share).zip(memories) {
            scope.spawn(move || {
                for two in part.chunks(2) {
                    let headers = [two[0], two[two.len() - 1]];
                    black_box(digest_two(&chain.digest, headers, memory));
                }
            });
        }
    });
    headers.len() as f64 / begin.elapsed().as_secs_f64()
}

/// What blocks of `devnet` come down to: the signatures that they need, and what each changes.
fn bare_parts(blocks: &[Vec<u8>]) -> (Vec<Check>, Vec<Batch>) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), CACHE_BYTES)
        .expect("a store")
        .store;
    let (mut ledger, mut memory) = (Ledger::empty(&DEVNET), memory());
    let (mut all, mut batches) = (Vec::new(), Vec::new());
    for packed in blocks {
        let (header, mut rest) = packed.split_first_chunk().expect("a header");
        let digest = digest(&DEVNET.digest, header, &mut memory);
        let mut records = Vec::new();
        while !rest.is_empty() {
            let (_, used) = Record::unpack(rest, DEVNET.testing).expect("a record");
            let (record, behind) = rest.split_at(used);
            records.push(record.to_vec());
            rest = behind;
        }
        all.extend(checks(&store, &records));
        let applied = ledger.apply(&store, packed, digest, u64::MAX);
        let batch = applied.expect("a good block").batch;
        store.apply(&batch).expect("the disk takes it");
        batches.push(batch);
    }
    (all, batches)
}

/// Blocks a second of bare checks on all cores and one bare batch for each, flushed at the end.
fn bare_blocks((checks, batches): &(Vec<Check>, Vec<Batch>)) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let tree = bare::open(folder.path());
    let begin = Instant::now();
    check_all(checks);
    for batch in batches {
        tree.apply_batch(bare::batch(batch))
            .expect("the disk takes it");
    }
    tree.flush().expect("the disk takes it");
    batches.len() as f64 / begin.elapsed().as_secs_f64()
}

/// Blocks a second, from the first look at what the peer has to the last block.
fn synchronise(chain: &Chain, file: &Path, top: u64) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let mut ports = Ports::default();
    let mut plan = |name| Plan::new(folder.path(), name, &mut ports).expect("ports");
    let plans = [plan("full"), plan("fresh")];
    for plan in &plans {
        make::write_node(plan, &plans, chain.name, 1).expect("a folder");
    }
    ports.release();
    let [full, fresh] = &plans;
    let status = program(full)
        .args(["import", "--blocks"])
        .arg(file)
        .status();
    assert!(
        status.expect("the program").success(),
        "the blocks are taken"
    );
    let one_is_enough =
        |text: String| text.replace("[timing]\n", "[timing]\nminimum_upstreams = 1\n");
    let full = Node::start(full, &[fresh], one_is_enough);
    full.wait("the peer's start", |status| status["height"] == top);
    let fresh = Node::start(fresh, &[&full.plan], one_is_enough);
    let (end, mut begin) = (Instant::now() + PATIENCE, None);
    loop {
        assert!(Instant::now() < end, "it does not synchronise");
        if let Some(status) = fresh.ask(&json!({"command": "status"})) {
            if begin.is_none() && status["state"] != "Connecting" {
                let height = status["height"].as_u64().expect("a height");
                begin = Some((Instant::now(), height));
            }
            if let Some((begin, from)) = begin.filter(|_| status["height"] == top) {
                return (top - from) as f64 / begin.elapsed().as_secs_f64();
            }
        }
        // Processes have no event to wait on: they are asked.
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// The measure.
pub fn run(table: &mut Table) {
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/local.blocks");
    for (what, chain, file) in [
        ("the full digest", &LOCAL, real),
        ("devnet", &DEVNET, mined()),
    ] {
        let blocks = read(&file);
        let (top, _) = Header::unpack(&blocks[blocks.len() - 1]).expect("a header");
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut memories: Vec<DigestMemory> = (0..cores).map(|_| memory()).collect();
        digests(chain, &blocks[..4], &mut memories);
        let is_short = chain.name == DEVNET.name;
        let parts = is_short.then(|| bare_parts(&blocks));
        let rounds: Vec<[f64; 3]> = (0..ROUNDS)
            .map(|_| {
                let ours = synchronise(chain, &file, top.number);
                let digests = digests(chain, &blocks, &mut memories);
                [ours, digests, parts.as_ref().map_or(0.0, bare_blocks)]
            })
            .collect();
        let pairs = |floor: usize| -> Vec<(f64, f64)> {
            rounds
                .iter()
                .map(|round| (round[0], round[floor]))
                .collect()
        };
        let name = format!(
            "first sync from one peer, {} blocks of {what}",
            blocks.len()
        );
        let unit = "blocks/s";
        table.row(
            Row::of_pairs(&name, unit, "digests of all cores", &pairs(1))
                .reach(Reach::AtLeast(0.9))
                .parameters(format!(
                    "{ROUNDS} pairs; both nodes on this machine{}",
                    if is_short { WHY_NOT } else { "" }
                )),
        );
        if parts.is_some() {
            let name = format!("{name}, beside what a block needs");
            let floor = "signature checks on all cores + one sled batch a block";
            table.row(
                Row::of_pairs(&name, unit, floor, &pairs(2))
                    .parameters(format!("{ROUNDS} pairs; both nodes on this machine")),
            );
        }
    }
}
