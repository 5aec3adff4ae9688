//! Takes settings out of the reference's configuration by its rules: of a key that stands there
//! again the last value counts, a list takes them all, sections of one name are put together.
//! Keys that nobody takes are errors.

use std::collections::{BTreeMap, BTreeSet};

use super::Report;
use super::written::is_name;
use crate::shell::files::ucl::{Entry, Node, Piece, Place, Section, Text, Value, shortened};

/// A value with its place.
#[derive(Debug, Clone)]
pub(super) struct Found<T> {
    pub place: Place,
    pub value: T,
}

/// The sections of one name.
pub(super) struct Fields<'d> {
    /// The name, empty for the whole.
    name: String,
    /// Where the last of them stands.
    place: Place,
    sections: Vec<&'d Section>,
    taken: BTreeSet<&'d str>,
}

impl<'d> Fields<'d> {
    pub(super) fn new(root: &'d Section) -> Self {
        Self {
            name: String::new(),
            place: Place {
                file: None,
                line: 1,
            },
            sections: vec![root],
            taken: BTreeSet::new(),
        }
    }

    /// Where the section stands, for what is not in it.
    pub(super) const fn place(&self) -> &Place {
        &self.place
    }

    /// A key with the names of its sections.
    pub(super) fn key(&self, key: &str) -> String {
        if self.name.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.name)
        }
    }

    /// What `key` is in each section; in other letters of case, too, where it is not there as it is.
    fn entries(&mut self, key: &str) -> Vec<&'d Entry> {
        let mut found = Vec::new();
        for section in &self.sections {
            let exact = section.0.iter().find(|entry| entry.key == key);
            let other = || {
                section
                    .0
                    .iter()
                    .find(|entry| entry.key.eq_ignore_ascii_case(key))
            };
            if let Some(entry) = exact.or_else(other) {
                self.taken.insert(&entry.key);
                found.push(entry);
            }
        }
        found
    }

    /// Whether it is there at all.
    pub(super) fn has(&mut self, key: &str) -> bool {
        !self.entries(key).is_empty()
    }

    /// The value that counts.
    fn last(&mut self, key: &str) -> Option<&'d Node> {
        self.entries(key).last()?.nodes.last()
    }

    pub(super) fn text(&mut self, key: &str, report: &mut Report) -> Option<Found<Text>> {
        let node = self.last(key)?;
        text_of(&self.key(key), node, report)
    }

    /// A text as it stands there, variables and all.
    pub(super) fn plain_text(&mut self, key: &str, report: &mut Report) -> Option<Found<Text>> {
        let node = self.last(key)?;
        let name = self.key(key);
        let value = text_or_problem(&name, node, report)?;
        let place = node.place.clone();
        Some(Found { place, value })
    }

    pub(super) fn integer(&mut self, key: &str, report: &mut Report) -> Option<Found<i64>> {
        let node = self.last(key)?;
        let name = self.key(key);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the reference cuts it, too"
        )]
        let value = match &node.value {
            Value::Integer(number) => Some(*number),
            Value::Float(number) => Some(*number as i64),
            Value::Text(text) => {
                report.frozen(&name, &node.place, text);
                integer_of(text.value().trim())
            }
            _ => None,
        };
        if value.is_none() {
            report.problem(&name, &node.place, "a whole number is wanted");
        }
        let place = node.place.clone();
        value.map(|value| Found { place, value })
    }

    pub(super) fn boolean(&mut self, key: &str, report: &mut Report) -> Option<Found<bool>> {
        let node = self.last(key)?;
        let name = self.key(key);
        let value = match &node.value {
            Value::Boolean(value) => Some(*value),
            Value::Text(text) => {
                report.frozen(&name, &node.place, text);
                match text.value().as_str() {
                    "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
                    "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
                    _ => None,
                }
            }
            Value::Integer(_) | Value::Float(_) => {
                let told = "a number: the reference takes each for false, so it is false here; write true or false";
                report.warning(&name, &node.place, told);
                Some(false)
            }
            _ => None,
        };
        if value.is_none() {
            report.problem(&name, &node.place, "true or false is wanted");
        }
        let place = node.place.clone();
        value.map(|value| Found { place, value })
    }

    /// All values of the last section that has any; nothing where none has.
    pub(super) fn list(&mut self, key: &str, report: &mut Report) -> Option<Vec<Found<Text>>> {
        let entry = *self.entries(key).last()?;
        let name = self.key(key);
        let texts = nodes_of(&name, entry, report).into_iter();
        Some(
            texts
                .filter_map(|node| text_of(&name, node, report))
                .collect(),
        )
    }

    /// The same of a key that counts as it is written alone.
    pub(super) fn exact_list(
        &mut self,
        key: &'d str,
        report: &mut Report,
    ) -> Option<Vec<Found<Text>>> {
        self.taken.insert(key);
        let mut all = self.sections.iter().flat_map(|section| &section.0);
        let entry = all.rfind(|entry| entry.key == key)?;
        let name = self.key(key);
        let texts = nodes_of(&name, entry, report).into_iter();
        let texts = texts.filter_map(|node| text_of(&name, node, report));
        Some(texts.collect())
    }

    /// Keys that are `key` but for the case of letters.
    pub(super) fn other_spellings(&mut self, key: &str) -> Vec<(String, Place)> {
        let mut found = Vec::new();
        for entry in self.sections.iter().flat_map(|section| &section.0) {
            if entry.key != key && entry.key.eq_ignore_ascii_case(key) {
                self.taken.insert(&entry.key);
                let place = entry.nodes.first().map(|node| node.place.clone());
                found.extend(place.map(|place| (entry.key.clone(), place)));
            }
        }
        found
    }

    /// The sections of this name, put together.
    pub(super) fn section(&mut self, key: &str, report: &mut Report) -> Option<Fields<'d>> {
        let name = self.key(key);
        let entries = self.entries(key);
        let nodes = entries.iter().flat_map(|entry| &entry.nodes);
        let mut place = None;
        let mut sections = Vec::new();
        for node in nodes {
            if let Some(section) = section_of(&name, node, report) {
                place = Some(node.place.clone());
                sections.push(section);
            }
        }
        Some(Fields {
            name,
            place: place?,
            sections,
            taken: BTreeSet::new(),
        })
    }

    /// The last section of this name alone.
    pub(super) fn last_section(&mut self, key: &str, report: &mut Report) -> Option<Fields<'d>> {
        let mut fields = self.section(key, report)?;
        let last = fields.sections.pop()?;
        fields.sections = vec![last];
        Some(fields)
    }

    /// Each section of this name, one beside the other.
    pub(super) fn each(&mut self, key: &str, report: &mut Report) -> Vec<Fields<'d>> {
        let name = self.key(key);
        let Some(entry) = self.entries(key).last().copied() else {
            return Vec::new();
        };
        let nodes = nodes_of(&name, entry, report);
        let each = nodes.into_iter().filter_map(|node| {
            Some(Fields {
                name: name.clone(),
                place: node.place.clone(),
                sections: vec![section_of(&name, node, report)?],
                taken: BTreeSet::new(),
            })
        });
        each.collect()
    }

    /// Keys that are not known beforehand, with their texts. Of a key that stands in one section
    /// again the first counts.
    pub(super) fn map(&mut self, report: &mut Report) -> BTreeMap<String, Found<Text>> {
        let mut map = BTreeMap::new();
        for section in &self.sections {
            for entry in &section.0 {
                self.taken.insert(&entry.key);
                let name = self.key(&shortened(&entry.key));
                let Some(node) = entry.nodes.first() else {
                    continue;
                };
                for other in entry.nodes.iter().skip(1) {
                    let told = "is there again: the reference takes the first, and so does this; take one away";
                    report.warning(&name, &other.place, told);
                }
                if let Some(found) = text_of(&name, node, report) {
                    map.insert(entry.key.clone(), found);
                }
            }
        }
        map
    }

    /// What nobody took is an error.
    pub(super) fn finish(&self, report: &mut Report) {
        for (key, place) in self.unknown() {
            let told = "unknown; the reference's program passes over it: take it out";
            report.problem(&self.key(&shortened(key)), place, told);
        }
    }

    /// The same where the key may be a secret.
    pub(super) fn finish_unnamed(&self, report: &mut Report) {
        for (_, place) in self.unknown() {
            let name = if self.name.is_empty() {
                "the file"
            } else {
                &self.name
            };
            report.problem(name, place, "an unknown key");
        }
    }

    fn unknown(&self) -> impl Iterator<Item = (&'d str, &'d Place)> {
        let all = self.sections.iter().flat_map(|section| &section.0);
        let unknown = all.filter(|entry| !self.taken.contains(entry.key.as_str()));
        unknown.filter_map(|entry| Some((entry.key.as_str(), &entry.nodes.first()?.place)))
    }
}

