//! Connections: accepted in bounded number, framed strictly, never waited for
//! without an end.

mod accept;
mod door;
mod guard;
mod lasting;
mod places;
mod socket;

pub(crate) use accept::{Handle, Stage, accept};
pub(crate) use guard::HeadLimits;
pub(crate) use lasting::Lasting;
pub(crate) use places::Places;
pub(crate) use socket::{Flight, Flights};
