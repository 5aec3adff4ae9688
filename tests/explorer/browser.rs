//! The pages in a real browser, beside a network in which something is created and passed on.
//!
//! With `SCREENSHOTS=FOLDER` the pages are saved there as they look.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bitmarkd::core::title;
use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use sha3::{Digest as _, Sha3_512};

use crate::http::get;
use crate::served::{HANGS, NAMES, Served};
use crate::stage::Stage;
use crate::stage::waiting::Looking;

const PATIENCE: Duration = Duration::from_secs(60);
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

/// `chromedriver`, which ends with this, and the browsers with it.
struct Driver {
    process: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Driver {
    fn start() -> Self {
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is there: `make setup-tests` installs it");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines
            .find_map(|line| {
                let line = line.ok()?;
                let (_, port) = line.rsplit_once("successfully on port ")?;
                port.trim_end_matches('.').parse().ok()
            })
            .expect("a port");
        // What it prints later has to go somewhere.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            process,
            port,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Where browsers put files.
    fn downloads(&self) -> PathBuf {
        self.folder.path().join("downloads")
    }

    /// What a screen reader is told of an element: its `role` or `label`.
    async fn computed(&self, page: &Page, element: &Element, what: &str) -> String {
        let session = page.0.session_id().await.unwrap().unwrap();
        let element = element.element_id();
        let path = format!("/session/{session}/element/{}/computed{what}", &*element);
        let answer = get(&format!("127.0.0.1:{}", self.port), &path).json();
        answer["value"].as_str().unwrap().to_owned()
    }

    /// A browser of its own: nothing is kept from another one.
    async fn open(&self, name: &str, more: &[&str], phone: bool) -> Page {
        let profile = self.folder.path().join(name);
        let mut arguments = vec![
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--window-size=1180,900".to_owned(),
            format!("--user-data-dir={}", profile.display()),
        ];
        arguments.extend(more.iter().map(|&one| one.to_owned()));
        let mut options = json!({
            "args": arguments,
            "prefs": {"download.default_directory": self.downloads()},
        });
        if phone {
            options["mobileEmulation"] =
                json!({"deviceMetrics": {"width": 380, "height": 800, "pixelRatio": 2.0}});
        }
        let capabilities = json!({
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        });
        let Value::Object(capabilities) = capabilities else {
            unreachable!()
        };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{}", self.port))
            .await
            .unwrap();
        Page(client)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        // A browser outlives the driver that started it, when a test fails before it is closed.
        let profiles = format!("--user-data-dir={}", self.folder.path().display());
        for pid in browsers_of(&profiles) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

/// The processes with a profile in this folder, which no other test has.
fn browsers_of(profiles: &str) -> Vec<rustix::process::Pid> {
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let is_ours = String::from_utf8_lossy(&line).contains(profiles);
        rustix::process::Pid::from_raw(pid).filter(|_| is_ours)
    })
    .collect()
}

struct Page(Client);

impl Page {
    async fn run(&self, script: &str) -> Value {
        self.0.execute(script, Vec::new()).await.unwrap()
    }

    /// Waits until an expression is true.
    async fn until(&self, what: &str, expression: &str) {
        // Between two looks: what is drawn when tells nobody outside of the page.
        let looking = Looking::begin(PATIENCE, Duration::from_millis(50));
        while self.run(&format!("return Boolean({expression})")).await != true {
            if !looking.again_among_others().await {
                let text = self.run("return document.body.innerText").await;
                panic!(
                    "{what}: {expression}\n{}",
                    text.as_str().unwrap_or_default()
                );
            }
        }
    }

    /// Opens a page by what stands behind the `#`, and waits until it is drawn.
    async fn show(&self, at: &str, hash: &str, heading: &str) {
        self.0.goto(&format!("http://{at}/{hash}")).await.unwrap();
        self.heading(heading).await;
    }

    async fn heading(&self, text: &str) {
        let wanted = json!(text);
        let expression = format!("document.querySelector('h1')?.textContent.startsWith({wanted})");
        self.until(text, &expression).await;
    }

    async fn click(&self, css: &str) {
        let found = self.0.find(Locator::Css(css)).await.unwrap();
        found.click().await.unwrap();
    }

    async fn press(&self, key: &str) {
        let active = self.0.active_element().await.unwrap();
        active.send_keys(key).await.unwrap();
    }

    /// No part of the page is wider than the window.
    async fn fits(&self) {
        self.until(
            "nothing sticks out",
            "document.documentElement.scrollWidth <= window.innerWidth",
        )
        .await;
    }

    async fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("SCREENSHOTS") else {
            return;
        };
        // What is asked for, loaded or moves has come to rest, and was painted.
        self.0
            .execute_async(
                "const done = arguments[0]; \
                 const rest = () => Promise.all(document.getAnimations() \
                   .filter((one) => one.effect.getComputedTiming().endTime !== Infinity) \
                   .map((one) => one.finished.catch(() => {}))); \
                 const painted = () => new Promise((then) => \
                   requestAnimationFrame(() => requestAnimationFrame(then))); \
                 document.fonts.ready.then(painted).then(rest).then(painted).then(() => done(true))",
                Vec::new(),
            )
            .await
            .unwrap();
        let bytes = self.0.screenshot().await.unwrap();
        let folder = PathBuf::from(folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(name).with_extension("png"), bytes).unwrap();
    }
}

/// What was made before somebody looks.
struct Made {
    at: String,
    account: String,
    issue: String,
    transfer: String,
    waiting: String,
    document: PathBuf,
    fingerprint: String,
}

fn other_identity(stage: &Stage) -> (String, Vec<String>) {
    let phrase = stage.folder().join("phrase");
    std::fs::write(&phrase, "correct horse battery\n").unwrap();
    let places = stage.folder().join("others");
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let other = vec![
        "--identities".to_owned(),
        text(&places),
        "--passphrase-file".to_owned(),
        text(&phrase),
    ];
    let made = Command::new(env!("CARGO_BIN_EXE_bitmark-cli"))
        .args(["--json", "identity", "new", "other"])
        .args(&other)
        .output()
        .unwrap();
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    (made["account"].as_str().unwrap().to_owned(), other)
}

/// A document is registered and passed on twice; the second time nobody pays.
fn make(stage: &Stage) -> Made {
    let document = stage.folder().join("harbour.txt");
    // Longer than any piece in which a browser reads.
    std::fs::write(&document, "A drawing of the harbour.\n".repeat(200_000)).unwrap();
    let name = document.to_str().unwrap();
    let arguments = [
        "create",
        "--name",
        "Harbour at dusk",
        "--file",
        name,
        "--metadata",
        "artist=A. Painter",
        "--wait",
        "--timeout",
        "60",
    ];
    let made = stage.client(0, &arguments);
    let issue = made["issueIds"][0].as_str().unwrap().to_owned();
    let (account, other) = other_identity(stage);
    let half = stage.client(0, &["transfer", &issue, "--to", &account]);
    let mut arguments = vec!["countersign", half["transfer"].as_str().unwrap()];
    arguments.extend(["--identity", "other"]);
    arguments.extend(other.iter().map(String::as_str));
    let whole = stage.client(0, &arguments);
    let transfer = whole["txId"].as_str().unwrap().to_owned();
    stage.client(0, &["pay", whole["payId"].as_str().unwrap(), "--simulate"]);
    stage.wait_transaction(0, &transfer, "Confirmed");
    let back = stage.identity.account.clone();
    let mut arguments = vec!["transfer", &transfer, "--to", &back, "--unratified"];
    arguments.extend(["--identity", "other"]);
    arguments.extend(other.iter().map(String::as_str));
    let third = stage.client(0, &arguments);
    Made {
        at: format!("127.0.0.1:{}", stage.nodes[0].plan.explorer),
        account,
        issue,
        transfer,
        waiting: third["txId"].as_str().unwrap().to_owned(),
        fingerprint: made["fingerprint"].as_str().unwrap().to_owned(),
        document,
    }
}

async fn the_pages_show_what_was_made(page: &Page, made: &Made, stage: &Stage) {
    let at = &made.at;
    page.show(at, "", "The chain").await;
    page.until(
        "blocks",
        "document.querySelectorAll('.chain .link').length >= 3",
    )
    .await;
    page.until(
        "the state",
        "document.getElementById('pulse-text').textContent.startsWith('Normal')",
    )
    .await;
    page.picture("chain-light").await;

    // A block comes, and the page shows it without being loaded again.
    page.run("window.notReloaded = true").await;
    let before = page
        .run("return document.querySelector('.chain b').textContent")
        .await;
    stage.client(
        1,
        &[
            "create",
            "--name",
            "Another",
            "--fingerprint",
            "another print",
        ],
    );
    let changed = format!("document.querySelector('.chain b').textContent !== {before}");
    page.until("a new block", &changed).await;
    assert_eq!(page.run("return window.notReloaded").await, true);

    page.show(at, "#/block/2", "Block 2").await;
    page.picture("block-light").await;
    page.show(
        at,
        &format!("#/record/{}", made.transfer),
        "Transfer, countersigned",
    )
    .await;
    page.until(
        "who waits",
        "document.body.innerText.includes('A transfer waits')",
    )
    .await;
    page.picture("record-light").await;
    page.show(
        at,
        &format!("#/search/{}", made.fingerprint),
        "Harbour at dusk",
    )
    .await;
    let looked = "document.querySelector('main').innerText.includes('all blocks were looked')";
    page.until("its bitmarks", looked).await;
    page.picture("asset-light").await;
    page.show(at, "#/waiting", "Waiting").await;
    let link = format!(
        "document.querySelector('a[href=\"#/record/{}\"]')",
        made.waiting
    );
    page.until("the transfer that waits", &link).await;
    page.until(
        "for what",
        "document.querySelector('table').innerText.includes('a payment')",
    )
    .await;
    page.picture("waiting-light").await;
    page.show(at, "#/peers", "Peers").await;
    page.until(
        "three peers",
        "document.querySelectorAll('.d-peer').length >= 3",
    )
    .await;
    page.picture("peers-light").await;
    page.show(at, "#/node", "This node").await;
    page.picture("node-light").await;
    page.show(at, &format!("#/account/{}", made.account), "Account")
        .await;
    page.until(
        "its bitmark",
        "document.querySelector('table').innerText.includes('Harbour at dusk')",
    )
    .await;
    page.picture("account-light").await;
    // From the issue on, whoever followed is found, the one that waits last.
    page.show(at, &format!("#/provenance/{}", made.issue), "Owners")
        .await;
    page.until(
        "three owners",
        "document.querySelector('[data-owners=\"3\"]')",
    )
    .await;
    page.until(
        "asset and owners are links",
        "document.querySelectorAll('.drawing a').length === 4",
    )
    .await;
    page.picture("provenance-light").await;
    page.show(at, "#/record/00", "Not here").await;
    page.show(at, "#/nowhere", "There is no such page").await;
}

/// The proof of title of this transaction, taken by keys alone from the page that is open.
async fn a_proof_is_taken(page: &Page, made: &Made, driver: &Driver, id: &str) {
    let path = format!("/api/title/{id}");
    let css = format!("main a[href=\"{path}\"]");
    let link = page.0.wait().for_element(Locator::Css(&css)).await.unwrap();
    for (what, told) in [("role", "link"), ("label", "Proof of title")] {
        let computed = driver.computed(page, &link, what).await;
        assert_eq!(computed, told, "{what}");
    }
    page.until(
        "how it is checked",
        "document.getElementById('proof-note').innerText.includes('bitmark-cli verify FILE')",
    )
    .await;
    let file = driver
        .downloads()
        .join(format!("title-{}.json", id.get(..8).unwrap()));
    let _ = std::fs::remove_file(&file);
    link.send_keys(ENTER).await.unwrap();
    let text = crate::stage::eventually("the file", || std::fs::read(&file).ok());
    let says = title::verify(&text, &title::Known::new(), |_, _| {}).unwrap();
    assert_eq!(says.transaction.to_string(), id);
    assert_eq!(says.owner.to_string(), made.account);
    assert_eq!(says.asset.unwrap().fingerprint, made.fingerprint.as_bytes());
}

async fn proofs_of_title_are_taken(page: &Page, made: &Made, driver: &Driver) {
    let record = format!("#/record/{}", made.transfer);
    page.show(&made.at, &record, "Transfer, countersigned")
        .await;
    a_proof_is_taken(page, made, driver, &made.transfer).await;
    // From the first record or the last one, the newest owner in a block is found; who waits has no
    // proof yet.
    for id in [&made.issue, &made.waiting] {
        let provenance = format!("#/provenance/{id}");
        page.show(&made.at, "", "The chain").await;
        page.show(&made.at, &provenance, "Owners").await;
        a_proof_is_taken(page, made, driver, &made.transfer).await;
    }
    for (hash, heading) in [
        (format!("#/record/{}", made.issue), "Issue"),
        (format!("#/record/{}", made.waiting), "Transfer"),
        (format!("#/search/{}", made.fingerprint), "Harbour at dusk"),
    ] {
        page.show(&made.at, &hash, heading).await;
        let proofs = page
            .run("return document.querySelectorAll('main a[href^=\"/api/title\"]').length")
            .await;
        assert_eq!(proofs, 0, "{hash}");
    }
}

async fn the_search_finds(page: &Page, made: &Made) {
    let short = "The chain";
    for (text, heading) in [
        ("2".to_owned(), "Block 2"),
        (made.issue.clone(), "Issue"),
        (made.fingerprint.clone(), "Harbour at dusk"),
        (made.account.clone(), "Account"),
        ("no such thing".to_owned(), "Nothing found"),
    ] {
        page.show(&made.at, "", short).await;
        let field = page.0.find(Locator::Id("query")).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(&text).await.unwrap();
        field.send_keys(ENTER).await.unwrap();
        page.heading(heading).await;
    }
    // The digest of a block, in both orders.
    for css in ["dd [data-copy]", "dt:nth-of-type(2) + dd [data-copy]"] {
        page.show(&made.at, "#/block/2", "Block 2").await;
        let found = page.0.find(Locator::Css(css)).await.unwrap();
        let digest = found.attr("data-copy").await.unwrap().unwrap();
        page.show(&made.at, &format!("#/search/{digest}"), "Block 2")
            .await;
    }
}

async fn a_document_is_fingerprinted_as_the_client_does(page: &Page, made: &Made) {
    let shown = "document.getElementById('fingerprint')?.dataset.fingerprint";
    let same = format!("{shown} === {}", json!(made.fingerprint));
    page.show(&made.at, "", "The chain").await;
    let input = page.0.find(Locator::Id("file")).await.unwrap();
    input
        .send_keys(made.document.to_str().unwrap())
        .await
        .unwrap();
    page.heading("This document is registered").await;
    page.until("the fingerprint", &same).await;
    page.until(
        "the asset",
        "document.querySelector('main').innerText.includes('Harbour at dusk')",
    )
    .await;
    page.picture("document-light").await;

    // Dropped anywhere: another one, which nobody registered.
    page.show(&made.at, "#/peers", "Peers").await;
    page.run(
        "const data = new DataTransfer(); \
         data.items.add(new File(['another document'], 'other.txt')); \
         for (const name of ['dragenter', 'dragover', 'drop']) { \
           document.body.dispatchEvent(new DragEvent(name, \
             {bubbles: true, cancelable: true, dataTransfer: data})); }",
    )
    .await;
    page.heading("This document is not registered").await;
    let digest = Sha3_512::digest("another document");
    let wanted = format!("01{}", hex::encode(digest));
    page.until("its fingerprint", &format!("{shown} === {}", json!(wanted)))
        .await;

    // Known values, and every length around the size of a block of the hash.
    let good = page
        .0
        .execute_async(
            "const done = arguments[0]; import('/pages/sha3.js').then((m) => done( \
               m.VALUES.every(([hex, wanted]) => new m.Sha3().update( \
                 Uint8Array.from(hex.match(/../g) ?? [], (h) => parseInt(h, 16))).hex() === wanted)))",
            Vec::new(),
        )
        .await
        .unwrap();
    assert_eq!(good, true);
}

async fn everything_is_reached_by_keyboard(page: &Page, made: &Made) {
    page.show(&made.at, "", "The chain").await;
    // The first stop is the link over everything that repeats.
    let body = page.0.find(Locator::Css("body")).await.unwrap();
    body.send_keys(TAB).await.unwrap();
    page.until("the skip link", "document.activeElement.id === 'skip'")
        .await;
    page.until(
        "it is seen",
        "document.activeElement.getBoundingClientRect().top >= 0",
    )
    .await;
    page.press(ENTER).await;
    page.until("the content", "document.activeElement.id === 'content'")
        .await;
    page.press(TAB).await;
    page.until(
        "inside",
        "document.getElementById('content').contains(document.activeElement)",
    )
    .await;
    // By keys alone to the page of peers; its heading gets the focus.
    page.show(&made.at, "#/node", "This node").await;
    page.run("document.getElementById('skip').focus()").await;
    for _ in 0..20 {
        page.press(TAB).await;
        if page
            .run("return document.activeElement.getAttribute('href')")
            .await
            == "#/peers"
        {
            break;
        }
    }
    page.press(ENTER).await;
    page.heading("Peers").await;
    page.until("its heading", "document.activeElement.tagName === 'H1'")
        .await;
    page.until(
        "the place in the menu",
        "document.querySelector('nav [aria-current]').textContent === 'Peers'",
    )
    .await;
    // Landmarks and names for who does not see.
    for expression in [
        "document.documentElement.lang === 'en'",
        "document.querySelectorAll('main').length === 1 && document.querySelectorAll('h1').length === 1",
        "document.querySelector('nav').getAttribute('aria-label')",
        "document.querySelector('[role=status][aria-live=polite]')",
        "[...document.querySelectorAll('button, input')].every((one) => one.textContent.trim() || one.getAttribute('aria-label') || document.querySelector(`label[for=\"${one.id}\"]`))",
        "[...document.querySelectorAll('main svg[role]')].every((one) => one.getAttribute('aria-label'))",
        "[...document.querySelectorAll('th')].every((one) => one.getAttribute('scope'))",
    ] {
        page.until("for a screen reader", expression).await;
    }
    // A value is copied by a key, and that is told.
    page.run("document.querySelector('main .copy').focus()")
        .await;
    page.press(ENTER).await;
    page.until(
        "it is told",
        "document.getElementById('announce').textContent.endsWith('copied')",
    )
    .await;
}

async fn colours_are_light_or_dark(page: &Page, made: &Made) {
    let lightness = "(() => { const [r, g, b] = getComputedStyle(document.body).backgroundColor \
        .match(/\\d+/g).map(Number); return (r + g + b) / 3 })()";
    page.show(&made.at, "", "The chain").await;
    page.until("light", &format!("{lightness} > 200")).await;
    page.click("#theme").await;
    page.until("dark", &format!("{lightness} < 60")).await;
    page.0.refresh().await.unwrap();
    page.heading("The chain").await;
    page.until("still dark", &format!("{lightness} < 60")).await;
}

#[test]
fn no_browser_stays_when_a_test_fails() {
    let driver = Driver::start();
    let profiles = format!("--user-data-dir={}", driver.folder.path().display());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    // Opened, and never closed.
    let page = runtime.block_on(driver.open("left", &[], false));
    assert!(!browsers_of(&profiles).is_empty());
    drop(driver);
    drop(page);
    crate::stage::eventually("the end of the browser", || {
        browsers_of(&profiles).is_empty().then_some(())
    });
}

/// Names that turn lines around, that cannot be seen, that are as good as none, and long ones.
async fn what_others_wrote_stays_in_its_place(page: &Page, at: &str) {
    let asset = |first: &str| format!("#/asset/{}", first.repeat(64));
    for (first, heading) in [("00", "U+202Egnp.U+200Bexe"), ("01", "(blank)")] {
        page.show(at, &asset(first), &format!("{heading} ")).await;
        // In the heading, as a value, as the name and as the text of an entry.
        let expression = format!(
            "[...document.querySelectorAll('h1 bdi, dd bdi')]\
               .filter((one) => one.textContent === {} \
                 && getComputedStyle(one).unicodeBidi === 'isolate').length === 4",
            json!(heading)
        );
        page.until("each by itself", &expression).await;
        let raw = page
            .run("return document.body.innerText + document.title")
            .await;
        assert!(!raw.as_str().unwrap().contains(['\u{202e}', '\u{200b}']));
    }
    page.show(at, &asset("02"), NAMES[2]).await;
    page.show(at, "#/search/odd", "2 things found").await;
    page.until(
        "the found",
        "[...document.querySelectorAll('.results bdi')].map((one) => one.textContent).join() \
           === 'U+202Egnp.U+200Bexe,(blank)'",
    )
    .await;
    page.show(at, &asset("03"), "WWWW").await;
    page.fits().await;
}

async fn silence_is_told(page: &Page, served: &Served) {
    page.show(&served.at, "#/node", "This node").await;
    let text = "document.getElementById('pulse-text').textContent";
    let normal = format!("{text} === 'Normal · block 7'");
    page.until("it answers", &normal).await;
    page.until(
        "the service that tells payments",
        "document.querySelector('main').innerText.includes('does not answer')",
    )
    .await;
    served
        .height
        .store(HANGS, std::sync::atomic::Ordering::SeqCst);
    // As if the time had passed, so that nobody waits for it.
    page.run(
        "const now = performance.now.bind(performance); performance.now = () => now() + 25000",
    )
    .await;
    let silent = format!("{text} === 'the node does not answer'");
    page.until("it does not", &silent).await;
    served.height.store(7, std::sync::atomic::Ordering::SeqCst);
    page.until("it does again", &normal).await;
}

#[test]
fn names_of_others_words_of_all_objects_and_a_silent_node_do_not_deceive() {
    let served = Served::new();
    let driver = Driver::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for (name, is_phone) in [("wide", false), ("phone", true)] {
            let page = driver.open(name, &[], is_phone).await;
            what_others_wrote_stays_in_its_place(&page, &served.at).await;
            if !is_phone {
                for word in ["__proto__", "constructor", "toString"] {
                    let hash = format!("#/{word}");
                    page.show(&served.at, &hash, "There is no such page").await;
                }
                silence_is_told(&page, &served).await;
            }
            page.0.close().await.unwrap();
        }
    });
}

