//! What a check leaves alone, and what it says where it cannot go on.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use windlass::check::{Check, CheckReport, Mode, Repair};
use windlass::core::{ErrorKind, SessionId};
use windlass::session::{Allow, Create};
use windlass::store::{
    Batch, Changes, Commit, Export, KeyRange, Page, Scan, Store, StoreError, StoreErrorKind,
};
use windlass::{Options, Windlass};

use super::world::{World, caller};

/// Code, key and what became of each finding.
fn found(report: &CheckReport) -> Vec<(&'static str, &str, Repair)> {
    let findings = report.findings.iter();
    findings
        .map(|finding| (finding.code, finding.key.as_str(), finding.repair))
        .collect()
}

/// Deletes all rows that have these texts in their keys; at least one.
async fn lose(world: &World, texts: &[&str]) -> Vec<Bytes> {
    let rows = world.entries(texts).await;
    assert!(!rows.is_empty(), "there is no row with {texts:?}");
    for row in &rows {
        world.delete(&row.key).await;
    }
    rows.into_iter().map(|row| row.key).collect()
}

#[tokio::test]
async fn chunks_that_a_trimming_has_yet_to_delete_are_no_finding() {
    let world = World::filled().await;
    let chunks = world.entries(&["acme/stream/", "/chunk/"]).await;
    let who = caller();
    let who = windlass::stream::Caller::new(who.tenant, who.principal);
    let session = "s1".parse().unwrap();
    let streams = world.windlass.streams();
    let page = streams.list(&who, &session, None, 10).await.unwrap();
    let tail = streams.show(&who, &page.streams[0]).await.unwrap().tail;
    let trimmed = streams.trim(&who, &page.streams[0], tail).await.unwrap();
    assert!(trimmed.chunks_removed > 0, "{trimmed:?}");
    // As it is between raising the floor and deleting.
    let stream = page.streams[0].to_string();
    for chunk in chunks {
        let key = String::from_utf8_lossy(&chunk.key).into_owned();
        if key.contains(&stream) {
            world.put(chunk.key, chunk.value).await;
        }
    }
    let report = world.check(Mode::Look).await;
    assert_eq!(found(&report), []);
}

#[tokio::test]
async fn a_tenant_that_is_being_erased_is_left_out_and_named() {
    let world = World::filled().await;
    let tenant = caller().tenant;
    let tenants = world.windlass.tenants();
    let mut stop = |_: &windlass::access::Progress| panic!("the process dies here");
    let erased = AssertUnwindSafe(tenants.erase(&tenant, &mut stop)).catch_unwind();
    erased.await.unwrap_err();
    let gone = lose(&world, &["due/", "/session/acme/s1"]).await;
    lose(&world, &["acme/session/s2/head"]).await;
    let before = world.entries(&[]).await;
    for asked in [None, Some(tenant.clone())] {
        let asked = Check {
            tenant: asked,
            mode: Mode::Repair,
            ..Check::default()
        };
        let report = world.windlass.check(&asked, &mut |_| ()).await;
        assert_eq!(found(&report), [], "{asked:?}");
        assert_eq!(
            report.being_erased,
            std::slice::from_ref(&tenant),
            "{asked:?}"
        );
    }
    assert_eq!(world.get(&gone[0]).await, None, "it was put back");
    assert_eq!(world.entries(&[]).await, before);
}

/// A store that nobody can write to.
#[derive(Debug)]
struct ReadOnly(Arc<dyn Store>);

#[async_trait]
impl Store for ReadOnly {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        self.0.read(scans).await
    }

    async fn commit(&self, _: Batch) -> Result<Commit, StoreError> {
        let kind = StoreErrorKind::Environment;
        Err(StoreError::new(kind, "commit", "the disk is full"))
    }

    async fn export(&self, range: KeyRange) -> Result<Export, StoreError> {
        self.0.export(range).await
    }

    fn subscribe(&self, prefix: &[u8]) -> Changes {
        self.0.subscribe(prefix)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.0.close().await
    }
}

