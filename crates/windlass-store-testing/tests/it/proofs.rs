//! Each promise has a store that breaks it, and its trial rejects that store.

use windlass_store_testing::suite::block_on;
use windlass_store_testing::{
    Broken, HISTORY_STEPS, Outcome, PROMISES, Promise, REGRESSION_SEEDS, Volatile,
    random_histories, suite,
};

use crate::sim::{Fault, SimStore, SimulatedDisk};

/// A store without faults keeps every promise, and each applies to it.
mod sound {
    use crate::sim::SimulatedDisk;

    windlass_store_testing::conformance!(SimulatedDisk::sound());
}

/// For each fault a test that the suite finds exactly these promises broken:
/// the one the fault is made for first, then those that cannot help being
/// broken with it.
macro_rules! proofs {
    ($($name:ident: $fault:ident breaks $broken:expr;)*) => {
        const PROOFS: &[(Fault, &[u8])] = &[$((Fault::$fault, &$broken)),*];

        $(
            #[test]
            fn $name() {
                assert_eq!(broken_promises(Fault::$fault), $broken);
            }
        )*
    };
}

proofs! {
    values_kept_as_text_break_p01: ValuesAsText breaks [1];
    a_torn_disk_breaks_p02: TornDisk breaks [2];
    present_for_unknown_keys_breaks_p03: PresentForNever breaks [3, 16];
    versions_without_incarnation_break_p04: ForeignIncarnation breaks [4, 16];
    counting_from_the_rows_breaks_p05: CountsFromRows breaks [5, 16];
    one_incarnation_for_all_breaks_p05: FixedIncarnation breaks [5];
    signed_bytes_break_p06: SignedBytes breaks [6, 16];
    more_at_every_limit_breaks_p07: MoreAtLimit breaks [7, 16];
    unbounded_bytes_break_p07: BytesUnbounded breaks [7, 16];
    reading_scan_by_scan_breaks_p08: ScanByScan breaks [8];
    split_updates_break_p09: SplitUpdates breaks [9, 17];
    split_crossed_batches_break_p10: SplitCrossed breaks [10, 17];
    a_lost_last_commit_breaks_p11: LosesLast breaks [11, 16];
    unlimited_checks_break_p12: ChecksUnlimited breaks [12];
    reads_after_close_break_p13: ReadsAfterClose breaks [13];
    half_a_dropped_commit_breaks_p14: HalfWhenDropped breaks [14];
    hints_that_fill_up_break_p15: HintsFill breaks [15, 16];
    deletes_that_reach_too_far_break_p16: DeletesBelow breaks [16];
    a_stale_second_process_breaks_p17: StaleContender breaks [17];
    ignored_checksums_break_p18: SealIgnored breaks [18];
    checksums_without_the_key_break_p18: KeyUnsealed breaks [18];
    unnoticed_truncation_breaks_p18: TruncationUnnoticed breaks [18];
    an_emptied_file_taken_as_fresh_breaks_p18: EmptiedIsFresh breaks [18];
    an_adopted_foreign_file_breaks_p18: ForeignAdopted breaks [18];
    an_export_of_the_present_breaks_p19: LiveExport breaks [19];
}

/// The numbers of the promises that a store with `fault` breaks.
fn broken_promises(fault: Fault) -> Vec<u8> {
    block_on(async {
        let mut broken = Vec::new();
        for promise in PROMISES {
            if let Err(error) = outcome(promise, fault).await {
                assert_eq!(error.promise, promise.number, "{error}");
                broken.push(promise.number);
            }
        }
        broken
    })
}

async fn outcome(promise: Promise, fault: Fault) -> Result<Outcome, Broken> {
    let mut fixture = SimulatedDisk::with(fault);
    match promise.number {
        // The same histories every time, so that what they find is exact.
        16 => {
            random_histories(
                &mut fixture,
                REGRESSION_SEEDS.iter().copied(),
                HISTORY_STEPS,
            )
            .await
        }
        _ => promise.check(&mut fixture).await,
    }
}

#[test]
fn every_promise_has_a_fault_made_for_it() {
    let mut targets: Vec<u8> = PROOFS.iter().map(|(_, broken)| broken[0]).collect();
    targets.dedup();
    assert_eq!(targets, (1..=19).collect::<Vec<u8>>());
}

#[test]
fn promises_are_numbered_and_named_after_their_numbers() {
    for (promise, number) in PROMISES.iter().zip(1_u8..) {
        assert_eq!(promise.number, number);
        assert!(
            promise.name.starts_with(&format!("p{number:02}_")),
            "{promise:?}"
        );
    }
}

#[test]
fn the_whole_of_p16_finds_what_only_histories_can() {
    let mut fixture = SimulatedDisk::with(Fault::DeletesBelow);
    let broken = block_on(suite::p16_random_histories_match_the_model(&mut fixture)).unwrap_err();
    let shown = broken.to_string();
    assert!(
        shown.starts_with("P16 broken: history of seed 0x"),
        "{shown}"
    );
    assert!(shown.contains(", step "), "{shown}");
}

#[test]
fn a_failure_names_the_promise_and_the_operation() {
    let mut fixture = SimulatedDisk::with(Fault::MoreAtLimit);
    let trial = suite::p07_more_is_exact_in_both_orders_and_under_every_bound;
    let broken = block_on(trial(&mut fixture)).unwrap_err();
    let expected = "P7 broken: `more` is true after 12 of 12 entries, for Scan { range: ";
    assert_eq!(broken.to_string().get(..expected.len()), Some(expected));
}

/// What a history does follows from its seed alone.
#[test]
fn the_same_seed_fails_at_the_same_step() {
    let fail = || {
        let mut fixture = SimulatedDisk::with(Fault::SignedBytes);
        let broken = block_on(random_histories(&mut fixture, [0x5eed], 80)).unwrap_err();
        broken
            .detail
            .split(',')
            .take(2)
            .collect::<Vec<_>>()
            .join(",")
    };
    let first = fail();
    assert!(
        first.starts_with("history of seed 0x5eed, step "),
        "{first}"
    );
    assert_eq!(fail(), first);
}

#[test]
fn a_volatile_store_is_excused_from_what_outlives_it_with_reasons() {
    let mut excused = Vec::new();
    for promise in PROMISES {
        let outcome = block_on(promise.check(&mut Volatile::new(SimStore::alone))).unwrap();
        if let Outcome::NotApplicable { reason } = outcome {
            excused.push((promise.number, reason));
        }
    }
    let expected = [
        (11, "the store ends with its process"),
        (17, "the store belongs to one process"),
        (18, "the store writes nothing that could be damaged"),
    ];
    assert_eq!(
        excused,
        expected.map(|(number, reason)| (number, reason.to_owned()))
    );
}
