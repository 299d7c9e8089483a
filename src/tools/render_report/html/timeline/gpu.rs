//! The tenants of the GPU on the timeline, each with a look and a name.

use itertools::Itertools;

use super::{Axis, fitted};
use crate::escape;
use crate::html::svg::{Anchor, Svg};
use crate::record::{ClockOffset, Tenancy, Timestamp, Traces};
use crate::tools::render_report::html::looks;
use crate::tools::render_report::observed::Observed;
use crate::tools::render_report::sampled::Passing;
use crate::units;

/// The height of a lane, and of the line of names below it.
const LANE: f64 = 18.0;
const NAMES: f64 = 12.0;
/// The number of lanes, of tenancies in each or passings that are drawn, and of tenants in the legend.
const LANES: usize = 4;
const TENANCIES: usize = 400;
const NAMED: usize = 12;
/// The plain colour behind the name of a tenant whose look is striped.
const GROUNDS: [Option<&str>; 4] = [None, Some("tenant-3"), Some("tenant-0"), None];

/// A stretch of time of a lane.
struct Block<'a> {
    class: &'a str,
    /// Shown when it is pointed at.
    title: String,
    /// The text in it or below it.
    label: &'a str,
    text: Label,
}

enum Label {
    /// In it, where there is room.
    Quiet(&'static str),
    /// In it, or below it where there is room there alone; on this ground.
    Name(Option<&'static str>),
}

/// Draws the lanes from `top` on, and returns where they end.
pub(super) fn draw(svg: &mut Svg, axis: &Axis, observed: &Observed, offset: Option<ClockOffset>, top: f64) -> f64 {
    let by_spans = spans(observed, offset);
    let passings = &observed.sampled.passings;
    if by_spans.is_none() && passings.is_empty() {
        return top;
    }
    svg.text("strong", (0.0, top + 12.0), Anchor::Start, "GPU");
    let mut y = top + 18.0;
    if let Some((lanes, offset)) = by_spans {
        let tenants = tenants(lanes);
        for holds in lanes {
            svg.text("", (0.0, y + 13.0), Anchor::Start, &fitted(&holds.spec.service, axis.left() - 8.0));
            Lane { axis, y, taken: axis.left() }.draw(svg, holds, offset, &tenants);
            y += LANE + NAMES + 2.0;
        }
    } else {
        svg.text("", (0.0, y + 13.0), Anchor::Start, "transitions");
        let (zero, mut lane) = (axis.zero.seconds(), Lane { axis, y, taken: axis.left() });
        for Passing { way, after, until } in passings.iter().take(TENANCIES) {
            let title = format!("{way} between two samples, {} apart", units::seconds(until - after));
            lane.put(
                svg,
                after - zero,
                until - zero,
                Block { class: "unknown", title, label: "", text: Label::Quiet("tick") },
            );
        }
        y += LANE + 4.0;
    }
    y + 4.0
}

/// The lanes that can be drawn from spans, where the clock offset is known.
fn spans(observed: &Observed, offset: Option<ClockOffset>) -> Option<(&[Traces], ClockOffset)> {
    let lanes = &observed.holds[..observed.holds.len().min(LANES)];
    offset.filter(|_| !lanes.is_empty()).map(|offset| (lanes, offset))
}

fn shown(holds: &Traces) -> &[Tenancy] {
    let tenancies = &holds.status.tenancies;
    &tenancies[..tenancies.len().min(TENANCIES)]
}

/// The number of its tenancies, those that its record left out among them.
fn all(holds: &Traces) -> u64 {
    holds.status.tenancies.len() as u64 + holds.status.tenancies_left_out.unwrap_or_default()
}

/// Every tenant that is drawn, in the order in which they came.
fn tenants(lanes: &[Traces]) -> Vec<Option<&str>> {
    lanes.iter().flat_map(shown).map(|one| one.tenant.as_deref()).unique().collect()
}

fn tenant_name(tenant: Option<&str>) -> String {
    tenant.map_or_else(|| "unnamed".to_owned(), |tenant| escape::start(tenant, 40))
}

fn class(place: usize) -> String {
    format!("tenant-{}", place % GROUNDS.len())
}

/// The meaning of the tenants' looks; empty if none is drawn.
pub(super) fn legend(observed: &Observed, offset: Option<ClockOffset>) -> Vec<(String, String)> {
    let tenants = spans(observed, offset).map(|(lanes, _)| tenants(lanes)).unwrap_or_default();
    let entry = |(place, tenant): (usize, Option<&str>)| (class(place), format!("GPU: {}", tenant_name(tenant)));
    tenants.into_iter().take(NAMED).enumerate().map(entry).collect()
}

/// A lane in the making.
struct Lane<'a> {
    axis: &'a Axis,
    y: f64,
    /// The end of the names on the line below it.
    taken: f64,
}

impl Lane<'_> {
    fn draw(&mut self, svg: &mut Svg, holds: &Traces, offset: ClockOffset, tenants: &[Option<&str>]) {
        let axis = self.axis;
        let here = |at: Timestamp| axis.seconds(at.shifted(-offset.seconds));
        let shown = shown(holds);
        let Some(first) = shown.first() else { return };
        let unknown =
            |title: &str, label| Block { class: "unknown", title: title.to_owned(), label, text: Label::Quiet("tick") };
        self.put(svg, 0.0, here(first.acquiring_at), unknown("the tenant before is not known", "not known"));
        for (index, one) in shown.iter().enumerate() {
            let name = tenant_name(one.tenant.as_deref());
            let place = tenants.iter().position(|held| *held == one.tenant.as_deref()).unwrap_or_default();
            let class = class(place);
            let (from, held) = (here(one.acquiring_at), here(one.held_at));
            let next = shown.get(index + 1).map_or(axis.last, |next| here(next.acquiring_at));
            let certain = one.released_at.map_or_else(|| here(one.seen_at), here).min(next.max(held));
            let title = format!("passing to {name}: {}", units::seconds(held - from));
            self.put(svg, from, held, Block { class: "wait wait-plain", title, label: "", text: Label::Quiet("tick") });
            let title = format!("{name} for {}", units::seconds(certain - held));
            let text = Label::Name(GROUNDS[place % GROUNDS.len()]);
            self.put(svg, held, certain, Block { class: &class, title, label: &name, text });
            if one.released_at.is_none() {
                let title = format!("probably {name}: no span shows when it released the GPU");
                let (class, label) = (format!("{class} faint"), format!("{name}?"));
                let block = Block { class: &class, title, label: &label, text: Label::Quiet("pale") };
                self.put(svg, certain.max(held), next, block);
            }
        }
        if all(holds) > shown.len() as u64 {
            let last = shown.last().map_or(0.0, |last| here(last.seen_at));
            self.put(svg, last, axis.last, unknown("later tenants are not drawn", "not drawn"));
        }
    }

