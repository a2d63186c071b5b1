//! A running server, and a client that sends exactly what it is told.

use std::net::SocketAddr;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use windlass::access::{Grant, NewKey};
use windlass::{CacheOptions, Options, StoreLocation, Windlass};
use windlass_server::{Config, Server, Stopped};

use crate::turns::Share;

/// A server on a free port of this machine, over a store in memory.
pub(crate) struct Running {
    pub(crate) engine: Windlass,
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Stopped>,
    _share: Share,
}

impl Running {
    pub(crate) async fn start() -> Self {
        Self::with(|_| ()).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let location: StoreLocation = "memory:".parse().expect("a location");
        let options = Options {
            cache: Some(CacheOptions::at(location.clone())),
            ..Options::default()
        };
        let engine = Windlass::open(&location, options).await;
        Self::over(engine.expect("a store"), change).await
    }

    pub(crate) async fn over(engine: Windlass, change: impl FnOnce(&mut Config)) -> Self {
        let share = Share::take();
        let mut config = Config::default();
        config.listen = "127.0.0.1:0".parse().expect("an address");
        config.maintain = false;
        change(&mut config);
        let server = Server::bind(engine.clone(), config).await.expect("bound");
        let address = server.address();
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            let _ = stopped.await;
        };
        let task = tokio::spawn(server.run(stopped, std::future::pending()));
        Self {
            engine,
            address,
            stop: Some(stop),
            task,
            _share: share,
        }
    }

    /// Tells it to stop, and gives what will say how it did.
    pub(crate) fn stop(mut self) -> JoinHandle<Stopped> {
        let _ = self.stop.take().expect("not stopped yet").send(());
        self.task
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::to(self.address).await
    }

    /// One request on a connection of its own.
    pub(crate) async fn ask(&self, request: Request<'_>) -> Answer {
        self.connect().await.ask(request).await
    }

    /// The secret of a new key.
    pub(crate) async fn key_of(&self, grant: Grant) -> String {
        let made = self
            .engine
            .keys()
            .create(NewKey::new("a test's", grant))
            .await;
        made.expect("a key").1.reveal().to_owned()
    }
}

/// Lets this process, and those it starts, have so many files open.
pub(crate) fn need_files(count: u64) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= count) {
        return;
    }
    let enough = limit.maximum.is_none_or(|maximum| maximum >= count);
    assert!(enough, "{limit:?}: this test needs {count} files");
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).expect("raised");
}

/// What to send.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) token: Option<&'a str>,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: Option<&'a str>,
}

pub(crate) const fn get(path: &str) -> Request<'_> {
    Request {
        method: "GET",
        path,
        token: None,
        headers: &[],
        body: None,
    }
}

pub(crate) const fn post<'a>(path: &'a str, body: &'a str) -> Request<'a> {
    Request {
        method: "POST",
        body: Some(body),
        ..get(path)
    }
}

impl<'a> Request<'a> {
    pub(crate) const fn by(mut self, token: &'a str) -> Self {
        self.token = Some(token);
        self
    }

    pub(crate) const fn with(mut self, headers: &'a [(&'a str, &'a str)]) -> Self {
        self.headers = headers;
        self
    }

    /// The same without a body.
    pub(crate) const fn bodiless(mut self) -> Self {
        self.body = None;
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut text = format!(
            "{} {} HTTP/1.1\r\nHost: localhost\r\n",
            self.method, self.path
        );
        if let Some(token) = self.token {
            text.push_str(&format!("Authorization: Bearer {token}\r\n"));
        }
        for (name, value) in self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = self.body {
            let says_media = self
                .headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
            if !says_media {
                text.push_str("Content-Type: application/json\r\n");
            }
            text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        } else {
            text.push_str("\r\n");
        }
        text.into_bytes()
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Where a head ends, once it is whole.
    pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
        Some(find(bytes, b"\r\n\r\n")? + 4)
    }

    /// An answer whose body is still to come.
    pub(crate) fn of_head(head: String) -> Option<Self> {
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Self {
            status,
            head,
            body: Vec::new(),
        })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1);
        let mut pairs = lines.filter_map(|line| line.split_once(": "));
        pairs
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            let text = String::from_utf8_lossy(&self.body);
            panic!("{error}: {} {text}", self.head)
        })
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Panics unless the answer has this status.
    pub(crate) fn expect(self, status: u16) -> Self {
        let body = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{}\n{body}", self.head);
        self
    }
}

/// One connection.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        Self {
            stream,
            read: Vec::new(),
        }
    }

    /// One whose end takes little that nobody reads.
    pub(crate) async fn narrow(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(8 * 1024).expect("an option");
        Self {
            stream: socket.connect(address).await.expect("a connection"),
            read: Vec::new(),
        }
    }

    pub(crate) async fn ask(&mut self, request: Request<'_>) -> Answer {
        self.send(&request.bytes()).await;
        self.answer().await.expect("an answer")
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("sent");
    }

    /// Sends bytes as far as the server takes them; whether it took all.
    pub(crate) async fn push(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// More bytes; `false` at the end.
    async fn fill(&mut self) -> bool {
        self.read.reserve(16 * 1024);
        matches!(self.stream.read_buf(&mut self.read).await, Ok(1..))
    }

    /// The head of the next answer; `None` at the end.
    pub(crate) async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = find(&self.read, b"\r\n\r\n") {
                let head = self.read.drain(..end + 4).collect::<Vec<_>>();
                return Some(String::from_utf8(head).expect("a head is text"));
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// The next answer; `None` if the connection ends first.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        let head = self.head().await?;
        let mut answer = Answer::of_head(head)?;
        let length = answer
            .header("content-length")
            .and_then(|text| text.parse().ok());
        if answer.header("transfer-encoding").is_some() {
            while find(&self.read, b"0\r\n\r\n").is_none() && self.fill().await {}
            answer.body = unchunked(&std::mem::take(&mut self.read));
            return Some(answer);
        }
        let length: usize = length.unwrap_or(0);
        while self.read.len() < length {
            if !self.fill().await {
                return None;
            }
        }
        answer.body = self.read.drain(..length).collect();
        Some(answer)
    }

    /// What has come and was not taken.
    pub(crate) fn come(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.read)
    }

    /// What comes until `wanted` has come; everything if it never does.
    pub(crate) async fn until(&mut self, wanted: &str) -> String {
        while find(&self.read, wanted.as_bytes()).is_none() && self.fill().await {}
        String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned()
    }

    /// Whatever comes until the server closes.
    pub(crate) async fn rest(&mut self) -> String {
        while self.fill().await {}
        String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned()
    }
}

/// What is in chunks that are whole, and of the last one what is there of it.
pub(crate) fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = find(bytes, b"\r\n") {
        let size = str::from_utf8(&bytes[..end]).expect("a size is text");
        let size = usize::from_str_radix(size, 16).expect("a size is a number");
        let data = &bytes[end + 2..];
        whole.extend_from_slice(&data[..size.min(data.len())]);
        bytes = data.get(size + 2..).unwrap_or_default();
    }
    whole
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}
