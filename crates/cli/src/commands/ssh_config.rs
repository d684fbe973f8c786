//! `nestlab ssh-config`: what OpenSSH, and all that is built on it, must know to reach the
//! nodes of a lab, at whatever level.
//!
//! The lab has a key of its own, made here; its public half is put into the nodes through
//! their agents, and from them come the host keys: nothing is trusted at first sight.

use crate::cli::SshConfigArgs;
use crate::context::Context;
use crate::error::{Code, Error};
use crate::place::{Place, Record, private_dir};
use crate::{machine, output};
use nestlab_api::client::Client;
use nestlab_api::message::ExecRequest;
use nestlab_model::{NodePath, NodeState, NodeStatus};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// Where ssh servers listen.
const PORT: u16 = 22;

/// Adds the key in `$KEY` to those that may log in, and prints the server's own.
const INTRODUCE: &str = "set -e; umask 077; cd; mkdir -p .ssh; touch .ssh/authorized_keys; \
    grep -qxF \"$KEY\" .ssh/authorized_keys || echo \"$KEY\" >>.ssh/authorized_keys; \
    cat /etc/ssh/ssh_host_*_key.pub 2>/dev/null || true";

/// The longest host key that is believed, in characters: RSA with 16384 bits.
const LONGEST_KEY: usize = 4096;

/// Where ssh finds what belongs to a lab.
struct Keys {
    private: PathBuf,
    public: String,
    known_hosts: PathBuf,
}

pub fn run(context: &Context, args: SshConfigArgs) -> Result<u8, Error> {
    context.block_on(configure(context, args))
}

async fn configure(context: &Context, args: SshConfigArgs) -> Result<u8, Error> {
    let reached = reach(context, &args).await?;
    match context.global.machine_readable {
        true => {
            for (path, entry) in &reached.nodes {
                machine::line(&path.to_string(), "ssh-config", &[entry]);
            }
        }
        false => output::data(&reached.config),
    }
    Ok(0)
}

/// What ssh can reach, and how.
pub struct Reached {
    /// As ssh_config(5) has it.
    pub config: String,
    /// The nodes in it, each with its part.
    pub nodes: Vec<(NodePath, String)>,
    /// Where files for ssh are kept.
    pub folder: PathBuf,
}

/// Lets the lab's key into all nodes that are meant and have an ssh server.
pub async fn reach(context: &Context, args: &SshConfigArgs) -> Result<Reached, Error> {
    let place = context.place()?;
    let record = place.known()?;
    let client = super::client(context).await?;
    let report = client.layer().await?;
    for path in &args.paths {
        super::check_path(&report.status, path)?;
    }
    let keys = own_keys(&place, record).await?;
    let meant = |node: &&NodeStatus| {
        node.state == NodeState::Ready && (args.paths.is_empty() || args.paths.contains(&node.path))
    };
    let (mut known, mut config) = (String::new(), String::new());
    let mut nodes = Vec::new();
    for node in report.status.walk().into_iter().filter(meant) {
        let host_keys = introduce(&client, &node.path, &keys, args.user.as_deref()).await?;
        if host_keys.is_empty() {
            context.warn(&format!(
                "{}: it has no ssh server; add `openssh-server` to `packages:` of its image",
                node.path
            ));
            continue;
        }
        let alias = format!("nestlab-{}-{}", record.id, host(&node.path));
        known.extend(host_keys.iter().map(|key| format!("{alias} {key}\n")));
        let entry = entry(record, &node.path, &alias, &keys, args.user.as_deref())?;
        config.push_str(&entry);
        nodes.push((node.path.clone(), entry));
    }
    let cannot = |error| {
        Error::caused(
            format!("Cannot write {}", keys.known_hosts.display()),
            &error,
        )
    };
    fs::write(&keys.known_hosts, known).map_err(cannot)?;
    Ok(Reached {
        config,
        nodes,
        folder: place.dirs.lab_state(&record.id).join("ssh"),
    })
}

/// How ssh and Ansible call a node: scp(1) would take a name with a slash for a file.
pub fn host(path: &NodePath) -> String {
    path.to_string().replace('/', ".")
}

