//! Identities: a seed or a private key under a pass phrase, one file each.
//!
//! Secrets are printed where they were asked for, on standard output, and nowhere else; what held
//! them here is wiped.

mod file;
mod import;
mod secrets;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use rand::RngCore as _;
use serde_json::{Value, json};
use zeroize::{Zeroize as _, Zeroizing};

use super::network::Network;
use super::settings::Settings;
use super::target::chain_named;
use super::{Output, arguments, home};
use crate::core::keys::{Account, PrivateKey, PublicKey, Secret, Seed};
use file::{File, KEPT};
use secrets::Source;

/// Longest description, in characters.
const DESCRIPTION_MAX: usize = 200;

/// `identity`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: IdentityCommand,
}

#[derive(Debug, Subcommand)]
enum IdentityCommand {
    /// Make a new identity, with a fresh key or one that is there already.
    New {
        /// Its name.
        name: String,
        /// The network it is for: bitmark (live), or testing, local, devnet (test accounts).
        #[arg(long, default_value = "devnet")]
        chain: String,
        /// What it is for, in a line.
        #[arg(long, value_name = "TEXT", value_parser = description)]
        description: Option<String>,
        /// File with the key, - for standard input, in place of a fresh one: a seed in base58, or
        /// 64 hex digits (an Ed25519 seed), or 128 (seed and public key).
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
        #[command(flatten)]
        place: Place,
    },
    /// Import the identities of the reference's client, under the same pass phrases.
    Import(import::Args),
    /// Show an identity; with --secret its seed or private key, too.
    Show {
        /// Its name.
        name: String,
        /// Show the seed: who knows it owns what the account owns.
        #[arg(long)]
        secret: bool,
        #[command(flatten)]
        place: Place,
    },
    /// List all identities.
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Seal an identity under a new pass phrase.
    Password {
        /// Its name.
        name: String,
        /// File whose first line is the new pass phrase; else the variable
        /// `BITMARK_NEW_PASSPHRASE`, else a prompt.
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: Option<PathBuf>,
        #[command(flatten)]
        place: Place,
    },
    /// Show all keys of an identity: who knows them owns what the account owns.
    Keypair {
        /// Its name.
        name: String,
        #[command(flatten)]
        place: Place,
    },
    /// Print the seed and keys of a fresh account, and keep nothing.
    Generate {
        /// The network it is for: bitmark (live), or testing, local, devnet (test accounts).
        #[arg(long, default_value = "devnet")]
        chain: String,
    },
    /// The account of a public key, or the public key of an account.
    Account {
        /// 64 hex digits, or an account.
        #[arg(value_name = "HEX|ACCOUNT")]
        key: String,
        /// The network of the public key, devnet unless given: bitmark (live), or testing, local,
        /// devnet (test accounts).
        #[arg(long)]
        chain: Option<String>,
    },
}

pub(super) fn description(text: &str) -> Result<String, String> {
    if text.chars().any(char::is_control) || text.chars().count() > DESCRIPTION_MAX {
        return Err(format!(
            "a line of {DESCRIPTION_MAX} characters at most is wanted"
        ));
    }
    Ok(text.to_owned())
}

/// Where identities are, and where the pass phrase comes from.
#[derive(Debug, Clone, clap::Args)]
pub struct Place {
    /// Folder of the identities; `bitmark-cli` in the user's configuration unless given.
    #[arg(long, value_name = "DIR")]
    identities: Option<PathBuf>,
    #[command(flatten)]
    source: Source,
}

