//! Commands that make keys, certificates and the announced TXT record.

use bitmarkd::core::announce::dns::TxtRecord;
use bitmarkd::core::keys::{PeerPrivateKey, PeerPublicKey, PrivateKey};
use bitmarkd::shell::files::certificate::fingerprint_of;

use crate::place::{Place, out, told};

#[test]
fn the_peer_identity_is_made_once_where_the_configuration_says() {
    let place = Place::with("public_key = \"${WHO}.pub\"\nprivate_key = \"${WHO}.prv\"\n");
    let command = ["--set", "WHO=me", "gen-peer-identity"];
    let shown = out(&place.run(&command).success());
    let key = PeerPublicKey::from_file(&place.text("me.pub")).unwrap();
    let private = PeerPrivateKey::from_file(&place.text("me.prv")).unwrap();
    assert_eq!(private.public_key(), key);
    assert!(
        shown.contains(&format!("public key: {key}\n")) && !shown.contains("PRIVATE"),
        "{shown}"
    );
    assert_eq!(place.mode("me.prv"), 0o600);
    let before = place.text("me.prv");
    let stderr = told(place.run(&command));
    assert!(
        stderr.starts_with("bitmarkd: key file already exists: "),
        "{stderr}"
    );
    assert_eq!(place.text("me.prv"), before);
}

#[test]
fn a_prefix_needs_no_configuration_and_keeps_its_dots() {
    let place = Place::new();
    let made = |args: &[&str]| place.program().args(args).assert();
    assert_eq!(
        out(&made(&["--quiet", "peer", "node.v2"]).success()),
        "",
        "quiet"
    );
    PeerPublicKey::from_file(&place.text("node.v2.public")).unwrap();
    assert_eq!(place.mode("node.v2.private"), 0o600);
    let stderr = told(made(&["peer", "node.v2"]));
    assert!(stderr.contains("key file already exists: "), "{stderr}");

    made(&["rpc", "cert", "node.example", "198.51.100.7"]).success();
    assert_eq!(place.mode("cert.key"), 0o600);
    let stderr = told(made(&["rpc", "cert"]));
    assert!(
        stderr.starts_with("bitmarkd: certificate file already exists: cert.crt; "),
        "{stderr}"
    );
    std::fs::remove_file(place.path("cert.crt")).unwrap();
    let stderr = told(made(&["rpc", "cert"]));
    assert!(
        stderr.starts_with("bitmarkd: key file already exists: cert.key; "),
        "{stderr}"
    );
}

#[test]
fn a_proof_identity_has_an_account_of_the_chain_and_is_never_overwritten() {
    let place = Place::new();
    let shown = out(&place.run(&["proof"]).success());
    let key = PrivateKey::from_signing_key_file(&place.text("proof.sign")).unwrap();
    assert!(key.is_testing());
    let account = key.account().unwrap();
    assert!(shown.contains(&format!("account: {account}\n")), "{shown}");
    assert_eq!(place.mode("proof.sign"), 0o600);

    let before = place.text("proof.sign");
    for gone in ["proof.public", "proof.private"] {
        std::fs::remove_file(place.path(gone)).unwrap();
    }
    let stderr = told(place.run(&["proof"]));
    assert!(
        stderr.contains("key file already exists: ") && stderr.contains("proof.sign"),
        "{stderr}"
    );
    assert_eq!(place.text("proof.sign"), before);
    assert!(!place.path("proof.private").exists());

    let live = ["proof", "live", "--chain", "bitmark"];
    place.program().args(live).assert().success();
    let key = PrivateKey::from_signing_key_file(&place.text("live.sign")).unwrap();
    assert!(!key.is_testing());

    std::fs::write(place.path("half.private"), "mine").unwrap();
    told(place.run(&["proof", "half"]));
    assert!(!place.path("half.sign").exists(), "all of it or nothing");
    assert_eq!(place.text("half.private"), "mine");
}

