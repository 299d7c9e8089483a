//! Pages for people, as one file without network, script or anything else beside it.
//!
//! | module | content |
//! |---|---|
//! | [`shell`] | the shell of a page: its one style sheet, landmarks, contents |
//! | [`components`] | parts of a page: tables, boxes that scroll, folded text, the verdict band, figure cards, panels |
//! | [`svg`] | drawing: shapes with classes, the text alternative, axes |
//! | [`scale`] | from seconds or counts to coordinates; ticks that people read |
//! | [`steps`] | lines that hold a value until the next, thinned out where there are more points than pixels |
//!
//! maud escapes all text that is put into a page; markup has a type of its own. Charts know no colours: they have classes, and
//! the style sheet gives each class a colour for light and for dark.

pub mod components;
mod palette;
pub mod scale;
mod scroll;
pub mod shell;
pub mod steps;
pub mod svg;
