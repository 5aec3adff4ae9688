//! Sending records and blocks: checked here first, so that nobody is bothered with what cannot be
//! valid. A node's `A` says that it was received; it does not say that it was accepted.

use std::io::Read as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use serde_json::json;

use super::chain;
use super::target::Target;
use super::{Exit, Output};
use crate::core::block::Header;
use crate::core::chain::Chain;
use crate::core::id::{PayId, TxId};
use crate::core::mining::proof::ClientNonce;
use crate::core::record::Record;

/// What is sent.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Kind {
    /// Packed assets, one after the other.
    Assets,
    /// Packed issues of one set.
    Issues,
    /// A packed transfer.
    Transfer,
    /// Payment id and nonce.
    Proof,
    /// A packed block.
    Block,
}

/// `peer push`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What it is.
    kind: Kind,
    /// The file, hex or binary; `-` is standard input.
    file: PathBuf,
    #[command(flatten)]
    target: Target,
}

impl Kind {
    /// The command.
    #[must_use]
    pub const fn command(self) -> &'static str {
        match self {
            Self::Assets => "assets",
            Self::Issues => "issues",
            Self::Transfer => "transfer",
            Self::Proof => "proof",
            Self::Block => "block",
        }
    }

    /// Checks what can be checked without the chain; says what it is.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(self, chain: &Chain, bytes: &[u8]) -> anyhow::Result<String> {
        match self {
            Self::Assets => all_are(chain, bytes, "asset", |record| {
                matches!(record, Record::AssetData(_))
            }),
            Self::Issues => all_are(chain, bytes, "issue", |record| {
                matches!(record, Record::BitmarkIssue(_))
            }),
            Self::Transfer => {
                // The former owner is not known here: the first signature is the node's to check.
                let (record, used) = Record::unpack(bytes, chain.testing)?;
                if record.link().is_none() {
                    bail!("this is {}, not a transfer", record.type_name());
                }
                if used != bytes.len() {
                    bail!("{} bytes follow the transfer", bytes.len() - used);
                }
                // The second is by the new owner, whom the record names.
                if let Some(countersignature) = record.countersignature() {
                    let owner = record.owner();
                    owner
                        .verify(&record.countersign_message(), countersignature)
                        .with_context(|| format!("the countersignature is not by {owner}"))?;
                }
                Ok(format!("transfer {}", TxId::of(bytes)))
            }
            Self::Proof => {
                let (pay_id, nonce) = bytes
                    .split_at_checked(PayId::SIZE)
                    .context("a proof is 48 bytes of payment id and 8 to 64 of nonce")?;
                ClientNonce::new(nonce)?;
                Ok(format!("proof for {}", PayId::from_bytes(pay_id)?))
            }
            Self::Block => {
                let (header, _) = Header::unpack(bytes)?;
                let now = std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .map_or(0, |d| d.as_secs());
                header.check(chain, now)?;
                let count = chain::records(chain, bytes)?.len();
                if count != usize::from(header.transaction_count) {
                    bail!(
                        "the header claims {} records, there are {count}",
                        header.transaction_count
                    );
                }
                Ok(format!("block {} with {count} records", header.number))
            }
        }
    }
}

fn all_are(
    chain: &Chain,
    mut rest: &[u8],
    what: &str,
    is: impl Fn(&Record) -> bool,
) -> anyhow::Result<String> {
    let mut count = 0;
    while !rest.is_empty() {
        let (record, used) = Record::unpack(rest, chain.testing)?;
        if !is(&record) {
            bail!(
                "record {} is {}, not an {what}",
                count + 1,
                record.type_name()
            );
        }
        record
            .pack(record.owner())
            .with_context(|| format!("record {}", count + 1))?;
        rest = rest.get(used..).unwrap_or_default();
        count += 1;
    }
    if count == 0 {
        bail!("there is nothing in it");
    }
    let ending = if count == 1 { "" } else { "s" };
    Ok(format!("{count} {what}{ending}"))
}

/// The bytes of a file, hex or binary.
///
/// # Errors
/// It cannot be read.
pub fn bytes_of(file: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if file.as_os_str() == "-" {
        std::io::stdin().read_to_end(&mut bytes)?;
    } else {
        bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
    }
    let trimmed = bytes.trim_ascii();
    let is_text = !trimmed.is_empty()
        && trimmed
            .iter()
            .all(|byte| byte.is_ascii_hexdigit() || byte.is_ascii_whitespace());
    if is_text {
        let digits: Vec<u8> = trimmed
            .iter()
            .copied()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect();
        return hex::decode(digits).with_context(|| format!("{}: hex", file.display()));
    }
    Ok(bytes)
}

pub(super) fn run(args: &Args, output: Output) -> anyhow::Result<()> {
    let bytes = bytes_of(&args.file)?;
    let node = args.target.dial()?;
    let what = args.kind.check(node.chain(), &bytes)?;
    let info = node.info()?;
    if !info.normal {
        return Err(Exit::not_normal(info.height).into());
    }
    node.push(args.kind.command(), &[bytes])?;
    output.show(
        &json!({"received": true, "what": what}),
        format!("received: {what} (whether it is accepted, the protocol does not tell)"),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::chain::DEVNET;
    use crate::core::keys::PrivateKey;
    use crate::core::record::{self, BitmarkTransferCountersigned};

    #[test]
    fn a_transfer_without_the_agreement_of_its_new_owner_is_not_sent() {
        let [from, to, other] =
            [1, 2, 3].map(|number| PrivateKey::from_ed25519_seed(&[number; 32], true));
        let packed = |signer: &PrivateKey| {
            let mut transfer = Record::BitmarkTransferCountersigned(BitmarkTransferCountersigned {
                link: TxId([4; 32]),
                escrow: None,
                owner: to.account().unwrap(),
                signature: Vec::new(),
                countersignature: Vec::new(),
            });
            record::sign_first(&mut transfer, &from);
            record::sign_second(&mut transfer, signer);
            transfer.pack_unchecked()
        };
        let check = |bytes: Vec<u8>| Kind::Transfer.check(&DEVNET, &bytes);
        assert!(check(packed(&to)).unwrap().starts_with("transfer "));
        let error = check(packed(&other)).unwrap_err();
        assert!(error.to_string().contains("countersignature is not by"));
    }
}
