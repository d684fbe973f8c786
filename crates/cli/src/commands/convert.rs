//! `nestlab convert`: the lab file that a Vagrantfile amounts to.

use crate::cli::ConvertArgs;
use crate::context::{Context, mistakes};
use crate::error::{Code, Error};
use crate::output;
use nestlab_labfile::{Diagnostic, OsFiles, Severity};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What the lab file is called where nothing else is said.
const NAME: &str = "nestlab.yaml";

pub fn run(context: &Context, args: &ConvertArgs) -> Result<u8, Error> {
    let file = vagrantfile(context, args)?;
    let target = match &args.output {
        Some(output) => context.named_file(output),
        None => file.with_file_name(NAME),
    };
    if !args.stdout && !args.force && target.exists() {
        let message = format!("`{}` is there already", target.display());
        return Err(Error::new(Code::Usage, message).hint(
            "`--force` replaces it, `--output FILE` writes another, `--stdout` writes none",
        ));
    }
    let settings = context.settings()?;
    let converted = nestlab_labfile::convert(&OsFiles, &file, &settings);
    let loaded = &converted.loaded;
    if !context.global.json {
        context.show(loaded, &file, least(context));
    }
    let Some(yaml) = converted.yaml else {
        return Err(mistakes(loaded, &file));
    };
    match args.stdout {
        true => output::data(&yaml),
        false => {
            write(&target, &yaml)?;
            told(context, &file, &target, &loaded.diagnostics);
        }
    }
    // What is wrong may be easier to mend in what was written.
    match loaded.diagnostics.iter().any(Diagnostic::is_error) {
        true => Err(mistakes(loaded, &file)),
        false => Ok(0),
    }
}

/// The file that is named; else the one of the lab at hand, or beside its lab file.
fn vagrantfile(context: &Context, args: &ConvertArgs) -> Result<PathBuf, Error> {
    if let Some(file) = &args.vagrantfile {
        let file = context.named_file(file);
        return std::fs::canonicalize(&file).map_err(|error| {
            Error::caused(format!("Cannot open `{}`", file.display()), &error).code(Code::Unknown)
        });
    }
    let file = context.place()?.file;
    if context.is_vagrantfile(&file) {
        return Ok(file);
    }
    let beside = file.with_file_name("Vagrantfile");
    match beside.is_file() {
        true => Ok(beside),
        false => Err(Error::new(
            Code::Unknown,
            format!("`{}` is no Vagrantfile", file.display()),
        )
        .hint("Name one: `nestlab convert FILE`")),
    }
}

fn least(context: &Context) -> Severity {
    match context.global.quiet {
        true => Severity::Error,
        false => Severity::Note,
    }
}

/// Whoever reads the old file meanwhile does not see half of the new one.
fn write(target: &Path, text: &str) -> Result<(), Error> {
    let cannot = |error| Error::caused(format!("Cannot write `{}`", target.display()), &error);
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder)
        .map_err(cannot)?;
    file.write_all(text.as_bytes()).map_err(cannot)?;
    file.persist(target).map_err(|error| cannot(error.error))?;
    Ok(())
}

fn told(context: &Context, file: &Path, target: &Path, diagnostics: &[Diagnostic]) {
    if context.global.json {
        return output::json(&json!({
            "file": file,
            "written": target,
            "diagnostics": diagnostics,
        }));
    }
    context.say(&format!(
        "`{}` is written; `nestlab up` takes it instead of the Vagrantfile",
        target.display()
    ));
    if target.parent() != file.parent() {
        context.warn("Paths in it begin at the folder of the Vagrantfile, and not at its own");
    }
}