fn section_of<'d>(name: &str, node: &'d Node, report: &mut Report) -> Option<&'d Section> {
    match &node.value {
        Value::Section(section) => Some(section),
        _ => {
            report.problem(name, &node.place, "a section in braces is wanted");
            None
        }
    }
}

/// The values of a list, which is written in brackets, or by repeating its key.
fn nodes_of<'d>(name: &str, entry: &'d Entry, report: &mut Report) -> Vec<&'d Node> {
    let mut nodes = entry.nodes.iter();
    let Some(Node {
        value: Value::List(list),
        ..
    }) = entry.nodes.first()
    else {
        return nodes.collect();
    };
    for other in nodes.by_ref().skip(1) {
        let told = "another list: the reference takes the first alone, and so does this; take this one away, or put both in one";
        report.warning(name, &other.place, told);
    }
    list.iter().collect()
}

fn text_or_problem(name: &str, node: &Node, report: &mut Report) -> Option<Text> {
    let plain = |text: String| Some(Text(vec![Piece::Plain(text)]));
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        Value::Boolean(value) => plain(value.to_string()),
        Value::Integer(number) => plain(number.to_string()),
        _ => {
            report.problem(name, &node.place, "a text is wanted; write it in quotes");
            None
        }
    }
}

fn text_of(name: &str, node: &Node, report: &mut Report) -> Option<Found<Text>> {
    let text = text_or_problem(name, node, report)?;
    if let Some(unset) = unset(&text) {
        let told = format!("{unset} is not set; give it with --set {unset}=VALUE");
        report.problem(name, &node.place, &told);
        return None;
    }
    let mut names = text.variables();
    names.retain(|name| !is_name(name));
    if !names.is_empty() {
        let told = format!(
            "{} is no name of a variable here: it stays what it is now",
            names.join(", ")
        );
        report.warning(name, &node.place, &told);
    }
    Some(Found {
        place: node.place.clone(),
        value: text,
    })
}

/// A variable that nothing was put in for.
fn unset(text: &Text) -> Option<&str> {
    let mut plain = text.0.iter().filter_map(|piece| match piece {
        Piece::Plain(plain) => plain.split_once("${"),
        Piece::Variable { .. } => None,
    });
    let (_, rest) = plain.next()?;
    let name = rest.split_once('}').map_or(rest, |(unset, _)| unset);
    Some(
        name.char_indices()
            .nth(80)
            .map_or(name, |(end, _)| name.get(..end).unwrap_or(name)),
    )
}

/// A whole number that stands in quotes.
fn integer_of(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let in_base = |prefix: &str, base| {
        let digits = lower.strip_prefix(prefix)?;
        Some(i64::from_str_radix(digits, base))
    };
    let plain = || {
        let octal = lower.len() > 1 && lower.starts_with('0');
        i64::from_str_radix(&lower, if octal { 8 } else { 10 })
    };
    let value = in_base("0x", 16)
        .or_else(|| in_base("0o", 8))
        .or_else(|| in_base("0b", 2))
        .unwrap_or_else(plain)
        .ok()
        .filter(|value| *value >= 0)?;
    Some(if negative { -value } else { value })
}
