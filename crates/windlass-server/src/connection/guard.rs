//! What the bytes of a connection must look like before anything else sees
//! them: a state machine over HTTP/1.1 framing (RFC 9112), fed as they arrive.
//!
//! The HTTP library accepts more than is safe behind a proxy: line feeds
//! alone, a missing `Host`, a length said twice. Two parties that frame one
//! byte stream differently can be made to see different requests, so whatever
//! is ambiguous is refused here, with the connection.

use std::borrow::Cow;
use std::fmt;

/// Limits of a request's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeadLimits {
    /// Bytes of the request line and all header lines together.
    pub(crate) bytes_max: usize,
    /// Header lines.
    pub(crate) headers_max: usize,
}

/// Bytes of a line that says the size of a chunk.
const SIZE_LINE_MAX: usize = 18;

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    BareLineFeed,
    BadByte,
    BadRequestLine,
    BadHeader,
    FoldedHeader,
    HeadTooLarge,
    TooManyHeaders,
    Host,
    Length,
    Coding,
    LengthAndCoding,
    Chunk,
}

impl Violation {
    /// The status and the code of the answer.
    pub(crate) const fn answer(self) -> (u16, &'static str) {
        match self {
            Self::HeadTooLarge | Self::TooManyHeaders => (431, "head_too_large"),
            _ => (400, "malformed_request"),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BareLineFeed => "a line ends without a carriage return",
            Self::BadByte => "the head has a byte that is not allowed there",
            Self::BadRequestLine => "the request line is not that of an HTTP/1 request",
            Self::BadHeader => "a header line has no valid name",
            Self::FoldedHeader => "a header line is folded",
            Self::HeadTooLarge => "the head of the request is too large",
            Self::TooManyHeaders => "the request has too many headers",
            Self::Host => "exactly one Host header is required",
            Self::Length => "the Content-Length is not one number",
            Self::Coding => "the only transfer coding of a request is chunked",
            Self::LengthAndCoding => "a request has a Content-Length or a Transfer-Encoding",
            Self::Chunk => "the chunks of the body are malformed",
        })
    }
}

/// What the connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// The first byte of a request.
    Request,
    /// The rest of a head.
    Head,
    /// The rest of a body.
    Body,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Head,
    /// So many bytes of the body are to come.
    Sized(u64),
    /// The line with a chunk's size.
    ChunkSize,
    /// So many bytes of a chunk, then its line end.
    ChunkData(u64),
    /// The line end after a chunk's bytes.
    ChunkEnd,
    /// The empty line after the last chunk.
    LastLine,
}

/// What the lines of a head said so far.
#[derive(Debug, Default)]
struct Head {
    bytes: usize,
    lines: usize,
    is_old: bool,
    hosts: usize,
    length: Option<u64>,
    chunked: bool,
}

/// Follows the framing of one connection's requests.
#[derive(Debug)]
pub(crate) struct Guard {
    limits: HeadLimits,
    phase: Phase,
    line: Vec<u8>,
    head: Head,
    /// Heads that were whole.
    heads: usize,
}

impl Guard {
    pub(crate) fn new(limits: HeadLimits) -> Self {
        Self {
            limits,
            phase: Phase::Idle,
            line: Vec::new(),
            head: Head::default(),
            heads: 0,
        }
    }

    /// How many heads were whole so far.
    pub(crate) const fn heads(&self) -> usize {
        self.heads
    }

    pub(crate) const fn waiting(&self) -> Waiting {
        match self.phase {
            Phase::Idle => Waiting::Request,
            Phase::Head => Waiting::Head,
            _ => Waiting::Body,
        }
    }

    /// Takes the next bytes; refuses the connection at the first that does
    /// not fit.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Violation> {
        while !bytes.is_empty() {
            let taken = match self.phase {
                Phase::Idle => {
                    self.phase = Phase::Head;
                    self.head = Head::default();
                    0
                }
                Phase::Head => self.take_head(bytes)?,
                Phase::Sized(left) => {
                    let (taken, left) = take(bytes, left);
                    self.phase = if left == 0 {
                        Phase::Idle
                    } else {
                        Phase::Sized(left)
                    };
                    taken
                }
                Phase::ChunkData(left) => {
                    let (taken, left) = take(bytes, left);
                    self.phase = if left == 0 {
                        Phase::ChunkEnd
                    } else {
                        Phase::ChunkData(left)
                    };
                    taken
                }
                Phase::ChunkSize | Phase::ChunkEnd | Phase::LastLine => self.take_framing(bytes)?,
            };
            bytes = bytes.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    /// The next line with its end, and how much of it was taken; `None` until
    /// all of it is there. Most lines come whole, and need no copy.
    fn next_line<'b>(&mut self, bytes: &'b [u8]) -> (Option<Cow<'b, [u8]>>, usize) {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let part = bytes.get(..end.map_or(bytes.len(), |end| end + 1));
        let part = part.unwrap_or_default();
        let line = match (end, self.line.is_empty()) {
            (Some(_), true) => Some(Cow::Borrowed(part)),
            (None, _) => {
                self.line.extend_from_slice(part);
                None
            }
            (Some(_), false) => {
                self.line.extend_from_slice(part);
                Some(Cow::Owned(std::mem::take(&mut self.line)))
            }
        };
        (line, part.len())
    }

