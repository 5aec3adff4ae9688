//! Where a peer's branch leaves ours, and the branch: the same is found, and the same is said of it,
//! however many questions are under way and in whatever order they are answered.

use proptest::prelude::*;

use super::*;
use crate::core::ledger::UNDO_KEPT;

#[test]
fn a_longer_branch_replaces_ours_from_the_fork_on() {
    let theirs = chain_of(7, 9, 4);
    let mut stage = Stage::new(
        chain_of(5, 6, 4),
        vec![
            (Some(theirs.clone()), 10),
            (Some(vec![]), 1),
            (Some(vec![]), 1),
        ],
    );
    stage.step(Input::Changed);
    assert_eq!(*stage.local.blocks.borrow(), theirs);
    assert_eq!(stage.modes, [Mode::Normal]);
}

#[test]
fn a_branch_from_the_very_first_block_is_followed_too() {
    let theirs = chain_of(7, 9, 0);
    let mut stage = Stage::new(
        chain_of(5, 6, 0),
        vec![
            (Some(theirs.clone()), 10),
            (Some(vec![]), 1),
            (Some(vec![]), 1),
        ],
    );
    stage.step(Input::Changed);
    assert_eq!(*stage.local.blocks.borrow(), theirs);
}

#[test]
fn a_fork_deeper_than_the_protection_is_reported_and_not_followed_unless_told() {
    let ours = chain_of(5, 80, 10);
    let theirs = chain_of(7, 90, 10);
    let remotes = || {
        vec![
            (Some(theirs.clone()), 91),
            (Some(vec![]), 1),
            (Some(vec![]), 1),
        ]
    };
    let mut stage = Stage::new(ours.clone(), remotes());
    stage.step(Input::Changed);
    assert_eq!(*stage.local.blocks.borrow(), ours);
    assert!(stage.reports > 0);
    assert_eq!(stage.modes, [Mode::Normal]);
    let mut stage = Stage::new(ours, remotes());
    stage.machine.accept_fork(2);
    stage.step(Input::Changed);
    assert_eq!(*stage.local.blocks.borrow(), theirs);
}

#[test]
fn at_equal_height_the_branch_seen_first_stays() {
    let ours = chain_of(5, 6, 4);
    let mut stage = Stage::new(
        ours.clone(),
        vec![
            (Some(chain_of(7, 6, 4)), 7),
            (Some(vec![]), 1),
            (Some(vec![]), 1),
        ],
    );
    stage.step(Input::Changed);
    stage.cycle();
    assert_eq!(*stage.local.blocks.borrow(), ours);
}

#[test]
fn a_branch_that_ours_has_caught_up_with_blames_nobody() {
    let remotes = || {
        vec![
            (Some(chain_of(7, 5, 4)), 6),
            (Some(vec![]), 1),
            (Some(vec![]), 1),
        ]
    };
    for catches_up in [false, true] {
        let mut stage = Stage::new(chain_of(5, 5, 4), remotes());
        stage.local.blocks.borrow_mut().truncate(4);
        stage.local.blocks.borrow_mut()[3] = 5;
        let mut inputs = vec![Input::Changed];
        while let Some(input) = inputs.pop() {
            for effect in stage.one(input) {
                match effect {
                    Effect::Ask(slot, question) => {
                        let answer = stage.answer(slot, question);
                        inputs.push(Input::Answered(slot, question, answer));
                    }
                    Effect::Switch(..) => inputs.clear(),
                    _ => {}
                }
            }
        }
        assert_eq!(stage.machine.state(), "FetchBlocks");
        if catches_up {
            stage.local.blocks.borrow_mut().push(5);
        }
        let out = stage.one(Input::Refused("not longer".to_owned()));
        assert_eq!(blames(&out), !catches_up, "{out:?}");
        assert_eq!(stage.machine.state(), "Sampling");
    }
}

