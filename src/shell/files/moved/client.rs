//! The configuration of the reference's client, with its identities, which stay sealed.

use super::{Fields, Note, Report};
use crate::shell::files::ucl::{Document, Place};

/// What the client's file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFile {
    /// Who signs where nobody is named.
    pub default_identity: Option<String>,
    /// The network, as the file names it.
    pub network: Option<String>,
    /// The node's client service.
    pub connect: Option<String>,
    /// In the order of the file.
    pub identities: Vec<ClientIdentity>,
}

/// One identity, all in hex, and empty where it is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// Where it stands.
    pub place: Place,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Its public key.
    pub public_key: String,
    /// Its private key, sealed.
    pub private_key: String,
    /// Its seed, sealed.
    pub seed: String,
    /// What the key of the seal is made with beside the pass phrase.
    pub salt: String,
}

/// Reads the file of the reference's client. Where some are named in `only`, no more than the names
/// of the others is looked at.
///
/// # Errors
/// Unknown keys, and values of the wrong kind; all are told, and nothing of what stands there.
pub fn client(document: &Document, only: &[String]) -> Result<ClientFile, Vec<Note>> {
    let mut report = Report::default();
    let mut root = Fields::new(&document.root);
    let of_root = |text: String| Some(text).filter(|text| !text.is_empty());
    let default_identity = plain(&mut root, "default_identity", &mut report);
    let network = without_variable(&mut root, "network", &mut report);
    let connect = without_variable(&mut root, "connect", &mut report);
    let identities = root.each("identity", &mut report);
    let one = |mut fields: Fields<'_>| {
        let mut of_name = Report::default();
        let name = plain(&mut fields, "name", &mut of_name);
        let mut found = ClientIdentity {
            place: fields.place().clone(),
            name,
            description: String::new(),
            public_key: String::new(),
            private_key: String::new(),
            seed: String::new(),
            salt: String::new(),
        };
        if !only.is_empty() && !only.contains(&found.name) {
            return found;
        }
        report.problems.append(&mut of_name.problems);
        for (key, text) in [
            ("description", &mut found.description),
            ("public_key", &mut found.public_key),
            ("private_key", &mut found.private_key),
            ("seed", &mut found.seed),
        ] {
            *text = plain(&mut fields, key, &mut report);
        }
        if let Some(mut config) = fields.section("private_key_config", &mut report) {
            found.salt = plain(&mut config, "salt", &mut report);
            config.finish_unnamed(&mut report);
        }
        fields.finish_unnamed(&mut report);
        found
    };
    let identities = identities.into_iter().map(one).collect();
    root.finish_unnamed(&mut report);
    if report.problems.is_empty() {
        Ok(ClientFile {
            default_identity: of_root(default_identity),
            network: of_root(network),
            connect: of_root(connect),
            identities,
        })
    } else {
        Err(report.problems)
    }
}

/// A text in which `${NAME}` is one, too; empty where it is not there.
fn plain(fields: &mut Fields<'_>, key: &str, report: &mut Report) -> String {
    let found = fields.plain_text(key, report);
    found.map(|found| found.value.value()).unwrap_or_default()
}

/// The same where a variable is told.
fn without_variable(fields: &mut Fields<'_>, key: &str, report: &mut Report) -> String {
    let Some(found) = fields.plain_text(key, report) else {
        return String::new();
    };
    let text = found.value.value();
    if text.contains("${") {
        let told = "a variable: none is put in here; write its value in its place";
        report.problem(&fields.key(key), &found.place, told);
    }
    text
}
