//! How long events are kept, and what is left of a tenant that is erased.

use windlass::audit::{BreakKind, Chain, ChainBreak, Verify};
use windlass::store::{Batch, KeyRange, Scan};

use super::{Stage, acme, keeping};

async fn sweep(stage: &Stage) -> u64 {
    let mut trimmed = 0;
    loop {
        let report = stage.engine.audit().sweep(10).await.unwrap();
        assert_eq!(report.unreadable, Vec::new());
        trimmed += report.trimmed;
        if !report.truncated {
            return trimmed;
        }
    }
}

async fn due(stage: &Stage) -> usize {
    let scan = Scan::new(KeyRange::prefix("due/")).keys();
    let pages = stage.store.read(&[scan]).await.unwrap();
    let rows = pages[0].entries.iter();
    rows.filter(|row| row.key.windows(7).any(|part| part == b"/audit/"))
        .count()
}

#[tokio::test]
async fn events_go_at_their_age_and_what_is_kept_verifies_from_its_anchor() {
    let stage = Stage::with(keeping(Some(1_000), None));
    stage.create(3).await;
    stage.env.advance_ms(600);
    stage.create(2).await;
    assert_eq!(sweep(&stage).await, 0, "none is old enough");
    stage.env.advance_ms(400);
    assert_eq!(sweep(&stage).await, 3, "exactly at its age an event goes");
    let verified = stage.verify(Verify::default()).await;
    assert_eq!(
        (verified.broken, verified.from, verified.through),
        (None, 4, 5)
    );
    assert_eq!(verified.trimmed, 3);
    stage.env.advance_ms(600);
    assert_eq!(sweep(&stage).await, 2);
    assert_eq!(due(&stage).await, 0, "an empty chain has nothing due");
    stage.create(1).await;
    let verified = stage.verify(Verify::default()).await;
    assert_eq!(
        (verified.broken, verified.from, verified.through),
        (None, 6, 6)
    );
    assert_eq!(due(&stage).await, 1);
}

#[tokio::test]
async fn only_the_newest_events_are_kept_where_their_number_is_bounded() {
    let stage = Stage::with(keeping(None, Some(10)));
    stage.create(25).await;
    assert_eq!(sweep(&stage).await, 15);
    let verified = stage.verify(Verify::default()).await;
    assert_eq!(
        (verified.broken, verified.from, verified.events),
        (None, 16, 10)
    );
    assert_eq!(sweep(&stage).await, 0);
    assert_eq!(due(&stage).await, 0);
}

#[tokio::test]
async fn a_hash_that_was_noted_before_events_were_trimmed_holds_up_to_the_anchor() {
    let stage = Stage::with(keeping(None, Some(2)));
    stage.create(1).await;
    let first = stage.engine.audit().head(&acme()).await.unwrap();
    stage.create(1).await;
    let second = stage.engine.audit().head(&acme()).await.unwrap();
    stage.create(2).await;
    assert_eq!(sweep(&stage).await, 2);
    let noted = |seq, hash| Verify {
        from: None,
        noted: Some((seq, hash)),
    };
    assert_eq!(stage.verify(noted(2, second.hash)).await.broken, None);
    let rewritten = stage.verify(noted(2, first.hash)).await;
    let kind = BreakKind::Rewritten;
    assert_eq!(rewritten.broken, Some(ChainBreak { seq: 2, kind }));
    let trimmed = stage.verify(noted(1, first.hash)).await;
    let kind = BreakKind::Missing;
    assert_eq!(trimmed.broken, Some(ChainBreak { seq: 1, kind }));
}

#[tokio::test]
async fn damaged_events_are_evidence_and_are_not_trimmed() {
    let stage = Stage::with(keeping(Some(1_000), None));
    stage.create(3).await;
    let row = format!("acme/audit/event/{:020}", 2);
    stage.write(Batch::new().put(row, "not an event")).await;
    stage.env.advance_ms(1_000);
    let report = stage.engine.audit().sweep(10).await.unwrap();
    assert_eq!((report.trimmed, report.unreadable.len()), (0, 1));
    assert_eq!(report.unreadable[0].0, "acme");
}

#[tokio::test]
async fn an_erased_tenants_events_go_with_it_and_the_system_says_where_they_stood() {
    let stage = Stage::new();
    stage.create(3).await;
    let head = stage.engine.audit().head(&acme()).await.unwrap();
    let tenant = "acme".parse().unwrap();
    let erased = stage.engine.erase_tenant(&tenant, &mut |_| {}).await;
    erased.unwrap();
    stage.engine.audit().flush().await;
    assert_eq!(stage.engine.audit().head(&acme()).await.unwrap().last, 0);
    let told = stage.events(&Chain::System).await;
    let event = &told.last().unwrap().event;
    assert_eq!(event.action, "tenant.erased");
    assert_eq!(event.on[1], ("chain_hash".into(), head.hash.to_string()));
    assert_eq!(event.figures[0], ("chain_last".into(), 3));
    // What is told of it late does not bring it back.
    let late = windlass::audit::AuditEvent::new(super::Millis::new(1), acme(), "test.late");
    stage.engine.audit().tell(late);
    stage.engine.audit().flush().await;
    assert_eq!(stage.engine.audit().head(&acme()).await.unwrap().last, 0);
    assert_eq!(stage.engine.audit().figures().lost_failed, 1);
    let left = stage.engine.tenants().verify_erased(&tenant).await.unwrap();
    assert_eq!(left.remaining(), 0);
}
