//! An outgoing peer, from dialling to loss.

use std::collections::VecDeque;

use super::*;
use crate::core::chain::LOCAL;

fn upstream() -> Upstream {
    let own = Own {
        key: PeerPublicKey([1; 32]),
        listeners: vec![9],
    };
    let timing = Timing {
        cycle_ms: 30_000,
        timeout_ms: 60_000,
        question_ms: 10_000,
    };
    Upstream::new(&LOCAL, own, timing)
}

fn at(mono: Millis) -> Now {
    Now { mono, wall: 1000 }
}

fn address() -> Connection {
    Connection::from_text("127.0.0.1:5").unwrap()
}

fn step(upstream: &mut Upstream, mono: Millis, input: Input) -> Vec<Effect> {
    let mut out = Vec::new();
    upstream.step(at(mono), input, &mut out);
    out
}

fn dial(upstream: &mut Upstream) -> Vec<Effect> {
    step(upstream, 0, Input::Dial(PeerPublicKey([2; 32]), address()))
}

fn frames(parts: &[&[u8]]) -> Vec<Vec<u8>> {
    parts.iter().map(|part| part.to_vec()).collect()
}

fn registered() -> Upstream {
    let mut upstream = upstream();
    dial(&mut upstream);
    let reply = frames(&[b"R", b"local", &[3; 32], &[], &[0; 8]]);
    step(&mut upstream, 1, Input::Reply(reply));
    step(
        &mut upstream,
        2,
        Input::Reply(frames(&[b"N", &7_u64.to_be_bytes()])),
    );
    upstream
}

#[test]
fn it_registers_at_once_and_then_asks_for_the_height() {
    let mut upstream = upstream();
    let effects = dial(&mut upstream);
    assert!(matches!(&effects[0], Effect::Open(..)));
    let Effect::Send(request) = &effects[1] else {
        panic!("{effects:?}");
    };
    let expected = frames(&[
        b"local",
        b"R",
        b"local",
        &[1; 32],
        &[9],
        &1000_u64.to_be_bytes(),
    ]);
    assert_eq!(*request, expected);
    let reply = frames(&[b"R", b"local", &[3; 32], b"l", &5_u64.to_be_bytes()]);
    let effects = step(&mut upstream, 1, Input::Reply(reply));
    assert!(effects.contains(&Effect::Learned(vec![3; 32], b"l".to_vec(), 5)));
    assert!(effects.contains(&Effect::Send(frames(&[b"local", b"N"]))));
    assert!(upstream.is_registered());
    step(
        &mut upstream,
        2,
        Input::Reply(frames(&[b"N", &7_u64.to_be_bytes()])),
    );
    assert_eq!(upstream.height(), 7);
}

#[test]
fn an_answer_that_ends_the_reference_is_no_registration() {
    for reply in [
        frames(&[b"R", b"local", &[3; 32], b"l", &[0; 7]]),
        frames(&[b"R", b"testing", &[3; 32], b"l", &[0; 8]]),
        frames(&[b"E", b"invalid public key"]),
        frames(&[b"R"]),
        Vec::new(),
    ] {
        let mut upstream = upstream();
        dial(&mut upstream);
        let effects = step(&mut upstream, 1, Input::Reply(reply));
        let failed = Effect::DialFailed(PeerPublicKey([2; 32]), address());
        assert_eq!(effects, [failed], "and no proof that it is one of us");
        assert!(!upstream.is_registered());
        let again = step(&mut upstream, 30_001, Input::Wake);
        assert!(matches!(&again[0], Effect::Send(request) if request[1] == b"R"));
    }
}

