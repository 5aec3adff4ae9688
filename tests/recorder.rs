//! The miner against a node that is played here: real sockets on loopback, the built program.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bitmarkd::core::block::{Compact, DigestMemory, Header, digest};
use bitmarkd::core::chain::DEVNET;
use bitmarkd::core::id::{BlockDigest, TxId};
use bitmarkd::core::keys::{PeerPrivateKey, PeerPublicKey};
use bitmarkd::core::mining::submission::{Submission, reply};
use bitmarkd::shell::files::config::{Logging, RecorderConfig, Variables};
use bitmarkd::shell::zmq::monitor::Event;
use bitmarkd::shell::zmq::outward::{Order, Outward, Publishing};
use bitmarkd::shell::zmq::receive::Received;
use bitmarkd::shell::zmq::server::{Binding, Bound, Server, Service};
use bitmarkd::shell::zmq::{Access, AccessThread, Context, Frames};
use crossbeam_channel::{Receiver, Sender, unbounded};
use tempfile::TempDir;

const WAIT: Duration = Duration::from_secs(30);
const PROGRAM: &str = env!("CARGO_BIN_EXE_recorderd");

/// Hands submissions to the test and sends what it answers.
struct Submissions {
    seen: Sender<(usize, Frames)>,
    answers: Receiver<(usize, Frames)>,
    stop: Receiver<()>,
    is_over: bool,
}

impl Service for Submissions {
    fn message(&mut self, socket: usize, received: Received) {
        let _ = self.seen.send((socket, received.frames));
    }
    fn woken(&mut self) {
        self.is_over |= self.stop.try_recv().is_ok();
    }
    fn event(&mut self, _: usize, _: Event) {}
    fn next_reply(&mut self) -> Option<(usize, Frames)> {
        self.answers.try_recv().ok()
    }
    fn is_over(&self) -> bool {
        self.is_over
    }
}

/// A node that publishes work and takes nonces.
struct Node {
    publisher: Outward,
    submissions: Server,
    seen: Receiver<(usize, Frames)>,
    answer: Sender<(usize, Frames)>,
    stop: Sender<()>,
    key: PeerPublicKey,
    _access: AccessThread,
}

/// A submission that waits for its reply.
struct Asked {
    socket: usize,
    frames: Frames,
    read: Submission,
}

fn header(number: u64) -> Header {
    Header {
        version: 2,
        transaction_count: 2,
        number,
        previous_block: BlockDigest([1; 32]),
        merkle_root: TxId([2; 32]),
        timestamp: 1_700_000_000,
        difficulty: Compact::ONE,
        nonce: 5,
    }
}

impl Node {
    fn start() -> Self {
        let context = Context::new().unwrap();
        let access = AccessThread::start(&context, Access::default()).unwrap();
        let key = PeerPrivateKey::from_bytes([9; 32]);
        let addresses: [SocketAddr; 1] = ["127.0.0.1:0".parse().unwrap()];
        let publishing = Publishing {
            key: &key,
            zap_domain: "publisher",
            addresses: &addresses,
        };
        let publisher =
            Outward::start(&context, key.clone(), &publishing, "publisher", |_| {}).unwrap();
        let binding = Binding {
            name: "submit",
            key: &key,
            zap_domain: "submit",
            addresses: &addresses,
        };
        let (tell, seen) = unbounded();
        let (answer, answers) = unbounded();
        let (stop, stopped) = unbounded();
        let submissions = Bound::new(&context, &binding)
            .unwrap()
            .serve(Submissions {
                seen: tell,
                answers,
                stop: stopped,
                is_over: false,
            })
            .unwrap();
        Self {
            publisher,
            submissions,
            seen,
            answer,
            stop,
            key: key.public_key(),
            _access: access,
        }
    }

    fn publish(&self, job: &str, header: &Header) {
        let text = serde_json::json!({
            "Job": job, "Header": header.to_json(), "TxZero": "", "TxIds": [], "AssetIds": []
        });
        let frames = vec![text.to_string().into_bytes()];
        self.publisher.orders().give(Order::Publish(frames));
    }

