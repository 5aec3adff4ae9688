//! The client program against a stand-in for the node that plays what was recorded: it asks as the
//! reference's client does, reads the replies, and shows what that one shows (`proto/rpc.md`,
//! section 8).

use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bitmarkd::cli::client::identity;
use bitmarkd::core::block::Target;
use bitmarkd::core::currency::{Currency, Payments, payments};
use bitmarkd::core::id::{AssetId, PayId, PayNonce, TxId};
use bitmarkd::core::keys::{Account, PrivateKey, Seed};
use bitmarkd::core::mining::proof::NonceSearch;
use bitmarkd::core::record::{
    self, BitmarkIssue, BitmarkTransferUnratified, BlockFoundation, Record,
};
use bitmarkd::shell::rpc::Settings;
use serde_json::{Value, json};

use super::speaker::Client;
use super::stage::Stage;

fn recorded() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/vectors/rpc-transcripts.json");
    let text = std::fs::read_to_string(path).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    file["cases"].as_array().unwrap().clone()
}

fn group(name: &str) -> Vec<Value> {
    let mut cases = recorded();
    cases.retain(|case| case["group"] == name);
    assert!(!cases.is_empty());
    cases
}

fn on_the_wire(name: &str) -> Vec<Value> {
    let mut cases = group("command line client on the wire");
    cases.retain(|case| case["name"] == name);
    cases
}