#[test]
fn a_stream_of_news_does_not_keep_the_height_from_being_asked() {
    let mut upstream = registered();
    let mut asked = 0;
    for second in 0..120 {
        let now = 2 + second * 1000;
        let mut effects = step(&mut upstream, now, Input::News(frames(&[b"peer", b"k"])));
        while let Some(effect) = effects.pop() {
            if let Effect::Send(request) = effect {
                asked += u32::from(request[1] == b"N");
                let reply = if request[1] == b"N" {
                    frames(&[b"N", &7_u64.to_be_bytes()])
                } else {
                    frames(&[b"peer", b"A"])
                };
                effects.extend(step(&mut upstream, now, Input::Reply(reply)));
            }
        }
    }
    assert!(asked >= 3, "{asked}");
}

#[test]
fn a_silent_peer_is_lost_in_time_however_many_news_there_are() {
    let mut upstream = registered();
    let mut lost = None;
    for tick in 0..1200 {
        let now = 2 + tick * 500;
        let effects = step(&mut upstream, now, Input::News(frames(&[b"peer", b"k"])));
        if lost.is_none() && effects.contains(&Effect::Lost) {
            lost = Some(now);
        }
    }
    // The news that were under way, then a height request.
    assert!(lost.is_some_and(|at| at <= 125_000), "{lost:?}");
}

#[test]
fn silence_after_a_height_request_loses_the_registration_and_the_height() {
    let mut upstream = registered();
    step(&mut upstream, 30_002, Input::Wake);
    let effects = step(&mut upstream, 90_002, Input::Wake);
    assert!(effects.contains(&Effect::Lost));
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Open(..)))
    );
    assert_eq!(upstream.height(), 0);
}

#[test]
fn a_question_has_one_answer_whatever_happens() {
    let mut upstream = registered();
    let effects = step(&mut upstream, 3, Input::Ask(Question::Digest(4)));
    assert!(matches!(&effects[0], Effect::Send(request) if request[1] == b"H"));
    step(&mut upstream, 3, Input::Ask(Question::Block(5)));
    let effects = step(&mut upstream, 4, Input::Reply(frames(&[b"H", &[6; 32]])));
    let answer = Answer::Digest(BlockDigest([6; 32]));
    assert!(effects.contains(&Effect::Answered(Question::Digest(4), answer)));
    let effects = step(&mut upstream, 5, Input::Close);
    let failed = |effect: &Effect| {
        matches!(
            effect,
            Effect::Answered(Question::Block(5), Answer::Failed(_))
        )
    };
    assert!(effects.iter().any(failed));
    let effects = step(&mut upstream, 6, Input::Ask(Question::Block(6)));
    assert!(matches!(
        &effects[0],
        Effect::Answered(Question::Block(6), Answer::Failed(_))
    ));
}

#[test]
fn news_are_bounded_and_for_registered_peers_alone() {
    let mut closed = upstream();
    step(&mut closed, 0, Input::News(frames(&[b"peer"])));
    assert_eq!(closed.dropped(), 1);
    let mut open = registered();
    for _ in 0..NEWS_MAX + 5 {
        step(&mut open, 3, Input::News(frames(&[b"peer"])));
    }
    assert_eq!(open.dropped(), 4, "one is on its way");
}

#[test]
fn news_that_wait_are_bounded_in_bytes_too() {
    let mut open = registered();
    let megabyte = || frames(&[b"assets", &[0; 1 << 20]]);
    for _ in 0..40 {
        step(&mut open, 3, Input::News(megabyte()));
    }
    assert!(open.news_bytes <= NEWS_BYTES);
    assert_eq!(open.dropped(), 24, "one is on its way, fifteen wait");
    step(&mut open, 4, Input::Close);
    assert_eq!((open.news_bytes, open.dropped()), (0, 39));
}

