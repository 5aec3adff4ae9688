//! Any schedule of submissions, losses, duplicates, lost connections and restarts, then quiet:
//! everything is everywhere (M4), and the invariants held at every step.

use proptest::collection::vec;
use proptest::prelude::*;

use super::world::World;
use super::*;

#[derive(Debug, Clone)]
enum Act {
    Submit(u8, u8, u8),
    Confirm(u8),
    Restart(u8),
    Reconnect(u8, u8),
    Lose(u8, u8),
    Run(u16),
    Weather(u8, u8),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0..3_u8, 0..4_u8, 1..8_u8).prop_map(|(at, kind, number)| Act::Submit(at, kind, number)),
        1 => (1..8_u8).prop_map(Act::Confirm),
        1 => (0..3_u8).prop_map(Act::Restart),
        1 => (0..3_u8, 0..3_u8).prop_map(|(from, to)| Act::Reconnect(from, to)),
        1 => (0..3_u8, 0..3_u8).prop_map(|(from, to)| Act::Lose(from, to)),
        4 => (1..3_000_u16).prop_map(Act::Run),
        2 => (0..50_u8, 0..30_u8).prop_map(|(loss, twice)| Act::Weather(loss, twice)),
    ]
}

fn bundle(kind: u8, number: u8) -> Bundle {
    match kind {
        0 => asset(number),
        1 => issues(number, number),
        2 => proof(number),
        _ => transfer(number, if number.is_multiple_of(2) { 0 } else { number }),
    }
}

fn play(world: &mut World, acts: Vec<Act>) {
    for act in acts {
        match act {
            Act::Submit(at, kind, number) => world.submit(usize::from(at), &bundle(kind, number)),
            Act::Confirm(number) => {
                // What a block has, it has with all that it needs.
                for kind in [0, 1, 2] {
                    world.confirm(&bundle(kind, number));
                }
            }
            Act::Restart(at) => world.restart(usize::from(at)),
            Act::Reconnect(from, to) if from != to => {
                world.connect(usize::from(from), usize::from(to));
            }
            Act::Lose(from, to) if from != to => {
                let (from, to) = (usize::from(from), usize::from(to));
                world.step(from, Input::LostPeer(world::name(to)));
            }
            Act::Reconnect(..) | Act::Lose(..) => {}
            Act::Run(time) => world.run(time.into()),
            Act::Weather(loss, twice) => {
                world.loss = f64::from(loss) / 100.0;
                world.duplication = f64::from(twice) / 100.0;
            }
        }
    }
    world.loss = 0.0;
    world.duplication = 0.0;
}

fn small() -> Settings {
    Settings {
        shared_mempool_batch_size: 3,
        ..Settings::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn after_any_weather_everything_is_everywhere(acts in vec(act(), 1..60), seed in any::<u64>()) {
        let mut world = World::new(3, small(), seed);
        world.mesh();
        play(&mut world, acts);
        for (from, to) in [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)] {
            world.connect(from, to);
        }
        world.run(300_000);
        prop_assert!(world.everything_is_everywhere(), "{:?}", [world.has(0), world.has(1), world.has(2)]);
    }

    #[test]
    fn a_node_that_nobody_connects_to_has_everything_too(acts in vec(act(), 1..40), seed in any::<u64>()) {
        let mut world = World::new(3, small(), seed);
        // 2 is behind 1, which is behind 0.
        world.connect(1, 0);
        world.connect(2, 1);
        let acts = acts.into_iter().filter(|act| !matches!(act, Act::Reconnect(..) | Act::Lose(..)));
        play(&mut world, acts.collect());
        world.run(300_000);
        prop_assert!(world.everything_is_everywhere(), "{:?}", [world.has(0), world.has(1), world.has(2)]);
    }
}
