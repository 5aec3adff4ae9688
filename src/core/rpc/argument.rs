//! The members of a call's argument (`proto/rpc.md`, sections 1 and 3): names in any case, unknown
//! members passed over, missing ones empty.
//!
//! The texts for members of another kind are those of the reference's language runtime as far as
//! that is cheap; nobody should depend on them. As there, a text that is not in its form ends the
//! reading, while a member of another kind is told only when nothing else is wrong.

use std::fmt::Display;
use std::str::FromStr;

use serde_json::Value;

use super::cut;
use crate::core::record::Draft;
use crate::core::wire::json::Members;
use crate::core::wire::quote::quote;

/// What a JSON value is, as the runtime names it.
pub(super) const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// An argument that is being read.
pub(super) struct Argument<'a> {
    type_name: &'static str,
    members: Members<'a>,
    /// The first text that is not in its form.
    form: Option<String>,
    /// The first member of another kind.
    kind: Option<String>,
}

impl<'a> Argument<'a> {
    /// Of an object; `null` has no members.
    ///
    /// # Errors
    /// It is something else.
    pub fn of(type_name: &'static str, value: &'a Value) -> Result<Self, String> {
        let members = Members::of(value).map_err(|_| {
            format!(
                "json: cannot unmarshal {} into Go value of type rpc.{type_name}",
                kind(value)
            )
        })?;
        Ok(Self {
            type_name,
            members,
            form: None,
            kind: None,
        })
    }

    /// The call, if nothing was wrong.
    ///
    /// # Errors
    /// What was wrong first.
    pub fn end<T>(self, call: T) -> Result<T, String> {
        self.form.or(self.kind).map_or(Ok(call), Err)
    }

    fn wrong_kind(&mut self, name: &str, what: &str, wanted: &str) {
        let type_name = self.type_name;
        self.kind.get_or_insert_with(|| {
            format!("json: cannot unmarshal {what} into Go struct field {type_name}.{name} of type {wanted}")
        });
    }

    fn wrong_form(&mut self, error: &dyn Display) {
        self.form
            .get_or_insert_with(|| cut(&error.to_string()).to_owned());
    }

    /// A text; empty when missing.
    pub fn text(&mut self, name: &str) -> String {
        match self.members.get(name) {
            None => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => {
                self.wrong_kind(name, kind(other), "string");
                String::new()
            }
        }
    }

    /// A text that stands for something; nothing when missing.
    pub fn parsed<T: FromStr<Err: Display>>(&mut self, name: &str, wanted: &str) -> Option<T> {
        match self.members.get(name)? {
            Value::String(text) => match text.parse() {
                Ok(value) => return Some(value),
                Err(error) => self.wrong_form(&error),
            },
            other => self.wrong_kind(name, kind(other), wanted),
        }
        None
    }

    /// A number; 0 when missing.
    pub fn number(&mut self, name: &str) -> u64 {
        self.whole(name, "uint64", Value::as_u64)
    }

    /// A number of things, which may be negative; 0 when missing.
    pub fn count(&mut self, name: &str) -> i64 {
        self.whole(name, "int", Value::as_i64)
    }

    fn whole<T: Default>(
        &mut self,
        name: &str,
        wanted: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> T {
        let Some(value) = self.members.get(name) else {
            return T::default();
        };
        read(value).unwrap_or_else(|| {
            let what = match value {
                Value::Number(number) => format!("number {number}"),
                other => kind(other).to_owned(),
            };
            self.wrong_kind(name, &what, wanted);
            T::default()
        })
    }

    /// A number as text; 0 when missing.
    pub fn quoted(&mut self, name: &str) -> u64 {
        let (value, text) = match self.members.get(name) {
            None => return 0,
            Some(value) => (value, value.as_str().unwrap_or_default()),
        };
        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_plain && let Ok(number) = text.parse() {
            return number;
        }
        if text.parse::<f64>().is_ok_and(f64::is_finite) {
            self.wrong_kind(name, &format!("number {}", cut(text)), "uint64");
        } else {
            let found = if value.is_string() {
                quote(cut(text).as_bytes())
            } else {
                "unquoted value".to_owned()
            };
            self.kind.get_or_insert_with(|| {
                format!("json: invalid use of ,string struct tag, trying to unmarshal {found} into uint64")
            });
        }
        0
    }

    fn list(&mut self, name: &str, wanted: &str) -> &'a [Value] {
        match self.members.get(name) {
            None => &[],
            Some(Value::Array(values)) => values,
            Some(other) => {
                self.wrong_kind(name, kind(other), wanted);
                &[]
            }
        }
    }

    /// Texts; `null` among them is an empty one.
    pub fn texts(&mut self, name: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for value in self.list(name, "[]string") {
            match value {
                Value::String(text) => texts.push(text.clone()),
                Value::Null => texts.push(String::new()),
                other => self.wrong_kind(name, kind(other), "string"),
            }
        }
        texts
    }

    /// Records of a type; nothing for `null` among them.
    pub fn drafts(&mut self, name: &str, type_name: &'static str) -> Vec<Option<Draft>> {
        let mut drafts = Vec::new();
        for value in self.list(name, &format!("[]*transactionrecord.{type_name}")) {
            if value.is_null() {
                drafts.push(None);
                continue;
            }
            match Draft::from_value(type_name, value) {
                Ok(draft) => drafts.push(Some(draft)),
                Err(error) => {
                    self.wrong_form(&error);
                    break;
                }
            }
        }
        drafts
    }
}
