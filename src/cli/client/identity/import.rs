//! `identity import`: identities of the reference's client become ours, under the same pass phrases.
//!
//! All are opened before the first is written, and none that is there is ever overwritten. The
//! reference's file is read and left as it is. What `setup` would keep is taken over where nothing
//! is kept yet.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail, ensure};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::file::File;
use super::{DESCRIPTION_MAX, Place};
use crate::cli::client::settings::{self, Settings};
use crate::cli::client::{Output, setup};
use crate::core::keys::reference_seal::{ReferenceSealError, ReferenceSealed};
use crate::core::keys::{Account, Secret};
use crate::shell::files::bounded;
use crate::shell::files::moved::{self, ClientFile, ClientIdentity};
use crate::shell::files::ucl::{self, FILE_MAX};

/// Most identities of one file: each costs a second or so.
const IDENTITIES_MAX: usize = 1000;

/// `identity import`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration of the reference's client.
    file: PathBuf,
    /// Import this one alone; can be repeated.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Keep it under another name; for a single one.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// One that is to be imported, or is there already.
struct Candidate<'f> {
    entry: &'f ClientIdentity,
    /// Its name here.
    name: String,
    path: PathBuf,
    account: Account,
    sealed: ReferenceSealed,
}

/// What becomes of one.
enum Found<'f> {
    New(Candidate<'f>),
    Present { name: String, account: String },
    PublicOnly { name: String },
}

/// The reference's file.
fn read(path: &Path, only: &[String]) -> anyhow::Result<ClientFile> {
    let place = || path.display().to_string();
    let bytes = Zeroizing::new(bounded::read(path, FILE_MAX as u64).with_context(place)?);
    let document = ucl::read_alone(&bytes).map_err(|error| {
        anyhow!(
            "{}: {error}; this is no configuration of the reference's client, or a name or description in it has a quote without a \\ before it",
            place()
        )
    })?;
    let file = moved::client(&document, only).map_err(|problems| {
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        anyhow!("{}:\n  {}", place(), problems.join("\n  "))
    })?;
    ensure!(
        !file.identities.is_empty(),
        "{}: there is no identity in it",
        place()
    );
    ensure!(
        file.identities.len() <= IDENTITIES_MAX,
        "{}: more than {IDENTITIES_MAX} identities",
        place()
    );
    Ok(file)
}

/// Those that are wanted, in the order of the file.
fn chosen<'f>(file: &'f ClientFile, only: &[String]) -> anyhow::Result<Vec<&'f ClientIdentity>> {
    let names = || {
        let names: Vec<_> = file
            .identities
            .iter()
            .map(|one| one.name.as_str())
            .collect();
        names.join(", ")
    };
    for name in only {
        ensure!(
            file.identities.iter().any(|one| one.name == *name),
            "--only {name:?}: there is none of that name, but: {}",
            names()
        );
    }
    let wanted = file.identities.iter();
    Ok(wanted
        .filter(|one| only.is_empty() || only.contains(&one.name))
        .collect())
}

fn bytes_of<const N: usize>(
    entry: &ClientIdentity,
    what: &str,
    text: &str,
) -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| {
        anyhow!(
            "{}: {:?}: {what}: {} hex digits are wanted; the file is damaged",
            entry.place,
            entry.name,
            2 * N
        )
    })?;
    Ok(bytes)
}

/// Looks at one without opening it.
fn look<'f>(entry: &'f ClientIdentity, args: &Args, testing: bool) -> anyhow::Result<Found<'f>> {
    let name = args.name.clone().unwrap_or_else(|| entry.name.clone());
    if entry.private_key.is_empty() && entry.seed.is_empty() {
        return Ok(Found::PublicOnly { name });
    }
    let other = "--only NAME --name OTHER keeps it under another one";
    let path = args
        .place
        .path(&name)
        .with_context(|| format!("{}: the name is none that we have; {other}", entry.place))?;
    let account = Account::ed25519(bytes_of(entry, "public_key", &entry.public_key)?, testing);
    if path.symlink_metadata().is_ok() {
        let there = File::read(&path)?.account;
        ensure!(
            there == account.to_string(),
            "{name}: an identity of this name is there already, of account {there}, and this one is of {account}; {other}"
        );
        let account = there;
        return Ok(Found::Present { name, account });
    }
    let long = |what: &str, text: &str| {
        hex::decode(text).map_err(|_| {
            anyhow!(
                "{}: {:?}: {what}: hex digits are wanted; the file is damaged",
                entry.place,
                entry.name
            )
        })
    };
    let sealed = ReferenceSealed {
        salt: bytes_of(entry, "private_key_config.salt", &entry.salt)?,
        private_key: long("private_key", &entry.private_key)?,
        seed: long("seed", &entry.seed)?,
    };
    Ok(Found::New(Candidate {
        entry,
        name,
        path,
        account,
        sealed,
    }))
}

