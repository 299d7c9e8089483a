//! The box around wide content.

use maud::{Markup, html};

/// A box that scrolls sideways by itself and can be reached by keyboard.
pub(super) fn scroll(label: &str, body: &Markup) -> Markup {
    html! { div class="scroll" role="group" tabindex="0" aria-label=(label) { (body) } "\n" }
}
