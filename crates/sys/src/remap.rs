//! Giving a running process another view of its memory: where it maps a file, the
//! same addresses show a file copy-on-write from then on.
//!
//! Nobody but a process itself can map memory, so one of its threads is stopped in
//! the middle of a system call, makes a few others for us, and is put back where it
//! was: ptrace(2), as debuggers call functions.

use crate::cow::{self, Mapping};
use nix::errno::Errno;
use nix::libc::{self, c_long, user_regs_struct};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The instruction `syscall` of x86-64, in memory order.
const SYSCALL: [u8; 2] = [0x0f, 0x05];

/// Bytes below the stack pointer that belong to the function at work (System V ABI
/// for AMD64, "The Stack Frame").
const RED_ZONE: u64 = 128;

/// Maps `file` copy-on-write wherever a process maps what was `mapped` when it did
/// so. The two hold the same at that moment, or are the same file: the process
/// notices nothing. It may not write there meanwhile.
///
/// Should this program be killed in the middle, the kernel kills the process.
///
/// # Errors
/// The process may not be traced (ptrace(2), "Ptrace access mode checking"), or has
/// no thread that can be borrowed: nothing has changed then. Or it cannot map the
/// file, which is noticed at the first of its mappings.
pub fn copy_on_write(pid: u32, mapped: &Path, file: &Path) -> io::Result<()> {
    let mappings = cow::mappings(pid, mapped)?;
    if mappings.is_empty() {
        let message = format!("process {pid} does not map {}", mapped.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, message));
    }
    let mut thread = Borrowed::any_of(pid)?;
    let result = map(&mut thread, &mappings, file);
    thread.give_back()?;
    result
}

fn map(thread: &mut Borrowed, mappings: &[Mapping], file: &Path) -> io::Result<()> {
    let name = thread.put(file.as_os_str().as_bytes())?;
    let at = libc::AT_FDCWD as u64;
    let flags = (libc::O_RDONLY | libc::O_CLOEXEC) as u64;
    let descriptor = thread.call(libc::SYS_openat, [at, name, flags, 0, 0, 0])?;
    let mapped = mappings.iter().try_for_each(|mapping| {
        let length = mapping.end - mapping.start;
        let access = (libc::PROT_READ | libc::PROT_WRITE) as u64;
        let how = (libc::MAP_PRIVATE | libc::MAP_FIXED) as u64;
        let arguments = [
            mapping.start,
            length,
            access,
            how,
            descriptor,
            mapping.offset,
        ];
        thread.call(libc::SYS_mmap, arguments).map(drop)
    });
    let closed = thread.call(libc::SYS_close, [descriptor, 0, 0, 0, 0, 0]);
    mapped.and(closed.map(drop))
}

/// A thread that stands in a system call of its own and makes others for us.
struct Borrowed {
    thread: Pid,
    /// What it goes on with.
    registers: user_regs_struct,
    /// What came for it meanwhile.
    signals: Vec<Signal>,
}

