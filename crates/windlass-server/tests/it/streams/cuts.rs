//! A line that is cut anywhere: what was received and what is read on make
//! up the whole, no row twice and none missing.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use windlass::SystemEnv;
use windlass::stream::Settings;
use windlass_client::stream::{CloseStream, NewRow, ReadStream};
use windlass_client::{Client, RowsEnd};

use super::{Place, Said, data_of};

const ROWS: u64 = 200;

/// A stream of 200 kB in chunks of a page, closed.
async fn filled() -> Place {
    let settings = Settings {
        chunk_pages: 1,
        ..Settings::default()
    };
    let place = Place::with(settings, Arc::new(SystemEnv::new())).await;
    let pad = "x".repeat(990);
    let line = |n| format!("{{\"row\":{{\"n\":{n},\"pad\":\"{pad}\"}}}}\n");
    let lines: String = (0..ROWS).map(line).collect();
    place.append(&lines).await.expect(200);
    place.close().await;
    place
}

/// The numbers of the rows in lines, in their order.
fn numbers_in(lines: &[u8]) -> Vec<u64> {
    Said::of(lines).numbers()
}

#[tokio::test]
async fn lines_cut_at_every_byte_are_read_on_from_the_last_mark() {
    let place = filled().await;
    let whole = place.read("").await.expect(200).body;
    let cursor = Said::of(&whole).cursor().to_owned();
    let (mut received, mut marks) = (Vec::new(), Vec::new());
    // What a receiver has who was cut after so many bytes.
    let mut proven = Vec::new();
    let mut query = format!("?cursor={cursor}");
    let mut rests = HashMap::new();
    for line in whole.split_inclusive(|byte| *byte == b'\n') {
        proven.extend(std::iter::repeat_n(
            (received.len(), query.clone()),
            line.len() - 1,
        ));
        let text = str::from_utf8(line).expect("text");
        if let Some(row) = text.split("{\"row\":{\"n\":").nth(1) {
            let number = row.split(',').next().and_then(|it| it.parse().ok());
            marks.push(number.expect("a number"));
        } else if text.starts_with("{\"mark\"") {
            received.append(&mut marks);
            let value: serde_json::Value = serde_json::from_str(text).expect("a mark");
            let of = |name: &str| value["mark"][name].as_str().expect("text").to_owned();
            query = format!(
                "?cursor={cursor}&from={}&digest={}",
                of("offset"),
                of("digest")
            );
        }
        proven.push((received.len(), query.clone()));
    }
    assert!(proven.len() > 200_000, "{} bytes", proven.len());
    for (cut, (count, query)) in proven.into_iter().enumerate() {
        if !rests.contains_key(&query) {
            let rest = place.read(&query).await.expect(200);
            rests.insert(query.clone(), numbers_in(&rest.body));
        }
        let joined = received[..count].iter().chain(&rests[&query]);
        assert!(joined.copied().eq(0..ROWS), "cut after {cut} bytes");
    }
    assert!(rests.len() > 10, "{} marks", rests.len());
}

#[tokio::test]
async fn events_cut_at_every_byte_are_read_on_from_the_last_id() {
    let place = filled().await;
    let whole = place.events("", None).await.expect(200).body;
    let number = |line: &str| {
        let row = line.strip_prefix("{\"row\":{\"n\":")?;
        row.split(',').next()?.parse::<u64>().ok()
    };
    let mut rests: HashMap<Option<String>, Vec<u64>> = HashMap::new();
    let (mut received, mut last) = (Vec::new(), None);
    let mut cut = 0;
    let text = str::from_utf8(&whole).expect("events are text");
    for event in text.split_inclusive("\n\n") {
        // Cut anywhere within this event: the ones before it were received.
        if !rests.contains_key(&last) {
            let rest = place.events("", last.as_deref()).await;
            let data = data_of(&rest.body);
            rests.insert(
                last.clone(),
                data.iter().filter_map(|(_, line)| number(line)).collect(),
            );
        }
        let joined = received.iter().chain(&rests[&last]);
        assert!(joined.copied().eq(0..ROWS), "cut after {cut} bytes");
        cut += event.len();
        for (id, line) in data_of(event.as_bytes()) {
            last = id.or(last);
            received.extend(number(&line));
        }
    }
    assert!(
        cut > 200_000 && rests.len() > 200,
        "{cut} bytes, {} ids",
        rests.len()
    );
}

