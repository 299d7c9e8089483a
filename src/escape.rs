//! Text from targets, traces and logs, made safe for where it is shown.
//!
//! Such text is hostile: it may hold a terminal's control sequences, a spreadsheet's formula, Markdown, HTML, or what XML
//! cannot hold.

use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// For a terminal: control characters and those that reorder text are spelt out, line breaks become spaces.
pub fn terminal(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' | '\t' => safe.push(' '),
            c if c.is_control() || reorders(c) => {
                // Writing to a String cannot fail.
                let _ = write!(safe, "\\u{{{:x}}}", u32::from(c));
            }
            c => safe.push(c),
        }
    }
    safe
}

/// For a whole page: like [`terminal`], but line breaks and tabs stay.
pub fn visible(page: &str) -> String {
    let mut safe = String::with_capacity(page.len());
    for line in page.split_inclusive('\n') {
        let (text, end) =
            line.strip_suffix('\n').map_or((line, ""), |text| (text.strip_suffix('\r').unwrap_or(text), "\n"));
        for (index, cell) in text.split('\t').enumerate() {
            safe.push_str(if index > 0 { "\t" } else { "" });
            safe.push_str(&terminal(cell));
        }
        safe.push_str(end);
    }
    safe
}

/// For XML whose writer escapes markup: as for the terminal, and what XML 1.0 cannot hold at all becomes U+FFFD.
pub fn xml(text: &str) -> String {
    // Control characters are spelt out already, and a `char` is never half of a surrogate pair.
    terminal(text).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

/// For the start of a line of Markdown: like [`markdown`], and what would begin a list, a rule or a heading is escaped.
pub fn markdown_line(text: &str) -> String {
    let safe = markdown(text);
    let digits = safe.bytes().take_while(u8::is_ascii_digit).count();
    let rest = &safe[digits..];
    if safe.starts_with(['-', '+', '=']) || digits > 0 && (rest.starts_with(". ") || rest.starts_with(") ")) {
        format!("{}\\{rest}", &safe[..digits])
    } else {
        safe
    }
}

/// For Markdown within a line, inside a table cell as well: everything that could be markup, or that a renderer would make a
/// link or a mention of by itself, is escaped; one line.
pub fn markdown(text: &str) -> String {
    let shown = terminal(text);
    let mut safe = String::with_capacity(shown.len());
    for (index, character) in shown.char_indices() {
        let rest = &shown[index..];
        match character {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '@' | '#' => safe.extend(['\\', character]),
            '(' if safe.ends_with(']') => safe.push_str("\\("),
            ':' if rest.starts_with("://") => safe.push_str("\\:"),
            '.' if ends_in_www(&safe) => safe.push_str("\\."),
            c => safe.push(c),
        }
    }
    safe
}

fn ends_in_www(text: &str) -> bool {
    text.len() >= 3 && text.as_bytes()[text.len() - 3..].eq_ignore_ascii_case(b"www")
}

/// For HTML, in text and inside a quoted attribute alike; one line.
pub fn html(text: &str) -> String {
    markup(&terminal(text))
}

fn markup(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// Everything but the unreserved characters of a URL (RFC 3986, section 2.3).
pub const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// For a part of a URL's path or for a relative link: letters, digits, `-`, `_` and `.` stay, and `/` where `slashes` says so;
/// every other byte is percent-encoded.
pub fn url_path(text: &str, slashes: bool) -> String {
    const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');
    const PATH: &AsciiSet = &SEGMENT.remove(b'/');
    utf8_percent_encode(text, if slashes { PATH } else { SEGMENT }).to_string()
}

/// For a cell of a CSV file (quoting is the writer's work): what a spreadsheet would take for a formula gets a quote
/// before it, as OWASP advises. A file may be shown in a terminal: control characters are spelt out, except line breaks and tabs.
pub fn csv(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) && text.parse::<f64>().is_err();
    let quote = if is_formula { "'" } else { "" };
    format!("{quote}{}", visible(text))
}

/// The start of `text`, at most `limit` characters, with an ellipsis where more followed.
pub fn start(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The start of a sentence or a message, at most `limit` characters, with an ellipsis where more followed. It ends after a word, and
/// before JSON that it would have to cut.
pub fn shorten(text: &str, limit: usize) -> String {
    let Some((end, _)) = text.char_indices().nth(limit) else { return text.to_owned() };
    let head = &text[..end];
    let head = &head[..open_json(head).unwrap_or(end)];
    let next = text[head.len()..].chars().next();
    // A word as long as half of the limit, such as an address, is cut rather than left out.
    let word_end = if next.is_some_and(char::is_whitespace) || head.len() < end {
        head.len()
    } else {
        head.rfind(char::is_whitespace).filter(|at| *at * 2 > end).unwrap_or(end)
    };
    format!("{}…", head[..word_end].trim_end_matches([' ', ',', ';', ':', '(', '.', '-']))
}

/// The place at which JSON begins in `text` that has no end in it.
fn open_json(text: &str) -> Option<usize> {
    let (mut open, mut quoted, mut escaped) = (Vec::new(), false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if !open.is_empty() => quoted = !quoted,
            '{' | '[' if !quoted => open.push(at),
            '}' | ']' if !quoted => drop(open.pop()),
            _ => {}
        }
    }
    open.first().copied().filter(|at| *at > 0)
}

/// `text` in at most `limit` characters and an ellipsis, without its middle: names of one family differ at their end.
pub fn ends(text: &str, limit: usize) -> String {
    let count = text.chars().count();
    if count <= limit {
        return text.to_owned();
    }
    let tail: String = text.chars().skip(count - limit / 2).collect();
    format!("{}{tail}", start(text, limit - limit / 2))
}

/// Unicode's bidirectional controls and other characters that hide what a line really says.
fn reorders(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_shortened_after_a_word_and_before_json() {
        let said = r#"POST http://t/jobs: HTTP 503: {"detail":"busy, come again"} and more words"#;
        assert_eq!(shorten(said, 100), said);
        assert_eq!(shorten(said, 40), "POST http://t/jobs: HTTP 503…");
        assert_eq!(shorten(said, 63), r#"POST http://t/jobs: HTTP 503: {"detail":"busy, come again"} and…"#);
        assert_eq!(shorten("one two three", 9), "one two…");
        assert_eq!(shorten("one two three", 7), "one two…");
        assert_eq!(shorten("one, two", 4), "one…");
        assert_eq!(shorten("aäääääääää", 3), "aää…");
        assert_eq!(shorten("{\"a\":1,\"b\":2}", 5), "{\"a\"…");
    }

    #[test]
    fn a_long_name_keeps_both_ends() {
        assert_eq!(ends("transcribe_audio_00", 8), "tran…o_00");
        assert_eq!(ends("short", 8), "short");
    }

    #[test]
    fn terminals_get_no_control_characters() {
        assert_eq!(terminal("a\x1b[31mb\nc\u{202e}"), "a\\u{1b}[31mb c\\u{202e}");
    }

    #[test]
    fn xml_gets_no_character_that_it_cannot_hold() {
        assert_eq!(xml("a\0\u{b}\u{fffe}\u{ffff}\n<\u{10ffff}"), "a\\u{0}\\u{b}\u{fffd}\u{fffd} <\u{10ffff}");
    }

    #[test]
    fn markdown_gets_no_markup() {
        assert_eq!(markdown("<b>|`x`|[a](b)"), "&lt;b&gt;\\|\\`x\\`\\|\\[a\\]\\(b)");
        assert_eq!(markdown("http://h www.h @me #1: x"), "http\\://h www\\.h \\@me \\#1: x");
        assert_eq!(markdown_line("- item"), "\\- item");
        assert_eq!(markdown("- item"), "- item");
        assert_eq!(markdown_line("1. item"), "1\\. item");
        assert_eq!(markdown_line("1.5 s"), "1.5 s");
        assert_eq!(markdown("a\nb"), "a b");
    }

    #[test]
    fn html_gets_no_markup_and_no_attribute_ends() {
        let hostile = "<script>a&b</script> ]]> \"'\u{202e}\nx";
        assert_eq!(html(hostile), "&lt;script&gt;a&amp;b&lt;/script&gt; ]]&gt; &quot;&#39;\\u{202e} x");
    }

    #[test]
    fn links_are_percent_encoded() {
        assert_eq!(url_path("a b/..?#%\"é", true), "a%20b/..%3F%23%25%22%C3%A9");
        assert_eq!(url_path("javascript:x/y", false), "javascript%3Ax%2Fy");
    }

    #[test]
    fn spreadsheets_get_no_formulas() {
        assert_eq!(csv("=1+1"), "'=1+1");
        assert_eq!(csv("-0.5"), "-0.5");
        assert_eq!(csv("@x"), "'@x");
        assert_eq!(csv("a\u{1b}[2J\nb\tc"), "a\\u{1b}[2J\nb\tc");
    }

    #[test]
    fn starts_are_cut_between_characters() {
        assert_eq!(start("äöü", 2), "äö…");
        assert_eq!(start("äö", 2), "äö");
    }
}
