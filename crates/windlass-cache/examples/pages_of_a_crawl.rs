//! Pages that a tool fetched: one is given out stale while it is renewed, a
//! whole crawl is flushed at once, and the sweeper takes back what is left.
//!
//! `cargo run -p windlass-cache --example pages_of_a_crawl`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::Arc;

use windlass_cache::{Config, Freshness, Key, MemoryCache, Namespace, Policy, Put, SweepLimit};
use windlass_core::{ManualEnv, Millis};

fn main() -> Result<(), Box<dyn Error>> {
    // The facade brings the operating system's clock; here time is given by
    // hand.
    let env = Arc::new(ManualEnv::new(1, Millis::new(1_700_000_000_000)));
    let cache = MemoryCache::new(Arc::clone(&env) as _, Config::default())?;
    let crawl: Namespace = "crawl".parse()?;
    let policy = Policy {
        stale_ms: 30_000,
        ..Policy::ttl_ms(60_000)
    };
    for number in 0..100 {
        let key: Key = format!("page/{number}").parse()?;
        let put = Put {
            policy: policy.clone(),
            ..Put::new(format!("page {number}"))
        };
        cache.put(&crawl, &key, put)?;
    }

    env.advance_ms(61_000);
    let key: Key = "page/7".parse()?;
    for reader in ["first", "second"] {
        let found = cache.get(&crawl, &key).ok_or("it is stale, not gone")?;
        println!("the {reader} reader finds it {:?}", found.freshness());
    }
    cache.touch(&crawl, &key)?;
    let found = cache.get(&crawl, &key).ok_or("it was touched")?;
    assert_eq!(found.freshness(), Freshness::Fresh, "its time began anew");

    let flush = cache.flush_namespace(&crawl);
    println!("generation {} became {}", flush.before, flush.after);
    assert!(cache.get(&crawl, &key).is_none(), "all are gone at once");

    let first = cache.sweep_expired(SweepLimit::Entries(60), None);
    let second = cache.sweep_expired(SweepLimit::Entries(60), first.next);
    println!(
        "{} pages were swept, then {}",
        first.evicted, second.evicted
    );
    assert_eq!((first.evicted, second.evicted), (60, 40));
    assert!(!second.is_truncated(), "nothing is left");
    Ok(())
}
