//! What was found of one way to isolate a program.

use crate::cli::Isolation;
use crate::commands::bench::{Place, table};
use crate::error::Error;
use crate::role;
use nestlab_model::bench::{Better, Figure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What a program sees of the world around it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// As `uname -r`.
    pub kernel: String,
    /// Another value for every boot of a kernel: equal ones are the same kernel.
    pub boot: String,
    /// Processes in /proc.
    pub processes: usize,
    /// Processors it may run on.
    pub cpus: usize,
    /// Memory in bytes.
    pub memory: u64,
}

impl Seen {
    /// Looks around.
    pub fn here() -> Self {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let total = text("/proc/meminfo")
            .lines()
            .find_map(|line| {
                line.strip_prefix("MemTotal:")?
                    .split_whitespace()
                    .next()?
                    .parse()
                    .ok()
            })
            .unwrap_or(0_u64);
        Self {
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            boot: text("/proc/sys/kernel/random/boot_id").trim().to_owned(),
            processes: names.filter(|name| name.parse::<u32>().is_ok()).count(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory: total << 10,
        }
    }
}

/// One way, measured.
pub struct Technology {
    pub way: Isolation,
    /// What realises it.
    pub by: String,
    pub start: Figure,
    /// Bytes of this machine that one at rest takes, if that can be told.
    pub memory: Option<u64>,
    pub seen: Seen,
    pub figures: Vec<Figure>,
}

/// A way that was not measured, and why.
pub struct Missing {
    pub way: Isolation,
    pub why: String,
}

impl Missing {
    pub fn new(way: Isolation, why: impl Into<String>) -> Self {
        Self {
            way,
            why: why.into(),
        }
    }

    pub fn json(&self) -> Value {
        json!({ "name": self.way.name(), "why": self.why })
    }
}

impl Technology {
    pub fn json(&self) -> Value {
        let figure = |figure: &Figure| {
            json!({
                "id": figure.id, "unit": figure.unit, "better": figure.better,
                "median": figure.median(), "spread": figure.spread(),
                "samples": figure.samples,
            })
        };
        json!({
            "name": self.way.name(),
            "by": self.by,
            "start": figure(&self.start),
            "memory_bytes": self.memory,
            "own_kernel": self.owns_its_kernel(),
            "sees": self.seen,
            "figures": self.figures.iter().map(figure).collect::<Vec<_>>(),
        })
    }

    fn owns_its_kernel(&self) -> bool {
        self.seen.boot != Seen::here().boot
    }
}

/// How long a start takes, from samples in seconds.
pub fn start(samples: Vec<f64>) -> Figure {
    Figure {
        id: "start".into(),
        unit: "s".into(),
        better: Better::Lower,
        samples,
    }
}

/// What a program of this machine takes that does nothing but wait, and what it sees.
pub async fn at_rest(place: &Place) -> Result<(Option<u64>, Seen), Error> {
    let mut resting = place.start(&[role::LOOK]).await?;
    let seen = resting.json().await?;
    Ok((resting.memory(), seen))
}

/// A table with a column for each.
pub fn rows(found: &[Technology]) -> Vec<Vec<String>> {
    let row = |name: &str, cell: &dyn Fn(&Technology) -> String| {
        let cells = found.iter().map(cell);
        std::iter::once(name.to_owned())
            .chain(cells)
            .collect::<Vec<_>>()
    };
    let mut rows = vec![
        row("", &|one| one.way.name().to_uppercase()),
        row("by", &|one| one.by.clone()),
        row("start", &|one| table::value(&one.start)),
        row("memory", &|one| {
            one.memory.map_or_else(String::new, |bytes| {
                format!("{} MiB", table::digits(bytes as f64 / (1 << 20) as f64))
            })
        }),
        row("kernel", &|one| match one.owns_its_kernel() {
            true => "its own".into(),
            false => "shared".into(),
        }),
        row("sees", &|one| {
            let (processes, cpus) = (one.seen.processes, one.seen.cpus);
            format!(
                "{}, {}",
                counted(processes, "process", "es"),
                counted(cpus, "CPU", "s")
            )
        }),
    ];
    let mut ids: Vec<&str> = Vec::new();
    for figure in found.iter().flat_map(|one| &one.figures) {
        if !ids.contains(&figure.id.as_str()) {
            ids.push(&figure.id);
        }
    }
    rows.extend(ids.into_iter().map(|id| {
        row(id, &|one| {
            let figure = one.figures.iter().find(|figure| figure.id == id);
            figure.map_or_else(String::new, table::value)
        })
    }));
    rows
}

fn counted(number: usize, one: &str, more: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        number => format!("{number} {one}{more}"),
    }
}

/// When to choose which.
pub fn advice() -> Vec<String> {
    [
        (Isolation::Process, "for programs that you trust with everything of your user"),
        (
            Isolation::Container,
            "for many programs of one owner: small and fast to start, but one fault of the kernel is everybody's",
        ),
        (
            Isolation::Microvm,
            "for code of strangers in large numbers: a kernel of its own with few devices to attack",
        ),
        (
            Isolation::Vm,
            "for another kernel, for strangers' code, and for anything that wants a whole machine",
        ),
        (
            Isolation::Nested,
            "to try whole clusters, hypervisors and their failures: the dearest, and nothing below sees in",
        ),
    ]
    .into_iter()
    .map(|(way, words)| format!("{}: {words}", way.name()))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_technology_has_a_column() {
        let one = |way, boot: &str| Technology {
            way,
            by: "x".into(),
            start: start(vec![0.5]),
            memory: Some(3 << 20),
            seen: Seen {
                boot: boot.into(),
                ..Seen::here()
            },
            figures: vec![start(vec![2.0])],
        };
        let here = Seen::here().boot;
        let rows = rows(&[one(Isolation::Process, &here), one(Isolation::Vm, "other")]);
        assert_eq!(rows[0], ["", "PROCESS", "VM"]);
        assert_eq!(rows[3], ["memory", "3.00 MiB", "3.00 MiB"]);
        assert_eq!(rows[4], ["kernel", "shared", "its own"]);
        assert_eq!(rows.last().unwrap(), &["start", "2.00 s", "2.00 s"]);
        assert!(Seen::here().processes > 0);
    }
}
