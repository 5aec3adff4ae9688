//! A place in the text of one file, and what is passed over there. It says nothing of keys and values.

use std::rc::Rc;

use super::{Place, UclError};

pub(super) type Result<T> = std::result::Result<T, UclError>;

/// Where one file is read.
pub(super) struct Cursor<'t> {
    pub(super) text: &'t str,
    pub(super) at: usize,
    pub(super) line: usize,
    pub(super) file: Option<Rc<str>>,
    /// Arguments of a macro: neither variables nor macros.
    pub(super) is_arguments: bool,
}

impl<'t> Cursor<'t> {
    pub(super) fn new(text: &'t str, file: Option<Rc<str>>, line: usize) -> Self {
        Self {
            text,
            at: 0,
            line,
            file,
            is_arguments: false,
        }
    }

    pub(super) fn place(&self) -> Place {
        Place {
            file: self.file.clone(),
            line: self.line,
        }
    }

    pub(super) fn wrong<T>(&self, what: impl Into<String>) -> Result<T> {
        Err(UclError {
            place: self.place(),
            what: what.into(),
        })
    }

    pub(super) fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Goes on by as many bytes.
    pub(super) fn skip(&mut self, bytes: usize) {
        let passed = self.rest().get(..bytes).unwrap_or(self.rest());
        self.line += passed.bytes().filter(|byte| *byte == b'\n').count();
        self.at += passed.len();
    }

    /// Takes bytes as long as they please.
    pub(super) fn take_while(&mut self, pleases: impl Fn(u8) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.bytes().position(|byte| !pleases(byte));
        let taken = rest.get(..end.unwrap_or(rest.len())).unwrap_or(rest);
        self.skip(taken.len());
        taken
    }

    pub(super) fn is_comment(&self) -> bool {
        self.peek() == Some(b'#') || self.rest().starts_with("/*")
    }

    /// Passes over one comment.
    pub(super) fn comment(&mut self) -> Result<()> {
        if self.peek() == Some(b'#') {
            self.take_while(|byte| byte != b'\n');
            return Ok(());
        }
        let begin = self.place();
        let (mut depth, mut quoted, mut before) = (0_usize, false, 0);
        while let Some(byte) = self.peek() {
            let rest = self.rest();
            if byte == b'"' && before != b'\\' {
                quoted = !quoted;
            }
            before = byte;
            if !quoted && rest.starts_with("/*") {
                depth += 1;
                self.skip(2);
            } else if !quoted && rest.starts_with("*/") {
                depth = depth.saturating_sub(1);
                self.skip(2);
                if depth == 0 {
                    return Ok(());
                }
            } else {
                self.at += 1;
                self.line += usize::from(byte == b'\n');
            }
        }
        Err(UclError {
            place: begin,
            what: "the comment that begins here does not end".to_owned(),
        })
    }

    /// Passes over blanks, ends of lines and comments.
    pub(super) fn blanks(&mut self) -> Result<()> {
        loop {
            self.take_while(is_blank);
            if !self.is_comment() {
                return Ok(());
            }
            self.comment()?;
        }
    }
}

pub(super) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

pub(super) const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}
