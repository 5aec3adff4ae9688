//! Configuration files of the node and the miner.

#![no_main]

use bitmarkd::shell::files::config::{Config, Variables};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let set = ["NAME=value".to_owned()];
    let variables = Variables::new(&set, []).expect("a name and a value");
    let _ = Config::parse("file", text, &variables);
});
