//! What a user does with identities, keys, pass phrases and files, where no node is needed: the
//! built client, in folders of its own.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use bitmarkd::core::keys::reference_seal::ReferenceSealed;
use bitmarkd::core::keys::{Account, PrivateKey, Secret, Seed};
use serde_json::{Value, json};
use tempfile::TempDir;

const PHRASE: &str = "correct horse";

/// A folder with identities.
struct Home {
    folder: TempDir,
}

impl Home {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A program that stands for one which asks for pass phrases. A shell writes it: what this
    /// process, with its many threads, holds open for writing may not run yet.
    fn agent(&self, script: &str) -> PathBuf {
        let path = self.path("agent.sh");
        let write = r#"printf '#!/bin/sh\n%s\n' "$2" > "$1" && chmod 700 "$1""#;
        let mut shell = Command::new("sh");
        shell.args(["-c", write, "sh"]).arg(&path).arg(script);
        shell.assert().success();
        path
    }

    /// `identity COMMAND NAME` over this folder, with the pass phrase.
    fn identity(&self, command: &str, name: &str) -> Command {
        let mut program = program();
        program.args(["identity", command, name, "--identities"]);
        program.arg(self.folder.path());
        program.env("BITMARK_PASSPHRASE", PHRASE);
        program
    }

    /// `COMMAND FILE` in the name of an identity.
    fn sign(&self, file: &Path, name: &str) -> Command {
        let mut program = program();
        program.arg("sign").arg(file).args(["--identity", name]);
        program.arg("--identities").arg(self.folder.path());
        program.env("BITMARK_PASSPHRASE", PHRASE);
        program
    }

    /// The text of an identity's file.
    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(&format!("{name}.json"))).unwrap()
    }
}

fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_bitmark-cli"));
    program.arg("--json");
    for name in ["BITMARK_PASSPHRASE", "BITMARK_NEW_PASSPHRASE"] {
        program.env_remove(name);
    }
    program
}

/// What a command that ends well prints; it tells nothing else.
fn shown(program: &mut Command) -> Value {
    let assert = program.assert().success().stderr("");
    serde_json::from_slice(&assert.get_output().stdout).unwrap()
}