#[test]
fn the_txt_record_reads_back_as_what_the_node_announces() {
    let place = Place::with(
        "announce = [\"198.51.100.7:2136\", \"[2001:db8::7]:2136\"]\n[client_rpc]\nannounce = \"198.51.100.7:2130\"\n",
    );
    let stderr = told(place.run(&["dns-txt"]));
    assert!(stderr.contains("gen-peer-identity"), "{stderr}");
    place.run(&["gen-peer-identity"]).success();
    let stderr = told(place.run(&["dns-txt"]));
    assert!(stderr.contains("gen-rpc-cert"), "{stderr}");
    place.run(&["gen-rpc-cert"]).success();
    let shown = out(&place.run(&["txt"]).success());
    let line = shown.lines().last().unwrap();
    let text = line
        .strip_prefix("TXT \"")
        .unwrap()
        .strip_suffix('"')
        .unwrap();
    let record = TxtRecord::parse(text).unwrap();
    assert_eq!(record.ipv4, Some([198, 51, 100, 7].into()));
    assert_eq!(record.ipv6, Some("2001:db8::7".parse().unwrap()));
    assert_eq!((record.connect_port, record.rpc_port), (2136, 2130));
    let key = PeerPublicKey::from_file(&place.text("peer.public")).unwrap();
    assert_eq!(record.public_key, key.0);
    let fingerprint = fingerprint_of(&place.path("rpc.crt")).unwrap();
    assert_eq!(record.fingerprint, fingerprint);
}

#[test]
fn what_one_txt_record_cannot_hold_is_refused() {
    let rpc = "[client_rpc]\nannounce = \"198.51.100.7:2130\"\n";
    for (announce, said) in [
        ("[\"198.51.100.7:1\", \"198.51.100.8:1\"]", "one IPv4"),
        ("[\"198.51.100.7:1\", \"[::1]:2\"]", "holds one port"),
        ("[]", "empty"),
    ] {
        let place = Place::with(&format!("announce = {announce}\n{rpc}"));
        place.run(&["peer"]).success();
        place.run(&["rpc"]).success();
        let stderr = told(place.run(&["txt"]));
        assert!(
            stderr.contains("peering.announce: ") && stderr.contains(said),
            "{stderr}"
        );
    }
}

#[test]
fn make_certs_makes_all_keys_of_a_node_and_says_what_each_is_for() {
    let place = Place::new();
    let command = [
        "make-certs",
        "--name",
        "n1",
        "--hosts",
        "n1.example, 198.51.100.7",
    ];
    let shown = out(&place.program().args(command).assert().success());
    let mut made: Vec<String> = std::fs::read_dir(place.path("certs/n1"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    made.sort();
    assert_eq!(
        made,
        [
            "peer.private",
            "peer.public",
            "proof.private",
            "proof.public",
            "proof.sign",
            "rpc.crt",
            "rpc.key"
        ]
    );
    let manual = include_str!("../../certs/README.md");
    for name in &made {
        assert!(
            shown.contains(&format!("  {name} ")),
            "{name} is not explained: {shown}"
        );
        assert!(
            manual.contains(&format!("`{name}`")),
            "{name} is not in certs/README.md"
        );
        let is_secret = !name.ends_with("public") && name != "rpc.crt";
        let mode = place.mode(&format!("certs/n1/{name}"));
        assert_eq!(mode & 0o077 == 0, is_secret, "{name}: {mode:o}");
    }
    let sign = PrivateKey::from_signing_key_file(&place.text("certs/n1/proof.sign")).unwrap();
    assert!(!sign.is_testing());
    assert!(shown.contains(&sign.account().unwrap().to_string()));
}

#[test]
fn make_certs_overwrites_nothing_and_makes_nothing_then() {
    let place = Place::new();
    let run = |more: &[&str]| {
        let mut program = place.program();
        program.args(["make-certs", "--directory", "keys", "--hosts", "localhost"]);
        program.args(more).assert()
    };
    std::fs::create_dir_all(place.path("keys/n1")).unwrap();
    std::fs::write(place.path("keys/n1/proof.sign"), "mine").unwrap();
    let stderr = told(run(&["--name", "n1"]));
    assert!(
        stderr.starts_with("bitmarkd: keys/n1/proof.sign is there already"),
        "{stderr}"
    );
    assert_eq!(place.text("keys/n1/proof.sign"), "mine");
    let count = std::fs::read_dir(place.path("keys/n1")).unwrap().count();
    assert_eq!(count, 1);

    run(&["--name", "n2", "--publish", "--chain", "testing"]).success();
    PeerPublicKey::from_file(&place.text("keys/n2/publish.public")).unwrap();
    let sign = PrivateKey::from_signing_key_file(&place.text("keys/n2/proof.sign")).unwrap();
    assert!(sign.is_testing());

    for (args, said) in [
        (&["--name", "../n3"][..], "is not a plain name"),
        (&["--name", "n 3"], "is not a plain name"),
        (&["--name", ""], "what is the node called?"),
        (&["--name", "n3", "--chain", "moon"], "invalid chain"),
        (
            &["--name", "n3", "--hosts", "a b"],
            "neither an address nor a host name",
        ),
    ] {
        let stderr = told(run(args));
        assert!(stderr.contains(said), "{stderr}");
    }
    assert!(!place.path("keys/n3").exists());
}
