//! Sources of streams: what is kept anyway, read as rows that go on after any
//! cut, end where they began, and are there for whom their session is.

use std::sync::Arc;

use windlass::checkpoint::{At, Changes, NewNode, Parent, Payload, Retention, Sweep};
use windlass::core::{Coded, ManualEnv, Millis, SessionId};
use windlass::session::{Agent, Allow, Caller, Create, Outcome, Settle, Use, UseItem};
use windlass::sources::{NODE_CONTENT_BYTES_MAX, Order, SourceOf, SourceQuery};
use windlass::store::Store;
use windlass::stream::{
    Chunk, Cursor, Digest, Frame, Mark, Offset, ScanReader, Settings, Start, StreamError,
};
use windlass::{Options, Windlass};
use windlass_store_testing::Counting;

use crate::SCHEMES;
use crate::place::Place;

const START: Millis = Millis::new(1_700_000_000_000);

/// An engine with a session that was used and has a state.
struct World {
    windlass: Windlass,
    env: Arc<ManualEnv>,
    ann: Caller,
    session: SessionId,
    _place: Place,
}

impl World {
    /// Streams in chunks of three rows, and few commits are kept.
    async fn new(scheme: &str) -> Self {
        let place = Place::new(scheme);
        let env = Arc::new(ManualEnv::new(1, START));
        let mut options = Options {
            streams: Settings {
                chunk_rows: 3,
                streams_max: 2,
                ..Settings::default()
            },
            ..Options::default()
        };
        options.checkpoints.retention = Retention {
            keep_ms: 1_000,
            keep_last: 4,
        };
        let location = place.location();
        let windlass = Windlass::with_env(&location, options, env.clone());
        let world = Self {
            windlass: windlass.await.unwrap(),
            env,
            ann: Caller::own("acme".parse().unwrap(), "ann".parse().unwrap()),
            session: "s1".parse().unwrap(),
            _place: place,
        };
        world.begin().await;
        world
    }

    /// The session, anew.
    async fn begin(&self) {
        let mut request = Create::new("scout".parse().unwrap(), "look around");
        request.id = Some(self.session.clone());
        request.tools = Allow::All;
        let sessions = self.windlass.sessions();
        sessions.create(&self.ann, request).await.unwrap();
    }

    /// What every source has rows of: uses, a commit of two nodes.
    async fn go_on(&self, times: u64) {
        for time in 0..times {
            let mut item = UseItem::new("search".parse().unwrap());
            item.reserve = time % 3 == 0;
            let agent = || Agent::Is("scout".parse().unwrap());
            let sessions = self.windlass.sessions();
            let used = Use::batch(agent(), vec![item]);
            let receipt = sessions.use_tools(&self.ann, &self.session, used);
            let call = receipt.await.unwrap().first_call;
            if time % 3 == 0 {
                let settle = Settle {
                    agent: agent(),
                    call,
                    outcome: Outcome::Refund,
                    operation: None,
                };
                let settled = sessions.settle(&self.ann, &self.session, settle);
                settled.await.unwrap();
            }
            self.commit(&[
                Payload::Json("{\n\"a\": 1}".into()),
                Payload::Bytes("b".into()),
            ])
            .await;
        }
    }

    async fn commit(&self, payloads: &[Payload]) {
        let node = |payload: &Payload| NewNode {
            parent: Parent::Leaf,
            kind: match payload {
                Payload::Json(_) => "message".into(),
                Payload::Bytes(_) => "tool".into(),
            },
            payload: payload.clone(),
        };
        self.change(Changes {
            nodes: payloads.iter().map(node).collect(),
            ..Changes::default()
        })
        .await;
    }

    async fn change(&self, changes: Changes) {
        let caller = &self.ann;
        let by = windlass::checkpoint::Caller::new(caller.tenant.clone(), caller.principal.clone());
        let states = self.windlass.checkpoints();
        states.commit(&by, &self.session, changes).await.unwrap();
    }

    fn every_source(&self) -> [SourceOf; 3] {
        [SourceOf::Usage, SourceOf::Commits, SourceOf::Graph].map(|of| of(self.session.clone()))
    }

    async fn scan(&self, query: &SourceQuery) -> ScanReader {
        let sources = self.windlass.sources();
        sources.scan(&self.ann, query).await.unwrap()
    }

    async fn all(&self, query: &SourceQuery) -> Read {
        Read::of(&mut self.scan(query).await).await.unwrap()
    }