#[test]
fn a_walk_or_a_branch_that_the_height_fell_below_begins_again() {
    // Proving, finding, the branch, and its switch: how many of the peer's answers come before.
    let mut states = std::collections::BTreeSet::new();
    for answers in 0..20 {
        let mut stage = forked(6, 4, 3);
        let mut inputs = std::collections::VecDeque::from([Input::Changed]);
        for _ in 0..=answers {
            let Some(input) = inputs.pop_front() else {
                break;
            };
            for effect in stage.one(input) {
                if let Effect::Ask(slot, question) = effect {
                    let answer = stage.answer(slot, question);
                    inputs.push_back(Input::Answered(slot, question, answer));
                }
            }
        }
        states.insert(stage.machine.state());
        stage.local.blocks.borrow_mut().truncate(2);
        // What was asked for before comes all the same, and first.
        inputs.push_front(Input::Fell);
        while let Some(input) = inputs.pop_front() {
            for effect in stage.one(input) {
                inputs.extend(stage.perform(effect));
            }
        }
        assert!(stage.machine.set_back.is_empty(), "after {answers} answers");
        assert_eq!(stage.reports, 0);
        assert_eq!(*stage.local.blocks.borrow(), chain_of(7, 9, 4));
    }
    assert_eq!(states.len(), 3, "{states:?}");
}

/// Ours, and one peer that is longer by so many blocks, with as many blocks in common behind the
/// first; two more peers are at the first block.
fn forked(ours: usize, common: usize, longer: usize) -> Stage {
    let theirs = chain_of(7, ours + longer, common);
    let height = theirs.len() as u64 + 1;
    let remotes = vec![(Some(theirs), height), (Some(vec![]), 1), (Some(vec![]), 1)];
    Stage::new(chain_of(5, ours, common), remotes)
}

/// The same, up to the questions that follow the block above our tip.
fn finding(ours: usize, common: usize, longer: usize) -> (Stage, Vec<Effect>) {
    let mut stage = forked(ours, common, longer);
    stage.one(Input::Changed);
    let out = stage.one(stage.block(ours as u64 + 2));
    assert_eq!(stage.machine.state(), "ForkDetect");
    (stage, out)
}

fn digests(numbers: impl Iterator<Item = u64>) -> Vec<Effect> {
    numbers
        .map(|number| Effect::Ask(0, Question::Digest(number)))
        .collect()
}

impl Stage {
    /// The first peer's answer to the question for a digest.
    fn told(&self, number: u64) -> Input {
        let question = Question::Digest(number);
        Input::Answered(0, question, self.answer(0, question))
    }

    fn make_slow(&mut self) {
        self.machine.mark(peer(0, 0).key).delays = 1;
    }
}

/// What came of a run.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    /// Switches and reports, in their order.
    said: Vec<Effect>,
    /// The lowest block whose digest was asked for.
    lowest: Option<u64>,
    /// The most questions under way.
    most: usize,
}

/// Answers what is asked until there is a branch to switch to, or nothing is asked any more: of the
/// questions under way the one that `next` chooses, and the `lost` one with a failure.
fn run(
    stage: &mut Stage,
    lost: Option<Question>,
    is_doubled: bool,
    mut next: impl FnMut(usize) -> usize,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut open = Vec::new();
    let mut inputs = vec![Input::Changed];
    loop {
        for input in inputs {
            for effect in stage.one(input) {
                match effect {
                    Effect::Ask(slot, question) => {
                        if let Question::Digest(number) = question {
                            let lowest = outcome.lowest.unwrap_or(number).min(number);
                            outcome.lowest = Some(lowest);
                        }
                        open.push((slot, question));
                    }
                    Effect::Switch(..) | Effect::Report(_) => outcome.said.push(effect),
                    _ => {}
                }
            }
        }
        outcome.most = outcome.most.max(open.len());
        let is_over = outcome
            .said
            .iter()
            .any(|effect| matches!(effect, Effect::Switch(..)));
        if open.is_empty() || is_over {
            return outcome;
        }
        let (slot, question) = open.remove(next(open.len()));
        let answer = if lost == Some(question) {
            Answer::Failed("block not found".to_owned())
        } else {
            stage.answer(slot, question)
        };
        let input = Input::Answered(slot, question, answer);
        inputs = vec![input; 1 + usize::from(is_doubled)];
    }
}

