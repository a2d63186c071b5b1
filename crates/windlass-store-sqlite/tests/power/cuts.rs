//! Cuts the power at many moments of a history and inspects what is left.

use std::fmt;
use std::path::PathBuf;

use windlass_store_testing::Random;

use crate::fate::Draw;
use crate::history::{History, Image, Start, scratch, write_image};
use crate::inspection::{Care, Inspection};
use crate::ledger::Finding;
use crate::medium::Medium;
use crate::recording::{Event, Mark};

/// One in so many images is looked at thoroughly.
const THOROUGH_ONE_IN: usize = 16;
/// Images drawn at one cut.
const CUT_IMAGES: usize = 2;
/// Events shown before a cut that lost something.
const SHOWN_EVENTS: usize = 16;

/// A power cut after which the store is not as it must be.
#[derive(Debug)]
pub(crate) struct Damage {
    pub(crate) finding: Finding,
    place: Place,
    events: usize,
    last_events: Vec<String>,
    image: Image,
}

impl Damage {
    /// Leaves the files of the image for a person to look at.
    pub(crate) fn keep(&self) -> PathBuf {
        let mut directory = scratch();
        write_image(directory.path(), &self.image);
        directory.disable_cleanup(true);
        directory.path().to_owned()
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.finding)?;
        let Place {
            images_before,
            cut,
            draw,
        } = &self.place;
        writeln!(f, "in image {images_before} of its history, {draw:?}")?;
        writeln!(f, "cut after {cut} of {} events", self.events)?;
        writeln!(f, "the last events:")?;
        self.last_events
            .iter()
            .try_for_each(|event| writeln!(f, "  {event}"))
    }
}

/// Inspects `images` images of `history`. Gives the last image and what was
/// in it, so that another history can begin there.
pub(crate) fn cut(history: &History, seed: u64, images: usize) -> Result<Start, Box<Damage>> {
    let mut random = Random::new(seed);
    let inspection = Inspection::new();
    let mut medium = Medium::of(&history.start);
    let mut ledger = history.ledger.clone();
    let mut last = Start::default();
    let mut events = history.events.iter();
    let mut inspected = 0;
    for place in places(&mut random, &history.events, images.div_ceil(CUT_IMAGES)) {
        while medium.events() < place
            && let Some(event) = events.next()
        {
            medium.apply(event);
            if let Event::Mark(mark) = event {
                ledger.note(*mark);
            }
        }
        for _ in 0..CUT_IMAGES.min(images - inspected) {
            let draw = Draw::new(&mut random, &medium);
            let image = medium.image(&draw);
            let thorough = random.one_in(THOROUGH_ONE_IN);
            let care = if thorough {
                Care::Thorough
            } else {
                Care::Brief
            };
            match inspection.inspect(&image, &ledger, care) {
                Ok(entries) => last = Start { image, entries },
                Err(finding) => {
                    let place = Place {
                        images_before: inspected,
                        cut: place,
                        draw,
                    };
                    return Err(place.damage(finding, history, image));
                }
            }
            inspected += 1;
        }
    }
    Ok(last)
}

/// Which image of a history it is.
#[derive(Debug)]
struct Place {
    images_before: usize,
    cut: usize,
    draw: Draw,
}

impl Place {
    fn damage(self, finding: Finding, history: &History, image: Image) -> Box<Damage> {
        let shown = &history.events[self.cut.saturating_sub(SHOWN_EVENTS)..self.cut];
        Box::new(Damage {
            finding,
            place: self,
            events: history.events.len(),
            last_events: shown.iter().map(describe).collect(),
            image,
        })
    }
}

fn describe(event: &Event) -> String {
    match event {
        Event::Write {
            file,
            offset,
            bytes,
        } => {
            format!("Write {{ {file:?}, {} bytes at {offset} }}", bytes.len())
        }
        other => format!("{other:?}"),
    }
}

/// Where the power is cut, in order: half of the cuts around acknowledgements,
/// a quarter around what is rare, the others anywhere.
fn places(random: &mut Random, events: &[Event], count: usize) -> Vec<usize> {
    let acknowledged = positions(events, |event| {
        matches!(event, Event::Mark(Mark::Acknowledged { .. }))
    });
    let rare = positions(events, |event| {
        !matches!(event, Event::Mark(_) | Event::Write { .. })
    });
    let mut places: Vec<_> = (0..count)
        .map(|_| {
            let place = match random.below(4) {
                0 | 1 if !acknowledged.is_empty() => *random.pick(&acknowledged) + random.below(6),
                2 if !rare.is_empty() => *random.pick(&rare) + random.below(4),
                _ => random.below(events.len() + 1) + 1,
            };
            place.saturating_sub(1).min(events.len())
        })
        .collect();
    places.sort_unstable();
    places
}

fn positions(events: &[Event], wanted: impl Fn(&Event) -> bool) -> Vec<usize> {
    let numbered = events.iter().enumerate();
    numbered
        .filter(|(_, event)| wanted(event))
        .map(|(place, _)| place)
        .collect()
}
