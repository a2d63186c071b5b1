//! Streams over HTTP: written and read in every way, cut anywhere, ended by
//! anything.

mod cuts;
mod ends;
mod kills;
mod lasting;
mod reading;
mod slots;
mod sources;
mod writing;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use windlass::core::Env;
use windlass::stream::{Audit, CloseReason, Digest, Event, Offset, Row, RowsHasher, Settings};
use windlass::{Options, StreamAudit, SystemEnv, Windlass};

use crate::support::{Answer, Request, Running, get, post};

pub(crate) const LINES: [(&str, &str); 1] = [("Content-Type", "application/x-ndjson")];
const EVENTS: [(&str, &str); 1] = [("Accept", "text/event-stream")];

/// Hears how reads end.
#[derive(Default)]
pub(crate) struct Ears(Mutex<Vec<Event>>);

impl Audit for Ears {
    fn record(&self, event: &Event) {
        self.0.lock().expect("no panic").push(event.clone());
    }
}

impl Ears {
    /// How many reads were opened, and how those that are over were closed.
    pub(crate) fn heard(&self) -> (usize, Vec<CloseReason>) {
        let events = self.0.lock().expect("no panic");
        let opened = events.iter().filter(|one| one.name() == "stream.opened");
        let closed = events.iter().filter_map(|one| match one {
            Event::Closed { reason, .. } => Some(*reason),
            _ => None,
        });
        (opened.count(), closed.collect())
    }

    /// Reads that were opened and not closed once, or the other way round.
    pub(crate) fn unbalanced(&self) -> usize {
        let events = self.0.lock().expect("no panic");
        let mut balance = HashMap::new();
        for event in events.iter() {
            match event {
                Event::Opened { handle, .. } => *balance.entry(*handle).or_insert(0) += 1,
                Event::Closed {
                    handle: Some(handle),
                    ..
                } => *balance.entry(*handle).or_insert(0) -= 1,
                _ => {}
            }
        }
        balance.values().filter(|count| **count != 0).count()
    }
}

/// A server without keys, its session `s` and the stream `o`.
pub(crate) struct Place {
    pub(crate) server: Running,
    pub(crate) ears: Arc<Ears>,
}

pub(crate) fn options(settings: Settings, ears: &Arc<Ears>) -> Options {
    Options {
        streams: settings,
        stream_audit: Some(StreamAudit::new(ears.clone())),
        ..Options::default()
    }
}

impl Place {
    pub(crate) async fn new() -> Self {
        Self::with(Settings::default(), Arc::new(SystemEnv::new())).await
    }

    pub(crate) async fn with(settings: Settings, env: Arc<dyn Env>) -> Self {
        let ears = Arc::new(Ears::default());
        let location = "memory:".parse().expect("a location");
        let engine = Windlass::with_env(&location, options(settings, &ears), env).await;
        Self::over(engine.expect("a store"), ears).await
    }

    pub(crate) async fn over(engine: Windlass, ears: Arc<Ears>) -> Self {
        Self::patient(engine, ears, 20_000).await
    }

    /// Where those who wait may wait for so long.
    pub(crate) async fn patient(engine: Windlass, ears: Arc<Ears>, wait_ms: u64) -> Self {
        let server = Running::over(engine, |config| {
            config.poll_ms = 100;
            config.heartbeat_ms = 100;
            config.long_poll_ms = wait_ms;
        });
        let server = server.await;
        let session = r#"{"id":"s","agent":"researcher","intent":"write"}"#;
        server.ask(post("/v1/sessions", session)).await.expect(201);
        let stream = r#"{"session":"s","id":"o"}"#;
        server.ask(post("/v1/streams", stream)).await.expect(201);
        Self { server, ears }
    }

    pub(crate) async fn append(&self, lines: &str) -> Answer {
        let request = post("/v1/streams/o/rows", lines).with(&LINES);
        self.server.ask(request).await
    }

