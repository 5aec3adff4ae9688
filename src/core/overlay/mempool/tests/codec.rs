//! The messages: bytes as the note lists them, and nothing else is read.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn any_hello() -> impl Strategy<Value = Hello> {
    (1..=u64::MAX, any::<(u64, u32, u16, u16)>()).prop_map(
        |(epoch, (head, max_bytes, max_items, flags))| Hello {
            epoch,
            head,
            max_bytes,
            max_items,
            flags,
        },
    )
}

fn any_batch() -> impl Strategy<Value = Batch> {
    let item = (1..=5_u64, 0..4_usize, vec(any::<u8>(), 0..40));
    let rest = (any::<u64>(), 0..1_000_u64, 0..9_u64, vec(item, 0..6));
    rest.prop_map(|(epoch, after, more, items)| {
        let mut id = after;
        let items: Vec<wire::Item> = items
            .into_iter()
            .map(|(step, kind, payload)| {
                id += step;
                let kind = Kind::ALL[kind];
                let bundle = Bundle { kind, payload };
                wire::Item { id, bundle }
            })
            .collect();
        let upto = id + more;
        Batch {
            epoch,
            after,
            upto,
            items,
        }
    })
}

fn any_message() -> impl Strategy<Value = Message> {
    let ack =
        any::<(u64, u64, u16, u32, [u16; 4])>().prop_map(|(epoch, upto, credit, ms, counts)| {
            let [accepted, duplicate, invalid, parked] = counts;
            Message::BatchAck(BatchAck {
                epoch,
                upto,
                credit,
                retry_after_ms: ms,
                accepted,
                duplicate,
                invalid,
                parked,
            })
        });
    let nack = (any::<u64>(), 0..4_usize, any::<u32>()).prop_map(|(epoch, code, ms)| {
        Message::Nack(Nack {
            epoch,
            code: NackCode::ALL[code],
            retry_after_ms: ms,
        })
    });
    let pull = any::<(u64, u64, u16, u32)>().prop_map(|(epoch, after, max_items, max_bytes)| {
        Message::Pull(Pull {
            epoch,
            after,
            max_items,
            max_bytes,
        })
    });
    prop_oneof![
        any_hello().prop_map(Message::Hello),
        (any_hello(), any::<u64>()).prop_map(|(hello, done)| Message::HelloAck(hello, done)),
        any_batch().prop_map(Message::Batch),
        ack,
        nack,
        pull,
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_and_no_piece_of_it_nor_anything_longer(message in any_message()) {
        let bytes = message.encode();
        prop_assert_eq!(Message::decode(&bytes), Ok(message));
        for length in 0..bytes.len() {
            prop_assert_eq!(Message::decode(&bytes[..length]), Err(Malformed));
        }
        for more in [0, 1, 0x4d, 255] {
            let longer = [bytes.as_slice(), &[more]].concat();
            prop_assert_eq!(Message::decode(&longer), Err(Malformed));
        }
    }

    #[test]
    fn what_can_be_read_is_written_with_the_same_bytes(bytes in vec(any::<u8>(), 0..80), kind in 1..7_u8) {
        let bytes = [&[MAGIC, VERSION, kind], bytes.as_slice()].concat();
        if let Ok(message) = Message::decode(&bytes) {
            prop_assert_eq!(message.encode(), bytes);
        }
    }
}

#[test]
fn the_bytes_are_those_of_the_note() {
    let hello = Hello {
        epoch: 0x0102_0304_0506_0708,
        head: 9,
        max_bytes: 0x0004_0000,
        max_items: 100,
        flags: 3,
    };
    let bytes = "4d0101 0102030405060708 0000000000000009 00040000 0064 0003";
    let bytes = hex::decode(bytes.replace(' ', "")).unwrap();
    assert_eq!(Message::Hello(hello).encode(), bytes);
    let batch = rig::batch(5, 6, 8, &[(7, asset(1))]);
    let bytes = "4d0103 0000000000000005 0000000000000006 0000000000000008 0001
        0000000000000007 01 00000003 610100";
    let bytes = hex::decode(bytes.replace([' ', '\n'], "")).unwrap();
    assert_eq!(batch.encode(), bytes);
    assert_eq!(bytes.len(), BATCH_HEAD + ITEM_HEAD + 3);
}

#[test]
fn a_batch_out_of_order_is_malformed() {
    let read = |after, upto, ids: &[u64]| {
        let items: Vec<_> = ids.iter().map(|id| (*id, asset(1))).collect();
        Message::decode(&rig::batch(1, after, upto, &items).encode()).is_ok()
    };
    assert!(read(4, 6, &[5, 6]));
    assert!(read(4, 9, &[6, 8]), "gaps are normal");
    assert!(read(4, 9, &[]), "it moves the cursor");
    assert!(read(4, 4, &[]));
    assert!(!read(4, 6, &[4, 5]), "not behind its beginning");
    assert!(!read(4, 6, &[5, 5]), "twice");
    assert!(!read(4, 6, &[6, 5]), "falling");
    assert!(!read(4, 6, &[5, 7]), "beyond its end");
    assert!(!read(4, 3, &[]), "it ends before it begins");
}

#[test]
fn other_versions_types_kinds_codes_and_epoch_0_are_malformed() {
    let good = Message::Hello(rig::hello(1)).encode();
    for (at, byte) in [(0, 0x4e), (1, 2), (2, 0), (2, 7), (2, 2)] {
        let mut bytes = good.clone();
        bytes[at] = byte;
        assert_eq!(Message::decode(&bytes), Err(Malformed), "{at} {byte}");
    }
    let none = Message::Hello(rig::hello(0)).encode();
    assert_eq!(Message::decode(&none), Err(Malformed));
    let mut bytes = rig::batch(1, 0, 1, &[(1, asset(1))]).encode();
    for kind in [0, 5, 255] {
        bytes[BATCH_HEAD + 8] = kind;
        assert_eq!(Message::decode(&bytes), Err(Malformed));
    }
    let nack = Nack {
        epoch: 1,
        code: NackCode::Busy,
        retry_after_ms: 1,
    };
    for code in [0, 5] {
        let mut bytes = Message::Nack(nack).encode();
        bytes[11] = code;
        assert_eq!(Message::decode(&bytes), Err(Malformed));
    }
}

#[test]
fn a_claimed_length_or_count_allocates_nothing() {
    let mut bytes = rig::batch(1, 0, 1, &[(1, asset(1))]).encode();
    bytes[BATCH_HEAD + 9..BATCH_HEAD + 13].copy_from_slice(&[255; 4]);
    assert_eq!(Message::decode(&bytes), Err(Malformed));
    let mut bytes = rig::batch(1, 0, 1, &[]).encode();
    bytes[BATCH_HEAD - 2..].copy_from_slice(&[255; 2]);
    assert_eq!(Message::decode(&bytes), Err(Malformed));
}
