//! Stores with sessions in them, the same for every side.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime::Runtime;
use windlass::audit::AuditOptions;
use windlass::core::{AgentId, OperationId, SessionId};
use windlass::session::{Agent, Allow, Caller, Charge, Create, RateLimit, Use, UseItem};
use windlass::{Options, SystemEnv, Windlass};
use windlass_store_sqlite::{Options as SqliteOptions, SqliteStore};

use crate::error::BenchError;

/// The tenant of all that is measured.
pub const TENANT: &str = "bench";
/// The principal that calls.
pub const PRINCIPAL: &str = "runtime";
/// The tool that is called.
pub const TOOL: &str = "search_documents";
/// What each call costs beside itself.
pub const CHARGE: Charge = Charge {
    tokens: 850,
    cost_micros: 1_200,
};
/// Calls a session may make: the most there are.
pub const CALLS: u64 = 1_000_000;

/// Most creations on their way at a time.
const CREATIONS_MAX: usize = 64;

/// A database with sessions, closed.
#[derive(Debug)]
pub struct Fixture {
    /// The file.
    pub path: PathBuf,
    /// How many sessions there are; their names are those of [`session_id`].
    pub sessions: usize,
}

impl Fixture {
    /// Makes a store of `sessions` sessions of `calls` calls each, and uses
    /// each once.
    ///
    /// # Errors
    ///
    /// The store's failures.
    pub fn create(
        runtime: &Runtime,
        path: PathBuf,
        sessions: usize,
        calls: u64,
    ) -> Result<Self, BenchError> {
        runtime.block_on(async {
            let windlass = open(&path, None).await?;
            fill(&windlass, sessions, calls).await?;
            windlass.store().close().await?;
            Ok(Self { path, sessions })
        })
    }

    /// Copies the database, so that another side begins with the very same
    /// file.
    ///
    /// # Errors
    ///
    /// [`BenchError::Io`].
    pub fn copy_to(&self, path: PathBuf) -> Result<Self, BenchError> {
        let verb = format!("copy a database to `{}`", path.display());
        fs::copy(&self.path, &path).map_err(BenchError::io(verb))?;
        let sessions = self.sessions;
        Ok(Self { path, sessions })
    }
}

/// Makes `sessions` sessions of `calls` calls each, and uses each once.
///
/// # Errors
///
/// The store's failures.
pub async fn fill(windlass: &Windlass, sessions: usize, calls: u64) -> Result<(), BenchError> {
    let ids: Vec<usize> = (0..sessions).collect();
    for chunk in ids.chunks(CREATIONS_MAX) {
        let born = chunk
            .iter()
            .map(|number| create_one(windlass, *number, calls));
        for born in futures(born).await {
            born?;
        }
    }
    Ok(())
}

async fn futures<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    futures_util::future::join_all(all).await
}

async fn create_one(windlass: &Windlass, number: usize, calls: u64) -> Result<(), BenchError> {
    let caller = caller();
    let session = windlass
        .sessions()
        .create(&caller, request(number, calls))
        .await?;
    windlass
        .sessions()
        .use_tools(&caller, &session.id, one_use(None))
        .await?;
    Ok(())
}

/// Opens the database at `path` as the engine does, with the defaults, over
/// the named VFS if there is one.
///
/// # Errors
///
/// The store's failures.
pub async fn open(path: &Path, vfs: Option<&str>) -> Result<Windlass, BenchError> {
    let options = SqliteOptions {
        vfs: vfs.map(str::to_owned),
        ..SqliteOptions::default()
    };
    over(path, options, &Options::default()).await
}

/// Opens the database at `path` with an audit as given.
///
/// # Errors
///
/// The store's failures.
pub async fn open_audited(
    path: &Path,
    audit: Option<AuditOptions>,
) -> Result<Windlass, BenchError> {
    let options = Options {
        audit,
        ..Options::default()
    };
    over(path, SqliteOptions::default(), &options).await
}

async fn over(
    path: &Path,
    below: SqliteOptions,
    options: &Options,
) -> Result<Windlass, BenchError> {
    let store = Arc::new(SqliteStore::open(path, below).await?);
    Windlass::over(store, options, Arc::new(SystemEnv::new()))
        .map_err(|cause| BenchError::Unfair(cause.to_string()))
}

/// Who calls.
#[must_use]
pub fn caller() -> Caller {
    Caller::new(
        TENANT.parse().expect("a valid tenant"),
        PRINCIPAL.parse().expect("a valid principal"),
    )
}

/// The name of session `number`, as long as one of our own making.
#[must_use]
pub fn session_id(number: usize) -> SessionId {
    let text = format!("01935a6c-8d00-7000-8000-{number:012x}");
    text.parse().expect("a valid session id")
}

/// The agent of session `number`: ten sessions each.
#[must_use]
pub fn agent_id(number: usize) -> AgentId {
    let text = format!("agent-{:07}", number / 10);
    text.parse().expect("a valid agent id")
}

/// A session as the bench makes it: with all meters, a rate limit and a few
/// tools, so that its hot record has a usual size.
#[must_use]
pub fn request(number: usize, calls: u64) -> Create {
    let mut request = Create::new(
        agent_id(number),
        "find and compare three suppliers of bearings",
    );
    request.id = Some(session_id(number));
    request.tools = Allow::only(["fetch_*", "search_*", "write_report"]).expect("valid patterns");
    request.budget.calls = calls;
    request.budget.tokens = Some(1_000_000_000_000);
    request.budget.cost_micros = Some(1_000_000_000_000);
    request.rate = Some(RateLimit::sliding(CALLS, 3_600_000));
    request.time_limit_ms = 24 * 3_600_000;
    request
}

/// One call of the tool.
#[must_use]
pub fn one_use(operation: Option<OperationId>) -> Use {
    let mut item = UseItem::new(TOOL.parse().expect("a valid name"));
    item.charge = CHARGE;
    let mut request = Use::batch(Agent::Unchecked, vec![item]);
    request.operation = operation;
    request
}

/// Operation ids as callers make them: random UUIDs of version 4. The bits
/// come from a counter that is mixed (SplitMix64), so that every run has the
/// same ones.
#[derive(Clone, Debug)]
pub struct OperationIds {
    state: u64,
}

impl OperationIds {
    /// The ids of one caller.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        Self {
            state: seed.wrapping_mul(0xd134_2543_de82_ef95),
        }
    }

    /// The next one.
    pub fn text(&mut self) -> String {
        let (high, low) = (self.draw(), self.draw());
        let (a, b, c) = (high >> 32, high >> 16 & 0xffff, high & 0xfff);
        let (d, e) = (low >> 48 & 0xfff, low & 0xffff_ffff_ffff);
        format!("{a:08x}-{b:04x}-4{c:03x}-8{d:03x}-{e:012x}")
    }

    fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operation_ids_look_like_random_uuids_and_differ() {
        let mut ids = OperationIds::of(1);
        let (first, second) = (ids.text(), ids.text());
        assert_ne!(first, second);
        assert_ne!(first, OperationIds::of(2).text());
        assert_eq!((first.len(), &first[14..15]), (36, "4"), "{first}");
        let parsed = first.parse::<OperationId>().map(|id| id.to_string());
        assert_eq!(parsed, Ok(first));
    }
}
