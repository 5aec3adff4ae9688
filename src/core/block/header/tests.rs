//! Both sides of every check, and round trips.

use proptest::prelude::*;

use super::*;
use crate::core::chain::{DEVNET, LOCAL};

const NOW: u64 = 1_700_000_000;

fn header() -> Header {
    Header {
        version: 2,
        transaction_count: 2,
        number: 2,
        previous_block: BlockDigest([1; 32]),
        merkle_root: TxId([2; 32]),
        timestamp: NOW,
        difficulty: Compact::ONE,
        nonce: 3,
    }
}

#[test]
fn a_header_may_be_five_minutes_ahead_of_the_clock_and_not_a_second_more() {
    let dated = |timestamp| Header {
        timestamp,
        ..header()
    };
    assert_eq!(dated(NOW + 300).check(&LOCAL, NOW), Ok(()));
    let late = dated(NOW + 301).check(&LOCAL, NOW);
    assert_eq!(late, Err(BlockError::HeaderTimestamp));
    assert_eq!(dated(u64::MAX).check(&LOCAL, u64::MAX), Ok(()));
}

#[test]
fn the_first_broken_rule_decides() {
    let mut broken = Header {
        version: 0,
        transaction_count: 1,
        timestamp: u64::MAX,
        difficulty: Compact(u64::MAX),
        ..header()
    };
    let refusal = |header: &Header| header.check(&LOCAL, NOW).unwrap_err();
    assert_eq!(refusal(&broken), BlockError::HeaderVersion);
    broken.version = 1;
    assert_eq!(refusal(&broken), BlockError::TransactionCount);
    broken.transaction_count = 10_000;
    assert_eq!(refusal(&broken), BlockError::HeaderTimestamp);
    broken.timestamp = 0;
    assert_eq!(refusal(&broken), BlockError::HeaderDifficulty);
    broken.difficulty = Compact::ONE;
    assert_eq!(broken.check(&LOCAL, NOW), Ok(()));
}

#[test]
fn a_difficulty_out_of_range_is_refused_before_any_digest() {
    for (bits, is_good) in [
        (0x00ff_ffff_ffff_ffff, true),
        (0x00cc_cccc_cccc_cccc, true),
        (0x00cc_cccc_cccc_cccb, false),
        (0x01ff_ffff_ffff_ffff, false),
        (0xbfff_ffff_ffff_ffff, false),
        (0xc000_0000_0000_0000, false),
        (u64::MAX, false),
    ] {
        let header = Header {
            difficulty: Compact(bits),
            ..header()
        };
        assert_eq!(header.check(&DEVNET, NOW).is_ok(), is_good, "{bits:016x}");
    }
}

#[test]
fn a_digest_equal_to_the_target_proves() {
    let mut digest = [0; 32];
    digest[24..31].fill(0xff);
    digest[23] = 0x80;
    assert!(header().proves(&BlockDigest(digest)));
    digest[0] = 1;
    assert!(!header().proves(&BlockDigest(digest)));
    let impossible = Header {
        difficulty: Compact(u64::MAX),
        ..header()
    };
    assert!(!impossible.proves(&BlockDigest([0; 32])));
}

#[test]
fn json_with_a_digest_of_another_length_is_refused() {
    let whole = header().to_json();
    assert_eq!(Header::from_json(&whole), Ok(header()));
    for (member, text) in [
        ("previousBlock", "01"),
        ("merkleRoot", ""),
        ("difficulty", "ffffffffffffff0000"),
        ("nonce", "00"),
        ("number", "+2"),
        ("number", ""),
        ("timestamp", "18446744073709551616"),
        ("version", "2"),
    ] {
        let mut broken = whole.clone();
        broken[member] = text.into();
        let read = Header::from_json(&broken);
        assert_eq!(read, Err(BlockError::HeaderJson), "{member} {text}");
    }
}

proptest! {
    #[test]
    fn any_hundred_bytes_unpack_and_pack_again(bytes in prop::collection::vec(any::<u8>(), 0..220)) {
        match Header::unpack(&bytes) {
            Err(error) => {
                prop_assert_eq!(error, BlockError::HeaderSize);
                prop_assert!(bytes.len() < HEADER_BYTES);
            }
            Ok((header, rest)) => {
                prop_assert_eq!([header.pack().as_slice(), rest].concat(), bytes);
                prop_assert_eq!(Header::from_json(&header.to_json()), Ok(header));
                let _ = header.check(&LOCAL, NOW);
                let _ = header.proves(&BlockDigest([7; 32]));
            }
        }
    }

    #[test]
    fn a_compact_form_made_from_a_reciprocal_is_close_to_it(reciprocal in 1.0_f64..1e40) {
        let made = crate::core::block::difficulty::from_reciprocal(reciprocal).unwrap();
        let back = made.bits.reciprocal().unwrap();
        prop_assert!((back / reciprocal - 1.0).abs() < 1e-14);
    }

    #[test]
    fn no_float_breaks_the_conversion(bits in any::<u64>()) {
        let _ = crate::core::block::difficulty::from_reciprocal(f64::from_bits(bits));
        let _ = Compact(bits).reciprocal();
        let _ = Compact(bits).target();
    }
}
