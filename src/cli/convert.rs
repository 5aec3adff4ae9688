//! `config convert`: the configuration of the reference's program as one of ours. Reads the file and
//! what it includes, and writes one new file, which our own reader has read before. Overwrites none
//! unless it is told to; changes nothing of the reference's.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use clap::Subcommand;

use crate::shell::files::config::{Config, ConfigError, Logging, RecorderConfig, Variables};
use crate::shell::files::moved::{self, Converted, Note, Origin};
use crate::shell::files::ucl::{self, Document, FILE_MAX};
use crate::shell::files::{atomic, bounded};

/// Everybody may read it: no secret stands in a configuration.
const MODE: u32 = 0o644;

/// `config`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Make a configuration of this program out of one of the reference's.
    Convert(Args),
}

/// `config convert`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The reference's file; what it includes is read, too.
    file: PathBuf,
    /// Where the new one goes, if not on the terminal.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Overwrite it.
    #[arg(long, requires = "output")]
    force: bool,
}

/// Of which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `bitmarkd`
    Node,
    /// `recorderd`
    Recorder,
}

impl Program {
    const fn name(self) -> &'static str {
        match self {
            Self::Node => "bitmarkd",
            Self::Recorder => "recorderd",
        }
    }

    fn convert(self, document: &Document, origin: &Origin) -> Result<Converted, Vec<Note>> {
        match self {
            Self::Node => moved::node(document, origin),
            Self::Recorder => moved::recorder(document, origin),
        }
    }

    /// What our own reader makes of it: the data directory and the log.
    fn check(
        self,
        path: &Path,
        text: &str,
        variables: &Variables,
    ) -> Result<(PathBuf, Logging), ConfigError> {
        Ok(match self {
            Self::Node => {
                let config = Config::check_text(path, text, variables)?;
                (config.data_directory, config.logging)
            }
            Self::Recorder => {
                let config = RecorderConfig::check_text(path, text, variables)?;
                (config.data_directory, config.logging)
            }
        })
    }
}

/// What came out of a file, for a terminal.
fn plain(text: &str) -> String {
    let plain = |c: char| if c.is_control() && c != '\n' { ' ' } else { c };
    text.chars().map(plain).collect()
}

/// All lines of what is wrong.
fn lines(path: &Path, problems: impl IntoIterator<Item = String>) -> anyhow::Error {
    let problems: Vec<String> = problems.into_iter().map(|text| plain(&text)).collect();
    anyhow::anyhow!("{}:\n  {}", path.display(), problems.join("\n  "))
}

/// The folder of a file that need not be there.
fn folder_of(path: &Path) -> anyhow::Result<PathBuf> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    folder
        .canonicalize()
        .with_context(|| folder.display().to_string())
}

/// Converts.
///
/// # Errors
/// The file cannot be read, holds what ours cannot have, or the new one cannot be written.
pub fn run(program: Program, command: &ConfigCommand, set: &[String]) -> anyhow::Result<()> {
    let ConfigCommand::Convert(args) = command;
    let name = || args.file.display().to_string();
    // The reference's program takes "." from the name as it is given, and ${CURDIR} from where
    // links lead to.
    let named = moved::clean(&std::path::absolute(&args.file).with_context(name)?);
    let file = named.canonicalize().with_context(name)?;
    let bytes = bounded::read(&file, FILE_MAX as u64).with_context(name)?;
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let variables = Variables::new(set, environment).map_err(anyhow::Error::msg)?;
    if let Some(output) = &args.output {
        let there = output.canonicalize();
        ensure!(
            there.as_ref().ok() != Some(&file),
            "{}: that is the file itself; name another one",
            output.display()
        );
        if !args.force && output.symlink_metadata().is_ok() {
            bail!(
                "{}: it is there already; name another file, or give --force to overwrite it",
                output.display()
            );
        }
    }
    let target = match &args.output {
        Some(output) => {
            let name = output.file_name().context("--output: name a file")?;
            folder_of(output)?.join(name)
        }
        None => named.with_extension("toml"),
    };
    let folder = folder_of(&named)?;
    let origin = Origin {
        same_folder: args.output.is_some() && target.parent() == Some(&folder),
        file: named,
        working_directory: std::env::current_dir().context("the working directory")?,
    };
    let document = ucl::read(
        &bytes,
        ucl::Input {
            path: &file,
            variables: &variables.values(),
            open: &mut |name| {
                let path = name.canonicalize()?;
                let bytes = bounded::read(&path, FILE_MAX as u64)?;
                Ok((path, bytes))
            },
        },
    )
    .map_err(|error| lines(&args.file, [error.to_string()]))?;
    let converted = program
        .convert(&document, &origin)
        .map_err(|problems| lines(&args.file, problems.iter().map(ToString::to_string)))?;
    let (directory, logging) = program
        .check(&target, &converted.text, &variables)
        .map_err(|error| lines(&args.file, converted.problems(&error)))?;
    for warning in &converted.warnings {
        warn(program, &format!("{}: {warning}", args.file.display()));
    }
    if !directory.is_dir() {
        let told = format!(
            "data_directory: {} is not there; make it before the start",
            directory.display()
        );
        warn(program, &told);
    }
    let log = logging.directory.join(&logging.file);
    if log.symlink_metadata().is_ok_and(|facts| facts.is_file()) {
        let told = format!(
            "logging: {} is of the reference's program; move it before the start, ours is a link of that name",
            log.display()
        );
        warn(program, &told);
    }
    write(args, &converted.text)
}

fn warn(program: Program, text: &str) {
    eprintln!("{}: warning: {}", program.name(), plain(text));
}

fn write(args: &Args, text: &str) -> anyhow::Result<()> {
    let Some(output) = &args.output else {
        outln!("{}", text.trim_end());
        return Ok(());
    };
    let name = || output.display().to_string();
    // Where a link leads to, so that it stays one.
    let old = output.canonicalize().ok().filter(|_| args.force);
    let Some(old) = old else {
        let written = if args.force {
            atomic::replace(output, text.as_bytes(), MODE)
        } else {
            atomic::create(output, text.as_bytes(), MODE)
        };
        return written.with_context(name);
    };
    let permissions = std::fs::metadata(&old).with_context(name)?.permissions();
    let mode = permissions.mode() & 0o777;
    atomic::replace(&old, text.as_bytes(), mode).with_context(name)?;
    // What the umask took away comes back.
    std::fs::set_permissions(&old, Permissions::from_mode(mode)).with_context(name)
}
