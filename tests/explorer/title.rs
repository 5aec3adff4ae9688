//! The proof of title that the explorer hands out is the one that the client makes.

use bitmarkd::core::title::{self, Known};

use crate::http::get;
use crate::stage::{Stage, eventually};

/// What the explorer hands out when no block came between it and the client's.
fn both(stage: &Stage, id: &str, known: Option<u64>) -> String {
    let at = format!("127.0.0.1:{}", stage.nodes[0].plan.explorer);
    let known = known.map(|number| number.to_string());
    let mut path = format!("/api/title/{id}");
    let mut arguments = vec!["prove", id];
    if let Some(number) = &known {
        path = format!("{path}?from={number}");
        arguments.extend(["--from-known", number]);
    }
    eventually("one title at both", || {
        let answer = get(&at, &path);
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let file = format!("attachment; filename=\"title-{}.json\"", &id[..8]);
        assert_eq!(answer.header("content-disposition"), Some(file.as_str()));
        let proved = stage.client_output(0, &arguments);
        assert!(proved.status.success());
        (proved.stdout == answer.body.as_bytes()).then_some(answer.body)
    })
}

#[test]
fn the_explorer_hands_out_the_title_that_the_client_proves_and_tells_why_there_is_none() {
    let mut stage = Stage::normal("devnet", 4);
    stage.mine_at(0);
    let at = format!("127.0.0.1:{}", stage.nodes[0].plan.explorer);
    stage.create(0, "The mill", true);
    let issue = stage.create(0, "The house", true);
    let text = both(&stage, &issue, None);
    let says = title::verify(text.as_bytes(), &Known::new(), |_, _| {}).unwrap();
    assert_eq!(says.owner.to_string(), stage.identity.account);

    // From a known block it is shorter, and speaks to who knows that block alone.
    let short = both(&stage, &issue, Some(2));
    assert!(short.contains("\n  \"first\": 3,\n"), "{short}");
    let digest = stage.client(0, &["peer", "hash", "2"]);
    let known = [(2, digest["digest"].as_str().unwrap().parse().unwrap())].into();
    assert!(title::verify(short.as_bytes(), &known, |_, _| {}).is_ok());
    assert!(title::verify(short.as_bytes(), &Known::new(), |_, _| {}).is_err());

    let to = bitmarkd::core::keys::PrivateKey::from_ed25519_seed(&[7; 32], true);
    let to = to.account().unwrap().to_string();
    let sent = stage.client(0, &["transfer", &issue, "--to", &to, "--unratified"]);
    let transfer = sent["txId"].as_str().unwrap().to_owned();
    stage.wait_transaction(0, &transfer, "Pending");
    let refused = |id: &str, status: u16, why: &str| {
        let answer = get(&at, &format!("/api/title/{id}"));
        assert_eq!(answer.status, status, "{}", answer.body);
        assert_eq!(answer.header("content-disposition"), None);
        let told = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(told.contains(why), "{told}");
    };
    refused(&transfer, 404, "waits: it is in no block yet");
    // The present owner has a title as long as nobody follows in a block.
    both(&stage, &issue, None);
    stage.client(0, &["pay", sent["payId"].as_str().unwrap(), "--simulate"]);
    stage.wait_transaction(0, &transfer, "Confirmed");
    let text = both(&stage, &transfer, None);
    let says = title::verify(text.as_bytes(), &Known::new(), |_, _| {}).unwrap();
    assert_eq!((says.owner.to_string(), says.transfers), (to, 1));
    refused(&issue, 404, "name the newest transfer");
    refused(&"07".repeat(32), 404, "is it confirmed yet?");
    refused(&"ab".repeat(64), 404, "this is an asset");
    refused("zz", 400, "no transaction id");
}
