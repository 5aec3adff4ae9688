//! The one table: what was measured, beside what it is held against. It is printed, and kept in
//! `benches/results/` with the machine, the revision and the parameters of each row. A row that was
//! not measured this time stays as it was. Nothing here measures.

use std::path::PathBuf;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// What the ratio of a row is to be.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Ours over the floor, where more is better.
    AtLeast(f64),
    /// Ours over the floor, where less is better.
    AtMost(f64),
    /// Told, not held against anything.
    Told,
}

/// A line of the table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// What was measured; the name that a later run replaces.
    pub measure: String,
    /// Unit of `ours`, `floor` and `reference`.
    pub unit: String,
    /// The median of ours.
    pub ours: f64,
    /// What it is held against: its name and its median.
    pub floor: Option<(String, f64)>,
    /// The median of the ratios of single pairs, ours over the floor.
    pub ratio: Option<f64>,
    /// What the ratio is to be.
    pub reach: Reach,
    /// The reference's figure of the same run.
    pub reference: Option<f64>,
    /// Sizes, counts and rounds.
    pub parameters: String,
}

impl Row {
    /// A row that is held against a floor, out of pairs that were taken in turn (ours, the floor's).
    pub fn of_pairs(measure: &str, unit: &str, floor: &str, pairs: &[(f64, f64)]) -> Self {
        Self {
            measure: measure.to_owned(),
            unit: unit.to_owned(),
            ours: median(pairs.iter().map(|pair| pair.0)),
            floor: Some((floor.to_owned(), median(pairs.iter().map(|pair| pair.1)))),
            ratio: Some(median(pairs.iter().map(|pair| pair.0 / pair.1))),
            reach: Reach::Told,
            reference: None,
            parameters: String::new(),
        }
    }

    /// A row that is only told.
    pub fn told(measure: &str, unit: &str, ours: f64) -> Self {
        Self {
            measure: measure.to_owned(),
            unit: unit.to_owned(),
            ours,
            floor: None,
            ratio: None,
            reach: Reach::Told,
            reference: None,
            parameters: String::new(),
        }
    }

    /// The same with what the ratio is to be.
    #[must_use]
    pub fn reach(mut self, reach: Reach) -> Self {
        self.reach = reach;
        self
    }

    /// The same with the reference's figure.
    #[must_use]
    pub fn reference(mut self, figure: Option<f64>) -> Self {
        self.reference = figure;
        self
    }

    /// The same with its parameters.
    #[must_use]
    pub fn parameters(mut self, text: impl Into<String>) -> Self {
        self.parameters = text.into();
        self
    }

    fn holds(&self) -> &'static str {
        match (self.reach, self.ratio) {
            (Reach::AtLeast(bound), Some(ratio)) if ratio >= bound => "yes",
            (Reach::AtMost(bound), Some(ratio)) if ratio <= bound => "yes",
            (Reach::Told, _) | (_, None) => "",
            _ => "NO",
        }
    }

    fn cells(&self) -> [String; 8] {
        let bound = match self.reach {
            Reach::AtLeast(bound) => format!(">= {}", figure(bound)),
            Reach::AtMost(bound) => format!("<= {}", figure(bound)),
            Reach::Told => String::new(),
        };
        [
            self.measure.clone(),
            format!("{} {}", figure(self.ours), self.unit),
            self.floor
                .as_ref()
                .map_or_else(String::new, |(name, value)| {
                    format!("{} ({name})", figure(*value))
                }),
            self.ratio.map_or_else(String::new, figure),
            bound,
            self.holds().to_owned(),
            self.reference.map_or_else(String::new, figure),
            self.parameters.clone(),
        ]
    }
}

/// The heads of [`Row::cells`].
const HEADS: [&str; 8] = [
    "measure",
    "ours",
    "floor",
    "ratio",
    "reach",
    "holds",
    "reference",
    "parameters",
];

/// Three digits that count.
fn figure(value: f64) -> String {
    let digits: usize = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

/// The middle of some values; 0 where there are none.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    quantile(values, 0.5)
}

/// The value that this part of all does not exceed; 0 where there are none.
pub fn quantile(values: impl Iterator<Item = f64>, part: f64) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1) as f64;
    let at = (last * part).round() as usize;
    values.get(at).copied().unwrap_or_default()
}

