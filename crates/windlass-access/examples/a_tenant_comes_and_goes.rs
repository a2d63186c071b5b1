//! A tenant of a shared service: it gets a key, makes one that may do less,
//! exchanges the secret without a pause, and leaves no row behind.
//!
//! `cargo run -p windlass-access --example a_tenant_comes_and_goes`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::Arc;

use windlass_access::{
    Grant, Groups, Keys, NewKey, Progress, Quota, Reach, Rotate, Scope, Tenants, Verb, Verbs,
};
use windlass_core::{Env, ManualEnv, Millis, TenantId};
use windlass_store::Store;
use windlass_store_memory::MemoryStore;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // The facade brings the operating system's clock and randomness; here both
    // are given by hand, so these secrets are no secrets.
    let manual = Arc::new(ManualEnv::new(1, Millis::new(1_700_000_000_000)));
    let env: Arc<dyn Env> = manual.clone();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new()?);
    let keys = Keys::new(Arc::clone(&store), Arc::clone(&env));
    let tenants = Tenants::new(store, env);
    let acme: TenantId = "acme".parse()?;

    let admin = Grant {
        scope: Scope::Tenant {
            tenant: acme.clone(),
            principal: "gateway".parse()?,
        },
        reach: Reach::Tenant,
        groups: Groups::All,
        verbs: Verbs::all(),
    };
    keys.create(NewKey::new("administrator", admin.clone()))
        .await?;
    let worker = Grant {
        reach: Reach::Own,
        verbs: Verbs::of(["session.create", "session.use"])?,
        ..admin.clone()
    };
    assert!(admin.covers(&worker), "or it could not give that away");
    let (key, first) = keys.create(NewKey::new("gateway", worker)).await?;
    println!("`{}` may do {:?}", key.label, key.grant.verbs);

    let overlap = Rotate {
        overlap_ms: 60_000,
        operation: None,
    };
    let (_, second) = keys.rotate(&key.id, overlap).await?;
    manual.advance_ms(60_000);
    for (name, secret) in [("first", &first), ("second", &second)] {
        let known = keys.authenticate(secret.reveal()).await?;
        let may = known.is_some_and(|key| key.grant.allows(Verb::SessionUse));
        println!("a minute later the {name} secret lets in: {may}");
    }

    let quota = Quota {
        sessions: Some(1_000),
        ..Quota::default()
    };
    println!("{:?}", tenants.set_quota(&acme, quota).await?);
    let mut observe = |progress: &Progress| println!("{} rows erased", progress.rows);
    let certificate = tenants.erase(&acme, &mut observe).await?;
    println!("{} keys went with {}", certificate.keys_revoked, acme);
    let left = tenants.verify_erased(&acme).await?.remaining();
    assert_eq!(left, 0, "nothing is left");
    Ok(())
}
