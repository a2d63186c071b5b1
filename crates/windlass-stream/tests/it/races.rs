//! What happens at the same time: over a store whose calls take a while.

use std::sync::Arc;

use windlass_core::Coded;
use windlass_store::StoreErrorKind;
use windlass_store_testing::{Fault, Faulty, Moment, Pausing, Slow, Verb};
use windlass_stream::{Ending, Offset, Settings, Start};

use crate::support::{Client, World, caller, new, number, session, stream, text};

fn slow(seed: u64) -> World {
    World::over(&Settings::default(), |ground| {
        Arc::new(Slow::new(ground, seed))
    })
}

#[tokio::test]
async fn nothing_is_trimmed_under_a_reader_that_comes_at_the_same_time() {
    let mut refused = 0;
    for seed in 0..200 {
        let world = slow(seed);
        world.filled(4, 1).await;
        let reading = async {
            let mut reader = world.open(Start::At(Offset::START, None)).await?;
            let mut body = Vec::new();
            while let Some(frame) = reader.next().await? {
                body.extend_from_slice(&frame.ndjson());
                tokio::task::yield_now().await;
            }
            Ok::<_, windlass_stream::StreamError>(body)
        };
        let name = stream("out");
        let who = caller();
        let trimming = world.streams.trim(&who, &name, Offset::new(3));
        let (body, trimmed) = tokio::join!(reading, trimming);
        trimmed.expect("within the stream");
        match body {
            Ok(body) => {
                let mut client = Client::new();
                client.take(&body);
                assert_eq!(
                    (client.proven.len(), client.ended),
                    (4, true),
                    "seed {seed}"
                );
            }
            Err(error) => {
                assert_eq!(error.code(), "gap", "seed {seed}");
                refused += 1;
            }
        }
    }
    assert!(
        (1..200).contains(&refused),
        "both come first sometimes: {refused}"
    );
}

#[tokio::test]
async fn a_stream_made_under_the_name_of_one_being_removed_is_left_alone() {
    let mut made = 0;
    for seed in 0..200 {
        let world = slow(seed);
        world.filled(3, 1).await;
        let (who, name) = (caller(), stream("out"));
        let (tenant, s1) = (who.tenant.clone(), session("s1"));
        let again = async {
            world.streams.remove(&who, &name).await.ok()?;
            let mut writer = world.streams.create(&who, &new("out")).await.ok()?;
            writer.append(&number(7)).await.ok()?;
            writer.close(Ending::Finished).await.ok()
        };
        let before = world.rows().await.len();
        assert_eq!(before, 6, "three chunks, head, floor and listing");
        let (removed, placed) = tokio::join!(world.streams.remove(&who, &name), again);
        match removed {
            Ok(_) => {}
            Err(error) => assert_eq!(error.code(), "not_found", "seed {seed}"),
        }
        let calm = world.calm();
        if placed.is_none() {
            calm.streams
                .remove_session(&tenant, &s1)
                .await
                .expect("works");
            assert_eq!(calm.rows().await, [], "seed {seed}");
            continue;
        }
        // Or the other one removed the new stream as well, whole.
        if calm.streams.show(&who, &name).await.is_ok() {
            made += 1;
            let mut client = Client::new();
            client.take(&calm.body(Start::Earliest).await);
            assert_eq!(client.proven.iter().map(text).collect::<Vec<_>>(), ["7"]);
        }
    }
    assert!(made > 0, "it was never made");
}

#[tokio::test]
async fn any_one_call_may_fail_and_the_reader_gives_the_same_when_asked_again() {
    for number_of in 1..30 {
        let faulty = std::cell::OnceCell::new();
        let settings = Settings {
            chunk_rows: 1,
            chunk_pages: 1,
            ..Settings::default()
        };
        let world = World::over(&settings, |ground| {
            let wrapped = Arc::new(Faulty::new(ground));
            faulty.set(Arc::clone(&wrapped)).expect("once");
            wrapped
        });
        let faulty = faulty.get().expect("set");
        world.filled(6, 1).await;
        let mut reader = world.open(Start::Earliest).await.expect("there");
        faulty.plan(Fault {
            verb: None,
            number: faulty.calls(None) + number_of,
            moment: Moment::Before,
            kind: StoreErrorKind::Unavailable,
        });
        let mut client = Client::new();
        let mut body = Vec::new();
        loop {
            // So slow that the cursor is renewed on the way.
            world.env.advance_ms(20_000);
            match reader.next().await {
                Ok(Some(frame)) => body.extend_from_slice(&frame.ndjson()),
                Ok(None) => break,
                Err(error) => assert_eq!(error.code(), "store_unavailable"),
            }
        }
        client.take(&body);
        assert_eq!(
            (client.proven.len(), client.ended),
            (6, true),
            "call {number_of}"
        );
        if faulty.hits() == 0 {
            assert!(number_of > 3, "reads and renewals: {number_of}");
            return;
        }
    }
    panic!("a reader makes fewer calls than that");
}

#[tokio::test]
async fn who_is_late_in_removing_leaves_the_new_stream_of_that_name_alone() {
    let pausing = std::cell::OnceCell::new();
    let world = World::over(&Settings::default(), |ground| {
        let wrapped = Arc::new(Pausing::new(ground));
        pausing.set(Arc::clone(&wrapped)).expect("once");
        wrapped
    });
    world.filled(3, 1).await;
    let pausing = pausing.get().expect("set");
    let (who, name) = (caller(), stream("out"));
    let first = pausing.pause(Verb::Commit, Moment::Before);
    let between = async {
        let held = first.reached().await;
        // Of the commit that deletes the chunks.
        let second = pausing.pause(Verb::Commit, Moment::Before);
        held.release();
        let held = second.reached().await;
        let calm = world.calm();
        calm.streams.remove(&who, &name).await.expect("there");
        let mut again = calm.filled(3, 1).await;
        again.close(Ending::Finished).await.expect("open");
        held.release();
    };
    let (removed, ()) = tokio::join!(world.streams.remove(&who, &name), between);
    removed.expect("it was there");
    let mut client = Client::new();
    client.take(&world.calm().body(Start::Earliest).await);
    assert_eq!((client.proven.len(), client.ended), (3, true));
}