/// Whose signature.
#[derive(Debug, Clone, clap::Args)]
pub struct Signer {
    /// The identity that signs; unless given the one of `setup`, in a test network its own.
    #[arg(long, value_name = "NAME")]
    identity: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// Writes a new identity; refuses to overwrite one.
///
/// # Errors
/// The file is there, or cannot be written.
pub fn write(path: &Path, name: &str, seed: &Seed, pass_phrase: &str) -> anyhow::Result<String> {
    let file = File::seal(name, None, &Secret::Seed(seed.clone()), pass_phrase)?;
    file.create(path)?;
    Ok(file.account)
}

/// A seed of fresh randomness.
#[must_use]
pub fn fresh_seed(testing: bool) -> Seed {
    let mut core = Zeroizing::new([0; 32]);
    rand::thread_rng().fill_bytes(&mut *core);
    Seed::new(testing, *core)
}

impl Place {
    /// The folder that was named, in full.
    pub(super) fn named_folder(&self) -> anyhow::Result<Option<PathBuf>> {
        let folder = self.identities.as_ref().map(std::path::absolute);
        folder.transpose().context("--identities")
    }

    fn folder(&self) -> anyhow::Result<PathBuf> {
        if let Some(folder) = &self.identities {
            return Ok(folder.clone());
        }
        if let Some(folder) = Settings::of_user()?.identities {
            return Ok(folder);
        }
        let folder = home::folder().context("where are the identities? give --identities DIR")?;
        Ok(folder.join("identities"))
    }

    fn path(&self, name: &str) -> anyhow::Result<PathBuf> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
            bail!(
                "{name:?}: a name has letters, digits, and - _ . @ and does not begin with a point"
            );
        }
        Ok(self.folder()?.join(format!("{name}.json")))
    }

    /// An identity's file, and what it seals.
    fn opened(&self, name: &str, operation: &str) -> anyhow::Result<Opened> {
        let path = self.path(name)?;
        // Whether it is there is known before anybody types.
        let file = File::read(&path)?;
        let pass_phrase = self.source.pass_phrase(name, operation)?;
        let secret = file
            .open(&pass_phrase)
            .with_context(|| path.display().to_string())?;
        Ok(Opened { path, file, secret })
    }
}

/// An identity that was opened.
struct Opened {
    path: PathBuf,
    file: File,
    secret: Secret,
}

impl Signer {
    /// The key that signs: of the identity named, or of the test network.
    ///
    /// # Errors
    /// None was named, or it stays sealed.
    pub fn key(&self, network: Option<&Network>) -> anyhow::Result<PrivateKey> {
        self.named_key(network).map(|(_, key)| key)
    }

    /// The same, with its name.
    ///
    /// # Errors
    /// See [`Signer::key`].
    pub fn named_key(&self, network: Option<&Network>) -> anyhow::Result<(String, PrivateKey)> {
        let name = match (&self.identity, network) {
            (Some(name), _) => name.clone(),
            (None, Some(network)) => {
                let entry = &network.identity;
                let pass_phrase = secrets::of_file(&entry.passphrase_file)?;
                let secret = File::read(&entry.file)?
                    .open(&pass_phrase)
                    .with_context(|| entry.file.display().to_string())?;
                return Ok((entry.name.clone(), secret.key()));
            }
            (None, None) => Settings::of_user()?.identity.context(
                "who signs? give --identity NAME (`identity new` makes one), or keep one with `setup`",
            )?,
        };
        let key = self.place.opened(&name, "sign")?.secret.key();
        Ok((name, key))
    }
}

