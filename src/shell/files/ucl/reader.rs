//! From bytes to keys and values.

use std::path::Path;
use std::rc::Rc;

use super::cursor::{Cursor, Result, is_blank, is_space};
use super::number::number;
use super::variables::Variables;
use super::{
    Document, Entry, FILE_MAX, Input, Node, Place, Remark, Section, Text, UclError, Value,
    shortened,
};

/// Sections and lists within each other.
const DEPTH_MAX: usize = 32;
/// Files that include each other.
const INCLUDED_DEPTH_MAX: usize = 8;
/// Files in all.
const FILES_MAX: usize = 64;
/// Bytes of a key.
const KEY_MAX: usize = 256;
/// Bytes of all texts with their variables.
const TEXTS_MAX: usize = 4 * FILE_MAX;
/// Values, and what macros have to say.
const VALUES_MAX: usize = 10_000;

/// What ends a text without quotes.
const fn is_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r' | b'#' | b',' | b';' | b']' | b'}')
}

fn begins_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_') || !byte.is_ascii()
}

fn continues_key(byte: u8) -> bool {
    begins_key(byte) || matches!(byte, b'-' | b'.')
}

/// What a macro is given.
struct Call {
    place: Place,
    name: String,
    arguments: Section,
    body: Text,
}

/// Reads a file, and those that it includes.
pub(super) struct Reader<'a> {
    input: Input<'a>,
    variables: Variables,
    remarks: Vec<Remark>,
    files: usize,
    bytes: usize,
    texts: usize,
    values: usize,
    /// Neither variables nor other files, and nothing of the text in an error.
    is_alone: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(input: Input<'a>) -> Self {
        let variables = Variables::new(input.variables);
        Self {
            input,
            variables,
            remarks: Vec::new(),
            files: 0,
            bytes: 0,
            texts: 0,
            values: 0,
            is_alone: false,
        }
    }

    pub(super) fn alone(mut self) -> Self {
        self.is_alone = true;
        self
    }

    /// What stands in the file, as far as it may be told.
    fn shown(&self, text: &str) -> String {
        if self.is_alone {
            "what stands here".to_owned()
        } else {
            shortened(text)
        }
    }

    pub(super) fn document(mut self, bytes: &[u8]) -> Result<Document> {
        let mut root = Section::default();
        let path = self.input.path.to_owned();
        self.file(bytes, &path, None, 0, &mut root)?;
        Ok(Document {
            root,
            remarks: self.remarks,
        })
    }

    /// Reads one file into a section.
    fn file(
        &mut self,
        bytes: &[u8],
        path: &Path,
        file: Option<Rc<str>>,
        depth: usize,
        section: &mut Section,
    ) -> Result<()> {
        let whole = Place {
            file: file.clone(),
            line: 1,
        };
        let wrong = |line, what: String| {
            let file = whole.file.clone();
            Err(UclError {
                place: Place { file, line },
                what,
            })
        };
        self.files += 1;
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > FILE_MAX || self.files > FILES_MAX {
            return wrong(
                1,
                format!("more than {FILE_MAX} bytes or {FILES_MAX} files"),
            );
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
                let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
                return wrong(line, "not text in UTF-8".to_owned());
            }
        };
        if text.starts_with('\u{feff}') {
            let what = "begins with a byte order mark, which the reference's programs take for a part of the first key; save it without one";
            return wrong(1, what.to_owned());
        }
        self.variables_of(path);
        let mut cursor = Cursor::new(text, file, 1);
        cursor.blanks()?;
        if cursor.peek() == Some(b'{') {
            cursor.skip(1);
        }
        // What follows the end of the whole is passed over, and it may be left open.
        self.section(&mut cursor, depth, section)
    }

    fn variables_of(&mut self, path: &Path) {
        let folder = path.parent().unwrap_or(path);
        self.variables.set("FILENAME", path.display().to_string());
        self.variables.set("CURDIR", folder.display().to_string());
    }

    /// Reads keys up to the closing brace or the end.
    fn section(
        &mut self,
        cursor: &mut Cursor<'_>,
        depth: usize,
        section: &mut Section,
    ) -> Result<()> {
        loop {
            cursor.blanks()?;
            match cursor.peek() {
                None => return Ok(()),
                Some(b'}') => {
                    cursor.skip(1);
                    return Ok(());
                }
                Some(b'.') if !cursor.is_arguments => {
                    cursor.skip(1);
                    self.call(cursor, depth, section)?;
                }
                // Nothing between two separators.
                Some(b';' | b',') => cursor.skip(1),
                Some(_) => {
                    self.pair(cursor, depth, section)?;
                    if !Self::separator(cursor)? {
                        return cursor.wrong("a value ends with its line, or with ; or ,");
                    }
                }
            }
        }
    }

    /// Passes over what stands behind a value; whether the next one may come.
    fn separator(cursor: &mut Cursor<'_>) -> Result<bool> {
        cursor.take_while(is_space);
        match cursor.peek() {
            None | Some(b'}' | b']' | b'\n' | b'\r') => Ok(true),
            Some(b',' | b';') => {
                cursor.skip(1);
                Ok(true)
            }
            Some(_) if cursor.is_comment() => cursor.comment().map(|()| true),
            // A section or a list ends by itself.
            Some(_) => {
                let before = cursor.text.as_bytes().get(..cursor.at).unwrap_or_default();
                let last = before.iter().rev().find(|byte| !is_space(**byte));
                Ok(matches!(last, Some(b'}' | b']')))
            }
        }
    }

    /// Reads a key and its value.
    fn pair(&mut self, cursor: &mut Cursor<'_>, depth: usize, section: &mut Section) -> Result<()> {
        let place = cursor.place();
        let key = self.key(cursor)?;
        cursor.take_while(is_space);
        while cursor.is_comment() {
            cursor.comment()?;
            cursor.take_while(is_space);
        }
        let value = if let Some(b'=' | b':') = cursor.peek() {
            cursor.skip(1);
            self.value(cursor, depth)?
        } else if is_nested(cursor) {
            let depth = deeper(cursor, depth)?;
            let mut inner = Section::default();
            self.pair(cursor, depth, &mut inner)?;
            Value::Section(inner)
        } else {
            self.value(cursor, depth)?
        };
        enter(section, key, Node { place, value });
        Ok(())
    }

    fn key(&mut self, cursor: &mut Cursor<'_>) -> Result<String> {
        let key = match cursor.peek() {
            Some(b'"') => {
                let text = quoted(cursor)?;
                self.count(cursor, text.len())?;
                text
            }
            Some(byte) if begins_key(byte) => {
                let key = cursor.take_while(continues_key);
                match cursor.peek() {
                    Some(byte) if is_blank(byte) || matches!(byte, b'=' | b':' | b'{') => {}
                    _ if key.len() > KEY_MAX => {}
                    None => {
                        let key = self.shown(key);
                        return cursor.wrong(format!("{key}: a key without a value"));
                    }
                    Some(_) => {
                        let key = self.shown(key);
                        return cursor.wrong(format!("{key}: what follows has no place in a key"));
                    }
                }
                key.to_owned()
            }
            _ => {
                return cursor
                    .wrong("a key is wanted: a letter, a digit, / or _, or a text in quotes");
            }
        };
        if key.is_empty() {
            return cursor.wrong("an empty key");
        }
        if key.len() > KEY_MAX {
            return cursor.wrong(format!("a key of more than {KEY_MAX} bytes"));
        }
        Ok(key)
    }

    fn value(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Result<Value> {
        let key = cursor.place();
        cursor.blanks()?;
        self.values += 1;
        if self.values > VALUES_MAX {
            return cursor.wrong(format!("more than {VALUES_MAX} values"));
        }
        match cursor.peek() {
            None => Err(UclError {
                place: key,
                what: "a key without a value".to_owned(),
            }),
            Some(b'{') => {
                cursor.skip(1);
                let depth = deeper(cursor, depth)?;
                let mut section = Section::default();
                self.section(cursor, depth, &mut section)?;
                Ok(Value::Section(section))
            }
            Some(b'[') => {
                cursor.skip(1);
                let depth = deeper(cursor, depth)?;
                self.list(cursor, depth)
            }
            Some(b'"') => {
                let text = quoted(cursor)?;
                self.text(cursor, &text)
            }
            Some(b'<') => match many_lines(cursor)? {
                Some(text) => self.text(cursor, text),
                None => self.bare(cursor),
            },
            Some(_) => self.bare(cursor),
        }
    }

    fn list(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Result<Value> {
        let mut nodes = Vec::new();
        loop {
            cursor.blanks()?;
            match cursor.peek() {
                None => return Ok(Value::List(nodes)),
                Some(b']') => {
                    cursor.skip(1);
                    return Ok(Value::List(nodes));
                }
                Some(b',' | b';') => cursor.skip(1),
                Some(_) => {
                    let place = cursor.place();
                    let value = self.value(cursor, depth)?;
                    nodes.push(Node { place, value });
                    if !Self::separator(cursor)? {
                        return cursor.wrong("values of a list have a comma between them");
                    }
                }
            }
        }
    }

    /// A value without quotes.
    fn bare(&mut self, cursor: &mut Cursor<'_>) -> Result<Value> {
        let rest = cursor.rest();
        let (mut end, mut braces, mut brackets, mut escaped) = (0, 0_usize, 0_usize, false);
        for (at, byte) in rest.bytes().enumerate() {
            end = at;
            if std::mem::take(&mut escaped) {
                end = at + 1;
                continue;
            }
            match byte {
                b'\\' => escaped = true,
                b'{' => braces += 1,
                b'[' => brackets += 1,
                b'}' if braces > 0 => braces -= 1,
                b']' if brackets > 0 => brackets -= 1,
                _ if is_end(byte) || rest.get(at..).is_some_and(|rest| rest.starts_with("/*")) => {
                    break;
                }
                _ => {}
            }
            end = at + 1;
        }
        let whole = rest.get(..end).unwrap_or(rest);
        let text = whole.trim_end_matches([' ', '\t']);
        if text.is_empty() {
            return cursor.wrong("a key without a value");
        }
        if text.chars().any(|c| c.is_control() && c != '\t') {
            return cursor.wrong("a control character");
        }
        let (place, text) = (cursor.place(), text.to_owned());
        cursor.skip(whole.len());
        let is = |word: &str| text.eq_ignore_ascii_case(word);
        if let Some(number) = number(&text) {
            return Ok(number);
        }
        if ["true", "yes", "on"].iter().any(|word| is(word)) {
            return Ok(Value::Boolean(true));
        }
        if ["false", "no", "off"].iter().any(|word| is(word)) {
            return Ok(Value::Boolean(false));
        }
        if text == "null" {
            return Ok(Value::Null);
        }
        let unescaped = unescape(&text);
        self.expanded(cursor, place, &unescaped).map(Value::Text)
    }

    fn text(&mut self, cursor: &Cursor<'_>, text: &str) -> Result<Value> {
        self.expanded(cursor, cursor.place(), text).map(Value::Text)
    }

    fn expanded(&mut self, cursor: &Cursor<'_>, place: Place, text: &str) -> Result<Text> {
        let text = if cursor.is_arguments || self.is_alone {
            Text(vec![super::Piece::Plain(text.to_owned())])
        } else {
            let put_in = self.variables.expand(text);
            put_in.map_err(|what| UclError { place, what })?
        };
        let size = text.0.iter().map(|piece| piece.value().len() + 1).sum();
        self.count(cursor, size)?;
        Ok(text)
    }

    fn count(&mut self, cursor: &Cursor<'_>, bytes: usize) -> Result<()> {
        self.texts = self.texts.saturating_add(bytes);
        if self.texts > TEXTS_MAX {
            return cursor.wrong(format!("more than {TEXTS_MAX} bytes of text"));
        }
        Ok(())
    }

    /// `.name(arguments) body`
    fn call(&mut self, cursor: &mut Cursor<'_>, depth: usize, section: &mut Section) -> Result<()> {
        let place = cursor.place();
        let name = cursor
            .take_while(|byte| !is_blank(byte) && byte != b'(')
            .to_owned();
        cursor.blanks()?;
        let arguments = if cursor.peek() == Some(b'(') {
            self.arguments(cursor)?
        } else {
            Section::default()
        };
        cursor.blanks()?;
        let body = match cursor.peek() {
            // Its escapes stay.
            Some(b'"') => {
                let begin = cursor.at + 1;
                quoted(cursor)?;
                let inner = cursor.text.get(begin..cursor.at.saturating_sub(1));
                inner.unwrap_or_default().to_owned()
            }
            Some(b'{') => {
                cursor.skip(1);
                cursor.take_while(is_blank);
                let inner = cursor.take_while(|byte| byte != b'}').to_owned();
                cursor.skip(1);
                inner
            }
            _ => cursor
                .take_while(|byte| !is_end(byte))
                .trim_end()
                .to_owned(),
        };
        if self.is_alone {
            let what = "a macro: it has no place in this file".to_owned();
            return Err(UclError { place, what });
        }
        let body = self.expanded(cursor, place.clone(), &body)?;
        let call = Call {
            place,
            name,
            arguments,
            body,
        };
        if matches!(call.name.as_str(), "include" | "try_include") {
            return self.include(cursor, depth, section, &call);
        }
        let variable = text_of(&call.arguments, "var");
        let done = self
            .variables
            .call(&call.name, variable.as_deref(), &call.body);
        match done {
            Ok(None) => {}
            Ok(Some(text)) => {
                let by = format!(".{}(var={})", call.name, variable.unwrap_or_default());
                self.count(cursor, by.len() + text.len())?;
                let place = call.place;
                self.remarks.push(Remark { by, place, text });
            }
            Err(what) => {
                return Err(UclError {
                    place: call.place,
                    what,
                });
            }
        }
        Ok(())
    }

    /// What stands in parentheses behind the name of a macro.
    fn arguments(&mut self, cursor: &mut Cursor<'_>) -> Result<Section> {
        let begin = cursor.place();
        let rest = cursor.rest();
        let (mut depth, mut in_quotes, mut before) = (0_usize, false, 0);
        for (at, byte) in rest.bytes().enumerate() {
            match byte {
                b'"' if before != b'\\' => in_quotes = !in_quotes,
                b'(' if !in_quotes => depth += 1,
                b')' if !in_quotes => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        let inner = rest.get(1..at).unwrap_or_default();
                        let mut part = Cursor::new(inner, cursor.file.clone(), cursor.line);
                        part.is_arguments = true;
                        let mut section = Section::default();
                        self.section(&mut part, DEPTH_MAX - 2, &mut section)?;
                        cursor.skip(at + 1);
                        return Ok(section);
                    }
                }
                _ => {}
            }
            before = byte;
        }
        Err(UclError {
            place: begin,
            what: "the parenthesis that opens here is not closed".to_owned(),
        })
    }

    fn include(
        &mut self,
        cursor: &Cursor<'_>,
        depth: usize,
        section: &mut Section,
        call: &Call,
    ) -> Result<()> {
        let wrong = |what: String| {
            let place = call.place.clone();
            Err(UclError { place, what })
        };
        let mut may_fail = call.name == "try_include";
        for entry in &call.arguments.0 {
            let last = entry.nodes.last().map(|node| &node.value);
            match (entry.key.as_str(), last) {
                ("try", Some(Value::Boolean(value))) => may_fail = *value,
                ("glob" | "sign", Some(Value::Boolean(false))) => {}
                (key, _) => {
                    return wrong(format!(
                        ".include({}): not supported; write the files' lines here instead",
                        shortened(key)
                    ));
                }
            }
        }
        let name = call.body.value();
        let inside = cursor
            .file
            .as_deref()
            .map_or(0, |file| file.matches(" > ").count() + 1);
        if inside >= INCLUDED_DEPTH_MAX {
            return wrong(format!(
                "more than {INCLUDED_DEPTH_MAX} files within each other"
            ));
        }
        let (path, bytes) = match (self.input.open)(Path::new(&name)) {
            Ok(found) => found,
            Err(_) if may_fail => return Ok(()),
            Err(error) => return wrong(format!("{name}: {error}")),
        };
        let file = match &cursor.file {
            Some(outer) => format!("{outer} > {}", path.display()),
            None => path.display().to_string(),
        };
        self.count(cursor, file.len())?;
        let file = Rc::from(file.as_str());
        let outer = self.outer_path(cursor);
        self.file(&bytes, &path, Some(file), depth, section)?;
        self.variables_of(&outer);
        Ok(())
    }

    /// The name of the file that is being read.
    fn outer_path(&self, cursor: &Cursor<'_>) -> std::path::PathBuf {
        match &cursor.file {
            Some(chain) => chain.rsplit(" > ").next().unwrap_or_default().into(),
            None => self.input.path.to_owned(),
        }
    }
}

