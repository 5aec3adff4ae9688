//! Configurations of the reference's node, miner and client, on their way to ours.

#![no_main]

use std::io;
use std::path::Path;

use bitmarkd::shell::files::config::{Config, ConfigError, RecorderConfig, Variables};
use bitmarkd::shell::files::moved::{self, Origin};
use bitmarkd::shell::files::ucl::{self, FILE_MAX, Input};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let set = ["NAME=value".to_owned()];
    let variables = Variables::new(&set, []).expect("a name and a value");
    let path = Path::new("/folder/file.conf");
    // A file that includes itself, and one that is not there.
    let mut open = |name: &Path| match name.to_str() {
        Some("self") => Ok((path.to_owned(), bytes.to_vec())),
        _ => Err(io::ErrorKind::NotFound.into()),
    };
    let input = Input {
        path,
        variables: &variables.values(),
        open: &mut open,
    };
    let document = match ucl::read(bytes, input) {
        Ok(document) => document,
        Err(error) => {
            assert!(error.place.line >= 1 && error.place.line <= bytes.len().min(FILE_MAX) + 1);
            return;
        }
    };
    let origin = Origin {
        file: path.to_owned(),
        same_folder: true,
        working_directory: "/work".into(),
    };
    let _ = moved::client(&document, &[]);
    let _ = moved::client(&document, &["a".to_owned()]);
    if let Ok(converted) = moved::recorder(&document, &origin) {
        let made = RecorderConfig::check_text(path, &converted.text, &variables);
        let made = made.map(|_| ()).or_else(|error| match error {
            // What values mean together is told with the lines of the file.
            ConfigError::Check { .. } => Ok(()),
            error => Err(error),
        });
        made.unwrap_or_else(|error| panic!("{error}\n{}", converted.text));
    }
    if let Ok(converted) = moved::node(&document, &origin) {
        // What comes out is TOML with keys that ours has.
        let made = Config::parse("made", &converted.text, &variables);
        made.unwrap_or_else(|error| panic!("{error}\n{}", converted.text));
    }
});
