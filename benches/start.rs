//! How long a node with a million records (`RECORDS=…`: so many) takes from its start until it
//! answers, after a clean stop and after `kill -9`. The floor is a bare `sled::open` of the same
//! folder. Each opens a copy of its own, since opening changes what it opens.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bitmarkd::cli::daemon::testnet::make::{self, Plan};
use bitmarkd::cli::daemon::testnet::ports::Ports;
use bitmarkd::node::Storage;
use bitmarkd::shell::control;
use bitmarkd::shell::files::config::{Config, Variables};
use bitmarkd::shell::store::{CACHE_BYTES, Store};
use serde_json::json;

use crate::bare;
use crate::fixture::{self, Fixture, PER_BLOCK};
use crate::mix::Mix;
use crate::table::{Reach, Row, Table, median};
use crate::world::World;

/// Pairs.
const ROUNDS: usize = 2;
/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// Blocks that the process that is killed has flushed before.
const WRITTEN: usize = 200;

/// Ends with the measure.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Puts blocks on a store, telling the height after each flush, until it is killed.
pub fn part(arguments: &[String]) {
    let [path, records] = arguments else {
        panic!("a store, and how many records it has")
    };
    let facts = Fixture::of(records.parse().expect("a number")).facts;
    let opened = Store::open(Path::new(path), CACHE_BYTES).expect("a store");
    let mut world = World::load(opened.store);
    let mut mix = Mix::from(facts.made);
    let mut told = std::io::stdout();
    loop {
        world.known_block(mix.block(PER_BLOCK));
        world.store.flush().expect("the disk takes it");
        writeln!(told, "{}", world.ledger.height()).expect("somebody listens");
    }
}

/// Has a process write to the store and kills it; the height that it was told of last.
fn killed(path: &Path, records: u64) -> u64 {
    let child = Command::new(std::env::current_exe().expect("this program"))
        .arg("writer")
        .arg(path)
        .arg(records.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    let mut process = Process(child);
    let mut lines = BufReader::new(process.0.stdout.take().expect("a pipe")).lines();
    let mut height = 0;
    for _ in 0..WRITTEN {
        let line = lines.next().expect("a line").expect("a line");
        height = line.parse().expect("a number");
    }
    drop(process);
    for line in lines.map_while(Result::ok) {
        height = line.parse().unwrap_or(height);
    }
    height
}

/// A node's folder, and where its store belongs.
fn node(folder: &Path) -> (Plan, PathBuf) {
    let mut ports = Ports::default();
    let plan = Plan::new(folder, "n1", &mut ports).expect("ports");
    make::write_node(&plan, std::slice::from_ref(&plan), "devnet", 1).expect("a folder");
    ports.release();
    let variables = Variables::new(&[], []).expect("none");
    let config = Config::load(&plan.directory.join("bitmarkd.toml"), &variables);
    let storage = Storage::of(&config.expect("a configuration"));
    (plan, storage.0)
}

/// Seconds until a node on a copy of the store answers; it has this height at least.
fn ours(image: &Path, height: u64) -> f64 {
    let folder = fixture::scratch();
    let (plan, store) = node(folder.path());
    std::fs::create_dir_all(store.parent().expect("a folder")).expect("a folder");
    fixture::copy(image, &store);
    let socket = plan.directory.join("control.socket");
    let begin = Instant::now();
    let child = Command::new(env!("CARGO_BIN_EXE_bitmarkd"))
        .arg("--config-file")
        .arg(plan.directory.join("bitmarkd.toml"))
        .arg("start")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a node");
    let _node = Process(child);
    loop {
        if let Ok(status) = control::call(&socket, &json!({"command": "status"})) {
            let seconds = begin.elapsed().as_secs_f64();
            let found = status["height"].as_u64().unwrap_or_default();
            assert!(found >= height, "{found} of {height} blocks: {status}");
            return seconds;
        }
        assert!(begin.elapsed() < PATIENCE, "the node does not start");
        // Processes have no event to wait on: they are asked.
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Seconds that the library takes to open a copy of the store.
fn floor(image: &Path) -> f64 {
    let folder = fixture::scratch();
    let path = folder.path().join("store");
    fixture::copy(image, &path);
    let begin = Instant::now();
    let db = bare::open(&path);
    let seconds = begin.elapsed().as_secs_f64();
    drop(db);
    seconds
}

/// The measure.
pub fn run(table: &mut Table) {
    let records = fixture::records();
    let fixture = Fixture::of(records);
    let (_folder, written) = fixture.copy();
    let height = killed(&written, records);
    let images = [
        ("a clean stop", fixture.ours(), fixture.facts.blocks + 1),
        ("kill -9", written, height),
    ];
    for (what, image, height) in images {
        let taken: Vec<(f64, f64)> = (0..ROUNDS)
            .map(|_| (ours(&image, height), floor(&image)))
            .collect();
        let bound: Vec<(f64, f64)> = taken
            .iter()
            .map(|(ours, bare)| (*ours, bare * 1.5 + 1.0))
            .collect();
        table.row(
            Row::of_pairs(
                &format!("start with {records} records after {what}"),
                "s",
                "1.5 x bare sled::open of the same folder + 1 s",
                &bound,
            )
            .reach(Reach::AtMost(1.0))
            .parameters(format!(
                "{ROUNDS} pairs, {height} blocks, a node process until it answers; bare: {:.2} s",
                median(taken.iter().map(|pair| pair.1))
            )),
        );
    }
}
