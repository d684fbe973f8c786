//! What the user's terminal is like.

use crate::error::Error;
use nestlab_api::message::WindowSize;
use std::io::{self, BufRead, IsTerminal};
use std::os::fd::AsFd;

/// Whether a person sits at both ends.
pub fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// The size of the terminal that standard output (or error) shows.
pub fn size() -> Option<WindowSize> {
    let size = nestlab_sys::terminal::window_size(io::stdout().as_fd())
        .or_else(|_| nestlab_sys::terminal::window_size(io::stderr().as_fd()))
        .ok()?;
    let known = size.rows > 0 && size.columns > 0;
    known.then_some(WindowSize {
        rows: size.rows,
        columns: size.columns,
    })
}

/// Asks a question that is answered by yes or no; anything but yes is no.
pub fn agrees(question: &str) -> Result<bool, Error> {
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Error::caused("Cannot read the answer", &error))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
