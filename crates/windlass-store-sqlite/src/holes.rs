//! Moves rows together where many between them are gone.
//!
//! Rows get growing ids, and those written together lie side by side in full
//! pages. Where some of them go later, pages stay that are a third to two
//! thirds empty: SQLite joins a page with its neighbour only when two thirds
//! of it are free. So where ids are missing, what is left is given the next
//! ids, as if it were written again, which fills pages to the end, and the
//! pages that it leaves are free.
//!
//! Whether that pays is judged by ids alone: by a few looks, spread over the
//! table, before any of it is read as a whole. Rows that were moved have no
//! gaps between them, so a row is moved again only after others beside it went:
//! all in all no more than four for each that was deleted.

use rusqlite::{Connection, params};

use crate::limits::{
    GAP_HOLES_MAX, HOLES_SHARE_TO_MOVE, HOLES_SHARE_TO_START, MOVED_ROW_BYTES_MAX, MOVED_ROWS_MAX,
    SAMPLE_LOOKS, SAMPLE_ROWS,
};

/// What a writer knows of holes in the table.
#[derive(Debug)]
pub(crate) struct Holes {
    /// Rows deleted by this writer since the table was looked at.
    deleted: u64,
    /// As many of them make another look worth it.
    enough: u64,
    /// Whether it is known what the table was like when it was opened.
    has_looked: bool,
    pass: Option<Pass>,
}

/// A walk through the table, a run of rows at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pass {
    /// The last id that was dealt with.
    after: i64,
    /// The last id when the walk began: what is beyond was written since.
    until: i64,
}

/// Rows that follow each other in the table.
#[derive(Debug, Default, PartialEq, Eq)]
struct Run {
    /// Those that may be moved: moving large ones costs more than it gains.
    ids: Vec<i64>,
    /// Ids that are missing before these.
    holes: usize,
    /// The last id of all.
    last: i64,
}

impl Holes {
    /// Begins to watch; more than `enough` deleted rows make a look worth it.
    pub(crate) const fn watch(enough: u64) -> Self {
        Self {
            deleted: 0,
            enough,
            has_looked: false,
            pass: None,
        }
    }

    /// Takes note of rows that were deleted.
    pub(crate) const fn count(&mut self, deleted: u64) {
        self.deleted = self.deleted.saturating_add(deleted);
    }

    /// Whether rows are to be moved, as far as is known. Has a few looks where
    /// that is nothing; of a store that is being closed only if rows were
    /// deleted. What cannot be read is left alone: moving it would not mend it.
    pub(crate) fn are_many(&mut self, connection: &Connection, is_closing: bool) -> bool {
        let enough = if self.has_looked { self.enough } else { 0 };
        let is_first = !self.has_looked && !is_closing;
        if self.pass.is_none() && (is_first || self.deleted > enough) {
            self.deleted = 0;
            self.has_looked = true;
            self.pass = sample(connection).unwrap_or(None);
        }
        self.pass.is_some()
    }

    /// Whether the next run of rows is to be moved; goes past it if not.
    pub(crate) fn find(&mut self, connection: &Connection) -> bool {
        let Some(pass) = &mut self.pass else {
            return false;
        };
        match Run::read(connection, Some(pass.after), *pass, MOVED_ROWS_MAX) {
            Ok(Some(run)) if run.is_sparse(HOLES_SHARE_TO_MOVE) => return true,
            Ok(Some(run)) => pass.after = run.last,
            Ok(None) | Err(_) => self.pass = None,
        }
        false
    }

    /// Moves that run, as it is now, within the caller's transaction; where
    /// the walk goes on once that is committed.
    pub(crate) fn fill(&self, connection: &Connection) -> rusqlite::Result<Option<i64>> {
        let Some(pass) = self.pass else {
            return Ok(None);
        };
        let run = Run::read(connection, Some(pass.after), pass, MOVED_ROWS_MAX)?;
        let Some(run) = run else {
            return Ok(None);
        };
        let mut update = connection.prepare_cached("UPDATE entry SET id = ?2 WHERE id = ?1")?;
        let last: i64 = connection.query_row("SELECT max(id) FROM entry", [], |row| row.get(0))?;
        // Rows stay where they are once the ids are used up.
        for (id, new) in run.ids.iter().zip((last..=i64::MAX).skip(1)) {
            update.execute([*id, new])?;
        }
        Ok(Some(run.last))
    }

    /// Goes on after the row with this id, which was moved or stays; ends the
    /// walk without one.
    pub(crate) fn go_on(&mut self, after: Option<i64>) {
        self.pass = self.pass.and_then(|pass| {
            let after = after?;
            Some(Pass { after, ..pass })
        });
    }
}

