//! The RPC table: certificate fingerprints and the addresses of client services (`proto/peer.md`,
//! section 6.4; `proto/rpc.md`, Node.List).
//!
//! The list is in order of arrival, this node first; a removal moves the last entry into the hole.
//! Invariants: the own entry is never changed from outside and never expires; addresses are whole
//! records of at most [`ADDRESSES_LIMIT`] bytes; at most [`CAPACITY`] entries, [`SOURCE_QUOTA`] of
//! one source. At a bound the oldest (of that source) goes. Where the reference lets a replayed
//! message refresh an entry and change its addresses at once, ours applies the time rules of the
//! peer table.

use std::collections::BTreeMap;

use serde::Serialize;
use thiserror::Error;

use super::Timing;
use super::peers::{Added, Refusal, Source, check_addresses, effective_time};
use crate::core::time::UnixSeconds;
use crate::core::wire::connection::{self, Connection};

/// SHA3-256 of a certificate.
pub type Fingerprint = [u8; 32];

/// Longest list of addresses, as in the reference.
pub const ADDRESSES_LIMIT: usize = 100;
/// Most entries of the list, this node included.
pub const CAPACITY: usize = 4096;
/// Most entries of one source.
pub const SOURCE_QUOTA: usize = CAPACITY / 4;

/// Why a page was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PageError {
    /// A page of nothing.
    #[error("invalid count")]
    InvalidCount,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    fingerprint: Fingerprint,
    addresses: Vec<u8>,
    time: UnixSeconds,
    source: Source,
}

impl Service {
    /// The certificate.
    #[must_use]
    pub const fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The packed addresses.
    #[must_use]
    pub fn addresses(&self) -> &[u8] {
        &self.addresses
    }

    /// The time of the announcement.
    #[must_use]
    pub const fn time(&self) -> UnixSeconds {
        self.time
    }
}

/// A service as clients see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The fingerprint in hex.
    pub fingerprint: String,
    /// The addresses in text.
    pub connections: Vec<Connection>,
}

/// The table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RpcTable {
    list: Vec<Service>,
    index: BTreeMap<Fingerprint, usize>,
    own: Option<Fingerprint>,
}

impl RpcTable {
    /// A table without an entry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts this node's own service in, or sets its time.
    pub fn set_own(&mut self, fingerprint: Fingerprint, addresses: &[u8], now: UnixSeconds) {
        self.own = Some(fingerprint);
        self.put(Service {
            fingerprint,
            addresses: addresses.to_vec(),
            time: now,
            source: 0,
        });
    }

    /// The services in the order of the list.
    #[must_use]
    pub fn services(&self) -> &[Service] {
        &self.list
    }

    /// The service with a fingerprint.
    #[must_use]
    pub fn get(&self, fingerprint: &Fingerprint) -> Option<&Service> {
        self.list.get(*self.index.get(fingerprint)?)
    }

    /// Takes an announcement.
    ///
    /// # Errors
    /// Why it was not taken; the table is as before.
    pub fn add(
        &mut self,
        now: UnixSeconds,
        timing: &Timing,
        fingerprint: &[u8],
        addresses: &[u8],
        timestamp: UnixSeconds,
        source: Source,
    ) -> Result<Added, Refusal> {
        let fingerprint: Fingerprint = fingerprint.try_into().map_err(|_| Refusal::NotAKey)?;
        if self.own == Some(fingerprint) {
            return Err(Refusal::Own);
        }
        check_addresses(addresses, ADDRESSES_LIMIT)?;
        let time = effective_time(now, timestamp, timing.expiry_s)?;
        let added = match self.get(&fingerprint) {
            Some(known) if time < known.time.saturating_add(timing.relay_limit_s) => {
                return Err(Refusal::TooSoon);
            }
            Some(_) => Added::Renewed,
            None => {
                self.make_room(source);
                Added::New
            }
        };
        self.put(Service {
            fingerprint,
            addresses: addresses.to_vec(),
            time,
            source,
        });
        Ok(added)
    }

    fn put(&mut self, service: Service) {
        let place = self.index.get(&service.fingerprint).copied();
        if let Some(known) = place.and_then(|at| self.list.get_mut(at)) {
            *known = service;
        } else {
            self.index.insert(service.fingerprint, self.list.len());
            self.list.push(service);
        }
    }

    fn make_room(&mut self, source: Source) {
        let own = self.own;
        let others = || {
            self.list
                .iter()
                .enumerate()
                .filter(move |(_, service)| Some(service.fingerprint) != own)
        };
        let of_source = || others().filter(|(_, service)| service.source == source);
        let oldest = if of_source().count() >= SOURCE_QUOTA {
            of_source().min_by_key(|(_, service)| service.time)
        } else if self.list.len() >= CAPACITY {
            others().min_by_key(|(_, service)| service.time)
        } else {
            None
        };
        if let Some((at, _)) = oldest {
            self.remove(at);
        }
    }

    fn remove(&mut self, at: usize) {
        let gone = self.list.swap_remove(at);
        self.index.remove(&gone.fingerprint);
        if let Some(moved) = self.list.get(at) {
            self.index.insert(moved.fingerprint, at);
        }
    }

    /// Deletes what was not announced for the time of the expiry; never the own entry.
    pub fn expire(&mut self, now: UnixSeconds, timing: &Timing) {
        let mut at = 0;
        while let Some(service) = self.list.get(at) {
            let own = Some(service.fingerprint) == self.own;
            if !own && now >= service.time.saturating_add(timing.expiry_s) {
                self.remove(at);
            } else {
                at += 1;
            }
        }
    }

    /// At most `count` services from position `start`, and the position after the last of them
    /// (0 when there was none).
    ///
    /// # Errors
    /// [`PageError::InvalidCount`] unless `count` is positive.
    pub fn page(&self, start: u64, count: i64) -> Result<(Vec<Listed>, u64), PageError> {
        let count = usize::try_from(count).unwrap_or(0);
        if count == 0 {
            return Err(PageError::InvalidCount);
        }
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let page: Vec<Listed> = self
            .list
            .iter()
            .skip(start)
            .take(count)
            .map(|service| Listed {
                fingerprint: hex::encode(service.fingerprint),
                connections: connection::list(&service.addresses).collect(),
            })
            .collect();
        let next = if page.is_empty() {
            0
        } else {
            start.saturating_add(page.len()) as u64
        };
        Ok((page, next))
    }
}
