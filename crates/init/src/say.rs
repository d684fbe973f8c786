//! The few lines that go to the console.

use std::io::Write;

/// Writes a line to the console. That it cannot be written is nobody's business.
pub fn line(text: &str) {
    let console = std::fs::OpenOptions::new().write(true).open("/dev/console");
    if let Ok(mut console) = console {
        let _ = console.write_all(format!("nestlab-init: {text}\n").as_bytes());
    }
}
