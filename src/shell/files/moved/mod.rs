//! Configurations of the reference's programs as ours, for those who move over.
//!
//! What comes out is what the reference's program makes of its file, in our keys: its defaults
//! stand there where ours differ. What ours does not have, or does otherwise, becomes a comment and a
//! warning that names key and line and says what to do. Nothing is read or written here.

mod client;
mod fields;
mod logging;
mod node;
mod recorder;
mod written;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use thiserror::Error;

pub use client::{ClientFile, ClientIdentity, client};
pub use node::node;
pub use recorder::recorder;

use super::config::ConfigError;
use super::ucl::{Document, Place, Text, shortened};
use fields::{Fields, Found};
use written::{Written, quoted};

/// Most of anything that is counted.
const NUMBER_MAX: i64 = u32::MAX as i64;

/// What is to be told about one key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{place}: {key}: {text}")]
pub struct Note {
    /// The key with its sections; of a macro, its name and variable.
    pub key: String,
    /// Where it stands.
    pub place: Place,
    /// What, and what to do.
    pub text: String,
}

/// Where the file is, and where what it becomes will be.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The whole name of the file as it was given: a link is not followed.
    pub file: PathBuf,
    /// Whether the new file is in the same folder, so that `.` means the same.
    pub same_folder: bool,
    /// The folder of the process, to which the reference's program takes relative names.
    pub working_directory: PathBuf,
}

impl Origin {
    fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(&self.file)
    }
}

/// A configuration of ours.
#[derive(Debug)]
pub struct Converted {
    /// In TOML.
    pub text: String,
    /// What whoever moves over should look at.
    pub warnings: Vec<Note>,
    written: Written,
}

impl Converted {
    /// What our reader says about it, with the lines of the file that it comes from.
    #[must_use]
    pub fn problems(&self, error: &ConfigError) -> Vec<String> {
        let ConfigError::Check { problems, .. } = error else {
            return vec![error.to_string()];
        };
        let with_line = |problem: &String| {
            let key = problem.split(':').next().unwrap_or_default();
            match self.written.place(key) {
                Some(place) => format!("{place}: {problem}"),
                None => problem.clone(),
            }
        };
        problems.iter().map(with_line).collect()
    }
}

/// What comes up on the way.
#[derive(Debug, Default)]
struct Report {
    problems: Vec<Note>,
    warnings: Vec<Note>,
}

impl Report {
    fn problem(&mut self, key: &str, place: &Place, text: &str) {
        self.problems.push(note(key, place, text));
    }

    fn warning(&mut self, key: &str, place: &Place, text: &str) {
        self.warnings.push(note(key, place, text));
    }

    /// Tells of variables whose values alone are taken.
    fn frozen(&mut self, key: &str, place: &Place, text: &Text) {
        if let Some(told) = frozen(text) {
            self.warning(key, place, &told);
        }
    }
}

/// What to say of variables that are put in for good; nothing where there is none.
fn frozen(text: &Text) -> Option<String> {
    let names = text.variables();
    (!names.is_empty()).then(|| {
        format!(
            "{} stays what it is now, and is not looked at when the program starts; where it can change, correct this key",
            names.join(", ")
        )
    })
}

fn note(key: &str, place: &Place, text: &str) -> Note {
    Note {
        key: key.to_owned(),
        place: place.clone(),
        text: text.to_owned(),
    }
}

/// One conversion.
struct Work<'o> {
    origin: &'o Origin,
    report: Report,
    out: Written,
    /// The data directory by its whole name, once it is known.
    data: PathBuf,
}

impl<'o> Work<'o> {
    fn new(program: &str, document: &Document, origin: &'o Origin) -> Self {
        let mut work = Self {
            origin,
            report: Report::default(),
            out: Written::default(),
            data: PathBuf::new(),
        };
        work.out.comment(&format!(
            "Configuration of {program}, made from {}. docs/{program}.sample.toml has every key.",
            origin.file.display()
        ));
        for remark in &document.remarks {
            work.tell(&remark.by, &remark.place, &remark.text);
        }
        work
    }

    fn finish(self, root: &Fields<'_>) -> Result<Converted, Vec<Note>> {
        let mut report = self.report;
        root.finish(&mut report);
        if !report.problems.is_empty() {
            return Err(report.problems);
        }
        let text = self.out.text_so_far().to_owned();
        Ok(Converted {
            text,
            warnings: report.warnings,
            written: self.out,
        })
    }

    /// A warning and a comment.
    fn tell(&mut self, key: &str, place: &Place, text: &str) {
        self.report.warning(key, place, text);
        self.out.comment(&format!("{key}: {text}"));
    }

    /// The same of variables whose values alone are taken.
    fn tell_frozen(&mut self, key: &str, found: &Found<Text>) {
        if let Some(told) = frozen(&found.value) {
            self.tell(key, &found.place, &told);
        }
    }

    /// A default of the reference that is not ours.
    fn default(&mut self, key: &str, value: &str) {
        self.out.comment("The default of the reference:");
        self.out.set(key, &quoted(value), None);
    }

