//! The check: it finds what was planted, puts right what follows from the rest,
//! and finds nothing where nothing is.

mod aside;
mod load;
mod planting;
mod world;
