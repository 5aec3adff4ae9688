//! Variables: what `--set` and the environment gave, and what macros made of that. A value remembers
//! which variable it came from, so that it can stay a variable.

use std::collections::BTreeMap;

use super::Text;

/// Most bytes of a text with its variables.
const TEXT_MAX: usize = 64 * 1024;
/// Most bytes of a name.
const NAME_MAX: usize = 256;
/// Most variables beside those that were given.
const MACROS_MAX: usize = 1000;

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// As it stands there, or what cannot be set anew.
    Plain(String),
    /// What a start can set: name and present value.
    Variable {
        /// Its name, `ENV_X` for the environment's X.
        name: String,
        /// What it is now.
        value: String,
    },
}

impl Piece {
    /// The text it stands for.
    #[must_use]
    pub fn value(&self) -> &str {
        match self {
            Self::Plain(value) | Self::Variable { value, .. } => value,
        }
    }
}

/// Why a text or a macro is of no use.
pub(super) type Wrong = String;

/// All variables.
pub(super) struct Variables {
    table: BTreeMap<String, Vec<Piece>>,
    /// Names, the first one that was set first.
    order: Vec<String>,
    most: usize,
}

fn is_empty(pieces: &[Piece]) -> bool {
    pieces.iter().all(|piece| piece.value().is_empty())
}

/// The name up to the brace, and what follows. No further than a name can be: else a line of
/// nothing but open braces would be read from each of them to its end.
fn named(inner: &str) -> Option<(&str, &str)> {
    let end = inner.bytes().take(NAME_MAX).position(|byte| byte == b'}')?;
    Some((inner.get(..end)?, inner.get(end + 1..)?))
}

/// Bytes, and one for each piece, so that empty ones count.
fn size_of_all(pieces: &[Piece]) -> usize {
    pieces.iter().map(|piece| piece.value().len() + 1).sum()
}

impl Variables {
    pub(super) fn new(given: &[(&str, &str)]) -> Self {
        let mut variables = Self {
            table: BTreeMap::new(),
            order: Vec::new(),
            most: given.len() + MACROS_MAX,
        };
        // The reference has these before all others.
        variables.set("FILENAME", String::new());
        variables.set("CURDIR", String::new());
        for (name, value) in given {
            let variable = Piece::Variable {
                name: (*name).to_owned(),
                value: (*value).to_owned(),
            };
            variables.put(name, vec![variable]);
        }
        variables
    }

    fn put(&mut self, name: &str, value: Vec<Piece>) {
        if self.table.insert(name.to_owned(), value).is_none() {
            self.order.push(name.to_owned());
        }
    }

    /// Sets what belongs to the file.
    pub(super) fn set(&mut self, name: &str, value: String) {
        self.put(name, vec![Piece::Plain(value)]);
    }

    /// Puts the values in: `${NAME}`, and `$NAME` for the first name that was set of those that
    /// the text begins with, as in the reference. What is not known stays as it is, and `$$` is a
    /// dollar where anything was put in.
    pub(super) fn expand(&self, text: &str) -> Result<Text, Wrong> {
        match self.expanded(text)? {
            Some(pieces) => Ok(Text(pieces)),
            None => Ok(Text(vec![Piece::Plain(text.to_owned())])),
        }
    }

    /// Nothing where there is no variable.
    fn expanded(&self, text: &str) -> Result<Option<Vec<Piece>>, Wrong> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut found = false;
        let mut size = 0_usize;
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            plain.push_str(before);
            let value = match after.strip_prefix('{') {
                Some(inner) => {
                    named(inner).and_then(|(name, tail)| Some((self.table.get(name)?, tail)))
                }
                None => self.first(after),
            };
            if let Some((value, tail)) = value {
                found = true;
                if !plain.is_empty() {
                    pieces.push(Piece::Plain(std::mem::take(&mut plain)));
                }
                size += size_of_all(value);
                if size > TEXT_MAX {
                    return Err(format!("longer than {TEXT_MAX} bytes with its variables"));
                }
                pieces.extend(value.iter().cloned());
                rest = tail;
            } else {
                plain.push('$');
                rest = after.strip_prefix('$').unwrap_or(after);
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Plain(plain));
        }
        Ok(found.then_some(pieces))
    }

    fn first<'t>(&self, text: &'t str) -> Option<(&Vec<Piece>, &'t str)> {
        self.order.iter().find_map(|name| {
            let tail = text.strip_prefix(name.as_str())?;
            Some((self.table.get(name)?, tail))
        })
    }

    /// One of the reference's own macros; gives what is worth to be known.
    ///
    /// # Errors
    /// There is no such macro.
    pub(super) fn call(
        &mut self,
        name: &str,
        variable: Option<&str>,
        body: &Text,
    ) -> Result<Option<String>, Wrong> {
        if !matches!(name, "set" | "append" | "prepend" | "default") {
            return Err(format!(
                ".{}: no macro of the reference's programs",
                super::shortened(name)
            ));
        }
        let Some(variable) = variable.filter(|name| !name.is_empty()) else {
            return Ok(Some("does nothing without (var=NAME)".to_owned()));
        };
        let text = body.value();
        if text.is_empty() && name != "default" {
            return Ok(Some("does nothing without a text".to_owned()));
        }
        let old = self.table.get(variable).cloned().unwrap_or_default();
        let mut remark = None;
        let new = match name {
            "set" => {
                let names: Vec<&str> = text.split(':').collect();
                let chosen = names.iter().find_map(|name| {
                    let value = self.table.get(*name)?;
                    (!is_empty(value)).then(|| (*name, value.clone()))
                });
                remark = match &chosen {
                    Some((name, _)) if names.len() > 1 => Some(format!(
                        "taken from {name}, the first of {} that is set now; no other one is looked at when the program starts",
                        names.join(", ")
                    )),
                    Some(_) => None,
                    // It was told when that one was set.
                    None if names.iter().any(|name| self.table.contains_key(*name)) => None,
                    None => Some(format!(
                        "empty: none of {} is set now. If one is when the program starts, convert with it: --set NAME=VALUE, or the environment",
                        names.join(", ")
                    )),
                };
                chosen.map(|(_, value)| value).unwrap_or_default()
            }
            "default" if is_empty(&old) => body.0.clone(),
            _ if is_empty(&old) => Vec::new(),
            "append" => [old, body.0.clone()].concat(),
            "prepend" => [body.0.clone(), old].concat(),
            // A default that is not needed.
            _ => old,
        };
        if size_of_all(&new) > TEXT_MAX {
            return Err(format!("{variable} is longer than {TEXT_MAX} bytes"));
        }
        if self.table.len() >= self.most {
            return Err(format!("more than {MACROS_MAX} variables"));
        }
        self.put(variable, new);
        Ok(remark)
    }
}
