//! Text as the records hold it: bytes that need not be UTF-8 (`proto/records.md`, section 3).

/// Number of characters: each well-formed UTF-8 sequence is one, and so is each single byte that
/// does not start one.
#[must_use]
pub fn characters(bytes: &[u8]) -> usize {
    pieces(bytes).count()
}

/// The characters in order; nothing for a byte that is no part of one.
pub fn pieces(bytes: &[u8]) -> impl Iterator<Item = Option<char>> + '_ {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (piece, used) = first(rest)?;
        rest = rest.get(used..)?;
        Some(piece)
    })
}

fn first(bytes: &[u8]) -> Option<(Option<char>, usize)> {
    let lead = *bytes.first()?;
    let size = match lead {
        0..=0x7f => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Some((None, 1)),
    };
    let character = bytes
        .get(..size)
        .and_then(|part| std::str::from_utf8(part).ok())
        .and_then(|text| text.chars().next());
    Some(character.map_or((None, 1), |c| (Some(c), size)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stray_byte_counts_alone() {
        assert_eq!(characters(&[0xe4, 0xb8]), 2);
        assert_eq!(characters("é中a".as_bytes()), 3);
        assert_eq!(characters(&[0xed, 0xa0, 0x80]), 3);
    }
}
