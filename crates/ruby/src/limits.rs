//! What an evaluation may cost. Nothing in a file can make the evaluator run
//! for ever, fill the memory or exhaust the stack: each of these ends the
//! evaluation with an error that `rescue` does not catch.

/// The bounds of one evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Nodes evaluated, and elements that library methods look at.
    pub steps: u64,
    /// Calls within calls.
    pub depth: u32,
    /// Bytes allocated in all, whether they are still in use or not.
    pub bytes: u64,
    /// The bytes of one string; an array has room for an eighth of that many elements.
    pub string: usize,
    /// Files that are evaluated, the first one included.
    pub files: usize,
    /// The bytes of one file that is evaluated or read.
    pub file: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            steps: 5_000_000,
            depth: 400,
            bytes: 256 << 20,
            string: 8 << 20,
            files: 100,
            file: 4 << 20,
        }
    }
}

/// What has been used up so far.
#[derive(Debug, Default)]
pub(crate) struct Used {
    pub steps: u64,
    pub depth: u32,
    pub bytes: u64,
    pub files: usize,
}

/// Levels of brackets, blocks and operators within each other in one file.
pub(crate) const NESTING: usize = 500;

/// The stack that parsing and evaluating get. It is only mapped; what is not used costs nothing.
pub(crate) const STACK: usize = 256 << 20;
