//! What a process writes to its standard output and error beside the channel: native
//! code, child processes, crash reports, and everything of a `Command` function.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::process::{ChildStderr, ChildStdout};

use crate::link::Written;
use crate::observer::Stream;

/// How much is read at once; a pipe holds 64 KB.
const CHUNK: usize = 8 * 1024;
/// The most chunks that one call reads, so that a process that writes without end
/// cannot keep the host's thread.
const MOST_CHUNKS: usize = 32;

/// A process's two outputs. Nothing reads a function's between events: a process that
/// writes then waits when its pipe is full, as Lambda freezes it.
pub(crate) struct Output {
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
}

impl Output {
    pub(crate) fn new(stdout: ChildStdout, stderr: ChildStderr) -> Self {
        Self { stdout: Some(stdout), stderr: Some(stderr) }
    }

    /// Gives all that is there to `log`, and wakes the task when there is more.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, log: &mut dyn FnMut(Written<'_>)) {
        poll_stream(&mut self.stdout, cx, &mut |bytes| log(Written::Native(Stream::Stdout, bytes)));
        poll_stream(&mut self.stderr, cx, &mut |bytes| log(Written::Native(Stream::Stderr, bytes)));
    }

    /// Whether both have come to their end, as far as they have been read.
    pub(crate) fn is_at_end(&self) -> bool {
        self.stdout.is_none() && self.stderr.is_none()
    }
}

fn poll_stream(
    slot: &mut Option<impl AsyncRead + Unpin>,
    cx: &mut Context<'_>,
    take: &mut dyn FnMut(&[u8]),
) {
    let Some(stream) = slot else { return };
    let mut scratch = [std::mem::MaybeUninit::uninit(); CHUNK];
    for _ in 0..MOST_CHUNKS {
        let mut buffer = ReadBuf::uninit(&mut scratch);
        match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
            Poll::Pending => return,
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => take(buffer.filled()),
            // The end, or an error that will not go away.
            Poll::Ready(_) => {
                *slot = None;
                return;
            }
        }
    }
    cx.waker().wake_by_ref();
}
