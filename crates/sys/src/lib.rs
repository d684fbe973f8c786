//! What the kernel offers, as safe functions. The only crate with unsafe code.

pub mod namespace;
pub mod process;
