//! The files of the single page, which are part of the program.

/// A file: its name, its type, its text.
type Page = (&'static str, &'static str, &'static str);

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The page itself.
pub const INDEX: &str = include_str!("pages/index.html");

/// What it is made of.
pub const PAGES: [Page; 9] = [
    (
        "style.css",
        "text/css; charset=utf-8",
        include_str!("pages/style.css"),
    ),
    ("icon.svg", "image/svg+xml", include_str!("pages/icon.svg")),
    ("app.js", SCRIPT, include_str!("pages/app.js")),
    ("kit.js", SCRIPT, include_str!("pages/kit.js")),
    ("views.js", SCRIPT, include_str!("pages/views.js")),
    ("things.js", SCRIPT, include_str!("pages/things.js")),
    ("draw.js", SCRIPT, include_str!("pages/draw.js")),
    ("drop.js", SCRIPT, include_str!("pages/drop.js")),
    ("sha3.js", SCRIPT, include_str!("pages/sha3.js")),
];

/// A file by its name.
pub fn named(name: &str) -> Option<&'static Page> {
    PAGES.iter().find(|(one, ..)| *one == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_comes_from_elsewhere_and_nothing_is_inline() {
        let all = PAGES.iter().map(|(name, _, text)| (*name, *text));
        for (name, text) in all.chain([("index.html", INDEX)]) {
            let text = text.replace("http://www.w3.org/2000/svg", "");
            for word in [
                "http://",
                "https://",
                "//cdn",
                "@import",
                "eval(",
                "innerHTML",
                "new Function",
            ] {
                assert!(!text.contains(word), "{name} holds {word}");
            }
        }
        for word in [" style=", " onclick=", "<style", "javascript:"] {
            assert!(!INDEX.contains(word), "{word}");
        }
        let scripts = INDEX.matches("<script").count();
        assert_eq!(
            scripts,
            INDEX.matches("<script type=\"module\" src=").count()
        );
    }

    #[test]
    fn every_file_that_is_imported_is_served() {
        for (name, _, text) in PAGES {
            for line in text.lines().filter(|line| line.contains(" from \"./")) {
                let file = line.rsplit("./").next().unwrap_or_default();
                let file = file.trim_end_matches(['"', ';']);
                assert!(named(file).is_some(), "{name} imports {file}");
            }
        }
    }
}
