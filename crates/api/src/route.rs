//! The routes of a level, by name, so that client, server and the OpenAPI
//! document cannot disagree.

use nestlab_model::{NodeName, NodePath};

/// The protocol that `Upgrade:` names for opaque bytes.
pub const UPGRADE: &str = "nestlab-stream";

/// `GET`: [`crate::message::Version`].
pub const VERSION: &str = "/v1/version";
/// `GET`: [`crate::message::LayerReport`]; `PUT`: [`crate::message::LayerSpec`].
pub const LAYER: &str = "/v1/layer";
/// `GET`: the [`crate::message::LayerSpec`] that was said last.
pub const SPEC: &str = "/v1/spec";
/// `POST`: [`crate::message::UpRequest`] → [`crate::message::Outcome`].
pub const UP: &str = "/v1/up";
/// `POST`: [`crate::message::PauseRequest`] → [`crate::message::Outcome`].
pub const PAUSE: &str = "/v1/pause";
/// `POST`: [`crate::message::PauseRequest`] → [`crate::message::Outcome`].
pub const RESUME: &str = "/v1/resume";
/// `POST`, on the host alone: [`crate::message::ForkRequest`] →
/// [`crate::message::ForkReport`].
pub const FORK: &str = "/v1/fork";
/// On the host alone. `GET`: a list of [`crate::message::Snapshot`]; `POST`:
/// [`crate::message::SnapshotRequest`] → [`crate::message::Snapshot`].
pub const SNAPSHOTS: &str = "/v1/snapshots";
/// `DELETE`: forgets a snapshot.
pub const SNAPSHOT: &str = "/v1/snapshots/{name}";
/// `POST`: makes the lab what it was → [`crate::message::Outcome`].
pub const RESTORE: &str = "/v1/snapshots/{name}/restore";
/// `POST`: [`crate::message::StopRequest`] → [`crate::message::Outcome`].
pub const HALT: &str = "/v1/halt";
/// `POST`: [`crate::message::StopRequest`] → [`crate::message::Outcome`].
pub const DESTROY: &str = "/v1/destroy";
/// `GET`, WebSocket: [`nestlab_model::Event`] as text frames.
pub const EVENTS: &str = "/v1/events";
/// `GET`, upgrade: HTTP with a node's agent. `{name}` is a node of this layer;
/// `?path=` what lies below it, if anything.
pub const CONNECT: &str = "/v1/nodes/{name}/connect";
/// `GET`, upgrade: the node's console.
pub const CONSOLE: &str = "/v1/nodes/{name}/console";
/// `POST`: [`crate::message::ResizeRequest`] → [`crate::message::Resized`].
pub const RESIZE: &str = "/v1/nodes/{name}/resize";
/// `GET`: a log of a node; `?kind=`, `?follow=`, `?tail=` (lines).
pub const NODE_LOG: &str = "/v1/nodes/{name}/log";
/// `GET`: the log of the program itself; `?follow=`, `?tail=` (lines).
pub const LOG: &str = "/v1/log";
/// `GET`, WebSocket: [`crate::message::ExecRequest`].
pub const EXEC: &str = "/v1/exec";
/// `GET`: a tar of `?path=`; `PUT`: a tar unpacked into it.
pub const FILES: &str = "/v1/files";
/// `HEAD`, `PUT`, `GET`: a blob.
pub const BLOB: &str = "/v1/blobs/{digest}";
/// `POST`: [`crate::message::Configure`].
pub const CONFIGURE: &str = "/v1/configure";
/// `POST`: gives the node a new machine-id and new ssh host keys.
pub const IDENTITY: &str = "/v1/identity";
/// `GET`: [`crate::message::Examination`]; `?nests=`, whether machines are meant to
/// stand inside the node; `?reach=`, a place that it tries to connect to.
pub const DOCTOR: &str = "/v1/doctor";
/// `POST`: has the node use all of a disk that has grown; `?serial=`, `?bytes=`, how many
/// it has now → [`crate::message::Growth`].
pub const GROW: &str = "/v1/grow";
/// `POST`: [`crate::message::Power`].
pub const POWER: &str = "/v1/power";
/// `GET`, upgrade: a connection to a port of this level; `?port=`, `?protocol=`.
pub const DIAL: &str = "/v1/dial";
/// `GET`: the OpenAPI document of all this.
pub const OPENAPI: &str = "/openapi.json";

/// The request target that relays to a node: its first segment picks the
/// child, the rest travels on. `None` for the host path.
pub(crate) fn connect(path: &NodePath) -> Option<String> {
    let (first, rest) = path.split_first()?;
    let route = node(CONNECT, first);
    Some(if rest.is_host() {
        route
    } else {
        format!("{route}?path={}", escape(&rest.to_string()))
    })
}

/// A route with its node filled in. Names need no escaping.
pub(crate) fn node(route: &str, name: &NodeName) -> String {
    route.replace("{name}", name.as_str())
}

/// A route with the name of a snapshot filled in.
pub(crate) fn snapshot(route: &str, name: &str) -> String {
    route.replace("{name}", &escape(name).replace('/', "%2F"))
}

/// Escapes everything that is not unreserved in a query (RFC 3986, 2.3).
pub(crate) fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_targets() {
        let check = |path: &str, expected: Option<&str>| {
            let path: NodePath = path.parse().unwrap();
            assert_eq!(connect(&path).as_deref(), expected);
        };
        check("l1", Some("/v1/nodes/l1/connect"));
        check("l1/l2/l3", Some("/v1/nodes/l1/connect?path=l2/l3"));
        assert_eq!(connect(&NodePath::host()), None);
        assert_eq!(escape("a b&c/é"), "a%20b%26c/%C3%A9");
    }
}
