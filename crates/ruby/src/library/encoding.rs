//! `SecureRandom`, `Base64`, `Etc`, `RbConfig` and other small modules.

use crate::class::{ANY, Entry};
use crate::error::Eval;
use crate::host::Call;
use crate::interpreter::Interpreter;
use crate::value::{Name, Value};

pub(super) fn install(ruby: &mut Interpreter<'_>) {
    let secure = super::add(ruby, "SecureRandom", true);
    secure.meta().natives(RANDOM);
    let random = super::add(ruby, "Random", false);
    random.meta().natives(&[
        ("rand", 0, 1, |ruby, _, call| {
            super::kernel::random(ruby, &call.at(0))
        }),
        ("new_seed", 0, 0, |ruby, _, _| {
            Ok(Value::Int((ruby.next_random() >> 2) as i64))
        }),
    ]);
    random.natives(&[("rand", 0, 1, |ruby, _, call| {
        super::kernel::random(ruby, &call.at(0))
    })]);
    let etc = super::add(ruby, "Etc", true);
    etc.meta().natives(ETC);
    for name in REFUSED {
        let module = super::add(ruby, name, true);
        module.refused.set(true);
        let mut constants = module.constants.borrow_mut();
        match *name {
            "Socket" => {
                constants.insert(Name::from("AF_INET"), Value::Int(2));
                constants.insert(Name::from("AF_INET6"), Value::Int(10));
                module.meta().natives(SOCKET);
            }
            "Process" => {
                constants.insert(Name::from("CLOCK_MONOTONIC"), Value::Int(1));
                constants.insert(Name::from("CLOCK_REALTIME"), Value::Int(0));
                module.meta().natives(PROCESS);
            }
            "FileUtils" => module.meta().natives(FILES),
            _ => {}
        }
    }
    config(ruby);
}

/// Modules that act outside of the evaluation: whatever is called on them is refused.
const REFUSED: &[&str] = &[
    "FileUtils",
    "Open3",
    "Socket",
    "TCPSocket",
    "TCPServer",
    "UDPSocket",
    "UNIXSocket",
    "Net",
    "IO",
    "Process",
    "PTY",
    "ObjectSpace",
    "Fiddle",
    "Signal",
    "Thread",
    "Tempfile",
    "Addrinfo",
    "Resolv",
    "OpenSSL",
    "Fiber",
    "Ractor",
    "TracePoint",
    "WIN32OLE",
    "RubyVM",
    "GC",
    "Readline",
];

/// What asks for the process: an ordinary user's.
const PROCESS: &[Entry] = &[
    ("uid", 0, 0, |_, _, _| Ok(Value::Int(1000))),
    ("euid", 0, 0, |_, _, _| Ok(Value::Int(1000))),
    ("gid", 0, 0, |_, _, _| Ok(Value::Int(1000))),
    ("egid", 0, 0, |_, _, _| Ok(Value::Int(1000))),
    ("pid", 0, 0, |_, _, _| Ok(Value::Int(1000))),
    ("clock_gettime", 1, 2, |ruby, _, _| {
        Ok(Value::Float(ruby.host.platform().now as f64))
    }),
];

/// What asks for this machine's own addresses: the answers do not depend on it.
const SOCKET: &[Entry] = &[
    ("getifaddrs", 0, 0, |ruby, _, _| ruby.array(Vec::new())),
    ("ip_address_list", 0, 0, |ruby, _, _| ruby.array(Vec::new())),
    ("gethostname", 0, 0, |_, _, _| Ok(Value::text("localhost"))),
];

/// What changes files.
const FILES: &[Entry] = &[
    ("mkdir", 0, ANY, ignored),
    ("mkdir_p", 0, ANY, ignored),
    ("makedirs", 0, ANY, ignored),
    ("touch", 0, ANY, ignored),
    ("rm", 0, ANY, ignored),
    ("rm_f", 0, ANY, ignored),
    ("rm_r", 0, ANY, ignored),
    ("rm_rf", 0, ANY, ignored),
    ("rmdir", 0, ANY, ignored),
    ("remove_dir", 0, ANY, ignored),
    ("cp", 0, ANY, ignored),
    ("cp_r", 0, ANY, ignored),
    ("copy", 0, ANY, ignored),
    ("mv", 0, ANY, ignored),
    ("move", 0, ANY, ignored),
    ("ln_s", 0, ANY, ignored),
    ("ln_sf", 0, ANY, ignored),
    ("chmod", 0, ANY, ignored),
    ("chmod_R", 0, ANY, ignored),
    ("install", 0, ANY, ignored),
];

fn ignored(ruby: &mut Interpreter<'_>, _: &Value, call: Call) -> Eval {
    ruby.no_write(&format!("FileUtils.{}", call.name), &call)
}

const RANDOM: &[Entry] = &[
    ("hex", 0, 1, |ruby, _, call| {
        let count = match call.at(0) {
            Value::Nil => 16,
            count => ruby.count(&count)?,
        };
        ruby.room(count.saturating_mul(2))?;
        let text: String = (0..count)
            .map(|_| format!("{:02x}", ruby.next_random() as u8))
            .collect();
        ruby.string(text)
    }),
    ("uuid", 0, 0, |ruby, _, _| {
        let (a, b) = (ruby.next_random(), ruby.next_random());
        ruby.string(format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a as u32,
            (a >> 32) as u16,
            (a >> 48) as u16 & 0xfff,
            (b as u16 & 0x3fff) | 0x8000,
            b >> 16
        ))
    }),
    ("alphanumeric", 0, 1, |ruby, _, call| {
        let count = match call.at(0) {
            Value::Nil => 16,
            count => ruby.count(&count)?,
        };
        ruby.room(count)?;
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let text: String = (0..count)
            .map(|_| char::from(LETTERS[ruby.next_random() as usize % LETTERS.len()]))
            .collect();
        ruby.string(text)
    }),
    ("random_number", 0, 1, |ruby, _, call| {
        super::kernel::random(ruby, &call.at(0))
    }),
    ("rand", 0, 1, |ruby, _, call| {
        super::kernel::random(ruby, &call.at(0))
    }),
];

const ETC: &[Entry] = &[
    ("nprocessors", 0, 0, |ruby, _, _| {
        Ok(Value::Int(i64::from(ruby.host.platform().processors)))
    }),
    ("getlogin", 0, 0, |ruby, _, _| {
        let environment = Value::Hash(ruby.environment.clone());
        let user = super::hash::get(&environment, &Value::text("USER"));
        Ok(user.unwrap_or_default())
    }),
];

fn config(ruby: &mut Interpreter<'_>) {
    let platform = ruby.host.platform();
    let entries = [
        ("host_os", platform.os.clone()),
        ("target_os", platform.os),
        ("host_cpu", platform.cpu.clone()),
        ("target_cpu", platform.cpu.clone()),
        ("arch", platform.ruby),
        ("ruby_version", "3.3.0".to_owned()),
        ("build_os", "linux-gnu".to_owned()),
    ];
    let entries = entries
        .into_iter()
        .map(|(name, value)| (Value::text(name), Value::text(value)));
    let module = super::add(ruby, "RbConfig", true);
    if let Ok(table) = ruby.hash(entries.collect()) {
        module
            .constants
            .borrow_mut()
            .insert(Name::from("CONFIG"), table);
    }
}
