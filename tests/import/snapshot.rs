//! A snapshot of a stopped node's folder, and a store made of it: what is taken, what is refused, and
//! what an end in the middle leaves.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Stdio};

use bitmarkd::core::chain::DEVNET;
use bitmarkd::core::ledger::checked::Checked;
use bitmarkd::core::ledger::{Ledger, UNDO_KEPT};
use bitmarkd::core::snapshot::{MAGIC, POOLS, UNDO_BLOCKS, Writer, read_whole};
use bitmarkd::core::state::{Pool, View as _};

use crate::stage::{Entries, Place, chain_up_to, err, out, told};

/// Exports; gives the hash of the manifest.
fn export(place: &Place, args: &[&str]) -> String {
    let run = place.run(&[&["snapshot", "export"], args].concat());
    hash_in(&out(&run.success()))
}

fn hash_in(text: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix("manifest:"));
    line.unwrap_or_else(|| panic!("{text}")).trim().to_owned()
}

/// The block that this entry takes off, if it is one that does.
fn undo_number(key: &[u8]) -> Option<u64> {
    let number = key.strip_prefix(&[Pool::Undo.prefix()])?;
    number.try_into().ok().map(u64::from_be_bytes)
}

/// The blocks for which a place has what takes them off.
fn undo_of(place: &Place) -> Vec<u64> {
    let entries = place.entries(&[Pool::Undo]);
    entries.keys().filter_map(|key| undo_number(key)).collect()
}

/// The pools of a place at this height, without undo data that no snapshot of it holds.
fn pools_of(place: &Place, height: u64) -> Entries {
    let mut entries = place.entries(&POOLS);
    entries.retain(|key, _| undo_number(key).is_none_or(|number| number + UNDO_BLOCKS > height));
    entries
}

#[test]
fn what_is_exported_is_what_is_imported_and_the_same_chain_gives_the_same_file() {
    let height = UNDO_KEPT + 20;
    let blocks = chain_up_to(height, "chain");
    let first = Place::loaded(&blocks);
    let hash = export(&first, &["chain.snapshot"]);
    let mode = first
        .path("chain.snapshot")
        .metadata()
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    // Another node with the same chain, which was higher once.
    let second = Place::loaded(&chain_up_to(height, "chain"));
    second
        .run(&["delete-down", &(height - 3).to_string()])
        .success();
    let lower = Place::loaded(&blocks[..blocks.len() - 4]);
    export(&second, &["lower.snapshot"]);
    export(&lower, &["lower.snapshot"]);
    let bytes = |place: &Place, name: &str| std::fs::read(place.path(name)).unwrap();
    assert!(bytes(&second, "lower.snapshot") == bytes(&lower, "lower.snapshot"));

    let fresh = Place::new("devnet");
    let file = first.path("chain.snapshot");
    let file = file.to_str().unwrap();
    let run = fresh.run(&["snapshot", "import", file, "--manifest", &hash]);
    let text = out(&run.success());
    assert!(text.contains(&format!("the height is {height}")), "{text}");
    assert!(pools_of(&fresh, height) == pools_of(&first, height));
    let store = fresh.store();
    let ledger = Ledger::load(&DEVNET, &store).unwrap();
    assert_eq!(ledger.height(), height);
    let checked = Checked::load(&store, height).unwrap();
    assert_eq!(checked, Some(Checked::nothing_of(height)));
    drop(store);

    // What came of a snapshot gives the same one, and says that it vouches for nothing.
    let run = fresh
        .run(&["snapshot", "export", "again.snapshot"])
        .success();
    assert!(err(&run).contains(&format!("up to block 1 of {height}: do not vouch")));
    assert_eq!(hash_in(&out(&run)), hash);
    assert!(bytes(&fresh, "again.snapshot") == bytes(&first, "chain.snapshot"));
    // Blocks come off exactly, by what the snapshot held of what they changed: some of them, then
    // all for which it held that.
    let held = height - UNDO_BLOCKS;
    for lower in [height - 10, held] {
        let run = fresh.run(&["delete-down", &(lower + 1).to_string()]);
        let told = err(&run.success());
        assert!(!told.contains("do not return"), "{told}");
        assert_eq!(undo_of(&fresh), (held + 1..=lower).collect::<Vec<_>>());
        let built = Place::loaded(&blocks[..blocks.len() - (height - lower) as usize]);
        // What takes off lower blocks is with that one alone.
        let mut expected = built.entries(&POOLS);
        expected.retain(|key, _| undo_number(key).is_none_or(|number| number > held));
        assert!(fresh.entries(&POOLS) == expected, "at block {lower}");
    }
    // Its indexes follow from its blocks.
    let built = Place::loaded(&blocks[..blocks.len() - UNDO_BLOCKS as usize]);
    fresh.run(&["rebuild"]).success();
    let all = |place: &Place| place.entries(&POOLS);
    assert!(all(&fresh) == all(&built));
}

