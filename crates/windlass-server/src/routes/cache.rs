//! The cache, for operators. What is in it is for the process that has it.

use serde::de::DeserializeOwned;
use serde_json::Map;
use windlass::access::Verb;
use windlass::cache::{CacheError, Key, Namespace, SweepLimit, Tag, TieredCache};
use windlass_client::cache as wire;

use crate::call::{Call, Reply};
use crate::problem::{Problem, Refused};
use crate::route::{Access, Route};

const TAG: &str = "cache";

/// Entries that one call may look at, and what it looks at unless told
/// otherwise.
const ENTRIES: (u64, u64) = (1_000_000, 1_000);
/// Milliseconds that one call may take, and what it takes unless told
/// otherwise.
const MILLIS: (u64, u64) = (10_000, 1_000);
/// Tags and keys that one call may name.
const NAMES_MAX: usize = 32;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/cache", "get_cache", |call| Box::pin(show(call)))
            .about(TAG, "Shows what the cache holds and did")
            .access(Access::Operator(Verb::StoreRead))
            .serves(&[
                "Windlass::cache",
                "TieredCache::stats",
                "TieredCache::namespaces",
            ])
            .answers::<wire::CacheView>(200, "Its figures")
            .fails(&["no_cache"]),
        Route::post("/v1/cache/sweep", "sweep_cache", |call| {
            Box::pin(sweep(call))
        })
        .about(
            TAG,
            "Takes back what expired and what flushes left; can be repeated",
        )
        .access(Access::Operator(Verb::StoreManage))
        .serves(&["TieredCache::sweep_expired"])
        .takes::<wire::SweepCache>()
        .optionally()
        .answers::<wire::CacheSweep>(200, "What was done")
        .fails(&["no_cache"])
        .without_operation(),
        Route::post("/v1/cache/reclaim", "reclaim_cache", |call| {
            Box::pin(reclaim(call))
        })
        .about(
            TAG,
            "Takes back blobs whose puts were never finished; can be repeated",
        )
        .access(Access::Operator(Verb::StoreManage))
        .serves(&["TieredCache::reclaim_orphans"])
        .takes::<wire::ReclaimCache>()
        .optionally()
        .answers::<wire::CacheOrphans>(200, "What was done")
        .fails(&["no_cache"])
        .without_operation(),
        Route::post("/v1/cache/flush", "flush_cache", |call| {
            Box::pin(flush(call))
        })
        .about(TAG, "Invalidates a whole namespace; can be repeated")
        .access(Access::Operator(Verb::StoreManage))
        .serves(&["TieredCache::flush_namespace"])
        .takes::<wire::FlushCache>()
        .answers::<wire::CacheFlush>(200, "Its generations")
        .fails(&["no_cache"])
        .without_operation(),
        Route::post("/v1/cache/invalidate", "invalidate_cache", |call| {
            Box::pin(invalidate(call))
        })
        .about(
            TAG,
            "Invalidates some entries of a namespace; can be repeated",
        )
        .access(Access::Operator(Verb::StoreManage))
        .serves(&[
            "TieredCache::invalidate",
            "TieredCache::invalidate_prefix",
            "TieredCache::invalidate_tags",
            "TieredCache::invalidate_dependents",
        ])
        .takes::<wire::InvalidateCache>()
        .answers::<wire::CacheInvalidated>(200, "What it took")
        .fails(&["no_cache"])
        .without_operation(),
    ]
}

fn cache(call: &Call) -> Result<&TieredCache, Refused> {
    call.app.engine.cache().ok_or_else(|| {
        let detail = "this server has no cache; set `cache.store` to give it one";
        Box::new(Problem::new(404, "no_cache", detail))
    })
}

impl From<CacheError> for Refused {
    fn from(error: CacheError) -> Self {
        let problem = match error {
            CacheError::Invalid { field, .. } => {
                Problem::of(&error, Map::new()).with("field", field)
            }
            _ => Problem::of(&error, Map::new()),
        };
        Self::new(problem)
    }
}

