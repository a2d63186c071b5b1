//! A server that is killed while it sends, again and again: who reads goes on
//! with the next one, and has the whole in the end.
//!
//! The server is this binary, run again with the place of its store.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use windlass::stream::Settings;
use windlass::{Options, Windlass};
use windlass_client::stream::{CloseStream, CreateStream, NewRow, ReadStream};
use windlass_client::{Client, Row, RowsEnd};
use windlass_server::{Config, Server};

const PATH: &str = "WINDLASS_TEST_PATH";
const ROWS: u64 = 200;

#[expect(
    clippy::disallowed_methods,
    reason = "how a child of the test binary is told its store, and a longer run its length"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn location(path: &str) -> windlass::StoreLocation {
    format!("sqlite:{path}").parse().expect("a location")
}

/// Where a child begins. Without a store it checks that one could be told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_serves_the_store_it_is_told() {
    let Some(path) = variable(PATH) else {
        assert_eq!(location("a.db").to_string(), "sqlite:a.db");
        return;
    };
    let options = Options {
        streams: Settings {
            chunk_pages: 1,
            ..Settings::default()
        },
        ..Options::default()
    };
    let engine = Windlass::open(&location(&path), options).await;
    let mut config = Config::default();
    config.listen = "127.0.0.1:0".parse().expect("an address");
    config.maintain = false;
    let server = Server::bind(engine.expect("a store"), config).await;
    let server = server.expect("bound");
    let mut output = std::io::stdout().lock();
    output
        .write_all(format!("@{}\n", server.address()).as_bytes())
        .and_then(|()| output.flush())
        .expect("a parent that reads");
    drop(output);
    let never = std::future::pending;
    server.run(never(), never()).await;
}

/// A server in a process of its own.
struct Mortal {
    child: Child,
    address: SocketAddr,
}

impl Mortal {
    fn start(path: &str) -> Self {
        let binary = std::env::current_exe().expect("this binary");
        let mut child = Command::new(binary)
            .args([
                "--exact",
                "streams::kills::a_child_serves_the_store_it_is_told",
            ])
            .args(["--nocapture", "--test-threads", "1"])
            .env(PATH, path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a child");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let told = |line: String| line.split('@').nth(1).map(str::to_owned);
        let mut told = lines.map_while(Result::ok).filter_map(told);
        let address = told.next().expect("a child that serves");
        let address = address.parse().expect("an address");
        Self { child, address }
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Passes on what is asked of one server after the other: each is killed once
/// it has sent a random number of bytes.
async fn killer(listener: TcpListener, path: String, kills: u64) {
    let mut random: u64 = 11;
    let mut mortal = Mortal::start(&path);
    let mut killed = 0;
    while let Ok((client, _)) = listener.accept().await {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let most = match killed < kills {
            true => (random >> 33) % 90_000,
            false => u64::MAX,
        };
        if pass(client, mortal.address, most).await {
            drop(mortal);
            mortal = Mortal::start(&path);
            killed += 1;
        }
    }
}

/// Whether the server has sent as much as it may.
async fn pass(mut client: TcpStream, to: SocketAddr, mut left: u64) -> bool {
    let mut server = TcpStream::connect(to).await.expect("the server");
    let (mut asked, mut answered) = (vec![0; 4_096], vec![0; 4_096]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => match read {
                Ok(0) | Err(_) => return false,
                Ok(count) => server.write_all(&asked[..count]).await.expect("taken"),
            },
            read = server.read(&mut answered) => {
                let Ok(count @ 1..) = read else { return false };
                let passed = count.min(usize::try_from(left).unwrap_or(usize::MAX));
                if client.write_all(&answered[..passed]).await.is_err() {
                    return false;
                }
                left -= u64::try_from(passed).expect("small");
                if left == 0 {
                    return true;
                }
            }
        }
    }
}

fn client(address: SocketAddr) -> Client {
    let wait = Duration::from_millis(5);
    let settings = windlass_client::Settings::default().backoff(wait, wait);
    let settings = settings.retries(1_000);
    settings
        .connect(&format!("http://{address}"), None)
        .expect("an address")
}

/// The session `s`, and its stream `o` with the rows, closed.
async fn fill(path: &str) -> Vec<String> {
    let mortal = Mortal::start(path);
    let client = client(mortal.address);
    let session = windlass_client::session::CreateSession {
        id: Some("s".to_owned()),
        ..windlass_client::session::CreateSession::new("researcher", "write")
    };
    client.create_session(&session).await.expect("a session");
    let stream = CreateStream {
        session: "s".to_owned(),
        id: Some("o".to_owned()),
        ..CreateStream::default()
    };
    client.create_stream(&stream).await.expect("a stream");
    let pad = "x".repeat(990);
    let texts: Vec<_> = (0..ROWS)
        .map(|n| format!("{{\"n\":{n},\"pad\":\"{pad}\"}}"))
        .collect();
    let rows = texts.iter().map(|text| NewRow {
        row: serde_json::value::RawValue::from_string(text.clone()).ok(),
        bytes: None,
    });
    let stream = client.stream("o");
    stream
        .append(&rows.collect::<Vec<_>>())
        .await
        .expect("appended");
    stream.close(&CloseStream::default()).await.expect("closed");
    texts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_of_servers_that_are_killed_has_the_whole_in_the_end() {
    let kills = variable("WINDLASS_STREAM_KILLS");
    let kills = kills.map_or(6, |set| set.parse().expect("a number"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("windlass.db").display().to_string();
    let written = Arc::new(fill(&path).await);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let killer = tokio::spawn(killer(listener, path, kills));
    // Each read of 200 kB meets two kills or so.
    for _ in 0..kills.div_ceil(2) {
        let mut rows = client(address).stream("o").read(ReadStream::default());
        let mut came = Vec::new();
        while let Some(proven) = rows.next().await.expect("another one serves") {
            came.extend(proven.rows);
        }
        let sent = written.iter().map(|text| Row::Json(text.clone().into()));
        assert!(
            came.into_iter().eq(sent),
            "what came is not what was written"
        );
        assert!(
            matches!(rows.end(), Some(RowsEnd::End(end)) if end.closed),
            "{:?}",
            rows.end()
        );
    }
    killer.abort();
}
