//! A reader of the syntax in which the reference's programs have their configuration (libucl), for
//! those who move over. Our own files are TOML; nothing here writes.
//!
//! What is read: sections in braces, lists in brackets, keys that are repeated, texts with and
//! without quotes and over several lines, numbers with suffixes, booleans, comments, `${NAME}`, the
//! macros of the reference's programs and those that include other files. Every value knows its
//! line. Files, their number, depth, and what variables grow to are bounded; no bytes panic.

mod cursor;
mod number;
mod reader;
mod variables;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use thiserror::Error;

pub use variables::Piece;

/// Most bytes of a file, and of all files together.
pub const FILE_MAX: usize = 1 << 20;

/// Most characters of what was not expected: what stands where it does not belong may be a secret.
const SHOWN_MAX: usize = 20;

/// The beginning of something that was not expected.
#[must_use]
pub fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, unless it is the one that was asked for.
    pub file: Option<Rc<str>>,
    /// Line, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}, ")?;
        }
        write!(f, "line {}", self.line)
    }
}

/// What cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{place}: {what}")]
pub struct UclError {
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub what: String,
}

/// A text, in pieces where it has variables that a start can set anew.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text(pub Vec<Piece>);

impl Text {
    /// Without blanks at its ends; those of a variable's value make it a plain text.
    #[must_use]
    pub fn trimmed(&self) -> Self {
        let mut pieces = self.0.clone();
        if let Some(Piece::Plain(first)) = pieces.first_mut() {
            *first = first.trim_start().to_owned();
        }
        if let Some(Piece::Plain(last)) = pieces.last_mut() {
            last.truncate(last.trim_end().len());
        }
        pieces.retain(|piece| *piece != Piece::Plain(String::new()));
        let kept = Self(pieces);
        let value = kept.value();
        if value.trim() == value {
            kept
        } else {
            Self(vec![Piece::Plain(value.trim().to_owned())])
        }
    }

    /// Names of its variables, each once.
    #[must_use]
    pub fn variables(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for piece in &self.0 {
            if let Piece::Variable { name, .. } = piece
                && !names.contains(&name.as_str())
            {
                names.push(name);
            }
        }
        names
    }

    /// The text with the values of all variables.
    #[must_use]
    pub fn value(&self) -> String {
        self.0.iter().map(Piece::value).collect()
    }
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `{ … }`
    Section(Section),
    /// `[ … ]`
    List(Vec<Node>),
    /// A text, with quotes or without.
    Text(Text),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction, or a time in seconds.
    Float(f64),
    /// `true`, `yes`, `on`, and their opposites.
    Boolean(bool),
    /// `null`
    Null,
}

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where its key stands, or, in a list, the value itself.
    pub place: Place,
    /// What it is.
    pub value: Value,
}

/// A key with all values it was given, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its name.
    pub key: String,
    /// At least one.
    pub nodes: Vec<Node>,
}

/// Keys and values, in their order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Section(pub Vec<Entry>);

/// Something that is read, and that whoever moves over should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// What does it, as in `.set(var=NAME)`.
    pub by: String,
    /// Where.
    pub place: Place,
    /// What.
    pub text: String,
}

/// A file with all that it includes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Document {
    /// Its keys.
    pub root: Section,
    /// What macros did.
    pub remarks: Vec<Remark>,
}

/// Reads an included file by its name; gives its whole name, too.
pub type Open<'a> = dyn FnMut(&Path) -> io::Result<(PathBuf, Vec<u8>)> + 'a;

/// Where a text comes from and what it may use.
pub struct Input<'a> {
    /// The whole name of the file, for `${FILENAME}` and `${CURDIR}`.
    pub path: &'a Path,
    /// Variables, those of the environment as `ENV_X`, in the order in which they were given.
    pub variables: &'a [(&'a str, &'a str)],
    /// Other files.
    pub open: &'a mut Open<'a>,
}

/// Reads a file's bytes.
///
/// # Errors
/// See [`UclError`].
pub fn read(bytes: &[u8], input: Input<'_>) -> Result<Document, UclError> {
    reader::Reader::new(input).document(bytes)
}

/// Reads a file that includes nothing and has no variables: `${NAME}` is a text in it. What is wrong
/// is told without anything of the file.
///
/// # Errors
/// See [`UclError`].
pub fn read_alone(bytes: &[u8]) -> Result<Document, UclError> {
    let input = Input {
        path: Path::new(""),
        variables: &[],
        open: &mut |_| Err(io::Error::other("no other file is read")),
    };
    reader::Reader::new(input).alone().document(bytes)
}
