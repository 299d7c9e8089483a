//! The forms that exceptions, crashes and kills take in a log: Python's `traceback` and `faulthandler`, Rust's panics, Go's
//! panics, the stack traces of Java, JavaScript and .NET, aborts of the C++ runtime and of glibc, signals, and what kernel,
//! supervisors and shells report of a killed process.

use std::sync::LazyLock;

use regex::{Regex, RegexSet};

use super::level::{self, Level};
use super::pattern;

/// The form of a line without its prefixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// The header of a Python traceback.
    Traceback,
    /// The header of a Python exception group.
    Group,
    /// A whole traceback whose line ends were escaped or lost.
    Escaped,
    /// A Rust panic.
    Panic,
    /// The first line of an exception that stands for itself, with frames below it or not.
    Heading,
    /// A crash or a kill; the number tells its kinds apart.
    Crash(usize),
    /// A frame of a Python traceback.
    PythonFrame,
    /// A frame of a stack trace.
    Frame,
    /// A line that joins two tracebacks.
    Chain,
    Blank,
    /// A line that goes on with the text above it.
    Indented,
    Other,
}

/// The beginning of an exception within a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marker {
    pub(super) shape: Shape,
    /// The offset at which it begins.
    pub(super) start: usize,
}

/// The lines in which a pattern counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Every line, because this text is never about something else.
    Any,
    /// Every line; an information only where it begins the message or follows a delimiter, because a sentence may speak of it.
    Begun,
    /// Lines that are not information by their own level.
    Doubtful,
    /// Lines without a level.
    Unleveled,
}

/// The patterns, and all of them as one set, which looks through a line once.
struct Patterns {
    set: RegexSet,
    each: Vec<(Shape, Scope, Regex)>,
}

const KILLS: &str = "KILL|SEGV|ABRT|BUS|ILL|FPE";
const SIGNALS: &str = "Segmentation fault|Aborted|Killed|Bus error|Illegal instruction|Floating point exception";
/// Exit codes 128 + n of the signals above.
const CODES: &str = "13[245679]";

