//! The shell of a page: head, style sheet, landmarks, contents.

use maud::{Markup, PreEscaped, html};

use super::palette::{self, STYLE};
use super::svg::Svg;
use crate::escape;

/// The number of colours that the style sheet has for stages.
pub const HUES: usize = 8;
/// The number of looks that it has for them: each colour plain, and then each with stripes.
pub const LOOKS: usize = 2 * HUES;

/// The rights that the page gives to itself: to be shown with its own style sheet, and nothing else.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// One section of a page; a line of the contents leads to it.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its id: letters and dashes.
    pub id: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// The content below the heading.
    pub body: Markup,
}

/// A page.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// The title of the window.
    pub title: String,
    /// The line above everything, which names the run.
    pub banner: Markup,
    /// The content that is seen without scrolling; it holds the first-level heading.
    pub summary: Markup,
    /// The sections; those without content are left out.
    pub sections: Vec<Section>,
    /// The last line.
    pub footer: Markup,
}

impl Document {
    /// The whole file. Control characters and characters that reorder text are spelt out, wherever they came from.
    pub fn render(&self) -> String {
        let sections: Vec<&Section> = self.sections.iter().filter(|section| !section.body.0.is_empty()).collect();
        let page = html! {
            (PreEscaped("<!doctype html>\n"))
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="referrer" content="no-referrer";
                    title { (self.title) }
                    style { (PreEscaped(STYLE)) }
                }
                // Without a style sheet these attributes keep a browser's dark theme away from drawings in light colours.
                body bgcolor=(palette::colour("bg")) text=(palette::colour("ink")) link=(palette::colour("link"))
                    vlink=(palette::colour("link")) {
                    a class="skip" href="#main" { "Skip to the report" } "\n"
                    (patterns())
                    header class="banner" { (self.banner) } "\n"
                    main id="main" {
                        (self.summary)
                        @if !sections.is_empty() {
                            nav class="contents" aria-label="Contents" { ol {
                                @for section in &sections {
                                    li { a href=(format!("#{}", section.id)) { (section.title) } }
                                }
                            } }
                            "\n"
                        }
                        @for Section { id, title, body } in &sections {
                            section id=(id) aria-labelledby=(format!("{id}-h")) {
                                h2 id=(format!("{id}-h")) { (title) } "\n"
                                (body)
                            }
                            "\n"
                        }
                    }
                    "\n"
                    footer { (self.footer) } "\n"
                }
            }
            "\n"
        };
        escape::visible(&page.into_string())
    }
}

