//! News for pages that are open: `/api/live`, server-sent events. One task asks the engine once in
//! [`LOOK`] while anybody listens, and tells when the answer is another. Without news an event says
//! that the engine answers, and only then: a page that hears neither knows that it does not.
//!
//! Bounds: [`LISTENERS_MAX`] at a time; [`QUEUE`] events wait for one that reads slowly, which then
//! gets the newest.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use hyper::body::{Bytes, Frame};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::Source;
use super::doors::Busy;
use super::metrics::Numbers;
use crate::core::explore::Question;

/// Who listens at a time.
pub const LISTENERS_MAX: usize = 32;
/// Between two questions.
pub const LOOK: Duration = Duration::from_millis(1000);
/// Without news something is sent: that all is well (`SILENCE` of `app.js` is more than two of
/// these), or what no page sees, so that a connection that is gone is noticed.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How long the engine may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(5);
/// Events for one listener.
const QUEUE: usize = 2;

/// What changes. Clones share it.
#[derive(Debug, Clone)]
pub struct Live {
    source: Source,
    newest: watch::Sender<Arc<str>>,
    places: Arc<Semaphore>,
    numbers: Arc<Numbers>,
}

/// Asks; nothing when there is no answer now.
async fn look(source: &Source) -> Option<Arc<str>> {
    let answer = tokio::time::timeout(PATIENCE, (source.ask)(Question::Live)).await;
    Some(answer.ok()?.ok()?.ok()?.to_string().into())
}

impl Live {
    /// Nobody listens yet. Starts the task that asks.
    pub fn new(source: Source, numbers: Arc<Numbers>) -> Self {
        let (newest, _) = watch::channel(Arc::from(""));
        let live = Self {
            source,
            newest,
            places: Arc::new(Semaphore::new(LISTENERS_MAX)),
            numbers,
        };
        tokio::spawn(live.clone().keep_looking());
        live
    }

    async fn keep_looking(self) {
        loop {
            tokio::time::sleep(LOOK).await;
            if self.newest.receiver_count() == 0 {
                continue;
            }
            if let Some(text) = look(&self.source).await {
                self.newest.send_if_modified(|newest| {
                    let is_new = *newest != text;
                    *newest = text;
                    is_new
                });
            }
        }
    }

    /// A response that goes on as long as its reader stays; its connection is busy so long.
    pub fn listen(&self, busy: Option<Arc<Busy>>) -> Response {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            let text = "too many pages are open; this one will try again\n";
            return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
        };
        let (events, queue) = mpsc::channel(QUEUE);
        let told = tell(
            self.source.clone(),
            self.newest.subscribe(),
            events,
            place,
            Arc::clone(&self.numbers),
        );
        tokio::spawn(told);
        let mut response = Body::new(Events(queue, busy)).into_response();
        let kind = HeaderValue::from_static("text/event-stream");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

fn event(text: &str) -> Bytes {
    format!("event: change\ndata: {text}\n\n").into()
}

const ALIVE: Bytes = Bytes::from_static(b"event: alive\ndata: 1\n\n");
/// No event.
const SILENT: Bytes = Bytes::from_static(b": no answer\n\n");

/// Tells one listener until it is gone.
async fn tell(
    source: Source,
    mut newest: watch::Receiver<Arc<str>>,
    events: mpsc::Sender<Bytes>,
    _place: OwnedSemaphorePermit,
    numbers: Arc<Numbers>,
) {
    let _listener = numbers.listener();
    let mut last: Arc<str> = look(&source).await.unwrap_or_else(|| "".into());
    let first = if last.is_empty() {
        SILENT
    } else {
        event(&last)
    };
    for text in [Bytes::from_static(b"retry: 2000\n"), first] {
        if events.send(text).await.is_err() {
            return;
        }
    }
    loop {
        let next = tokio::select! {
            () = events.closed() => return,
            changed = newest.changed() => {
                if changed.is_err() {
                    return;
                }
                let text = Arc::clone(&newest.borrow_and_update());
                if text == last {
                    continue;
                }
                last = text;
                event(&last)
            }
            () = tokio::time::sleep(HEARTBEAT) => match look(&source).await {
                Some(_) => ALIVE,
                None => SILENT,
            },
        };
        if events.send(next).await.is_err() {
            return;
        }
    }
}

/// A body of events as they come.
struct Events(
    mpsc::Receiver<Bytes>,
    #[expect(dead_code, reason = "it is dropped with this")] Option<Arc<Busy>>,
);

impl hyper::body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(context)
            .map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}
