//! Subscriptions of the Durable Streams protocol: cursors over many streams
//! that are kept for a worker, and wake it when there is something new.
//!
//! A subscription is linked to streams, by name or by a pattern, and knows of
//! each how far it was worked on. When a tail is beyond that, one worker is
//! woken and holds the subscription under a lease; what it acknowledges counts
//! only while it holds it. How a wake travels is not known here: whoever hosts
//! the subscriptions looks at them, and delivers what it is given.
//!
//! Read first: [`Subscriptions`] (what can be done), `rules.rs` (what becomes of
//! a subscription), `stored.rs` (why nothing is lost), `wakes.rs` (why a wake is
//! delivered once).

mod book;
mod error;
mod keys;
pub mod limits;
mod model;
mod paths;
mod pattern;
mod record;
mod rounds;
mod rules;
mod stored;
mod token;
mod wakes;
mod work;

pub use book::Subscriptions;
pub use error::SubscriptionError;
pub use model::{
    Ack, Acked, Address, Confirmed, Delivery, Hold, Linked, NewSubscription, SubscriptionView, Wake,
};
pub use pattern::{Pattern, PatternError};
pub use rounds::Round;
pub use rules::Failure;
pub use token::{WakeToken, WakeTokenError};
