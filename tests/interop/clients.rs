//! Row 6: the reference's client does its work at our node, and ours at theirs.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::launch::seen;
use crate::network::SIX;
use crate::payments::Discovery;
use crate::reference;
use crate::stage::Stage;

/// A block takes 256 digests in the mean.
const MINED: Duration = Duration::from_secs(1_200);
const TAKEN: Duration = Duration::from_secs(120);
const PASSWORD: &str = "correct horse battery";

/// The reference's client with a file of its own.
struct Theirs {
    file: PathBuf,
}

impl Theirs {
    fn run(&self, identity: &str, arguments: &[&str]) -> Value {
        let output = reference::program("bitmark-cli")
            .arg("-c")
            .arg(&self.file)
            .args(["-p", PASSWORD, "-i", identity])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }
}

fn text(value: &Value, pointer: &str) -> String {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found
        .unwrap_or_else(|| panic!("{pointer} in {value}"))
        .to_owned()
}

/// Mines at our first node until all nodes have the records confirmed.
fn confirm(stage: &mut Stage, ids: &[String]) {
    for id in ids {
        stage.all_think(id, "Verified", TAKEN);
    }
    stage.mine_at(0, 2);
    for id in ids {
        stage.all_think(id, "Confirmed", MINED);
    }
    stage.stop_miners();
}

#[test]
#[ignore = "needs REFERENCE_BIN"]
fn row_06_each_client_does_its_work_at_the_other_kind_of_node() {
    let mut stage = Stage::new(&SIX).acquainted();
    let mut discovery = Discovery::new(stage.discovery);
    stage.start_all();
    stage.wait_normal();
    let (ours, theirs) = (0, 1);

    let client = Theirs {
        file: stage.folder().join("their-client.conf"),
    };
    let service = format!("127.0.0.1:{}", stage.nodes[ours].plan.rpc4);
    let setup = ["setup", "-n", "local", "-x", &service, "-d", "the first"];
    client.run("alice", &setup);
    client.run("bob", &["add", "-d", "the second"]);
    let info = client.run("alice", &["bitmarkInfo"]);
    assert_eq!(info["chain"], "local", "{info}");
    let asset = ["-a", "theirs", "-m", "by\\u0000them", "-f", "their file"];
    let made = client.run(
        "alice",
        &[&["create", "-q", "2", "-n"], &asset[..]].concat(),
    );
    seen(
        stage.begin,
        format_args!("their create: {}", made["proofStatus"]),
    );
    assert_eq!(made["proofStatus"], "Accepted", "{made}");
    let their_issues = [0, 1].map(|n| text(&made, &format!("/issueIds/{n}")));

    let receiver = stage.second_identity();
    let made = stage.create(theirs, "ours", 2);
    let our_issues = [0, 1].map(|n| text(&made, &format!("/issueIds/{n}")));
    let issues = [&their_issues[..], &our_issues].concat();
    confirm(&mut stage, &issues);

    // Theirs at ours: at once, and with both signatures.
    let single = client.run(
        "alice",
        &["transfer", "-t", &their_issues[0], "-r", "bob", "-u"],
    );
    discovery.pay(&text(&single, "/payId"));
    let half = client.run("alice", &["transfer", "-t", &their_issues[1], "-r", "bob"]);
    let both = client.run("bob", &["countersign", "-t", &text(&half, "/transfer")]);
    discovery.pay(&text(&both, "/payId"));
    let mut transfers = vec![text(&single, "/transferId"), text(&both, "/transferId")];

    // Ours at theirs.
    let account = receiver.account.clone();
    let to = ["--to", &account];
    let single = stage.client(
        theirs,
        &[&["transfer", &our_issues[0], "--unratified"], &to[..]].concat(),
    );
    discovery.pay(&text(&single, "/payId"));
    let half = stage.client(theirs, &[&["transfer", &our_issues[1]], &to[..]].concat());
    let both = stage.client_as(
        &receiver.name,
        theirs,
        &["countersign", &text(&half, "/transfer")],
    );
    discovery.pay(&text(&both, "/payId"));
    transfers.extend([text(&single, "/transferId"), text(&both, "/transferId")]);
    seen(stage.begin, "four transfers are sent and paid for");
    confirm(&mut stage, &transfers);

    for (issue, id) in issues.iter().zip(&transfers) {
        let status = client.run("alice", &["status", "-t", id]);
        assert_eq!(status["status"], "Confirmed", "{status}");
        let status = stage.client(theirs, &["status", id]);
        assert_eq!(status["status"], "Confirmed", "{status}");
        let way = client.run("alice", &["provenance", "-t", id]);
        assert_eq!(way["data"][0]["txId"], **id, "{way}");
        assert_eq!(way["data"][1]["txId"], **issue, "{way}");
        // Each client has names of its own for the steps, and shows the same records.
        let ours = stage.client(theirs, &["provenance", id]);
        let steps = |way: &Value| -> Vec<[Value; 3]> {
            let steps = way.as_array().unwrap().iter();
            steps
                .map(|step| ["txId", "isOwner", "data"].map(|name| step[name].clone()))
                .collect()
        };
        assert_eq!(steps(&ours), steps(&way["data"]), "{ours}");
    }
    seen(stage.begin, "status and provenance are the same at both");
    let owned = stage.client(theirs, &["owned", &account]);
    let ids: Vec<&str> = owned
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["txId"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 2, "{owned}");
    for id in &transfers[2..] {
        assert!(ids.contains(&id.as_str()), "{owned}");
    }
}