/// What a command that ends with an error tells.
fn told(program: &mut Command) -> String {
    let assert = program.assert().code(1);
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

fn digits(key: &PrivateKey) -> String {
    hex::encode(key.ed25519_pair().unwrap())
}

#[test]
fn a_seed_that_is_there_already_becomes_an_identity_of_its_own_network_alone() {
    let home = Home::new();
    let seed = Seed::new(true, [9; 32]);
    let account = PrivateKey::from_seed(&seed).account().unwrap().to_string();
    let file = home.write("key.txt", &format!("SEED:{}\n", &*seed.to_text()));

    let mut live = home.identity("new", "a");
    live.args(["--chain", "bitmark", "--key-file"]).arg(&file);
    let stderr = told(&mut live);
    assert!(stderr.contains("of a test network"), "{stderr}");
    assert!(!home.path("a.json").exists());

    let mut new = home.identity("new", "a");
    new.args(["--description", "of a friend", "--key-file"]);
    assert_eq!(shown(new.arg(&file))["account"], account);
    let text = home.file("a");
    assert!(text.contains("\"version\": 1"), "{text}");
    assert!(!text.contains(seed.to_text().as_str()), "{text}");
    let show = shown(home.identity("show", "a").arg("--secret"));
    assert_eq!(show["seed"], seed.to_text().as_str());
    assert_eq!(show["description"], "of a friend");
}

#[test]
fn a_key_in_hex_digits_is_kept_without_a_seed_and_signs() {
    let home = Home::new();
    let key = PrivateKey::from_ed25519_seed(&[7; 32], true);
    let pair = digits(&key);
    for (name, text) in [("half", &pair[..64]), ("whole", pair.as_str())] {
        let mut new = home.identity("new", name);
        new.args(["--key-file", "-"]);
        let made = shown(new.write_stdin(text));
        assert_eq!(made["account"], key.account().unwrap().to_string());
        let file = home.file(name);
        assert!(file.contains("\"version\": 2"), "{file}");
        assert!(!file.contains("\"seed\""), "{file}");
        assert!(!file.contains(&pair[..64]), "{file}");
    }
    let pairs = shown(&mut home.identity("keypair", "half"));
    assert_eq!(pairs["private_key"], key.to_text().as_str());
    assert_eq!(pairs["raw"]["seed"], "");
    assert_eq!(pairs["raw"]["private_key"], pair);
    assert_eq!(pairs["raw"]["public_key"], pair[64..]);
    let show = shown(home.identity("show", "half").arg("--secret"));
    assert_eq!(show["private_key"], key.to_text().as_str());

    let file = home.write("letter.txt", "Dear Bob");
    let signed = shown(&mut home.sign(&file, "whole"));
    assert_eq!(signed["signature"], hex::encode(key.sign(b"Dear Bob")));
}

#[test]
fn what_is_no_key_makes_no_identity_and_is_not_repeated() {
    let home = Home::new();
    let pair = digits(&PrivateKey::from_ed25519_seed(&[7; 32], true));
    let other = digits(&PrivateKey::from_ed25519_seed(&[8; 32], true));
    let mixed = format!("{}{}", &pair[..64], &other[64..]);
    let long = "5".repeat(5000);
    for (text, wanted) in [
        (&pair[..63], "key length is invalid"),
        ("secret word", "key length is invalid"),
        (&mixed, "not the public key that belongs"),
        (&long, "longer than 4096 bytes"),
    ] {
        let mut new = home.identity("new", "a");
        let stderr = told(new.args(["--key-file", "-"]).write_stdin(text));
        assert!(stderr.contains(wanted), "{stderr}");
        assert!(!stderr.contains(text), "{stderr}");
    }
    assert!(!home.path("a.json").exists());
}

#[test]
fn a_new_pass_phrase_opens_the_identity_and_the_old_one_no_more() {
    let home = Home::new();
    let made = shown(home.identity("new", "a").args(["--description", "mine"]));
    let before = home.file("a");
    let next = home.write("next.txt", "battery staple\n");
    let mut password = home.identity("password", "a");
    shown(password.arg("--new-passphrase-file").arg(&next));

    let after = home.file("a");
    let salt = |text: &str| serde_json::from_str::<Value>(text).unwrap()["seed"]["salt"].clone();
    assert_ne!(salt(&before), salt(&after));
    let mode = std::fs::metadata(home.path("a.json"))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    let stderr = told(&mut home.identity("keypair", "a"));
    assert!(stderr.contains("wrong pass phrase"), "{stderr}");
    let mut keypair = home.identity("keypair", "a");
    let pairs = shown(keypair.arg("--passphrase-file").arg(&next));
    assert_eq!(pairs["account"], made["account"]);
    assert_eq!(
        shown(&mut home.identity("show", "a"))["description"],
        "mine"
    );

    // And back again, from the variable.
    let mut password = home.identity("password", "a");
    password.arg("--passphrase-file").arg(&next);
    shown(password.env("BITMARK_NEW_PASSPHRASE", PHRASE));
    shown(&mut home.identity("keypair", "a"));
}

#[test]
fn a_wrong_old_pass_phrase_or_a_short_new_one_changes_nothing() {
    let home = Home::new();
    shown(&mut home.identity("new", "a"));
    let before = home.file("a");
    let mut password = home.identity("password", "a");
    password.env("BITMARK_PASSPHRASE", "wrong horse");
    let stderr = told(password.env("BITMARK_NEW_PASSPHRASE", "battery staple"));
    assert!(stderr.contains("wrong pass phrase"), "{stderr}");
    let mut password = home.identity("password", "a");
    let stderr = told(password.env("BITMARK_NEW_PASSPHRASE", "1234567"));
    assert!(stderr.contains("at least 8 characters"), "{stderr}");
    assert_eq!(home.file("a"), before);
    let left: Vec<_> = std::fs::read_dir(home.folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1);
}

#[test]
fn a_linked_identity_is_sealed_anew_where_the_link_leads() {
    let (home, vault) = (Home::new(), Home::new());
    shown(&mut vault.identity("new", "a"));
    symlink(vault.path("a.json"), home.path("a.json")).unwrap();
    let mut password = home.identity("password", "a");
    shown(password.env("BITMARK_NEW_PASSPHRASE", "battery staple"));
    assert!(home.path("a.json").is_symlink());
    let mut keypair = vault.identity("keypair", "a");
    shown(keypair.env("BITMARK_PASSPHRASE", "battery staple"));
}

#[test]
fn a_fresh_key_is_printed_and_not_kept() {
    let home = Home::new();
    for (chain, testing) in [("bitmark", false), ("local", true)] {
        let mut generate = program();
        generate.env("XDG_CONFIG_HOME", home.folder.path());
        let fresh = shown(generate.args(["identity", "generate", "--chain", chain]));
        let seed = Seed::from_text(fresh["seed"].as_str().unwrap()).unwrap();
        assert_eq!(seed.is_testing(), testing);
        let key = PrivateKey::from_seed(&seed);
        assert_eq!(fresh["private_key"], digits(&key));
        assert_eq!(fresh["public_key"], digits(&key)[64..]);
        assert_eq!(fresh["account"], key.account().unwrap().to_string());
    }
    assert_eq!(std::fs::read_dir(home.folder.path()).unwrap().count(), 0);
}

#[test]
fn a_public_key_and_its_account_lead_to_each_other() {
    let account = |args: &[&str]| {
        let mut program = program();
        program.args(["identity", "account"]).args(args);
        program
    };
    let digits = "3b4a16f69724c1a2780cb18d86e26e38e8d4e6935de4000d3c9f67f99d845738";
    let testing = "ePFpaVBwjuGJLpfaUjZsuKJdm6YRSRZs88dozgCUGpAtm4eLB4";
    let both = serde_json::json!({"hex": digits, "account": testing});
    assert_eq!(shown(&mut account(&[digits])), both);
    assert_eq!(shown(&mut account(&[testing, "--chain", "local"])), both);
    let live = shown(&mut account(&[digits, "--chain", "bitmark"]));
    let of_live = Account::from_text(live["account"].as_str().unwrap()).unwrap();
    assert!(!of_live.testing);
    let stderr = told(&mut account(&[testing, "--chain", "bitmark"]));
    assert!(stderr.contains("of the other network"), "{stderr}");
    let stderr = told(&mut account(&[&digits[1..]]));
    assert!(stderr.contains("or 64 hex digits"), "{stderr}");
}

#[test]
fn a_signature_is_right_for_its_file_and_account_alone() {
    let home = Home::new();
    let account = shown(&mut home.identity("new", "a"))["account"].clone();
    let other = shown(&mut home.identity("new", "b"))["account"].clone();
    let file = home.write("letter.txt", "Dear Bob");
    let signed = shown(&mut home.sign(&file, "a"));
    assert_eq!(
        (&signed["identity"], &signed["account"]),
        (&json!("a"), &account)
    );
    assert_eq!(signed["file_name"], file.to_str().unwrap());
    let signature = signed["signature"].as_str().unwrap();
    let check = |account: &Value, signature: &str| {
        let mut program = program();
        program.arg("check").arg(&file);
        program.args(["--account", account.as_str().unwrap()]);
        program.args(["--signature", signature]);
        program
    };
    assert_eq!(shown(&mut check(&account, signature))["valid"], true);
    let wrong = check(&other, signature).assert().code(1);
    let value: Value = serde_json::from_slice(&wrong.get_output().stdout).unwrap();
    assert_eq!(value["valid"], false);
    let damaged = format!("{:0<128}", &signature[..120]);
    let stderr = told(&mut check(&account, &damaged));
    assert!(stderr.contains("was not signed so by"), "{stderr}");
    check(&account, "00").assert().code(2);
    std::fs::write(&file, "Dear Eve").unwrap();
    told(&mut check(&account, signature));
}

#[test]
fn a_file_of_more_than_a_gibibyte_is_refused_before_it_is_read() {
    let home = Home::new();
    let file = home.write("large", "");
    let large = std::fs::File::options().write(true).open(&file).unwrap();
    large.set_len((1 << 30) + 1).unwrap();
    let stderr = told(&mut home.sign(&file, "nobody"));
    assert!(stderr.contains("longer than 1073741824 bytes"), "{stderr}");
}

#[test]
fn an_external_program_is_asked_before_file_variable_and_prompt() {
    let home = Home::new();
    let seen = home.path("seen.txt");
    let agent = home.agent(&format!(
        "printf '%s|' \"$@\" >> {seen:?}\nprintf '\\n' >> {seen:?}\necho '{PHRASE}'"
    ));
    let wrong = home.write("wrong.txt", "wrong horse");
    let asked = |command: &str| {
        let mut program = home.identity(command, "bob");
        program.env("BITMARK_PASSPHRASE", "wrong horse");
        program.arg("--passphrase-file").arg(&wrong);
        program.arg("--use-agent").arg(&agent);
        program
    };
    shown(&mut asked("new"));
    shown(asked("keypair").arg("--zero-agent-cache"));
    // The phrase is the first line alone of what `echo` said: without the newline.
    shown(&mut home.identity("keypair", "bob"));
    let said = "--confirm=1|bitmark-cli:password:bob||Password for: bob|Enter password to: ";
    assert_eq!(
        std::fs::read_to_string(&seen).unwrap(),
        format!("{said}make the identity|\n--clear|{said}show the keys|\n")
    );
}

#[test]
fn an_external_program_that_fails_or_says_too_much_or_nothing_is_told() {
    let home = Home::new();
    shown(&mut home.identity("new", "bob"));
    for (script, wanted) in [
        ("exit 7", "gave no pass phrase: exit status: 7"),
        ("echo half; exit 1", "gave no pass phrase: exit status: 1"),
        ("true", "gave an empty pass phrase"),
        ("sleep 20 & echo phrase", "left its output open"),
        ("exec yes", "longer than 4096 bytes"),
        ("printf '\\377'", "not text in UTF-8"),
        ("echo wrong", "wrong pass phrase"),
    ] {
        let agent = home.agent(script);
        let mut keypair = home.identity("keypair", "bob");
        let stderr = told(keypair.arg("--use-agent").arg(&agent));
        assert!(stderr.contains(wanted), "{script}: {stderr}");
    }
    let nowhere = home.path("nowhere");
    let mut keypair = home.identity("keypair", "bob");
    let stderr = told(keypair.arg("--use-agent").arg(&nowhere));
    assert!(stderr.contains("nowhere: No such file"), "{stderr}");
    let mut keypair = home.identity("keypair", "bob");
    keypair.arg("--zero-agent-cache").assert().code(2);
}

#[test]
fn a_description_is_a_line() {
    let home = Home::new();
    for wrong in ["two\nlines", &"x".repeat(201), "\u{1b}[2J"] {
        let mut new = home.identity("new", "a");
        let assert = new.args(["--description", wrong]).assert().code(2);
        let stderr = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(stderr.contains("a line of 200 characters"), "{stderr}");
    }
}

/// An identity of the reference's client, sealed under a pass phrase.
fn of_reference(name: &str, secret: &Secret, phrase: &str) -> String {
    let sealed = ReferenceSealed::seal(secret, phrase.as_bytes(), [5; 16], &[1; 16], &[2; 16]);
    let sealed = sealed.unwrap();
    format!(
        "identity {{\n  name = \"{name}\"\n  description = \"{name} of old\"\n  public_key = \"{}\"\n  private_key = \"{}\"\n  seed = \"{}\"\n  private_key_config {{\n    salt = \"{}\"\n  }}\n}}\n",
        &digits(&secret.key())[64..],
        hex::encode(&sealed.private_key),
        hex::encode(&sealed.seed),
        hex::encode(sealed.salt),
    )
}

fn account_of(secret: &Secret) -> String {
    secret.key().account().unwrap().to_string()
}

/// `identity import FILE` with a folder for settings of its own.
fn import(home: &Home, file: &Path) -> Command {
    let mut program = program();
    program.args(["identity", "import"]).arg(file);
    program.arg("--identities").arg(home.path("kept"));
    program.env("XDG_CONFIG_HOME", home.path("config"));
    program.env("BITMARK_PASSPHRASE", PHRASE);
    program
}

#[test]
fn identities_of_the_reference_are_kept_under_their_pass_phrase_and_sign() {
    let home = Home::new();
    let seed = Secret::Seed(Seed::new(true, [9; 32]));
    let key = Secret::Key(PrivateKey::from_ed25519_seed(&[7; 32], true));
    let public = "identity { name = watched, public_key = \"00\" }\n";
    let text = format!(
        "default_identity = \"bob\"\nnetwork = \"local\"\nconnect = \"127.0.0.1:2130\"\n{}{}{public}",
        of_reference("ann", &seed, PHRASE),
        of_reference("bob", &key, PHRASE),
    );
    let file = home.write("old.conf", &text);
    let done = shown(&mut import(&home, &file));
    let accounts: Vec<_> = done["imported"].as_array().unwrap().iter().collect();
    assert_eq!(accounts.len(), 2);
    assert_eq!(accounts[0]["account"], account_of(&seed));
    assert_eq!(accounts[1]["account"], account_of(&key));
    assert_eq!(done["left_out"], json!(["watched"]));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);

    // What `setup` keeps is there: nothing more is named.
    let letter = home.write("letter.txt", "Dear Bob");
    let mut sign = program();
    sign.env("XDG_CONFIG_HOME", home.path("config"));
    sign.env("BITMARK_PASSPHRASE", PHRASE);
    let signed = shown(sign.arg("sign").arg(&letter));
    assert_eq!(
        signed["signature"],
        hex::encode(key.key().sign(b"Dear Bob"))
    );
    let settings = home.path("config/bitmark-cli/client.toml");
    let settings = std::fs::read_to_string(settings).unwrap();
    assert!(settings.contains("rpc = \"127.0.0.1:2130\""), "{settings}");
    assert!(settings.contains("chain = \"local\""), "{settings}");
    let mut show = program();
    show.args(["identity", "show", "ann", "--secret", "--identities"]);
    show.arg(home.path("kept"))
        .env("BITMARK_PASSPHRASE", PHRASE);
    let show = shown(&mut show);
    assert_eq!(show["seed"], seed.seed().unwrap().to_text().as_str());
    assert_eq!(show["description"], "ann of old");

    // Once more changes nothing, and asks for nothing.
    let mut again = import(&home, &file);
    let done = shown(again.env("BITMARK_PASSPHRASE", "wrong horse"));
    assert_eq!(done["imported"], json!([]));
    assert_eq!(done["present"].as_array().unwrap().len(), 2);
    assert_eq!(done["settings"], Value::Null);
}

