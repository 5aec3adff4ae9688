//! A title as text (`proto/title.md`, section 2). There is one way to write a title: what is read
//! is written again and must give the same bytes. The last member is a checksum of what stands
//! before it, so that a title that was damaged on its way is refused at once.

use std::fmt::Write as _;

use serde::Deserialize;
use serde::de::IgnoredAny;
use sha3::{Digest as _, Sha3_256};

use super::check::{Sound, counted};
use super::{Entry, FORMAT, HEADERS_MAX, RECORDS_MAX, TEXT_MAX, Title, TitleError};
use crate::core::chain::Chain;
use crate::core::id::TxId;
use crate::core::ledger::Item;
use crate::core::record::Record;

/// What stands around the checksum at the end of the text.
const BEFORE_CHECKSUM: &str = ",\n  \"checksum\": \"";
const AFTER_CHECKSUM: &str = "\"\n}\n";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    format: String,
    chain: String,
    #[serde(rename = "says")]
    _says: IgnoredAny,
    records: Vec<Record_>,
    first: u64,
    headers: Vec<String>,
    digest: String,
    #[serde(rename = "checksum")]
    _checksum: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record_ {
    block: u64,
    index: u16,
    #[serde(rename = "type")]
    _type: IgnoredAny,
    #[serde(rename = "id")]
    _id: IgnoredAny,
    packed: String,
    path: Vec<TxId>,
}

fn shape(what: impl std::fmt::Display) -> TitleError {
    TitleError::Shape(what.to_string())
}

/// Reads a title and checks everything in it but the digests of its headers.
///
/// # Errors
/// What is wrong with it first.
pub fn read(text: &[u8]) -> Result<Sound, TitleError> {
    if text.len() > TEXT_MAX {
        return Err(TitleError::TooLong);
    }
    let text = std::str::from_utf8(text).map_err(shape)?;
    if !text.trim_start().starts_with('{') {
        return Err(shape("it does not begin with {"));
    }
    let (front, sum) = text
        .strip_suffix(AFTER_CHECKSUM)
        .and_then(|text| text.rsplit_once(BEFORE_CHECKSUM))
        .ok_or(TitleError::Checksum)?;
    if checksum(front) != sum {
        return Err(TitleError::Checksum);
    }
    let members: Members = serde_json::from_str(text).map_err(shape)?;
    let sound = title(members)?.check()?;
    if sound.to_text() == text {
        Ok(sound)
    } else {
        Err(TitleError::NotCanonical)
    }
}

fn title(members: Members) -> Result<Title, TitleError> {
    if members.format != FORMAT {
        let other = format!(
            "its format is {:?}, and {FORMAT:?} is read here",
            members.format
        );
        return Err(TitleError::Shape(other));
    }
    let chain = Chain::by_name(&members.chain).ok_or(TitleError::Chain(members.chain))?;
    counted("headers", members.headers.len(), 1, HEADERS_MAX)?;
    counted("records", members.records.len(), 1, RECORDS_MAX)?;
    let headers: Result<_, _> = members
        .headers
        .iter()
        .map(|header| {
            let bytes = hex::decode(header).map_err(shape)?;
            bytes
                .try_into()
                .map_err(|_| shape("a header has not 100 bytes"))
        })
        .collect();
    let records: Result<_, _> = members.records.into_iter().map(entry).collect();
    Ok(Title {
        chain,
        records: records?,
        first: members.first,
        headers: headers?,
        digest: members.digest.parse().map_err(shape)?,
    })
}

fn entry(record: Record_) -> Result<Entry, TitleError> {
    Ok(Entry {
        block: record.block,
        index: record.index,
        packed: hex::decode(&record.packed).map_err(shape)?,
        path: record.path,
    })
}

fn checksum(front: &str) -> String {
    hex::encode(Sha3_256::digest(front.as_bytes()))
}

impl Sound {
    /// The one way to write this title.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = self.front();
        let sum = checksum(&text);
        text.push_str(BEFORE_CHECKSUM);
        text.push_str(&sum);
        text.push_str(AFTER_CHECKSUM);
        text
    }

    /// Everything before the checksum.
    fn front(&self) -> String {
        let (title, says) = (&self.title, &self.says);
        let mut out = format!(
            "{{\n  \"format\": \"{FORMAT}\",\n  \"chain\": \"{}\",\n  \"says\": {{\n",
            title.chain.name
        );
        match says.item {
            Item::Asset(id) => {
                let asset = says.asset.clone().map(Record::AssetData);
                let asset = asset.map_or_else(|| "null".to_owned(), |asset| asset.to_json());
                let _ = write!(out, "    \"assetId\": \"{id}\",\n    \"asset\": {asset},\n");
            }
            Item::Block(number) => {
                let _ = writeln!(out, "    \"blockNumber\": {number},");
            }
        }
        let _ = write!(
            out,
            "    \"issue\": \"{}\",\n    \"transaction\": \"{}\",\n    \"owner\": \"{}\",\n    \
             \"since\": {},\n    \"height\": {}\n  }},\n  \"records\": [",
            says.issue, says.transaction, says.owner, says.since, says.height
        );
        for (at, entry) in title.records.iter().enumerate() {
            let testing = title.chain.testing;
            let kind =
                Record::unpack(&entry.packed, testing).map_or("", |(record, _)| record.type_name());
            let path: Vec<String> = entry.path.iter().map(|id| format!("\"{id}\"")).collect();
            let _ = write!(
                out,
                "{}\n    {{\"block\": {}, \"index\": {}, \"type\": \"{kind}\", \"id\": \"{}\", \
                 \"packed\": \"{}\", \"path\": [{}]}}",
                comma(at),
                entry.block,
                entry.index,
                TxId::of(&entry.packed),
                hex::encode(&entry.packed),
                path.join(", ")
            );
        }
        let _ = write!(
            out,
            "\n  ],\n  \"first\": {},\n  \"headers\": [",
            title.first
        );
        for (at, header) in title.headers.iter().enumerate() {
            let _ = write!(out, "{}\n    \"{}\"", comma(at), hex::encode(header));
        }
        let _ = write!(out, "\n  ],\n  \"digest\": \"{}\"", title.digest);
        out
    }
}

const fn comma(at: usize) -> &'static str {
    if at == 0 { "" } else { "," }
}
