//! `config convert`: configurations of the reference.

use std::os::unix::fs::PermissionsExt as _;

use assert_cmd::Command;

use crate::place::{Place, out, told};

/// A file of the reference's kind.
const OTHER: &str = r#"
data_directory = "."    # where this file is
chain = local
nodes = none
reservoir_file = left.cache

.set(var=ADDRESS) "PUBLIC:ENV_CONVERT_TEST_ADDRESS"
.append(var=ADDRESS) ":2136"

peering {
  listen = 127.0.0.1:2136
  announce = ${ADDRESS}
  public_key = mine.public; private_key = mine.private
}
"#;

#[test]
fn a_configuration_of_the_reference_becomes_one_that_the_node_takes() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place(folder);
    std::fs::write(place.path("node.conf"), OTHER).unwrap();
    let convert = |args: &[&str]| {
        let mut program = place.program();
        program.env("CONVERT_TEST_ADDRESS", "192.0.2.1");
        program.args(["config", "convert", "node.conf"]);
        program.args(args).assert()
    };
    let assert = convert(&["--output", "new.toml"]).success().stdout("");
    let told = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 2, "{told}");
    let start = "bitmarkd: warning: node.conf: line 7: .set(var=ADDRESS): taken from ENV_";
    assert!(lines[0].starts_with(start), "{told}");
    let start = "bitmarkd: warning: node.conf: line 5: reservoir_file: ";
    assert!(lines[1].starts_with(start), "{told}");
    let text = place.text("new.toml");
    assert!(text.contains("\ndata_directory = \".\"\n"), "{text}");
    let kept = "announce = [\"${ENV_CONVERT_TEST_ADDRESS}:2136\"]";
    assert!(text.contains(kept), "{text}");

    // The reference's log would be in the way of ours.
    std::fs::create_dir(place.path("log")).unwrap();
    std::fs::write(place.path("log/bitmarkd.log"), "").unwrap();
    let assert = convert(&[]).success();
    let told = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    let last = told.lines().last().unwrap();
    assert!(
        last.contains("log/bitmarkd.log is of the reference's program; move it"),
        "{told}"
    );

    // On the terminal the folder has its whole name.
    let shown = out(&convert(&[]).success());
    let whole = place.0.path().canonicalize().unwrap();
    let line = format!("data_directory = \"{}\"\n", whole.display());
    assert!(shown.contains(&line), "{shown}");
    let set = out(&convert(&["--set", "PUBLIC=198.51.100.7"]).success());
    assert!(set.contains("[\"${PUBLIC}:2136\"]"), "{set}");

    let mut make = place.program();
    make.env("CONVERT_TEST_ADDRESS", "192.0.2.1");
    make.args(["--config-file", "new.toml", "gen-peer-identity"]);
    make.assert().success();
    assert_eq!(place.mode("mine.private"), 0o600);
}

#[test]
fn a_converted_configuration_takes_the_place_of_no_file_unless_it_is_told_to() {
    let place = Place::new();
    let conf = "data_directory = \".\"\nnodes = none\npeering { listen = 127.0.0.1:1 }\n";
    std::fs::write(place.path("node.conf"), conf).unwrap();
    let before = place.text("node.toml");
    let convert = |output: &str, more: &[&str]| {
        let mut program = place.program();
        program.args(["config", "convert", "node.conf", "--output", output]);
        program.args(more).assert()
    };
    let stderr = told(convert("node.toml", &[]));
    assert!(
        stderr.contains("node.toml: it is there already"),
        "{stderr}"
    );
    assert_eq!(place.text("node.toml"), before);
    let stderr = told(convert("node.conf", &["--force"]));
    assert!(stderr.contains("that is the file itself"), "{stderr}");
    assert_eq!(place.text("node.conf"), conf);
    for mode in [0o600, 0o666] {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(place.path("node.toml"), permissions).unwrap();
        convert("node.toml", &["--force"]).success();
        assert!(place.text("node.toml").contains("made from"));
        assert_eq!(place.mode("node.toml"), mode);
    }
    assert_eq!(std::fs::read_dir(place.0.path()).unwrap().count(), 2);
}

