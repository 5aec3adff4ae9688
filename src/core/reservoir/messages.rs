//! What peers send, from bytes to pools (`proto/reservoir.md`, section 11). Earlier assets of a
//! message stay when a later one is refused.

use super::{Confirmed, ProofStatus, Refusal, Reservoir, ReservoirError, Source};
use crate::core::id::PayId;
use crate::core::mining::proof::ClientNonce;
use crate::core::record::Record;
use crate::core::time::Now;

/// A message of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Packed assets.
    Assets(Vec<u8>),
    /// Packed issues of one set.
    Issues(Vec<u8>),
    /// A packed transfer; what follows it is not looked at.
    Transfer(Vec<u8>),
    /// Payment id and nonce.
    Proof(Vec<u8>),
}

/// A message that was taken and is passed on as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken;

impl Message {
    /// Its command.
    #[must_use]
    pub const fn command(&self) -> &'static str {
        match self {
            Self::Assets(_) => "assets",
            Self::Issues(_) => "issues",
            Self::Transfer(_) => "transfer",
            Self::Proof(_) => "proof",
        }
    }

    /// Its parameter.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Assets(bytes)
            | Self::Issues(bytes)
            | Self::Transfer(bytes)
            | Self::Proof(bytes) => bytes,
        }
    }
}

/// The records of a message, read to its end.
fn records(mut rest: &[u8], testing: bool) -> impl Iterator<Item = Result<Record, Refusal>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        match Record::unpack(rest, testing) {
            Ok((record, used)) => {
                rest = rest.get(used..).unwrap_or_default();
                Some(Ok(record))
            }
            Err(e) => {
                rest = &[];
                Some(Err(e.into()))
            }
        }
    })
}

impl Reservoir {
    /// Takes a message.
    ///
    /// # Errors
    /// The rule that it breaks; it is not passed on then.
    pub fn message(
        &mut self,
        now: Now,
        message: &Message,
        source: Source,
        state: Confirmed<'_>,
    ) -> Result<Taken, ReservoirError> {
        if message.bytes().is_empty() {
            return Err(Refusal::MissingParameters.into());
        }
        match message {
            Message::Assets(bytes) => self.assets_message(now, bytes, source, state)?,
            Message::Issues(bytes) => self.issues_message(now, bytes, source, state)?,
            Message::Transfer(bytes) => {
                let (record, _) = Record::unpack(bytes, self.chain.testing)?;
                if self.store_transfer(now, &record, source, state)?.duplicate {
                    return Err(Refusal::AlreadyExists.into());
                }
            }
            Message::Proof(bytes) => {
                let (pay_id, nonce) = bytes
                    .split_first_chunk::<{ PayId::SIZE }>()
                    .ok_or(Refusal::Nonce(crate::core::mining::proof::InvalidNonce))?;
                let nonce = ClientNonce::new(nonce).map_err(Refusal::from)?;
                if self.try_proof(now, &PayId(*pay_id), &nonce, state) != ProofStatus::Accepted {
                    return Err(Refusal::PayIdUsed.into());
                }
            }
        }
        Ok(Taken)
    }

    fn assets_message(
        &mut self,
        now: Now,
        bytes: &[u8],
        source: Source,
        state: Confirmed<'_>,
    ) -> Result<(), ReservoirError> {
        let mut any_new = false;
        for record in records(bytes, self.chain.testing) {
            let Record::AssetData(asset) = record? else {
                return Err(Refusal::NotAnAsset.into());
            };
            any_new |= self.cache_asset(now, asset, source, state)?.1;
        }
        if any_new {
            Ok(())
        } else {
            Err(Refusal::NoNewTransactions.into())
        }
    }

    fn issues_message(
        &mut self,
        now: Now,
        bytes: &[u8],
        source: Source,
        state: Confirmed<'_>,
    ) -> Result<(), ReservoirError> {
        let mut issues = Vec::new();
        for record in records(bytes, self.chain.testing) {
            let Record::BitmarkIssue(issue) = record? else {
                return Err(Refusal::NotAnIssue.into());
            };
            issues.push(issue);
        }
        if self.store_issues(now, issues, source, state)?.duplicate {
            return Err(Refusal::AlreadyExists.into());
        }
        Ok(())
    }
}
