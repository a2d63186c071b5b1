//! An erasure that is interrupted anywhere goes on where it was.

use std::sync::Arc;

use windlass_access::Certificate;
use windlass_core::Coded;
use windlass_store::StoreErrorKind;
use windlass_store_testing::{Fault, Faulty, Moment};

use crate::erasing::{fill, rows_beside, rows_of};
use crate::support::{World, tenant};

const NAME: &str = "a.b";

/// Erases over a store of which call `number` is the last that this process
/// lives to see, then once more; `None` if there are not so many calls.
async fn die_at(number: u64, moment: Moment) -> Option<Certificate> {
    let world = World::new();
    fill(&world, 11).await;
    let others = rows_beside(&world, NAME).await;
    let faulty = Arc::new(Faulty::new(Arc::clone(&world.ground)));
    faulty.plan(Fault {
        verb: None,
        number,
        moment,
        kind: StoreErrorKind::Closed,
    });
    let dying = world.tenants_over(Arc::clone(&faulty) as _);
    let died = dying.erase(&tenant(NAME), &mut |_| {}).await;
    if faulty.hits() == 0 {
        died.expect("an erasure that nobody interrupted");
        return None;
    }
    assert_eq!(
        died.expect_err("it died").code(),
        "store_closed",
        "{number} {moment:?}"
    );
    let certificate = world.erase(NAME).await.expect("a tenant");
    assert_eq!(rows_of(&world, NAME).await, [], "{number} {moment:?}");
    assert_eq!(
        rows_beside(&world, NAME).await,
        others,
        "{number} {moment:?}"
    );
    Some(certificate)
}

#[tokio::test]
async fn an_erasure_that_dies_at_any_call_is_finished_by_the_next() {
    let world = World::new();
    fill(&world, 11).await;
    let mine = rows_of(&world, NAME).await;
    let whole = world.erase(NAME).await.expect("a tenant");
    for moment in [Moment::Before, Moment::After] {
        let mut deaths = 0;
        while let Some(certificate) = die_at(deaths + 1, moment).await {
            deaths += 1;
            assert_eq!(certificate.rows, u64::try_from(mine.len()).expect("small"));
            assert_eq!(
                (certificate.bytes, certificate.keys_revoked),
                (whole.bytes, whole.keys_revoked),
                "{deaths} {moment:?}"
            );
        }
        assert!(deaths > 15, "{deaths}");
    }
}

#[tokio::test]
async fn an_outcome_that_is_unknown_counts_no_row_twice() {
    for moment in [Moment::Before, Moment::After] {
        let world = World::new();
        fill(&world, 11).await;
        let mine = rows_of(&world, NAME).await;
        let faulty = Arc::new(Faulty::new(Arc::clone(&world.ground)));
        for number in 1..=30 {
            faulty.plan(Fault {
                verb: Some(windlass_store_testing::Verb::Commit),
                number: 2 * number,
                moment,
                kind: StoreErrorKind::Indeterminate,
            });
        }
        let tenants = world.tenants_over(Arc::clone(&faulty) as _);
        let erased = tenants.erase(&tenant(NAME), &mut |_| {}).await;
        let certificate = erased.expect("a tenant");
        assert!(faulty.hits() > 2, "{}", faulty.hits());
        assert_eq!(
            certificate.rows,
            u64::try_from(mine.len()).expect("small"),
            "{moment:?}"
        );
        assert_eq!(rows_of(&world, NAME).await, [], "{moment:?}");
    }
}
