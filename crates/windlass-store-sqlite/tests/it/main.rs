//! What the store promises, tried from outside.

mod bad_files;
mod births;
mod children;
mod common;
mod conformance;
mod deaths;
mod disk_full;
mod exports;
mod fixture;
mod groups;
mod lifetime;
mod processes;
mod settings;
mod space;
mod wal;
