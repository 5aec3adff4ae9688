//! The file of an identity: its account, and its seed or private key under a pass phrase.
//!
//! A new one never takes the place of another. One that is sealed anew is put in place whole, so
//! that the old one or the new one is there, whatever happens.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, bail};
use rand::RngCore as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::core::keys::sealed::{RANDOM_SIZE, Sealed};
use crate::core::keys::{PrivateKey, Secret, Seed};
use crate::shell::files::atomic;

/// Cost of a new seal: 64 MiB, three passes.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
/// Longest file that is read; one has less than 1 KiB.
const LONGEST: usize = 64 * 1024;
const MODE: u32 = 0o600;

/// Version of a file with a seed.
const OF_SEED: u32 = 1;
/// Version of a file with a private key, which no seed is known of.
const OF_KEY: u32 = 2;

/// A file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    version: u32,
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    pub(super) account: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed: Option<Sealed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    private_key: Option<Sealed>,
}

/// Seals the text of a secret for an account, with fresh randomness.
fn seal(text: &str, account: &str, pass_phrase: &str) -> anyhow::Result<Sealed> {
    let mut random = [0; RANDOM_SIZE];
    rand::thread_rng().fill_bytes(&mut random);
    Ok(Sealed::seal(
        text.as_bytes(),
        pass_phrase.as_bytes(),
        account.as_bytes(),
        &random,
        MEMORY_KIB,
        PASSES,
    )?)
}

impl File {
    /// Seals a secret.
    pub(super) fn seal(
        name: &str,
        description: Option<&str>,
        secret: &Secret,
        pass_phrase: &str,
    ) -> anyhow::Result<Self> {
        let key = secret.key();
        let account = key.account().context("this key has no account")?;
        let account = account.to_string();
        let text = secret.seed().map_or_else(|| key.to_text(), Seed::to_text);
        let sealed = seal(&text, &account, pass_phrase)?;
        let (version, seed, private_key) = match secret {
            Secret::Seed(_) => (OF_SEED, Some(sealed), None),
            Secret::Key(_) => (OF_KEY, None, Some(sealed)),
        };
        Ok(Self {
            version,
            name: name.to_owned(),
            description: description.map(str::to_owned),
            account,
            seed,
            private_key,
        })
    }

    /// The same, sealed under another pass phrase.
    pub(super) fn seal_again(&self, secret: &Secret, pass_phrase: &str) -> anyhow::Result<Self> {
        Self::seal(&self.name, self.description.as_deref(), secret, pass_phrase)
    }

    /// What is in a file's text.
    fn from_text(text: &str) -> anyhow::Result<Self> {
        // A newer program may have written what this one does not know.
        let value: Value = serde_json::from_str(text).context("not an identity")?;
        let version = value["version"].as_u64();
        if version.is_some_and(|version| version > u64::from(OF_KEY)) {
            bail!("made by a newer program");
        }
        let file: Self = serde_json::from_value(value).context("not an identity")?;
        let is_whole = match file.version {
            OF_SEED => file.seed.is_some() && file.private_key.is_none(),
            OF_KEY => file.seed.is_none() && file.private_key.is_some(),
            _ => false,
        };
        if !is_whole {
            bail!("not an identity: a seed belongs into version 1, a private key into version 2");
        }
        Ok(file)
    }

    /// Reads a file.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let place = || path.display().to_string();
        let file = std::fs::File::open(path).with_context(|| {
            format!("{}: no identity there; `identity list` shows them", place())
        })?;
        let text = super::secrets::bounded(file, LONGEST).with_context(place)?;
        Self::from_text(&text).with_context(place)
    }

    /// Opens it.
    pub(super) fn open(&self, pass_phrase: &str) -> anyhow::Result<Secret> {
        let open = |sealed: &Sealed| sealed.open(pass_phrase.as_bytes(), self.account.as_bytes());
        let secret = match (&self.seed, &self.private_key) {
            (Some(seed), _) => {
                let text = open(seed)?;
                Secret::Seed(Seed::from_text(text_of(&text)?)?)
            }
            (None, Some(key)) => {
                let text = open(key)?;
                Secret::Key(PrivateKey::from_text(text_of(&text)?)?)
            }
            (None, None) => bail!("there is nothing to open"),
        };
        let account = secret.key().account().map(|account| account.to_string());
        if account.as_deref() != Some(&self.account) {
            bail!(
                "the sealed secret is not the one of account {}",
                self.account
            );
        }
        Ok(secret)
    }

    fn text(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Writes it where nothing is yet.
    pub(super) fn create(&self, path: &Path) -> anyhow::Result<()> {
        atomic::create(path, self.text()?.as_bytes(), MODE).map_err(|error| {
            let place = path.display();
            let told = match error.kind() {
                ErrorKind::AlreadyExists => format!("{place}: {KEPT}"),
                _ => format!("{place}: it cannot be written"),
            };
            anyhow::Error::new(error).context(told)
        })
    }

    /// Puts it in the place of the old one.
    pub(super) fn replace(&self, path: &Path) -> anyhow::Result<()> {
        // Where a link leads to, so that it stays one.
        let path = std::fs::canonicalize(path).with_context(|| path.display().to_string())?;
        atomic::replace(&path, self.text()?.as_bytes(), MODE)
            .with_context(|| format!("{}: the old file is kept", path.display()))
    }
}

