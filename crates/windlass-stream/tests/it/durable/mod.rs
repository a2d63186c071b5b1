//! Streams by path.

mod expiring;
mod forking;
mod inputs;
mod posting;
mod removing;

use windlass_core::Coded;
use windlass_stream::{
    DurableStreams, ForkFrom, From, Offset, Path, Piece, Post, Posted, Producer, Put, StreamError,
    Wanted,
};

use crate::support::{World, caller};

/// Bytes that one read gives at most.
const PIECE: usize = 64 * 1024;

pub(crate) fn path(text: &str) -> Path {
    text.parse().expect("a path")
}

pub(crate) fn text() -> Wanted {
    of("text/plain")
}

pub(crate) fn of(content_type: &str) -> Wanted {
    Wanted {
        content_type: Some(content_type.parse().expect("a media type")),
        ..Wanted::default()
    }
}

/// A fork of `source` up to `offset`, and so much of what follows.
pub(crate) fn fork(source: &str, offset: Option<u64>, part: u64) -> Wanted {
    Wanted {
        fork: Some(ForkFrom {
            path: path(source),
            offset: offset.map(Offset::new),
            part,
        }),
        ..Wanted::default()
    }
}

pub(crate) fn post(body: &str) -> Post {
    Post {
        content_type: Some("text/plain".parse().expect("a media type")),
        body: body.to_owned().into(),
        ..Post::default()
    }
}

/// An append of the producer `p`.
pub(crate) fn by(epoch: u64, number: u64, body: &str) -> Post {
    let id = "p".into();
    Post {
        producer: Some(Producer { id, epoch, number }),
        ..post(body)
    }
}

/// What one caller does, in words that a test compares.
pub(crate) struct Desk {
    pub(crate) streams: DurableStreams,
}

impl Desk {
    pub(crate) fn new(world: &World) -> Self {
        Self {
            streams: world.streams.durable(),
        }
    }

    pub(crate) async fn put(&self, at: &str, wanted: &Wanted) -> Result<Put, StreamError> {
        self.streams.put(&caller(), &path(at), wanted).await
    }

    /// Makes a stream of text with a row for each of `rows`.
    pub(crate) async fn made(&self, at: &str, rows: &[&str]) {
        self.put(at, &text()).await.expect("a free path");
        for row in rows {
            self.post(at, &post(row)).await.expect("an open stream");
        }
    }

    pub(crate) async fn post(&self, at: &str, post: &Post) -> Result<Posted, StreamError> {
        self.streams.post(&caller(), &path(at), post).await
    }

    pub(crate) async fn remove(&self, at: &str) -> Result<(), &'static str> {
        let removed = self.streams.remove(&caller(), &path(at)).await;
        removed.map_err(|error| error.code())
    }

    pub(crate) async fn piece(&self, at: &str, from: From) -> Result<Piece, StreamError> {
        self.streams.read(&caller(), &path(at), from, PIECE).await
    }

    /// All rows joined, read a row at a time: the code of a refusal instead, if
    /// it is refused.
    pub(crate) async fn body(&self, at: &str) -> String {
        let (mut body, mut from) = (String::new(), From::Start);
        loop {
            match self.streams.read(&caller(), &path(at), from, 1).await {
                Ok(piece) => {
                    for row in &piece.rows {
                        body.push_str(&String::from_utf8_lossy(row.content()));
                    }
                    if piece.is_up_to_date() {
                        return body;
                    }
                    from = From::At(piece.next);
                }
                Err(error) => return error.code().to_owned(),
            }
        }
    }

    pub(crate) async fn shown(&self, at: &str) -> Result<u64, &'static str> {
        let shown = self.streams.show(&caller(), &path(at)).await;
        shown
            .map(|view| view.tail.number())
            .map_err(|error| error.code())
    }
}