#[test]
fn announcements_make_room_before_records_and_records_before_blocks() {
    let mut open = registered();
    step(&mut open, 3, Input::News(frames(&[b"heart"])));
    step(&mut open, 3, Input::News(frames(&[b"block", b"b"])));
    step(&mut open, 3, Input::News(frames(&[b"transfer", b"t"])));
    let waits = |open: &Upstream, command: &[u8]| {
        let waiting = open.news.iter();
        waiting.filter(|news| news[0] == command).count()
    };
    for _ in 0..2 * NEWS_MAX {
        step(&mut open, 4, Input::News(frames(&[b"peer", b"k"])));
        step(&mut open, 4, Input::News(frames(&[b"rpc", b"f"])));
    }
    assert_eq!((waits(&open, b"block"), waits(&open, b"transfer")), (1, 1));
    for _ in 0..2 * NEWS_MAX {
        step(&mut open, 5, Input::News(frames(&[b"issues", b"i"])));
    }
    assert_eq!((waits(&open, b"block"), waits(&open, b"transfer")), (1, 0));
    assert_eq!(waits(&open, b"issues"), NEWS_MAX - 1);
    for number in 0..2 * NEWS_MAX as u64 {
        let block = frames(&[b"block", &number.to_be_bytes()]);
        step(&mut open, 6, Input::News(block));
    }
    let first = open.news.front().map(|news| news[1].clone());
    let oldest = (NEWS_MAX as u64).to_be_bytes().to_vec();
    assert_eq!((open.news.len(), first), (NEWS_MAX, Some(oldest)));
}

#[test]
fn an_error_for_news_opens_a_new_socket_and_keeps_the_registration() {
    let mut open = registered();
    step(&mut open, 3, Input::News(frames(&[b"peer", b"k"])));
    let effects = step(&mut open, 4, Input::Reply(frames(&[b"E", b"no"])));
    assert!(
        matches!(effects.as_slice(), [Effect::Open(..)]),
        "{effects:?}"
    );
    assert!(open.is_registered());
    let effects = step(&mut open, 5, Input::News(frames(&[b"peer", b"l"])));
    assert!(matches!(effects.as_slice(), [Effect::Send(request)] if request[2] == b"l"));
}

#[test]
fn a_peer_that_does_not_answer_a_question_is_asked_the_next_on_a_new_socket() {
    let mut open = registered();
    step(&mut open, 3, Input::Ask(Question::Block(4)));
    step(&mut open, 3, Input::Ask(Question::Block(5)));
    let effects = step(&mut open, 10_003, Input::Wake);
    assert!(matches!(
        effects.as_slice(),
        [
            Effect::Answered(Question::Block(4), Answer::Failed(_)),
            Effect::Open(..),
            Effect::Send(_)
        ]
    ));
}

#[test]
fn answers_of_the_wrong_form_are_no_answers() {
    let cases: [(Question, &[&[u8]], &str); 6] = [
        (Question::Digest(4), &[b"H"], "invalid peer response"),
        (
            Question::Digest(4),
            &[b"H", &[0; 31]],
            "invalid peer response",
        ),
        (
            Question::Digest(4),
            &[b"B", &[0; 32]],
            "invalid peer response",
        ),
        (
            Question::Block(4),
            &[b"B", b"x", b"y"],
            "invalid peer response",
        ),
        (Question::Block(4), &[], "invalid peer response"),
        (
            Question::Block(4),
            &[b"E", b"block not found"],
            "block not found",
        ),
    ];
    for (question, reply, text) in cases {
        let mut open = registered();
        step(&mut open, 3, Input::Ask(question));
        let effects = step(&mut open, 4, Input::Reply(frames(reply)));
        let failed = Effect::Answered(question, Answer::Failed(text.to_owned()));
        assert_eq!(effects, [failed]);
    }
}

#[test]
fn a_height_of_nothing_is_told_as_the_first_block() {
    let mut open = registered();
    step(&mut open, 30_002, Input::Wake);
    let effects = step(&mut open, 30_003, Input::Reply(frames(&[b"N", &[0; 8]])));
    assert!(effects.contains(&Effect::Height(1)));
    assert_eq!(open.height(), 1);
}

