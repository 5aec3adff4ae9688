//! A connection to a node's JSON-RPC service: TLS, one question and its answer at a time
//! (`proto/rpc.md`, section 1). The node is known by the fingerprint of its certificate alone: the
//! certificates are made by the nodes themselves. Never waits longer than it was told, however slowly
//! a node sends, and never reads more than a bounded reply.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::Value;

use super::pins::Pin;
use crate::cli::client::shown::{for_people, whole};
use crate::shell::tcp::known::ByFingerprint;

/// Longest reply, in bytes: 200 records with their longest texts are far shorter.
const REPLY_MAX: u64 = 16 * 1024 * 1024;
/// The node closes connections that are idle for a minute: an older one is not used again.
const IDLE: Duration = Duration::from_secs(30);

/// When an exchange must be over; none, if no clock reaches it.
type Deadline = Option<Instant>;

/// What is left until then.
fn left(end: Deadline) -> io::Result<Option<Duration>> {
    let left = end.map(|end| end.saturating_duration_since(Instant::now()));
    match left {
        Some(Duration::ZERO) => Err(io::ErrorKind::TimedOut.into()),
        left => Ok(left),
    }
}

/// The system says of a time that is over that the socket would block.
fn over(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    }
}

/// A socket on which no read or write goes beyond the deadline.
#[derive(Debug)]
struct Timed {
    socket: TcpStream,
    end: Deadline,
}

impl Read for Timed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(left(self.end)?)?;
        self.socket.read(into).map_err(over)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(left(self.end)?)?;
        self.socket.write(bytes).map_err(over)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

type Stream = BufReader<StreamOwned<ClientConnection, Timed>>;

/// Where and how a node is asked.
#[derive(Debug)]
pub struct Link {
    address: String,
    pin: Pin,
    answer_within: Duration,
    verbose: bool,
    stream: Option<Stream>,
    used: Instant,
    next_id: u64,
}

impl Link {
    /// A link that is opened with the first question. `address` is `HOST:PORT`; `verbose` shows
    /// each request and each reply on standard error.
    #[must_use]
    pub fn new(address: String, pin: Pin, answer_within: Duration, verbose: bool) -> Self {
        Self {
            address,
            pin,
            answer_within,
            verbose,
            stream: None,
            used: Instant::now(),
            next_id: 0,
        }
    }

    fn socket(&self, end: Deadline) -> anyhow::Result<TcpStream> {
        let addresses = self
            .address
            .to_socket_addrs()
            .with_context(|| format!("{:?}: write HOST:PORT or [IPV6]:PORT", self.address))?;
        let mut last = None;
        for address in addresses {
            let connected = left(end).and_then(|left| match left {
                Some(left) => TcpStream::connect_timeout(&address, left),
                None => TcpStream::connect(address),
            });
            match connected {
                Ok(socket) => return Ok(socket),
                Err(error) => last = Some(error),
            }
        }
        match last {
            Some(error) => {
                Err(error).with_context(|| format!("{}: is a node listening there?", self.address))
            }
            None => bail!("{:?} has no address", self.address),
        }
    }

    fn open(&mut self, end: Deadline) -> anyhow::Result<Stream> {
        let socket = self.socket(end)?;
        socket.set_nodelay(true)?;
        let mut socket = Timed { socket, end };
        let wanted = self.pin.wanted(&self.address)?;
        let verifier = Arc::new(ByFingerprint::new(wanted));
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone())
            .with_no_client_auth();
        // Self-made certificates name what they like; this name is neither sent nor compared.
        let name = ServerName::try_from("localhost")?;
        let mut session = ClientConnection::new(Arc::new(config), name)?;
        let mut shaken = Ok((0, 0));
        while session.is_handshaking() && shaken.is_ok() {
            shaken = session.complete_io(&mut socket);
        }
        let seen = verifier.seen();
        if let (Err(_), Some(wanted), Some(seen)) = (&shaken, wanted, seen)
            && wanted != seen
        {
            bail!(self.pin.other_certificate(&self.address, &wanted, &seen));
        }
        shaken.with_context(|| {
            format!(
                "{}: no TLS; is this the JSON-RPC service of a node?",
                self.address
            )
        })?;
        let seen = seen.context("the node showed no certificate")?;
        self.pin.keep(&self.address, &seen)?;
        Ok(BufReader::new(StreamOwned::new(session, socket)))
    }

    fn exchange(stream: &mut Stream, request: &str) -> std::io::Result<String> {
        stream.get_mut().write_all(request.as_bytes())?;
        stream.get_mut().flush()?;
        let mut line = Vec::new();
        stream.take(REPLY_MAX).read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// Asks a method with its argument, a JSON text; gives the result.
    ///
    /// # Errors
    /// Nobody there, another certificate than known, no answer in time, an answer that is none,
    /// or the error that the node answers.
    pub fn call(&mut self, method: &str, argument: &str) -> anyhow::Result<Value> {
        let end = Instant::now().checked_add(self.answer_within);
        let mut stream = match self.stream.take() {
            Some(stream) if self.used.elapsed() < IDLE => stream,
            _ => self.open(end)?,
        };
        stream.get_mut().sock.end = end;
        let id = self.next_id;
        self.next_id += 1;
        let request = format!(
            "{{\"method\":{},\"params\":[{argument}],\"id\":{id}}}\n",
            Value::from(method)
        );
        if self.verbose {
            eprintln!("> {}", whole(request.trim_end()));
        }
        let reply = Self::exchange(&mut stream, &request)
            .with_context(|| format!("{}: no whole answer to {method}", self.address))?;
        if self.verbose {
            eprintln!("< {}", whole(reply.trim_end()));
        }
        let reply: Value = serde_json::from_str(&reply)
            .with_context(|| format!("{}: the answer to {method} is no JSON", self.address))?;
        if reply["id"] != id {
            bail!(
                "{}: the answer to {method} is one to another question",
                self.address
            );
        }
        self.stream = Some(stream);
        self.used = Instant::now();
        match &reply["error"] {
            Value::Null => Ok(reply["result"].clone()),
            Value::String(text) => bail!("the node answers: {}", for_people(text)),
            other => bail!("the node answers: {}", for_people(&other.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_server_that_sends_a_byte_now_and_then_is_not_waited_for_longer_than_told() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            // The head of a handshake message of 16 KiB, then its bytes one by one until the
            // client has gone.
            let _ = socket.write_all(&[0x16, 3, 3, 0x40, 0, 2, 0, 0x3f, 0xfc, 3, 3]);
            while socket.write_all(b"a").is_ok() {
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let within = Duration::from_millis(500);
        let begin = Instant::now();
        let mut link = Link::new(address, Pin::Any, within, false);
        let told = format!("{:#}", link.call("Node.Info", "{}").unwrap_err());
        assert!(begin.elapsed() < Duration::from_secs(10), "{told}");
        assert!(begin.elapsed() >= within, "{told}");
        assert!(told.contains("timed out"), "{told}");
        server.join().unwrap();
    }

    #[test]
    fn a_time_that_no_clock_reaches_is_no_end() {
        let end = Instant::now().checked_add(Duration::MAX);
        assert_eq!(left(end).unwrap(), None);
        assert!(left(Some(Instant::now())).is_err());
    }
}
