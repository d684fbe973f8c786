//! What the stories in `tests/` are told with: a world of its own for every
//! test, the real program, and the proof that nothing is left behind.
//!
//! The program is `target/nestlab` (`make build`), or what `NESTLAB_BIN` names.
//! Images are kept between runs in `target/e2e-store`, or where `NESTLAB_STORE`
//! says, because building them takes minutes.

mod container_engine;
mod greeter;
mod host;
mod publisher;
mod registry;
mod run;
mod saved;
mod ssh;
mod stock;
mod story;
mod world;

pub use container_engine::{ContainerEngine, Kind as EngineKind};
pub use greeter::{GREET, ask};
pub use host::HostSnapshot;
pub use publisher::Publisher;
pub use registry::Registry;
pub use run::{Done, Running, output_of};
pub use saved::save_image;
pub use ssh::UserKey;
pub use stock::stock_image;
pub use story::nested_story;
pub use world::World;

/// How often something is done: `few` times, or `many` in a soak (`make soak`).
pub fn times(few: u32, many: u32) -> u32 {
    match std::env::var_os("NESTLAB_SOAK") {
        Some(_) => many,
        None => few,
    }
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    host::user_id() == 0
}

/// Says that a test did not run, and why, where everyone sees it.
pub fn skip(test: &str, reason: &str) {
    eprintln!("SKIPPED {test}: {reason}");
}
