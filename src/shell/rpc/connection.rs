//! One connection: requests in, replies out as they come, in whatever order (`proto/rpc.md`, section
//! 1, framing).
//!
//! One task does all of it. It reads only while it can begin a request, so what a client sends ahead
//! stays with the system; it begins one only while there is room for its reply. Leaving the function
//! takes all questions back.
//!
//! Room: a reply is thought to be as long as the longest of the connection so far, and as many calls
//! run as such replies fit into what may be unsent; one always may. So beyond the bound there is at
//! most what the calls bring that run while a longer reply than ever comes.

use std::io::ErrorKind;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::splitter::{Fault, Splitter};
use super::{Answer, Service, Settings};
use crate::core::wire::json::quote;
use crate::shell::counters::Requests;
use crate::shell::counters::requests::{OTHER, REFUSED};
use crate::shell::tcp::{Over, Place};

/// Bytes read at once.
const CHUNK: usize = 16 << 10;

/// Replies that wait for the client.
#[derive(Default)]
struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
    is_flushed: bool,
}

impl Outgoing {
    fn push(&mut self, reply: &str) {
        if self.sent > 0 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
        self.bytes.extend_from_slice(reply.as_bytes());
        self.is_flushed = false;
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.sent..).unwrap_or_default()
    }

    fn is_done(&self) -> bool {
        self.rest().is_empty() && self.is_flushed
    }

    /// Some of it, or the flush after the last. Nothing is lost when it is dropped.
    async fn send(&mut self, writer: &mut (impl AsyncWrite + Unpin)) -> std::io::Result<()> {
        if self.rest().is_empty() {
            writer.flush().await?;
            self.is_flushed = true;
            self.bytes = Vec::new();
            self.sent = 0;
            return Ok(());
        }
        match writer.write(self.rest()).await? {
            0 => Err(ErrorKind::WriteZero.into()),
            more => {
                self.sent += more;
                Ok(())
            }
        }
    }
}

/// The calls that are with the node.
#[derive(Default)]
struct Running {
    /// Each with the bytes of its request.
    calls: JoinSet<(usize, Answer)>,
    /// Bytes of their requests.
    bytes: usize,
    /// Of the longest reply so far.
    longest: usize,
}

impl Running {
    fn has_room(&self, out: &Outgoing, settings: &Settings) -> bool {
        let count = self.calls.len();
        let (unsent, replies) = (out.rest().len(), self.longest.saturating_mul(count + 1));
        count < settings.running
            && unsent < settings.unsent_bytes
            && self.bytes < settings.running_bytes
            && (count == 0 || unsent.saturating_add(replies) <= settings.unsent_bytes)
    }

    fn begin<S: Service>(&mut self, service: &S, request: Vec<u8>) {
        let (service, size) = (service.clone(), request.len());
        self.bytes += size;
        self.calls
            .spawn(async move { (size, service.call(request).await) });
    }

    /// The next answer; none: nothing runs. An error: a call failed, and so does the connection.
    async fn next(&mut self) -> Option<Result<Answer, JoinError>> {
        let ended = self.calls.join_next().await?;
        Some(ended.map(|(size, answer)| {
            self.bytes = self.bytes.saturating_sub(size);
            let (Answer::Called(reply) | Answer::Refused(reply) | Answer::Unreadable(reply)) =
                &answer;
            self.longest = self.longest.max(reply.len());
            answer
        }))
    }
}

/// What a connection has, and its bounds.
#[derive(Clone, Copy)]
pub(super) struct Client<'a> {
    pub place: &'a Place,
    pub requests: &'a Requests,
    pub settings: &'a Settings,
}

/// Serves until the client goes, is idle for too long or loses its place. Where it loses it because
/// it had its turn, what has begun is still answered.
pub(super) async fn serve<T, S>(stream: T, client: Client<'_>, service: &S)
where
    T: AsyncRead + AsyncWrite + Send,
    S: Service,
{
    let Client {
        place,
        requests,
        settings,
    } = client;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut splitter = Splitter::new(settings.request_bytes);
    let mut running = Running::default();
    let mut out = Outgoing {
        is_flushed: true,
        ..Outgoing::default()
    };
    let mut chunk = vec![0_u8; CHUNK];
    let mut is_ended = false;
    let mut was_refused = false;
    // Until when it is answered after it lost its place.
    let mut leaves: Option<Instant> = None;
    loop {
        while !is_ended && running.has_room(&out, settings) {
            match splitter.next_request() {
                Ok(Some(request)) => {
                    place.busy();
                    running.begin(service, request);
                }
                Ok(None) => break,
                Err(fault) => {
                    requests.count(OTHER, REFUSED);
                    out.push(&refusal(fault));
                    (is_ended, was_refused) = (true, true);
                }
            }
        }
        if is_ended && running.calls.is_empty() && out.is_done() {
            break;
        }
        let has_room = running.has_room(&out, settings);
        tokio::select! {
            over = place.over(settings.idle), if leaves.is_none() => match over {
                Over::Idle => return,
                Over::HadTurn => {
                    is_ended = true;
                    leaves = Some(Instant::now() + settings.farewell);
                }
            },
            () = tokio::time::sleep_until(leaves.unwrap_or_else(Instant::now)), if leaves.is_some() => {
                return;
            }
            Some(answer) = running.next() => {
                place.rest();
                match answer {
                    Ok(Answer::Called(reply) | Answer::Refused(reply)) => out.push(&reply),
                    Ok(Answer::Unreadable(reply)) => {
                        if !was_refused {
                            out.push(&reply);
                        }
                        (is_ended, was_refused) = (true, true);
                    }
                    Err(error) => {
                        log::error!(target: "clients", "a call failed: {error}");
                        return;
                    }
                }
            }
            read = reader.read(&mut chunk), if !is_ended && has_room => match read {
                Ok(0) => is_ended = true,
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => is_ended = true,
                Err(_) => return,
                Ok(count) => splitter.push(chunk.get(..count).unwrap_or_default()),
            },
            sent = out.send(&mut writer), if !out.is_done() => {
                if sent.is_err() {
                    return;
                }
            }
        }
    }
    // What the client still sends is read, or the system would take back what it was told.
    let farewell = async {
        writer.shutdown().await?;
        while reader.read(&mut chunk).await? > 0 {}
        std::io::Result::Ok(())
    };
    tokio::select! {
        _ = farewell => {}
        () = tokio::time::sleep(settings.farewell) => {}
        _ = place.over(settings.idle), if leaves.is_none() => {}
    }
}

/// The one reply to a stream that is none of requests.
fn refusal(fault: Fault) -> String {
    let text = quote(fault.to_string().as_bytes());
    format!("{{\"id\":null,\"result\":null,\"error\":{text}}}\n")
}