#[test]
fn an_import_is_whole_or_changes_nothing() {
    let home = Home::new();
    let (one, two) = (
        Secret::Seed(Seed::new(false, [1; 32])),
        Secret::Seed(Seed::new(false, [2; 32])),
    );
    let text = format!(
        "network = \"bitmark\"\n{}{}",
        of_reference("one", &one, PHRASE),
        of_reference("two", &two, "another phrase"),
    );
    let file = home.write("old.conf", &text);
    let stderr = told(&mut import(&home, &file));
    assert!(stderr.contains("two: wrong pass phrase"), "{stderr}");
    assert!(stderr.contains("--only NAME"), "{stderr}");
    assert!(!home.path("kept").exists());
    assert!(!home.path("config").exists());
    let done = shown(import(&home, &file).args(["--only", "one"]));
    assert_eq!(done["imported"][0]["account"], account_of(&one));
    let mut other = import(&home, &file);
    other.env("BITMARK_PASSPHRASE", "another phrase");
    let done = shown(other.args(["--only", "two"]));
    assert_eq!(done["imported"][0]["account"], account_of(&two));
    let stderr = told(import(&home, &file).args(["--only", "three"]));
    assert!(
        stderr.contains("none of that name, but: one, two"),
        "{stderr}"
    );
}