#[test]
fn a_place_given_to_another_peer_starts_anew() {
    let mut open = registered();
    let effects = step(&mut open, 3, Input::Dial(PeerPublicKey([4; 32]), address()));
    assert!(matches!(
        effects.as_slice(),
        [Effect::Open(..), Effect::Send(_)]
    ));
    assert!(!open.is_registered());
    assert_eq!(open.height(), 0);
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    fn input() -> impl Strategy<Value = Input> {
        let frame = prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..10),
            proptest::sample::select(vec![
                &b"local"[..],
                b"R",
                b"N",
                b"H",
                b"B",
                b"E",
                b"A",
                &[0; 8],
                &[1; 32]
            ])
            .prop_map(<[u8]>::to_vec),
        ];
        let reply = proptest::collection::vec(frame, 0..7);
        prop_oneof![
            6 => reply.prop_map(Input::Reply),
            2 => Just(Input::Reply(frames(&[b"R", b"local", &[3; 32], &[], &[0; 8]]))),
            2 => Just(Input::Reply(frames(&[b"N", &[0; 8]]))),
            1 => (0..4_u8).prop_map(|n| Input::Dial(PeerPublicKey([n; 32]), address())),
            1 => Just(Input::Close),
            1 => Just(Input::Broken("connection reset".to_owned())),
            2 => Just(Input::News(frames(&[b"peer", b"k"]))),
            3 => (0..9_u64).prop_map(|n| Input::Ask(Question::Block(n))),
            2 => Just(Input::Wake),
        ]
    }

    proptest! {
        #[test]
        fn one_request_is_open_at_a_time_or_some_questions_and_each_has_one_answer(
            inputs in proptest::collection::vec((input(), 0..40_000_u64), 0..80)
        ) {
            let mut upstream = upstream();
            let mut now = 0;
            let (mut open, mut asked, mut answered) = (VecDeque::new(), 0, 0);
            for (input, pause) in inputs.into_iter().chain([(Input::Close, 0)]) {
                now += pause;
                asked += u32::from(matches!(input, Input::Ask(_)));
                if matches!(input, Input::Reply(_)) {
                    open.pop_front();
                }
                for effect in step(&mut upstream, now, input) {
                    match effect {
                        Effect::Open(..) | Effect::Close => open.clear(),
                        Effect::Send(request) => {
                            prop_assert!(request.len() >= 2);
                            open.push_back(request[1].clone());
                            let questions = open.iter().all(|command| command == b"B");
                            prop_assert!(open.len() == 1 || questions, "a second request");
                            prop_assert!(open.len() <= OPEN_QUESTIONS);
                        }
                        Effect::Answered(..) => answered += 1,
                        _ => {}
                    }
                }
                prop_assert!(upstream.questions.len() <= QUESTIONS_MAX + OPEN_QUESTIONS);
            }
            prop_assert_eq!(asked, answered);
        }
    }
}

#[test]
fn questions_are_sent_behind_an_open_one_and_asked_again_when_their_answers_are_lost() {
    let mut upstream = registered();
    let numbers = |effects: &[Effect]| -> Vec<u64> {
        let number = |effect: &Effect| match effect {
            Effect::Send(request) if request[1] == b"B" => Some(u64::from_be_bytes(
                request[2].as_slice().try_into().unwrap(),
            )),
            _ => None,
        };
        effects.iter().filter_map(number).collect()
    };
    let mut sent = Vec::new();
    for number in 1..=OPEN_QUESTIONS as u64 + 2 {
        let ask = Input::Ask(Question::Block(number));
        sent.extend(numbers(&step(&mut upstream, 3, ask)));
    }
    assert_eq!(sent, (1..=OPEN_QUESTIONS as u64).collect::<Vec<_>>());
    // The answers come in their order; each makes room for one more.
    let effects = step(&mut upstream, 4, Input::Reply(frames(&[b"B", b"one"])));
    let answer = Answer::Block(b"one".to_vec());
    assert_eq!(effects[0], Effect::Answered(Question::Block(1), answer));
    assert_eq!(numbers(&effects), [OPEN_QUESTIONS as u64 + 1]);
    // The first of them fails with its socket; the others are asked again on the next.
    let effects = step(&mut upstream, 5, Input::Broken("reset".to_owned()));
    assert!(matches!(
        &effects[0],
        Effect::Answered(Question::Block(2), Answer::Failed(_))
    ));
    assert!(matches!(&effects[1], Effect::Open(..)));
    let again: Vec<u64> = (3..=OPEN_QUESTIONS as u64 + 2).collect();
    assert_eq!(numbers(&effects), again);
}

