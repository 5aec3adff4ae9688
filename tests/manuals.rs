//! Completions and manual pages, which the client makes for all three programs.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use bitmarkd::cli::manual::Program;
use clap::ValueEnum as _;

const CLIENT: &str = env!("CARGO_BIN_EXE_bitmark-cli");

/// The names of the programs.
const NAMES: [&str; 3] = ["bitmarkd", "bitmark-cli", "recorderd"];

fn run(program: &str, args: &[&str]) -> Output {
    let output = Command::new(program).args(args).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {told}");
    output
}

fn completions(shell: &str, program: &str) -> String {
    let output = run(CLIENT, &["completions", shell, "--program", program]);
    String::from_utf8(output.stdout).unwrap()
}

/// The commands of a program and of its commands, as `bitmark-cli-identity-new`.
fn commands(program: Program) -> Vec<String> {
    fn walk(command: &clap::Command, name: &str, names: &mut Vec<String>) {
        names.push(name.to_owned());
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            walk(sub, &format!("{name}-{}", sub.get_name()), names);
        }
    }
    let mut names = Vec::new();
    let command = program.command();
    walk(&command, command.get_name(), &mut names);
    names
}

#[test]
fn every_shell_gets_all_commands_of_all_programs() {
    for program in Program::value_variants() {
        let command = program.command();
        let subs: Vec<_> = command.get_subcommands().collect();
        assert!(subs.len() > 1);
        for shell in ["bash", "zsh", "fish"] {
            let script = completions(shell, command.get_name());
            for sub in &subs {
                // As words of their own: `peer` stands in many others.
                let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
                let mut words = script.split(|c| !is_word(c));
                let name = sub.get_name();
                assert!(words.any(|word| word == name), "{shell}: no {name}");
            }
        }
    }
}

#[test]
fn shells_take_their_completions_without_a_complaint() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        for name in NAMES {
            let file = folder.path().join(format!("{name}.{shell}"));
            std::fs::write(&file, completions(shell, name)).unwrap();
            let checked = Command::new(shell).arg("-n").arg(&file).output();
            match checked {
                Ok(output) => {
                    let told = String::from_utf8_lossy(&output.stderr);
                    assert!(
                        output.status.success() && told.is_empty(),
                        "{shell}: {told}"
                    );
                }
                Err(error) if shell != "bash" => println!("{shell} was not tried: {error}"),
                Err(error) => panic!("{shell}: {error}"),
            }
        }
    }
}

/// What bash proposes for the last of the words.
fn proposed(words: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("completions.bash");
    std::fs::write(&file, completions("bash", words[0])).unwrap();
    let script = r#"source "$1"; shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        called=$(complete -p "$1" | sed 's/.*-F \([^ ]*\) .*/\1/')
        $called "$1" "${COMP_WORDS[$COMP_CWORD]}" "${COMP_WORDS[$COMP_CWORD-1]}"
        echo "${COMPREPLY[@]}""#;
    let mut args = vec!["-c", script, "bash", file.to_str().unwrap()];
    args.extend(words);
    let output = run("bash", &args);
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_of_commands_and_their_options() {
    assert_eq!(proposed(&["bitmark-cli", "finger"]), ["fingerprint"]);
    assert_eq!(proposed(&["bitmark-cli", "identity", "pa"]), ["password"]);
    let options = ["bitmark-cli", "identity", "new", "--key"];
    assert_eq!(proposed(&options), ["--key-file"]);
    let options = ["bitmark-cli", "peer", "announce-rpc", "--ser"];
    assert_eq!(proposed(&options), ["--server-key"]);
    assert_eq!(proposed(&["bitmarkd", "ctl", "log"]), ["log-level"]);
    assert_eq!(proposed(&["recorderd", "sta"]), ["start"]);
}

#[test]
fn every_command_has_a_page_which_man_formats_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man");
    run(CLIENT, &["manuals", pages.to_str().unwrap()]);
    let there: BTreeSet<String> = std::fs::read_dir(&pages)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let wanted: BTreeSet<String> = Program::value_variants()
        .iter()
        .flat_map(|program| commands(*program))
        .map(|name| format!("{name}.1"))
        .collect();
    assert!(wanted.contains("bitmark-cli-identity-password.1"));
    assert_eq!(there, wanted);
    for name in &there {
        formats(&pages.join(name));
    }
}

/// The page is formatted without a word, and begins and ends with what it is.
fn formats(page: &Path) {
    let name = page.file_stem().unwrap().to_str().unwrap();
    let mut man = Command::new("man");
    man.args(["--warnings=w", "--encoding=UTF-8", "--local-file"]);
    let output = match man.arg(page).env("MANWIDTH", "200").output() {
        Ok(output) => output,
        Err(error) => return println!("man was not tried: {error}"),
    };
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.is_empty(), "{name}: {told}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines().filter(|line| !line.is_empty());
    let head = lines.next().unwrap();
    assert!(head.starts_with(&format!("{name}(1)")), "{head}");
    let foot = lines.next_back().unwrap();
    let program = NAMES.iter().find(|program| name.starts_with(**program));
    let source = format!("{} {}", program.unwrap(), env!("CARGO_PKG_VERSION"));
    assert!(foot.starts_with(&source), "{foot}");
}

#[test]
fn what_is_made_twice_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let read = |folder: &Path| -> Vec<(std::path::PathBuf, Vec<u8>)> {
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.clone(), std::fs::read(path).unwrap()))
            .collect();
        files.sort();
        files
    };
    run(CLIENT, &["manuals", folder.path().to_str().unwrap()]);
    let first = read(folder.path());
    run(CLIENT, &["manuals", folder.path().to_str().unwrap()]);
    assert!(first == read(folder.path()));
}
