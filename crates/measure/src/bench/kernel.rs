//! What the kernel does for programs: every one of these costs an exit or two where it
//! is a guest's.

use super::{MICROSECONDS, NANOSECONDS, samples, time};
use nestlab_model::bench::Outcome;
use std::hint::black_box;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The role in which this program ends at once, so that its start can be timed.
pub const NOTHING: &str = "__nothing";

/// What a timer is asked for.
const NAP: Duration = Duration::from_millis(1);

/// Naps of a sample.
const NAPS: u32 = 20;

/// Samples of naps.
const NAP_SAMPLES: usize = 9;

pub(super) fn measure(told: &mut impl FnMut(Outcome)) {
    told(time("kernel.syscall", NANOSECONDS, syscall()));
    told(time("kernel.switch", MICROSECONDS, switch()));
    told(time("kernel.process", MICROSECONDS, process()));
    told(time("kernel.timer", MICROSECONDS, timer()));
}

fn syscall() -> io::Result<Vec<f64>> {
    samples::of(|pieces| {
        for _ in 0..pieces {
            black_box(nestlab_sys::bare::shortest_call());
        }
    })
}

/// Two threads on one processor wake each other through pipes: a round is two switches.
fn switch() -> io::Result<Vec<f64>> {
    let (there_reader, mut there) = io::pipe()?;
    let (mut back, back_writer) = io::pipe()?;
    let other = std::thread::spawn(move || echo(there_reader, back_writer));
    let this = std::thread::spawn(move || {
        nestlab_sys::bare::stay_on_one_cpu()?;
        let rounds = samples::seconds(|pieces| {
            let mut byte = [0];
            for _ in 0..pieces {
                there.write_all(&byte)?;
                back.read_exact(&mut byte)?;
            }
            Ok(())
        })?;
        Ok(rounds.into_iter().map(|round| round / 2.0).collect())
    });
    let samples = this.join().unwrap_or_else(|_| Err(panicked()));
    // It ends when the pipe to it is closed, which it is by now.
    other.join().unwrap_or_else(|_| Err(panicked()))?;
    samples
}

fn echo(mut from: PipeReader, mut to: PipeWriter) -> io::Result<()> {
    nestlab_sys::bare::stay_on_one_cpu()?;
    let mut byte = [0];
    while from.read(&mut byte)? > 0 {
        to.write_all(&byte)?;
    }
    Ok(())
}

fn panicked() -> io::Error {
    io::Error::other("a thread panicked")
}

/// Starts this very program, to do nothing.
fn process() -> io::Result<Vec<f64>> {
    let program = std::env::current_exe()?;
    samples::seconds(|pieces| {
        for _ in 0..pieces {
            let mut command = Command::new(&program);
            command.arg(NOTHING).stdin(Stdio::null());
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command.status()?;
        }
        Ok(())
    })
}

/// How much later than asked a timer wakes a thread.
fn timer() -> io::Result<Vec<f64>> {
    let nap = || {
        let begun = Instant::now();
        std::thread::sleep(NAP);
        begun.elapsed().saturating_sub(NAP)
    };
    let sample = |_| (0..NAPS).map(|_| nap()).sum::<Duration>().as_secs_f64();
    let sums = (0..NAP_SAMPLES).map(sample);
    Ok(sums.map(|sum| sum / f64::from(NAPS)).collect())
}
