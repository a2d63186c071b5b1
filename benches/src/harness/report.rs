//! A table of rows: as text, as JSON, and as an exit code.

use serde::Serialize;

use super::row::{Figures, Row, Verdict, figure};

/// Every bar is cleared.
pub const EXIT_MET: u8 = 0;
/// A bar is missed.
pub const EXIT_MISSED: u8 = 1;
/// Nothing is missed, but the figures cannot be trusted: the machine is far
/// from its anchors, or was disturbed.
pub const EXIT_UNTRUSTED: u8 = 4;

/// All rows of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The rows.
    pub rows: Vec<Row>,
    /// What else a reader should know, a line each.
    pub notes: Vec<String>,
}

/// A row as JSON.
#[derive(Debug, Serialize)]
struct Object<'a> {
    what: &'a str,
    versus: &'a str,
    unit: &'a str,
    ours: f64,
    against: Option<f64>,
    ratio: Option<f64>,
    bar: Option<f64>,
    bar_is: &'a str,
    runs: usize,
    min: Option<f64>,
    max: Option<f64>,
    verdict: Verdict,
    ours_detail: &'a Figures,
    against_detail: Option<&'a Figures>,
}

impl Report {
    /// Declares every row void, because the machine is not what the bars were
    /// made for.
    pub fn void(&mut self) {
        for row in &mut self.rows {
            row.verdict = Verdict::Void;
        }
    }

    /// What the process ends with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let any = |verdict: Verdict| self.rows.iter().any(|row| row.verdict == verdict);
        if any(Verdict::Missed) {
            EXIT_MISSED
        } else if any(Verdict::Void) || any(Verdict::NotMeasurable) {
            EXIT_UNTRUSTED
        } else {
            EXIT_MET
        }
    }

    /// One JSON object a row, a line each.
    #[must_use]
    pub fn json(&self) -> String {
        let objects = self.rows.iter().map(object);
        let lines = objects.map(|object| {
            serde_json::to_string(&object).expect("figures have text keys and no maps") + "\n"
        });
        lines.collect()
    }

    /// The table for a reader.
    #[must_use]
    pub fn text(&self) -> String {
        let mut lines = vec![HEADINGS.map(str::to_owned)];
        lines.extend(self.rows.iter().map(cells));
        let mut text = aligned(&lines);
        for note in &self.notes {
            text.push_str(note);
            text.push('\n');
        }
        text
    }
}

fn object(row: &Row) -> Object<'_> {
    let ratio = row.against.as_ref().and(row.spread);
    Object {
        what: &row.what,
        versus: &row.versus,
        unit: row.unit,
        ours: row.ours.median,
        against: row.against.as_ref().map(|figures| figures.median),
        ratio: ratio.map(|spread| spread.median),
        bar: row.bar.number(),
        bar_is: row.bar.meaning(),
        runs: row.runs,
        min: row.spread.map(|spread| spread.min),
        max: row.spread.map(|spread| spread.max),
        verdict: row.verdict,
        ours_detail: &row.ours,
        against_detail: row.against.as_ref(),
    }
}

const COLUMNS: usize = 13;

const HEADINGS: [&str; COLUMNS] = [
    "what",
    "against",
    "unit",
    "ours",
    "other",
    "ratio",
    "min..max",
    "bar",
    "runs",
    "ours p50/p99 us",
    "other p50/p99 us",
    "durable past",
    "verdict",
];

fn cells(row: &Row) -> [String; COLUMNS] {
    let number = |number: Option<f64>| number.map_or_else(|| "-".to_owned(), figure);
    let spread =
        |spread: super::spread::Spread| format!("{}..{}", figure(spread.min), figure(spread.max));
    let ratio = row.against.as_ref().and(row.spread);
    [
        row.what.clone(),
        row.versus.clone(),
        row.unit.to_owned(),
        figure(row.ours.median),
        number(row.against.as_ref().map(|figures| figures.median)),
        number(ratio.map(|spread| spread.median)),
        row.spread.map_or_else(|| "-".to_owned(), spread),
        row.bar.label(),
        row.runs.to_string(),
        waits(Some(&row.ours)),
        waits(row.against.as_ref()),
        durability(row),
        row.verdict.as_str().to_owned(),
    ]
}

