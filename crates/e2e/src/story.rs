//! Telling a story of nested machines under an emulator that breaks some.
//!
//! QEMU's emulated SVM now and then kills or stalls a guest that runs guests of
//! its own (docs/troubleshooting.md). Nestlab notices and mends that, but a step
//! of a story may fall into the gap. Such a story is told again, and says so; one
//! that fails without any sign of a broken guest fails at once.

use crate::World;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// How often a story is told at most.
const TELLINGS: usize = 3;

/// Tells a story in a new world, and again if the emulator broke one of its
/// guests.
pub fn nested_story(tell: impl Fn(&World)) {
    for telling in 1.. {
        let world = World::new();
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| tell(&world))) else {
            return;
        };
        let faults = world.emulator_faults();
        if faults.is_empty() || telling == TELLINGS {
            resume_unwind(panic);
        }
        eprintln!("TOLD AGAIN after telling {telling}, for the emulator broke a guest:");
        faults.iter().for_each(|fault| eprintln!("  {fault}"));
    }
}
