//! Writes the generated documents: the JSON Schema and the reference of the
//! lab file. Give it the folder `docs`.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let docs = std::env::args_os().nth(1).map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs")),
        PathBuf::from,
    );
    let schema = serde_json::to_string_pretty(&nestlab_labfile::schema())?;
    std::fs::write(docs.join("nestlab.schema.json"), schema + "\n")?;
    std::fs::write(docs.join("lab-file.md"), nestlab_labfile::reference())
}
