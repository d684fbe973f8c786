//! What every verb is given: the global options, the folders of this machine,
//! and how to speak.

use crate::cli::{Global, When};
use crate::error::{Code, Error};
use crate::machine;
use crate::output;
use crate::pins::Pins;
use crate::place::{self, Dirs, Habits, Place};
use crate::settings;
use nestlab_labfile::{
    Diagnostic, Loaded, OsFiles, Settings, Severity, UserSettings, VagrantMachine, VagrantSettings,
};
use nestlab_model::{ImageName, ImageSpec, Lab};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::future::Future;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
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
            _ if global.no_color || global.machine_readable => false,
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
            _ if self.global.no_color => false,
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
        if self.global.machine_readable {
            machine::ui("", "info", text);
        } else if !self.global.quiet {
            output::say(text);
        }
    }

    /// Says something that must not be missed.
    pub fn warn(&self, text: &str) {
        if self.global.machine_readable {
            return machine::ui("", "warn", text);
        }
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
        if self.global.machine_readable {
            let words = text.trim_start_matches("error: ").trim_end();
            machine::ui("", "error", words);
            machine::line("", "error-exit", &[error.kind(), words]);
            return ExitCode::from(error.exit());
        }
        output::say(text.trim_end());
        ExitCode::from(error.exit())
    }

    /// What a Vagrantfile is read for, if that was said: now, when the lab was brought up,
    /// or for all labs.
    pub fn provider(&self) -> Option<String> {
        let remembered = || self.place().ok()?.record?.provider;
        let variable = || std::env::var(machine::PROVIDER_VARIABLE).ok();
        let given = self.global.provider.clone();
        let given = given.or_else(remembered).or_else(variable);
        given.filter(|name| !name.is_empty())
    }

    /// The image that a box's name means here; that name, if it is none of a box's.
    pub fn image_of_box(&self, name: &str) -> Result<String, Error> {
        if let Some(image) = self.box_aliases()?.remove(name) {
            return Ok(image);
        }
        let known = self.images_without_lab();
        // A name without a publisher is an image's own.
        let image = match name.contains('/') {
            true => nestlab_labfile::image_of_box(name, &known),
            false => None,
        };
        Ok(image.map_or_else(|| name.to_owned(), ToString::to_string))
    }

    /// Images by the names of the boxes that they stand for: those of the user's
    /// configuration, and those of the command line before them.
    pub fn box_aliases(&self) -> Result<BTreeMap<String, String>, Error> {
        let set = self.user_settings()?.box_aliases.into_iter();
        let mut aliases: BTreeMap<_, _> =
            set.map(|(name, image)| (name, image.to_string())).collect();
        aliases.extend(self.global.box_alias.iter().cloned());
        Ok(aliases)
    }

    /// The folders of this machine.
    pub fn dirs(&self) -> Result<Dirs, Error> {
        Dirs::from_env()
    }

    /// What the user has set for every lab.
    pub fn user_settings(&self) -> Result<UserSettings, Error> {
        settings::load(self.color)
    }

    /// A file that was named on the command line: names start at the lab's folder.
    pub fn named_file(&self, file: &Path) -> PathBuf {
        match &self.global.directory {
            Some(folder) => folder.join(file),
            None => file.to_owned(),
        }
    }

    /// Whether a file is a Vagrantfile, by its name.
    pub fn is_vagrantfile(&self, file: &Path) -> bool {
        Habits::from_env().is_vagrantfile(file)
    }

    /// The lab that is meant, whether it was ever up or not.
    pub fn place(&self) -> Result<Place, Error> {
        place::find(&self.dirs()?, &self.global)
    }

    /// Reads and checks the lab file, with its images as they were pinned; mistakes go to
    /// standard error.
    pub fn load(&self, file: &Path) -> Result<Lab, Error> {
        self.load_with_machines(file).map(|(lab, _)| lab)
    }

    /// The same, and what a Vagrantfile says of its machines.
    pub fn load_with_machines(&self, file: &Path) -> Result<(Lab, Vec<VagrantMachine>), Error> {
        let mut loaded = self.read_aloud(file)?;
        let machines = loaded.vagrant.take().unwrap_or_default();
        let mut lab = sound(loaded, file)?;
        Pins::beside(file)?.apply(&mut lab.images);
        Ok((lab, machines))
    }

    /// Reads and checks the lab file as if nothing had been pinned.
    pub fn load_unpinned(&self, file: &Path) -> Result<Lab, Error> {
        sound(self.read_aloud(file)?, file)
    }

    fn read_aloud(&self, file: &Path) -> Result<Loaded, Error> {
        let loaded = self.read(file)?;
        let least = if self.global.quiet {
            Severity::Error
        } else {
            Severity::Warning
        };
        self.show(&loaded, file, least);
        Ok(loaded)
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
        let base = file.parent().unwrap_or(file);
        if self.global.machine_readable {
            return tell_machines(&shown, base);
        }
        if !shown.diagnostics.is_empty() {
            output::say(shown.render(base, self.color).trim_end());
        }
    }

    /// Reads the lab file with everything there is to say about it.
    pub fn read(&self, file: &Path) -> Result<Loaded, Error> {
        let settings = self.settings()?;
        Ok(nestlab_labfile::load_as(&OsFiles, file, &settings))
    }

    /// What labs are made from beside their files.
    pub fn settings(&self) -> Result<Settings, Error> {
        Ok(Settings {
            overrides: self.global.set.iter().cloned().collect(),
            images: self.images_without_lab(),
            vagrant: VagrantSettings {
                env: environment(),
                provider: self.provider(),
                box_aliases: self.box_aliases()?,
                file_name: Habits::from_env()
                    .name
                    .and_then(|name| name.into_string().ok()),
                ..VagrantSettings::default()
            },
        })
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

/// Diagnostics, a line each, for scripts that read Vagrant's.
fn tell_machines(loaded: &Loaded, base: &Path) {
    for diagnostic in &loaded.diagnostics {
        let level = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warn",
            Severity::Note => "info",
        };
        let alone = Loaded {
            lab: None,
            diagnostics: vec![diagnostic.clone()],
            sources: loaded.sources.clone(),
            ..Loaded::default()
        };
        machine::ui("", level, alone.render(base, false).trim_end());
    }
}

/// The lab of a file that has no mistakes.
pub fn sound(mut loaded: Loaded, file: &Path) -> Result<Lab, Error> {
    loaded.lab.take().ok_or_else(|| mistakes(&loaded, file))
}

/// That a file has mistakes.
pub fn mistakes(loaded: &Loaded, file: &Path) -> Error {
    let errors = loaded.diagnostics.iter().filter(|d| d.is_error()).count();
    let plural = if errors == 1 { "mistake" } else { "mistakes" };
    Error::new(
        Code::Usage,
        format!("`{}` has {errors} {plural}", file.display()),
    )
}

/// Text in an ANSI colour, or as it is.
pub fn paint(color: bool, ansi: &str, text: &str) -> String {
    if color {
        format!("\u{1b}[{ansi}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

/// This program's own environment. What is no text, no Vagrantfile could make sense of.
fn environment() -> BTreeMap<String, String> {
    let text = |(key, value): (OsString, OsString)| {
        Some((key.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
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
