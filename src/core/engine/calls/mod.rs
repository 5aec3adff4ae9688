//! Calls of clients against the chain and the pools (`proto/rpc.md`, sections 4 and 5). What
//! changes something is answered after the flush; what only looks, at once.
//!
//! | call | where | mode |
//! | --- | --- | --- |
//! | `Bitmarks.Create`, `Bitmarks.Proof`, `Bitmark.Transfer`, `BlockOwner.Transfer` | here | Normal |
//! | `Assets.Get` | `records.rs` | Normal |
//! | `Bitmark.Provenance`, `Owner.Bitmarks`, `BlockOwner.TxIdForBlock`, `Transaction.Status` | `records.rs` | any |
//! | `Node.Info`, `Node.List`, the pages over HTTPS | `node.rs` | any |
//!
//! Bounds: [`crate::core::rpc::PAGE_MAX`] and [`crate::core::rpc::RECORDS_MAX`] for what is
//! listed; caps of the pools for what comes in.

mod node;
mod records;
#[cfg(test)]
mod tests;
mod texts;

use super::{Effect, Engine, Step};
use crate::core::id::{PayId, PayNonce, bytes_from_hex};
use crate::core::mining::proof::{CLIENT_NONCE_BYTES, InvalidNonce};
use crate::core::record::{Draft, Record};
use crate::core::reservoir::{self, Answer, Refusal, Request};
use crate::core::rpc::{Call, Outcome, Surroundings};

impl Engine {
    pub(super) fn rpc(
        &mut self,
        step: &mut Step<'_>,
        token: u64,
        call: Call,
        around: Surroundings,
    ) {
        let seen = match call {
            Call::BitmarksCreate { assets, issues } => {
                let request = self.create_request(assets, issues);
                return self.change(step, token, request);
            }
            Call::BitmarksProof { pay_id, nonce } => {
                let request = self.proof_request(pay_id, &nonce);
                return self.change(step, token, request);
            }
            Call::BitmarkTransfer(draft) | Call::BlockOwnerTransfer(draft) => {
                return self.change(step, token, transfer_request(*draft));
            }
            Call::NodeInfo => Ok(self.node_info(step, around)),
            Call::NodeList { start, count } => self.node_list(start, count),
            Call::Details => Ok(self.details(step, around)),
            Call::Connections => Ok(self.connections()),
            Call::Peers { count, after } => Ok(self.peers_page(step, count, after)),
            Call::AssetsGet { fingerprints } => self.assets_get(step, &fingerprints),
            Call::BitmarkProvenance { tx_id, count } => self.provenance(step, &tx_id, count),
            Call::BlockOwnerTxIdForBlock { number } => self.tx_id_for_block(step, number),
            Call::OwnerBitmarks {
                owner,
                start,
                count,
            } => self.owner_bitmarks(step, owner.as_ref(), start, count),
            Call::TransactionStatus { tx_id } => self.transaction_status(step, &tx_id),
        };
        step.out.push(Effect::Rpc(token, seen));
    }

    /// Gives the pools a request, and the client what they answer once it is on the disk.
    fn change(&mut self, step: &mut Step<'_>, token: u64, request: Result<Request, Refusal>) {
        let result = request.and_then(|request| {
            let input = reservoir::Input::Client { request, ticket: 0 };
            // The pools answer every request.
            self.pools(step, input).unwrap_or(Err(Refusal::InvalidItem))
        });
        let outcome: Outcome = match &result {
            Ok(answer) => {
                self.stats.taken += 1;
                Ok(answer_json(answer))
            }
            Err(refusal) => {
                let text = refusal.to_string();
                self.stats.refuse(&text);
                Err(text)
            }
        };
        step.after.push(Effect::Rpc(token, outcome));
    }

    fn create_request(
        &self,
        assets: Vec<Option<Draft>>,
        issues: Vec<Option<Draft>>,
    ) -> Result<Request, Refusal> {
        let testing = self.settings.chain.testing;
        let asset = |draft: Option<Draft>| draft?.into_asset(testing);
        let issue = |draft: Option<Draft>| match draft?.into_record() {
            Ok(Record::BitmarkIssue(issue)) => Some(issue),
            _ => None,
        };
        Ok(Request::Create {
            assets: assets.into_iter().map(asset).collect(),
            issues: issues.into_iter().map(issue).collect(),
        })
    }

    /// The mode comes before the nonce, its length before its digits.
    fn proof_request(&self, pay_id: PayId, nonce: &str) -> Result<Request, Refusal> {
        if !self.status().normal {
            return Err(Refusal::Synchronising);
        }
        if !CLIENT_NONCE_BYTES.contains(&(nonce.len() / 2)) {
            return Err(InvalidNonce.into());
        }
        let nonce = bytes_from_hex(nonce.as_bytes())
            .map_err(|e| Refusal::from(crate::core::record::RecordError::from(e)))?;
        Ok(Request::Proof { pay_id, nonce })
    }
}

/// An owner that is missing comes before the mode.
fn transfer_request(draft: Draft) -> Result<Request, Refusal> {
    if !draft.has_account() {
        return Err(Refusal::InvalidItem);
    }
    Ok(Request::Transfer(Box::new(Some(draft.into_record()?))))
}

fn answer_json(answer: &Answer) -> String {
    match answer {
        Answer::Proof(status) => format!("{{\"status\":\"{}\"}}", status.text()),
        Answer::Transfer(stored) => format!(
            "{{\"txId\":\"{}\",\"payId\":\"{}\",\"payments\":{}}}",
            stored.tx_id,
            stored.pay_id,
            stored.payments.to_json()
        ),
        Answer::Created { assets, issues } => created_json(assets, issues.as_ref()),
        // These two answer peers.
        Answer::Assets(assets) => created_json(assets, None),
        Answer::Issues(issues) => created_json(&[], Some(issues)),
    }
}

fn created_json(
    assets: &[(crate::core::id::AssetId, bool)],
    issues: Option<&reservoir::IssuesStored>,
) -> String {
    let assets: Vec<String> = assets
        .iter()
        .map(|(id, new)| format!("{{\"id\":\"{id}\",\"duplicate\":{}}}", !new))
        .collect();
    let assets = assets.join(",");
    let Some(issues) = issues else {
        let (pay_id, nonce) = (PayId::default(), PayNonce::default());
        return format!(
            "{{\"assets\":[{assets}],\"issues\":null,\"payId\":\"{pay_id}\",\"payNonce\":\"{nonce}\",\"difficulty\":\"\"}}"
        );
    };
    let ids: Vec<String> = issues
        .tx_ids
        .iter()
        .map(|id| format!("{{\"txId\":\"{id}\"}}"))
        .collect();
    let payments = issues
        .payments
        .as_ref()
        .map(|due| format!(",\"payments\":{}", due.to_json()));
    format!(
        "{{\"assets\":[{assets}],\"issues\":[{}],\"payId\":\"{}\",\"payNonce\":\"{}\",\"difficulty\":\"{}\"{}}}",
        ids.join(","),
        issues.pay_id,
        issues.pay_nonce,
        issues.target.to_text(),
        payments.unwrap_or_default()
    )
}
