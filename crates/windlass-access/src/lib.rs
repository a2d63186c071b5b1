//! Who may call a service that many share, how much of it they may use, and
//! how everything of one of them is taken away again.
//!
//! Three things: API keys, of which only a hash is stored; tenants with their
//! quotas; and the erasure of a tenant, whole and with proof.
//!
//! This crate does not know HTTP, what a session or a stash is, or how much
//! of either a tenant has: it knows that a tenant's rows begin with its name.
//! It has no clock and no runtime: time and randomness come through
//! [`windlass_core::Env`].
//!
//! Read first: [`Keys`] and [`Tenants`] (what can be done), [`Grant`] (what a
//! credential stands for), [`AccessError`] (how it is refused).
//!
//! ```
//! use std::sync::Arc;
//! use windlass_access::{Grant, Groups, Keys, NewKey, Reach, Scope, Verb, Verbs};
//! use windlass_core::{ManualEnv, Millis};
//! use windlass_store_memory::MemoryStore;
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let store = Arc::new(MemoryStore::new()?);
//! let env = Arc::new(ManualEnv::new(1, Millis::new(1_700_000_000_000)));
//! let keys = Keys::new(store, env);
//!
//! let grant = Grant {
//!     scope: Scope::Tenant { tenant: "acme".parse()?, principal: "runtime".parse()? },
//!     reach: Reach::Own,
//!     groups: Groups::None,
//!     verbs: Verbs::of(["session.*"])?,
//! };
//! let (key, secret) = keys.create(NewKey::new("the runtime's", grant)).await?;
//!
//! let caller = keys.authenticate(secret.reveal()).await?.expect("it was just made");
//! assert!(caller.grant.allows(Verb::SessionUse) && !caller.grant.allows(Verb::StashRead));
//!
//! keys.revoke(&key.id).await?;
//! assert_eq!(keys.authenticate(secret.reveal()).await?, None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod check;
mod engine;
mod erase;
pub mod error;
mod grant;
mod heard;
mod key;
mod keys;
mod layout;
pub mod limits;
mod record;
mod seal;
mod sweep;
mod tenant;
mod tenants;
mod token;
mod verb;

pub use error::{AccessError, Problem};
pub use grant::{Grant, Groups, Reach, Scope};
pub use key::{ApiKey, KeyId, KeyPage, KeyQuery, KeysOf, NewKey, Rotate, UnreadableKey};
pub use keys::Keys;
pub use sweep::SweepReport;
pub use tenant::{
    Certificate, Progress, Quota, Status, Tenant, TenantPage, TenantQuery, UnreadableTenant,
    Verification,
};
pub use tenants::Tenants;
pub use token::Secret;
pub use verb::{Noun, UnknownVerb, Verb, VerbPattern, Verbs};

/// Compiles and runs the example that README.md shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
