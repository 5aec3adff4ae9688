//! Who follows the news of the shared mempool through the control socket (`proto/mempool.md`,
//! section 4.8): each follower has its three bits, and an answer as soon as one of them is set, or
//! after [`HOLD_MS`] without.
//!
//! Bounds: [`FOLLOWERS_MAX`], so that the operator's other questions have places on the socket. One
//! that has not asked for [`IDLE_MS`] makes room.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Effect, Engine, Step};
use crate::core::overlay::mempool::{Mempool, Notices, SubscriberId};
use crate::core::time::Millis;

/// How long a question waits for news.
const HOLD_MS: Millis = 5_000;
/// Most followers.
const FOLLOWERS_MAX: usize = 4;
/// After so long a follower counts as gone.
const IDLE_MS: Millis = 60_000;

#[derive(Debug)]
struct Follower {
    id: SubscriberId,
    asked: Millis,
    /// The question that waits.
    token: Option<u64>,
}

/// All of them, by the number they were told.
#[derive(Debug, Default)]
pub(super) struct Followers {
    all: BTreeMap<u64, Follower>,
    last: u64,
}

impl Followers {
    /// When the next question has waited long enough.
    pub fn next_wakeup(&self) -> Option<Millis> {
        let waiting = self.all.values().filter(|one| one.token.is_some());
        waiting.map(|one| one.asked.saturating_add(HOLD_MS)).min()
    }

    fn begin(&mut self, now: Millis, mempool: &mut Mempool) -> Result<u64, String> {
        self.all.retain(|_, one| {
            let is_here = now.saturating_sub(one.asked) < IDLE_MS;
            if !is_here {
                mempool.unsubscribe(one.id);
            }
            is_here
        });
        let free = self.all.len() < FOLLOWERS_MAX;
        let id = free.then(|| mempool.subscribe()).flatten().ok_or_else(|| {
            format!("{FOLLOWERS_MAX} follow the shared mempool already; try again in a minute")
        })?;
        self.last += 1;
        let follower = Follower {
            id,
            asked: now,
            token: None,
        };
        self.all.insert(self.last, follower);
        Ok(self.last)
    }
}

fn answer(number: u64, notices: Notices) -> Value {
    let names = [
        (Notices::SYNC, "sync"),
        (Notices::PEER_STATE_CHANGE, "peerStateChange"),
        (Notices::NEW_TRANSACTIONS, "newTransactions"),
    ];
    let news = names.into_iter().filter(|(bit, _)| notices.contains(*bit));
    let news: Vec<&str> = news.map(|(_, name)| name).collect();
    json!({"follower": number, "news": news})
}

impl Engine {
    /// A question of a follower. Without a number it becomes one and is answered at once; else it
    /// is answered when there is something new, or after a while.
    pub(super) fn follow(&mut self, step: &mut Step<'_>, token: u64, question: &Value) {
        let now = step.now.mono;
        let Some(number) = question.get("follower").and_then(Value::as_u64) else {
            let number = self.followers.begin(now, &mut self.mempool);
            let told = number.map(|number| answer(number, Notices::NONE));
            step.after.push(Effect::Control(token, told));
            return;
        };
        let Some(one) = self.followers.all.get_mut(&number) else {
            let told = Err("no such follower; ask without a number first".to_owned());
            step.after.push(Effect::Control(token, told));
            return;
        };
        one.asked = now;
        // It asks one question at a time; an older one is over.
        if let Some(older) = one.token.replace(token) {
            let none = answer(number, Notices::NONE);
            step.after.push(Effect::Control(older, Ok(none)));
        }
        self.tell_followers(step);
    }