#[test]
fn a_file_is_not_overwritten_unless_it_is_said_and_an_empty_store_has_no_snapshot() {
    let place = Place::loaded(&chain_up_to(4, "chain"));
    std::fs::write(place.path("there"), "mine").unwrap();
    let text = told(place.run(&["snapshot", "export", "there"]));
    assert!(text.contains("is not overwritten"), "{text}");
    assert_eq!(
        std::fs::read_to_string(place.path("there")).unwrap(),
        "mine"
    );
    let hash = export(&place, &["there", "--force"]);
    let text = out(&place.run(&["snapshot", "verify", "there"]).success());
    assert!(
        text.contains(&hash) && text.contains("height    4"),
        "{text}"
    );
    let left = std::fs::read_dir(place.path(".")).unwrap();
    let left = left.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with('.')
    });
    assert_eq!(left.count(), 0);
    let empty = Place::new("devnet");
    let text = told(empty.run(&["snapshot", "export", "file"]));
    assert!(text.contains("there is no store"), "{text}");
    empty.run(&["delete-down", "2"]).success();
    drop(empty.store());
    let text = told(empty.run(&["snapshot", "export", "file"]));
    assert!(text.contains("there is no block"), "{text}");
    assert!(!empty.path("file").exists());
}

/// A place that has taken nothing.
fn is_empty(place: &Place) -> bool {
    let data = place.path("data");
    !data.exists() || data.read_dir().unwrap().next().is_none()
}

#[test]
fn nothing_is_taken_of_what_is_not_whole_or_nobody_vouches_for() {
    let source = Place::loaded(&chain_up_to(5, "chain"));
    let hash = export(&source, &["good"]);
    let good = std::fs::read(source.path("good")).unwrap();
    let fresh = Place::new("devnet");
    let refused = |bytes: &[u8], args: &[&str]| {
        std::fs::write(fresh.path("file"), bytes).unwrap();
        let text = told(fresh.run(&[&["snapshot", "import", "file"], args].concat()));
        assert!(is_empty(&fresh), "{text}");
        text
    };
    let vouched = ["--manifest", hash.as_str()];
    let text = refused(&good, &[]);
    assert!(
        text.contains("nobody vouches") && text.contains(&hash),
        "{text}"
    );
    let other = "00".repeat(32);
    let text = refused(&good, &["--manifest", &other]);
    assert!(text.contains("not the one that was given"), "{text}");
    for cut in [0, 5, 11, good.len() / 2, good.len() - 1] {
        let text = refused(&good[..cut], &vouched);
        assert!(text.contains(&format!("it ends at byte {cut}")), "{text}");
    }
    let text = refused(&[&good, b"x".as_slice()].concat(), &vouched);
    assert!(text.contains("something else follows"), "{text}");
    let text = refused(&[b"else".as_slice(), &good].concat(), &vouched);
    assert!(text.contains("this is no snapshot"), "{text}");
    let mut newer = good.clone();
    newer[MAGIC.len() + 1] = 2;
    let text = refused(&newer, &vouched);
    assert!(text.contains("has format 2"), "{text}");
    let mut damaged = good.clone();
    damaged[200] ^= 1;
    let text = refused(&damaged, &vouched);
    assert!(text.contains("chunk 0 (assets) is damaged"), "{text}");
    let mut damaged = good.clone();
    let at = good.len() - 300;
    damaged[at] ^= 1;
    let text = refused(&damaged, &vouched);
    assert!(text.contains("not the one that was given"), "{text}");

    let elsewhere = Place::new("local");
    std::fs::write(elsewhere.path("file"), &good).unwrap();
    let text = told(elsewhere.run(&["snapshot", "import", "file", "--manifest", &hash]));
    assert!(
        text.contains("of chain devnet") && text.contains("for chain local"),
        "{text}"
    );
    // A store that is there is left alone.
    let before = source.entries(&Pool::ALL);
    let text = told(source.run(&["snapshot", "import", "good", "--manifest", &hash]));
    assert!(text.contains("there is a store already"), "{text}");
    assert!(source.entries(&Pool::ALL) == before);
}

