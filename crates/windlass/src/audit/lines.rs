//! Whether the lines of an export are what was written, without the store that
//! they came from.
//!
//! The lines say themselves which chain they are of and where they begin.
//! Changed, missing, doubled and reordered ones are found. What they cannot say
//! is that they are the chain that was written, and all of it: lines that
//! somebody hashed anew from the first one on, or of which the last or the
//! first are gone, are a chain as well. What finds that is a hash that was
//! noted elsewhere, and for the first ones the event that they have to begin
//! at, or the hash before it.

use std::fmt;
use std::io::{self, BufRead, Read};

use serde::Serialize;

use super::chain::{Chain, ChainHash, split};
use super::event::{AuditEvent, decode};
use super::limits::LINE_BYTES_MAX;
use super::verify::{BreakKind, ChainBreak, Verifier};

/// From where lines are verified, and what they are held to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyLines {
    /// The chain that they have to be of; that of the first of them if `None`.
    pub chain: Option<Chain>,
    /// The first event that is verified: what is before it is passed over, and
    /// the hash of the event before it taken for granted. That of the first
    /// line if `None`.
    pub from: Option<u64>,
    /// The hash before that event, noted elsewhere: [`ChainHead::anchor`] where
    /// the oldest events were trimmed before the export.
    ///
    /// [`ChainHead::anchor`]: super::ChainHead::anchor
    pub anchor: Option<ChainHash>,
    /// The number and the hash of an event, noted elsewhere; verified is what
    /// comes behind it at the latest. An event that the lines do not reach is a
    /// break.
    pub noted: Option<(u64, ChainHash)>,
}

impl VerifyLines {
    /// Whether no line at all can be what came behind a part before.
    const fn is_a_part(&self) -> bool {
        self.anchor.is_some() && self.noted.is_none()
    }
}

/// The first place where lines are not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct LineBreak {
    /// The line: 1 for the first, one more than there are if something is
    /// missing at the end.
    pub line: u64,
    /// The number of the event; `None` if the first line does not say.
    pub seq: Option<u64>,
    /// What is wrong there.
    pub kind: BreakKind,
}

impl fmt::Display for LineBreak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match (self.kind, self.seq) {
            (BreakKind::NoLine, _) | (_, None) => f.write_str("this is no line of an export"),
            (kind, Some(seq)) => ChainBreak { seq, kind }.fmt(f),
        }
    }
}

/// What a verification of lines found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VerifiedLines {
    /// The chain; `None` if no line says.
    pub chain: Option<Chain>,
    /// The first event that was verified.
    pub from: u64,
    /// The last one; one less if there was none.
    pub through: u64,
    /// How many were verified.
    pub events: u64,
    /// The event before these, whose line was not verified: the hash that it
    /// says was taken for granted. `None` if the hash before them is that of
    /// the chain's name, or was noted.
    pub granted: Option<u64>,
    /// How many events these say were lost before they were written.
    pub lost: u64,
    /// The hash of the last that was verified; where none was, the one before
    /// the first that would have been, as it was said or given. `None` if there
    /// was no line.
    pub hash: Option<ChainHash>,
    /// The first break, if there is one. Nothing behind it was looked at.
    #[serde(rename = "break")]
    pub broken: Option<LineBreak>,
}

/// Verifies the lines of an export, to the first break. A break is an answer,
/// not an error. `observe` is told after each line how many bytes were read.
///
/// It takes memory for one line, whatever there is to read: one of more than
/// [`LINE_BYTES_MAX`] is none. Blocks as long as `lines` does.
///
/// # Errors
///
/// What reading them fails with.
pub fn verify_lines(
    lines: impl BufRead,
    asked: VerifyLines,
    observe: &mut dyn FnMut(u64),
) -> io::Result<VerifiedLines> {
    let (mut walk, mut pieces) = (Walk::new(asked), Pieces::new(lines));
    while let Some(line) = pieces.next()? {
        if let Err(broken) = walk.step(line) {
            return Ok(walk.report(Some(broken)));
        }
        observe(pieces.read);
    }
    Ok(walk.end())
}

