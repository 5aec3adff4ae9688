//! What the pools may hold (`proto/reservoir.md`, sections 17 and 19): records, bytes, assets,
//! sets of an owner, orphan payments, and a share of all that for one source.
//!
//! At a bound the newcomer is refused; only orphan payments and assets that no set uses make
//! room. Records that this node had verified come back from blocks that are taken off beyond the
//! bounds, with what they need: at most twice as many again as may be pending. Nothing here knows a record.

use std::collections::BTreeMap;

/// Who brought something: nobody but this node and its clients, or the peer of this number.
pub type Source = Option<u64>;

/// The bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Unconfirmed records, pending and verified.
    pub pending_records: usize,
    /// Bytes of them and of the cached assets.
    pub pending_bytes: usize,
    /// How much of both, and of the assets, one peer may fill.
    pub peer_share_percent: usize,
    /// Issue sets of one owner.
    pub sets_per_owner: usize,
    /// Assets that are not confirmed.
    pub assets: usize,
    /// Payments whose records have not come.
    pub orphan_payments: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            pending_records: 200_000,
            pending_bytes: 256 << 20,
            peer_share_percent: 25,
            sets_per_owner: 1_000,
            assets: 50_000,
            orphan_payments: 10_000,
        }
    }
}

/// What something takes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Room {
    /// Records in sets.
    pub records: usize,
    /// Bytes of records and assets.
    pub bytes: usize,
    /// Assets.
    pub assets: usize,
}

impl Room {
    fn add(&mut self, other: Self) {
        self.records += other.records;
        self.bytes += other.bytes;
        self.assets += other.assets;
    }

    fn remove(&mut self, other: Self) {
        self.records -= other.records;
        self.bytes -= other.bytes;
        self.assets -= other.assets;
    }

    const fn fits(self, more: Self, bound: Self) -> bool {
        (more.records == 0 || self.records + more.records <= bound.records)
            && (more.bytes == 0 || self.bytes + more.bytes <= bound.bytes)
            && (more.assets == 0 || self.assets + more.assets <= bound.assets)
    }
}

impl Caps {
    const fn whole(&self) -> Room {
        Room {
            records: self.pending_records,
            bytes: self.pending_bytes,
            assets: self.assets,
        }
    }

    const fn share(&self) -> Room {
        Room {
            records: share(self.pending_records, self.peer_share_percent),
            bytes: share(self.pending_bytes, self.peer_share_percent),
            assets: share(self.assets, self.peer_share_percent),
        }
    }
}

const fn share(whole: usize, percent: usize) -> usize {
    whole / 100 * percent + whole % 100 * percent / 100
}

/// What is taken up, in all and by each peer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage {
    total: Room,
    by_peer: BTreeMap<u64, Room>,
}

/// Where there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    /// In the share of the peer.
    Share,
    /// At all.
    Whole,
}

impl Usage {
    /// Takes up room.
    pub fn add(&mut self, source: Source, room: Room) {
        self.total.add(room);
        if let Some(peer) = source {
            self.by_peer.entry(peer).or_default().add(room);
        }
    }

    /// Gives back what was taken up.
    pub fn remove(&mut self, source: Source, room: Room) {
        self.total.remove(room);
        if let Some(peer) = source {
            let left = self.by_peer.entry(peer).or_default();
            left.remove(room);
            if *left == Room::default() {
                self.by_peer.remove(&peer);
            }
        }
    }

    /// What it is for one source, to try out what giving something back would do.
    #[must_use]
    pub fn of(&self, source: Source) -> Trial {
        let own = source.map(|peer| self.by_peer.get(&peer).copied().unwrap_or_default());
        Trial {
            total: self.total,
            own,
        }
    }

    /// The peer that has brought most of the assets that are here.
    #[must_use]
    pub fn most_assets(&self) -> Option<u64> {
        let peers = self.by_peer.iter();
        let most = peers.max_by_key(|(_, room)| room.assets);
        most.filter(|(_, room)| room.assets > 0)
            .map(|(peer, _)| *peer)
    }

    /// All that is taken up.
    #[must_use]
    pub const fn total(&self) -> Room {
        self.total
    }
}

/// What is taken up in all, and of that by one peer.
#[derive(Debug, Clone, Copy)]
pub struct Trial {
    total: Room,
    own: Option<Room>,
}

impl Trial {
    /// Gives something back; `is_own` if it is the peer's.
    pub fn give_back(&mut self, room: Room, is_own: bool) {
        self.total.remove(room);
        if let Some(own) = self.own.as_mut().filter(|_| is_own) {
            own.remove(room);
        }
    }

    /// Whether this much more fits.
    ///
    /// # Errors
    /// Where it does not.
    pub fn fits(&self, caps: &Caps, more: Room) -> Result<(), NoRoom> {
        if self.own.is_some_and(|own| !own.fits(more, caps.share())) {
            Err(NoRoom::Share)
        } else if self.total.fits(more, caps.whole()) {
            Ok(())
        } else {
            Err(NoRoom::Whole)
        }
    }
}
