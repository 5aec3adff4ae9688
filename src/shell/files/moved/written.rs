//! Writes our TOML, line by line, and remembers what came from where.

use std::collections::BTreeMap;

use super::fields::Found;
use crate::shell::files::ucl::{Piece, Place, Text};

/// What is written so far.
#[derive(Debug, Default)]
pub(super) struct Written {
    text: String,
    section: String,
    /// Where each key comes from.
    places: BTreeMap<String, Place>,
}

impl Written {
    /// Lines that begin with `#`.
    pub(super) fn comment(&mut self, text: &str) {
        for line in text.lines() {
            let line: String = line
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect();
            self.text.push_str(format!("# {line}").trim_end());
            self.text.push('\n');
        }
    }

    /// `[name]`
    pub(super) fn section(&mut self, name: &str) {
        self.text.push_str(&format!("\n[{name}]\n"));
        name.clone_into(&mut self.section);
    }

    /// `[[name]]`
    pub(super) fn one_more(&mut self, name: &str) {
        self.text.push_str(&format!("\n[[{name}]]\n"));
        name.clone_into(&mut self.section);
    }

    /// A key with a value in TOML.
    pub(super) fn set(&mut self, key: &str, value: &str, place: Option<&Place>) {
        let whole = if self.section.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.section)
        };
        if let Some(place) = place {
            self.places.insert(whole, place.clone());
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let key = if !key.is_empty() && key.chars().all(plain) {
            key.to_owned()
        } else {
            quoted(key)
        };
        self.text.push_str(&format!("{key} = {value}\n"));
    }

    pub(super) fn text(&mut self, key: &str, found: &Found<Text>) {
        self.set(key, &literal(&found.value), Some(&found.place));
    }

    pub(super) fn list(&mut self, key: &str, list: &[Found<Text>]) {
        let values: Vec<_> = list.iter().map(|found| literal(&found.value)).collect();
        let place = list.first().map(|found| &found.place);
        self.set(key, &format!("[{}]", values.join(", ")), place);
    }

    /// Where a key comes from, or the longest of what it begins with.
    pub(super) fn place(&self, key: &str) -> Option<&Place> {
        let fits = |name: &str| {
            key == name
                || key
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('.'))
        };
        let found = self.places.iter().filter(|(name, _)| fits(name));
        found
            .max_by_key(|(name, _)| name.len())
            .map(|(_, place)| place)
    }

    pub(super) fn text_so_far(&self) -> &str {
        &self.text
    }
}

/// A text in TOML.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            // Else ${NAME} would be a variable.
            '$' => out.push_str("\\u0024"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// A text with the variables that it keeps.
fn literal(text: &Text) -> String {
    let mut out = String::from("\"");
    for piece in &text.0 {
        match piece {
            Piece::Variable { name, .. } if is_name(name) => out.push_str(&format!("${{{name}}}")),
            piece => out.push_str(&escaped(piece.value())),
        }
    }
    out.push('"');
    out
}

/// Whether a variable of this name can stand in ours.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
