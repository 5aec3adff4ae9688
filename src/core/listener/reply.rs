//! Replies, byte for byte (`proto/peer.md`, section 2).

use serde::Serialize;

use crate::core::announce::Candidate;
use crate::core::chain::Chain;
use crate::core::id::BlockDigest;
use crate::core::overlay::mempool;
use crate::core::wire::quote::quote;

/// The body of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply(Vec<Vec<u8>>);

/// What `I` tells, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Info<'a> {
    /// A text fixed when the program is built.
    pub version: &'a str,
    /// The chain's name.
    pub chain: &'a str,
    /// Whether the mode is Normal.
    pub normal: bool,
    /// The height.
    pub height: u64,
}

impl Reply {
    fn two(first: &[u8], second: Vec<u8>) -> Self {
        Self(vec![first.to_vec(), second])
    }

    /// `E` and a text.
    #[must_use]
    pub fn error(text: impl Into<String>) -> Self {
        Self::two(b"E", text.into().into_bytes())
    }

    /// Whether it is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        // An acknowledgement has two frames too, and the second is `A`: an unknown command `E` is
        // acknowledged with `E` and `A`.
        matches!(self.0.as_slice(), [first, second] if first == b"E" && second != b"A")
    }

    /// The error for another chain's name. A long one is cut short: quoting costs, and the quotes
    /// make a name up to four times as long.
    #[must_use]
    pub fn wrong_chain(actual: &[u8], chain: &Chain) -> Self {
        const MOST: usize = 4096;
        let actual = actual.get(..MOST).unwrap_or(actual);
        Self::error(format!(
            "invalid chain: actual: {}  expect: {}",
            quote(actual),
            chain.name
        ))
    }

    /// The error for a block that is not there.
    #[must_use]
    pub fn block_not_found() -> Self {
        Self::error("block not found")
    }

    /// The command and `A`.
    #[must_use]
    pub fn acknowledge(command: &[u8]) -> Self {
        Self::two(command, b"A".to_vec())
    }

    /// A message of the shared mempool (`proto/mempool.md`, section 4.4).
    #[must_use]
    pub fn shared(payload: Vec<u8>) -> Self {
        Self::two(mempool::COMMAND.as_bytes(), payload)
    }

    /// `I`
    #[must_use]
    pub fn info(info: &Info<'_>) -> Self {
        Self::two(b"I", serde_json::to_vec(info).unwrap_or_default())
    }

    /// `N`
    #[must_use]
    pub fn height(height: u64) -> Self {
        Self::two(b"N", height.to_be_bytes().to_vec())
    }

    /// `B`
    #[must_use]
    pub fn block(packed: Vec<u8>) -> Self {
        Self::two(b"B", packed)
    }

    /// `H`
    #[must_use]
    pub fn digest(digest: &BlockDigest) -> Self {
        Self::two(b"H", digest.0.to_vec())
    }

    /// `R`
    #[must_use]
    pub fn registered(chain: &Chain, other: &Candidate) -> Self {
        Self(vec![
            b"R".to_vec(),
            chain.name.as_bytes().to_vec(),
            other.key.to_vec(),
            other.listeners.clone(),
            other.timestamp.to_be_bytes().to_vec(),
        ])
    }

    /// Its frames.
    #[must_use]
    pub fn frames(&self) -> &[Vec<u8>] {
        &self.0
    }

    /// Its frames.
    #[must_use]
    pub fn into_frames(self) -> Vec<Vec<u8>> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::chain::LOCAL;

    #[test]
    fn an_error_is_told_from_the_acknowledgement_of_a_command_with_its_name() {
        assert!(Reply::block_not_found().is_error());
        assert!(Reply::wrong_chain(b"x", &LOCAL).is_error());
        assert!(!Reply::acknowledge(b"E").is_error());
        assert!(!Reply::height(7).is_error());
    }

    #[test]
    fn a_chain_name_of_any_length_gets_a_short_reply() {
        for byte in [0, b'"', b'x', 0xff] {
            let reply = Reply::wrong_chain(&vec![byte; 5_000_000], &LOCAL);
            let text = reply.frames()[1].as_slice();
            assert!(text.len() <= 20_000);
            assert!(text.ends_with(b"\"  expect: local"));
        }
    }

    #[test]
    fn information_has_its_members_in_order_and_no_blanks() {
        let reply = Reply::info(&Info {
            version: "zero",
            chain: "local",
            normal: false,
            height: 1,
        });
        let text = r#"{"version":"zero","chain":"local","normal":false,"height":1}"#;
        assert_eq!(
            reply.into_frames(),
            [b"I".to_vec(), text.as_bytes().to_vec()]
        );
    }
}
