//! Indexes as the reference's node really writes them: those of the vectors.

use bitmarkd::core::state::Pool;
use serde_json::Value;

use crate::stage::{Entries, INDEXES, Place, out};

/// Replays the recorded changes up to a step; the blocks and the index that the reference has then.
fn recorded(last: &str) -> (Vec<Vec<u8>>, Entries) {
    let path = format!("{}/proto/vectors/blocks.json", env!("CARGO_MANIFEST_DIR"));
    let document: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut blocks = Entries::new();
    let mut index = Entries::new();
    for case in document["cases"].as_array().unwrap() {
        for gone in case["removed"].as_array().into_iter().flatten() {
            let (pool, key) = gone.as_str().unwrap().split_once(':').unwrap();
            let key = [pool.as_bytes(), &hex::decode(key).unwrap()].concat();
            index.remove(&key);
            blocks.remove(&key);
        }
        for entry in case["written"].as_array().into_iter().flatten() {
            let text = |name: &str| entry[name].as_str().unwrap();
            let key = [text("pool").as_bytes(), &hex::decode(text("key")).unwrap()].concat();
            if text("pool") == "B" {
                let packed = case["block"]["packed_block"].as_str().unwrap();
                blocks.insert(key, hex::decode(packed).unwrap());
            } else {
                index.insert(key, hex::decode(text("value")).unwrap());
            }
        }
        if case["name"] == last {
            return (blocks.into_values().collect(), index);
        }
    }
    panic!("no step is called {last}");
}

/// Takes them over; what the command prints, and how much of the index is not as ours.
fn taken(last: &str) -> (String, usize) {
    let (blocks, index) = recorded(last);
    let place = Place::new("local");
    place.write_stores(&blocks, &index);
    let text = out(&place.run(&["import", "go"]).success());
    let ours = place.entries(&INDEXES);
    assert_eq!(place.entries(&[Pool::Blocks]).len(), blocks.len());
    let is_known = |(key, value): &(&Vec<u8>, &Vec<u8>)| index.get(*key) == Some(value);
    let alike = ours.iter().filter(is_known).count();
    (text, ours.len().max(index.len()) - alike)
}

#[test]
fn an_index_of_the_reference_is_as_ours() {
    let (text, unlike) = taken("store-6");
    assert_eq!(unlike, 0);
    assert!(text.contains("; 0 differ"), "{text}");
    assert!(!text.contains("the other node took off"), "{text}");
}

#[test]
fn what_a_fork_left_in_an_index_of_the_reference_is_explained() {
    for step in ["delete-6", "store-6-again", "store-6-fork"] {
        let (text, unlike) = taken(step);
        assert!(unlike > 0, "{step}");
        assert!(text.contains("; 0 differ"), "{step}: {text}");
        assert!(text.contains("the other node took off"), "{step}: {text}");
    }
}
