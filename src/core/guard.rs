//! When network connections are closed because the process holds too much, and which
//! (`proto/peer.md`, section 15). It measures and closes nothing itself.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::time::Millis;

/// How long memory takes to come back after the connections are closed.
const SETTLING_MS: Millis = 2_000;

/// Decides when the connections are closed.
///
/// What stays after that is no connection's: only another quarter of the limit beyond it closes
/// them again, until the memory is well below the limit.
#[derive(Debug)]
pub struct Guard {
    limit: u64,
    allowed: u64,
    closed: Option<Millis>,
}

impl Guard {
    /// A guard for a limit in bytes; 0: none.
    #[must_use]
    pub const fn new(limit: u64) -> Self {
        Self {
            limit,
            allowed: limit,
            closed: None,
        }
    }

    /// Whether the connections are to be closed, now that the process holds `resident` bytes.
    pub fn is_over(&mut self, now: Millis, resident: u64) -> bool {
        if self.limit == 0 {
            return false;
        }
        if let Some(closed) = self.closed {
            if now < closed.saturating_add(SETTLING_MS) {
                return false;
            }
            self.closed = None;
            self.allowed = self.limit.max(resident.saturating_add(self.limit / 4));
        }
        if resident <= self.limit - self.limit / 4 {
            self.allowed = self.limit;
        }
        let over = resident > self.allowed;
        if over {
            self.closed = Some(now);
        }
        over
    }
}

/// Whether hardly any of `most` places is left for a new connection.
#[must_use]
pub const fn is_nearly_full(used: u64, most: u64) -> bool {
    used > most - most / 8
}

/// The address that occurs most.
#[must_use]
pub fn busiest(addresses: impl Iterator<Item = IpAddr>) -> Option<IpAddr> {
    let mut counts: BTreeMap<IpAddr, usize> = BTreeMap::new();
    for address in addresses {
        *counts.entry(address).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    most.map(|(address, _)| address)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn what_is_under_the_limit_is_left_alone() {
        assert!(!Guard::new(100 * MIB).is_over(0, 100 * MIB));
        assert!(!Guard::new(0).is_over(0, u64::MAX));
    }

    #[test]
    fn connections_are_closed_again_only_for_what_came_after() {
        let mut guard = Guard::new(100 * MIB);
        assert!(guard.is_over(0, 101 * MIB));
        // It takes a while to come back.
        assert!(!guard.is_over(100, 150 * MIB));
        // This much is not the connections'.
        assert!(!guard.is_over(2100, 120 * MIB));
        assert!(!guard.is_over(2200, 145 * MIB));
        assert!(guard.is_over(2300, 146 * MIB));
        // Well below the limit all is as at first.
        assert!(!guard.is_over(5000, 50 * MIB));
        assert!(guard.is_over(5100, 101 * MIB));
        // What swings about the limit closes them once.
        let mut guard = Guard::new(100 * MIB);
        let swinging = [98, 98, 102].iter().cycle().zip(0..180);
        let closed = swinging.filter(|(mib, second)| guard.is_over(second * 1000, **mib * MIB));
        assert_eq!(closed.count(), 1);
    }

    #[test]
    fn who_has_most_connections_is_cut_off() {
        let address = |n: u8| IpAddr::from([10, 0, 0, n]);
        let all = [1, 2, 2, 3].map(address);
        assert_eq!(busiest(all.into_iter()), Some(address(2)));
        assert_eq!(busiest(std::iter::empty()), None);
        assert!(!is_nearly_full(56, 64));
        assert!(is_nearly_full(57, 64));
    }
}
