//! Base58 text with and without a check value (`proto/records.md`, sections 4.2 and 4.3).
//!
//! Decoding takes time that grows with the square of the length, so the length is bounded first.

use sha3::{Digest as _, Sha3_256};

/// Longest text that is decoded; the longest of the protocol, a private key, has about 100.
pub const MAX_TEXT: usize = 256;

const CHECK_SIZE: usize = 4;

/// The text of `bytes`.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    bs58::encode(bytes).into_string()
}

/// The bytes of a text; empty when any of it is not of the alphabet, or when it is too long.
#[must_use]
pub fn decode(text: &[u8]) -> Vec<u8> {
    if text.len() > MAX_TEXT {
        return Vec::new();
    }
    bs58::decode(text).into_vec().unwrap_or_default()
}

fn check_value(bytes: &[u8]) -> [u8; CHECK_SIZE] {
    let hash: [u8; 32] = Sha3_256::digest(bytes).into();
    let [a, b, c, d, ..] = hash;
    [a, b, c, d]
}

/// The text of `bytes` followed by the first four bytes of their SHA3-256.
#[must_use]
pub fn encode_checked(bytes: &[u8]) -> String {
    encode(&[bytes, &check_value(bytes)].concat())
}

/// Splits decoded bytes into what they hold and whether the check value agrees. The payload is
/// empty where there are too few bytes.
#[must_use]
pub fn split_checked(decoded: &[u8]) -> (&[u8], bool) {
    decoded
        .split_last_chunk::<CHECK_SIZE>()
        .map_or((&[], false), |(payload, check)| {
            (payload, check_value(payload) == *check)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_any_length_is_refused_in_no_time() {
        assert!(decode(&vec![b'z'; 1_000_000]).is_empty());
        assert!(decode("été".as_bytes()).is_empty());
    }
}
