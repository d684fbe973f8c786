//! Memory beyond the caches, and what a page of it costs the first time.

use super::{MIB, MICROSECONDS, NANOSECONDS, rate, samples, time};
use nestlab_model::bench::Outcome;
use nestlab_sys::bare::PAGE;
use std::hint::black_box;
use std::io;
use std::num::NonZeroUsize;

/// Bytes that are worked on: more than most caches hold, and less than the smallest
/// node has to spare.
const BYTES: usize = 16 << 20;

/// Bytes from one step of the walk to the next at least: a cache line.
const LINE: usize = 64;

pub(super) fn measure(told: &mut impl FnMut(Outcome)) {
    told(rate(
        "memory.bandwidth",
        ("MiB/s", BYTES as f64 / MIB),
        bandwidth(),
    ));
    told(time("memory.latency", NANOSECONDS, latency()));
    told(time("memory.page-fault", MICROSECONDS, page_fault()));
}

/// Copies from one half to the other and back: a piece reads all bytes and writes them.
fn bandwidth() -> io::Result<Vec<f64>> {
    let mut bytes = vec![1_u8; BYTES];
    samples::of(|pieces| {
        let (one, other) = bytes.split_at_mut(BYTES / 2);
        for _ in 0..pieces {
            other.copy_from_slice(black_box(one));
            one.copy_from_slice(black_box(other));
        }
    })
}

/// Walks through all lines in an order that nothing foresees.
fn latency() -> io::Result<Vec<f64>> {
    let next = walk(BYTES / LINE);
    let mut place = 0;
    samples::of(|pieces| {
        for _ in 0..pieces {
            place = next[place * STEP] as usize;
        }
        black_box(place);
    })
}

/// Numbers in a line.
const STEP: usize = LINE / size_of::<u32>();

/// For each line the number of the next one, so that one walk comes through all of them:
/// Sattolo's shuffle. The first number of each line counts.
fn walk(lines: usize) -> Vec<u32> {
    let mut next = vec![0_u32; lines * STEP];
    for line in 0..lines {
        next[line * STEP] = line as u32;
    }
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for line in (1..lines).rev() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let other = (random % line as u64) as usize;
        next.swap(line * STEP, other * STEP);
    }
    next
}

/// Touches pages that were never touched, and gives them back.
fn page_fault() -> io::Result<Vec<f64>> {
    let bytes = NonZeroUsize::new(BYTES).expect("it is not zero");
    let per_piece = samples::seconds(|pieces| {
        for _ in 0..pieces {
            nestlab_sys::bare::touch_fresh_pages(bytes)?;
        }
        Ok(())
    })?;
    let pages = (BYTES / PAGE) as f64;
    Ok(per_piece.into_iter().map(|time| time / pages).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_walk_comes_through_all_lines() {
        let lines = 1000;
        let next = walk(lines);
        let mut seen = vec![false; lines];
        let mut place = 0;
        for _ in 0..lines {
            assert!(!std::mem::replace(&mut seen[place], true));
            place = next[place * STEP] as usize;
        }
        assert_eq!(place, 0);
    }
}
