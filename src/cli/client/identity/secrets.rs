//! Where pass phrases and keys come from: an external program, a file, a variable, a prompt on the
//! terminal. What was read is wiped from memory, and never told.

use std::fs::File;
use std::io::{Read, stdin};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use zeroize::Zeroizing;

use crate::cli::client::shown::printed;

/// Shortest pass phrase of a new identity, in characters.
const SHORTEST: usize = 8;
/// Longest text that holds a pass phrase or a key, in bytes.
const LONGEST: usize = 4096;
/// How often an external program is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How long its output may stay open when it has ended.
const GRACE: Duration = Duration::from_secs(1);
/// The environment variable that may hold the pass phrase.
const VARIABLE: &str = "BITMARK_PASSPHRASE";
/// The environment variable that may hold a new pass phrase.
const NEW_VARIABLE: &str = "BITMARK_NEW_PASSPHRASE";

/// Where the pass phrase of an identity comes from.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Source {
    /// Program whose output is the pass phrase; it is run as EXE [--clear] --confirm=1
    /// bitmark-cli:password:NAME "" "Password for: NAME" "Enter password to: OPERATION".
    #[arg(long, value_name = "EXE")]
    use_agent: Option<PathBuf>,
    /// Tell that program to forget what it remembers first.
    #[arg(long, requires = "use_agent")]
    zero_agent_cache: bool,
    /// File whose first line is the pass phrase; else the variable `BITMARK_PASSPHRASE`, else a
    /// prompt.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl Source {
    /// The pass phrase of an identity that is there, to do what `operation` says.
    pub(super) fn pass_phrase(
        &self,
        name: &str,
        operation: &str,
    ) -> anyhow::Result<Zeroizing<String>> {
        match self.given(name, operation)? {
            Some(text) => Ok(text),
            None => prompted("pass phrase: ", "--passphrase-file FILE", VARIABLE),
        }
    }

    /// The same, where there are several, and the prompt says of which.
    pub(super) fn pass_phrase_of(
        &self,
        name: &str,
        operation: &str,
    ) -> anyhow::Result<Zeroizing<String>> {
        let prompt = format!("pass phrase of {}: ", printed(name));
        match self.given(name, operation)? {
            Some(text) => Ok(text),
            None => prompted(&prompt, "--passphrase-file FILE", VARIABLE),
        }
    }

    /// The pass phrase of an identity that is being made.
    pub(super) fn first_pass_phrase(&self, name: &str) -> anyhow::Result<Zeroizing<String>> {
        let given = self.given(name, "make the identity")?;
        chosen(given, "--passphrase-file FILE", VARIABLE)
    }

    /// From the program, the file or the environment.
    fn given(&self, name: &str, operation: &str) -> anyhow::Result<Option<Zeroizing<String>>> {
        match (&self.use_agent, &self.passphrase_file) {
            (Some(program), _) => {
                of_agent(program, self.zero_agent_cache, name, operation).map(Some)
            }
            (None, Some(path)) => of_file(path).map(Some),
            (None, None) => of_variable(VARIABLE),
        }
    }
}

/// The pass phrase that an identity gets in place of its old one.
pub(super) fn next_pass_phrase(file: Option<&Path>) -> anyhow::Result<Zeroizing<String>> {
    let given = match file {
        Some(path) => Some(of_file(path)?),
        None => of_variable(NEW_VARIABLE)?,
    };
    chosen(given, "--new-passphrase-file FILE", NEW_VARIABLE)
}