    /// Answers those for whom there is news, and those that have waited long enough.
    pub(super) fn tell_followers(&mut self, step: &mut Step<'_>) {
        for (number, one) in &mut self.followers.all {
            let Some(token) = one.token else {
                continue;
            };
            let news = self.mempool.take_notices(one.id);
            let is_late = step.now.mono.saturating_sub(one.asked) >= HOLD_MS;
            if !news.is_empty() || is_late {
                one.token = None;
                let told = answer(*number, news);
                step.after.push(Effect::Control(token, Ok(told)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::engine::{Input, tests};
    use crate::core::keys::PeerPublicKey;
    use crate::core::overlay::mempool;
    use crate::core::state::MemoryStore;
    use crate::core::time::Now;

    struct Node(Engine, MemoryStore);

    impl Node {
        fn new() -> Self {
            let store = MemoryStore::new();
            let now = Now { mono: 0, wall: 1 };
            let (engine, _) = Engine::new(now, tests::settings(), &store).unwrap();
            Self(engine, store)
        }

        fn run(&mut self, mono: Millis, what: impl FnOnce(&mut Engine, &mut Step<'_>)) -> Answers {
            let mut out = Vec::new();
            self.0.run(Now { mono, wall: 1 }, &self.1, &mut out, what);
            let after = out.into_iter().flat_map(|effect| match effect {
                Effect::Commit(_, after) => after,
                _ => Vec::new(),
            });
            after
                .filter_map(|effect| match effect {
                    Effect::Control(token, told) => Some((token, told)),
                    _ => None,
                })
                .collect()
        }

        fn ask(&mut self, mono: Millis, token: u64, follower: Option<u64>) -> Answers {
            let question = json!({"command": "mempool-follow", "follower": follower});
            self.run(mono, |engine, step| engine.control(step, token, &question))
        }

        fn connects(&mut self, mono: Millis, peer: u8) -> Answers {
            let come = mempool::Input::NewPeer(PeerPublicKey([peer; 32]));
            self.run(mono, |engine, step| engine.share(step, come))
        }
    }

    type Answers = Vec<(u64, Result<Value, String>)>;

    fn news(number: u64, news: &[&str]) -> Result<Value, String> {
        Ok(json!({"follower": number, "news": news}))
    }

    #[test]
    fn a_follower_is_answered_when_something_happens_and_misses_nothing() {
        let mut node = Node::new();
        assert_eq!(node.ask(10, 1, None), [(1, news(1, &[]))]);
        assert_eq!(node.ask(20, 2, Some(1)), []);
        assert_eq!(node.0.followers.next_wakeup(), Some(20 + HOLD_MS));
        assert_eq!(
            node.connects(30, 7),
            [(2, news(1, &["peerStateChange"]))],
            "at once"
        );
        // While it does not ask, the news wait for it, however many there are.
        node.connects(40, 8);
        node.connects(50, 9);
        assert_eq!(
            node.ask(60, 3, Some(1)),
            [(3, news(1, &["peerStateChange"]))]
        );
        assert_eq!(node.ask(70, 4, Some(1)), []);
    }

    #[test]
    fn without_news_the_answer_comes_after_a_while() {
        let mut node = Node::new();
        node.ask(10, 1, None);
        node.ask(20, 2, Some(1));
        let mut out = Vec::new();
        let now = Now {
            mono: 20 + HOLD_MS,
            wall: 1,
        };
        node.0.step(now, Input::Wake, &node.1, &mut out);
        let told = out.iter().any(|effect| match effect {
            Effect::Commit(_, after) => after
                .iter()
                .any(|one| matches!(one, Effect::Control(2, Ok(_)))),
            _ => false,
        });
        assert!(told);
    }

    #[test]
    fn followers_are_bounded_and_those_that_ask_no_more_make_room() {
        let mut node = Node::new();
        for number in 0..FOLLOWERS_MAX as u64 {
            assert!(node.ask(10, number, None)[0].1.is_ok());
        }
        assert!(node.ask(20, 100, None)[0].1.is_err());
        assert!(node.ask(10 + IDLE_MS, 101, None)[0].1.is_ok());
        assert!(node.ask(10 + IDLE_MS, 102, Some(1))[0].1.is_err());
    }
}
