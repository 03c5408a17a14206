//! The moment a request's body starts to flow: the line between "never sent" and "who knows".

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

/// Decides once whether a body is handed to the connection.
///
/// # Expected flow
/// The connection asks for the body ([`GatedBody`]), which opens the gate; whoever gives up on the call closes it.
///
/// # Guarantees
/// Exactly one of the two wins. If closing wins, no byte of the body is ever sent, so the server never has a whole
/// request, even if its head went out: the head announces a length that never comes.
///
/// # Assumptions
/// The body is not empty. A request without a body counts as begun from the start.
///
/// # Caveats
/// Begun means handed to the connection, not received.
///
/// # Errors
/// None of its own; the body ends with [`Shut`].
#[derive(Debug)]
pub(super) struct Gate {
    state: AtomicU8,
    send_before: Option<Duration>,
    clock: SharedClock,
}

/// The gate was closed before the body began.
#[derive(Debug, thiserror::Error)]
#[error("the request was given up before its body was sent")]
pub(super) struct Shut;

/// A request body behind a gate.
#[derive(Debug)]
pub(super) struct GatedBody {
    data: Option<Bytes>,
    gate: Arc<Gate>,
}

/// Closes the gate when a call's future goes away, so that nothing starts behind the caller's back.
pub(super) struct Closing(pub(super) Arc<Gate>);

impl Gate {
    /// A gate that opens only before boot time `send_before`.
    pub(super) fn new(send_before: Option<Duration>, clock: SharedClock) -> Arc<Self> {
        Arc::new(Self { state: AtomicU8::new(WAITING), send_before, clock })
    }

    /// The body for this gate; nothing to send counts as begun.
    pub(super) fn body(self: &Arc<Self>, data: Option<Bytes>) -> GatedBody {
        let data = data.filter(|data| !data.is_empty());
        if data.is_none() {
            self.settle(BEGUN);
        }
        GatedBody { data, gate: Arc::clone(self) }
    }

    /// Closes the gate. Whether the body had begun, so that the server may have the request.
    pub(super) fn close(&self) -> bool {
        self.settle(CLOSED) == BEGUN
    }

    /// Whether it stayed shut because the time to send had passed.
    pub(super) fn late(&self) -> bool {
        self.state.load(Ordering::SeqCst) == LATE
    }

    fn open(&self) -> bool {
        let late = self.send_before.is_some_and(|limit| self.clock.boot() >= limit);
        self.settle(if late { LATE } else { BEGUN }) == BEGUN
    }

    /// Makes `state` the outcome unless there is one already; returns the outcome.
    fn settle(&self, state: u8) -> u8 {
        match self.state.compare_exchange(WAITING, state, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => state,
            Err(settled) => settled,
        }
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Body for GatedBody {
    type Data = Bytes;
    type Error = Shut;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Shut>>> {
        let Some(data) = self.data.take() else { return Poll::Ready(None) };
        Poll::Ready(Some(if self.gate.open() { Ok(Frame::data(data)) } else { Err(Shut) }))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.data.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
    }
}
