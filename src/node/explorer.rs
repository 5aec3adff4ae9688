//! The explorer of a running node: what its section of the configuration says, and the engine to
//! ask. A listener that cannot be bound is logged; the node runs on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::sync::watch;

use super::desk::Desk;
use crate::core::engine::Input;
use crate::core::explore::Shown;
use crate::shell::counters::Counters;
use crate::shell::explorer::{self, Allowed, Service, Source};
use crate::shell::files::config::Config;
use crate::shell::tcp::listener;

/// Files of a store that are counted.
const FILES_MAX: usize = 100_000;

/// Serves until the node stops.
pub async fn serve(
    config: Config,
    tls: Option<Arc<ServerConfig>>,
    views: Desk<Shown>,
    counters: Counters,
    mut stop: watch::Receiver<bool>,
) {
    let section = &config.explorer;
    if section.listen.is_empty() {
        return;
    }
    let scheme = if tls.is_some() { "https" } else { "http" };
    let service = Service::with_counters(
        source(views, config.database.directory.clone()),
        Allowed(section.allow.clone()),
        tls,
        counters,
    );
    let sockets = section.listen.iter().flat_map(|listen| listen.sockets());
    for address in sockets {
        match listener::open(*address) {
            Ok(listener) => {
                log::info!(target: "node", "explorer: {scheme}://{address}/");
                tokio::spawn(service.clone().accept(listener));
            }
            Err(e) => log::error!(target: "node", "explorer.listen: {address}: {e}"),
        }
    }
    let _ = stop.wait_for(|stop| *stop).await;
}

fn source(views: Desk<Shown>, database: PathBuf) -> Source {
    let ask = move |question| {
        let views = views.clone();
        let answer = async move {
            let asked = views.ask(|token| Input::Explore(token, question)).await;
            asked.map_err(|e| e.to_string())
        };
        Box::pin(answer) as explorer::Answering<_>
    };
    let store_bytes = move || {
        let database = database.clone();
        let counted = async move {
            let counted = tokio::task::spawn_blocking(move || size_of(&database)).await;
            counted.unwrap_or_default()
        };
        Box::pin(counted) as explorer::Answering<u64>
    };
    Source {
        ask: Arc::new(ask),
        store_bytes: Arc::new(store_bytes),
    }
}

/// The bytes of all files in a folder and below.
fn size_of(folder: &Path) -> u64 {
    let mut folders = vec![folder.to_owned()];
    let mut bytes = 0_u64;
    let mut files = 0_usize;
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        for entry in entries {
            files = files.saturating_add(1);
            if files > FILES_MAX {
                return bytes;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => {
                    bytes = bytes.saturating_add(entry.metadata().map_or(0, |data| data.len()));
                }
                _ => {}
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_is_as_large_as_its_files() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("below")).unwrap();
        std::fs::write(folder.path().join("one"), [0; 10]).unwrap();
        std::fs::write(folder.path().join("below/two"), [0; 5]).unwrap();
        assert_eq!(size_of(folder.path()), 15);
        assert_eq!(size_of(&folder.path().join("nowhere")), 0);
    }
}
