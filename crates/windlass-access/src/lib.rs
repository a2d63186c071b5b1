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
//! Read first: [`Grant`] (what a credential stands for), [`ApiKey`] and
//! [`Secret`] (a key and the text that proves it), [`Tenant`] and
//! [`Certificate`].

pub mod error;
mod grant;
mod key;
pub mod limits;
mod tenant;
mod token;
mod verb;

pub use error::{AccessError, Problem};
pub use grant::{Grant, Groups, Reach, Scope};
pub use key::{ApiKey, KeyId, KeyPage, KeyQuery, KeysOf, NewKey, Rotate, UnreadableKey};
pub use tenant::{
    Certificate, Progress, Quota, Status, Tenant, TenantPage, TenantQuery, UnreadableTenant,
    Verification,
};
pub use token::Secret;
pub use verb::{Noun, UnknownVerb, Verb, VerbPattern, Verbs};

/// Compiles and runs the example that README.md shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
