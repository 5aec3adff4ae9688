//! Processes that end with the test, and the free ports of services that tests play themselves.

#[path = "../shared/waiting.rs"]
#[allow(dead_code, reason = "shared with the other tests")]
mod waiting;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Between two looks at a network of processes.
const PAUSE: Duration = Duration::from_millis(200);

/// A process that ends with the test; what it prints is in a file.
#[derive(Debug)]
pub struct Process {
    child: Child,
    output: PathBuf,
}

impl Process {
    /// Starts it.
    pub fn start(mut command: Command, output: &Path) -> Self {
        let file = File::options()
            .create(true)
            .append(true)
            .open(output)
            .unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Self {
            child,
            output: output.to_owned(),
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// What it printed.
    pub fn printed(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// SIGTERM; fails unless it ends in time.
    pub fn stop(mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        eventually("an end after SIGTERM", Duration::from_secs(30), || {
            self.ended()
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks again and again until the answer is the one wanted.
pub fn eventually<T>(what: &str, limit: Duration, look: impl FnMut() -> Option<T>) -> T {
    waiting::eventually(what, limit, PAUSE, look)
}

/// Tells what was seen, with the time, for the table.
pub fn seen(begin: Instant, what: impl std::fmt::Display) {
    println!("  {:6.1} s  {what}", begin.elapsed().as_secs_f64());
}
