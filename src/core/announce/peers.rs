//! The peer table: who announced itself, where it listens, and whether that was ever proven
//! (`proto/peer.md`, sections 6.2, 6.6 and 15).
//!
//! Invariants: this node's own key is never in the table; every entry has a 32-byte key and a
//! list of whole records with one usable address, at most [`LISTENERS_LIMIT`] bytes long; there
//! are at most [`CAPACITY`] entries, and at most [`SOURCE_QUOTA`] that one source brought and we
//! have not reached ourselves. At a bound the least trusted, then oldest entry goes, unless the
//! newcomer is trusted less. It never dials and never draws a number.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use super::Timing;
use crate::core::time::{Millis, Now, UnixSeconds};
use crate::core::wire::connection::{self, Connection, FirstOfEach};

/// The public key of a peer, by which the ring is ordered.
pub type Key = [u8; 32];

/// Who brought an entry: a number the shell gives to an address or connection.
pub type Source = u64;

/// Most entries the table holds.
pub const CAPACITY: usize = 4096;
/// Most entries of one source that were not reached from here.
pub const SOURCE_QUOTA: usize = CAPACITY / 4;
/// Longest list of listeners: twenty records of nineteen bytes.
pub const LISTENERS_LIMIT: usize = 20 * 19;
/// Failed dials in a row that withdraw a proof.
const FAILURES_MAX: u8 = 3;

/// Why an announcement was not taken. Only counted, never sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum Refusal {
    /// The key or fingerprint has not 32 bytes.
    #[error("not public key")]
    NotAKey,
    /// It is about this node itself.
    #[error("own entry")]
    Own,
    /// The addresses are longer than the limit or not made of whole records.
    #[error("invalid addresses")]
    InvalidAddresses,
    /// No address that anybody could reach.
    #[error("no usable address")]
    NoUsableAddress,
    /// Fewer than eight bytes of time, or absurdly many.
    #[error("invalid timestamp")]
    InvalidTimestamp,
    /// Older than the expiry.
    #[error("expired")]
    Expired,
    /// Less than the relay limit after the stored time.
    #[error("too soon")]
    TooSoon,
    /// No room, and nothing there is trusted less.
    #[error("table is full")]
    Full,
}

/// How far an entry is to be trusted, lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Trust {
    /// Somebody said so.
    #[default]
    Heard,
    /// From DNS or the peer file; dialled without proof until that fails.
    Bootstrap,
    /// The holder of the key itself said so over CURVE.
    Authenticated,
    /// We reached the key at the address.
    Reached,
}

impl Trust {
    const fn is_proven(self) -> bool {
        matches!(self, Self::Authenticated | Self::Reached)
    }
}

/// What is known of one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    listeners: Vec<u8>,
    time: UnixSeconds,
    source: Source,
    trust: Trust,
    /// The listeners the trust is about, when newer ones wait for their proof.
    proven_listeners: Option<Vec<u8>>,
    proven_since: Option<Millis>,
    proven_at: UnixSeconds,
    failures: u8,
    probe_due: Millis,
}

impl Entry {
    /// The packed listeners as last announced.
    #[must_use]
    pub fn listeners(&self) -> &[u8] {
        &self.listeners
    }

    /// The time of the announcement.
    #[must_use]
    pub const fn time(&self) -> UnixSeconds {
        self.time
    }

    /// How far the entry is trusted.
    #[must_use]
    pub const fn trust(&self) -> Trust {
        self.trust
    }

    /// Who brought it first.
    #[must_use]
    pub const fn source(&self) -> Source {
        self.source
    }

    /// Whether a CURVE exchange with the key has succeeded.
    #[must_use]
    pub const fn is_proven(&self) -> bool {
        self.trust.is_proven()
    }

    /// Since when the proof stands without a break.
    #[must_use]
    pub const fn proven_since(&self) -> Option<Millis> {
        self.proven_since
    }

