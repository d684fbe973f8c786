//! What is said about a Vagrantfile. What has no meaning here is said once for each part of
//! Vagrant that it belongs to, with all its names: a file for VirtualBox has dozens.

use crate::report::{Mark, Problem, Report, did_you_mean, list};

pub(super) struct Notes<'r> {
    pub report: &'r mut Report,
    ignored: Vec<Ignored>,
    once: Vec<&'static str>,
}

struct Ignored {
    group: String,
    mark: Mark,
    names: Vec<String>,
}

impl<'r> Notes<'r> {
    pub fn new(report: &'r mut Report) -> Self {
        Self {
            report,
            ignored: Vec::new(),
            once: Vec::new(),
        }
    }

    /// Something without a meaning here.
    pub fn ignore(&mut self, group: &str, name: &str, mark: Mark) {
        let known = self.ignored.iter_mut().find(|known| known.group == group);
        match known {
            Some(known) if known.names.iter().any(|known| known == name) => {}
            Some(known) => known.names.push(name.to_owned()),
            None => self.ignored.push(Ignored {
                group: group.to_owned(),
                mark,
                names: vec![name.to_owned()],
            }),
        }
    }

    pub fn error(
        &mut self,
        code: &'static str,
        mark: Mark,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.report
            .add(Problem::error(code, mark, message).hint(hint));
    }

    pub fn warn(
        &mut self,
        code: &'static str,
        mark: Mark,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.report
            .add(Problem::warning(code, mark, message).hint(hint));
    }

    pub fn note(
        &mut self,
        code: &'static str,
        mark: Mark,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.report
            .add(Problem::note(code, mark, message).hint(hint));
    }

    /// Whether this is asked for the first time: what holds for many machines is said once.
    pub fn first(&mut self, code: &'static str) -> bool {
        let first = !self.once.contains(&code);
        if first {
            self.once.push(code);
        }
        first
    }

    /// An option that Vagrant does not know either.
    pub fn unknown<'a>(
        &mut self,
        group: &str,
        name: &str,
        mark: Mark,
        known: impl IntoIterator<Item = &'a str> + Clone,
    ) {
        let message = format!("`{group}` has no option `{name}`");
        let hint = did_you_mean(name, known.clone())
            .unwrap_or_else(|| format!("its options: {}", list(known)));
        self.report
            .add(Problem::error("vagrant-option", mark, message).hint(hint));
    }

    /// Says what was ignored.
    pub fn finish(self) {
        for Ignored { group, mark, names } in self.ignored {
            let names = list(names.iter().map(String::as_str));
            let message = format!("Of {group}, this has no meaning here: {names}");
            let problem = Problem::warning("vagrant-ignored", mark, message);
            self.report.add(problem.label("left out"));
        }
    }
}
