//! What Ruby answers: each text with the inspected value of its last line. `real` holds these same
//! cases against the original where it is installed.

pub mod collections;
pub mod control;
pub mod functions;
pub mod objects;
pub mod texts;

/// A text and the inspected result.
pub type Case = (&'static str, &'static str);

/// Every area with its cases.
pub const ALL: &[(&str, &[Case])] = &[
    ("collections", collections::CASES),
    ("control", control::CASES),
    ("functions", functions::CASES),
    ("objects", objects::CASES),
    ("texts", texts::CASES),
];
