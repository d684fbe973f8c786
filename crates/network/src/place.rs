//! Where a layer's networks stand.

use nestlab_sys::namespace::Namespaces;
use tokio::process::Command;

/// Where a layer's networks stand.
#[derive(Debug, Clone)]
pub enum Place {
    /// In the namespaces of a lab, on the host.
    Lab(Namespaces),
    /// On the machine itself: the layer inside a node.
    Machine,
}

impl Place {
    /// Has a command run there.
    pub(crate) fn attach(&self, command: &mut Command) {
        if let Self::Lab(namespaces) = self {
            namespaces.attach(command);
        }
    }
}