impl Borrowed {
    /// Any thread but the first, whose stops would look like the end of a child to
    /// whoever waits for the process.
    fn any_of(pid: u32) -> io::Result<Self> {
        let mut last = io::Error::other("no thread of the process can be borrowed");
        for entry in std::fs::read_dir(format!("/proc/{pid}/task"))? {
            let name = entry?.file_name();
            let thread = name.to_str().and_then(|name| name.parse::<i32>().ok());
            let Some(thread) = thread.filter(|thread| u32::try_from(*thread) != Ok(pid)) else {
                continue;
            };
            match Self::borrow(Pid::from_raw(thread)) {
                Ok(borrowed) => return Ok(borrowed),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn borrow(thread: Pid) -> io::Result<Self> {
        ptrace::seize(thread, ptrace::Options::PTRACE_O_EXITKILL)?;
        let registers = stop(thread).and_then(|()| registers(thread));
        match registers {
            Ok(registers) => Ok(Self {
                thread,
                registers,
                signals: Vec::new(),
            }),
            Err(error) => {
                let _ = ptrace::detach(thread, None);
                Err(error)
            }
        }
    }

    /// Leaves a text where the thread's stack will not be looked at, with a zero
    /// behind it; gives its address.
    fn put(&mut self, text: &[u8]) -> io::Result<u64> {
        let words = text.len() / 8 + 1;
        let start = (self.registers.rsp - RED_ZONE - words as u64 * 8) & !7;
        for word in 0..words {
            let mut bytes = [0; 8];
            let rest = &text[word * 8..text.len().min(word * 8 + 8)];
            bytes[..rest.len()].copy_from_slice(rest);
            let address = start + word as u64 * 8;
            ptrace::write(
                self.thread,
                address as ptrace::AddressType,
                c_long::from_ne_bytes(bytes),
            )?;
        }
        Ok(start)
    }

    /// Has the thread make a system call; gives what it returns.
    fn call(&mut self, number: c_long, arguments: [u64; 6]) -> io::Result<u64> {
        let [rdi, rsi, rdx, r10, r8, r9] = arguments;
        let registers = user_regs_struct {
            rip: self.registers.rip - SYSCALL.len() as u64,
            rax: number as u64,
            // It is not in a call that would be made again.
            orig_rax: u64::MAX,
            rdi,
            rsi,
            rdx,
            r10,
            r8,
            r9,
            ..self.registers
        };
        ptrace::setregs(self.thread, registers)?;
        loop {
            ptrace::step(self.thread, None)?;
            match waitpid(self.thread, Some(WaitPidFlag::__WALL))? {
                WaitStatus::Stopped(_, Signal::SIGTRAP) => break,
                WaitStatus::Stopped(_, signal) => self.signals.push(signal),
                WaitStatus::PtraceEvent(..) => {}
                _ => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let returned = ptrace::getregs(self.thread)?.rax as i64;
        match returned {
            -4095..0 => Err(io::Error::from_raw_os_error(-returned as i32)),
            _ => Ok(returned as u64),
        }
    }

    /// Lets the thread go on where it was.
    fn give_back(self) -> io::Result<()> {
        ptrace::setregs(self.thread, self.registers)?;
        let mut signals = self.signals.into_iter();
        ptrace::detach(self.thread, signals.next())?;
        for signal in signals {
            let _ = nix::sys::signal::kill(self.thread, signal);
        }
        Ok(())
    }
}

fn stop(thread: Pid) -> io::Result<()> {
    ptrace::interrupt(thread)?;
    loop {
        match waitpid(thread, Some(WaitPidFlag::__WALL))? {
            WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_STOP) => return Ok(()),
            // Not what we wait for: it is let through.
            WaitStatus::Stopped(_, signal) => ptrace::cont(thread, signal)?,
            WaitStatus::PtraceEvent(..) => ptrace::cont(thread, None)?,
            _ => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// The registers of a thread that stands behind an instruction `syscall`.
fn registers(thread: Pid) -> io::Result<user_regs_struct> {
    let registers = ptrace::getregs(thread)?;
    let behind = registers.rip - SYSCALL.len() as u64;
    let word = ptrace::read(thread, behind as ptrace::AddressType)?;
    match word.to_ne_bytes()[..2] == SYSCALL {
        true => Ok(registers),
        false => Err(Errno::EBUSY.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::unix::fs::FileExt;
    use std::process::{Command, Stdio};

    /// A program that maps a file shared, and counts in it from a second thread; a
    /// word from us stops the counting and has it told what stands there.
    const COUNTER: &str = r#"
import mmap, sys, threading
file = open(sys.argv[1], "r+b")
memory = mmap.mmap(file.fileno(), 0)
go = threading.Event()
done = threading.Event()
def count():
    while True:
        go.wait()
        go.clear()
        memory[8192:8196] = (int.from_bytes(memory[8192:8196], "little") + 1).to_bytes(4, "little")
        done.set()
threading.Thread(target=count, daemon=True).start()
while sys.stdin.readline():
    go.set()
    done.wait()
    done.clear()
    print(int.from_bytes(memory[8192:8196], "little"), memory[:4].decode(), flush=True)
"#;

    #[test]
    fn a_process_goes_on_with_a_view_of_its_own() {
        let folder = crate::dir::scratch("remap");
        let [file, copy] = ["file", "copy"].map(|name| folder.join(name));
        std::fs::write(&file, [0; 4 * 4096]).unwrap();
        let at = |path: &Path, offset| {
            let mut bytes = [0; 4];
            File::open(path)
                .unwrap()
                .read_exact_at(&mut bytes, offset)
                .unwrap();
            u32::from_le_bytes(bytes)
        };
        let counter = Command::new("python3")
            .args(["-c", COUNTER])
            .arg(&file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut counter) = counter else {
            eprintln!("SKIPPED a_process_goes_on_with_a_view_of_its_own: no python3");
            return;
        };
        let (mut ask, mut told) = (
            counter.stdin.take().unwrap(),
            counter.stdout.take().unwrap(),
        );
        let mut next = || {
            ask.write_all(b"\n").unwrap();
            let mut line = Vec::new();
            while line.last() != Some(&b'\n') {
                let mut byte = [0];
                told.read_exact(&mut byte).unwrap();
                line.extend(byte);
            }
            String::from_utf8(line)
                .unwrap()
                .trim_end()
                .replace('\0', ".")
        };
        assert_eq!(next(), "1 ....");
        assert_eq!(at(&file, 8192), 1, "it is shared");

        copy_on_write(counter.id(), &file, &file).unwrap();
        assert_eq!(next(), "2 ....");
        assert_eq!(at(&file, 8192), 1, "it keeps what it writes to itself");

        // As before, over a file that holds what it has seen, and under no name.
        cow::copy(&file, &copy).unwrap();
        cow::write_as_seen(counter.id(), &file, &copy).unwrap();
        let mark = File::options().write(true).open(&copy).unwrap();
        mark.write_all_at(b"mark", 0).unwrap();
        std::fs::remove_file(&file).unwrap();
        copy_on_write(counter.id(), &file, &copy).unwrap();
        assert_eq!(next(), "3 mark");
        assert_eq!(at(&copy, 8192), 2);

        let nothing = copy_on_write(counter.id(), &folder.join("other"), &copy);
        assert_eq!(nothing.unwrap_err().kind(), io::ErrorKind::NotFound);
        let gone = copy_on_write(counter.id(), &copy, &file);
        assert_eq!(gone.unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(next(), "4 mark", "a failure changes nothing");
        counter.kill().unwrap();
        counter.wait().unwrap();
        std::fs::remove_dir_all(folder).unwrap();
    }
}
