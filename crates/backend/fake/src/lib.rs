//! Machines that only pretend, for tests of logic.
