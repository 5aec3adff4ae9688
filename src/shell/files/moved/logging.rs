//! `logging`. The reference divides its log by other modules: each of ours talks as much as the one
//! that talks most of those that do the same there.

use std::collections::BTreeMap;

use super::written::quoted;
use super::{Fields, Found, Work};
use crate::shell::files::ucl::{Text, shortened};

/// The name for all modules without a level of their own, in both.
const DEFAULT: &str = "DEFAULT";
/// From the most to the least.
const LEVELS: [&str; 7] = ["trace", "debug", "info", "warn", "error", "critical", "off"];

/// What one of our modules does, in the names of the reference's.
type Modules = [(&'static str, &'static [&'static str])];

const NODE: &Modules = &[
    (
        "node",
        &[
            "announce",
            "announcer",
            "asset",
            "asset-expiry",
            "block",
            "blockstore",
            "broadcaster",
            "connector",
            "listener",
            "main",
            "memory",
            "mode",
            "peer",
            "proof",
            "publish",
            "publisher",
            "rebroadcaster",
            "reservoir",
            "ring",
            "submission",
            "upstream",
        ],
    ),
    ("https", &["rpc"]),
    (
        "payment",
        &["bitcoin", "checker", "discoverer", "litecoin", "payment"],
    ),
    ("rpc", &["client_rpc", "rpc"]),
];

const RECORDER: &Modules = &[("recorder", &["main", "proofer", "submitter", "subscriber"])];

pub(super) fn node(work: &mut Work<'_>, root: &mut Fields<'_>) {
    logging(work, root, NODE);
}

pub(super) fn recorder(work: &mut Work<'_>, root: &mut Fields<'_>) {
    logging(work, root, RECORDER);
}

fn logging(work: &mut Work<'_>, root: &mut Fields<'_>, modules: &Modules) {
    work.out.section("logging");
    let Some(mut fields) = root.section("logging", &mut work.report) else {
        work.out.section("logging.levels");
        return work.default(DEFAULT, "critical");
    };
    work.path(&mut fields, "directory", "log", "log");
    work.path(&mut fields, "file", "", "");
    work.number(&mut fields, "size");
    work.number(&mut fields, "count");
    work.boolean(&mut fields, "console");
    let given = fields
        .section("levels", &mut work.report)
        .map(|mut levels| levels.map(&mut work.report));
    fields.finish(&mut work.report);
    work.out.section("logging.levels");
    levels(work, given.unwrap_or_default(), modules);
}

/// Most of a module's lines stand under one name here: where a name there ends with a number, it is
/// left out.
fn bare(name: &str) -> &str {
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit());
    name.strip_suffix(['@', '-']).unwrap_or(name)
}

fn levels(work: &mut Work<'_>, given: BTreeMap<String, Found<Text>>, modules: &Modules) {
    let mut valid: BTreeMap<String, usize> = BTreeMap::new();
    let mut first = None;
    for (name, found) in given {
        let whole = format!("logging.levels.{}", shortened(&name));
        work.tell_frozen(&whole, &found);
        let level = found.value.value();
        match LEVELS.iter().position(|known| *known == level) {
            Some(rank) => {
                if name == DEFAULT {
                    work.out.set(DEFAULT, &quoted(&level), Some(&found.place));
                } else {
                    first.get_or_insert(found.place);
                }
                valid.insert(name, rank);
            }
            None => {
                let instead = if name == DEFAULT {
                    "error"
                } else {
                    "what DEFAULT is"
                };
                let told = format!(
                    "{:?} is no level, and the reference takes {instead}; write one of {} in quotes",
                    shortened(&level),
                    LEVELS.join(", ")
                );
                work.tell(&whole, &found.place, &told);
                if name == DEFAULT {
                    work.out.set(DEFAULT, "\"error\"", Some(&found.place));
                    valid.insert(name, 4);
                }
            }
        }
    }
    if !valid.contains_key(DEFAULT) {
        work.default(DEFAULT, "critical");
    }
    let default = valid.get(DEFAULT).copied().unwrap_or(5);
    valid.remove(DEFAULT);
    let named: Vec<String> = valid
        .iter()
        .filter(|(_, rank)| **rank != default)
        .map(|(name, rank)| format!("{} {}", shortened(name), LEVELS.get(*rank).unwrap_or(&"")))
        .collect();
    if let Some(place) = first.filter(|_| !named.is_empty()) {
        let told = format!(
            "the log is divided otherwise here (the names of modules are in each line); those that are not DEFAULT's were: {}. Look whether what follows is what you want",
            named.join(", ")
        );
        work.tell("logging.levels", &place, &told);
    }
    for (ours, theirs) in modules {
        let of = |name: &&str| {
            let mut ranks = valid
                .iter()
                .filter(|(known, _)| known.as_str() == *name || bare(known) == *name)
                .map(|(_, rank)| *rank);
            let first = ranks.next().unwrap_or(default);
            ranks.fold(first, usize::min)
        };
        let rank = theirs.iter().map(of).min().unwrap_or(default);
        if rank != default
            && let Some(level) = LEVELS.get(rank)
        {
            work.out.set(ours, &quoted(level), None);
        }
    }
}
