//! A stream of lines that anyone may listen to and nobody has to.
//!
//! Each listener has a queue of bounded size. One that is too slow loses lines, and is
//! told how many in their place; the others, and whoever publishes, do not notice.

use std::any::Any;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame};

/// Listeners at once; more are turned away.
const MAX_LISTENERS: usize = 16;

/// Bytes that wait for one listener at the most, beyond which it loses lines.
const MAX_WAITING_BYTES: usize = 8 * 1024 * 1024;

/// Bytes given to the socket at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Where lines are published. Cheap to clone; all clones are one feed.
#[derive(Clone, Default)]
pub struct Feed {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// How many listen: what a publisher looks at first.
    count: AtomicUsize,
    queues: Mutex<Vec<Arc<Mutex<Queue>>>>,
}

/// What waits for one listener.
#[derive(Default)]
struct Queue {
    lines: VecDeque<Bytes>,
    bytes: usize,
    /// Lines lost since the last that was queued.
    dropped: u64,
    /// Nothing is added any more.
    ended: bool,
    waker: Option<Waker>,
}

/// One listener: the body of a response.
pub struct Listening {
    feed: Feed,
    queue: Arc<Mutex<Queue>>,
    /// What is there for this listener alone, such as what the lines come from.
    held: Vec<Box<dyn Any + Send>>,
}

// === impl Feed ===

impl Feed {
    /// Whether anybody listens. Lines need not be made while nobody does.
    #[inline]
    pub fn is_heard(&self) -> bool {
        self.shared.count.load(Ordering::Relaxed) > 0
    }

    /// Gives a line, with its end, to those who listen.
    pub fn publish(&self, line: &Bytes) {
        for queue in self.queues().iter() {
            lock(queue).push(line.clone());
        }
    }

    /// Listens from now on, after the lines in `before`. `None` where too many listen.
    #[must_use]
    pub fn listen(&self, before: impl IntoIterator<Item = Bytes>) -> Option<Listening> {
        let mut queues = self.queues();
        if queues.len() >= MAX_LISTENERS {
            return None;
        }
        let mut queue = Queue::default();
        before.into_iter().for_each(|line| queue.push(line));
        let queue = Arc::new(Mutex::new(queue));
        queues.push(Arc::clone(&queue));
        self.shared.count.store(queues.len(), Ordering::Relaxed);
        drop(queues);
        Some(Listening { feed: self.clone(), queue, held: Vec::new() })
    }

    fn queues(&self) -> MutexGuard<'_, Vec<Arc<Mutex<Queue>>>> {
        lock(&self.shared.queues)
    }
}

// Std locks, because they are held for a push or a swap and never across an await.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("listeners", &self.shared.count).finish()
    }
}

// === impl Queue ===

impl Queue {
    fn push(&mut self, line: Bytes) {
        if self.ended {
            return;
        }
        if self.bytes + line.len() > MAX_WAITING_BYTES {
            self.dropped += 1;
            return;
        }
        self.note_dropped();
        self.bytes += line.len();
        self.lines.push_back(line);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Queues the number of lines that are missing here, if any are.
    fn note_dropped(&mut self) {
        if self.dropped > 0 {
            let line = format!("{{\"type\":\"dropped\",\"records\":{}}}\n", self.dropped);
            self.dropped = 0;
            self.bytes += line.len();
            self.lines.push_back(line.into());
        }
    }

    /// What goes to the socket next, if there is anything.
    fn take(&mut self) -> Option<Bytes> {
        if self.lines.is_empty() {
            self.note_dropped();
        }
        let mut chunk = BytesMut::new();
        while let Some(line) = self.lines.pop_front() {
            self.bytes -= line.len();
            if chunk.is_empty() && line.len() >= CHUNK_BYTES {
                return Some(line);
            }
            chunk.extend_from_slice(&line);
            if chunk.len() >= CHUNK_BYTES {
                break;
            }
        }
        (!chunk.is_empty()).then(|| chunk.freeze())
    }
}

// === impl Listening ===

impl Listening {
    /// Ends after what is there already.
    #[must_use]
    pub fn without_more(self) -> Self {
        lock(&self.queue).ended = true;
        self
    }

    /// Drops `held` when the listener is gone.
    #[must_use]
    pub(crate) fn holding(mut self, held: impl Any + Send) -> Self {
        self.held.push(Box::new(held));
        self
    }
}

impl Body for Listening {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut queue = lock(&self.queue);
        match queue.take() {
            Some(chunk) => Poll::Ready(Some(Ok(Frame::data(chunk)))),
            None if queue.ended => Poll::Ready(None),
            None => {
                queue.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // What feeds it first: it may be publishing at this moment.
        self.held.clear();
        let mut queues = self.feed.queues();
        queues.retain(|queue| !Arc::ptr_eq(queue, &self.queue));
        self.feed.shared.count.store(queues.len(), Ordering::Relaxed);
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listening").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(listening: &Listening) -> String {
        let chunk = lock(&listening.queue).take().unwrap_or_default();
        String::from_utf8(chunk.to_vec()).unwrap()
    }

    #[test]
    fn a_listener_gets_what_was_before_and_what_comes() {
        let feed = Feed::default();
        assert!(!feed.is_heard());
        feed.publish(&Bytes::from_static(b"unheard\n"));
        let listening = feed.listen([Bytes::from_static(b"before\n")]).unwrap();
        assert!(feed.is_heard());
        feed.publish(&Bytes::from_static(b"after\n"));
        assert_eq!(taken(&listening), "before\nafter\n");
        drop(listening);
        assert!(!feed.is_heard());
    }

    #[test]
    fn a_slow_listener_loses_lines_and_is_told_how_many() {
        let feed = Feed::default();
        let slow = feed.listen([]).unwrap();
        let large = Bytes::from(vec![b'x'; MAX_WAITING_BYTES]);
        feed.publish(&large);
        feed.publish(&Bytes::from_static(b"lost\n"));
        feed.publish(&Bytes::from_static(b"lost\n"));
        assert_eq!(taken(&slow).len(), MAX_WAITING_BYTES);
        feed.publish(&Bytes::from_static(b"heard\n"));
        assert_eq!(taken(&slow), "{\"type\":\"dropped\",\"records\":2}\nheard\n");
    }

    #[test]
    fn the_number_of_listeners_is_bounded() {
        let feed = Feed::default();
        let all: Vec<_> = (0..MAX_LISTENERS).map(|_| feed.listen([]).unwrap()).collect();
        assert!(feed.listen([]).is_none());
        drop(all);
        assert!(feed.listen([]).is_some());
    }
}