    fn put(&mut self, svg: &mut Svg, from: f64, to: f64, Block { class, title, label, text }: Block<'_>) {
        let (low, high) = self.axis.x.ends();
        if to <= low || from >= high || to <= from {
            return;
        }
        let (from, to) = (self.axis.x.at(from), self.axis.x.at(to));
        let (y, inside) = (self.y, looks::fits(label, to - from));
        svg.titled(&title, |svg| {
            svg.rect(class, (from, y), (to - from, LANE));
            match text {
                Label::Quiet(class) if inside => svg.text(class, (from + 4.0, y + 12.5), Anchor::Start, label),
                Label::Name(ground) if inside => looks::name_on(svg, ground, (from + 4.0, y + 12.5), label),
                Label::Quiet(_) | Label::Name(_) => {}
            }
        });
        if inside || !matches!(text, Label::Name(_)) {
            return;
        }
        let (left, right) = self.axis.x.coordinates();
        // A name longer than the axis begins where that does.
        let below = ((from + to - looks::width(label)) / 2.0).min(right - looks::width(label)).max(left);
        if below >= self.taken {
            svg.text("pale", (below, y + LANE + NAMES - 3.0), Anchor::Start, label);
        }
        // A name that is left out leaves no room to the next: else only short names would be seen where blocks are narrow.
        self.taken = self.taken.max(below + looks::width(label) + 4.0);
    }
}

/// The note on the lanes of the GPU.
pub(super) fn note(observed: &Observed, offset: Option<ClockOffset>) -> String {
    let by_samples = !observed.sampled.passings.is_empty();
    let drawn: u64 = observed.holds.iter().map(|holds| shown(holds).len() as u64).sum();
    let all: u64 = observed.holds.iter().map(all).sum();
    match (observed.holds.is_empty(), offset, by_samples) {
        (false, Some(_), _) if drawn < all => {
            format!("The GPU's tenants come from spans; a change of tenant is hatched. The first {drawn} of {all} are drawn.")
        }
        (false, Some(_), _) => {
            "The GPU's tenants come from spans. A change of tenant is hatched; a pale area means that no span shows when the tenant \
             released the GPU. A name below a block belongs to a block that is too narrow for it."
                .to_owned()
        }
        (_, _, true) => "No spans show who held the GPU. Each dashed box lies between two samples of the transitions counter: the \
                         GPU changed its tenant somewhere in it."
            .to_owned(),
        _ => "It is not known who held the GPU: there are neither spans of it nor samples of its transitions.".to_owned(),
    }
}
