//! A snapshot of a running node is a backup that restores, and a new node that serves at once.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use bitmarkd::core::chain::DEVNET;
use bitmarkd::core::id::BlockDigest;
use bitmarkd::core::ledger::Ledger;
use bitmarkd::core::ledger::read;
use bitmarkd::core::snapshot::{Manifest, POOLS, UNDO_BLOCKS, Writer, read_whole};
use bitmarkd::core::state::{Batch, MemoryStore, Pool, View as _};
use bitmarkd::shell::store::{CACHE_BYTES, Store};

use crate::branch::{digest_of, file_of, grown, height_of};
use crate::stage::{Asker, PATIENCE, Stage, TestNode, eventually};

fn run(node: &TestNode, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bitmarkd"))
        .arg("--config-file")
        .arg(node.config())
        .args(args)
        .output()
        .unwrap()
}

/// Runs a command of the node's; it must do well.
fn done(node: &TestNode, args: &[&str]) -> String {
    let output = run(node, args);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {told}");
    String::from_utf8(output.stdout).unwrap()
}

fn export(node: &TestNode, file: &Path) {
    done(node, &["snapshot", "export", file.to_str().unwrap()]);
}

fn import(node: &TestNode, file: &Path, manifest: &Manifest) {
    let hash = manifest.hash().to_string();
    let file = file.to_str().unwrap();
    done(node, &["snapshot", "import", file, "--manifest", &hash]);
}

fn store_of(node: &TestNode) -> PathBuf {
    node.plan.directory.join("data/devnet.sled")
}

/// What a snapshot holds.
fn read_file(file: &Path) -> (Manifest, MemoryStore) {
    let mut batch = Batch::new();
    let bytes = std::fs::read(file).unwrap();
    let manifest = read_whole(&bytes, |pool, key, value| batch.put(pool, key, value)).unwrap();
    let mut store = MemoryStore::new();
    store.apply(&batch);
    (manifest, store)
}

/// The pools of a snapshot as the store of a stopped node has them.
fn stored(node: &TestNode) -> MemoryStore {
    let store = Store::open(&store_of(node), CACHE_BYTES).unwrap().store;
    let mut batch = Batch::new();
    for pool in POOLS {
        for (key, value) in store.scan(pool, &[], &[], usize::MAX).unwrap() {
            batch.put(pool, key, value);
        }
    }
    let mut all = MemoryStore::new();
    all.apply(&batch);
    all
}

/// What a node with these blocks has at this height: by the rules alone, one block after the other.
fn built(blocks: &dyn bitmarkd::core::state::View, height: u64) -> MemoryStore {
    built_of((2..=height).map(|number| {
        let packed = read::block(blocks, number).unwrap().unwrap();
        (packed, read::digest(blocks, number).unwrap().unwrap())
    }))
}

/// What a snapshot of these blocks holds, which begin with block 2.
fn built_of(blocks: impl Iterator<Item = (Vec<u8>, BlockDigest)>) -> MemoryStore {
    let mut store = MemoryStore::new();
    let mut ledger = Ledger::empty(&DEVNET);
    for (packed, digest) in blocks {
        let applied = ledger.apply(&store, &packed, digest, u64::MAX / 2).unwrap();
        store.apply(&applied.batch);
    }
    let height = ledger.height();
    let mut gone = Batch::new();
    for number in 0..=height.saturating_sub(UNDO_BLOCKS) {
        gone.delete(Pool::Undo, number.to_be_bytes());
    }
    store.apply(&gone);
    store
}