    /// Publishes a job until a nonce for it comes: a subscription stands an unknown moment after
    /// the connection. What is handed in must be good.
    fn work_out(&self, job: &str, header: &Header) -> Asked {
        let begin = Instant::now();
        loop {
            self.publish(job, header);
            let Ok((socket, frames)) = self.seen.recv_timeout(Duration::from_millis(500)) else {
                assert!(begin.elapsed() < WAIT, "no nonce for job {job}");
                continue;
            };
            let read = Submission::read(frames.last().unwrap());
            assert!(read.is_whole && read.is_block_nonce());
            if read.job != job {
                continue;
            }
            let whole = Header {
                nonce: read.nonce().unwrap(),
                ..*header
            };
            let found = digest(&DEVNET.digest, &whole.pack(), &mut DigestMemory::new());
            assert!(whole.proves(&found));
            return Asked {
                socket,
                frames,
                read,
            };
        }
    }

    fn answer(&self, asked: Asked, ok: bool) {
        let Asked {
            socket,
            mut frames,
            read,
        } = asked;
        *frames.last_mut().unwrap() = reply(&read.job, ok).into_bytes();
        self.answer.send((socket, frames)).unwrap();
        self.submissions.waker().wake();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.stop.send(());
    }
}

/// The program; killed when the test fails.
struct Miner {
    child: Child,
    folder: TempDir,
    lines: Receiver<String>,
}

fn configure(folder: &Path, node: &Node) {
    let text = format!(
        "data_directory = \".\"\nchain = \"${{CHAIN}}\"\nthreads = ${{THREADS}}\npidfile = \"r.pid\"\n\
         [logging]\nconsole = true\n[peering]\npublic_key = \"r.public\"\nprivate_key = \"r.private\"\n\
         [[peering.connect]]\npublic_key = \"{}\"\nblocks = \"{}\"\nsubmit = \"{}\"\n",
        node.key, node.publisher.publishing[0], node.submissions.addresses[0],
    );
    std::fs::write(folder.join("r.conf"), text).unwrap();
}

fn command(folder: &Path) -> Command {
    command_on(folder, "devnet")
}

fn command_on(folder: &Path, chain: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .arg("--config-file")
        .arg(folder.join("r.conf"))
        .args(["--set", "THREADS=2", "--set"])
        .arg(format!("CHAIN={chain}"));
    command
}

impl Miner {
    fn start(node: &Node, chain: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        configure(folder.path(), node);
        let made = command(folder.path()).arg("generate-identity").output();
        assert!(made.unwrap().status.success());
        let mut child = command_on(folder.path(), chain)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, lines) = unbounded();
        let errors = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        Self {
            child,
            folder,
            lines,
        }
    }

    /// Waits for a line of the log.
    fn says(&self, text: &str) {
        while !self
            .lines
            .recv_timeout(WAIT)
            .unwrap_or_else(|_| panic!("{text:?} is not said"))
            .contains(text)
        {}
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log/recorderd.log")).unwrap()
    }

    /// Sends a signal; tells whether it ended well, and how long that took.
    fn stop(&mut self, signal: &str) -> (bool, Duration) {
        let begin = Instant::now();
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(sent.success());
        let status = self.child.wait().unwrap();
        (status.success(), begin.elapsed())
    }
}

impl Drop for Miner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_nonce_is_handed_in_and_after_a_refusal_and_a_success_the_next_work_is_taken() {
    let node = Node::start();
    let mut miner = Miner::start(&node, "devnet");
    miner.says("connected");
    let refused = node.work_out("0001", &header(2));
    node.answer(refused, false);
    miner.says("job 0001 refused");
    let accepted = node.work_out("0002", &header(3));
    node.answer(accepted, true);
    miner.says("job 0002 accepted");
    let last = node.work_out("0003", &header(4));
    assert!(miner.folder.path().join("r.pid").exists());
    node.answer(last, true);
    miner.says("job 0003 accepted");

    let (ended_well, took) = miner.stop("-TERM");
    assert!(ended_well && took < Duration::from_secs(1), "{took:?}");
    assert!(!miner.folder.path().join("r.pid").exists());
    let log = miner.log();
    for text in [
        "INFO cli::recorder: recorderd ",
        "working on block 2 of 2 records",
        "hash rate ",
        "stopped; in all ",
        "nonces accepted 2, refused 1",
    ] {
        assert!(log.contains(text), "{text} in\n{log}");
    }
}