/// A run in the order of questions.
fn run_in_order(stage: &mut Stage) -> Outcome {
    run(stage, None, false, |_| 0)
}

#[test]
fn as_many_digests_as_a_connection_takes_are_asked_for_ahead_downwards() {
    let (mut stage, out) = finding(20, 4, 1);
    assert_eq!(out, digests((14..=21).rev()));
    // One more for each that is judged; one that waits for its turn asks for nothing.
    assert_eq!(stage.one(stage.told(21)), digests(13..=13));
    assert_eq!(stage.one(stage.told(19)), []);
    assert_eq!(stage.one(stage.told(18)), []);
    assert_eq!(stage.one(stage.told(20)), digests((10..=12).rev()));
}

#[test]
fn nothing_below_the_first_block_is_asked_for() {
    let (_, out) = finding(3, 0, 1);
    assert_eq!(out, digests((1..=4).rev()));
    let mut stage = forked(3, 0, 1);
    stage.remotes[0] = None;
    stage.one(Input::Changed);
    // Another first block than ours.
    let block = forked(3, 0, 1).block(5);
    stage.one(block);
    for number in (1..=4).rev() {
        let answer = Answer::Digest(digest(9, number));
        let out = stage.one(Input::Answered(0, Question::Digest(number), answer));
        assert_eq!(blames(&out), number == 1, "{out:?}");
    }
}

#[test]
fn a_slow_peer_is_asked_for_one_digest_or_block_at_a_time() {
    for (is_slow, most) in [(false, FINDING_AHEAD), (true, 1)] {
        let mut stage = forked(40, 10, 1);
        if is_slow {
            stage.make_slow();
        }
        let outcome = run_in_order(&mut stage);
        assert!(matches!(outcome.said[..], [Effect::Switch(11, _)]));
        // Behind the fork, what does not matter any more is still under way beside the blocks.
        let most = if is_slow { most } else { 2 * most - 1 };
        assert_eq!(outcome.most as u64, most);
        assert!(outcome.most <= upstream::QUESTIONS_MAX);
    }
}

#[test]
fn no_digest_is_asked_for_below_the_one_that_shows_a_fork_to_be_too_deep() {
    let report = |text: &str| Effect::Report(format!("peer {} {text}", peer(0, 0).key));
    for is_slow in [false, true] {
        let mut stage = forked(200, 10, 1);
        let mut told = forked(200, 10, 1);
        told.machine.accept_fork(1);
        for stage in [&mut stage, &mut told] {
            if is_slow {
                stage.make_slow();
            }
        }
        let outcome = run_in_order(&mut stage);
        assert_eq!(outcome.lowest, Some(201 - 60));
        let said = [
            "is on another branch of more than 60 blocks; to follow it, start with --accept-fork 140",
            "is set back: a fork deeper than the protection",
        ];
        assert_eq!(outcome.said, said.map(report));
        let outcome = run_in_order(&mut told);
        let lowest = 201 - UNDO_KEPT - 1;
        assert_eq!(outcome.lowest, Some(lowest));
        let said = [
            format!(
                "is on another branch of more than {UNDO_KEPT} blocks, which is more than a running node takes \
                 off; to follow it, stop the node, run delete-down {}, and start it again",
                lowest + 1
            ),
            "is set back: a fork deeper than can be undone".to_owned(),
        ];
        assert_eq!(outcome.said, said.map(|text| report(&text)));
    }
}

#[test]
fn what_was_asked_for_below_the_fork_sets_nobody_back_whatever_is_answered() {
    // The fork is at 19 of 21.
    let (mut stage, _) = finding(20, 18, 1);
    let failed = |number| {
        let answer = Answer::Failed("block not found".to_owned());
        Input::Answered(0, Question::Digest(number), answer)
    };
    let ask = |number| Effect::Ask(0, Question::Block(number));
    // One fails before the fork is found, the others after.
    assert_eq!(stage.one(failed(16)), []);
    stage.one(stage.told(21));
    stage.one(stage.told(20));
    assert_eq!(
        stage.one(stage.told(19)),
        [20, 21, 22].map(ask),
        "the branch is wanted up to one above our tip"
    );
    for number in 8..19 {
        let other = Answer::Block(vec![1, 2, 3]);
        for late in [
            failed(number),
            Input::Answered(0, Question::Digest(number), other),
            stage.told(number),
        ] {
            assert_eq!(stage.one(late), []);
        }
    }
    stage.one(stage.block(20));
    stage.one(stage.block(21));
    let out = stage.one(stage.block(22));
    assert!(matches!(out.last(), Some(Effect::Switch(19, _))), "{out:?}");
    assert!(stage.machine.set_back.is_empty());
}

