//! Starting and ending test networks: what is refused, and who ends whom.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::place::{Place, out, told};

/// A process that waits for the end of a test network in this folder, as `testnet start` leaves one.
fn supervisor(folder: &Path, seconds: &str, started: &str) -> Child {
    std::process::Command::new(env!("CARGO_BIN_EXE_bitmarkd"))
        .args(["testnet", "supervise"])
        .arg(folder.canonicalize().unwrap())
        .args([seconds, started])
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Waits for the end of a process; kills it when it does not come.
fn ends(mut child: Child) -> bool {
    let pid = rustix::process::Pid::from_child(&child);
    let (tell, ended) = std::sync::mpsc::channel();
    let waiting = std::thread::spawn(move || {
        child.wait().unwrap();
        let _ = tell.send(());
    });
    let has_ended = ended.recv_timeout(Duration::from_secs(20)).is_ok();
    if !has_ended {
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    waiting.join().unwrap();
    has_ended
}

/// What `nodes.json` holds of a network whose processes are gone.
fn network_file(folder: &Path, started: &str) {
    let value = serde_json::json!({
        "chain": "devnet", "started": started, "ends": "never", "nodes": [],
        "miner": {"pid": 4_000_000_000_u32, "directory": "/nowhere", "log": ""},
        "identity": {"name": "", "file": "", "passphrase_file": "", "account": ""},
    });
    std::fs::write(folder.join("nodes.json"), value.to_string()).unwrap();
}

#[test]
fn the_end_of_a_test_network_leaves_the_next_one_alone() {
    let place = Place::new();
    let folder = place.path("net");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join(".bitmarkd-testnet"), "").unwrap();
    network_file(&folder, "second");
    assert!(ends(supervisor(&folder, "0", "first")));
    assert!(folder.join("nodes.json").exists());
    assert!(ends(supervisor(&folder, "0", "second")));
    assert!(!folder.join("nodes.json").exists());
}

#[test]
fn stopping_a_test_network_ends_what_waits_for_its_end() {
    let place = Place::new();
    let folder = place.path("net");
    std::fs::create_dir(&folder).unwrap();
    let stop = ["testnet", "stop", "--directory", "net"];
    for is_known in [true, false] {
        let waiting = supervisor(&folder, "600", "first");
        if is_known {
            network_file(&folder, "second");
        }
        let shown = out(&place.program().args(stop).assert().success());
        assert_eq!(shown, "stopped\n");
        assert!(ends(waiting));
    }
    let shown = out(&place.program().args(stop).assert().success());
    assert_eq!(shown, "no test network is there\n");
}

#[test]
fn two_test_networks_are_not_started_in_a_folder_at_once() {
    let place = Place::new();
    let folder = place.path("net");
    std::fs::create_dir(&folder).unwrap();
    let mark = folder.join(".bitmarkd-testnet");
    std::fs::write(&mark, "4711\n").unwrap();
    let held = std::fs::File::open(&mark).unwrap();
    held.lock().unwrap();
    let start = ["testnet", "start", "--directory", "net"];
    let stderr = told(place.program().args(start).assert());
    assert!(
        stderr.contains("being started in net (by process 4711)"),
        "{stderr}"
    );
}

#[test]
fn a_folder_with_something_else_in_it_is_not_used_for_a_test_network() {
    let place = Place::new();
    let start = ["testnet", "start", "--directory", "."];
    let stderr = told(place.program().args(start).assert());
    assert!(stderr.contains("something else in this folder"), "{stderr}");
    assert!(place.path("node.toml").exists());
}

#[test]
fn a_folder_too_deep_for_control_sockets_is_refused_before_anything_is_started() {
    let place = Place::new();
    let folder = place.path(&"deep/".repeat(20));
    let mut program = place.program();
    program
        .args(["testnet", "start", "--directory"])
        .arg(&folder);
    let stderr = told(program.assert());
    assert!(
        stderr.contains("control socket has at most 107 bytes"),
        "{stderr}"
    );
    assert!(!folder.join("n1").exists());
}