/// Hatchings and stripes that all drawings of a page share.
fn patterns() -> Markup {
    let pattern = |id: String, degrees: i32, class: &str| {
        let mut tile = Svg::new(4.0, 4.0);
        if id.starts_with("hatch") {
            tile.line(&format!("stroke {class}"), (0.0, 0.0), (0.0, 4.0));
        } else {
            // Across a bar, so that one of two pixels shows them too.
            tile.rect(class, (0.0, 0.0), (4.0, 2.5));
        }
        html! {
            pattern id=(id) width="4" height="4" patternUnits="userSpaceOnUse"
                patternTransform=(format!("rotate({degrees})")) { (tile.into_shapes()) }
        }
    };
    let hues = (0..HUES).flat_map(|hue| {
        let class = format!("hue-{hue}");
        [
            pattern(format!("hatch-{hue}"), 45, &class),
            pattern(format!("hatch-{}", hue + HUES), -45, &class),
            pattern(format!("stripes-{hue}"), 0, &class),
        ]
    });
    html! {
        svg class="patterns" width="0" height="0" aria-hidden="true" focusable="false" { defs {
            @for pattern in hues { (pattern) }
            @for (id, degrees, class) in
                [("hatch-bad", 45, "on-bad"), ("hatch-plain", 45, "plain"), ("bars-0", 90, "tenant-0"), ("bars-1", 90, "tenant-3")]
            {
                (pattern(id.to_owned(), degrees, class))
            }
        } }
        "\n"
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The custom properties that the style sheet sets in the block that follows `place`.
    fn colours(place: &str) -> BTreeMap<&'static str, [f64; 3]> {
        let (_, rest) = STYLE.split_once(place).unwrap();
        let (block, _) = rest.split_once('}').unwrap();
        let colour = |line: &'static str| {
            let (name, value) = line.trim().strip_prefix("--")?.split_once(": #")?;
            let part = |at: usize| f64::from(u8::from_str_radix(&value[at..at + 2], 16).unwrap()) / 255.0;
            Some((name, [part(0), part(2), part(4)]))
        };
        block.split(';').filter_map(colour).collect()
    }

    fn linear(rgb: [f64; 3]) -> [f64; 3] {
        rgb.map(|c| if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) })
    }

    /// Relative luminance as WCAG 2 defines it.
    fn luminance(rgb: [f64; 3]) -> f64 {
        let [red, green, blue] = linear(rgb);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    fn times(matrix: [[f64; 3]; 3], of: [f64; 3]) -> [f64; 3] {
        matrix.map(|row| row[0] * of[0] + row[1] * of[1] + row[2] * of[2])
    }

    /// The matrix from linear red, green and blue to the same as seen without cones for middle wavelengths (Machado and others, "A
    /// Physiologically-based Model for Simulation of Color Vision Deficiency", IEEE TVCG 2009).
    const DEUTERANOPIA: [[f64; 3]; 3] =
        [[0.367_322, 0.860_646, -0.227_968], [0.280_085, 0.672_501, 0.047_413], [-0.011_820, 0.042_940, 0.968_881]];

    /// Oklab (B. Ottosson, 2020), in which distances are about as they are seen.
    fn oklab(linear: [f64; 3]) -> [f64; 3] {
        let cones = [
            [0.412_221_470_8, 0.536_332_536_3, 0.051_445_992_9],
            [0.211_903_498_2, 0.680_699_545_1, 0.107_396_956_6],
            [0.088_302_461_9, 0.281_718_837_6, 0.629_978_700_5],
        ];
        let lab = [
            [0.210_454_255_3, 0.793_617_785_0, -0.004_072_046_8],
            [1.977_998_495_1, -2.428_592_205_0, 0.450_593_709_9],
            [0.025_904_037_1, 0.782_771_766_2, -0.808_675_766_0],
        ];
        times(lab, times(cones, linear).map(f64::cbrt))
    }

    #[test]
    fn hues_are_told_apart_with_and_without_green_cones() {
        for (theme, place) in [("light", ":root {"), ("dark", "prefers-color-scheme: dark) { :root {")] {
            let of = colours(place);
            let seen = |hue: usize| {
                let linear = linear(of[format!("hue-{hue}").as_str()]);
                [linear, times(DEUTERANOPIA, linear)].map(oklab)
            };
            for (one, other) in (0..HUES).flat_map(|other| (0..other).map(move |one| (one, other))) {
                for (a, b) in seen(one).iter().zip(seen(other)) {
                    let apart = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
                    assert!(apart > 0.075, "{theme}: hue-{one} and hue-{other}: {apart:.3}");
                }
            }
        }
    }

    fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn text_and_graphics_stand_out_in_light_and_in_dark() {
        let (light, dark) = (colours(":root {"), colours("prefers-color-scheme: dark) { :root {"));
        assert_eq!(light.keys().collect::<Vec<_>>(), dark.keys().collect::<Vec<_>>());
        for (theme, of) in [("light", light), ("dark", dark)] {
            let mut compared = 0;
            let mut at_least = |least: f64, one: &str, other: &str| {
                let found = contrast(of[one], of[other]);
                assert!(found >= least, "{theme}: {one} on {other}: {found:.2}");
                compared += 1;
            };
            for ground in ["bg", "raised"] {
                for text in ["ink", "muted", "link", "good-ink", "bad-ink", "open-ink"] {
                    at_least(4.5, text, ground);
                }
                for graphic in ["good", "bad", "open", "line", "tenant-0", "tenant-1"] {
                    at_least(3.0, graphic, ground);
                }
            }
            for hue in 0..HUES {
                // Names stand on these bars in the page's own ground colour.
                at_least(4.5, &format!("hue-{hue}"), "bg");
            }
            for tenant in ["tenant-0", "tenant-1"] {
                at_least(4.5, tenant, "bg");
            }
            for band in ["good", "bad", "open", "muted"] {
                at_least(4.5, "on-band", band);
            }
            assert!(compared > 30);
        }
    }

    #[test]
    fn a_page_asks_for_nothing_and_runs_nothing() {
        let page = Document { title: "a <b>".into(), ..Document::default() }.render();
        assert!(page.contains("<title>a &lt;b&gt;</title>") && page.contains("default-src 'none'"));
        for forbidden in ["<script", "src=", "@import", "url(http", "http://", "https://"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
    }
}
