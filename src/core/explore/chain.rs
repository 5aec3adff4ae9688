//! Blocks and what is in them.

use serde_json::{Value, json};

use super::record::summary;
use super::{BLOCKS_MAX, Blank, BlockAt, RECORDS_MAX, Sight, nothing};
use crate::core::block::{HEADER_BYTES, Header, foundation_id};
use crate::core::id::TxId;
use crate::core::ledger::read;
use crate::core::record::Record;

/// The records of a block one after the other, as far as they can be read.
pub(super) struct Records<'a> {
    rest: &'a [u8],
    left: u16,
    testing: bool,
}

impl<'a> Records<'a> {
    /// Those behind the header of a packed block.
    pub fn of(packed: &'a [u8], header: &Header, testing: bool) -> Self {
        Self {
            rest: packed.get(HEADER_BYTES..).unwrap_or_default(),
            left: header.transaction_count,
            testing,
        }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = (Record, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (record, used) = Record::unpack(self.rest, self.testing).ok()?;
        let (packed, rest) = self.rest.split_at_checked(used)?;
        self.rest = rest;
        Some((record, packed))
    }
}

impl Sight<'_> {
    /// A packed block; genesis too.
    pub(super) fn packed_block(&self, number: u64) -> Result<Option<Vec<u8>>, Blank> {
        if number == 1 {
            return Ok(Some(self.ledger.chain().genesis.to_vec()));
        }
        Ok(read::block(self.view, number)?)
    }

    pub(super) fn header(&self, number: u64) -> Result<Option<Header>, Blank> {
        let packed = self.packed_block(number)?;
        Ok(packed.and_then(|packed| Header::unpack(&packed).ok().map(|(header, _)| header)))
    }

    /// When a block was made.
    pub(super) fn time_of(&self, number: u64) -> Result<Option<u64>, Blank> {
        Ok(self.header(number)?.map(|header| header.timestamp))
    }

    pub(super) fn blocks(&self, below: Option<u64>) -> Result<Value, Blank> {
        let height = self.ledger.height();
        let top = below.map_or(height, |below| below.saturating_sub(1).min(height));
        let mut blocks = Vec::new();
        for number in (1..=top).rev().take(BLOCKS_MAX) {
            if let Some(packed) = self.packed_block(number)? {
                blocks.push(self.brief(number, &packed));
            }
        }
        let lowest = top.saturating_sub(u64::try_from(BLOCKS_MAX).unwrap_or(u64::MAX));
        let next = (lowest > 0).then(|| lowest.saturating_add(1));
        Ok(json!({"height": height, "blocks": blocks, "next": next}))
    }

    fn brief(&self, number: u64, packed: &[u8]) -> Value {
        let Ok((header, _)) = Header::unpack(packed) else {
            return json!({"number": number});
        };
        let first = Records::of(packed, &header, self.is_testing()).next();
        json!({
            "number": number,
            "digest": self.digest(number),
            "timestamp": header.timestamp,
            "records": header.transaction_count,
            "bytes": packed.len(),
            "owner": first.map(|(record, _)| record.owner().to_string()),
        })
    }

    pub(super) fn block(&self, at: BlockAt, from: usize) -> Result<Value, Blank> {
        let height = self.ledger.height();
        let number = match at {
            BlockAt::Number(number) => number,
            BlockAt::Newest => height,
        };
        let packed = if (1..=height).contains(&number) {
            self.packed_block(number)?
        } else {
            None
        };
        let Some(packed) = packed else {
            return nothing(format!(
                "there is no block {number}; the newest is {height}"
            ));
        };
        let mut shown = self.brief(number, &packed);
        let Ok((header, _)) = Header::unpack(&packed) else {
            return Ok(shown);
        };
        let digest = self.digest(number);
        let own = digest.map(|digest| foundation_id(&digest, number));
        let mut records = Vec::new();
        for (index, (record, packed)) in Records::of(&packed, &header, self.is_testing())
            .enumerate()
            .skip(from)
            .take(RECORDS_MAX)
        {
            let id = match record {
                Record::BaseData(_) | Record::BlockFoundation(_) => own.unwrap_or_default(),
                _ => TxId::of(packed),
            };
            let mut entry = summary(&id, &record);
            if let Some(members) = entry.as_object_mut() {
                members.insert("index".to_owned(), json!(index));
            }
            records.push(entry);
        }
        let count = usize::from(header.transaction_count);
        let end = from.saturating_add(records.len());
        let more = json!({
            "height": height,
            "displayDigest": digest.map(|digest| digest.display()),
            "header": header.to_json(),
            "foundationId": own,
            "from": from,
            "list": records,
            "next": (end < count && end > from).then_some(end),
        });
        if let (Some(shown), Value::Object(more)) = (shown.as_object_mut(), more) {
            shown.extend(more);
        }
        Ok(shown)
    }
}
