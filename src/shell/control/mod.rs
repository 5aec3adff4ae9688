//! The control socket: a Unix socket for its owner alone (mode 0600), one line of JSON asked, one
//! line of JSON answered.
//!
//! A line is bounded, so are the clients and their silence. What is asked for is decided elsewhere.
//! Some answers are long: behind their line come pieces of bytes, each with its length in four bytes in
//! front, then a length of 0, and a last line that tells whether that was all.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _,
};
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;
use thiserror::Error;

/// Longest request line.
pub const MAX_LINE: u64 = 64 * 1024;
/// Longest answer line.
const MAX_ANSWER: u64 = 64 * 1024 * 1024;
/// Longest path of a socket that the system takes, in bytes.
const MAX_PATH: usize = 107;
/// Before the next look for a client where the last one failed, as without descriptors.
const PAUSE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};
/// Clients at a time.
const MAX_CLIENTS: usize = 8;
/// A client that says nothing for so long is let go.
const IDLE: Duration = Duration::from_secs(30);
/// How long a client waits for an answer.
const ANSWER: Duration = Duration::from_secs(60);

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum ControlError {
    /// Nobody listens there.
    #[error("{0}: no node answers there ({1}); is it running?")]
    NotRunning(String, io::Error),
    /// The connection broke.
    #[error("{0}: {1}")]
    Broken(String, io::Error),
    /// The answer is none.
    #[error("{0}: the answer is no JSON: {1}")]
    NoJson(String, serde_json::Error),
    /// What was asked for was refused.
    #[error("{0}")]
    Refused(String),
}

/// Answers requests. It may wait, but holds up one client alone.
pub type Handler = Arc<dyn Fn(Value) -> Result<Value, String> + Send + Sync>;

/// The next piece of a long answer; none at its end.
pub type Pieces = Box<dyn FnMut() -> Result<Option<Vec<u8>>, String> + Send>;

/// A long answer: its first line, and what comes behind it.
pub struct Long {
    /// The first line.
    pub head: Value,
    /// The pieces, each made when the one before it is sent.
    pub pieces: Pieces,
}

/// Gives long answers; none: a question of another kind, which the [`Handler`] answers.
pub type LongHandler = Arc<dyn Fn(&Value) -> Option<Result<Long, String>> + Send + Sync>;

/// What answers.
#[derive(Clone)]
struct Handlers {
    short: Handler,
    long: LongHandler,
}

/// The running socket.
#[derive(Debug)]
pub struct ControlServer {
    path: PathBuf,
    inode: u64,
    stop: Arc<AtomicBool>,
    /// Its end wakes the thread.
    bell: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl ControlServer {
    /// Binds the socket and answers. What a dead process left behind is replaced.
    ///
    /// # Errors
    /// Another process answers there, or the path is of no use.
    pub fn start(path: &Path, handler: Handler) -> io::Result<Self> {
        Self::start_with(path, handler, Arc::new(|_| None))
    }

    /// The same where some answers are long.
    ///
    /// # Errors
    /// As [`ControlServer::start`].
    pub fn start_with(path: &Path, short: Handler, long: LongHandler) -> io::Result<Self> {
        let handler = Handlers { short, long };
        check_path(path)?;
        if let Ok(there) = std::fs::symlink_metadata(path) {
            if !there.file_type().is_socket() {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    format!("{}: something else has this name", path.display()),
                ));
            }
            if UnixStream::connect(path).is_ok() {
                return Err(io::Error::new(
                    io::ErrorKind::AddrInUse,
                    format!("{}: another node answers there", path.display()),
                ));
            }
            std::fs::remove_file(path)?;
        }
        let listener = bind_private(path)?;
        listener.set_nonblocking(true)?;
        let inode = std::fs::symlink_metadata(path)?.ino();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let (bell, ear) = UnixStream::pair()?;
        let thread = std::thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || accept(&listener, &ear, &handler, &stopped))?;
        Ok(Self {
            path: path.to_owned(),
            inode,
            stop,
            bell: Some(bell),
            thread: Some(thread),
        })
    }

    /// Ends it and removes the socket.
    pub fn stop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.bell = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
            // Another node may have taken the name meanwhile.
            let is_ours =
                std::fs::symlink_metadata(&self.path).is_ok_and(|m| m.ino() == self.inode);
            if is_ours {
                let _ = std::fs::remove_file(&self.path);
            }
        }
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Whether a socket can have this path.
///
/// # Errors
/// It is too long.
pub fn check_path(path: &Path) -> io::Result<()> {
    let length = path.as_os_str().len();
    if length <= MAX_PATH {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidFilename,
        format!(
            "{}: the path of a control socket has at most {MAX_PATH} bytes, this one has {length}; choose a folder with a shorter path",
            path.display()
        ),
    ))
}