#[test]
fn a_snapshot_of_a_running_node_restores_serves_at_once_and_is_checked() {
    let mut stage = Stage::normal("devnet", 4);
    stage.mine_at(0);
    let first = stage.create(0, "the first of them", true);
    // Taken while blocks are made.
    let mut files = Vec::new();
    for number in 0..6 {
        stage.create(
            number % 4,
            &format!("while it is taken {number}"),
            number == 5,
        );
        let file = stage.folder().join(format!("running-{number}.snapshot"));
        export(&stage.nodes[0], &file);
        files.push(file);
    }
    // All of it is confirmed: no block comes any more.
    let height = eventually("an end of the blocks", || {
        let before = stage.wait_agreement(2);
        let pools = |node: &TestNode| node.status().map(|status| status["reservoir"].clone());
        let empty = stage.nodes.iter().filter_map(pools);
        let empty = empty.filter(|pools| pools["pending"] == 0 && pools["verified"] == 0);
        (empty.count() == 4 && stage.wait_agreement(2) == before).then_some(before)
    });
    // The same chain gives the same file, running or not.
    let at = |name: &str| stage.folder().join(name);
    let (zero, one, two) = (at("zero"), at("one"), at("two"));
    export(&stage.nodes[0], &zero);
    export(&stage.nodes[1], &one);
    for node in &mut stage.nodes {
        node.stop();
    }
    export(&stage.nodes[2], &two);
    let bytes = std::fs::read(&zero).unwrap();
    assert!(bytes == std::fs::read(&one).unwrap());
    assert!(bytes == std::fs::read(&two).unwrap());
    // Each is what the node had at its height.
    let store = Store::open(&store_of(&stage.nodes[0]), CACHE_BYTES)
        .unwrap()
        .store;
    files.push(zero.clone());
    for file in &files {
        let (manifest, found) = read_file(file);
        assert!(manifest.height <= height);
        assert!(
            found == built(&store, manifest.height),
            "{}",
            file.display()
        );
    }
    drop(store);

    // Elsewhere, alone in the world.
    let (manifest, held) = read_file(&zero);
    assert_eq!(manifest.height, height);
    std::fs::remove_dir_all(store_of(&stage.nodes[3])).unwrap();
    import(&stage.nodes[3], &zero, &manifest);
    stage.nodes[3].start();
    let status = stage.nodes[3].wait_status("an answer", |_| true);
    assert_eq!(status["height"], height);
    let asker = Asker::new(&stage.nodes[3], "devnet");
    let number = 2_u64.to_be_bytes();
    let block = held.get(Pool::Blocks, &number).unwrap().unwrap();
    assert_eq!(asker.ask("B", &[&number]), Some(vec![b"B".to_vec(), block]));
    let digest = held.get(Pool::BlockDigest, &number).unwrap().unwrap();
    assert_eq!(
        asker.ask("H", &[&number]),
        Some(vec![b"H".to_vec(), digest])
    );
    stage.wait_transaction(3, &first, "Confirmed");
    stage.nodes[3].wait_status("all digests checked", |s| s["verifiedHeight"] == height);
    stage.nodes[3].stop();
    // What was checked is not checked again.
    stage.nodes[3].start();
    let status = stage.nodes[3].wait_status("an answer", |_| true);
    assert_eq!(status["verifiedHeight"], height);

    // And among the others again.
    for node in &mut stage.nodes[..3] {
        node.start();
    }
    stage.wait_normal();
    let shown = stage.client(3, &["provenance", &first]);
    assert!(shown.to_string().contains("the first of them"), "{shown}");
    stage.create(3, "after it", true);
    stage.wait_agreement(height + 1);
    let store = |stage: &mut Stage, index: usize| {
        stage.nodes[index].stop();
        stored(&stage.nodes[index])
    };
    assert!(store(&mut stage, 3) == store(&mut stage, 0));
}

/// A snapshot as this one, with the digest of one block changed, and perhaps without what takes
/// blocks off.
fn falsified(from: &Path, to: &Path, number: u64, with_undo: bool) -> Manifest {
    let bytes = std::fs::read(from).unwrap();
    let mut entries = Vec::new();
    let manifest = read_whole(&bytes, |pool, key, value| {
        entries.push((pool, key.to_vec(), value.to_vec()));
    });
    let manifest = manifest.unwrap();
    let mut out = Vec::new();
    let mut writer = Writer::new("devnet", manifest.height, manifest.digest, &mut out);
    for (pool, key, mut value) in entries {
        if pool == Pool::BlockDigest && key == number.to_be_bytes() {
            value[0] ^= 1;
        }
        if pool != Pool::Undo || with_undo {
            writer.entry(pool, &key, &value, &mut out).unwrap();
        }
    }
    let manifest = writer.finish(&mut out);
    std::fs::write(to, out).unwrap();
    manifest
}

