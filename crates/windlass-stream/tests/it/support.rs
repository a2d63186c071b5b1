//! A small world: a strict store in memory, a clock of the test's own, and
//! streams over them; and a client that trusts nothing.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde_json::Value;
use windlass_core::{ManualEnv, Millis, SessionId, StreamId};
use windlass_store::{Batch, Commit, Entry, KeyRange, Store, StoreExt};
use windlass_store_memory::MemoryStore;
use windlass_store_testing::{Strict, StrictOptions};
use windlass_stream::{
    Audit, Caller, Digest, Event, Expiry, Frame, NewStream, Offset, Open, Reader, Row, RowsHasher,
    Settings, Start, StreamError, StreamWriter, Streams,
};

use crate::clocks::Frozen;

/// When every test begins.
pub(crate) const START: Millis = Millis::new(1_700_000_000_000);

/// Streams over a store of which the test can see the ground.
pub(crate) struct World {
    /// What is really stored.
    pub(crate) ground: Arc<MemoryStore>,
    pub(crate) env: Arc<ManualEnv>,
    pub(crate) heard: Arc<Heard>,
    pub(crate) streams: Streams,
}

/// Every event, as its name and its figures.
#[derive(Debug, Default)]
pub(crate) struct Heard(Mutex<Vec<Event>>);

impl Audit for Heard {
    fn record(&self, event: &Event) {
        self.0
            .lock()
            .expect("no test panics here")
            .push(event.clone());
    }
}

impl Heard {
    /// Each event in a few words.
    pub(crate) fn words(&self) -> Vec<String> {
        let events = self.0.lock().expect("no test panics here");
        let words = |event: &Event| match event {
            Event::Opened { pinned, .. } => format!("{} {}", event.name(), pinned.number()),
            Event::Closed { reason, rows, .. } => {
                format!("{} {} {rows}", event.name(), reason.name())
            }
            other => other.name().to_owned(),
        };
        events.iter().map(words).collect()
    }
}

impl World {
    /// A world over a store that makes the least of its contract, but does not
    /// fail.
    pub(crate) fn new() -> Self {
        Self::with(&Settings::default())
    }

    pub(crate) fn with(settings: &Settings) -> Self {
        Self::over(settings, |ground| {
            Arc::new(Strict::new(ground, StrictOptions::WITHOUT_ERRORS))
        })
    }

    /// A world over a wrapper of its ground.
    pub(crate) fn over(
        settings: &Settings,
        wrap: impl FnOnce(Arc<MemoryStore>) -> Arc<dyn Store>,
    ) -> Self {
        let ground = Arc::new(MemoryStore::new().expect("an incarnation"));
        let env = Arc::new(ManualEnv::new(7, START));
        let heard = Arc::new(Heard::default());
        let store = wrap(Arc::clone(&ground));
        let audit = Arc::clone(&heard) as Arc<dyn Audit>;
        let streams = Streams::with_audit(store, Arc::clone(&env) as _, audit, settings);
        Self {
            ground,
            env,
            heard,
            streams: streams.expect("settings in range"),
        }
    }

    /// The same ground under a store that does not fail.
    pub(crate) fn calm(&self) -> Self {
        let heard = Arc::new(Heard::default());
        let audit = Arc::clone(&heard) as Arc<dyn Audit>;
        let (ground, env) = (Arc::clone(&self.ground), Arc::clone(&self.env));
        let streams = Streams::with_audit(
            Arc::clone(&ground) as _,
            Arc::clone(&env) as _,
            audit,
            &Settings::default(),
        );
        Self {
            ground,
            env,
            heard,
            streams: streams.expect("settings in range"),
        }
    }

    /// A world in which nobody who sleeps wakes up: there are hints alone.
    pub(crate) fn frozen() -> Self {
        let mut world = Self::new();
        let frozen = Arc::new(Frozen(Arc::clone(&world.env)));
        let store = Arc::clone(&world.ground);
        let audit = Arc::clone(&world.heard) as Arc<dyn Audit>;
        let streams = Streams::with_audit(store, frozen, audit, &Settings::default());
        world.streams = streams.expect("settings in range");
        world
    }

    /// Makes the stream `out` of session `s1`.
    pub(crate) async fn create(&self) -> StreamWriter {
        let made = self.streams.create(&caller(), &new("out")).await;
        made.expect("a new name")
    }

    /// Makes the stream `out` with so many chunks of so many rows each.
    pub(crate) async fn filled(&self, chunks: u64, rows: u64) -> StreamWriter {
        let mut writer = self.create().await;
        for chunk in 0..chunks {
            for row in 0..rows {
                let row = number(chunk * rows + row);
                writer.append(&row).await.expect("a row that is taken");
            }
            writer.flush().await.expect("a store that works");
        }
        writer
    }

    pub(crate) async fn open(&self, start: Start) -> Result<Reader, StreamError> {
        let open = Open {
            start,
            ..Open::all(stream("out"))
        };
        self.streams.open(&caller(), &open).await
    }

    /// Everything from `start` on, as NDJSON.
    pub(crate) async fn body(&self, start: Start) -> Vec<u8> {
        let mut reader = self.open(start).await.expect("a stream that can be read");
        read_all(&mut reader).await
    }