#[test]
fn a_failure_ahead_counts_when_its_turn_comes() {
    let (mut stage, _) = finding(20, 4, 1);
    let why = "block not found".to_owned();
    let failed = Input::Answered(0, Question::Digest(20), Answer::Failed(why));
    assert_eq!(stage.one(failed), []);
    let out = stage.one(stage.told(21));
    let text = format!("peer {} is set back: block not found", peer(0, 0).key);
    assert_eq!(out[0], Effect::Report(text));
    // So does an answer of another kind, and a block of the branch that is not there.
    let (mut stage, _) = finding(20, 4, 1);
    let other = Answer::Block(vec![]);
    assert_eq!(
        stage.one(Input::Answered(0, Question::Digest(20), other)),
        []
    );
    assert!(blames(&stage.one(stage.told(21))));
    let (mut stage, _) = finding(20, 19, 1);
    stage.one(stage.told(21));
    stage.one(stage.told(20));
    let why = "block not found".to_owned();
    let failed = Input::Answered(0, Question::Block(22), Answer::Failed(why));
    assert_eq!(stage.one(failed), []);
    assert!(blames(&stage.one(stage.block(21))));
}

#[test]
fn answers_to_what_was_not_asked_or_was_answered_are_passed_over() {
    let (mut stage, _) = finding(20, 4, 1);
    // Neither above our tip nor below what was asked for.
    for number in [0, 1, 5, 13, 22, u64::MAX] {
        let answer = Answer::Digest(digest(0, number));
        assert_eq!(
            stage.one(Input::Answered(0, Question::Digest(number), answer)),
            []
        );
    }
    assert_eq!(stage.one(stage.told(20)), []);
    // The first answer counts.
    let ours = Answer::Digest(stage.local.digest(20).unwrap());
    assert_eq!(
        stage.one(Input::Answered(0, Question::Digest(20), ours)),
        []
    );
    assert_eq!(stage.one(stage.told(21)), digests((12..=13).rev()));
    assert_eq!(stage.one(stage.told(21)), []);
    assert_eq!(stage.machine.state(), "ForkDetect");
}

#[test]
fn a_tip_of_ours_that_grows_meanwhile_makes_the_branch_longer_and_blames_nobody() {
    // Once while the fork is looked for, once while the branch is fetched.
    let (mut stage, _) = finding(20, 18, 4);
    stage.local.blocks.borrow_mut().push(5);
    assert_eq!(stage.one(Input::Changed), []);
    for number in [21, 20] {
        stage.one(stage.told(number));
    }
    let ask = |number| Effect::Ask(0, Question::Block(number));
    assert_eq!(stage.one(stage.told(19)), [20, 21, 22, 23].map(ask));
    stage.local.blocks.borrow_mut().push(5);
    let out = stage.one(stage.block(23));
    assert_eq!(out.last(), Some(&ask(24)));
    for number in [22, 21, 20] {
        stage.one(stage.block(number));
    }
    let out = stage.one(stage.block(24));
    let Some(Effect::Switch(19, blocks)) = out.last() else {
        panic!("{out:?}");
    };
    assert_eq!(blocks.len(), 5);
    assert!(stage.machine.set_back.is_empty());
}

#[test]
fn a_tip_of_ours_that_grows_meanwhile_makes_the_fork_deeper() {
    // Sixty blocks may not be taken off: the walk ends one block earlier than it would have.
    let (mut stage, _) = finding(70, 12, 4);
    stage.local.blocks.borrow_mut().push(5);
    for number in (14..=71).rev() {
        assert!(!blames(&stage.one(stage.told(number))));
    }
    stage.local.blocks.borrow_mut().push(5);
    let out = stage.one(stage.told(13));
    let end = "of more than 60 blocks; to follow it, start with --accept-fork 12";
    assert!(
        matches!(&out[0], Effect::Report(text) if text.ends_with(end)),
        "{out:?}"
    );
}

