//! A store that cannot be read is set aside, and the chain fetched again.

use crate::stage::Stage;

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