fn text_of(section: &Section, key: &str) -> Option<String> {
    let entry = section.0.iter().find(|entry| entry.key == key)?;
    match &entry.nodes.first()?.value {
        Value::Text(text) => Some(text.value()),
        Value::Integer(number) => Some(number.to_string()),
        _ => None,
    }
}

fn deeper(cursor: &Cursor<'_>, depth: usize) -> Result<usize> {
    if depth >= DEPTH_MAX {
        return cursor.wrong(format!("more than {DEPTH_MAX} sections within each other"));
    }
    Ok(depth + 1)
}

/// Whether another key follows, as in `section name { … }`.
fn is_nested(cursor: &Cursor<'_>) -> bool {
    let rest = cursor.rest();
    if rest.starts_with(['{', '[', '"']) {
        return false;
    }
    let stop = rest.find([',', ';', '\n', '\r', '{', '[', '$', '#']);
    let opens = stop.and_then(|at| rest.get(at..)).unwrap_or_default();
    opens.starts_with('{') && rest.bytes().next().is_some_and(begins_key)
}

/// A key that is there already gets one more value.
fn enter(section: &mut Section, key: String, node: Node) {
    match section.0.iter_mut().find(|entry| entry.key == key) {
        Some(entry) => entry.nodes.push(node),
        None => section.0.push(Entry {
            key,
            nodes: vec![node],
        }),
    }
}

