//! A block that comes off leaves the confirmed pools as they were before it went in.

use bitmarkd::core::block::DigestMemory;
use bitmarkd::core::chain::DEVNET;
use bitmarkd::core::ledger::Ledger;
use bitmarkd::core::state::MemoryStore;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::node::{Pools, confirmed};
use crate::tree::{Branch, WALL};

#[test]
fn the_confirmed_pools_before_a_block_and_after_its_undo_are_identical() {
    let mut memory = DigestMemory::new();
    for seed in 0..12 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut branch = Branch::new();
        branch.grow(10, &mut rng, &mut memory);
        let mut store = MemoryStore::new();
        let mut ledger = Ledger::empty(&DEVNET);
        // The pools at every height, and the ledger's own memory with them.
        let mut before: Vec<(Pools, String)> = Vec::new();
        let mut number = 1;
        let mut steps = 0;
        while number < branch.height() || steps < 60 {
            steps += 1;
            let goes_down = number > 1 && (number == branch.height() || rng.gen_bool(0.4));
            if goes_down && steps < 60 {
                let undone = ledger.undo_top(&store).expect("the top comes off");
                store.apply(&undone.batch);
                assert_eq!(undone.number, number);
                number -= 1;
                let (pools, memory) = before.pop().expect("it was seen before");
                assert_eq!(confirmed(&store), pools, "seed {seed}, height {number}");
                assert_eq!(format!("{ledger:?}"), memory, "seed {seed}");
            } else if number < branch.height() {
                before.push((confirmed(&store), format!("{ledger:?}")));
                number += 1;
                let block = branch.block(number).expect("it was mined");
                let mut trusting = ledger.clone();
                let applied = ledger.apply(&store, &block.packed, block.digest, WALL);
                let applied = applied.unwrap_or_else(|e| panic!("seed {seed}, {number}: {e}"));
                // Where all signatures are known to be good, the same follows.
                let all = |_: &_, _: &_, _: &[u8]| true;
                let same = trusting
                    .apply_known(&store, &block.packed, block.digest, WALL, &all)
                    .expect("it is good");
                assert_eq!(format!("{same:?}"), format!("{applied:?}"));
                store.apply(&applied.batch);
            }
        }
        let loaded = Ledger::load(&DEVNET, &store).expect("the store is whole");
        assert_eq!(format!("{loaded:?}"), format!("{ledger:?}"));
    }
}