/// Takes what is read apart, line by line.
struct Pieces<R> {
    lines: R,
    line: Vec<u8>,
    /// Whether the rest of a line that was too long is still to come.
    is_within: bool,
    /// Bytes that were read.
    read: u64,
}

impl<R: BufRead> Pieces<R> {
    const fn new(lines: R) -> Self {
        Self {
            lines,
            line: Vec::new(),
            is_within: false,
            read: 0,
        }
    }

    /// The next line, without its line feed, and as nothing if it is too long;
    /// `None` at the end.
    fn next(&mut self) -> io::Result<Option<&[u8]>> {
        if self.is_within {
            self.is_within = false;
            let skipped = self.lines.skip_until(b'\n')?;
            self.read += number(skipped);
        }
        self.line.clear();
        let most = number(LINE_BYTES_MAX) + 1;
        let bytes = self
            .lines
            .by_ref()
            .take(most)
            .read_until(b'\n', &mut self.line)?;
        self.read += number(bytes);
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        } else if bytes > LINE_BYTES_MAX {
            self.is_within = true;
            self.line.clear();
        }
        Ok((bytes > 0).then_some(self.line.as_slice()))
    }
}

fn number(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// What a line says.
struct Said<'a> {
    hash: ChainHash,
    text: &'a [u8],
    seq: u64,
    event: AuditEvent,
}

impl<'a> Said<'a> {
    fn by(line: &'a [u8]) -> Option<Self> {
        let (hash, text) = split(line)?;
        let (seq, event) = decode(text)?;
        (1..u64::MAX).contains(&seq).then_some(Self {
            hash,
            text,
            seq,
            event,
        })
    }
}

/// A verification under way.
struct Walk {
    asked: VerifyLines,
    /// The first event to verify, if that is not the first line's.
    from: Option<u64>,
    lines: u64,
    /// Whether a line of an event before that was passed over, and the chain
    /// and the hash that the last of them says.
    passed: bool,
    before: Option<(Chain, ChainHash)>,
    granted: Option<u64>,
    verifier: Option<Verifier>,
}

impl Walk {
    fn new(asked: VerifyLines) -> Self {
        let latest = asked
            .noted
            .map_or(u64::MAX, |(seq, _)| seq.saturating_add(1));
        Self {
            from: asked.from.map(|from| from.clamp(1, latest)),
            asked,
            lines: 0,
            passed: false,
            before: None,
            granted: None,
            verifier: None,
        }
    }

    /// A break at the line that was read last.
    fn broken(&self, seq: Option<u64>, kind: BreakKind) -> LineBreak {
        let line = self.lines;
        LineBreak { line, seq, kind }
    }

    fn at(&self, broken: ChainBreak) -> LineBreak {
        self.broken(Some(broken.seq), broken.kind)
    }

    /// Follows the chain by a line, or passes it over.
    fn step(&mut self, line: &[u8]) -> Result<(), LineBreak> {
        self.lines += 1;
        let said = Said::by(line);
        if self.verifier.is_none() {
            if self.is_before(said.as_ref()) {
                self.passed = true;
                return Ok(());
            }
            let said = said.as_ref();
            let first = said.ok_or_else(|| self.broken(self.from, BreakKind::NoLine))?;
            if !self.begin(first)? {
                return Ok(());
            }
        }
        let next = self.verifier.as_ref().map(Verifier::next);
        let said = said.ok_or_else(|| self.broken(next, BreakKind::NoLine))?;
        if next.is_some_and(|next| said.seq > next) {
            return Err(self.broken(next, BreakKind::Missing));
        }
        let Some(verifier) = &mut self.verifier else {
            return Ok(());
        };
        let followed = verifier.link(said.hash, said.text, Some((said.seq, said.event)));
        followed.map(drop).map_err(|broken| self.at(broken))
    }

