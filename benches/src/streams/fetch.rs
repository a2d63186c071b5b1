//! A client that asks for a body and counts its bytes. It costs as little as
//! a client can, so that the server is what is measured.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::clock;
use crate::error::BenchError;
use crate::harness::contest::Side;
use crate::harness::throughput::decimal;

/// What is read at a time.
const BUFFER_BYTES: usize = 1 << 20;

/// Fetches the same body over and over, each time over a new connection.
pub struct Fetch {
    name: &'static str,
    address: SocketAddr,
    request: Vec<u8>,
    /// What a whole body has at least; an answer that is shorter is none.
    body_bytes: u64,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for Fetch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetch")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A request that lets the server end the connection.
#[must_use]
pub fn request(address: SocketAddr, path: &str, token: Option<&str>) -> Vec<u8> {
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
    let authorization = authorization.unwrap_or_default();
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{authorization}Accept: application/x-ndjson\r\nConnection: close\r\n\r\n")
        .into_bytes()
}

impl Fetch {
    /// A client of one server.
    #[must_use]
    pub fn new(name: &'static str, address: SocketAddr, request: Vec<u8>, body_bytes: u64) -> Self {
        Self {
            name,
            address,
            request,
            body_bytes,
            buffer: vec![0; BUFFER_BYTES],
        }
    }

    fn connect(&self) -> Result<TcpStream, BenchError> {
        let failed = || BenchError::io("talk to a server");
        let mut stream = TcpStream::connect(self.address).map_err(failed())?;
        stream.set_nodelay(true).map_err(failed())?;
        stream.write_all(&self.request).map_err(failed())?;
        Ok(stream)
    }

    /// Reads one answer until it ends or `until` says so; the bytes that came.
    fn fetch(&mut self, mut until: impl FnMut() -> bool) -> Result<u64, BenchError> {
        let mut stream = self.connect()?;
        let mut bytes = 0;
        loop {
            let read = match stream.read(&mut self.buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(BenchError::io("read from a server")(error)),
            };
            if bytes == 0 && !self.buffer[..read].starts_with(b"HTTP/1.1 200") {
                return Err(self.foreign(read));
            }
            bytes += u64::try_from(read).unwrap_or(0);
            if read == 0 && bytes < self.body_bytes {
                let (name, wanted) = (self.name, self.body_bytes);
                let short = format!("{name} sent {bytes} bytes of {wanted}");
                return Err(BenchError::Unfair(short));
            }
            if read == 0 || until() {
                return Ok(bytes);
            }
        }
    }

    fn foreign(&self, read: usize) -> BenchError {
        let start = String::from_utf8_lossy(&self.buffer[..read.min(400)]);
        BenchError::Unfair(format!("{} answered: {start}", self.name))
    }

    /// From the request to the first of a row's bytes.
    ///
    /// # Errors
    ///
    /// The connection's; a body without rows.
    pub fn first_row(&mut self) -> Result<Duration, BenchError> {
        const ROW: &[u8] = b"{\"row\":";
        let start = clock::now();
        let mut stream = self.connect()?;
        let mut filled = 0;
        loop {
            let read = stream.read(&mut self.buffer[filled..]);
            let read = read.map_err(BenchError::io("read from a server"))?;
            filled += read;
            if self.buffer[..filled].windows(ROW.len()).any(|it| it == ROW) {
                return Ok(start.elapsed());
            }
            if read == 0 {
                return Err(self.foreign(filled));
            }
        }
    }
}

impl Side for Fetch {
    /// Bytes in a second, in millions.
    type Sample = f64;

    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&mut self, span: Duration) -> Result<f64, BenchError> {
        let start = clock::now();
        let end = start + span;
        let mut bytes = 0;
        while clock::now() < end {
            bytes += self.fetch(|| clock::now() >= end)?;
        }
        Ok(decimal(bytes) / 1e6 / start.elapsed().as_secs_f64())
    }
}