#[test]
fn through_a_link_the_point_is_the_folder_of_the_link_and_curdir_that_of_the_file() {
    let place = Place::new();
    let whole = place.0.path().canonicalize().unwrap();
    for folder in ["etc", "real"] {
        std::fs::create_dir(place.path(folder)).unwrap();
    }
    let conf = "data_directory = \".\"\nnodes = none\npidfile = \"${CURDIR}/p\"\npeering { listen = 127.0.0.1:1 }\n";
    std::fs::write(place.path("real/node.conf"), conf).unwrap();
    std::os::unix::fs::symlink("../real/node.conf", place.path("etc/b.conf")).unwrap();
    let mut program = place.program();
    program.args(["config", "convert", "real/../etc/b.conf"]);
    let text = out(&program.assert().success());
    let lines = |text: &str, wanted: [String; 2]| {
        for line in wanted {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    };
    let pidfile = format!("pidfile = \"{}/real/p\"", whole.display());
    let directory = format!("data_directory = \"{}/etc\"", place.0.path().display());
    lines(&text, [directory, pidfile.clone()]);
    let mut program = place.program();
    program.args(["config", "convert", "etc/b.conf", "--output", "etc/b.toml"]);
    program.assert().success();
    let directory = "data_directory = \".\"".to_owned();
    lines(&place.text("etc/b.toml"), [directory, pidfile.clone()]);
    let mut program = place.program();
    program.args(["config", "convert", "etc/b.conf", "--output", "real/b.toml"]);
    program.assert().success();
    let directory = format!("data_directory = \"{}/etc\"", place.0.path().display());
    lines(&place.text("real/b.toml"), [directory, pidfile]);
}

#[test]
fn only_a_regular_file_is_converted_or_included() {
    let place = Place::new();
    let made = std::process::Command::new("mkfifo")
        .arg(place.path("pipe"))
        .status();
    assert!(made.unwrap().success());
    let conf = format!(".include \"{}\"\n", place.path("pipe").display());
    std::fs::write(place.path("node.conf"), conf).unwrap();
    for (file, wanted) in [
        ("pipe", "pipe: not a regular file"),
        ("/dev/zero", "/dev/zero: not a regular file"),
        ("node.conf", "line 1: "),
    ] {
        let mut program = place.program();
        program.args(["config", "convert", file]);
        let stderr = told(program.timeout(std::time::Duration::from_secs(60)).assert());
        assert!(stderr.contains(wanted), "{stderr}");
        assert!(stderr.contains("not a regular file"), "{stderr}");
    }
}

#[test]
fn what_cannot_be_converted_is_told_at_once_with_file_key_and_line() {
    let place = Place::new();
    let convert = |text: &str| {
        std::fs::write(place.path("node.conf"), text).unwrap();
        let mut program = place.program();
        program.args(["config", "convert", "node.conf", "--output", "new.toml"]);
        let stderr = told(program.assert());
        assert!(!place.path("new.toml").exists());
        stderr
    };
    let stderr =
        convert("data_directory = \".\"\nnodes = none\ncolour = red\npeering { listen = x }\n");
    assert!(stderr.starts_with("bitmarkd: node.conf:\n"), "{stderr}");
    assert!(stderr.contains("line 3: colour: unknown"), "{stderr}");
    assert!(stderr.contains("line 4: peering.listen: "), "{stderr}");
    let stderr = convert("data_directory = \".\"\nnodes = \"none\n");
    assert!(stderr.contains("line 2: the quote"), "{stderr}");
    std::fs::write(place.path("part.conf"), "\nthis is wrong").unwrap();
    let stderr = convert(".include \"part.conf\"\n");
    assert!(
        stderr.contains("part.conf, line 2: unknown")
            || stderr.contains("part.conf, line 2: this: unknown"),
        "{stderr}"
    );
    // What only our reader knows.
    let stderr = convert("data_directory = \".\"\nnodes = none\n");
    assert!(
        stderr.contains("peering.listen: invalid length"),
        "{stderr}"
    );
}

#[test]
fn the_miners_configuration_is_converted_by_the_miner() {
    let place = Place::new();
    let key = "ab".repeat(32);
    let conf = format!(
        "data_directory = \".\"\nchain = testing\npeering {{\n public_key = r.public\n private_key = r.private\n connect {{ public_key = \"{key}\", blocks = 127.0.0.1:2140, submit = 127.0.0.1:2141 }}\n}}\n"
    );
    std::fs::write(place.path("recorderd.conf"), conf).unwrap();
    let miner = || {
        let mut program = Command::new(env!("CARGO_BIN_EXE_recorderd"));
        program.current_dir(place.0.path());
        program
    };
    let mut convert = miner();
    convert.args(["config", "convert", "recorderd.conf", "--output", "r.toml"]);
    convert.assert().success().stderr("");
    let mut make = miner();
    make.args(["--config-file", "r.toml", "generate-identity"]);
    make.assert().success();
    assert_eq!(place.mode("r.private"), 0o600);
}
