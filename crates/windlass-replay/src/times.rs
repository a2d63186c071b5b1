//! When a run and its steps took place: as recorded, or derived from the
//! run's place.

use windlass::core::Millis;
use windlass::session::limits::TIME_LIMIT_MS_MAX;

use crate::limits::STEP_MS;

/// When the first run of every source begins where no times were recorded:
/// 2024-01-01T00:00:00Z.
const BEGINNING: Millis = Millis::new(1_704_067_200_000);
/// How much later the next run of a source begins.
const RUN_MS: u64 = 60_000;

/// When a run began and when it made its calls. Never decreases, and spans
/// less than a session's longest time limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Times {
    began: Millis,
    /// A time for each step, if the record has real ones.
    steps: Option<Vec<Millis>>,
}

impl Times {
    /// Times for a run at place `index` of its source: a minute between runs,
    /// [`STEP_MS`] between steps.
    pub(crate) fn derived(index: u64) -> Self {
        Self {
            began: BEGINNING.plus_ms(index.saturating_mul(RUN_MS)),
            steps: None,
        }
    }

    /// Times for a run that began with step `number` of another one.
    pub(crate) fn within(&self, number: usize) -> Self {
        Self {
            began: self.at(number),
            steps: None,
        }
    }

    /// The recorded times, if a session could have lived through them.
    pub(crate) fn recorded(began: Millis, steps: Vec<Millis>) -> Option<Self> {
        let last = steps.last().copied().unwrap_or(began);
        let ordered = steps.is_sorted() && steps.first().is_none_or(|first| began <= *first);
        let short = last.plus_ms(STEP_MS).since(began) < TIME_LIMIT_MS_MAX;
        (ordered && short).then_some(Self {
            began,
            steps: Some(steps),
        })
    }

    /// When the run began.
    #[must_use]
    pub const fn began(&self) -> Millis {
        self.began
    }

    /// When the run made its call `number`, counted from 1. 0 is when it
    /// began, and whatever comes behind its last call is when it ended.
    #[must_use]
    pub fn at(&self, number: usize) -> Millis {
        let Some(place) = number.checked_sub(1) else {
            return self.began;
        };
        match &self.steps {
            None => {
                let number = u64::try_from(number).unwrap_or(u64::MAX);
                self.began.plus_ms(number.saturating_mul(STEP_MS))
            }
            Some(steps) => steps.get(place).copied().unwrap_or_else(|| {
                let last = steps.last().copied().unwrap_or(self.began);
                last.plus_ms(STEP_MS)
            }),
        }
    }
}

/// A time as Python's `isoformat` writes it (`2031-05-09T12:00:00.25`, a
/// space for the `T` or none of the fraction), with or without an offset;
/// without one it is taken to be UTC. `None` for anything else and for times
/// before 1970.
pub(crate) fn parse(text: &str) -> Option<Millis> {
    let (date, time) = text.split_once(['T', ' '])?;
    let (time, offset_minutes) = split_offset(time)?;
    let [year, month, day] = numbers(date, '-')?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = numbers(clock, ':')?;
    let days = days_since_epoch(year, month, day)?;
    if !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0..=60).contains(&second) {
        return None;
    }
    let minutes = (days * 24 + hour) * 60 + minute - offset_minutes;
    let ms = (minutes * 60 + second) * 1_000 + milliseconds(fraction)?;
    u64::try_from(ms).ok().map(Millis::new)
}

/// The time of day, and its distance from UTC in minutes.
fn split_offset(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let Some(place) = time.find(['+', '-']) else {
        return Some((time, 0));
    };
    let (time, offset) = time.split_at(place);
    let [hours, minutes] = numbers(&offset[1..], ':')?;
    let minutes = hours * 60 + minutes;
    Some((
        time,
        if offset.starts_with('-') {
            -minutes
        } else {
            minutes
        },
    ))
}

fn numbers<const N: usize>(text: &str, separator: char) -> Option<[i64; N]> {
    let numbers: Option<Vec<i64>> = text.split(separator).map(digits).collect();
    numbers?.try_into().ok()
}

