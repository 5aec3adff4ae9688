//! `recorderd.conf`.

use super::node::{missing, one_of};
use super::{Converted, Fields, NUMBER_MAX, Note, Origin, Work, logging};
use crate::shell::files::ucl::Document;

/// A configuration of the reference's miner as one of ours.
///
/// # Errors
/// What cannot be had here, or means nothing; all of it is told.
pub fn recorder(document: &Document, origin: &Origin) -> Result<Converted, Vec<Note>> {
    let mut work = Work::new("recorderd", document, origin);
    let mut root = Fields::new(&document.root);
    work.data_directory(&mut root);
    work.pidfile(&mut root);
    work.chain(&mut root);
    // Without a number, or with none that can be, there is one for each core in both.
    let threads = root.integer("threads", &mut work.report);
    if let Some(threads) = threads.filter(|threads| (1..=NUMBER_MAX).contains(&threads.value)) {
        work.out
            .set("threads", &threads.value.to_string(), Some(&threads.place));
    }
    match root.section("peering", &mut work.report) {
        Some(mut peering) => {
            work.out.section("peering");
            for key in ["public_key", "private_key"] {
                match peering.text(key, &mut work.report) {
                    Some(found) => work.named_file(&peering.key(key), key, &found),
                    None if peering.has(key) => {}
                    None => missing(&mut work, &peering.key(key), peering.place()),
                }
            }
            let before = work.report.problems.len();
            let nodes = peering.each("connect", &mut work.report);
            if nodes.is_empty() && work.report.problems.len() == before {
                missing(&mut work, &peering.key("connect"), peering.place());
            }
            for mut node in nodes {
                work.out.one_more("peering.connect");
                one_of(&mut work, &mut node, &["blocks", "submit"]);
            }
            peering.finish(&mut work.report);
        }
        None => missing(&mut work, "peering", root.place()),
    }
    logging::recorder(&mut work, &mut root);
    work.finish(&root)
}
