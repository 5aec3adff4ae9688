//! `bitmark-cli completions` and `bitmark-cli manuals`: what a shell and `man` need to know of all
//! three programs, made from their command lines. Nothing in them depends on the machine or the
//! day.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{CommandFactory as _, ValueEnum};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::{client, daemon, recorder};

/// One of the programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Program {
    /// The node.
    #[value(name = "bitmarkd")]
    Node,
    /// The client.
    #[value(name = "bitmark-cli")]
    Client,
    /// The miner.
    #[value(name = "recorderd")]
    Miner,
}

/// `completions`
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell.
    pub(super) shell: Shell,
    /// Of which program.
    #[arg(long, value_enum, default_value = "bitmark-cli")]
    pub(super) program: Program,
}

/// `manuals`
#[derive(Debug, clap::Args)]
pub struct ManualsArgs {
    /// The folder; it is made if it is not there, and pages in it are replaced.
    #[arg(value_name = "DIR")]
    pub(super) folder: PathBuf,
}

impl Program {
    /// Its command line.
    #[must_use]
    pub fn command(self) -> clap::Command {
        match self {
            Self::Node => daemon::Cli::command(),
            Self::Client => client::Cli::command(),
            Self::Miner => recorder::Cli::command(),
        }
    }
}

/// What a shell reads to complete the words of a program's command line.
#[must_use]
pub fn completions(program: Program, shell: Shell) -> String {
    let mut command = program.command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, &name, &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    if shell == Shell::Bash {
        // clap_complete writes a hyphen in the name of a program in two ways, so that nothing is
        // completed behind a command (https://github.com/clap-rs/clap/issues/6421).
        let (wrong, right) = (name.replace('-', "__subcmd__"), name.replace('-', "__"));
        return script.replace(&wrong, &right);
    }
    script
}

/// The pages of a program: file name and text of one for itself and of one for each sub-command.
///
/// # Errors
/// None but those of writing into memory.
pub fn pages(program: Program) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    // Without pages for the help that clap adds: `bitmark-cli help create` has the same text.
    let mut whole = program.command().disable_help_subcommand(true);
    // The names of sub-commands are filled in.
    whole.build();
    let source = format!(
        "{} {}",
        whole.get_name(),
        whole.get_version().unwrap_or_default()
    );
    let mut pages = Vec::new();
    let mut waiting = vec![whole];
    while let Some(command) = waiting.pop() {
        let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
        waiting.extend(shown.cloned());
        // The pages have no date; an empty one would be left out, and what follows moved up.
        let page = Man::new(command)
            .date(" ")
            .source(&source)
            .manual("Bitmark");
        let mut text = Vec::new();
        page.render(&mut text)?;
        pages.push((page.get_filename(), text));
    }
    Ok(pages)
}

/// Writes all pages of all programs into a folder; gives their file names.
///
/// # Errors
/// The folder cannot be written.
pub fn write(folder: &Path) -> anyhow::Result<Vec<String>> {
    let place = || folder.display().to_string();
    std::fs::create_dir_all(folder).with_context(place)?;
    let mut names = Vec::new();
    for program in Program::value_variants() {
        for (name, text) in pages(*program)? {
            std::fs::write(folder.join(&name), &text).with_context(place)?;
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
