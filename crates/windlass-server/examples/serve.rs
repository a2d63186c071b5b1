//! Serves a store in memory until Ctrl-C: `cargo run -p windlass-server
//! --example serve`. With `--once` it asks itself one thing and stops.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use windlass::{Options, Windlass};
use windlass_server::{Config, Server};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let engine = Windlass::open(&"memory:".parse()?, Options::default()).await?;
    let mut config = Config::default();
    config.listen = "127.0.0.1:0".parse()?;
    let server = Server::bind(engine.clone(), config).await?;
    let address = server.address();
    println!("listening on http://{address}, and to be read at http://{address}/docs");

    let once = std::env::args().any(|word| word == "--once");
    let until = async move {
        if !once {
            // An error means that there are no signals to wait for.
            let _ = tokio::signal::ctrl_c().await;
            return;
        }
        let mut line = TcpStream::connect(address).await.expect("it listens");
        let ask = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        line.write_all(ask).await.expect("it reads");
        let mut answer = String::new();
        line.read_to_string(&mut answer).await.expect("it answers");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        println!("{}", answer.lines().next().unwrap_or_default());
    };
    let stopped = server.run(until, std::future::pending()).await;
    println!("stopped; {} connections were cut", stopped.cut);
    engine.close().await?;
    Ok(())
}
