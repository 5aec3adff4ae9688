//! The folder of what the client keeps for its user. Never holds anything of a node.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// `bitmark-cli` in the user's configuration.
///
/// # Errors
/// The user has no folder.
pub fn folder() -> anyhow::Result<PathBuf> {
    // An empty one is none.
    let given = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let base = given("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| given("HOME").map(|home| Path::new(&home).join(".config")))
        .context("neither HOME nor XDG_CONFIG_HOME says where your files are")?;
    Ok(base.join("bitmark-cli"))
}
