//! What an operator gets beside the programs: the sample configurations are ones that the node takes, the page
//! on running a node speaks of texts that the node says, the unit is one that systemd takes, and the package of
//! these programs is installed and its node runs. The latter two need the tools of the system: where those are not, the
//! tests say so and prove nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bitmarkd::shell::files::config::{Config, Variables};

/// Where the samples have everything.
const PLACE: &str = "/var/lib/bitmarkd";

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text(path: &str) -> String {
    std::fs::read_to_string(project(path)).unwrap()
}

/// Reads a sample as the node does, with another folder for its files. What a line "#key = value" says counts, too,
/// if `is_full`.
fn load(sample: &str, is_full: bool) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bitmarkd.toml");
    let sample = text(&format!("packaging/config/{sample}"));
    assert!(sample.contains(&format!("data_directory = {PLACE:?}")));
    let sample = sample.replace(PLACE, &folder.path().display().to_string());
    let switched_on = |line: &str| {
        let bare = line.strip_prefix('#').unwrap_or(line);
        let is_setting = bare.starts_with(|c: char| c.is_ascii_alphabetic() || c == '[');
        if is_setting && is_full { bare } else { line }.to_owned() + "\n"
    };
    let sample: String = sample.lines().map(switched_on).collect();
    std::fs::write(&file, sample).unwrap();
    Config::load(&file, &Variables::default()).unwrap()
}

#[test]
fn the_sample_of_a_public_node_is_taken_as_it_is_and_with_all_that_may_be_added() {
    let config = load("public-node.toml", false);
    assert_eq!(config.chain.name(), "bitmark");
    assert!(!config.proofing.is_on());
    assert!(
        config.peering.announce.is_empty(),
        "nobody announces the addresses of a sample"
    );
    let config = load("public-node.toml", true);
    assert!(!config.peering.announce.is_empty());
    assert!(!config.https_rpc.listen.is_empty());
    assert!(config.payment.bitcoin.is_some());
}

#[test]
fn the_sample_of_a_private_network_is_taken_and_stays_on_this_machine() {
    load("private-network.toml", true);
    let config = load("private-network.toml", false);
    assert_eq!(config.chain.name(), "devnet");
    assert!(config.proofing.is_on());
    let mut listen = config.peering.listen.iter().map(ToString::to_string);
    assert!(listen.all(|address| address.starts_with("127.0.0.1:")));
}

#[test]
fn the_unit_starts_the_program_with_the_configuration_that_the_package_installs() {
    let unit = text("packaging/systemd/bitmarkd.service");
    let command = "/usr/bin/bitmarkd --config-file /etc/bitmarkd/bitmarkd.toml start";
    assert!(unit.contains(&format!("\nExecStart={command}\n")));
    for line in [
        "User=bitmarkd",
        "StateDirectory=bitmarkd",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "Restart=on-failure",
    ] {
        assert!(unit.contains(&format!("\n{line}\n")), "{line}");
    }
    let build = text("packaging/deb/build.sh");
    assert!(
        build.contains("packaging/config/public-node.toml\" \"$root/etc/bitmarkd/bitmarkd.toml")
    );
}

/// Runs a tool; nothing where it is not installed.
fn tool(command: &mut Command) -> Option<Output> {
    match command.output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("NOT TRIED: {:?} is not there", command.get_program());
            None
        }
        Err(error) => panic!("{command:?}: {error}"),
    }
}

fn said(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit_and_little_that_it_exposes() {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("bitmarkd.service");
    let program = env!("CARGO_BIN_EXE_bitmarkd");
    let text = text("packaging/systemd/bitmarkd.service").replace("/usr/bin/bitmarkd", program);
    std::fs::write(&unit, text).unwrap();
    let analyze = || Command::new("systemd-analyze");
    let verified = tool(analyze().args(["--man=no", "verify"]).arg(&unit));
    let Some(verified) = verified else { return };
    assert!(verified.status.success(), "{}", said(&verified));
    assert_eq!(said(&verified), "");
    // Of 100; 14 when this was written.
    let judged = analyze()
        .args(["security", "--offline=true", "--threshold=20"])
        .arg(&unit)
        .output()
        .unwrap();
    assert!(judged.status.success(), "{}", said(&judged));
}

#[test]
fn the_package_of_these_programs_is_installed_and_its_nodes_get_in_step() {
    for wanted in ["dpkg-deb", "readelf"] {
        if tool(Command::new(wanted).arg("--version")).is_none() {
            return;
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_bitmarkd")).parent().unwrap();
    let built = Command::new(project("packaging/deb/build.sh"))
        .env("COMPRESSION", "none")
        .args([programs, folder.path()])
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", said(&built));
    let package = String::from_utf8(built.stdout).unwrap();
    let tried = Command::new(project("packaging/deb/test.sh"))
        .arg(package.trim_end())
        .output()
        .unwrap();
    assert!(tried.status.success(), "{}", said(&tried));
    assert!(
        said(&tried).contains("PASSED: bitmarkd_"),
        "{}",
        said(&tried)
    );
}

/// All sources in one text, with strings that go over several lines joined as the compiler does.
fn sources(folder: &Path, out: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let mut lines = std::fs::read_to_string(&path).unwrap();
            while let Some(at) = lines.find("\\\n") {
                let rest = lines.split_off(at);
                lines.push_str(rest[2..].trim_start());
            }
            out.push_str(&lines);
        }
    }
}

/// The first column of each table in the part of the page that begins with `heading`.
fn first_column(page: &str, heading: &str) -> Vec<String> {
    let (_, part) = page.split_once(&format!("\n{heading}\n")).unwrap();
    let end = part.find("\n## ").unwrap_or(part.len());
    let quoted = part[..end].lines().filter_map(|line| {
        let (text, _) = line.strip_prefix("| `")?.split_once("` |")?;
        Some(text.to_owned())
    });
    quoted.collect()
}

#[test]
fn the_node_says_each_line_of_the_log_that_the_page_for_operators_explains() {
    let mut said = String::new();
    sources(&project("src"), &mut said);
    let explained = first_column(&text("docs/operators.md"), "## The log");
    assert!(explained.len() > 35, "{}", explained.len());
    // The words of the language's own runtime.
    let foreign = BTreeSet::from(["panicked at"]);
    for line in explained {
        for part in line.split('…').map(str::trim) {
            let part = part.trim_end_matches(':');
            assert!(
                said.contains(part) || foreign.contains(part),
                "{line:?}: nobody says {part:?}"
            );
        }
    }
}

#[test]
fn the_metrics_that_the_page_for_operators_names_are_those_of_the_page_about_them() {
    let named = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| !c.is_ascii_lowercase() && c != '_');
        let metrics = words.filter_map(|word| {
            word.strip_prefix("bitmarkd_")
                .filter(|name| !name.is_empty())
        });
        metrics.map(ToOwned::to_owned).collect()
    };
    let explained = named(&text("docs/explorer.md"));
    for metric in named(&text("docs/operators.md")) {
        assert!(explained.contains(&metric), "{metric}");
    }
}