    pub(crate) async fn close(&self) {
        let close = post("/v1/streams/o/close", "{}");
        self.server.ask(close).await.expect(200);
    }

    /// A read with this query, to its end.
    pub(crate) async fn read(&self, query: &str) -> Answer {
        let path = format!("/v1/streams/o/rows{query}");
        self.server.ask(get(&path)).await
    }

    pub(crate) async fn events(&self, query: &str, last: Option<&str>) -> Answer {
        let path = format!("/v1/streams/o/rows{query}");
        let mut headers = EVENTS.to_vec();
        headers.extend(last.map(|last| ("Last-Event-ID", last)));
        let request = Request {
            headers: &headers,
            ..get(&path)
        };
        self.server.ask(request).await
    }

    pub(crate) fn reading(&self) -> usize {
        self.server.engine.streams().occupancy().all
    }

    /// Waits until nobody reads any more.
    pub(crate) async fn quiet(&self) {
        let quiet = async {
            while self.reading() > 0 {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(std::time::Duration::from_secs(20), quiet);
        waited.await.expect("everybody leaves");
    }
}

/// `count` rows from `first` on, one a line.
pub(crate) fn numbers(first: u64, count: u64) -> String {
    let line = |number| format!("{{\"row\":{{\"n\":{number}}}}}\n");
    (first..first + count).map(line).collect()
}

/// What the lines of a read say, with the marks checked: each is chained to
/// the one before it.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) open: Value,
    pub(crate) rows: Vec<Row>,
    /// The last mark, as offset and digest.
    pub(crate) mark: Option<(String, String)>,
    /// `end` or `error`, if it came.
    pub(crate) end: Option<Value>,
}

impl Said {
    pub(crate) fn of(lines: &[u8]) -> Self {
        let mut said = Self::default();
        let mut hasher = RowsHasher::new();
        let (mut first, mut digest) = (Offset::START, Digest::START);
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            if line == b"\n" {
                continue;
            }
            let line = bytes::Bytes::copy_from_slice(line);
            if let Some(row) = Row::of_line(&line) {
                hasher.row(row.content());
                said.rows.push(row);
                continue;
            }
            let value: Value = serde_json::from_slice(&line).expect("a line is an object");
            if let Some(open) = value.get("open") {
                let text = |value: &Value| value.as_str().expect("text").to_owned();
                assert_eq!(open["base"]["offset"], open["start"], "begins at a mark");
                first = text(&open["start"]).parse().expect("an offset");
                digest = text(&open["digest"]).parse().expect("a digest");
                said.open = open.clone();
            } else if let Some(mark) = value.get("mark") {
                digest = digest.chain(first, std::mem::take(&mut hasher).finish());
                first = mark["offset"]
                    .as_str()
                    .expect("text")
                    .parse()
                    .expect("an offset");
                assert_eq!(mark["digest"], digest.to_string());
                said.mark = Some((first.to_string(), digest.to_string()));
            } else {
                said.end = Some(value);
            }
        }
        said
    }

    pub(crate) fn numbers(&self) -> Vec<u64> {
        let number = |row: &Row| {
            let value: Value = serde_json::from_slice(row.content()).expect("json");
            value["n"].as_u64().expect("a number")
        };
        self.rows.iter().map(number).collect()
    }

    pub(crate) fn cursor(&self) -> &str {
        self.open["cursor"].as_str().expect("a cursor")
    }
}

/// The data of events, line by line, with the id of each.
pub(crate) fn data_of(events: &[u8]) -> Vec<(Option<String>, String)> {
    let text = str::from_utf8(events).expect("events are text");
    let mut all = Vec::new();
    for event in text
        .split_inclusive("\n\n")
        .filter(|event| event.ends_with("\n\n"))
    {
        let field = |name: &str| {
            let mut lines = event.lines();
            lines.find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(": ")?.to_owned()))
        };
        all.extend(field("data").map(|data| (field("id"), data)));
    }
    all
}
