//! What every verb is given: the global options, the folders of this machine,
//! and how to speak.

use crate::cli::{Global, When};
use crate::error::{Code, Error};
use crate::output;
use crate::pins::Pins;
use crate::place::{self, Dirs, Place};
use nestlab_labfile::{Diagnostic, Loaded, OsFiles, Severity};
use nestlab_model::{ImageName, ImageSpec, Lab};
use std::collections::BTreeMap;
use std::future::Future;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

/// The global options and what follows from them.
pub struct Context {
    /// As given.
    pub global: Global,
    /// Whether standard error takes colours.
    pub color: bool,
}

impl Context {
    /// Takes the options and starts the logging they ask for.
    pub fn new(global: Global) -> Self {
        let quiet_env = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let color = match global.color {
            When::Always => true,
            When::Never => false,
            When::Auto => !quiet_env && std::io::stderr().is_terminal(),
        };
        start_logging(global.verbose);
        Self { global, color }
    }

    /// Text in a colour, if colours are wanted on standard error.
    pub fn paint(&self, ansi: &str, text: &str) -> String {
        paint(self.color, ansi, text)
    }

    /// Whether standard output takes colours.
    pub fn color_out(&self) -> bool {
        match self.global.color {
            When::Always => true,
            When::Never => false,
            When::Auto => {
                std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                    && std::io::stdout().is_terminal()
            }
        }
    }

    /// Says something, unless told to be quiet.
    pub fn say(&self, text: &str) {
        if !self.global.quiet {
            output::say(text);
        }
    }

    /// Says something that must not be missed.
    pub fn warn(&self, text: &str) {
        output::say(&format!(
            "{}: {}",
            self.paint("1;33", "warning"),
            crate::error::clean(text)
        ));
    }

    /// Renders an error and gives its exit code.
    pub fn fail(&self, error: &Error) -> ExitCode {
        if self.global.json {
            output::json_line(&error.json());
        }
        let text = error.render(&self.paint("1;31", "error"), &self.paint("1;32", "hint"));
        output::say(text.trim_end());
        ExitCode::from(error.exit())
    }

    /// The folders of this machine.
    pub fn dirs(&self) -> Result<Dirs, Error> {
        Dirs::from_env()
    }

    /// The lab that is meant, whether it was ever up or not.
    pub fn place(&self) -> Result<Place, Error> {
        place::find(&self.dirs()?, &self.global)
    }

    /// Reads and checks the lab file, with its images as they were pinned; mistakes go to
    /// standard error.
    pub fn load(&self, file: &Path) -> Result<Lab, Error> {
        let mut lab = self.load_unpinned(file)?;
        Pins::beside(file)?.apply(&mut lab.images);
        Ok(lab)
    }

    /// The same, as if nothing had been pinned.
    pub fn load_unpinned(&self, file: &Path) -> Result<Lab, Error> {
        let loaded = self.read(file);
        let least = if self.global.quiet {
            Severity::Error
        } else {
            Severity::Warning
        };
        self.show(&loaded, file, least);
        sound(loaded, file)
    }

    /// The images that every lab can name: those that are built in, and those that were
    /// imported.
    pub fn images_without_lab(&self) -> BTreeMap<ImageName, ImageSpec> {
        let imported = self.dirs().map(|dirs| nestlab_image::imported(&dirs.store));
        let mut images = imported.unwrap_or_default();
        images.extend(nestlab_model::builtin_images());
        images
    }

    /// Shows what there is to say about the lab file, from the gravest down to
    /// `least`.
    pub fn show(&self, loaded: &Loaded, file: &Path, least: Severity) {
        let grave = |diagnostic: &&Diagnostic| diagnostic.severity <= least;
        let shown = Loaded {
            lab: None,
            diagnostics: loaded.diagnostics.iter().filter(grave).cloned().collect(),
            sources: loaded.sources.clone(),
            ..Loaded::default()
        };
        if !shown.diagnostics.is_empty() {
            let base = file.parent().unwrap_or(file);
            output::say(shown.render(base, self.color).trim_end());
        }
    }

    /// Reads the lab file with everything there is to say about it.
    pub fn read(&self, file: &Path) -> Loaded {
        let overrides = self.global.set.iter().cloned().collect();
        let images = self.images_without_lab();
        nestlab_labfile::load_with(&OsFiles, file, &overrides, images)
    }

    /// Runs a future to its end on this one thread.
    pub fn block_on<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::caused("Cannot start the event loop", &error))?;
        let result = runtime.block_on(work);
        // A read of standard input may never end: it is not waited for.
        runtime.shutdown_background();
        result
    }
}

/// The lab of a file that has no mistakes.
pub fn sound(loaded: Loaded, file: &Path) -> Result<Lab, Error> {
    let errors = loaded.diagnostics.iter().filter(|d| d.is_error()).count();
    loaded.lab.ok_or_else(|| {
        let plural = if errors == 1 { "mistake" } else { "mistakes" };
        Error::new(
            Code::Usage,
            format!("`{}` has {errors} {plural}", file.display()),
        )
    })
}

/// Text in an ANSI colour, or as it is.
pub fn paint(color: bool, ansi: &str, text: &str) -> String {
    if color {
        format!("\u{1b}[{ansi}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

fn start_logging(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => tracing::Level::INFO,
        _ => tracing::Level::DEBUG,
    };
    let _ = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init();
}
