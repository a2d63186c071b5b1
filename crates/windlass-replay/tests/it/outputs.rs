//! The outputs of runs: what becomes a stream, and what is noticed.

use std::path::Path;

use windlass::Windlass;
use windlass::core::{Coded, StreamId};
use windlass::stream::{Caller, Frame, Open};
use windlass_replay::{
    Crew, Format, Outputs, Percent, ReadOptions, Recording, Replay, ReplayOptions, Restrictions,
    limits,
};

use crate::common::{caller, examples, memory, play, published_in, read, recordings};

/// The rows of a closed stream as text, chunk by chunk.
async fn chunks(windlass: &Windlass, stream: &str) -> Vec<Vec<String>> {
    let stream: StreamId = stream.parse().unwrap();
    let caller = caller();
    let caller = Caller::new(caller.tenant, caller.principal);
    let open = Open::all(stream);
    let mut reader = windlass.streams().open(&caller, &open).await.unwrap();
    let mut chunks = Vec::new();
    while let Some(frame) = reader.next().await.unwrap() {
        match frame {
            Frame::Chunk(chunk) => {
                let rows = chunk.rows();
                let text = rows.map(|row| String::from_utf8(row.content().to_vec()).unwrap());
                chunks.push(text.collect());
            }
            Frame::End(end) => assert!(end.closed, "{end:?}"),
            Frame::Open(_) => {}
            other @ (Frame::Piece(_) | Frame::Failed(_)) => panic!("{other:?}"),
        }
    }
    chunks
}

#[tokio::test]
async fn a_recorded_answer_becomes_a_stream_row_for_row() {
    let (windlass, recording) = (memory().await, read(&recordings()));
    let report = play(&windlass, &recording, &ReplayOptions::default()).await;
    let run = &report.by_run[0];
    assert_eq!((report.runs, report.rows, report.steps), (1, 8, 0));
    let rows = chunks(&windlass, run.session.as_str()).await.concat();
    assert_eq!(rows, recording.runs[0].rows);
    assert_eq!(rows[2], r#"{"type":"delta","text":" ferry"}"#);
}

#[tokio::test]
async fn a_run_of_calls_has_a_row_for_every_step_that_was_authorised() {
    let (windlass, recording) = (memory().await, read(&examples().join("airline.json")));
    let options = ReplayOptions {
        restrictions: Restrictions {
            withhold: None,
            calls_percent: Percent::new(50),
        },
        outputs: Outputs::Steps,
        ..ReplayOptions::default()
    };
    let without = play(&memory().await, &recording, &ReplayOptions::default()).await;
    assert_eq!(without.rows, 0, "unless they are asked for");
    let report = play(&windlass, &recording, &options).await;
    assert_eq!(report.rows, report.uses_allowed);
    assert!(report.rows < report.steps, "{report:?}");
    let rows = chunks(&windlass, report.by_run[0].session.as_str()).await;
    let first = &rows.concat()[0];
    let step = &recording.runs[0].steps[0];
    let expected = format!(
        r#"{{"step":1,"tool":"{}","call":"{}","bytes":{}}}"#,
        step.tool.as_str(),
        recording.runs[0].call_id(1),
        step.output.as_ref().unwrap().len()
    );
    assert_eq!(*first, expected);
}

#[tokio::test]
async fn chunks_end_at_numbers_that_follow_from_the_recording() {
    let (windlass, mut recording) = (memory().await, read(&recordings()));
    let rows = recording.runs[0].rows.clone();
    recording.runs[0].rows = rows.into_iter().cycle().take(600).collect();
    let report = play(&windlass, &recording, &ReplayOptions::default()).await;
    let chunks = chunks(&windlass, report.by_run[0].session.as_str()).await;
    let sizes: Vec<_> = chunks.iter().map(Vec::len).collect();
    assert_eq!(sizes, [limits::CHUNK_ROWS, limits::CHUNK_ROWS, 88]);
}

#[tokio::test]
async fn an_output_that_is_another_one_is_noticed() {
    let (windlass, caller) = (memory().await, caller());
    let mut recording = read(&recordings());
    // Of what workers leave the entries are not compared, but the outputs are.
    let options = ReplayOptions {
        crew: Some(Crew {
            workers: 1,
            claim_ms: 1_000,
            arrivals: None,
        }),
        ..ReplayOptions::default()
    };
    play(&windlass, &recording, &options).await;
    let verified = async |recording: &Recording| {
        let replay = Replay {
            windlass: &windlass,
            caller: &caller,
            recording,
            options: &options,
        };
        replay.verify().await.map(|verified| verified.rows)
    };
    assert_eq!(verified(&recording).await.unwrap(), 8);
    let told = format!("`acme/stream/{}/chunk/", recording.runs[0].id());
    let last = recording.runs[0].rows.pop().unwrap();
    for row in [None, Some(r#"{"type":"stop"}"#.to_owned())] {
        let mut other = recording.clone();
        other.runs[0].rows.extend(row);
        let error = verified(&other).await.unwrap_err();
        assert_eq!(error.code(), "replay_differs");
        assert!(error.to_string().contains(&told), "{error}");
    }
    recording.runs[0].rows.extend([last.clone(), last]);
    verified(&recording).await.unwrap_err();
}

/// Plays published outputs, and verifies them.
async fn rows_of(path: &Path, format: Option<Format>) -> Vec<u64> {
    let options = ReadOptions {
        format,
        ..ReadOptions::default()
    };
    let recording = Recording::read(path, &options).unwrap();
    let (windlass, caller) = (memory().await, caller());
    let replay = Replay {
        windlass: &windlass,
        caller: &caller,
        recording: &recording,
        options: &ReplayOptions::default(),
    };
    let report = replay.run(&()).await.unwrap();
    let verified = replay.verify().await.unwrap();
    assert_eq!(verified.rows, report.rows);
    report.by_run.iter().map(|run| run.rows).collect()
}

/// The numbers are those that Python's yaml and json modules find.
#[tokio::test]
async fn every_row_of_the_published_streams_is_there_and_proven() {
    if let Some(path) = published_in("streams", "pydantic-ai-sse") {
        assert_eq!(rows_of(&path, None).await, [119, 168, 240]);
    }
    if let Some(path) = published_in("ndjson", "") {
        let rows = rows_of(&path, Some(Format::Rows)).await;
        let expected = [
            1_000, 500, 1_457, 233, 1_004, 98, 1_352, 732, 144, 1_510, 1, 793, 1, 30, 1,
        ];
        assert_eq!(rows, expected);
    }
}
