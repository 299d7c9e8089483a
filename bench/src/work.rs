//! The work that the tools are compared on.

use crate::durations::Shape;

/// One part of the comparison.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) jobs: usize,
    pub(crate) at_once: usize,
    /// Interleaved runs of each tool.
    pub(crate) rounds: usize,
    /// The tools that take part.
    pub(crate) tools: &'static [Tool],
}

/// A tool that submits jobs and waits for their ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    Ours,
    K6,
    Locust,
    /// A shell loop over curl.
    Curl,
}

impl Tool {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::K6 => "k6",
            Self::Locust => "Locust",
            Self::Curl => "curl",
        }
    }
}

use Tool::{Curl, K6, Locust, Ours};

/// All parts.
pub(crate) const WORKS: [Work; 9] = [
    Work {
        name: "few",
        shape: Shape::Constant(1.0),
        jobs: 12,
        at_once: 4,
        rounds: 5,
        tools: &[Ours, K6, Locust, Curl],
    },
    Work {
        name: "jittered",
        shape: Shape::Uniform(0.7, 1.3),
        jobs: 200,
        at_once: 50,
        rounds: 3,
        tools: &[Ours, K6, Locust],
    },
    Work { name: "constant", shape: Shape::Constant(2.0), jobs: 2000, at_once: 200, rounds: 3, tools: &[Ours, K6] },
    Work {
        name: "many",
        shape: Shape::Constant(30.0),
        jobs: 10_000,
        at_once: 10_000,
        rounds: 1,
        tools: &[Ours, K6, Curl],
    },
    Work { name: "long", shape: Shape::LogNormal(60.0, 0.3), jobs: 12, at_once: 4, rounds: 1, tools: &[Ours] },
    Work { name: "normal", shape: Shape::Normal(2.0, 0.4), jobs: 200, at_once: 50, rounds: 1, tools: &[Ours, K6] },
    Work { name: "bimodal", shape: Shape::Bimodal(1.0, 4.0), jobs: 200, at_once: 50, rounds: 1, tools: &[Ours, K6] },
    Work {
        name: "heavy-tailed",
        shape: Shape::HeavyTailed(1.0, 2.0),
        jobs: 200,
        at_once: 50,
        rounds: 1,
        tools: &[Ours, K6],
    },
    Work { name: "queued", shape: Shape::Queued(0.05), jobs: 200, at_once: 50, rounds: 1, tools: &[Ours, K6] },
];
