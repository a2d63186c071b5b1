//! An agent writes while somebody reads. The reader's line is cut in the middle
//! of a row; it reads on behind the last mark that came whole, and has the same
//! rows, each once, with the digest to prove it.

#![expect(clippy::print_stdout, reason = "an example speaks to whoever runs it")]

use std::sync::Arc;

use windlass_core::{ManualEnv, Millis};
use windlass_store_memory::MemoryStore;
use windlass_stream::{
    Caller, Ending, Frame, Mark, NewStream, Open, Reader, Row, Settings, Start, Streams,
};

type Failure = Box<dyn std::error::Error>;

/// All lines until the stream ends.
async fn lines(reader: &mut Reader) -> Result<Vec<u8>, Failure> {
    let mut received = Vec::new();
    while let Some(frame) = reader.next().await? {
        if let Frame::Chunk(chunk) = frame {
            received.extend_from_slice(chunk.lines());
        }
    }
    Ok(received)
}

/// What to keep of what came: everything up to the last whole mark, and that
/// mark.
fn kept(received: &[u8]) -> (usize, Mark) {
    let (mut at, mut last) = (0, (0, Mark::START));
    for line in received.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        last = Mark::of_line(line).map_or(last, |mark| (at, mark));
    }
    last
}

async fn play() -> Result<(), Failure> {
    let env = Arc::new(ManualEnv::new(1, Millis::new(1_700_000_000_000)));
    let streams = Streams::new(Arc::new(MemoryStore::new()?), env, &Settings::default())?;
    let caller = Caller::new("acme".parse()?, "ann".parse()?);

    let output = NewStream::of("chat-7".parse()?);
    let mut writer = streams.create(&caller, &output).await?;
    for sentence in [["Forty", "-two."], ["Why", "?"], ["Ask", " again."]] {
        for token in sentence {
            writer.append(&Row::json(format!("{token:?}"))?).await?;
        }
        writer.flush().await?;
    }
    writer.close(Ending::Finished).await?;

    let all = Open::all(writer.stream().clone());
    let whole = lines(&mut streams.open(&caller, &all).await?).await?;
    let cut = &whole[..whole.len() - 130];
    let (length, mark) = kept(cut);
    println!("{} bytes came, {length} of them proven", cut.len());
    println!("reading on behind {}", mark.offset);

    let open = Open {
        start: Start::At(mark.offset, Some(mark.digest)),
        ..all
    };
    let mut joined = cut[..length].to_vec();
    joined.extend(lines(&mut streams.open(&caller, &open).await?).await?);
    println!("the same bytes: {}", joined == whole);
    print!("{}", String::from_utf8_lossy(&joined));
    Ok(())
}

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(play())
}
