//! The calls and their arguments (`proto/rpc.md`, section 4). What only the chain or the pools can
//! say is wrong with one, the engine says.

use serde_json::Value;

use super::argument::Argument;
use super::cut;
use crate::core::id::{PayId, TxId};
use crate::core::keys::Account;
use crate::core::record::Draft;

/// What a client asks, read and checked as far as it can be without the node.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// `Node.Info`
    NodeInfo,
    /// `Node.List`
    NodeList {
        /// Where the page starts.
        start: u64,
        /// Most services on it.
        count: i64,
    },
    /// `Assets.Get`
    AssetsGet {
        /// Of the assets.
        fingerprints: Vec<String>,
    },
    /// `Bitmarks.Create`
    BitmarksCreate {
        /// Assets to cache; nothing for `null`.
        assets: Vec<Option<Draft>>,
        /// One set of issues; nothing for `null`.
        issues: Vec<Option<Draft>>,
    },
    /// `Bitmarks.Proof`
    BitmarksProof {
        /// What it proves.
        pay_id: PayId,
        /// In hex: it is read after the mode was looked at.
        nonce: String,
    },
    /// `Bitmark.Transfer`
    BitmarkTransfer(Box<Draft>),
    /// `Bitmark.Provenance`
    BitmarkProvenance {
        /// The newest of the list.
        tx_id: TxId,
        /// Most steps.
        count: i64,
    },
    /// `BlockOwner.TxIdForBlock`
    BlockOwnerTxIdForBlock {
        /// The block.
        number: u64,
    },
    /// `BlockOwner.Transfer`
    BlockOwnerTransfer(Box<Draft>),
    /// `Owner.Bitmarks`
    OwnerBitmarks {
        /// Whose; nothing when absent.
        owner: Option<Account>,
        /// Where the page starts.
        start: u64,
        /// Most entries on it.
        count: i64,
    },
    /// `Transaction.Status`
    TransactionStatus {
        /// Of this one.
        tx_id: TxId,
    },
    /// `/bitmarkd/details` (section 5), which is no method.
    Details,
    /// `/bitmarkd/connections`, which is no method.
    Connections,
    /// `/bitmarkd/peers`, which is no method.
    Peers {
        /// Most of them.
        count: usize,
        /// The page starts behind this key.
        after: Option<[u8; 32]>,
    },
}

/// The methods: a service and a name.
const METHODS: [&str; 11] = [
    "Assets.Get",
    "Bitmark.Transfer",
    "Bitmark.Provenance",
    "Bitmarks.Create",
    "Bitmarks.Proof",
    "BlockOwner.TxIdForBlock",
    "BlockOwner.Transfer",
    "Node.Info",
    "Node.List",
    "Owner.Bitmarks",
    "Transaction.Status",
];

/// The method of this name, as a word of the program.
pub(super) fn known(method: &str) -> Option<&'static str> {
    METHODS.into_iter().find(|known| *known == method)
}

/// Whether there is a method of this name; the names are case sensitive. At most
/// [`super::QUOTED_MAX`] bytes of it are quoted.
///
/// # Errors
/// The reference's text.
pub(super) fn check_method(method: &str) -> Result<(), String> {
    let quoted = cut(method);
    let Some((service, _)) = method.rsplit_once('.') else {
        return Err(format!("rpc: service/method request ill-formed: {quoted}"));
    };
    let is_of = |known: &str| known.rsplit_once('.').is_some_and(|(of, _)| of == service);
    if known(method).is_some() {
        Ok(())
    } else if METHODS.into_iter().any(is_of) {
        Err(format!("rpc: can't find method {quoted}"))
    } else {
        Err(format!("rpc: can't find service {quoted}"))
    }
}

impl Call {
    /// The call of a method with its argument; `null` is an argument without members.
    ///
    /// # Errors
    /// The text of the first member that is not in the form of its kind, else of the first that
    /// is of another kind of JSON.
    pub fn of(method: &str, argument: &Value) -> Result<Self, String> {
        check_method(method)?;
        match method {
            "Node.Info" => Argument::of("InfoArguments", argument)?.end(Self::NodeInfo),
            "Node.List" => {
                let mut a = Argument::of("NodeArguments", argument)?;
                let call = Self::NodeList {
                    start: a.quoted("start"),
                    count: a.count("count"),
                };
                a.end(call)
            }
            "Assets.Get" => {
                let mut a = Argument::of("AssetGetArguments", argument)?;
                let call = Self::AssetsGet {
                    fingerprints: a.texts("fingerprints"),
                };
                a.end(call)
            }
            "Bitmarks.Create" => {
                let mut a = Argument::of("CreateArguments", argument)?;
                let call = Self::BitmarksCreate {
                    assets: a.drafts("assets", "AssetData"),
                    issues: a.drafts("issues", "BitmarkIssue"),
                };
                a.end(call)
            }
            "Bitmarks.Proof" => {
                let mut a = Argument::of("ProofArguments", argument)?;
                let call = Self::BitmarksProof {
                    pay_id: a.parsed("payId", "pay.PayId").unwrap_or_default(),
                    nonce: a.text("nonce"),
                };
                a.end(call)
            }
            "Bitmark.Transfer" => draft("BitmarkTransferCountersigned", argument)
                .map(|draft| Self::BitmarkTransfer(Box::new(draft))),
            "BlockOwner.Transfer" => draft("BlockOwnerTransfer", argument)
                .map(|draft| Self::BlockOwnerTransfer(Box::new(draft))),
            "Bitmark.Provenance" => {
                let mut a = Argument::of("ProvenanceArguments", argument)?;
                let call = Self::BitmarkProvenance {
                    tx_id: a.parsed("txId", "merkle.Digest").unwrap_or_default(),
                    count: a.count("count"),
                };
                a.end(call)
            }
            "BlockOwner.TxIdForBlock" => {
                let mut a = Argument::of("TxIdForBlockArguments", argument)?;
                let call = Self::BlockOwnerTxIdForBlock {
                    number: a.number("blockNumber"),
                };
                a.end(call)
            }
            "Owner.Bitmarks" => {
                let mut a = Argument::of("BitmarksArguments", argument)?;
                let call = Self::OwnerBitmarks {
                    owner: a.parsed("owner", "account.Account"),
                    start: a.quoted("start"),
                    count: a.count("count"),
                };
                a.end(call)
            }
            "Transaction.Status" => {
                let mut a = Argument::of("Arguments", argument)?;
                let call = Self::TransactionStatus {
                    tx_id: a.parsed("txId", "merkle.Digest").unwrap_or_default(),
                };
                a.end(call)
            }
            other => Err(format!("rpc: can't find method {}", cut(other))),
        }
    }
}

fn draft(type_name: &'static str, argument: &Value) -> Result<Draft, String> {
    // What is no object at all is refused in the words for arguments.
    Argument::of(type_name, argument)?;
    Draft::from_value(type_name, argument).map_err(|e| cut(&e.to_string()).to_owned())
}
