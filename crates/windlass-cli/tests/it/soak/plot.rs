//! The samples as a picture: a panel for each series, with the line through
//! its second half.

use std::fmt::Write;

use super::samples::{SERIES, Sampler};
use super::trend::Trend;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 110.0;
const LEFT: f64 = 20.0;
const TITLE: f64 = 24.0;

/// The picture, as SVG.
pub(super) fn svg(sampler: &Sampler) -> String {
    let panel = HEIGHT + TITLE + 16.0;
    let panels = SERIES.iter().map(|_| panel).sum::<f64>();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{panels}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        WIDTH + 2.0 * LEFT
    );
    let mut top = 0.0;
    for (place, series) in SERIES.iter().enumerate() {
        let points = sampler.points(place);
        let high = points
            .iter()
            .fold(1.0, |high: f64, point| high.max(point.1));
        let end = points.last().map_or(1.0, |point| point.0.max(1.0));
        let to = |(time, value): (f64, f64)| {
            let (x, y) = (LEFT + time / end * WIDTH, value / high * HEIGHT);
            format!("{x:.1},{:.1}", top + TITLE + HEIGHT - y)
        };
        let drawn: Vec<String> = points.iter().map(|point| to(*point)).collect();
        let trend = Trend::of(&points);
        let line = trend.line.map(to).join(" ");
        let (title, floor) = (top + 16.0, top + TITLE + HEIGHT);
        write!(
            svg,
            "<text x=\"{LEFT}\" y=\"{title}\">{} ({}), at most {high:.0}, {end:.0} s: {trend}</text>\n\
             <path d=\"M{LEFT} {floor} h{WIDTH}\" stroke=\"#aaa\"/>\n\
             <polyline fill=\"none\" stroke=\"#1f5fa8\" points=\"{}\"/>\n\
             <polyline fill=\"none\" stroke=\"#c0392b\" stroke-dasharray=\"4\" points=\"{line}\"/>\n",
            series.name,
            series.unit,
            drawn.join(" "),
        )
        .expect("a text takes everything");
        top += panel;
    }
    svg + "</svg>\n"
}