#[test]
fn the_patience_with_a_peer_does_not_begin_anew_with_each_digest_or_block() {
    let (mut stage, _) = finding(20, 18, 1);
    let wake = stage.machine.next_wakeup();
    for number in [21, 20, 19] {
        stage.now = stage.now.plus_ms(1000);
        stage.one(stage.told(number));
        assert_eq!(stage.machine.next_wakeup(), wake);
    }
    stage.now = stage.now.plus_ms(1000);
    stage.one(stage.block(20));
    assert_eq!(stage.machine.next_wakeup(), wake);
    stage.now = stage.now.plus_ms(PATIENCE_MS);
    let out = stage.one(Input::Wake);
    let text = format!("peer {} takes long: others are asked first", peer(0, 0).key);
    assert_eq!(out[0], Effect::Report(text));
    // What is answered late is nobody's fault.
    for late in [stage.told(18), stage.block(21), stage.block(22)] {
        assert!(!blames(&stage.one(late)));
    }
}

#[test]
fn the_first_digests_of_a_branch_are_prepared_while_the_rest_comes() {
    let mut stage = forked(40, 10, 1);
    let mut prepared = Vec::new();
    let mut inputs = vec![Input::Changed];
    while let Some(input) = inputs.pop() {
        for effect in stage.one(input) {
            match effect {
                Effect::Ask(slot, question) => {
                    let answer = stage.answer(slot, question);
                    inputs.insert(0, Input::Answered(slot, question, answer));
                }
                Effect::Prepare(header) => prepared.push(header.to_vec()),
                Effect::Switch(common, blocks) => {
                    assert_eq!((common, blocks.len()), (11, 31));
                    inputs.clear();
                }
                _ => {}
            }
        }
    }
    let remote = stage.remotes[0].as_ref().unwrap();
    let expected: Vec<Vec<u8>> = (12..12 + AHEAD)
        .map(|number| remote.packed(number).unwrap())
        .collect();
    assert_eq!(prepared, expected, "no more than a liar may cost");
}

#[test]
fn a_peer_whose_digests_fit_and_whose_blocks_do_not_is_set_back() {
    let fetched = || {
        let (mut stage, _) = finding(20, 19, 1);
        stage.one(stage.told(21));
        stage.one(stage.told(20));
        stage
    };
    let answer = |number, packed| {
        let answer = Answer::Block(packed);
        Input::Answered(0, Question::Block(number), answer)
    };
    // Of another number, or no block at all: before anything is computed for it.
    let other = fetched().remotes[0].as_ref().unwrap().packed(5).unwrap();
    for packed in [other, vec![1, 2, 3], vec![]] {
        let mut stage = fetched();
        assert_eq!(stage.one(answer(22, packed)), []);
        let out = stage.one(stage.block(21));
        assert!(blames(&out), "{out:?}");
        assert!(!out.iter().any(|e| matches!(e, Effect::Switch(..))));
        assert_eq!(stage.machine.state(), "Sampling");
    }
    // Blocks that do not follow ours: when they are tried.
    let mut stage = fetched();
    let strange = Stage::new(vec![], vec![(Some(chain_of(9, 30, 0)), 31)]);
    stage.remotes = strange.remotes;
    stage.one(stage.block(21));
    let out = stage.one(stage.block(22));
    assert!(matches!(out.last(), Some(Effect::Switch(20, _))), "{out:?}");
    let refused = Input::Refused("previous block digest does not match".to_owned());
    assert!(blames(&stage.one(refused)));
    assert_eq!(stage.machine.state(), "Sampling");
}

