//! An agent's run as its runtime drives it: authorise, call, settle, close.
//!
//! `cargo run -p windlass --example agent_run` plays it in memory; with a
//! location, such as `-- sqlite:./agents.db`, it is kept.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use windlass::core::{AgentId, Coded};
use windlass::session::{Agent, Allow, Caller, Charge, Create, Outcome, Settle, Use, UseItem};
use windlass::{Options, Windlass};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let location = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "memory:".to_owned());
    let engine = Windlass::open(&location.parse()?, Options::default()).await?;
    let sessions = engine.sessions();
    let caller = Caller::new("acme".parse()?, "runtime".parse()?);
    let agent: AgentId = "researcher".parse()?;

    let mut request = Create::new(agent.clone(), "compare three suppliers");
    request.tools = Allow::only(["search", "ask_model"])?;
    request.budget.calls = 3;
    request.budget.tokens = Some(5_000);
    let session = sessions.create(&caller, request).await?;

    let search = Use::one(Agent::Is(agent.clone()), "search".parse()?);
    let receipt = sessions.use_tools(&caller, &session.id, search).await?;
    println!(
        "call {}: search, {} calls left",
        receipt.first_call, receipt.left.calls
    );

    // What a model call costs is known only afterwards: reserve, then settle.
    let mut item = UseItem::new("ask_model".parse()?);
    item.charge.tokens = 2_000;
    item.reserve = true;
    let ask = Use::batch(Agent::Is(agent.clone()), vec![item]);
    let receipt = sessions.use_tools(&caller, &session.id, ask).await?;
    let settlement = Settle {
        agent: Agent::Is(agent.clone()),
        call: receipt.first_call,
        outcome: Outcome::Cost(Charge {
            tokens: 1_200,
            cost_micros: 0,
        }),
        operation: None,
    };
    let left = sessions.settle(&caller, &session.id, settlement).await?;
    println!(
        "call {}: ask_model, {:?} tokens left",
        receipt.first_call, left.tokens
    );

    let shell = Use::one(Agent::Is(agent), "shell".parse()?);
    if let Err(refusal) = sessions.use_tools(&caller, &session.id, shell).await {
        println!("shell: {} ({refusal})", refusal.code());
    }

    let closed = sessions.close(&caller, &session.id, None).await?;
    println!("closed after {} calls", closed.calls_made);
    engine.close().await?;
    Ok(())
}
