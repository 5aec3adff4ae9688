//! How long a chain of a million records (`RECORDS=…`: so many) takes to come from one node to another
//! in a snapshot: from a node that runs into a file, from there into an empty folder, and until the new
//! node says that it has started. The digests of this chain are made up: the check in the background,
//! which costs what digests cost, finds the first of them at once, so nothing later is looked at here.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use bitmarkd::cli::daemon::testnet::make::Plan;

use crate::fixture::{self, Fixture};
use crate::process::{PATIENCE, program};
use crate::rig::resident;
use crate::start::{self, Process};
use crate::table::{Row, Table};

/// Has the program do something with a file, and gives the seconds and what it said.
fn done(plan: &Plan, command: &str, file: &Path, more: &[&str]) -> (f64, String) {
    let begin = Instant::now();
    let output = program(plan)
        .args(["snapshot", command])
        .arg(file)
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .expect("a process");
    let seconds = begin.elapsed().as_secs_f64();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {told}");
    (
        seconds,
        String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

/// Seconds until a node says that it has started, at this height.
fn started(plan: &Plan, height: u64) -> f64 {
    let log = plan.directory.join("log/bitmarkd.log");
    let said = format!("height {height},");
    let begin = Instant::now();
    let child = program(plan).arg("start").stderr(Stdio::null()).spawn();
    let _node = Process(child.expect("a node"));
    loop {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let mut lines = text.lines();
        if lines.any(|line| line.contains("node: started: chain") && line.contains(&said)) {
            return begin.elapsed().as_secs_f64();
        }
        assert!(begin.elapsed() < PATIENCE, "it does not start: {text}");
        // Processes have no event to wait on: what they say is read.
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The measure.
pub fn run(table: &mut Table) {
    let records = fixture::records();
    let fixture = Fixture::of(records);
    let height = fixture.facts.blocks + 1;
    let folder = fixture::scratch();
    let file = folder.path().join("chain.snapshot");

    let (plan, store) = start::node(&folder.path().join("from"));
    std::fs::create_dir_all(store.parent().expect("a folder")).expect("a folder");
    fixture::copy(&fixture.ours(), &store);
    let (node, _) = start::running(&plan, height);
    let (taken, told) = done(&plan, "export", &file, &[]);
    let memory = resident(node.0.id());
    drop(node);
    std::fs::remove_dir_all(folder.path().join("from")).expect("it goes");
    let megabytes = file.metadata().expect("a file").len() as f64 / 1e6;
    let hash = told
        .lines()
        .find_map(|line| line.strip_prefix("manifest: "));

    let (plan, store) = start::node(&folder.path().join("to"));
    let more = ["--manifest", hash.expect("the hash of its manifest")];
    let (put, _) = done(&plan, "import", &file, &more);
    let store = fixture::on_disk(&store) as f64 / 1e6;
    let started = started(&plan, height);

    let raw = fixture.facts.raw as f64 / 1e6;
    let parameters = format!(
        "{height} blocks, {} entries, a file of {megabytes:.0} MB ({raw:.0} of keys and values)",
        fixture.facts.entries
    );
    for (what, seconds, more) in [
        (
            "export from a node that runs",
            taken,
            format!("; the node has {memory:.0} MiB of memory then"),
        ),
        (
            "import into an empty folder",
            put,
            format!("; a store of {store:.0} MB"),
        ),
        (
            "first start after the import",
            started,
            ", read whole once".to_owned(),
        ),
    ] {
        let measure = format!("snapshot of {records} records: {what}");
        table.row(Row::told(&measure, "s", seconds).parameters(format!("{parameters}{more}")));
    }
}