#[test]
fn the_bytes_of_a_branch_are_bounded_with_those_of_blocks_that_wait() {
    let (mut stage, _) = finding(20, 10, 1);
    for number in (12..=21).rev() {
        stage.one(stage.told(number));
    }
    stage.one(stage.told(11));
    let size = BRANCH_BYTES / 4 + 1;
    for number in [19, 18, 17] {
        let answer = Answer::Block(vec![0; size]);
        let out = stage.one(Input::Answered(0, Question::Block(number), answer));
        assert_eq!(out, [], "the first is not here yet");
    }
    let answer = Answer::Block(vec![0; size]);
    let out = stage.one(Input::Answered(0, Question::Block(16), answer));
    assert!(blames(&out), "{out:?}");
}

proptest! {
    #[test]
    fn any_order_of_answers_finds_what_one_by_one_finds(
        ours in 2..90_usize,
        common in 0..90_usize,
        longer in 1..4_usize,
        accepted in proptest::option::of(1..90_u64),
        lost in proptest::option::of((any::<bool>(), 1..90_u64)),
        is_doubled in any::<bool>(),
        order in proptest::collection::vec(any::<usize>(), 1..60),
    ) {
        let common = common % ours;
        let lost = lost.map(|(is_digest, number)| {
            if is_digest { Question::Digest(number) } else { Question::Block(number) }
        });
        let stage = || {
            let mut stage = forked(ours, common, longer);
            if let Some(height) = accepted {
                stage.machine.accept_fork(height);
            }
            stage
        };
        let mut slow = stage();
        slow.make_slow();
        let one_by_one = run(&mut slow, lost, false, |_| 0);
        prop_assert_eq!(one_by_one.most, 1);
        let mut turn = 0;
        let next = |count: usize| {
            turn += 1;
            order[turn % order.len()] % count
        };
        let any_order = run(&mut stage(), lost, is_doubled, next);
        prop_assert_eq!(&any_order.said, &one_by_one.said);
        // And that is where they part.
        let height = ours as u64 + 1;
        let fork = common as u64 + 1;
        let is_allowed = height - fork < 60 || accepted.is_some_and(|accepted| fork >= accepted);
        if is_allowed && lost.is_none() {
            let theirs = slow.remotes[0].as_ref().unwrap();
            let blocks = (fork + 1..=height + 1).map(|number| theirs.packed(number).unwrap());
            prop_assert_eq!(any_order.said, [Effect::Switch(fork, blocks.collect())]);
        }
    }

    #[test]
    fn any_answers_while_a_fork_is_found_are_bounded_and_do_no_harm(
        common in 0..20_usize,
        inputs in proptest::collection::vec((0..7_u8, 1..24_u64), 0..80),
    ) {
        let (mut stage, _) = finding(20, common, 1);
        for (kind, number) in inputs {
            let digest_of = |answer| Input::Answered(0, Question::Digest(number), answer);
            let block_of = |answer| Input::Answered(0, Question::Block(number), answer);
            let out = stage.one(match kind {
                0 | 1 => digest_of(stage.answer(0, Question::Digest(number))),
                2 => digest_of(Answer::Block(vec![])),
                3 => block_of(Answer::Failed("no".to_owned())),
                4 => block_of(Answer::Digest(digest(7, number))),
                5 => block_of(stage.answer(0, Question::Block(number))),
                _ => Input::Changed,
            });
            prop_assert!(out.len() as u64 <= 2 * AHEAD);
        }
    }
}

#[test]
fn who_has_digests_computed_and_goes_is_set_back() {
    let mut stage = forked(40, 10, 5);
    let mut prepared = 0;
    let mut inputs = vec![Input::Changed];
    while let Some(input) = inputs.pop() {
        for effect in stage.one(input) {
            match effect {
                // It answers until it has had as much computed as it can.
                Effect::Ask(slot, question) if prepared < AHEAD => {
                    let answer = stage.answer(slot, question);
                    inputs.insert(0, Input::Answered(slot, question, answer));
                }
                Effect::Prepare(_) => prepared += 1,
                _ => {}
            }
        }
    }
    assert_eq!((prepared, stage.machine.set_back.len()), (AHEAD, 0));
    let key = stage.local.peers.borrow()[0].key;
    stage.local.peers.borrow_mut().remove(0);
    stage.one(Input::Changed);
    assert!(stage.machine.is_set_back(stage.now, &key));
}
