//! The trials of the contract, grouped by what they are about.

mod basics;
mod common;
mod damage;
mod durability;
mod hints;
mod histories;
mod limits;
mod ordering;
mod paging;
mod races;
mod snapshots;
mod tearing;
mod versions;

pub(crate) use basics::{
    p01_a_committed_put_is_read_back, p03_absent_refuses_an_existing_key_and_present_a_missing_one,
    p04_a_stale_version_conflicts_and_writes_nothing,
};
pub(crate) use damage::p18_damage_is_refused_and_never_data;
pub(crate) use durability::{
    p11_what_commit_acknowledged_is_there_after_reopening, p13_use_after_close_fails_with_closed,
};
pub(crate) use hints::p15_all_hints_may_be_lost;
pub(crate) use histories::p16_random_histories_match_the_model;
pub(crate) use limits::p12_limits_are_enforced_before_anything_happens;
pub(crate) use ordering::p06_keys_sort_as_unsigned_bytes;
pub(crate) use paging::p07_more_is_exact_in_both_orders_and_under_every_bound;
pub(crate) use races::{
    p09_concurrent_increments_lose_nothing, p10_crossed_checks_never_both_apply,
    p17_two_processes_never_both_win_one_check,
};
pub(crate) use snapshots::{
    p08_all_pages_of_one_read_show_one_point_in_time,
    p19_an_export_shows_one_point_in_time_whatever_commits,
};
pub(crate) use tearing::{
    p02_a_batch_applies_whole_or_not_at_all, p14_a_dropped_commit_is_applied_or_not_never_half,
};
pub(crate) use versions::p05_a_version_is_never_reused;
