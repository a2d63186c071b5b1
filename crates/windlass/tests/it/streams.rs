//! Streams as a part of the engine: their settings, who hears of them, and
//! their upkeep.

use std::sync::{Arc, Mutex};

use windlass::core::{Coded, ErrorKind, ManualEnv, Millis};
use windlass::session::{Config, Create};
use windlass::stream::{
    Audit, Caller, Ending, Event, Frame, NewStream, Offset, Open, Row, Settings, Step, StreamError,
};
use windlass::{Options, StreamAudit, Windlass};

use crate::SCHEMES;
use crate::place::Place;

const START: Millis = Millis::new(1_700_000_000_000);

/// Keeps the names of what it hears.
#[derive(Default)]
struct Names(Mutex<Vec<&'static str>>);

impl Audit for Names {
    fn record(&self, event: &Event) {
        self.0.lock().unwrap().push(event.name());
    }
}

fn caller() -> Caller {
    Caller::new("acme".parse().unwrap(), "tests".parse().unwrap())
}

#[tokio::test]
async fn a_stream_goes_with_its_session_and_whoever_listens_heard_of_each_read() {
    for &scheme in SCHEMES {
        let place = Place::new(scheme);
        let env = Arc::new(ManualEnv::new(1, START));
        let heard = Arc::new(Names::default());
        let options = Options {
            sessions: Config {
                retention_ms: 0,
                ..Config::default()
            },
            stream_audit: Some(StreamAudit::new(heard.clone())),
            ..Options::default()
        };
        let location = place.location();
        let windlass = Windlass::with_env(&location, options, env.clone());
        let windlass = windlass.await.unwrap();
        let caller = caller();
        let owner = windlass::session::Caller::new(caller.tenant.clone(), caller.principal.clone());
        let mut request = Create::new("scout".parse().unwrap(), "look around");
        request.time_limit_ms = 1_000;
        let session = windlass.sessions().create(&owner, request).await.unwrap();

        let streams = windlass.streams();
        let new = NewStream::of(session.id.clone());
        let mut writer = streams.create(&caller, &new).await.unwrap();
        writer.append(&Row::json("1").unwrap()).await.unwrap();
        writer.flush().await.unwrap();
        let stream = writer.stream().clone();
        let mut reader = streams
            .open(&caller, &Open::all(stream.clone()))
            .await
            .unwrap();
        let mut rows = 0;
        while let Some(frame) = reader.next().await.unwrap() {
            if let Frame::Chunk(chunk) = frame {
                rows += chunk.row_count();
            }
        }
        assert_eq!(rows, 1, "{scheme}");
        let names = heard.0.lock().unwrap().clone();
        assert_eq!(names, ["stream.opened", "stream.closed"], "{scheme}");

        env.advance_ms(1_000);
        while windlass.due(1).await.unwrap().entries > 0 {
            windlass.maintain(1_000).await.unwrap();
        }
        let gone = streams
            .show(&caller, &stream)
            .await
            .expect_err("its session went");
        assert!(matches!(gone, StreamError::NotFound), "{scheme}: {gone:?}");
        windlass.close().await.unwrap();
    }
}

#[tokio::test]
async fn settings_of_streams_are_brought_into_range_and_a_lease_of_no_time_is_refused() {
    let mut options = Options {
        streams: Settings {
            streams_max: 0,
            ..Settings::default()
        },
        ..Options::default()
    };
    let location = "memory:".parse().unwrap();
    let windlass = Windlass::open(&location, options.clone()).await.unwrap();
    assert_eq!(windlass.streams().settings().streams_max, 1);

    options.streams.lease_ttl_ms = 0;
    let refused = Windlass::open(&location, options)
        .await
        .expect_err("no time");
    assert_eq!(
        (refused.kind(), refused.code()),
        (ErrorKind::Invalid, "invalid_request")
    );
}

fn step(stream: &str, row: &str, close: Option<Ending>) -> Step {
    Step {
        stream: stream.parse().unwrap(),
        rows: vec![Row::json(row.to_owned()).unwrap()],
        close,
    }
}

#[tokio::test]
async fn the_last_rows_of_an_output_and_its_end_are_a_part_of_the_turn() {
    for &scheme in SCHEMES {
        let place = Place::new(scheme);
        let location = place.location();
        let windlass = Windlass::open(&location, Options::default()).await.unwrap();
        let (caller, streams) = (caller(), windlass.streams());
        let owner = windlass::session::Caller::new(caller.tenant.clone(), caller.principal.clone());
        let request = Create::new("scout".parse().unwrap(), "look around");
        let session = windlass.sessions().create(&owner, request).await.unwrap();
        for name in ["answer", "log"] {
            let new = NewStream {
                id: Some(name.parse().unwrap()),
                ..NewStream::of(session.id.clone())
            };
            streams.make(&caller, &new, None).await.unwrap();
        }
        let turn = |id: &str| {
            let turn = windlass.turn(&owner, &session.id).id(id.parse().unwrap());
            turn.output(step("answer", "\"done\"", Some(Ending::Finished)))
                .output(step("log", "1", None))
        };
        let all = Open::all("answer".parse().unwrap());
        let refused = turn("one").open(&all).expect_err("it is not committed");
        assert_eq!(refused.code(), "stream_in_transaction_unsupported");

        let done = turn("one").commit().await.unwrap();
        let tails: Vec<_> = done.streams.iter().map(|placed| placed.tail).collect();
        assert_eq!(tails, [Offset::new(1); 2], "{scheme}");
        let again = turn("one").commit().await.unwrap();
        assert!(again.repeated, "{scheme}: {again:?}");
        assert_eq!(again.streams, done.streams, "{scheme}");
        let view = streams.show(&caller, &all.stream).await.unwrap();
        assert_eq!(view.closed.map(|closed| closed.how), Some(Ending::Finished));

        // What the stream refuses happens to nothing of the turn.
        let refused = turn("two").commit().await.expect_err("it is closed");
        assert_eq!(refused.code(), "stream_closed", "{scheme}");
        let log = streams
            .show(&caller, &"log".parse().unwrap())
            .await
            .unwrap();
        let (tenant, principal) = (caller.tenant.clone(), caller.principal.clone());
        let reader = windlass::checkpoint::Caller::new(tenant, principal);
        let head = windlass.checkpoints().head(&reader, &session.id);
        let revision = head.await.unwrap().map(|head| head.revision);
        assert_eq!((log.tail, revision), (Offset::new(1), Some(1)), "{scheme}");
        windlass.close().await.unwrap();
    }
}