/// Binds in a folder that nobody else can enter, so that the socket never is open to others.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    // Short: the path of the socket inside is bounded, too.
    let folder = path.with_file_name(format!(".{}", std::process::id()));
    let inside = folder.join("s");
    // One that was killed here may have left them, with a number that is ours now.
    let _ = std::fs::remove_file(&inside);
    let _ = std::fs::remove_dir(&folder);
    std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
    let bound = UnixListener::bind(&inside).and_then(|listener| {
        std::fs::set_permissions(&inside, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&inside, path)?;
        Ok(listener)
    });
    let _ = std::fs::remove_file(&inside);
    let _ = std::fs::remove_dir(&folder);
    bound
}

/// A client's place, given back whatever happens to its thread.
struct PlaceGuard(Arc<AtomicUsize>);

impl Drop for PlaceGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn accept(listener: &UnixListener, ear: &UnixStream, handler: &Handlers, stop: &Arc<AtomicBool>) {
    let clients = Arc::new(AtomicUsize::new(0));
    while !stop.load(Ordering::SeqCst) {
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(e) => {
                let mut sources = [
                    PollFd::new(ear, PollFlags::IN),
                    PollFd::new(listener, PollFlags::IN),
                ];
                if e.kind() == io::ErrorKind::WouldBlock {
                    let _ = poll(&mut sources, None);
                } else {
                    let _ = poll(&mut sources[..1], Some(&PAUSE));
                }
                continue;
            }
        };
        if stream.set_nonblocking(false).is_err() {
            continue;
        }
        if clients.load(Ordering::SeqCst) >= MAX_CLIENTS {
            let _ = stream.write_all(b"{\"error\":\"too many clients; try again\"}\n");
            continue;
        }
        clients.fetch_add(1, Ordering::SeqCst);
        let place = PlaceGuard(Arc::clone(&clients));
        let (handler, over) = (handler.clone(), Arc::clone(stop));
        // A thread that cannot be had gives its place back with the closure.
        let _ = std::thread::Builder::new()
            .name("control-client".to_owned())
            .spawn(move || {
                let _place = place;
                let _ = serve(&stream, &handler, &over);
            });
    }
}

fn serve(mut stream: &UnixStream, handler: &Handlers, stop: &AtomicBool) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_write_timeout(Some(IDLE))?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.by_ref().take(MAX_LINE).read_line(&mut line)? == 0 {
            return Ok(());
        }
        let whole = line.ends_with('\n');
        let answer = match serde_json::from_str(&line) {
            _ if !whole => Err(format!("a request has at most {MAX_LINE} bytes")),
            Ok(_) if stop.load(Ordering::SeqCst) => Err(STOPPING.to_owned()),
            Ok(request) => {
                let long = catch_unwind(AssertUnwindSafe(|| (handler.long)(&request)));
                match long.unwrap_or_else(|_| Some(Err(FAILED.to_owned()))) {
                    Some(Ok(long)) => {
                        send(stream, long, stop)?;
                        continue;
                    }
                    Some(Err(error)) => Err(error),
                    None => catch_unwind(AssertUnwindSafe(|| (handler.short)(request)))
                        .unwrap_or_else(|_| Err(FAILED.to_owned())),
                }
            }
            Err(e) => Err(format!("no JSON: {e}")),
        };
        stream.write_all(in_a_line(answer).as_bytes())?;
        if !whole {
            return Ok(());
        }
    }
}

/// What is told while a node ends.
const STOPPING: &str = "the node is stopping";
/// What is told when an answer panics.
const FAILED: &str = "the node failed at this request";

fn in_a_line(answer: Result<Value, String>) -> String {
    let answer = match answer {
        Ok(result) => serde_json::json!({"result": result}),
        Err(error) => serde_json::json!({"error": error}),
    };
    format!("{answer}\n")
}

