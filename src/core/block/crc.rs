//! The check value of a block: its text form is the pay nonce that proofs for issues start from
//! (`proto/blocks.md`, section 11).

use crc::{CRC_64_XZ, Crc, Table};

use crate::core::id::PayNonce;

const CRC: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_XZ);

/// CRC-64/XZ of `packed_block`, continued from `number` as if that were the value so far.
#[must_use]
pub fn crc(number: u64, packed_block: &[u8]) -> u64 {
    // The crate takes the start of the register before it is reflected, and hands out the
    // complement at the end; "continued from number" is a register of its complement.
    let mut digest = CRC.digest_with_initial((!number).reverse_bits());
    digest.update(packed_block);
    digest.finalize()
}

/// The check value as clients get it: eight bytes, big endian.
#[must_use]
pub const fn pay_nonce(crc: u64) -> PayNonce {
    PayNonce(crc.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_zero_gives_the_plain_check_value() {
        assert_eq!(crc(0, b"123456789"), 0x995d_c9bb_df19_39fa);
        assert_eq!(crc(0, b""), 0);
    }

    #[test]
    fn the_number_changes_the_check_value() {
        assert_eq!(crc(1, b"123456789"), 0xfd31_5ce4_9b1d_3904);
        assert_eq!(crc(u64::MAX, &[0]), u64::MAX);
    }
}