#[test]
fn a_false_digest_is_named_dropped_with_all_above_it_and_fetched_from_the_peers() {
    let mut stage = Stage::normal("devnet", 4);
    stage.mine_at(0);
    for number in 0..6 {
        stage.create(0, &format!("before it {number}"), true);
    }
    let height = stage.wait_agreement(7);
    let good = stage.folder().join("good");
    export(&stage.nodes[0], &good);
    for with_undo in [true, false] {
        let file = stage.folder().join(format!("false-{with_undo}"));
        let manifest = falsified(&good, &file, 4, with_undo);
        stage.nodes[3].stop();
        std::fs::remove_dir_all(store_of(&stage.nodes[3])).unwrap();
        import(&stage.nodes[3], &file, &manifest);
        stage.nodes[3].start();
        stage.nodes[3].wait_status("the right chain", |s| {
            s["mode"] == "Normal" && s["height"].as_u64() >= Some(height)
        });
        eventually("all digests of the node's own", || {
            let status = stage.nodes[3].status()?;
            let is_whole = status["verifiedHeight"] == status["height"]
                && status["height"].as_u64() >= Some(height);
            let log = stage.nodes[3].plan.directory.join("log/bitmarkd.log");
            let log = std::fs::read_to_string(log).ok()?;
            let named = log.contains("block 4 is false: its digest is stored as");
            // Without what takes blocks off, the indexes are built again.
            let built = log.contains("the indexes are built again up to block 3");
            (is_whole && named && built != with_undo).then_some(())
        });
        stage.wait_agreement(height);
        // What it fetched is right, all of it.
        let again = stage.folder().join(format!("again-{with_undo}"));
        let ours = stage.folder().join(format!("ours-{with_undo}"));
        eventually("the same chain at one moment", || {
            let force = |node: &TestNode, file: &Path| {
                let file = file.to_str().unwrap();
                done(node, &["snapshot", "export", file, "--force"]);
            };
            force(&stage.nodes[3], &again);
            force(&stage.nodes[0], &ours);
            let (ours, again) = (std::fs::read(&ours).ok()?, std::fs::read(&again).ok()?);
            (ours == again).then_some(())
        });
    }
}

/// A control socket before that of a node, which hands the answer on and stops in the middle.
struct Holding {
    socket: PathBuf,
    begun: Receiver<()>,
    go_on: Sender<()>,
    thread: JoinHandle<u64>,
}

/// What is handed on at a time.
const PART: usize = 16 << 10;
/// A node lets a client go that reads nothing for half a minute.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

impl Holding {
    fn before(node: &TestNode, socket: PathBuf) -> Self {
        let listener = UnixListener::bind(&socket).unwrap();
        let behind = node.plan.directory.join("control.socket");
        let (tell, begun) = channel();
        let (go_on, told) = channel();
        let thread = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut node = UnixStream::connect(behind).unwrap();
            // A question is one line; that of an export is short.
            let mut question = vec![0; 1 << 10];
            let length = client.read(&mut question).unwrap();
            assert!(question[..length].ends_with(b"\n"));
            node.write_all(&question[..length]).unwrap();
            let mut part = vec![0; PART];
            let mut hand_on = || {
                let length = node.read(&mut part).unwrap();
                client.write_all(&part[..length]).unwrap();
                length as u64
            };
            assert!(hand_on() > 0);
            tell.send(()).unwrap();
            while told.recv_timeout(SIGN_OF_LIFE).is_err() {
                hand_on();
            }
            let mut rest = 0;
            let mut end = Vec::new();
            while !end.ends_with(END) {
                let length = node.read(&mut part).unwrap();
                assert!(length > 0, "a line ends it");
                client.write_all(&part[..length]).unwrap();
                rest += length as u64;
                end.extend_from_slice(&part[..length]);
                end.drain(..end.len().saturating_sub(END.len()));
            }
            rest
        });
        Self {
            socket,
            begun,
            go_on,
            thread,
        }
    }
}

/// How a long answer ends that is whole.
const END: &[u8] = b"\0\0\0\0{\"result\":null}\n";

