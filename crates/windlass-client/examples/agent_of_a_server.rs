//! Prints what an agent may do on a server, call by call, until its budget is
//! spent. In one terminal:
//!
//! ```text
//! cargo run -p windlass-cli -- --store sqlite:./demo.db serve
//! ```
//!
//! In another:
//!
//! ```text
//! cargo run -p windlass-client --example agent_of_a_server
//! ```
//!
//! The first argument is the address of another server than the one on this
//! machine, whose key is in `WINDLASS_KEY`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use windlass_client::session::{Allow, Budget, CreateSession, UseTools};
use windlass_client::{Settings, Token};

/// The server that `windlass serve` starts where nothing else is said.
const HERE: &str = "http://127.0.0.1:7411";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| HERE.to_owned());
    #[expect(clippy::disallowed_methods, reason = "a program, which may read it")]
    let key = std::env::var("WINDLASS_KEY").ok();
    let token = key.map(|key| Token::new(&key)).transpose()?;
    let client = Settings::default().connect(&url, token)?;

    let mut request = CreateSession::new("researcher", "compare three suppliers");
    request.tools = Some(Allow::Only(vec!["search".to_owned(), "read_*".to_owned()]));
    request.budget = Some(Budget {
        calls: Some(3),
        ..Budget::default()
    });
    let session = match client.create_session(&request).await {
        Err(error) if error.code() == "server_unreachable" => {
            println!("no server answers at {url}: start one as the head of this file says");
            return Ok(());
        }
        created => created?,
    };
    println!("session {}", session.id);

    for tool in ["search", "send_email", "read_page", "search", "search"] {
        let call = UseTools::one("researcher", tool);
        match client.use_tools(&session.id, &call).await {
            Ok(receipt) => println!(
                "{tool}: call {}, {} left",
                receipt.first_call, receipt.left.calls
            ),
            Err(error) if error.is_retryable() => return Err(error.into()),
            Err(error) => println!("{tool}: {} ({error})", error.code()),
        }
    }

    client.close(&session.id).await?;
    let mut events = client.events(&session.id, 0);
    while let Some(event) = events.next().await? {
        println!("event {}: {:?}", event.number, event.what);
    }
    Ok(())
}