/// Sends a long answer.
fn send(mut stream: &UnixStream, mut long: Long, stop: &AtomicBool) -> io::Result<()> {
    stream.write_all(in_a_line(Ok(long.head.take())).as_bytes())?;
    let end = loop {
        if stop.load(Ordering::SeqCst) {
            break Err(STOPPING.to_owned());
        }
        let piece = catch_unwind(AssertUnwindSafe(|| (long.pieces)()));
        match piece.unwrap_or_else(|_| Err(FAILED.to_owned())) {
            // A length of 0 is the end.
            Ok(Some(piece)) if piece.is_empty() => {}
            Ok(Some(piece)) => {
                let length = u32::try_from(piece.len()).map_err(io::Error::other)?;
                stream.write_all(&length.to_be_bytes())?;
                stream.write_all(&piece)?;
            }
            Ok(None) => break Ok(Value::Null),
            Err(error) => break Err(error),
        }
    };
    // What it held is let go before its end is told.
    drop(long);
    stream.write_all(&[0; 4])?;
    stream.write_all(in_a_line(end).as_bytes())
}

/// Sends a request; the answer is about to be read.
fn ask(path: &Path, name: &str, request: &Value) -> Result<BufReader<UnixStream>, ControlError> {
    let broken = |e| ControlError::Broken(name.to_owned(), e);
    let mut stream =
        UnixStream::connect(path).map_err(|e| ControlError::NotRunning(name.to_owned(), e))?;
    stream.set_read_timeout(Some(ANSWER)).map_err(broken)?;
    stream
        .write_all(format!("{request}\n").as_bytes())
        .map_err(broken)?;
    Ok(BufReader::new(stream))
}

/// Asks a running node for a long answer: `head` is handed its first line, `take` each piece.
///
/// # Errors
/// What `head` and `take` say, and see [`ControlError`]: what was taken until then is of no use.
pub fn call_long<E: From<ControlError>>(
    path: &Path,
    request: &Value,
    head: impl FnOnce(Value) -> Result<(), E>,
    mut take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let name = path.display().to_string();
    let broken = |e| ControlError::Broken(name.clone(), e);
    let mut reader = ask(path, &name, request)?;
    head(read_line(&mut reader, &name)?)?;
    let mut piece = Vec::new();
    loop {
        let mut length = [0; 4];
        reader.read_exact(&mut length).map_err(broken)?;
        let length = u32::from_be_bytes(length);
        if length == 0 {
            break;
        }
        piece.clear();
        let read = reader.by_ref().take(u64::from(length));
        let count = { read }.read_to_end(&mut piece).map_err(broken)?;
        if u32::try_from(count) != Ok(length) {
            return Err(broken(io::ErrorKind::UnexpectedEof.into()).into());
        }
        take(&piece)?;
    }
    read_line(&mut reader, &name)?;
    Ok(())
}

/// The result in the next line of an answer.
fn read_line(reader: &mut impl io::BufRead, name: &str) -> Result<Value, ControlError> {
    let mut line = String::new();
    reader
        .take(MAX_ANSWER)
        .read_line(&mut line)
        .map_err(|e| ControlError::Broken(name.to_owned(), e))?;
    let mut answer: Value =
        serde_json::from_str(&line).map_err(|e| ControlError::NoJson(name.to_owned(), e))?;
    match answer.get("error").and_then(Value::as_str) {
        Some(error) => Err(ControlError::Refused(error.to_owned())),
        None => Ok(answer["result"].take()),
    }
}

