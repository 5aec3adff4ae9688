//! JSON as the reference writes and reads it (`proto/records.md`, section 9): its escapes on the
//! way out, leniency about names on the way in.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::text;

/// A JSON text with its quotes: each byte that is no part of a character becomes `\ufffd`, and
/// `<`, `>`, `&`, U+2028 and U+2029 are escaped.
#[must_use]
pub fn quote(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for piece in text::pieces(bytes) {
        match piece {
            None => out.push_str("\\ufffd"),
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(c @ ('<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\x1f')) => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            Some(c) => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The members of an object, found without regard to the case of their names.
#[derive(Debug, Clone, Copy)]
pub struct Members<'a>(Option<&'a Map<String, Value>>);

impl<'a> Members<'a> {
    /// Of an object; `null` has none.
    ///
    /// # Errors
    /// What the value is instead, without the `json: ` in front.
    pub fn of(value: &'a Value) -> Result<Self, String> {
        match value {
            Value::Object(map) => Ok(Self(Some(map))),
            Value::Null => Ok(Self(None)),
            other => Err(format!("an object is wanted, not {other}")),
        }
    }

    /// The last member of that name which is not `null`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.iter()
            .filter(|(key, value)| key.eq_ignore_ascii_case(name) && !value.is_null())
            .last()
            .map(|(_, value)| value)
    }

    /// A text member; empty when missing.
    ///
    /// # Errors
    /// What the member is instead, without the `json: ` in front.
    pub fn text(&self, name: &str) -> Result<String, String> {
        match self.get(name) {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Err(format!("{name} is a text, not {other}")),
        }
    }

    /// All members in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
        self.0
            .into_iter()
            .flat_map(|map| map.iter().map(|(key, value)| (key.as_str(), value)))
    }
}
