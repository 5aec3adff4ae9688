//! A text in double quotes as the reference prints it in an error (`proto/peer.md`, section 2).

use std::fmt::Write as _;

use unicode_general_category::{GeneralCategory, get_general_category};

use super::text;

/// Whether a character is printed as it is: letters, marks, numbers, punctuation, symbols, and
/// the blank.
fn is_printable(c: char) -> bool {
    use GeneralCategory as G;
    c == ' '
        || !matches!(
            get_general_category(c),
            G::Control
                | G::Format
                | G::Surrogate
                | G::PrivateUse
                | G::Unassigned
                | G::SpaceSeparator
                | G::LineSeparator
                | G::ParagraphSeparator
        )
}

/// The text with its quotes.
#[must_use]
pub fn quote(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    let mut rest = bytes;
    for piece in text::pieces(bytes) {
        let used = piece.map_or(1, char::len_utf8);
        let first = rest.first().copied().unwrap_or_default();
        rest = rest.get(used..).unwrap_or_default();
        let Some(c) = piece else {
            let _ = write!(out, "\\x{first:02x}");
            continue;
        };
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0b' => out.push_str("\\v"),
            c if is_printable(c) => out.push(c),
            c if u32::from(c) < 0x80 => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c if u32::from(c) < 0x1_0000 => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => {
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_printed_is_escaped_in_the_shortest_form() {
        assert_eq!(
            quote(b"a\"b\\\x0a\x09\x07\x7f\xff\x00"),
            r#""a\"b\\\n\t\a\x7f\xff\x00""#
        );
        assert_eq!(
            quote("é世\u{200b}\u{e0001}".as_bytes()),
            "\"é世\\u200b\\U000e0001\""
        );
    }
}
