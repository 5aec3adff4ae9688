//! One connection: requests in, replies out as they come, in whatever order (`proto/rpc.md`, section
//! 1, framing).
//!
//! One task does all of it. It reads only while it can begin a request, so what a client sends ahead
//! stays with the system; it begins one only while there is room for its reply. Leaving the function
//! takes all questions back.

use std::io::ErrorKind;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::task::JoinSet;

use super::splitter::{Fault, Splitter};
use super::{Answer, Service, Settings};
use crate::core::wire::json::quote;
use crate::shell::counters::Requests;
use crate::shell::counters::requests::{OTHER, REFUSED};
use crate::shell::tcp::Place;

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

/// What a connection has, and its bounds.
#[derive(Clone, Copy)]
pub(super) struct Client<'a> {
    pub place: &'a Place,
    pub requests: &'a Requests,
    pub settings: &'a Settings,
}

/// Serves until the client goes, is idle for too long or loses its place.
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
    let mut running: JoinSet<Answer> = JoinSet::new();
    let mut out = Outgoing {
        is_flushed: true,
        ..Outgoing::default()
    };
    let mut chunk = vec![0_u8; CHUNK];
    let mut is_ended = false;
    let mut was_refused = false;
    loop {
        let has_room = |running: &JoinSet<Answer>, out: &Outgoing| {
            running.len() < settings.running && out.rest().len() < settings.unsent_bytes
        };
        while !is_ended && has_room(&running, &out) {
            match splitter.next_request() {
                Ok(Some(request)) => {
                    let service = service.clone();
                    place.busy();
                    running.spawn(async move { service.call(request).await });
                }
                Ok(None) => break,
                Err(fault) => {
                    requests.count(OTHER, REFUSED);
                    out.push(&refusal(fault));
                    (is_ended, was_refused) = (true, true);
                }
            }
        }
        if is_ended && running.is_empty() && out.is_done() {
            break;
        }
        tokio::select! {
            () = place.over(settings.idle) => return,
            Some(answer) = running.join_next() => {
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
            read = reader.read(&mut chunk), if !is_ended && has_room(&running, &out) => match read {
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
        () = place.over(settings.idle) => {}
    }
}

/// The one reply to a stream that is none of requests.
fn refusal(fault: Fault) -> String {
    let text = quote(fault.to_string().as_bytes());
    format!("{{\"id\":null,\"result\":null,\"error\":{text}}}\n")
}