#[test]
fn a_due_height_is_asked_for_between_questions() {
    let mut upstream = registered();
    let late = 2 + 30_000;
    for number in 1..=4 {
        let ask = Input::Ask(Question::Block(number));
        step(&mut upstream, late - 5, ask);
    }
    let mut sent = Vec::new();
    for _ in 0..4 {
        step(&mut upstream, late, Input::Ask(Question::Block(9)));
        sent.extend(step(
            &mut upstream,
            late,
            Input::Reply(frames(&[b"B", b"x"])),
        ));
    }
    let command = |effect: &Effect| match effect {
        Effect::Send(request) => Some(request[1].clone()),
        _ => None,
    };
    let sent: Vec<_> = sent.iter().filter_map(command).collect();
    assert_eq!(sent, [b"N"], "as soon as what is open is answered");
}

#[test]
fn a_peer_that_is_given_up_registers_anew_whatever_is_open() {
    let mut upstream = registered();
    step(&mut upstream, 3, Input::News(frames(&[b"block", b"x"])));
    let share = Input::Share(frames(&[b"OVL1", b"y"]), 10_000);
    assert!(step(&mut upstream, 4, share).is_empty(), "news are open");
    let effects = step(&mut upstream, 5, Input::GiveUp("silent".to_owned()));
    assert_eq!(
        effects,
        [
            Effect::Shared(None),
            Effect::Lost,
            Effect::Open(PeerPublicKey([2; 32]), address())
        ]
    );
    assert!(!upstream.is_registered());
    assert_eq!(upstream.dropped(), 1);
    let effects = step(&mut upstream, 5 + 30_000, Input::Wake);
    assert!(matches!(&effects[..], [Effect::Send(request)] if request[1] == b"R"));
}

#[test]
fn what_is_shared_and_news_take_turns_and_each_gets_one_answer() {
    let mut upstream = registered();
    step(&mut upstream, 3, Input::News(frames(&[b"block", b"1"])));
    step(&mut upstream, 3, Input::News(frames(&[b"block", b"2"])));
    step(
        &mut upstream,
        3,
        Input::Share(frames(&[b"OVL1", b"y"]), 10_000),
    );
    let effects = step(&mut upstream, 4, Input::Reply(frames(&[b"block", b"A"])));
    assert!(matches!(&effects[..], [Effect::Send(request)] if request[1] == b"OVL1"));
    let effects = step(&mut upstream, 5, Input::Reply(frames(&[b"OVL1", b"M12"])));
    assert_eq!(effects[0], Effect::Shared(Some(frames(&[b"OVL1", b"M12"]))));
    assert!(matches!(&effects[1], Effect::Send(request) if request[1] == b"block"));
    // No answer within its own time, which is shorter than that of news.
    step(&mut upstream, 6, Input::Reply(frames(&[b"block", b"A"])));
    step(
        &mut upstream,
        7,
        Input::Share(frames(&[b"OVL1", b"z"]), 10_000),
    );
    assert!(step(&mut upstream, 10_006, Input::Wake).is_empty());
    let effects = step(&mut upstream, 10_007, Input::Wake);
    assert_eq!(effects[0], Effect::Shared(None));
    assert!(upstream.is_registered());
}
