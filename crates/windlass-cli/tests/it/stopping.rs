//! A server that gets SIGTERM: it finishes what was begun, tells who listens,
//! and ends well.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use serde_json::Value;
use windlass::SystemEnv;
use windlass::core::Env;

use crate::bench::Bench;

/// Streams that are open when it is told to stop.
const STREAMS: usize = 1_000;

/// Writers that are at work then.
const WRITERS: usize = 64;

/// Changes that are made before.
const CHANGES: usize = 300;

/// How long a server finishes what was begun, at most.
const DRAIN: Duration = Duration::from_secs(20);

/// Lets this process and those it starts have as many files open as they may.
fn raise_files() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
}

/// A server on the default store of a bench; it ends with its test.
struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    fn start(bench: &Bench) -> Self {
        let words = [
            "--json",
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--log",
            "error",
        ];
        let mut command = bench.command(&words);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let greeting: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        // Whatever else it says must find a reader.
        thread::spawn(move || lines.for_each(drop));
        let url = greeting["listening"].as_str().unwrap();
        let address = url.strip_prefix("http://").unwrap().to_owned();
        Self { child, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(DRAIN * 2)).unwrap();
        stream
    }

    fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    /// How it ended, and after how long.
    fn wait(&mut self) -> (ExitStatus, Duration) {
        let clock = SystemEnv::new();
        (self.child.wait().unwrap(), clock.monotonic())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A stream of the events of `s1` that has begun.
fn follow(serving: &Serving) -> BufReader<TcpStream> {
    let mut stream = serving.connect();
    let request = "GET /v1/sessions/s1/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 200 "), "{line}");
    stream
}

/// One use of `s1` under an operation id of its own; the number of its call,
/// or `None` if the connection ended first.
fn call(stream: &mut BufReader<TcpStream>, operation: &str) -> Option<u64> {
    let body = r#"{"agent":"scout","items":[{"tool":"search"}]}"#;
    let length = body.len();
    let request = format!(
        "POST /v1/sessions/s1/uses HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: {operation}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.get_mut().write_all(request.as_bytes()).ok()?;
    let mut status = String::new();
    let read = stream.read_line(&mut status).ok()?;
    if read == 0 {
        return None;
    }
    assert!(status.starts_with("HTTP/1.1 200 "), "{status}");
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let receipt: Value = serde_json::from_slice(&body).unwrap();
    receipt["first_call"].as_u64()
}

fn write(stream: TcpStream, writer: usize, told: &Sender<u64>) {
    let mut stream = BufReader::new(stream);
    for turn in 0.. {
        let Some(number) = call(&mut stream, &format!("w{writer}-{turn}")) else {
            return;
        };
        told.send(number).unwrap();
    }
}

#[test]
fn sigterm_ends_streams_and_writers_well_and_loses_nothing_acknowledged() {
    raise_files();
    let bench = Bench::new();
    let create =
        "session create --id s1 --agent scout --intent errands --tool search --calls 1000000";
    bench.run(create).assert_code(0);
    let mut serving = Serving::start(&bench);
    let streams: Vec<_> = (0..STREAMS).map(|_| follow(&serving)).collect();
    let (told, acknowledged) = channel();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (stream, told) = (serving.connect(), told.clone());
            thread::spawn(move || write(stream, writer, &told))
        })
        .collect();
    drop(told);
    let mut calls: Vec<u64> = acknowledged.iter().take(CHANGES).collect();
    assert_eq!(calls.len(), CHANGES);
    serving.terminate();
    let (status, took) = serving.wait();
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(took < DRAIN, "{took:?}");
    for mut stream in streams {
        let mut rest = String::new();
        stream.read_to_string(&mut rest).unwrap();
        assert!(
            rest.contains("event: end\ndata: {\"reason\":\"draining\"}"),
            "{rest}"
        );
    }
    for writer in writers {
        writer.join().unwrap();
    }
    calls.extend(acknowledged);
    calls.sort_unstable();
    let shown = bench.run("--json session show s1");
    shown.assert_code(0);
    let made = shown.objects()[0]["calls_made"].as_u64().unwrap();
    assert_eq!(calls, (1..=made).collect::<Vec<u64>>());
}

#[test]
fn a_second_sigterm_does_not_wait_for_who_is_slow() {
    let bench = Bench::with_session();
    let mut serving = Serving::start(&bench);
    let mut slow = serving.connect();
    let begun = "POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
        Content-Length: 100\r\n\r\n{";
    slow.write_all(begun.as_bytes()).unwrap();
    // A whole request after it, so that the first one is being received.
    call(&mut BufReader::new(serving.connect()), "one").expect("an answer");
    serving.terminate();
    // It stops to listen before it does anything else.
    while TcpStream::connect(&serving.address).is_ok() {}
    serving.terminate();
    let (status, took) = serving.wait();
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(took < DRAIN / 2, "{took:?}");
}
