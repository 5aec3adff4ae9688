//! Every metric that the dashboard and the page of documentation name is there.

use std::collections::BTreeSet;

use bitmarkd::core::currency::Currency;
use bitmarkd::shell::counters::{Counters, Flow, Health};
use bitmarkd::shell::explorer::{Numbers, render};
use serde_json::{Value, json};

/// What an engine might say.
pub fn engine() -> Value {
    json!({
        "height": 7, "networkHeight": 8, "mode": "Normal", "digests": 12,
        "reservoir": {"pending": 1, "expired": 2},
        "refused": {"a \"reason\"": 3},
        "recordMessages": [{"command": "issues", "result": "taken", "count": 4}],
        "shared": {"batches_sent": 5, "parked": 6},
    })
}

/// The names of all samples; every line must be one, or a comment.
pub fn samples(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with("# ")) {
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let name = name.split('{').next().unwrap();
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(name.chars().all(is_name), "{line}");
        names.insert(name.to_owned());
    }
    names
}

/// All words of a text that begin as our metrics do.
fn named(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    text.split(|c| !is_name(c))
        .filter(|word| word.starts_with("bitmarkd_"))
        .map(str::to_owned)
        .collect()
}

fn all() -> BTreeSet<String> {
    let counters = Counters {
        sockets: vec![("listener", Flow::default())],
        payments: vec![(Currency::Bitcoin, Health::default())],
        ..Counters::default()
    };
    for requests in [
        &counters.peers,
        &counters.rpc.requests,
        &counters.https.requests,
    ] {
        requests.begin("one").end("answered");
    }
    let numbers = Numbers::new(counters);
    numbers.answered("/", 200, std::time::Duration::from_millis(2), 10);
    samples(&render(&numbers, &engine(), 1))
}

fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(expression)) = members.get("expr") {
                found.push(expression.clone());
            }
            members
                .values()
                .for_each(|member| expressions(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        _ => {}
    }
}

#[test]
fn the_dashboard_asks_for_metrics_that_exist() {
    let text = include_str!("../../docs/grafana/bitmarkd.json");
    let dashboard: Value = serde_json::from_str(text).unwrap();
    let mut queries = Vec::new();
    expressions(&dashboard, &mut queries);
    assert!(queries.len() > 10, "{queries:?}");
    let all = all();
    for query in queries {
        let names = named(&query);
        assert!(!names.is_empty(), "{query} names no metric");
        for name in names {
            assert!(all.contains(&name), "{name} of {query} is not there");
        }
    }
}

#[test]
fn the_documentation_lists_every_metric_and_no_other() {
    let listed = named(include_str!("../../docs/explorer.md"));
    let all: BTreeSet<String> = all();
    let missing: Vec<_> = all
        .iter()
        .filter(|name| {
            let base = ["_bucket", "_count", "_sum"]
                .iter()
                .find_map(|end| name.strip_suffix(end));
            !listed.contains(*name) && base.is_none_or(|base| !listed.contains(base))
        })
        .collect();
    assert!(missing.is_empty(), "not in docs/explorer.md: {missing:?}");
    let others: Vec<_> = listed
        .iter()
        .filter(|name| !all.contains(*name) && !all.contains(&format!("{name}_count")))
        .collect();
    assert!(others.is_empty(), "in docs/explorer.md alone: {others:?}");
}
