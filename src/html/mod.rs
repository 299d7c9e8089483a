//! Pages for people, as one file without network, script or anything else beside it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`document`] | the shell of a page: its one style sheet, landmarks, contents |
//! | [`block`] | what stands in a page: tables, boxes that scroll, folded text, links |
//! | [`lead`] | what stands first: the band with what came out, figures shown large, panels side by side |
//! | [`svg`] | drawing: shapes with classes, the text alternative, axes |
//! | [`scale`] | from seconds or counts to coordinates; ticks that people read |
//! | [`steps`] | lines that hold a value until the next, thinned out where there are more points than pixels |
//!
//! Functions that take plain text escape it themselves; what is markup already is called `markup` or `body`. Charts know no
//! colour: they have classes, and the style sheet gives each a colour for light and for dark.

pub mod block;
pub mod document;
pub mod lead;
pub mod scale;
pub mod steps;
pub mod svg;
