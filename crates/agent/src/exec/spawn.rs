//! A program as a caller asks for it, started.

use crate::guest::Guest;
use nestlab_api::message::{ExecEnd, ExecRequest, WindowSize};
use nestlab_sys::pty::Pty;
use nestlab_sys::users::User;
use nestlab_sys::{identity, process};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::{Child, Command};

/// Where programs are looked for if nothing else is said.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program that runs, in a session and process group of its own.
pub(super) struct Running {
    pub child: Child,
    /// Its terminal, if it has one; else the child has pipes.
    pub terminal: Option<Pty>,
}

/// Starts a program.
///
/// # Errors
/// Why it does not run, as a shell would say it.
pub(super) fn spawn(guest: &Guest, request: &ExecRequest) -> Result<Running, ExecEnd> {
    let user = find_user(request)?;
    let env = environment(guest, request, &user);
    let mut command = command(request, &user, &env);
    let folder = working_folder(request, &user)?;
    command.env_clear().envs(&env).current_dir(&folder);
    let terminal = streams(request, &mut command)?;
    if nestlab_sys::users::is_root() && user.uid != 0 {
        identity::assume(&mut command, user.uid, user.gid, user.groups());
    }
    let program = request
        .argv
        .first()
        .cloned()
        .unwrap_or_else(|| user.shell.display().to_string());
    let child = command
        .spawn()
        .map_err(|error| not_started(&program, &error))?;
    Ok(Running { child, terminal })
}

fn refused(reason: impl Into<String>) -> ExecEnd {
    ExecEnd::NotStarted {
        reason: reason.into(),
        code: 126,
    }
}

fn not_started(program: &str, error: &io::Error) -> ExecEnd {
    let code = if error.kind() == io::ErrorKind::NotFound {
        127
    } else {
        126
    };
    let reason = match error.kind() {
        io::ErrorKind::NotFound => format!("{program}: command not found"),
        _ => format!("Cannot run {program}: {error}"),
    };
    ExecEnd::NotStarted { reason, code }
}

fn find_user(request: &ExecRequest) -> Result<User, ExecEnd> {
    let ours = nestlab_sys::users::own_uid();
    let found = match &request.user {
        Some(name) => User::by_name(name),
        None => User::by_uid(ours),
    };
    let found = found.map_err(|error| refused(format!("Cannot read /etc/passwd: {error}")))?;
    match (found, &request.user) {
        (Some(user), _) => Ok(user),
        (None, Some(name)) => Err(refused(format!("There is no user `{name}`"))),
        (None, None) => Ok(User {
            name: if ours == 0 {
                "root".into()
            } else {
                ours.to_string()
            },
            uid: ours,
            gid: ours,
            home: PathBuf::from("/"),
            shell: PathBuf::from("/bin/sh"),
        }),
    }
}

/// The later ones win: what a login gives, what the node has, what the caller says.
fn environment(guest: &Guest, request: &ExecRequest, user: &User) -> BTreeMap<String, String> {
    let home = user.home.display().to_string();
    let shell = user.shell.display().to_string();
    let login = [
        ("PATH", DEFAULT_PATH),
        ("HOME", &home),
        ("USER", &user.name),
        ("LOGNAME", &user.name),
        ("SHELL", &shell),
    ];
    let mut env: BTreeMap<String, String> = login
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    if request.tty.is_some() {
        env.insert("TERM".into(), "xterm-256color".into());
    }
    env.extend(
        guest
            .identity()
            .map(|identity| identity.env)
            .unwrap_or_default(),
    );
    env.extend(request.env.clone());
    // What the kernel would refuse: such names come from nobody who means well.
    env.retain(|name, value| {
        !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
    });
    env
}

fn command(request: &ExecRequest, user: &User, env: &BTreeMap<String, String>) -> Command {
    let Some((program, arguments)) = request.argv.split_first() else {
        let mut command = Command::new(&user.shell);
        let name = user.shell.file_name().unwrap_or_default().to_string_lossy();
        // A leading dash makes it a login shell.
        command.arg0(format!("-{name}"));
        return command;
    };
    let path = env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
    let mut command = Command::new(find_program(program, path));
    command.arg0(program).args(arguments);
    command
}

/// The program's file, found by the node's PATH rather than the agent's. What is
/// not found stays as it is, so that starting it says why.
fn find_program(program: &str, path: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    if program.contains('/') {
        return PathBuf::from(program);
    }
    let runs = |file: &PathBuf| {
        std::fs::metadata(file).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    };
    let mut candidates = path.split(':').filter(|folder| folder.starts_with('/'));
    candidates
        .find_map(|folder| Some(Path::new(folder).join(program)).filter(runs))
        .unwrap_or_else(|| Path::new("/nonexistent").join(program))
}

/// A missing home is no reason to refuse, a missing folder of the caller's is.
fn working_folder(request: &ExecRequest, user: &User) -> Result<PathBuf, ExecEnd> {
    match &request.cwd {
        Some(folder) if Path::new(folder).is_dir() => Ok(PathBuf::from(folder)),
        Some(folder) => Err(refused(format!("There is no folder {folder}"))),
        None if user.home.is_dir() => Ok(user.home.clone()),
        None => Ok(PathBuf::from("/")),
    }
}

fn streams(request: &ExecRequest, command: &mut Command) -> Result<Option<Pty>, ExecEnd> {
    if request.detach {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        process::detach(command);
        return Ok(None);
    }
    if let Some(size) = request.tty {
        let cannot = |error| refused(format!("Cannot make a terminal: {error}"));
        let (pty, slave) = Pty::open(window(size)).map_err(cannot)?;
        slave.attach(command).map_err(cannot)?;
        return Ok(Some(pty));
    }
    let stdin = if request.stdin {
        Stdio::piped()
    } else {
        Stdio::null()
    };
    command
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    process::detach(command);
    Ok(None)
}

/// The same size in the words of the system.
pub(super) fn window(size: WindowSize) -> nestlab_sys::terminal::WindowSize {
    nestlab_sys::terminal::WindowSize {
        rows: size.rows,
        columns: size.columns,
    }
}
