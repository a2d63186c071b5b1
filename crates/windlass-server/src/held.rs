//! An answer's body that tells when it has been sent, or given up.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::connection::Flight;

/// A body, and the request it answers, which is under way until both are
/// dropped.
#[derive(Debug)]
pub(crate) struct Held {
    body: Body,
    _flight: Flight,
}

impl Held {
    pub(crate) const fn new(body: Body, flight: Flight) -> Self {
        Self {
            body,
            _flight: flight,
        }
    }
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
