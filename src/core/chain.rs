//! The parameters that make one network differ from another (`proto/blocks.md`, section 1) and the
//! constants of the rule set all of them follow today (v8.2; `proto/versions.md`, section 5, names
//! what a later rule set changes).
//!
//! A chain is one value; nothing asks for its name to decide a rule. This file computes nothing.

use thiserror::Error;

use super::block::difficulty::Compact;
use super::block::digest::DigestParams;
use super::block::genesis;
use super::id::BlockDigest;
use super::time::Millis;

/// A name that no chain has (`proto/peer.md`: what a request with it is answered).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("invalid chain")]
pub struct InvalidChain;

/// One network.
#[derive(Debug, PartialEq)]
pub struct Chain {
    /// The name on the wire: exact, case-sensitive.
    pub name: &'static str,
    /// Whether accounts and addresses are those of test networks.
    pub testing: bool,
    /// The first block, packed. It is never stored and never sent.
    pub genesis: &'static [u8],
    /// Its digest.
    pub genesis_digest: BlockDigest,
    /// Its check value, the pay nonce of an empty chain.
    pub genesis_crc: u64,
    /// Its time stamp.
    pub genesis_timestamp: u64,
    /// How expensive a block digest is.
    pub digest: DigestParams,
    /// Reciprocal of the difficulty of the proof for a single issue, before the factor.
    pub issue_base: f64,
    /// The reference's wait between two block candidates.
    pub work_interval_ms: Millis,
    /// Where `nodes = "chain"` looks for TXT records, if the chain has such a place.
    pub dns_domain: Option<&'static str>,
    /// Whether an operator may say that a payment was seen: on private networks alone.
    pub simulated_payments: bool,
    /// What holds on every chain of the rule set.
    pub rules: Rules,
}

/// Constants of a rule set.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// Version of the blocks made here.
    pub block_version_made: u16,
    /// Lowest version accepted.
    pub block_version_min: u16,
    /// Highest version accepted.
    pub block_version_max: u16,
    /// Lowest number of a block that is not genesis.
    pub block_number_min: u64,
    /// Fewest records in a block.
    pub transactions_min: u16,
    /// Most records in a block.
    pub transactions_max: u16,
    /// How far ahead of the clock a header may be dated, in seconds.
    pub ahead_of_clock_s: u64,
    /// How far behind its parent a header may be dated: (from this version on, seconds),
    /// ascending; a version below the first entry may not step back.
    pub back_step_s: &'static [(u16, u64)],
    /// From this header version on a block may not repeat a stored asset or issue.
    pub repeats_refused_from_version: u16,
    /// The difficulty in force.
    pub difficulty: Compact,
    /// Accepted around it: one part in so many to either side.
    pub difficulty_tolerance: u64,
    /// Slots of the ring of recent blocks.
    pub ring_slots: usize,
    /// How many of them, newest first, a proof is tried with.
    pub ring_candidates: usize,
    /// A fork may take off fewer blocks than this.
    pub fork_protection: u64,
    /// Factor on the issue difficulty: (for at most so many issues, factor), ascending; the last
    /// one holds for all above.
    pub issue_factors: &'static [(usize, f64)],
    /// Most issues in one set.
    pub issues_max: usize,
    /// Nonce of every foundation record made here.
    pub foundation_nonce: u64,
    /// Version of the payment map in a foundation record made here.
    pub foundation_version: u64,
    /// Peers refuse a longer message.
    pub message_bytes_max: usize,
    /// Longest block made here: below the message limit, with room for the frames around it.
    pub block_bytes_made_max: usize,
}

impl Rules {
    /// How many seconds before its parent a header of this version may be dated
    /// (`proto/blocks.md`, section 8.1 step 4).
    #[must_use]
    pub fn back_step(&self, version: u16) -> u64 {
        self.back_step_s
            .iter()
            .rev()
            .find(|(from, _)| version >= *from)
            .map_or(0, |(_, seconds)| *seconds)
    }

