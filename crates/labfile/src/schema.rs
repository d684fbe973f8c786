//! The JSON Schema, written from the table of keys. It is for editors: it
//! accepts a template wherever a single value stands.

use crate::keys::{LAB, Object, Shape, objects};
use serde_json::{Map, Value, json};

pub(crate) fn schema() -> Value {
    let definitions: Map<String, Value> = objects()
        .into_iter()
        .map(|object| (id(object), object_schema(object)))
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Nestlab lab file",
        "$ref": format!("#/$defs/{}", id(&LAB)),
        "$defs": definitions,
    })
}

fn id(object: &Object) -> String {
    object.name.replace(' ', "-")
}

fn object_schema(object: &Object) -> Value {
    let property = |key: &crate::keys::Key| {
        let mut schema = shape_schema(&key.shape);
        let doc = match key.default {
            "" => key.doc.to_owned(),
            default => format!("{} Default: {default}.", key.doc),
        };
        schema["description"] = doc.into();
        (key.name.to_owned(), schema)
    };
    let properties: Map<String, Value> = object.keys.iter().map(property).collect();
    let required: Vec<_> = object
        .keys
        .iter()
        .filter(|k| k.required)
        .map(|k| k.name)
        .collect();
    // A map with nothing required may be left empty: `mesh:`.
    let types = if required.is_empty() {
        json!(["object", "null"])
    } else {
        json!("object")
    };
    let mut schema = json!({
        "type": types,
        "description": object.doc,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    if object.name == LAB.name {
        schema["patternProperties"] = json!({ "^x-": {} });
    }
    schema
}

fn template() -> Value {
    json!({ "type": "string", "pattern": "\\{\\{" })
}

fn pattern(pattern: &str) -> Value {
    json!({ "anyOf": [{ "type": "string", "pattern": pattern }, template()] })
}

/// A number, or a text with a unit.
fn amount(pattern: &str) -> Value {
    let text = json!({ "type": "string", "pattern": pattern });
    json!({ "anyOf": [text, template(), { "type": "integer", "minimum": 0 }] })
}

fn shape_schema(shape: &Shape) -> Value {
    match shape {
        Shape::Bool => json!({ "anyOf": [{ "type": "boolean" }, template()] }),
        Shape::Integer(min, max) => json!({
            "anyOf": [{ "type": "integer", "minimum": min, "maximum": max }, template()]
        }),
        Shape::Size => amount("^[0-9]+ ?([kKmMgGtT]i?[bB]?|[bB])?$"),
        Shape::Duration => amount("^[0-9]+ ?(ms|s|m|min|h)?$"),
        Shape::Rate => pattern("^[0-9]+ ?[kKmMgG]?[bB][iI][tT]$"),
        Shape::Name => pattern("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"),
        Shape::Text => json!({ "type": ["string", "number", "boolean", "null"] }),
        Shape::Path => json!({ "type": "string", "minLength": 1 }),
        Shape::Target => pattern("^/"),
        Shape::Address => pattern("^[0-9]{1,3}(\\.[0-9]{1,3}){3}$"),
        Shape::Subnet => pattern("^[0-9]{1,3}(\\.[0-9]{1,3}){3}/[0-9]{1,2}$"),
        Shape::Port => pattern("^(.+:)?[0-9]+:(.+:)?[0-9]+(/(tcp|udp))?$"),
        Shape::Mode => json!({
            "anyOf": [
                { "type": "string", "pattern": "^(0o)?[0-7]{1,5}$" },
                template(),
                { "type": "integer" },
            ]
        }),
        Shape::Digest => pattern("^(sha256:)?[0-9a-fA-F]{64}$"),
        Shape::Url => pattern("^https?://"),
        Shape::Choice(words) => json!({ "anyOf": [{ "enum": words }, template()] }),
        Shape::List(item) => json!({ "type": "array", "items": shape_schema(item) }),
        Shape::Map(_, value) => json!({
            "type": "object",
            "additionalProperties": shape_schema(value),
        }),
        Shape::Object(object) => json!({ "$ref": format!("#/$defs/{}", id(object)) }),
        Shape::Either(shapes) => {
            json!({ "anyOf": shapes.iter().map(shape_schema).collect::<Vec<_>>() })
        }
    }
}