/// More than the node and the system hold of a file that is on its way: a chunk and a socket's buffer.
const UNREAD: u64 = 2 << 20;

/// Gives a node that does not run this chain instead of what it has.
fn give(node: &TestNode, chain: &[Vec<u8>]) {
    let _ = std::fs::remove_dir_all(store_of(node));
    let file = node.plan.directory.join("saved");
    std::fs::write(&file, file_of(chain)).unwrap();
    done(node, &["load-blocks", file.to_str().unwrap()]);
}

#[test]
fn an_export_during_a_fork_is_of_one_chain_that_the_node_had_and_restores_it() {
    let common = grown(&[], "common", 10, 200);
    let ours = grown(&common, "ours", 2, 3);
    let theirs = grown(&common, "theirs", 4, 3);
    let mut stage = Stage::new("devnet", 3);
    stage.know_alone(0, 1);
    stage.know_alone(1, 0);
    give(&stage.nodes[0], &ours);
    give(&stage.nodes[1], &theirs);
    stage.nodes[0].start();
    stage.nodes[0].wait_status("its own branch", |s| s["height"] == height_of(&ours));

    // The other branch comes when the export has begun, and is there before it goes on.
    let holding = Holding::before(&stage.nodes[0], stage.folder().join("held.socket"));
    let during = stage.folder().join("during");
    let mut exporting = Command::new(env!("CARGO_BIN_EXE_bitmarkd"))
        .arg("--config-file")
        .arg(stage.nodes[0].config())
        .args(["snapshot", "export"])
        .arg(&during)
        .arg("--socket")
        .arg(&holding.socket)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    holding.begun.recv_timeout(PATIENCE).unwrap();
    stage.nodes[1].start();
    stage.nodes[0].wait_status("the longer branch", |s| s["height"] == height_of(&theirs));
    assert!(!during.exists());
    holding.go_on.send(()).unwrap();
    assert!(exporting.wait().unwrap().success());
    let rest = holding.thread.join().unwrap();
    assert!(rest > UNREAD, "{rest} bytes were not read yet");
    let mut files = vec![(during, height_of(&ours))];
    let after = stage.folder().join("after");
    export(&stage.nodes[0], &after);
    files.push((after, height_of(&theirs)));

    // Once more without holding anything: one after the other until the branch is there.
    stage.nodes[0].stop();
    give(&stage.nodes[0], &ours);
    stage.nodes[0].start();
    stage.nodes[0].wait_status("an answer", |_| true);
    let mut number = 0;
    eventually("the longer branch again", || {
        let is_there = stage.nodes[0].height() == height_of(&theirs);
        number += 1;
        let file = stage.folder().join(format!("some-{number}"));
        export(&stage.nodes[0], &file);
        let (manifest, _) = read_file(&file);
        files.push((file, manifest.height));
        is_there.then_some(())
    });
    stage.nodes[0].stop();
    stage.nodes[1].stop();

    let mut seen = Vec::new();
    for (file, height) in files {
        let (manifest, found) = read_file(&file);
        assert_eq!(manifest.height, height, "{}", file.display());
        // The hash is that of everything in it: most of them are the same file again.
        if seen.contains(&manifest.hash()) {
            continue;
        }
        seen.push(manifest.hash());
        let blocks = [&ours, &theirs].into_iter().find_map(|chain| {
            let blocks = chain.get(..usize::try_from(height - 1).unwrap())?;
            let is_of_it = digest_of(blocks.last()?) == manifest.digest;
            is_of_it.then_some(blocks)
        });
        let blocks = blocks.expect("a chain that the node had").iter();
        let expected = built_of(blocks.map(|block| (block.clone(), digest_of(block))));
        assert!(found == expected, "{}", file.display());
        let text = done(
            &stage.nodes[2],
            &["snapshot", "verify", file.to_str().unwrap()],
        );
        assert!(text.contains(&manifest.hash().to_string()), "{text}");
        let _ = std::fs::remove_dir_all(store_of(&stage.nodes[2]));
        import(&stage.nodes[2], &file, &manifest);
        assert!(stored(&stage.nodes[2]) == expected, "{}", file.display());
    }
}
