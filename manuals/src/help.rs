//! The end of a tool's help, taken apart: titled sections of prose, of terms with what they mean, and of commands.
//!
//! The help is written for the eye: a title stands at the margin and ends with a colon, everything below it is indented.
//! In it a term is parted from its meaning by two spaces or more, and a meaning that goes on is indented deeper.

/// One titled section.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Section {
    /// Without its colon.
    pub title: String,
    /// Its content, in order.
    pub blocks: Vec<Block>,
}

/// A part of a section.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// A paragraph, which may be broken anywhere.
    Prose(String),
    /// A term and what it means.
    Term(String, String),
    /// A line to be typed, which must not be broken.
    Command(String),
}

/// The section whose lines are commands, not prose.
const COMMANDS: &str = "Examples";
/// The title of lines that precede the first title.
const UNTITLED: &str = "Notes";

/// Takes `text` apart.
pub(crate) fn sections(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    // A blank line ends a paragraph.
    let mut fresh = true;
    for line in text.lines() {
        if line.trim().is_empty() {
            fresh = true;
            continue;
        }
        let title = line.strip_suffix(':').filter(|title| !title.starts_with(' '));
        if title.is_some() || sections.is_empty() {
            let title = title.unwrap_or(UNTITLED).to_owned();
            sections.push(Section { title, blocks: Vec::new() });
        }
        if let (None, Some(section)) = (title, sections.last_mut()) {
            section.take(line, fresh);
        }
        fresh = title.is_some();
    }
    sections
}

/// The indentation of a line that begins a paragraph or a term.
const INDENT: usize = 2;

impl Section {
    fn take(&mut self, line: &str, fresh: bool) {
        let text = line.trim();
        let deeper = line.len() - line.trim_start().len() > INDENT;
        match self.blocks.last_mut() {
            Some(Block::Term(_, meaning)) if deeper && !fresh => {
                meaning.push(' ');
                meaning.push_str(text);
                return;
            }
            Some(Block::Command(command)) if deeper && !fresh => {
                command.push('\n');
                command.push_str(line.get(INDENT..).unwrap_or(text));
                return;
            }
            _ => {}
        }
        if let Some((term, meaning)) = text.split_once("  ") {
            self.blocks.push(Block::Term(term.to_owned(), meaning.trim_start().to_owned()));
        } else if self.title == COMMANDS {
            self.blocks.push(Block::Command(text.to_owned()));
        } else if let Some(Block::Prose(prose)) = self.blocks.last_mut().filter(|_| !fresh) {
            prose.push(' ');
            prose.push_str(text);
        } else {
            self.blocks.push(Block::Prose(text.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_terms_and_commands_are_told_apart() {
        let text = "\
Output:
  one record, then
  another
  FILE.json   the answer,
              joined
  and so on

Examples:
  a | b \\
    | c
  d --all        serve: slowly";
        let prose = |text: &str| Block::Prose(text.to_owned());
        let term = |term: &str, meaning: &str| Block::Term(term.to_owned(), meaning.to_owned());
        let output =
            vec![prose("one record, then another"), term("FILE.json", "the answer, joined"), prose("and so on")];
        let examples = vec![Block::Command("a | b \\\n  | c".to_owned()), term("d --all", "serve: slowly")];
        assert_eq!(
            sections(text),
            [
                Section { title: "Output".to_owned(), blocks: output },
                Section { title: "Examples".to_owned(), blocks: examples }
            ]
        );
    }

    #[test]
    fn nothing_is_dropped() {
        let untitled = sections("  at first\n\n  then\nEnd:\n");
        let blocks = vec![Block::Prose("at first".to_owned()), Block::Prose("then".to_owned())];
        assert_eq!(untitled[0], Section { title: UNTITLED.to_owned(), blocks });
        assert_eq!((untitled[1].title.as_str(), untitled.len()), ("End", 2));
    }
}
