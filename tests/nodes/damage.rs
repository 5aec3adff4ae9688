//! A store that cannot be read is set aside, and the chain fetched again.

use crate::stage::{Stage, eventually};

#[test]
fn a_damaged_store_is_kept_aside_and_the_chain_is_fetched_again() {
    let mut stage = Stage::normal("devnet", 4);
    stage.mine_at(0);
    stage.create(0, "before the damage", true);
    let height = stage.wait_agreement(2);
    stage.nodes[2].stop();
    let folder = stage.nodes[2].plan.directory.join("data");
    let store = folder.join("devnet.sled");
    for entry in std::fs::read_dir(&store).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let size = std::fs::metadata(&path).unwrap().len();
            std::fs::write(&path, vec![0x5a; usize::try_from(size.min(4096)).unwrap()]).unwrap();
        }
    }
    stage.nodes[2].start();
    stage.nodes[2].wait_status("the chain again", |s| {
        s["mode"] == "Normal" && s["height"].as_u64() >= Some(height)
    });
    let names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(
        names.iter().any(|name| name.contains(".damaged-")),
        "{names:?}"
    );
    stage.wait_agreement(height);
}

#[test]
fn damage_anywhere_in_the_store_ends_in_a_node_that_agrees_again() {
    let mut stage = Stage::normal("devnet", 4);
    stage.mine_at(0);
    for number in 0..6 {
        stage.create(0, &format!("before the damage {number}"), number == 5);
    }
    let store = stage.nodes[2].plan.directory.join("data/devnet.sled/db");
    for part in 0..4 {
        let height = stage.wait_agreement(2);
        // Started once more, the store has its snapshot and is no longer read as a whole.
        stage.nodes[2].stop();
        stage.nodes[2].start();
        stage.nodes[2].wait_status("start", |s| s["height"].as_u64() >= Some(height));
        stage.nodes[2].stop();
        let mut bytes = std::fs::read(&store).unwrap();
        let at = bytes.len() * (2 * part + 1) / 8;
        let end = bytes.len().min(at + 3000);
        bytes[at..end].fill(0x5a);
        std::fs::write(&store, bytes).unwrap();
        // It may end once when it meets the damage, and says so; the next start sets it aside.
        stage.nodes[2].start();
        let mut ends = 0;
        let node = &mut stage.nodes[2];
        eventually("the chain again", || {
            if node.start_if_ended() {
                ends += 1;
                assert!(ends < 3, "it ends again and again");
            }
            node.status()
                .filter(|s| s["mode"] == "Normal" && s["height"].as_u64() >= Some(height))
        });
        stage.wait_agreement(height);
    }
}