fn waits(figures: Option<&Figures>) -> String {
    match figures.and_then(|figures| figures.p50_us.zip(figures.p99_us)) {
        Some((half, most)) => format!("{}/{}", figure(half), figure(most)),
        None => "-".to_owned(),
    }
}

/// One class where both sides share it, else both.
fn durability(row: &Row) -> String {
    let ours = row.ours.durability.unwrap_or("-");
    match row.against.as_ref().and_then(|figures| figures.durability) {
        Some(other) if other != ours => format!("{ours} / {other}"),
        _ => ours.to_owned(),
    }
}

fn aligned<const N: usize>(lines: &[[String; N]]) -> String {
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..N).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for line in lines {
        let padded = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::row::Bar;
    use super::super::spread::Spread;
    use super::*;

    fn row(verdict: Verdict) -> Row {
        let figures = |median| Figures {
            median,
            p50_us: Some(250.0),
            p99_us: Some(1_500.0),
            durability: Some("power loss"),
            ..Figures::default()
        };
        Row {
            what: "use".to_owned(),
            versus: "naive".to_owned(),
            unit: "1/s",
            ours: figures(40_000.0),
            against: Some(figures(4_000.0)),
            spread: Some(Spread {
                median: 10.0,
                min: 9.0,
                max: 11.0,
            }),
            bar: Bar::RatioAtLeast(8.0),
            runs: 7,
            verdict,
        }
    }

    fn report(verdicts: &[Verdict]) -> Report {
        Report {
            rows: verdicts.iter().copied().map(row).collect(),
            notes: vec!["a note".to_owned()],
        }
    }

    #[test]
    fn the_exit_code_tells_missed_from_untrusted_from_met() {
        use Verdict::{Met, Missed, NotMeasurable, Void};
        let code = |verdicts: &[Verdict]| report(verdicts).exit_code();
        assert_eq!(code(&[Met, Met]), EXIT_MET);
        assert_eq!(code(&[Met, Missed, Void]), EXIT_MISSED);
        assert_eq!(code(&[Met, Void]), EXIT_UNTRUSTED);
        assert_eq!(code(&[NotMeasurable, Met]), EXIT_UNTRUSTED);
    }

    #[test]
    fn a_void_report_says_so_in_every_row() {
        let mut report = report(&[Verdict::Met, Verdict::Missed]);
        report.void();
        assert_eq!(report.exit_code(), EXIT_UNTRUSTED);
        assert_eq!(report.json().matches(r#""verdict":"void""#).count(), 2);
    }

    #[test]
    fn each_row_is_one_json_object_with_the_promised_fields() {
        let json = report(&[Verdict::Met, Verdict::Missed]).json();
        let rows: Vec<serde_json::Value> = json
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(rows.len(), 2);
        let promised = [
            "what", "unit", "ours", "against", "ratio", "bar", "runs", "min", "max",
        ];
        let found = promised.map(|field| rows[0][field].clone());
        let expected =
            serde_json::json!(["use", "1/s", 40_000.0, 4_000.0, 10.0, 8.0, 7, 9.0, 11.0]);
        assert_eq!(serde_json::Value::from(found.to_vec()), expected);
        assert_eq!(rows[0]["ours_detail"]["p99_us"], 1_500.0);
    }

    #[test]
    fn the_table_has_a_line_a_row_and_the_notes_below() {
        let text = report(&[Verdict::Missed]).text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[1].contains("10  "), "{text}");
        assert!(lines[1].ends_with("power loss    MISSED"), "{text}");
        assert_eq!(lines[2], "a note");
    }
}