/// A pass phrase that somebody chose: long enough wherever it comes from, and typed twice.
fn chosen(
    given: Option<Zeroizing<String>>,
    option: &str,
    variable: &str,
) -> anyhow::Result<Zeroizing<String>> {
    let is_typed = given.is_none();
    let text = match given {
        Some(text) => text,
        None => prompted("new pass phrase: ", option, variable)?,
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

fn prompted(text: &str, option: &str, variable: &str) -> anyhow::Result<Zeroizing<String>> {
    rpassword::prompt_password(text)
        .map(Zeroizing::new)
        .with_context(|| {
            format!("no pass phrase: give {option}, set {variable}, or use a terminal")
        })
}

fn of_variable(name: &str) -> anyhow::Result<Option<Zeroizing<String>>> {
    match std::env::var(name) {
        Ok(text) if text.len() > LONGEST => bail!("{name} is longer than {LONGEST} bytes"),
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => bail!("{name} is not text in UTF-8"),
    }
}

/// The first line of a file.
pub(super) fn of_file(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let place = || path.display().to_string();
    let text = bounded(File::open(path).with_context(place)?, LONGEST).with_context(place)?;
    let line = text.lines().next().unwrap_or_default();
    Ok(Zeroizing::new(line.to_owned()))
}

/// The text of a key, from a file or, for `-`, from standard input.
pub(super) fn key_text(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let place = || path.display().to_string();
    if path == Path::new("-") {
        // Past the buffer of the standard library, which is not wiped.
        let input = stdin().as_fd().try_clone_to_owned().map(File::from);
        return bounded(input.context("standard input")?, LONGEST).context("standard input");
    }
    bounded(File::open(path).with_context(place)?, LONGEST).with_context(place)
}

/// Reads a text of `longest` bytes at most. No copy of it is left behind.
pub(super) fn bounded(from: impl Read, longest: usize) -> anyhow::Result<Zeroizing<String>> {
    // Room for all of it from the beginning: what grows leaves its old bytes in memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(longest + 64));
    from.take(longest as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > longest {
        bail!("longer than {longest} bytes");
    }
    let text = std::str::from_utf8(&bytes).context("not text in UTF-8")?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// What an external program says the pass phrase is (`proto/rpc.md`, section 8). A newline at its
/// end is taken off.
fn of_agent(
    program: &Path,
    clear: bool,
    name: &str,
    operation: &str,
) -> anyhow::Result<Zeroizing<String>> {
    let place = || program.display().to_string();
    let mut child = Command::new(program)
        .args(clear.then_some("--clear"))
        .arg("--confirm=1")
        .arg(format!("bitmark-cli:password:{name}"))
        .arg("")
        .arg(format!("Password for: {name}"))
        .arg(format!("Enter password to: {operation}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(place)?;
    let output = child.stdout.take().context("it has no output")?;
    let (say, hear) = mpsc::channel();
    std::thread::spawn(move || say.send(bounded(output, LONGEST)));
    let (mut said, mut grace) = (None, GRACE);
    let status = loop {
        if said.is_none() {
            said = hear.recv_timeout(LOOK).ok();
        }
        if matches!(said, Some(Err(_))) {
            // It may still be writing.
            let _ = child.kill();
        }
        match (&said, child.try_wait().with_context(place)?) {
            (Some(_), Some(status)) => break status,
            // Whoever it left behind may keep its output open for ever.
            (None, Some(_)) if grace.is_zero() => {
                bail!("{} ended and left its output open", program.display())
            }
            (None, Some(_)) => grace = grace.saturating_sub(LOOK),
            (Some(_), None) => std::thread::sleep(LOOK),
            (None, None) => {}
        }
    };
    let said = said.context("it said nothing")?;
    let said = said.with_context(place)?;
    if !status.success() {
        bail!("{} gave no pass phrase: {status}", program.display());
    }
    let phrase = said.strip_suffix('\n').unwrap_or(&said);
    if phrase.is_empty() {
        bail!("{} gave an empty pass phrase", program.display());
    }
    Ok(Zeroizing::new(phrase.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_too_long_or_not_text_is_refused() {
        assert_eq!(*bounded(&b"1234"[..], 4).unwrap(), "1234");
        let told = |bytes: &[u8]| bounded(bytes, 4).unwrap_err().to_string();
        assert_eq!(told(b"12345"), "longer than 4 bytes");
        assert_eq!(told(b"\xff"), "not text in UTF-8");
        assert!(bounded(std::io::repeat(b'a'), LONGEST).is_err());
    }
}