    /// Where to dial: the addresses of the proof while newer ones are unproven.
    #[must_use]
    pub fn to_dial(&self) -> &[u8] {
        self.proven_listeners.as_deref().unwrap_or(&self.listeners)
    }

    fn needs_probe(&self) -> bool {
        !self.is_proven() || self.proven_listeners.is_some()
    }

    /// Whether it would be dialled at an IPv4 address that leads somewhere.
    fn has_usable_ipv4(&self) -> bool {
        let first = FirstOfEach::of(self.to_dial()).v4;
        first.is_some_and(|address| address.is_usable())
    }

    /// Notes a proof that came with the addresses `with`.
    fn prove(&mut self, now: Now, trust: Trust, with: &[u8]) {
        self.proven_listeners = (with != self.listeners).then(|| with.to_vec());
        self.still_proven(now, trust);
    }

    fn still_proven(&mut self, now: Now, trust: Trust) {
        self.trust = self.trust.max(trust);
        self.proven_since.get_or_insert(now.mono);
        self.proven_at = now.wall;
        self.failures = 0;
    }
}

/// An announcement, from wherever it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct News<'a> {
    /// The peer's key.
    pub key: &'a [u8],
    /// Its packed listeners.
    pub listeners: &'a [u8],
    /// Its time; 0 is now.
    pub timestamp: UnixSeconds,
    /// Who brought it.
    pub source: Source,
    /// How far it is to be trusted as it comes.
    pub trust: Trust,
}

/// What a table did with an announcement that it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// The key was not there.
    New,
    /// The entry has the new time and addresses.
    Renewed,
}

/// Whether a packed list may be stored and told to others.
///
/// # Errors
/// Why not.
pub fn check_addresses(packed: &[u8], limit: usize) -> Result<(), Refusal> {
    if packed.len() > limit || !connection::is_whole_list(packed) {
        return Err(Refusal::InvalidAddresses);
    }
    connection::list(packed)
        .any(|connection| connection.is_usable())
        .then_some(())
        .ok_or(Refusal::NoUsableAddress)
}

/// The time an announcement counts for: 0 and the future are now; too old is refused.
///
/// # Errors
/// [`Refusal::Expired`].
pub fn effective_time(
    now: UnixSeconds,
    timestamp: UnixSeconds,
    expiry_s: u64,
) -> Result<UnixSeconds, Refusal> {
    let time = if timestamp == 0 || timestamp > now {
        now
    } else {
        timestamp
    };
    if now.saturating_sub(time) >= expiry_s {
        return Err(Refusal::Expired);
    }
    Ok(time)
}

/// The table, ordered by key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerTable {
    own: Key,
    configured: BTreeSet<Key>,
    entries: BTreeMap<Key, Entry>,
    changed: bool,
}

impl PeerTable {
    /// An empty table of the node with key `own`; `configured` keys need no proof.
    #[must_use]
    pub const fn new(own: Key, configured: BTreeSet<Key>) -> Self {
        Self {
            own,
            configured,
            entries: BTreeMap::new(),
            changed: false,
        }
    }

