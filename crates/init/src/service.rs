//! The agent as a service of the root's own systemd, which becomes PID 1.
//!
//! The unit lies in /run, so the image needs nothing of ours and keeps nothing
//! of ours; systemd keeps the /run that it finds mounted.

use crate::agent;
use std::convert::Infallible;
use std::ffi::CString;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

/// What a root starts, if it can be started from a disk.
const INIT: &str = "/sbin/init";

/// Units that last until the next boot (systemd.unit(5)).
const UNITS: &str = "/run/systemd/system";

const NAME: &str = "nestlab-agent.service";

/// Whether the root's own init is a systemd.
pub fn has_systemd() -> bool {
    std::fs::canonicalize(INIT)
        .is_ok_and(|program| program.file_name().is_some_and(|name| name == "systemd"))
}

/// Hands the machine over.
pub fn make_way() -> io::Result<Infallible> {
    let wants = format!("{UNITS}/multi-user.target.wants");
    crate::mounts::folder(&wants);
    crate::mounts::folder("/var/log");
    std::fs::write(Path::new(UNITS).join(NAME), unit())?;
    symlink(format!("{UNITS}/{NAME}"), format!("{wants}/{NAME}"))?;
    let init = CString::new(INIT)?;
    nix::unistd::execv(&init, &[&init])
        .map_err(|error| io::Error::other(format!("start the root's own {INIT}: {error}")))
}

/// The unit. The machines of the layer inside are children of the agent that
/// outlive it (`KillMode=process`), and the next agent adopts them.
fn unit() -> String {
    let environment: Vec<String> = agent::ENVIRONMENT
        .iter()
        .map(|variable| format!("Environment={}\n", variable.to_string_lossy()))
        .collect();
    let (program, log) = (agent::AGENT.to_string_lossy(), agent::LOG);
    let environment = environment.concat();
    format!(
        "[Unit]\n\
         Description=Nestlab agent\n\
         StartLimitIntervalSec=0\n\
         IgnoreOnIsolate=yes\n\
         [Service]\n\
         ExecStart={program} agent\n\
         {environment}\
         StandardOutput=append:{log}\n\
         StandardError=inherit\n\
         Restart=always\n\
         RestartSec=50ms\n\
         KillMode=process\n\
         TasksMax=infinity\n\
         LimitNOFILE=1048576\n\
         OOMScoreAdjust=-900\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_starts_the_agent_as_the_init_would() {
        let unit = unit();
        assert!(unit.contains("\nExecStart=/run/nestlab/kit/bin/nestlab agent\n"));
        assert!(unit.contains("\nEnvironment=HOME=/root\n"));
        assert!(unit.lines().all(|line| !line.starts_with(' ')), "{unit}");
    }
}
