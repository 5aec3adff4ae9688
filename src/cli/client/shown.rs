//! Texts that come from a node, as they may be shown on a terminal: nothing in them moves the
//! cursor, ends a line or turns the direction of writing. Never changes what JSON shows.

/// Longest text of a node that is shown, in characters.
const LONGEST: usize = 2_000;

/// Characters that a terminal obeys, or that let a text look like another one.
fn is_obeyed(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

fn escaped(characters: impl Iterator<Item = char>, is_left: impl Fn(char) -> bool) -> String {
    let mut out = String::new();
    for character in characters {
        if is_obeyed(character) && !is_left(character) {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}

/// A text of a node on one line, cut where it is too long.
#[must_use]
pub fn for_people(text: &str) -> String {
    let mut out = escaped(text.chars().take(LONGEST), |_| false);
    let more = text.chars().skip(LONGEST).count();
    if more > 0 {
        out.push_str(&format!("... ({more} characters more)"));
    }
    out
}

/// A text of a node on one line, whole.
#[must_use]
pub fn whole(text: &str) -> String {
    escaped(text.chars(), |_| false)
}

/// What the program prints itself, in which lines end and tabs stand.
#[must_use]
pub fn printed(text: &str) -> String {
    escaped(text.chars(), |character| matches!(character, '\n' | '\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_of_a_node_is_obeyed_by_a_terminal() {
        let text = "\u{1b}[31mred\u{7}\r\nnext\u{9b}1m\u{202e}drawkcab\u{2028}";
        let shown = "\\u{1b}[31mred\\u{7}\\r\\nnext\\u{9b}1m\\u{202e}drawkcab\\u{2028}";
        assert_eq!(for_people(text), shown);
        assert_eq!(whole(text), shown);
        assert_eq!(for_people("A hoüse, 家"), "A hoüse, 家");
        assert_eq!(printed("a\n\tb\u{1b}\r"), "a\n\tb\\u{1b}\\r");
    }

    #[test]
    fn a_text_of_a_node_is_cut_where_it_is_too_long() {
        let shown = for_people(&"é".repeat(LONGEST + 7));
        assert!(shown.ends_with("é... (7 characters more)"));
        assert_eq!(for_people(&"é".repeat(LONGEST)).chars().count(), LONGEST);
        assert_eq!(whole(&"a".repeat(9_999)).len(), 9_999);
    }
}