/// Shows what holds secrets, and wipes it.
fn show_secret(output: Output, mut value: Value, text: &Zeroizing<String>) {
    output.show(&value, text.as_str());
    wipe(&mut value);
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The keys of a secret as the reference's client prints them: seed in base58, empty where none is
/// known, and keys in hex.
struct Shown {
    account: String,
    seed: Zeroizing<String>,
    public_key: String,
    private_key: Zeroizing<String>,
    private_key_base58: Zeroizing<String>,
}

impl Shown {
    fn of(secret: &Secret) -> anyhow::Result<Self> {
        let key = secret.key();
        let pair = key.ed25519_pair().context("this key has no account")?;
        let account = key.account().context("this key has no account")?;
        Ok(Self {
            account: account.to_string(),
            seed: secret.seed().map(Seed::to_text).unwrap_or_default(),
            public_key: key_digits(&account),
            private_key: Zeroizing::new(hex::encode(pair)),
            private_key_base58: key.to_text(),
        })
    }

    fn raw(&self) -> Value {
        json!({
            "seed": self.seed.as_str(),
            "public_key": self.public_key,
            "private_key": self.private_key.as_str(),
        })
    }

    /// For people.
    fn lines(&self) -> Zeroizing<String> {
        let seed = if self.seed.is_empty() {
            "none is known, the key was given in hex digits"
        } else {
            &self.seed
        };
        Zeroizing::new(format!(
            "account {}\nseed {seed}\npublic key {}\nprivate key {}",
            self.account,
            self.public_key,
            self.private_key.as_str()
        ))
    }
}

/// The key of an account in hex.
fn key_digits(account: &Account) -> String {
    match &account.key {
        PublicKey::Nothing(key) => hex::encode(key),
        PublicKey::Ed25519(key) => hex::encode(key),
    }
}

/// A new identity.
pub(super) struct New<'a> {
    pub name: &'a str,
    pub chain: &'a str,
    pub description: Option<&'a str>,
    pub key_file: Option<&'a Path>,
    pub place: &'a Place,
}

impl New<'_> {
    /// Makes it; gives its account and its file.
    pub fn make(&self) -> anyhow::Result<(String, PathBuf)> {
        let chain = chain_named(self.chain)?;
        let path = self.place.path(self.name)?;
        if path.exists() {
            bail!("{}: {KEPT}", path.display());
        }
        let secret = match self.key_file {
            Some(file) => {
                let text = secrets::key_text(file)?;
                Secret::from_text(&text, chain.testing)
                    .with_context(|| format!("{} for chain {}", file.display(), chain.name))?
            }
            None => Secret::Seed(fresh_seed(chain.testing)),
        };
        let pass_phrase = self.place.source.first_pass_phrase(self.name)?;
        let file = File::seal(self.name, self.description, &secret, &pass_phrase)?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        file.create(&path)?;
        Ok((file.account, path))
    }

    fn show(&self, output: Output) -> anyhow::Result<()> {
        let (account, path) = self.make()?;
        output.show(
            &json!({"name": self.name, "account": account, "file": path}),
            format!(
                "{}: account {account}\nkept in {}",
                self.name,
                path.display()
            ),
        );
        Ok(())
    }
}

fn show(name: &str, is_secret: bool, place: &Place, output: Output) -> anyhow::Result<()> {
    let described = |file: &File, path: &Path| {
        let mut value = json!({"name": file.name, "account": file.account, "file": path});
        let mut text = format!("{}: account {}", file.name, file.account);
        if let Some(description) = &file.description {
            value["description"] = json!(description);
            text.push_str(&format!("\n{description}"));
        }
        (value, text)
    };
    if !is_secret {
        let path = place.path(name)?;
        let (value, text) = described(&File::read(&path)?, &path);
        output.show(&value, text);
        return Ok(());
    }
    let opened = place.opened(name, "show the secret")?;
    let (mut value, text) = described(&opened.file, &opened.path);
    let (field, word, secret) = match opened.secret.seed() {
        Some(seed) => ("seed", "seed", seed.to_text()),
        None => ("private_key", "private key", opened.secret.key().to_text()),
    };
    value[field] = json!(secret.as_str());
    let text = Zeroizing::new(format!("{text}\n{word} {}", secret.as_str()));
    show_secret(output, value, &text);
    Ok(())
}