    async fn resume(
        &self,
        of: &SourceOf,
        cursor: &Cursor,
        start: Start,
    ) -> Result<Read, StreamError> {
        let sources = self.windlass.sources();
        let mut reader = sources.resume(&self.ann, of, cursor, start).await?;
        Read::of(&mut reader).await
    }
}

/// A read, whole.
#[derive(Debug)]
struct Read {
    cursor: Cursor,
    start: Offset,
    rows: Vec<String>,
    marks: Vec<Mark>,
    end: (Offset, Digest),
}

impl Read {
    async fn of(reader: &mut ScanReader) -> Result<Self, StreamError> {
        let Some(Frame::Open(opened)) = reader.next().await? else {
            panic!("it begins")
        };
        assert!(opened.resumable, "{opened:?}");
        let mut read = Self {
            cursor: opened.cursor.parse().unwrap(),
            start: opened.start,
            rows: Vec::new(),
            marks: Vec::new(),
            end: (Offset::START, Digest::START),
        };
        while let Some(frame) = reader.next().await? {
            match frame {
                Frame::Chunk(chunk) => read.take(&chunk),
                Frame::End(end) => read.end = (end.offset, end.digest),
                other => panic!("{other:?}"),
            }
        }
        Ok(read)
    }

    fn take(&mut self, chunk: &Chunk) {
        let text = |row: windlass::stream::Row| String::from_utf8(row.content().to_vec()).unwrap();
        self.rows.extend(chunk.rows().map(text));
        self.marks.push(chunk.mark);
    }

    /// One field of each row.
    fn field(&self, name: &str) -> Vec<u64> {
        let rows = self.rows.iter();
        let value = |row: &String| serde_json::from_str::<serde_json::Value>(row).unwrap();
        rows.map(|row| value(row)[name].as_u64().unwrap()).collect()
    }
}

fn newest_first(of: SourceOf) -> SourceQuery {
    SourceQuery {
        order: Order::NewestFirst,
        ..SourceQuery::all(of)
    }
}

async fn code(world: &World, of: &SourceOf, cursor: &Cursor) -> &'static str {
    let refused = world.resume(of, cursor, Start::Earliest).await;
    refused.expect_err("refused").code()
}

#[tokio::test]
async fn each_source_gives_what_there_is_in_both_orders_and_of_one_kind() {
    let world = World::new("memory").await;
    for of in world.every_source() {
        let none = world.all(&SourceQuery::all(of)).await;
        assert_eq!(
            (none.rows, none.end),
            (vec![], (Offset::START, Digest::START))
        );
    }
    world.go_on(5).await;
    world
        .change(Changes {
            tombstones: vec![2],
            ..Changes::default()
        })
        .await;
    let [usage, commits, graph] = world.every_source();
    let numbers: [(&SourceOf, &str, Vec<u64>); 3] = [
        (&usage, "number", (1..=7).collect()),
        (&commits, "revision", (1..=6).collect()),
        (&graph, "number", [1].into_iter().chain(3..=10).collect()),
    ];
    for (of, field, mut expected) in numbers {
        let read = world.all(&SourceQuery::all(of.clone())).await;
        assert_eq!(read.field(field), expected);
        expected.reverse();
        assert_eq!(
            world.all(&newest_first(of.clone())).await.field(field),
            expected
        );
    }
    let read = world.all(&SourceQuery::all(graph.clone())).await;
    let first = r#"{"number":1,"parent":null,"revision":1,"kind":"message","json":{ "a": 1}}"#;
    let second = r#"{"number":4,"parent":3,"revision":2,"kind":"tool","bytes":"Yg=="}"#;
    assert_eq!((&*read.rows[0], &*read.rows[2]), (first, second));
    let of_kind = |of: &SourceOf, kind: &str| SourceQuery {
        kind: Some(kind.to_owned()),
        limit: Some(3),
        ..SourceQuery::all(of.clone())
    };
    assert_eq!(
        world.all(&of_kind(&usage, "use")).await.field("number"),
        [1, 3, 4]
    );
    assert_eq!(
        world.all(&of_kind(&usage, "refund")).await.field("call"),
        [1, 4]
    );
    assert_eq!(
        world.all(&of_kind(&graph, "tool")).await.field("number"),
        [4, 6, 8]
    );
    for refused in [
        of_kind(&usage, "message"),
        of_kind(&commits, "use"),
        of_kind(&graph, ""),
    ] {
        let refused = world.windlass.sources().scan(&world.ann, &refused).await;
        assert_eq!(refused.expect_err("no such kind").code(), "invalid_request");
    }
}

