//! P1, P3 and P4: puts, and the checks that decide about them.

use bytes::Bytes;
use windlass_store::limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use windlass_store::{Batch, Commit, Expect, Incarnation, Store, StoreExt, Version};

use super::common::{apply, conflict, entry, everything, exported, put, text};
use crate::Fixture;
use crate::verdict::{Trial, ensure, ensure_equal};

pub(crate) async fn p01_a_committed_put_is_read_back(fixture: &mut dyn Fixture) -> Trial {
    let store = fixture.fresh().await?;
    ensure_equal(&everything(&*store).await?, &Vec::new(), || {
        "a fresh store".into()
    })?;
    for (key, value) in unusual_entries() {
        reads_back(&*store, &key, &value).await?;
    }
    overwrites(&*store).await?;
    deletes(&*store).await?;
    many_at_once(&*store).await?;
    let (paged, exported) = (everything(&*store).await?, exported(&*store).await?);
    ensure_equal(&exported, &paged, || {
        "an export and the pages of the same store".into()
    })
}

fn unusual_entries() -> Vec<(Bytes, Bytes)> {
    let every_byte: Vec<u8> = (0..=255).collect();
    vec![
        ("acme/text".into(), "a value".into()),
        ("acme/empty".into(), Bytes::new()),
        (Bytes::new(), "the empty key".into()),
        ("acme/every-byte".into(), every_byte.clone().into()),
        (every_byte.into(), "a key of every byte".into()),
        (vec![b'k'; KEY_BYTES_MAX].into(), "the longest key".into()),
        ("acme/longest".into(), vec![0xa5; VALUE_BYTES_MAX].into()),
    ]
}

async fn reads_back(store: &dyn Store, key: &Bytes, value: &Bytes) -> Trial {
    let batch = Batch::new()
        .check(key.clone(), Expect::Absent)
        .put(key.clone(), value.clone());
    let version = apply(store, batch).await?;
    let found = entry(store, key).await?;
    ensure_equal(&found.value, value, || format!("the value of {key:?}"))?;
    ensure_equal(&found.key, key, || "the key of the entry".into())?;
    ensure_equal(&found.version, &version, || {
        format!("the version of {key:?}")
    })
}

async fn overwrites(store: &dyn Store) -> Trial {
    let key = Bytes::from("acme/overwritten");
    for value in ["short", "a longer value than before", "", "last"] {
        let version = put(store, key.clone(), value).await?;
        let found = entry(store, &key).await?;
        ensure_equal(&found.value, &value.into(), || {
            "an overwritten value".into()
        })?;
        ensure_equal(&found.version, &version, || {
            "the version of an overwritten key".into()
        })?;
    }
    Ok(())
}

async fn deletes(store: &dyn Store) -> Trial {
    let key = Bytes::from("acme/deleted");
    put(store, key.clone(), "here").await?;
    for round in ["of an existing key", "of a missing key"] {
        apply(store, Batch::new().delete(key.clone())).await?;
        let found = store.get(key.clone()).await?;
        ensure_equal(&found, &None, || format!("after the delete {round}"))?;
    }
    Ok(())
}

async fn many_at_once(store: &dyn Store) -> Trial {
    let key = |number: usize| Bytes::from(format!("acme/many/{number}"));
    put(store, key(500), "to be deleted").await?;
    let puts = (0..500).rev();
    let batch = puts.fold(Batch::new(), |batch, number| {
        batch.put(key(number), number.to_string())
    });
    let version = apply(store, batch.delete(key(500))).await?;
    for number in [0, 1, 250, 499] {
        let found = entry(store, &key(number)).await?;
        ensure_equal(&found.value, &number.to_string().into(), || {
            "one of many puts".into()
        })?;
        ensure_equal(&found.version, &version, || {
            "the version of one of many puts".into()
        })?;
    }
    ensure_equal(&text(store, &key(500)).await?, &None, || {
        "a delete beside puts".into()
    })
}

