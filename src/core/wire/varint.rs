//! Variable-length integers (`proto/records.md`, section 2): seven bits a byte, least significant
//! group first, the ninth byte whole.
//!
//! Reading accepts forms longer than needed; writing never makes them.

/// Most bytes that one integer takes.
pub const MAX_SIZE: usize = 9;

/// Appends the shortest form of `value`.
pub fn pack_into(mut value: u64, out: &mut Vec<u8>) {
    for _ in 1..MAX_SIZE {
        let [low, ..] = value.to_le_bytes();
        if value < 0x80 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
        value >>= 7;
    }
    let [low, ..] = value.to_le_bytes();
    out.push(low);
}

/// The shortest form of `value`, 1 to 9 bytes.
#[must_use]
pub fn pack(value: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(MAX_SIZE);
    pack_into(value, &mut out);
    out
}

/// The integer that `bytes` starts with and how many bytes it takes; nothing when they end early.
#[must_use]
pub fn unpack(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(MAX_SIZE) {
        let shift = 7 * index;
        if index == MAX_SIZE - 1 {
            return Some((value | u64::from(*byte) << shift, MAX_SIZE));
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

/// As [`unpack`], refusing a value outside of `minimum..=maximum` or not below 2^63.
#[must_use]
pub fn unpack_clipped(bytes: &[u8], minimum: u64, maximum: u64) -> Option<(u64, usize)> {
    if minimum >= maximum {
        return None;
    }
    unpack(bytes)
        .filter(|(value, _)| (minimum..=maximum).contains(value) && i64::try_from(*value).is_ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_unpacks_whatever_follows(value: u64, tail: Vec<u8>) {
            let mut bytes = pack(value);
            let size = bytes.len();
            bytes.extend(tail);
            prop_assert_eq!(unpack(&bytes), Some((value, size)));
        }

        #[test]
        fn a_form_cut_short_is_no_integer(value: u64) {
            let bytes = pack(value);
            prop_assert_eq!(unpack(&bytes[..bytes.len() - 1]), None);
        }
    }

    #[test]
    fn a_form_longer_than_needed_is_read() {
        assert_eq!(unpack(&[0x80, 0]), Some((0, 2)));
        assert_eq!(
            unpack(&[0x82, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0]),
            Some((2, 9))
        );
    }
}