    fn take_head(&mut self, bytes: &[u8]) -> Result<usize, Violation> {
        let (line, taken) = self.next_line(bytes);
        self.head.bytes += taken;
        if self.head.bytes > self.limits.bytes_max {
            return Err(Violation::HeadTooLarge);
        }
        if let Some(line) = line {
            let line = without_end(&line)?;
            if self.head.lines == 0 {
                self.head.is_old = request_line(line)?;
            } else if line.is_empty() {
                self.phase = self.head.body()?;
                self.heads = self.heads.wrapping_add(1);
            } else {
                self.head.header(line)?;
            }
            self.head.lines += 1;
            if self.head.lines > self.limits.headers_max + 2 {
                return Err(Violation::TooManyHeaders);
            }
        }
        Ok(taken)
    }

    fn take_framing(&mut self, bytes: &[u8]) -> Result<usize, Violation> {
        let (line, taken) = self.next_line(bytes);
        let length = line.as_ref().map_or(self.line.len(), |line| line.len());
        if length > SIZE_LINE_MAX {
            return Err(Violation::Chunk);
        }
        if let Some(line) = line {
            let line = without_end(&line)?;
            self.phase = match self.phase {
                Phase::ChunkSize => match chunk_size(line)? {
                    0 => Phase::LastLine,
                    size => Phase::ChunkData(size),
                },
                // No trailers, and nothing between a chunk and its line end.
                _ if !line.is_empty() => return Err(Violation::Chunk),
                Phase::LastLine => Phase::Idle,
                _ => Phase::ChunkSize,
            };
        }
        Ok(taken)
    }
}

/// A whole line without its end.
fn without_end(line: &[u8]) -> Result<&[u8], Violation> {
    let line = line.strip_suffix(b"\r\n").ok_or(Violation::BareLineFeed)?;
    if line.iter().any(|byte| matches!(byte, b'\r' | 0)) {
        return Err(Violation::BadByte);
    }
    Ok(line)
}

impl Head {
    fn header(&mut self, line: &[u8]) -> Result<(), Violation> {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return Err(Violation::FoldedHeader);
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(colon.ok_or(Violation::BadHeader)?);
        if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
            return Err(Violation::BadHeader);
        }
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"host") {
            self.hosts += 1;
            if value.is_empty() || !value.iter().all(|byte| byte.is_ascii_graphic()) {
                return Err(Violation::Host);
            }
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let length = number(value, 10).ok_or(Violation::Length)?;
            if self.length.replace(length).is_some() {
                return Err(Violation::Length);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.chunked || self.is_old || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Violation::Coding);
            }
            self.chunked = true;
        }
        Ok(())
    }

    /// What follows a head that is whole.
    const fn body(&self) -> Result<Phase, Violation> {
        if self.hosts != 1 {
            return Err(Violation::Host);
        }
        match (self.length, self.chunked) {
            (Some(_), true) => Err(Violation::LengthAndCoding),
            (None, true) => Ok(Phase::ChunkSize),
            (Some(0) | None, false) => Ok(Phase::Idle),
            (Some(length), false) => Ok(Phase::Sized(length)),
        }
    }
}

/// How many of `bytes` belong to what has `left` to come, and what then is.
fn take(bytes: &[u8], left: u64) -> (usize, u64) {
    match usize::try_from(left) {
        Ok(left) if left <= bytes.len() => (left, 0),
        _ => {
            let taken = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            (bytes.len(), left.saturating_sub(taken))
        }
    }
}