fn shown(name: &str) -> Value {
    let cases = group("command line client output");
    let found = cases.iter().find(|case| case["name"] == name).unwrap();
    found["output"].clone()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

/// The recorded identity of this name.
fn seed(name: &str) -> Seed {
    let cases = group("command line client key file");
    let name = format!("identity {name}");
    let found = cases.iter().find(|case| case["name"] == name).unwrap();
    Seed::from_text(text(found, "seed")).unwrap()
}

fn account(name: &str) -> Account {
    PrivateKey::from_seed(&seed(name)).account().unwrap()
}

/// Method and argument of a request, without its id.
fn asked(request: &str) -> (&str, Value) {
    let end = request.rfind(",\"id\":").expect("the id comes last");
    let value: Value = serde_json::from_str(request).unwrap();
    (&request[..end], value)
}

/// The client with the identity `second` and a stand-in behind it.
struct Play {
    stage: Stage,
    folder: tempfile::TempDir,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Play {
    /// `answer` gives the result of a method with its argument, or an error.
    fn new(answer: impl Fn(&str, &Value) -> Result<Value, String> + Send + 'static) -> Self {
        let stage = Stage::rpc(Settings::new(10));
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&requests);
        *stage.stub.script.lock().unwrap() = Some(Box::new(move |request| {
            seen.lock().unwrap().push(request.to_owned());
            let (_, value) = asked(request);
            let (id, argument) = (&value["id"], &value["params"][0]);
            let (result, error) = match answer(text(&value, "method"), argument) {
                Ok(result) => (result, Value::Null),
                Err(error) => (Value::Null, json!(error)),
            };
            format!("{{\"id\":{id},\"result\":{result},\"error\":{error}}}\n")
        }));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("second.json");
        identity::write(&file, "second", &seed("second"), "abcdefgh").unwrap();
        Self {
            stage,
            folder,
            requests,
        }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.requests.lock().unwrap().clear();
        std::process::Command::new(env!("CARGO_BIN_EXE_bitmark-cli"))
            .arg("--json")
            .args(arguments)
            .args(["--rpc", &self.stage.v4.to_string()])
            .env("XDG_CONFIG_HOME", self.folder.path())
            .env("BITMARK_PASSPHRASE", "abcdefgh")
            .output()
            .unwrap()
    }

    /// With the identity.
    fn sign(&self, arguments: &[&str]) -> Output {
        let folder = self.folder.path().to_str().unwrap();
        self.run(&[arguments, &["--identity", "second", "--identities", folder]].concat())
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn result(output: &Output) -> Value {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn error(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn normal() -> Value {
    json!({"chain": "local", "mode": "Normal", "blocks": 7, "version": "zero"})
}

/// The members of the recorded output, in their order; ours may have more behind them.
fn begins_with(ours: &Value, recorded: &Value) {
    let pairs = ours.as_object().unwrap().iter();
    let recorded = recorded.as_object().unwrap();
    let begin: Vec<_> = pairs.take(recorded.len()).collect();
    assert_eq!(begin, recorded.iter().collect::<Vec<_>>());
}

#[test]
fn questions_are_those_of_the_reference_and_their_answers_are_shown() {
    for name in ["Node.Info", "Transaction.Status", "Bitmark.Provenance"] {
        for case in on_the_wire(name) {
            let step = case["exchange"][0].clone();
            let (wanted, request) = asked(text(&step, "request"));
            let reply: Value = serde_json::from_str(text(&step, "reply")).unwrap();
            let (method, argument) = (name, request["params"][0].clone());
            let (of_case, answer) = (argument.clone(), reply["result"].clone());
            let play = Play::new(move |asked, with| {
                let is_it = asked == method && *with == of_case;
                Ok(if is_it { answer.clone() } else { normal() })
            });
            let id = argument["txId"].as_str().unwrap_or_default();
            let output = match name {
                "Node.Info" => play.run(&["peer", "info"]),
                "Transaction.Status" => play.run(&["status", id]),
                _ => play.run(&["provenance", id, "--count", "20"]),
            };
            let requests = play.requests();
            assert!(
                requests.iter().any(|one| asked(one).0 == wanted),
                "{requests:?}"
            );
            match (name, &reply["result"]) {
                ("Node.Info", said) => {
                    let shown = result(&output);
                    for (name, value) in said.as_object().unwrap() {
                        assert_eq!(&shown[name], value);
                    }
                    assert_eq!(requests[0], text(&step, "request"));
                }
                ("Transaction.Status", said) => {
                    assert_eq!(result(&output)["status"], said["status"]);
                }
                (_, said) if said["data"] == json!([]) => {
                    assert!(error(&output).contains("is it confirmed yet?"));
                }
                (_, said) => {
                    let shown = result(&output);
                    for (ours, theirs) in shown
                        .as_array()
                        .unwrap()
                        .iter()
                        .zip(said["data"].as_array().unwrap())
                    {
                        assert_eq!(ours["type"], theirs["record"]);
                        assert_eq!(ours["data"], theirs["data"]);
                        assert_eq!(ours["isOwner"], theirs["isOwner"]);
                    }
                }
            }
        }
    }
}

/// An issue as a request has it.
fn issue_of(argument: &Value) -> (Record, TxId, PayId) {
    let record = Record::from_json("BitmarkIssue", &argument["issues"][0].to_string()).unwrap();
    let packed = record.pack(record.owner()).expect("it is signed");
    (record, TxId::of(&packed), PayId::of([packed.as_slice()]))
}

#[test]
fn a_set_of_issues_that_can_be_paid_for_is_shown_with_the_commands_of_the_wallet() {
    let case = on_the_wire("Assets.Get then Bitmarks.Create").remove(0);
    let reply = |step: usize| -> Value {
        let text = text(&case["exchange"][step], "reply");
        serde_json::from_str::<Value>(text).unwrap()["result"].clone()
    };
    let (asset, created) = (reply(0), reply(1));
    let play = Play::new(move |method, argument| {
        Ok(match method {
            "Assets.Get" => asset.clone(),
            "Bitmarks.Create" => {
                // The issue has its own nonce: the ids that follow from it are put in.
                let (_, tx_id, pay_id) = issue_of(argument);
                let mut created = created.clone();
                created["issues"][0]["txId"] = json!(tx_id);
                created["payId"] = json!(pay_id);
                created
            }
            _ => normal(),
        })
    });
    let fingerprint = "01abf3455d5af8dbbec222bb79ea4b2abb88589c39da5bbe312f6ddd5b0875a7b954a2684df16dcd9e7b7881d1b6e03d9e18cb69c42a8f8f28502c9c5fd8efa585";
    let create = |name: &str| {
        let metadata = "desc=description of asset one";
        let named = ["create", "--name", name, "--fingerprint", fingerprint];
        play.sign(&[&named[..], &["--metadata", metadata, "--payment"]].concat())
    };
    let shown = result(&create("first test asset"));
    let requests = play.requests();
    let (get, _) = asked(text(&case["exchange"][0], "request"));
    assert!(
        requests.iter().any(|one| asked(one).0 == get),
        "{requests:?}"
    );

    // The issue is as recorded but for nonce and signature.
    let (ours, value) = asked(requests.last().unwrap());
    let (issue, tx_id, pay_id) = issue_of(&value["params"][0]);
    let Record::BitmarkIssue(ours_issue) = &issue else {
        panic!("{issue:?}");
    };
    let (theirs, value) = asked(text(&case["exchange"][1], "request"));
    let (other, other_id, other_pay) = issue_of(&value["params"][0]);
    let Record::BitmarkIssue(theirs_issue) = &other else {
        panic!("{other:?}");
    };
    let put = theirs
        .replace(
            &theirs_issue.nonce.to_string(),
            &ours_issue.nonce.to_string(),
        )
        .replace(
            &hex::encode(&theirs_issue.signature),
            &hex::encode(&ours_issue.signature),
        );
    assert_eq!(ours, put);
    // The recorded signature is the one we would have made.
    let mut again = other.clone();
    record::sign(&mut again, &PrivateKey::from_seed(&seed("second"))).unwrap();
    assert_eq!(again, other);

    // Shown is what the reference shows, with our ids.
    let wanted = self::shown("create, payment way").to_string();
    let wanted = wanted
        .replace(&other_id.to_string(), &tx_id.to_string())
        .replace(&other_pay.to_string(), &pay_id.to_string());
    begins_with(&shown, &serde_json::from_str(&wanted).unwrap());

    // Another name: as the reference, it asks for the asset and sends nothing.
    let told = error(&create("another name"));
    assert!(told.contains("nothing was sent"), "{told}");
    let other = on_the_wire("Assets.Get").remove(0);
    let (get, _) = asked(text(&other["exchange"][0], "request"));
    assert_eq!(asked(play.requests().last().unwrap()).0, get);
}

#[test]
fn the_first_proof_of_work_that_counts_is_the_one_of_the_reference() {
    let shown = shown("create, proof way");
    let pay_id: PayId = text(&shown, "payId").parse().unwrap();
    let pay_nonce: PayNonce = text(&shown, "payNonce").parse().unwrap();
    let target = Target::from_text(text(&shown, "difficulty")).unwrap();
    let mut search = NonceSearch::new(&pay_id, &pay_nonce, target);
    let found = search.run(1_000_000).unwrap();
    assert_eq!(
        hex::encode(found.as_bytes()),
        text(&shown, "submittedNonce")
    );
    assert_eq!(shown["proofStatus"], "Accepted");
}

#[test]
fn a_set_that_is_paid_for_by_work_is_shown_as_the_reference_shows_it() {
    let pay_nonce = "d1cc53a056227402";
    // Easy to meet, once.
    let difficulty = format!("0{}", "f".repeat(63));
    let hard = Arc::new(AtomicBool::new(false));
    let (known, is_hard) = (difficulty.clone(), Arc::clone(&hard));
    let play = Play::new(move |method, argument| {
        Ok(match method {
            "Assets.Get" => json!({"assets": [{"record": "", "confirmed": false, "data": null}]}),
            "Bitmarks.Create" if argument["issues"].is_null() => json!({}),
            "Bitmarks.Create" => {
                let (_, tx_id, pay_id) = issue_of(argument);
                let known = match is_hard.load(Ordering::SeqCst) {
                    true => "0".repeat(24) + &known[..40],
                    false => known.clone(),
                };
                json!({"assets": [], "issues": [{"txId": tx_id}], "payId": pay_id, "payNonce": pay_nonce, "difficulty": known})
            }
            "Bitmarks.Proof" => json!({"status": "Accepted"}),
            _ => normal(),
        })
    });
    let shown = result(&play.sign(&["create", "--name", "a", "--fingerprint", "f"]));
    let recorded = self::shown("create, proof way");
    let names =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    let ours = names(&shown);
    assert_eq!(ours[..names(&recorded).len()], names(&recorded));
    assert_eq!(shown["assetId"], json!(AssetId::of(b"f")));
    assert_eq!(
        (&shown["payNonce"], &shown["difficulty"]),
        (&json!(pay_nonce), &json!(difficulty))
    );
    let methods: Vec<Value> = play
        .requests()
        .iter()
        .map(|one| asked(one).1["method"].clone())
        .collect();
    let create = "Bitmarks.Create";
    assert_eq!(
        methods[methods.len() - 4..],
        ["Assets.Get", create, create, "Bitmarks.Proof"]
    );
    let (_, proof) = asked(&play.requests()[methods.len() - 1].clone());
    assert_eq!(proof["params"][0]["nonce"], shown["submittedNonce"]);
    hard.store(true, Ordering::SeqCst);
    let told = error(&play.sign(&["create", "--name", "a", "--fingerprint", "f"]));
    assert!(told.contains("times the work"), "{told}");
}

#[test]
fn an_unratified_transfer_is_sent_and_shown_as_the_reference_does() {
    let case = on_the_wire("Bitmark.Transfer").remove(0);
    let step = &case["exchange"][0];
    let (wanted, recorded) = asked(text(step, "request"));
    let reply: Value = serde_json::from_str(text(step, "reply")).unwrap();
    let recorded = recorded["params"][0].clone();
    // The owner who signed then is not known by key: another bitmark is passed on.
    let key = PrivateKey::from_seed(&seed("second"));
    let mut issue = Record::BitmarkIssue(BitmarkIssue {
        asset_id: AssetId([3; 64]),
        owner: account("second"),
        nonce: 1,
        signature: Vec::new(),
    });
    let id = TxId::of(&record::sign(&mut issue, &key).unwrap());
    let data: Value = serde_json::from_str(&issue.to_json()).unwrap();
    let ids = |argument: &Value| {
        let text = argument.to_string();
        let transfer = Record::from_json("BitmarkTransferUnratified", &text).unwrap();
        let packed = transfer.pack(&account("second")).expect("it is signed");
        (TxId::of(&packed), PayId::of([packed.as_slice()]))
    };
    let sent = reply["result"].clone();
    let play = Play::new(move |method, argument| {
        Ok(match method {
            "Bitmark.Provenance" => {
                json!({"data": [{"record": "BitmarkIssue", "isOwner": true, "txId": id, "inBlock": 2, "data": data}]})
            }
            "Bitmark.Transfer" => {
                let (tx_id, pay_id) = ids(argument);
                let mut sent = sent.clone();
                sent["txId"] = json!(tx_id);
                sent["payId"] = json!(pay_id);
                sent
            }
            _ => normal(),
        })
    });
    let to = account("miner").to_string();
    let shown = result(&play.sign(&["transfer", &id.to_string(), "--to", &to, "--unratified"]));
    let last = play.requests().pop().unwrap();
    let (ours, value) = asked(&last);
    let argument = &value["params"][0];
    let mut put = wanted.to_owned();
    for name in ["link", "owner", "signature"] {
        put = put.replace(text(&recorded, name), text(argument, name));
    }
    assert_eq!(ours, put);
    let (tx_id, pay_id) = (text(&shown, "transferId"), text(&shown, "payId"));
    let wanted = self::shown("transfer --unratified");
    let wanted = wanted
        .to_string()
        .replace(text(&wanted, "transferId"), tx_id)
        .replace(text(&wanted, "payId"), pay_id);
    begins_with(&shown, &serde_json::from_str(&wanted).unwrap());

    // To somebody who does not own it the node is asked for nothing more.
    let wrong = play.sign(&["transfer", &"00".repeat(32), "--to", &to, "--unratified"]);
    assert!(error(&wrong).contains("another transaction"));
}

/// A record that was signed once, with a place for the second signature.
fn once_signed(hex_text: &str) -> (Vec<u8>, Record) {
    let half = hex::decode(hex_text).unwrap();
    let place = [half.as_slice(), &[64], &[0; 64]].concat();
    let (record, used) = Record::unpack(&place, true).unwrap();
    assert_eq!(used, place.len());
    (half, record)
}

#[test]
fn records_that_the_reference_signed_once_are_what_we_sign_and_countersign() {
    let shown_once = shown("transfer (once signed)");
    let (half, mut transfer) = once_signed(text(&shown_once, "transfer"));
    assert_eq!(text(&shown_once, "identity"), account("second").to_string());
    assert_eq!(*transfer.owner(), account("second"));
    assert_eq!(transfer.countersign_message(), half);
    record::sign_second(&mut transfer, &PrivateKey::from_seed(&seed("second")));
    let first = "eaUmCkmZHTfBGxtdQhzz7zJWvJw5zgfQM39wn6PrekX4X7HgFL";
    assert!(transfer.pack(&first.parse().unwrap()).is_ok());

    let shown_once = shown("blocktransfer (once signed)");
    let (half, mut transfer) = once_signed(text(&shown_once, "blockTransfer"));
    record::sign_first(&mut transfer, &PrivateKey::from_seed(&seed("miner")));
    assert_eq!(transfer.countersign_message(), half);
    record::sign_second(&mut transfer, &PrivateKey::from_seed(&seed("second")));
    assert!(transfer.pack(&account("miner")).is_ok());
}

#[test]
fn a_node_that_shows_another_certificate_than_before_is_asked_nothing() {
    let play = Play::new(|_, _| Ok(normal()));
    let first = play.run(&["peer", "height"]);
    assert!(String::from_utf8_lossy(&first.stderr).contains("first visit"));
    let second = play.run(&["peer", "height"]);
    assert_eq!(result(&second)["height"], 7);
    assert!(second.stderr.is_empty());
    let known = play.folder.path().join("bitmark-cli/known-nodes.json");
    let text = std::fs::read_to_string(&known).unwrap();
    let at = text.find(": \"").unwrap() + 3;
    let mut changed = text.clone();
    changed.replace_range(at..at + 8, "00000000");
    std::fs::write(&known, changed).unwrap();
    let told = error(&play.run(&["peer", "height"]));
    assert!(told.contains("nothing was sent"), "{told}");
    assert_eq!(play.requests(), [""; 0]);
    let right = &text[at..at + 64];
    let pinned = play.run(&["peer", "height", "--pin", right]);
    assert_eq!(result(&pinned)["height"], 7);
    let wrong = play.run(&["peer", "height", "--pin", &"11".repeat(32)]);
    assert!(error(&wrong).contains("ask its operator"));
}

#[test]
fn after_setup_neither_node_nor_identity_need_be_named() {
    let play = Play::new(|_, _| Ok(normal()));
    let address = play.stage.v4.to_string();
    let program = |arguments: &[&str]| {
        std::process::Command::new(env!("CARGO_BIN_EXE_bitmark-cli"))
            .arg("--json")
            .args(arguments)
            .env("XDG_CONFIG_HOME", play.folder.path())
            .env("BITMARK_PASSPHRASE", "abcdefgh")
            .output()
            .unwrap()
    };
    assert!(error(&program(&["peer", "height"])).contains("`setup` keeps one"));
    let setup = ["setup", "bob", "--chain", "local", "--rpc", &address];
    assert!(error(&program(&["setup", "bob", "--rpc", "here"])).contains("HOST:PORT"));
    let made = result(&program(&setup));
    assert_eq!(result(&program(&["peer", "height"]))["height"], 7);
    let file = play.folder.path().join("a file");
    std::fs::write(&file, "content").unwrap();
    let signed = result(&program(&["sign", file.to_str().unwrap()]));
    assert!(text(&signed, "signature").len() == 128, "{signed}");
    assert_eq!(text(&made, "name"), "bob");
    assert!(error(&program(&setup)).contains("never overwritten"));
    // A folder of its own is kept as well, and what cannot be kept makes nothing.
    let settings = play.folder.path().join("bitmark-cli/client.toml");
    let first = std::fs::read_to_string(&settings).unwrap();
    std::fs::remove_file(&settings).unwrap();
    let other = play.folder.path().join("alt");
    let setup = ["setup", "ann", "--rpc", &address, "--identities"];
    let setup = [&setup[..], &[other.to_str().unwrap()]].concat();
    let lines = [&setup[..], &["--description", "a\nb"]].concat();
    assert_eq!(program(&lines).status.code(), Some(2));
    std::fs::create_dir(&settings).unwrap();
    assert!(!program(&setup).status.success());
    assert!(!other.join("ann.json").exists());
    std::fs::remove_dir(&settings).unwrap();
    result(&program(&setup));
    let signed = result(&program(&["sign", file.to_str().unwrap()]));
    assert_eq!(signed["identity"], "ann");
    std::fs::write(&settings, first).unwrap();
    // The chain that was written down is the one that is asked for.
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, text.replace("local", "devnet")).unwrap();
    assert!(error(&program(&["peer", "height"])).contains("of chain local, not devnet"));
}

#[test]
fn a_command_line_of_the_nodes_making_is_never_shown() {
    let play = Play::new(|method, argument| {
        Ok(match method {
            "Assets.Get" => json!({"assets": [{"record": "", "confirmed": false, "data": null}]}),
            "Bitmarks.Create" if argument["issues"].is_null() => json!({}),
            "Bitmarks.Create" => {
                let (_, _, pay_id) = issue_of(argument);
                let payment = json!({"currency": "", "address": "x'; touch y; : '", "amount": "1"});
                json!({"payId": pay_id, "payNonce": "d1cc53a056227402", "difficulty": "f".repeat(64), "payments": {"": [payment]}})
            }
            _ => normal(),
        })
    });
    let create = ["create", "--name", "a", "--fingerprint", "f", "--payment"];
    let output = play.sign(&create);
    assert!(output.stdout.is_empty() || !String::from_utf8_lossy(&output.stdout).contains("touch"));
    assert!(error(&output).contains("the node wants to be paid in"));
}

#[test]
fn the_argument_of_a_call_keeps_its_digits() {
    let play = Play::new(|_, _| Ok(normal()));
    let argument = " {\"count\": 18446744073709551616} ";
    play.run(&["call", "Node.List", argument]);
    assert!(play.requests()[1].contains("{\"count\": 18446744073709551616}"));
    let told = error(&play.run(&["call", "Node.List", "{"]));
    assert!(told.contains("a JSON object"), "{told}");
}

#[test]
fn answers_that_are_none_and_nodes_that_lie_are_told() {
    let id = TxId([1; 32]).to_string();
    let told = |answer: Value| {
        let play = Play::new(move |method, _| {
            Ok(if method == "Node.Info" {
                normal()
            } else {
                answer.clone()
            })
        });
        error(&play.run(&["provenance", &id]))
    };
    assert!(told(json!({"data": [{}]})).contains("record that is none"));
    let case = on_the_wire("Bitmark.Provenance").remove(1);
    let reply: Value = serde_json::from_str(text(&case["exchange"][0], "reply")).unwrap();
    let truth = reply["result"].clone();
    assert!(told(truth.clone()).contains("another transaction"));
    let mut lie = truth;
    lie["data"][0]["data"]["nonce"] = json!(5);
    assert!(told(lie).contains("another transaction"));

    let play = Play::new(|_, _| Err("rate limit".to_owned()));
    assert!(error(&play.run(&["status", &id])).contains("the node answers: rate limit"));
    let play = Play::new(|_, _| Ok(json!({"chain": "moon"})));
    assert!(error(&play.run(&["status", &id])).contains("is no chain"));
    let play = Play::new(|_, _| Ok(normal()));
    let other = play.run(&["status", &id, "--chain", "devnet"]);
    assert!(error(&other).contains("of chain local, not devnet"));
    // The peer service is needed for what JSON-RPC has no method for.
    assert!(error(&play.run(&["peer", "block", "2"])).contains("--connect"));
    let _ = Client::new(play.stage.v4, &[]).unwrap();
}

/// A node that shows this provenance for anything.
fn with_provenance(data: Value) -> Play {
    Play::new(move |method, _| {
        Ok(match method {
            "Bitmark.Provenance" => json!({"data": data}),
            "Transaction.Status" => json!({"status": "Confirmed"}),
            _ => normal(),
        })
    })
}

/// A step of a provenance, of a record that the identity `second` signs.
fn step_of(record: &mut Record, block: u64, is_owner: bool) -> Value {
    let id = TxId::of(&record::sign(record, &PrivateKey::from_seed(&seed("second"))).unwrap());
    let data: Value = serde_json::from_str(&record.to_json()).unwrap();
    json!({"record": record.type_name(), "isOwner": is_owner, "txId": id, "inBlock": block, "data": data})
}

fn foundation() -> Value {
    let addresses = [
        (
            Currency::Bitcoin,
            b"msxN7C7cRNgbgyUzt3EcvrpmWXc59sZVN4".to_vec(),
        ),
        (
            Currency::Litecoin,
            b"mjPkDNakVA4w4hJZ6WF7p8yKUV2merhyCM".to_vec(),
        ),
    ];
    let mut record = Record::BlockFoundation(BlockFoundation {
        version: payments::VERSION,
        payments: Payments(addresses.into()),
        owner: account("second"),
        nonce: 1,
        signature: Vec::new(),
    });
    step_of(&mut record, 2, true)
}

fn issued() -> Value {
    let mut record = Record::BitmarkIssue(BitmarkIssue {
        asset_id: AssetId([3; 64]),
        owner: account("second"),
        nonce: 1,
        signature: Vec::new(),
    });
    step_of(&mut record, 2, true)
}

#[test]
fn a_block_that_nobody_signed_or_that_no_node_has_is_not_shown() {
    let told = |step: &Value| {
        let play = with_provenance(json!([step]));
        error(&play.run(&["provenance", text(step, "txId")]))
    };
    let honest = foundation();
    let shown = with_provenance(json!([honest])).run(&["provenance", text(&honest, "txId")]);
    assert_eq!(result(&shown)[0]["type"], "BlockFoundation");
    let mut unsigned = honest.clone();
    unsigned["data"]["signature"] = json!("00".repeat(64));
    let said = told(&unsigned);
    assert!(said.contains("not signed by its owner"), "{said}");
    let mut above = honest.clone();
    above["inBlock"] = json!(u64::MAX);
    assert!(told(&above).contains("above its height 7"));
    above["inBlock"] = json!(0);
    assert!(told(&above).contains("in no block"));
    // A transfer of bitmarks does not follow it, whoever signs.
    let mut transfer = Record::BitmarkTransferUnratified(BitmarkTransferUnratified {
        link: text(&honest, "txId").parse().unwrap(),
        escrow: None,
        owner: account("second"),
        signature: Vec::new(),
    });
    let transfer = step_of(&mut transfer, 3, true);
    let mut before = honest;
    before["isOwner"] = json!(false);
    let play = with_provenance(json!([transfer, before]));
    let said = error(&play.run(&["provenance", text(&transfer, "txId")]));
    assert!(said.contains("may not follow BlockFoundation"), "{said}");
}

#[test]
fn a_block_and_a_bitmark_are_each_passed_on_by_their_own_command() {
    let to = account("miner").to_string();
    let (block, bitmark) = (foundation(), issued());
    let play = with_provenance(json!([block]));
    let id = text(&block, "txId");
    let said = error(&play.sign(&["transfer", id, "--to", &to, "--unratified"]));
    assert!(said.contains("`block-transfer` passes it on"), "{said}");
    let addresses = [
        "--bitcoin",
        "msxN7C7cRNgbgyUzt3EcvrpmWXc59sZVN4",
        "--litecoin",
        "mjPkDNakVA4w4hJZ6WF7p8yKUV2merhyCM",
    ];
    let give = |id: &str| {
        let give = ["block-transfer", id, "--to", &to];
        [&give[..], &addresses]
            .concat()
            .iter()
            .map(|text| (*text).to_owned())
            .collect::<Vec<_>>()
    };
    let own = give(id);
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    assert!(result(&play.sign(&own))["blockTransfer"].is_string());
    let play = with_provenance(json!([bitmark]));
    let own = give(text(&bitmark, "txId"));
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let said = error(&play.sign(&own));
    assert!(said.contains("a bitmark, not a block"), "{said}");
}

#[test]
fn pages_that_do_not_go_on_come_to_an_end() {
    let entry = json!({"n": "1", "txId": TxId([1; 32]), "issue": TxId([2; 32]), "item": "Block", "blockNumber": 2});
    let play = |count: usize, step: u64, honest_pages: u64| {
        let entry = entry.clone();
        Play::new(move |method, argument| {
            if method != "Owner.Bitmarks" {
                return Ok(normal());
            }
            let start: u64 = text(argument, "start").parse().unwrap();
            let is_last = start >= honest_pages * 100;
            let count = if is_last { count } else { 100 };
            let step = if is_last { step } else { 100 };
            Ok(
                json!({"next": (start + step).to_string(), "data": vec![entry.clone(); count], "tx": {}}),
            )
        })
    };
    let owner = account("second").to_string();
    let owned = ["owned", owner.as_str()];
    let honest = result(&play(7, 7, 2).run(&owned));
    assert_eq!(honest.as_array().unwrap().len(), 207);
    assert!(error(&play(101, 101, 0).run(&owned)).contains("101 entries at once"));
    for step in [0, 1, 99] {
        let said = error(&play(100, step, 1).run(&owned));
        assert!(said.contains("pages do not go on"), "{said}");
    }
}

#[test]
fn texts_of_a_node_are_shown_on_one_line_and_move_nothing_on_the_terminal() {
    const TEXT: &str = "\u{1b}[31mred\u{202e}\r\nfake line";
    const SHOWN: &str = "\\u{1b}[31mred\\u{202e}\\r\\nfake line";
    let id = TxId([1; 32]).to_string();
    let program = |play: &Play, arguments: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_bitmark-cli"))
            .args(arguments)
            .args(["--rpc", &play.stage.v4.to_string()])
            .env("XDG_CONFIG_HOME", play.folder.path())
            .output()
            .unwrap();
        let (out, err) = (output.stdout, output.stderr);
        let all = String::from_utf8([out, err].concat()).unwrap();
        assert!(!all.contains(['\u{1b}', '\r', '\u{202e}']), "{all:?}");
        assert!(!all.contains("\nfake line"), "{all:?}");
        all
    };
    let play = Play::new(|method, _| match method {
        "Node.Info" => {
            Ok(json!({"chain": "local", "mode": "Normal", "blocks": 7, "version": TEXT}))
        }
        "Transaction.Status" => Ok(json!({"status": TEXT})),
        _ => Err(TEXT.to_owned()),
    });
    for arguments in [
        &["peer", "info"][..],
        &["status", &id],
        &["provenance", &id],
        &["status", &id, "--verbose"],
    ] {
        let all = program(&play, arguments);
        assert!(all.contains(SHOWN), "{arguments:?}: {all}");
    }
    let play = Play::new(|_, _| Ok(json!({"chain": TEXT})));
    let all = program(&play, &["peer", "info"]);
    assert!(all.contains("is no chain") && all.contains(SHOWN), "{all}");
    let long = "x".repeat(100_000);
    let play = Play::new(move |_, _| Err(long.clone()));
    assert!(program(&play, &["peer", "info"]).len() < 10_000);
}

#[test]
fn the_certificate_of_the_settings_holds_whoever_names_their_node() {
    let play = Play::new(|_, _| Ok(normal()));
    let folder = play.folder.path().join("bitmark-cli");
    std::fs::create_dir_all(&folder).unwrap();
    let pin = "11".repeat(32);
    let settings = |address: &str| {
        let text = format!("rpc = \"{address}\"\npin = \"{pin}\"\n");
        std::fs::write(folder.join("client.toml"), text).unwrap();
    };
    let port = play.stage.v4.port();
    settings(&format!("127.0.0.1:0{port}"));
    let said = error(&play.run(&["peer", "height"]));
    assert!(said.contains("nothing was sent"), "{said}");
    assert_eq!(play.requests(), [""; 0]);
    // Another address is another node.
    settings("127.0.0.1:1");
    assert_eq!(result(&play.run(&["peer", "height"]))["height"], 7);
}
