//! `sign`, `check` and `fingerprint`: what an identity says about a file, and what tells a file
//! from all others. No node is asked.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::json;

use super::create::fingerprint_of;
use super::identity::Signer;
use super::network::Network;
use super::{Exit, Output, arguments};
use crate::core::keys::Account;

/// Longest file that is signed: Ed25519 needs the whole of it at once.
const LONGEST: u64 = 1 << 30;

/// `sign`
#[derive(Debug, clap::Args)]
pub struct SignArgs {
    /// The file, of 1 GiB at most.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Folder of a test network, whose own identity signs unless another is named.
    #[arg(long, value_name = "DIR")]
    network: Option<PathBuf>,
    #[command(flatten)]
    signer: Signer,
}

/// `check`
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The file, of 1 GiB at most.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Who is said to have signed it.
    #[arg(long, value_name = "ACCOUNT", value_parser = arguments::account)]
    account: Account,
    /// The signature, 128 hex digits.
    #[arg(long, value_name = "HEX", value_parser = signature)]
    signature: Signature,
}

/// `fingerprint`
#[derive(Debug, clap::Args)]
pub struct FingerprintArgs {
    /// The file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

type Signature = [u8; 64];

fn signature(text: &str) -> Result<Signature, String> {
    let mut bytes = [0; 64];
    hex::decode_to_slice(text, &mut bytes)
        .map_err(|_| "a signature is wanted: 128 hex digits".to_owned())?;
    Ok(bytes)
}

/// The whole of a file that is not longer than `longest`.
fn content(path: &Path, longest: u64) -> anyhow::Result<Vec<u8>> {
    let place = || path.display().to_string();
    let file = File::open(path).with_context(place)?;
    let too_long = || {
        format!(
            "{}: longer than {longest} bytes; a signature needs the whole of a file at once, so sign its fingerprint instead",
            path.display()
        )
    };
    // Before anything is read, where the length is known.
    if file.metadata().with_context(place)?.len() > longest {
        bail!(too_long());
    }
    let mut bytes = Vec::new();
    file.take(longest + 1)
        .read_to_end(&mut bytes)
        .with_context(place)?;
    if bytes.len() as u64 > longest {
        bail!(too_long());
    }
    Ok(bytes)
}

pub(super) fn sign(args: &SignArgs, output: Output) -> anyhow::Result<()> {
    // What is wrong with the file is known before anybody types.
    let bytes = content(&args.file, LONGEST)?;
    let network = args.network.as_deref().map(Network::read).transpose()?;
    let (identity, key) = args.signer.named_key(network.as_ref())?;
    let account = key.account().context("this identity cannot sign")?;
    let signature = hex::encode(key.sign(&bytes));
    let name = args.file.to_string_lossy();
    output.show(
        &json!({"identity": identity, "file_name": name, "signature": signature, "account": account}),
        format!("account {account}\nfile {name}\nsignature {signature}"),
    );
    Ok(())
}

pub(super) fn check(args: &CheckArgs, output: Output) -> anyhow::Result<()> {
    let bytes = content(&args.file, LONGEST)?;
    let is_valid = args.account.verify(&bytes, &args.signature).is_ok();
    let account = args.account;
    let name = args.file.to_string_lossy();
    let value = json!({"account": account, "file_name": name, "valid": is_valid});
    if !is_valid {
        let message = format!("{name} was not signed so by {account}");
        return Err(Exit {
            status: 1,
            message,
            result: value,
        }
        .into());
    }
    output.show(&value, format!("{account} signed {name}"));
    Ok(())
}

pub(super) fn fingerprint(args: &FingerprintArgs, output: Output) -> anyhow::Result<()> {
    let fingerprint = fingerprint_of(&args.file, output)?;
    let name = args.file.to_string_lossy();
    output.show(
        &json!({"file_name": name, "fingerprint": fingerprint}),
        &fingerprint,
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_too_long_is_refused_whether_its_length_is_known_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, b"1234").unwrap();
        assert_eq!(content(&path, 4).unwrap(), b"1234");
        for (path, longest) in [(path.as_path(), 3), (Path::new("/dev/zero"), 100)] {
            let told = content(path, longest).unwrap_err().to_string();
            assert!(told.contains("sign its fingerprint instead"), "{told}");
        }
    }
}
