//! How long a node with a million records (`RECORDS=…`: so many) takes from its start until it
//! answers: the first time after all of it was written, later after a clean stop, and after `kill -9`
//! of a process that was writing. The floor is a bare `sled::open` of the same files.
//!
//! Both have one copy of the store, since opening changes what it opens, and the same is done to both:
//! they are opened as often, and a process that is killed has put as many blocks on each.

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
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::bare;
use crate::fixture::{self, Fixture, PER_BLOCK};
use crate::mix::Mix;
use crate::process::program;
use crate::table::{Reach, Row, Table, median};
use crate::world::World;

/// Pairs of each kind but the first, which there is once.
const ROUNDS: usize = 3;
/// How long a start or a stop may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// Blocks that the process that is killed has flushed before.
const WRITTEN: usize = 200;

/// Ends with the measure.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Puts blocks on a store, telling the height after each flush, until it is killed. What it puts there
/// is made for its number, so that the next one has something else.
pub fn part(arguments: &[String]) {
    let [path, records, number] = arguments else {
        panic!("a store, how many records it has, and a number")
    };
    let facts = Fixture::of(records.parse().expect("a number")).facts;
    let opened = Store::open(Path::new(path), CACHE_BYTES).expect("a store");
    let mut world = World::load(opened.store);
    let mut mix = Mix::from(facts.made.apart(number.parse().expect("a number")));
    let mut told = std::io::stdout();
    loop {
        world.known_block(mix.block(PER_BLOCK));
        world.store.flush().expect("the disk takes it");
        writeln!(told, "{}", world.ledger.height()).expect("somebody listens");
    }
}

/// Has a process write to the store and kills it; the height that it was told of last.
fn killed(path: &Path, records: u64, number: usize) -> u64 {
    let child = Command::new(std::env::current_exe().expect("this program"))
        .arg("writer")
        .arg(path)
        .arg(records.to_string())
        .arg(number.to_string())
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
pub fn node(folder: &Path) -> (Plan, PathBuf) {
    let mut ports = Ports::default();
    let plan = Plan::new(folder, "n1", &mut ports).expect("ports");
    make::write_node(&plan, std::slice::from_ref(&plan), "devnet", 1).expect("a folder");
    ports.release();
    let variables = Variables::new(&[], []).expect("none");
    let config = Config::load(&plan.directory.join("bitmarkd.toml"), &variables);
    let storage = Storage::of(&config.expect("a configuration"));
    (plan, storage.0)
}

/// Starts a node on its store: it, and the seconds until it answers. It has this height at least.
pub fn running(plan: &Plan, height: u64) -> (Process, f64) {
    let socket = plan.directory.join("control.socket");
    let begin = Instant::now();
    let child = program(plan)
        .arg("start")
        .stderr(Stdio::null())
        .spawn()
        .expect("a node");
    let node = Process(child);
    let seconds = loop {
        if let Ok(status) = control::call(&socket, &json!({"command": "status"})) {
            let seconds = begin.elapsed().as_secs_f64();
            let found = status["height"].as_u64().unwrap_or_default();
            assert!(found >= height, "{found} of {height} blocks: {status}");
            break seconds;
        }
        assert!(begin.elapsed() < PATIENCE, "the node does not start");
        // Processes have no event to wait on: they are asked.
        std::thread::sleep(Duration::from_millis(2));
    };
    (node, seconds)
}

/// The same seconds; it is stopped then.
fn ours(plan: &Plan, height: u64) -> f64 {
    let (mut node, seconds) = running(plan, height);
    kill_process(Pid::from_child(&node.0), Signal::TERM).expect("it is there");
    assert!(node.0.wait().expect("it ends").success(), "a clean stop");
    seconds
}

/// Seconds that the library takes to open a store; it is closed then.
fn floor(path: &Path) -> f64 {
    let begin = Instant::now();
    let db = bare::open(path);
    let seconds = begin.elapsed().as_secs_f64();
    drop(db);
    seconds
}

/// The row of some pairs.
fn row(what: &str, records: u64, height: u64, taken: &[(f64, f64)]) -> Row {
    let bound: Vec<(f64, f64)> = taken
        .iter()
        .map(|(ours, bare)| (*ours, bare * 1.5 + 1.0))
        .collect();
    Row::of_pairs(
        &format!("start with {records} records after {what}"),
        "s",
        "1.5 x bare sled::open of the same files + 1 s",
        &bound,
    )
    .reach(Reach::AtMost(1.0))
    .parameters(format!(
        "{} pairs, {height} blocks at least, a node process until it answers; bare: {:.2} s",
        taken.len(),
        median(taken.iter().map(|pair| pair.1))
    ))
}

/// The measure.
pub fn run(table: &mut Table) {
    let records = fixture::records();
    let fixture = Fixture::of(records);
    let folder = fixture::scratch();
    let (plan, store) = node(folder.path());
    std::fs::create_dir_all(store.parent().expect("a folder")).expect("a folder");
    fixture::copy(&fixture.ours(), &store);
    let (_bare, copy) = fixture.copy();
    let height = fixture.facts.blocks + 1;

    let first = [(ours(&plan, height), floor(&copy))];
    let what = "a clean stop, not opened since it was written";
    table.row(row(what, records, height, &first));

    let pair = |_| (ours(&plan, height), floor(&copy));
    let taken: Vec<(f64, f64)> = (0..ROUNDS).map(pair).collect();
    table.row(row("a clean stop", records, height, &taken));

    let mut last = height;
    let mut pair = |number| {
        last = killed(&store, records, number);
        killed(&copy, records, number);
        (ours(&plan, last), floor(&copy))
    };
    let taken: Vec<(f64, f64)> = (0..ROUNDS).map(&mut pair).collect();
    let row = row("kill -9", records, last, &taken);
    let parameters = format!("{}, {WRITTEN} written by whom is killed", row.parameters);
    table.row(row.parameters(parameters));
}
