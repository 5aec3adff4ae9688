//! Bytes in and out of a socket.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[derive(Debug, Default)]
struct Bytes {
    received: AtomicU64,
    sent: AtomicU64,
}

/// Bytes that came and left. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Flow(Arc<Bytes>);

impl Flow {
    /// So many came.
    pub fn receive(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.0.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many left.
    pub fn send(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.0.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// How many came.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.0.received.load(Ordering::Relaxed)
    }

    /// How many left.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.0.sent.load(Ordering::Relaxed)
    }

    /// A connection whose bytes are counted here.
    pub const fn around<S>(self, stream: S) -> Metered<S> {
        Metered { stream, flow: self }
    }
}

/// A connection whose bytes are counted.
#[derive(Debug)]
pub struct Metered<S> {
    stream: S,
    flow: Flow,
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        let more = buffer.filled().len().saturating_sub(before);
        self.flow.receive(more);
        result
    }
}

impl<S: AsyncWrite + Unpin> Metered<S> {
    fn note(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &result {
            self.flow.send(*bytes);
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.note(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[test]
    fn what_passes_through_a_connection_is_counted_both_ways() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let flow = Flow::default();
            let (near, mut far) = tokio::io::duplex(64);
            let mut near = flow.clone().around(near);
            far.write_all(b"three").await.unwrap();
            let mut buffer = [0; 64];
            assert_eq!(near.read(&mut buffer).await.unwrap(), 5);
            near.write_all(b"seven b").await.unwrap();
            assert_eq!((flow.received(), flow.sent()), (5, 7));
            drop(far);
            assert_eq!(near.read(&mut buffer).await.unwrap(), 0);
            assert!(near.write_all(b"lost").await.is_err());
            assert_eq!((flow.received(), flow.sent()), (5, 7));
        });
    }
}
