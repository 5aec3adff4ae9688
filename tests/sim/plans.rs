//! Random lives: from a seed follows who is there, what the network is like, and what goes wrong
//! when. Then all heals, and what must hold is looked at.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bitmarkd::core::overlay::mempool;
use bitmarkd::core::reservoir::Caps;
use bitmarkd::core::time::Millis;
use bitmarkd::core::timing::Timing;
use rand::Rng as _;

use crate::checks;
use crate::network::Weather;
use crate::node::{Plan, chain};
use crate::scripts::{Script, What};
use crate::world::{Deed, World};

pub const MINUTE: Millis = 60_000;

/// Intervals shorter than the reference's, so that much happens in little time.
pub fn fast() -> Timing {
    Timing {
        connector_cycle_ms: 2_000,
        upstream_cycle_ms: 3_000,
        upstream_timeout_ms: 5_000,
        question_ms: 5_000,
        minimum_upstreams: 1,
        rebroadcast_ms: 30_000,
        heartbeat_ms: 10_000,
        subscription_silence_ms: 25_000,
        announce_initial_ms: 5_000,
        announce_interval_ms: 60_000,
        announce_relay_limit_s: 30,
        announce_expiry_s: 400,
        ..Timing::default()
    }
}

/// So many nodes, each connected to all others and subscribed to the next.
pub fn mesh(count: usize, timing: Timing) -> Vec<Plan> {
    (0..count)
        .map(|index| Plan {
            connect: (0..count).filter(|other| *other != index).collect(),
            subscribe: vec![(index + 1) % count],
            bootstrap: Vec::new(),
            dynamic: false,
            timing,
            mempool: mempool::Settings::default(),
            caps: Caps::default(),
        })
        .collect()
}

/// A random life of a network.
pub fn life(seed: u64, is_traced: bool) -> World {
    let mut world = World::new(chain(), seed, Vec::new());
    let count = world.random.gen_range(3..=5);
    let random = world.random.clone();
    world = World::new(chain(), seed, mesh(count, fast()));
    world.random = random;
    if is_traced {
        world.trace();
    }
    let outcome = catch_unwind(AssertUnwindSafe(|| live(&mut world, count)));
    if let Err(why) = outcome {
        world.print_trace();
        std::panic::resume_unwind(why);
    }
    world
}

fn live(world: &mut World, count: usize) {
    let whats: [fn() -> What; 3] = [
        || What::Boaster,
        || What::Babbler,
        || What::Forger { seen: Vec::new() },
    ];
    for what in whats {
        if world.random.gen_ratio(1, 3) {
            world.add_script(|party| Script::new(party, count, what()));
        }
    }
    for node in 0..count {
        let drift = world.random.gen_range(-200..=200);
        let off = world.random.gen_range(-60..=60);
        world.plan(0, Deed::Clock(node, off, drift));
        let delay = world.random.gen_range(0..5_000);
        world.plan(delay, Deed::Boot(node));
    }
    let weather = Weather {
        latency_ms: (1, world.random.gen_range(5..200)),
        loss: world.random.gen_range(0..100),
        duplicate: world.random.gen_range(0..50),
        late: world.random.gen_range(0..50),
        late_ms: world.random.gen_range(1..3_000),
    };
    world.plan(0, Deed::Weather(weather));
    world.plan(10_000, Deed::Mining(Some(15_000)));
    let every = world.random.gen_range(300..2_000);
    world.plan(10_000, Deed::Traffic(Some(every)));
    let end = 8 * MINUTE;
    for _ in 0..world.random.gen_range(1..8) {
        trouble(world, count, end);
    }
    world.run(end);
    // All heals.
    world.forget_plans();
    world.deed(Deed::Quiet);
    world.deed(Deed::Heal);
    world.deed(Deed::Weather(Weather::FAIR));
    world.deed(Deed::Traffic(None));
    for node in 0..count {
        world.deed(Deed::Clock(node, 0, 0));
        world.deed(Deed::Boot(node));
    }
    world.run(8 * MINUTE);
    world.deed(Deed::Mining(None));
    world.run(MINUTE);
    // Two blocks of one height are equals until the next one; and what a node alone could verify,
    // because its proof was made for blocks that others never had, waits for that node's block.
    for round in 0..3 * count {
        if checks::is_settled(world) {
            break;
        }
        world.act_and_mine(round % count);
        world.run(MINUTE);
    }
    checks::at_the_end(world);
}

/// One thing that goes wrong.
fn trouble(world: &mut World, count: usize, end: Millis) {
    let begin = world.random.gen_range(20_000..end);
    let lasts = world.random.gen_range(1_000..2 * MINUTE);
    let node = world.random.gen_range(0..count);
    match world.random.gen_range(0..5) {
        0 => {
            world.plan(begin, Deed::Crash(node));
            world.plan(begin + lasts, Deed::Boot(node));
        }
        1 => {
            // Again and again, each time while something is written.
            for turn in 0..world.random.gen_range(1..20) {
                let left = world.random.gen_range(0..4);
                let at = begin + turn * 20_000;
                world.plan(at, Deed::CrashAtCommit(node, left));
                world.plan(at + 15_000, Deed::Boot(node));
            }
        }
        2 => {
            // One half from the other, both ways or one.
            let cut = world.random.gen_range(1..count);
            let (a, b): (Vec<usize>, Vec<usize>) = (0..count).partition(|n| *n < cut);
            world.plan(begin, Deed::Block(a.clone(), b.clone()));
            if world.random.gen_ratio(2, 3) {
                world.plan(begin, Deed::Block(b, a));
            }
            world.plan(begin + lasts, Deed::Heal);
        }
        3 => {
            let off = world.random.gen_range(-200..=200);
            world.plan(begin, Deed::Clock(node, off, 0));
        }
        _ => {
            // Everything at once.
            for node in 0..count {
                world.plan(begin, Deed::Crash(node));
                let pause = world.random.gen_range(0..lasts);
                world.plan(begin + pause, Deed::Boot(node));
            }
        }
    }
}
