//! Text for people: tables, times, and words that cannot move the cursor.

use comfy_table::{ContentArrangement, Table};
use jiff::Timestamp;
use windlass::core::Millis;

/// A table of rows under a header, its columns separated by two spaces.
pub(crate) fn rows<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = bare();
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    trimmed(&table)
}

/// A table of one thing: the name of each field, and its value.
pub(crate) fn fields(fields: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let mut table = bare();
    for (name, value) in fields {
        table.add_row([name.to_owned(), value]);
    }
    trimmed(&table)
}

fn bare() -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// The table's lines without what pads them: a line is what a person sees,
/// and what `diff` compares.
fn trimmed(table: &Table) -> String {
    let lines: Vec<String> = table.lines().map(|line| line.trim().to_owned()).collect();
    lines.join("\n")
}

/// A time of day in UTC, to the millisecond.
pub(crate) fn time(at: Millis) -> String {
    moment(at.get())
}

/// The same of Unix milliseconds as they go over the wire.
pub(crate) fn moment(at: u64) -> String {
    let timestamp = i64::try_from(at)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok());
    timestamp.map_or_else(|| at.to_string(), |timestamp| format!("{timestamp:.3}"))
}

/// `text` with every control character written out: stored text may come from
/// anywhere, and a terminal obeys what it is sent.
pub(crate) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}
