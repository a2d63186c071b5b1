//! Whatever is done to a chain behind its back is found, and where.

use bytes::Bytes;
use windlass::audit::{BreakKind, ChainBreak, Verify};
use windlass::store::{Batch, KeyRange, Scan};
use windlass_store_testing::Random;

use super::{Stage, acme};

/// The row of an event, as docs/storage-layout.md has it.
fn row(seq: u64) -> String {
    format!("acme/audit/event/{seq:020}")
}

async fn rows(stage: &Stage) -> Vec<(Bytes, Bytes)> {
    let scan = Scan::new(KeyRange::prefix("acme/audit/event/"));
    let pages = stage.store.read(&[scan]).await.unwrap();
    let entries = pages[0].entries.iter();
    entries
        .map(|entry| (entry.key.clone(), entry.value.clone()))
        .collect()
}

async fn broken(stage: &Stage) -> Option<ChainBreak> {
    stage.verify(Verify::default()).await.broken
}

fn at(seq: u64, kind: BreakKind) -> Option<ChainBreak> {
    Some(ChainBreak { seq, kind })
}

#[tokio::test]
async fn a_chain_that_nobody_touched_verifies_from_every_event() {
    let stage = Stage::new();
    stage.create(5).await;
    let whole = stage.verify(Verify::default()).await;
    assert_eq!((whole.broken, whole.from, whole.through), (None, 1, 5));
    for from in 1..=6 {
        let asked = Verify {
            from: Some(from),
            ..Verify::default()
        };
        let part = stage.verify(asked).await;
        assert_eq!((part.broken, part.from, part.through), (None, from, 5));
        assert_eq!((part.events, part.hash), (6 - from, whole.hash));
    }
}

#[tokio::test]
async fn every_changed_byte_of_every_event_is_found_at_that_event() {
    let stage = Stage::new();
    stage.create(4).await;
    let rows = rows(&stage).await;
    for (number, (key, line)) in rows.iter().enumerate() {
        let seq = u64::try_from(number).unwrap() + 1;
        for place in 0..line.len() {
            let mut changed = line.to_vec();
            changed[place] ^= 1;
            stage.write(Batch::new().put(key.clone(), changed)).await;
            let found = broken(&stage).await;
            let found = found.unwrap_or_else(|| panic!("byte {place} of event {seq}"));
            assert_eq!(found.seq, seq, "byte {place}: {found}");
        }
        stage
            .write(Batch::new().put(key.clone(), line.clone()))
            .await;
    }
    assert_eq!(broken(&stage).await, None);
}

#[tokio::test]
async fn removed_reordered_and_doubled_events_are_found() {
    let stage = Stage::new();
    stage.create(6).await;
    let rows = rows(&stage).await;
    let mut random = Random::new(3);
    for round in 0..200 {
        let (one, other) = (random.below(6), random.below(6));
        let (seq, kind) = match round % 3 {
            0 => {
                stage.write(Batch::new().delete(rows[one].0.clone())).await;
                let is_last = one == 5;
                let kind = if is_last {
                    BreakKind::CutOff
                } else {
                    BreakKind::Missing
                };
                (one, kind)
            }
            _ if one == other => continue,
            1 => {
                let swap = Batch::new()
                    .put(rows[one].0.clone(), rows[other].1.clone())
                    .put(rows[other].0.clone(), rows[one].1.clone());
                stage.write(swap).await;
                (one.min(other), BreakKind::Misplaced)
            }
            _ => {
                let double = rows[other].1.clone();
                stage
                    .write(Batch::new().put(rows[one].0.clone(), double))
                    .await;
                (one, BreakKind::Misplaced)
            }
        };
        let seq = u64::try_from(seq).unwrap() + 1;
        assert_eq!(broken(&stage).await, at(seq, kind), "round {round}");
        for (key, line) in &rows {
            stage
                .write(Batch::new().put(key.clone(), line.clone()))
                .await;
        }
    }
    assert_eq!(broken(&stage).await, None);
}

#[tokio::test]
async fn a_cut_tail_a_forged_end_and_a_lost_head_are_found() {
    let stage = Stage::new();
    stage.create(3).await;
    let rows = rows(&stage).await;
    stage
        .write(Batch::new().delete(row(2)).delete(row(3)))
        .await;
    assert_eq!(broken(&stage).await, at(2, BreakKind::CutOff));
    let restored = Batch::new().put(row(2), rows[1].1.clone());
    stage.write(restored.put(row(3), rows[2].1.clone())).await;
    stage
        .write(Batch::new().put(row(4), rows[2].1.clone()))
        .await;
    assert_eq!(broken(&stage).await, at(4, BreakKind::Surplus));
    stage.write(Batch::new().delete(row(4))).await;
    assert_eq!(broken(&stage).await, None);
    stage.write(Batch::new().put("acme/audit/head", "{}")).await;
    assert_eq!(broken(&stage).await, at(0, BreakKind::Head));
    stage.write(Batch::new().delete("acme/audit/head")).await;
    assert_eq!(broken(&stage).await, at(1, BreakKind::Surplus));
}

#[tokio::test]
async fn a_chain_brought_from_another_tenant_is_found() {
    let stage = Stage::new();
    stage.create(2).await;
    let other = Stage::new();
    for (key, line) in rows(&stage).await {
        let key = String::from_utf8(key.to_vec()).unwrap();
        let key = key.replace("acme/", "zeta/");
        other.write(Batch::new().put(key, line)).await;
    }
    let scan = Scan::point("acme/audit/head");
    let head = stage.store.read(&[scan]).await.unwrap()[0].entries[0].clone();
    other
        .write(Batch::new().put("zeta/audit/head", head.value))
        .await;
    let zeta = "zeta".parse().unwrap();
    let audit = other.engine.audit();
    let found = audit.verify(&zeta, Verify::default(), &mut |_, _| {}).await;
    assert_eq!(found.unwrap().broken, at(1, BreakKind::Head));
}

#[tokio::test]
async fn a_chain_that_was_written_anew_is_found_by_a_hash_that_was_noted() {
    let stage = Stage::new();
    stage.create(4).await;
    let noted = stage.engine.audit().head(&acme()).await.unwrap();
    let asked = Verify {
        from: None,
        noted: Some((noted.last, noted.hash)),
    };
    assert_eq!(stage.verify(asked).await.broken, None);
    stage.create(2).await;
    assert_eq!(stage.verify(asked).await.broken, None, "it went on");
    for seq in 1..=6 {
        stage.write(Batch::new().delete(row(seq))).await;
    }
    stage.write(Batch::new().delete("acme/audit/head")).await;
    stage.create(3).await;
    assert_eq!(broken(&stage).await, None, "it is a chain");
    assert_eq!(stage.verify(asked).await.broken, at(4, BreakKind::CutOff));
    stage.create(3).await;
    assert_eq!(
        stage.verify(asked).await.broken,
        at(4, BreakKind::Rewritten)
    );
}

#[tokio::test]
async fn a_first_event_that_is_still_to_come_is_refused() {
    let stage = Stage::new();
    stage.create(2).await;
    let asked = Verify {
        from: Some(4),
        ..Verify::default()
    };
    let audit = stage.engine.audit();
    let refused = audit.verify(&acme(), asked, &mut |_, _| {}).await;
    let error = refused.unwrap_err();
    assert_eq!(error.to_string(), "`from` is 4; 1 to 3 are allowed");
}
