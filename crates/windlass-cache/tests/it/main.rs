//! Tests of the cache in memory.

mod enumerating;
mod errors;
mod expiring;
mod invalidating;
mod limits;
mod model;
mod namespaces;
mod racing;
mod support;
mod sweeping;
mod tiered;
mod versions;
