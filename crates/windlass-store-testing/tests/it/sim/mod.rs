//! A store on a simulated disk that keeps every promise, unless it is told to
//! break one.

mod disk;
mod fault;
mod store;

pub(crate) use disk::SimulatedDisk;
pub(crate) use fault::Fault;
pub(crate) use store::SimStore;
