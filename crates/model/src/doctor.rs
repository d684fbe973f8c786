//! What a doctor found.

use serde::{Deserialize, Serialize};

/// How a check came out. The order is by weight: the greatest is the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It makes no difference here.
    NotApplicable,
    /// It works.
    Ok,
    /// It could not be tried, so nothing is claimed.
    Unproved,
    /// Labs work, but slower or with a risk.
    Degraded,
    /// Labs do not work.
    Broken,
}

impl Verdict {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Self::NotApplicable => "not applicable",
            Self::Ok => "ok",
            Self::Unproved => "unproved",
            Self::Degraded => "degraded",
            Self::Broken => "broken",
        }
    }
}

/// One thing that was looked into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// A stable name, such as `virtualisation.device`.
    pub id: String,
    /// What was done to find out.
    pub tried: String,
    /// What was found, in a few words.
    pub found: String,
    /// How it came out.
    pub verdict: Verdict,
    /// What that means for labs; empty if all is well.
    #[serde(default)]
    pub means: String,
    /// What to type or set, if something mends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
    /// A program with its arguments that mends it, run as root where it was found: only
    /// where that loses nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<Vec<String>>,
}

impl Check {
    /// A check of what was `tried`, of which nothing is known yet.
    pub fn new(id: impl Into<String>, tried: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            tried: tried.into(),
            found: String::new(),
            verdict: Verdict::Unproved,
            means: String::new(),
            mend: None,
            fix: None,
        }
    }

    /// What came out.
    #[must_use]
    pub fn found(mut self, verdict: Verdict, found: impl Into<String>) -> Self {
        self.verdict = verdict;
        self.found = found.into();
        self
    }

    /// What that means for labs.
    #[must_use]
    pub fn means(mut self, means: impl Into<String>) -> Self {
        self.means = means.into();
        self
    }

    /// What mends it.
    #[must_use]
    pub fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }

    /// What mends it by itself, run as root where it was found.
    #[must_use]
    pub fn fix(mut self, argv: impl IntoIterator<Item: Into<String>>) -> Self {
        self.fix = Some(argv.into_iter().map(Into::into).collect());
        self
    }
}

/// The worst of some checks; [`Verdict::NotApplicable`] of none.
pub fn worst<'a>(checks: impl IntoIterator<Item = &'a Check>) -> Verdict {
    let verdicts = checks.into_iter().map(|check| check.verdict);
    verdicts.max().unwrap_or(Verdict::NotApplicable)
}

/// The first that is broken, else the first that is degraded. Checks come in the order
/// of the chain: the later rest on the earlier.
pub fn first_broken_link<T>(checks: &[T], check: impl Fn(&T) -> &Check) -> Option<&T> {
    let first = |verdict| checks.iter().find(|one| check(one).verdict == verdict);
    first(Verdict::Broken).or_else(|| first(Verdict::Degraded))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Broken, Degraded, NotApplicable, Ok, Unproved};

    fn checks(verdicts: &[Verdict]) -> Vec<Check> {
        let check =
            |(at, verdict): (usize, &Verdict)| Check::new(at.to_string(), "").found(*verdict, "");
        verdicts.iter().enumerate().map(check).collect()
    }

    #[test]
    fn the_worst_is_broken() {
        assert_eq!(worst(&[]), NotApplicable);
        assert_eq!(worst(&checks(&[Ok, NotApplicable, Unproved])), Unproved);
        assert_eq!(worst(&checks(&[Degraded, Broken, Ok])), Broken);
    }

    #[test]
    fn what_is_broken_comes_before_what_is_only_degraded() {
        let first = |verdicts: &[Verdict]| {
            let checks = checks(verdicts);
            first_broken_link(&checks, |check| check).map(|check| check.id.clone())
        };
        assert_eq!(first(&[Ok, Unproved]), None);
        assert_eq!(first(&[Ok, Degraded]), Some("1".into()));
        assert_eq!(first(&[Degraded, Broken, Broken]), Some("1".into()));
    }
}