#[test]
fn a_visitor_finds_everything_in_a_real_browser() {
    let mut stage = Stage::normal("devnet", 4);
    stage.mine_at(0);
    let made = make(&stage);
    let driver = Driver::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let page = driver.open("wide", &[], false).await;
        the_pages_show_what_was_made(&page, &made, &stage).await;
        proofs_of_title_are_taken(&page, &made, &driver).await;
        the_search_finds(&page, &made).await;
        a_document_is_fingerprinted_as_the_client_does(&page, &made).await;
        everything_is_reached_by_keyboard(&page, &made).await;
        colours_are_light_or_dark(&page, &made).await;
        page.0.close().await.unwrap();

        // Who has dark colours gets them without asking.
        let page = driver.open("dark", &["--force-dark-mode"], false).await;
        page.show(&made.at, "", "The chain").await;
        let dark = page
            .run("return matchMedia('(prefers-color-scheme: dark)').matches")
            .await;
        let scheme = "getComputedStyle(document.body).backgroundColor";
        assert_eq!(dark, true, "the browser prefers dark colours");
        page.until("dark", &format!("{scheme} === 'rgb(18, 23, 28)'"))
            .await;
        page.picture("chain-dark").await;
        page.show(&made.at, &format!("#/provenance/{}", made.issue), "Owners")
            .await;
        page.until(
            "three owners",
            "document.querySelector('[data-owners=\"3\"]')",
        )
        .await;
        page.picture("provenance-dark").await;
        page.show(&made.at, "#/peers", "Peers").await;
        page.picture("peers-dark").await;
        page.0.close().await.unwrap();

        let page = driver.open("phone", &[], true).await;
        let provenance = format!("#/provenance/{}", made.issue);
        let record = format!("#/record/{}", made.transfer);
        let account = format!("#/account/{}", made.account);
        for (name, hash, heading) in [
            ("chain", "", "The chain"),
            ("blocks", "#/blocks/3", "Older blocks"),
            ("block", "#/block/2", "Block 2"),
            ("record", &record, "Transfer"),
            ("waiting", "#/waiting", "Waiting"),
            ("peers", "#/peers", "Peers"),
            ("node", "#/node", "This node"),
            ("account", &account, "Account"),
            ("provenance", &provenance, "Owners"),
        ] {
            page.show(&made.at, hash, heading).await;
            page.fits().await;
            if ["chain", "provenance", "peers", "waiting"].contains(&name) {
                page.picture(&format!("{name}-phone")).await;
            }
        }
        page.0.close().await.unwrap();
    });
}