/// What to do about a name that is taken.
pub(super) const KEPT: &str = "an identity is never overwritten; choose another name";

fn text_of(secret: &Zeroizing<Vec<u8>>) -> anyhow::Result<&str> {
    std::str::from_utf8(secret).context("the sealed secret is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the first of these programs wrote it.
    const OF_TODAY: &str = r#"{
  "version": 1,
  "name": "test",
  "account": "ACCOUNT",
  "seed": {
    "kdf": "argon2id",
    "memory_kib": 64,
    "passes": 1,
    "salt": "SALT",
    "cipher": "chacha20poly1305",
    "nonce": "NONCE",
    "sealed": "SEALED"
  }
}
"#;

    #[test]
    fn files_of_the_first_form_open_and_a_new_one_with_a_seed_has_no_other_fields() {
        let secret = Secret::Seed(Seed::new(true, [9; 32]));
        let account = secret.key().account().unwrap().to_string();
        let text = secret.seed().unwrap().to_text();
        let sealed = Sealed::seal(
            text.as_bytes(),
            b"phrase",
            account.as_bytes(),
            &[7; RANDOM_SIZE],
            64,
            1,
        )
        .unwrap();
        let old = OF_TODAY
            .replace("ACCOUNT", &account)
            .replace("SALT", &sealed.salt)
            .replace("NONCE", &sealed.nonce)
            .replace("SEALED", &sealed.sealed);
        let file = File::from_text(&old).unwrap();
        assert_eq!(file.open("phrase").unwrap(), secret);
        assert_eq!(file.text().unwrap(), old);
    }

    #[test]
    fn a_key_without_a_seed_is_kept_in_the_second_version() {
        let secret = Secret::Key(PrivateKey::from_ed25519_seed(&[7; 32], false));
        let file = File::seal("bob", Some("of a vault"), &secret, "phrase").unwrap();
        let text = file.text().unwrap();
        let read = File::from_text(&text).unwrap();
        assert_eq!(read.version, 2);
        assert_eq!(read.description.as_deref(), Some("of a vault"));
        assert_eq!(read.open("phrase").unwrap(), secret);
        assert!(read.open("other").is_err());
        let again = read.seal_again(&secret, "another").unwrap();
        assert_eq!(again.description, read.description);
        assert!(again.open("phrase").is_err());
        assert_eq!(again.open("another").unwrap(), secret);
        assert_ne!(
            again.private_key.unwrap().salt,
            read.private_key.unwrap().salt
        );
    }

    #[test]
    fn another_name_is_wanted_only_where_a_file_is_there_already() {
        let folder = tempfile::tempdir().unwrap();
        let secret = Secret::Seed(Seed::new(true, [1; 32]));
        let file = File::seal("a", None, &secret, "phrase").unwrap();
        let told = |path: &Path| format!("{:#}", file.create(path).unwrap_err());
        let path = folder.path().join("a.json");
        file.create(&path).unwrap();
        assert!(told(&path).contains("choose another name"));
        let told = told(&path.join("b.json"));
        assert!(told.contains("it cannot be written: "), "{told}");
        assert!(!told.contains("another name"), "{told}");
    }

    #[test]
    fn a_newer_file_and_one_that_is_neither_are_told_apart() {
        let told = |text: &str| format!("{:#}", File::from_text(text).unwrap_err());
        assert_eq!(told(r#"{"version":3,"x":1}"#), "made by a newer program");
        for text in ["", "[]", "{}", r#"{"version":1,"name":"a","account":"b"}"#] {
            assert!(told(text).starts_with("not an identity: "), "{text}");
        }
    }

    #[test]
    fn a_secret_of_another_account_is_not_handed_out() {
        let mine = Secret::Seed(Seed::new(true, [1; 32]));
        let mut file = File::seal("a", None, &mine, "phrase").unwrap();
        let other = Seed::new(true, [2; 32]);
        file.seed = Some(seal(&other.to_text(), &file.account, "phrase").unwrap());
        let told = file.open("phrase").unwrap_err().to_string();
        assert!(told.contains("not the one of account"), "{told}");
    }
}
