//! Row 8: two halves, each with both kinds, mine apart; when they hear of each other again, all end on
//! one chain.

use std::time::Duration;

use crate::chain;
use crate::launch::{eventually, seen};
use crate::network::SIX;
use crate::restart::push;
use crate::stage::Stage;

/// A block takes 256 digests in the mean; both halves have one thread each.
const MINED: Duration = Duration::from_secs(900);
/// A single block behind, the reference looks for a fork after eleven cycles of 15 s.
const HEALED: Duration = Duration::from_secs(600);

#[test]
#[ignore = "needs REFERENCE_BIN"]
fn row_08_halves_that_mined_apart_end_on_one_chain() {
    let mut stage = Stage::wired(&SIX).acquainted();
    stage.start_all();
    stage.wait_normal();
    // The reference never leaves a chain that has no block in common with the better one.
    push(&mut stage, 0, &chain::blocks()[..2]);
    let (one, other) = ([0, 1, 2], [3, 4, 5]);
    stage.wires().cut(&one, &other);
    seen(stage.begin, "cut");
    // The miner of one half stands at ours, that of the other at theirs.
    for (half, index, threads) in [(&one, 0, 1), (&other, 3, 1)] {
        let made = stage.create(index, &format!("made at {index}"), 2);
        let id = made["issueIds"][0].as_str().unwrap().to_owned();
        for node in half {
            stage.one(*node, "Verified", HEALED, |node| {
                node.transaction(&id) == "Verified"
            });
        }
        match index {
            0 => stage.mine_at(index, threads),
            _ => stage.mine_with_reference_at(index, threads),
        }
    }
    // Each half comes to a block of its own; one half to one more.
    let halves = [one, other];
    let ahead = eventually("a block in each half", MINED, || {
        stage.expect_alive();
        let heights = halves.map(|half| half.map(|index| stage.nodes[index].height()));
        let least = heights.map(|half| half.into_iter().min().unwrap_or(0));
        (least.iter().all(|height| *height > 3)).then_some(least)
    });
    stage.stop_miners();
    seen(
        stage.begin,
        format_args!("both halves have blocks: {ahead:?}"),
    );
    let tops = [0, 3].map(|index| stage.nodes[index].height());
    let longer = usize::from(tops[1] > tops[0]);
    if tops[0] == tops[1] {
        let index = halves[longer][0];
        stage.create(index, "one more", 1);
        stage.mine_at(index, 2);
        stage.one(index, "one block more", MINED, |node| {
            node.height() > tops[0]
        });
        stage.stop_miners();
    }
    let index = halves[longer][0];
    let top = stage.nodes[index].height();
    for node in halves[longer] {
        stage.one(node, &format!("height {top}"), HEALED, |node| {
            node.height() == top
        });
    }
    let own = stage.nodes[halves[1 - longer][0]].digests([4]);
    assert_ne!(own, stage.nodes[index].digests([4]), "two chains");
    stage.wires().heal();
    seen(
        stage.begin,
        format_args!("healed; {top} is the highest block"),
    );
    let digests = stage.nodes[index].digests(0..=top);
    stage.all("one chain", HEALED, |node| {
        node.height() == top && node.digests(0..=top) == digests
    });
    stage.wait_normal();
}
