//! Mending what mends without losing anything, one command after another, each shown
//! and agreed to first.

use super::{Finding, tell};
use crate::cli::DoctorArgs;
use crate::context::Context;
use crate::error::{Code, Error};
use crate::output;
use crate::terminal::agrees;
use nestlab_api::client::Client;
use nestlab_api::message::ExecRequest;
use nestlab_model::doctor::Verdict;
use std::io::IsTerminal;
use tokio::process::Command;

/// Where programs are found in a node, those of the kit last: its image may lack what
/// mends it.
const PATH_IN_A_NODE: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/nestlab/kit/tools";

/// Whether anything was done. Of what was found only that of some nodes is mended, if
/// any are named.
pub async fn all(
    context: &Context,
    client: Option<&Client>,
    findings: &[Finding],
    args: &DoctorArgs,
) -> Result<bool, Error> {
    let named = |path| args.paths.iter().any(|named| named.contains(path));
    let meant = |path| args.paths.is_empty() || named(path);
    let ill = findings
        .iter()
        .filter(|finding| finding.check.verdict >= Verdict::Degraded && meant(&finding.path));
    let mut done = false;
    for finding in ill {
        let Some(argv) = finding.check.fix.as_deref() else {
            continue;
        };
        let argv = match finding.path.is_host() {
            true => as_root(argv),
            false => argv.to_vec(),
        };
        output::say(&tell::sentence(finding));
        if !consent(finding, &argv, args.yes)? {
            continue;
        }
        done = true;
        if let Err(why) = mend(client, finding, &argv).await {
            context.warn(&format!("`{}`: {why}", shown(&argv)));
        }
    }
    if !done {
        context.say("Nothing was mended");
    }
    Ok(done)
}

/// Asks, or takes the answer that was given in advance.
fn consent(finding: &Finding, argv: &[String], yes: bool) -> Result<bool, Error> {
    let place = tell::level_name(&finding.path);
    if yes {
        output::say(&format!("Running on {place}: {}", shown(argv)));
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() {
        return Err(
            Error::new(Code::Usage, "There is nobody to ask whether to mend")
                .hint("`--yes` agrees to all; without `--fix` the commands are only told"),
        );
    }
    agrees(&format!("Run on {place}: {}", shown(argv)))
}

pub(super) fn as_root(argv: &[String]) -> Vec<String> {
    match nestlab_sys::users::is_root() {
        true => argv.to_vec(),
        false => [&["sudo".to_owned()], argv].concat(),
    }
}

async fn mend(client: Option<&Client>, finding: &Finding, argv: &[String]) -> Result<(), String> {
    if finding.path.is_host() {
        let (program, arguments) = argv.split_first().ok_or("there is no program")?;
        let status = Command::new(program).args(arguments).status().await;
        let status = status.map_err(|error| error.to_string())?;
        return status.success().then_some(()).ok_or(status.to_string());
    }
    let client = client.ok_or("the lab is not there")?;
    let request = ExecRequest {
        argv: argv.to_vec(),
        env: [("PATH".to_owned(), PATH_IN_A_NODE.to_owned())].into(),
        ..ExecRequest::default()
    };
    let ran = client.at(&finding.path).run(request).await;
    let output = ran.map_err(|error| error.to_string())?;
    match output.end.code() {
        0 => Ok(()),
        code => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("exit {code}: {}", said.trim()))
        }
    }
}

/// A command as one would type it.
pub(super) fn shown(argv: &[String]) -> String {
    let plain = |word: &String| {
        let safe = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@".contains(c);
        match !word.is_empty() && word.chars().all(safe) {
            true => word.clone(),
            false => format!("'{}'", word.replace('\'', "'\\''")),
        }
    };
    argv.iter().map(plain).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_shown_as_they_are_typed() {
        let argv = ["sh", "-c", "echo 'x' >/etc/y", ""].map(str::to_owned);
        assert_eq!(shown(&argv), r"sh -c 'echo '\''x'\'' >/etc/y' ''");
    }
}