fn invalid(field: &'static str, detail: &str) -> Refused {
    Box::new(Problem::new(400, "invalid_request", detail).with("field", field))
}

/// The bounds of one call.
fn limit(entries: Option<u64>, millis: Option<u64>) -> Result<SweepLimit, Refused> {
    let within = |field, asked: Option<u64>, (most, usual)| {
        let asked = asked.unwrap_or(usual);
        if asked > most {
            let detail = format!("`{field}` is {asked}; 0 to {most} are allowed");
            return Err(invalid(field, &detail));
        }
        Ok(asked)
    };
    Ok(SweepLimit::Either {
        entries: within("entries", entries, ENTRIES)?,
        millis: within("millis", millis, MILLIS)?,
    })
}

/// A place that an earlier answer named.
fn place<T: serde::Serialize, P: DeserializeOwned>(from: Option<T>) -> Result<Option<P>, Refused> {
    let read = |from| serde_json::from_value(serde_json::to_value(from)?);
    let place = from.map(read).transpose();
    place.map_err(|_| invalid("from", "`from` is no place that an answer named"))
}

fn name<N: TryFrom<String, Error = CacheError>>(text: String) -> Result<N, Refused> {
    Ok(N::try_from(text)?)
}

fn names<N: TryFrom<String, Error = CacheError>>(
    field: &'static str,
    texts: Vec<String>,
) -> Result<Vec<N>, Refused> {
    if texts.len() > NAMES_MAX {
        let count = texts.len();
        let detail = format!("`{field}` has {count} names; at most {NAMES_MAX} are allowed");
        return Err(invalid(field, &detail));
    }
    texts.into_iter().map(name).collect()
}

async fn show(call: Call) -> Result<Reply, Refused> {
    let cache = cache(&call)?;
    let stats = cache.stats();
    Ok(Reply::json(&serde_json::json!({
        "first": stats.first,
        "second": stats.second,
        "namespaces": cache.namespaces(),
    })))
}

async fn sweep(call: Call) -> Result<Reply, Refused> {
    let asked: wire::SweepCache = call.json_or_default()?;
    let limit = limit(asked.entries, asked.millis)?;
    let done = cache(&call)?.sweep_expired(limit, place(asked.from)?).await;
    Ok(Reply::json(&done?))
}

async fn reclaim(call: Call) -> Result<Reply, Refused> {
    let asked: wire::ReclaimCache = call.json_or_default()?;
    let limit = limit(asked.entries, asked.millis)?;
    let done = cache(&call)?.reclaim_orphans(limit, place(asked.from)?);
    Ok(Reply::json(&done.await?))
}

async fn flush(call: Call) -> Result<Reply, Refused> {
    let asked: wire::FlushCache = call.json()?;
    let namespace: Namespace = name(asked.namespace)?;
    let done = cache(&call)?.flush_namespace(&namespace).await;
    Ok(Reply::json(&done?))
}

async fn invalidate(call: Call) -> Result<Reply, Refused> {
    let asked: wire::InvalidateCache = call.json()?;
    let namespace: Namespace = name(asked.namespace)?;
    let cache = cache(&call)?;
    let done = match (asked.key, asked.prefix, asked.tags, asked.dependents_of) {
        (Some(key), None, None, None) => {
            let key: Key = name(key)?;
            cache.invalidate(&namespace, &key).await
        }
        (None, Some(prefix), None, None) => cache.invalidate_prefix(&namespace, &prefix).await,
        (None, None, Some(tags), None) => {
            let tags: Vec<Tag> = names("tags", tags)?;
            cache.invalidate_tags(&namespace, &tags).await
        }
        (None, None, None, Some(keys)) => {
            let keys: Vec<Key> = names("dependents_of", keys)?;
            cache.invalidate_dependents(&namespace, &keys).await
        }
        _ => {
            let detail = "name exactly one of `key`, `prefix`, `tags` and `dependents_of`";
            return Err(invalid("key", detail));
        }
    };
    Ok(Reply::json(&done?))
}
