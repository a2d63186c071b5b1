//! A server that does as a script tells it, one act a request: it answers,
//! cuts the line before or after the change was made, says nothing, or says
//! something else. It keeps to the rule for idempotency keys, so that it can
//! count how often a change was made.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use windlass_client::{Client, ClientError, Settings, Token};

/// The secret that must not be seen anywhere.
pub(crate) const SECRET: &str = "wl_0123456789abcdef_5ec2e7";

/// What the server does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Makes the change and answers.
    Do,
    /// Closes the connection instead of making the change.
    CutBefore,
    /// Makes the change and closes the connection instead of answering.
    CutAfter,
    /// Makes the change and closes the connection within the answer.
    CutWithin,
    /// Says nothing, and makes no change.
    Mute,
    /// Makes the change and says nothing.
    MuteAfter,
    /// Answers this, byte for byte, and makes no change.
    Say(String),
    /// The same, and then neither says anything nor closes the connection.
    SayAndHold(String),
}

/// An answer as it goes over the line.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Act {
    let mut text = format!("HTTP/1.1 {status} -\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    Act::Say(format!("{text}\r\n{body}"))
}

/// A refusal as a server of ours makes it.
pub(crate) fn problem(status: u16, code: &str, headers: &[(&str, &str)], more: &str) -> Act {
    let body = format!(
        r#"{{"type":"https://windlass.dev/errors#{code}","title":"-","status":{status},"code":"{code}","detail":"it said no"{more}}}"#
    );
    let mut all = vec![("content-type", "application/problem+json")];
    all.extend_from_slice(headers);
    answer(status, &all, &body)
}

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn key(&self) -> Option<&str> {
        self.headers.get("idempotency-key").map(String::as_str)
    }
}

#[derive(Debug, Default)]
struct Log {
    script: VecDeque<Act>,
    requests: Vec<Request>,
    /// The answer of each key that was used.
    made: BTreeMap<String, String>,
    effects: u64,
}

impl Log {
    /// Makes a change, unless it was made under its key before, and says its
    /// answer.
    fn make(&mut self, request: &Request) -> String {
        if request.line.starts_with("GET") {
            return r#"{"agent":"a","active":3}"#.to_owned();
        }
        let before = request.key().and_then(|key| self.made.get(key));
        if let Some(answer) = before {
            return answer.clone();
        }
        self.effects += 1;
        let answer = format!(
            r#"{{"removed":{},"bytes":0,"truncated":false}}"#,
            self.effects
        );
        if let Some(key) = request.key() {
            self.made.insert(key.to_owned(), answer.clone());
        }
        answer
    }
}

/// A running server; it ends with the runtime of its test.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    log: Arc<Mutex<Log>>,
}

impl Server {
    /// Starts one that follows `script`, and then does as it should.
    pub(crate) async fn start(script: impl IntoIterator<Item = Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a free port of this machine");
        let address = listener.local_addr().expect("it is bound");
        let log = Log {
            script: script.into_iter().collect(),
            ..Log::default()
        };
        let log = Arc::new(Mutex::new(log));
        let shared = Arc::clone(&log);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, log }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log
            .lock()
            .expect("no test panics while it holds the log")
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that was asked.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.log().requests.clone()
    }

    /// How many changes were made.
    pub(crate) fn effects(&self) -> u64 {
        self.log().effects
    }

    /// A client of it that waits next to nothing between its attempts.
    pub(crate) fn client(&self) -> Client {
        self.client_with(quick())
    }

    pub(crate) fn client_with(&self, settings: Settings) -> Client {
        let token = Token::new(SECRET).expect("a token");
        settings
            .connect(&self.url(), Some(token))
            .expect("an address of this machine")
    }
}

/// Settings with short waits.
pub(crate) fn quick() -> Settings {
    let wait = Duration::from_millis(2);
    Settings::default()
        .backoff(wait, wait)
        .attempt_timeout(Duration::from_secs(5))
}

/// Makes a change, and says which one of the server's it was.
pub(crate) async fn change(client: &Client) -> Result<u64, ClientError> {
    let removed = client.stash("s").clear().await;
    removed.map(|removed| removed.removed)
}

async fn serve(mut stream: TcpStream, log: Arc<Mutex<Log>>) {
    while let Some(request) = read(&mut stream).await {
        let (act, answer) = {
            let mut log = log.lock().expect("no test panics while it holds the log");
            log.requests.push(request.clone());
            let act = log.script.pop_front().unwrap_or(Act::Do);
            let made = matches!(
                act,
                Act::Do | Act::CutAfter | Act::CutWithin | Act::MuteAfter
            );
            let answer = if made {
                log.make(&request)
            } else {
                String::new()
            };
            (act, answer)
        };
        let good = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{answer}",
            answer.len()
        );
        match act {
            Act::Do => write(&mut stream, &good).await,
            Act::CutBefore | Act::CutAfter => return,
            Act::CutWithin => return write(&mut stream, &good[..good.len() - 3]).await,
            Act::Mute | Act::MuteAfter => return hold(stream).await,
            Act::Say(text) => {
                write(&mut stream, &text).await;
                // What has no length ends with its connection.
                if !text.contains("content-length") {
                    return;
                }
            }
            Act::SayAndHold(text) => {
                write(&mut stream, &text).await;
                return hold(stream).await;
            }
        }
    }
}

async fn write(stream: &mut TcpStream, text: &str) {
    // Whoever asked may have gone.
    let _ = stream.write_all(text.as_bytes()).await;
}

/// Keeps a connection until its other end is closed.
async fn hold(mut stream: TcpStream) {
    let mut rest = [0; 64];
    while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
}

/// The next request; `None` once there is none.
async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).expect("text");
    let mut lines = text.lines();
    let line = lines.next().expect("a request line").to_owned();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers
        .get("content-length")
        .map_or(0, |text| text.parse().expect("a number"));
    while bytes.len() < head + 4 + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8(bytes[head + 4..].to_vec()).expect("text");
    Some(Request {
        line,
        headers,
        body,
    })
}

/// The session `s` as somebody may know it already.
pub(crate) fn known() -> windlass_client::session::Session {
    let meter = r#"{"limit":null,"used":0}"#;
    let text = format!(
        r#"{{"id":"s","revision":12,"tenant":"t","principal":"p","agent":"a","parent":null,
            "chain":[],"intent":"i","tools":"all","credentials":"all","ceiling":"public",
            "rate":null,"created_at":1700000000000,"expires_at":1700003600000,
            "status":"active","ended_at":null,"calls_made":0,"reservations_open":0,
            "changed_at":1700000000000,
            "budget":{{"calls":{meter},"tokens":{meter},"cost_micros":{meter}}}}}"#
    );
    serde_json::from_str(&text).expect("a session")
}