    /// A name of a file, relative to the data directory in both.
    fn path(&mut self, fields: &mut Fields<'_>, key: &str, theirs: &str, ours: &str) {
        match fields.text(key, &mut self.report) {
            Some(found) => self.named_file(&fields.key(key), key, &found),
            None if theirs != ours => self.default(key, theirs),
            None => {}
        }
    }

    fn named_file(&mut self, whole: &str, key: &str, found: &Found<Text>) {
        if found.value.value().is_empty() {
            self.report
                .problem(whole, &found.place, "empty; name a file");
        } else {
            self.out.text(key, found);
        }
    }

    /// A text that has to be of a type of ours.
    fn checked<T>(&mut self, whole: &str, found: &Found<Text>) -> bool
    where
        T: TryFrom<String, Error = String>,
    {
        match T::try_from(found.value.value()) {
            Ok(_) => true,
            Err(what) => {
                // It repeats the text, which may be something else altogether.
                let text = found.value.value();
                let short = shortened(&text);
                let what = what.replace(&format!("{text:?}"), &format!("{short:?}"));
                self.report.problem(whole, &found.place, &what);
                false
            }
        }
    }

    /// A list of addresses; empty ones are passed over.
    fn addresses<T>(&mut self, fields: &mut Fields<'_>, key: &str)
    where
        T: TryFrom<String, Error = String>,
    {
        let Some(list) = fields.list(key, &mut self.report) else {
            return;
        };
        let whole = fields.key(key);
        let mut kept = Vec::new();
        for found in list {
            if found.value.value().trim().is_empty() {
                self.tell_frozen(&whole, &found);
                self.out
                    .comment(&format!("{key}: the one of {} is empty", found.place));
            } else if self.checked::<T>(&whole, &found) {
                kept.push(found);
            }
        }
        self.out.list(key, &kept);
    }

    /// A whole number that is above 0 and no larger than anybody needs.
    fn number(&mut self, fields: &mut Fields<'_>, key: &str) {
        if let Some(found) = fields.integer(key, &mut self.report) {
            if !(1..=NUMBER_MAX).contains(&found.value) {
                let told = format!("a number from 1 to {NUMBER_MAX} is wanted");
                self.report.problem(&fields.key(key), &found.place, &told);
            } else {
                self.out
                    .set(key, &found.value.to_string(), Some(&found.place));
            }
        }
    }

    fn boolean(&mut self, fields: &mut Fields<'_>, key: &str) -> Option<bool> {
        let found = fields.boolean(key, &mut self.report)?;
        self.out
            .set(key, &found.value.to_string(), Some(&found.place));
        Some(found.value)
    }

    /// The data directory: "." stays where it can, everything else becomes a whole name.
    fn data_directory(&mut self, root: &mut Fields<'_>) {
        let key = "data_directory";
        let Some(found) = root.text(key, &mut self.report) else {
            let place = Place {
                file: None,
                line: 1,
            };
            let told = "is not there, and has to be: \".\" is the folder of the file";
            return self.report.problem(key, &place, told);
        };
        let given = found.value.value();
        let folder = self.origin.folder();
        if matches!(given.as_str(), "" | "~") {
            let told = "name a directory; \".\" is the folder of the file";
            return self.report.problem(key, &found.place, told);
        }
        if given == "." || clean(Path::new(&given)) == folder {
            self.tell_frozen(key, &found);
            folder.clone_into(&mut self.data);
            let value = if self.origin.same_folder {
                quoted(".")
            } else {
                quoted(&folder.display().to_string())
            };
            return self.out.set(key, &value, Some(&found.place));
        }
        self.data = clean(&self.origin.working_directory.join(&given));
        if Path::new(&given).is_absolute() {
            return self.out.text(key, &found);
        }
        self.tell_frozen(key, &found);
        let whole = self.data.clone();
        self.tell(
            key,
            &found.place,
            &format!(
                "relative to wherever the reference's program is started; here it is {}: correct that where it is started elsewhere",
                whole.display()
            ),
        );
        self.out.set(
            key,
            &quoted(&whole.display().to_string()),
            Some(&found.place),
        );
    }

    fn pidfile(&mut self, root: &mut Fields<'_>) {
        let found = root.text("pidfile", &mut self.report);
        match found {
            Some(found) if found.value.value().is_empty() => self.tell_frozen("pidfile", &found),
            Some(found) => self.out.text("pidfile", &found),
            None => {}
        }
    }

    /// The network, by its whole name.
    fn chain(&mut self, root: &mut Fields<'_>) -> String {
        let found = root.text("chain", &mut self.report);
        let Some(found) = found else {
            self.out.set("chain", "\"bitmark\"", None);
            return "bitmark".to_owned();
        };
        self.tell_frozen("chain", &found);
        let name = found.value.value().to_lowercase();
        if !["bitmark", "testing", "local"].contains(&name.as_str()) {
            let told = format!(
                "{:?}: invalid chain; the reference has bitmark, testing and local",
                shortened(&name)
            );
            self.report.problem("chain", &found.place, &told);
        }
        self.out.set("chain", &quoted(&name), Some(&found.place));
        name
    }
}

/// A name without `.` and `..`, as far as it can be done without looking.
#[must_use]
pub fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                if !clean.pop() {
                    clean.push("..");
                }
            }
            part => clean.push(part),
        }
    }
    clean
}
