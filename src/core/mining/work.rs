//! Work: the message that is published, and the job behind it (`proto/mining.md`, section 3).
//!
//! The members' order and case are those of the reference; a miner reads Job and Header alone.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::assembly::Body;
use crate::core::block::Header;

/// A job that miners were told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its number, shown as four hex digits.
    pub id: u16,
    /// The header to complete with a nonce.
    pub header: Header,
    /// The records; jobs on the same set share them.
    pub body: Arc<Body>,
}

impl Job {
    /// The number as it stands in messages.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{:04x}", self.id)
    }

    /// The published message.
    #[must_use]
    pub fn message(&self) -> String {
        let texts = |ids: &mut dyn Iterator<Item = &[u8]>| -> Vec<String> {
            ids.map(hex::encode).collect()
        };
        let body = &self.body;
        json!({
            "Job": self.name(),
            "Header": self.header.to_json(),
            "TxZero": STANDARD.encode(&body.foundation),
            "TxIds": texts(&mut body.tx_ids.iter().map(|id| id.0.as_slice())),
            "AssetIds": texts(&mut body.asset_ids.iter().map(|id| id.0.as_slice())),
        })
        .to_string()
    }

    /// The header with this nonce.
    #[must_use]
    pub const fn with_nonce(&self, nonce: u64) -> Header {
        Header {
            nonce,
            ..self.header
        }
    }

    /// The whole block with this nonce.
    #[must_use]
    pub fn block(&self, nonce: u64) -> Vec<u8> {
        [
            self.with_nonce(nonce).pack().as_slice(),
            &self.body.foundation,
            &self.body.records,
        ]
        .concat()
    }
}

/// What a miner needs of a work message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The job's name, given back with a nonce.
    pub job: String,
    /// The header to complete.
    pub header: Header,
}

impl Work {
    /// Reads a work message; member names are matched without case. None when it is not one.
    #[must_use]
    pub fn read(message: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(message).ok()?;
        let member = |name: &str| {
            let (_, value) = value
                .as_object()?
                .iter()
                .rfind(|(key, _)| key.eq_ignore_ascii_case(name))?;
            Some(value)
        };
        Some(Self {
            job: member("Job")?.as_str()?.to_owned(),
            header: Header::from_json(member("Header")?).ok()?,
        })
    }

    /// The submission of a nonce for this job.
    #[must_use]
    pub fn submission(&self, nonce: u64) -> String {
        json!({
            "Request": "block.nonce",
            "Job": self.job,
            "Packed": STANDARD.encode(nonce.to_le_bytes()),
        })
        .to_string()
    }
}
