//! Processes that end half way.

use std::sync::Arc;

use windlass_checkpoint::{NewAttachment, Sweep};
use windlass_store::{Store, StoreErrorKind};
use windlass_store_testing::{Fault, Faulty, Moment};

use super::noise;
use crate::support::{HOUR, World, caller, id, over};

/// Runs `act` with a fault at each call in turn, before and after it does its
/// work, until there is none left to hit.
async fn at_every_call(act: impl AsyncFn(&World, &windlass_checkpoint::Checkpoints)) {
    for moment in [Moment::Before, Moment::After] {
        for number in 1.. {
            let world = World::new();
            let faulty = Arc::new(Faulty::new(Arc::clone(&world.ground)));
            faulty.plan(Fault {
                verb: None,
                number,
                moment,
                kind: StoreErrorKind::Indeterminate,
            });
            let store: Arc<dyn Store> = Arc::clone(&faulty) as _;
            let states = over(store, &world.env, &world.config);
            act(&world, &states).await;
            if faulty.hits() == 0 {
                assert!(number > 4, "{number}");
                break;
            }
        }
    }
}

#[tokio::test]
async fn what_is_sent_again_after_a_failure_is_stored_once() {
    let all = noise(1, 5_000);
    at_every_call(async |world, states| {
        let begun = world.begin("a").await;
        let (who, session) = (caller(), id("a"));
        let mut size = 0;
        while size < 5_000 {
            let start = usize::try_from(size).expect("small");
            let piece = all.slice(start..(start + 1_000).min(5_000));
            let _ = states
                .append_attachment(&who, &session, &begun.id, size, &piece)
                .await;
            let found = world.states.attachment(&who, &session, &begun.id).await;
            size = found.expect("readable").expect("an attachment").size;
        }
        while states
            .finish_attachment(&who, &session, &begun.id, None)
            .await
            .is_err()
        {}
        let found = world
            .bytes_of("a", &begun.id, 0..u64::MAX)
            .await
            .expect("readable");
        assert!(found.as_deref() == Some(&all[..]));
    })
    .await;
}

#[tokio::test]
async fn an_attachment_that_half_began_or_half_went_leaves_nothing() {
    at_every_call(async |world, states| {
        let (who, session) = (caller(), id("a"));
        let begun = states
            .begin_attachment(&who, &session, NewAttachment::default())
            .await;
        if let Ok(begun) = begun {
            let _ = states
                .append_attachment(&who, &session, &begun.id, 0, &noise(2, 300))
                .await;
            let _ = states.drop_attachment(&who, &session, &begun.id).await;
        }
        world.env.advance_ms(HOUR);
        let _ = states.sweep_attachments(Sweep::Due, 100).await;
        for _ in 0..2 {
            let report = world.states.sweep_attachments(Sweep::Due, 100).await;
            report.expect("a sweep");
        }
        assert_eq!(world.attachment_keys().await, Vec::<String>::new());
    })
    .await;
}