#[test]
fn the_default_identity_is_kept_when_it_is_imported_after_another_one() {
    let home = Home::new();
    let secret = |number| Secret::Seed(Seed::new(true, [number; 32]));
    let text = format!(
        "default_identity = \"alice\"\nnetwork = \"local\"\nconnect = \"127.0.0.1:2130\"\n{}{}",
        of_reference("alice", &secret(1), PHRASE),
        of_reference("carol", &secret(2), PHRASE),
    );
    let file = home.write("old.conf", &text);
    let settings = || std::fs::read_to_string(home.path("config/bitmark-cli/client.toml")).unwrap();
    let said = |only: &str| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_bitmark-cli"));
        program
            .args(["identity", "import", "--only", only])
            .arg(&file);
        program.env("XDG_CONFIG_HOME", home.path("config"));
        program.env("BITMARK_PASSPHRASE", PHRASE);
        let assert = program.assert().success();
        String::from_utf8_lossy(&assert.get_output().stdout).into_owned()
    };
    let first = said("carol");
    assert!(!settings().contains("identity ="), "{}", settings());
    assert!(
        first.contains("network local, node 127.0.0.1:2130"),
        "{first}"
    );
    assert!(!first.contains(": identity"), "{first}");
    assert!(
        first.contains("no identity signs by default: \"alice\""),
        "{first}"
    );
    let before = settings();
    let second = said("alice");
    assert!(second.contains("client.toml: identity alice"), "{second}");
    assert_eq!(settings(), format!("identity = \"alice\"\n{before}"));
    let third = said("carol");
    assert!(
        third.contains("settings are there already, and stay"),
        "{third}"
    );
}

