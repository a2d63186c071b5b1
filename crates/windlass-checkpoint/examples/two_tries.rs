//! An agent tries something, takes it back, tries something else, and both
//! tries stay to be looked at: one in the history, one in a fork.

#![expect(clippy::print_stdout, reason = "an example speaks to whoever runs it")]

use std::sync::Arc;

use windlass_checkpoint::{
    At, Caller, Changes, CheckpointError, Checkpoints, Config, Expected, Payload,
};
use windlass_core::{ManualEnv, Millis, SessionId};
use windlass_store_memory::MemoryStore;

type Failure = Box<dyn std::error::Error>;

struct Agent {
    checkpoints: Checkpoints,
    caller: Caller,
}

impl Agent {
    /// Commits one message and the plan that goes with it.
    async fn say(&self, session: &SessionId, text: &str, plan: &str) -> Result<u64, Failure> {
        let said =
            Payload::Json(format!("{{\"role\":\"assistant\",\"content\":\"{text}\"}}").into());
        let changes = Changes::default()
            .json("plan".parse()?, plan.to_owned())
            .append("message", said);
        let done = self
            .checkpoints
            .commit(&self.caller, session, changes)
            .await?;
        println!("{session}: revision {} says `{text}`", done.revision);
        Ok(done.revision)
    }

    /// Shows what the session says from its beginning on.
    async fn show(&self, session: &SessionId) -> Result<(), Failure> {
        let path = self
            .checkpoints
            .path(&self.caller, session, &At::Head, None, 100);
        for node in path.await?.unwrap_or_default().nodes {
            let text = node.payload.as_ref().map(Payload::bytes);
            let text = text.map(|text| String::from_utf8_lossy(text).into_owned());
            println!("{session}:   {} {}", node.number, text.unwrap_or_default());
        }
        Ok(())
    }
}

async fn play() -> Result<(), Failure> {
    let env = Arc::new(ManualEnv::new(1, Millis::new(1_700_000_000_000)));
    let store = Arc::new(MemoryStore::new()?);
    let agent = Agent {
        checkpoints: Checkpoints::new(store, env, Config::default())?,
        caller: Caller::new("acme".parse()?, "runtime".parse()?),
    };
    let (session, aside): (SessionId, SessionId) = ("s1".parse()?, "s1-aside".parse()?);
    let good = agent
        .say(&session, "I read the report", r#"["read","answer"]"#)
        .await?;
    agent
        .say(&session, "I guess the total", r#"["guess"]"#)
        .await?;

    let (checkpoints, caller) = (&agent.checkpoints, &agent.caller);
    checkpoints
        .fork(caller, &session, None, &aside, None)
        .await?;
    let back = checkpoints
        .rollback(caller, &session, good, Expected::Any, None)
        .await?;
    println!("{session}: revision {} is as {good} was", back.revision);
    agent
        .say(&session, "I add up the lines", r#"["answer"]"#)
        .await?;

    let late = checkpoints
        .commit(caller, &session, Changes::at(good))
        .await;
    match late {
        Err(CheckpointError::HeadRevisionConflict { actual, .. }) => {
            println!("{session}: a late writer learns that the head is at {actual}");
        }
        other => return Err(format!("{other:?}").into()),
    }
    agent.show(&session).await?;
    agent.show(&aside).await
}

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(play())
}
