//! A connection that sends whatever it is told and never waits for ever.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::support::{Answer, Request};

/// How long an answer is waited for before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

impl Wire {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("an option");
        stream.set_read_timeout(Some(PATIENCE)).expect("an option");
        stream.set_write_timeout(Some(PATIENCE)).expect("an option");
        Self {
            stream,
            read: Vec::new(),
        }
    }

    /// The same connection, to be written to by somebody else.
    pub(crate) fn of(other: &Self) -> Self {
        Self {
            stream: other.stream.try_clone().expect("a second handle"),
            read: Vec::new(),
        }
    }

    pub(crate) fn ask(&mut self, request: &Request<'_>) -> Answer {
        self.send(&request.bytes());
        self.answer().expect("an answer")
    }

    /// Sends bytes to a server that takes them.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("sent");
    }

    /// Sends bytes as far as the server takes them; whether it took all.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// More bytes; `false` at the end.
    fn fill(&mut self) -> bool {
        let mut some = [0; 8 * 1_024];
        match self.stream.read(&mut some) {
            Ok(0) => false,
            Ok(count) => {
                self.read.extend_from_slice(&some[..count]);
                true
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("waited in vain: {error}"),
        }
    }

    /// The head of the next answer; `None` if the connection ends first.
    pub(crate) fn head(&mut self) -> Option<String> {
        let end = self.until(Answer::head_end)?;
        let head = self.read.drain(..end).collect::<Vec<_>>();
        Some(String::from_utf8(head).expect("a head is text"))
    }

    /// The next answer; `None` if the connection ends first.
    pub(crate) fn answer(&mut self) -> Option<Answer> {
        let mut answer = Answer::of_head(self.head()?)?;
        if answer.header("transfer-encoding").is_some() {
            let whole = self.until(unchunked)?;
            answer.body = whole.1;
            self.read.drain(..whole.0);
            return Some(answer);
        }
        let length = answer.header("content-length");
        let length = length.map_or(0, |text| text.parse().expect("a length"));
        self.until(|read| (read.len() >= length).then_some(()))?;
        answer.body = self.read.drain(..length).collect();
        Some(answer)
    }

    fn until<T>(&mut self, whole: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        loop {
            if let Some(found) = whole(&self.read) {
                return Some(found);
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// Whether this comes, before the server closes.
    pub(crate) fn finds(&mut self, wanted: &str) -> bool {
        loop {
            let found = self.read.windows(wanted.len());
            if found.into_iter().any(|some| some == wanted.as_bytes()) {
                return true;
            }
            let keep = self.read.len().saturating_sub(wanted.len());
            self.read.drain(..keep);
            if !self.fill() {
                return false;
            }
        }
    }

    /// All that comes until the server closes.
    pub(crate) fn rest(mut self) -> String {
        while self.fill() {}
        String::from_utf8_lossy(&self.read).into_owned()
    }
}

/// How long a chunked body is on the wire, and what is in it, once it is
/// whole.
fn unchunked(mut bytes: &[u8]) -> Option<(usize, Vec<u8>)> {
    let length = bytes.len();
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&bytes[..end]).expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a size");
        let data = bytes.get(end + 2..end + 2 + size)?;
        body.extend_from_slice(data);
        bytes = bytes.get(end + 2 + size + 2..)?;
        if size == 0 {
            return Some((length - bytes.len(), body));
        }
    }
}
