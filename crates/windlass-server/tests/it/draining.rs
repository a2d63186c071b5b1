//! A server that is told to stop: what was begun is finished, what is open is
//! told, and nothing that was acknowledged is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use windlass::core::SessionId;
use windlass::session::Caller;
use windlass::{Options, Windlass};
use windlass_server::{Config, Server, Stopped};

use crate::support::{Connection, Running, get, need_files, post};
use crate::turns::Share;

/// Streams that are open when the server is told to stop.
const STREAMS: usize = 1_000;

/// Writers that are at work then.
const WRITERS: usize = 64;

/// Changes that are made before.
const CHANGES: usize = 300;

const CREATE: &str = r#"{"id":"s","agent":"researcher","intent":"go on working",
    "tools":{"only":["search"]},"budget":{"calls":1000000}}"#;

const USE: &str = r#"{"agent":"researcher","items":[{"tool":"search"}]}"#;

/// What is told of changes as they are acknowledged.
#[derive(Default)]
struct Progress {
    done: AtomicUsize,
    enough: Notify,
}

async fn follow(server: &Running) -> Connection {
    let mut stream = server.connect().await;
    let wants = [("Accept", "text/event-stream")];
    let request = get("/v1/sessions/s/events").with(&wants).bytes();
    stream.send(&request).await;
    let begun = stream.until("retry: ").await;
    assert!(begun.starts_with("HTTP/1.1 200 "), "{begun}");
    stream
}

/// Uses the session until the server ends the connection; the numbers of the
/// calls that were acknowledged.
async fn write(mut connection: Connection, writer: usize, progress: Arc<Progress>) -> Vec<u64> {
    let mut calls = Vec::new();
    for turn in 0.. {
        let id = format!("w{writer}-{turn}");
        let headers = [("Idempotency-Key", id.as_str())];
        let request = post("/v1/sessions/s/uses", USE).with(&headers).bytes();
        if !connection.push(&request).await {
            break;
        }
        let Some(answer) = connection.answer().await else {
            break;
        };
        let receipt = answer.expect(200).json();
        calls.push(receipt["first_call"].as_u64().expect("a number"));
        if progress.done.fetch_add(1, Ordering::AcqRel) + 1 == CHANGES {
            progress.enough.notify_one();
        }
    }
    calls
}

