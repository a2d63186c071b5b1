//! Comparing sides fairly on a machine that is never quite quiet.
//!
//! Sides take turns in one process, so what disturbs the machine disturbs all
//! of them; a figure is the median of the ratios within rounds, so that slow
//! drift cancels; and each round begins with a look at the machine itself, so
//! that a disturbed one does not count.

pub mod calibration;
pub mod contest;
pub mod machine;
pub mod report;
pub mod row;
pub mod spread;
pub mod throughput;
