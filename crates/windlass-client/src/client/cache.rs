//! The calls about the cache, for operators.

use super::call::Call;
use super::{Client, ClientError};
use crate::cache::{
    CacheFlush, CacheInvalidated, CacheOrphans, CacheSweep, CacheView, FlushCache, InvalidateCache,
    ReclaimCache, SweepCache,
};

impl Client {
    /// What the cache holds and did.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; `no_cache` where the server has none.
    pub async fn cache(&self) -> Result<CacheView, ClientError> {
        self.ask(Call::get(&["v1", "cache"])).await
    }

    /// Takes back what nobody sees any more.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; what was taken by then stays taken.
    pub async fn sweep_cache(&self, request: &SweepCache) -> Result<CacheSweep, ClientError> {
        let call = Call::post(&["v1", "cache", "sweep"], request);
        self.ask(call.unkeyed().patiently()).await
    }

    /// Takes back blobs whose puts were never finished.
    ///
    /// # Errors
    ///
    /// As [`Client::sweep_cache`].
    pub async fn reclaim_cache(&self, request: &ReclaimCache) -> Result<CacheOrphans, ClientError> {
        let call = Call::post(&["v1", "cache", "reclaim"], request);
        self.ask(call.unkeyed().patiently()).await
    }

    /// Invalidates a whole namespace.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn flush_cache(&self, request: &FlushCache) -> Result<CacheFlush, ClientError> {
        let call = Call::post(&["v1", "cache", "flush"], request);
        self.ask(call.unkeyed()).await
    }

    /// Invalidates some entries of a namespace.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn invalidate_cache(
        &self,
        request: &InvalidateCache,
    ) -> Result<CacheInvalidated, ClientError> {
        let call = Call::post(&["v1", "cache", "invalidate"], request);
        self.ask(call.unkeyed().patiently()).await
    }
}
