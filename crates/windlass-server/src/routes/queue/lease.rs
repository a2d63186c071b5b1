//! The lease of a session.

use windlass::access::Verb;
use windlass::core::Millis;
use windlass::queue::limits::LEASE_MS_DEFAULT;
use windlass_client::queue as wire;

use super::{TAG, held_lease, of, queue, under_operation};
use crate::call::{Call, Reply, parse_id};
use crate::problem::Refused;
use crate::route::{Access, Route};

pub(super) fn routes() -> Vec<Route> {
    let renew = Route::post(
        "/v1/sessions/{session}/lease/renew",
        "renew_lease",
        |call| Box::pin(renew(call)),
    );
    let release = Route::post(
        "/v1/sessions/{session}/lease/release",
        "release_lease",
        |call| Box::pin(release(call)),
    );
    vec![
        Route::get("/v1/sessions/{session}/lease", "get_lease", |call| {
            Box::pin(show(call))
        })
        .about(TAG, "Says who holds a session's lease now")
        .access(Access::Tenant(Verb::QueueRead))
        .serves(&["Queue::lease"])
        .answers::<wire::LeaseAnswer>(200, "Who, if anybody"),
        Route::post("/v1/sessions/{session}/lease", "acquire_lease", |call| {
            Box::pin(acquire(call))
        })
        .about(TAG, "Takes a session's lease, if nobody holds it")
        .access(Access::Tenant(Verb::QueueWork))
        .serves(&["Queue::acquire_lease"])
        .takes::<wire::AcquireLease>()
        .answers::<wire::Lease>(200, "The lease")
        .fails(&["lease_held"]),
        renew
            .about(TAG, "Holds a lease for its time from now on")
            .access(Access::Tenant(Verb::QueueWork))
            .serves(&["Queue::renew_lease", "Queue::held_lease"])
            .takes::<wire::HeldLease>()
            .answers::<wire::Lease>(200, "The lease")
            .fails(&["lease_lost"])
            .without_operation(),
        release
            .about(TAG, "Gives a lease back, for others to take at once")
            .access(Access::Tenant(Verb::QueueWork))
            .serves(&["Queue::release_lease"])
            .takes::<wire::HeldLease>()
            .answers::<wire::LeaseAnswer>(200, "That nobody holds it")
            .fails(&["lease_lost"])
            .without_operation(),
    ]
}

fn shown(owner: &windlass::core::OwnerId, generation: u64, until: Millis) -> wire::Lease {
    wire::Lease {
        owner: owner.to_string(),
        generation,
        until: until.get(),
    }
}

async fn show(call: Call) -> Result<Reply, Refused> {
    let of = of(&call).await?;
    let found = queue(&call).lease(&of.caller, &of.session).await?;
    let lease = found.map(|lease| shown(&lease.owner, lease.generation, lease.until));
    Ok(Reply::json(&wire::LeaseAnswer { lease }))
}

async fn acquire(call: Call) -> Result<Reply, Refused> {
    let asked: wire::AcquireLease = call.json()?;
    let owner = parse_id("owner", &asked.owner)?;
    let ttl_ms = asked.ttl_ms.unwrap_or(LEASE_MS_DEFAULT);
    let of = of(&call).await?;
    let under = under_operation(call.operation.clone());
    let lease = queue(&call).acquire_lease(&of.caller, &of.session, &owner, ttl_ms, under);
    let lease = lease.await?;
    Ok(Reply::json(&shown(
        &lease.owner,
        lease.generation,
        lease.until,
    )))
}

async fn renew(call: Call) -> Result<Reply, Refused> {
    let asked: wire::HeldLease = call.json()?;
    let of = of(&call).await?;
    let held = held_lease(&call, &of.caller, &of.session, &asked).await?;
    let lease = queue(&call).renew_lease(&of.caller, &held).await?;
    Ok(Reply::json(&shown(
        &lease.owner,
        lease.generation,
        lease.until,
    )))
}

async fn release(call: Call) -> Result<Reply, Refused> {
    let asked: wire::HeldLease = call.json()?;
    let of = of(&call).await?;
    let held = held_lease(&call, &of.caller, &of.session, &asked).await?;
    queue(&call).release_lease(&of.caller, &held).await?;
    Ok(Reply::json(&wire::LeaseAnswer { lease: None }))
}
