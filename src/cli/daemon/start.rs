//! `bitmarkd start`: runs a node until a signal ends it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use signal_hook::flag;

use crate::cli::signals;
use crate::core::guard::Guard;
use crate::core::time::Millis;
use crate::node::Node;
use crate::shell::files::config::Config;
use crate::shell::files::pidfile::PidFile;
use crate::shell::{logging, memory};

/// How often signals are looked for.
const LOOK: Duration = Duration::from_millis(100);
/// How often open descriptors are counted.
const LOOK_AT_DESCRIPTORS: Duration = Duration::from_secs(5);

fn elapsed_ms(since: Instant) -> Millis {
    Millis::try_from(since.elapsed().as_millis()).unwrap_or(Millis::MAX)
}

/// Runs the node.
///
/// # Errors
/// It cannot start, or cannot go on.
pub fn run(config: &Config, accept_fork: Option<u64>) -> anyhow::Result<()> {
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    for signal in signals::ending() {
        // A second signal ends the process at once.
        flag::register_conditional_shutdown(signal, 1, std::sync::Arc::clone(&stop))?;
        flag::register(signal, std::sync::Arc::clone(&stop))?;
    }
    let log = logging::start(&config.logging).context("the log")?;
    let _pid = config.pidfile.as_deref().map(PidFile::create).transpose()?;
    let mut node = Node::start(config, Some(log), accept_fork)?;
    let limit = config.peering.memory_mebibytes.saturating_mul(1 << 20);
    let begin = Instant::now();
    let mut guard = Guard::new(limit);
    memory::raise_descriptor_limit();
    memory::give_back();
    let mut has_settled = false;
    let mut looked = Instant::now();
    let fault = loop {
        if let Some(resident) = memory::resident()
            && guard.is_over(elapsed_ms(begin), resident)
        {
            let count = memory::close_connections();
            let mebibytes = resident >> 20;
            log::warn!(
                "{mebibytes} MiB of memory are more than peering.memory_mebibytes: \
                 connections closed: {count}"
            );
        }
        if looked.elapsed() >= LOOK_AT_DESCRIPTORS {
            looked = Instant::now();
            // What threads do but once, when they begin.
            if !std::mem::replace(&mut has_settled, true) {
                memory::give_back();
            }
            if memory::is_out_of_descriptors()
                && let Some((address, count)) = memory::close_busiest()
            {
                log::warn!(
                    "hardly any descriptor is left; connections with {address} closed: {count}"
                );
            }
        }
        if stop.load(std::sync::atomic::Ordering::SeqCst) {
            break None;
        }
        if let Some(fault) = node.wait_for_fault(LOOK) {
            break Some(fault);
        }
    };
    node.stop();
    match fault {
        None => Ok(()),
        Some(fault) => bail!("the node cannot go on: {fault}"),
    }
}
