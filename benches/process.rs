//! A node of ours as a process of its own, on loopback, that ends with the bench.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bitmarkd::cli::daemon::testnet::make::Plan;
use bitmarkd::shell::control;
use bitmarkd::shell::zmq::Context;
use bitmarkd::shell::zmq::requester::{Requester, fresh_key};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::rig::resident;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The program with the configuration of a node.
pub fn program(plan: &Plan) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bitmarkd"));
    command
        .arg("--config-file")
        .arg(plan.directory.join("bitmarkd.toml"))
        .stdout(Stdio::null());
    command
}

/// A node.
pub struct Node {
    /// Its folder, keys and ports.
    pub plan: Plan,
    child: Child,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Node {
    /// Starts a node that is connected to these, and to nobody else. `changed` has the last word on
    /// its configuration.
    pub fn start(plan: &Plan, others: &[&Plan], changed: impl FnOnce(String) -> String) -> Self {
        let mut entries = String::new();
        for other in others {
            entries.push_str(&format!(
                "\n[[peering.connect]]\npublic_key = \"{}\"\naddress = \"127.0.0.1:{}\"\n",
                other.key(),
                other.peer4
            ));
        }
        let path = plan.directory.join("bitmarkd.toml");
        let text = std::fs::read_to_string(&path).expect("a configuration");
        let text = text
            .replace(
                "private_key = \"peer.private\"\nprefer",
                "private_key = \"peer.private\"\ndynamic_connections = false\nprefer",
            )
            .replace("\n[publishing]", &format!("{entries}\n[publishing]"));
        std::fs::write(&path, changed(text)).expect("a configuration");
        let child = program(plan).arg("start").spawn().expect("a node");
        Self {
            plan: plan.clone(),
            child,
        }
    }

    /// Asks by its control socket; nothing while it has none.
    pub fn ask(&self, question: &Value) -> Option<Value> {
        control::call(&self.plan.directory.join("control.socket"), question).ok()
    }

    /// Waits until its status is so.
    pub fn wait(&self, what: &str, is: impl Fn(&Value) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            let status = self.ask(&json!({"command": "status"}));
            if status.is_some_and(|status| is(&status)) {
                return;
            }
            assert!(Instant::now() < end, "{what} did not come about");
            // Processes have no event to wait on: they are asked.
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Resident memory in MiB.
    pub fn memory(&self) -> f64 {
        resident(self.child.id())
    }

    /// A client of its peer service.
    pub fn requester(&self, context: &Context) -> Requester {
        let address = format!("127.0.0.1:{}", self.plan.peer4)
            .parse()
            .expect("an address");
        Requester::dial(
            context,
            &fresh_key(),
            &self.plan.key(),
            address,
            Duration::from_secs(20),
        )
        .expect("a socket")
    }
}
