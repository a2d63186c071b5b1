//! Servers that send the same bytes in fewer steps: no rights, no slots, no
//! cursors, no marks to check.

use std::io::{IoSlice, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream;
use rusqlite::Connection;
use tokio::runtime::Runtime;
use windlass::store::key::Key;
use windlass::store::seal;

use crate::error::BenchError;
use crate::sessions::fixture::TENANT;
use crate::sessions::rows;

use super::fixture::name;
use super::served::runtime;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
const END: &[u8] = b"0\r\n\r\n";

/// axum, with the segments of a stream in memory.
#[derive(Debug)]
pub struct FromMemory {
    _runtime: Runtime,
    /// Where it listens.
    pub address: SocketAddr,
}

impl FromMemory {
    /// Sends `segments` to whoever asks.
    ///
    /// # Errors
    ///
    /// [`BenchError::Io`].
    pub fn start(segments: Vec<Bytes>) -> Result<Self, BenchError> {
        let runtime = runtime()?;
        let address = runtime.block_on(async {
            let handler = move || {
                let all = segments.clone().into_iter();
                let all = stream::iter(all.map(Ok::<_, std::convert::Infallible>));
                async move { Body::from_stream(all) }
            };
            let router: Router = Router::new().route("/", get(handler));
            let failed = || BenchError::io("listen");
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
            let listener = listener.map_err(failed())?;
            let address = listener.local_addr().map_err(failed())?;
            tokio::spawn(async move { axum::serve(listener, router).await });
            Ok::<_, BenchError>(address)
        })?;
        Ok(Self {
            _runtime: runtime,
            address,
        })
    }
}

/// How rows get from the database to the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loop {
    /// Each stored segment is checked against its seal and written whole.
    Segments,
    /// Each row is a row of a table, asked for and written by itself.
    Rows,
}

/// Serves the stream of number `number` from the database at `path`, a thread
/// a connection and a connection of SQLite each, until the process ends.
///
/// # Errors
///
/// [`BenchError::Io`].
pub fn serve(path: &Path, number: usize, way: Loop) -> Result<SocketAddr, BenchError> {
    let failed = || BenchError::io("listen");
    let listener = TcpListener::bind("127.0.0.1:0").map_err(failed())?;
    let address = listener.local_addr().map_err(failed())?;
    let path = path.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let path = path.clone();
            std::thread::spawn(move || answer(stream, &path, number, way));
        }
    });
    Ok(address)
}

/// A client that has gone is no failure.
fn answer(mut stream: TcpStream, path: &Path, number: usize, way: Loop) {
    let mut request = [0; 4 * 1_024];
    if stream.read(&mut request).is_err() {
        return;
    }
    let sent = match way {
        Loop::Segments => send_segments(&mut stream, path, number),
        Loop::Rows => send_rows(&mut stream, path),
    };
    drop(sent);
}

/// The keys of a stream's segments.
fn segments_between(number: usize) -> (Bytes, Bytes) {
    let below = Key::new(TENANT).text("stream").text(&name(number));
    let (start, mut end) = (
        below.clone().text("chunk").below(),
        below.text("chunk").below().to_vec(),
    );
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    (start, end.into())
}

/// Calls `give` with each stored segment of a stream, checked.
///
/// # Errors
///
/// SQLite's; a seal that does not fit; those of `give`.
pub fn each_segment(
    connection: &Connection,
    number: usize,
    mut give: impl FnMut(&[u8]) -> Result<(), BenchError>,
) -> Result<(), BenchError> {
    let (start, end) = segments_between(number);
    let mut select = connection
        .prepare_cached("SELECT key, version, value FROM entry WHERE key >= ?1 AND key < ?2")?;
    let mut rows = select.query([start.as_ref(), end.as_ref()])?;
    while let Some(row) = rows.next()? {
        let version: i64 = row.get(1)?;
        let key = row.get_ref(0)?.as_blob().map_err(unfair)?;
        let value = row.get_ref(2)?.as_blob().map_err(unfair)?;
        give(opened(key, version, value)?)?;
    }
    Ok(())
}

/// The value in a seal, checked where it lies: `windlass::store::seal` would
/// have it copied out of SQLite's memory first.
fn opened<'v>(key: &[u8], version: i64, sealed: &'v [u8]) -> Result<&'v [u8], BenchError> {
    let broken = || BenchError::Unfair("a stored segment is damaged".into());
    let split = sealed.len().checked_sub(seal::SEAL_BYTES);
    let (value, seal) = sealed.split_at(split.ok_or_else(broken)?);
    let length = u32::try_from(key.len()).map_err(unfair)?;
    let mut sum = crc32fast::Hasher::new();
    sum.update(&length.to_le_bytes());
    sum.update(key);
    sum.update(&version.cast_unsigned().to_le_bytes());
    sum.update(value);
    let fits = seal.starts_with(&sum.finalize().to_le_bytes());
    fits.then_some(value).ok_or_else(broken)
}

fn unfair(cause: impl std::fmt::Display) -> BenchError {
    BenchError::Unfair(cause.to_string())
}

fn send_segments(stream: &mut TcpStream, path: &Path, number: usize) -> Result<(), BenchError> {
    let failed = || BenchError::io("answer");
    let connection = rows::open(path, None)?;
    stream.write_all(HEAD).map_err(failed())?;
    each_segment(&connection, number, |segment| send(stream, segment))?;
    stream.write_all(END).map_err(failed())
}

/// One piece of a body, with its length before it, in one call of the system
/// if it takes all.
fn send(stream: &mut TcpStream, bytes: &[u8]) -> Result<(), BenchError> {
    let length = format!("{:x}\r\n", bytes.len());
    let mut parts = [length.as_bytes(), bytes, b"\r\n"].map(IoSlice::new);
    let mut left = parts.as_mut_slice();
    while !left.is_empty() {
        let written = stream.write_vectored(left);
        let written = written.map_err(BenchError::io("answer"))?;
        IoSlice::advance_slices(&mut left, written);
    }
    Ok(())
}

/// Puts the lines of a stream into a table of their own, one a row.
///
/// # Errors
///
/// SQLite's.
pub fn unpack(path: &Path, number: usize) -> Result<(), BenchError> {
    let mut connection = rows::open(path, None)?;
    let transaction = connection.transaction()?;
    transaction.execute(
        "CREATE TABLE line (number INTEGER PRIMARY KEY, text BLOB NOT NULL)",
        [],
    )?;
    let mut insert = transaction.prepare("INSERT INTO line (text) VALUES (?1)")?;
    each_segment(&transaction, number, |segment| {
        for line in segment.split_inclusive(|byte| *byte == b'\n') {
            insert.execute([line])?;
        }
        Ok(())
    })?;
    drop(insert);
    Ok(transaction.commit()?)
}

fn send_rows(stream: &mut TcpStream, path: &Path) -> Result<(), BenchError> {
    let failed = || BenchError::io("answer");
    let connection = rows::open(path, None)?;
    stream.write_all(HEAD).map_err(failed())?;
    let mut select = connection.prepare("SELECT text FROM line WHERE number = ?1")?;
    for number in 1_i64.. {
        let mut rows = select.query([number])?;
        let Some(row) = rows.next()? else { break };
        send(stream, row.get_ref(0)?.as_blob().map_err(unfair)?)?;
    }
    stream.write_all(END).map_err(failed())
}
