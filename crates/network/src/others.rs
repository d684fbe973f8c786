//! Packet rules of other programs on the same machine. A packet must pass every base chain:
//! what one accepts another may drop. Docker drops all that it does not forward itself, as
//! soon as it starts (its documentation, "Packet filtering and firewalls"), and so does ufw.
//!
//! Rules of ours at the top of their chain let through what the layer's own chain decides
//! about. Docker leaves them there, whether it starts before or after.

use crate::program;
use nestlab_sys::namespace::Namespaces;

/// All bridges of ours, as iptables(8) writes a prefix.
const BRIDGES: &str = "nb-+";

/// Has the forwarding of others leave our bridges alone, if anybody here uses iptables.
/// What that refuses is said in the log: the layer itself stands without it.
pub(crate) async fn pass_by(place: Option<&Namespaces>) {
    if program::find("iptables").is_none() {
        return;
    }
    for direction in ["--in-interface", "--out-interface"] {
        let rule = ["FORWARD", direction, BRIDGES, "--jump", "ACCEPT"];
        if iptables(place, "--check", &rule).await.is_ok() {
            continue;
        }
        if let Err(error) = iptables(place, "--insert", &rule).await {
            tracing::warn!(%error, "another program's packet rules may stop what is inside");
        }
    }
}

async fn iptables(
    place: Option<&Namespaces>,
    verb: &str,
    rule: &[&str],
) -> Result<String, crate::NetworkError> {
    let arguments = [&["--wait", "10", verb], rule].concat();
    let program = ("iptables", "iptables");
    let action = "have other packet rules pass the layer by";
    program::run(place, program, &arguments, "", action).await
}