#[tokio::test]
async fn where_the_store_cannot_be_written_to_the_rest_is_checked_and_the_failure_told() {
    let world = World::filled().await;
    lose(&world, &["acme/session/s1/alive"]).await;
    let store = Arc::new(ReadOnly(Arc::clone(&world.store) as _));
    let windlass = Windlass::over(store, &Options::default(), world.env.clone()).unwrap();
    let report = windlass.check(&Check::default(), &mut |_| ()).await;
    let missing = (
        "index_row_missing",
        "acme/session/s1/alive",
        Repair::Possible,
    );
    assert_eq!(found(&report), [missing]);
    let failure = report.failure.as_ref().expect("the probe failed");
    assert_eq!(failure.kind, ErrorKind::Environment);
    assert!(failure.message.contains("the disk is full"), "{failure:?}");
    assert!(!report.is_clean());
}

#[tokio::test]
async fn what_is_left_of_a_session_whose_records_are_lost_is_told_and_stays() {
    let world = World::filled().await;
    let mut request = Create::new("scout".parse().unwrap(), "do nothing");
    request.id = Some("s3".parse().unwrap());
    request.tools = Allow::All;
    let sessions = world.windlass.sessions();
    sessions.create(&caller(), request).await.unwrap();
    world.windlass.audit().flush().await;
    lose(&world, &["acme/session/s3/head"]).await;
    lose(&world, &["acme/session/s3/spec"]).await;
    let left = world.entries(&["acme/created/", "/s3"]).await;
    let report = world.check(Mode::Repair).await;
    let told = found(&report);
    let lost = ("record_missing", "acme/session/s3/head", Repair::None);
    assert!(told.contains(&lost), "{told:?}");
    let after = world.entries(&["acme/created/", "/s3"]).await;
    assert_eq!(left, after, "{told:?}");
    assert_eq!(report.repaired, 0, "{told:?}");
}

#[tokio::test]
async fn what_keeps_the_contents_of_a_lost_state_stays() {
    let world = World::filled().await;
    let member = world.entries(&["acme/lineage/", "/member/s1"]).await;
    lose(&world, &["acme/checkpoint/s1/head"]).await;
    let report = world.check(Mode::Repair).await;
    let told = found(&report);
    let lost = ("record_missing", "acme/checkpoint/s1/head", Repair::None);
    assert!(told.contains(&lost), "{told:?}");
    let after = world.entries(&["acme/lineage/", "/member/s1"]).await;
    assert_eq!(member, after, "{told:?}");
}

#[tokio::test]
async fn a_state_that_is_kept_for_its_forks_is_checked() {
    let world = World::filled().await;
    let who = caller();
    let who = windlass::checkpoint::Caller::new(who.tenant, who.principal);
    let (base, fork): (SessionId, SessionId) = ("s1".parse().unwrap(), "f1".parse().unwrap());
    let states = world.windlass.checkpoints();
    let forked = states.fork(&who, &base, None, &fork, None).await;
    forked.unwrap();
    states.remove(&who.tenant, &base).await.unwrap();
    assert_eq!(found(&world.check(Mode::Look).await), []);
    let member = lose(&world, &["acme/lineage/", "/member/s1"]).await;
    let key = String::from_utf8_lossy(&member[0]).into_owned();
    let report = world.check(Mode::Repair).await;
    let expected = ("index_row_missing", key.as_str(), Repair::Done);
    assert_eq!(found(&report), [expected]);
    lose(&world, &["acme/checkpoint/s1/log/"]).await;
    let report = world.check(Mode::Repair).await;
    let lost = ("rows_missing", "acme/checkpoint/s1/head", Repair::None);
    assert!(found(&report).contains(&lost), "{:?}", found(&report));
}

#[tokio::test]
async fn what_is_overdue_is_told_however_much_else_is() {
    let world = World::filled().await;
    let mut batch = Batch::new();
    for number in 0..1_000 {
        let key = format!("due/{number:020}/of-another/acme/{number}");
        batch = batch.put(key.into_bytes(), &b""[..]);
    }
    let commit = world.store.commit(batch).await.unwrap();
    assert!(matches!(commit, Commit::Applied(_)), "{commit:?}");
    world
        .put("due/00000000000000005000/lease/acme/none", "")
        .await;
    let told = world.check(Mode::Look).await;
    let codes: Vec<&str> = told.findings.iter().map(|it| it.code).collect();
    assert!(codes.contains(&"lease_overdue"), "{codes:?}");
}
