//! Keeps the rings of `ARCHITECTURE.md`: what stands inside names nothing of what is around it. Keeps
//! the pages true that lead to tests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        let mut entries: Vec<_> = std::fs::read_dir(folder)
            .expect("the folder opens")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source is text");
                found.push((path, text));
            }
        }
    }
    let mut found = Vec::new();
    walk(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
        &mut found,
    );
    assert!(!found.is_empty(), "{folder} has no source");
    found
}

/// The lines of code that name one of `words`; comments and doc comments do not count.
fn offences(folder: &str, words: &[&str]) -> Vec<String> {
    let mut lines = Vec::new();
    for (path, text) in sources(folder) {
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for word in words {
                if code.contains(word) {
                    lines.push(format!("{}:{}: {word}", path.display(), number + 1));
                }
            }
        }
    }
    lines
}

#[test]
fn the_core_names_no_socket_clock_disk_thread_environment_or_global() {
    let found = offences(
        "src/core",
        &[
            "zmq::",
            "sled::",
            "tokio::",
            "std::net::Tcp",
            "std::net::Udp",
            "std::net::ToSocketAddrs",
            "std::fs",
            "std::thread",
            "std::env",
            "std::process",
            "std::io::stdin",
            "std::sync::Mutex",
            "std::sync::RwLock",
            "std::sync::OnceLock",
            "std::sync::LazyLock",
            "SystemTime",
            "Instant",
            "thread_rng",
            "OsRng",
            "getrandom",
            "static mut",
            "thread_local!",
            "lazy_static",
            "println!",
            "eprintln!",
            "crate::shell",
            "crate::node",
            "crate::cli",
        ],
    );
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_shell_names_neither_node_nor_programs() {
    let found = offences("src/shell", &["crate::node", "crate::cli"]);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_node_names_no_program() {
    let found = offences("src/node", &["crate::cli"]);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn only_the_codec_names_bincode_and_only_the_store_names_sled() {
    for (word, home) in [("bincode", "codec.rs"), ("sled::", "src/shell/store")] {
        let found: Vec<String> = offences("src", &[word])
            .into_iter()
            .filter(|line| !line.contains(home))
            .collect();
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}

#[test]
fn tests_let_time_pass_in_one_place_alone() {
    // The second is the pace of a load over an hour, which runs on demand.
    let allowed = ["tests/shared/waiting.rs", "tests/interop/load.rs"];
    let found: Vec<String> = offences("tests", &["::sleep(", "sleep_until("])
        .into_iter()
        .filter(|line| !allowed.iter().any(|file| line.contains(file)))
        .filter(|line| !line.contains("tests/layers.rs"))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Every name in backquotes of the last column of a table's rows.
fn named_tests(page: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let text = std::fs::read_to_string(&path).expect("the page is there");
    let rows = text.lines().filter(|line| line.starts_with("| "));
    rows.filter(|row| row.contains(".md ") || row.contains(".json #"))
        .filter_map(|row| row.trim_end_matches([' ', '|']).rsplit('|').next())
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(|name| name.rsplit([':', ' ']).next().unwrap_or(name).to_owned())
        .filter(|name| name.len() > 12 && name.contains('_') && !name.contains('.'))
        .collect()
}

#[test]
fn every_test_that_a_table_leads_to_exists() {
    let all: Vec<String> = ["src", "tests"]
        .into_iter()
        .flat_map(sources)
        .map(|(_, text)| text)
        .collect();
    let exists = |name: &str| all.iter().any(|text| text.contains(&format!("fn {name}(")));
    for page in ["ARCHITECTURE.md", "proto/live-cases.md"] {
        let names = named_tests(page);
        assert!(names.len() > 20, "{page} names {} tests", names.len());
        let missing: Vec<_> = names.into_iter().filter(|name| !exists(name)).collect();
        assert!(
            missing.is_empty(),
            "{page} names tests that are not there: {missing:?}"
        );
    }
}

fn text_of(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// What stands in quotes behind each of these words of a text.
fn quoted<'a>(text: &'a str, behind: &str) -> impl Iterator<Item = &'a str> {
    let parts = text.split(behind).skip(1);
    parts.filter_map(|part| part.split('"').next())
}

/// Everything that the sources serve to clients and to people.
fn surfaces() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let calls = text_of("src/core/rpc/call.rs");
    let table = calls
        .split_once("const METHODS")
        .and_then(|(_, rest)| rest.split_once("];\n"));
    let table = table.expect("the table of methods").0;
    all.extend(table.split('"').skip(1).step_by(2).map(str::to_owned));
    let routes = text_of("src/shell/explorer/routes.rs");
    all.extend(quoted(&routes, ".route(\"").map(str::to_owned));
    let paths = text_of("src/shell/https/paths.rs");
    let (paths, _) = paths.split_once("#[cfg(test)]").expect("its tests");
    all.extend(quoted(paths, "\"/bitmarkd/").map(|name| format!("/bitmarkd/{name}")));
    let pages = text_of("src/shell/explorer/pages/app.js");
    let table = pages
        .split_once("const PAGES = {\n")
        .and_then(|(_, rest)| rest.split_once("\n};"));
    for row in table.expect("the table of pages").0.lines() {
        let (name, _) = row.trim().split_once(':').expect("the name of a page");
        all.insert(format!("#/{}", name.trim_matches('"')));
    }
    all
}

#[test]
fn every_method_path_and_page_is_listed_with_tests_that_are_there() {
    let page = text_of("docs/surfaces.md");
    let mut listed = BTreeSet::new();
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches(['|', ' ']).split(" | ").collect();
        let [name, _, tests] = cells[..] else {
            panic!("three columns are wanted: {row}");
        };
        assert!(listed.insert(name.trim_matches('`').to_owned()), "{row}");
        assert!(tests.contains("::"), "no test: {row}");
    }
    let served = surfaces();
    assert!(served.len() > 40, "{served:?}");
    let different: Vec<_> = listed.symmetric_difference(&served).collect();
    assert!(
        different.is_empty(),
        "listed or served alone: {different:?}"
    );
    for named in page.split('`').filter(|text| text.contains("::")) {
        let (file, test) = named.split_once("::").expect("a file and a test");
        let text = text_of(file);
        let is_there = text.split("#[test]").skip(1).any(|behind| {
            let (head, _) = behind.split_once('(').unwrap_or_default();
            head.trim() == format!("fn {test}")
        });
        assert!(is_there, "{named}");
    }
}