    /// Number of entries; this node has none.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry of `key`.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// All entries in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Entry)> {
        self.entries.iter()
    }

    /// Takes an announcement.
    ///
    /// # Errors
    /// Why it was not taken; the table is as before.
    pub fn add(&mut self, now: Now, timing: &Timing, news: News<'_>) -> Result<Added, Refusal> {
        let key: Key = news.key.try_into().map_err(|_| Refusal::NotAKey)?;
        if key == self.own {
            return Err(Refusal::Own);
        }
        check_addresses(news.listeners, LISTENERS_LIMIT)?;
        let time = effective_time(now.wall, news.timestamp, timing.expiry_s)?;
        let Some(entry) = self.entries.get_mut(&key) else {
            self.make_room(news.source, news.trust)?;
            let mut entry = Entry {
                listeners: news.listeners.to_vec(),
                time,
                source: news.source,
                trust: news.trust,
                proven_listeners: None,
                proven_since: None,
                proven_at: 0,
                failures: 0,
                probe_due: now.mono,
            };
            if news.trust.is_proven() {
                entry.prove(now, news.trust, news.listeners);
            }
            self.entries.insert(key, entry);
            self.changed = true;
            return Ok(Added::New);
        };
        let soon = time < entry.time.saturating_add(timing.relay_limit_s);
        if !soon {
            if entry.listeners != news.listeners {
                let old = std::mem::replace(&mut entry.listeners, news.listeners.to_vec());
                if entry.is_proven() {
                    entry.proven_listeners.get_or_insert(old);
                }
                entry.failures = 0;
                entry.probe_due = now.mono;
            }
            entry.time = time;
        }
        // Where a proven peer is dialled changes by the same rule, its own word included.
        let is_known = news.listeners == entry.listeners || news.listeners == entry.to_dial();
        if news.trust.is_proven() && (!soon || is_known || !entry.is_proven()) {
            self.changed |= !entry.is_proven();
            entry.prove(now, news.trust, news.listeners);
        }
        if soon {
            return Err(Refusal::TooSoon);
        }
        Ok(Added::Renewed)
    }

    /// Makes room for one entry of `source`, at the cost of what is trusted least.
    fn make_room(&mut self, source: Source, trust: Trust) -> Result<(), Refusal> {
        let weight = |(key, entry): &(&Key, &Entry)| (entry.trust, entry.time, **key);
        let free = |(key, entry): &(&Key, &Entry)| {
            entry.trust < Trust::Reached && !self.configured.contains(*key)
        };
        let of_source = || {
            self.entries
                .iter()
                .filter(free)
                .filter(|(_, entry)| entry.source == source)
        };
        let victim = if trust != Trust::Bootstrap && of_source().count() >= SOURCE_QUOTA {
            of_source().map(|entry| weight(&entry)).min()
        } else if self.entries.len() >= CAPACITY {
            let victim = self.entries.iter().filter(free);
            victim.map(|entry| weight(&entry)).min()
        } else {
            return Ok(());
        };
        match victim {
            Some((least, _, key)) if least <= trust => {
                self.entries.remove(&key);
                self.changed = true;
                Ok(())
            }
            _ => Err(Refusal::Full),
        }
    }

    /// The key was reached at `address`. An unknown key stays unknown.
    pub fn reached(&mut self, now: Now, key: &Key, address: &Connection) {
        if let Some(entry) = self.entries.get_mut(key) {
            self.changed |= !entry.is_proven();
            if lists(&entry.listeners, address) {
                entry.proven_listeners = None;
            } else if !entry.is_proven() {
                entry.proven_listeners = Some(address.pack());
            }
            entry.still_proven(now, Trust::Reached);
        }
    }

    /// A dial to `address`, or a probe that was never reported on, failed. The third in a row
    /// withdraws the proof, unless it stands for other addresses; the next probe waits longer.
    pub fn failed(&mut self, now: Now, timing: &Timing, key: &Key, address: Option<&Connection>) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        entry.failures = entry.failures.saturating_add(1);
        let doublings = u32::from(entry.failures.clamp(1, 7)) - 1;
        let pause = timing.probe_retry_ms.saturating_mul(1 << doublings);
        entry.probe_due = now.mono.saturating_add(pause);
        let stands_elsewhere = entry
            .proven_listeners
            .as_ref()
            .is_some_and(|proven| !address.is_some_and(|address| lists(proven, address)));
        if entry.is_proven() && !stands_elsewhere && entry.failures >= FAILURES_MAX {
            entry.trust = Trust::Heard;
            entry.proven_listeners = None;
            entry.proven_since = None;
            self.changed = true;
        }
        self.changed |= entry.trust == Trust::Bootstrap;
    }

    /// Deletes what was neither announced nor proven for the time of the expiry.
    pub fn expire(&mut self, now: UnixSeconds, timing: &Timing) {
        let before = self.entries.len();
        self.entries.retain(|_, entry| {
            now < entry
                .time
                .max(entry.proven_at)
                .saturating_add(timing.expiry_s)
        });
        self.changed |= self.entries.len() != before;
    }

    /// Whether the choice of neighbours may have changed since the last call.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Whether an entry may become a neighbour: proven, configured, or from DNS or the peer file
    /// as long as dialling it has not failed; and reachable from here.
    fn is_eligible(&self, key: &Key, entry: &Entry, prefer_ipv6: bool) -> bool {
        let trusted = entry.is_proven()
            || self.configured.contains(key)
            || (entry.trust == Trust::Bootstrap && entry.failures == 0);
        trusted
            && FirstOfEach::of(entry.to_dial())
                .to_dial(prefer_ipv6)
                .is_some()
    }

    /// Those who may become neighbours, as a ring that begins after this node.
    #[must_use]
    pub fn ring(&self, prefer_ipv6: bool) -> Vec<(Key, &Entry)> {
        let eligible = |(key, entry): &(&Key, &Entry)| self.is_eligible(key, entry, prefer_ipv6);
        let after = self.entries.range(self.own..).filter(eligible);
        let before = self.entries.range(..self.own).filter(eligible);
        after
            .chain(before)
            .map(|(key, entry)| (*key, entry))
            .collect()
    }

    /// The peers that outgoing places are kept for: configured ones first, then those that were
    /// proven longest, reached ones before others. At most `count`.
    #[must_use]
    pub fn kept(&self, count: usize, prefer_ipv6: bool) -> Vec<(Key, &Entry)> {
        let mut peers: Vec<(Key, &Entry)> = self
            .ring(prefer_ipv6)
            .into_iter()
            .filter(|(key, entry)| entry.is_proven() || self.configured.contains(key))
            .collect();
        peers.sort_by_key(|(key, entry)| {
            let configured = self.configured.contains(key);
            let since = entry.proven_since.unwrap_or(Millis::MAX);
            (!configured, Reverse(entry.trust), since, *key)
        });
        peers.truncate(count);
        peers
    }

    /// Those who may be named to `requester`: proven ones if there are any, and with a usable IPv4
    /// address unless the requester is `ipv6_only`, because a node of the reference that is set to
    /// IPv4 dies of the other kind, and may have IPv6 addresses nevertheless.
    #[must_use]
    pub fn candidates(&self, requester: &[u8], ipv6_only: bool) -> Vec<(Key, &Entry)> {
        let fit = |(key, entry): &(&Key, &Entry)| {
            key.as_slice() != requester && (ipv6_only || entry.has_usable_ipv4())
        };
        let mut all: Vec<(Key, &Entry)> = self
            .entries
            .iter()
            .filter(fit)
            .map(|(key, entry)| (*key, entry))
            .collect();
        if all.iter().any(|(_, entry)| entry.is_proven()) {
            all.retain(|(_, entry)| entry.is_proven());
        }
        all
    }

    /// Entries that wait for a proof at `now`, and the earliest moment at which more will.
    #[must_use]
    pub fn to_probe(&self, now: Millis, prefer_ipv6: bool) -> (Vec<(Key, &Entry)>, Option<Millis>) {
        let waiting = self.entries.iter().filter(|(_, entry)| {
            entry.needs_probe()
                && FirstOfEach::of(&entry.listeners)
                    .to_dial(prefer_ipv6)
                    .is_some()
        });
        let mut due = Vec::new();
        let mut later: Option<Millis> = None;
        for (key, entry) in waiting {
            if entry.probe_due <= now {
                due.push((*key, entry));
            } else {
                later = Some(later.map_or(entry.probe_due, |at| at.min(entry.probe_due)));
            }
        }
        (due, later)
    }
}

/// Whether a packed list holds `address`, in either of its forms.
fn lists(packed: &[u8], address: &Connection) -> bool {
    connection::list(packed)
        .any(|listed| (listed.ip(), listed.port()) == (address.ip(), address.port()))
}
