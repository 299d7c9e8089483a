//! What stages look like in every drawing of a page: bars, waits, points, and names upon bars.

use super::Scene;
use crate::html::document::{HUES, LOOKS};
use crate::html::svg::{Anchor, Svg};

/// How wide a character of a name upon a bar is at the most.
const CHARACTER: f64 = 6.2;
/// The height of the ground below such a name, and how far above its baseline that begins.
const GROUND: (f64, f64) = (12.0, 9.5);

/// Which look a stage has: the stages in their order have one each, and after the last the first comes again.
pub(super) fn look(scene: &Scene<'_>, stage: &str) -> usize {
    scene.figures.stages.iter().position(|held| held.name == stage).unwrap_or_default() % LOOKS
}

/// The class of work in a stage.
pub(super) fn work(look: usize) -> String {
    format!("hue-{look}")
}

/// The class of waiting for a stage; that for the limiting one stands out.
pub(super) fn wait(scene: &Scene<'_>, stage: &str) -> String {
    let limits = if limits(scene, stage) { " limits" } else { "" };
    format!("wait-{}{limits}", look(scene, stage))
}

/// Whether this is the stage that limits.
pub(super) fn limits(scene: &Scene<'_>, stage: &str) -> bool {
    scene.figures.limiting.as_ref().is_some_and(|limiting| limiting.stage == stage)
}

/// The class of points of a shape. They are too small for stripes: where bars have them, points have an edge.
pub(super) fn point(shape: &str, look: usize) -> String {
    let second = if look < HUES { "" } else { " second" };
    format!("{shape} hue-{}{second}", look % HUES)
}

/// Whether a name fits into so many pixels of a bar.
pub(super) fn fits(name: &str, pixels: f64) -> bool {
    width(name) + 6.0 <= pixels
}

/// How wide a name is drawn at the most.
pub(super) fn width(name: &str) -> f64 {
    name.chars().count() as f64 * CHARACTER
}

/// A name upon a bar of work with this look.
pub(super) fn name(svg: &mut Svg, look: usize, at: (f64, f64), name: &str) {
    let ground = (look >= HUES).then(|| work(look % HUES));
    upon(svg, ground.as_deref(), at, name);
}

/// A name upon a bar. Where that has stripes, `ground` is a class of one plain colour to stand on.
pub(super) fn upon(svg: &mut Svg, ground: Option<&str>, (x, y): (f64, f64), name: &str) {
    if let Some(ground) = ground {
        svg.rect(ground, (x - 2.0, y - GROUND.1), (width(name) + 3.0, GROUND.0));
    }
    svg.text("inside", (x, y), Anchor::Start, name);
}
