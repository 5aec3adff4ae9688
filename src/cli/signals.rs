//! Which signals end a program that runs on. Never handles one: the programs do, each in its way.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Whether this process was started with a signal ignored. Where the system does not tell: no.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let bit = u32::try_from(signal - 1)
        .ok()
        .and_then(|at| 1_u64.checked_shl(at));
    matches!((mask, bit), (Some(mask), Some(bit)) if mask & bit != 0)
}

/// SIGINT, SIGTERM, and the end of the terminal, unless the program was started to outlive that
/// (`nohup`).
pub fn ending() -> impl Iterator<Item = i32> {
    let hang_up = (!is_ignored(SIGHUP)).then_some(SIGHUP);
    [SIGINT, SIGTERM].into_iter().chain(hang_up)
}
