//! The first synchronisation: a node without blocks and one peer that has them all, both processes of
//! their own, against what both cores together compute of block digests. 24 blocks of the full
//! digest from a committed file, 2,000 of `devnet`, which are mined once and kept.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bitmarkd::cli::daemon::testnet::make::{self, Plan};
use bitmarkd::cli::daemon::testnet::ports::Ports;
use bitmarkd::core::block::dump::{LENGTH_BYTES, length_of, length_prefix};
use bitmarkd::core::block::{DigestMemory, HEADER_BYTES, Header, digest_two};
use bitmarkd::core::chain::{Chain, DEVNET, LOCAL};
use bitmarkd::shell::digest::memory;
use bitmarkd::shell::store::{CACHE_BYTES, Store};
use serde_json::json;

use crate::process::{Node, PATIENCE, program};
use crate::table::{Reach, Row, Table};
use crate::world::{Made, World};

/// Blocks of `devnet`.
const BLOCKS: usize = 2_000;
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
        let pairs: Vec<(f64, f64)> = (0..ROUNDS)
            .map(|_| {
                let ours = synchronise(chain, &file, top.number);
                (ours, digests(chain, &blocks, &mut memories))
            })
            .collect();
        table.row(
            Row::of_pairs(
                &format!(
                    "first sync from one peer, {} blocks of {what}",
                    blocks.len()
                ),
                "blocks/s",
                "digests of all cores",
                &pairs,
            )
            .reach(Reach::AtLeast(0.9))
            .parameters(format!("{ROUNDS} pairs; both nodes on this machine")),
        );
    }
}
