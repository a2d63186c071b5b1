//! The commands that show sessions and change nothing.

use clap::Args;
use serde_json::json;
use windlass::core::AgentId;
use windlass_client::page::{LIMIT_MAX, Order};
use windlass_client::session::{Event, EventsQuery, ListSessions, Session, Status, Unreadable};

use super::arguments::{OneSession, id, status};
use super::show;
use crate::context::Context;
use crate::engine::{Engine, number};
use crate::failure::Failure;

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Only those of this agent
    #[arg(long, value_name = "ID")]
    agent: Option<String>,
    /// Only those in this state
    #[arg(long, value_name = "STATUS", value_parser = status())]
    status: Option<Status>,
    /// Only those created at this time or later, in Unix milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    created_from: u64,
    /// Only those created before this time, in Unix milliseconds
    #[arg(long, value_name = "MS")]
    created_until: Option<u64>,
    /// Oldest first instead of newest first
    #[arg(long)]
    oldest_first: bool,
    /// At most so many: 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 100, conflicts_with = "all")]
    limit: u64,
    /// Go on where an earlier listing ended
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// All there are, however many
    #[arg(long)]
    all: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    session: OneSession,
}

#[derive(Args, Debug)]
pub(crate) struct HistoryArgs {
    #[command(flatten)]
    session: OneSession,
    /// Only events after this number
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    after: u64,
    /// At most so many: 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 100, conflicts_with = "all")]
    limit: u64,
    /// All there are, however many
    #[arg(long)]
    all: bool,
}

#[derive(Args, Debug)]
pub(crate) struct CountArgs {
    /// The agent
    #[arg(value_name = "AGENT")]
    agent: String,
}

impl ListArgs {
    fn query(&self) -> Result<ListSessions, Failure> {
        let agent = self.agent.as_deref().map(id::<AgentId>).transpose()?;
        let order = if self.oldest_first {
            Order::Oldest
        } else {
            Order::Newest
        };
        Ok(ListSessions {
            agent: agent.map(|agent| agent.to_string()),
            status: self.status,
            created_from: Some(self.created_from),
            created_until: self.created_until,
            order: Some(order),
            limit: Some(if self.all { LIMIT_MAX } else { self.limit }),
            cursor: self.after.clone(),
        })
    }
}

/// What a listing found beside the rows that were given out already.
#[derive(Default)]
struct Listing {
    /// Rows that are still to be shown.
    sessions: Vec<Session>,
    unreadable: Vec<Unreadable>,
    next: Option<String>,
}

/// Lists sessions. Each is shown as it was when its page was read.
pub(crate) async fn list(args: ListArgs, context: &Context) -> Result<(), Failure> {
    let query = args.query()?;
    let listing = context
        .with_engine(async |engine| pages(engine, query, args.all, context).await)
        .await?;
    if !context.output().json() {
        context.output().text(&show::sessions(&listing.sessions))?;
    }
    tell(&listing, context);
    Ok(())
}

/// Reads as many rows as the query asks for, or all. As JSON each is given out
/// at once; a table needs all of its rows first.
async fn pages(
    engine: &dyn Engine,
    mut query: ListSessions,
    all: bool,
    context: &Context,
) -> Result<Listing, Failure> {
    let output = context.output();
    let mut listing = Listing::default();
    loop {
        let mut page = engine.sessions(&query).await?;
        let came = page.sessions.len() + page.unreadable.len();
        let left = query.limit.map(|limit| limit.saturating_sub(number(came)));
        listing.unreadable.append(&mut page.unreadable);
        if output.json() {
            page.sessions
                .iter()
                .try_for_each(|session| output.object(session))?;
        } else {
            listing.sessions.append(&mut page.sessions);
        }
        listing.next = page.next_cursor;
        if listing.next.is_none() || (!all && left == Some(0)) {
            return Ok(listing);
        }
        if !all {
            query.limit = left;
        }
        query.cursor.clone_from(&listing.next);
    }
}

/// Says what is not among the rows: what cannot be read, and where to go on.
fn tell(listing: &Listing, context: &Context) {
    let output = context.output();
    for unreadable in &listing.unreadable {
        let text = format!(
            "session `{}` cannot be read: {}",
            unreadable.id, unreadable.why
        );
        output.note(&json!({ "unreadable": unreadable }), &text);
    }
    if let Some(next) = &listing.next {
        tell_next(next, context);
    }
}

fn tell_next(next: &str, context: &Context) {
    let text = format!("there are more; go on with `--after {next}`");
    context.output().note(&json!({ "next": next }), &text);
}

/// Shows one session.
pub(crate) async fn show(args: &ShowArgs, context: &Context) -> Result<(), Failure> {
    let id = args.session.id()?;
    let session = context
        .with_engine(async |engine| engine.session(&id).await)
        .await?;
    context
        .output()
        .answer(&session, || show::session(&session))
}

/// Shows what happened in a session.
pub(crate) async fn history(args: &HistoryArgs, context: &Context) -> Result<(), Failure> {
    let output = context.output();
    let (events, more) = context
        .with_engine(async |engine| events(engine, args).await)
        .await?;
    if output.json() {
        events.iter().try_for_each(|event| output.object(event))?;
    } else {
        output.text(&show::events(&events))?;
    }
    if let Some(last) = events.last().filter(|_| more) {
        tell_next(&last.number.to_string(), context);
    }
    Ok(())
}

async fn events(engine: &dyn Engine, args: &HistoryArgs) -> Result<(Vec<Event>, bool), Failure> {
    let id = args.session.id()?;
    let mut query = EventsQuery {
        after: Some(args.after),
        limit: Some(if args.all { LIMIT_MAX } else { args.limit }),
    };
    let mut events: Vec<Event> = Vec::new();
    loop {
        let mut page = engine.history(&id, &query).await?;
        events.append(&mut page.events);
        match events.last() {
            Some(last) if args.all && page.more => query.after = Some(last.number),
            _ => return Ok((events, page.more)),
        }
    }
}

/// Counts an agent's active sessions.
pub(crate) async fn count(args: &CountArgs, context: &Context) -> Result<(), Failure> {
    let agent = id(&args.agent)?;
    let active = context
        .with_engine(async |engine| engine.count_active(&agent).await)
        .await?;
    context
        .output()
        .answer(&json!({ "active": active }), || active.to_string())
}
