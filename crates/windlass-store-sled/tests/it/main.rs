//! What the store promises, tried from outside.

mod births;
mod children;
mod common;
mod conformance;
mod damage;
mod deaths;
mod disk_full;
mod exports;
mod fixture;
mod large;
mod layout;
mod lifetime;
#[cfg(target_os = "linux")]
mod power;
mod sessions;
