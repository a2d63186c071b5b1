//! Tests of the cache of two tiers.

mod basics;
mod costs;
mod damage;
mod model;
mod orphans;
mod packing;
mod racing;
mod room;
mod rotten;
mod support;
