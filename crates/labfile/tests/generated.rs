//! The documents written from the table of keys are those of the repository.

use std::path::PathBuf;

fn check(name: &str, expected: &str) {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let path = root
        .ancestors()
        .nth(2)
        .expect("the crate lies in the workspace")
        .join("docs")
        .join(name);
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "docs/{name} is out of date: run `cargo run -p nestlab-labfile --example generate`"
    );
}

#[test]
fn the_schema_is_current() {
    let schema = serde_json::to_string_pretty(&nestlab_labfile::schema()).unwrap();
    check("nestlab.schema.json", &(schema + "\n"));
}

#[test]
fn the_reference_is_current() {
    check("lab-file.md", &nestlab_labfile::reference());
}

#[test]
fn every_reference_of_the_schema_leads_somewhere() {
    let schema = nestlab_labfile::schema();
    let text = schema.to_string();
    let references = text
        .split("\"$ref\":\"#")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    for pointer in references {
        assert!(schema.pointer(pointer).is_some(), "{pointer}");
    }
}