/// Passes on what is asked, and of each answer so many bytes as it is told;
/// all where it is told nothing.
async fn cutter(to: SocketAddr, seed: u64, most: u64, cuts: Arc<AtomicU64>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        let mut random = seed;
        while let Ok((client, _)) = listener.accept().await {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let left = (random >> 33) % most;
            tokio::spawn(pass(client, to, left, Arc::clone(&cuts)));
        }
    });
    address
}

async fn pass(mut client: TcpStream, to: SocketAddr, mut left: u64, cuts: Arc<AtomicU64>) {
    let mut server = TcpStream::connect(to).await.expect("the server");
    let (mut asked, mut answered) = (vec![0; 4_096], vec![0; 4_096]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => match read {
                Ok(0) | Err(_) => return,
                Ok(count) => server.write_all(&asked[..count]).await.expect("taken"),
            },
            read = server.read(&mut answered) => {
                let Ok(count @ 1..) = read else { return };
                let passed = count.min(usize::try_from(left).unwrap_or(usize::MAX));
                if client.write_all(&answered[..passed]).await.is_err() {
                    return;
                }
                left -= u64::try_from(passed).expect("small");
                if left == 0 {
                    cuts.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            }
        }
    }
}

fn client(address: SocketAddr) -> Client {
    let wait = Duration::from_millis(1);
    let settings = windlass_client::Settings::default().backoff(wait, wait);
    let settings = settings.retries(1_000);
    settings
        .connect(&format!("http://{address}"), None)
        .expect("an address")
}

/// How many cuts there have to be; many more at night.
#[expect(
    clippy::disallowed_methods,
    reason = "how much a test does is said by whoever runs it"
)]
fn cuts_wanted() -> u64 {
    let set = std::env::var("WINDLASS_STREAM_CUTS");
    set.map_or(60, |set| set.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_reads_on_by_itself_however_often_the_line_is_cut() {
    let place = filled().await;
    let whole = place.read("").await.expect(200).body;
    let expected = Said::of(&whole);
    let cuts = Arc::new(AtomicU64::new(0));
    let seed = 7;
    let address = cutter(place.server.address, seed, 120_000, Arc::clone(&cuts)).await;
    let stream = client(address).stream("o");
    while cuts.load(Ordering::Relaxed) < cuts_wanted() {
        let mut rows = stream.read(ReadStream::default());
        let mut came = Vec::new();
        while let Some(proven) = rows.next().await.expect("it reads on") {
            came.extend(proven.rows.into_iter().map(|row| row.content().clone()));
        }
        let sent = expected.rows.iter().map(|row| row.content().clone());
        assert!(came.into_iter().eq(sent), "seed {seed}");
        let mark = rows.mark().expect("a mark");
        let (offset, digest) = expected.mark.as_ref().expect("a mark");
        assert_eq!((&mark.offset, &mark.digest), (offset, digest));
        assert!(
            matches!(rows.end(), Some(RowsEnd::End(end)) if end.closed),
            "{:?}",
            rows.end()
        );
    }
    place.quiet().await;
    let (opened, closed) = place.ears.heard();
    assert_eq!(opened, closed.len(), "each read was closed once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_writes_as_rows_come_and_follows_to_the_end() {
    let place = Place::new().await;
    let client = client(place.server.address);
    let stream = client.stream("o");
    let json = |text: String| NewRow {
        row: Some(serde_json::value::RawValue::from_string(text).expect("json")),
        bytes: None,
    };
    let mut follower = stream.read(ReadStream {
        follow: Some(true),
        ..ReadStream::default()
    });
    let mut left = 0..50;
    let (to_writer, mut proven) = tokio::sync::mpsc::channel::<()>(1);
    let writing = stream.append_live(async || {
        let number = left.next()?;
        if number > 0 {
            // One row is proven to the follower before the next one is sent.
            proven.recv().await?;
        }
        Some(json(format!("{{\"n\":{number}}}")))
    });
    let reading = async {
        let mut came = 0;
        while let Some(proven) = follower.next().await.expect("it is followed") {
            came += proven.rows.len();
            for _ in &proven.rows {
                let _ = to_writer.send(()).await;
            }
            if came == 50 {
                stream.close(&CloseStream::default()).await.expect("closed");
            }
        }
        came
    };
    let (written, came) = tokio::join!(writing, reading);
    assert_eq!((written.expect("taken").rows, came), (50, 50));
    let whole = stream.append(&[json("1".to_owned())]).await;
    assert_eq!(whole.expect_err("it is closed").code(), "stream_closed");
    assert!(
        matches!(follower.end(), Some(RowsEnd::End(end)) if end.closed),
        "{:?}",
        follower.end()
    );
}