/// A pattern of a crash or a kill.
fn crash(regex: impl Into<String>, scope: Scope) -> (Shape, Scope, String) {
    (Shape::Crash(0), scope, regex.into())
}

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| {
    use Scope::{Any, Begun, Doubtful, Unleveled};
    let begin = |shape: Shape, scope, regex: &str| (shape, scope, regex.to_owned());
    let table = vec![
        begin(Shape::Group, Any, r"\+ Exception Group Traceback \(most recent call last\):\s*$"),
        begin(Shape::Traceback, Any, r"Traceback \(most recent call last\):\s*(?:\[repeated \d+x across cluster\])?$"),
        // The rich library draws a box.
        begin(Shape::Heading, Any, r"[─-] ?Traceback \(most recent call last\) ?[─-]"),
        begin(Shape::Escaped, Any, r#"Traceback \(most recent call last\):(?:\\+[rn]|#0?12|[ \t|])+File \\*["']"#),
        // The same of Java, JavaScript, .NET and Go.
        begin(
            Shape::Escaped,
            Any,
            r"(?:Error|Exception|Throwable)\b[^\\\n]{0,500}(?:\\+[rn])+(?:\\+t|[ \t])*at (?:async |new )?[\w$.<>/]+[ (]",
        ),
        begin(
            Shape::Escaped,
            Any,
            r"panic: [^\\\n]{1,500}(?:\\+n)+(?:\[signal [^\\\n]*(?:\\+n)+)?goroutine \d+ \[running\]",
        ),
        begin(Shape::Panic, Any, r"thread '[^']*'(?: \(\d+\))? panicked at (?:'|.*:\d+:\d+)"),
        begin(Shape::Heading, Any, r"^The application panicked \(crashed\)"),
        begin(Shape::Heading, Any, r"http: panic serving "),
        begin(
            Shape::Heading,
            Any,
            r#"^Exception in thread (?:[^"]+:$|"[^"]*" (?:[\w$]+(?:\.[\w$]+)+|\w*(?:Error|Exception|Throwable))(?:: |$))"#,
        ),
        begin(Shape::Heading, Any, r"^Exception: java\.lang\.\w+ thrown from the UncaughtExceptionHandler in thread "),
        begin(
            Shape::Heading,
            Any,
            r"^Unhandled [Ee]xception[.:] (?:[A-Z]\w*(?:\.\w+)+|\w*(?:Error|Exception))(?:: |$|[^\w])",
        ),
        begin(Shape::Heading, Unleveled, r"^Unhandled [Ee]xception[.:] "),
        begin(Shape::Heading, Any, r"^PHP Fatal error: "),
        begin(Shape::Heading, Any, r"^\S+\.rb:\d+:in .*\(\w+(?:Error|Exception)\)$"),
        begin(Shape::Heading, Any, r"^\*\* \(\w+(?:\.\w+)*(?:Error|Exception)\) "),
        begin(Shape::Heading, Any, r"^(?:java\.lang|\w+(?:\.\w+)+)\.(?:OutOfMemoryError|StackOverflowError): "),
        begin(Shape::Heading, Unleveled, r"^(?:SyntaxError|IndentationError|TabError): "),
        begin(Shape::Heading, Unleveled, r"^(?:panic|[Ff]atal error): \S"),
        begin(Shape::Heading, Any, r"^\S+\.swift:\d+: Fatal error: "),
        // Unix programs: `program: error: text`, `main.c:3:1: fatal error: text`.
        begin(Shape::Heading, Unleveled, r"^[\w./-]+(?::\d+)*: (?:fatal )?error: [^\d\s.+-]"),
        // R, Haskell, Clojure.
        begin(Shape::Heading, Unleveled, r"^Error in \S.*\(.*\) ?: "),
        begin(Shape::Heading, Any, r"^CallStack \(from HasCallStack\):$"),
        begin(Shape::Heading, Unleveled, r"^Execution error \(\w+\) at "),
        // Node's hint below a thrown value that is no Error.
        begin(Shape::Heading, Unleveled, r"^\(Use `node --trace-uncaught "),
        begin(Shape::Heading, Unleveled, r"^(?:Uncaught |\[?Unhandled ?[Pp]romise ?[Rr]ejection)"),
        begin(Shape::Heading, Unleveled, r"^(?:Error|error|fatal|Fatal|CUDA error): [^\d\s.+-]"),
        crash(
            r"Fatal Python error: (?:Segmentation fault|Aborted|Bus error|Illegal instruction|Floating|\w+: |Cannot |GC |_?Py|[Ii]nit)",
            Any,
        ),
        crash(r"^Fatal Python error: ", Any),
        crash(r"Fatal Python error: ", Doubtful),
        crash(
            r"terminate called (?:after throwing an instance of ['‘`]|without an active exception *$|recursively *$)",
            Any,
        ),
        crash(r"^pure virtual method called$", Any),
        crash(r"libc\+\+abi(?:\.dylib)?: terminating", Any),
        crash(r"\*\*\* (?:stack smashing detected|Process received signal|Aborted at )", Begun),
        crash(r"\*\*\* (?:SIG[A-Z]+ |Signal \d+)", Begun),
        crash(r"!!!+ Segfault encountered", Any),
        crash(r"double free or corruption|corrupted size vs\. prev_size|corrupted double-linked list", Begun),
        crash(r"(?:free|malloc|realloc|munmap_chunk)\(\): (?:invalid|corrupted|unaligned|unsorted)", Begun),
        crash(r"^\S+:\d+:\d+: runtime error: ", Any),
        crash(r"^memory allocation of \d+ bytes failed$", Any),
        crash(r"^Terminating due to java\.lang\.OutOfMemoryError", Any),
        crash(r"block: \[\d+,\d+,\d+\], thread: \[\d+,\d+,\d+\] Assertion [`'].*['`] failed\.", Any),
        crash(r"Caught signal (?:4|6|7|8|9|11) \(", Any),
        crash(r"ERROR: (?:Address|Thread|Memory|Leak|UndefinedBehavior)Sanitizer: ", Any),
        crash(r"^(?:WARNING: )?DATA RACE$", Any),
        crash(r"SUMMARY: (?:Address|Thread|Memory|Leak|UndefinedBehavior)Sanitizer: ", Any),
        crash(r"thread '[^']*'(?: \(\d+\))? has overflowed its stack$", Begun),
        crash(r"^Stack overflow\.(?: Repeat \d+ times:)?$", Unleveled),
        crash(r"^fatal runtime error: ", Any),
        crash(r"^(?:\S+: )?\S+:\d+: .*Assertion [`'].*['`] failed\.", Any),
        // Kernels before 5.0 say that they kill, and then that they did.
        crash(r"[Oo]ut of memory: Kill(?:ed)? process \d+|[Mm]emory cgroup out of memory", Any),
        crash(r"[Kk]illed process \d+ \(", Any),
        crash(r"oom-kill:constraint=", Any),
        crash(r"invoked oom-killer", Any),
        crash(r"oom_reaper: reaped process", Any),
        crash(r"killed by the OOM killer", Doubtful),
        crash(r"\bOOMKilled(?:$|[^\w:=]*$|\W+true)", Doubtful),
        crash(
            r#""?(?:[Rr]eason|[Kk]illed|[Tt]erminated|[Ss]tat(?:us|e))(?:[=:] ?|"?: ?"|=")\(?OOMKilled(?:$|[^\w:=])"#,
            Any,
        ),
        crash(r"\bcontainer oom [0-9a-f]{12}|\bsending SIG(?:TERM|KILL) to process \d+ .*badness \d", Any),
        crash(r"^Out of memory\.$", Unleveled),
        crash(r"\bOut Of Memory allocating \d+ bytes", Any),
        // Go that dies of a signal; its panics tell the signal in brackets.
        crash(
            r"(?:^|[^l] )SIG(?:ABRT: abort|SEGV: segmentation|BUS: bus error|ILL: illegal|FPE: floating|TRAP: trace|SYS: bad)",
            Doubtful,
        ),
        crash(r"segfault at [0-9a-f]+ ip |traps: .* (?:general protection|trap )", Any),
        crash(format!(r"terminated by (?:signal )?SIG(?:{KILLS})\b"), Any),
        crash(
            r"(?:terminated due to|exited on|(?:was |is )?killed by) signal:? ?(?:4|6|7|8|9|11|SIG(?:KILL|SEGV|ABRT)|Killed)\b",
            Doubtful,
        ),
        crash(format!(r"status=\d+/(?:{KILLS})\b"), Any),
        crash(r"Failed with result '(?:oom-kill|core-dump|signal)'", Any),
        crash(r"\) of user \d+ (?:terminated abnormally|dumped core)", Any),
        crash(format!(r"\bexited ?(?:with )?(?:code|status)[: =]+(?:{CODES}|-(?:4|6|7|8|9|11))\b"), Any),
        // Behind it a sentence about the code goes on with a word.
        crash(
            format!(
                r#"\bexit ?(?:with )?(?:code|status)[: =]+(?:{CODES}|-(?:4|6|7|8|9|11))(?:$|[\]\[,;:.()"'}}]| ?\()"#
            ),
            Any,
        ),
        crash(format!(r"\bexit ?(?:with )?(?:code|status)[: =]+(?:{CODES}|-(?:4|6|7|8|9|11))\b"), Doubtful),
        crash(r#"signal: (?:killed|segmentation fault|aborted|bus error)(?: \(core dumped\))?(?:$|["',;:.\]})])"#, Any),
        crash(r"\bwas sent SIGKILL! Perhaps out of memory", Any),
        crash(r"\bexitcode *: -(?:4|6|7|8|9|11)\b", Any),
        crash(r"oom[_-]kill event|got Segmentation Fault", Any),
        crash(r"Work-horse (?:process )?(?:was )?terminated unexpectedly|Child process \[\d+\] died", Any),
        crash(r"^# (?:A fatal error has been detected by the Java Runtime|Fatal error in)", Any),
        crash(format!(r"^(?:{SIGNALS})(?: \(core dumped\))?$"), Unleveled),
        // Launchers report the signals that ended their tasks.
        crash(format!(r"\b(?:{SIGNALS}) \(core dumped\)|\btasks? [\d,-]+: (?:{SIGNALS})\b"), Doubtful),
        crash(r": (?:Segmentation fault|Bus error|Illegal instruction|Floating point exception)$", Doubtful),
        crash(format!(r"\bexitCode=(?:{CODES})\b"), Any),
        crash(format!(r"^\S+: line \d+: +\d+ (?:{SIGNALS})\b"), Unleveled),
        // zsh writes them in lower case, after the job's number.
        crash(r"^ *\d+ (?:segmentation fault|killed|abort|bus error)\b", Unleveled),
        crash(format!(r"^make(?:\[\d+\])?: \*\*\* .*(?:Error {CODES}|{SIGNALS})"), Unleveled),
    ];
    let set = RegexSet::new(table.iter().map(|(.., source)| pattern::in_ascii(source))).expect(pattern::CONSTANT);
    let each = table.into_iter().enumerate().map(|(kind, (shape, scope, source))| {
        let shape = if let Shape::Crash(_) = shape { Shape::Crash(kind) } else { shape };
        (shape, scope, pattern::compile(&source))
    });
    Patterns { set, each: each.collect() }
});

static PYTHON_FRAME: LazyLock<Regex> =
    LazyLock::new(|| pattern::compile(r#"^(?:> )?\s*(?:> )?File "[^"]+", line \d+"#));
/// A call with its place: Java, Kotlin, JavaScript, .NET.
static FRAME: LazyLock<Regex> = LazyLock::new(|| {
    pattern::compile(
        r"(?:^|\s)at (?:async |new )?(?:[\w$.<>`/@\[\],|+-]+\.[\w$<>`\[\],|+]+\([^()]*(?:\([^()]*\)[^()]*)*\)(?: in .*)?|.*\((?:.*:\d+:\d+|<anonymous>|native|index \d+)\)|\S+:\d+:\d+)$",
    )
});
static GO_STACK: LazyLock<Regex> = LazyLock::new(|| pattern::compile(r"^goroutine \d+ \[running"));
/// Lines that stand at the left margin in the middle of an exception's text.
static CONTINUATION: LazyLock<Regex> = LazyLock::new(|| {
    pattern::compile(
        r#"^(?:Caused by: |Suppressed: |note: |stack backtrace:|(?:Current thread|Thread) 0x[0-9a-f]+ .*\(most recent call first\):|Extension modules: |goroutine \d+ \[|PC=0x|signal arrived |(?:created by )?[\w./*-]+\.[\w.()*]+\(.*\)$|created by |"""|'''|\[signal |[╭│╰])"#,
    )
});
/// Lines that join two tracebacks, or a traceback and what belongs to it.
const CHAINS: [&str; 5] = [
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
    "--- Logging error ---",
    "Call stack:",
    "\"\"\"",
];

impl Shape {
    /// The form of a whole line.
    pub(super) fn parse(line: &str, level: Option<Level>) -> Self {
        let text = line.trim_start();
        if text.is_empty() {
            return Self::Blank;
        }
        if let Some(Marker { shape, start }) = Marker::find(line, level)
            && (line[..start].trim().is_empty() || matches!(shape, Self::Crash(_)))
        {
            return shape;
        }
        if CHAINS.contains(&text) {
            return Self::Chain;
        }
        if PYTHON_FRAME.is_match(line) {
            return Self::PythonFrame;
        }
        let indented = text.len() < line.len();
        if (indented && FRAME.is_match(line)) || GO_STACK.is_match(line) {
            return Self::Frame;
        }
        if indented || CONTINUATION.is_match(line) { Self::Indented } else { Self::Other }
    }

    /// Returns whether a line of this form begins an exception.
    pub(super) fn begins(self) -> bool {
        matches!(self, Self::Traceback | Self::Group | Self::Escaped | Self::Panic | Self::Heading | Self::Crash(_))
    }
}

impl Marker {
    /// The first beginning of an exception in `text`, a line or its message, whose record has this level. One in quotes is
    /// spoken of and did not happen.
    pub(super) fn find(text: &str, level: Option<Level>) -> Option<Self> {
        let in_scope = |scope: Scope| match level {
            None => true,
            Some(Level::Info) => matches!(scope, Scope::Any | Scope::Begun),
            Some(_) => scope != Scope::Unleveled,
        };
        let matched = PATTERNS.set.matches(text).into_iter().filter_map(|kind| PATTERNS.each.get(kind));
        let found = matched.filter(|(_, scope, _)| in_scope(*scope)).filter_map(|(shape, scope, regex)| {
            let counts = |start: usize| match scope {
                Scope::Begun if level == Some(Level::Info) => is_begun(text, start),
                _ => true,
            };
            let is_told = |start| is_quoted(text, start) && !(*shape == Shape::Escaped && is_value(text, start));
            let found = regex.find_iter(text).find(|found| counts(found.start()) && !is_told(found.start()))?;
            let message = text[found.start()..].split_once(": ").map(|(_, message)| message);
            if *shape == Shape::Heading && message.is_some_and(level::is_nothing) {
                return None;
            }
            Some(Self { shape: *shape, start: found.start() })
        });
        found.min_by_key(|marker| marker.start)
    }
}

/// Returns whether a line heads the frames of a stack that was printed on purpose: a thread in a Java dump, or the text of
/// JavaScript's `console.trace`.
pub(super) fn is_dump(line: &str) -> bool {
    static DUMP: LazyLock<Regex> = LazyLock::new(|| {
        pattern::compile(
            r#"^\s+java\.lang\.Thread\.State: |^"[^"]*" (?:#\d+ |.*\b[tn]id=)|^#\d+ "|^Thread\[[^\]]*\]:?$|^Trace(?:: |$)"#,
        )
    });
    DUMP.is_match(line)
}

/// Returns whether a text tells of a fault that ends the process, so that a crash right below it is the same fault.
pub(super) fn is_deadly(text: &str) -> bool {
    static DEADLY: LazyLock<Regex> = LazyLock::new(|| {
        pattern::compile(
            r"(?:^|\W)F\d{4} |FATAL|[Cc]heck fail|CHECK fail|[Aa]ssert|ASSERT|[Aa]bort|[Pp]anic|CUDA error|Uncaught|Unhandled",
        )
    });
    DEADLY.is_match(text)
}

/// Returns whether a line before a traceback says that something failed.
pub(super) fn speaks_of_failure(line: &str) -> bool {
    static FAILURE: LazyLock<Regex> =
        LazyLock::new(|| pattern::compile(r"(?i)\b(?:exception|raised|failed|failure|failing|error|crashed)\b"));
    FAILURE.is_match(line)
}

/// Returns whether a message is the frame of a stack trace and nothing else.
pub(super) fn is_frame(message: &str) -> bool {
    FRAME.find(message.trim_start()).is_some_and(|found| found.start() == 0)
}

/// The frame of a stack trace with which a line ends, wherever it begins.
pub(super) fn frame_at_end(line: &str) -> Option<&str> {
    let python = line.find("  File \"").map(|start| &line[start..]).filter(|frame| PYTHON_FRAME.is_match(frame));
    if !line.contains("at ") {
        return python;
    }
    let call = || FRAME.find(line).map(|found| &line[found.start()..]);
    python.or_else(call)
}

/// Returns whether the quotation at whose first word `start` lies is the value of a field or follows a colon: a whole traceback
/// there is what a task or a child process brought, and happened.
fn is_value(text: &str, start: usize) -> bool {
    let before = text[..start].trim_end_matches(['"', '\'', '\\']).trim_end_matches(['b', 'r', 'u']);
    before.trim_end().ends_with([':', '='])
}

/// Returns whether what begins at `start` begins the message, or follows a delimiter, and not a word of a sentence.
fn is_begun(text: &str, start: usize) -> bool {
    let before = text[..start].trim_end();
    before.is_empty() || before.ends_with([':', '|', ']', '>', ')', '}', '='])
}

/// Returns whether a quotation mark stands right before `start`; one that opens the value of a field quotes nothing.
pub(super) fn is_quoted(text: &str, start: usize) -> bool {
    let before = &text[..start];
    // Mail quotes with this sign.
    if before.starts_with('>') && before.trim_matches(['>', ' ']).is_empty() {
        return true;
    }
    let mark = before.trim_end_matches('\\').chars().next_back();
    mark.is_some_and(|mark| "\"'`“‘«".contains(mark)) && !before.trim_end_matches(['"', '\'', '\\']).ends_with('=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_a_regular_expression() {
        assert!(PATTERNS.each.len() > 40);
        assert_eq!(PATTERNS.set.len(), PATTERNS.each.len());
        for pattern in [&PYTHON_FRAME, &FRAME, &GO_STACK, &CONTINUATION] {
            LazyLock::force(pattern);
        }
    }

    #[test]
    fn words_in_quotes_are_spoken_of() {
        for (text, found) in [
            ("x Fatal Python error: y", true),
            ("x \"Fatal Python error: y\"", false),
            ("msg=\"Fatal Python error: y\"", true),
            ("`Fatal Python error: ` then Fatal Python error: y", true),
        ] {
            assert_eq!(Marker::find(text, None).is_some(), found, "{text}");
        }
    }
}
