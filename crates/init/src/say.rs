//! The few lines that go to the console.

use std::io::Write;

/// Where a line may go: the console, or the serial port while the console's
/// own module is not loaded.
const PLACES: [&str; 2] = ["/dev/console", "/dev/ttyS0"];

/// Writes a line to the console. That it cannot be written is nobody's business.
pub fn line(text: &str) {
    let line = format!("nestlab-init: {text}\n");
    if crate::container::is_one() {
        let _ = std::io::stdout().write_all(line.as_bytes());
        return;
    }
    for place in PLACES {
        let file = std::fs::OpenOptions::new().write(true).open(place);
        if file.is_ok_and(|mut file| file.write_all(line.as_bytes()).is_ok()) {
            return;
        }
    }
}
