//! The durable form: the same answers as the form in memory, from a store that
//! several processes share and that fails at every step.

mod auditing;
mod crashes;
mod damage;
mod drops;
mod large;
mod layout;
mod once;
mod owners;
mod same;
mod sharing;
mod space;
mod tenants;
mod upkeep;
mod windows;
mod world;
