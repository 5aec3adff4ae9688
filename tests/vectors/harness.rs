//! What every vector test shares: it reads a file of cases, hands out each case so that no field
//! is forgotten, and prints one line a difference.
//!
//! Invariants: a field that was neither read as input, nor compared, nor set aside with a reason
//! is a failure; so is a file without a case, and a declared deviation that makes no difference.
//! It never knows what a field means.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::Value;

/// The groups of the files that are told apart by their operation alone.
const GROUPS: [(&str, &[&str]); 8] = [
    (
        "accounts.json",
        &[
            "base58_encode",
            "base58_decode",
            "account",
            "account_nothing",
            "account_from_bytes",
            "account_from_text",
            "account_from_text_damaged",
            "private_key",
            "private_key_from_bytes",
            "private_key_from_text",
            "private_key_from_text_damaged",
            "seed",
            "seed_unusual",
            "seed_bad",
            "check_signature",
            "check_signature_torsion",
            "signature_text",
        ],
    ),
    (
        "assetid.json",
        &[
            "asset_id",
            "asset_id_from_text",
            "asset_id_from_bytes",
            "pay_id",
            "pay_id_from_text",
        ],
    ),
    (
        "blocks-crash.json",
        &[
            "second-foundation",
            "base-after-foundation",
            "double-in-block",
            "missing-asset",
            "transfer-of-block",
            "single-ltc-base",
            "delete-dup",
            "restart-after-delete-all",
            "reindex",
        ],
    ),
    ("connection.json", &["parse", "pack", "unpack"]),
    (
        "currency.json",
        &[
            "from_code",
            "from_text",
            "validate_address",
            "litecoin_from_bitcoin",
            "pack_map",
            "unpack_map",
            "satoshi",
            "payment_from_json",
        ],
    ),
    (
        "merkle.json",
        &[
            "digest",
            "digest_from_text",
            "digest_from_display_text",
            "digest_from_bytes",
            "tree",
            "genesis_root",
            "duplicated_last_leaf",
        ],
    ),
    (
        "records.json",
        &[
            "valid_BaseData",
            "valid_AssetData",
            "valid_BitmarkIssue",
            "valid_BitmarkTransferUnratified",
            "valid_BitmarkTransferCountersigned",
            "valid_BlockFoundation",
            "valid_BlockOwnerTransfer",
            "genesis",
            "pack_refused_asset",
            "pack_refused_utf8",
            "pack_refused_metadata",
            "pack_refused_issue",
            "pack_refused_transfer",
            "pack_refused_block_owner",
            "truncation",
            "trailing_bytes",
            "wrong_network",
            "non_minimal_tag",
            "bad_tag",
            "bad_field",
            "lenient",
            "malleable",
            "json",
            "packed_text",
        ],
    ),
    ("varint.json", &["encode", "decode", "clipped"]),
];

/// The folder the cases come from: `VECTORS_DIR`, or the project's own.
pub fn folder() -> PathBuf {
    std::env::var_os("VECTORS_DIR").map_or_else(own_folder, PathBuf::from)
}

fn own_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("proto/vectors")
}

fn is_own_folder() -> bool {
    match (folder().canonicalize(), own_folder().canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

/// A rule that `proto/DEVIATIONS.md` declares.
#[derive(Default)]
pub struct Rule {
    /// Its cases as `file.json#index`.
    cases: BTreeSet<String>,
    /// The names of the fields that it changes.
    fields: BTreeSet<String>,
}

/// The rules that `proto/DEVIATIONS.md` declares.
///
/// A rule is a heading `### rule-name`; its cases stand in a line `Cases: file.json #1 #2; …`, the
/// names of the fields that it changes in a line `Fields: one, two`.
fn declared_rules() -> BTreeMap<String, Rule> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("proto/DEVIATIONS.md");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut rules: BTreeMap<String, Rule> = BTreeMap::new();
    let mut rule = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("### ") {
            rule = Some(name.trim().to_owned());
            rules.entry(name.trim().to_owned()).or_default();
        } else if let (Some(rule), Some(list)) = (&rule, line.strip_prefix("Cases: ")) {
            for part in list.split(';') {
                let mut words = part.split_whitespace();
                let Some(file) = words.next() else { continue };
                for word in words {
                    let number = word.trim_matches(|c: char| !c.is_ascii_digit());
                    let rule = rules.entry(rule.clone()).or_default();
                    rule.cases.insert(format!("{file}#{number}"));
                }
            }
        } else if let (Some(rule), Some(list)) = (&rule, line.strip_prefix("Fields: ")) {
            let fields = list.split(',').map(|field| field.trim().to_owned());
            rules.entry(rule.clone()).or_default().fields.extend(fields);
        }
    }
    rules
}