/// A walk through the whole table, if a few looks find enough holes.
fn sample(connection: &Connection) -> rusqlite::Result<Option<Pass>> {
    let ends = "SELECT (SELECT min(id) FROM entry), (SELECT max(id) FROM entry)";
    let ends = connection.query_row(ends, [], |row| Ok((row.get(0)?, row.get(1)?)));
    let (Some(first), Some(until)): (Option<i64>, Option<i64>) = ends? else {
        return Ok(None);
    };
    let whole = Pass {
        after: first.saturating_sub(1),
        until,
    };
    let mut all = Run {
        last: whole.after,
        ..Run::default()
    };
    let step = until.saturating_sub(first) / SAMPLE_LOOKS;
    for look in 0..SAMPLE_LOOKS {
        // No row is looked at twice.
        let after = whole.after.saturating_add(look * step).max(all.last);
        let pass = Pass { after, until };
        let Some(run) = Run::read(connection, None, pass, SAMPLE_ROWS)? else {
            break;
        };
        all.ids.extend(run.ids);
        all.holes += run.holes;
        all.last = run.last;
    }
    Ok(all.is_sparse(HOLES_SHARE_TO_START).then_some(whole))
}

impl Run {
    /// At most `count` rows of what is ahead of `pass`; `None` if there are
    /// none. The gap before the first one counts if it is known where the row
    /// before was.
    fn read(
        connection: &Connection,
        mut before: Option<i64>,
        pass: Pass,
        count: i64,
    ) -> rusqlite::Result<Option<Self>> {
        let mut select = connection.prepare_cached(
            "SELECT id, length(key) + length(value) FROM entry WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3",
        )?;
        let mut rows = select.query(params![pass.after, pass.until, count])?;
        let mut run = Self::default();
        while let Some(row) = rows.next()? {
            let (id, bytes): (i64, i64) = (row.get(0)?, row.get(1)?);
            if bytes <= MOVED_ROW_BYTES_MAX {
                let gap = before.map_or(1, |before| id.saturating_sub(before));
                let holes = usize::try_from(gap - 1).unwrap_or(usize::MAX);
                run.holes += holes.min(GAP_HOLES_MAX);
                run.ids.push(id);
            }
            before = Some(id);
            run.last = id;
        }
        Ok((run.last != 0).then_some(run))
    }

    /// Whether there is a hole for each so many rows.
    fn is_sparse(&self, share: usize) -> bool {
        !self.ids.is_empty() && self.holes * share >= self.ids.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::free_pages;
    use crate::schema::{self, Header};

    const SMALL: usize = 300;
    const LARGE: usize = 3_000;

    /// A table with `rows` rows of so many bytes.
    fn table(rows: u32, bytes: usize) -> Connection {
        let connection = Connection::open_in_memory().expect("SQLite opens");
        let header = Header::draw().expect("a number can be drawn");
        schema::create(&connection, &header).expect("the tables can be made");
        let mut insert = connection
            .prepare("INSERT INTO entry (key, version, key_crc, value) VALUES (?1, ?2, 0, ?3)")
            .expect("SQL");
        for number in 0..rows {
            let values = params![number.to_be_bytes(), number, vec![7_u8; bytes]];
            insert.execute(values).expect("it can be inserted");
        }
        drop(insert);
        connection
    }

    fn delete(connection: &Connection, which: &str) {
        let deleted = connection.execute(&format!("DELETE FROM entry WHERE {which}"), []);
        assert_ne!(deleted, Ok(0), "{which}");
    }

    /// Everything but the ids, in the order of keys.
    fn content(connection: &Connection) -> Vec<(Vec<u8>, i64, i64, Vec<u8>)> {
        let mut select = connection
            .prepare("SELECT key, version, key_crc, value FROM entry ORDER BY key")
            .expect("SQL");
        let rows = select.query_map([], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        });
        let rows: Result<_, _> = rows.expect("it can be read").collect();
        rows.expect("it can be read")
    }

    fn ids(connection: &Connection) -> Vec<i64> {
        let mut select = connection
            .prepare("SELECT id FROM entry ORDER BY id")
            .expect("SQL");
        let rows = select.query_map([], |row| row.get(0));
        let rows: Result<_, _> = rows.expect("it can be read").collect();
        rows.expect("it can be read")
    }

    fn used_pages(connection: &Connection) -> u64 {
        let (free, all) = free_pages(connection).expect("it can be asked");
        all - free
    }

    /// Moves all that a writer would that has just opened the table; how many
    /// runs that were.
    fn tidy(connection: &Connection) -> usize {
        let (mut holes, mut runs) = (Holes::watch(0), 0);
        while holes.are_many(connection, false) {
            if holes.find(connection) {
                holes.go_on(holes.fill(connection).expect("it can be moved"));
                runs += 1;
            }
        }
        runs
    }

