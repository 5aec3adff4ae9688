//! The shared mempool: any bytes as a message, as a request of a peer and as a reply to what was
//! sent, in any order. What can be read is written with the same bytes; no input panics; the
//! invariants hold.

#![no_main]

use bitmarkd::core::id::AssetId;
use bitmarkd::core::keys::PeerPublicKey;
use bitmarkd::core::overlay::mempool::wire::Message;
use bitmarkd::core::overlay::mempool::{Effect, Input, Locator, Mempool, Pools, Settings, Verdict};
use bitmarkd_fuzz::messages;
use libfuzzer_sys::fuzz_target;

/// Every asset is there, and is its number.
struct Assets;

impl Pools for Assets {
    fn payload(&self, locator: &Locator) -> Option<Vec<u8>> {
        match locator {
            Locator::Assets(id) => Some(id.0.to_vec()),
            _ => None,
        }
    }

    fn needs(&self, _: &Locator) -> Vec<Locator> {
        Vec::new()
    }
}

fn verdict(byte: u8) -> Verdict {
    match byte % 5 {
        0 => Verdict::Accepted,
        1 => Verdict::Duplicate,
        2 => Verdict::Invalid,
        3 => Verdict::Waits,
        _ => Verdict::NoRoom,
    }
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = Message::decode(bytes) {
        assert_eq!(message.encode(), bytes);
    }
    let settings = Settings {
        peers: 3,
        pool_bundles: 50,
        ..Settings::default()
    };
    let mut mempool = Mempool::new(0, settings, [7; 32]);
    let epoch = mempool.epoch().to_be_bytes();
    let (mut now, mut generation, mut tickets, mut jobs) = (0, 1, 0_u64, Vec::new());
    let mut out = Vec::new();
    mempool.step(now, Input::Mode { normal: true }, &Assets, &mut out);
    for (kind, frames) in messages(bytes) {
        let peer = PeerPublicKey([kind / 64; 32]);
        let first = frames.first().cloned().unwrap_or_default();
        // A leading 0xff is in place of our epoch, which no fuzzer guesses.
        let payload = match first.as_slice() {
            [0xff, head @ .., last] => [&[0x4d, 1, *last], &epoch[..], head].concat(),
            _ => first.clone(),
        };
        let number = first.first().copied().unwrap_or_default();
        let input = match kind % 16 {
            0..4 => {
                tickets += 1;
                Input::Request {
                    ticket: tickets,
                    peer,
                    payload,
                }
            }
            4..6 => Input::Reply {
                peer,
                generation,
                frames: Some(vec![b"OVL1".to_vec(), payload]),
            },
            6 => Input::Reply {
                peer,
                generation,
                frames: Some(frames),
            },
            7 => Input::Reply {
                peer,
                generation,
                frames: None,
            },
            8 => Input::NewPeer(peer),
            9 => Input::LostPeer(peer),
            10 => Input::Present {
                locator: Locator::Assets(AssetId([number; 64])),
                origin: (number % 2 == 0).then_some(peer),
            },
            11 => Input::Gone(Locator::Assets(AssetId([number; 64]))),
            12 | 13 => Input::Validated {
                job: jobs.pop().unwrap_or_default(),
                verdicts: first.iter().copied().map(verdict).collect(),
            },
            14 => Input::ChainChanged,
            _ => {
                now += 1 << (kind / 16);
                Input::Wake
            }
        };
        mempool.step(now, input, &Assets, &mut out);
        for effect in out.drain(..) {
            match effect {
                Effect::Send {
                    generation: own, ..
                }
                | Effect::SendPlain {
                    generation: own, ..
                }
                | Effect::AskInfo {
                    generation: own, ..
                } => generation = own,
                Effect::Validate { job, .. } => jobs.push(job),
                Effect::Answer { payload, .. } => {
                    assert!(payload.len() >= 3 && payload.first() == Some(&0x4d));
                }
                _ => {}
            }
        }
        mempool.check_invariants(&Assets).expect("the invariants");
    }
});
