//! Blocks on their way out of and into a node by file: the length-prefixed form and the JSON form
//! (`proto/blocks.md`, section 14). Files are opened and read by the command line, not here.

use serde_json::{Value, json};

use super::header::Header;
use crate::core::id::{BlockDigest, TxId};

/// Bytes in front of each block of a block file: its length, big endian.
pub const LENGTH_BYTES: usize = 8;

/// The prefix of a block in a block file.
#[must_use]
pub fn length_prefix(packed: &[u8]) -> [u8; LENGTH_BYTES] {
    (packed.len() as u64).to_be_bytes()
}

/// The length that a prefix tells, if it is at most `most`: nothing is read because a file says so.
#[must_use]
pub fn length_of(prefix: [u8; LENGTH_BYTES], most: usize) -> Option<usize> {
    usize::try_from(u64::from_be_bytes(prefix))
        .ok()
        .filter(|length| *length <= most)
}

/// One record of a block as the JSON form shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownRecord {
    /// Its id.
    pub id: TxId,
    /// The name of its type.
    pub type_name: &'static str,
    /// Its JSON form.
    pub data: Value,
}

/// The JSON form of a block, members in order; records are counted from 1.
#[must_use]
pub fn to_json(digest: &BlockDigest, header: &Header, records: &[ShownRecord]) -> Value {
    let transactions: Vec<Value> = records
        .iter()
        .zip(1_usize..)
        .map(|(record, index)| {
            json!({
                "index": index,
                "txId": hex::encode(record.id.0),
                "type": record.type_name,
                "data": record.data,
            })
        })
        .collect();
    json!({
        "digest": hex::encode(digest.0),
        "header": header.to_json(),
        "transactions": transactions,
    })
}

/// The array that the `block` command prints: the blocks, closed by an extra empty object.
#[must_use]
pub fn listing(blocks: Vec<Value>) -> Value {
    blocks.into_iter().chain([json!({})]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::chain::LOCAL;

    #[test]
    fn a_length_above_the_limit_is_not_believed() {
        let prefix = length_prefix(LOCAL.genesis);
        assert_eq!(prefix, [0, 0, 0, 0, 0, 0, 0, 240]);
        assert_eq!(length_of(prefix, 240), Some(240));
        assert_eq!(length_of(prefix, 239), None);
        assert_eq!(length_of([0xff; 8], usize::MAX - 1), None);
    }

    #[test]
    fn a_listing_shows_blocks_in_order_and_ends_with_an_empty_object() {
        let (header, _) = Header::unpack(LOCAL.genesis).unwrap();
        let record = ShownRecord {
            id: header.merkle_root,
            type_name: "BaseData",
            data: json!({"currency": ""}),
        };
        let block = to_json(&LOCAL.genesis_digest, &header, &[record]);
        let text = listing(vec![block]).to_string();
        assert!(text.starts_with(r#"[{"digest":"8ae68bb8"#), "{text}");
        assert!(text.contains(r#""transactions":[{"index":1,"txId":"ee07bbc3"#));
        assert!(text.ends_with(r#""type":"BaseData","data":{"currency":""}}]},{}]"#));
    }
}
