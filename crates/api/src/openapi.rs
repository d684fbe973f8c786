//! The OpenAPI document, built from the table of routes.

use crate::route;
use serde_json::{Map, Value, json};

/// One operation: method, route, what it does, its query, body and answer.
struct Operation {
    method: &'static str,
    route: &'static str,
    summary: &'static str,
    query: &'static [&'static str],
    body: Body,
    answer: Answer,
}

enum Body {
    None,
    Json(&'static str),
    Bytes(&'static str),
}

enum Answer {
    Empty,
    Json(&'static str),
    Bytes(&'static str),
    Socket,
    Upgrade,
}

const fn op(
    method: &'static str,
    route: &'static str,
    summary: &'static str,
    query: &'static [&'static str],
    body: Body,
    answer: Answer,
) -> Operation {
    Operation {
        method,
        route,
        summary,
        query,
        body,
        answer,
    }
}

const TAR: &str = "application/x-tar";
const ANY: &str = "application/octet-stream";

/// Every operation of every level. Guest services exist in nodes only.
const OPERATIONS: &[Operation] = &[
    op(
        "get",
        route::VERSION,
        "What the level is",
        &[],
        Body::None,
        Answer::Json("Version"),
    ),
    op(
        "get",
        route::LAYER,
        "What stands at the level",
        &[],
        Body::None,
        Answer::Json("LayerReport"),
    ),
    op(
        "put",
        route::LAYER,
        "Say what shall stand at the level",
        &[],
        Body::Json("LayerSpec"),
        Answer::Empty,
    ),
    op(
        "get",
        route::SPEC,
        "What shall stand at the level",
        &[],
        Body::None,
        Answer::Json("LayerSpec"),
    ),
    op(
        "post",
        route::UP,
        "Bring it up",
        &[],
        Body::Json("UpRequest"),
        Answer::Json("Outcome"),
    ),
    op(
        "post",
        route::PAUSE,
        "Stop the virtual CPUs of nodes",
        &[],
        Body::Json("PauseRequest"),
        Answer::Json("Outcome"),
    ),
    op(
        "post",
        route::RESUME,
        "Let paused nodes go on",
        &[],
        Body::Json("PauseRequest"),
        Answer::Json("Outcome"),
    ),
    op(
        "post",
        route::FORK,
        "Copy the lab as it is now into new ones (on the host alone)",
        &[],
        Body::Json("ForkRequest"),
        Answer::Json("ForkReport"),
    ),
    op(
        "get",
        route::SNAPSHOTS,
        "The snapshots of the lab (on the host alone)",
        &[],
        Body::None,
        Answer::Json("Snapshots"),
    ),
    op(
        "post",
        route::SNAPSHOTS,
        "Keep the lab as it is now (on the host alone)",
        &[],
        Body::Json("SnapshotRequest"),
        Answer::Json("Snapshot"),
    ),
    op(
        "delete",
        route::SNAPSHOT,
        "Forget a snapshot (on the host alone)",
        &[],
        Body::None,
        Answer::Empty,
    ),
    op(
        "post",
        route::RESTORE,
        "Make the lab what it was when a snapshot was saved (on the host alone)",
        &[],
        Body::None,
        Answer::Json("Outcome"),
    ),
    op(
        "post",
        route::HALT,
        "Stop nodes",
        &[],
        Body::Json("StopRequest"),
        Answer::Json("Outcome"),
    ),
    op(
        "post",
        route::DESTROY,
        "Remove nodes",
        &[],
        Body::Json("StopRequest"),
        Answer::Json("Outcome"),
    ),
    op(
        "get",
        route::EVENTS,
        "Follow what happens",
        &[],
        Body::None,
        Answer::Socket,
    ),
    op(
        "get",
        route::CONNECT,
        "HTTP with a node's agent",
        &["path"],
        Body::None,
        Answer::Upgrade,
    ),
    op(
        "get",
        route::CONSOLE,
        "A node's console",
        &[],
        Body::None,
        Answer::Upgrade,
    ),
    op(
        "post",
        route::RESIZE,
        "Make a disk of a node larger",
        &[],
        Body::Json("ResizeRequest"),
        Answer::Json("Resized"),
    ),
    op(
        "get",
        route::NODE_LOG,
        "A log of a node",
        &["kind", "follow", "tail"],
        Body::None,
        Answer::Bytes("text/plain"),
    ),
    op(
        "get",
        route::LOG,
        "The log of the agent itself",
        &["follow", "tail"],
        Body::None,
        Answer::Bytes("text/plain"),
    ),
    op(
        "get",
        route::EXEC,
        "Run a program in the node",
        &[],
        Body::None,
        Answer::Socket,
    ),
    op(
        "get",
        route::FILES,
        "A file or folder",
        &["path"],
        Body::None,
        Answer::Bytes(TAR),
    ),
    op(
        "put",
        route::FILES,
        "Unpack into a folder",
        &["path"],
        Body::Bytes(TAR),
        Answer::Empty,
    ),
    op(
        "get",
        route::BLOB,
        "A blob",
        &[],
        Body::None,
        Answer::Bytes(ANY),
    ),
    op(
        "head",
        route::BLOB,
        "Whether a blob is there",
        &[],
        Body::None,
        Answer::Empty,
    ),
    op(
        "put",
        route::BLOB,
        "Store a blob",
        &[],
        Body::Bytes(ANY),
        Answer::Empty,
    ),
    op(
        "post",
        route::CONFIGURE,
        "Tell the node who it is",
        &[],
        Body::Json("Configure"),
        Answer::Json("Version"),
    ),
    op(
        "post",
        route::IDENTITY,
        "Give the node a new machine-id and new ssh host keys",
        &[],
        Body::None,
        Answer::Empty,
    ),
    op(
        "get",
        route::DOCTOR,
        "Find out what works in the node, by trying",
        &["nests", "reach"],
        Body::None,
        Answer::Json("Examination"),
    ),
    op(
        "post",
        route::GROW,
        "Use all of a disk that has grown",
        &["serial", "bytes"],
        Body::None,
        Answer::Json("Growth"),
    ),
    op(
        "post",
        route::POWER,
        "Power off or reboot",
        &[],
        Body::Json("Power"),
        Answer::Empty,
    ),
    op(
        "get",
        route::DIAL,
        "Connect to a port of the node",
        &["port", "protocol"],
        Body::None,
        Answer::Upgrade,
    ),
    op(
        "get",
        route::OPENAPI,
        "This document",
        &[],
        Body::None,
        Answer::Json("Document"),
    ),
];

/// Method and route of every operation, in the order of the document.
pub fn operations() -> impl Iterator<Item = (&'static str, &'static str)> {
    OPERATIONS
        .iter()
        .map(|operation| (operation.method, operation.route))
}

/// The OpenAPI 3.1 document of a level.
pub fn openapi() -> Value {
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let path = paths.entry(operation.route).or_insert_with(|| json!({}));
        path[operation.method] = describe(operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Nestlab",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The same at every level. A node below is reached by an upgrade of its `connect` route, on which its agent speaks HTTP.",
        },
        "paths": paths,
        "components": { "schemas": schemas() },
    })
}

fn schemas() -> Value {
    let mut schemas = Map::new();
    for operation in OPERATIONS {
        for name in [body_name(&operation.body), answer_name(&operation.answer)]
            .into_iter()
            .flatten()
        {
            schemas.insert(name.to_owned(), json!({ "type": ["object", "string"] }));
        }
    }
    schemas.insert(
        "Failure".into(),
        json!({
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": { "type": "string", "description": "A stable word for programs" },
                "message": { "type": "string" },
                "hint": { "type": ["string", "null"], "description": "What to type next" },
                "node": { "type": ["string", "null"] },
            },
        }),
    );
    Value::Object(schemas)
}