#[test]
fn a_signature_of_a_trusted_account_is_enough_and_no_other() {
    let source = Place::loaded(&chain_up_to(4, "chain"));
    let identity = |name: &str| {
        let run = source.run(&["gen-proof-identity", name]).success();
        let text = out(&run);
        let account = text.lines().find_map(|line| line.strip_prefix("account: "));
        account.unwrap().to_owned()
    };
    let (one, two) = (identity("one"), identity("two"));
    export(&source, &["good", "--sign-with", "one.sign"]);
    let file = source.path("good");
    let file = file.to_str().unwrap();
    let import =
        |place: &Place, args: &[&str]| place.run(&[&["snapshot", "import", file], args].concat());
    let fresh = Place::new("devnet");
    let text = told(import(&fresh, &["--signed-by", &two]));
    assert!(text.contains("none of the trusted accounts"), "{text}");
    assert!(is_empty(&fresh));
    let text = out(&import(&fresh, &["--signed-by", &one]).success());
    assert!(text.contains(&format!("signed by {one}")), "{text}");

    // By the configuration, and by a second signature beside the first.
    source
        .run(&["snapshot", "sign", "good", "--key", "two.sign"])
        .success();
    let text = out(&source.run(&["snapshot", "verify", "good"]).success());
    assert!(text.contains(&format!("signed by {one}")), "{text}");
    assert!(text.contains(&format!("signed by {two}")), "{text}");
    let configured = Place::new("devnet");
    let path = configured.path("node.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = format!("{text}[snapshot]\ntrusted_keys = [\"{two}\"]\n");
    std::fs::write(&path, text).unwrap();
    import(&configured, &[]).success();

    // One of another snapshot does not count.
    let moved = Place::loaded(&chain_up_to(5, "chain"));
    export(&moved, &["other"]);
    std::fs::copy(source.path("good.sig"), moved.path("other.sig")).unwrap();
    let text = out(&moved.run(&["snapshot", "verify", "other"]).success());
    assert!(text.contains(&format!("NOT signed by {one}")), "{text}");
    let fresh = Place::new("devnet");
    let file = moved.path("other");
    let args = [
        "snapshot",
        "import",
        file.to_str().unwrap(),
        "--signed-by",
        &one,
    ];
    let text = told(fresh.run(&args));
    assert!(text.contains("none of the trusted accounts"), "{text}");
    assert!(is_empty(&fresh));
}

#[test]
fn a_manifest_of_nonsense_is_refused_though_its_hash_was_given() {
    let source = Place::loaded(&chain_up_to(5, "chain"));
    export(&source, &["good"]);
    let bytes = std::fs::read(source.path("good")).unwrap();
    let mut entries = Vec::new();
    let manifest = read_whole(&bytes, |pool, key, value| {
        entries.push((pool, key.to_vec(), value.to_vec()));
    });
    let manifest = manifest.unwrap();
    let mut out = Vec::new();
    let mut writer = Writer::new("devnet", manifest.height, manifest.digest, &mut out);
    for (pool, key, value) in &entries {
        if *pool != Pool::BlockDigest || key.last() != Some(&3) {
            writer.entry(*pool, key, value, &mut out).unwrap();
        }
    }
    let hash = writer.finish(&mut out).hash().to_string();
    let fresh = Place::new("devnet");
    std::fs::write(fresh.path("file"), &out).unwrap();
    let text = told(fresh.run(&["snapshot", "import", "file", "--manifest", &hash]));
    assert!(
        text.contains("(digests) is damaged: a block is missing"),
        "{text}"
    );
    assert!(is_empty(&fresh));
}

/// A process that does not outlive the test.
struct Importing(Child);

impl Drop for Importing {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_import_that_is_killed_leaves_a_whole_store_or_none_and_is_run_again() {
    let height = 120;
    let source = Place::loaded(&chain_up_to(height, "chain"));
    let hash = export(&source, &["good"]);
    let fresh = Place::new("devnet");
    let file = source.path("good");
    let args = [
        "snapshot",
        "import",
        file.to_str().unwrap(),
        "--manifest",
        &hash,
    ];
    let importing = fresh.path("data/devnet.sled.importing");
    let mut unfinished = 0;
    for round in 0..12_u32 {
        let _ = std::fs::remove_dir_all(fresh.path("data/devnet.sled"));
        let child = fresh
            .program()
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut child = Importing(child);
        // Killed when its files are there, later from round to round.
        let mut seen = 0;
        while child.0.try_wait().unwrap().is_none() {
            let there = importing
                .join("db")
                .metadata()
                .map_or(0, |facts| facts.len());
            seen += u32::from(there > 0);
            if seen > round * round * 40 {
                break;
            }
        }
        drop(child);
        if fresh.path("data/devnet.sled").exists() {
            assert!(pools_of(&fresh, height) == pools_of(&source, height));
        } else if importing.exists() {
            unfinished += 1;
            let text = told(fresh.run(&["delete-down", "2"]));
            assert!(text.contains("did not come to its end"), "{text}");
        }
    }
    assert!(unfinished > 0);
    let _ = std::fs::remove_dir_all(fresh.path("data/devnet.sled"));
    fresh.run(&args).success();
    assert!(!importing.exists());
    assert!(pools_of(&fresh, height) == pools_of(&source, height));
    let store = fresh.store();
    assert_eq!(Ledger::load(&DEVNET, &store).unwrap().height(), height);
    assert!(
        store
            .get(Pool::Meta, b"digests-to-check")
            .unwrap()
            .is_some()
    );
}
