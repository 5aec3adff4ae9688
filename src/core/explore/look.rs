//! Looking through blocks for what no index tells: who followed, and all issues on an asset. A slice
//! at a time, upwards; blocks without the id in their bytes are not taken apart.

use serde_json::{Value, json};

use super::chain::Records;
use super::record::summary;
use super::{Blank, ISSUES_MAX, LOOK_BLOCKS, LOOK_BYTES, Sight, Wanted};
use crate::core::block::Header;
use crate::core::id::TxId;
use crate::core::record::Record;

/// Whether these bytes stand somewhere in a block.
fn holds(packed: &[u8], wanted: &[u8]) -> bool {
    let first = wanted.first();
    packed
        .windows(wanted.len().max(1))
        .any(|window| window.first() == first && window == wanted)
}

impl Wanted {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Follower(id) => &id.0,
            Self::Issues(id) => &id.0,
        }
    }

    fn is(&self, record: &Record) -> bool {
        match (self, record) {
            (Self::Follower(id), record) => record.link() == Some(*id),
            (Self::Issues(id), Record::BitmarkIssue(issue)) => issue.asset_id == *id,
            (Self::Issues(_), _) => false,
        }
    }
}

impl Sight<'_> {
    pub(super) fn look(&self, wanted: &Wanted, from: u64) -> Result<Value, Blank> {
        let height = self.ledger.height();
        let mut found = Vec::new();
        let mut number = from.max(2);
        let end = number
            .saturating_add(LOOK_BLOCKS)
            .min(height.saturating_add(1));
        let mut bytes = 0_usize;
        let mut is_done = false;
        while number < end && bytes < LOOK_BYTES && found.len() < ISSUES_MAX && !is_done {
            let packed = self.packed_block(number)?.unwrap_or_default();
            bytes = bytes.saturating_add(packed.len());
            if holds(&packed, wanted.bytes())
                && let Ok((header, _)) = Header::unpack(&packed)
            {
                let records = Records::of(&packed, &header, self.is_testing());
                for (record, packed) in records.filter(|(record, _)| wanted.is(record)) {
                    let mut entry = summary(&TxId::of(packed), &record);
                    if let Some(entry) = entry.as_object_mut() {
                        entry.insert("block".to_owned(), json!(number));
                        entry.insert("timestamp".to_owned(), json!(header.timestamp));
                        entry.insert("status".to_owned(), json!("Confirmed"));
                    }
                    found.push(entry);
                    // Only one transfer follows, once.
                    is_done = matches!(wanted, Wanted::Follower(_));
                }
            }
            number = number.saturating_add(1);
        }
        let next = (!is_done && number <= height).then_some(number);
        Ok(json!({"found": found, "next": next, "height": height}))
    }
}