/// Whether the request is one of HTTP/1.0.
fn request_line(line: &[u8]) -> Result<bool, Violation> {
    let mut words = line.split(|byte| *byte == b' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let method = method.ok_or(Violation::BadRequestLine)?;
    let target = target.ok_or(Violation::BadRequestLine)?;
    let is_method = !method.is_empty() && method.iter().all(|byte| is_token(*byte));
    // A tunnel is nothing that is asked of a server.
    let is_tunnel = method == b"CONNECT";
    let is_target = !target.is_empty() && target.iter().all(u8::is_ascii_graphic);
    if !is_method || is_tunnel || !is_target || words.next().is_some() {
        return Err(Violation::BadRequestLine);
    }
    match version {
        Some(b"HTTP/1.1") => Ok(false),
        Some(b"HTTP/1.0") => Ok(true),
        _ => Err(Violation::BadRequestLine),
    }
}

/// Digits and nothing else: no sign, no space, no extension.
fn number(text: &[u8], radix: u32) -> Option<u64> {
    let digits = text.iter().all(|byte| char::from(*byte).is_digit(radix));
    let text = str::from_utf8(text).ok().filter(|_| digits)?;
    u64::from_str_radix(text, radix).ok()
}

fn chunk_size(line: &[u8]) -> Result<u64, Violation> {
    number(line, 16).ok_or(Violation::Chunk)
}

/// A character of a method or of a header's name (RFC 9110, section 5.6.2).
const fn is_token(byte: u8) -> bool {
    TOKENS[byte as usize]
}

/// Looked up, not compared: each byte of every name is asked about.
const TOKENS: [bool; 256] = {
    let mut tokens = [false; 256];
    let mut byte: u8 = 0;
    while byte < 128 {
        let is_mark = matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.'
        ) || matches!(byte, b'^' | b'_' | b'`' | b'|' | b'~');
        tokens[byte as usize] = byte.is_ascii_alphanumeric() || is_mark;
        byte += 1;
    }
    tokens
};

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits {
        bytes_max: 1_000,
        headers_max: 8,
    };

    /// Fed whole and byte by byte, which must not differ.
    fn verdict(bytes: &[u8]) -> Result<Waiting, Violation> {
        let mut whole = Guard::new(LIMITS);
        let at_once = whole.feed(bytes).map(|()| whole.waiting());
        let mut slow = Guard::new(LIMITS);
        let bit_by_bit = bytes
            .iter()
            .try_for_each(|byte| slow.feed(std::slice::from_ref(byte)))
            .map(|()| slow.waiting());
        assert_eq!(at_once, bit_by_bit, "{}", bytes.escape_ascii());
        at_once
    }

    #[test]
    fn whole_requests_leave_the_connection_idle() {
        let table: [&[u8]; 6] = [
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.0\r\nHOST: a:80\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nA\r\n0123456789\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        ];
        for bytes in table {
            assert_eq!(
                verdict(bytes),
                Ok(Waiting::Request),
                "{}",
                bytes.escape_ascii()
            );
        }
    }

    #[test]
    fn what_is_still_to_come_is_known() {
        assert_eq!(verdict(b""), Ok(Waiting::Request));
        assert_eq!(verdict(b"G"), Ok(Waiting::Head));
        assert_eq!(
            verdict(b"GET / HTTP/1.1\r\nHost: a\r\n\r"),
            Ok(Waiting::Head)
        );
        let body = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabc";
        assert_eq!(verdict(body), Ok(Waiting::Body));
        let chunks = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
        assert_eq!(verdict(chunks), Ok(Waiting::Body));
    }

    #[test]
    fn whatever_two_parties_could_read_differently_is_refused() {
        use Violation::{
            BadByte, BadHeader, BadRequestLine, BareLineFeed, Chunk, Coding, FoldedHeader, Host,
            Length, LengthAndCoding,
        };
        let table: [(&str, Violation); 28] = [
            ("GET / HTTP/1.1\nHost: a\r\n\r\n", BareLineFeed),
            ("GET / HTTP/1.1\r\nHost: a\n\r\n", BareLineFeed),
            ("GET / HTTP/1.1\r\nHost: a\r\n\n", BareLineFeed),
            ("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", BadByte),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", BadByte),
            ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BadRequestLine),
            ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", BadRequestLine),
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", BadRequestLine),
            ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", BadRequestLine),
            ("GET /\r\nHost: a\r\n\r\n", BadRequestLine),
            ("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", BadRequestLine),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BadRequestLine),
            ("GET / HTTP/1.1\r\n\r\n", Host),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Host),
            ("GET / HTTP/1.1\r\nHost:\r\n\r\n", Host),
            ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", Host),
            ("GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", BadHeader),
            ("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", BadHeader),
            ("GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", BadHeader),
            ("GET / HTTP/1.1\r\nHost: a\r\n X: b\r\n\r\n", FoldedHeader),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
                Length,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n",
                Length,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
                Length,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
                Length,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
                Coding,
            ),
            (
                "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                Coding,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                LengthAndCoding,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\n",
                Chunk,
            ),
        ];
        for (text, expected) in table {
            assert_eq!(verdict(text.as_bytes()), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn chunks_are_framed_exactly_or_refused() {
        use Violation::{BareLineFeed, Chunk};
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (chunks, expected) in [
            ("1\nab", BareLineFeed),
            ("\r\n", Chunk),
            ("-1\r\n", Chunk),
            ("1\r\nabc\r\n", Chunk),
            ("0\r\nTrailer: x\r\n\r\n", Chunk),
            ("11111111111111111111", Chunk),
        ] {
            let text = format!("{head}{chunks}");
            assert_eq!(verdict(text.as_bytes()), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn a_head_is_bounded_in_bytes_and_in_lines() {
        let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(1_000));
        assert_eq!(verdict(long.as_bytes()), Err(Violation::HeadTooLarge));
        let endless = "a".repeat(1_001);
        assert_eq!(verdict(endless.as_bytes()), Err(Violation::HeadTooLarge));
        let with = |count: usize| {
            format!(
                "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
                "X: y\r\n".repeat(count)
            )
        };
        assert_eq!(verdict(with(7).as_bytes()), Ok(Waiting::Request));
        assert_eq!(verdict(with(8).as_bytes()), Err(Violation::TooManyHeaders));
    }
}
