//! Colours of drawings as attributes. They are the light theme of the style sheet, so that a page stays readable where a server
//! forbids inline style sheets; where it does not, the style sheet overrides them.

use std::fmt::Write;
use std::sync::LazyLock;

/// The one style sheet.
pub(super) const STYLE: &str = include_str!("style.css");

/// The properties that SVG takes as attributes.
const PROPERTIES: [&str; 7] =
    ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "font-size", "font-weight"];

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| rules(STYLE));

/// One selector of the style sheet with the properties that it sets.
#[derive(Debug)]
struct Rule {
    element: &'static str,
    classes: Vec<&'static str>,
    /// The start of the class attribute, from `[class^="…"]`.
    prefix: &'static str,
    properties: Vec<(&'static str, String)>,
}

impl Rule {
    fn matches(&self, element: &str, class: &str) -> bool {
        (self.element.is_empty() || self.element == element)
            && class.starts_with(self.prefix)
            && self.classes.iter().all(|name| class.split(' ').any(|held| held == *name))
    }

    fn specificity(&self) -> usize {
        2 * (self.classes.len() + usize::from(!self.prefix.is_empty())) + usize::from(!self.element.is_empty())
    }
}

/// The attributes of an SVG element with these classes, each after a space.
pub(super) fn attributes(element: &str, class: &str) -> String {
    let mut rules: Vec<&Rule> = RULES.iter().filter(|rule| rule.matches(element, class)).collect();
    rules.sort_by_key(|rule| rule.specificity());
    let mut text = String::new();
    for property in PROPERTIES {
        let values = rules.iter().rev().flat_map(|rule| rule.properties.iter().rev());
        if let Some((_, value)) = values.into_iter().find(|(name, _)| *name == property) {
            let _ = write!(text, " {property}=\"{value}\"");
        }
    }
    text
}

/// The value of a variable of the light theme.
pub(super) fn colour(name: &str) -> String {
    resolve(&format!("var(--{name})"), &variables(STYLE))
}

fn rules(style: &'static str) -> Vec<Rule> {
    let variables = variables(style);
    let mut rules = Vec::new();
    // Themes for the dark, small screens and paper stand behind the others.
    let screen = style.split("@media").enumerate().map(|(index, part)| match index {
        0 => part,
        _ => part.split_once("} }").or_else(|| part.split_once("\n}\n")).map_or("", |(_, rest)| rest),
    });
    for block in screen.flat_map(|part| part.split('}')) {
        let Some((selectors, declarations)) = block.split_once('{') else { continue };
        let selectors = selectors.rsplit("*/").next().unwrap_or_default();
        for selector in selectors.split(',').map(str::trim) {
            let declared = declarations.split(';').filter_map(|declaration| declaration.split_once(':'));
            let properties: Vec<(&str, String)> = declared
                .map(|(name, value)| (name.trim(), resolve(value.trim(), &variables)))
                .filter(|(name, _)| PROPERTIES.contains(name))
                .collect();
            let selector = selector.strip_prefix(".chart ").unwrap_or(selector);
            if !properties.is_empty() && !selector.contains([' ', ':', '>']) {
                rules.push(rule(selector, properties));
            }
        }
    }
    rules
}

fn rule(selector: &'static str, properties: Vec<(&'static str, String)>) -> Rule {
    let (selector, prefix) = match selector.split_once("[class^=\"") {
        Some((before, rest)) => (before, rest.trim_end_matches("\"]")),
        None => (selector, ""),
    };
    let mut parts = selector.split('.');
    let element = parts.next().unwrap_or_default();
    Rule { element, classes: parts.collect(), prefix, properties }
}

/// The variables of the light theme, which stands first.
fn variables(style: &'static str) -> Vec<(&'static str, &'static str)> {
    let root = style.split_once(":root {").and_then(|(_, rest)| rest.split_once('}')).map_or("", |(root, _)| root);
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
    fn the_more_specific_rule_wins_and_an_attribute_selector_matches_the_start() {
        assert_eq!(attributes("path", "stroke hue-0"), " fill=\"none\" stroke=\"#60709f\" stroke-width=\"2.4\"");
        let limiting = attributes("rect", "wait-3 limits");
        assert!(limiting.contains("fill=\"url(#hatch-3)\" fill-opacity=\"1\" stroke=\"#1b2026\""), "{limiting}");
        assert_eq!(attributes("rect", "wait-3"), " fill=\"url(#hatch-3)\" fill-opacity=\"0.75\"");
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
