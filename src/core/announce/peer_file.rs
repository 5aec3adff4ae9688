//! The peers known at the last stop, as text (`proto/peer.md`, section 6.5): a JSON array of hex
//! strings, each holding key, listeners and time.
//!
//! The form is the reference's, and what it writes is read, which it cannot do itself. An entry
//! that is of no use is passed over; a text that is no array at all gives nothing. At most
//! [`ENTRIES_MAX`] entries are looked at. Files are read and written by a shell.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use thiserror::Error;

use super::peers::{CAPACITY, Key, PeerTable, check_addresses};
use crate::core::time::UnixSeconds;
use crate::core::wire::connection::whole_part;
use crate::core::wire::cursor::Cursor;
use crate::core::wire::varint;

/// Most entries of a file that are looked at.
pub const ENTRIES_MAX: usize = 2 * CAPACITY;
/// A table with fewer entries, the own one included, is not worth a file.
const ENTRIES_MIN: usize = 3;

/// Why an entry is of no use.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EntryError {
    /// Not hex.
    #[error("{0}")]
    Hex(String),
    /// The key has not 32 bytes, or is cut short.
    #[error("not public key")]
    NotAKey,
    /// No whole, usable address, or cut short.
    #[error("invalid IP Address")]
    InvalidAddresses,
    /// The time is cut short.
    #[error("invalid timestamp")]
    InvalidTimestamp,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The peer.
    pub key: Key,
    /// Its packed listeners, whole records alone.
    pub listeners: Vec<u8>,
    /// Its time.
    pub timestamp: UnixSeconds,
}

impl Item {
    /// Reads one string of the array. What follows the whole records of the listeners is dropped.
    ///
    /// # Errors
    /// The first fault.
    pub fn parse(text: &str) -> Result<Self, EntryError> {
        let bytes = decode_hex(text)?;
        let mut cursor = Cursor::new(&bytes);
        let mut field = |error: EntryError| {
            let length = cursor.varint().and_then(|n| usize::try_from(n).ok());
            length.and_then(|n| cursor.take(n)).ok_or(error)
        };
        let key = field(EntryError::NotAKey)?;
        let key: Key = key.try_into().map_err(|_| EntryError::NotAKey)?;
        let listeners = field(EntryError::InvalidAddresses)?;
        let timestamp = cursor.varint().ok_or(EntryError::InvalidTimestamp)?;
        let listeners = whole_part(listeners).to_vec();
        check_addresses(&listeners, super::peers::LISTENERS_LIMIT)
            .map_err(|_| EntryError::InvalidAddresses)?;
        Ok(Self {
            key,
            listeners,
            timestamp,
        })
    }
}

/// One string of the array.
#[must_use]
pub fn pack(key: &[u8], listeners: &[u8], timestamp: UnixSeconds) -> String {
    let mut bytes = Vec::new();
    for field in [key, listeners] {
        varint::pack_into(field.len() as u64, &mut bytes);
        bytes.extend_from_slice(field);
    }
    varint::pack_into(timestamp, &mut bytes);
    hex::encode(bytes)
}

/// The whole text, this node and the proven peers in the order of their keys; nothing when there
/// are not more than two.
#[must_use]
pub fn write(own: &Key, listeners: &[u8], now: UnixSeconds, peers: &PeerTable) -> Option<String> {
    let own_item = (own, listeners, now);
    let mut items: Vec<(&Key, &[u8], UnixSeconds)> = peers
        .iter()
        .filter(|(_, entry)| entry.is_proven())
        .map(|(key, entry)| (key, entry.to_dial(), entry.time()))
        .chain([own_item])
        .collect();
    if items.len() < ENTRIES_MIN {
        return None;
    }
    items.sort();
    Some(array(
        items
            .iter()
            .map(|(key, listeners, time)| pack(*key, listeners, *time)),
    ))
}

/// A text for a file, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The text.
    pub text: String,
    /// How many entries there are.
    pub kept: usize,
    /// How many peers found no room.
    pub left_out: usize,
}

/// The text of two lists in the order of their keys, the latest entry of each key alone, at most
/// [`ENTRIES_MAX`]: first the peers of `ours`, then the newest of the others.
#[must_use]
pub fn merge(ours: Vec<Item>, theirs: Vec<Item>) -> Merged {
    let is_ours: BTreeSet<Key> = ours.iter().map(|item| item.key).collect();
    let mut items = [ours, theirs].concat();
    items.sort_by(|a, b| (a.key, b.timestamp).cmp(&(b.key, a.timestamp)));
    items.dedup_by_key(|item| item.key);
    let all = items.len();
    items.sort_by_key(|item| (!is_ours.contains(&item.key), Reverse(item.timestamp)));
    items.truncate(ENTRIES_MAX);
    items.sort_by_key(|item| item.key);
    let texts = items
        .iter()
        .map(|item| pack(&item.key, &item.listeners, item.timestamp));
    Merged {
        text: array(texts),
        kept: items.len(),
        left_out: all - items.len(),
    }
}

fn array(texts: impl Iterator<Item = String>) -> String {
    let texts: Vec<String> = texts.map(|text| format!("\"{text}\"")).collect();
    format!("[{}]\n", texts.join(","))
}

/// What a file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The entries that are of use.
    pub items: Vec<Item>,
    /// The faults of the others.
    pub faults: Vec<EntryError>,
    /// How many stand behind the first [`ENTRIES_MAX`], which nobody looks at.
    pub beyond: usize,
}

