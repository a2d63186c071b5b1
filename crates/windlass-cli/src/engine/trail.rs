//! The audit, of a store or of a server.

use std::collections::BTreeMap;

use async_trait::async_trait;
use windlass::audit::{self, Chain, ChainHash, ChainedEvent, Verify};
use windlass_client::audit::{
    AuditEvent, AuditHead, AuditPage, AuditQuery, AuditVerified, ChainQuery, VerifyQuery,
};
use windlass_client::page::Order;

use super::error::ask;
use super::{Here, Remote, alike, count};
use crate::failure::Failure;
use crate::session::arguments::id;

/// Events that are read at a time.
const LINES_AT_A_TIME: usize = 500;

/// Takes lines as they come.
pub(crate) type Take<'a> = &'a mut (dyn FnMut(&[u8]) -> Result<(), Failure> + Send);

/// Told how many events were verified, and how many there are.
pub(crate) type Watch<'a> = &'a mut (dyn FnMut(u64, u64) + Send);

/// Where a verification begins, and what it is held to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Held {
    pub(crate) from: Option<u64>,
    pub(crate) noted: Option<(u64, ChainHash)>,
}

/// The operations that commands about the audit need. A chain that is not named
/// is the caller's own.
#[async_trait]
pub(crate) trait Trail: Send + Sync {
    /// A page of events.
    async fn events(&self, query: &AuditQuery) -> Result<AuditPage, Failure>;
    /// Where a chain stands.
    async fn chain_head(&self, chain: Option<&str>) -> Result<AuditHead, Failure>;
    /// Verifies a chain.
    async fn verify_chain(
        &self,
        chain: Option<&str>,
        held: Held,
        watch: Watch<'_>,
    ) -> Result<AuditVerified, Failure>;
    /// All lines of a chain behind an event.
    async fn lines(
        &self,
        chain: Option<&str>,
        after: Option<u64>,
        take: Take<'_>,
    ) -> Result<(), Failure>;
}

impl Here {
    fn chain(&self, named: Option<&str>) -> Result<Chain, Failure> {
        match named {
            Some(name) => id(name),
            None => Ok(Chain::Tenant(self.caller().tenant.clone())),
        }
    }
}

fn shown(chained: ChainedEvent) -> AuditEvent {
    let event = chained.event;
    AuditEvent {
        seq: chained.seq,
        at: event.at.get(),
        action: event.action.into_owned(),
        outcome: alike(&event.outcome),
        code: event.code.map(Into::into),
        principal: event.principal,
        key: event.key,
        request: event.request,
        on: named(event.on),
        figures: named(event.figures),
        hash: chained.hash.to_string(),
    }
}

fn named<N: Into<String>, T>(pairs: Vec<(N, T)>) -> BTreeMap<String, T> {
    let pairs = pairs.into_iter();
    pairs.map(|(name, value)| (name.into(), value)).collect()
}

#[async_trait]
impl Trail for Here {
    async fn events(&self, query: &AuditQuery) -> Result<AuditPage, Failure> {
        let chain = self.chain(query.chain.as_deref())?;
        let query = audit::AuditQuery {
            after: query.after,
            limit: count(query.limit),
            newest_first: query.order == Some(Order::Newest),
        };
        let page = self.windlass().audit().page(&chain, &query).await?;
        Ok(AuditPage {
            events: page.events.into_iter().map(shown).collect(),
            next: page.next,
        })
    }

    async fn chain_head(&self, chain: Option<&str>) -> Result<AuditHead, Failure> {
        let chain = self.chain(chain)?;
        let head = self.windlass().audit().head(&chain).await?;
        Ok(AuditHead {
            chain: chain.to_string(),
            first: head.first,
            anchor: head.anchor.to_string(),
            last: head.last,
            hash: head.hash.to_string(),
        })
    }

    async fn verify_chain(
        &self,
        chain: Option<&str>,
        held: Held,
        watch: Watch<'_>,
    ) -> Result<AuditVerified, Failure> {
        let chain = self.chain(chain)?;
        let asked = Verify {
            from: held.from,
            noted: held.noted,
        };
        let audit = self.windlass().audit();
        Ok(alike(&audit.verify(&chain, asked, watch).await?))
    }

    async fn lines(
        &self,
        chain: Option<&str>,
        mut after: Option<u64>,
        take: Take<'_>,
    ) -> Result<(), Failure> {
        let chain = self.chain(chain)?;
        loop {
            let query = audit::AuditQuery {
                after,
                limit: LINES_AT_A_TIME,
                newest_first: false,
            };
            let page = self.windlass().audit().lines(&chain, &query).await?;
            for (_, line) in &page.lines {
                take(line)?;
                take(b"\n")?;
            }
            match page.next {
                None => return Ok(()),
                next => after = next,
            }
        }
    }
}

#[async_trait]
impl Trail for Remote {
    async fn events(&self, query: &AuditQuery) -> Result<AuditPage, Failure> {
        ask(self.client().audit(query)).await
    }

    async fn chain_head(&self, chain: Option<&str>) -> Result<AuditHead, Failure> {
        ask(self.client().audit_head(&query_of(chain, None))).await
    }

    async fn verify_chain(
        &self,
        chain: Option<&str>,
        held: Held,
        _: Watch<'_>,
    ) -> Result<AuditVerified, Failure> {
        let query = VerifyQuery {
            chain: chain.map(str::to_owned),
            from: held.from,
            noted_seq: held.noted.map(|(seq, _)| seq),
            noted_hash: held.noted.map(|(_, hash)| hash.to_string()),
        };
        ask(self.client().verify_audit(&query)).await
    }

    async fn lines(
        &self,
        chain: Option<&str>,
        after: Option<u64>,
        take: Take<'_>,
    ) -> Result<(), Failure> {
        let query = query_of(chain, after);
        let mut export = ask(self.client().export_audit(&query)).await?;
        while let Some(piece) = ask(export.piece()).await? {
            take(&piece)?;
        }
        Ok(())
    }
}

fn query_of(chain: Option<&str>, after: Option<u64>) -> ChainQuery {
    ChainQuery {
        chain: chain.map(str::to_owned),
        after,
    }
}
