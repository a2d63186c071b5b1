//! The audit, for whoever may read what everybody of a tenant did.

use std::collections::BTreeMap;

use axum::body::Body;
use bytes::Bytes;
use windlass::access::{Reach, Verb};
use windlass::audit::{self, AuditError, AuditLog, Chain, ChainedEvent, Verify};
use windlass_client::audit as wire;
use windlass_client::page::Order;

use super::limit;
use crate::call::{Call, Reply, parse_id};
use crate::problem::{Problem, Refused};
use crate::route::{Access, Route};

const TAG: &str = "audit";

/// Events that are sent at a time.
const LINES_A_PIECE: usize = 500;

const FAILS: &[&str] = &["not_found", "reach_too_narrow", "invalid_request"];

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/audit", "list_audit", |call| Box::pin(list(call)))
            .about(TAG, "Lists events")
            .access(Access::Either(Verb::AuditRead))
            .serves(&["AuditLog::page"])
            .query::<wire::AuditQuery>()
            .answers::<wire::AuditPage>(200, "A page")
            .fails(FAILS),
        Route::get("/v1/audit/head", "get_audit_head", |call| {
            Box::pin(head(call))
        })
        .about(TAG, "Says where a chain stands")
        .access(Access::Either(Verb::AuditRead))
        .serves(&["AuditLog::head"])
        .query::<wire::ChainQuery>()
        .answers::<wire::AuditHead>(200, "Its numbers and hashes")
        .fails(FAILS),
        Route::get("/v1/audit/verify", "verify_audit", |call| {
            Box::pin(verify(call))
        })
        .about(TAG, "Verifies a chain, and says where it breaks first")
        .access(Access::Either(Verb::AuditRead))
        .serves(&["AuditLog::verify"])
        .query::<wire::VerifyQuery>()
        .answers::<wire::AuditVerified>(200, "What was found; a break is an answer")
        .fails(FAILS)
        .endless(),
        Route::get("/v1/audit/export", "export_audit", |call| {
            Box::pin(export(call))
        })
        .about(TAG, "Sends events as the lines that are stored and hashed")
        .access(Access::Either(Verb::AuditRead))
        .serves(&["AuditLog::lines"])
        .query::<wire::ChainQuery>()
        .sends(
            200,
            Some("application/x-ndjson"),
            "The lines; cut short if the store failed",
        )
        .fails(FAILS)
        .endless(),
    ]
}

/// The chain that is asked for, if it is there for whoever asks.
fn chain(call: &Call, asked: Option<&str>) -> Result<Chain, Refused> {
    let asked: Option<Chain> = asked.map(|name| parse_id("chain", name)).transpose()?;
    let own = Chain::of(call.identity.tenant());
    if call.identity.is_operator() {
        return Ok(asked.unwrap_or(own));
    }
    if call.identity.grant.reach != Reach::Tenant {
        let detail = "this needs a credential that reaches all sessions of its tenant";
        return Err(Box::new(Problem::new(403, "reach_too_narrow", detail)));
    }
    match asked {
        Some(asked) if asked != own => Err(Box::new(Problem::not_found())),
        _ => Ok(own),
    }
}

fn event(chained: ChainedEvent) -> wire::AuditEvent {
    let event = chained.event;
    wire::AuditEvent {
        seq: chained.seq,
        at: event.at.get(),
        action: event.action.into_owned(),
        outcome: match event.outcome {
            audit::AuditOutcome::Done => wire::AuditOutcome::Done,
            audit::AuditOutcome::Refused => wire::AuditOutcome::Refused,
            audit::AuditOutcome::Failed => wire::AuditOutcome::Failed,
        },
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

async fn list(call: Call) -> Result<Reply, Refused> {
    let asked: wire::AuditQuery = call.query()?;
    let chain = chain(&call, asked.chain.as_deref())?;
    let query = audit::AuditQuery {
        after: asked.after,
        limit: limit(asked.limit),
        newest_first: asked.order == Some(Order::Newest),
    };
    let page = call.app.engine.audit().page(&chain, &query).await?;
    Ok(Reply::json(&wire::AuditPage {
        events: page.events.into_iter().map(event).collect(),
        next: page.next,
    }))
}

async fn head(call: Call) -> Result<Reply, Refused> {
    let asked: wire::ChainQuery = call.query()?;
    let chain = chain(&call, asked.chain.as_deref())?;
    let head = call.app.engine.audit().head(&chain).await?;
    Ok(Reply::json(&wire::AuditHead {
        chain: chain.to_string(),
        first: head.first,
        anchor: head.anchor.to_string(),
        last: head.last,
        hash: head.hash.to_string(),
    }))
}

async fn verify(call: Call) -> Result<Reply, Refused> {
    let asked: wire::VerifyQuery = call.query()?;
    let chain = chain(&call, asked.chain.as_deref())?;
    let noted = match (asked.noted_seq, asked.noted_hash.as_deref()) {
        (None, None) => None,
        (Some(seq), Some(hash)) => {
            let hash = hash.parse().map_err(|_| unclear())?;
            Some((seq, hash))
        }
        _ => return Err(unclear()),
    };
    let asked = Verify {
        from: asked.from,
        noted,
    };
    let audit = call.app.engine.audit();
    // What this process still holds is part of the answer.
    audit.flush().await;
    let verified = audit.verify(&chain, asked, &mut |_, _| {}).await?;
    Ok(Reply::json(&verified))
}

fn unclear() -> Refused {
    let detail = "`noted_seq` and `noted_hash`, 64 hexadecimal digits, are given together";
    let problem = Problem::new(400, "invalid_request", detail);
    Box::new(problem.with("field", "noted_hash"))
}

async fn export(call: Call) -> Result<Reply, Refused> {
    let asked: wire::ChainQuery = call.query()?;
    let chain = chain(&call, asked.chain.as_deref())?;
    let audit = call.app.engine.audit().clone();
    audit.flush().await;
    let begin = Some(asked.after);
    let pieces = futures_util::stream::unfold(begin, move |after| {
        let (audit, chain) = (audit.clone(), chain.clone());
        async move { Some(piece(&audit, &chain, after?).await) }
    });
    Ok(Reply::of("application/x-ndjson", Body::from_stream(pieces)))
}

/// Where an export goes on; `None` at its end.
type Rest = Option<Option<u64>>;

/// The lines behind an event, and where to go on.
async fn piece(
    audit: &AuditLog,
    chain: &Chain,
    after: Option<u64>,
) -> (Result<Bytes, AuditError>, Rest) {
    let query = audit::AuditQuery {
        after,
        limit: LINES_A_PIECE,
        newest_first: false,
    };
    match audit.lines(chain, &query).await {
        Ok(page) => {
            let lines = page.lines.iter();
            let piece: Vec<u8> = lines
                .flat_map(|(_, line)| line.iter().copied().chain([b'\n']))
                .collect();
            (Ok(piece.into()), page.next.map(Some))
        }
        Err(error) => {
            tracing::warn!(%error, "an export of the audit ended early");
            (Err(error), None)
        }
    }
}
