//! Names of files in the configuration become absolute: those that are relative stand in the data
//! directory, which itself is relative to the folder of the configuration (`proto/rpc.md`,
//! section 6). Names that depend on the chain are filled in here.

use std::path::{Path, PathBuf};

use super::{Config, Logging};

/// The data directory by its name alone.
pub(super) fn named(given: &Path, file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
    .join(given)
    .components()
    .collect()
}

/// Finds the data directory; it must exist.
pub(super) fn data_directory(given: &Path, file: &Path) -> Result<PathBuf, String> {
    if given.as_os_str().is_empty() || given == Path::new("~") {
        return Err(format!(
            "data_directory: {given:?}; name a directory, \".\" for that of this file"
        ));
    }
    let directory = named(given, file);
    match directory.canonicalize() {
        Ok(found) if found.is_dir() => Ok(found),
        Ok(found) => Err(format!(
            "data_directory: {} is no directory",
            found.display()
        )),
        Err(error) => Err(format!("data_directory: {}: {error}", directory.display())),
    }
}

/// Makes all names of `config`, which came from `file`, absolute.
pub(super) fn resolve(config: &mut Config, file: &Path, problems: &mut Vec<String>) {
    match data_directory(&config.data_directory, file) {
        Ok(directory) => config.data_directory = directory,
        Err(problem) => return problems.push(problem),
    }
    all(config);
}

/// The same where the data directory need not be there.
pub(super) fn resolve_in(config: &mut Config, file: &Path) {
    config.data_directory = named(&config.data_directory, file);
    all(config);
}

/// Names that are relative to the data directory.
fn all(config: &mut Config) {
    let chain = config.chain.name().to_owned();
    let base = config.data_directory.clone();
    let absolute = |path: &mut PathBuf| *path = base.join(&*path);

    config.pidfile.as_mut().map(absolute);
    absolute(
        config
            .peer_file
            .get_or_insert_with(|| format!("peers-{chain}.json").into()),
    );
    config.database.name.get_or_insert(chain);
    absolute(&mut config.database.directory);
    for path in [
        &mut config.client_rpc.certificate,
        &mut config.client_rpc.private_key,
        &mut config.https_rpc.certificate,
        &mut config.https_rpc.private_key,
        &mut config.peering.public_key,
        &mut config.peering.private_key,
        &mut config.publishing.public_key,
        &mut config.publishing.private_key,
        &mut config.proofing.public_key,
        &mut config.proofing.private_key,
        &mut config.proofing.signing_key,
        &mut config.control.socket,
    ] {
        absolute(path);
    }
    let explorer = &mut config.explorer;
    let pair = [&mut explorer.certificate, &mut explorer.private_key];
    pair.into_iter().flatten().for_each(absolute);
    resolve_logging(&mut config.logging, &config.data_directory);
}

/// The same for the log.
pub(super) fn resolve_logging(logging: &mut Logging, data_directory: &Path) {
    logging.directory = data_directory.join(&logging.directory);
}
