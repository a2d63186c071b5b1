//! P5: versions.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use windlass_store::{Batch, Commit, Expect, Store, Version};

use super::common::{apply, join, put, spawn};
use crate::verdict::{Stop, Trial, ensure};
use crate::{Fixture, FixtureError};

const ROUNDS: usize = 6;
const WRITERS: usize = 4;

pub(crate) async fn p05_a_version_is_never_reused(fixture: &mut dyn Fixture) -> Trial {
    let mut seen = Seen::default();
    for _ in 0..2 {
        let store = fixture.fresh().await?;
        create_and_delete(&*store, &mut seen).await?;
        conflicts_between(&*store, &mut seen).await?;
        at_once(&store, &mut seen).await?;
        drop(store);
        reopened(fixture, &mut seen).await?;
    }
    Ok(())
}

/// Every version each key had, in all stores of the trial.
#[derive(Debug, Default)]
struct Seen {
    versions: HashMap<(Bytes, Version), &'static str>,
}

impl Seen {
    fn note(&mut self, key: impl Into<Bytes>, version: Version, when: &'static str) -> Trial {
        let key = key.into();
        let before = self.versions.insert((key.clone(), version), when);
        ensure(before.is_none(), || {
            let before = before.unwrap_or_default();
            format!("{key:?} had {version:?} {before}, and again {when}")
        })
    }
}

async fn create_and_delete(store: &dyn Store, seen: &mut Seen) -> Trial {
    let keys = ["acme/a", "acme/b"];
    for _ in 0..ROUNDS {
        for key in keys {
            let create = Batch::new().check(key, Expect::Absent).put(key, "same");
            seen.note(key, apply(store, create).await?, "after its creation")?;
            seen.note(key, put(store, key, "same").await?, "after an overwrite")?;
            apply(store, Batch::new().delete(key)).await?;
        }
        let both = Batch::new().put(keys[0], "same").put(keys[1], "same");
        let version = apply(store, both).await?;
        for key in keys {
            seen.note(key, version, "after a put of two keys")?;
            apply(store, Batch::new().delete(key)).await?;
        }
    }
    Ok(())
}

/// Commits that conflict or change nothing must not make a number free again.
async fn conflicts_between(store: &dyn Store, seen: &mut Seen) -> Trial {
    for _ in 0..ROUNDS {
        seen.note(
            "acme/a",
            put(store, "acme/a", "1").await?,
            "before a conflict",
        )?;
        let losing = Batch::new()
            .check("acme/a", Expect::Absent)
            .put("acme/a", "2");
        let answer = store.commit(losing).await?;
        ensure(matches!(answer, Commit::Conflict { .. }), || {
            format!("answered {answer:?}")
        })?;
        apply(store, Batch::new().check("acme/a", Expect::Present)).await?;
        apply(store, Batch::new().delete("acme/none")).await?;
    }
    Ok(())
}

async fn at_once(store: &Arc<dyn Store>, seen: &mut Seen) -> Trial {
    let writer = || {
        let store = Arc::clone(store);
        spawn(async move {
            let mut versions = Vec::new();
            for _ in 0..ROUNDS {
                versions.push(put(&*store, "acme/a", "same").await?);
            }
            Ok(versions)
        })
    };
    let versions = join((0..WRITERS).map(|_| writer()).collect()).await?;
    let mut versions = versions.into_iter().flatten();
    versions.try_for_each(|version| seen.note("acme/a", version, "while others wrote it"))
}

/// A store that begins to count at the rows it finds would count again what
/// was deleted.
async fn reopened(fixture: &mut dyn Fixture, seen: &mut Seen) -> Trial {
    for _ in 0..2 {
        let store = match fixture.reopen().await {
            Ok(store) => store,
            Err(FixtureError::NotApplicable { .. }) => return Ok(()),
            Err(error) => return Err(Stop::from(error)),
        };
        for key in ["acme/a", "acme/b"] {
            seen.note(key, put(&*store, key, "same").await?, "after re-opening")?;
            apply(&*store, Batch::new().delete(key)).await?;
        }
        store.close().await?;
    }
    Ok(())
}