    /// The factor for a set of `count` issues (`proto/blocks.md`, section 4.2).
    #[must_use]
    pub fn issue_factor(&self, count: usize) -> f64 {
        self.issue_factors
            .iter()
            .find(|(upto, _)| count <= *upto)
            .or(self.issue_factors.last())
            .map_or(1.0, |(_, factor)| *factor)
    }
}

/// The rule set of v8.2.
const V8_2: Rules = Rules {
    block_version_made: 2,
    block_version_min: 1,
    block_version_max: u16::MAX,
    block_number_min: 2,
    transactions_min: 2,
    transactions_max: 10_000,
    ahead_of_clock_s: 300,
    back_step_s: &[(1, 14_400), (2, 600), (3, 0)],
    repeats_refused_from_version: 2,
    difficulty: Compact::ONE,
    difficulty_tolerance: 10,
    ring_slots: 20,
    ring_candidates: 19,
    fork_protection: 60,
    issue_factors: &[(1, 1.00), (10, 0.95), (50, 0.90), (usize::MAX, 0.85)],
    issues_max: 100,
    foundation_nonce: 1234,
    foundation_version: 1,
    message_bytes_max: 5_000_000,
    block_bytes_made_max: 4_900_000,
};

/// The live network.
pub static BITMARK: Chain = Chain {
    name: "bitmark",
    testing: false,
    genesis: genesis::LIVE,
    genesis_digest: genesis::LIVE_DIGEST,
    genesis_crc: genesis::LIVE_CRC,
    genesis_timestamp: 1_451_268_791,
    digest: DigestParams::REFERENCE,
    issue_base: 2048.0,
    work_interval_ms: 60_000,
    dns_domain: Some("nodes.live.bitmark.com"),
    simulated_payments: false,
    rules: V8_2,
};

/// The public test network.
pub static TESTING: Chain = Chain {
    name: "testing",
    testing: true,
    genesis: genesis::TEST,
    genesis_digest: genesis::TEST_DIGEST,
    genesis_crc: genesis::TEST_CRC,
    genesis_timestamp: 1_417_167_435,
    digest: DigestParams::REFERENCE,
    issue_base: 256.0,
    work_interval_ms: 15_000,
    dns_domain: Some("nodes.test.bitmark.com"),
    simulated_payments: false,
    rules: V8_2,
};

/// A private network with the rules of the public test network.
pub static LOCAL: Chain = Chain {
    name: "local",
    testing: true,
    genesis: genesis::TEST,
    genesis_digest: genesis::TEST_DIGEST,
    genesis_crc: genesis::TEST_CRC,
    genesis_timestamp: 1_417_167_435,
    digest: DigestParams::REFERENCE,
    issue_base: 256.0,
    work_interval_ms: 15_000,
    dns_domain: Some("nodes.localdomain"),
    simulated_payments: true,
    rules: V8_2,
};

/// Ours: the rules of `local` with a cheap block digest.
pub static DEVNET: Chain = Chain {
    name: "devnet",
    testing: true,
    genesis: genesis::DEVNET,
    genesis_digest: genesis::DEVNET_DIGEST,
    genesis_crc: genesis::DEVNET_CRC,
    genesis_timestamp: genesis::DEVNET_TIMESTAMP,
    digest: DigestParams::DEVNET,
    issue_base: 256.0,
    work_interval_ms: 1_000,
    dns_domain: None,
    simulated_payments: true,
    rules: V8_2,
};

impl Chain {
    /// Every chain: the reference's three, then ours.
    pub const ALL: [&'static Self; 4] = [&BITMARK, &TESTING, &LOCAL, &DEVNET];

    /// The chain of this exact name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        Self::ALL.into_iter().find(|chain| chain.name == name)
    }

    /// The chain of this exact name, or the error that the wire shows.
    ///
    /// # Errors
    /// [`InvalidChain`].
    pub fn named(name: &str) -> Result<&'static Self, InvalidChain> {
        Self::by_name(name).ok_or(InvalidChain)
    }
}