#[test]
fn an_identity_that_is_in_the_file_twice_is_told() {
    let home = Home::new();
    let one = of_reference("alice", &Secret::Seed(Seed::new(true, [1; 32])), PHRASE);
    let two = of_reference("alice", &Secret::Seed(Seed::new(true, [2; 32])), PHRASE);
    let file = home.write("old.conf", &[one, two].concat());
    for more in [
        &["--only", "alice"][..],
        &["--only", "alice", "--name", "x"],
        &[],
    ] {
        let stderr = told(import(&home, &file).args(more));
        assert!(
            stderr.contains("\"alice\" is in the file twice"),
            "{stderr}"
        );
    }
}

#[test]
fn names_that_are_taken_or_none_of_ours_are_imported_under_another_one() {
    let home = Home::new();
    let secret = Secret::Seed(Seed::new(true, [9; 32]));
    let text = [
        of_reference("my key", &secret, PHRASE),
        of_reference("bob", &secret, PHRASE),
    ];
    let file = home.write("old.conf", &text.concat());
    let stderr = told(&mut import(&home, &file));
    assert!(
        stderr.contains("line 1: the name is none that we have"),
        "{stderr}"
    );
    let mut named = import(&home, &file);
    named.args(["--only", "my key", "--name", "my-key"]);
    assert_eq!(shown(&mut named)["imported"][0]["name"], "my-key");
    let mut both = import(&home, &file);
    let stderr = told(both.args(["--name", "other"]));
    assert!(stderr.contains("--name is for one identity"), "{stderr}");

    let mut new = program();
    new.args(["identity", "new", "bob", "--chain", "local", "--identities"]);
    new.arg(home.path("kept")).env("BITMARK_PASSPHRASE", PHRASE);
    let other = shown(&mut new)["account"].clone();
    let stderr = told(import(&home, &file).args(["--only", "bob"]));
    assert!(
        stderr.contains("bob: an identity of this name is there already"),
        "{stderr}"
    );
    assert!(stderr.contains(other.as_str().unwrap()), "{stderr}");
    assert!(stderr.contains(&account_of(&secret)), "{stderr}");
}

