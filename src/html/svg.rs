//! Drawing: shapes with classes, groups with titles, axes, and a text alternative for the whole.
//!
//! A shape has a class and, beside it, the light theme's colours of that class as attributes.

use std::fmt::{self, Write};

use maud::{Markup, PreEscaped, html};

use super::palette;
use super::scale::Scale;
use super::scroll::scroll;
use crate::escape;

/// The part of a text that stands at its coordinate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The beginning.
    Start,
    /// The middle.
    Middle,
    /// The end.
    End,
}

/// The `d` attribute of a path: commands and coordinates, nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct PathData(String);

impl PathData {
    /// A path that begins at this point.
    pub fn start((x, y): (f64, f64)) -> Self {
        Self::default().move_to((x, y))
    }

    /// A diamond around this point, with this distance to its corners.
    pub fn diamond((x, y): (f64, f64), reach: f64) -> Self {
        let corners = [(x + reach, y), (x, y + reach), (x - reach, y)];
        corners.into_iter().fold(Self::start((x, y - reach)), Self::line_to).close()
    }

    /// Moves to a point without drawing.
    pub fn move_to(self, (x, y): (f64, f64)) -> Self {
        self.command(format_args!("M{} {}", number(x), number(y)))
    }

    /// A straight line to a point.
    pub fn line_to(self, (x, y): (f64, f64)) -> Self {
        self.command(format_args!("L{} {}", number(x), number(y)))
    }

    /// A horizontal line to this coordinate.
    pub fn horizontal_to(self, x: f64) -> Self {
        self.command(format_args!("H{}", number(x)))
    }

    /// A vertical line to this coordinate.
    pub fn vertical_to(self, y: f64) -> Self {
        self.command(format_args!("V{}", number(y)))
    }

    /// A line back to the beginning.
    pub fn close(self) -> Self {
        self.command(format_args!("Z"))
    }

    /// The commands as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn command(mut self, command: fmt::Arguments<'_>) -> Self {
        // Writing to a String cannot fail.
        let _ = self.0.write_fmt(command);
        self
    }
}

/// A drawing in the making, in units that are pixels at its natural size. Writing to a string cannot fail.
#[derive(Clone, Debug)]
pub struct Svg {
    width: f64,
    height: f64,
    body: String,
    titles: bool,
}

