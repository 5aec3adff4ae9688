//! Replies of a peer to whatever is open: registration, height, questions, news.

#![no_main]

use bitmarkd::core::chain::DEVNET;
use bitmarkd::core::keys::PeerPublicKey;
use bitmarkd::core::time::Now;
use bitmarkd::core::upstream::{Input, Own, Question, Timing, Upstream};
use bitmarkd::core::wire::connection::Connection;
use bitmarkd_fuzz::messages;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let own = Own {
        key: PeerPublicKey([1; 32]),
        listeners: Vec::new(),
    };
    let timing = Timing {
        cycle_ms: 10,
        timeout_ms: 100,
        question_ms: 50,
    };
    let mut upstream = Upstream::new(&DEVNET, own, timing);
    let mut now = Now::default();
    let mut out = Vec::new();
    let address = Connection::from_text("127.0.0.1:1").expect("an address");
    upstream.step(now, Input::Dial(PeerPublicKey([2; 32]), address), &mut out);
    let name = DEVNET.name.as_bytes().to_vec();
    for (kind, frames) in messages(bytes) {
        let input = match kind % 8 {
            0 => {
                let mut registered = vec![b"R".to_vec(), name.clone()];
                registered.extend(frames);
                Input::Reply(registered)
            }
            1 => Input::Ask(Question::Block(2)),
            2 => Input::Ask(Question::Digest(2)),
            3 => Input::News(frames),
            4 => Input::Wake,
            5 => Input::Broken("broken".to_owned()),
            _ => Input::Reply(frames),
        };
        now = now.plus_ms(u64::from(kind));
        upstream.step(now, input, &mut out);
        out.clear();
    }
});
