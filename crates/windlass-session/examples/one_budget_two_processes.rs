//! Two engines over one store, as two processes would have them, and one
//! budget: what one spends the other's very next call sees.
//!
//! `cargo run -p windlass-session --example one_budget_two_processes`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::Arc;

use windlass_core::{AgentId, Coded, ManualEnv, Millis};
use windlass_session::{Agent, Allow, Caller, Config, Create, Sessions, Use};
use windlass_store_memory::MemoryStore;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = Arc::new(MemoryStore::new()?);
    // The operating system's time and randomness come from the facade; here
    // they are given by hand.
    let engine = |seed: u64| {
        let env = ManualEnv::new(seed, Millis::new(1_700_000_000_000));
        Sessions::new(Arc::clone(&store) as _, Arc::new(env), Config::default())
    };
    let (first, second) = (engine(1)?, engine(2)?);

    let caller = Caller::new("acme".parse()?, "runtime".parse()?);
    let agent: AgentId = "researcher".parse()?;
    let mut request = Create::new(agent.clone(), "compare three suppliers");
    request.tools = Allow::only(["search"])?;
    request.budget.calls = 3;
    let session = first.create(&caller, request).await?;

    for (name, engine) in [("first", &first), ("second", &second), ("first", &first)] {
        let search = Use::one(Agent::Is(agent.clone()), "search".parse()?);
        let receipt = engine.use_tools(&caller, &session.id, search).await?;
        println!(
            "{name}: call {}, {} left",
            receipt.first_call, receipt.left.calls
        );
    }
    let search = Use::one(Agent::Is(agent), "search".parse()?);
    let refusal = second.use_tools(&caller, &session.id, search).await.err();
    let refusal = refusal.ok_or("the budget was spent")?;
    println!("second: {} ({refusal})", refusal.code());
    assert_eq!(refusal.code(), "budget_exceeded");
    Ok(())
}