    /// Every stored key and value.
    pub(crate) async fn rows(&self) -> Vec<Entry> {
        let all = self.ground.scan_all(KeyRange::all()).await;
        all.expect("a store that works")
    }

    /// Replaces a stored value behind everybody's back.
    pub(crate) async fn put(&self, key: &str, value: impl Into<Bytes>) {
        let batch = Batch::new().put(key.to_owned(), value);
        let put = self.ground.commit(batch).await.expect("a store that works");
        assert!(matches!(put, Commit::Applied(_)), "{put:?}");
    }

    /// Removes a stored row behind everybody's back.
    pub(crate) async fn delete(&self, key: &str) {
        let batch = Batch::new().delete(key.to_owned());
        let gone = self.ground.commit(batch).await.expect("a store that works");
        assert!(matches!(gone, Commit::Applied(_)), "{gone:?}");
    }

    pub(crate) async fn keys(&self) -> Vec<String> {
        self.rows().await.iter().map(|row| text(&row.key)).collect()
    }
}

/// The lines of all frames that are left.
pub(crate) async fn read_all(reader: &mut Reader) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(frame) = reader.next().await.expect("a store that works") {
        body.extend_from_slice(&frame.ndjson());
    }
    body
}

pub(crate) fn caller() -> Caller {
    caller_of("acme", "ann")
}

pub(crate) fn caller_of(tenant: &str, principal: &str) -> Caller {
    let tenant = tenant.parse().expect("an identifier");
    Caller::new(tenant, principal.parse().expect("an identifier"))
}

pub(crate) fn session(name: &str) -> SessionId {
    name.parse().expect("an identifier")
}

pub(crate) fn stream(name: &str) -> StreamId {
    name.parse().expect("an identifier")
}

/// A stream of session `s1` that stays.
pub(crate) fn new(name: &str) -> NewStream {
    NewStream {
        id: Some(stream(name)),
        expiry: Expiry::Never,
        ..NewStream::of(session("s1"))
    }
}

pub(crate) fn row(text: &str) -> Row {
    Row::json(text.to_owned()).expect("JSON")
}

/// A row that says its number.
pub(crate) fn number(number: u64) -> Row {
    row(&number.to_string())
}

pub(crate) fn text(bytes: &Bytes) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// The rows of frames, which must be chunks.
pub(crate) fn rows_of(frame: Option<Frame>) -> Vec<Row> {
    match frame {
        Some(Frame::Chunk(chunk)) => chunk.rows().collect(),
        other => panic!("{other:?}"),
    }
}

/// A client of the wire format that keeps what is proven, and nothing else.
#[derive(Debug)]
pub(crate) struct Client {
    /// The contents of all rows up to the last mark.
    pub(crate) proven: Vec<Bytes>,
    /// The last mark.
    pub(crate) at: (Offset, Digest),
    /// Whether the last line was there.
    pub(crate) ended: bool,
    unproven: Vec<Bytes>,
}

impl Client {
    pub(crate) fn new() -> Self {
        Self {
            proven: Vec::new(),
            at: (Offset::START, Digest::START),
            ended: false,
            unproven: Vec::new(),
        }
    }

    /// Takes what came before the line broke: whole lines count, and of the
    /// rows those before a mark.
    pub(crate) fn take(&mut self, received: &[u8]) {
        self.unproven.clear();
        let whole = received.iter().rposition(|byte| *byte == b'\n');
        let lines = &received[..whole.map_or(0, |end| end + 1)];
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            self.line(&Bytes::copy_from_slice(line));
        }
        self.unproven.clear();
    }

    fn line(&mut self, line: &Bytes) {
        if let Some(row) = Row::of_line(line) {
            self.unproven.push(row.content().clone());
            return;
        }
        let line: Value = serde_json::from_slice(line).expect("each line is JSON");
        let field = |object: &Value, name: &str| object[name].as_str().expect(name).to_owned();
        if let Some(open) = line.get("open") {
            assert_eq!(field(open, "start"), self.at.0.to_string());
            assert_eq!(field(open, "digest"), self.at.1.to_string());
        } else if let Some(mark) = line.get("mark") {
            self.mark(&field(mark, "offset"), &field(mark, "digest"));
        } else if let Some(end) = line.get("end") {
            assert_eq!(field(end, "offset"), self.at.0.to_string());
            assert_eq!(field(end, "digest"), self.at.1.to_string());
            self.ended = true;
        } else {
            panic!("{line}");
        }
    }

    fn mark(&mut self, offset: &str, digest: &str) {
        let mut hasher = RowsHasher::new();
        self.unproven.iter().for_each(|row| hasher.row(row));
        let count = u64::try_from(self.unproven.len()).expect("few");
        let next = self.at.0.plus(count).expect("few");
        let chained = self.at.1.chain(self.at.0, hasher.finish());
        assert_eq!(
            (offset, digest),
            (&*next.to_string(), &*chained.to_string())
        );
        self.at = (next, chained);
        self.proven.append(&mut self.unproven);
    }
}