/// What a run was measured on.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Place {
    machine: String,
    revision: String,
}

impl Place {
    fn here() -> Self {
        let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or("an unknown processor", |(_, name)| name);
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kib: u64 = memory
            .split_whitespace()
            .nth(1)
            .and_then(|word| word.parse().ok())
            .unwrap_or_default();
        let git = |arguments: &[&str]| {
            let output = Command::new("git").args(arguments).output().ok()?;
            let text = String::from_utf8(output.stdout).ok()?;
            output.status.success().then(|| text.trim().to_owned())
        };
        let mut revision =
            git(&["rev-parse", "--short", "HEAD"]).unwrap_or_else(|| "unknown".into());
        let changed = git(&[
            "status",
            "--porcelain",
            "--",
            "src",
            "benches/*.rs",
            "Cargo.lock",
        ]);
        if changed.is_some_and(|text| !text.is_empty()) {
            revision.push_str(" and changes");
        }
        Self {
            machine: format!("{model}, {cores} cores, {} GiB", kib >> 20),
            revision,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    #[serde(flatten)]
    place: Place,
    #[serde(flatten)]
    row: Row,
}

/// All rows of a run, printed as they come.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// Takes a row.
    pub fn row(&mut self, row: Row) {
        let cells = row.cells();
        let told: Vec<String> = HEADS
            .iter()
            .zip(&cells)
            .filter(|(_, cell)| !cell.is_empty())
            .map(|(head, cell)| format!("{head}: {cell}"))
            .collect();
        eprintln!("{}", told.join("; "));
        self.rows.push(row);
    }

    /// Prints the table of this run and writes it into `benches/results/`.
    pub fn finish(self) {
        let lines: Vec<[String; 8]> = self.rows.iter().map(Row::cells).collect();
        println!("\n{}", aligned(&lines));
        if let Err(e) = self.keep() {
            eprintln!("benches/results: {e}");
        }
    }

    fn keep(self) -> std::io::Result<()> {
        let folder = folder();
        std::fs::create_dir_all(&folder)?;
        let json = folder.join("table.json");
        let mut kept: Vec<Kept> = std::fs::read(&json)
            .ok()
            .map(|bytes| serde_json::from_slice(&bytes))
            .transpose()?
            .unwrap_or_default();
        let place = Place::here();
        for row in self.rows {
            let place = place.clone();
            let fresh = Kept { place, row };
            match kept.iter_mut().find(|k| k.row.measure == fresh.row.measure) {
                Some(old) => *old = fresh,
                None => kept.push(fresh),
            }
        }
        kept.sort_by(|a, b| a.row.measure.cmp(&b.row.measure));
        let mut text = serde_json::to_string_pretty(&kept)?;
        text.push('\n');
        std::fs::write(&json, text)?;
        std::fs::write(folder.join("table.md"), page(&kept))
    }
}

/// Where results are kept.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/results")
}

fn aligned(lines: &[[String; 8]]) -> String {
    let heads = HEADS.map(str::to_owned);
    let all: Vec<&[String; 8]> = std::iter::once(&heads).chain(lines).collect();
    let width = |column: usize| all.iter().map(|l| l[column].len()).max().unwrap_or(0);
    let widths: [usize; 8] = std::array::from_fn(width);
    let line = |cells: &&[String; 8]| {
        let cells = cells.iter().zip(widths);
        let text: Vec<String> = cells.map(|(cell, w)| format!("{cell:<w$}")).collect();
        text.join("  ").trim_end().to_owned() + "\n"
    };
    all.iter().map(line).collect()
}

fn page(kept: &[Kept]) -> String {
    let mut text = String::from(
        "# What was measured\n\nWritten by `make bench`. Each row tells the revision it was measured at. \
         Ratios are medians of pairs taken in turn in one run.\n\n",
    );
    let mut line = |cells: Vec<String>| {
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    };
    let heads = HEADS.iter().map(|head| (*head).to_owned());
    line(heads.chain(["revision".into(), "machine".into()]).collect());
    line(vec!["---".to_owned(); HEADS.len() + 2]);
    for one in kept {
        let place = [one.place.revision.clone(), one.place.machine.clone()];
        line(one.row.cells().into_iter().chain(place).collect());
    }
    text
}
