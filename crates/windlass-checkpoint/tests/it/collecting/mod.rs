//! Collecting: what is needed stays, whatever happens meanwhile, and what is
//! not goes.

mod basics;
mod contents;
mod crashes;
mod damage;
mod ledger;
mod steps;
mod together;
