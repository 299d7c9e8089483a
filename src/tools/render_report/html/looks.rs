//! The looks of stages in every drawing of a page: bars, waits, points, and names on bars.

use crate::html::shell::{HUES, LOOKS};
use crate::html::svg::{Anchor, Svg};
use crate::tools::render_report::scene::Scene;

/// The greatest width of a character of a name on a bar.
const CHARACTER: f64 = 6.2;
/// The height of the ground below such a name, and its distance above the baseline.
const GROUND: (f64, f64) = (12.0, 9.5);

/// The look of a stage. The stages have one each in their order; after the last look the first comes again.
pub(super) fn look(scene: &Scene<'_>, stage: &str) -> usize {
    scene.evaluation.figures.stages.iter().position(|held| held.name == stage).unwrap_or_default() % LOOKS
}

/// The class of work in a stage.
pub(super) fn work(look: usize) -> String {
    format!("hue-{look}")
}

/// The class of waiting for a stage; that for the limiting one stands out.
pub(super) fn wait(scene: &Scene<'_>, stage: &str) -> String {
    let limits = if limits(scene, stage) { " limits" } else { "" };
    format!("wait wait-{}{limits}", look(scene, stage))
}

/// Returns true for the limiting stage.
pub(super) fn limits(scene: &Scene<'_>, stage: &str) -> bool {
    scene.evaluation.figures.limiting.as_ref().is_some_and(|limiting| limiting.stage == stage)
}

/// The class of points of a shape. They are too small for stripes: where bars have them, points have an edge.
pub(super) fn point(shape: &str, look: usize) -> String {
    let second = if look < HUES { "" } else { " second" };
    format!("{shape} hue-{}{second}", look % HUES)
}

/// Returns true if a name fits into this width of a bar.
pub(super) fn fits(name: &str, pixels: f64) -> bool {
    width(name) + 6.0 <= pixels
}

/// The greatest width of a name.
pub(super) fn width(name: &str) -> f64 {
    name.chars().count() as f64 * CHARACTER
}

/// Writes a name on a bar of work with this look.
pub(super) fn name(svg: &mut Svg, look: usize, at: (f64, f64), name: &str) {
    let ground = (look >= HUES).then(|| work(look % HUES));
    name_on(svg, ground.as_deref(), at, name);
}

/// Writes a name on a bar. If the bar has stripes, `ground` is the class of a plain colour behind the name.
pub(super) fn name_on(svg: &mut Svg, ground: Option<&str>, (x, y): (f64, f64), name: &str) {
    if let Some(ground) = ground {
        svg.rect(ground, (x - 2.0, y - GROUND.1), (width(name) + 3.0, GROUND.0));
    }
    svg.text("inside", (x, y), Anchor::Start, name);
}
