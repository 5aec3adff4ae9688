//! Equality with the reference: one test a file of `proto/vectors/`, or of the folder that
//! `VECTORS_DIR` names.

mod announce;
mod connection;
#[allow(dead_code)]
mod harness;

/// Files that a later issue reads; each says what it waits for.
const WAITING: [(&str, &str); 1] = [(
    "rpc-transcripts.json",
    "JSON-RPC, HTTPS and the client over them",
)];

/// Files that a test below reads.
const READ: [&str; 2] = ["announce.json", "connection.json"];

#[test]
fn every_vector_file_is_known() {
    let mut unknown = Vec::new();
    for entry in std::fs::read_dir(harness::folder()).expect("the folder of vectors opens") {
        let name = entry.expect("an entry").file_name().into_string().unwrap();
        let waits = WAITING.iter().any(|(file, _)| *file == name);
        if name.ends_with(".json") && !waits && !READ.contains(&name.as_str()) {
            unknown.push(name);
        }
    }
    for (file, why) in WAITING {
        println!("{file} waits for: {why}");
    }
    assert!(unknown.is_empty(), "no test knows {unknown:?}");
}
