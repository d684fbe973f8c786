//! The processor by itself: nothing here leaves its caches or asks the kernel.

use super::{rate, samples};
use nestlab_model::bench::Outcome;
use std::hint::black_box;

/// Rounds that count as one piece of work.
const ROUNDS: u64 = 1000;

/// Of millions of rounds in a second.
const MILLIONS: (&str, f64) = ("M/s", ROUNDS as f64 / 1e6);

pub(super) fn measure(told: &mut impl FnMut(Outcome)) {
    told(rate("processor.integer", MILLIONS, samples::of(integer)));
    told(rate("processor.float", MILLIONS, samples::of(float)));
}

/// A round is a multiplication, an addition, a shift and an exclusive or, each on what
/// the one before gave.
fn integer(pieces: u64) {
    let mut value = black_box(0x9e37_79b9_7f4a_7c15_u64);
    for _ in 0..pieces * ROUNDS {
        value = value
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        value ^= value >> 29;
    }
    black_box(value);
}

/// A round is a multiplication and an addition of two numbers each, on what the round
/// before gave.
fn float(pieces: u64) {
    let (mut one, mut other) = (black_box(0.5_f64), black_box(0.25_f64));
    for _ in 0..pieces * ROUNDS {
        one = one * 0.999_999 + 1e-7;
        other = other * 0.999_998 + 2e-7;
    }
    black_box((one, other));
}
