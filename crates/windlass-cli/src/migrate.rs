//! `windlass migrate`: brings a server's schema up to date.

use clap::Args;
use serde_json::json;
use windlass::core::{Coded, ErrorKind};
use windlass::migration::{self, Schema, Step};

use crate::context::Context;
use crate::failure::Failure;
use crate::output::Output;
use crate::table;

/// Makes the schema of a store on PostgreSQL, or brings it up to date.
///
/// Safe while servers of the previous release run, and if several do it at
/// once; all of it happens or nothing. Stores in files are brought up to date
/// when they are opened.
#[derive(Args, Debug)]
pub(crate) struct MigrateArgs {
    /// Change nothing, and fail with exit code 1 if there is something to do
    #[arg(long)]
    check: bool,
}

/// There is something to migrate.
#[derive(Debug, thiserror::Error)]
#[error("the store has to be migrated; run `windlass migrate`")]
struct NotCurrent;

impl Coded for NotCurrent {
    fn code(&self) -> &'static str {
        "migration_needed"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Environment
    }
}

/// Migrates, or says whether there is something to migrate.
pub(crate) async fn run(args: &MigrateArgs, context: &Context) -> Result<(), Failure> {
    context.needs_store("`migrate`")?;
    let output = context.output();
    let mut told = |Step { format, last }: Step| {
        let text = format!("to format {format} of {last}");
        output.note(&json!({ "format": format, "last": last }), &text);
    };
    let schema = if args.check {
        migration::check(context.location()).await?
    } else {
        migration::migrate(context.location(), &mut told).await?
    };
    tell(output, schema)?;
    match schema {
        Some(schema) if !schema.is_current() => Err(Failure::Check(Box::new(NotCurrent))),
        _ => Ok(()),
    }
}

fn tell(output: &Output, schema: Option<Schema>) -> Result<(), Failure> {
    let Some(schema) = schema else {
        let object = json!({ "current": true });
        let text = "a store of this kind is brought up to date when it is opened";
        return output.answer(&object, || text.to_owned());
    };
    let Schema { found, expected } = schema;
    let current = schema.is_current();
    let object = json!({ "current": current, "found": found, "expected": expected });
    output.answer(&object, || {
        let found = found.map_or_else(|| "none".to_owned(), |found| found.to_string());
        table::fields([
            ("current", if current { "yes" } else { "no" }.to_owned()),
            ("found", found),
            ("expected", expected.to_string()),
        ])
    })
}
