//! What is measured, one file a measure: `make bench` runs them all, `make bench ONLY="digest block"`
//! some. Each hands its rows to the one [`table`] and tells how long it took. A measure may start this
//! program anew for a part that wants a process of its own.
//!
//! `RECORDS=…` has stores of fewer records than a million, `REFERENCE_BIN=…` names the folder with the
//! reference's programs.

mod bare;
mod beside;
mod block;
mod digest;
mod echo;
mod fixture;
mod growth;
mod issues;
mod layouts;
mod lookup;
mod mempool;
mod mix;
mod old_digest;
mod picture;
mod process;
mod reference;
mod requests;
mod rig;
mod rival;
mod size;
mod snapshot;
mod start;
mod sync;
mod table;
mod title;
mod world;

use std::time::Instant;

use table::Table;

/// A measure: its name and what takes its rows.
type Measure = (&'static str, fn(&mut Table));

/// In the order they run in.
const MEASURES: &[Measure] = &[
    ("digest", digest::run),
    ("sync", sync::run),
    ("block", block::run),
    ("lookup", lookup::run),
    ("size", size::run),
    ("start", start::run),
    ("snapshot", snapshot::run),
    ("growth", growth::run),
    ("old-digest", old_digest::run),
    ("requests", requests::run),
    ("beside", beside::run),
    ("issues", issues::run),
    ("intake-growth", issues::run_growth),
    ("memory", issues::run_memory),
    ("title", title::run),
    ("mempool", mempool::run),
];

/// A part that runs as a process of its own: its name and what is done with the arguments behind it.
type Part = (&'static str, fn(&[String]));

/// All of them.
const PARTS: &[Part] = &[
    ("curve", growth::part),
    ("echo", echo::part),
    ("layouts", layouts::part),
    ("libargon2", rival::part),
    ("writer", start::part),
];

fn main() {
    // `cargo bench` hands `--bench` on.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    if let Some((first, rest)) = words.split_first()
        && let Some((_, part)) = PARTS.iter().find(|(name, _)| name == first)
    {
        return part(rest);
    }
    if let Some(unknown) = words
        .iter()
        .find(|word| !MEASURES.iter().any(|(name, _)| name == word))
    {
        let names: Vec<&str> = MEASURES.iter().map(|(name, _)| *name).collect();
        eprintln!("{unknown}: no such measure; there are {}", names.join(", "));
        std::process::exit(2);
    }
    let mut table = Table::default();
    let all = Instant::now();
    for (name, run) in MEASURES {
        if words.is_empty() || words.iter().any(|word| word == name) {
            eprintln!("== {name}");
            let begin = Instant::now();
            run(&mut table);
            eprintln!("== {name} took {:.0} s", begin.elapsed().as_secs_f64());
        }
    }
    eprintln!("== all took {:.0} s", all.elapsed().as_secs_f64());
    table.finish();
}