pub(crate) async fn p03_absent_refuses_an_existing_key_and_present_a_missing_one(
    fixture: &mut dyn Fixture,
) -> Trial {
    let store = fixture.fresh().await?;
    let (here, gone, never) = ("acme/here", "acme/gone", "acme/never");
    put(&*store, here, "1").await?;
    put(&*store, gone, "1").await?;
    apply(&*store, Batch::new().delete(gone)).await?;

    let create = |key| {
        Batch::new()
            .check(key, Expect::Absent)
            .put(key, "2")
            .put("acme/side", "2")
    };
    conflict(&*store, create(here), here, "`Absent` on an existing key").await?;
    for missing in [gone, never] {
        let demand = Batch::new().check(missing, Expect::Present);
        conflict(
            &*store,
            demand.clone(),
            missing,
            "`Present` alone on a missing key",
        )
        .await?;
        let demand = demand.put(missing, "2").put("acme/side", "2").delete(here);
        conflict(&*store, demand, missing, "`Present` on a missing key").await?;
    }
    first_failing_check_is_named(&*store).await?;

    apply(&*store, create(gone)).await?;
    apply(&*store, create(never)).await?;
    apply(&*store, Batch::new().check(here, Expect::Present)).await?;
    apply(
        &*store,
        Batch::new().check(here, Expect::Present).delete(here),
    )
    .await?;
    apply(&*store, create(here)).await.map(drop)
}

/// Of several checks that do not hold, the first in the order of the batch
/// is named; checks that hold are never named.
async fn first_failing_check_is_named(store: &dyn Store) -> Trial {
    put(store, "acme/m", "1").await?;
    let batch = Batch::new()
        .check("acme/m", Expect::Present)
        .check("acme/z-missing", Expect::Present)
        .check("acme/a-missing", Expect::Present)
        .put("acme/m", "2");
    conflict(
        store,
        batch,
        "acme/z-missing",
        "two checks that do not hold",
    )
    .await
}

pub(crate) async fn p04_a_stale_version_conflicts_and_writes_nothing(
    fixture: &mut dyn Fixture,
) -> Trial {
    let store = fixture.fresh().await?;
    let key = "acme/head";
    put(&*store, "acme/doomed", "1").await?;
    let stale = put(&*store, key, "1").await?;
    let current = put(&*store, key, "1").await?;
    ensure(stale != current, || {
        "a put of the same value left the version".into()
    })?;
    let other = put(&*store, "acme/other", "1").await?;

    let attempt = |version| {
        let batch = Batch::new().check(key, Expect::Version(version));
        batch
            .put(key, "2")
            .put("acme/new", "2")
            .delete("acme/doomed")
    };
    for (version, what) in [
        (stale, "an overwritten version"),
        (other, "a version of another key"),
        (
            of_another_store(current),
            "the same number from another incarnation",
        ),
    ] {
        conflict(&*store, attempt(version), key, what).await?;
        let check = Batch::new().check(key, Expect::Version(version));
        conflict(&*store, check, key, &format!("{what}, checked alone")).await?;
    }
    let demand = Batch::new()
        .check("acme/none", Expect::Version(current))
        .put("acme/none", "2");
    conflict(&*store, demand, "acme/none", "a version of a missing key").await?;
    last_check_decides_too(&*store, key, current, stale).await?;

    apply(&*store, attempt(current)).await?;
    ensure_equal(
        &text(&*store, &key.into()).await?,
        &Some("2".into()),
        || "the value after a commit with the current version".into(),
    )?;
    ensure_equal(&text(&*store, &"acme/doomed".into()).await?, &None, || {
        "a delete in a commit with the current version".into()
    })
}

fn of_another_store(version: Version) -> Version {
    let other = Incarnation::from_number(!version.incarnation().number());
    Version::new(other, version.sequence())
}

/// A stale version behind a hundred checks that hold is noticed too.
async fn last_check_decides_too(
    store: &dyn Store,
    key: &'static str,
    current: Version,
    stale: Version,
) -> Trial {
    let bystander = |number: usize| Bytes::from(format!("acme/bystander/{number}"));
    let puts = (0..100).fold(Batch::new(), |batch, number| {
        batch.put(bystander(number), "1")
    });
    let written = apply(store, puts).await?;
    let checks = (0..100).fold(Batch::new(), |batch, number| {
        batch.check(bystander(number), Expect::Version(written))
    });
    let late = checks
        .clone()
        .check(key, Expect::Version(stale))
        .put(key, "2");
    conflict(store, late, key, "a stale version behind checks that hold").await?;
    let answer = store
        .commit(checks.check(key, Expect::Version(current)))
        .await?;
    ensure(matches!(answer, Commit::Applied(_)), || {
        format!("a hundred checks that hold: answered {answer:?}")
    })
}