impl Candidate<'_> {
    /// Opens it, and seals it anew under the same pass phrase.
    fn open(&self, args: &Args, testing: bool, is_alone: bool) -> anyhow::Result<File> {
        let phrase = args
            .place
            .source
            .pass_phrase_of(&self.entry.name, "import the identity")?;
        let account = self.account;
        let mut public_key = [0; 32];
        hex::decode_to_slice(&self.entry.public_key, &mut public_key)?;
        let opened = self.sealed.open(phrase.as_bytes(), &public_key, testing);
        let secret: Secret = opened.map_err(|error| match error {
            ReferenceSealError::Wrong if is_alone => {
                anyhow!("{}: wrong pass phrase, or the file is damaged", self.entry.name)
            }
            ReferenceSealError::Wrong => anyhow!(
                "{}: wrong pass phrase, or the file is damaged; nothing is imported. Where pass phrases differ, import one after the other with --only NAME",
                self.entry.name
            ),
            error => anyhow!("{}: {error}", self.entry.name),
        })?;
        let opened = secret.key().account();
        ensure!(
            opened == Some(account),
            "{}: the key that was sealed is not the one of account {account}",
            self.entry.name
        );
        let described = described(&self.entry.description);
        File::seal(&self.name, described.as_deref(), &secret, &phrase)
    }
}

/// A description as ours are: one line, not too long.
fn described(text: &str) -> Option<String> {
    let line = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = text.chars().map(line).take(DESCRIPTION_MAX).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Our name of the network, if there is one.
fn chain_of(network: Option<&str>) -> Option<&'static str> {
    match network.unwrap_or("testing") {
        "bitmark" | "live" | "production" => Some("bitmark"),
        "testing" | "test" => Some("testing"),
        "local" => Some("local"),
        _ => None,
    }
}

