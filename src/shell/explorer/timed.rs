//! A connection whose writes have their time, so that a client that asks and does not read, or
//! reads next to nothing, keeps no place for ever. Reading has its own limits.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How long nothing may be taken of what is sent.
    pub wait: Duration,
    /// How long an answer may take, whatever its size.
    pub grace: Duration,
    /// Bytes a second that are taken of a longer one, at least.
    pub rate: u32,
}

/// Of all answers.
pub const PACE: Pace = Pace {
    wait: Duration::from_secs(20),
    grace: Duration::from_secs(30),
    rate: 1 << 10,
};

/// Since a write had to wait, until all that was to be sent is gone.
#[derive(Debug)]
struct Slow {
    since: Instant,
    progress: Instant,
    taken: u64,
    end: Pin<Box<Sleep>>,
}

impl Slow {
    fn begin(pace: Pace) -> Self {
        let now = Instant::now();
        let slow = Self {
            since: now,
            progress: now,
            taken: 0,
            end: Box::pin(tokio::time::sleep_until(now)),
        };
        slow.again(pace)
    }

    fn again(mut self, pace: Pace) -> Self {
        let end = self.deadline(pace);
        self.end.as_mut().reset(end);
        self
    }

    fn deadline(&self, pace: Pace) -> Instant {
        let seconds = self.taken / u64::from(pace.rate.max(1));
        let whole = self.since + pace.grace + Duration::from_secs(seconds);
        whole.min(self.progress + pace.wait)
    }
}

/// The connection.
#[derive(Debug)]
pub struct Timed<S> {
    stream: S,
    pace: Pace,
    slow: Option<Slow>,
}

impl<S> Timed<S> {
    /// Nothing waits yet.
    pub const fn new(stream: S, pace: Pace) -> Self {
        Self {
            stream,
            pace,
            slow: None,
        }
    }

    /// A write had to wait: an error when that takes too long.
    fn late<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        let pace = self.pace;
        let slow = self.slow.get_or_insert_with(|| Slow::begin(pace));
        match slow.end.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }

    /// So many bytes were taken.
    fn took(&mut self, count: usize) {
        let pace = self.pace;
        self.slow = self.slow.take().map(|mut slow| {
            slow.taken = slow.taken.saturating_add(count as u64);
            slow.progress = Instant::now();
            slow.again(pace)
        });
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Ready(Ok(count)) => {
                self.took(count);
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.late(context),
        }
    }

    /// Everything is gone only when this is done; hyper asks for it at the end of an answer.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_flush(context) {
            Poll::Ready(result) => {
                self.slow = None;
                Poll::Ready(result)
            }
            Poll::Pending => self.late(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_shutdown(context) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => self.late(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(test);
    }

    fn pace(wait: Duration, grace: Duration, rate: u32) -> Pace {
        Pace { wait, grace, rate }
    }

    #[test]
    fn a_write_that_nobody_takes_ends_with_a_time_out() {
        run(async {
            let (near, _far) = tokio::io::duplex(4);
            let mut timed = Timed::new(near, pace(Duration::from_millis(1), LONG, 1));
            let error = timed.write_all(b"more than four").await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        });
    }

    #[test]
    fn who_takes_a_byte_now_and_then_has_no_more_than_its_time() {
        run(async {
            let (near, mut far) = tokio::io::duplex(1);
            let grace = Duration::from_millis(50);
            let mut timed = Timed::new(near, pace(LONG, grace, 1 << 20));
            let begin = Instant::now();
            let reader = async {
                // Each byte is progress; there are too many of them for the time.
                while far.read_u8().await.is_ok() {
                    tokio::task::yield_now().await;
                }
            };
            let endless = async {
                loop {
                    if let Err(error) = timed.write_all(&[7; 1024]).await {
                        return error.kind();
                    }
                }
            };
            let ended = tokio::time::timeout(LONG / 180, async {
                tokio::select! {
                    kind = endless => kind,
                    () = reader => unreachable!("the writer stays open"),
                }
            });
            let kind = ended.await.expect("it does not go on for ever");
            assert_eq!(kind, io::ErrorKind::TimedOut);
            assert!(begin.elapsed() >= grace);
        });
    }

    #[test]
    fn an_answer_that_is_taken_fast_enough_may_take_longer() {
        run(async {
            let (near, mut far) = tokio::io::duplex(1);
            let mut timed = Timed::new(near, pace(LONG, Duration::ZERO, 1));
            // The first byte fills the pipe and the second one has to wait; from then on each byte
            // that is taken brings a second.
            timed.write_all(b"a").await.unwrap();
            timed.slow = Some(Slow {
                taken: 60,
                ..Slow::begin(timed.pace)
            });
            timed.took(1);
            let (written, read) = tokio::join!(timed.write_all(b"bcdef"), async {
                let mut bytes = [0; 6];
                far.read_exact(&mut bytes).await.map(|_| bytes)
            });
            written.unwrap();
            assert_eq!(&read.unwrap(), b"abcdef");
            timed.flush().await.unwrap();
            assert!(timed.slow.is_none(), "the next answer has its own time");
        });
    }
}