    #[test]
    fn rows_between_holes_are_moved_together_and_stay_what_they_are() {
        let connection = table(6_000, SMALL);
        let full = used_pages(&connection);
        delete(&connection, "id % 2 = 0");
        let (before, scattered) = (content(&connection), used_pages(&connection));
        assert!(scattered * 10 > full * 9, "{scattered} of {full} pages");
        assert!(tidy(&connection) > 3_000 / 256, "few were moved");
        assert_eq!(content(&connection), before);
        let together = used_pages(&connection);
        assert!(together * 100 < full * 55, "{together} of {full} pages");
        let mut order = connection
            .prepare("SELECT key FROM entry ORDER BY id")
            .expect("SQL");
        let order = order.query_map([], |row| row.get::<_, Vec<u8>>(0));
        let order = order
            .expect("it can be read")
            .map(|key| key.expect("a key"));
        assert!(order.is_sorted(), "neighbours were separated");
    }

    #[test]
    fn a_table_is_left_alone_once_it_was_tidied() {
        let connection = table(6_000, SMALL);
        assert_eq!(tidy(&connection), 0, "nothing is missing");
        delete(&connection, "id % 5 = 0");
        assert_eq!(tidy(&connection), 0, "little is missing");
        delete(&connection, "id % 5 IN (1, 3)");
        assert_ne!(tidy(&connection), 0, "much is missing");
        let ids_before = ids(&connection);
        assert_eq!(tidy(&connection), 0, "it was tidied");
        assert_eq!(ids(&connection), ids_before);
    }

    #[test]
    fn large_rows_stay_where_they_are_and_do_not_count() {
        let connection = table(1_000, LARGE);
        delete(&connection, "id % 2 = 0");
        let before = ids(&connection);
        assert_eq!(tidy(&connection), 0);
        assert_eq!(ids(&connection), before);
        // Small ones among them are moved once, and then it is quiet.
        connection
            .execute("UPDATE entry SET value = x'07' WHERE id % 3 = 0", [])
            .expect("it can be written");
        assert_ne!(tidy(&connection), 0, "small rows lie scattered");
        assert_eq!(tidy(&connection), 0, "it was tidied");
    }

    #[test]
    fn rows_written_and_deleted_in_a_line_are_not_moved_again_and_again() {
        let connection = table(8_000, SMALL);
        delete(&connection, "id < 7000 AND id % 100 <> 0");
        assert_ne!(tidy(&connection), 0, "a few are left of many");
        assert_eq!(tidy(&connection), 0, "it was tidied");
    }

    #[test]
    fn one_long_gap_is_no_reason_to_move_anything() {
        let connection = table(8_000, SMALL);
        // One of the looks begins right before it.
        delete(&connection, "id BETWEEN 521 AND 7000");
        assert_eq!(tidy(&connection), 0);
    }

    #[test]
    fn large_rows_left_behind_do_not_make_a_table_look_full_of_holes() {
        let connection = table(6_000, SMALL);
        connection
            .execute(
                "UPDATE entry SET value = zeroblob(3000) WHERE id < 5000 AND id % 100 = 0",
                [],
            )
            .expect("it can be written");
        delete(&connection, "id % 2 = 1");
        assert_ne!(tidy(&connection), 0, "much is missing");
        // Many looks begin among the large ones and end at the same gap.
        assert_eq!(tidy(&connection), 0, "it was tidied");
    }

    #[test]
    fn another_look_takes_deleted_rows() {
        let connection = table(6_000, SMALL);
        let mut holes = Holes::watch(100);
        assert!(!holes.are_many(&connection, false), "nothing is missing");
        delete(&connection, "id % 2 = 0");
        holes.count(100);
        assert!(!holes.are_many(&connection, false), "not enough is known");
        holes.count(1);
        assert!(holes.are_many(&connection, false), "half of it is missing");
        // One that is being closed looks for what it deleted itself.
        let mut closing = Holes::watch(100);
        assert!(!closing.are_many(&connection, true), "nothing was deleted");
        closing.count(1);
        assert!(closing.are_many(&connection, true), "half of it is missing");
    }

    #[test]
    fn rows_stay_once_the_ids_are_used_up() {
        let connection = table(2_000, SMALL);
        delete(&connection, "id % 2 = 0");
        let last = "UPDATE entry SET id = 9223372036854775806 WHERE id = 1999";
        connection.execute(last, []).expect("it can be written");
        let before = content(&connection);
        assert_ne!(tidy(&connection), 0, "it was gone through");
        assert_eq!(content(&connection), before);
        assert_eq!(ids(&connection).last(), Some(&i64::MAX));
    }

    #[test]
    fn an_empty_table_has_no_holes() {
        let connection = table(10, SMALL);
        delete(&connection, "id > 0");
        assert_eq!(tidy(&connection), 0);
    }
}