/// A text in quotes, with its escapes resolved.
fn quoted(cursor: &mut Cursor<'_>) -> Result<String> {
    let begin = cursor.place();
    cursor.skip(1);
    let rest = cursor.rest();
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate() {
        if std::mem::take(&mut escaped) {
            continue;
        }
        match byte {
            b'\\' => escaped = true,
            b'"' => {
                let inner = rest.get(..at).unwrap_or_default();
                cursor.skip(at + 1);
                return Ok(unescape(inner));
            }
            b'\n' => break,
            byte if byte < 0x1f => return cursor.wrong("a control character in a text"),
            _ => {}
        }
    }
    Err(UclError {
        place: begin,
        what: "the quote that opens here is not closed in its line".to_owned(),
    })
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let mut letters = after.chars();
        let Some(letter) = letters.next() else {
            out.push('\\');
            return out;
        };
        rest = letters.as_str();
        match letter {
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'u' => {
                let digits = rest
                    .get(..4)
                    .filter(|four| four.bytes().all(|b| b.is_ascii_hexdigit()));
                let code = digits.and_then(|four| u32::from_str_radix(four, 16).ok());
                match code {
                    Some(code) => {
                        out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                        rest = rest.get(4..).unwrap_or_default();
                    }
                    None => out.push('u'),
                }
            }
            other => out.push(other),
        }
    }
    out.push_str(rest);
    out
}

/// `<<NAME`, lines, and a line that is NAME; nothing where this is none.
fn many_lines<'t>(cursor: &mut Cursor<'t>) -> Result<Option<&'t str>> {
    let parts = cursor.rest().strip_prefix("<<");
    let Some((head, body)) = parts.and_then(|rest| rest.split_once('\n')) else {
        return Ok(None);
    };
    if head.is_empty() || !head.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Ok(None);
    }
    let begin = cursor.rest().len() - body.len();
    let mut at = 0;
    for line in body.split_inclusive('\n') {
        let end = line.trim_end_matches('\n').strip_prefix(head);
        if end.is_some_and(|after| after.is_empty() || after.starts_with([';', ','])) {
            let text = body.get(..at).unwrap_or_default();
            cursor.skip(begin + at + head.len());
            return Ok(Some(text.strip_suffix('\n').unwrap_or(text)));
        }
        at += line.len();
    }
    cursor.wrong("no line with the word behind << ends the text that begins here")
}
