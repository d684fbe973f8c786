//! What a level can really do, found out by trying.

pub mod bench;
pub mod doctor;