/// Asks a running node.
///
/// # Errors
/// See [`ControlError`].
pub fn call(path: &Path, request: &Value) -> Result<Value, ControlError> {
    let name = path.display().to_string();
    read_line(&mut ask(path, &name, request)?, &name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn echo() -> Handler {
        Arc::new(|request| match request.get("fail") {
            Some(_) => Err("no such thing".to_owned()),
            None => Ok(request),
        })
    }

    #[test]
    fn a_request_is_answered_and_a_refusal_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.socket");
        let mut server = ControlServer::start(&path, echo()).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(call(&path, &json!({"a": 1})).unwrap(), json!({"a": 1}));
        let refused = call(&path, &json!({"fail": 1})).unwrap_err();
        assert_eq!(refused.to_string(), "no such thing");
        server.stop();
        assert!(matches!(
            call(&path, &json!({})),
            Err(ControlError::NotRunning(..))
        ));
    }

    #[test]
    fn the_longest_path_works_and_one_byte_more_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let deep = |length: usize| {
            let left = length - folder.path().as_os_str().len() - "//control.socket".len();
            let inside = folder.path().join("d".repeat(left));
            std::fs::create_dir(&inside).unwrap();
            inside.join("control.socket")
        };
        let path = deep(MAX_PATH);
        let _server = ControlServer::start(&path, echo()).unwrap();
        assert!(call(&path, &json!({})).is_ok());
        let error = ControlServer::start(&deep(MAX_PATH + 1), echo()).unwrap_err();
        assert!(error.to_string().contains("this one has 108"), "{error}");
    }

    #[test]
    fn only_one_node_answers_at_a_path_and_a_dead_one_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.socket");
        let first = ControlServer::start(&path, echo()).unwrap();
        assert!(ControlServer::start(&path, echo()).is_err());
        drop(first);
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "what a dead process left behind");
        let _second = ControlServer::start(&path, echo()).unwrap();
        assert!(call(&path, &json!({})).is_ok());
    }

    #[test]
    fn what_a_start_that_was_killed_left_behind_is_no_hindrance() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.socket");
        let left = folder.path().join(format!(".{}", std::process::id()));
        std::fs::create_dir(&left).unwrap();
        drop(UnixListener::bind(left.join("s")).unwrap());
        let _server = ControlServer::start(&path, echo()).unwrap();
        assert!(call(&path, &json!({})).is_ok());
        assert!(!left.exists());
    }

    #[test]
    fn it_stops_when_its_socket_is_gone_and_leaves_another_ones_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.socket");
        let mut first = ControlServer::start(&path, echo()).unwrap();
        std::fs::remove_file(&path).unwrap();
        let _second = ControlServer::start(&path, echo()).unwrap();
        first.stop();
        assert!(call(&path, &json!({})).is_ok());
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peer.private");
        std::fs::write(&path, "PRIVATE").unwrap();
        assert!(ControlServer::start(&path, echo()).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "PRIVATE");
    }

    #[test]
    fn a_request_that_fails_badly_costs_no_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.socket");
        let handler: Handler = Arc::new(|request| {
            assert!(request.get("panic").is_none(), "as asked");
            Ok(request)
        });
        let _server = ControlServer::start(&path, handler).unwrap();
        for _ in 0..=MAX_CLIENTS {
            assert!(call(&path, &json!({"panic": 1})).is_err());
        }
        assert!(call(&path, &json!({})).is_ok());
    }

    #[test]
    fn a_long_answer_comes_in_pieces_and_its_end_tells_whether_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.socket");
        let long: LongHandler = Arc::new(|request| {
            let count = request.get("pieces")?.as_u64()?;
            let fails = request.get("fails").is_some();
            let mut left = count;
            let pieces = move || {
                if left == 0 {
                    return if fails {
                        Err("half of it".to_owned())
                    } else {
                        Ok(None)
                    };
                }
                left -= 1;
                let length = usize::try_from(left * 70_000).unwrap();
                Ok(Some(vec![u8::try_from(left).unwrap(); length]))
            };
            Some(Ok(Long {
                head: json!({"count": count}),
                pieces: Box::new(pieces),
            }))
        });
        let _server = ControlServer::start_with(&path, echo(), long).unwrap();
        let ask = |question: &Value| {
            let (mut head, mut bytes) = (Value::Null, Vec::new());
            let end: Result<(), ControlError> = call_long(
                &path,
                question,
                |line| {
                    head = line;
                    Ok(())
                },
                |piece| {
                    bytes.extend_from_slice(piece);
                    Ok(())
                },
            );
            (head, bytes.len(), end)
        };
        let (head, bytes, end) = ask(&json!({"pieces": 4}));
        assert_eq!((head, bytes), (json!({"count": 4}), 6 * 70_000));
        end.unwrap();
        let (_, _, end) = ask(&json!({"pieces": 2, "fails": true}));
        assert_eq!(end.unwrap_err().to_string(), "half of it");
        assert_eq!(call(&path, &json!({"a": 1})).unwrap(), json!({"a": 1}));
    }

    #[test]
    fn a_line_without_an_end_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.socket");
        let _server = ControlServer::start(&path, echo()).unwrap();
        let mut stream = UnixStream::connect(&path).unwrap();
        let line = vec![b'x'; usize::try_from(MAX_LINE).unwrap() + 10];
        let _ = stream.write_all(&line);
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        assert!(answer.contains("at most"), "{answer}");
    }
}
