//! Tests of the cache of two tiers.

mod basics;
mod model;
mod support;
