//! Three workers share the work of several sessions; one of them dies with work
//! in its hands, and the others do it once its claim has run out.

#![expect(clippy::print_stdout, reason = "an example speaks to whoever runs it")]

use std::sync::Arc;

use windlass_core::{ManualEnv, Millis, SessionId};
use windlass_queue::{Ask, Caller, Config, Queue, Under, Work};
use windlass_store_memory::MemoryStore;

type Failure = Box<dyn std::error::Error>;

/// Takes work until there is none; a worker that is mortal dies with the first
/// it gets.
async fn work(queue: &Queue, caller: &Caller, name: &str, mortal: bool) -> Result<(), Failure> {
    let ask = Ask {
        max: 2,
        ..Ask::new(name.parse()?, 30_000)
    };
    while let Some(claim) = queue.claim_any(caller, &ask, Under::NOTHING).await? {
        let steps: Result<Vec<&str>, _> = claim
            .work
            .iter()
            .map(|work| work.payloads[0].parse())
            .collect();
        let (session, attempt) = (&claim.session, claim.work[0].attempt);
        println!("{name}: {session} {:?}, attempt {attempt}", steps?);
        if mortal {
            println!("{name}: dies");
            return Ok(());
        }
        let done = claim.completed();
        queue.settle(caller, session, done, Under::NOTHING).await?;
    }
    Ok(())
}

async fn play() -> Result<(), Failure> {
    let env = Arc::new(ManualEnv::new(1, Millis::new(1_700_000_000_000)));
    let store = Arc::new(MemoryStore::new()?);
    let queue = Queue::new(store, env.clone(), Config::default())?;
    let caller = Caller::new("acme".parse()?, "runtime".parse()?);
    let mut all = Vec::new();
    for session in ["chat-1", "chat-2", "chat-3"] {
        let session: SessionId = session.parse()?;
        for step in ["read", "think", "answer"] {
            all.push((session.clone(), Work::json("step", step)?));
        }
    }
    queue.enqueue_all(&caller, all, Under::NOTHING).await?;
    work(&queue, &caller, "mortal", true).await?;
    work(&queue, &caller, "first", false).await?;
    println!("half a minute and some seconds pass");
    env.advance_ms(35_000);
    work(&queue, &caller, "second", false).await?;
    let left = queue.stored(&caller.tenant).await?;
    println!("{left} left");
    Ok(())
}

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(play())
}
