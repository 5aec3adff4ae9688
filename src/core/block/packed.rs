//! A block as bytes: header, records, nothing between (`proto/blocks.md`, sections 2 and 6), and
//! the id under which a block is owned.

use sha3::{Digest as _, Sha3_256};

use crate::core::id::{BlockDigest, TxId};

/// The id under which a block can be owned and transferred: SHA3-256 of the digest and the number,
/// eight bytes little endian. It is not the id of the foundation record.
#[must_use]
pub fn foundation_id(digest: &BlockDigest, number: u64) -> TxId {
    let hash = Sha3_256::new()
        .chain_update(digest.0)
        .chain_update(number.to_le_bytes());
    TxId(hash.finalize().into())
}
