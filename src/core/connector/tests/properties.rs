//! Whatever peers serve, claim and answer.

use proptest::prelude::*;

use super::*;

/// Answer or not, branch, length, and what is claimed.
type Remote = (bool, u8, usize, Option<u64>);

fn remote() -> impl Strategy<Value = Remote> {
    let claim = prop_oneof![
        Just(None),
        Just(None),
        (1..40_u64).prop_map(Some),
        Just(Some(u64::MAX))
    ];
    (any::<bool>(), 1..4_u8, 0..20_usize, claim)
}

fn input() -> impl Strategy<Value = (usize, u8, u64, Vec<u8>)> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..120);
    (0..4_usize, 0..9_u8, 0..12_u64, bytes)
}

proptest! {
    #[test]
    fn the_longest_branch_that_is_served_wins_among_liars(
        remotes in proptest::collection::vec(remote(), 3..7),
        ours in 0..12_usize,
        common in 0..8_usize,
    ) {
        let chains: Vec<(Option<Vec<u8>>, u64)> = remotes
            .iter()
            .map(|(serves, branch, length, claim)| {
                let blocks = chain_of(*branch, *length, common);
                let height = claim.unwrap_or(blocks.len() as u64 + 1);
                (serves.then_some(blocks), height)
            })
            .collect();
        let longest = remotes
            .iter()
            .filter(|(serves, _, _, claim)| *serves && claim.is_none())
            .map(|(_, _, length, _)| *length)
            .max()
            .unwrap_or(0);
        let mut stage = Stage::new(chain_of(9, ours, common), chains);
        stage.step(Input::Changed);
        for _ in 0..200 {
            stage.cycle();
        }
        let reached = stage.local.blocks.borrow().len();
        prop_assert!(reached >= longest.max(ours), "{reached} of {longest}");
        prop_assert!(stage.asked < 1500, "{} questions", stage.asked);
    }

    #[test]
    fn anything_in_any_order_does_no_harm(inputs in proptest::collection::vec(input(), 0..60)) {
        let remotes = (0..4).map(|n| (None, n * 5)).collect();
        let mut stage = Stage::new(chain_of(0, 3, 3), remotes);
        for (slot, kind, number, bytes) in inputs {
            let input = match kind {
                0 => Input::Applied,
                1 => Input::Refused("no".to_owned()),
                2 => Input::Switched,
                3 => Input::Hint,
                4 => Input::Changed,
                5 => Input::Answered(slot, Question::Digest(number), Answer::Digest(digest(0, number))),
                6 => Input::Answered(slot, Question::Block(number), Answer::Block(bytes)),
                7 => Input::Answered(slot, Question::Block(number), Answer::Failed("no".to_owned())),
                _ => {
                    stage.now = stage.now.plus_ms(number * 3000);
                    Input::Wake
                }
            };
            let out = stage.one(input);
            prop_assert!(out.len() <= 2 * AHEAD as usize);
            prop_assert!(stage.machine.set_back.len() <= SET_BACK_MAX);
        }
    }
}
