//! Does everything that labs need really work at this level, and if not, what mends it?
//!
//! What can be known without trying is judged apart from being gathered, so that a
//! fault can be written down in a test. What can be tried is tried.

pub mod escapes;
mod extras;
pub mod facilities;
mod files;
pub mod network;
pub mod packages;
pub mod platform;
mod programs;
pub mod room;
pub mod virtualisation;

pub use programs::missing;

use nestlab_api::message::Configure;
use nestlab_model::doctor::Check;
use std::path::Path;

/// What a machine that labs stand on offers them. Takes some tens of milliseconds.
pub fn host(state_dir: &Path) -> Vec<Check> {
    let mut checks = vec![platform::check(platform::detect(Path::new("/")))];
    checks.extend(nesting());
    checks.extend(facilities::host());
    checks.extend(programs::checks(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    checks.push(room::memory());
    checks.push(room::disk(state_dir));
    checks.extend(files::checks(state_dir));
    checks.extend(extras::checks());
    checks.extend(programs::others());
    checks
}

/// What a node offers: to what is inside it, if anything is meant to be, and to
/// whatever runs in it. Takes a second where a neighbour does not answer.
pub fn node(identity: Option<&Configure>, nests: bool) -> Vec<Check> {
    let mut checks = match nests {
        true => [nesting(), facilities::parent()].concat(),
        false => Vec::new(),
    };
    checks.push(facilities::entropy());
    checks.push(room::memory());
    checks.push(room::disk(Path::new("/")));
    if let Some(identity) = identity {
        checks.extend(network::checks(identity));
    }
    checks
}

fn nesting() -> Vec<Check> {
    let found = virtualisation::gather(Path::new("/"));
    let mut checks = virtualisation::checks(&found);
    if found.device == virtualisation::Device::Opens {
        checks.extend(escapes::checks(&facilities::kernel_release()));
    }
    checks
}
