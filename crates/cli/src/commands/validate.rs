//! `nestlab validate`: every mistake of the lab file in one run.

use crate::context::{Context, sound};
use crate::error::{Code, Error};
use crate::output;
use nestlab_labfile::Severity;
use nestlab_model::Lab;

pub fn run(context: &Context) -> Result<u8, Error> {
    let place = context.place()?;
    let file = place.existing_file()?;
    if context.global.json {
        let loaded = context.read(file)?;
        let valid = loaded.lab.is_some();
        output::json(&serde_json::json!({
            "file": file,
            "valid": valid,
            "diagnostics": loaded.diagnostics,
        }));
        return Ok(if valid { 0 } else { Code::Usage as u8 });
    }
    let loaded = context.read(file)?;
    let least = if context.global.quiet {
        Severity::Error
    } else {
        Severity::Note
    };
    context.show(&loaded, file, least);
    let lab = sound(loaded, file)?;
    context.say(&format!("`{}` is valid: {}", file.display(), summary(&lab)));
    Ok(0)
}

fn summary(lab: &Lab) -> String {
    let nodes = lab.layer.walk();
    let levels = nodes
        .iter()
        .map(|(path, _)| path.level())
        .max()
        .unwrap_or(0);
    let plural = |amount: usize, word: &str| match amount {
        1 => format!("1 {word}"),
        _ => format!("{amount} {word}s"),
    };
    format!(
        "lab `{}`, {}, {}",
        lab.name,
        plural(nodes.len(), "node"),
        plural(levels, "level")
    )
}