fn entry(
    record: &Record,
    path: &NodePath,
    alias: &str,
    keys: &Keys,
    user: Option<&str>,
) -> Result<String, Error> {
    let cannot = |error| Error::caused("Cannot find this program", &error);
    let program = std::env::current_exe().map_err(cannot)?;
    Ok(format!(
        "Host {host}\n  HostName {host}\n  User {user}\n  IdentityFile {identity}\n  IdentitiesOnly yes\n  \
         HostKeyAlias {alias}\n  UserKnownHostsFile {known}\n  StrictHostKeyChecking yes\n  \
         ProxyCommand {program} -l {id} connect {path} {PORT}\n\n",
        host = host(path),
        user = user.unwrap_or("root"),
        identity = quoted(&keys.private),
        known = quoted(&keys.known_hosts),
        program = quoted(&program),
        id = record.id,
    ))
}

/// As a word of ssh_config(5), where `%` begins a token.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('%', "%%"))
}

/// The lab's key, made if there is none.
async fn own_keys(place: &Place, record: &Record) -> Result<Keys, Error> {
    let folder = place.dirs.lab_state(&record.id).join("ssh");
    private_dir(&folder)?;
    let private = folder.join("id_ed25519");
    if !private.exists() {
        make_key(&private, &record.name).await?;
    }
    let public = private.with_extension("pub");
    let cannot = |error| Error::caused(format!("Cannot read {}", public.display()), &error);
    Ok(Keys {
        public: fs::read_to_string(&public)
            .map_err(cannot)?
            .trim()
            .to_owned(),
        private,
        known_hosts: folder.join("known_hosts"),
    })
}

/// Makes a key under another name first: one without its public half would be of no use.
async fn make_key(private: &Path, lab: &str) -> Result<(), Error> {
    let new = private.with_extension("new");
    let _ = fs::remove_file(&new);
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-C"]);
    command.arg(format!("nestlab-{lab}")).arg("-f").arg(&new);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::new(Code::Needs, "Cannot find the program `ssh-keygen`")
            .hint("Install it: `apt install openssh-client`"),
        _ => Error::caused("Cannot run `ssh-keygen`", &error),
    })?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::new(
            Code::Failed,
            format!("Cannot make a key: {words}"),
        ));
    }
    let rename = |from: &Path, to: &Path| {
        let cannot = |error| Error::caused(format!("Cannot keep the key {}", to.display()), &error);
        fs::rename(from, to).map_err(cannot)
    };
    let mut public = new.clone().into_os_string();
    public.push(".pub");
    rename(Path::new(&public), &private.with_extension("pub"))?;
    rename(&new, private)
}

/// Lets the lab's key into a node, and gives the keys of its ssh server.
async fn introduce(
    client: &Client,
    path: &NodePath,
    keys: &Keys,
    user: Option<&str>,
) -> Result<Vec<String>, Error> {
    let request = ExecRequest {
        argv: ["/bin/sh", "-c", INTRODUCE].map(str::to_owned).to_vec(),
        env: [("KEY".to_owned(), keys.public.clone())].into(),
        user: user.map(str::to_owned),
        ..ExecRequest::default()
    };
    let output = client.at(path).run(request).await?;
    if output.end.code() != 0 {
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::new(
            Code::Failed,
            format!("Cannot let the lab's key into `{path}`: {words}"),
        ));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(host_key).collect())
}

/// A line of a node, if it is a host key: what a node says is not believed to be one.
fn host_key(line: &str) -> Option<String> {
    let mut words = line.split_ascii_whitespace();
    let (kind, key) = (words.next()?, words.next()?);
    let named = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-@.".contains(&byte))
    };
    let coded = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
    };
    let fits = (kind.starts_with("ssh-") || kind.starts_with("ecdsa-"))
        && named(kind)
        && coded(key)
        && kind.len() + key.len() < LONGEST_KEY;
    fits.then(|| format!("{kind} {key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_are_taken_for_keys() {
        let check =
            |line: &str, expected: Option<&str>| assert_eq!(host_key(line).as_deref(), expected);
        check(
            "ssh-ed25519 AAAAC3Nz+/= root@x",
            Some("ssh-ed25519 AAAAC3Nz+/="),
        );
        check("ssh-ed25519", None);
        check("@cert-authority *", None);
        check("ssh-rsa AAAA*", None);
        check("", None);
    }

    #[test]
    fn names_and_paths_are_such_as_ssh_reads() {
        assert_eq!(host(&"l1/consul-1".parse().unwrap()), "l1.consul-1");
        assert_eq!(quoted(Path::new("/a b/50%")), "\"/a b/50%%\"");
    }
}
