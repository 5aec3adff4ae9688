//! The log of a program: files of a bounded size and number, levels by module that can be changed
//! while it runs, and the terminal if wanted.
//!
//! A line is `2026-01-02 03:04:05.678 INFO module: text` in UTC. It is written at once and is one
//! line whatever the text holds. What is logged is decided where it happens; this only files it.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use flexi_logger::filter::{LogLineFilter, LogLineWriter};
use flexi_logger::{
    Cleanup, Criterion, DeferredNow, Duplicate, ErrorChannel, FileSpec, FlexiLoggerError,
    LogSpecification, Logger, LoggerHandle, Naming,
};
use log::{LevelFilter, Record};
use thiserror::Error;

use super::files::config::{Level, Levels, Logging};

/// The name that stands for every module without a level of its own.
pub const DEFAULT: &str = "DEFAULT";
/// What all our modules begin with; it is not shown.
const OURS: &str = "bitmarkd::";

/// Why there is no log.
#[derive(Debug, Error)]
pub enum LoggingError {
    /// The directory or file cannot be used.
    #[error("log: {path}: {error}")]
    Io {
        /// What was tried.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Something that is no link of ours has the name of the newest file.
    #[error("log: {0} is in the way; move it, the newest file of the log is linked there")]
    InTheWay(PathBuf),
    /// The library.
    #[error("log: {0}")]
    Library(#[from] FlexiLoggerError),
}

/// The running log. Levels are changed through any clone; the log ends with the last.
#[derive(Clone)]
pub struct Log {
    levels: Arc<RwLock<Levels>>,
    _handle: Arc<LoggerHandle>,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Log").field(&self.levels()).finish()
    }
}

impl Log {
    /// Changes the level of a module, or of all that have none of their own ([`DEFAULT`]).
    ///
    /// A module is named as lines show it, whole or in part: `shell::zmq`, `zmq` and
    /// `zmq::outward` all mean `shell::zmq::outward`. Of several that fit, the longest name counts.
    pub fn set_level(&self, module: &str, level: Level) {
        let mut levels = self.levels.write().unwrap_or_else(PoisonError::into_inner);
        levels.insert(module.to_owned(), level);
        log::set_max_level(highest(&levels));
    }

    /// The levels in force.
    #[must_use]
    pub fn levels(&self) -> Levels {
        let levels = self.levels.read().unwrap_or_else(PoisonError::into_inner);
        levels.clone()
    }
}

/// Starts the log of this process, once. A panic of any thread is logged from then on.
///
/// # Errors
/// See [`LoggingError`].
pub fn start(logging: &Logging) -> Result<Log, LoggingError> {
    let (logger, log) = build(logging)?;
    log::set_boxed_logger(logger).map_err(FlexiLoggerError::from)?;
    log::set_max_level(highest(&logging.levels));
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        log::error!("{panic}");
        told(panic);
    }));
    Ok(log)
}

fn build(logging: &Logging) -> Result<(Box<dyn log::Log>, Log), LoggingError> {
    let directory = &logging.directory;
    let failed = |path: &PathBuf, error| LoggingError::Io {
        path: path.clone(),
        error,
    };
    fs::create_dir_all(directory).map_err(|error| failed(directory, error))?;
    let newest = directory.join(&logging.file);
    match fs::symlink_metadata(&newest) {
        Ok(found) if !found.is_symlink() => return Err(LoggingError::InTheWay(newest)),
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed(&newest, error));
        }
        _ => {}
    }
    let (name, ending) = match logging.file.rsplit_once('.') {
        Some((name, ending)) if !name.is_empty() => (name, Some(ending)),
        _ => (logging.file.as_str(), None),
    };
    let file = FileSpec::default()
        .directory(directory)
        .basename(name)
        .o_suffix(ending.map(ToOwned::to_owned))
        .suppress_timestamp();
    let levels = Arc::new(RwLock::new(logging.levels.clone()));
    let console = if logging.console {
        Duplicate::All
    } else {
        Duplicate::None
    };
    let put_aside = logging.count.saturating_sub(1);
    let (logger, handle) = Logger::with(LogSpecification::trace())
        .log_to_file(file)
        .append()
        .rotate(
            Criterion::Size(logging.size),
            Naming::Numbers,
            Cleanup::KeepLogFiles(put_aside),
        )
        .cleanup_in_background_thread(false)
        .create_symlink(newest.clone())
        .format(format)
        .duplicate_to_stderr(console)
        .error_channel(ErrorChannel::StdErr)
        .panic_if_error_channel_is_broken(false)
        .filter(Box::new(Filter(Arc::clone(&levels))))
        .build()
        .map_err(|error| match error {
            FlexiLoggerError::OutputIo(error) => failed(&newest, error),
            other => other.into(),
        })?;
    let log = Log {
        levels,
        _handle: Arc::new(handle),
    };
    Ok((logger, log))
}

/// A module as lines show it.
fn shown(target: &str) -> &str {
    target.strip_prefix(OURS).unwrap_or(target)
}

fn format(out: &mut dyn Write, now: &mut DeferredNow, record: &Record<'_>) -> io::Result<()> {
    let text = record.args().to_string();
    let text = one_line(text.trim_end());
    let time = now.now_utc_owned().format("%Y-%m-%d %H:%M:%S%.3f");
    let module = shown(record.target());
    write!(out, "{time} {} {module}: {text}", record.level())
}

/// The text without line ends and what else a terminal would obey; a line end becomes ` | `.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => line.push_str(" | "),
            c if c.is_control() => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line
}