/// One case of a file: hands out its fields and notes which were used.
pub struct Case {
    /// File name without its folder.
    pub file: String,
    /// Position in the file's list of cases, from 0.
    pub index: usize,
    value: Value,
    used: RefCell<BTreeSet<String>>,
    lines: RefCell<Vec<String>>,
    /// Rule and the names of the fields that it changed.
    deviations: RefCell<BTreeMap<String, BTreeSet<String>>>,
    compared: RefCell<usize>,
}

impl Case {
    /// `group/operation/name` as far as the case has them.
    pub fn label(&self) -> String {
        let mut label = format!("#{}", self.index);
        for key in ["group", "operation", "kind", "name", "title", "note"] {
            if let Some(text) = self.value.get(key).and_then(Value::as_str) {
                let _ = write!(label, " {}", text.chars().take(60).collect::<String>());
            }
        }
        label
    }

    /// Whether the case has the field (marks nothing).
    pub fn has(&self, field: &str) -> bool {
        self.value.get(field).is_some()
    }

    /// A field used as input; `Null` when absent.
    pub fn input(&self, field: &str) -> &Value {
        self.used.borrow_mut().insert(field.to_owned());
        self.value.get(field).unwrap_or(&Value::Null)
    }

    /// An input field as text.
    pub fn text(&self, field: &str) -> &str {
        self.input(field).as_str().unwrap_or_else(|| {
            panic!(
                "{} {}: field {field} is not a text",
                self.file,
                self.label()
            )
        })
    }

    /// An input field as bytes from hex.
    pub fn bytes(&self, field: &str) -> Vec<u8> {
        hex::decode(self.text(field))
            .unwrap_or_else(|e| panic!("{} {}: field {field}: {e}", self.file, self.label()))
    }

    /// A field that is no input and states no result; say why.
    pub fn set_aside(&self, field: &str, _reason: &str) {
        self.used.borrow_mut().insert(field.to_owned());
    }

    /// Compares a result with the field of the same name.
    pub fn expect(&self, field: &str, got: impl Into<Value>) {
        let expected = self.input(field).clone();
        self.expect_value(field, &expected, &got.into());
    }

    /// Compares a result with an expectation taken from deep inside the case; mark the top field
    /// with [`Case::input`].
    pub fn expect_value(&self, path: &str, expected: &Value, got: &Value) {
        *self.compared.borrow_mut() += 1;
        if expected != got {
            self.lines.borrow_mut().push(format!(
                "{} | {} | {path} | expected {expected} | got {got}",
                self.file,
                self.label()
            ));
        }
    }

    /// A result that differs by a rule of `proto/DEVIATIONS.md`: `got` must be what ours
    /// promises and must not be what was recorded.
    pub fn deviates(
        &self,
        rule: &str,
        field: &str,
        got: impl Into<Value>,
        promised: impl Into<Value>,
    ) {
        let recorded = self.input(field).clone();
        self.deviates_value(rule, field, &recorded, &got.into(), &promised.into());
    }

    /// As [`Case::deviates`], for a value from deep inside the case.
    pub fn deviates_value(
        &self,
        rule: &str,
        path: &str,
        recorded: &Value,
        got: &Value,
        promised: &Value,
    ) {
        *self.compared.borrow_mut() += 1;
        let mut deviations = self.deviations.borrow_mut();
        let fields = deviations.entry(rule.to_owned()).or_default();
        differing(recorded, promised, path, fields);
        let mut lines = self.lines.borrow_mut();
        let head = format!("{} | {} | {path}", self.file, self.label());
        if got != promised {
            lines.push(format!(
                "{head} | promised by {rule} {promised} | got {got}"
            ));
        }
        if promised == recorded {
            lines.push(format!(
                "{head} | rule {rule} makes no difference: recorded {recorded}"
            ));
        }
    }

    /// Reports a difference that is not a plain comparison.
    pub fn fail(&self, path: &str, why: impl std::fmt::Display) {
        self.lines
            .borrow_mut()
            .push(format!("{} | {} | {path} | {why}", self.file, self.label()));
    }
}