#[test]
fn a_file_that_is_no_configuration_of_the_references_client_is_told_with_its_line() {
    let home = Home::new();
    let secret = Secret::Seed(Seed::new(true, [9; 32]));
    let whole = of_reference("bob", &secret, PHRASE);
    let cut = whole.replace("public_key = \"", "public_key = \"0");
    for (text, wanted) in [
        ("{", "there is no identity in it"),
        ("a \"b\" c\n", "line 1: "),
        (
            "\nidentity { name = a; size = 1 }",
            "line 2: identity: an unknown key",
        ),
        (&whole.replace("of old", "\"of\" old"), "a quote without"),
        (
            &cut,
            "public_key: 64 hex digits are wanted; the file is damaged",
        ),
    ] {
        let file = home.write("old.conf", text);
        let stderr = told(&mut import(&home, &file));
        assert!(stderr.contains(wanted), "{stderr}");
        assert!(!stderr.contains(&whole[200..240]), "{stderr}");
    }
    let stderr = told(&mut import(&home, &home.path("none")));
    assert!(stderr.contains("none: No such file"), "{stderr}");
    let long = home.write("long", &"#".repeat(2 << 20));
    let stderr = told(&mut import(&home, &long));
    assert!(stderr.contains("more than"), "{stderr}");
}
