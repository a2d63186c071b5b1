//! Points in time, and the one rule for deadlines.

use proptest::prelude::*;
use windlass_core::Millis;

#[test]
fn a_deadline_has_passed_at_exactly_its_time() {
    let start = Millis::new(1_000);
    let deadline = start.plus_ms(50);
    assert!(!deadline.has_passed(Millis::new(1_049)));
    assert!(deadline.has_passed(Millis::new(1_050)));
    assert!(deadline.has_passed(Millis::new(1_051)));
    assert!(
        start.plus_ms(0).has_passed(start),
        "no time at all is over at once"
    );
}

#[test]
fn a_deadline_beyond_the_end_of_time_saturates() {
    let deadline = Millis::new(u64::MAX - 1).plus_ms(u64::MAX);
    assert_eq!(deadline, Millis::new(u64::MAX));
    assert!(!deadline.has_passed(Millis::new(u64::MAX - 1)));
}

proptest! {
    #[test]
    fn since_and_plus_undo_each_other(start in 0..u64::MAX / 2, ms in 0..u64::MAX / 2) {
        let (start, end) = (Millis::new(start), Millis::new(start).plus_ms(ms));
        prop_assert_eq!(end.since(start), ms);
        prop_assert_eq!(start.since(end), 0);
        prop_assert_eq!(end.has_passed(start), ms == 0);
    }

    #[test]
    fn times_are_plain_numbers_in_text_and_json(ms: u64) {
        let time = Millis::new(ms);
        prop_assert_eq!(time.to_string(), ms.to_string());
        prop_assert_eq!(serde_json::to_string(&time).expect("a number"), ms.to_string());
        prop_assert_eq!(serde_json::from_str::<Millis>(&ms.to_string()).expect("a number"), time);
    }
}