/// The names of the fields, at any depth, in which two values differ.
fn differing(a: &Value, b: &Value, path: &str, fields: &mut BTreeSet<String>) {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            for field in a.keys().chain(b.keys()).collect::<BTreeSet<_>>() {
                let (a, b) = (a.get(field), b.get(field));
                let null = &Value::Null;
                differing(a.unwrap_or(null), b.unwrap_or(null), field, fields);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (a, b) in a.iter().zip(b) {
                differing(a, b, path, fields);
            }
        }
        _ if a != b => {
            let last = path.rsplit('.').next().unwrap_or(path);
            fields.insert(last.trim_end_matches(|c: char| !c.is_alphabetic()).into());
        }
        _ => {}
    }
}

/// Runs `check` over every case of `file`, prints each difference and the summary, and panics if
/// there was any. A file that is not in a folder given from outside is reported and passed over.
pub fn run(file: &str, check: impl Fn(&Case)) {
    run_with(file, |cases| cases.iter().for_each(&check));
}

/// As [`run`], for files whose cases build on each other.
pub fn run_with(file: &str, check: impl FnOnce(&[Case])) {
    let path = folder().join(file);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(_) if !is_own_folder() => {
            println!("{file}: not in the folder given");
            return;
        }
        Err(e) => panic!("{}: {e}", path.display()),
    };
    let document: Value = serde_json::from_str(&text).expect("a vector file is JSON");
    let cases: Vec<Case> = document["cases"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .enumerate()
        .map(|(index, value)| Case {
            file: file.to_owned(),
            index,
            value: value.clone(),
            used: RefCell::default(),
            lines: RefCell::default(),
            deviations: RefCell::default(),
            compared: RefCell::default(),
        })
        .collect();
    for case in &cases {
        let known = GROUPS.iter().find(|(name, _)| *name == file);
        let group = case.value.get("group").and_then(Value::as_str);
        if let (Some((_, known)), Some(group)) = (known, group)
            && !known.contains(&group)
        {
            case.fail("group", format!("{group} is unknown"));
        }
    }
    check(&cases);

    let rules = declared_rules();
    let mut lines = Vec::new();
    let mut declared: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut checked = 0;
    for case in &cases {
        lines.append(&mut case.lines.borrow_mut());
        checked += usize::from(*case.compared.borrow() > 0);
        for (rule, fields) in case.deviations.borrow().iter() {
            let label = case.label();
            match rules.get(rule) {
                None => lines.push(format!(
                    "{file} | {label} | - | rule {rule} is not declared in proto/DEVIATIONS.md"
                )),
                Some(known) => lines.extend(fields.difference(&known.fields).map(|field| {
                    format!("{file} | {label} | {field} | rule {rule} does not change this field")
                })),
            }
            declared
                .entry(rule.clone())
                .or_default()
                .insert(format!("{file}#{}", case.index));
        }
        if let Some(object) = case.value.as_object() {
            for field in object.keys() {
                let known = [
                    "group",
                    "operation",
                    "kind",
                    "name",
                    "title",
                    "note",
                    "about",
                ];
                if !known.contains(&field.as_str()) && !case.used.borrow().contains(field) {
                    lines.push(format!(
                        "{file} | {} | {field} | this field was not compared",
                        case.label()
                    ));
                }
            }
        }
    }
    if is_own_folder() {
        for (rule, listed) in &rules {
            let listed: BTreeSet<&String> = listed
                .cases
                .iter()
                .filter(|case| case.starts_with(&format!("{file}#")))
                .collect();
            let empty = BTreeSet::new();
            let seen: BTreeSet<&String> = declared.get(rule).unwrap_or(&empty).iter().collect();
            if listed != seen {
                lines.push(format!(
                    "{file} | - | - | rule {rule}: proto/DEVIATIONS.md lists {listed:?}, these differ: {seen:?}"
                ));
            }
        }
    }
    for line in &lines {
        println!("{line}");
    }
    let deviations: usize = declared.values().map(BTreeSet::len).sum();
    println!(
        "{file}: {} cases, {checked} compared, {} differences, {deviations} declared deviations",
        cases.len(),
        lines.len()
    );
    assert!(!cases.is_empty(), "{file} has no case");
    assert!(checked > 0, "{file}: no case was checked");
    assert!(
        lines.is_empty(),
        "{file}: {} differences\n{}",
        lines.len(),
        lines.join("\n")
    );
}