/// What a file says; nothing if it is no array.
#[must_use]
pub fn contents(text: &str) -> Option<Contents> {
    let texts: Vec<serde_json::Value> = serde_json::from_str(text).ok()?;
    let mut items = Vec::new();
    let mut faults = Vec::new();
    for text in texts.iter().take(ENTRIES_MAX) {
        match Item::parse(text.as_str().unwrap_or_default()) {
            Ok(item) => items.push(item),
            Err(fault) => faults.push(fault),
        }
    }
    Some(Contents {
        items,
        faults,
        beyond: texts.len().saturating_sub(ENTRIES_MAX),
    })
}

/// The entries of a file that are of use, and the faults of the others.
#[must_use]
pub fn read(text: &str) -> (Vec<Item>, Vec<EntryError>) {
    contents(text).map_or_else(Default::default, |all| (all.items, all.faults))
}

/// Hex with the error texts that the notes give.
fn decode_hex(text: &str) -> Result<Vec<u8>, EntryError> {
    hex::decode(text).map_err(|error| {
        EntryError::Hex(match text.chars().find(|c| !c.is_ascii_hexdigit()) {
            Some(c) => format!("encoding/hex: invalid byte: U+{:04X} '{c}'", u32::from(c)),
            None if text.len() % 2 == 1 => "encoding/hex: odd length hex string".to_owned(),
            None => error.to_string(),
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::announce::Timing;
    use crate::core::announce::peers::{News, Trust};
    use crate::core::time::Now;
    use crate::core::wire::connection::Connection;

    fn listeners() -> Vec<u8> {
        Connection::from_text("10.0.0.1:2136").unwrap().pack()
    }

    #[test]
    fn this_node_and_the_proven_peers_are_written_and_read_back() {
        let now = Now {
            mono: 0,
            wall: 1_800_000_000,
        };
        let mut table = PeerTable::new([5; 32], BTreeSet::new());
        for (first, trust) in [(1, Trust::Reached), (2, Trust::Heard), (3, Trust::Reached)] {
            assert_eq!(write(&[5; 32], &listeners(), now.wall, &table), None);
            let news = News {
                key: &[first; 32],
                listeners: &listeners(),
                timestamp: 0,
                source: 1,
                trust,
            };
            table.add(now, &Timing::default(), news).unwrap();
        }
        let text = write(&[5; 32], &listeners(), now.wall, &table).unwrap();
        let (items, faults) = read(&text);
        let keys: Vec<u8> = items.iter().map(|item| item.key[0]).collect();
        assert_eq!(keys, [1, 3, 5]);
        assert!(faults.is_empty());
        assert!(items.iter().all(|item| item.listeners == listeners()));
        assert!(items.iter().all(|item| item.timestamp == now.wall));
    }

    #[test]
    fn bad_entries_are_passed_over() {
        let good = pack(&[1; 32], &listeners(), 7);
        let text = format!("[\"zz\", 5, \"\", \"{good}\", \"20\"]");
        let (items, faults) = read(&text);
        assert_eq!(items.len(), 1);
        assert_eq!(faults.len(), 4);
        assert_eq!(read("nothing").0, []);
    }

    fn item(number: u16, timestamp: u64) -> Item {
        let mut key = [0; 32];
        key[..2].copy_from_slice(&number.to_be_bytes());
        Item {
            key,
            listeners: listeners(),
            timestamp,
        }
    }

    #[test]
    fn of_several_entries_of_a_peer_the_latest_is_written() {
        let ours = vec![item(2, 5), item(1, 7)];
        let merged = merge(ours, vec![item(2, 9), item(2, 8)]);
        assert_eq!(
            read(&merged.text),
            (vec![item(1, 7), item(2, 9)], Vec::new())
        );
        assert_eq!((merged.kept, merged.left_out), (2, 0));
        assert_eq!(merge(Vec::new(), Vec::new()).text, "[]\n");
    }

    #[test]
    fn where_there_is_no_room_for_all_ours_stay_and_the_oldest_of_the_others_fall_out() {
        let most = u16::try_from(ENTRIES_MAX).unwrap();
        let theirs = (0..most).map(|number| item(number, 100 + u64::from(number)));
        let ours = vec![item(u16::MAX, 1), item(u16::MAX - 1, 2)];
        let merged = merge(ours.clone(), theirs.collect());
        assert_eq!((merged.kept, merged.left_out), (ENTRIES_MAX, 2));
        let (items, _) = read(&merged.text);
        assert_eq!(items[0], item(2, 102));
        assert!(ours.iter().all(|item| items.contains(item)));
    }

    #[test]
    fn what_is_no_array_is_no_file_and_entries_beyond_the_most_are_counted() {
        assert_eq!(contents("{}"), None);
        assert_eq!(contents(""), None);
        let text = format!("[{}0]", "0,".repeat(ENTRIES_MAX + 2));
        let contents = contents(&text).unwrap();
        assert_eq!((contents.faults.len(), contents.beyond), (ENTRIES_MAX, 3));
    }

    #[test]
    fn a_byte_of_padding_after_the_listeners_is_dropped() {
        let padded = [listeners(), vec![0]].concat();
        let item = Item::parse(&pack(&[1; 32], &padded, 7)).unwrap();
        assert_eq!(item.listeners, listeners());
    }

    proptest! {
        #[test]
        fn any_entry_is_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let mut text = hex::encode(&bytes);
            let _ = Item::parse(&text);
            text.insert_str(0, "20");
            let _ = Item::parse(&text);
        }
    }
}
