//! Colours of drawings as attributes. They are the light theme of the style sheet, so that a page stays readable where a server
//! forbids inline style sheets; where it does not, the style sheet overrides them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use itertools::Itertools;

/// The one style sheet.
pub(super) const STYLE: &str = include_str!("style.css");

/// The properties that SVG takes as attributes.
const PROPERTIES: [&str; 7] =
    ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "font-size", "font-weight"];

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(rules);

/// One selector of the style sheet's part on charts, such as `text.tick`, with the properties that it sets.
#[derive(Debug)]
struct Rule {
    element: &'static str,
    classes: Vec<&'static str>,
    properties: Vec<(&'static str, String)>,
}

impl Rule {
    fn matches(&self, element: &str, class: &str) -> bool {
        (self.element.is_empty() || self.element == element)
            && self.classes.iter().all(|name| class.split(' ').any(|held| held == *name))
    }
}

/// The attributes of an SVG element with these classes, each after a space.
pub(super) fn attributes(element: &str, class: &str) -> String {
    let rules = RULES.iter().filter(|rule| rule.matches(element, class));
    // The more specific rule wins, and of equals the later one.
    let rules = rules.sorted_by_key(|rule| (rule.classes.len(), !rule.element.is_empty()));
    let values: BTreeMap<_, _> = rules.flat_map(|rule| &rule.properties).map(|(name, value)| (*name, value)).collect();
    PROPERTIES.iter().filter_map(|name| Some(format!(" {name}=\"{}\"", values.get(name)?))).join("")
}

/// The value of a variable of the light theme.
pub(super) fn colour(name: &str) -> String {
    resolve(&format!("var(--{name})"), &variables())
}

fn rules() -> Vec<Rule> {
    let variables = variables();
    let charts = STYLE.split_once("/* Charts").and_then(|(_, rest)| rest.split_once("*/"));
    let charts = charts.and_then(|(_, charts)| charts.split_once("@media")).map_or("", |(charts, _)| charts);
    let mut rules = Vec::new();
    for (selectors, declarations) in charts.split('}').filter_map(|block| block.split_once('{')) {
        let declared = declarations.split(';').filter_map(|declaration| declaration.trim().split_once(": "));
        let known = declared.filter(|(name, _)| PROPERTIES.contains(name));
        let properties = known.map(|(name, value)| (name, resolve(value, &variables))).collect_vec();
        rules.extend(selectors.split(',').filter_map(|selector| {
            let mut parts = selector.split_whitespace().next_back()?.split('.');
            Some(Rule { element: parts.next()?, classes: parts.collect(), properties: properties.clone() })
        }));
    }
    rules.retain(|rule| !rule.properties.is_empty());
    rules
}

/// The variables of the light theme, which stands first.
fn variables() -> Vec<(&'static str, &'static str)> {
    let root = STYLE.split_once(":root {").and_then(|(_, rest)| rest.split_once('}')).map_or("", |(root, _)| root);
    root.split(';').filter_map(|line| line.trim().split_once(": ")).collect()
}

fn resolve(value: &str, variables: &[(&str, &str)]) -> String {
    match value.strip_prefix("var(").and_then(|name| name.strip_suffix(')')) {
        Some(name) => variables.iter().find(|(held, _)| *held == name).map_or("", |(_, value)| *value).to_owned(),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_those_of_the_light_theme() {
        assert_eq!(attributes("rect", "hue-0"), " fill=\"#60709f\"");
        assert_eq!(attributes("rect", "hue-9"), " fill=\"url(#stripes-1)\"");
        assert_eq!(attributes("path", "grid"), " fill=\"none\" stroke=\"#d5dbe1\" stroke-width=\"1\"");
        assert_eq!(attributes("text", "tick"), " fill=\"#56606c\" font-size=\"11px\"");
        assert_eq!(attributes("circle", "missing"), "");
    }

    #[test]
    fn the_more_specific_rule_wins() {
        assert_eq!(attributes("path", "stroke hue-0"), " fill=\"none\" stroke=\"#60709f\" stroke-width=\"2.4\"");
        let limiting = attributes("rect", "wait wait-3 limits");
        assert!(limiting.contains("fill=\"url(#hatch-3)\" fill-opacity=\"1\" stroke=\"#1b2026\""), "{limiting}");
        assert_eq!(attributes("rect", "wait wait-3"), " fill=\"url(#hatch-3)\" fill-opacity=\"0.75\"");
    }

    #[test]
    fn every_colour_of_the_style_sheet_is_known() {
        for rule in RULES.iter() {
            assert!(rule.properties.iter().all(|(_, value)| !value.is_empty() && !value.contains('"')), "{rule:?}");
        }
        assert!(RULES.len() > 60, "{}", RULES.len());
        assert_eq!(colour("bg"), "#ffffff");
    }
}
