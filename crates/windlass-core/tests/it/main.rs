//! Tests of what every part shares.

mod combiner;
mod drops;
mod ids;
mod manual;
mod stress;
mod support;
mod time;
