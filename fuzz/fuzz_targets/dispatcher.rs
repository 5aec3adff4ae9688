//! The whole node: any frames as requests, news, replies, submissions and questions, in any order.

#![no_main]

use bitmarkd::core::chain::DEVNET;
use bitmarkd::core::engine::{Effect, Engine, Input};
use bitmarkd::core::id::BlockDigest;
use bitmarkd::core::listener::{Asked, Ticket, request};
use bitmarkd::core::state::MemoryStore;
use bitmarkd_fuzz::{NOW, PROVEN, VALID, messages, mutate, settings};
use libfuzzer_sys::fuzz_target;

fn asked(asked: Asked) -> Input {
    Input::Request {
        ticket: Ticket(1),
        source: 1,
        client: None,
        asked,
    }
}

/// Does what the node wants. Every digest proves its block: what it is worth is not the question.
fn perform(effects: Vec<Effect>, store: &mut MemoryStore, digests: &mut Vec<(u64, BlockDigest)>) {
    for effect in effects {
        match effect {
            Effect::Commit(batch, after) => {
                store.apply(&batch);
                perform(after, store, digests);
            }
            Effect::Digest(request, _) => digests.push((request, PROVEN)),
            Effect::Fatal(why) => panic!("{why}"),
            _ => {}
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut store = MemoryStore::new();
    let (mut engine, _) = Engine::new(NOW, settings(&DEVNET), &store).expect("an empty store");
    let mut now = NOW;
    let mut digests = Vec::new();
    let mut out = Vec::new();
    engine.start(now, &store, &mut out);
    perform(std::mem::take(&mut out), &mut store, &mut digests);
    let name = DEVNET.name.as_bytes().to_vec();
    for (kind, frames) in messages(bytes) {
        let of_ours = || [vec![name.clone()], frames.clone()].concat();
        let socket = u64::from(kind / 16);
        let frame = || frames.first().cloned().unwrap_or_default();
        let input = match kind % 16 {
            0 => Asked::read(&DEVNET, frames).ok().map(asked),
            1 | 2 => {
                let at = usize::from(kind / 16) % VALID.len();
                let (command, mut parameter) = VALID[at].clone();
                mutate(&mut parameter, &frame());
                let body = vec![name.clone(), command.into(), parameter];
                Asked::read(&DEVNET, body).ok().map(asked)
            }
            3 | 4 => Asked::read(&DEVNET, of_ours()).ok().map(asked),
            5 | 6 => {
                request::published(&DEVNET, of_ours()).map(|news| Input::Published(socket, news))
            }
            7 => Some(Input::PublishedOther(socket)),
            8 | 9 => Some(Input::Reply(socket, frames)),
            10 => Some(Input::Reply(
                socket,
                [vec![b"R".to_vec()], of_ours()].concat(),
            )),
            11 => Some(Input::Broken(socket, "broken".to_owned())),
            12 => Some(Input::Submission(socket, frame())),
            13 => serde_json::from_slice(&frame())
                .ok()
                .map(|question| Input::Control(socket, question)),
            14 => {
                let key = *frame().first_chunk().unwrap_or(&[3; 32]);
                Some(Input::Bootstrap(
                    key,
                    frames.into_iter().nth(1).unwrap_or_default(),
                    NOW.wall,
                ))
            }
            _ => {
                now = now.plus_ms(1_000 << (kind / 16));
                Some(Input::Wake)
            }
        };
        let Some(input) = input else { continue };
        engine.step(now, input, &store, &mut out);
        perform(std::mem::take(&mut out), &mut store, &mut digests);
        while let Some((request, digest)) = digests.pop() {
            engine.step(now, Input::Digest(request, digest), &store, &mut out);
            perform(std::mem::take(&mut out), &mut store, &mut digests);
        }
        assert!(engine.next_wakeup() > 0);
    }
});
