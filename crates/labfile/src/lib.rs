//! From text to the model, with every mistake at its place.
