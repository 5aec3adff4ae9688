//! Nodes that are shown several branches: by peers on different ones, by news out of order, twice,
//! with gaps. The longest wins, and nothing of the others is left.

use bitmarkd::core::block::DigestMemory;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::node::{Node, Peer, Pools, confirmed};
use crate::tree::{Branch, forest};

fn honest(branch: &Branch) -> Peer {
    Peer {
        branch: branch.clone(),
        height: branch.height(),
        silence: 0.0,
    }
}

/// The pools of a node that sees nothing but this branch.
fn pools_of(branch: &Branch) -> Pools {
    let mut node = Node::new(vec![honest(branch)], 0);
    node.pass(60_000);
    assert_eq!(node.tip(), (branch.height(), branch.tip()));
    assert_eq!(node.switches, 0);
    confirmed(&node.store)
}

#[test]
fn any_delivery_of_a_chain_with_forks_ends_with_the_pools_of_its_longest_branch() {
    let mut memory = DigestMemory::new();
    let (mut switches, mut by_news) = (0, 0);
    for seed in 0..24 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let branches = forest(&mut rng, &mut memory);
        let winner = &branches[0];
        let expected = pools_of(winner);
        let peers = (0..3)
            .map(|_| {
                let branch = branches.choose(&mut rng).expect("there is one");
                Peer {
                    height: 1,
                    branch: branch.clone(),
                    silence: 0.05,
                }
            })
            .collect();
        let mut node = Node::new(peers, seed);
        for round in 0..30 {
            // The branches grow side by side: the lead changes.
            let frontier = 2 + round * winner.height() / 30;
            let at = rng.gen_range(0..node.peers.len());
            let peer = &mut node.peers[at];
            if rng.gen_bool(0.3) {
                peer.branch = branches.choose(&mut rng).expect("there is one").clone();
            }
            peer.height = peer.branch.height().min(rng.gen_range(1..=frontier));
            for _ in 0..rng.gen_range(0..4) {
                let branch = branches.choose(&mut rng).expect("there is one");
                // The next one, or any.
                let next = branch.block(node.tip().0 + 1);
                let any = branch.block(rng.gen_range(2..=frontier + 2));
                let chosen = if rng.gen_bool(0.5) { next } else { any };
                if let Some(block) = chosen {
                    let before = node.tip().0;
                    node.tell(block);
                    node.pass(1);
                    by_news += u64::from(node.tip().0 > before);
                }
            }
            node.pass(rng.gen_range(1..8_000));
        }
        // In the end somebody who has all of the longest branch is heard.
        for peer in &mut node.peers {
            peer.height = peer.branch.height();
            peer.silence = 0.0;
        }
        let at = rng.gen_range(0..node.peers.len());
        node.peers[at] = honest(winner);
        node.pass(600_000);
        assert_eq!(node.tip(), (winner.height(), winner.tip()), "seed {seed}");
        assert!(node.is_normal(), "seed {seed}");
        assert!(confirmed(&node.store) == expected, "seed {seed}");
        switches += node.switches;
    }
    println!("{switches} changes of branch, {by_news} blocks taken as news");
    assert!(
        switches >= 12,
        "{switches} changes of branch test too little"
    );
    assert!(by_news >= 12, "{by_news} blocks by news test too little");
}

#[test]
fn at_equal_height_the_first_seen_stays() {
    let mut memory = DigestMemory::new();
    for seed in 0..12 {
        let mut rng = ChaCha8Rng::seed_from_u64(100 + seed);
        let mut first = Branch::new();
        first.grow(rng.gen_range(1..4), &mut rng, &mut memory);
        let mut second = first.clone();
        let blocks = rng.gen_range(1..4);
        first.grow(blocks, &mut rng, &mut memory);
        second.grow(blocks, &mut rng, &mut memory);
        assert_ne!(first.tip(), second.tip());
        let expected = pools_of(&first);

        let late = Peer {
            height: 1,
            ..honest(&second)
        };
        let mut node = Node::new(vec![late, honest(&first)], seed);
        node.pass(60_000);
        assert_eq!(node.tip(), (first.height(), first.tip()));
        node.peers[0].height = second.height();
        for block in &second.blocks {
            node.tell(block);
            node.pass(rng.gen_range(1..5_000));
        }
        node.pass(300_000);
        assert_eq!(node.tip(), (first.height(), first.tip()), "seed {seed}");
        assert_eq!(node.switches, 0);
        assert!(confirmed(&node.store) == expected, "seed {seed}");

        // One block more decides.
        second.grow(1, &mut rng, &mut memory);
        node.peers[0] = honest(&second);
        node.pass(300_000);
        assert_eq!(node.tip(), (second.height(), second.tip()), "seed {seed}");
        assert!(confirmed(&node.store) == pools_of(&second), "seed {seed}");
    }
}
