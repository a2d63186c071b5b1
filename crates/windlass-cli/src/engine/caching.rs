//! The cache, of this process or of a server.

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use windlass::cache::{CacheError, Key, Namespace, SweepLimit, Tag, TieredCache};
use windlass_client::cache::{
    CacheFlush, CacheInvalidated, CacheOrphans, CacheSweep, CacheView, FlushCache, InvalidateCache,
    ReclaimCache, SweepCache,
};

use super::error::ask;
use super::{Here, Remote, alike};
use crate::failure::{CommandError, Failure};

/// The operations that commands about the cache need.
#[async_trait]
pub(crate) trait Caching: Send + Sync {
    /// What it holds and did.
    async fn view(&self) -> Result<CacheView, Failure>;
    /// Takes back what nobody sees any more.
    async fn sweep_cache(&self, request: &SweepCache) -> Result<CacheSweep, Failure>;
    /// Takes back blobs whose puts were never finished.
    async fn reclaim(&self, request: &ReclaimCache) -> Result<CacheOrphans, Failure>;
    /// Invalidates a namespace.
    async fn flush(&self, request: &FlushCache) -> Result<CacheFlush, Failure>;
    /// Invalidates some entries.
    async fn invalidate(&self, request: &InvalidateCache) -> Result<CacheInvalidated, Failure>;
}

impl Here {
    fn cache(&self) -> Result<&TieredCache, Failure> {
        let cache = self.windlass().cache();
        cache.ok_or_else(|| CommandError::NoCache.into())
    }
}

fn limit(entries: Option<u64>, millis: Option<u64>) -> SweepLimit {
    match (entries, millis) {
        (entries, None) => SweepLimit::Entries(entries.unwrap_or(u64::MAX)),
        (None, Some(millis)) => SweepLimit::Millis(millis),
        (Some(entries), Some(millis)) => SweepLimit::Either { entries, millis },
    }
}

/// A place that an earlier answer named.
fn place<P: DeserializeOwned>(from: Option<impl Serialize>) -> Option<P> {
    from.map(|from| alike(&from))
}

fn name<N: TryFrom<String, Error = CacheError>>(text: &str) -> Result<N, Failure> {
    Ok(N::try_from(text.to_owned())?)
}

fn names<N: TryFrom<String, Error = CacheError>>(texts: &[String]) -> Result<Vec<N>, Failure> {
    texts.iter().map(|text| name(text)).collect()
}

#[async_trait]
impl Caching for Here {
    async fn view(&self) -> Result<CacheView, Failure> {
        let cache = self.cache()?;
        let stats = cache.stats();
        Ok(CacheView {
            first: alike(&stats.first),
            second: alike(&stats.second),
            namespaces: alike(&cache.namespaces()),
        })
    }

    async fn sweep_cache(&self, request: &SweepCache) -> Result<CacheSweep, Failure> {
        let limit = limit(request.entries, request.millis);
        let done = self.cache()?.sweep_expired(limit, place(request.from));
        Ok(alike(&done.await?))
    }

    async fn reclaim(&self, request: &ReclaimCache) -> Result<CacheOrphans, Failure> {
        let limit = limit(request.entries, request.millis);
        let done = self.cache()?.reclaim_orphans(limit, place(request.from));
        Ok(alike(&done.await?))
    }

    async fn flush(&self, request: &FlushCache) -> Result<CacheFlush, Failure> {
        let namespace: Namespace = name(&request.namespace)?;
        Ok(alike(&self.cache()?.flush_namespace(&namespace).await?))
    }

    async fn invalidate(&self, request: &InvalidateCache) -> Result<CacheInvalidated, Failure> {
        let namespace: Namespace = name(&request.namespace)?;
        let cache = self.cache()?;
        let done = if let Some(key) = &request.key {
            let key: Key = name(key)?;
            cache.invalidate(&namespace, &key).await
        } else if let Some(prefix) = &request.prefix {
            cache.invalidate_prefix(&namespace, prefix).await
        } else if let Some(tags) = &request.tags {
            let tags: Vec<Tag> = names(tags)?;
            cache.invalidate_tags(&namespace, &tags).await
        } else {
            let keys: Vec<Key> = names(request.dependents_of.as_deref().unwrap_or_default())?;
            cache.invalidate_dependents(&namespace, &keys).await
        };
        Ok(alike(&done?))
    }
}

#[async_trait]
impl Caching for Remote {
    async fn view(&self) -> Result<CacheView, Failure> {
        ask(self.client().cache()).await
    }

    async fn sweep_cache(&self, request: &SweepCache) -> Result<CacheSweep, Failure> {
        ask(self.client().sweep_cache(request)).await
    }

    async fn reclaim(&self, request: &ReclaimCache) -> Result<CacheOrphans, Failure> {
        ask(self.client().reclaim_cache(request)).await
    }

    async fn flush(&self, request: &FlushCache) -> Result<CacheFlush, Failure> {
        ask(self.client().flush_cache(request)).await
    }

    async fn invalidate(&self, request: &InvalidateCache) -> Result<CacheInvalidated, Failure> {
        ask(self.client().invalidate_cache(request)).await
    }
}
