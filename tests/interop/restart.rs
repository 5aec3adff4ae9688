//! Row 9: a node of either kind that is killed and started again comes back and catches up.

use std::time::{Duration, Instant};

use crate::chain;
use crate::launch::seen;
use crate::network::SIX;
use crate::stage::{SETTLING, Stage};

/// Half a second for each digest, and several at some nodes.
const TAKEN: Duration = Duration::from_secs(300);

/// Pushes blocks at a node until all nodes that run have them.
pub fn push(stage: &mut Stage, at: usize, blocks: &[Vec<u8>]) {
    for block in blocks {
        let before = stage.nodes[at].height();
        let reply = stage.nodes[at].asker().ask("block", &[block]).unwrap();
        assert_eq!(reply[1], b"A");
        let running: Vec<usize> = (0..stage.nodes.len())
            .filter(|index| stage.nodes[*index].is_running())
            .collect();
        for index in running {
            stage.one(index, &format!("block {}", before + 1), TAKEN, |node| {
                node.height() > before
            });
        }
    }
}

/// Two of each kind go down together, one killed and one stopped, and come back while the others
/// went on.
fn comes_back(down: [usize; 2], at: usize) {
    let blocks = chain::blocks();
    let mut stage = Stage::new(&SIX).acquainted();
    stage.start_all();
    stage.wait_normal();
    push(&mut stage, at, &blocks[..2]);
    stage.nodes[down[0]].kill();
    stage.nodes[down[1]].stop();
    seen(stage.begin, "two are down");
    push(&mut stage, at, &blocks[2..8]);
    let everybody: Vec<usize> = (0..stage.nodes.len()).collect();
    // Their entries are an hour old at the most.
    stage.acquaint(&everybody);
    let back = Instant::now();
    for index in down {
        stage.nodes[index].start();
    }
    stage.all("height 9", SETTLING, |node| node.height() == 9);
    stage.wait_normal();
    seen(back, "after the start all are in step");
    let digests = stage.nodes[at].digests(0..=9);
    for node in &stage.nodes {
        assert_eq!(node.digests(0..=9), digests, "{}", node.plan.name);
    }
    // And they take part again.
    push(&mut stage, down[0], &blocks[8..9]);
}

#[test]
#[ignore = "needs REFERENCE_BIN"]
fn row_09_ours_come_back_and_catch_up() {
    comes_back([0, 2], 1);
}

#[test]
#[ignore = "needs REFERENCE_BIN"]
fn row_09_theirs_come_back_and_catch_up() {
    comes_back([1, 3], 0);
}
