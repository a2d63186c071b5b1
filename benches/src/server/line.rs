//! One keep-alive connection that sends the same bytes over and over. It
//! costs as little as a client can, so that the server is what is measured.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::error::BenchError;
use crate::harness::throughput::Caller;

/// How the end of an answer is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 with a `Content-Length`; the status has to be 200.
    Http,
    /// The one line `+OK`.
    Redis,
}

/// The connection.
#[derive(Debug)]
pub struct Line {
    stream: TcpStream,
    request: Vec<u8>,
    protocol: Protocol,
    buffer: Vec<u8>,
}

impl Line {
    /// Connects.
    ///
    /// # Errors
    ///
    /// [`BenchError::Io`].
    pub async fn open(
        address: SocketAddr,
        request: Vec<u8>,
        protocol: Protocol,
    ) -> Result<Self, BenchError> {
        let failed = || BenchError::io("connect to a server");
        let stream = TcpStream::connect(address).await.map_err(failed())?;
        stream.set_nodelay(true).map_err(failed())?;
        Ok(Self {
            stream,
            request,
            protocol,
            buffer: Vec::with_capacity(16 * 1024),
        })
    }

    /// The body of one answer.
    ///
    /// # Errors
    ///
    /// As of a call.
    pub async fn ask(&mut self) -> Result<Vec<u8>, BenchError> {
        let failed = || BenchError::io("talk to a server");
        self.buffer.clear();
        self.stream
            .write_all(&self.request)
            .await
            .map_err(failed())?;
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await;
            if read.map_err(failed())? == 0 {
                return Err(BenchError::Unfair("a server hung up".into()));
            }
            if let Some(start) = self.whole()? {
                return Ok(self.buffer.split_off(start));
            }
        }
    }

    /// Where the body begins, once all of it is there.
    fn whole(&self) -> Result<Option<usize>, BenchError> {
        match self.protocol {
            Protocol::Redis => match self.buffer.as_slice() {
                b"+OK\r\n" => Ok(Some(self.buffer.len())),
                bytes if bytes.len() < 5 => Ok(None),
                bytes => Err(foreign(bytes)),
            },
            Protocol::Http => {
                let Some(end) = find(&self.buffer, b"\r\n\r\n") else {
                    return Ok(None);
                };
                let head = &self.buffer[..end];
                if !head.starts_with(b"HTTP/1.1 200") {
                    return Err(foreign(&self.buffer));
                }
                let length = length(head).ok_or_else(|| foreign(&self.buffer))?;
                let start = end + 4;
                Ok((self.buffer.len() >= start + length).then_some(start))
            }
        }
    }
}

impl Caller for Line {
    async fn call(&mut self) -> Result<(), BenchError> {
        self.ask().await.map(drop)
    }
}

fn foreign(bytes: &[u8]) -> BenchError {
    let text = String::from_utf8_lossy(bytes);
    BenchError::Unfair(format!(
        "a server answered: {}",
        text.chars().take(400).collect::<String>()
    ))
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

fn length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length: ";
    let start = find(head, NAME)? + NAME.len();
    let digits = head[start..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit());
    let number = digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
    Some(number)
}
