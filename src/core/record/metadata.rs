//! The metadata of an asset: pairs of key and value (`proto/records.md`, section 5.2).

const SEPARATOR: u8 = 0;

/// Whether the bytes are empty, or an even number of items none of which is empty.
#[must_use]
pub fn is_map(bytes: &[u8]) -> bool {
    if bytes.is_empty() {
        return true;
    }
    let items = bytes.split(|byte| *byte == SEPARATOR);
    let (mut count, mut empty) = (0_usize, false);
    for item in items {
        count += 1;
        empty |= item.is_empty();
    }
    count.is_multiple_of(2) && !empty
}

/// The pairs in their order; nothing when the bytes are no map.
#[must_use]
pub fn pairs(bytes: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    if !is_map(bytes) {
        return None;
    }
    let mut items = bytes.split(|byte| *byte == SEPARATOR);
    let mut pairs = Vec::new();
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        pairs.push((key, value));
    }
    Some(pairs)
}

/// The bytes of pairs in the order given.
#[must_use]
pub fn from_pairs<K: AsRef<[u8]>, V: AsRef<[u8]>>(
    pairs: impl IntoIterator<Item = (K, V)>,
) -> Vec<u8> {
    let mut items: Vec<Vec<u8>> = Vec::new();
    for (key, value) in pairs {
        items.push(key.as_ref().to_vec());
        items.push(value.as_ref().to_vec());
    }
    items.join(&SEPARATOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_pairs_are_a_map() {
        assert!(is_map(b""));
        assert!(is_map(b"k\0v"));
        for bad in [
            &b"k"[..],
            b"\0",
            b"k\0v\0",
            b"\0k\0v",
            b"k\0\0v",
            b"k\0v\0k",
        ] {
            assert!(!is_map(bad), "{bad:?}");
        }
    }

    #[test]
    fn pairs_keep_their_order_and_may_repeat() {
        let bytes = from_pairs([("b", "1"), ("a", "2"), ("b", "3")]);
        assert_eq!(bytes, b"b\x001\0a\x002\0b\x003");
        assert_eq!(from_pairs(pairs(&bytes).unwrap()), bytes);
    }
}