/// A coordinate: one decimal, and none where it is whole.
pub fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    match text.strip_suffix(".0") {
        Some("-0") => "0".to_owned(),
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

impl Svg {
    /// An empty drawing of this size.
    pub fn new(width: f64, height: f64) -> Self {
        Self { width, height, body: String::new(), titles: true }
    }

    /// The same drawing, whose groups from now on show nothing when they are pointed at.
    #[must_use]
    pub fn without_titles(self) -> Self {
        Self { titles: false, ..self }
    }

    /// Draws `other`, which has the same coordinates, over the shapes so far.
    pub fn overlay(&mut self, other: &Self) {
        self.body.push_str(&other.body);
    }

    /// Writes an element up to its end; the colours stand behind the geometry.
    fn element(&mut self, name: &str, class: &str, geometry: fmt::Arguments<'_>) {
        let (shown, colours) = (escape::html(class), palette::attributes(name, class));
        let _ = write!(self.body, "<{name} class=\"{shown}\"{geometry}{colours}");
    }

    fn empty_element(&mut self, name: &str, class: &str, geometry: fmt::Arguments<'_>) {
        self.element(name, class, geometry);
        self.body.push_str("/>");
    }

    /// A rectangle from (`x`, `y`), wide enough to be seen.
    pub fn rect(&mut self, class: &str, (x, y): (f64, f64), (width, height): (f64, f64)) {
        let (x, y, width, height) = (number(x), number(y), number(width.max(0.5)), number(height.max(0.5)));
        self.empty_element("rect", class, format_args!(" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\""));
    }

    /// A straight line.
    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.shape(class, &PathData::start(from).line_to(to));
    }

    /// A path; nothing if it has no commands.
    pub fn shape(&mut self, class: &str, PathData(d): &PathData) {
        if !d.is_empty() {
            self.empty_element("path", class, format_args!(" d=\"{d}\""));
        }
    }

    /// A circle.
    pub fn circle(&mut self, class: &str, (x, y): (f64, f64), radius: f64) {
        let (x, y, radius) = (number(x), number(y), number(radius));
        self.empty_element("circle", class, format_args!(" cx=\"{x}\" cy=\"{y}\" r=\"{radius}\""));
    }

    /// Plain text with its baseline at `y`.
    pub fn text(&mut self, class: &str, (x, y): (f64, f64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let (x, y, text) = (number(x), number(y), escape::html(text));
        self.element("text", class, format_args!(" x=\"{x}\" y=\"{y}\"{anchor}"));
        let _ = write!(self.body, ">{text}</text>");
    }

    /// A group that shows `title` when it is pointed at.
    pub fn titled(&mut self, title: &str, draw: impl FnOnce(&mut Self)) {
        if !self.titles {
            return draw(self);
        }
        let _ = write!(self.body, "<g><title>{}</title>", escape::html(title));
        draw(self);
        self.body.push_str("</g>");
    }

    /// Vertical lines at `ticks` between two heights, with labels below.
    pub fn axis(&mut self, x: &Scale, ticks: &[f64], (top, bottom): (f64, f64), label: fn(f64) -> String) {
        for tick in ticks {
            let at = x.at(*tick);
            self.line("grid", (at, top), (at, bottom));
        }
        self.tick_labels(x, ticks, bottom + 14.0, label);
    }

    /// The labels of an axis alone, with their baseline at `y`.
    pub fn tick_labels(&mut self, x: &Scale, ticks: &[f64], y: f64, label: fn(f64) -> String) {
        let (_, right) = x.coordinates();
        for tick in ticks {
            let at = x.at(*tick);
            let anchor = match at {
                at if at > right - 16.0 => Anchor::End,
                at if at < 16.0 => Anchor::Start,
                _ => Anchor::Middle,
            };
            self.text("tick", (at, y), anchor, &label(*tick));
        }
    }

    /// Horizontal lines at `ticks` between two coordinates, with labels before them.
    pub fn grid(&mut self, y: &Scale, ticks: &[f64], (left, right): (f64, f64), label: fn(f64) -> String) {
        for tick in ticks {
            let at = y.at(*tick);
            self.line("grid", (left, at), (right, at));
            self.text("tick", (left - 6.0, at + 4.0), Anchor::End, &label(*tick));
        }
    }

    /// The drawing in a box that scrolls, with its text alternative: `title` names it and `finding` says what it shows. `id` is
    /// unique in its page.
    pub fn into_figure(self, id: &str, title: &str, finding: &str) -> Markup {
        let (width, height) = (number(self.width), number(self.height));
        let svg = html! {
            svg id=(id) class="chart" role="img" aria-labelledby=(format!("{id}-t {id}-d"))
                viewBox=(format!("0 0 {width} {height}")) width=(width) height=(height) font-family="sans-serif" {
                title id=(format!("{id}-t")) { (title) }
                desc id=(format!("{id}-d")) { (finding) }
                (self.into_shapes())
            }
        };
        scroll(&format!("Chart: {title}"), &svg)
    }

    /// The shapes without the element around them.
    pub fn into_shapes(self) -> Markup {
        PreEscaped(self.body)
    }

    /// A sample of a class for a legend.
    pub fn sample(class: &str) -> Markup {
        let mut svg = Self::new(14.0, 12.0);
        svg.rect(class, (1.0, 1.0), (12.0, 10.0));
        html! { svg width="14" height="12" aria-hidden="true" focusable="false" { (svg.into_shapes()) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_short() {
        assert_eq!([1.0, -0.04, 2.25, 1e3].map(number), ["1", "0", "2.2", "1000"]);
    }

    #[test]
    fn text_is_escaped_and_the_alternative_is_there() {
        let mut svg = Svg::new(100.0, 20.0);
        svg.titled("<b>", |svg| svg.text("tick", (1.0, 2.0), Anchor::End, "\"&"));
        let figure = svg.into_figure("x", "T", "It is <5 s").into_string();
        assert!(figure.contains("role=\"img\" aria-labelledby=\"x-t x-d\""));
        assert!(figure.contains("<title id=\"x-t\">T</title><desc id=\"x-d\">It is &lt;5 s</desc>"));
        assert!(figure.contains(
            "<g><title>&lt;b&gt;</title><text class=\"tick\" x=\"1\" y=\"2\" text-anchor=\"end\" fill=\"#56606c\" font-size=\"11px\">&quot;&amp;</text></g>"
        ));
    }
}