/// What no digest meets.
fn hopeless(number: u64) -> Header {
    Header {
        difficulty: Compact(0xbf00_0000_0000_0000),
        ..header(number)
    }
}

#[test]
fn work_that_nobody_can_finish_is_left_for_newer() {
    let node = Node::start();
    let mut miner = Miner::start(&node, "devnet");
    let asked = node.work_out("0001", &header(2));
    node.answer(asked, true);
    miner.says("job 0001 accepted");
    node.publish("0002", &hopeless(3));
    miner.says("working on block 3");
    let asked = node.work_out("0003", &header(4));
    node.answer(asked, true);
    miner.says("job 0003 accepted");
    assert!(miner.stop("-INT").0);
}

#[test]
fn a_signal_does_not_wait_for_the_long_digest_of_the_reference_chains() {
    let node = Node::start();
    let mut miner = Miner::start(&node, "local");
    let begin = Instant::now();
    loop {
        node.publish("0001", &hopeless(2));
        let line = miner.lines.recv_timeout(Duration::from_millis(200));
        if line.is_ok_and(|line| line.contains("working on block 2")) {
            break;
        }
        assert!(begin.elapsed() < WAIT);
    }
    let (ended_well, took) = miner.stop("-INT");
    assert!(ended_well && took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn a_node_that_does_not_answer_is_asked_again_over_a_new_connection() {
    let node = Node::start();
    let mut miner = Miner::start(&node, "devnet");
    let unanswered = node.work_out("0001", &header(2));
    miner.says("no reply, connecting again");
    // Nothing is published now: only the end of the wait makes the miner try again.
    let (socket, frames) = node.seen.recv_timeout(WAIT).unwrap();
    assert_ne!(
        frames[0], unanswered.frames[0],
        "another client to the node"
    );
    let read = Submission::read(frames.last().unwrap());
    assert_eq!(read.job, "0001");
    assert_ne!(read.nonce(), unanswered.read.nonce());
    node.answer(
        Asked {
            socket,
            frames,
            read,
        },
        true,
    );
    miner.says("job 0001 accepted");
    assert!(miner.stop("-INT").0);
}

#[test]
fn what_is_wrong_with_the_start_is_told() {
    let node = Node::start();
    let folder = tempfile::tempdir().unwrap();
    let told = |command: &mut Command| {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(told(&mut Command::new(PROGRAM)).contains("name one with --config-file"));
    assert!(told(&mut command(folder.path())).contains("r.conf"));
    configure(folder.path(), &node);
    let text = told(&mut command(folder.path()));
    assert!(text.contains("generate-identity") && text.contains("key file not found"));
    let mut generate = command(folder.path());
    generate.arg("generate-identity");
    assert!(generate.output().unwrap().status.success());
    assert!(told(&mut generate).contains("key file already exists"));
}

#[test]
fn a_key_pair_is_made_under_a_prefix_without_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(PROGRAM)
        .arg("generate-identity")
        .arg(folder.path().join("miner"))
        .output()
        .unwrap();
    assert!(output.status.success());
    let text = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let key = PeerPrivateKey::from_file(&text("miner.private")).unwrap();
    let public = PeerPublicKey::from_file(&text("miner.public"));
    assert_eq!(public, Ok(key.public_key()));
    let output = Command::new(PROGRAM).arg("--version").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("recorderd "));
}

#[test]
fn the_sample_configuration_holds_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recorderd.sample.toml");
    let sample = RecorderConfig::load(&path, &Variables::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let text: String = std::fs::read_to_string(&path)
        .unwrap()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let path = folder.path().join("r.conf");
    std::fs::write(&path, text).unwrap();
    let mut whole = RecorderConfig::load(&path, &Variables::default()).unwrap();
    assert!(whole.pidfile.take().is_some() && whole.threads.take().is_some());
    assert_eq!(whole.chain, sample.chain);
    assert_eq!(whole.logging.file, sample.logging.file);
    assert_eq!(whole.logging.size, sample.logging.size);
    assert_eq!(whole.logging.count, sample.logging.count);
    assert_eq!(whole.logging.console, sample.logging.console);
    assert_eq!(whole.logging.levels, Logging::default().levels);
}
