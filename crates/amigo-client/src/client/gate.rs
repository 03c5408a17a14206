//! Decides whether a request body is sent: the line between "never sent" and "ambiguous".

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use amigo_runtime::clock::SharedClock;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

const WAITING: u8 = 0;
const BEGUN: u8 = 1;
const CLOSED: u8 = 2;
const LATE: u8 = 3;

/// Decides once whether the connection gets a body.
///
/// # Expected flow
/// When the connection polls the body ([`GatedBody`]), the gate opens; a caller that stops waiting closes it.
///
/// # Guarantees
/// Exactly one of the two wins. If closing wins, no byte of the body is ever sent. The server then never has a complete
/// request, even if it got the head, because the head announces the length of the body.
///
/// # Assumptions
/// The body is not empty. A request without a body counts as begun from the start.
///
/// # Caveats
/// Begun means given to the connection, not received.
#[derive(Debug)]
pub(super) struct Gate {
    state: AtomicU8,
    send_before: Option<Duration>,
    clock: SharedClock,
}

/// The gate was closed before the body began.
#[derive(Debug, thiserror::Error)]
#[error("the caller stopped waiting before the body was sent")]
pub(super) struct GateClosed;

/// A request body behind a gate.
#[derive(Debug)]
pub(super) struct GatedBody {
    data: Option<Bytes>,
    gate: Arc<Gate>,
}

/// Closes the gate when the future of a request is dropped, so that nothing is sent afterwards.
pub(super) struct CloseOnDrop(pub(super) Arc<Gate>);

impl Gate {
    /// A gate that opens only before boot time `send_before`.
    pub(super) fn new(send_before: Option<Duration>, clock: SharedClock) -> Arc<Self> {
        Arc::new(Self { state: AtomicU8::new(WAITING), send_before, clock })
    }

    /// The body for this gate; without data the request counts as begun.
    pub(super) fn body(self: &Arc<Self>, data: Option<Bytes>) -> GatedBody {
        let data = data.filter(|data| !data.is_empty());
        if data.is_none() {
            self.decide(BEGUN);
        }
        GatedBody { data, gate: Arc::clone(self) }
    }

    /// Closes the gate. Whether the body had begun, so that the server may have the request.
    pub(super) fn close(&self) -> bool {
        self.decide(CLOSED) == BEGUN
    }

    /// Whether it stayed closed because the time to send had passed.
    pub(super) fn late(&self) -> bool {
        self.state.load(Ordering::SeqCst) == LATE
    }

    fn open(&self) -> bool {
        let late = self.send_before.is_some_and(|limit| self.clock.boot() >= limit);
        self.decide(if late { LATE } else { BEGUN }) == BEGUN
    }

    /// Makes `state` the outcome unless there is one already; returns the outcome.
    fn decide(&self, state: u8) -> u8 {
        match self.state.compare_exchange(WAITING, state, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => state,
            Err(decided) => decided,
        }
    }
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Body for GatedBody {
    type Data = Bytes;
    type Error = GateClosed;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, GateClosed>>> {
        let Some(data) = self.data.take() else { return Poll::Ready(None) };
        Poll::Ready(Some(if self.gate.open() { Ok(Frame::data(data)) } else { Err(GateClosed) }))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.data.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
    }
}
