//! P18: what was damaged is refused.

use std::sync::Arc;

use bytes::Bytes;
use windlass_store::{Batch, Entry, KeyRange, Scan, Store, StoreError, StoreErrorKind, StoreExt};

use super::common::{apply, everything, key, put};
use crate::gather::{try_drain, try_walk};
use crate::verdict::{Stop, Trial, brief, ensure, ensure_equal};
use crate::{Fixture, FixtureError, Tamper};

const TARGET: &str = "acme/damage/target";
const BYSTANDERS: usize = 40;
const VALUE: &str = "a value long enough to be hit at its beginning, middle and end";

pub(crate) async fn p18_damage_is_refused_and_never_data(fixture: &mut dyn Fixture) -> Trial {
    let mut excuses = Vec::new();
    let mut applied = 0;
    for tamper in tampers() {
        match refused(fixture, &tamper).await {
            Ok(()) => applied += 1,
            Err(Stop::NotApplicable(reason)) => excuses.push(reason),
            Err(Stop::Broken(detail)) => {
                return Err(Stop::Broken(format!("after {tamper:?}: {detail}")));
            }
        }
    }
    if applied == 0 {
        Err(Stop::NotApplicable(excuses.swap_remove(0)))
    } else {
        Ok(())
    }
}

fn tampers() -> Vec<Tamper> {
    let (key, bits) = (Bytes::from(TARGET), |text: &str| text.len() * 8);
    let value_bits = [0, 7, bits(VALUE) / 2, bits(VALUE) - 1];
    let key_bits = [0, 1, 5 * 8 + 2, bits(TARGET) - 8, bits(TARGET) - 1];
    let value = value_bits.map(|bit| Tamper::ValueBit {
        key: key.clone(),
        bit,
    });
    let key = key_bits.map(|bit| Tamper::KeyBit {
        key: key.clone(),
        bit,
    });
    let files = [Tamper::Truncate, Tamper::Empty, Tamper::Foreign];
    value.into_iter().chain(key).chain(files).collect()
}

async fn refused(fixture: &mut dyn Fixture, tamper: &Tamper) -> Trial {
    let store = fixture.fresh().await?;
    let put_one = |batch: Batch, number| batch.put(key("damage", number), VALUE);
    apply(&*store, (0..BYSTANDERS).fold(Batch::new(), put_one)).await?;
    put(&*store, TARGET, VALUE).await?;
    let stored = Stored {
        entries: everything(&*store).await?,
    };
    store.close().await?;
    drop(store);
    fixture.tamper(tamper.clone()).await?;
    match fixture.reopen().await {
        Ok(store) => stored.ensure_guarded(store, tamper).await,
        Err(FixtureError::Store(error)) => ensure_refusal(&error, tamper, "opening"),
        Err(error) => Err(error.into()),
    }
}

/// What was stored before the damage, and so all that may be given out.
struct Stored {
    entries: Vec<Entry>,
}

impl Stored {
    async fn ensure_guarded(&self, store: Arc<dyn Store>, tamper: &Tamper) -> Trial {
        let store = &*store;
        let opens = !matches!(tamper, Tamper::Empty | Tamper::Foreign);
        ensure(opens, || {
            "the store opened as if nothing had happened".into()
        })?;
        let whole = Scan::new(KeyRange::all());
        let exported = export(store).await?;
        self.ensure_all_or_refused(exported, tamper, "an export")?;
        for (scan, what) in [
            (whole.clone(), "an ascending scan"),
            (whole.clone().descending(), "a descending scan"),
        ] {
            let read = try_walk(store, scan).await?;
            self.ensure_all_or_refused(read, tamper, what)?;
        }
        self.ensure_keys(store, tamper).await?;
        self.ensure_points(store, tamper).await
    }

    /// Everything, or an error; a flipped bit always the error.
    fn ensure_all_or_refused(
        &self,
        answer: Result<Vec<Entry>, StoreError>,
        tamper: &Tamper,
        what: &str,
    ) -> Trial {
        let mut entries = match answer {
            Err(error) => return ensure_refusal(&error, tamper, what),
            Ok(entries) => entries,
        };
        ensure(is_file(tamper), || {
            format!("{what} of a damaged entry succeeded")
        })?;
        entries.sort_by(|one, other| one.key.cmp(&other.key));
        ensure_equal(&entries, &self.entries, || format!("what {what} gave"))
    }

    /// Keys alone must not be wrong, or missing, either.
    async fn ensure_keys(&self, store: &dyn Store, tamper: &Tamper) -> Trial {
        match try_walk(store, Scan::new(KeyRange::all()).keys()).await? {
            Err(error) => ensure_refusal(&error, tamper, "a scan of keys"),
            Ok(found) => {
                let names = |entries: &[Entry]| -> Vec<_> {
                    entries
                        .iter()
                        .map(|entry| (entry.key.clone(), entry.version))
                        .collect()
                };
                let damaged = matches!(tamper, Tamper::KeyBit { .. });
                ensure(!damaged, || {
                    "a scan of keys gave a damaged key or left it out".into()
                })?;
                ensure_equal(&names(&found), &names(&self.entries), || {
                    "a scan of keys".into()
                })
            }
        }
    }

    /// Each key that was stored gives its entry or an error; the entry whose
    /// value was hit gives the error. (A key that was hit may be missing under
    /// its old name.)
    async fn ensure_points(&self, store: &dyn Store, tamper: &Tamper) -> Trial {
        for stored in &self.entries {
            match (store.get(stored.key.clone()).await, tamper) {
                (Err(error), _) => ensure_refusal(&error, tamper, "a look-up")?,
                (Ok(found), Tamper::ValueBit { key, .. }) if stored.key == key => {
                    return Err(Stop::Broken(format!(
                        "the damaged entry was given: {}",
                        brief(&found)
                    )));
                }
                (Ok(None), Tamper::KeyBit { key, .. }) if stored.key == key => {}
                (Ok(found), _) => {
                    ensure_equal(&found.as_ref(), &Some(stored), || "a look-up".into())?
                }
            }
        }
        Ok(())
    }
}

async fn export(store: &dyn Store) -> Trial<Result<Vec<Entry>, StoreError>> {
    match store.export(KeyRange::all()).await {
        Ok(export) => try_drain(export).await,
        Err(error) => Ok(Err(error)),
    }
}

/// A flipped bit is `Corrupt`; a file that is no whole store may as well be
/// something an operator has to put right.
fn ensure_refusal(error: &StoreError, tamper: &Tamper, what: &str) -> Trial {
    let refused = match error.kind() {
        StoreErrorKind::Corrupt => true,
        StoreErrorKind::Environment => is_file(tamper),
        _ => false,
    };
    ensure(refused, || {
        format!("{what} failed with {error:?}, which does not name the damage")
    })
}

fn is_file(tamper: &Tamper) -> bool {
    matches!(tamper, Tamper::Truncate | Tamper::Empty | Tamper::Foreign)
}
