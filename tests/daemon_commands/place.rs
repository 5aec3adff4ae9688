//! A folder with a configuration, in which the program is run; and what it tells.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use bitmarkd::shell::store::{CACHE_BYTES, Store};
use tempfile::TempDir;

use crate::branch::file_of;

/// A node's folder with its configuration.
pub struct Place(pub TempDir);

impl Place {
    pub fn new() -> Self {
        Self::with("")
    }

    /// Further lines at the end of the configuration.
    pub fn with(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "data_directory = \".\"\nchain = \"devnet\"\nnodes = \"none\"\n[peering]\nlisten = \"127.0.0.1:2136\"\n{more}"
        );
        std::fs::write(folder.path().join("node.toml"), text).unwrap();
        Self(folder)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs the program in the folder, with its configuration.
    pub fn run(&self, args: &[&str]) -> Assert {
        self.program()
            .args(["--config-file", "node.toml"])
            .args(args)
            .assert()
    }

    pub fn program(&self) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_bitmarkd"));
        program.current_dir(self.0.path());
        program
    }

    pub fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn mode(&self, name: &str) -> u32 {
        let facts = std::fs::metadata(self.path(name)).unwrap();
        facts.permissions().mode() & 0o777
    }

    pub fn store(&self) -> Store {
        Store::open(&self.path("data/devnet.sled"), CACHE_BYTES)
            .unwrap()
            .store
    }

    /// Loads a chain of blocks.
    pub fn loaded(blocks: &[Vec<u8>]) -> Self {
        let place = Self::new();
        std::fs::write(place.path("chain"), file_of(blocks)).unwrap();
        place.run(&["load-blocks", "chain"]).success();
        place
    }

    pub fn saved(&self) -> Vec<u8> {
        self.run(&["--quiet", "save-blocks", "saved"]).success();
        let bytes = std::fs::read(self.path("saved")).unwrap();
        std::fs::remove_file(self.path("saved")).unwrap();
        bytes
    }
}

pub fn out(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

/// What a failing command tells; its exit status is 1.
pub fn told(assert: Assert) -> String {
    let assert = assert.code(1);
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}
