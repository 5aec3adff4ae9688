//! `${NAME}` in a configuration file: what `--set NAME=VALUE` gave, and every environment variable
//! X as `ENV_X` (`proto/rpc.md`, section 6), without blanks at its ends, as in the reference.
//!
//! Values go in as text, `"` and `\` escaped, so they belong into double quotes or are numbers.
//! Lines that are comments are left alone. The macros of the reference are not there.

use std::collections::BTreeMap;

/// The variables of one start.
#[derive(Clone, Default)]
pub struct Variables {
    values: BTreeMap<String, String>,
    /// Their names, each once, as they were given.
    order: Vec<String>,
}

impl std::fmt::Debug for Variables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.order).finish()
    }
}

impl Variables {
    /// Variables from `NAME=VALUE` texts and the environment; the former win.
    ///
    /// # Errors
    /// A text without `=` or with an empty name.
    pub fn new(
        set: &[String],
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, String> {
        let mut variables = Self::default();
        for (name, value) in environment {
            variables.put(format!("ENV_{}", name.trim()), value.trim().to_owned());
        }
        for text in set {
            match text.split_once('=') {
                Some((name, value)) if !name.is_empty() => {
                    variables.put(name.to_owned(), value.to_owned());
                }
                _ => return Err(format!("--set {text:?}: expected NAME=VALUE")),
            }
        }
        Ok(variables)
    }

    fn put(&mut self, name: String, value: String) {
        if self.values.insert(name.clone(), value).is_none() {
            self.order.push(name);
        }
    }

    /// All of them with their values, those of the environment as `ENV_X`, in the order in which
    /// they were given.
    #[must_use]
    pub fn values(&self) -> Vec<(&str, &str)> {
        let value = |name| self.values.get(name).map(String::as_str);
        let pairs = self.order.iter();
        pairs
            .filter_map(|name| Some((name.as_str(), value(name)?)))
            .collect()
    }

    /// Puts the values in.
    ///
    /// # Errors
    /// Line (from 1) and what is wrong with it.
    pub fn apply(&self, text: &str) -> Result<String, (usize, String)> {
        let mut out = String::with_capacity(text.len());
        for (at, line) in text.split_inclusive('\n').enumerate() {
            if line.trim_start().starts_with('#') {
                out.push_str(line);
            } else {
                self.apply_line(line, &mut out)
                    .map_err(|why| (at + 1, why))?;
            }
        }
        Ok(out)
    }

    fn apply_line(&self, line: &str, out: &mut String) -> Result<(), String> {
        let mut rest = line;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, tail) = after
                .split_once('}')
                .ok_or_else(|| "${ without }".to_owned())?;
            let value = self
                .values
                .get(name)
                .ok_or_else(|| format!("${{{name}}} is not set; use --set {name}=VALUE"))?;
            if value.contains(char::is_control) {
                return Err(format!("${{{name}}} holds a control character"));
            }
            out.push_str(before);
            out.push_str(&value.replace('\\', "\\\\").replace('"', "\\\""));
            rest = tail;
        }
        out.push_str(rest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        // Blanks around a value of the environment are none of it.
        let environment = [("HOME".to_owned(), " /h\"o\n".to_owned())];
        Variables::new(&["PORT=2136".to_owned(), "E=a=b".to_owned()], environment).unwrap()
    }

    #[test]
    fn set_and_environment_go_in_and_comments_stay() {
        let text = "# ${X}\na = ${PORT}\nb = \"${ENV_HOME}/${E}\"\n";
        let expected = "# ${X}\na = 2136\nb = \"/h\\\"o/a=b\"\n";
        assert_eq!(variables().apply(text).unwrap(), expected);
    }

    #[test]
    fn they_keep_the_order_in_which_they_were_given() {
        let environment = ["B", "A"].map(|name| (name.to_owned(), "1".to_owned()));
        let set = ["ENV_B=3", "C=2"].map(str::to_owned);
        let variables = Variables::new(&set, environment).unwrap();
        let expected = [("ENV_B", "3"), ("ENV_A", "1"), ("C", "2")];
        assert_eq!(variables.values(), expected);
    }

    #[test]
    fn what_nobody_set_is_an_error_with_its_line() {
        let (line, why) = variables().apply("a = 1\nb = ${X}\n").unwrap_err();
        assert_eq!(line, 2);
        assert!(why.starts_with("${X} is not set"));
        assert!(variables().apply("a = ${X").is_err());
        assert!(Variables::new(&["X".to_owned()], []).is_err());
        let two_lines = Variables::new(&["X=1\n[b]".to_owned()], []).unwrap();
        assert!(two_lines.apply("a = ${X}").is_err());
    }
}
