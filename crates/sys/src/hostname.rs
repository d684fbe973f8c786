//! The name of this machine.

use std::io;

/// Sets the name until the next boot.
///
/// # Errors
/// As sethostname(2).
pub fn set(name: &str) -> io::Result<()> {
    nix::unistd::sethostname(name).map_err(io::Error::from)
}

/// The name now.
///
/// # Errors
/// As gethostname(2).
pub fn get() -> io::Result<String> {
    Ok(nix::unistd::gethostname()?.to_string_lossy().into_owned())
}
