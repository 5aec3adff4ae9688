//! Our own encoding for what only this node reads: a version byte, then bincode. Nothing else
//! names bincode; messages and the reference's pools have fixed layouts of their own.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Largest value that is read.
const LIMIT: usize = 64 << 20;

/// The bytes of a value under a version.
#[must_use]
pub fn encode(version: u8, value: &impl Serialize) -> Vec<u8> {
    let mut out = vec![version];
    let config = bincode::config::standard();
    // Nothing that is encoded here can fail: plain structs of numbers and bytes.
    out.extend(bincode::serde::encode_to_vec(value, config).unwrap_or_default());
    out
}

/// Reads a value of this version; nothing when it is of another, or damaged.
#[must_use]
pub fn decode<T: DeserializeOwned>(version: u8, bytes: &[u8]) -> Option<T> {
    let (first, rest) = bytes.split_first()?;
    if *first != version {
        return None;
    }
    let config = bincode::config::standard().with_limit::<LIMIT>();
    let (value, used) = bincode::serde::decode_from_slice(rest, config).ok()?;
    (used == rest.len()).then_some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_read_back(value: (u64, Vec<Vec<u8>>, Option<String>)) {
            prop_assert_eq!(decode(3, &encode(3, &value)), Some(value));
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes: Vec<u8>) {
            let _: Option<(u64, Vec<Vec<u8>>)> = decode(1, &bytes);
        }
    }

    proptest! {
        #[test]
        fn bytes_in_one_piece_are_written_as_bytes_one_by_one(bytes: Vec<u8>) {
            prop_assert_eq!(encode(1, &serde_bytes::Bytes::new(&bytes)), encode(1, &bytes));
        }
    }

    #[test]
    fn another_version_is_not_read() {
        assert_eq!(decode::<u64>(2, &encode(1, &7_u64)), None);
    }
}
