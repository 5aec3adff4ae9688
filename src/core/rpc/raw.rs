//! The members of an object as pieces of its text, so that an id comes back as it was written
//! (`proto/rpc.md`, section 1, rule 4).
//!
//! Texts that come in here are whole JSON; for others the answer is of no use, but no harm.

use std::fmt::Write as _;

/// The length of the value at the start of a text, up to the comma or bracket behind it.
fn value_length(text: &str) -> usize {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'{' | b'[' => depth += 1,
            b',' | b':' | b'}' | b']' if depth == 0 => return at,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

/// The members of an object in order: the texts of their names, quotes included, and of their
/// values. Nothing for what is no object.
pub(super) fn members(object: &str) -> Option<Vec<(&str, &str)>> {
    let mut rest = object.trim_start().strip_prefix('{')?;
    let mut members = Vec::new();
    loop {
        let (name, behind) = rest.split_at_checked(value_length(rest))?;
        let Some(value) = behind.strip_prefix(':') else {
            return Some(members);
        };
        let (value, behind) = value.split_at_checked(value_length(value))?;
        members.push((name.trim(), value.trim()));
        let Some(next) = behind.strip_prefix(',') else {
            return Some(members);
        };
        rest = next;
    }
}

/// The text without white space, and with the escapes of replies.
pub(super) fn compact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut in_text, mut escaped) = (false, false);
    for c in text.chars() {
        match c {
            ' ' | '\t' | '\r' | '\n' if !in_text => continue,
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
        match c {
            _ if escaped => escaped = false,
            '\\' if in_text => escaped = true,
            '"' => in_text = !in_text,
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_pieces_of_the_text() {
        let text = r#" { "a\"}" : [1, {"b": ","}] ,"c":"]\\", "d" : 2.50 } "#;
        let found = members(text).unwrap();
        let wanted = [
            (r#""a\"}""#, r#"[1, {"b": ","}]"#),
            (r#""c""#, r#""]\\""#),
            (r#""d""#, "2.50"),
        ];
        assert_eq!(found, wanted);
        assert_eq!(members(" { } "), Some(Vec::new()));
        assert_eq!(members("[1]"), None);
    }

    #[test]
    fn what_is_compact_keeps_the_blanks_of_texts() {
        assert_eq!(
            compact("{\"a b\\\" c\": [1,\n 2.50, \"<\u{2028}\"]}"),
            "{\"a b\\\" c\":[1,2.50,\"\\u003c\\u2028\"]}"
        );
    }
}
