//! What somebody who waits for rows holds of the server's memory.
//!
//! In a binary of its own: every allocation of the process is counted.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use peak_alloc::PeakAlloc;
use tokio::runtime::{Builder, Runtime};
use windlass::access::{Grant, Groups, NewKey, Reach, Scope, Verbs};
use windlass::stream::{Caller, NewStream, Settings};
use windlass::{Options, Windlass};
use windlass_server::{Config, Server};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Those who wait.
const FOLLOWERS: usize = 300;

/// Bytes that each of them may hold, the allocator's own left out.
const BYTES_MAX: usize = 8 * 1024;

struct Place {
    _runtime: Runtime,
    address: SocketAddr,
    token: String,
}

impl Place {
    fn start() -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let (address, token) = runtime.block_on(async {
            let location = "memory:".parse().expect("a location");
            let engine = Windlass::open(&location, options()).await.expect("a store");
            make_stream(&engine).await;
            let token = key(&engine).await;
            let mut config = Config::default();
            config.listen = "127.0.0.1:0".parse().expect("an address");
            config.maintain = false;
            let server = Server::bind(engine, config).await.expect("bound");
            let address = server.address();
            tokio::spawn(server.run(std::future::pending(), std::future::pending()));
            (address, token)
        });
        Self {
            _runtime: runtime,
            address,
            token,
        }
    }

    /// Follows the stream, and has read all there is.
    fn follow(&self, accept: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).expect("a connection");
        let token = &self.token;
        let request = format!(
            "GET /v1/streams/o/rows?follow=true HTTP/1.1\r\nHost: localhost\r\n\
             Accept: {accept}\r\nAuthorization: Bearer {token}\r\nUser-Agent: a follower\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("sent");
        let (mut bytes, mut filled) = ([0; 2048], 0);
        while !bytes[..filled].windows(11).any(|it| it == b"\"resumable\"") {
            let read = stream.read(&mut bytes[filled..]).expect("an answer");
            assert_ne!(read, 0, "{}", String::from_utf8_lossy(&bytes[..filled]));
            filled += read;
        }
        stream
    }

    /// What one of those holds who wait.
    fn measure(&self, accept: &str) -> usize {
        // What the first ones need is needed once.
        let _warm: Vec<_> = (0..30).map(|_| self.follow(accept)).collect();
        let mut held = Vec::with_capacity(FOLLOWERS);
        let before = MEMORY.current_usage();
        held.extend((0..FOLLOWERS).map(|_| self.follow(accept)));
        MEMORY.current_usage().saturating_sub(before) / FOLLOWERS
    }
}

fn options() -> Options {
    let streams = Settings {
        streams_max: 1_000,
        principal_streams_max: 1_000,
        ..Settings::default()
    };
    Options {
        streams,
        ..Options::default()
    }
}

async fn make_stream(engine: &Windlass) {
    let tenant = "acme".parse().expect("an identifier");
    let caller = Caller::new(tenant, "ann".parse().expect("an identifier"));
    let new = NewStream {
        id: Some("o".parse().expect("an identifier")),
        ..NewStream::of("s".parse().expect("an identifier"))
    };
    let made = engine.streams().create(&caller, &new).await;
    made.expect("a new name");
}

async fn key(engine: &Windlass) -> String {
    let grant = Grant {
        scope: Scope::Tenant {
            tenant: "acme".parse().expect("an identifier"),
            principal: "ann".parse().expect("an identifier"),
        },
        reach: Reach::Own,
        groups: Groups::None,
        verbs: Verbs::of(["stream.read"]).expect("a verb"),
    };
    let made = engine.keys().create(NewKey::new("a test's", grant)).await;
    made.expect("a key").1.reveal().to_owned()
}

#[test]
fn who_waits_for_rows_holds_no_buffers() {
    let place = Place::start();
    for accept in ["application/x-ndjson", "text/event-stream"] {
        let held = place.measure(accept);
        assert!(held <= BYTES_MAX, "{accept}: {held} bytes each");
        // If nothing were counted, nothing would be held.
        assert!(held >= BYTES_MAX / 8, "{accept}: {held} bytes each");
    }
}
