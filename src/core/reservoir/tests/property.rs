//! Any sequence of inputs keeps the counters equal to recounted ones (checked after each input
//! by `World`), and what was stored reads back as what is in memory.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Act {
    Asset(u8, u8),
    Issues(u8, u8, u8),
    Transfer(u8, u8),
    Pay(u8),
    PayUnknown(u8),
    Confirm(u8),
    TakeOff(u8),
    Hours(u8),
    Fetch,
    Restart,
    Noise(Vec<u8>),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0..4_u8, 0..6_u8).prop_map(|(peer, name)| Act::Asset(peer, name)),
        (0..4_u8, 0..6_u8, 0..6_u8).prop_map(|(peer, name, from)| Act::Issues(peer, name, from)),
        (0..3_u8, 4..7_u8).prop_map(|(link, to)| Act::Transfer(link, to)),
        any::<u8>().prop_map(Act::Pay),
        (0..8_u8).prop_map(Act::PayUnknown),
        any::<u8>().prop_map(Act::Confirm),
        any::<u8>().prop_map(Act::TakeOff),
        (1..80_u8).prop_map(Act::Hours),
        Just(Act::Fetch),
        Just(Act::Restart),
        proptest::collection::vec(any::<u8>(), 0..100).prop_map(Act::Noise),
    ]
}

fn name(number: u8) -> String {
    format!("asset {number}")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
    #[test]
    fn counters_are_right_and_the_disk_says_the_same(acts in proptest::collection::vec(act(), 1..60)) {
        let mut world = World::with(Caps {
            pending_records: 16,
            pending_bytes: 3_000,
            peer_share_percent: 50,
            sets_per_owner: 6,
            assets: 4,
            orphan_payments: 3,
        });
        let links: Vec<TxId> = (0..3).map(|nonce| world.confirmed_issue(3, nonce)).collect();
        let mut blocks: Vec<Vec<u8>> = Vec::new();
        for act in acts {
            match act {
                Act::Asset(peer, number) => {
                    let _ = world.from(u64::from(peer), Command::Assets, packed_asset(&name(number)));
                }
                Act::Issues(peer, number, from) => {
                    let nonces = u64::from(from)..u64::from(from) + 2;
                    let data = nonces.flat_map(|nonce| issue(&name(number), nonce)).collect();
                    let _ = world.from(u64::from(peer), Command::Issues, data);
                }
                Act::Transfer(link, to) => {
                    let data = transfer(links[usize::from(link)], 3, to);
                    let _ = world.peer(Command::Transfer, data);
                }
                Act::Pay(which) => {
                    let known: Vec<PayId> = world.pools.pools.sets.keys().copied().collect();
                    if let Some(pay_id) = known.get(usize::from(which) % known.len().max(1)) {
                        world.pay(*pay_id);
                    }
                }
                Act::PayUnknown(number) => world.pay(PayId([number; 48])),
                Act::Confirm(which) => {
                    let members: Vec<_> = world.pools.pools.sets.values()
                        .flat_map(|set| set.live().map(|member| (member.packed.to_vec(), set.link())))
                        .collect();
                    if let Some((packed, link)) = members.get(usize::from(which) % members.len().max(1)) {
                        let id = world.confirm(packed, 7);
                        let record = match link {
                            Some(link) => ledger::Confirmed::Transfer { id, link: *link },
                            None => ledger::Confirmed::Issue(id),
                        };
                        world.stored(7, vec![record]);
                        blocks.push(packed.clone());
                    }
                }
                Act::TakeOff(which) => {
                    if !blocks.is_empty() {
                        let packed = blocks.remove(usize::from(which) % blocks.len());
                        world.unconfirm(&TxId::of(&packed));
                        world.taken_off(&[packed]);
                    }
                }
                Act::Hours(hours) => world.pass(u64::from(hours) * HOUR_S),
                Act::Fetch => {
                    world.verified(5);
                }
                Act::Restart => {
                    let (loaded, _) = world.loaded();
                    prop_assert_eq!(&loaded.pools.assets, &world.pools.pools.assets);
                    prop_assert_eq!(&loaded.pools.orphans, &world.pools.pools.orphans);
                    prop_assert_eq!(&loaded.pools.settled, &world.pools.pools.settled);
                    let kept = |id: &PayId| world.pools.pools.sets.contains_key(id);
                    prop_assert!(loaded.pools.sets.keys().all(kept));
                }
                Act::Noise(bytes) => {
                    for command in [Command::Assets, Command::Issues, Command::Transfer, Command::Proof] {
                        let _ = world.peer(command, bytes.clone());
                    }
                }
            }
            prop_assert!(world.pools.sizes().assets <= 4 + blocks.len() + 6);
            prop_assert!(world.pools.sizes().orphan_payment <= 3);
        }
        let (loaded, out) = world.loaded();
        if out.is_empty() {
            let mut kept = world.pools.pools.clone();
            kept.verified_changed = false;
            prop_assert_eq!(loaded.pools, kept);
        }
    }
}
