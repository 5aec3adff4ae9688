//! What the simulator is asked to show.

use std::collections::BTreeSet;
use std::time::Instant;

use bitmarkd::core::overlay::mempool;
use bitmarkd::core::reservoir::Caps;
use bitmarkd::core::timing::Timing;

use crate::checks;
use crate::network::Weather;
use crate::node::{Plan, chain};
use crate::plans::{self, MINUTE, mesh};
use crate::scripts::{Script, What};
use crate::world::{Deed, World};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn random_lives_lose_nothing_and_end_on_one_chain() {
    if let Some(seed) = number("SEED") {
        plans::life(seed, true);
        return;
    }
    let rounds = number("ROUNDS").unwrap_or(12);
    let first = number("FIRST").unwrap_or(0);
    let mut steps = 0;
    let begin = Instant::now();
    for seed in first..first + rounds {
        let outcome = std::panic::catch_unwind(|| plans::life(seed, false));
        match outcome {
            Ok(world) => steps += world.steps,
            Err(why) => {
                eprintln!("seed {seed} fails: repeat it with `make sim SEED={seed}`");
                std::panic::resume_unwind(why);
            }
        }
    }
    println!(
        "{rounds} lives of 18 minutes, {steps} steps, in {:.1} s",
        begin.elapsed().as_secs_f64()
    );
}

#[test]
fn a_seed_gives_the_same_life_each_time() {
    let print = || plans::life(3, false).print;
    assert_eq!(print(), print());
}

#[test]
fn an_hour_of_four_nodes_at_the_reference_intervals() {
    let begin = Instant::now();
    let mut world = World::new(chain(), 1, mesh(4, Timing::default()));
    world.clients.are_honest = true;
    let weather = Weather {
        loss: 50,
        ..Weather::FAIR
    };
    world.deed(Deed::Weather(weather));
    for node in 0..4 {
        world.deed(Deed::Boot(node));
    }
    world.deed(Deed::Mining(Some(MINUTE)));
    world.deed(Deed::Traffic(Some(1_000)));
    world.run(60 * MINUTE);
    let took = begin.elapsed().as_secs_f64();
    println!(
        "one hour of four nodes in {took:.2} s: {} steps, {} records acknowledged, height {}, {} messages, {} lost",
        world.steps,
        world.clients.acknowledged,
        world.nodes[0].height(),
        world.network.carried,
        world.network.lost,
    );
    assert!(world.clients.acknowledged > 2_000);
    for node in 0..4 {
        checks::promises(&mut world, node);
    }
}

#[test]
fn ten_thousand_announced_keys_never_hold_all_places_of_a_node() {
    const KEYS: usize = 10_000;
    let plans: Vec<Plan> = (0..4)
        .map(|index| Plan {
            connect: Vec::new(),
            subscribe: Vec::new(),
            bootstrap: vec![(index + 1) % 4, (index + 2) % 4],
            dynamic: true,
            timing: plans::fast(),
            mempool: mempool::Settings::default(),
            caps: Caps::default(),
        })
        .collect();
    let mut world = World::new(chain(), 7, plans);
    for node in 0..4 {
        world.deed(Deed::Boot(node));
    }
    world.run(2 * MINUTE);
    let swarm = What::Swarm {
        keys: BTreeSet::new(),
        most: KEYS,
    };
    let swarm = world.add_script(|party| Script::new(party, 4, swarm));
    world.run(3 * MINUTE);
    // A node that starts anew among them finds the honest ones again.
    for node in 0..2 {
        world.deed(Deed::Crash(node));
        world.run(10_000);
        world.deed(Deed::Boot(node));
        world.run(MINUTE);
    }
    let strangers: usize = (0..4)
        .map(|node| {
            let upstreams = world.nodes[node].engine().upstreams();
            upstreams
                .filter(|(key, is)| *is && world.is_of(swarm, key))
                .count()
        })
        .sum();
    println!("{strangers} places of four nodes are held by {KEYS} keys of one party");
    for node in &world.nodes {
        assert!(node.is_normal());
    }
}
