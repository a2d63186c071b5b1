//! Clients that are slow, huge, broken or hostile: each is refused with an
//! answer or closed, changes nothing, and costs a healthy client little.

mod bodies;
mod crowds;
mod framing;
mod slow;
mod target;
mod wire;
