//! The user's own settings, for every lab: `nestlab/config.yaml` where configuration is.

use crate::error::{Code, Error};
use crate::output;
use crate::place;
use nestlab_labfile::{OsFiles, UserSettings};

const FILE: &str = "nestlab/config.yaml";

/// Reads them; what is wrong with them goes to standard error.
pub fn load(color: bool) -> Result<UserSettings, Error> {
    let file = place::config_home()?.join(FILE);
    let loaded = nestlab_labfile::user_settings(&OsFiles, &file);
    let loaded = loaded.map_err(|error| {
        Error::caused(format!("Cannot read `{}`", file.display()), &error).code(Code::Usage)
    })?;
    if loaded.diagnostics.is_empty() {
        return Ok(loaded.settings);
    }
    output::say(loaded.render(color).trim_end());
    let message = format!("The settings in `{}` have mistakes", file.display());
    Err(Error::new(Code::Usage, message))
}
