//! What an operator does with the node's files: the built program, in folders of its own, without
//! any network.

use crate::place::{Place, out, told};

mod blocks;
#[path = "../shared/branch.rs"]
#[allow(dead_code, reason = "shared with the other tests")]
mod branch;
mod convert;
mod keys;
mod place;
mod testnet;

#[test]
fn the_version_names_the_rule_set_and_help_lists_the_commands() {
    let place = Place::new();
    let version = out(&place.program().arg("--version").assert().success());
    assert_eq!(
        version,
        concat!(
            "bitmarkd ",
            env!("CARGO_PKG_VERSION"),
            " (chain rule set v8.2)\n"
        )
    );
    for word in ["help", "h", "?", "--help"] {
        let help = out(&place.program().arg(word).assert().success());
        for command in ["start", "gen-peer-identity", "delete-down", "make-certs"] {
            assert!(help.contains(command), "{word}: {help}");
        }
    }
    let help = out(&place.program().args(["help", "dd"]).assert().success());
    assert!(help.contains("The lowest to go"), "{help}");
    place.program().arg("nonsense").assert().code(2);
    let stderr = told(place.program().args(["help", "nonsense"]).assert());
    assert!(stderr.contains("is no command"), "{stderr}");
}

#[test]
fn a_command_without_a_configuration_says_how_to_name_one() {
    let place = Place::new();
    let stderr = told(place.program().arg("dns-txt").assert());
    assert_eq!(
        stderr,
        "bitmarkd: which configuration? give --config-file FILE (docs/bitmarkd.sample.toml shows all keys)\n"
    );
    let stderr = told(
        place
            .program()
            .args(["--config-file", "other.toml", "rebuild"])
            .assert(),
    );
    assert!(stderr.starts_with("bitmarkd: other.toml: "), "{stderr}");
}

#[test]
fn a_key_that_nobody_knows_is_named_with_its_line() {
    let place = Place::with("colour = \"red\"\n");
    let stderr = told(place.run(&["block", "2"]));
    assert!(
        stderr.contains("colour") && stderr.contains("line 6"),
        "{stderr}"
    );
}

#[test]
fn ctl_and_testnet_refuse_wrong_arguments() {
    let place = Place::new();
    for args in [
        &["ctl"][..],
        &["ctl", "disconnect"],
        &["ctl", "payment-seen", "00", "--pay", "address=1"],
        &["testnet", "start", "--nodes", "many"],
    ] {
        place.run(args).code(2);
    }
}

#[test]
fn ctl_takes_its_options_before_and_after_the_command() {
    let place = Place::new();
    for args in [
        ["ctl", "--socket", "no.socket", "--json", "status"],
        ["ctl", "status", "--socket", "no.socket", "--json"],
    ] {
        let stderr = told(place.program().args(args).assert());
        assert!(
            stderr.contains("no.socket: no node answers there"),
            "{stderr}"
        );
    }
}
