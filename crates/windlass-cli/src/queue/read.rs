//! The commands that show queues and change nothing.

use clap::{Args, ValueEnum};
use serde_json::json;
use windlass_client::page::PageQuery;
use windlass_client::queue::{WorkQuery, WorkState};

use super::show;
use crate::context::Context;
use crate::failure::Failure;
use crate::session::arguments::{OneSession, id};

/// Which work of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum StateWord {
    /// In line and not claimed
    #[default]
    Pending,
    /// Held by somebody
    Claimed,
    /// Not tried any more
    Dead,
}

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    session: OneSession,
    /// In which state
    #[arg(long, value_enum, default_value_t)]
    state: StateWord,
    /// At most so many: 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u64,
    /// Go on where an earlier page ended
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    session: OneSession,
    /// The name of the work
    #[arg(value_name = "ID")]
    work: String,
}

#[derive(Args, Debug)]
pub(crate) struct CountsArgs {
    /// The session; all that have queues if left out
    #[arg(value_name = "SESSION")]
    session: Option<String>,
    /// At most so many sessions: 1 to 1000
    #[arg(
        long,
        value_name = "N",
        default_value_t = 100,
        conflicts_with = "session"
    )]
    limit: u64,
    /// Go on where an earlier page ended
    #[arg(long, value_name = "CURSOR", conflicts_with = "session")]
    cursor: Option<String>,
}

/// Lists work, as a table or as one object a line.
pub(crate) async fn list(args: &ListArgs, context: &Context) -> Result<(), Failure> {
    let session = args.session.id()?;
    let query = WorkQuery {
        state: Some(match args.state {
            StateWord::Pending => WorkState::Pending,
            StateWord::Claimed => WorkState::Claimed,
            StateWord::Dead => WorkState::Dead,
        }),
        payloads: None,
        limit: Some(args.limit),
        cursor: args.cursor.clone(),
    };
    let page = context
        .with_lines(async |lines| lines.list(&session, &query).await)
        .await?;
    let output = context.output();
    if output.json() {
        page.work.iter().try_for_each(|work| output.object(work))?;
    } else {
        output.text(&show::work(&page.work))?;
    }
    for why in &page.unreadable {
        let text = format!("a row cannot be read: {why}");
        output.note(&json!({ "unreadable": why }), &text);
    }
    go_on(context, page.next_cursor.as_deref());
    Ok(())
}

fn go_on(context: &Context, next: Option<&str>) {
    if let Some(next) = next {
        let text = format!("there are more; go on with `--cursor {next}`");
        context.output().note(&json!({ "next": next }), &text);
    }
}

/// Shows work with its payloads.
pub(crate) async fn show(args: &ShowArgs, context: &Context) -> Result<(), Failure> {
    let (session, work) = (args.session.id()?, args.work.parse()?);
    let found = context
        .with_lines(async |lines| lines.work(&session, work).await)
        .await?;
    context.output().answer(&found, || show::one(&found))
}

/// Counts the work of one session, or of all.
pub(crate) async fn counts(args: &CountsArgs, context: &Context) -> Result<(), Failure> {
    let output = context.output();
    if let Some(session) = &args.session {
        let session = id(session)?;
        let counts = context
            .with_lines(async |lines| lines.counts(&session).await)
            .await?;
        return output.answer(&counts, || show::counts(&counts));
    }
    let query = PageQuery {
        limit: Some(args.limit),
        cursor: args.cursor.clone(),
    };
    let page = context
        .with_lines(async |lines| lines.queues(&query).await)
        .await?;
    if output.json() {
        page.sessions
            .iter()
            .try_for_each(|one| output.object(one))?;
    } else {
        output.text(&show::overview(&page.sessions))?;
    }
    for one in &page.unreadable {
        let text = format!("the queue of `{}` cannot be read: {}", one.id, one.why);
        output.note(&json!({ "unreadable": one }), &text);
    }
    go_on(context, page.next_cursor.as_deref());
    Ok(())
}
