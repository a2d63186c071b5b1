//! The power fails while a store on a real file system is at work: what it
//! acknowledged is there when the machine is back, and nothing by half.
//!
//! The file system is ext4 on a loop device, whose disk is one file of a file
//! system of our own (FUSE). That records every write and every flush in the
//! order in which they came, and then makes the disk as it may be found after
//! a cut at any point: what was written before the last flush is there, and of
//! what came after it any part, sector by sector. Each is mounted and the
//! store in it opened.
//!
//! It needs root. All of it happens in a mount namespace of its own, whose
//! mounts and loop devices the kernel takes away when the last process in it
//! has ended, however it ended.
//!
//! - `medium.rs`: what the disk remembers, and how it is found again.
//! - `filesystem.rs`: the disk as a file, for the kernel to use.
//! - `worker.rs`: who works on it, and looks at what is left.

mod filesystem;
mod medium;
mod worker;

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

pub(crate) use filesystem::play_serving;
pub(crate) use worker::play_working;

use crate::children::{Player, Role, setting};

/// Cuts in one run; the nightly run takes more.
const CUTS: &str = "WINDLASS_EXT4_CUTS";
const CUTS_DEFAULT: u64 = 20;
/// Cuts of what was recorded once.
const CUTS_A_RECORDING: usize = 200;
const SEED: &str = "WINDLASS_KILL_SEED";
/// Cuts that must be enough to see a store that leaves out its syncs lose
/// something.
const CUTS_OF_A_FAULT: u64 = 15;

/// The file in which the worker is told how many cuts to make, and from which
/// seed.
const ORDER: &str = "order";
/// The file by which it is told to leave out what must not be left out.
const FAULT: &str = "leave-out-the-sync";

#[test]
fn what_was_acknowledged_survives_the_loss_of_power_on_ext4() {
    let (cuts, seed) = (setting(CUTS, CUTS_DEFAULT), setting(SEED, 7));
    for first in (0..cuts).step_by(CUTS_A_RECORDING) {
        let cuts = (cuts - first).min(CUTS_A_RECORDING as u64);
        let seed = seed + first;
        let Some(verdict) = Verdict::of(cuts, seed, false) else {
            return;
        };
        assert_eq!(verdict.lost, 0, "seed {seed}: {}", verdict.first);
    }
}

#[test]
fn a_store_that_does_not_sync_its_log_is_seen_to_lose_what_it_acknowledged() {
    let Some(verdict) = Verdict::of(CUTS_OF_A_FAULT, setting(SEED, 7), true) else {
        return;
    };
    assert!(verdict.lost > 0, "{} cuts showed nothing", verdict.cuts);
    let expected = ["acknowledged", "the store does not open"];
    assert!(
        expected.iter().any(|what| verdict.first.contains(what)),
        "{}",
        verdict.first
    );
}

/// What came of a trial.
struct Verdict {
    cuts: u64,
    lost: u64,
    /// What was seen first of what was lost.
    first: String,
}

impl Verdict {
    /// Records a store at work and holds a trial of so many cuts; `None` where
    /// that is impossible.
    #[expect(
        clippy::print_stdout,
        reason = "what was left out, and how much was done"
    )]
    fn of(cuts: u64, seed: u64, fault: bool) -> Option<Self> {
        if let Some(missing) = missing() {
            println!("skipped: power loss on ext4 needs {missing}");
            return None;
        }
        let place = TempDir::new().expect("a temporary directory can be made");
        let order = format!("{cuts} {seed}");
        fs::write(place.path().join(ORDER), order).expect("it can be written");
        if fault {
            fs::write(place.path().join(FAULT), "").expect("it can be written");
        }
        let mut child = Player::start_in_a_namespace(Role::Serving, place.path());
        let mut verdict = Self {
            cuts: 0,
            lost: 0,
            first: String::new(),
        };
        while let Some(line) = child.hear() {
            verdict.cuts += 1;
            if line != "whole" {
                verdict.lost += 1;
                verdict.first = if verdict.first.is_empty() {
                    line
                } else {
                    verdict.first
                };
            }
        }
        child.finish();
        assert_eq!(verdict.cuts, cuts, "the worker ended early");
        println!("{} of {cuts} cuts lost something", verdict.lost);
        Some(verdict)
    }
}

/// What this machine lacks for such a trial.
fn missing() -> Option<&'static str> {
    let there = |path| Path::new(path).exists();
    let runs = |command: &str, arguments: &[&str]| {
        let ran = Command::new(command).args(arguments).output();
        ran.is_ok_and(|output| output.status.success())
    };
    if !there("/dev/fuse") {
        return Some("/dev/fuse");
    }
    if !there("/dev/loop-control") {
        return Some("loop devices");
    }
    if !runs("unshare", &["--mount", "--propagation", "private", "true"]) {
        return Some("root, for a mount namespace");
    }
    if !runs("mkfs.ext4", &["-V"]) {
        return Some("`mkfs.ext4`");
    }
    None
}