    /// Whether a line is passed over, because the first event to verify is still
    /// to come: what cannot be read there is nobody's concern.
    fn is_before(&mut self, said: Option<&Said<'_>>) -> bool {
        let Some(from) = self.from else { return false };
        let Some(said) = said else { return true };
        if said.seq.saturating_add(1) == from {
            self.before = Some((said.event.chain.clone(), said.hash));
        }
        said.seq < from
    }

    /// Begins at the first line that counts; whether that is itself verified,
    /// and not just the one before those that are.
    fn begin(&mut self, first: &Said<'_>) -> Result<bool, LineBreak> {
        let from = self.from.unwrap_or(first.seq);
        let chain = self.asked.chain.clone();
        let chain = chain.unwrap_or_else(|| first.event.chain.clone());
        if first.event.chain != chain {
            return Err(self.broken(Some(from), BreakKind::Misplaced));
        }
        let (verifier, is_verified) = match self.hash_before(from, &chain) {
            Some(hash) => (Verifier::new(chain, from, hash), true),
            None if self.passed => return Err(self.broken(Some(from - 1), BreakKind::Missing)),
            None if first.seq != from => return Err(self.broken(Some(from), BreakKind::Missing)),
            None => {
                self.granted = Some(from);
                (
                    Verifier::new(chain, from.saturating_add(1), first.hash),
                    false,
                )
            }
        };
        let held = verifier.held_to(self.asked.noted);
        self.verifier = Some(held.map_err(|broken| self.at(broken))?);
        Ok(is_verified)
    }

    /// The hash before an event, where something says it.
    fn hash_before(&mut self, seq: u64, chain: &Chain) -> Option<ChainHash> {
        let noted = self.asked.noted;
        let noted = noted.filter(|(at, _)| at.saturating_add(1) == seq);
        let genesis = (seq == 1).then(|| ChainHash::genesis(chain));
        let own = self.before.as_ref().filter(|(of, _)| of == chain);
        let own = own.map(|(_, hash)| *hash);
        if own.is_some() && self.asked.anchor.is_none() && noted.is_none() {
            self.granted = Some(seq - 1);
        }
        let known = self.asked.anchor.or(own).or(genesis);
        known.or(noted.map(|(_, hash)| hash))
    }

    fn end(mut self) -> VerifiedLines {
        self.lines += 1;
        if let (None, Some(from), Some((chain, _))) = (&self.verifier, self.from, &self.before) {
            // The event before the first to verify is the last there is.
            let chain = self.asked.chain.clone().unwrap_or_else(|| chain.clone());
            let hash = self.hash_before(from, &chain);
            let begun = hash.map(|hash| Verifier::new(chain, from, hash));
            match begun.map(|verifier| verifier.held_to(self.asked.noted)) {
                Some(Ok(verifier)) => self.verifier = Some(verifier),
                Some(Err(broken)) => return self.report(Some(self.at(broken))),
                None => {}
            }
        }
        let next = match &self.verifier {
            // Behind a hash that was given nothing may have come.
            None if self.lines == 1 && self.asked.is_a_part() => None,
            None => Some(self.from.unwrap_or(1)),
            Some(verifier) => {
                let next = verifier.next();
                let noted = self.asked.noted;
                noted.filter(|(seq, _)| *seq >= next).map(|_| next)
            }
        };
        let broken = next.map(|next| self.broken(Some(next), BreakKind::CutOff));
        self.report(broken)
    }

    fn report(&self, broken: Option<LineBreak>) -> VerifiedLines {
        let begun = self.verifier.as_ref();
        let from = begun.map_or(self.from.unwrap_or(1), Verifier::first);
        VerifiedLines {
            chain: begun.map(|verifier| verifier.chain().clone()),
            from,
            through: begun.map_or(from, Verifier::next) - 1,
            events: begun.map_or(0, Verifier::events),
            granted: self.granted,
            lost: begun.map_or(0, Verifier::lost),
            hash: begun.map(Verifier::hash),
            broken,
        }
    }
}