fn list(place: &Place, output: Output) -> anyhow::Result<()> {
    let folder = place.folder()?;
    let mut all = Vec::new();
    if folder.is_dir() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.extension().is_none_or(|ending| ending != "json") {
                continue;
            }
            match File::read(&path) {
                Ok(file) => all.push(file),
                Err(error) => eprintln!("bitmark-cli: left out: {error:#}"),
            }
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    let line = |file: &File| {
        let description = file.description.as_deref().unwrap_or_default();
        let line = format!("{:20} {}  {description}", file.name, file.account);
        line.trim_end().to_owned()
    };
    let text = if all.is_empty() {
        format!("no identities in {}", folder.display())
    } else {
        all.iter().map(line).collect::<Vec<_>>().join("\n")
    };
    let entry = |file: &File| {
        let mut value = json!({"name": file.name, "account": file.account});
        if let Some(description) = &file.description {
            value["description"] = json!(description);
        }
        value
    };
    output.show(&all.iter().map(entry).collect(), text);
    Ok(())
}

fn password(
    name: &str,
    new_file: Option<&Path>,
    place: &Place,
    output: Output,
) -> anyhow::Result<()> {
    let opened = place.opened(name, "change the pass phrase")?;
    let pass_phrase = secrets::next_pass_phrase(new_file)?;
    let file = opened.file.seal_again(&opened.secret, &pass_phrase)?;
    file.replace(&opened.path)?;
    output.show(
        &json!({"name": file.name, "account": file.account, "file": opened.path}),
        format!("{}: sealed under the new pass phrase", file.name),
    );
    Ok(())
}

fn keypair(name: &str, place: &Place, output: Output) -> anyhow::Result<()> {
    let shown = Shown::of(&place.opened(name, "show the keys")?.secret)?;
    let value = json!({
        "account": shown.account,
        "private_key": shown.private_key_base58.as_str(),
        "raw": shown.raw(),
    });
    let base58 = shown.private_key_base58.as_str();
    let text = Zeroizing::new(format!(
        "{}\nprivate key in base58 {base58}",
        shown.lines().as_str()
    ));
    show_secret(output, value, &text);
    Ok(())
}

fn generate(chain: &str, output: Output) -> anyhow::Result<()> {
    let secret = Secret::Seed(fresh_seed(chain_named(chain)?.testing));
    let shown = Shown::of(&secret)?;
    let mut value = shown.raw();
    value["account"] = json!(shown.account);
    show_secret(output, value, &shown.lines());
    Ok(())
}

fn account(key: &str, chain: Option<&str>, output: Output) -> anyhow::Result<()> {
    let testing = chain
        .map(|name| chain_named(name).map(|chain| chain.testing))
        .transpose()?;
    let is_digits = key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    let account = if is_digits {
        let mut bytes = [0; 32];
        hex::decode_to_slice(key, &mut bytes)?;
        Account::ed25519(bytes, testing.unwrap_or(true))
    } else {
        arguments::account(key)
            .map_err(|error| anyhow::anyhow!("{error}; or 64 hex digits, the public key of one"))?
    };
    if testing.is_some_and(|testing| testing != account.testing) {
        bail!(
            "the account is of the other network than chain {}",
            chain.unwrap_or_default()
        );
    }
    let digits = key_digits(&account);
    let text = format!("account {account}\npublic key {digits}");
    output.show(&json!({"hex": digits, "account": account}), text);
    Ok(())
}

pub(super) fn run(args: Args, output: Output) -> anyhow::Result<()> {
    match args.command {
        IdentityCommand::New {
            name,
            chain,
            description,
            key_file,
            place,
        } => New {
            name: &name,
            chain: &chain,
            description: description.as_deref(),
            key_file: key_file.as_deref(),
            place: &place,
        }
        .show(output),
        IdentityCommand::Import(args) => import::run(&args, output),
        IdentityCommand::Show {
            name,
            secret,
            place,
        } => show(&name, secret, &place, output),
        IdentityCommand::List { place } => list(&place, output),
        IdentityCommand::Password {
            name,
            new_passphrase_file,
            place,
        } => password(&name, new_passphrase_file.as_deref(), &place, output),
        IdentityCommand::Keypair { name, place } => keypair(&name, &place, output),
        IdentityCommand::Generate { chain } => generate(&chain, output),
        IdentityCommand::Account { key, chain } => account(&key, chain.as_deref(), output),
    }
}