async fn open(path: &std::path::Path) -> Windlass {
    let location = format!("sqlite:{}", path.display()).parse();
    let opened = Windlass::open(&location.expect("a location"), Options::default()).await;
    opened.expect("a store")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_streams_and_busy_writers_end_well_and_nothing_acknowledged_is_lost() {
    let _share = Share::take();
    need_files(4_000);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("windlass.db");
    let engine = open(&path).await;
    let server = Running::over(engine.clone(), |_| ()).await;
    server.ask(post("/v1/sessions", CREATE)).await.expect(201);
    let mut streams = Vec::with_capacity(STREAMS);
    for _ in 0..STREAMS {
        streams.push(follow(&server).await);
    }
    // What has begun to ask is still answered.
    let mut late = server.connect().await;
    let (begun, rest) = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n".split_at(30);
    late.send(begun).await;
    let progress = Arc::new(Progress::default());
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let connection = server.connect().await;
        writers.push(tokio::spawn(write(
            connection,
            writer,
            Arc::clone(&progress),
        )));
    }
    progress.enough.notified().await;
    let (address, drain) = (server.address, Config::default().drain_ms);
    let stopping = server.stop();

    let ends = streams
        .into_iter()
        .map(|stream| tokio::spawn(ending(stream)));
    let ends: Vec<JoinHandle<String>> = ends.collect();
    for end in ends {
        assert_eq!(end.await.expect("no panic"), r#"{"reason":"draining"}"#);
    }
    late.send(rest).await;
    let ready = late.answer().await.expect("an answer").expect(503);
    assert_eq!(
        (ready.code(), ready.header("connection")),
        ("closed".to_owned(), Some("close"))
    );
    let mut calls = Vec::new();
    for writer in writers {
        calls.extend(writer.await.expect("no panic"));
    }
    let stopped = timeout(Duration::from_millis(drain), stopping).await;
    let stopped = stopped.expect("in time").expect("no panic");
    assert_eq!(stopped, Stopped { cut: 0 });
    let refused = tokio::net::TcpStream::connect(address).await;
    assert_eq!(
        refused.map(|_| ()).map_err(|error| error.kind()),
        Err(std::io::ErrorKind::ConnectionRefused)
    );
    engine.close().await.expect("closed");
    check_stored(&path, calls).await;
}

/// The data of the event that ends a stream.
async fn ending(mut stream: Connection) -> String {
    let all = stream.rest().await;
    let end = all.rsplit("event: end\ndata: ").next().unwrap_or_default();
    end.lines().next().unwrap_or_default().trim().to_owned()
}

/// Each call that was acknowledged is stored, under a number of its own, and
/// no other is.
async fn check_stored(path: &std::path::Path, mut calls: Vec<u64>) {
    let engine = open(path).await;
    let caller = Caller::new(
        "default".parse().expect("an id"),
        "local".parse().expect("an id"),
    );
    let id: SessionId = "s".parse().expect("an id");
    let session = engine.sessions().get(&caller, &id).await.expect("read");
    let made = session.expect("the session").calls_made;
    calls.sort_unstable();
    assert!(calls.len() >= CHANGES, "{} calls", calls.len());
    assert_eq!(calls, (1..=made).collect::<Vec<u64>>());
    engine.close().await.expect("closed");
}

/// A running server with a request whose body never comes, and what tells it
/// to stop and to stop at once.
struct Stuck {
    _connection: Connection,
    stop: oneshot::Sender<()>,
    at_once: oneshot::Sender<()>,
    task: JoinHandle<Stopped>,
    _share: Share,
}

async fn told(by: oneshot::Receiver<()>) {
    if by.await.is_err() {
        std::future::pending().await
    }
}

async fn stuck(drain_ms: u64) -> Stuck {
    let share = Share::take();
    let location = "memory:".parse().expect("a location");
    let engine = Windlass::open(&location, Options::default()).await;
    let mut config = Config::default();
    config.listen = "127.0.0.1:0".parse().expect("an address");
    config.drain_ms = drain_ms;
    let server = Server::bind(engine.expect("a store"), config).await;
    let server = server.expect("bound");
    let address = server.address();
    let ((stop, stopped), (at_once, ended)) = (oneshot::channel(), oneshot::channel());
    let task = tokio::spawn(server.run(told(stopped), told(ended)));
    let mut connection = Connection::to(address).await;
    let request = post("/v1/sessions", CREATE).bytes();
    connection.send(&request[..request.len() - 1]).await;
    // Whatever comes after it was accepted after it.
    Connection::to(address)
        .await
        .ask(get("/livez"))
        .await
        .expect(200);
    Stuck {
        _connection: connection,
        stop,
        at_once,
        task,
        _share: share,
    }
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let stuck = stuck(600_000).await;
    stuck.stop.send(()).expect("it runs");
    stuck.at_once.send(()).expect("it runs");
    let stopped = timeout(Duration::from_secs(20), stuck.task).await;
    let stopped = stopped.expect("long before the drain is over");
    // The connection that only asked whether it lives may be closing still.
    let cut = stopped.expect("no panic").cut;
    assert!((1..=2).contains(&cut), "{cut} were cut");
}

#[tokio::test]
async fn what_never_ends_is_cut_when_the_time_is_over() {
    let stuck = stuck(200).await;
    let began = Instant::now();
    stuck.stop.send(()).expect("it runs");
    let stopped = stuck.task.await.expect("no panic");
    assert_eq!(stopped, Stopped { cut: 1 });
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(200), "{took:?}");
    drop(stuck.at_once);
}
