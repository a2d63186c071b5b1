//! What a session has anyway, read as a stream is.

use clap::{Args, ValueEnum};
use serde_json::json;
use windlass::core::SessionId;
use windlass::sources::{Order, SourceOf, SourceQuery};
use windlass::stream::{Cursor, Start};

use super::change::cursor;
use super::read::Reading;
use crate::context::Context;
use crate::engine::Wanted;
use crate::failure::Failure;
use crate::session::arguments::OneSession;

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Source {
    /// Its recorded changes: uses, what they cost, what became of its budget
    Usage,
    /// The commits of its state
    Commits,
    /// The nodes of its graph
    Graph,
}

impl Source {
    const fn of(self, session: SessionId) -> SourceOf {
        match self {
            Self::Usage => SourceOf::Usage(session),
            Self::Commits => SourceOf::Commits(session),
            Self::Graph => SourceOf::Graph(session),
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct SourceArgs {
    /// What is read
    source: Source,
    #[command(flatten)]
    session: OneSession,
    /// Begin with what was added last
    #[arg(long, conflicts_with = "cursor")]
    newest_first: bool,
    /// Only rows of this kind: of events (`use`, `settle`, …), or of nodes
    #[arg(long, value_name = "KIND", conflicts_with = "cursor")]
    kind: Option<String>,
    /// At most so many rows
    #[arg(long, value_name = "N", conflicts_with = "cursor")]
    limit: Option<u64>,
    /// Go on with a read that was cut off, by its cursor
    #[arg(long, value_name = "CURSOR", value_parser = cursor)]
    cursor: Option<Cursor>,
    /// End that read for good, in place of going on with it
    #[arg(long, requires = "cursor", conflicts_with_all = ["after", "digest", "raw"])]
    cancel: bool,
    #[command(flatten)]
    reading: Reading,
}

/// Prints the rows that there are now, or ends a read of them.
pub(crate) async fn source(args: &SourceArgs, context: &Context) -> Result<(), Failure> {
    let of = args.source.of(args.session.id()?);
    let Some(cursor) = args.cursor else {
        let query = SourceQuery {
            of,
            order: match args.newest_first {
                true => Order::NewestFirst,
                false => Order::OldestFirst,
            },
            kind: args.kind.clone(),
            limit: args.limit,
        };
        return args.reading.receive(&Wanted::Source(query), context).await;
    };
    if !args.cancel {
        let start = args.reading.start(Start::Earliest);
        let wanted = Wanted::RestOfSource(of, cursor, start);
        return args.reading.receive(&wanted, context).await;
    }
    context
        .with_outputs(async |outputs| outputs.cancel_source(&of, &cursor).await)
        .await?;
    let output = context.output();
    output.answer(&json!({ "cancelled": true }), || "cancelled".to_owned())
}