fn body_name(body: &Body) -> Option<&'static str> {
    match body {
        Body::Json(name) => Some(name),
        Body::None | Body::Bytes(_) => None,
    }
}

fn answer_name(answer: &Answer) -> Option<&'static str> {
    match answer {
        Answer::Json(name) => Some(name),
        _ => None,
    }
}

fn reference(name: &str) -> Value {
    json!({ "application/json": { "schema": { "$ref": format!("#/components/schemas/{name}") } } })
}

fn describe(operation: &Operation) -> Value {
    let mut parameters: Vec<Value> = path_parameters(operation.route)
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    parameters.extend(
        operation
            .query
            .iter()
            .map(|name| json!({ "name": name, "in": "query", "schema": { "type": "string" } })),
    );
    let (status, answer) = match operation.answer {
        Answer::Empty => ("200", json!({ "description": "Done" })),
        Answer::Json(name) => (
            "200",
            json!({ "description": "Done", "content": reference(name) }),
        ),
        Answer::Bytes(kind) => (
            "200",
            json!({ "description": "Bytes", "content": { kind: {} } }),
        ),
        Answer::Socket => ("101", json!({ "description": "A WebSocket" })),
        Answer::Upgrade => (
            "101",
            json!({ "description": format!("Opaque bytes after `Upgrade: {}`", route::UPGRADE) }),
        ),
    };
    let failure = json!({ "description": "What went wrong", "content": reference("Failure") });
    let mut described = json!({
        "summary": operation.summary,
        "parameters": parameters,
        "responses": { status: answer, "default": failure },
    });
    match operation.body {
        Body::None => {}
        Body::Json(name) => {
            described["requestBody"] = json!({ "required": true, "content": reference(name) })
        }
        Body::Bytes(kind) => {
            described["requestBody"] = json!({ "required": true, "content": { kind: {} } })
        }
    }
    described
}

fn path_parameters(route: &str) -> impl Iterator<Item = &str> {
    route
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_described() {
        let document = openapi();
        for (method, route) in operations() {
            assert!(
                document["paths"][route][method]["summary"].is_string(),
                "{method} {route}"
            );
        }
        let blob = &document["paths"][route::BLOB]["put"]["parameters"][0];
        assert_eq!(blob["name"], "digest");
    }
}
