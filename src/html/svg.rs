//! Drawing: shapes with classes, groups that say what they are, axes, and the text alternative of the whole.

use std::fmt::Write;

use super::scale::Scale;
use crate::escape;

/// Where a text stands with regard to its coordinate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// It begins there.
    Start,
    /// Its middle is there.
    Middle,
    /// It ends there.
    End,
}

/// A drawing in the making, in units that are pixels at its natural size. Writing to a string cannot fail.
#[derive(Clone, Debug)]
pub struct Svg {
    width: f64,
    height: f64,
    body: String,
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
        Self { width, height, body: String::new() }
    }

    /// Puts `other` over what is drawn so far; both have the same coordinates.
    pub fn put(&mut self, other: &Self) {
        self.body.push_str(&other.body);
    }

    /// A rectangle from (`x`, `y`), at least as wide as can be seen.
    pub fn rect(&mut self, class: &str, (x, y): (f64, f64), (width, height): (f64, f64)) {
        let (width, height) = (width.max(0.5), height.max(0.5));
        let _ = write!(
            self.body,
            "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
            number(x),
            number(y),
            number(width),
            number(height)
        );
    }

    /// A straight line.
    pub fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        self.path(class, &format!("M{} {}L{} {}", number(x1), number(y1), number(x2), number(y2)));
    }

    /// A path; `d` holds nothing but numbers and commands.
    pub fn path(&mut self, class: &str, d: &str) {
        if !d.is_empty() {
            let _ = write!(self.body, "<path class=\"{class}\" d=\"{d}\"/>");
        }
    }

    /// A circle.
    pub fn circle(&mut self, class: &str, (x, y): (f64, f64), radius: f64) {
        let _ = write!(
            self.body,
            "<circle class=\"{class}\" cx=\"{}\" cy=\"{}\" r=\"{}\"/>",
            number(x),
            number(y),
            number(radius)
        );
    }

    /// Plain text with its baseline at `y`.
    pub fn text(&mut self, class: &str, (x, y): (f64, f64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let text = escape::html(text);
        let _ =
            write!(self.body, "<text class=\"{class}\" x=\"{}\" y=\"{}\"{anchor}>{text}</text>", number(x), number(y));
    }

    /// What `draw` draws, with plain text that pointing at it shows.
    pub fn titled(&mut self, title: &str, draw: impl FnOnce(&mut Self)) {
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
    pub fn rungs(&mut self, y: &Scale, ticks: &[f64], (left, right): (f64, f64), label: fn(f64) -> String) {
        for tick in ticks {
            let at = y.at(*tick);
            self.line("grid", (left, at), (right, at));
            self.text("tick", (left - 6.0, at + 4.0), Anchor::End, &label(*tick));
        }
    }

    /// The drawing in a box that scrolls, with its text alternative: `title` names it, `finding` says what it shows. All plain
    /// text; `id` is unique in its page.
    pub fn figure(self, id: &str, title: &str, finding: &str) -> String {
        let Self { width, height, body } = self;
        let svg = format!(
            "<svg id=\"{id}\" class=\"chart\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" \
             height=\"{1}\"><title id=\"{id}-t\">{2}</title><desc id=\"{id}-d\">{3}</desc>{body}</svg>",
            number(width),
            number(height),
            escape::html(title),
            escape::html(finding),
        );
        super::block::scroll(&format!("Chart: {title}"), &svg)
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
        let figure = svg.figure("x", "T", "It is <5 s");
        assert!(figure.contains("role=\"img\" aria-labelledby=\"x-t x-d\""));
        assert!(figure.contains("<title id=\"x-t\">T</title><desc id=\"x-d\">It is &lt;5 s</desc>"));
        assert!(figure.contains(
            "<g><title>&lt;b&gt;</title><text class=\"tick\" x=\"1\" y=\"2\" text-anchor=\"end\">&quot;&amp;</text></g>"
        ));
    }
}
