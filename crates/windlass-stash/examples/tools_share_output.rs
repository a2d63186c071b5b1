//! Two families of tools in one session: each keeps what it found where the
//! other cannot touch it, and both add to one counter.
//!
//! `cargo run -p windlass-stash --example tools_share_output`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::Arc;

use windlass_core::{Coded, GroupId, ManualEnv, Millis};
use windlass_stash::{Config, Key, MemoryStash};

fn main() -> Result<(), Box<dyn Error>> {
    // The facade brings the operating system's clock; here time is given by
    // hand.
    let env = Arc::new(ManualEnv::new(1, Millis::new(1_700_000_000_000)));
    let stash = MemoryStash::new(Arc::clone(&env) as _, Config::default())?;
    let search = stash.execution(Some("search".parse::<GroupId>()?));
    let mail = stash.execution(Some("mail".parse::<GroupId>()?));
    let anyone = stash.execution(None);

    let page: Key = "search:page-1".parse()?;
    search.put(&page, &["three", "suppliers"], Some(60_000))?;
    let refused = mail.get(&page).err().ok_or("the page is not theirs")?;
    println!(
        "mail reads {}: {} ({refused})",
        page.as_str(),
        refused.code()
    );

    // What nobody in particular has put is shared by all.
    let calls: Key = "calls".parse()?;
    anyone.put(&calls, &0, None)?;
    println!("calls: {}", anyone.increment(&calls, 2, None)?.value);

    let found = search.get(&page)?.ok_or("it lives for a minute")?;
    println!("search reads {}", found.as_json());
    env.advance_ms(60_000);
    println!("after a minute: {:?}", search.get(&page)?);

    // What has expired holds nothing, even before anybody sweeps.
    let live = stash.usage().live;
    println!("{} key in {} bytes is left", live.keys, live.value_bytes);
    assert_eq!(live.keys, 1, "the counter");
    Ok(())
}