struct Filter(Arc<RwLock<Levels>>);

impl LogLineFilter for Filter {
    fn write(
        &self,
        now: &mut DeferredNow,
        record: &Record<'_>,
        writer: &dyn LogLineWriter,
    ) -> io::Result<()> {
        let passes = {
            let levels = self.0.read().unwrap_or_else(PoisonError::into_inner);
            record.level() <= level_of(&levels, record.target())
        };
        if passes {
            writer.write(now, record)?;
        }
        Ok(())
    }
}

fn level_of(levels: &Levels, target: &str) -> LevelFilter {
    levels
        .iter()
        .filter(|(name, _)| is_part(shown(name), shown(target)))
        .max_by_key(|(name, _)| shown(name).len())
        .or_else(|| levels.get_key_value(DEFAULT))
        .map_or(LevelFilter::Info, |(_, level)| level.filter())
}

/// Whether a name is one or more whole steps of a module's path.
fn is_part(name: &str, target: &str) -> bool {
    target.match_indices(name).any(|(at, _)| {
        let (before, rest) = target.split_at(at);
        let after = rest.strip_prefix(name).unwrap_or(rest);
        (before.is_empty() || before.ends_with("::"))
            && (after.is_empty() || after.starts_with("::"))
    })
}

fn highest(levels: &Levels) -> LevelFilter {
    let default = level_of(levels, "");
    levels
        .values()
        .map(|level| level.filter())
        .fold(default, Ord::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logging(folder: &tempfile::TempDir) -> Logging {
        Logging {
            directory: folder.path().join("log"),
            file: "node.log".to_owned(),
            ..Logging::default()
        }
    }

    fn say(logger: &dyn log::Log, level: log::Level, target: &str, text: &str) {
        logger.log(
            &Record::builder()
                .level(level)
                .target(target)
                .args(format_args!("{text}"))
                .build(),
        );
    }

    #[test]
    fn a_line_has_time_level_module_and_a_text_of_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let (logger, _log) = build(&logging(&folder)).unwrap();
        say(
            &*logger,
            log::Level::Info,
            "bitmarkd::shell::zmq",
            "a\nb\x1b[m",
        );
        logger.flush();
        let text = fs::read_to_string(folder.path().join("log/node.log")).unwrap();
        let (time, rest) = text.split_at("2026-01-02 03:04:05.678".len());
        assert_eq!(rest, " INFO shell::zmq: a | b\\u{1b}[m\n");
        let shape: String = time
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        assert_eq!(shape, "0000-00-00 00:00:00.000");
    }

    #[test]
    fn a_level_is_changed_while_the_log_runs() {
        let folder = tempfile::tempdir().unwrap();
        let (logger, log) = build(&logging(&folder)).unwrap();
        let target = "bitmarkd::shell::zmq::outward";
        say(&*logger, log::Level::Debug, target, "one");
        log.set_level("zmq", Level::Debug);
        say(&*logger, log::Level::Debug, target, "two");
        say(&*logger, log::Level::Debug, "bitmarkd::node", "three");
        assert_eq!(log.levels().get("zmq"), Some(&Level::Debug));
        let text = fs::read_to_string(folder.path().join("log/node.log")).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert!(text.ends_with("two\n"));
    }

    #[test]
    fn a_full_file_is_put_aside_and_no_more_than_the_count_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let logging = Logging {
            size: 1024,
            count: 3,
            ..logging(&folder)
        };
        let (logger, _log) = build(&logging).unwrap();
        for number in 0..100 {
            let text = format!("{number} {}", "x".repeat(100));
            say(&*logger, log::Level::Info, "node", &text);
        }
        let files: Vec<_> = fs::read_dir(&logging.directory)
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().unwrap().is_file())
            .collect();
        assert_eq!(files.len(), 3, "{files:?}");
        for file in files {
            assert!(file.metadata().unwrap().len() < 2048);
        }
        let newest = fs::read_to_string(logging.directory.join("node.log")).unwrap();
        assert!(newest.lines().last().unwrap().contains(": 99 xxx"));
    }

    #[test]
    fn a_log_goes_on_after_a_restart_and_a_file_in_its_way_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["one", "two"] {
            let (logger, _log) = build(&logging(&folder)).unwrap();
            say(&*logger, log::Level::Info, "node", text);
        }
        let path = folder.path().join("log/node.log");
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "of somebody else").unwrap();
        let error = build(&logging(&folder)).err().unwrap();
        assert!(matches!(error, LoggingError::InTheWay(_)));
        assert_eq!(fs::read_to_string(&path).unwrap(), "of somebody else");
    }

    #[test]
    fn the_longest_name_that_fits_decides() {
        let levels: Levels = [
            ("DEFAULT", Level::Warn),
            ("zmq", Level::Debug),
            ("shell::zmq::outward", Level::Off),
            ("tokio", Level::Error),
        ]
        .map(|(name, level)| (name.to_owned(), level))
        .into();
        let level = |target: &str| level_of(&levels, target);
        assert_eq!(level("bitmarkd::shell::zmq::server"), LevelFilter::Debug);
        assert_eq!(level("bitmarkd::shell::zmq::outward"), LevelFilter::Off);
        assert_eq!(level("tokio::runtime"), LevelFilter::Error);
        assert_eq!(level("bitmarkd::shell::zmqx"), LevelFilter::Warn);
        assert_eq!(highest(&levels), LevelFilter::Debug);
        assert_eq!(level_of(&Levels::new(), "x"), LevelFilter::Info);
    }
}
