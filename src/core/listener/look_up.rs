//! Answers to `B` and `H` from the confirmed state (`proto/peer.md`, section 2). Reading only, so
//! any thread may do it on any view. A fault of the store looks like a block that is not there.

use super::Reply;
use crate::core::chain::Chain;
use crate::core::ledger::read;
use crate::core::state::View;

/// The answer to `B`. The first block is not stored, so 0 and 1 are not found.
#[must_use]
pub fn block(view: &dyn View, number: u64) -> Reply {
    match read::block(view, number) {
        Ok(Some(packed)) => Reply::block(packed),
        _ => Reply::block_not_found(),
    }
}

/// The answer to `H`. 0 and 1 both give the digest of the chain's first block.
#[must_use]
pub fn digest(chain: &Chain, view: &dyn View, number: u64) -> Reply {
    if number <= 1 {
        return Reply::digest(&chain.genesis_digest);
    }
    match read::digest(view, number) {
        Ok(Some(digest)) => Reply::digest(&digest),
        _ => Reply::block_not_found(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::chain::{BITMARK, LOCAL, TESTING};
    use crate::core::state::MemoryStore;

    #[test]
    fn an_empty_node_knows_the_first_digest_and_no_block() {
        let store = MemoryStore::new();
        for number in [0, 1, 2, u64::MAX] {
            assert_eq!(block(&store, number), Reply::block_not_found());
        }
        for number in [0, 1] {
            let first = Reply::digest(&BITMARK.genesis_digest);
            assert_eq!(digest(&BITMARK, &store, number), first);
        }
        assert_eq!(digest(&LOCAL, &store, 1), digest(&TESTING, &store, 0));
        for number in [2, u64::MAX] {
            assert_eq!(digest(&LOCAL, &store, number), Reply::block_not_found());
        }
    }
}
