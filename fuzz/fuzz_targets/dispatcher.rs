//! The whole node: any frames as requests, news, replies, submissions and questions, in any order.

#![no_main]

use bitmarkd::core::chain::DEVNET;
use bitmarkd::core::engine::Input;
use bitmarkd::core::listener::{Asked, request};
use bitmarkd_fuzz::{Bench, NOW, VALID, messages, mutate};
use libfuzzer_sys::fuzz_target;

fn asked(bench: &mut Bench, frames: Vec<Vec<u8>>) {
    if let Ok(asked) = Asked::read(&DEVNET, frames) {
        bench.request(asked);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut bench = Bench::empty();
    let name = DEVNET.name.as_bytes().to_vec();
    for (kind, frames) in messages(bytes) {
        let of_ours = || [vec![name.clone()], frames.clone()].concat();
        let socket = u64::from(kind / 16);
        let frame = || frames.first().cloned().unwrap_or_default();
        let input = match kind % 16 {
            0 => {
                asked(&mut bench, frames);
                None
            }
            1 | 2 => {
                let at = usize::from(kind / 16) % VALID.len();
                let (command, mut parameter) = VALID[at].clone();
                mutate(&mut parameter, &frame());
                let body = vec![name.clone(), command.into(), parameter];
                asked(&mut bench, body);
                None
            }
            3 | 4 => {
                asked(&mut bench, of_ours());
                None
            }
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
                bench.now = bench.now.plus_ms(1_000 << (kind / 16));
                Some(Input::Wake)
            }
        };
        if let Some(input) = input {
            bench.step(input);
        }
        assert!(bench.engine.next_wakeup() > 0);
    }
});
