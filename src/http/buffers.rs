//! The buffers of a connection, which grow with what it takes.
//!
//! ureq's own are as large from the beginning as the longest head that is read. With hundreds of connections that is most of the
//! memory that a submission takes, and few heads are long.

use ureq::unversioned::transport::Buffers;

/// The size of the output buffer: what is sent at once. It grows for a request with a longer line, which has to stand in it whole.
pub(super) const OUTPUT: usize = 8 * 1024;
/// The longest line of a request. Servers take 8 KiB as a rule; Node.js and some others can be told to take more.
pub(super) const LONGEST_LINE: usize = 48 * 1024;
/// The room for the rest of a line: the method, the version and the line end.
const REST_OF_LINE: usize = 64;
/// The room for a part of a request's body, which ureq wants to be this large at least.
const BODY_PART: usize = 10 * 1024;
/// The most that may wait to be consumed: a head of 64 KiB is read, and a longer one recognised.
const MOST: usize = 66 * 1024;
/// The room for input that an idle connection keeps.
const LASTING: usize = 8 * 1024;

/// The buffers of a connection.
#[derive(Debug, Default)]
pub(super) struct GrowingBuffers {
    input: Vec<u8>,
    consumed: usize,
    /// The last that was consumed was not nothing, so that more of the input may be of use.
    progress: bool,
    output: Vec<u8>,
    body_part: Vec<u8>,
    /// The length of the longest line of the request.
    line: usize,
}

impl GrowingBuffers {
    /// Returns true if nothing more may be appended until some of it is consumed.
    pub(super) fn is_full(&self) -> bool {
        self.input.len() - self.consumed >= MOST
    }

    /// Makes room for a request whose longest line has the length `line`.
    pub(super) fn make_room_for(&mut self, line: usize) {
        if line < self.line {
            self.output = Vec::new();
        }
        self.line = line;
    }

    /// Adds input.
    pub(super) fn append(&mut self, new: &[u8]) {
        if self.consumed > 0 {
            self.input.drain(..self.consumed);
            self.consumed = 0;
        }
        self.input.extend_from_slice(new);
    }
}

impl Buffers for GrowingBuffers {
    fn output(&mut self) -> &mut [u8] {
        self.output.resize(OUTPUT.max(self.line + REST_OF_LINE), 0);
        &mut self.output
    }

    fn input(&self) -> &[u8] {
        &self.input[self.consumed..]
    }

    /// Input comes by [`append`](Self::append) only.
    fn input_append_buf(&mut self) -> &mut [u8] {
        &mut []
    }

    fn input_appended(&mut self, _: usize) {}

    fn input_consume(&mut self, amount: usize) {
        self.progress = amount > 0;
        self.consumed += amount;
        if self.consumed == self.input.len() {
            self.input.clear();
            self.input.shrink_to(LASTING);
            self.consumed = 0;
        }
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        self.output.resize(OUTPUT.max(self.line + REST_OF_LINE), 0);
        self.body_part.resize(BODY_PART, 0);
        (&mut self.body_part, &mut self.output)
    }

    fn can_use_input(&self) -> bool {
        self.progress && self.consumed < self.input.len()
    }
}