#[tokio::test]
async fn cut_behind_every_row_each_source_gives_the_rest_with_the_same_digests() {
    for scheme in SCHEMES {
        let world = World::new(scheme).await;
        world.go_on(4).await;
        for of in world.every_source() {
            let limited = SourceQuery {
                limit: Some(3),
                ..newest_first(of.clone())
            };
            for query in [
                SourceQuery::all(of.clone()),
                newest_first(of.clone()),
                limited,
            ] {
                let whole = world.all(&query).await;
                assert!(whole.rows.len() >= 3, "{whole:?}");
                for behind in 0..=whole.rows.len() {
                    let offset = Offset::new(u64::try_from(behind).unwrap());
                    let start = Start::At(offset, None);
                    let rest = world.resume(&of, &whole.cursor, start).await.unwrap();
                    let marks = whole.marks.len() - rest.marks.len();
                    assert_eq!(
                        (rest.start, &rest.rows[..], &rest.marks[..], rest.end),
                        (
                            offset,
                            &whole.rows[behind..],
                            &whole.marks[marks..],
                            whole.end
                        ),
                        "{scheme}: {query:?} behind row {behind}"
                    );
                }
            }
        }
        world.windlass.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_read_ends_where_the_data_stood_when_it_was_opened() {
    let world = World::new("memory").await;
    world.go_on(4).await;
    for of in world.every_source() {
        for query in [SourceQuery::all(of.clone()), newest_first(of.clone())] {
            let before = world.all(&query).await;
            let mut reader = world.scan(&query).await;
            let Some(Frame::Open(_)) = reader.next().await.unwrap() else {
                panic!("it begins")
            };
            let Some(Frame::Chunk(chunk)) = reader.next().await.unwrap() else {
                panic!("it has rows")
            };
            world.go_on(1).await;
            world
                .change(Changes {
                    replace_nodes: true,
                    ..Changes::default()
                })
                .await;
            let mut marks = vec![chunk.mark];
            while let Some(frame) = reader.next().await.unwrap() {
                if let Frame::Chunk(chunk) = frame {
                    marks.push(chunk.mark);
                }
            }
            assert_eq!(marks, before.marks, "{query:?}");
            let again = world.resume(&of, &before.cursor, Start::Earliest).await;
            assert_eq!(again.unwrap().rows, before.rows, "{query:?}");
            world.go_on(2).await;
        }
    }
}

#[tokio::test]
async fn what_is_foreign_is_answered_like_what_never_was() {
    let world = World::new("memory").await;
    world.go_on(2).await;
    let sources = world.windlass.sources();
    let strangers = [("acme", "bob"), ("globex", "ann")]
        .map(|(tenant, who)| Caller::own(tenant.parse().unwrap(), who.parse().unwrap()));
    for of in world.every_source() {
        let read = world.all(&SourceQuery::all(of.clone())).await;
        let unknown = match &of {
            SourceOf::Usage(_) => SourceOf::Usage,
            SourceOf::Commits(_) => SourceOf::Commits,
            _ => SourceOf::Graph,
        }("nobody".parse().unwrap());
        let absent = sources
            .scan(&world.ann, &SourceQuery::all(unknown.clone()))
            .await;
        let absent = absent.expect_err("there is none").to_string();
        let mut answers = Vec::new();
        for stranger in &strangers {
            let all = SourceQuery::all(of.clone());
            answers.push(sources.scan(stranger, &all).await.map(drop));
            let resumed = sources.resume(stranger, &of, &read.cursor, Start::Earliest);
            answers.push(resumed.await.map(drop));
            answers.push(sources.cancel(stranger, &of, &read.cursor).await);
        }
        let other = sources.resume(&world.ann, &unknown, &read.cursor, Start::Earliest);
        answers.push(other.await.map(drop));
        answers.push(sources.cancel(&world.ann, &unknown, &read.cursor).await);
        for answer in answers {
            let refused = answer.expect_err("not theirs");
            assert_eq!(
                (refused.code(), refused.to_string()),
                ("not_found", absent.clone())
            );
        }
        // All of it left the cursor as it was.
        let again = world.resume(&of, &read.cursor, Start::Earliest).await;
        assert_eq!(again.unwrap().rows, read.rows);
    }
    // A colleague who can reach the whole tenant can read it, and go on with
    // reads of its own alone.
    let [usage, ..] = world.every_source();
    let chief = Caller::new("acme".parse().unwrap(), "chief".parse().unwrap());
    let mut own = sources
        .scan(&chief, &SourceQuery::all(usage.clone()))
        .await
        .unwrap();
    let own = Read::of(&mut own).await.unwrap();
    assert_eq!(code(&world, &usage, &own.cursor).await, "not_found");
    let narrowed = Caller::own(chief.tenant.clone(), chief.principal.clone());
    let gone = sources.resume(&narrowed, &usage, &own.cursor, Start::Earliest);
    assert_eq!(gone.await.expect_err("out of reach").code(), "not_found");
}

#[tokio::test]
async fn a_cursor_of_one_source_opens_no_other_one() {
    let world = World::new("memory").await;
    world.go_on(2).await;
    let every = world.every_source();
    for of in &every {
        let read = world.all(&SourceQuery::all(of.clone())).await;
        for other in every.iter().filter(|other| *other != of) {
            assert_eq!(code(&world, other, &read.cursor).await, "not_found");
        }
    }
}

#[tokio::test]
async fn commits_that_are_no_longer_kept_are_a_gap_and_never_left_out() {
    let world = World::new("memory").await;
    world.go_on(6).await;
    let [_, commits, graph] = world.every_source();
    let oldest = world.all(&SourceQuery::all(commits.clone())).await;
    let newest = world.all(&newest_first(commits.clone())).await;
    let nodes = world.all(&SourceQuery::all(graph.clone())).await;
    world.go_on(1).await;
    world.env.advance_ms(1_001);
    let states = world.windlass.checkpoints();
    states.sweep(Sweep::All, 1_000).await.unwrap();
    // Four are kept of seven: the first of them was the fourth row.
    let begun_anew = world
        .resume(&commits, &oldest.cursor, Start::Earliest)
        .await;
    match begun_anew {
        Err(StreamError::Gap { earliest }) => assert_eq!(earliest, Offset::new(3)),
        other => panic!("{other:?}"),
    }
    assert_eq!(code(&world, &commits, &newest.cursor).await, "expired");
    // The graph is pinned to a revision that is kept.
    let again = world.resume(&graph, &nodes.cursor, Start::Earliest).await;
    assert_eq!(again.unwrap().rows, nodes.rows);
    let now = world.all(&SourceQuery::all(commits.clone())).await;
    assert_eq!(now.field("revision"), [4, 5, 6, 7]);
    world.go_on(5).await;
    world.env.advance_ms(1_001);
    states.sweep(Sweep::All, 1_000).await.unwrap();
    assert_eq!(code(&world, &graph, &nodes.cursor).await, "expired");
    assert_eq!(code(&world, &commits, &oldest.cursor).await, "expired");
}

#[tokio::test]
async fn a_session_and_a_state_of_the_same_name_are_other_data() {
    let world = World::new("memory").await;
    world.go_on(3).await;
    let [usage, commits, graph] = world.every_source();
    let mut cursors = Vec::new();
    for of in [&commits, &graph] {
        cursors.push(world.all(&SourceQuery::all(of.clone())).await.cursor);
    }
    let states = world.windlass.checkpoints();
    let tenant = &world.ann.tenant;
    states.remove(tenant, &world.session).await.unwrap();
    assert_eq!(code(&world, &commits, &cursors[0]).await, "not_found");
    assert_eq!(code(&world, &graph, &cursors[1]).await, "not_found");
    world.go_on(3).await;
    assert_eq!(code(&world, &commits, &cursors[0]).await, "expired");
    assert_eq!(code(&world, &graph, &cursors[1]).await, "expired");

    let mut of_usage = world.scan(&SourceQuery::all(usage.clone())).await;
    let Some(Frame::Open(opened)) = of_usage.next().await.unwrap() else {
        panic!("it begins")
    };
    let cursor: Cursor = opened.cursor.parse().unwrap();
    let sessions = world.windlass.sessions();
    let closed = sessions.close(&world.ann, &world.session, None);
    closed.await.unwrap();
    world.env.advance_ms(30_000);
    // As upkeep does once its retention is over, and somebody uses the name.
    world.remove_session().await;
    world.begin().await;
    world.go_on(3).await;
    let ended = of_usage.next().await.expect_err("it is another session");
    assert_eq!(ended.code(), "not_found");
    assert_eq!(code(&world, &usage, &cursor).await, "not_found");
    assert_eq!(world.windlass.streams().occupancy().all, 0);
}

impl World {
    /// Removes every row of the session, as upkeep does at the end.
    async fn remove_session(&self) {
        use windlass::store::{Batch, Commit, KeyRange, StoreExt};
        let store = self.windlass.store();
        let rows = store.scan_all(KeyRange::all()).await.unwrap();
        let mut batch = Batch::new();
        for row in rows {
            let key = String::from_utf8(row.key.to_vec()).unwrap();
            let is_its = key.starts_with("acme/session/s1/") || key.ends_with("/s1");
            if is_its && key.starts_with("acme/") {
                batch = batch.delete(row.key);
            }
        }
        let gone = store.commit(batch).await.unwrap();
        assert!(matches!(gone, Commit::Applied(_)), "{gone:?}");
        self.windlass
            .sessions()
            .forget(&self.ann.tenant, &self.session);
    }
}

#[tokio::test]
async fn a_slot_comes_first_and_is_given_back_and_a_cancelled_read_stops() {
    let world = World::new("memory").await;
    world.go_on(3).await;
    let [usage, ..] = world.every_source();
    let all = SourceQuery::all(usage.clone());
    let (mut first, second) = (world.scan(&all).await, world.scan(&all).await);
    let nobody = SourceOf::Usage("nobody".parse().unwrap());
    let sources = world.windlass.sources();
    let full = sources.scan(&world.ann, &SourceQuery::all(nobody)).await;
    let full = full.expect_err("there is no slot").code();
    assert_eq!(full, "server_stream_capacity_exhausted");
    let Some(Frame::Open(opened)) = first.next().await.unwrap() else {
        panic!("it begins")
    };
    let cursor: Cursor = opened.cursor.parse().unwrap();
    for _ in 0..2 {
        let cancelled = sources.cancel(&world.ann, &usage, &cursor).await;
        cancelled.unwrap();
    }
    let stopped = first.next().await.expect_err("it was cancelled");
    assert_eq!(stopped.code(), "cancelled");
    drop(second);
    assert_eq!(world.windlass.streams().occupancy().all, 0);
    assert_eq!(code(&world, &usage, &cursor).await, "cancelled");
}

#[tokio::test]
async fn content_that_is_too_long_for_a_row_is_left_out_and_said_to_be() {
    let world = World::new("memory").await;
    let long = |length: usize| Payload::Bytes(vec![b'x'; length].into());
    let sizes = [
        NODE_CONTENT_BYTES_MAX,
        NODE_CONTENT_BYTES_MAX + 1,
        3 << 20,
        5,
    ];
    world.commit(&sizes.map(long)).await;
    let [_, _, graph] = world.every_source();
    for query in [SourceQuery::all(graph.clone()), newest_first(graph.clone())] {
        let mut rows = world.all(&query).await.rows;
        if query.order == Order::NewestFirst {
            rows.reverse();
        }
        let omitted = |row: &String| {
            let row: serde_json::Value = serde_json::from_str(row).unwrap();
            row["omitted_bytes"].as_u64()
        };
        let omitted: Vec<_> = rows.iter().map(omitted).collect();
        assert_eq!(omitted, [None, Some(524_289), Some(3 << 20), None]);
    }
}

#[tokio::test]
async fn a_page_costs_what_is_on_it_wherever_it_is() {
    let ground: Arc<dyn Store> = Arc::clone(World::new("memory").await.windlass.store());
    let counting = Arc::new(Counting::new(ground));
    let env = Arc::new(ManualEnv::new(1, START));
    let windlass = Windlass::over(counting.clone(), &Options::default(), env.clone()).unwrap();
    let world = World {
        windlass,
        env,
        ann: Caller::own("acme".parse().unwrap(), "ann".parse().unwrap()),
        session: "s1".parse().unwrap(),
        _place: Place::new("memory"),
    };
    world.go_on(20).await;
    let mut costs = Vec::new();
    for more in [0, 150] {
        world.go_on(more).await;
        for of in world.every_source() {
            for query in [SourceQuery::all(of.clone()), newest_first(of.clone())] {
                let limited = SourceQuery {
                    limit: Some(20),
                    ..query
                };
                let before = counting.counts();
                assert_eq!(world.all(&limited).await.rows.len(), 20);
                let cost = counting.counts() - before;
                costs.push((of.name(), cost.reads, cost.commits));
            }
        }
    }
    let (short, long) = costs.split_at(costs.len() / 2);
    for (short, long) in short.iter().zip(long) {
        assert!(long.1 <= short.1 + 3 && long.1 <= 16, "{short:?} {long:?}");
        assert_eq!((short.2, long.2), (1, 1), "{}", short.0);
    }
    let by = windlass::checkpoint::Caller::new(world.ann.tenant.clone(), "ann".parse().unwrap());
    let states = world.windlass.checkpoints();
    let page = states.graph(&by, &world.session, &At::Head, 0, 1).await;
    assert_eq!(page.unwrap().unwrap().nodes.len(), 1);
}
