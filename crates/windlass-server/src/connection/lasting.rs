//! Answers that last: what is followed comes when it comes.
//!
//! The HTTP library has 16 KiB of buffers for a connection, whether anything
//! moves on it or not: with thousands that wait, most of what they take. So an
//! answer that lasts is written here, in chunks (RFC 9112, section 7.1), and
//! the library has the connection again for the request behind it.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::http::response::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, Version, header};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tokio::io::AsyncWriteExt;

use super::socket::Socket;

/// The mark of an answer that lasts, among its extensions: its body waits for
/// what has not happened yet, and has no length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lasting;

/// What a request allows of how it is answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    chunks: bool,
    /// Whether the connection ends with the answer.
    closes: bool,
}

impl Terms {
    pub(super) fn of(request: &Request<Incoming>) -> Self {
        let is_bare = request.method() == Method::GET && request.body().is_end_stream();
        Self {
            chunks: is_bare && request.version() == Version::HTTP_11,
            closes: closes(request.headers()),
        }
    }

    /// Whether this answer can be written here.
    pub(super) fn fit(&self, response: &Response<Body>) -> bool {
        self.chunks && response.extensions().get::<Lasting>().is_some()
    }
}

/// Whether a head says that nothing follows on its connection.
fn closes(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CONNECTION).iter();
    let mut tokens = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','));
    tokens.any(|token| token.trim().eq_ignore_ascii_case("close"))
}

/// An answer that is on its way from the HTTP library to who writes it.
#[derive(Clone, Debug, Default)]
pub(super) struct Desk(Arc<Mutex<Option<Answer>>>);

impl Desk {
    pub(super) fn put(&self, answer: Answer) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    }

    pub(super) fn take(&self) -> Option<Answer> {
        let mut answer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answer.take()
    }
}

/// An answer that lasts, to be written.
#[derive(Debug)]
pub(super) struct Answer {
    head: Bytes,
    body: Body,
    closes: bool,
}

impl Answer {
    pub(super) fn new(response: Response<Body>, terms: Terms) -> Self {
        let (mut parts, body) = response.into_parts();
        if terms.closes {
            let close = HeaderValue::from_static("close");
            parts.headers.insert(header::CONNECTION, close);
        }
        Self {
            head: head(&parts),
            body,
            closes: closes(&parts.headers),
        }
    }

    /// Writes it for as long as it lasts; whether another may follow on the
    /// connection.
    ///
    /// # Errors
    ///
    /// The connection's, also when its other end goes away or takes nothing;
    /// and if the body breaks off, whose end is then missing.
    pub(super) async fn write(mut self, socket: &mut Socket) -> io::Result<bool> {
        socket.write_all(&self.head).await?;
        drop(std::mem::take(&mut self.head));
        loop {
            let frame = tokio::select! {
                biased;
                frame = self.body.frame() => frame,
                error = socket.broken() => return Err(error),
            };
            let Some(frame) = frame.transpose().map_err(io::Error::other)? else {
                break;
            };
            match frame.into_data() {
                Ok(data) if !data.is_empty() => write_chunk(socket, data).await?,
                _ => {}
            }
        }
        socket.write_all(b"0\r\n\r\n").await?;
        socket.flush().await?;
        Ok(!self.closes)
    }
}

async fn write_chunk(socket: &mut Socket, data: Bytes) -> io::Result<()> {
    let size = Bytes::from(format!("{:x}\r\n", data.len()));
    let mut chunk = size.chain(data).chain(&b"\r\n"[..]);
    socket.write_all_buf(&mut chunk).await
}

/// Room for most heads.
const HEAD_BYTES_USUAL: usize = 512;

fn head(parts: &Parts) -> Bytes {
    let mut head = BytesMut::with_capacity(HEAD_BYTES_USUAL);
    head.put_slice(b"HTTP/1.1 ");
    head.put_slice(parts.status.as_str().as_bytes());
    head.put_u8(b' ');
    let reason = parts.status.canonical_reason().unwrap_or_default();
    head.put_slice(reason.as_bytes());
    head.put_slice(b"\r\ntransfer-encoding: chunked\r\n");
    for (name, value) in &parts.headers {
        head.put_slice(name.as_str().as_bytes());
        head.put_slice(b": ");
        head.put_slice(value.as_bytes());
        head.put_slice(b"\r\n");
    }
    head.put_slice(b"\r\n");
    head.freeze()
}