/// Keeps node and identity as `setup` does, unless something is kept; an identity is added where
/// none is kept. Tells what it did.
fn keep(
    file: &ClientFile,
    identity: Option<String>,
    place: &Place,
) -> anyhow::Result<(Value, String)> {
    let Ok(path) = settings::path() else {
        return Ok((
            Value::Null,
            "no settings are kept: there is no folder for them".to_owned(),
        ));
    };
    if path.symlink_metadata().is_ok() {
        return add(file, identity, place, &path);
    }
    let chain = chain_of(file.network.as_deref());
    let rpc = file
        .connect
        .clone()
        .filter(|text| setup::address(text).is_ok());
    let mut lines = Vec::new();
    if chain.is_none() || rpc.is_none() {
        lines.push(format!(
            "give --chain and --rpc to commands, for network {:?} and address {:?} are not both of use here",
            ucl::shortened(file.network.as_deref().unwrap_or_default()),
            ucl::shortened(file.connect.as_deref().unwrap_or_default())
        ));
    }
    lines.extend(later(file, identity.as_deref()));
    let settings = Settings {
        identity,
        identities: place.named_folder()?,
        chain: chain.map(str::to_owned),
        rpc: rpc.filter(|_| chain.is_some()),
        ..Settings::default()
    };
    let kept: Vec<_> = [
        settings
            .identity
            .as_ref()
            .map(|name| format!("identity {name}")),
        settings
            .identities
            .as_ref()
            .map(|_| "folder of the identities".to_owned()),
        settings
            .chain
            .as_ref()
            .map(|chain| format!("network {chain}")),
        settings.rpc.as_ref().map(|rpc| format!("node {rpc}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if kept.is_empty() {
        lines.insert(
            0,
            "no settings are kept: there is nothing for them".to_owned(),
        );
        return Ok((Value::Null, lines.join("\n")));
    }
    settings.create(&path)?;
    let told = format!("kept in {}: {}", path.display(), kept.join(", "));
    lines.insert(0, told);
    Ok((json!(path), lines.join("\n")))
}

/// That the default identity of the file is not kept, and what keeps it.
fn later(file: &ClientFile, identity: Option<&str>) -> Option<String> {
    let default = file.default_identity.as_deref();
    let default = default.filter(|_| identity.is_none())?;
    Some(format!(
        "no identity signs by default: {default:?} is the one of the file, and becomes the default when it is imported"
    ))
}

/// Settings that are there stay, and get the default identity if they have none.
fn add(
    file: &ClientFile,
    identity: Option<String>,
    place: &Place,
    path: &Path,
) -> anyhow::Result<(Value, String)> {
    let stay = format!("settings are there already, and stay: {}", path.display());
    let settings = Settings::read(path)?;
    if settings.identity.is_some() {
        return Ok((Value::Null, stay));
    }
    let Some(identity) = identity else {
        let lines = [Some(stay), later(file, None)];
        let lines: Vec<_> = lines.into_iter().flatten().collect();
        return Ok((Value::Null, lines.join("\n")));
    };
    // Commands look for it where the settings say.
    if let Some(folder) = place.named_folder()?
        && settings.identities.as_ref() != Some(&folder)
    {
        let told = format!(
            "{stay}\nno identity signs by default: {} is not in the folder that they name",
            identity
        );
        return Ok((Value::Null, told));
    }
    settings::add_identity(path, &identity)?;
    let told = format!("kept in {}: identity {identity}", path.display());
    Ok((json!(path), told))
}

pub(super) fn run(args: &Args, output: Output) -> anyhow::Result<()> {
    let file = read(&args.file, &args.only)?;
    let wanted = chosen(&file, &args.only)?;
    if let [first, second, ..] = &wanted[..]
        && args.only.len() == 1
    {
        bail!(
            "{}: {:?} is in the file twice, first in {}",
            second.place,
            second.name,
            first.place
        );
    }
    if args.name.is_some() && wanted.len() != 1 {
        bail!(
            "--name is for one identity, and there are {}; choose with --only NAME",
            wanted.len()
        );
    }
    let testing = chain_of(file.network.as_deref()) != Some("bitmark");
    let mut found = Vec::new();
    for entry in wanted {
        let one = look(entry, args, testing)?;
        let name = match &one {
            Found::New(Candidate { name, .. })
            | Found::Present { name, .. }
            | Found::PublicOnly { name } => name.clone(),
        };
        ensure!(
            !found.iter().any(|(_, other, _)| *other == name),
            "{}: {name:?} is in the file twice",
            entry.place
        );
        found.push((entry, name, one));
    }
    let count = found
        .iter()
        .filter(|(.., one)| matches!(one, Found::New(_)))
        .count();
    let mut sealed = Vec::new();
    for (.., one) in &found {
        if let Found::New(candidate) = one {
            sealed.push((candidate.open(args, testing, count == 1)?, &candidate.path));
        }
    }
    let (mut imported, mut lines) = (Vec::new(), Vec::new());
    for (one, path) in &sealed {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        one.create(path)?;
        imported.push(json!({"name": one.name, "account": one.account, "file": path}));
        lines.push(format!(
            "{}: account {}, kept in {}",
            one.name,
            one.account,
            path.display()
        ));
    }
    let (mut present, mut left) = (Vec::new(), Vec::new());
    for (.., one) in &found {
        match one {
            Found::New(_) => {}
            Found::Present { name, account } => {
                lines.push(format!("{name}: account {account} is there already"));
                present.push(json!({"name": name, "account": account}));
            }
            Found::PublicOnly { name } => {
                lines.push(format!(
                    "{name}: left out, there is no private key in the file"
                ));
                left.push(json!(name));
            }
        }
    }
    let default = file.default_identity.as_deref();
    let identity = found
        .iter()
        .find(|(entry, _, one)| {
            Some(entry.name.as_str()) == default && !matches!(one, Found::PublicOnly { .. })
        })
        .map(|(_, name, _)| name.clone());
    let (settings, told) = keep(&file, identity, &args.place)?;
    lines.push(told);
    output.show(
        &json!({"imported": imported, "present": present, "left_out": left, "settings": settings}),
        lines.join("\n"),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_becomes_one_line_that_is_not_too_long() {
        assert_eq!(described(" of a\nfriend "), Some("of a friend".to_owned()));
        assert_eq!(described("\t"), None);
        let long = described(&"x".repeat(1000)).unwrap();
        assert!(super::super::description(&long).is_ok());
    }

    #[test]
    fn networks_have_our_names() {
        for (network, chain) in [
            (None, Some("testing")),
            (Some("bitmark"), Some("bitmark")),
            (Some("local"), Some("local")),
            (Some("development"), None),
        ] {
            assert_eq!(chain_of(network), chain, "{network:?}");
        }
    }
}