fn digits(text: &str) -> Option<i64> {
    let plain = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// The first three digits of a fraction of a second.
fn milliseconds(fraction: &str) -> Option<i64> {
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{fraction:0<3}")[..3].parse().ok()
}

/// Days from 1970-01-01 to a day of the Gregorian calendar: whole years with
/// their leap days, then the months of this one.
fn days_since_epoch(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let lengths = [
        31,
        28 + i64::from(leap),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let place = usize::try_from(month).ok()?.checked_sub(1)?;
    let length = *lengths.get(place)?;
    if !(1970..=9999).contains(&year) || !(1..=length).contains(&day) {
        return None;
    }
    let past = year - 1;
    let leap_days = past / 4 - past / 100 + past / 400 - (1969 / 4 - 1969 / 100 + 1969 / 400);
    let months: i64 = lengths[..place].iter().sum();
    Some((year - 1970) * 365 + leap_days + months + day - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::STEPS_MAX;

    fn ms(text: &str) -> Option<u64> {
        parse(text).map(Millis::get)
    }

    #[test]
    fn a_time_is_read_to_the_millisecond_whatever_its_offset() {
        // The seconds are those that `date -u -d TEXT +%s` prints.
        assert_eq!(ms("1970-01-01T00:00:00"), Some(0));
        assert_eq!(ms("2024-02-29T23:59:59.999999"), Some(1_709_251_199_999));
        assert_eq!(ms("2031-05-09 12:00:00.25"), Some(1_936_094_400_250));
        assert_eq!(ms("2031-05-09T12:00:00Z"), Some(1_936_094_400_000));
        assert_eq!(ms("2031-05-09T14:30:00+02:30"), Some(1_936_094_400_000));
        assert_eq!(ms("2031-05-09T07:00:00-05:00"), Some(1_936_094_400_000));
        assert_eq!(ms("2100-03-01T00:00:00"), Some(4_107_542_400_000));
    }

    #[test]
    fn what_is_no_time_is_none() {
        let table = [
            "",
            "today",
            "2031-05-09",
            "2031-13-01T00:00:00",
            "2031-02-29T00:00:00",
            "2031-05-09T24:00:00",
            "2031-05-09T00:00",
            "2031-05-09T00:00:00.",
            "1969-12-31T23:59:59",
            "2031-05-09T00:00:00+2",
            "2031-05-+9T00:00:00",
            "2031-00-01T00:00:00",
            "é031-05-09T00:00:00",
        ];
        for text in table {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn recorded_times_are_kept_and_the_end_comes_a_step_later() {
        let [began, first, second] = [1_000, 1_500, 9_000].map(Millis::new);
        let times = Times::recorded(began, vec![first, second]).unwrap();
        let at = |number| times.at(number);
        assert_eq!([at(0), at(1), at(2)], [began, first, second]);
        assert_eq!(at(3), second.plus_ms(STEP_MS));
        assert_eq!(times.within(2).at(0), second);
    }

    #[test]
    fn the_longest_run_ends_before_its_session_expires() {
        let times = Times::derived(7);
        let lasts_ms = times.at(STEPS_MAX + 1).since(times.began());
        assert!(lasts_ms < TIME_LIMIT_MS_MAX, "{lasts_ms} ms");
    }

    #[test]
    fn times_that_go_back_or_outlast_a_session_are_not_kept() {
        let [early, late] = [1_000, 2_000].map(Millis::new);
        let too_late = early.plus_ms(TIME_LIMIT_MS_MAX - STEP_MS);
        assert_eq!(Times::recorded(late, vec![early]), None);
        assert_eq!(Times::recorded(early, vec![late, early]), None);
        assert_eq!(Times::recorded(early, vec![too_late]), None);
        assert_eq!(
            Times::recorded(early, vec![Millis::new(too_late.get() - 1)])
                .map(|times| times.began()),
            Some(early)
        );
    }
}
