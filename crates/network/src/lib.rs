//! The networks of one layer.
