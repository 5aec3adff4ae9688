//! Half a surrogate pair in the escapes of a JSON text becomes U+FFFD (`proto/records.md`,
//! section 9), where a strict reader would refuse the text.
//!
//! It looks at escapes alone; whether the text is JSON, its reader says.

use std::borrow::Cow;

const REPLACEMENT: &str = "\\ufffd";
/// Length of `\u` and four digits.
const ESCAPE: usize = 6;

/// The text with each unpaired surrogate escape replaced.
#[must_use]
pub fn replace_unpaired(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let (mut rest, mut replaced) = (text, false);
    while let Some((before, escape)) = rest.find('\\').and_then(|at| rest.split_at_checked(at)) {
        let (size, lone) = match unit(escape) {
            Some(0xd800..=0xdbff) if is_low(escape.get(ESCAPE..)) => (2 * ESCAPE, false),
            Some(0xd800..=0xdfff) => (ESCAPE, true),
            Some(_) => (ESCAPE, false),
            // The character behind the stroke is not the start of another escape.
            None => (escape.chars().take(2).map(char::len_utf8).sum(), false),
        };
        let Some((taken, after)) = escape.split_at_checked(size) else {
            break;
        };
        out.push_str(before);
        out.push_str(if lone { REPLACEMENT } else { taken });
        replaced |= lone;
        rest = after;
    }
    if !replaced {
        return Cow::Borrowed(text);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The code unit of a `\u` escape at the start of the text.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    // Without this, a sign would pass.
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u16::from_str_radix(digits, 16).ok()
}

fn is_low(text: Option<&str>) -> bool {
    matches!(text.and_then(unit), Some(0xdc00..=0xdfff))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn half_a_pair_is_replaced_and_a_whole_one_stays() {
        for (text, expected) in [
            (r#""\ud800x""#, r#""\ufffdx""#),
            (r#""\udc00\ud800""#, r#""\ufffd\ufffd""#),
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            (r#""\ud800\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\ud800\u0041""#, r#""\ufffd\u0041""#),
            (r#""\\ud800""#, r#""\\ud800""#),
            (r#""\ud80""#, r#""\ud80""#),
            ("\"\\", "\"\\"),
            ("\\é\\ud800", "\\é\\ufffd"),
        ] {
            assert_eq!(replace_unpaired(text), expected);
        }
    }

    proptest! {
        #[test]
        fn any_run_of_escapes_becomes_json(units in proptest::collection::vec(
            prop_oneof![any::<u16>(), 0xd7ff_u16..0xe001], 0..20,
        )) {
            let escapes: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            let read = serde_json::from_str::<String>(&replace_unpaired(&format!("\"{escapes}\"")));
            prop_assert_eq!(read.unwrap(), String::from_utf16_lossy(&units));
        }

        #[test]
        fn any_text_is_taken_without_harm(text in "[\\\\udDc8é0\"]{0,40}") {
            let _ = replace_unpaired(&text);
        }
    }
}
