//! Identities: a seed under a pass phrase, one file each.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use rand::RngCore as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use super::Output;
use super::network::Network;
use super::target::chain_named;
use crate::core::keys::sealed::{RANDOM_SIZE, Sealed};
use crate::core::keys::{PrivateKey, Seed};
use crate::shell::files::atomic;

/// Cost of a new seal: 64 MiB, three passes.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
/// Shortest pass phrase of a new identity, in characters.
const SHORTEST: usize = 8;
/// The environment variable that may hold the pass phrase.
const VARIABLE: &str = "BITMARK_PASSPHRASE";

/// `identity`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: IdentityCommand,
}

#[derive(Debug, Subcommand)]
enum IdentityCommand {
    /// Make a new identity.
    New {
        /// Its name.
        name: String,
        /// The network it is for: bitmark (live), or testing, local, devnet (test accounts).
        #[arg(long, default_value = "devnet")]
        chain: String,
        #[command(flatten)]
        place: Place,
    },
    /// Show an identity; with --secret its seed, too.
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
}

/// Where identities are, and where the pass phrase comes from.
#[derive(Debug, Clone, clap::Args)]
pub struct Place {
    /// Folder of the identities; `bitmark-cli` in the user's configuration unless given.
    #[arg(long, value_name = "DIR")]
    identities: Option<PathBuf>,
    /// File whose first line is the pass phrase; else the variable `BITMARK_PASSPHRASE`, else a
    /// prompt.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// Whose signature.
#[derive(Debug, Clone, clap::Args)]
pub struct Signer {
    /// The identity that signs; in a test network its own unless given.
    #[arg(long, value_name = "NAME")]
    identity: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// A file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    name: String,
    account: String,
    seed: Sealed,
}

const VERSION: u32 = 1;

/// Writes a new identity; refuses to overwrite one.
///
/// # Errors
/// The file is there, or cannot be written.
pub fn write(path: &Path, name: &str, seed: &Seed, pass_phrase: &str) -> anyhow::Result<String> {
    let account = PrivateKey::from_seed(seed)
        .account()
        .context("a seed has an account")?
        .to_string();
    let mut random = [0; RANDOM_SIZE];
    rand::thread_rng().fill_bytes(&mut random);
    let sealed = Sealed::seal(
        seed.to_text().as_bytes(),
        pass_phrase.as_bytes(),
        account.as_bytes(),
        &random,
        MEMORY_KIB,
        PASSES,
    )?;
    let file = File {
        version: VERSION,
        name: name.to_owned(),
        account: account.clone(),
        seed: sealed,
    };
    let text = serde_json::to_string_pretty(&file)? + "\n";
    atomic::create(path, text.as_bytes(), 0o600).with_context(|| {
        format!(
            "{}: an identity is never overwritten; choose another name",
            path.display()
        )
    })?;
    Ok(account)
}

/// A seed of fresh randomness.
#[must_use]
pub fn fresh_seed(testing: bool) -> Seed {
    let mut core = [0; 32];
    rand::thread_rng().fill_bytes(&mut core);
    Seed::new(testing, core)
}

fn read(path: &Path) -> anyhow::Result<File> {
    let text = std::fs::read_to_string(path).with_context(|| {
        format!(
            "{}: no identity there; `identity list` shows them",
            path.display()
        )
    })?;
    let file: File = serde_json::from_str(&text)
        .with_context(|| format!("{}: not an identity", path.display()))?;
    if file.version != VERSION {
        bail!("{}: made by a newer program", path.display());
    }
    Ok(file)
}

fn open(path: &Path, pass_phrase: &str) -> anyhow::Result<Seed> {
    let file = read(path)?;
    let secret = file
        .seed
        .open(pass_phrase.as_bytes(), file.account.as_bytes())
        .with_context(|| path.display().to_string())?;
    let text = std::str::from_utf8(&secret).context("the sealed seed is damaged")?;
    Ok(Seed::from_text(text)?)
}

impl Place {
    fn folder(&self) -> anyhow::Result<PathBuf> {
        if let Some(folder) = &self.identities {
            return Ok(folder.clone());
        }
        let base = std::env::var_os("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".config")))
            .context("where are the identities? give --identities DIR")?;
        Ok(base.join("bitmark-cli").join("identities"))
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

    /// The pass phrase of an identity that is there.
    fn pass_phrase(&self) -> anyhow::Result<Zeroizing<String>> {
        match self.given_pass_phrase()? {
            Some(text) => Ok(text),
            None => prompted_pass_phrase(),
        }
    }

    /// A pass phrase for a new identity: long enough wherever it comes from, and typed twice.
    fn new_pass_phrase(&self) -> anyhow::Result<Zeroizing<String>> {
        let given = self.given_pass_phrase()?;
        let is_typed = given.is_none();
        let text = match given {
            Some(text) => text,
            None => prompted_pass_phrase()?,
        };
        if text.chars().count() < SHORTEST {
            bail!("a pass phrase has at least {SHORTEST} characters; choose a longer one");
        }
        if is_typed {
            let again = Zeroizing::new(rpassword::prompt_password("once more: ")?);
            if *again != *text {
                bail!("the two are not the same");
            }
        }
        Ok(text)
    }

    /// From the file or the environment.
    fn given_pass_phrase(&self) -> anyhow::Result<Option<Zeroizing<String>>> {
        match &self.passphrase_file {
            Some(path) => pass_phrase_of_file(path).map(Some),
            None => Ok(std::env::var(VARIABLE).ok().map(Zeroizing::new)),
        }
    }
}

fn prompted_pass_phrase() -> anyhow::Result<Zeroizing<String>> {
    let text = rpassword::prompt_password("pass phrase: ").context(
        "no pass phrase: give --passphrase-file FILE, set BITMARK_PASSPHRASE, or use a terminal",
    )?;
    Ok(Zeroizing::new(text))
}

fn pass_phrase_of_file(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let text =
        Zeroizing::new(std::fs::read_to_string(path).with_context(|| path.display().to_string())?);
    Ok(Zeroizing::new(
        text.lines().next().unwrap_or_default().to_owned(),
    ))
}

impl Signer {
    /// The key that signs: of the identity named, or of the test network.
    ///
    /// # Errors
    /// None was named, or it stays sealed.
    pub fn key(&self, network: Option<&Network>) -> anyhow::Result<PrivateKey> {
        let seed = match (&self.identity, network) {
            (Some(name), _) => {
                let path = self.place.path(name)?;
                // Whether it is there is known before anybody types.
                read(&path)?;
                open(&path, &self.place.pass_phrase()?)?
            }
            (None, Some(network)) => {
                let entry = &network.identity;
                open(&entry.file, &pass_phrase_of_file(&entry.passphrase_file)?)?
            }
            (None, None) => bail!("who signs? give --identity NAME (`identity new` makes one)"),
        };
        Ok(PrivateKey::from_seed(&seed))
    }
}

pub(super) fn run(args: Args, output: Output) -> anyhow::Result<()> {
    match args.command {
        IdentityCommand::New { name, chain, place } => {
            let chain = chain_named(&chain)?;
            let path = place.path(&name)?;
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            if path.exists() {
                bail!(
                    "{}: an identity is never overwritten; choose another name",
                    path.display()
                );
            }
            let pass_phrase = place.new_pass_phrase()?;
            let account = write(&path, &name, &fresh_seed(chain.testing), &pass_phrase)?;
            output.show(
                &json!({"name": name, "account": account, "file": path}),
                format!("{name}: account {account}\nkept in {}", path.display()),
            );
        }
        IdentityCommand::Show {
            name,
            secret,
            place,
        } => {
            let path = place.path(&name)?;
            let file = read(&path)?;
            let mut value = json!({"name": file.name, "account": file.account, "file": path});
            let mut text = format!("{}: account {}", file.name, file.account);
            if secret {
                let seed = open(&path, &place.pass_phrase()?)?.to_text();
                value["seed"] = json!(seed.as_str());
                text.push_str(&format!("\nseed {}", seed.as_str()));
            }
            output.show(&value, text);
        }
        IdentityCommand::List { place } => {
            let folder = place.folder()?;
            let mut all = Vec::new();
            if folder.is_dir() {
                for entry in std::fs::read_dir(&folder)? {
                    let path = entry?.path();
                    if path.extension().is_none_or(|ending| ending != "json") {
                        continue;
                    }
                    match read(&path) {
                        Ok(file) => all.push(file),
                        Err(error) => eprintln!("bitmark-cli: left out: {error:#}"),
                    }
                }
            }
            all.sort_by(|a, b| a.name.cmp(&b.name));
            let lines: Vec<String> = all
                .iter()
                .map(|file| format!("{:20} {}", file.name, file.account))
                .collect();
            let text = if lines.is_empty() {
                format!("no identities in {}", folder.display())
            } else {
                lines.join("\n")
            };
            let value = all
                .iter()
                .map(|file| json!({"name": file.name, "account": file.account}))
                .collect();
            output.show(&value, text);
        }
    }
    Ok(())
}
